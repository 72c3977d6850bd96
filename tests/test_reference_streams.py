"""The operators that cut and join signals against TensorFlow Lite Micro, over sequences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.compile import compile
from smelt.errors import ModelError, Unsupported
from smelt.importers import load
from smelt.model.ops_streams import Stacker
from smelt.model.reference import run_sequence
from smelt.report.execute import execute
from smelt.report.unwritten import filled_in
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


def test_frames_that_are_not_valid_are_not_the_oracles(tmp_path):
    """Which leaves them as they were; what is valid is compared, and a difference there is found."""
    path = tmp_path / "m.tflite"
    options = {"num_channels": 3, "stacker_left_context": 1, "stacker_right_context": 2, "stacker_step": 2}
    path.write_bytes(one_op("Stacker", (3,), (12,), valid=True, **options))
    compilation, rng = compile(path, board("nucleo_l4r5zi")), np.random.default_rng(3)
    xs = [(values(rng, (3,), "int16"),) for _ in range(9)]
    assert verify(compilation, xs, "tflm", path, sequence=True).mismatches == 0
    (op,) = compilation.model.ops
    right = run_sequence(compilation.model, xs)
    wrong = [(y + 1, valid) for y, valid in right]
    found = filled_in(compilation.model, xs, wrong, sequence=True)
    assert [np.array_equal(a, b) for (a, _), (b, _) in zip(found, right, strict=True)] == [not v for _, v in right]
    assert not all(v for _, v in right) and any(v for _, v in right) and isinstance(op, Stacker)


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


def front_end(step=80, size=200, length=256, channels=10) -> bytes:
    """A front end from samples to stacked features, each operator behind the other."""
    rng, w = np.random.default_rng(4), ModelWriter()

    def op(name: str, xs: list[int], *results: tuple[tuple[int, ...], str], **options: int) -> list[int]:
        ys = [w.tensor(f"{name}{i}", shape, dtype) for i, (shape, dtype) in enumerate(results)]
        w.op(f"CUSTOM Signal{name}", xs, ys, **options)
        return ys

    def table(name: str, data: np.ndarray) -> int:
        return w.constant(name, data, "int16")

    x, bins = w.tensor("x", (step,), "int16"), length // 2 + 1
    widths = np.full(channels + 1, bins // (channels + 1))
    starts, weights = np.cumsum(widths) - widths, rng.integers(0, 4096, (2, widths.sum()))
    hann = np.round(2048 - 2048 * np.cos(2 * np.pi * np.arange(size) / size))
    smoothing = {"smoothing": 409, "one_minus_smoothing": 15975, "alternate_smoothing": 983}
    smoothing |= {"alternate_one_minus_smoothing": 15401, "smoothing_bits": 10, "min_signal_remaining": 819}
    smoothing |= {"spectral_subtraction_bits": 14, "clamping": False, "num_channels": channels}
    context = {"stacker_left_context": 2, "stacker_right_context": 0, "stacker_step": 1, "num_channels": channels}

    frames, _ = op("Framer", [x], ((1, size), "int16"), ((), "bool"), frame_size=size, frame_step=step, prefill=True)
    frame = w.tensor("frame", (size,), "int16")
    w.op("RESHAPE", [frames, w.constant("size", [size])], [frame])
    (frame,) = op("Window", [frame, table("hann", hann)], ((size,), "int16"), shift=12)
    frame, bits = op("FftAutoScale", [frame], ((size,), "int16"), ((), "int32"))
    (spectrum,) = op("Rfft", [frame], ((length + 2,), "int16"), T=7, fft_length=length)
    (energy,) = op("Energy", [spectrum], ((bins,), "uint32"), start_index=0, end_index=bins)
    tables = [table(f"t{i}", data) for i, data in enumerate((*weights, starts, starts, widths))]
    (bank,) = op("FilterBank", [energy, *tables], ((channels,), "uint64"), num_channels=channels)
    (roots,) = op("FilterBankSquareRoot", [bank, bits], ((channels,), "uint32"))
    wide = ((channels,), "uint32")
    clean, noise = op("FilterBankSpectralSubtraction", [roots], wide, wide, **smoothing)
    (gained,) = op("PCAN", [clean, noise, table("gains", rng.integers(0, 9000, 125))], wide, snr_shift=6)
    (log,) = op("FilterBankLog", [gained], ((channels,), "int16"), output_scale=1600, input_correction_bits=3)
    features, due = op("Stacker", [log], ((3 * channels,), "int16"), ((), "bool"), **context)
    return w.finish([x], [features, due])


def test_a_whole_front_end_over_time(tmp_path):
    path, rng = tmp_path / "front_end.tflite", np.random.default_rng(0)
    path.write_bytes(front_end())
    compilation = compile(path, board("esp32c3"))
    levels = (0, 0, 300, 12000, 60000, 20, 1, 3000, 40000, 5)
    waves = [np.clip(rng.normal(0, level, 80), -(2**15), 2**15 - 1).astype(np.int16) for level in levels]
    assert verify(compilation, [(wave,) for wave in waves], "tflm", path, sequence=True).mismatches == 0
