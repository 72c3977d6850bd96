"""Pointwise convolutions of images with eight channels: one channel of y, all of a stretch in one call.

The weights stay in registers. `w` are the eight of the channel, in the order of the halves of x; pixels of x are four words, those
of y `step` bytes apart, their number a multiple of four; a pixel more may be read. `channel` is bias, multiplier and, where
`shift` is negative, shift; shifts are 1 to 13. `once`: it is bias, multiplier and offset, for sums that grow by `bits`; shifts are
8 or 14.
"""

from __future__ import annotations

from collections.abc import Sequence

from smelt.kernels.thumb import outputs
from smelt.loops.assembly.builder import Assembler
from smelt.loops.assembly.compile import LOOP_ALIGN
from smelt.loops.assembly.ir import Code, Place, Register, Shifted
from smelt.loops.assembly.timing import Timing

PARAMETERS = ("w", "x", "y", "channel", "pixels", "step", "zero", "shift")
WORDS = 4  # of a pixel
ONCE = ("w", "x", "y", "channel", "pixels", "step", "bits", "shift")
UNROLL = 4


def thin(timing: Timing, once: bool = False) -> Code:
    a = Assembler("thin_once", ONCE) if once else Assembler("thin", PARAMETERS)
    left_at = a.slot("rounds")
    w, x, y, channel = (a.argument(name) for name in PARAMETERS[:4])
    shift = a.get(a.passed("shift")) if once else outputs.own_shift(a, a.passed("shift"), channel)
    bits = a.get(a.passed("bits")) if once else outputs.more_bits(a, shift)
    step, weights = a.get(a.passed("step")), []
    for word in range(WORDS):
        halves = [a.new("ldrsb", Place(w, offset=2 * word + half, region="w")) for half in range(2)]
        weights.append(outputs.pair(a, *(a.new("lsl", h, bits) for h in halves)))
    bias = a.new("lsl", a.new("ldr", Place(channel, region="channel")), bits, into="bias")
    if once:
        multiplier, offset = outputs.known(a, channel, 1, "multiplier"), outputs.known(a, channel, 2, "offset")
    else:
        multiplier = outputs.multiplier(a, channel, 4)
        offset = outputs.offset(a, a.get(a.passed("zero")), shift, bits)
    a.put(left_at, a.new("lsr", a.get(a.passed("pixels")), UNROLL.bit_length() - 1))
    a.do("cmp", shift, outputs.SHIFTS[1] if once else outputs.LEAST_SHIFT)
    a.branch("ge", "large")
    for name, count in zip(("small", "large"), outputs.SHIFTS, strict=True):
        a.label(name, LOOP_ALIGN)
        for _ in range(UNROLL):
            _output(a, (x, y, step), weights, (bias, multiplier, offset), count)
        left = a.get(left_at)
        a.do("subs", left, left, 1)
        a.put(left_at, left)
        a.branch("ne", name)
        if name == "small":
            a.branch(None, "done")
    a.label("done")
    return a.finish()


def _output(
    a: Assembler, places: Sequence[Register], weights: Sequence[Register], scale: Sequence[Register], shift: int
) -> None:
    x, y, step = places
    bias, multiplier, offset = scale
    sum = a.register("sum")
    before = bias
    for word in (*range(1, WORDS), 0):  # the first one last, whose load goes on to the next pixel
        place = Place(x, offset=4 * word, region="x") if word else Place(x, step=4 * WORDS, region="x")
        a.do("smlad", sum, weights[word], a.new("ldr", place, into="x"), before)
        before = sum
    a.do("smmla", sum, sum, multiplier, offset)
    a.do("ssat", sum, 8, Shifted(sum, "asr", shift))
    a.do("strb", sum, Place(y, region="y"))
    a.do("add", y, y, step)
