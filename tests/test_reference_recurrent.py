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


def near(file, model: bytes, expected: list[list[np.ndarray]], arrays: list[np.ndarray]) -> None:
    """Of functions that C's library gives to a unit or two, over steps that go on with what they gave."""
    file.write_bytes(model)
    for found, wanted in zip(run_sequence(load(file), [(a,) for a in arrays]), expected, strict=True):
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def real_svdf(rng, batch: int, depth: int, units: int, rank: int, memory: int, activation: int) -> bytes:
    w, filters = ModelWriter(), units * rank
    x, y = w.tensor("x", (batch, depth), "float32"), w.tensor("y", (batch, units), "float32")
    shapes = {"weights": (filters, depth), "time": (filters, memory), "bias": (units,)}
    tensors = [w.constant(name, values(rng, shape, "float32"), "float32") for name, shape in shapes.items()]
    state = w.tensor("state", (batch, filters * memory), "float32", variable=True)
    w.op("SVDF", [x, *tensors, state], [y], Rank=rank, FusedActivationFunction=activation)
    return w.finish([x], [y])


@cases(20)
@given(
    seed=seeds, batch=st.integers(1, 2), depth=st.integers(1, 6), units=st.integers(1, 4), rank=st.integers(1, 3),
    memory=st.integers(1, 6), activation=st.integers(0, 4),
)  # fmt: skip
def test_svdf_of_reals(file, seed, batch, depth, units, rank, memory, activation):
    rng = np.random.default_rng(seed)
    model = real_svdf(rng, batch, depth, units, rank, memory, activation)
    arrays = [values(rng, (batch, depth), "float32") for _ in range(RUNS)]
    if activation == TANH:
        oracle = Oracle(model)
        near(file, model, [oracle.run([a]) for a in arrays], arrays)
    else:
        check(file, model, arrays)


def real_cell(w: ModelWriter, rng, name: str, batch: int, depth: int, units: int) -> tuple[list[int], list[int]]:
    """The operands 1 to 17 of an LSTM, and its states."""
    shapes = [(units, depth)] * 4 + [(units, units)] * 4 + [(units,)] * 4
    tensors = [
        w.constant(f"{name}{i}", rng.normal(0, 1, shape).astype(np.float32), "float32")
        for i, shape in enumerate(shapes)
    ]
    states = [w.tensor(f"{name} {state}", (batch, units), "float32", variable=True) for state in ("hidden", "cell")]
    return [*tensors[:8], -1, -1, -1, *tensors[8:], -1, -1], states


def real_lstm(rng, shape: tuple[int, int, int], units: int, time_major: bool, clip: float) -> bytes:
    w, options = ModelWriter(), dict(FusedActivationFunction=TANH, CellClip=clip, TimeMajor=time_major)
    x, y = w.tensor("x", shape, "float32"), w.tensor("y", (*shape[:2], units), "float32")
    operands, states = real_cell(w, rng, "f", shape[1 if time_major else 0], shape[2], units)
    w.op("UNIDIRECTIONAL_SEQUENCE_LSTM", [x, *operands, *states, -1, -1, -1, -1], [y], **options)
    return w.finish([x], [y])


SEQUENCES = dict(
    seed=seeds, shape=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 6)), units=st.integers(1, 5),
    time_major=st.booleans(), clip=st.sampled_from([0.0, 0.5, 10.0]),
)  # fmt: skip


@cases(20)
@given(**SEQUENCES)
def test_lstm_of_reals(file, seed, shape, units, time_major, clip):
    rng = np.random.default_rng(seed)
    model = real_lstm(rng, shape, units, time_major, clip)
    oracle = Oracle(model)
    arrays = [rng.normal(0, 1, shape).astype(np.float32) for _ in range(RUNS)]
    near(file, model, [oracle.run([a]) for a in arrays], arrays)


@cases(10)
@given(**SEQUENCES, merged=st.booleans())
def test_an_lstm_of_both_directions_is_two(file, seed, shape, units, time_major, clip, merged):
    """TFLM lacks it: it has one LSTM, which sees the steps as they are, and one which sees them from the last to the first."""
    w, rng, time = ModelWriter(), np.random.default_rng(seed), 0 if time_major else 1
    batch, depth = shape[1 - time], shape[2]
    sizes = units, units + 1
    x = w.tensor("x", shape, "float32")
    wide = [sum(sizes)] if merged else sizes
    ys = [w.tensor(f"y{i}", (*shape[:2], n), "float32") for i, n in enumerate(wide)]
    (forward, first), (backward, second) = (
        real_cell(w, np.random.default_rng([seed, n]), f"d{n}", batch, depth, n) for n in sizes
    )
    options = dict(FusedActivationFunction=TANH, CellClip=clip, TimeMajor=time_major, MergeOutputs=merged)
    w.op("BIDIRECTIONAL_SEQUENCE_LSTM", [x, *forward, *backward, *first, *second, *[-1] * 9], ys, **options)
    oracles = [Oracle(real_lstm(np.random.default_rng([seed, n]), shape, n, time_major, clip)) for n in sizes]
    arrays, expected = [rng.normal(0, 1, shape).astype(np.float32) for _ in range(3)], []
    for a in arrays:
        there, back = oracles[0].run([a])[0], np.flip(oracles[1].run([np.flip(a, time).copy()])[0], time)
        expected.append([np.concatenate([there, back], 2)] if merged else [there, back])
    near(file, w.finish([x], ys), expected, arrays)


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


@pytest.mark.parametrize(
    "position, words", [(10, "peephole"), (27, "peephole"), (33, "projection"), (39, "auxiliary"), (18, "four gates")]
)
def test_an_lstm_of_both_directions_with_more_or_less_is_refused(file, position, words):
    w, rng = ModelWriter(), np.random.default_rng(0)
    x, y = w.tensor("x", (1, 2, 3), "float32"), w.tensor("y", (1, 2, 6), "float32")
    (forward, first), (backward, second) = (real_cell(w, rng, name, 1, 3, 3) for name in "fb")
    operands = [x, *forward, *backward, *first, *second, *[-1] * 9]
    operands[position] = -1 if operands[position] >= 0 else w.constant("more", np.zeros((3, 3)), "float32")
    w.op("BIDIRECTIONAL_SEQUENCE_LSTM", operands, [y], FusedActivationFunction=TANH, MergeOutputs=True, TimeMajor=False)
    file.write_bytes(w.finish([x], [y]))
    with pytest.raises(SmeltError, match=words):
        load(file)


def test_an_svdf_of_reals_without_bias_is_refused(file):
    """The oracle crashes on it."""
    w = ModelWriter()
    x, y = w.tensor("x", (1, 2), "float32"), w.tensor("y", (1, 2), "float32")
    weights, time = (w.constant(name, np.ones((2, 2)), "float32") for name in ("weights", "time"))
    state = w.tensor("state", (1, 4), "float32", variable=True)
    w.op("SVDF", [x, weights, time, -1, state], [y], Rank=1)
    file.write_bytes(w.finish([x], [y]))
    with pytest.raises(SmeltError, match="no bias"):
        load(file)
