"""The operators of two operands that work element by element, with broadcasting."""

from __future__ import annotations

from collections.abc import Callable

from smelt.importers.tflite_site import INT8, REAL, Arm, Site
from smelt.model.graph import Op, Tensor
from smelt.model.ops import Add, Binary, Maximum, Minimum, Mul
from smelt.model.ops_pointwise import (
    AddN,
    Compare,
    Div,
    FloorDiv,
    FloorMod,
    LogicalAnd,
    LogicalOr,
    Power,
    Prelu,
    Relation,
    Select,
    SquaredDifference,
)

Build = Callable[[Site], tuple[Op, ...]]


def broadcast(at: Site, left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
    """NumPy's broadcasting."""
    axes = max(len(left), len(right))
    pairs = zip((1,) * (axes - len(left)) + left, (1,) * (axes - len(right)) + right, strict=True)
    shape = tuple(b if a == 1 else a for a, b in pairs)
    for found in (left, right):
        if any(size not in (1, whole) for size, whole in zip(reversed(found), reversed(shape), strict=False)):
            at.broken(f"shapes {list(left)} and {list(right)} do not go together")
    return shape


def two(at: Site, raw: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """The operands of an operator that works element by element, and its result, all of one type."""
    x, x2, y = at.x(0, raw=raw), at.x(1, raw=raw), at.y(raw=raw)
    at.alike(x, x2, y)
    return x, x2, at.agree(y, broadcast(at, x.shape, x2.shape))


def sum_of(at: Site, subtract: bool) -> tuple[Op, ...]:
    x, x2, y = two(at)
    clamp = at.clamp(0, y)
    if y.dtype in PLAIN:
        plain = not any(tensor.quantization for tensor in (x, x2, y))
        at.demand(plain, f"its tensors are {y.dtype} with scales; such sums are of plain integers")
        clamp = clamp if subtract else y.element.range  # TFLM's sums of plain integers know no activation
    return (Add(y=y, x=x, x2=x2, subtract=subtract, clamp=clamp),)


def add(at: Site) -> tuple[Op, ...]:
    return sum_of(at, subtract=False)


def sub(at: Site) -> tuple[Op, ...]:
    return sum_of(at, subtract=True)


def mul(at: Site) -> tuple[Op, ...]:
    x, x2, y = two(at)
    at.demand_no_zero(x, x2, y)
    return (Mul(y=y, x=x, x2=x2, clamp=at.clamp(0, y)),)


def div(at: Site) -> tuple[Op, ...]:
    x, x2, y = two(at)
    return (Div(y=y, x=x, x2=x2, clamp=at.clamp(0, y)),)


def simple(kind: type[Binary], raw: bool = False) -> Build:
    """An operator without options; `raw` where it looks at stored values alone."""

    def build(at: Site) -> tuple[Op, ...]:
        x, x2, y = two(at, raw)
        if not raw:
            at.demand_no_zero(x, x2, y)
        return (kind(y=y, x=x, x2=x2),)

    return build


def compare(relation: Relation) -> Build:
    def build(at: Site) -> tuple[Op, ...]:
        x, x2, y = at.x(0), at.x(1), at.y(types=("bool",))
        at.alike(x, x2)
        return (Compare(y=at.agree(y, broadcast(at, x.shape, x2.shape)), x=x, x2=x2, relation=relation),)

    return build


def select(at: Site) -> tuple[Op, ...]:
    condition, x, x2, y = at.x(0, ("bool",)), at.x(1, raw=True), at.x(2, raw=True), at.y(raw=True)
    at.alike(x, x2, y)
    shape = broadcast(at, condition.shape, broadcast(at, x.shape, x2.shape))
    return (Select(y=at.agree(y, shape), condition=condition, x=x, x2=x2),)


def select_whole(at: Site) -> tuple[Op, ...]:
    """The first SELECT: no broadcasting, but a condition that is a scalar, or chooses rows."""
    condition, x, x2 = at.x(0, ("bool",)), at.x(1, raw=True), at.x(2, raw=True)
    at.demand(x.shape == x2.shape, "its operands have different shapes; SELECT_V2 broadcasts")
    if len(condition.shape) == 1 and len(x.shape) > 1 and condition.elements > 1:
        at.refuse("its condition chooses rows; SELECT_V2 with a condition of the operands' shape is supported")
    return select(at)


def prelu(at: Site) -> tuple[Op, ...]:
    x, alpha, y = at.x(0), at.x(1, REAL if at.is_real else INT8), at.y()
    at.alike(x, y)
    at.demand_no_zero(x, y)
    at.agree(y, broadcast(at, x.shape, alpha.shape))
    return (Prelu(y=y, x=x, alpha=alpha),)


def add_n(at: Site) -> tuple[Op, ...]:
    xs, y = tuple(at.x(position) for position in range(len(at.operator.inputs))), at.y()
    at.alike(*xs, y)
    if any(x.shape != xs[0].shape for x in xs):
        at.broken("its inputs have different shapes")
    same = all(x.quantization == xs[0].quantization for x in xs)
    at.demand(same, "its inputs are quantised differently; ADD rescales")
    return (AddN(y=at.agree(y, xs[0].shape), xs=xs),)


PLAIN = ("int32", "int64")
SUMMED = ("int8", "int16", *PLAIN, "float32")
COMPARED = ("int8", *PLAIN, "float32")
SELECTED = ("int8", "uint8", "int16", "int32", "int64", "bool", "float32")
MOST = 64  # operands of ADD_N

BINARY: tuple[Arm, ...] = (
    Arm("ADD", "broadcasting", (2, 2), add, 11, types=SUMMED),
    Arm("SUB", "broadcasting", (2, 2), sub, 28, types=SUMMED),
    Arm("MUL", "broadcasting", (2, 2), mul, 21, types=SUMMED),
    Arm("DIV", "broadcasting", (2, 2), div, 29, types=("int8", "int32", "float32")),
    Arm(
        "SQUARED_DIFFERENCE",
        "broadcasting",
        (2, 2),
        simple(SquaredDifference),
        76,
        types=("int8", "int16", "int32", "float32"),
    ),
    Arm("FLOOR_DIV", "broadcasting", (2, 2), simple(FloorDiv), 65, types=("int32", "float32"), oracle="LiteRT"),
    Arm("FLOOR_MOD", "broadcasting", (2, 2), simple(FloorMod), 72, types=("int32", "float32"), oracle="LiteRT"),
    Arm("POW", "broadcasting", (2, 2), simple(Power), 56, types=("int32", "float32"), oracle="LiteRT"),
    Arm("MINIMUM", "broadcasting", (2, 2), simple(Minimum, raw=True), 39, types=SUMMED),
    Arm("MAXIMUM", "broadcasting", (2, 2), simple(Maximum, raw=True), 39, types=SUMMED),
    Arm("EQUAL", "broadcasting", (2, 2), compare("=="), 53, (*COMPARED, "bool"), by_operand=True),
    Arm("NOT_EQUAL", "broadcasting", (2, 2), compare("!="), 54, (*COMPARED, "bool"), by_operand=True),
    Arm("GREATER", "broadcasting", (2, 2), compare(">"), 44, COMPARED, by_operand=True),
    Arm("GREATER_EQUAL", "broadcasting", (2, 2), compare(">="), 45, COMPARED, by_operand=True),
    Arm("LESS", "broadcasting", (2, 2), compare("<"), 41, COMPARED, by_operand=True),
    Arm("LESS_EQUAL", "broadcasting", (2, 2), compare("<="), 46, COMPARED, by_operand=True),
    Arm("LOGICAL_AND", "broadcasting", (2, 2), simple(LogicalAnd), 62, types=("bool",)),
    Arm("LOGICAL_OR", "broadcasting", (2, 2), simple(LogicalOr), 60, types=("bool",)),
    Arm("SELECT_V2", "broadcasting", (3, 3), select, 98, types=SELECTED),
    Arm(
        "SELECT",
        "a condition of the operands' shape, or one for all",
        (3, 3),
        select_whole,
        47,
        SELECTED,
        oracle="LiteRT",
    ),
    Arm("PRELU", "broadcasting", (2, 2), prelu, types=("int8", "int16", "float32")),
    Arm("ADD_N", "operands quantised alike", (2, MOST), add_n, 82, types=("int8", "float32")),
)
