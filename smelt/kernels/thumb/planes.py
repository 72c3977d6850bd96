"""Depthwise convolutions with kernels of 3 x 3: one channel, all of a plane in one call.

One routine for each `stride` serves the layers of a network, whatever their sizes. A plane holds int16 in lines of 52; `w` are
the nine weights of the channel, `down` and `along` elements apart. Outputs lie `step` bytes apart along a line, `line_step`
from line to line; a line has at least four, and the last four of a line overlap those before where they are no multiple of
four. `channel` is bias, multiplier and, where `shift` is negative, shift; shifts are 1 to 13. `once`: it is bias, multiplier and
offset, for sums that grow by `bits`; shifts are 8 or 14.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from smelt.kernels.thumb import outputs
from smelt.loops.assembly.builder import Assembler
from smelt.loops.assembly.compile import LOOP_ALIGN
from smelt.loops.assembly.ir import Code, Place, Register, Shifted, Slot
from smelt.loops.assembly.timing import Timing

PARAMETERS = (
    "w", "x", "y", "channel", "down", "along", "lines", "pitch", "outputs", "step", "line_step", "zero", "shift",
)  # fmt: skip
ONCE = (*PARAMETERS[:-2], "bits", "shift")
PITCH = 104  # bytes of a line of the plane
OUTPUTS = 4  # at a time


@dataclass(frozen=True)
class _Slots:
    """What lies on the stack: what outputs need, where they go, where the last of a line begin; the same for the line's beginning,
    and the end of the last line."""

    bias: Slot
    multiplier: Slot
    offset: Slot
    y: Slot
    last: Slot
    line_x: Slot
    line_y: Slot
    end: Slot


def planes(timing: Timing, stride: int, once: bool = False) -> Code:
    a = Assembler(f"plane_{stride}_once", ONCE) if once else Assembler(f"plane_{stride}", PARAMETERS)
    at = _Slots(*(a.slot(f.name) for f in fields(_Slots)))
    x = a.register("x")
    taps, shift = _start(a, at, x, stride, once)
    a.do("cmp", shift, outputs.SHIFTS[1] if once else outputs.LEAST_SHIFT)
    a.branch("ge", "large_four")
    for name, count in zip(("small", "large"), outputs.SHIFTS, strict=True):
        _lines(a, at, x, taps, (name, stride, count))
    return a.finish()


def _start(a: Assembler, at: _Slots, x: Register, stride: int, once: bool) -> tuple[list[Register], Register]:
    w, from_x, y, channel = (a.argument(name) for name in PARAMETERS[:4])
    for slot, register in ((at.y, y), (at.line_y, y), (at.line_x, from_x)):
        a.put(slot, register)
    shift = a.get(a.passed("shift")) if once else outputs.own_shift(a, a.passed("shift"), channel)
    bits = a.get(a.passed("bits")) if once else outputs.more_bits(a, shift)
    a.put(at.bias, a.new("lsl", a.new("ldr", Place(channel, region="channel")), bits))
    if once:
        a.put(at.multiplier, outputs.known(a, channel, 1, "multiplier"))
        a.put(at.offset, outputs.known(a, channel, 2, "offset"))
    else:
        a.put(at.multiplier, outputs.multiplier(a, channel, 4))
        a.put(at.offset, outputs.offset(a, a.get(a.passed("zero")), shift, bits))
    last = a.new("sub", a.get(a.passed("outputs")), OUTPUTS)
    a.put(at.last, a.new("add", from_x, Shifted(last, "lsl", stride)))
    lines, pitch = a.get(a.passed("lines")), a.get(a.passed("pitch"))
    a.put(at.end, a.new("mla", lines, pitch, from_x))
    a.do("mov", x, from_x)
    taps, down, along = [], a.get(a.passed("down")), a.get(a.passed("along"))
    row = a.register("row")
    a.do("mov", row, w)
    for _ in range(3):
        second = a.new("add", row, along)
        places = Place(row, region="w"), Place(second, region="w"), Place(second, index=along, region="w")
        weights = [a.new("lsl", a.new("ldrsb", place), bits) for place in places]
        taps += [outputs.pair(a, *weights[:2]), outputs.pair(a, *weights[1:])]
        a.do("add", row, row, down)
    return taps, shift


def _lines(a: Assembler, at: _Slots, x: Register, taps: Sequence[Register], how: tuple[str, int, int]) -> None:
    """All outputs, for shifts that have become `shift`."""
    name, stride, shift = how
    bytes = 2 * OUTPUTS * stride  # of a line of x for the outputs of a turn
    a.label(f"{name}_four", LOOP_ALIGN)
    sums = _sums(a, at, x, taps, stride)
    multiplier, offset, y = a.get(at.multiplier), a.get(at.offset), a.get(at.y)
    for sum in sums:
        a.do("smmla", sum, sum, multiplier, offset)
    step, last = a.get(a.passed("step")), a.get(at.last)
    for sum in sums:
        a.do("ssat", sum, 8, Shifted(sum, "asr", shift))
        a.do("strb", sum, Place(y, region="y"))
        a.do("add", y, y, step)
    a.put(at.y, y)
    a.do("add", x, x, bytes)
    a.do("cmp", x, last)
    a.branch("ls", f"{name}_four")
    # back to the last outputs of the line, or on to the next line
    last, step, y = a.get(at.last), a.get(a.passed("step")), a.get(at.y)
    past = a.new("sub", x, last)
    a.do("cmp", past, bytes)
    a.branch("eq", f"{name}_line")
    a.do("mov", x, last)
    a.put(at.y, a.new("mls", a.new("lsr", past, stride), step, y))
    a.branch(None, f"{name}_four")
    a.label(f"{name}_line")
    pitch, line_y = a.get(a.passed("pitch")), a.get(at.line_y)
    a.get(at.line_x, x)
    a.do("add", x, x, pitch)
    a.put(at.line_x, x)
    a.put(at.last, a.new("add", a.get(at.last), pitch))
    a.do("add", line_y, line_y, a.get(a.passed("line_step")))
    a.put(at.line_y, line_y)
    a.put(at.y, line_y)
    a.do("cmp", x, a.get(at.end))
    a.branch("ne", f"{name}_four")
    if name == "small":
        a.branch(None, "done")
    else:
        a.label("done")


def _sums(a: Assembler, at: _Slots, x: Register, taps: Sequence[Register], stride: int) -> list[Register]:
    """Four neighbouring sums. A tap is two weights, and the second of these with the third."""
    sums = a.registers("sum", OUTPUTS)
    bias = sums[-1]
    a.get(at.bias, bias)
    for row in range(3):
        first, second = taps[2 * row : 2 * row + 2]
        words: list[Register] = []
        for number, sum in enumerate(sums):
            before = bias if row == 0 else sum
            at_word, odd = divmod(number * stride, 2)
            for word in range(len(words), at_word + 2):
                words.append(a.new("ldr", Place(x, offset=PITCH * row + 4 * word, region="x"), into="x"))
            a.do("smlabt" if odd else "smlad", sum, first, words[at_word], before)
            a.do("smlad" if odd else "smlatb", sum, second, words[at_word + 1], sum)
    return sums
