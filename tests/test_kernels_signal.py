"""The kernels of audio front ends and of operators that remember equal the reference, every result of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from smelt.kernels.fft import FFT
from smelt.kernels.recurrent import RECURRENT
from smelt.kernels.signal import SIGNAL
from smelt.kernels.streams import STREAMS
from smelt.model import ops_fft as fft
from smelt.model import ops_signal as signal
from smelt.model import ops_streams as streams
from smelt.model.graph import Array, Op, Quantization, Tensor
from smelt.model.ops_recurrent import Lstm, Svdf, lstm_numbers, svdf_numbers
from smelt.model.reference import results
from smelt.targets.cores.cortex_m4 import CORTEX_M4
from tests.kernels_host import run_all
from tests.reference_check import values

RNG = np.random.default_rng(3)
WAYS = (*SIGNAL, *FFT, *STREAMS, *RECURRENT)


def tensor(name: str, shape: tuple[int, ...], dtype: str, scale: float = 0.0, zero: int = 0, data: Array | None = None):
    quantization = Quantization((float(np.float32(scale)),), (zero,)) if scale else None
    return Tensor(name, shape, dtype, quantization, data)


def constant(name: str, data: Array, scale: float = 0.0) -> Tensor:
    return tensor(name, data.shape, data.dtype.name, scale, data=data)


def plain(names: str, shape: tuple[int, ...], dtype: str) -> dict[str, Tensor]:
    return {name: tensor(name, shape, dtype) for name in names.split()}


def front_ends() -> Iterator[Op]:
    yield signal.Window(**plain("x y", (2, 9), "int16"), weights=constant("w", values(RNG, (9,), "int16")), shift=12)
    yield signal.AutoScale(**plain("x y", (13,), "int16"), bits=tensor("bits", (), "int32"))
    yield signal.Energy(x=tensor("x", (22,), "int16"), y=tensor("y", (11,), "uint32"), start=2, end=9)
    widths = np.array([3, 0, 2, 4], np.int16)
    starts = (np.cumsum(widths) - widths).astype(np.int16)
    tables = {"starts": starts, "weight_starts": starts, "widths": widths}
    tables |= {name: values(RNG, (9,), "int16") for name in ("weights", "unweights")}
    constants = {name: constant(name, data) for name, data in tables.items()}
    yield signal.FilterBank(x=tensor("x", (9,), "uint32"), y=tensor("y", (3,), "uint64"), **constants)
    yield signal.FilterBankRoot(
        x=tensor("x", (40,), "uint64"), bits=tensor("bits", (), "int32"), y=tensor("y", (40,), "uint32")
    )
    for clamping in (False, True):
        numbers = signal.Subtraction((409, 983), (15975, 15401), 819, 10, 14, clamping)
        yield signal.SpectralSubtraction(**plain("x noise y next_noise", (7,), "uint32"), numbers=numbers)
    gains = constant("gains", values(RNG, (125,), "int16"))
    yield signal.Pcan(**plain("x noise y", (50,), "uint32"), gains=gains, shift=6)
    yield signal.FilterBankLog(x=tensor("x", (60,), "uint32"), y=tensor("y", (60,), "int16"), scale=1600, correction=3)


def transforms() -> Iterator[Op]:
    for dtype in ("int16", "int32", "float32"):
        for length, samples in ((4, 4), (8, 5), (90, 90), (256, 240)):
            x, y = tensor("x", (2, samples), dtype), tensor("y", (2, length + 2), dtype)
            yield fft.RealFft(x=x, y=y, length=length)
            yield fft.InverseFft(
                x=tensor("x", (2, length + 2), dtype), y=tensor("y", (2, length), dtype), length=length
            )


def cutting() -> Iterator[Op]:
    for rows, frames, size, step, prefill in ((1, 1, 7, 3, False), (2, 3, 7, 3, True), (2, 2, 9, 8, False)):
        needed = 1 if prefill else -(-size // step)
        kept = size - step if prefill else (needed - 1) * step
        yield streams.Framer(
            x=tensor("x", (rows, frames * step), "int16"), y=tensor("y", (rows, frames, size), "int16"),
            **plain("history next_history", (rows, kept), "int16"), **plain("seen next_seen", (1,), "int32"),
            valid=tensor("valid", (), "bool"), step=step, needed=needed,
        )  # fmt: skip
    for channels, frames, right, step in ((3, 4, 1, 2), (1, 2, 0, 1), (4, 3, 2, 3)):
        yield streams.Stacker(
            x=tensor("x", (channels,), "int16"), y=tensor("y", (frames * channels,), "int16"),
            **plain("history next_history", ((frames - 1) * channels,), "int16"),
            **plain("missing next_missing", (1,), "int32"), valid=tensor("valid", (), "bool"), right=right, step=step,
        )  # fmt: skip
    for dtype in ("int16", "float32"):
        for rows, frames, size, step in ((1, 1, 8, 4), (2, 3, 7, 2), (2, 2, 5, 4)):
            x, y = tensor("x", (rows, frames, size), dtype), tensor("y", (rows, frames * step), dtype)
            yield streams.OverlapAdd(x=x, y=y, **plain("tail next_tail", (rows, size - step), dtype))
    for rows, samples, late in ((1, 4, 9), (2, 5, 5), (3, 6, 2)):
        lines = plain("line next_line", (rows, late), "int16")
        yield streams.Delay(**plain("x y", (rows, samples), "int16"), **lines)
    for width, slots in ((3, 4), (5, 1)):
        slot = tensor("x", (1, 1, 1, width), "int8")
        yield streams.CircularBuffer(x=slot, **plain("history y", (1, slots, 1, width), "int8"))
    yield streams.Countdown(y=tensor("y", (), "bool"), **plain("left next_left", (1,), "int32"), period=3)


def svdf(batch: int, depth: int, filters: int, memory: int, rank: int, state_type: str, extreme: bool) -> Svdf:
    dtype = np.dtype(state_type)
    x, y = tensor("x", (batch, depth), "int8", 0.05, 3), tensor("y", (batch, filters // rank), "int8", 0.2, -4)
    weights = constant("weights", values(RNG, (filters, depth), "int8"), 0.01)
    ends = np.full((filters, memory), np.iinfo(dtype).max, dtype)
    time = constant("time", ends if extreme else values(RNG, (filters, memory), state_type), 0.001)
    bias = constant("bias", RNG.integers(-5000, 5000, filters // rank).astype(np.int32))
    state = tensor("state", (batch, filters * memory), state_type, 0.002 if extreme else 0.5, 5)
    following = tensor("next_state", state.shape, state_type, 0.5, 5)
    numbers = svdf_numbers(x, weights, time, state, y)
    return Svdf(
        x=x, weights=weights, time_weights=time, bias=bias, state=state, next_state=following, y=y, numbers=numbers
    )  # fmt: skip


def lstm(batch: int, steps: int, depth: int, units: int, wide: bool, time_major: bool, clip: float, cell: int) -> Lstm:
    dtype, zero = ("int16", 0) if wide else ("int8", -7)
    unit = 256 if wide else 1
    x = tensor("x", (steps, batch, depth) if time_major else (batch, steps, depth), dtype, 0.02 / unit, zero)
    y = tensor("y", (*x.shape[:2], units), dtype, 0.008 / unit, zero)
    weights = tuple(constant(f"w{g}", values(RNG, (units, depth), "int8"), 0.01 + g / 500) for g in range(4))
    recurrent = tuple(constant(f"r{g}", values(RNG, (units, units), "int8"), 0.01 + g / 500) for g in range(4))
    bias_type = np.int64 if wide else np.int32
    biases = tuple(constant(f"b{g}", RNG.integers(-9000, 9000, units).astype(bias_type)) for g in range(4))
    hidden, following = (tensor(name, (batch, units), dtype, 0.008 / unit, zero) for name in ("hidden", "next_hidden"))
    cells = [tensor(name, (batch, units), "int16", 2.0**-cell) for name in ("cell", "next_cell")]
    numbers = lstm_numbers(x, weights, recurrent, hidden, cells[0], clip)
    return Lstm(
        x=x, y=y, weights=weights, recurrent_weights=recurrent, biases=biases, hidden=hidden, next_hidden=following,
        cell=cells[0], next_cell=cells[1], numbers=numbers, time_major=time_major,
    )  # fmt: skip


def remembering() -> Iterator[Op]:
    yield svdf(2, 5, 6, 4, 2, "int8", False)
    yield svdf(1, 3, 4, 1, 1, "int16", False)
    yield svdf(1, 4, 3, 9, 3, "int16", True)
    yield lstm(2, 3, 5, 4, False, False, 0.0, 12)
    yield lstm(2, 3, 1, 3, False, True, 1.5, 9)
    yield lstm(1, 2, 7, 5, True, False, 10.0, 15)
    yield lstm(2, 4, 2, 1, True, True, 0.0, 11)


@pytest.mark.parametrize("kind", [front_ends, transforms, cutting, remembering], ids=lambda k: k.__name__)
def test_every_result_equals_the_reference(kind):
    made = [(op, way) for op in kind() for way in WAYS if way.takes(op, CORTEX_M4)]
    assert {way.name for _, way in made} == {way.name for way in WAYS if way.op in {type(op) for op in kind()}}
    calls = [way.build(op, *way.schedules(op, CORTEX_M4)) for op, way in made] * 4
    inputs = []
    for op, _ in made * 4:
        drawn = {t: values(RNG, t.shape, t.dtype) for t in op.activations}
        if isinstance(op, signal.FilterBankRoot):
            drawn[op.bits] = np.array(RNG.integers(0, 16), np.int32)
        for field, most in (("seen", "needed"), ("missing", "frames"), ("left", "period")):
            if hasattr(op, field):
                drawn[getattr(op, field)] = RNG.integers(1, getattr(op, most) + 2, 1).astype(np.int32)
        inputs.append(drawn)
    for (op, _), found, given in zip(made * 4, run_all(calls, inputs, sanitize=True), inputs, strict=True):
        expected = results(op, *(given[t] if t.data is None else t.data for t in op.inputs))
        for y, a, b in zip(op.ys, found, expected, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=f"{op}: {y}")


def test_every_implementation_is_tested():
    assert {type(op) for kind in (front_ends, transforms, cutting, remembering) for op in kind()} == {
        way.op for way in WAYS
    }
