"""Convolutions: pairs of channels of one pixel or of three neighbours, from x as it is.

Of x a pixel sees `rows` rows of `words` words of four elements, which lie `pitch` bytes apart; the next pixel begins `step` bytes
further. To each element the halves of `zeros` are added. `w` has for each word of x one for elements 0 and 2 of both channels, then
one for 1 and 3 (see smelt_both_sums); behind each row `skip` bytes are left out, and `more` behind a pair. `scales` has for each
pair what the sums begin with (of the low channel and of both), then for each channel multiplier, what is added before the
shift, and the shift, which is `EXTRA` larger than it should be. Pixels of y have `channels` bytes. As much of `w` as a word of x
takes may be read behind it.

Routines `once` have multipliers, offsets and shifts for sums that are `BITS` larger, as they are (see outputs.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from smelt.loops.assembly.builder import Assembler
from smelt.loops.assembly.compile import unrolled
from smelt.loops.assembly.ir import Code, Instruction, Lead, Place, Register, Shifted, Slot
from smelt.loops.assembly.timing import Timing

PARAMETERS = (
    *("y", "w", "x", "scales"),
    *("words", "rows", "pitch", "skip", "pairs", "more", "step", "channels", "zeros"),
)
LOOP = "words"
BITS = 8  # that sums grow before they become outputs
EXTRA = BITS - 1


@dataclass(frozen=True)
class _Slots:
    """What lies on the stack: where outputs go, the weights, what is known of channels, x, the end of its first row and of the one
    that is read, from that to the next one, where the first turn is, and the rows and pairs that are left."""

    y: Slot
    w: Slot
    scales: Slot
    x: Slot
    first_end: Slot
    end: Slot
    gap: Slot
    entry: Slot
    rows: Slot
    pairs: Slot


@dataclass(frozen=True)
class _Loop:
    """The registers of the loop; one pixel has no `step`."""

    w: Register
    x: Register
    zeros: Register
    step: Register | None
    low: Sequence[Register]
    both: Sequence[Register]


def pixels(timing: Timing, count: int, once: bool = False) -> Code:
    """The routine for `count` pixels."""
    a = Assembler(f"pixels_{count}{'_once' if once else ''}", PARAMETERS)
    at = _Slots(*(a.slot(f.name) for f in fields(_Slots)))
    w, x, zeros = (a.register(name) for name in ("w", "x", "zeros"))
    step = a.register("step") if count > 1 else None
    loop = _Loop(w, x, zeros, step, a.registers("low", count), a.registers("both", count))
    turn = _turn(a, loop)
    _start(a, at, len(turn), unrolled(len(turn), timing))
    a.label("pair")
    scales = a.get(at.scales)
    for sums in (loop.low, loop.both):
        a.do("ldr", sums[0], Place(scales, step=4, region="scales", table=True))
        for sum in sums[1:]:
            a.do("mov", sum, sums[0])
    a.put(at.scales, scales)
    for slot, register in ((at.w, w), (at.x, x), (a.passed("zeros"), zeros)):
        a.get(slot, register)
    if step is not None:
        a.get(a.passed("step"), step)
    a.put(at.rows, a.get(a.passed("rows")))
    a.put(at.end, a.get(at.first_end))
    a.label("row")
    a.jump(a.get(at.entry))
    with a.apart() as ends:
        a.do("cmp", x, a.get(at.end))
    a.repeat(LOOP, turn, ends, "ne", unrolled(len(turn), timing), held=("x",))
    rows = a.get(at.rows)
    a.do("sub", w, w, Lead(LOOP, w))
    a.do("add", w, w, a.get(a.passed("skip")))
    a.do("subs", rows, rows, 1)
    a.branch("eq", "outputs")
    a.put(at.rows, rows)
    a.do("add", x, x, a.get(at.gap))
    a.put(at.end, a.new("add", a.get(at.end), a.get(a.passed("pitch"))))
    a.branch(None, "row")
    a.label("outputs")
    a.put(at.w, a.new("add", w, a.get(a.passed("more"))))
    _outputs(a, at, loop, once)
    pairs = a.get(at.pairs)
    a.do("subs", pairs, pairs, 1)
    a.put(at.pairs, pairs)
    a.branch("ne", "pair")
    return a.finish()


def _turn(a: Assembler, loop: _Loop) -> list[Instruction]:
    """A word of each pixel; of several it is loaded for each half, so that registers suffice."""
    with a.apart() as turn:
        values: list[Register] = []
        for half in range(2):
            word = a.new("ldr", Place(loop.w, step=4, region="w", table=True), into="word")
            if half == 0 or loop.step is not None:
                values = _words(a, loop, half == 1)
            again = half == 0 and loop.step is None
            elements = a.registers("elements", 1) if again else values
            for element, value in zip(elements, values, strict=True):
                a.do("sxtab16", element, loop.zeros, Shifted(value, "ror", 8) if half else value)
            for sum, element in zip(loop.both, elements, strict=True):
                a.do("smlad", sum, word, element, sum)
            a.do("sxtb16", word, word)
            for sum, element in zip(loop.low, elements, strict=True):
                a.do("smlad", sum, word, element, sum)
    return turn


def _words(a: Assembler, loop: _Loop, last: bool) -> list[Register]:
    """The next word of x of each pixel; the last load of them steps on."""
    if loop.step is None:
        return [a.new("ldr", Place(loop.x, step=4, region="x"), into="x")]
    others = [Place(loop.x, region="x", index=loop.step, shift=n) for n in range(len(loop.low) - 1)]
    values = [a.new("ldr", place, into="x") for place in others]
    first = Place(loop.x, step=4, region="x") if last else Place(loop.x, region="x")
    return [a.new("ldr", first, into="x"), *values]


def _start(a: Assembler, at: _Slots, length: int, unroll: int) -> None:
    from_x = a.argument("x")
    for slot, name in ((at.y, "y"), (at.w, "w"), (at.x, "x"), (at.scales, "scales")):
        a.put(slot, a.argument(name))
    words = a.get(a.passed("words"))
    a.put(at.first_end, a.new("add", from_x, Shifted(words, "lsl", 2)))
    a.put(at.gap, a.new("sub", a.get(a.passed("pitch")), Shifted(words, "lsl", 2)))
    a.put(at.pairs, a.get(a.passed("pairs")))
    a.put(at.entry, a.enter(LOOP, length, a.new("and", a.new("rsb", words, 0), unroll - 1)))


def _outputs(a: Assembler, at: _Slots, loop: _Loop, once: bool) -> None:
    """Outputs from the sums of the low channel and of both, halves rounded away from zero, or `once`; and on to the next pair."""
    scales = a.get(at.scales)
    half = None if once else a.new("mov", 1 << (BITS - 2))
    for low, both in zip(loop.low, loop.both, strict=True):
        a.do("sub", both, both, low)
        a.do("lsl", low, low, BITS)
    for sums in (loop.low, loop.both):
        multiplier, offset, shift = (
            a.new("ldr", Place(scales, step=4, region="scales", table=True), into=name)
            for name in ("multiplier", "offset", "shift")
        )
        for sum in sums:
            if half is None:
                a.do("smmla", sum, sum, multiplier, offset)
            else:
                a.do("smmla", sum, sum, multiplier, half)
                away = a.new("add", offset, Shifted(sum, "asr", 31))
                a.do("add", sum, sum, Shifted(away, "lsl", EXTRA))
            a.do("asr", sum, sum, shift)
            a.do("ssat", sum, 8, sum)
    a.put(at.scales, scales)
    y, channels = a.get(at.y), a.get(a.passed("channels"))
    a.put(at.y, a.new("add", y, 2))
    for low, both in zip(loop.low, loop.both, strict=True):
        a.do("strb", low, Place(y, region="y"))
        a.do("strb", both, Place(y, offset=1, region="y"))
        a.do("add", y, y, channels)
