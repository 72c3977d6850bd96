"""The operators that reduce axes, or work along one."""

from __future__ import annotations

from collections.abc import Callable

from smelt.importers.tflite_site import Arm, Site
from smelt.model.graph import Op, Tensor
from smelt.model.ops import Mean, Reduce, Softmax
from smelt.model.ops_pointwise import (
    ArgExtreme,
    ArgMax,
    ArgMin,
    CumulativeSum,
    L2Normalization,
    LogSoftmax,
    ReduceAll,
    ReduceAny,
    ReduceMax,
    ReduceMin,
    ReduceProduct,
    Sum,
)

Build = Callable[[Site], tuple[Op, ...]]


def demand_quantization(at: Site, y: Tensor, scale: float, zero_point: int) -> None:
    """Complain unless `y` has the one quantisation that the operator takes its result to have; in int16 nearly, like the oracle."""
    found = y.q
    near = abs(found.scale - scale) <= (0.001 * scale if y.dtype == "int16" else 0)
    at.demand(
        near and found.zero_point == zero_point,
        f"output '{y.name}' has scale {found.scale:.6g} and zero point {found.zero_point}; "
        f"{y.dtype} {at.operator.code} has 1/{round(1 / scale)} and {zero_point}",
    )


def reduced(kind: type[Reduce], raw: bool = False) -> Build:
    """A reduction; `raw` of stored values, which mean the same in x and y."""

    def build(at: Site) -> tuple[Op, ...]:
        x, y = at.x(raw=raw), at.y(raw=raw)
        at.alike(x, y)
        axes = tuple(sorted({at.axis(axis, len(x.shape)) for axis in at.integers(1)}))
        if not axes:
            at.refuse("it reduces no axis; leave it out")
        kept = (1 if axis in axes else size for axis, size in enumerate(x.shape))
        dropped = (size for axis, size in enumerate(x.shape) if axis not in axes)
        y = at.agree(y, tuple(kept) if at.flag(0) else tuple(dropped))
        if raw and x.dtype == "int8":
            same = (x.q.scale, x.q.zero_point) == (y.q.scale, y.q.zero_point)
            at.demand(same, f"input '{x.name}' and output '{y.name}' are quantised differently; it does not rescale")
        return (kind(y=y, x=x, axes=axes),)

    return build


def arg_extreme(kind: type[ArgExtreme]) -> Build:
    def build(at: Site) -> tuple[Op, ...]:
        x, y, axes = at.x(raw=True), at.y(types=("int32",)), at.integers(1)
        if len(axes) != 1:
            at.broken(f"its axis is {list(axes)}, not one number")
        axis = at.axis(axes[0], len(x.shape))
        shape = tuple(size for a, size in enumerate(x.shape) if a != axis)
        return (kind(y=at.agree(y, shape), x=x, axis=axis),)

    return build


def cumulative_sum(at: Site) -> tuple[Op, ...]:
    x, y, axes = at.x(), at.y(), at.integers(1)
    at.alike(x, y)
    if len(axes) != 1:
        at.broken(f"its axis is {list(axes)}, not one number")
    y = at.agree(y, x.shape)
    return (CumulativeSum(y=y, x=x, axis=at.axis(axes[0], len(x.shape)), exclusive=at.flag(0), reverse=at.flag(1)),)


def row_op(at: Site) -> tuple[Tensor, Tensor]:
    """The operand and the result of an operator that works along the last axis."""
    x, y = at.x(), at.y()
    if not x.shape:
        at.broken("its input is a scalar")
    return x, at.agree(y, x.shape)


def log_softmax(at: Site) -> tuple[Op, ...]:
    x, y = row_op(at)
    at.alike(x, y)
    if not at.is_real:
        demand_quantization(at, y, 1 / 16, 127)
    return (LogSoftmax(y=y, x=x),)


def l2_normalization(at: Site) -> tuple[Op, ...]:
    x, y = row_op(at)
    at.demand(len(x.shape) <= 4, "its input has more than 4 axes")
    at.demand(
        at.activation(0) == "NONE", f"the fused activation {at.activation(0)} is not supported here; put it behind"
    )
    at.alike(x, y)
    if not at.is_real:
        demand_quantization(at, y, 1 / 128, 0)
    return (L2Normalization(y=y, x=x),)


PROBABILITIES = {
    ("int8", "int8"): (1 / 256, -128),
    ("int8", "int16"): (2.0**-16, -32768),
    ("int16", "int16"): (2.0**-15, 0),
}


def softmax(at: Site) -> tuple[Op, ...]:
    x, y = row_op(at)
    if x.element.is_float and y.element.is_float:
        return (Softmax(y=y, x=x, beta=at.real(0)),)
    if (x.dtype, y.dtype) not in PROBABILITIES:
        at.refuse(
            f"it goes from {x.dtype} to {y.dtype}; from int8 to int8 and int16, from int16 to int16 and from float32 to float32 "
            "are supported"
        )
    demand_quantization(at, y, *PROBABILITIES[x.dtype, y.dtype])
    return (Softmax(y=y, x=x, beta=at.real(0)),)


SCALED = ("int8", "int16")
ORDERED = ("int8", "int16", "int32", "int64")

REDUCING: tuple[Arm, ...] = (
    Arm("MEAN", "any axes", (2, 2), reduced(Mean), 27, types=(*SCALED, "float32")),
    Arm("SUM", "any axes", (2, 2), reduced(Sum), 27, types=(*SCALED, "float32")),
    Arm("REDUCE_MAX", "any axes", (2, 2), reduced(ReduceMax, raw=True), 27, types=(*ORDERED, "float32")),
    Arm("REDUCE_MIN", "any axes", (2, 2), reduced(ReduceMin, raw=True), 27, types=(*ORDERED, "float32")),
    Arm("REDUCE_PROD", "any axes", (2, 2), reduced(ReduceProduct), 27, types=("int32", "float32"), oracle="LiteRT"),
    Arm("REDUCE_ALL", "any axes", (2, 2), reduced(ReduceAll), 27, types=("bool",)),
    Arm("REDUCE_ANY", "any axes", (2, 2), reduced(ReduceAny), 27, types=("bool",), oracle="LiteRT"),
    Arm("ARG_MAX", "", (2, 2), arg_extreme(ArgMax), 40, types=(*ORDERED[:3], "uint8", "float32"), by_operand=True),
    Arm("ARG_MIN", "", (2, 2), arg_extreme(ArgMin), 57, types=(*ORDERED[:3], "uint8", "float32"), by_operand=True),
    Arm("CUMSUM", "", (2, 2), cumulative_sum, 102, types=("int8", "int32", "float32")),
    Arm("SOFTMAX", "over the last axis", (1, 1), softmax, 9, types=(*SCALED, "float32")),
    Arm("LOG_SOFTMAX", "over the last axis", (1, 1), log_softmax, 36, types=("int8", "float32")),
    Arm("L2_NORMALIZATION", "over the last axis", (1, 1), l2_normalization, 12, types=("int8", "float32")),
)
