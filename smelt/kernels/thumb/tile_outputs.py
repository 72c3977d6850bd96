"""Winograd's F(4x4, 3x3): the outputs of one channel, A' m A and from sums to int8, of all tiles of a block in one call.

`sums` are those of smelt/kernels/thumb/tiles.py: [group][position][channel][3]; the bias, 36 times as large, is added to them at
position 7, where it adds 576 to all sixteen. `channel` is bias, multiplier and, where `shift` is negative, shift; shifts are 0 to
17; `once` it is bias, multiplier and offset. Rows of y have `length` bytes, pixels `channels`.

What is 576 = 9 * 64 times too large is multiplied by the inverse of 9 modulo 2^32; with 64 times a sum, one SMMLA multiplies and
rounds (see outputs.py, with six bits). A' of six values gives four that lack a factor of 1, 2, 4, 4: that of the columns goes into
the inverse of 9, one for each row, which lies in front of what the columns became.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from smelt.kernels.thumb import outputs
from smelt.loops.assembly.builder import Assembler
from smelt.loops.assembly.compile import LOOP_ALIGN
from smelt.loops.assembly.ir import STACK, WIDE, Code, Place, Register, Shifted, Slot
from smelt.loops.assembly.timing import Timing

PARAMETERS = ("y", "sums", "channel", "rows", "columns", "length", "channels", "zero", "shift")
ONCE = (*PARAMETERS[:-2], "shift")
SIZE, OUT, GROUP = 6, 4, 3
POSITION = 4 * 2 * GROUP  # bytes of the sums of a position
SUMS = SIZE * SIZE * POSITION  # of a group
BIAS = (SIZE + 1) * POSITION  # where the bias is added
INVERSE_OF_9 = 0x38E38E39
FACTORS = (0, 1, 2, 2)  # by which A' leaves its values too small, as shifts
BITS = 6  # that sums have more
LINE = 4 * (1 + SIZE)  # bytes of a row of `corner`: a factor, and what six columns became
TURN = 24 * WIDE  # of code for a column


@dataclass(frozen=True)
class _Slots:
    """What lies on the stack besides `corner`: the bias, what outputs need, where the tile's outputs and those of the row of tiles
    go, how many tiles and rows are left, and where the group's last sums are."""

    bias: Slot
    multiplier: Slot
    offset: Slot
    shift: Slot
    y: Slot
    line_y: Slot
    left: Slot
    rows: Slot
    sums: Slot
    last: Slot
    next_line: Slot


def tile_outputs(timing: Timing, signed: bool, once: bool = False) -> Code:
    """With `signed` halves are rounded away from zero; else sums below zero are hidden by the clamp, or all is done `once`."""
    name = "once" if once else "signed" if signed else "positive"
    a = Assembler(f"winograd_{name}", ONCE if once else PARAMETERS)
    corner = a.room("corner", OUT * LINE // 4)
    at = _Slots(*(a.slot(f.name) for f in fields(_Slots)))
    _start(a, at, corner, signed, once)
    a.label("tile")
    sums = a.get(at.sums)
    sum = a.new("ldr", Place(sums, offset=BIAS, region="sums"))
    a.do("add", sum, sum, a.get(at.bias))
    a.do("str", sum, Place(sums, offset=BIAS, region="sums"))
    _columns(a, corner, sums, timing)
    _rows(a, at, corner, signed)
    _next(a, at)
    return a.finish()


def _start(a: Assembler, at: _Slots, corner: Slot, signed: bool, once: bool) -> None:
    y, sums, channel, rows = (a.argument(name) for name in PARAMETERS[:4])
    for slot, register in ((at.y, y), (at.line_y, y), (at.sums, sums), (at.rows, rows)):
        a.put(slot, register)
    a.put(at.last, a.new("add", sums, 4 * (GROUP - 1)))
    a.put(at.left, a.get(a.passed("columns")))
    a.put(at.bias, a.new("ldr", Place(channel, region="channel")))
    if once:
        a.put(at.multiplier, outputs.known(a, channel, 1, "multiplier"))
        a.put(at.offset, outputs.known(a, channel, 2, "offset"))
        a.put(at.shift, a.get(a.passed("shift")))
    else:
        a.put(at.multiplier, outputs.multiplier(a, channel, 4))
        shift = outputs.own_shift(a, a.passed("shift"), channel)
        zero = a.get(a.passed("zero"))
        a.put(at.offset, _half(a, zero, shift) if signed else outputs.offset(a, zero, shift, BITS))
        a.put(at.shift, a.new("add", shift, BITS - 1))
    channels = a.get(a.passed("channels"))
    three = a.new("add", channels, Shifted(channels, "lsl", 1))
    a.put(at.next_line, a.new("sub", a.get(a.passed("length")), three))
    inverse = a.new("movw", INVERSE_OF_9 & 0xFFFF)
    a.do("movt", inverse, INVERSE_OF_9 >> 16)
    to = a.address(corner)
    for row, factor in enumerate(FACTORS):
        value = a.new("lsl", inverse, factor) if factor else inverse
        a.do("str", value, Place(to, offset=LINE * row, region=STACK))


def _columns(a: Assembler, corner: Slot, sums: Register, timing: Timing) -> None:
    """A' of the six columns of sums."""
    together = max(n for n in (1, 2, 3, SIZE) if n == 1 or n * TURN <= timing.round_bytes)
    to = a.address(corner)
    a.label("columns", LOOP_ALIGN)
    for column in range(together):
        places = [Place(sums, offset=POSITION * (SIZE * i + column), region="sums") for i in range(SIZE)]
        for row, value in enumerate(_four(a, [a.new("ldr", place, into="m") for place in places])):
            a.do("str", value, Place(to, offset=LINE * row + 4 * (1 + column), region=STACK))
    if together < SIZE:
        a.do("add", sums, sums, POSITION * together)
        a.do("add", to, to, 4 * together)
        a.do("cmp", to, a.address(corner, 4 * SIZE))
        a.branch("ne", "columns")


def _rows(a: Assembler, at: _Slots, corner: Slot, signed: bool) -> None:
    """A' of the four rows, and their outputs."""
    line = a.address(corner)
    multiplier, offset, y, step = a.get(at.multiplier), a.get(at.offset), a.get(at.y), a.get(a.passed("channels"))
    half = a.new("mov", 1 << (BITS - 2)) if signed else offset
    shift = None if signed else a.get(at.shift)
    a.label("rows", LOOP_ALIGN)
    m = [a.new("ldr", Place(line, offset=4 * (1 + j), region=STACK), into="m") for j in range(SIZE)]
    inverse = a.new("ldr", Place(line, step=LINE, region=STACK), into="inverse")
    values = _four(a, m)
    by = shift or a.get(at.shift)
    for factor, value in zip(FACTORS, values, strict=True):
        if factor:
            a.do("lsl", value, value, factor)
        a.do("mul", value, value, inverse)
        a.do("smmla", value, value, multiplier, half)
        if signed:
            away = a.new("add", offset, Shifted(value, "asr", 31))
            a.do("add", value, value, Shifted(away, "lsl", BITS - 1))
        a.do("asr", value, value, by)
        a.do("ssat", value, 8, value)
    for number, value in enumerate(values):
        a.do("strb", value, Place(y, region="y"))
        a.do("add", y, y, step if number + 1 < OUT else a.get(at.next_line))
    a.do("cmp", line, a.address(corner, OUT * LINE))
    a.branch("ne", "rows")


def _four(a: Assembler, m: list[Register]) -> list[Register]:
    """A' of six values, but for `FACTORS`; the values are used up."""
    first, q, r, s, fourth, last = m
    p = a.new("add", q, r)
    a.do("sub", q, q, r)
    a.do("add", r, s, fourth)
    a.do("sub", s, s, fourth)
    a.do("add", first, first, Shifted(first, "lsl", 1))
    a.do("sub", first, first, Shifted(p, "lsl", 1))
    a.do("add", first, r, Shifted(first, "lsl", 1))
    a.do("sub", r, r, p)
    a.do("add", last, last, Shifted(last, "lsl", 1))
    a.do("add", last, last, s)
    a.do("rsb", last, q, Shifted(last, "lsl", 1))
    a.do("sub", s, s, Shifted(q, "lsl", 1))
    return [first, s, r, last]


def _half(a: Assembler, zero: Register, shift: Register) -> Register:
    """What is added before the shift, without the bits that sums have more."""
    odd = a.new("add", a.new("lsl", zero, 1), 1)
    return a.new("asr", a.new("lsl", odd, shift), 1, into="offset")


def _next(a: Assembler, at: _Slots) -> None:
    """On to the next tile, and at the end of a row of tiles to the next row."""
    sums, last = a.get(at.sums), a.get(at.last)
    a.do("cmp", sums, last)
    a.branch("ne", "inside")
    a.do("add", sums, sums, SUMS - 4 * GROUP)
    a.put(at.last, a.new("add", last, SUMS))
    a.label("inside")
    a.do("add", sums, sums, 4)
    a.put(at.sums, sums)
    y, channels = a.get(at.y), a.get(a.passed("channels"))
    a.put(at.y, a.new("add", y, Shifted(channels, "lsl", 2)))
    left = a.get(at.left)
    a.do("subs", left, left, 1)
    a.put(at.left, left)
    a.branch("ne", "tile")
    a.put(at.left, a.get(a.passed("columns")))
    y, length = a.get(at.line_y), a.get(a.passed("length"))
    a.do("add", y, y, Shifted(length, "lsl", 2))
    a.put(at.line_y, y)
    a.put(at.y, y)
    rows = a.get(at.rows)
    a.do("subs", rows, rows, 1)
    a.put(at.rows, rows)
    a.branch("ne", "tile")
