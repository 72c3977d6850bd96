"""Winograd's F(4x4, 3x3): B' d B of all tiles of a block, four channels of a tile at a time.

`image` has rows of `length` bytes and pixels of `depth` channels; a tile has six of each under it, and the next one begins four
further. `tiles` become [group][position][word][tile], with three tiles in a group, the last one perhaps of fewer; a word has two
channels, those at 0 and 2 or at 1 and 3 of four.

Two elements are computed with in one word, 65536 * high + low, by plain additions with shifts: they are taken as x + 128, without a
sign, and what the low half borrows from the high one is given back at the end, by adding 32768 and inverting that bit. First the
columns, to a corner on the stack, then the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from smelt.loops.assembly.builder import Assembler
from smelt.loops.assembly.compile import LOOP_ALIGN
from smelt.loops.assembly.ir import STACK, Code, Place, Register, Shifted, Slot
from smelt.loops.assembly.timing import Timing

PARAMETERS = ("tiles", "image", "rows", "columns", "depth", "length")
SIZE, OUT, GROUP = 6, 4, 3
WORD = 4
LINE = WORD * SIZE  # bytes of a row of the corner
HALF = LINE * SIZE  # of two of the four channels
WITHOUT_SIGN = 0x00800080  # added to two elements
BORROWED = 0x8000

Store = Callable[[int, Register], None]


@dataclass(frozen=True)
class _Slots:
    """What lies on the stack besides the corner: where four channels of a tile are, the tile, and the row of tiles; where the four
    channels and the tile go; bytes between two words and two positions; how many fours of channels are left; how many tiles a row
    has, and how many are left in it; how many rows are left, how many tiles of the group, and how many of all behind that."""

    x: Slot
    tile_x: Slot
    line_x: Slot
    y: Slot
    tile_y: Slot
    word: Slot
    position: Slot
    fours: Slot
    all_columns: Slot
    columns: Slot
    rows: Slot
    inside: Slot
    tiles: Slot


def tile_inputs(timing: Timing) -> Code:
    a = Assembler("winograd_inputs", PARAMETERS)
    corner = a.room("corner", 2 * SIZE * SIZE)
    at = _Slots(*(a.slot(f.name) for f in fields(_Slots)))
    _start(a, at)
    a.label("group")
    _group(a, at)
    a.label("tile")
    a.put(at.y, a.get(at.tile_y))
    a.put(at.x, a.get(at.tile_x))
    a.put(at.fours, a.new("lsr", a.get(a.passed("depth")), 2))
    a.label("four")
    _columns(a, at, corner)
    _rows(a, at, corner)
    _next(a, at)
    return a.finish()


def _start(a: Assembler, at: _Slots) -> None:
    tiles, image, rows, columns = (a.argument(name) for name in PARAMETERS[:4])
    for slot, register in ((at.tile_y, tiles), (at.tile_x, image), (at.line_x, image), (at.rows, rows)):
        a.put(slot, register)
    for slot in (at.columns, at.all_columns):
        a.put(slot, columns)
    a.put(at.tiles, a.new("mul", rows, columns))


def _group(a: Assembler, at: _Slots) -> None:
    """A group of tiles begins: how many it has, and how far its words are apart."""
    left, inside = a.get(at.tiles), a.register("inside")
    a.do("mov", inside, GROUP)
    a.do("cmp", left, GROUP)
    a.branch("ge", "full")
    a.do("mov", inside, left)
    a.label("full")
    a.put(at.tiles, a.new("sub", left, GROUP))
    a.put(at.inside, inside)
    a.put(at.word, a.new("lsl", inside, 2))
    both = a.new("mul", inside, a.get(a.passed("depth")))
    a.put(at.position, a.new("lsl", both, 1))


def _columns(a: Assembler, at: _Slots, corner: Slot) -> None:
    """B' of the six columns of four channels."""
    x, to, without_sign = a.get(at.x), a.address(corner), a.new("mov", WITHOUT_SIGN)
    a.put(at.x, a.new("add", x, WORD))
    a.label("columns", LOOP_ALIGN)
    length = a.get(a.passed("length"))
    second = a.new("add", x, length)
    places = [Place(x, region="image"), Place(x, index=length, region="image")]
    places += [Place(base, index=length, shift=n, region="image") for n in (1, 2) for base in (x, second)]
    words = [a.new("ldr", place, into="word") for place in places]
    a.do("add", x, x, a.get(a.passed("depth")))
    for half in range(2):

        def load(i: int, half: int = half) -> Register:
            moved = Shifted(words[i], "ror", 8) if half else words[i]
            return a.new("sxtab16", without_sign, moved, into="d")

        def store(i: int, value: Register, half: int = half) -> None:
            a.do("str", value, Place(to, offset=HALF * half + LINE * i, region=STACK))

        _six(a, load, store)
    a.do("add", to, to, WORD)
    a.do("cmp", to, a.address(corner, LINE))
    a.branch("ne", "columns")


def _rows(a: Assembler, at: _Slots, corner: Slot) -> None:
    """B' of the six rows that the columns became."""
    line, y, word, position = a.address(corner), a.get(at.y), a.get(at.word), a.get(at.position)
    places = y, a.new("add", y, word)
    a.put(at.y, a.new("add", y, Shifted(word, "lsl", 1)))
    a.label("rows", LOOP_ALIGN)
    for half, to in enumerate(places):

        def load(i: int, half: int = half) -> Register:
            return a.new("ldr", Place(line, offset=HALF * half + WORD * i, region=STACK), into="d")

        def store(i: int, value: Register, to: Register = to) -> None:
            a.do("eor", value, value, BORROWED)
            a.do("str", value, Place(to, region="tiles"))
            a.do("add", to, to, position)

        _six(a, load, store, rows=True)
    a.do("add", line, line, LINE)
    a.do("cmp", line, a.address(corner, HALF))
    a.branch("ne", "rows")


def _six(a: Assembler, load: Callable[[int], Register], store: Store, rows: bool = False) -> None:
    """B' of six values. Those of `rows` are stored in their order, and lack only that `BORROWED` is inverted; of columns the last
    one comes second, as that takes fewer registers."""
    d2, d4 = load(2), load(4)
    a.do("sub", d4, d4, d2)
    if rows:
        a.do("add", d4, d4, BORROWED)
    d0 = load(0)
    a.do("sub", d0, d0, d2)
    a.do("add", d0, d4, Shifted(d0, "lsl", 2))
    store(0, d0)
    a.do("add", d2, d2, Shifted(d2, "lsl", 1))
    a.do("sub", d2, d4, d2)
    d1, d3, d5 = load(1), load(3), load(5)
    a.do("sub", d5, d5, d3)
    a.do("sub", d3, d3, d1)
    if rows:
        a.do("add", d5, d5, BORROWED)
    a.do("sub", d5, d5, Shifted(d3, "lsl", 2))
    if not rows:
        store(5, d5)
    a.do("add", d1, d1, Shifted(d1, "lsl", 1))
    a.do("sub", d1, d3, d1)
    store(1, a.new("add", d2, d1, into="s"))
    store(2, a.new("sub", d2, d1, into="s"))
    store(3, a.new("add", d4, Shifted(d3, "lsl", 1), into="s"))
    store(4, a.new("sub", d4, Shifted(d3, "lsl", 1), into="s"))
    if rows:
        store(5, d5)


def _next(a: Assembler, at: _Slots) -> None:
    """On to the next four channels, the next tile, the next row of tiles."""
    fours = a.get(at.fours)
    a.do("subs", fours, fours, 1)
    a.put(at.fours, fours)
    a.branch("ne", "four")
    x, depth = a.get(at.tile_x), a.get(a.passed("depth"))
    a.do("add", x, x, Shifted(depth, "lsl", 2))
    columns = a.get(at.columns)
    a.do("subs", columns, columns, 1)
    a.branch("ne", "beside")
    a.get(at.line_x, x)
    a.do("add", x, x, Shifted(a.get(a.passed("length")), "lsl", 2))
    a.put(at.line_x, x)
    rows = a.get(at.rows)
    a.do("subs", rows, rows, 1)
    a.put(at.rows, rows)
    a.branch("eq", "done")
    a.get(at.all_columns, columns)
    a.label("beside")
    a.put(at.columns, columns)
    a.put(at.tile_x, x)
    y, inside = a.get(at.tile_y), a.get(at.inside)
    a.do("add", y, y, WORD)
    a.put(at.tile_y, y)
    a.do("subs", inside, inside, 1)
    a.put(at.inside, inside)
    a.branch("ne", "tile")
    position = a.get(at.position)
    a.put(at.tile_y, a.new("sub", a.new("mla", position, a.new("mov", SIZE * SIZE), y), a.get(at.word)))
    a.branch(None, "group")
    a.label("done")
