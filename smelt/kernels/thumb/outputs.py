"""From sums to outputs, as routines do it.

With 2^n times a sum, (sum + its product with the multiplier, rounded, + offset) >> shift is (upper word of 2^n * sum * half of the
whole multiplier, + 2^(n-1) * offset + 2^(n-2)) >> (shift + n - 1): one SMMLA and one shift.

Routines `once` do the same for any rounding, with a multiplier and an offset that were found for that (see kernels/once.py): their
tables have bias, multiplier and offset, as large as the sums that become outputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from smelt.loops.assembly.builder import Assembler
from smelt.loops.assembly.ir import Place, Register, Shifted, Slot

SCALE = ("multiplier", "offset", "shift")
"""The parameters of routines whose outputs share their scale."""
LEAST_SHIFT = 8  # the smallest that SSAT does itself; smaller ones become this one, others the largest
SHIFTS = (8, 14)


def own_shift(a: Assembler, common: Slot, channel: Register) -> Register:
    """The shift of a channel: `common`, or where that is negative the third number of its table."""
    shift = a.get(common)
    a.do("cmp", shift, 0)
    a.branch("ge", "shifted")
    a.do("ldr", shift, Place(channel, offset=8, region="channel"))
    a.label("shifted")
    return shift


def more_bits(a: Assembler, shift: Register) -> Register:
    """By how many bits weights grow, at least 2, so that every shift becomes one of `SHIFTS`."""
    bits = a.new("rsb", shift, SHIFTS[1] + 1, into="bits")
    a.do("cmp", shift, LEAST_SHIFT)
    a.branch("ge", "bits")
    a.do("sub", bits, bits, SHIFTS[1] - SHIFTS[0])
    a.label("bits")
    return bits


def offset(a: Assembler, zero: Register, shift: Register, bits: Register | int) -> Register:
    """What is added before the shift."""
    twice = a.new("lsl", zero, 1)
    odd = a.new("add", twice, 1)
    half = a.new("asr", a.new("lsl", odd, shift), 1)
    if isinstance(bits, int):
        return a.new("add", a.new("lsl", half, bits - 1), 1 << (bits - 2), into="offset")
    one = a.new("mov", 1)
    whole = a.new("lsl", half, a.new("sub", bits, 1))
    return a.new("add", whole, a.new("lsl", one, a.new("sub", bits, 2)), into="offset")


def multiplier(a: Assembler, channel: Register, place: int) -> Register:
    """Half of the whole multiplier, whose upper bit is not stored."""
    return a.new("lsr", a.new("ldr", Place(channel, offset=place, region="channel")), 1, into="multiplier")


def pair(a: Assembler, low: Register, high: Register) -> Register:
    """Two halves in one word."""
    return a.new("pkhbt", low, Shifted(high, "lsl", 16), into="pair")


def start(a: Assembler, starts: Slot, sums: Iterable[tuple[Register, Register]]) -> None:
    """What the sums of low units and of both begin with, and on to those of the next block."""
    place = a.get(starts)
    for sum in (s for pair in sums for s in pair):
        a.do("ldr", sum, Place(place, step=4, region="starts", table=True))
    a.put(starts, place)


def known(a: Assembler, channel: Register, number: int, into: str) -> Register:
    """A number of a channel's table, as it is."""
    return a.new("ldr", Place(channel, offset=4 * number, region="channel"), into=into)


def shared(
    a: Assembler, sums: Iterable[tuple[Register, Register]], scale: Sequence[Register], y: Register, once: bool = False
) -> None:
    """Outputs, side by side, from the sums of low units and of both, which are changed: (x + (x >> 31) + offset) >> shift of each
    sum's x, sum + its product with the multiplier, rounded; `once`: (upper word of the product + offset) >> shift."""
    multiplier, offset, shift = scale
    for number, (low, both) in enumerate(sums):
        a.do("sub", both, both, low)
        a.do("asr", both, both, 8)
        for place, sum in enumerate((low, both), 2 * number):
            if once:
                a.do("smmla", sum, sum, multiplier, offset)
            else:
                a.do("smmlar", sum, sum, multiplier, sum)
                a.do("add", sum, sum, Shifted(sum, "asr", 31))
                a.do("add", sum, sum, offset)
            a.do("asr", sum, sum, shift)
            a.do("ssat", sum, 8, sum)
            a.do("strb", sum, Place(y, offset=place, region="y"))
