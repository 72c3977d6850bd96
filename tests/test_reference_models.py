"""Whole real models against the oracle, on random and on real inputs."""

from __future__ import annotations

import numpy as np
import pytest

from smelt.errors import OptionError
from smelt.importers import load
from smelt.model.graph import Graph
from smelt.model.reference import evaluate, run, trace
from tests.oracle import Oracle
from tests.paths import INPUTS, INT8_MODELS, PICTURES, SHARED
from tests.reference_check import compare, int8s


def model(name: str) -> tuple[Graph, Oracle]:
    path = INT8_MODELS[name]
    return load(path), Oracle(path.read_bytes())


def quantized(graph: Graph, real: np.ndarray) -> list[np.ndarray]:
    """Rows of real numbers as inputs of the graph."""
    (x,) = graph.inputs
    stored = np.clip(np.round(real / x.q.scale) + x.q.zero_point, -128, 127).astype(np.int8)
    return list(stored.reshape(-1, *x.shape))


@pytest.mark.parametrize("name", INT8_MODELS)
def test_random_inputs(name):
    graph, oracle = model(name)
    rng = np.random.default_rng(1)
    for _ in range(5):
        compare(graph, oracle, [int8s(rng, t.shape) for t in graph.inputs])


def test_pictures():
    from PIL import Image

    graph, oracle = model("IC")
    for file in PICTURES:
        compare(graph, oracle, [(np.asarray(Image.open(file)).astype(np.int16) - 128).astype(np.int8)[np.newaxis]])


@pytest.mark.extra
def test_more_pictures():
    graph, oracle = model("IC")
    for image in np.load(SHARED / "inputs" / "cifar10_test_500.npz")["images"][::25]:
        compare(graph, oracle, [(image.astype(np.int16) - 128).astype(np.int8)[np.newaxis]])


def test_recorded_machine_sounds():
    graph, oracle = model("AD")
    real = np.fromfile(INPUTS / "mlperf_tiny/ad01_normal_id_01_hist.bin", np.float32).reshape(-1, 640)
    for x in quantized(graph, real[:: max(1, len(real) // 20)]):
        compare(graph, oracle, [x])


def test_keyword():
    graph, oracle = model("KWS")
    sample = np.load(INPUTS / "mlperf_tiny/kws_sample_class5.npy")
    assert sample.dtype == np.int8
    compare(graph, oracle, [sample.reshape(graph.inputs[0].shape)])


def test_wake_words():
    graph, oracle = model("SWW")
    for x in quantized(graph, np.load(INPUTS / "mlperf_tiny/str_ww_calibration_samples.npz")["specs"][::4]):
        compare(graph, oracle, [x])


@pytest.mark.parametrize("name", ["person", "no_person"])
def test_person(name):
    from PIL import Image

    graph, oracle = model("person")
    pixels = np.asarray(Image.open(INPUTS / f"tflm/{name}.bmp").convert("L").resize((96, 96)))
    compare(graph, oracle, [(pixels.astype(np.int16) - 128).astype(np.int8).reshape(graph.inputs[0].shape)])


def test_run_trace_and_evaluate_agree():
    graph, _ = model("hello")
    inputs = [np.full((1, 1), value, np.int8) for value in (-128, 0, 77)]
    outputs = [run(graph, [x])[0] for x in inputs]
    values = trace(graph, {graph.inputs[0].name: inputs[1]})
    assert np.array_equal(values[graph.outputs[0].name], outputs[1])
    last = graph.producer(graph.outputs[0])
    assert np.array_equal(
        evaluate(last, *(values[t.name] if t.data is None else t.data for t in last.inputs)), outputs[1]
    )


@pytest.mark.parametrize(
    "inputs",
    [[], [np.zeros((1, 2), np.int8)], [np.zeros((1, 1), np.float32)], {"nonsense": np.zeros((1, 1), np.int8)}],
)
def test_wrong_inputs_are_refused(inputs):
    graph, _ = model("hello")
    with pytest.raises(OptionError, match=r"input"):
        run(graph, inputs)
