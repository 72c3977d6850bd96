"""Pointwise convolutions: two channels of groups of three pixels, all of a stretch in one call.

One routine serves the layers of a network, whatever their sizes, so that it stays in small caches. Words of x of the three pixels
of a group lie side by side; a word of w is for both channels (see smelt_both_sums). `channel` is the table of the two channels:
bias, multiplier and, where `shift` is negative, shift. Outputs saturate at the ends of int8; those of a pixel lie `step` bytes
behind those of the one before. `once`: the table is bias, multiplier and offset. A word of w and the words of a pixel of each of
the three more may be read.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from smelt.kernels.thumb import outputs
from smelt.loops.assembly.builder import Assembler
from smelt.loops.assembly.compile import unrolled
from smelt.loops.assembly.ir import Code, Instruction, Lead, Place, Register, Shifted, Slot
from smelt.loops.assembly.timing import Timing

PARAMETERS = ("w", "x", "y", "channel", "words", "groups", "step", "zero", "shift")
ONCE = ("w", "x", "y", "channel", "words", "groups", "step", "shift")
LOOP = "words"
PIXELS = 3
BITS = 8  # that sums grow before they become outputs
LOW_BYTES = 0xFF00FF00


@dataclass(frozen=True)
class _Slots:
    """What lies on the stack: pointers, what sums begin with, where the first turn is and how many rounds there are, the end of x;
    multiplier, offset and shift of each channel."""

    x: Slot
    w: Slot
    low: Slot
    both: Slot
    entry: Slot
    rounds: Slot
    end: Slot
    y: Slot
    multiplier: Slot
    offset: Slot
    shift: Slot
    multiplier_2: Slot
    offset_2: Slot
    shift_2: Slot

    @property
    def scales(self) -> tuple[tuple[Slot, Slot, Slot], ...]:
        return (self.multiplier, self.offset, self.shift), (self.multiplier_2, self.offset_2, self.shift_2)


@dataclass(frozen=True)
class _Loop:
    """The registers of the loop. With a `mask` the bytes of the low channel are taken out 256 times as large, in the word's own
    register."""

    w: Register
    x: Register
    left: Register
    low: list[Register]
    both: list[Register]
    mask: Register | None


def groups(timing: Timing, once: bool = False) -> Code:
    a = Assembler("groups_once", ONCE) if once else Assembler("groups", PARAMETERS)
    at = _Slots(*(a.slot(f.name) for f in fields(_Slots)))
    mask = a.register("mask") if timing.shifts_at_once else None
    w, x, left = (a.register(name) for name in ("w", "x", "left"))
    loop = _Loop(w, x, left, a.registers("low", PIXELS), a.registers("both", PIXELS), mask)
    turn = _turn(a, loop)
    unroll = unrolled(len(turn), timing)
    _start(a, at, loop, (len(turn), unroll), once)
    a.label("group")
    for slot, register in ((at.x, loop.x), (at.w, loop.w), (at.rounds, loop.left)):
        a.get(slot, register)
    for slot, sums in ((at.low, loop.low), (at.both, loop.both)):
        a.get(slot, sums[0])
        for sum in sums[1:]:
            a.do("mov", sum, sums[0])
    if mask is not None:
        a.do("mov", mask, LOW_BYTES)
    a.jump(a.get(at.entry))
    with a.apart() as ends:
        a.do("subs", loop.left, loop.left, 1)
    a.repeat(LOOP, turn, ends, "ne", unroll)
    _outputs(a, at, loop)
    a.branch("ne", "group")
    return a.finish()


def _turn(a: Assembler, loop: _Loop) -> list[Instruction]:
    with a.apart() as turn:
        word = a.new("ldr", Place(loop.w, step=4, region="w"), into="word")
        values = [a.new("ldr", Place(loop.x, offset=4 * n, region="x"), into="x") for n in range(1, PIXELS)]
        values = [a.new("ldr", Place(loop.x, step=4 * PIXELS, region="x"), into="x"), *values]
        for sum, value in zip(loop.both, values, strict=True):
            a.do("smlad", sum, word, value, sum)
        if loop.mask is None:
            other = a.new("sxtb16", word, into="other")
        else:
            other = word
            a.do("and", other, loop.mask, Shifted(word, "lsl", BITS))
        for sum, value in zip(loop.low, values, strict=True):
            a.do("smlad", sum, other, value, sum)
    return turn


def _start(a: Assembler, at: _Slots, loop: _Loop, turns: tuple[int, int], once: bool) -> None:
    length, unroll = turns
    w, x, y, first = (a.argument(name) for name in PARAMETERS[:4])
    for slot, register in ((at.w, w), (at.x, x), (at.y, y)):
        a.put(slot, register)
    words = a.get(a.passed("words"))
    bytes = a.new("mul", a.new("mul", words, a.get(a.passed("groups"))), a.new("mov", 4 * PIXELS))
    a.put(at.end, a.new("add", bytes, x))
    a.put(at.rounds, a.new("lsr", a.new("add", words, unroll - 1), unroll.bit_length() - 1))
    a.put(at.entry, a.enter(LOOP, length, a.new("and", a.new("rsb", words, 0), unroll - 1)))
    second = _scales_once(a, at, first) if once else _scales(a, at, first)
    bias, other = (a.new("ldr", Place(c, region="channel"), into="bias") for c in (first, second))
    a.put(at.both, a.new("add", bias, Shifted(other, "lsl", 8)))
    a.put(at.low, bias if loop.mask is None else a.new("lsl", bias, BITS))


def _scales_once(a: Assembler, at: _Slots, first: Register) -> Register:
    """What the outputs of both channels need; the place of the second one's table."""
    second = a.new("add", first, 12, into="second")
    shift = a.get(a.passed("shift"))
    for channel, slots in ((first, at.scales[0]), (second, at.scales[1])):
        a.put(slots[0], outputs.known(a, channel, 1, "multiplier"))
        a.put(slots[1], outputs.known(a, channel, 2, "offset"))
        a.put(slots[2], shift)
    return second


def _scales(a: Assembler, at: _Slots, first: Register) -> Register:
    """What the outputs of both channels need; the place of the second one's table."""
    low, high = a.get(a.passed("shift")), a.register("high")
    second = a.new("add", first, 8, into="second")
    a.do("mov", high, low)
    a.do("cmp", low, 0)
    a.branch("ge", "common")
    a.do("add", second, second, 4)
    a.do("ldr", low, Place(first, offset=8, region="channel"))
    a.do("ldr", high, Place(second, offset=8, region="channel"))
    a.label("common")
    zero = a.get(a.passed("zero"))
    for channel, shift, slots in ((first, low, at.scales[0]), (second, high, at.scales[1])):
        a.put(slots[0], outputs.multiplier(a, channel, 4))
        a.put(slots[1], outputs.offset(a, zero, shift, BITS))
        a.put(slots[2], a.new("add", shift, BITS - 1))
    return second


def _outputs(a: Assembler, at: _Slots, loop: _Loop) -> None:
    """Six outputs; the flags say whether it was the last group."""
    a.do("sub", loop.x, loop.x, Lead(LOOP, loop.x))
    a.put(at.x, loop.x)
    a.do("cmp", loop.x, a.get(at.end))
    for low, both in zip(loop.low, loop.both, strict=True):
        if loop.mask is None:
            a.do("sub", both, both, low)
            a.do("lsl", low, low, BITS)
        else:
            a.do("sub", both, both, Shifted(low, "asr", BITS))
    y, step = a.get(at.y), a.get(a.passed("step"))
    for sums, slots in zip((loop.low, loop.both), at.scales, strict=True):
        multiplier, offset, shift = map(a.get, slots)
        for sum in sums:
            a.do("smmla", sum, sum, multiplier, offset)
            a.do("asr", sum, sum, shift)
            a.do("ssat", sum, 8, sum)
    for low, both in zip(loop.low, loop.both, strict=True):
        a.do("strb", low, Place(y, region="y"))
        a.do("strb", both, Place(y, offset=1, region="y"))
        a.do("add", y, y, step)
    a.put(at.y, y)
