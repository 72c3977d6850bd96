"""SVDF and LSTM against TensorFlow Lite Micro over several inferences, whose states each leaves to the next."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.errors import SmeltError
from smelt.importers import load
from smelt.model.reference import run_sequence
from tests.oracle import Oracle
from tests.reference_check import cases, powers, seeds, values
from tests.tflite_writer import ModelWriter

RUNS = 6
TANH = 4


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("recurrent") / "model.tflite"


def check(file, model: bytes, arrays: list[np.ndarray]) -> None:
    file.write_bytes(model)
    oracle = Oracle(model)
    for (found,), array in zip(run_sequence(load(file), [(a,) for a in arrays]), arrays, strict=True):
        np.testing.assert_array_equal(found, oracle.run([array])[0])


def svdf_model(
    rng: np.random.Generator, batch: int, depth: int, units: int, rank: int, memory: int, state: str, scale: float
):
    w, filters = ModelWriter(), units * rank
    zero, state_zero = (int(z) for z in rng.integers(-128, 128, 2))
    x, y = w.tensor("x", (batch, depth), "int8", 0.05, zero), w.tensor("y", (batch, units), "int8", 0.3, -3)
    state_scale = float(np.float32(scale))
    tensors = [
        w.tensor("weights", (filters, depth), "int8", 0.01, data=values(rng, (filters, depth), "int8")),
        w.tensor("time", (filters, memory), state, 0.02, data=values(rng, (filters, memory), state)),
        w.tensor(
            "bias", (units,), "int32", state_scale * float(np.float32(0.02)), data=rng.integers(-3000, 3000, units)
        ),
        w.tensor("state", (batch, filters * memory), state, state_scale, state_zero, variable=True),
    ]
    w.op("SVDF", [x, *tensors], [y], Rank=rank, FusedActivationFunction=1)
    return w.finish([x], [y])


@cases(25)
@given(
    seed=seeds, batch=st.integers(1, 2), depth=st.integers(1, 6), units=st.integers(1, 4), rank=st.integers(1, 3),
    memory=st.integers(1, 6), state=st.sampled_from(["int8", "int16"]), scale=powers(-9, 0),
)  # fmt: skip
def test_svdf(file, seed, batch, depth, units, rank, memory, state, scale):
    rng = np.random.default_rng(seed)
    model = svdf_model(rng, batch, depth, units, rank, memory, state, scale)
    check(file, model, [values(rng, (batch, depth), "int8") for _ in range(RUNS)])


def lstm_model(
    rng, batch: int, steps: int, depth: int, units: int, dtype: str, time_major: bool, clip: float, cell: int
):
    w, unit = ModelWriter(), 256 if dtype == "int16" else 1
    zero, hidden_zero = (int(z) for z in rng.integers(-20, 20, 2)) if unit == 1 else (0, 0)
    order = (steps, batch) if time_major else (batch, steps)
    scale, hidden_scale = (float(np.float32(s / unit)) for s in (rng.uniform(0.002, 0.03), rng.uniform(0.006, 0.01)))
    x = w.tensor("x", (*order, depth), dtype, scale, zero)
    y = w.tensor("y", (*order, units), dtype, hidden_scale, hidden_zero)
    scales = [float(np.float32(s)) for s in rng.uniform(0.002, 0.02, 8)]
    shapes = [(units, depth)] * 4 + [(units, units)] * 4
    weights = [
        w.tensor(f"w{i}", shape, "int8", s, data=rng.integers(-127, 128, shape))
        for i, (shape, s) in enumerate(zip(shapes, scales, strict=True))
    ]
    biases = [
        w.tensor(
            f"b{g}",
            (units,),
            "int64" if unit > 1 else "int32",
            scale * scales[g],
            data=rng.integers(-2000, 2000, units),
        )
        for g in range(4)
    ]
    states = [
        w.tensor("hidden", (batch, units), dtype, hidden_scale, hidden_zero, variable=True),
        w.tensor("cell", (batch, units), "int16", 2.0**-cell, variable=True),
    ]
    operands = [x, *weights, -1, -1, -1, *biases, -1, -1, *states, -1, -1, -1, -1]
    w.op(
        "UNIDIRECTIONAL_SEQUENCE_LSTM", operands, [y], FusedActivationFunction=TANH, CellClip=clip, TimeMajor=time_major
    )
    return w.finish([x], [y]), (*order, depth)


@cases(25)
@given(
    seed=seeds, batch=st.integers(1, 3), steps=st.integers(1, 4), depth=st.integers(1, 6), units=st.integers(1, 5),
    dtype=st.sampled_from(["int8", "int16"]), time_major=st.booleans(), clip=st.sampled_from([0.0, 1.5, 10.0]),
    cell=st.integers(9, 15),
)  # fmt: skip
def test_lstm(file, seed, batch, steps, depth, units, dtype, time_major, clip, cell):
    rng = np.random.default_rng(seed)
    model, shape = lstm_model(rng, batch, steps, depth, units, dtype, time_major, clip, cell)
    check(file, model, [values(rng, shape, dtype) for _ in range(RUNS)])


@pytest.mark.parametrize("position, words", [(9, "peephole"), (17, "projection"), (21, "normalisation")])
def test_an_lstm_with_more_is_refused(file, position, words):
    w = ModelWriter()
    x, y = w.tensor("x", (1, 2, 3), "int8", 0.1), w.tensor("y", (1, 2, 3), "int8", 0.1)
    more = w.tensor("more", (3,), "int8", 0.1, data=np.zeros(3))
    weights = [w.tensor(f"w{i}", (3, 3), "int8", 0.1, data=np.zeros((3, 3))) for i in range(8)]
    biases = [w.tensor(f"b{i}", (3,), "int32", 0.01, data=np.zeros(3)) for i in range(4)]
    states = [
        w.tensor("h", (1, 3), "int8", 0.1, variable=True),
        w.tensor("c", (1, 3), "int16", 2.0**-11, variable=True),
    ]
    operands = [x, *weights, -1, -1, -1, *biases, -1, -1, *states, -1, -1, -1, -1]
    operands[position] = more
    w.op("UNIDIRECTIONAL_SEQUENCE_LSTM", operands, [y], FusedActivationFunction=TANH)
    file.write_bytes(w.finish([x], [y]))
    with pytest.raises(SmeltError, match=words):
        load(file)
