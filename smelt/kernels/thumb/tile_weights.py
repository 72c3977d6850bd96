"""Winograd's F(4x4, 3x3): G w G' of two output channels.

`weights` are those of the two channels: [channel][four input channels][row][column], a word for the same weight of four input
channels, of which those at 0 and 2, then those at 1 and 3 become the halves of words; a byte behind them may be read. `slice`
becomes [position][word][channel].

G is 1 0 0, 1 1 1, 1 -1 1, 1 2 4, 1 -2 4, 0 0 1. Its rows are made one after the other of those before: from 1 1 1 to 1 -1 1 it is
twice the second row of weights less, from there to 1 2 4 three times the second and third row more, to 1 -2 4 four times the second
row less.
"""

from __future__ import annotations

from collections.abc import Sequence

from smelt.loops.assembly.builder import Assembler
from smelt.loops.assembly.compile import LOOP_ALIGN
from smelt.loops.assembly.ir import WIDE, Code, Place, Register, Shifted
from smelt.loops.assembly.timing import Timing

PARAMETERS = ("slice", "weights", "depth")
SIZE, TAPS = 6, 9
FOUR = 4 * TAPS  # bytes of the weights for four input channels
TURN = 160 * WIDE  # of code for two input channels; where a loop may have so much, it has two of them
Three = Sequence[Register]


def tile_weights(timing: Timing, depth: int | None = None) -> Code:
    """For any depth, or, with stores that take less time, for one."""
    a = Assembler("winograd_weights" if depth is None else f"winograd_weights_{depth}", PARAMETERS)
    to, w, depths = (a.argument(name) for name in PARAMETERS)
    at_to, at_w, at_end, at_last = (a.slot(name) for name in ("to", "weights", "end", "last"))
    at_position, at_step = a.slot("position"), a.slot("step")
    a.put(at_to, a.new("add", to, 4))
    a.put(at_w, w)
    a.put(at_position, a.new("lsl", depths, 2))
    a.put(at_step, a.new("mov", 1))
    channel = a.new("mul", depths, a.new("mov", TAPS))
    end = a.new("add", w, channel)
    a.put(at_end, end)
    a.put(at_last, a.new("add", end, channel))
    a.label("two", LOOP_ALIGN)
    both = timing.round_bytes >= TURN
    for half in (0, 1) if both else (0,):
        if depth is None:
            _two(a, (to, a.get(at_w)), a.get(at_position), half)
        else:
            _two(a, (to, w), 4 * depth, half)
    if depth is None:
        a.get(at_w, w)
    if both:
        a.do("add", w, w, FOUR)
    else:  # a word that begins a byte later has the other two channels where the first two are looked for
        step = a.get(at_step)
        a.do("add", w, w, step)
        a.put(at_step, a.new("rsb", step, FOUR))
    if depth is None:
        a.put(at_w, w)
    a.do("cmp", w, a.get(at_end))
    a.branch("ne", "two")
    last = a.get(at_last)
    a.do("cmp", w, last)
    a.branch("eq", "done")
    a.put(at_end, last)
    a.get(at_to, to)
    a.branch(None, "two")
    a.label("done")
    return a.finish()


def _two(a: Assembler, places: tuple[Register, Register], step: Register | int, half: int) -> None:
    """The words of two input channels: the first two of four, or the other `half`."""
    to, w = places
    taps = [a.new("ldr", Place(w, offset=4 * n, region="weights"), into="w") for n in range(TAPS)]
    for tap in taps:
        a.do("sxtb16", tap, Shifted(tap, "ror", 8) if half else tap)
    rows = taps[:3], taps[3:6], taps[6:]
    first, second, third = rows
    _row(a, to, first, step)
    _all(a, "sadd16", first, third)
    _all(a, "sadd16", first, second)
    _row(a, to, first, step)
    _all(a, "ssub16", first, second)
    _all(a, "ssub16", first, second)
    _row(a, to, first, step)
    a.label(f"lower_{half}")  # that is scheduled for itself: half as long is four times as fast
    for x, y, z in zip(*rows, strict=True):
        both = a.new("sadd16", y, z)
        a.do("sadd16", x, x, both)
        a.do("sadd16", both, both, both)
        a.do("sadd16", x, x, both)
    _row(a, to, first, step)
    for _ in range(2):
        _all(a, "sadd16", second, second)
    _all(a, "ssub16", first, second)
    _row(a, to, first, step)
    _row(a, to, third, step)
    if isinstance(step, int):
        a.do("sub", to, to, SIZE * SIZE * step)
    else:
        nine = a.new("add", step, Shifted(step, "lsl", 3))
        a.do("sub", to, to, Shifted(nine, "lsl", 2))
    a.do("add", to, to, 8)


def _all(a: Assembler, operation: str, to: Three, other: Three) -> None:
    for x, y in zip(to, other, strict=True):
        a.do(operation, x, x, y)


def _row(a: Assembler, to: Register, row: Three, step: Register | int) -> None:
    """A row of G w, times G', to six positions; `to` is behind them then."""
    x, y, z = row
    _store(a, to, 0, x, step)
    outer = a.new("sadd16", x, z, into="outer")
    _store(a, to, 1, a.new("sadd16", outer, y), step)
    a.do("ssub16", outer, outer, y)
    _store(a, to, 2, outer, step)
    far, twice = a.new("sadd16", z, z, into="far"), a.new("sadd16", y, y)
    a.do("sadd16", far, far, far)
    a.do("sadd16", far, x, far)
    _store(a, to, 4, a.new("ssub16", far, twice), step)
    a.do("sadd16", far, far, twice)
    if isinstance(step, Register):
        a.do("add", to, to, step)
    _store(a, to, 3, far, step)
    _store(a, to, 5, z, step)
    if isinstance(step, int):
        a.do("add", to, to, SIZE * step)
    else:
        a.do("add", to, to, step)
        a.do("add", to, to, Shifted(step, "lsl", 2))


def _store(a: Assembler, to: Register, position: int, value: Register, step: Register | int) -> None:
    """To a position; where `step` is a register those at 3 and 5 are reached from the one behind `to`."""
    if isinstance(step, int):
        place = Place(to, offset=step * position, region="slice")
    elif position == 0:
        place = Place(to, region="slice")
    else:
        place = Place(to, index=step, shift={1: 0, 2: 1, 4: 2, 3: 1, 5: 2}[position], region="slice")
    a.do("str", value, place)
