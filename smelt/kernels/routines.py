"""The routines whose hearts are in assembly, as values: where they are, what they read and write, and what they take of the stack.

Of those that are built all of that is read from their instructions; the others declare it. The headers beside this file say what
each does. A test watches every one of them against its parameters and against `stack`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from smelt.kernels.thumb.dense_floats import dense_floats as build_dense_floats
from smelt.kernels.thumb.groups import groups as build_groups
from smelt.kernels.thumb.pixels import pixels as build_pixels
from smelt.kernels.thumb.planes import planes as build_planes
from smelt.kernels.thumb.products import products as build_products
from smelt.kernels.thumb.quantize import quantize as build_quantize
from smelt.kernels.thumb.sifted import sift as build_sift
from smelt.kernels.thumb.sifted import sifted as build_sifted
from smelt.kernels.thumb.thin import thin as build_thin
from smelt.kernels.thumb.tile_inputs import tile_inputs as build_tile_inputs
from smelt.kernels.thumb.tile_outputs import tile_outputs as build_tile_outputs
from smelt.kernels.thumb.tile_weights import tile_weights as build_tile_weights
from smelt.kernels.thumb.tiles import tiles as build_tiles
from smelt.kernels.thumb.units import units as build_units
from smelt.kernels.thumb.words import lookup_words, product_words, softmax_results, softmax_total, sum_words
from smelt.loops.assembly.ir import Code
from smelt.loops.assembly.reach import Reader
from smelt.loops.assembly.text import stack_bytes
from smelt.loops.assembly.timing import Timing
from smelt.loops.ir import Const, Expr, Var, minimum
from smelt.loops.routine import Number, Parameter, Reads, Routine, Updates, Writes

Builder = Callable[[Timing], Code]
"""Writes a routine in assembly; how long its loops are written out depends on the core."""
PLANE_PITCH = 52  # elements of a line of a plane
POSITIONS = 36  # of a tile of Winograd's F(4x4, 3x3)
GROUP = 3  # tiles that are multiplied together
DEPTHS = (16, 32, 64)  # for which the routine for weights is written in particular
GROUP_SUMS = POSITIONS * 2 * GROUP
QUAD_NUMBERS = {"sums": 1, "narrow": 4, "split": 6, "twice": 4}  # of a channel, by what becomes of sums
QUAD_WEIGHTS = {"": 4, "_16": 4, "_w4": 2, "_w2": 1}  # words of weights that meet a word of x: see the header
NINE_NUMBERS = {"narrow": 3, "split": 5, "twice": 4}


def _count(name: str, multiple: int = 1) -> Number:
    """How many there are of something, at least one."""
    return Number(name, multiple, multiple)


WORDS, ROWS, BLOCKS, DEPTH = _count("words"), _count("rows"), _count("blocks"), Number("depth")
ZERO, SHIFT, BITS = Number("zero"), Number("shift"), Number("bits")
_ONCE = ("", "_once")
SCALE = (Number("multiplier"), Number("offset"), SHIFT)  # of all units


def _products(pixels: int, plain: bool) -> Routine:
    """Products of two channels with a row of pixels, `pixels` at a time; `step` and `pitch` are in bytes."""
    parameters = (
        Writes("sums", "int32_t"),
        Reads("w", "int32_t"),
        Reads("x", "int16_t", also=("int32_t",)),
        *(
            Number("low"),
            Number("both"),
            WORDS,
            Number("step", 2, 2),
            ROWS,
            Number("pitch", 0, 2),
            Number("pixels", pixels),
        ),
    )
    return _built(f"{'plain' if plain else 'products'}_{pixels}", "smelt_products.h", parameters)


def _built(
    name: str, source: str, parameters: tuple[Parameter, ...], reading: Timing | None = None, floats: bool = False,
    turn: int = 0,
) -> Routine:  # fmt: skip
    """One of `BUILT`; as it is `reading` for, it reads no less than for any core."""
    code = BUILT[name](reading or Timing())
    return Routine(name, source, parameters, stack_bytes(code.words), floats, turn, Reader.of_code(code))


BUILT: Mapping[str, Builder] = {
    **{f"products_{pixels}": partial(build_products, pixels=pixels, plain=False) for pixels in (1, 2, 3)},
    **{f"plain_{pixels}": partial(build_products, pixels=pixels, plain=True) for pixels in (1, 2, 3)},
    **{f"units_{pairs}": partial(build_units, pairs=pairs, whole=False) for pairs in (1, 2, 3)},
    **{f"unit_outputs_{pairs}": partial(build_units, pairs=pairs, whole=True) for pairs in (1, 2, 3)},
    **{f"unit_outputs_{pairs}_once": partial(build_units, pairs=pairs, whole=True, once=True) for pairs in (1, 2, 3)},
    "quantize": build_quantize,
    "quantize_even": partial(build_quantize, even=True),
    "dense_eights": build_dense_floats,
    "sift": build_sift,
    "sifted": build_sifted,
    "sifted_once": partial(build_sifted, once=True),
    "groups": build_groups,
    "groups_once": partial(build_groups, once=True),
    **{f"plane_{stride}": partial(build_planes, stride=stride) for stride in (1, 2)},
    **{f"plane_{stride}_once": partial(build_planes, stride=stride, once=True) for stride in (1, 2)},
    "thin": build_thin,
    "thin_once": partial(build_thin, once=True),
    **{f"pixels_{count}": partial(build_pixels, count=count) for count in (1, 3)},
    **{f"pixels_{count}_once": partial(build_pixels, count=count, once=True) for count in (1, 3)},
    "winograd_eight": partial(build_tiles, once=True),
    "winograd_eights": partial(build_tiles, once=False),
    "winograd_inputs": build_tile_inputs,
    "winograd_weights": build_tile_weights,
    **{f"winograd_weights_{depth}": partial(build_tile_weights, depth=depth) for depth in DEPTHS},
    "winograd_positive": partial(build_tile_outputs, signed=False),
    "winograd_signed": partial(build_tile_outputs, signed=True),
    "winograd_once": partial(build_tile_outputs, signed=False, once=True),
    "sum_words": sum_words,
    "product_words": product_words,
    "lookup_words": lookup_words,
    "softmax_total": softmax_total,
    "softmax_results": softmax_results,
}
"""The routines that are built as assembly for each core, by name; the others are written in the headers."""


def _units(pairs: int, whole: bool, once: bool = False) -> Routine:
    """The sums of blocks of so many pairs of units; or their outputs, where all units share their scale."""
    read = Reads("starts", "int32_t"), Reads("w", "int32_t"), Reads("x", "int8_t")
    if whole:
        parameters = (Writes("y", "int8_t"), *read, WORDS, *SCALE, BLOCKS)
        return _built(f"unit_outputs_{pairs}{_ONCE[once]}", "smelt_units.h", parameters)
    return _built(f"units_{pairs}", "smelt_units.h", (Writes("sums", "int32_t"), *read, WORDS, BLOCKS))


def _groups(once: bool = False) -> Routine:
    """Two channels of groups of three pixels."""
    parameters = (
        *(Reads("w", "int32_t"), Reads("x", "int32_t"), Writes("y", "int8_t"), Reads("channel", "int32_t")),
        *(WORDS, _count("groups"), Number("step", 1), *((SHIFT,) if once else (ZERO, SHIFT))),
    )
    return _built(f"groups{_ONCE[once]}", "smelt_groups.h", parameters)


def _plane(stride: int, once: bool = False) -> Routine:
    """All outputs of a channel of a depthwise layer, from a plane; `pitch` is in bytes."""
    parameters = (
        *(Reads("w", "int8_t"), Reads("x", "int16_t"), Writes("y", "int8_t"), Reads("channel", "int32_t")),
        *(Number("down"), Number("along"), _count("lines"), Number("pitch", 1), Number("outputs", 4)),
        *(Number("step", 1), Number("line_step", 1), BITS if once else ZERO, SHIFT),
    )
    return _built(f"plane_{stride}{_ONCE[once]}", "smelt_planes.h", parameters)


def _eight(once: bool = False) -> Routine:
    """One channel of a pointwise layer that reads eight; a pixel of x is four words."""
    parameters = (
        *(Reads("w", "int8_t"), Reads("x", "int32_t"), Writes("y", "int8_t"), Reads("channel", "int32_t")),
        *(_count("pixels", 4), Number("step", 1), BITS if once else ZERO, SHIFT),
    )
    return _built(f"thin{_ONCE[once]}", "smelt_thin.h", parameters)


def _pixels(count: int, once: bool = False) -> Routine:
    """Pairs of channels of so many pixels."""
    parameters = (
        *(Writes("y", "int8_t"), Reads("w", "int32_t"), Reads("x", "int8_t"), Reads("scales", "int32_t")),
        *(WORDS, ROWS, Number("pitch", 0), Number("skip", 0, 4), _count("pairs"), Number("more", 0, 4)),
        *(Number("step", 1), Number("channels", 1), Number("zeros")),
    )
    return _built(f"pixels_{count}{_ONCE[once]}", "smelt_pixels.h", parameters)


def _tile_groups(tiles: Expr) -> Expr:
    return (tiles + (GROUP - 1)) // GROUP


def _winograd_products(name: str, words: Number) -> Routine:
    """The sums of two channels at all positions of tiles."""
    tiles = _count("count")
    parameters = (
        Writes("sums", "int32_t", _tile_groups(tiles.value) * GROUP_SUMS),
        Reads("weights", "int32_t", words.value * (2 * POSITIONS) + 2),
        Reads("tiles", "int32_t", tiles.value * words.value * POSITIONS + GROUP),
        *(words, tiles),
    )
    return _built(name, "smelt_tiles.h", parameters) if name in BUILT else Routine(name, "smelt_tiles.h", parameters)


def _winograd_outputs(name: str) -> Routine:
    """The outputs of one channel of tiles, whose biases are added to the sums where they are."""
    parameters = (
        *(Writes("y", "int8_t"), Updates("sums", "int32_t"), Reads("channel", "int32_t")),
        *(ROWS, _count("columns"), Number("length", 1), _count("channels")),
        *((SHIFT,) if name.endswith(_ONCE[True]) else (ZERO, SHIFT)),
    )
    return _built(name, "smelt_tiles.h", parameters)


def _winograd_inputs() -> Routine:
    """B' d B of tiles: see conv2d_winograd4."""
    parameters = (
        *(Writes("tiles", "int32_t"), Reads("image", "int8_t")),
        *(ROWS, _count("columns"), _count("depth", 4), Number("length", 1)),
    )
    return _built("winograd_inputs", "smelt_winograd.h", parameters)


def _winograd_weights(only: int | None = None) -> Routine:
    """G w G' of two channels, for any depth or for one."""
    depth = _count("depth", 4) if only is None else Number("depth", only, only, most=only)
    name = "winograd_weights" if only is None else f"winograd_weights_{only}"
    parameters = (Writes("slice", "int32_t"), Reads("weights", "int32_t"), depth)
    return _built(name, "smelt_winograd.h", parameters, reading=Timing(round_bytes=0))


def _sift() -> Routine:
    """A list of the elements that are not zero."""
    parameters = (
        Writes("list", "int32_t", DEPTH.value + 3, by_data=True),
        Reads("x", "int8_t"),
        *(DEPTH, Number("step", 1)),
    )
    return _built("sift", "smelt_sifted.h", parameters)


def _sifted(once: bool = False) -> Routine:
    """The outputs of blocks of eight units, from a list of elements of a row of `depth`."""
    depth = Number("depth", passed=False)
    parameters = (
        *(Writes("y", "int8_t"), Reads("starts", "int32_t")),
        Reads("w", "int32_t", depth.value * BLOCKS.value * 2, by_data=True),
        Reads("list", "int32_t", depth.value + 3, by_data=True),
        *(*SCALE, BLOCKS, depth),
    )
    return _built(f"sifted{_ONCE[once]}", "smelt_sifted.h", parameters)


def _quantize(name: str) -> Routine:
    """float32 to int8; the factors are the high and the low part of 1 / scale, and the scale."""
    parameters = (
        *(Writes("y", "int8_t"), Reads("x", "float"), Reads("factors", "float")),
        *(_count("count"), ZERO),
    )
    return _built(name, "smelt_float.h", parameters, floats=True)


def _dense_eights() -> Routine:
    """The outputs of blocks of eight units, in float32."""
    parameters = (
        *(Writes("y", "float"), Reads("x", "float"), Reads("w", "float"), Reads("bias", "float")),
        *(_count("depth"), BLOCKS),
    )
    return _built("dense_eights", "smelt_dense.h", parameters, floats=True)


def _of_words(name: str, *numbers: str) -> Routine:
    """Results of two operands, four words of bytes a round."""
    rounds = _count("rounds")
    bytes = rounds.value * 16
    operands = (Writes("y", "int8_t", bytes), Reads("x", "int8_t", bytes), Reads("x2", "int8_t", bytes))
    return _built(name, "smelt_bytes.h", (*operands, rounds, *(Number(n) for n in numbers)), turn=16)


def _lookup_words() -> Routine:
    """Entries of a table, four words of bytes a round."""
    rounds = _count("rounds")
    bytes = rounds.value * 16
    parameters = (
        Writes("y", "int8_t", bytes, also=("uint8_t",)),
        Reads("x", "int8_t", bytes, also=("uint8_t",)),
        Reads("table", "int8_t", Const(256), also=("uint8_t",), by_data=True),
        *(rounds, Number("signs")),
    )
    return _built("lookup_words", "smelt_bytes.h", parameters, turn=16)


def _softmax(name: str, result: Writes, rounds: Number, *numbers: str) -> Routine:
    """A pass over a row, a word a round; the table has so many `entries` of 256."""
    entries = Number("entries", 1, passed=False)
    passed = (rounds, *(Number(n) for n in ("largest", "left_out", *numbers)))
    operands = (Reads("x", "int8_t", rounds.value * 4), Reads("table", "int32_t", entries.value, by_data=True))
    return _built(name, "smelt_bytes.h", (result, *operands, *passed, entries), turn=4)


def _quads(pixels: int, end: str, words_of: str) -> Routine:
    """Sums of quads of channels of so many pixels, or the outputs that they make, with such words: all distances in bytes,
    `channels` those of y."""
    words, rows, blocks = WORDS.value, ROWS.value, BLOCKS.value
    step, along, channels = Number("step", 0), Number("along", 4, 4), Number("channels", 4)
    beside, next_word, pitch = (
        (step.value, along.value, channels.value) if pixels > 1 else (Const(0), Const(4), Const(4))
    )
    seen = (rows - 1) * Var("pitch") + (words - 1) * next_word + beside * (pixels - 1) + 4
    made = (pitch * (pixels - 1)) + blocks * 4
    parameters: tuple[Parameter, ...] = (
        Writes("y", "int32_t" if end == "sums" else "int8_t", made),
        Reads("w", "int32_t", words * rows * blocks * QUAD_WEIGHTS[words_of]),
        Reads("x", "int8_t", seen, also=("int16_t",)),
        Reads("scales", "int32_t", blocks * QUAD_NUMBERS[end] * 4),
        *(WORDS, ROWS, Number("pitch", 0), *((step, along) if pixels > 1 else ()), BLOCKS),
        *((channels,) if pixels > 1 else ()),
        Number("bits", 0),
    )
    name = f"quad{'s' if pixels > 1 else ''}_{end}{words_of}"
    return Routine(name, "smelt_quads.h", parameters)


def _interleave() -> Routine:
    """Words of four pixels, side by side."""
    words, rows, step = WORDS.value, ROWS.value, Number("step", 0)
    seen = (rows - 1) * Var("pitch") + words * 4 + step.value * 3
    parameters: tuple[Parameter, ...] = (
        *(Writes("y", "int8_t", words * rows * 16), Reads("x", "int8_t", seen, also=("int16_t",))),
        *(WORDS, ROWS, Number("pitch", 0), step),
    )
    return Routine("interleave", "smelt_quads.h", parameters)


def _nine(stride: int, end: str) -> Routine:
    """Groups of four outputs of channels of a depthwise layer, from a plane of bytes; all distances in bytes. With stride 1 a group
    is two by two."""
    across = 2 if stride == 1 else 4
    channels, lines, groups = _count("channels"), _count("lines"), _count("groups")
    pitch, down, step, y_down, words, x_lines, x_step, x_down, to, size = (
        *(Number(name, 0) for name in ("pitch", "down", "step", "y_down", "words")),
        *(Number(name, 0) for name in ("x_lines", "x_step", "x_down", "to")),
        Number("plane_bytes", 1, passed=False),
    )
    made = (lines.value * (4 // across) - 1) * y_down.value + (groups.value * across - 1) * step.value + channels.value
    gathered = (x_lines.value - 1) * x_down.value + (words.value * 4 - 1) * x_step.value + channels.value
    seen = minimum(words.value, 1) * gathered
    parameters: tuple[Parameter, ...] = (
        *(Writes("y", "int8_t", made), Reads("w", "int32_t", channels.value * 3)),
        *(Updates("plane", "int8_t", size.value), Reads("x", "int8_t", seen)),
        Reads("scales", "int32_t", channels.value * NINE_NUMBERS[end]),
        *(channels, lines, groups, pitch, down, step, y_down, words, x_lines, x_step, x_down, to),
        *(Number("bits", 0), size),
    )
    return Routine(f"nine_{stride}_{end}", "smelt_nine.h", parameters)


def _lines() -> Routine:
    """Bytes of x that are apart, side by side in lines."""
    lines, step, x_down, pitch = _count("lines"), Number("step", 0), Number("x_down", 0), Number("pitch", 0)
    bytes = WORDS.value * 4
    parameters: tuple[Parameter, ...] = (
        Writes("y", "int8_t", (lines.value - 1) * pitch.value + bytes),
        Reads("x", "int8_t", (lines.value - 1) * x_down.value + (bytes - 1) * step.value + 1),
        *(WORDS, lines, step, x_down, pitch),
    )
    return Routine("lines", "smelt_nine.h", parameters)


PRODUCTS = tuple(_products(pixels, plain) for plain in (False, True) for pixels in (1, 2, 3))
UNITS = {pairs: _units(pairs, whole=False) for pairs in (1, 2, 3)}
UNIT_OUTPUTS = {pairs: _units(pairs, whole=True) for pairs in (1, 2, 3)}
UNIT_OUTPUTS_ONCE = {pairs: _units(pairs, whole=True, once=True) for pairs in (1, 2, 3)}
SIFT = _sift()
SIFTED, SIFTED_ONCE = _sifted(), _sifted(once=True)
GROUPS, GROUPS_ONCE = _groups(), _groups(once=True)
PLANES = {stride: _plane(stride) for stride in (1, 2)}
PLANES_ONCE = {stride: _plane(stride, once=True) for stride in (1, 2)}
THIN, THIN_ONCE = _eight(), _eight(once=True)
PIXELS = {count: _pixels(count) for count in (1, 3)}
PIXELS_ONCE = {count: _pixels(count, once=True) for count in (1, 3)}
WINOGRAD_INPUTS = _winograd_inputs()
WINOGRAD_WEIGHTS = {depth: _winograd_weights(depth) for depth in (None, *DEPTHS)}
WINOGRAD_EIGHT = _winograd_products("winograd_eight", Number("words", 8, 8, most=8))
WINOGRAD_EIGHTS = _winograd_products("winograd_eights", Number("words", 16, 8))
WINOGRAD_PRODUCTS = _winograd_products("winograd_products", WORDS)  # for all numbers of words; no assembly
QUANTIZE, QUANTIZE_EVEN = _quantize("quantize"), _quantize("quantize_even")
DENSE_EIGHTS = _dense_eights()
SUM_WORDS = _of_words("sum_words", "factor", "factor2", "offset")
PRODUCT_WORDS = _of_words("product_words", "multiplier", "scale", "offset", "zeros", "zeros2")
LOOKUP_WORDS = _lookup_words()
SOFTMAX_TOTAL = _softmax("softmax_total", Writes("total", "int32_t", Const(1)), _count("rounds"))
SOFTMAX_RESULTS = _softmax(
    "softmax_results", Writes("y", "int8_t", _count("rounds").value * 4), _count("rounds"), "multiplier", "factor"
)
QUADS = {
    (pixels, end, words): _quads(pixels, end, words)
    for pixels in (4, 1)
    for words in QUAD_WEIGHTS
    for end in QUAD_NUMBERS
    if end != "twice" or not words
}
INTERLEAVE = _interleave()
NINE = {(stride, end): _nine(stride, end) for stride in (1, 2) for end in NINE_NUMBERS}
LINES = _lines()
WINOGRAD_OUTPUTS = tuple(_winograd_outputs(f"winograd_{sign}") for sign in ("positive", "signed", "once"))

ROUTINES = (
    *PRODUCTS, *UNITS.values(), *UNIT_OUTPUTS.values(), *UNIT_OUTPUTS_ONCE.values(), SIFT, SIFTED, SIFTED_ONCE, GROUPS, GROUPS_ONCE,
    *PLANES.values(), *PLANES_ONCE.values(), THIN, THIN_ONCE, *PIXELS.values(), *PIXELS_ONCE.values(), WINOGRAD_INPUTS,
    *WINOGRAD_WEIGHTS.values(), WINOGRAD_EIGHT, WINOGRAD_EIGHTS, WINOGRAD_PRODUCTS, *WINOGRAD_OUTPUTS, QUANTIZE, QUANTIZE_EVEN,
    DENSE_EIGHTS, SUM_WORDS, PRODUCT_WORDS, LOOKUP_WORDS, SOFTMAX_TOTAL, SOFTMAX_RESULTS, *QUADS.values(),
    INTERLEAVE, *NINE.values(), LINES,
)  # fmt: skip


def named(routines: tuple[Routine, ...], name: str) -> Routine:
    """The one of that name. Raises KeyError."""
    return {r.name: r for r in routines}[name]


def products(pixels: int, plain: bool = False) -> Routine:
    """The products of one to three pixels at a time."""
    return named(PRODUCTS, f"{'plain' if plain else 'products'}_{pixels}")
