"""Winograd's F(4x4, 3x3): the sums of two channels at all 36 positions of tiles.

Tiles lie in groups of three, the last one perhaps of two or one: [group][position][word][tile]. Words of weights are those of
the two channels in turn, and the same for all tiles; two words more may be read, and a word of each tile. `sums` are
[group][position][channel][3].
"""

from __future__ import annotations

from smelt.loops.assembly.builder import Assembler
from smelt.loops.assembly.compile import LOOP_ALIGN
from smelt.loops.assembly.ir import Code, Lead, Place, Register, Slot
from smelt.loops.assembly.timing import Timing

PARAMETERS = ("sums", "weights", "tiles", "words", "count")
POSITIONS = 36
GROUP = 3
ROUND = 8  # words


def tiles(timing: Timing, once: bool) -> Code:
    """For a number of words that is a multiple of eight, 16 at least; with `once` for eight."""
    a = Assembler(f"winograd_{'eight' if once else 'eights'}", PARAMETERS)
    to, w, x, words = a.argument("sums"), a.argument("weights"), a.argument("tiles"), a.argument("words")
    at_w, at_end = a.slot("weights"), a.slot("end")
    left_at, more_at, size_at = a.slot("left"), a.slot("end of a position"), a.slot("size of a position")
    a.put(at_w, w)
    a.put(left_at, a.get(a.passed("count")))
    size = a.new("lsl", words, 3)
    a.put(size_at, size)
    a.put(at_end, a.new("mla", size, a.new("mov", POSITIONS), w))
    for count in range(GROUP, 0, -1):
        a.label(f"tiles_{count}")
        left = a.get(left_at)
        a.do("subs", left, left, count)
        a.branch("lo", f"fewer_{count}")
        a.put(left_at, left)
        a.get(at_w, w)
        if not once:
            more = a.new("add", w, a.get(size_at))
            a.do("add", more, more, Lead(f"words_{count}", w))
            a.put(more_at, more)
        _positions(a, (to, w, x), count, (at_end, None if once else more_at, size_at))
        a.branch(None, f"tiles_{count}")
        a.label(f"fewer_{count}")
    return a.finish()


def _positions(
    a: Assembler, places: tuple[Register, Register, Register], count: int, at: tuple[Slot, Slot | None, Slot]
) -> None:
    """All positions of a group of `count` tiles."""
    to, w, x = places
    at_end, more_at, size_at = at
    a.label(f"position_{count}", LOOP_ALIGN)
    sums = a.registers("sum", 2 * count)
    for word in range(ROUND):
        _word(a, w, x, sums, word == 0)
    if more_at is not None:
        with a.apart() as turn:
            _word(a, w, x, sums, False)
        with a.apart() as ends:
            a.do("cmp", w, a.get(more_at))
        a.repeat(f"words_{count}", turn, ends, "ne", ROUND)
        a.do("sub", w, w, Lead(f"words_{count}", w))
        a.do("sub", x, x, Lead(f"words_{count}", x))
        more = a.new("add", w, a.get(size_at))
        a.do("add", more, more, Lead(f"words_{count}", w))
        a.put(more_at, more)
    for channel in range(2):
        for tile in range(count):
            a.do("str", sums[channel * count + tile], Place(to, offset=4 * (GROUP * channel + tile), region="sums"))
    a.do("add", to, to, 4 * 2 * GROUP)
    a.do("cmp", w, a.get(at_end))
    a.branch("ne", f"position_{count}")


def _word(a: Assembler, w: Register, x: Register, sums: list[Register], first: bool) -> None:
    """A word of both channels and of each tile."""
    count = len(sums) // 2
    second = a.new("ldr", Place(w, offset=4, region="weights"), into="w")
    weights = a.new("ldr", Place(w, step=8, region="weights"), into="w"), second
    values = [a.new("ldr", Place(x, offset=4 * n, region="tiles"), into="x") for n in range(1, count)]
    values = [a.new("ldr", Place(x, step=4 * count, region="tiles"), into="x"), *values]
    for number, sum in enumerate(sums):
        weight, value = weights[number // count], values[number % count]
        if first:
            a.do("smuad", sum, weight, value)
        else:
            a.do("smlad", sum, weight, value, sum)
