"""The operators that cut and join signals against TensorFlow Lite Micro, over sequences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.compile import compile
from smelt.errors import ModelError, Unsupported
from smelt.importers import load
from smelt.model.reference import run_sequence
from smelt.report.execute import execute
from smelt.report.verify import verify
from smelt.targets.boards import board
from tests.oracle import Oracle
from tests.reference_check import cases, seeds, values
from tests.tflite_writer import ModelWriter

STEPS = 9


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("streams")


def one_op(code: str, x: tuple[int, ...], y: tuple[int, ...], dtype="int16", valid=False, **options) -> bytes:
    w = ModelWriter()
    given = w.tensor("x", x, dtype)
    made = [w.tensor("y", y, dtype), *([w.tensor("valid", (), "bool")] if valid else [])]
    w.op(f"CUSTOM Signal{code}", [given], made, **options)
    return w.finish([given], made)


def loaded(model: bytes, folder):
    (folder / "model.tflite").write_bytes(model)
    return load(folder / "model.tflite")


def check(model: bytes, folder, seed: int) -> list[bool]:
    """Steps agree bit for bit, but for a y that is not valid: the oracle does not write it. Gives which were valid."""
    graph, oracle, rng = loaded(model, folder), Oracle(model), np.random.default_rng(seed)
    (x,) = graph.inputs
    arrays = [values(rng, x.shape, x.dtype) for _ in range(STEPS)]
    valid = []
    for (y, *flag), array in zip(run_sequence(graph, [(a,) for a in arrays]), arrays, strict=True):
        expected, *wanted = oracle.run([array])
        valid.append(bool(flag[0]) if flag else True)
        assert not flag or flag[0] == wanted[0]
        if valid[-1]:
            np.testing.assert_array_equal(y, expected)
    return valid


@cases(40)
@given(
    seed=seeds,
    rows=st.integers(0, 3),
    frames=st.integers(1, 3),
    step=st.integers(1, 9),
    more=st.integers(0, 20),
    prefill=st.booleans(),
)
def test_framer(folder, seed, rows, frames, step, more, prefill):
    outer, size = (rows,) * min(rows, 1), step + more
    options = {"frame_size": size, "frame_step": step, "prefill": prefill}
    model = one_op("Framer", (*outer, frames * step), (*outer, frames, size), valid=True, **options)
    valid = check(model, folder, seed)
    assert valid == sorted(valid) and (valid[0] or not prefill)


@cases(40)
@given(
    seed=seeds,
    channels=st.integers(1, 7),
    left=st.integers(0, 3),
    right=st.integers(0, 3),
    step=st.integers(1, 7),
)
def test_stacker(folder, seed, channels, left, right, step):
    frames = left + right + 1
    options = {"num_channels": channels, "stacker_left_context": left, "stacker_right_context": right}
    options["stacker_step"] = min(step, frames)
    model = one_op("Stacker", (channels,), (frames * channels,), valid=True, **options)
    valid = check(model, folder, seed)
    assert valid == [i >= right and (i - right) % options["stacker_step"] == 0 for i in range(STEPS)]


@cases(40)
@given(
    seed=seeds,
    rows=st.integers(0, 3),
    frames=st.integers(1, 3),
    step=st.integers(1, 9),
    more=st.integers(0, 20),
    dtype=st.sampled_from(["int16", "float32"]),
)
def test_overlap_add(folder, seed, rows, frames, step, more, dtype):
    outer, size = (rows,) * min(rows, 1), step + more
    options = {"frame_step": step, "T": 7 if dtype == "int16" else 0}
    check(one_op("OverlapAdd", (*outer, frames, size), (*outer, frames * step), dtype, **options), folder, seed)


@cases(30)
@given(seed=seeds, rows=st.integers(0, 3), samples=st.integers(1, 12), late=st.integers(0, 30))
def test_delay(folder, seed, rows, samples, late):
    shape = (*(rows,) * min(rows, 1), samples)
    check(one_op("Delay", shape, shape, delay_length=late), folder, seed)


def chain() -> bytes:
    """All of them behind one another."""
    w = ModelWriter()
    shapes = {"x": (12,), "frames": (3, 8), "sum": (12,), "late": (12,), "y": (36,)}
    x, frames, total, late, y = (w.tensor(name, shape, "int16") for name, shape in shapes.items())
    framed, stacked = w.tensor("framed", (), "bool"), w.tensor("stacked", (), "bool")
    w.op("CUSTOM SignalFramer", [x], [frames, framed], frame_size=8, frame_step=4, prefill=True)
    w.op("CUSTOM SignalOverlapAdd", [frames], [total], frame_step=4, T=7)
    w.op("CUSTOM SignalDelay", [total], [late], delay_length=17)
    options = {"num_channels": 12, "stacker_left_context": 2, "stacker_right_context": 0, "stacker_step": 1}
    w.op("CUSTOM SignalStacker", [late], [y, stacked], **options)
    return w.finish([x], [y, framed, stacked])


def test_firmware_carries_what_they_remember(tmp_path):
    path = tmp_path / "chain.tflite"
    path.write_bytes(chain())
    compilation = compile(path, board("nucleo_l4r5zi"))
    rng = np.random.default_rng(1)
    xs = [(values(rng, (12,), "int16"),) for _ in range(20)]
    for oracle in ("reference", "tflm"):
        assert verify(compilation, xs, oracle, path, sequence=True).mismatches == 0
    carried, anew = (execute(compilation, xs[:9], sequence=s).outputs for s in (True, False))
    assert np.array_equal(carried[0][0], anew[0][0]) and not np.array_equal(carried[8][0], anew[8][0])
    plan = compilation.plan
    assert all(plan.placement(s.read) is plan.placement(s.write) for s in plan.graph.states)
    assert not [op for op in plan.graph.ops if type(op).__name__ == "Slice"], "no state is copied"


FRAMES = {"num_channels": 3, "stacker_left_context": 1, "stacker_right_context": 0}
REFUSALS = [
    (one_op("Framer", (6,), (2, 2), valid=True, frame_size=2, frame_step=3, prefill=False), "come every 3"),
    (one_op("Framer", (7,), (2, 4), valid=True, frame_size=4, frame_step=3, prefill=False), "no multiple"),
    (one_op("Framer", (6,), (2, 4), valid=True, frame_size=4, frame_step=0, prefill=False), "'frame_step' is 0"),
    (one_op("Framer", (6,), (2, 5), valid=True, frame_size=4, frame_step=3, prefill=False), "computes"),
    (one_op("Stacker", (3,), (6,), valid=True, stacker_step=3, **FRAMES), "left out"),
    (one_op("Stacker", (4,), (6,), valid=True, stacker_step=1, **FRAMES), "not one frame"),
    (one_op("OverlapAdd", (2, 4), (10,), frame_step=5, T=7), "gaps"),
    (one_op("OverlapAdd", (8,), (8,), frame_step=4, T=7), "fewer than 2 axes"),
    (one_op("OverlapAdd", (2, 4), (4,), frame_step=2, T=0), "option 'T'"),
    (one_op("OverlapAdd", (2, 4), (4,), "int8", frame_step=2, T=9), "int8"),
    (one_op("Delay", (4,), (4,), delay_length=-1), "'delay_length' is -1"),
    (one_op("Delay", (4,), (4,)), "'delay_length' is missing"),
    (one_op("Delay", (4,), (4,), delay_length=2**30), "'delay_length' is 1073741824"),
]


@pytest.mark.parametrize(("model", "words"), REFUSALS, ids=[words for _, words in REFUSALS])
def test_refusals(folder, model, words):
    with pytest.raises((ModelError, Unsupported), match=words):
        loaded(model, folder)
