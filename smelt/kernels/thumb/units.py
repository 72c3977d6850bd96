"""Dense layers: blocks of one to three pairs of units with one row of x.

`x` is int8, four elements in a word. Of weights there is for each word of x one for elements 0 and 2 of each pair of units, then
one for 1 and 3 of each (see smelt_both_sums); those of a block after those of the one before. `starts` has, for each pair, what
the sum of the low unit begins with, then that of both. `sums` gets the same; or `y` gets the outputs, where all units share
multiplier and shift, and `offset` is added before the shift. As much of `w` as a word of x takes may be read behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from smelt.kernels.thumb import outputs
from smelt.loops.assembly.builder import Assembler
from smelt.loops.assembly.compile import unrolled
from smelt.loops.assembly.ir import Code, Instruction, Lead, Place, Register, Shifted, Slot
from smelt.loops.assembly.timing import Timing

READ = ("starts", "w", "x", "words")
SUMS = ("sums", *READ, "blocks")
OUTPUTS = ("y", *READ, *outputs.SCALE, "blocks")
LOOP = "words"


@dataclass(frozen=True)
class _Slots:
    """What lies on the stack: where results go, what sums begin with, x and its end, where the first turn is, and the blocks that
    are left."""

    to: Slot
    starts: Slot
    x: Slot
    end: Slot
    entry: Slot
    left: Slot


def units(timing: Timing, pairs: int, whole: bool, once: bool = False) -> Code:
    """The routine for blocks of `pairs` pairs; `whole`: it makes outputs."""
    name = f"unit_outputs_{pairs}_once" if once else f"unit_outputs_{pairs}"
    a = Assembler(name if whole else f"units_{pairs}", OUTPUTS if whole else SUMS)
    at = _Slots(*(a.slot(f.name) for f in fields(_Slots)))
    w, x = a.register("w"), a.register("x")
    sums = [(low, both) for low, both in zip(a.registers("low", pairs), a.registers("both", pairs), strict=True)]
    turn = _turn(a, w, x, sums, timing.short)
    unroll = unrolled(len(turn), timing)
    _start(a, at, len(turn), unroll)
    a.do("add", w, a.argument("w"), 0 if timing.short else 4 * (2 * pairs - 1))
    a.label("block")
    outputs.start(a, at.starts, sums)
    a.get(at.x, x)
    a.jump(a.get(at.entry))
    with a.apart() as ends:
        a.do("cmp", x, a.get(at.end))
    a.repeat(LOOP, turn, ends, "ne", unroll, held=("x",))
    a.do("sub", w, w, Lead(LOOP, w))
    to = a.get(at.to)
    if whole:
        outputs.shared(a, sums, [a.get(a.passed(name)) for name in outputs.SCALE], to, once)
        a.do("add", to, to, 2 * pairs)
    else:
        for sum in (s for pair in sums for s in pair):
            a.do("str", sum, Place(to, step=4, region="sums"))
    a.put(at.to, to)
    blocks = a.get(at.left)
    a.do("subs", blocks, blocks, 1)
    a.put(at.left, blocks)
    a.branch("ne", "block")
    return a.finish()


def _turn(
    a: Assembler, w: Register, x: Register, sums: Sequence[tuple[Register, Register]], short: bool
) -> list[Instruction]:
    """A word of x. `w` is at the last word of its weights, whose load steps on; with `short` at the first: loads behind it are
    shorter."""
    words = 2 * len(sums)
    first = 0 if short else 1 - words
    with a.apart() as turn:
        value = a.new("ldr", Place(x, step=4, region="x"), into="x")
        for half in range(2):
            elements = a.new("sxtb16", value if half == 0 else Shifted(value, "ror", 8), into="elements")
            for number, (low, both) in enumerate(sums):
                word = half * len(sums) + number
                steps = not short and word == words - 1
                offset, step = (0, 4 * words) if steps else (4 * (first + word), 0)
                place = Place(w, offset=offset, step=step, region="w", table=True)
                weights = a.new("ldr", place, into="w")
                a.do("smlad", both, weights, elements, both)
                a.do("smlad", low, a.new("sxtb16", weights, into="low"), elements, low)
        if short:
            a.do("add", w, w, 4 * words)
    return turn


def _start(a: Assembler, at: _Slots, length: int, unroll: int) -> None:
    to, starts, _, x = (a.argument(name) for name in a.parameters[:4])
    for slot, register in ((at.to, to), (at.starts, starts), (at.x, x)):
        a.put(slot, register)
    words = a.get(a.passed("words"))
    a.put(at.left, a.get(a.passed("blocks")))
    a.put(at.end, a.new("add", x, Shifted(words, "lsl", 2)))
    a.put(at.entry, a.enter(LOOP, length, a.new("and", a.new("rsb", words, 0), unroll - 1)))
