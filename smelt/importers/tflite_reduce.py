"""The operators that reduce axes, or work along one."""

from __future__ import annotations

from smelt.importers.tflite_site import Arm, Site
from smelt.model.graph import Op, Tensor
from smelt.model.ops import Mean, Softmax


def demand_quantization(at: Site, y: Tensor, scale: float, zero_point: int) -> None:
    """Complain unless `y` has the one quantisation that the operator takes its result to have."""
    found = y.q
    at.demand(
        found.scale == scale and found.zero_point == zero_point,
        f"output '{y.name}' has scale {found.scale:.6g} and zero point {found.zero_point}; "
        f"{y.dtype} {at.operator.code} has 1/{round(1 / scale)} and {zero_point}",
    )


def mean(at: Site) -> tuple[Op, ...]:
    x, y = at.x(), at.y()
    axes = tuple(sorted({at.axis(axis, len(x.shape)) for axis in at.integers(1)}))
    if not axes:
        at.refuse("it reduces no axis; leave it out")
    kept = (1 if axis in axes else size for axis, size in enumerate(x.shape))
    dropped = (size for axis, size in enumerate(x.shape) if axis not in axes)
    at.agree(y, tuple(kept) if at.flag(0) else tuple(dropped))
    return (Mean(y=y, x=x, axes=axes),)


def softmax(at: Site) -> tuple[Op, ...]:
    x, y = at.x(), at.y()
    beta = at.real(0)
    if not x.shape:
        at.broken("its input is a scalar")
    at.agree(y, x.shape)
    demand_quantization(at, y, 1 / 256, -128)
    return (Softmax(y=y, x=x, beta=beta),)


REDUCING: tuple[Arm, ...] = (
    Arm("MEAN", "any axes", (2, 2), mean, 27),
    Arm("SOFTMAX", "over the last axis", (1, 1), softmax, 9),
)
