"""The operators of two operands that work element by element, with broadcasting."""

from __future__ import annotations

from smelt.importers.tflite_site import Arm, Site
from smelt.model.graph import Op, Tensor
from smelt.model.ops import Add, Maximum, Minimum, Mul


def broadcast(at: Site, left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
    """NumPy's broadcasting."""
    axes = max(len(left), len(right))
    pairs = zip((1,) * (axes - len(left)) + left, (1,) * (axes - len(right)) + right, strict=True)
    shape = tuple(b if a == 1 else a for a, b in pairs)
    for found in (left, right):
        if any(size not in (1, whole) for size, whole in zip(reversed(found), reversed(shape), strict=False)):
            at.broken(f"shapes {list(left)} and {list(right)} do not go together")
    return shape


def two(at: Site) -> tuple[Tensor, Tensor, Tensor]:
    """The operands of an operator that works element by element, and its result."""
    x, x2, y = at.x(0), at.x(1), at.y()
    at.alike(x, x2, y)
    at.agree(y, broadcast(at, x.shape, x2.shape))
    return x, x2, y


def sum_of(at: Site, subtract: bool) -> tuple[Op, ...]:
    x, x2, y = two(at)
    return (Add(y=y, x=x, x2=x2, subtract=subtract, clamp=at.clamp(0, y)),)


def add(at: Site) -> tuple[Op, ...]:
    return sum_of(at, subtract=False)


def sub(at: Site) -> tuple[Op, ...]:
    return sum_of(at, subtract=True)


def mul(at: Site) -> tuple[Op, ...]:
    x, x2, y = two(at)
    return (Mul(y=y, x=x, x2=x2, clamp=at.clamp(0, y)),)


def minimum(at: Site) -> tuple[Op, ...]:
    x, x2, y = two(at)
    return (Minimum(y=y, x=x, x2=x2),)


def maximum(at: Site) -> tuple[Op, ...]:
    x, x2, y = two(at)
    return (Maximum(y=y, x=x, x2=x2),)


BINARY: tuple[Arm, ...] = (
    Arm("ADD", "broadcasting", (2, 2), add, 11),
    Arm("SUB", "broadcasting", (2, 2), sub, 28),
    Arm("MUL", "broadcasting", (2, 2), mul, 21),
    Arm("MINIMUM", "broadcasting", (2, 2), minimum),
    Arm("MAXIMUM", "broadcasting", (2, 2), maximum),
)
