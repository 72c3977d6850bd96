"""The inverse square root in fixed point, as `model/roots.py` has it, of numbers below 2**16."""

from __future__ import annotations

from smelt.kernels.calls import CallBuilder
from smelt.kernels.rescale import INT32_MAX, wide_high_product
from smelt.loops.ir import Const, Expr, Var, cast, expression, minimum
from smelt.model.roots import HALF_ROOT_OF_TWO, THREE_HALVES

FRACTION_BITS = 20


def inverse_root(k: CallBuilder, x: Expr) -> Var:
    """1 / sqrt(x) with 20 fraction bits, of an x from 1 to 65535."""
    inverse = k.var("inverse", 1 << FRACTION_BITS)
    with k.when(x > 1):
        root, right = newton_root(k, x, wide=False)
        scaled = cast("int64_t", root) * (1 << (FRACTION_BITS + 2))
        k.assign(inverse, cast("int32_t", ((scaled >> (right + 2)) + (1 << 30)) >> 31))
    return inverse


def newton_root(k: CallBuilder, x: Expr, wide: bool) -> tuple[Expr, Expr]:
    """(root, right) of an x from 2 on: 1 / sqrt(x) is root / 2**(31 + right). `wide` where x may have more than 29 bits."""
    value, right = k.var("value", x), k.var("right", 11)
    if wide:
        with k.when(value >= 1 << 29):
            k.assign(value, value >> 2)
            k.assign(right, right + 1)
    for quarters in (8, 4, 2, 1):
        with k.when(value < (1 << (29 - 2 * quarters))):
            k.assign(value, value * (1 << (2 * quarters)))
            k.assign(right, right - quarters)
    half = k.let("half", ((value >> 1) + 1) >> 1)
    root = k.var("root", 1 << 28)
    with k.loop("step", 0, 5):
        cube = _saturated(wide_high_product(wide_high_product(root, root), root), 64)
        difference = wide_high_product(root, expression(THREE_HALVES)) - wide_high_product(half, k.let("cube", cube))
        k.assign(root, _saturated(difference, 8))
    return wide_high_product(root, expression(HALF_ROOT_OF_TWO)), right


def _saturated(x: Expr, factor: int) -> Expr:
    return cast("int32_t", minimum(cast("int64_t", x) * factor, Const(INT32_MAX, "int64_t")))
