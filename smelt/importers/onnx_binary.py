"""Operators of two and more operands that work element by element, with broadcasting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf

import numpy as np

from smelt.importers.onnx_fused import added, multiplied_bytes, subtracted
from smelt.importers.onnx_nodes import Constant
from smelt.importers.onnx_site import OnnxArm, Site
from smelt.importers.onnx_unary import Reals, reals_of, table_of
from smelt.importers.onnx_views import (
    Decoded,
    Floats,
    Limits,
    Order,
    Promise,
    Shape,
    Source,
    View,
    is_free,
    natural_order,
    permuted_constant,
    places,
    same_place,
    stored_as,
)
from smelt.model.graph import Array, Op, Quantization, Tensor
from smelt.model.ops import Maximum, Minimum
from smelt.model.ops_pointwise import Compare, LogicalAnd, LogicalOr, Power, Prelu, Relation, Select

MOST_PLACES = 1 << 22
Operand = Constant | View


@dataclass(frozen=True, eq=False)
class Aligned:
    """Operands whose equal elements lie at equal places; `view` shows results that are stored as they are."""

    operands: tuple[Operand, ...]
    shape: Shape  # of results, as stored
    seen: Callable[[Source], View]

    def reals(self, at: Site) -> tuple[Tensor, ...]:
        """Tensors of float32."""
        return tuple(tensor_of(at, operand) for operand in self.operands)


def tensor_of(at: Site, operand: Operand) -> Tensor:
    """A constant or a value as a tensor."""
    if isinstance(operand, View):
        return at.bench.held(operand)
    return at.bench.constant(f"{at.wish}.constant", operand.data, operand.data.dtype.name)  # type: ignore[arg-type]


def aligned(at: Site, operands: Sequence[Operand], dtype: str = "float32") -> Aligned:
    """Bring operands to one order of axes: that in which the largest value is stored; constants follow it."""
    shape = at.broadcast(*(o.shape for o in operands))
    views = [o for o in operands if isinstance(o, View)]
    first = views[0]
    rest = [o for o in operands if not isinstance(o, View)]
    if all(same_place(first, view) for view in views) and first.shape == shape:
        if all(c.data.size == 1 for c in rest):
            ones = (1,) * len(first.stored)
            kept = tuple(o if isinstance(o, View) else _both(o, lambda a: a.reshape(ones)) for o in operands)
            return Aligned(kept, first.stored, lambda source: first.of(source, dtype))
        if not is_free(first, natural_order(first)) and first.elements <= MOST_PLACES:
            kept = tuple(o if isinstance(o, View) else _scattered(o, first) for o in operands)
            return Aligned(kept, first.stored, lambda source: first.of(source, dtype))
    order = _common_order(views, len(shape))
    placed = tuple(_placed(at, operand, order) for operand in operands)
    stored = tuple(shape[axis] for axis in order)
    return Aligned(placed, stored, lambda source: stored_as(source, order, dtype))


def _scattered(constant: Constant, view: View) -> Constant:
    """A constant with every element where the source of a view has its partner."""
    where = places(view).reshape(-1)

    def scattered(data: Array) -> Array:
        full = np.broadcast_to(data, view.shape).reshape(-1)
        moved = np.empty_like(full)
        moved[where] = full
        return moved.reshape(view.stored)

    return _both(constant, scattered)


def _both(constant: Constant, change: Callable[[Array], Array]) -> Constant:
    """A constant moved by `change`, and the integers behind it, where they have one scale."""
    q = constant.quantised
    kept = q is not None and q.scales.size == 1
    return Constant(
        change(constant.data), replace(q, stored=change(q.stored), axis=None) if q is not None and kept else None
    )


def _common_order(views: list[View], rank: int) -> Order:
    """That of the largest value; of several, of one that has its channels last."""
    widened = [_widened(view, rank) for view in views]
    most = max(view.elements for view in widened)
    orders = [natural_order(view) for view in widened if view.elements == most]
    return next((order for order in orders if order != tuple(range(rank))), orders[0])


def _widened(view: View, rank: int) -> View:
    return replace(view, shape=(1,) * (rank - len(view.shape)) + view.shape)


def _placed(at: Site, operand: Operand, order: Order) -> Operand:
    if isinstance(operand, Constant):
        return _both(operand, lambda data: permuted_constant(data, order))
    return at.bench.arranged(_widened(operand, len(order)), order)


# Arithmetic


@dataclass(frozen=True)
class Arithmetic:
    """An operator of two operands: in NumPy, as a step on reals with limits, and, where one operand is a constant for each channel,
    as factors and addends."""

    table: Callable[[Floats, Floats], Array]
    step: Callable[[Reals, Tensor, Tensor, Limits], Tensor]
    affine: Callable[[Floats, bool], tuple[Floats, Floats] | None] = lambda c, first: None


def _affine_add(c: Floats, first: bool) -> tuple[Floats, Floats]:
    return np.ones_like(c), c


def _affine_sub(c: Floats, first: bool) -> tuple[Floats, Floats]:
    """`first`: the constant is the first operand."""
    return (-np.ones_like(c), c) if first else (np.ones_like(c), -c)


def _affine_mul(c: Floats, first: bool) -> tuple[Floats, Floats]:
    return c, np.zeros_like(c)


def _affine_div(c: Floats, first: bool) -> tuple[Floats, Floats] | None:
    return None if first or not np.all(c) else (np.float32(1) / c, np.zeros_like(c))


ADD = Arithmetic(np.add, lambda r, x, x2, limits: r.plus(x, x2, limits), _affine_add)
SUB = Arithmetic(np.subtract, lambda r, x, x2, limits: r.plus(x, x2, limits, True), _affine_sub)
MUL = Arithmetic(np.multiply, lambda r, x, x2, limits: r.times(x, x2, limits), _affine_mul)
DIV = Arithmetic(np.divide, lambda r, x, x2, limits: r.over(x, x2, limits), _affine_div)


def _step_of(make: Callable[[Tensor, Tensor, Tensor], Op]) -> Callable[[Reals, Tensor, Tensor, Limits], Tensor]:
    """An op without limits of its own."""

    def step(r: Reals, x: Tensor, x2: Tensor, limits: Limits) -> Tensor:
        y = r.bench.tensor(r.wish, np.broadcast_shapes(x.shape, x2.shape), "float32")
        found = r.bench.add(make(x, x2, y), r.origin)
        return found if limits == (-inf, inf) else r.between(found, *limits)

    return step


MIN = Arithmetic(np.minimum, _step_of(lambda x, x2, y: Minimum(x=x, x2=x2, y=y)))
MAX = Arithmetic(np.maximum, _step_of(lambda x, x2, y: Maximum(x=x, x2=x2, y=y)))
POW = Arithmetic(
    lambda x, x2: np.power(x.astype(np.float64), x2.astype(np.float64)),
    _step_of(lambda x, x2, y: Power(x=x, x2=x2, y=y)),
)
PRELU = Arithmetic(
    lambda x, slope: np.where(x >= 0, x, x * slope), _step_of(lambda x, x2, y: Prelu(x=x, alpha=x2, y=y))
)


def arithmetic(at: Site, how: Arithmetic, quantised: Quantised | None = None) -> None:
    """Two operands, or several one after the other."""
    if len(at.node.inputs) > 2:
        at.give(_several(at, how))
        return
    at.give(combined(at, at.any(0), at.any(1), how, quantised))


Quantised = Callable[[Site, Tensor, Tensor, Shape, Promise], Promise]
"""What makes integers of two operands of int8, besides the reals that a promise has."""


def combined(at: Site, x: Operand, x2: Operand, how: Arithmetic, quantised: Quantised | None = None) -> Operand:
    """One operator of two operands that are not both known."""
    for operand in (x, x2):
        dtype = operand.dtype
        at.demand(
            dtype == "float32", f"it computes in {dtype}; float32 is supported, and integers that are dequantised"
        )
    found = _as_table(x, x2, how) or _as_affine(at, x, x2, how)
    if found is not None:
        return found
    pair = aligned(at, (x, x2))

    def real(limits: Limits) -> Tensor:
        first, second = pair.reals(at)
        return how.step(reals_of(at), first, second, limits)

    promise = Promise(pair.shape, real)
    if quantised is not None:
        left, right = (_byte(at, operand) for operand in pair.operands)
        if left is not None and right is not None:
            promise = quantised(at, left, right, pair.shape, promise)
    return pair.seen(promise)


def _byte(at: Site, operand: Operand) -> Tensor | None:
    """The tensor of int8 that a value is a plain dequantisation of."""
    if isinstance(operand, Constant):
        return _constant_bytes(at, operand)
    source = operand.source
    if isinstance(source, Decoded) and source.table is None and source.tensor.dtype == "int8":
        return source.tensor
    return None


def _constant_bytes(at: Site, constant: Constant) -> Tensor | None:
    q = constant.quantised
    if q is None or q.scales.size != 1 or q.dtype not in ("int8", "uint8"):
        return None
    offset = -128 if q.dtype == "uint8" else 0
    stored = (q.stored.astype(np.int64) + offset).astype(np.int8)
    own = Quantization((float(q.scales.reshape(-1)[0]),), (int(q.zeros.reshape(-1)[0]) + offset,))
    return at.bench.constant(f"{at.wish}.constant", stored, "int8", own)


def _as_table(x: Operand, x2: Operand, how: Arithmetic) -> View | None:
    """Functions of one and the same byte, or of one and a number, as a function of it."""
    view = x if isinstance(x, View) else x2
    assert isinstance(view, View)
    tables: list[Floats] = []
    for operand in (x, x2):
        if isinstance(operand, Constant):
            if operand.data.size != 1 or operand.data.ndim > len(view.shape):
                return None
            tables.append(operand.data.astype(np.float32).reshape(()))
        elif (
            isinstance(operand.source, Decoded) and operand.source.tensor.dtype == "int8" and same_place(operand, view)
        ):
            tables.append(table_of(operand.source))
        else:
            return None
    tensors = {o.source.tensor for o in (x, x2) if isinstance(o, View) and isinstance(o.source, Decoded)}
    if len(tensors) != 1:
        return None
    with np.errstate(all="ignore"):
        return view.of(Decoded(tensors.pop(), np.asarray(how.table(*tables), np.float32)))


def _as_affine(at: Site, x: Operand, x2: Operand, how: Arithmetic) -> View | None:
    """A constant for each channel behind what multiplies and accumulates: part of its weights and bias."""
    first = isinstance(x, Constant)
    view, constant = (x2, x) if first else (x, x2)
    if not isinstance(view, View) or not isinstance(constant, Constant) or not isinstance(view.source, Promise):
        return None
    promise = view.source
    if promise.affine is None or not at.alone(int(first)) or promise.limits != (-inf, inf):
        return None
    numbers = by_channel(constant.data, view)
    found = None if numbers is None else how.affine(numbers, first)
    taken = None if found is None else promise.affine(*found)
    return None if taken is None else view.of(taken)


def into_weights(at: Site, x: View, factors: Array, addends: Array) -> View | None:
    """x times numbers plus numbers as part of what multiplies and accumulates before it; None where that cannot be."""
    promise = x.source
    if not isinstance(promise, Promise) or promise.affine is None or not at.alone(0):
        return None
    numbers = by_channel(factors, x), by_channel(addends, x)
    if numbers[0] is None or numbers[1] is None:
        return None
    taken = promise.affine(numbers[0], numbers[1])
    return None if taken is None else x.of(taken)


def by_channel(data: Array, view: View) -> Floats | None:
    """A constant as one number for each index of the stored last axis; None where it is more than that."""
    if data.ndim > len(view.shape) or view.elements > MOST_PLACES:
        return None
    channels = view.stored[-1] if view.stored else 1
    if data.size == 1:
        return np.full(channels, data.reshape(()), np.float32)
    if not _fits(data.shape, view.shape):
        return None
    by_place = _scattered(Constant(data.astype(np.float32)), view).data.reshape(-1, channels)
    return np.asarray(by_place[0], np.float32) if (by_place == by_place[0]).all() else None


def _fits(shape: Shape, wanted: Shape) -> bool:
    """Whether one shape broadcasts to another, in that direction."""
    tail = wanted[len(wanted) - len(shape) :]
    return len(shape) <= len(wanted) and all(a in (1, b) for a, b in zip(shape, tail, strict=True))


def _several(at: Site, how: Arithmetic) -> Operand:
    found = at.any(0)
    for place in range(1, len(at.node.inputs)):
        other = at.any(place)
        if isinstance(found, Constant) and isinstance(other, Constant):
            found = Constant(np.asarray(how.table(found.data, other.data), np.float32))
        else:
            found = combined(at, found, other, how)
    return found


def mean_of(at: Site) -> None:
    """The mean of several operands."""
    total = _several(at, ADD) if len(at.node.inputs) > 1 else at.any(0)
    at.give(combined(at, total, Constant(np.array(1 / len(at.node.inputs), np.float32)), MUL))


def sum_of(at: Site) -> None:
    at.give(_several(at, ADD) if len(at.node.inputs) > 1 else at.any(0))


def extreme_of(at: Site, how: Arithmetic) -> None:
    at.give(_several(at, how) if len(at.node.inputs) > 1 else at.any(0))


def power(at: Site) -> None:
    """Squares and roots are what they are; other exponents go through C's pow."""
    x2 = at.any(1)
    if (
        isinstance(x2, Constant)
        and x2.data.size == 1
        and isinstance(x := at.any(0), View)
        and x2.data.ndim <= len(x.shape)
    ):
        known = {2.0: "square", 0.5: "sqrt", 1.0: ""}.get(float(x2.data.reshape(())))
        if known is not None and not isinstance(x.source, Decoded):
            at.give(x if not known else x.of(reals_of(at).unary(known, at.bench.real(x))))  # type: ignore[arg-type]
            return
    if isinstance(x2, Constant):
        x2 = Constant(x2.data.astype(np.float32))
    at.give(combined(at, at.any(0), x2, POW))


def prelu(at: Site) -> None:
    """The slope broadcasts to x, in one direction."""
    x, slope = at.running(0), at.any(1)
    if not _fits(slope.shape, x.shape):
        at.broken(f"a slope of shape {list(slope.shape)} does not broadcast to {list(x.shape)}")
    at.give(combined(at, x, slope, PRELU))


# Comparisons and choices


def compare(at: Site, relation: Relation) -> None:
    _logical(at, lambda x, x2, y: Compare(x=x, x2=x2, y=y, relation=relation))


def _logical(at: Site, make: Callable[[Tensor, Tensor, Tensor], Op]) -> None:
    pair = aligned(at, (at.any(0), at.any(1)), "bool")
    x, x2 = pair.reals(at)
    at.demand(x.dtype == x2.dtype, f"it compares {x.dtype} and {x2.dtype}")
    at.give(pair.seen(at.bench.add(make(x, x2, at.fresh(pair.shape, "bool")))))


def where(at: Site) -> None:
    operands = at.any(0), at.any(1), at.any(2)
    dtype = next(o.dtype for o in operands[1:])
    three = aligned(at, operands, dtype)
    condition, x, x2 = three.reals(at)
    at.demand(condition.dtype == "bool" and x.dtype == x2.dtype, f"it chooses between {x.dtype} and {x2.dtype}")
    y = at.fresh(three.shape, x.dtype)
    at.give(three.seen(at.bench.add(Select(condition=condition, x=x, x2=x2, y=y))))


def invert(at: Site) -> None:
    from smelt.model.ops import Unary

    view = at.running(0)
    x = at.bench.held(view)
    at.demand(x.dtype == "bool", f"it negates {x.dtype}")
    at.give(view.of(at.bench.add(Unary(x=x, y=at.fresh(x.shape, "bool"), function="not"))))


RELATIONS: dict[str, Relation] = {
    "Equal": "==",
    "Less": "<",
    "LessOrEqual": "<=",
    "Greater": ">",
    "GreaterOrEqual": ">=",
}

POINTWISE: tuple[OnnxArm, ...] = (
    OnnxArm("Add", "", partial(arithmetic, how=ADD, quantised=added)),
    OnnxArm("Sub", "", partial(arithmetic, how=SUB, quantised=subtracted)),
    OnnxArm("Mul", "", partial(arithmetic, how=MUL, quantised=multiplied_bytes)),
    OnnxArm("Div", "", partial(arithmetic, how=DIV)),
    OnnxArm("Min", "", partial(extreme_of, how=MIN)),
    OnnxArm("Max", "", partial(extreme_of, how=MAX)),
    OnnxArm("Sum", "", sum_of),
    OnnxArm("Mean", "", mean_of),
    OnnxArm("Pow", "", power),
    OnnxArm("PRelu", "", prelu),
    *(OnnxArm(code, "", partial(compare, relation=relation)) for code, relation in RELATIONS.items()),
    OnnxArm("And", "", partial(_logical, make=lambda x, x2, y: LogicalAnd(x=x, x2=x2, y=y))),
    OnnxArm("Or", "", partial(_logical, make=lambda x, x2, y: LogicalOr(x=x, x2=x2, y=y))),
    OnnxArm("Not", "", invert),
    OnnxArm("Where", "", where),
)
