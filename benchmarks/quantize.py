"""The float MLPerf Tiny models quantised by smelt: python benchmarks/quantize.py [MODEL ...]

Calibrated on every fifth input, judged on the others, with the integer graph that is loaded from the .onnx file. ResNet-8 on 500
CIFAR-10 pictures; VWW on the same, enlarged, which have no labels there; KWS on variations of the one recording that is at hand
(shifted, louder, noisier); AD on the frames of a recording. SQNR is that of the outputs before a last softmax; of VWW's two logits
their difference.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace

import numpy as np
from data import shared
from tables import show

from smelt.importers import load
from smelt.model.graph import Array, Graph
from smelt.model.ops import Dequantize, Softmax
from smelt.passes import prepare
from smelt.quantization.batches import outputs_of
from smelt.quantization.quantize import Settings, quantise
from smelt.quantization.ranges import sqnr

STEP = 5
COLUMNS = ("model", "weights", "float", "quantised", "agreement", "SQNR dB", "weight bytes", "seconds")


@dataclass(frozen=True, eq=False)
class Case:
    """A model, inputs for it, and labels where there are any."""

    name: str
    file: str
    x: Array
    labels: Array | None = None
    settings: tuple[tuple[str, Settings], ...] = ()


def main(names: list[str]) -> None:
    chosen = [case for case in cases() if not names or case.name in names]
    rows = [row(case, title, settings) for case in chosen for title, settings in case.settings]
    show("Float MLPerf Tiny models, quantised by smelt", COLUMNS, rows, markdown=False, width=140)


def row(case: Case, title: str, settings: Settings) -> tuple[str, ...]:
    """The cells of a model that was quantised in one way."""
    model = load(shared(f"models/mlperf_tiny/{case.file}"))
    started = time.perf_counter()
    found = quantise(model, [case.x[::STEP]], settings)
    seconds = time.perf_counter() - started
    others = np.delete(case.x, np.s_[::STEP], 0)
    (wanted, before), (got, after) = judged(model, others), judged(found.graph, others)
    accuracies = ["-", "-"]
    if case.labels is not None:
        right = np.delete(case.labels, np.s_[::STEP], 0)
        accuracies = [f"{(y.argmax(-1) == right).mean():.2%}" for y in (wanted, got)]
    if case.name == "vww":
        before, after = (y[:, :1] - y[:, 1:] for y in (before, after))
    agreement = f"{(wanted.argmax(-1) == got.argmax(-1)).mean():.2%}"
    noise = f"{sqnr(before, after):.1f}"
    cells = (case.name, title, *accuracies, agreement, noise, f"{found.weight_bytes:,}", f"{seconds:.1f}")
    print(*cells, file=sys.stderr, flush=True)
    return cells


def judged(graph: Graph, x: Array) -> tuple[Array, Array]:
    """The outputs of a graph, and what a last softmax makes them of, as reals: in parts, to stay within memory."""
    seen = before_softmax(prepare(graph))
    parts = [outputs_of(seen, [x[start : start + 50]]) for start in range(0, len(x), 50)]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def before_softmax(graph: Graph) -> Graph:
    """The graph with a second output: what is before the last softmax, dequantised; the first one where there is none."""
    last = next((op for op in reversed(graph.ops) if isinstance(op, Softmax)), None)
    if last is None:
        return replace(graph, outputs=(*graph.outputs, *graph.outputs))
    if last.x.element.is_float:
        return replace(graph, outputs=(*graph.outputs, last.x))
    real = replace(last.x, name="logits", dtype="float32", quantization=None)
    return replace(graph, ops=(*graph.ops, Dequantize(x=last.x, y=real)), outputs=(*graph.outputs, real))


def cases() -> tuple[Case, ...]:
    """The models, each with its inputs."""
    cifar = np.load(shared("inputs/cifar10_test_500.npz"))
    pictures = cifar["images"].astype(np.float32)
    enlarged = pictures.repeat(3, 1).repeat(3, 2) / np.float32(255)
    frames = np.fromfile(shared("inputs/mlperf_tiny/ad01_normal_id_01_hist.bin"), np.float32).reshape(-1, 640)
    eight, four = ("8 bits", Settings()), ("4 bits", Settings(weight_bits="4"))
    every = ("4 bits, every layer", Settings(weight_bits="4", kept_wide=0))
    auto = ("4 bits where 25 dB", Settings(weight_bits="auto"))
    equal = ("8 bits, equalised", Settings(equalise=True))
    methods = [(f"8 bits, {m}", Settings(method=m)) for m in ("percentile", "mse", "entropy")]
    plain = ("8 bits, no correction", Settings(correct=False))
    nearest = ("4 bits, nearest", Settings(weight_bits="4", rounding="nearest"))
    narrow = ("4 bits, equalised", Settings(weight_bits="4", equalise=True))
    adaptive = ("8 bits, adaptive", Settings(rounding="adaptive"))
    resnet = (eight, plain, *methods, adaptive, equal, auto, four, every, narrow, nearest)
    return (
        Case("resnet", "pretrainedResnet.tflite", pictures, cifar["labels"], resnet),
        Case("vww", "vww_96_float.tflite", enlarged, None, (eight, equal, auto, four, every)),
        Case("kws", "kws_ref_model_float32.tflite", spoken(), None, (eight, equal, auto, four, every)),
        Case("ad", "ad01_fp32.tflite", frames, None, (eight, auto, four, every)),
    )


def spoken() -> Array:
    """Variations of a recording's features."""
    (q,) = {t.q for t in load(shared("models/mlperf_tiny/kws_ref_model.tflite")).inputs}
    stored = np.load(shared("inputs/mlperf_tiny/kws_sample_class5.npy")).astype(np.float32)
    real = (stored - np.float32(q.zero_point)) * np.float32(q.scale)
    generator = np.random.default_rng(0)
    found = []
    for _ in range(300):
        shifted = np.roll(real, generator.integers(-12, 13), 0)
        louder = shifted * np.float32(generator.uniform(0.7, 1.3))
        found.append(louder + generator.normal(0, real.std() * generator.uniform(0, 0.5), real.shape))
    return np.stack(found).astype(np.float32)[..., np.newaxis]


if __name__ == "__main__":
    main(sys.argv[1:])
