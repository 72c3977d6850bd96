"""Convolutions: products of two channels with a row of pixels.

`pixels` neighbours, whose elements lie `step` (above 0) bytes apart, are made a block of one to three at a time; there are at
least as many, and the last block overlaps the one before where they are no multiple. Of x a pixel sees `rows` rows of `words`
words, which lie `pitch` bytes apart; those of `w` follow each other, a word for both channels (see smelt_both_sums), in `plain`
routines a word for each. `sums` gets for each pixel that of the low channel, which begins with `low`, and that of both, which
begins with `both`; in `plain` routines the second and the first channel. A word of w, two in `plain` routines, and of each row
of a pixel more may be read.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from smelt.loops.assembly.builder import Assembler
from smelt.loops.assembly.compile import unrolled
from smelt.loops.assembly.ir import Code, Instruction, Lead, Place, Register, Shifted, Slot
from smelt.loops.assembly.timing import Timing

PARAMETERS = ("sums", "w", "x", "low", "both", "words", "step", "rows", "pitch", "pixels")
LOOP = "words"
MOVES = {1: (0,), 2: (1,), 3: (0, 1)}  # powers of two that make up a number of pixels


@dataclass(frozen=True)
class _Slots:
    """What lies on the stack: where the block's results go, the weights, x of the block, what sums begin with, where the first
    turn is, the ends of a row's weights and of all, the same for the first row, bytes of a row's weights, from the end of a row of
    x to the next row, and where the last block begins."""

    sums: Slot
    w: Slot
    x: Slot
    low: Slot
    entry: Slot
    end: Slot
    last_end: Slot
    first_end: Slot
    row: Slot
    gap: Slot
    last_x: Slot
    last_sums: Slot


def products(timing: Timing, pixels: int, plain: bool) -> Code:
    """The routine for blocks of `pixels` pixels."""
    a = Assembler(f"{'plain' if plain else 'products'}_{pixels}", PARAMETERS)
    at = _Slots(*(a.slot(f.name) for f in fields(_Slots)))
    w, x, step = a.register("w"), a.register("x"), a.register("step")
    low, both = a.registers("low", pixels), a.registers("both", pixels)
    turn = _turn(a, w, x, step, low, both, plain)
    unroll = unrolled(len(turn), timing, 8)
    _start(a, at, w, x, step, pixels, plain, (len(turn), unroll))
    a.label("block")
    a.get(at.w, w)
    for slot, registers in ((at.low, low), (a.passed("both"), both)):
        a.get(slot, registers[0])
        for register in registers[1:]:
            a.do("mov", register, registers[0])
    a.put(at.end, a.get(at.first_end))
    a.label("row")
    a.jump(a.get(at.entry))
    with a.apart() as ends:
        a.do("cmp", w, a.get(at.end))
    a.repeat(LOOP, turn, ends, "ne", unroll)
    a.do("cmp", w, a.get(at.last_end))
    a.branch("ne", "next")
    _results(a, at, x, step, [r for pair in zip(low, both, strict=True) for r in pair])
    a.label("next")
    a.put(at.end, a.new("add", a.get(at.end), a.get(at.row)))
    a.do("add", x, x, a.get(at.gap))
    a.do("sub", w, w, Lead(LOOP, w))
    a.branch(None, "row")
    a.label("done")
    return a.finish()


def _turn(
    a: Assembler, w: Register, x: Register, step: Register, low: list[Register], both: list[Register], plain: bool
) -> list[Instruction]:
    """A word of weights and one of each pixel."""
    with a.apart() as turn:
        word = a.new("ldr", Place(w, step=4, region="w"), into="word")
        other = a.new("ldr", Place(w, step=4, region="w"), into="other") if plain else None
        places = [Place(x, region="x", index=step, shift=n - 1) for n in range(1, len(low))]
        values = [a.new("ldr", p, into="x") for p in places[::-1]]
        values = [a.new("ldr", Place(x, step=4, region="x"), into="x"), *values[::-1]]
        for sum, value in zip(both, values, strict=True):
            a.do("smlad", sum, word, value, sum)
        if other is None:
            other = a.new("sxtb16", word, into="other")
        for sum, value in zip(low, values, strict=True):
            a.do("smlad", sum, other, value, sum)
    return turn


def _start(
    a: Assembler, at: _Slots, w: Register, x: Register, step: Register, pixels: int, plain: bool, loop: tuple[int, int]
) -> None:
    sums, weights, from_x = a.argument("sums"), a.argument("w"), a.argument("x")
    for slot, value in ((at.sums, sums), (at.w, weights), (at.x, from_x), (at.low, a.argument("low"))):
        a.put(slot, value)
    words, rows, pitch = a.get(a.passed("words")), a.get(a.passed("rows")), a.get(a.passed("pitch"))
    a.get(a.passed("step"), step)
    length, unroll = loop
    skipped = a.new("and", a.new("rsb", words, 0), unroll - 1)
    a.put(at.entry, a.enter(LOOP, length, skipped))
    a.put(at.gap, a.new("sub", a.new("sub", pitch, Shifted(words, "lsl", 2)), Lead(LOOP, x)))
    row = a.new("lsl", words, 3 if plain else 2)
    a.put(at.row, row)
    start = a.new("add", weights, Lead(LOOP, w))
    a.put(at.first_end, a.new("add", start, row))
    a.put(at.last_end, a.new("mla", row, rows, start))
    before = a.new("sub", a.get(a.passed("pixels")), pixels)
    a.put(at.last_x, a.new("mla", before, step, from_x))
    a.put(at.last_sums, a.new("add", sums, Shifted(before, "lsl", 3)))
    a.do("mov", x, from_x)


def _results(a: Assembler, at: _Slots, x: Register, step: Register, sums: list[Register]) -> None:
    """The sums of a block, and on to the next one, or to the last."""
    to = a.get(at.sums)
    for sum in sums:
        a.do("str", sum, Place(to, step=4, region="sums"))
    a.put(at.sums, to)
    a.get(at.x, x)
    last = a.get(at.last_x)
    for part in MOVES[len(sums) // 2]:
        a.do("add", x, x, Shifted(step, "lsl", part) if part else step)
    a.put(at.x, x)
    a.do("cmp", x, last)
    a.branch("ls", "block")
    for part in MOVES[len(sums) // 2]:
        a.do("sub", x, x, Shifted(step, "lsl", part) if part else step)
    a.do("cmp", x, last)
    a.branch("eq", "done")
    a.do("mov", x, last)
    a.put(at.x, x)
    a.put(at.sums, a.get(at.last_sums))
    a.branch(None, "block")
