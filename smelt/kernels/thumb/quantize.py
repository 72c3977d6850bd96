"""float32 to int8: the nearest step of x / scale, halves away from zero, above `zero`.

Eight values a round. x / scale is x * low, and x * high added in one go, which gives the same steps (kernels are proved to, for
each step). VCVT leaves halves of steps, cut off, and 16 bits of them. x whose steps those do not hold, and what is no number,
show in FPSCR's IOC: then all are divided, one after the other, and so are those that eights leave over. What is no number
becomes -128. `factors` are the high and the low part of 1 / scale, and the scale.

`quantize_even` gives halves to the even step: VCVTR rounds so, in the mode that FPSCR begins with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from smelt.loops.assembly.builder import Assembler
from smelt.loops.assembly.compile import LOOP_ALIGN
from smelt.loops.assembly.ir import FPSCR, Code, Place, Register, Shifted, Slot
from smelt.loops.assembly.timing import Timing

PARAMETERS = ("y", "x", "factors", "count", "zero")
VALUES = 8  # of a round
PAIRS = (("s8", "s9"), ("s10", "s11"), ("s12", "s13"))  # neighbours, which one VMOV takes
LOADED = tuple(f"s{n}" for n in range(VALUES))
INVALID = 1  # IOC
SIGNS = 0x80808080
INFINITY = 0xFF000000  # twice its bits
STEPS = 15  # bits of steps that are kept: with `zero` they are 16 at most


@dataclass(frozen=True)
class _Slots:
    """What lies on the stack: both pointers as they were passed."""

    y: Slot
    x: Slot


def quantize(timing: Timing, even: bool = False) -> Code:
    a = Assembler("quantize_even" if even else "quantize", PARAMETERS)
    at = _Slots(*(a.slot(f.name) for f in fields(_Slots)))
    y, x, factors, count = (a.argument(name) for name in PARAMETERS[:4])
    above = _above(a, a.get(a.passed("zero")), even)
    rounds = a.new("lsr", count, VALUES.bit_length() - 1, into="rounds")
    a.do("cmp", rounds, 0)
    a.branch("eq", "rest")
    a.put(at.y, y)
    a.put(at.x, x)
    state = a.new("vmrs", FPSCR, into="state")
    a.do("vmsr", FPSCR, a.new("bic", state, INVALID))
    high, low = a.float("high"), a.float("low")
    for place, factor in enumerate((high, low)):
        a.do("vldr", factor, Place(factors, offset=4 * place, region="factors"))
    both = a.new("pkhbt", above, Shifted(above, "lsl", 16), into="both")
    a.label("round", LOOP_ALIGN)
    _round(a, y, x, (high, low), both, even)
    a.do("subs", rounds, rounds, 1)
    a.branch("ne", "round")
    found = a.new("vmrs", FPSCR, into="found")
    a.do("vmsr", FPSCR, a.new("orr", found, state))
    left = a.register("left")
    a.do("tst", found, INVALID)
    a.branch("eq", "rest")
    a.get(at.y, y)
    a.get(at.x, x)
    a.do("mov", left, count)
    a.branch(None, "ones")
    a.label("rest")
    a.do("and", left, count, VALUES - 1)
    a.label("ones")
    a.do("cmp", left, 0)
    a.branch("eq", "done")
    scale = a.float("scale")
    a.do("vldr", scale, Place(factors, offset=8, region="factors"))
    a.label("one", LOOP_ALIGN)
    _one(a, y, x, scale, above, even)
    a.do("subs", left, left, 1)
    a.branch("ne", "one")
    a.label("done")
    return a.finish()


def _above(a: Assembler, zero: Register, even: bool) -> Register:
    """What is added to steps: `zero`, plus 128. To halves of steps: twice that and 1, and the last bit is left out."""
    if even:
        return a.new("add", zero, 128, into="above")
    above = a.new("add", a.new("lsl", zero, 1), 256, into="above")
    a.do("add", above, above, 1)
    return above


def _round(
    a: Assembler, y: Register, x: Register, factors: Sequence[Register], both: Register, even: bool
) -> None:  # fmt: skip
    """Eight values."""
    high, low = factors
    values = [a.float(name, name) for name in LOADED]
    a.do("vldmia", Place(x, step=4 * VALUES, region="x"), *values)
    halves: list[Register] = []
    for number in range(0, VALUES, 2):
        pair = [a.float(name, name) for name in PAIRS[number // 2 % len(PAIRS)]]
        for to, value in zip(pair, values[number : number + 2], strict=True):
            a.do("vmul.f32", to, value, low)
        for to, value in zip(pair, values[number : number + 2], strict=True):
            a.do("vfma.f32", to, value, high)
        for to in pair:
            if even:
                a.do("vcvtr.s32.f32", to, to)
            else:
                a.do("vcvt.s16.f32", to, to, 1)
        both_halves = a.registers("half", 2)
        a.do("vmov", *both_halves, *pair)
        halves += both_halves
        if number % 4 == 2:
            a.do("str", _bytes(a, halves[-4:], both, even), Place(y, step=4, region="y"))


def _bytes(a: Assembler, halves: Sequence[Register], both: Register, even: bool) -> Register:
    """Four results in a word, from halves of steps, or from steps."""
    for half in halves:
        if even:
            a.do("ssat", half, STEPS, half)
        else:
            a.do("bic", half, half, Shifted(half, "lsr", 31))  # those of negative numbers are rounded the other way
    words = []
    for first, second in zip(halves[:2], halves[2:], strict=True):
        word = a.new("pkhbt", first, Shifted(second, "lsl", 16), into="word")
        a.do("sadd16" if even else "shadd16", word, word, both)
        a.do("usat16", word, 8, word)
        words.append(word)
    a.do("orr", words[0], words[0], Shifted(words[1], "lsl", 8))
    a.do("eor", words[0], words[0], SIGNS)
    return words[0]


def _one(a: Assembler, y: Register, x: Register, scale: Register, above: Register, even: bool) -> None:
    """A value, whatever it is."""
    value, result = a.float("value"), a.register("result")
    twice = a.new("lsl", a.new("ldr", Place(x, region="x"), into="bits"), 1, into="twice")
    a.do("vldr", value, Place(x, region="x"))
    a.do("add", x, x, 4)
    a.do("vdiv.f32", value, value, scale)
    if even:
        a.do("vcvtr.s32.f32", value, value)
        a.do("vmov", result, value)
        a.do("ssat", result, STEPS, result)
        a.do("add", result, result, above)
        a.do("usat", result, 8, result)
    else:
        a.do("vcvt.s32.f32", value, value, 1)
        a.do("vmov", result, value)
        a.do("ssat", result, 16, result)
        a.do("bic", result, result, Shifted(result, "lsr", 31))
        a.do("add", result, result, above)
        a.do("usat", result, 8, Shifted(result, "asr", 1))
    a.do("eor", result, result, SIGNS & 0xFF)
    a.do("cmp", twice, INFINITY)
    a.branch("ls", "number")
    a.do("mov", result, SIGNS & 0xFF)
    a.label("number")
    a.do("strb", result, Place(y, step=1, region="y"))
