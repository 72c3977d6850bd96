"""Dense layers that leave out what is zero: a list of the elements of x that count, and their products with eight units.

A list has two elements above -128 to an entry of two words: their values plus 128 as halves, then, as halves too, how many bytes
behind the first element's weights theirs are. A negative second word ends it; where an odd number counts, the last value is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from smelt.kernels.thumb import outputs
from smelt.loops.assembly.builder import Assembler
from smelt.loops.assembly.compile import LOOP_ALIGN
from smelt.loops.assembly.ir import Code, Place, Register, Shifted, Slot
from smelt.loops.assembly.timing import Timing

SIFT = ("list", "x", "depth", "step")
SIFTED = ("y", "starts", "w", "list", *outputs.SCALE, "blocks")
PAIRS = 4  # of units in a block
SIGNS = 0x80808080
FIRST, SECOND = 2, 6  # bytes from an entry's first half to its second, and from there to the next entry
OFFSETS = 4  # bytes from an entry's values to its offsets


@dataclass(frozen=True)
class _Listing:
    """Where a list is written on: the place of a half, the bytes to the next one, and the offset of the element's weights."""

    place: Register
    stride: Register
    offset: Register


def sift(timing: Timing) -> Code:
    """The list of a row of `depth` elements, each of whose weights take `step` bytes."""
    a = Assembler("sift", SIFT)
    place, x, depth, step = (a.argument(name) for name in SIFT)
    listing = _Listing(place, a.new("mov", FIRST, into="stride"), a.new("mov", 0, into="offset"))
    rest = a.new("and", depth, 3, into="rest")
    left = a.new("lsr", depth, 2, into="left")
    a.do("cmp", left, 0)
    a.branch("eq", "rest")
    a.label("fours", LOOP_ALIGN)
    word = a.new("ldr", Place(x, step=4, region="x"), into="word")
    a.do("eor", word, word, SIGNS)
    now = listing
    for number in range(4):
        value = a.new("ubfx", word, 8 * number, 8, into="value")
        now = _element(a, now, value, step, listing if number == 3 else None)
    a.do("subs", left, left, 1)
    a.branch("ne", "fours")
    a.label("rest")
    a.do("cmp", rest, 0)
    a.branch("eq", "end")
    a.label("one", LOOP_ALIGN)
    value = a.new("ldrb", Place(x, step=1, region="x"), into="value")
    a.do("eor", value, value, SIGNS & 0xFF)
    _element(a, listing, value, step, listing)
    a.do("subs", rest, rest, 1)
    a.branch("ne", "one")
    _end(a, listing)
    return a.finish()


def _element(a: Assembler, now: _Listing, value: Register, step: Register, into: _Listing | None) -> _Listing:
    """List an element, and go on if it counts: else the next one takes its place."""
    to = into or _Listing(a.register("place"), a.register("stride"), a.register("offset"))
    a.do("strh", value, Place(now.place, region="list"))
    a.do("strh", now.offset, Place(now.place, offset=OFFSETS, region="list"))
    counts = a.new("usat", 1, value, into="counts")
    a.do("mla", to.place, counts, now.stride, now.place)
    a.do("eor", to.stride, now.stride, Shifted(counts, "lsl", (FIRST ^ SECOND).bit_length() - 1))
    a.do("add", to.offset, now.offset, step)
    return to


def _end(a: Assembler, listing: _Listing) -> None:
    place = listing.place
    a.label("end")
    a.do("cmp", listing.stride, FIRST)
    a.branch("eq", "whole")
    none = a.new("mov", 0, into="none")
    a.do("strh", none, Place(place, region="list"))
    a.do("strh", none, Place(place, offset=OFFSETS, region="list"))
    a.do("add", place, place, SECOND)
    a.label("whole")
    a.do("str", a.new("mvn", 0, into="last"), Place(place, offset=OFFSETS, region="list"))


@dataclass(frozen=True)
class _Slots:
    """What lies on the stack: where outputs go, what sums begin with, the weights of a block, the list, and the blocks that are
    left."""

    y: Slot
    starts: Slot
    w: Slot
    list: Slot
    left: Slot


def sifted(timing: Timing, once: bool = False) -> Code:
    """The outputs of blocks of eight units that share their scale. `starts` has, for each pair, what the sum of the low unit begins
    with, then that of both (see smelt_both_sums). Of weights there are for each element two words of two pairs for each block;
    `w` is the first element's."""
    a = Assembler("sifted_once" if once else "sifted", SIFTED)
    at = _Slots(*(a.slot(f.name) for f in fields(_Slots)))
    for slot, name in zip((at.y, at.starts, at.w, at.list), SIFTED[:4], strict=True):
        a.put(slot, a.argument(name))
    a.put(at.left, a.get(a.passed("blocks")))
    a.label("block")
    sums = list(zip(a.registers("low", PAIRS), a.registers("both", PAIRS), strict=True))
    outputs.start(a, at.starts, sums)
    entries = a.get(at.list)
    former, latter = a.register("former"), a.register("latter")
    _next(a, at, entries, former, latter)
    a.branch("mi", "outputs")
    a.label("entry", LOOP_ALIGN)
    _products(a, entries, former, latter, sums)
    _next(a, at, entries, former, latter)
    a.branch("pl", "entry")
    a.label("outputs")
    y = a.get(at.y)
    outputs.shared(a, sums, [a.get(a.passed(name)) for name in outputs.SCALE], y, once)
    a.put(at.y, a.new("add", y, 2 * PAIRS))
    a.put(at.w, a.new("add", a.get(at.w), 2 * PAIRS))
    left = a.get(at.left)
    a.do("subs", left, left, 1)
    a.put(at.left, left)
    a.branch("ne", "block")
    return a.finish()


def _next(a: Assembler, at: _Slots, entries: Register, former: Register, latter: Register) -> None:
    """Where the weights of an entry's elements are; the flags say whether it is one."""
    w, offsets = a.get(at.w), a.new("ldr", Place(entries, offset=OFFSETS, region="list"), into="offsets")
    a.do("uxtah", former, w, offsets)
    a.do("add", latter, w, Shifted(offsets, "lsr", 16))
    a.do("cmp", offsets, 0)


def _products(
    a: Assembler, entries: Register, former: Register, latter: Register, sums: Sequence[tuple[Register, Register]]
) -> None:
    """Those of an entry. Its values are loaded late: there are no more registers before."""
    words = [
        [a.new("ldr", Place(r, offset=4 * n, region="w", table=True), into="w") for r in (former, latter)]
        for n in range(2)
    ]
    value = a.register("value")
    for number, (first, second) in enumerate(words):
        pairs = a.new("pkhbt", first, second, into="pair"), a.new("pkhtb", second, first, into="pair")
        if number == 0:
            a.do("ldr", value, Place(entries, step=8, region="list"))
        for (low, both), pair in zip(sums[2 * number : 2 * number + 2], pairs, strict=True):
            a.do("smlad", both, pair, value, both)
            a.do("smlad", low, a.new("sxtb16", pair), value, low)
