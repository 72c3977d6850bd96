"""The overlap reader: how far outputs may slide over inputs, on small loops where it can be said by hand, and on every
implementation, run with x and y in one memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from smelt.kernels import IMPLEMENTATIONS, INT8, INT16
from smelt.kernels.implementation import Implementation
from smelt.kernels.routines import PLANES, SUM_WORDS
from smelt.loops.builder import KernelBuilder
from smelt.loops.in_place import Overlap, overlap
from smelt.loops.ir import Const, Type, maximum, minimum
from smelt.loops.overlap import slide
from smelt.loops.routine import At, Reads, Routine, Writes
from smelt.model.graph import Op
from tests.float_ops import recurrent_cases
from tests.kernels_host import Inputs, Slid, run_slid
from tests.mac_cases import (
    cases,
    convolutions,
    dense_layers,
    depthwise_convolutions,
    halfwords,
    transpose_convolutions,
)
from tests.schedules import Made, built, candidates
from tests.test_kernels_float import sums, ways
from tests.test_kernels_signal import cutting, front_ends, remembering


class Small:
    """A kernel that is being built, with x and y of so many elements."""

    def __init__(self, x: int, y: int, types: tuple[Type, Type] = ("int8_t", "int8_t")) -> None:
        self.k = KernelBuilder("small")
        self.x, self.y = self.k.input("x", types[0], x), self.k.output("y", types[1], y)

    @property
    def slide(self) -> int:
        return slide(self.k.finish(), self.x, self.y)

    @property
    def overlap(self) -> Overlap:
        return overlap(self.k.finish(), self.x, self.y)


def test_element_by_element_is_in_place() -> None:
    s = Small(100, 100)
    with s.k.loop("i", 0, 100) as i:
        s.k.store(s.y, i, s.x[i] + 1)
    assert s.slide == 0


@pytest.mark.parametrize("later", [1, 7])
def test_what_is_read_later_is_kept(later: int) -> None:
    """y[i] is written and then x[i - later + 1] is read."""
    s = Small(100, 100)
    with s.k.loop("i", later, 100) as i:
        s.k.store(s.y, i, s.x[i - later])
    assert s.slide == later


def test_the_way_back_is_not_in_place() -> None:
    s = Small(100, 100)
    with s.k.loop("i", 0, 100) as i:
        s.k.store(s.y, 99 - i, s.x[99 - i])
    assert s.slide == 100, "y[99] is written before x[0] is read"


def test_wider_elements_run_ahead() -> None:
    """Element i of y ends at byte 4 i + 4, when x is read from byte i + 1 on."""
    s = Small(50, 50, ("int8_t", "int32_t"))
    with s.k.loop("i", 0, 50) as i:
        s.k.store(s.y, i, s.x[i])
    assert s.slide == 4 * 49 - 49


def test_y_that_is_cleared_first_may_not_overlap() -> None:
    s = Small(10, 20)
    s.k.fill(s.y, 0, 0, 20)
    with s.k.loop("i", 0, 10) as i:
        s.k.store(s.y, i, s.x[i])
    assert s.slide == 20


def test_what_is_gathered_first_is_written_over() -> None:
    s = Small(64, 64)
    line = s.k.scratch("line", "int8_t", 8)
    with s.k.loop("row", 0, 8) as row:
        s.k.copy(line, 0, s.x, row * 8, 8)
        with s.k.loop("i", 0, 8) as i:
            s.k.store(s.y, row * 8 + 7 - i, line[i])
    assert s.slide == 0


def test_rows_under_a_clipped_window() -> None:
    """Row r of y is written before row r of x is read, as rows from r - 1 to r + 1 are; the first row is read twice."""
    s = Small(10 * 16, 10 * 16)
    with s.k.loop("row", 0, 10) as row, s.k.loop("column", 0, 16) as column:
        total = s.k.var("total", 0)
        with s.k.loop("tap", maximum(1 - row, 0), minimum(11 - row, 3)) as tap:
            s.k.assign(total, total + s.x[(row + tap - 1) * 16 + column])
        s.k.store(s.y, row * 16 + column, total)
    assert s.slide == 16


def test_conditions_on_counters_are_followed() -> None:
    """x is read in the first round only."""
    s = Small(100, 10)
    with s.k.loop("i", 0, 10) as i:
        with s.k.when(i < 1), s.k.loop("j", 0, 100) as j:
            s.k.store(s.y, 9, s.x[j])
        with s.k.when(i >= 1):
            s.k.store(s.y, i - 1, 3)
    assert s.slide == 9, "y[9] is written, then x[1] is read"


def test_data_decide_nothing() -> None:
    """Neither which element is read nor which of two ways is taken."""
    s = Small(128, 8)
    with s.k.loop("i", 0, 8) as i:
        s.k.store(s.y, i, s.x[maximum(s.x[i], 0)])
    assert s.slide == 7
    s = Small(10, 10)
    with s.k.loop("i", 0, 10) as i:
        with s.k.when(s.x[i] < 0):
            s.k.store(s.y, i, 0)
        with s.k.otherwise():
            s.k.store(s.y, i, s.x[i])
    assert s.slide == 0


def test_a_copy_does_not_overlap_itself() -> None:
    s = Small(96, 96)
    with s.k.loop("row", 0, 6) as row:
        s.k.copy(s.y, row * 16, s.x, row * 16, 16)
    assert s.slide == 16


def test_a_routine_may_write_before_it_reads() -> None:
    routine = Routine("move", "move.h", (Reads("from", "int8_t", Const(8)), Writes("to", "int8_t", Const(4))))
    s = Small(80, 40)
    with s.k.loop("i", 0, 10) as i:
        s.k.routine(routine, (At(s.x, i * 8), At(s.y, i * 4)), (), 0)
    assert s.slide == 4


def channels_first(rows: int) -> Small:
    """Channel after channel of `rows` rows of four pixels with eight channels, which are gathered; then of the next rows."""
    s = Small(8 * 32, 8 * 32)
    plane = s.k.scratch("plane", "int8_t", 4 * rows)
    with s.k.loop("strip", 0, 8 * 32, rows * 32) as strip, s.k.loop("channel", 0, 8) as channel:
        with s.k.loop("i", 0, 4 * rows) as i:
            s.k.store(plane, i, s.x[strip + i * 8 + channel])
        with s.k.loop("j", 0, 4 * rows) as j:
            s.k.store(s.y, strip + j * 8 + channel, plane[4 * rows - 1 - j])
    return s


@pytest.mark.parametrize("rows", [8, 4, 1])
def test_what_writes_far_ahead_may_still_be_in_place(rows: int) -> None:
    """The last pixel of the first channel is written before the first pixel of the second one is read."""
    s = channels_first(rows)
    assert s.overlap == Overlap(rows * 32 - 8, True)
    assert s.overlap.allows(0) and not s.overlap.allows(1) and s.overlap.allows(rows * 32)
    assert s.overlap.least == 0


def test_what_overtakes_itself_is_not_in_place() -> None:
    """Each pixel needs the one before it; rows are the other way round."""
    for place, count in ((lambda i: i - 1, 31), (lambda i: 31 - i, 32)):
        s = Small(32, 32)
        with s.k.loop("i", 32 - count, 32) as i:
            s.k.store(s.y, i, s.x[place(i)])
        assert not s.overlap.in_place and s.overlap.by > 0


def test_numbers_that_data_make_do_not_overflow() -> None:
    s = Small(64, 64)
    wide = s.k.let("wide", s.x.load("int32_t", 0))
    with s.k.loop("i", 0, 64) as i, s.k.when(wide * wide * wide > i):
        s.k.store(s.y, i, s.x[i])
    assert s.slide == 0


def test_routines_know_the_step_of_what_they_write() -> None:
    """A channel of outputs, from a plane: only its own bytes."""
    s = Small(16 * 8, 16 * 8)
    plane, w, c = (
        s.k.scratch(n, t, size) for n, t, size in (("plane", "int16_t", 400), ("w", "int8_t", 9), ("c", "int32_t", 3))
    )
    with s.k.loop("channel", 0, 8) as channel:
        with s.k.loop("i", 0, 16) as i:
            s.k.store(plane, i, s.x[i * 8 + channel])
        places = (At(w), At(plane), At(s.y, channel), At(c))
        s.k.routine(PLANES[1], (*places, 3, 1, 4, 104, 4, 8, 32, 0, 5), (), 0)
    assert s.overlap == Overlap(15 * 8, True)


def test_routines_that_go_in_turns() -> None:
    """In a turn of sixteen elements nothing is known but that each is read before it is written."""
    for size in (96, 9600):
        s = Small(size, size)
        other = s.k.scratch("other", "int8_t", size)
        s.k.routine(SUM_WORDS, (At(s.y), At(s.x), At(other), size // 16, 1, 1, 0), (), 0)
        assert s.overlap == Overlap(16, True)


def test_unlike_types_keep_no_order() -> None:
    """Compilers may take for granted that an int32 and an int16 do not share memory."""
    s = Small(40, 40, ("int32_t", "int16_t"))
    with s.k.loop("i", 0, 40) as i:
        s.k.store(s.y, i, s.x[i])
    assert s.slide == 80


def test_sliding_kernels_promise_nothing() -> None:
    s = Small(4, 4)
    s.k.store(s.y, 0, s.x[0])
    kernel = s.k.finish()
    other = kernel.sliding()
    assert "restrict" in kernel.c() and "restrict" not in other.c() and other.name == f"{kernel.name}_s"
    assert kernel.c().replace("restrict ", "").replace(kernel.name, other.name) == other.c()
    assert other.sliding() is other


TRIES = 4  # inputs with which a byte too few is tried: one byte of x does not always tell


def inputs_of(op: Op, seed: int) -> Inputs:
    random = np.random.default_rng(seed)
    values = {}
    for tensor in (t for t in op.inputs if t.data is None):
        low, high = (-128, 127) if tensor.element.is_float else tensor.element.range
        values[tensor] = random.integers(low, high + 1, tensor.shape).astype(tensor.dtype)
    return values


def slid(made: Iterable[Made]) -> list[Slid]:
    """Every call with y as near to each of its inputs as may be."""
    found = []
    for seed, (op, _, call) in enumerate(made):
        ys = [b for b in call.kernel.buffers if b.role == "output"]
        if len(ys) == 1:
            for x in (b for b in call.kernel.buffers if b.role == "input"):
                may = overlap(call.kernel, x, ys[0])
                found += [Slid(call, inputs_of(op, seed), x, by) for by in dict.fromkeys((may.by, may.least))]
    return found


def apart(job: Slid) -> Slid:
    """The same without overlap."""
    return replace(job, distance=max(b.size for b in job.call.kernel.buffers if b.role == "output") * 8)


def check_slides(made: list[Made]) -> tuple[int, int]:
    """Run every call with y as near as may be, and those a byte nearer that call no routines, of which the reader takes the worst.
    Returns how many of the latter there were, and how many of these came out wrong for one of some inputs."""
    near = slid(made)
    exact = [job for job in near if job.distance and not job.call.kernel.calls]
    closer = [replace(job, distance=job.distance - 1) for job in exact]
    tried = [replace(job, inputs=other(job.inputs, seed)) for job in closer for seed in range(TRIES)]
    results = iter(run_slid([*near, *map(apart, near), *tried, *map(apart, tried)]))
    ours, wanted = list(islice(results, len(near))), list(islice(results, len(near)))
    for job, result, expected in zip(near, ours, wanted, strict=True):
        assert result.tobytes() == expected.tobytes(), f"y {job.distance} bytes before {job.x.name}\n{job.call.kernel}"
    ours, wanted = list(islice(results, len(tried))), list(results)
    wrong = [a.tobytes() != b.tobytes() for a, b in zip(ours, wanted, strict=True)]
    return len(closer), sum(any(wrong[i : i + TRIES]) for i in range(0, len(wrong), TRIES))


def other(inputs: Inputs, seed: int) -> Inputs:
    """The same values in another order."""
    random = np.random.default_rng(seed)
    return {tensor: random.permutation(values.reshape(-1)).reshape(values.shape) for tensor, values in inputs.items()}


@pytest.mark.parametrize("implementation", INT8, ids=lambda i: i.name)
def test_int8(implementation: Implementation) -> None:
    """Right where the reader says so; wrong a byte nearer, but where that byte does not show."""
    nearer, wrong = check_slides(built(implementation, cases(), most=2))
    assert 4 * wrong >= 3 * nearer


def test_states_are_renewed_in_place() -> None:
    """Ops that renew a state in its own bytes read from it what they need before they write there."""
    seen = set()
    for op in [*front_ends(), *cutting(), *remembering(), *recurrent_cases()]:
        for implementation in (i for i in IMPLEMENTATIONS if op.renews):
            for schedule in candidates(implementation, op)[:1]:
                call = implementation.build(op, schedule)
                buffers = {id(a): b for a, b in zip(call.arguments, call.kernel.buffers, strict=True)}
                for old, new in op.renews:
                    x, y = (buffers[id(getattr(op, name))] for name in (old, new))
                    assert overlap(call.kernel, x, y).in_place, f"{new} over {old}\n{call.kernel}"
                    seen.add((implementation.name, old))
    assert len(seen) >= 10


@pytest.mark.parametrize("implementation", INT16, ids=lambda i: i.name)
def test_int16(implementation: Implementation) -> None:
    ops = halfwords(
        [*convolutions()[::2], *depthwise_convolutions()[::2], *dense_layers()[:4], *transpose_convolutions()]
    )
    check_slides(built(implementation, ops, most=1))


def test_floats() -> None:
    check_slides([(op, None, way.call) for op in sums()[::3] for way in ways(op)[:3]])
