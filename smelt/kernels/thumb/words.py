"""Element by element, four bytes of a word at a time: sums and products of two operands with scales.

Two bytes become the halves of a word. Sums of them with factors, or products that are rescaled, have their results in their upper
halves; two of these are limited to uint8 at once, and turned to int8 when all four are in their word. A turn makes four words;
operands may be what is written, as each word is read first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from smelt.loops.assembly.builder import Assembler
from smelt.loops.assembly.compile import LOOP_ALIGN
from smelt.loops.assembly.ir import Code, Place, Register, Shifted
from smelt.loops.assembly.timing import Timing

SUM = ("y", "x", "x2", "rounds", "factor", "factor2", "offset")
PRODUCT = ("y", "x", "x2", "rounds", "multiplier", "scale", "offset", "zeros", "zeros2")
TURN = 4  # words
LOWER, SIGNS = 0x00FF00FF, 0x80808080

Halves = Callable[[Sequence[Register], bool], Register]
"""Two results, from words of the operands: of bytes 0 and 2, or of the odd ones."""


def sum_words(timing: Timing) -> Code:
    """Bytes in halves are 256 times their value; products are cut off after 16 bits, and added to `offset`."""
    a = Assembler("sum_words", SUM)
    factors = [a.get(a.passed(name)) for name in ("factor", "factor2")]
    offset, upper = a.get(a.passed("offset")), a.new("mvn", LOWER, into="upper")

    def halves(operands: Sequence[Register], odd: bool) -> Register:
        unpacked = [a.new("and", upper, x if odd else Shifted(x, "lsl", 8), into="halves") for x in operands]
        sums = []
        for multiply in ("smlawb", "smlawt"):
            total = a.new(multiply, factors[0], unpacked[0], offset, into="sum")
            a.do(multiply, total, factors[1], unpacked[1], total)
            sums.append(total)
        return _two(a, sums)

    return _loop(a, halves)


def product_words(timing: Timing) -> Code:
    """A product p, p = p + (p * multiplier / 2^32, rounded) as TensorFlow Lite rounds it, p = p - (p < 0), p * scale + offset:
    `zeros` are added to the operands; `scale` and `offset` lead to the upper half what a shift with halves away from zero gives."""
    a = Assembler("product_words", PRODUCT)
    multiplier, scale, offset, *zeros = (a.get(a.passed(name)) for name in PRODUCT[4:])

    def halves(operands: Sequence[Register], odd: bool) -> Register:
        distances = [
            a.new("sxtab16", zero, Shifted(x, "ror", 8) if odd else x, into="halves")
            for x, zero in zip(operands, zeros, strict=True)
        ]
        sums = [a.new(multiply, *distances, into="product") for multiply in ("smulbb", "smultt")]
        for total in sums:
            a.do("smmlar", total, total, multiplier, total)
            a.do("add", total, total, Shifted(total, "asr", 31))
            a.do("mla", total, total, scale, offset)
        return _two(a, sums)

    return _loop(a, halves)


def _two(a: Assembler, sums: Sequence[Register]) -> Register:
    """The upper halves of two sums as uint8."""
    packed = a.new("pkhtb", sums[1], Shifted(sums[0], "asr", 16), into="packed")
    a.do("usat16", packed, 8, packed)
    return packed


def _loop(a: Assembler, halves: Halves) -> Code:
    """All words, `TURN` at a time."""
    y, x, x2, rounds = (a.argument(name) for name in ("y", "x", "x2", "rounds"))
    a.label("loop", LOOP_ALIGN)
    for number in reversed(range(TURN)):
        words = [
            a.new("ldr", _place(pointer, number, TURN, name), into=name) for name, pointer in (("x", x), ("x2", x2))
        ]
        a.do("str", _bytes_of(a, halves(words, False), halves(words, True)), _place(y, number, TURN, "y"))
    return _again(a, rounds)


def _place(pointer: Register, number: int, words: int, region: str) -> Place:
    """Word `number` of a turn of so many; with the first, which comes last, the pointer goes on."""
    return Place(pointer, 4 * number, step=0 if number else 4 * words, region=region)


def _bytes_of(a: Assembler, low: Register, high: Register) -> Register:
    """A word of int8 from uint8 in halves: bytes 0 and 2, and the odd ones."""
    word = a.new("orr", low, Shifted(high, "lsl", 8), into="word")
    a.do("eor", word, word, SIGNS)
    return word


def _again(a: Assembler, rounds: Register) -> Code:
    """The end of a turn, and of the routine."""
    a.do("subs", rounds, rounds, 1)
    a.branch("ne", "loop")
    return a.finish()


def _bytes(a: Assembler, word: Register) -> list[Register]:
    """The bytes of a word, without signs."""
    return [*(a.new("ubfx", word, 8 * i, 8, into="byte") for i in range(3)), a.new("lsr", word, 24, into="byte")]


def _base(a: Assembler, table: Register, left_out: Register) -> Register:
    """Where the table would begin with all its entries."""
    entries = a.new("and", left_out, 0xFF)
    return a.new("sub", table, Shifted(entries, "lsl", 2), into="base")


def _exponentials(a: Assembler, x: Register, base: Register, largest: Register, left_out: Register) -> list[Register]:
    """Those of the next four bytes."""
    distances = a.new("usub8", largest, a.new("ldr", Place(x, step=4, region="x"), into="x"), into="distances")
    a.do("uqadd8", distances, distances, left_out)
    return [
        a.new("ldr", Place(base, index=i, shift=2, region="table"), into="exponential") for i in _bytes(a, distances)
    ]


LOOKUP = ("y", "x", "table", "rounds", "signs")
TOTAL = ("total", "x", "table", "rounds", "largest", "left_out")
RESULTS = ("y", "x", "table", "rounds", "largest", "left_out", "multiplier", "factor")


def lookup_words(timing: Timing) -> Code:
    """Entries of a table of bytes; `signs` turns signed bytes to their places in it."""
    a = Assembler("lookup_words", LOOKUP)
    y, x, table, rounds = (a.argument(name) for name in LOOKUP[:4])
    signs = a.get(a.passed("signs"))
    a.label("loop", LOOP_ALIGN)
    for number in reversed(range(TURN)):
        place = a.new("ldr", _place(x, number, TURN, "x"), into="x")
        a.do("eor", place, place, signs)
        found = [a.new("ldrb", Place(table, index=i, region="table"), into="entry") for i in _bytes(a, place)]
        low, high = (a.new("orr", found[i], Shifted(found[i + 1], "lsl", 8), into="two") for i in (0, 2))
        a.do("orr", low, low, Shifted(high, "lsl", 16))
        a.do("str", low, _place(y, number, TURN, "y"))
    return _again(a, rounds)


def softmax_total(timing: Timing) -> Code:
    """The sum of (exponential + 2^11) / 2^12 for the distances of bytes from the largest one; `left_out` are the entries that the
    table lacks of 256, in all four bytes, whose place its last one takes."""
    a = Assembler("softmax_total", TOTAL)
    total_at, x, table, rounds = (a.argument(name) for name in TOTAL[:4])
    largest, left_out = (a.get(a.passed(name)) for name in TOTAL[4:])
    base, total, shift = _base(a, table, left_out), a.register("total"), a.new("mov", 1 << 20)
    a.do("mov", total, 0)
    a.label("loop", LOOP_ALIGN)
    for e in _exponentials(a, x, base, largest, left_out):
        a.do("smmlar", total, e, shift, total)
    a.do("subs", rounds, rounds, 1)
    a.branch("ne", "loop")
    a.do("str", total, Place(total_at, region="total"))
    return a.finish()


def softmax_results(timing: Timing) -> Code:
    """(exponential * scale / 2^31, rounded) * factor / 2^32, rounded, of each distance; `multiplier` is 2 scale - 2^32."""
    a = Assembler("softmax_results", RESULTS)
    y, x, table, rounds = (a.argument(name) for name in RESULTS[:4])
    largest, left_out, multiplier, factor = (a.get(a.passed(name)) for name in RESULTS[4:])
    base = _base(a, table, left_out)
    a.label("loop", LOOP_ALIGN)
    values = _exponentials(a, x, base, largest, left_out)
    for e in values:
        a.do("smmlar", e, e, multiplier, e)
        a.do("smmulr", e, e, factor)
    halves = [a.new("pkhbt", values[i], Shifted(values[i + 2], "lsl", 16), into="two") for i in range(2)]
    for two in halves:
        a.do("usat16", two, 8, two)
    a.do("str", _bytes_of(a, *halves), Place(y, step=4, region="y"))
    return _again(a, rounds)
