"""What kernels of convolutions and dense layers in float32 share: blocks of pixels and channels whose sums stay in registers.

Sums begin at zero and take products in the order of the oracle's, the bias last: where products and sums are instructions of their
own, the results are the oracle's bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from smelt.kernels.calls import CallBuilder
from smelt.loops.ir import AnyBuffer, Buffer, Expr, Table, Value, Var, maximum, minimum, real
from smelt.model.graph import Array, Op, Tensor
from smelt.model.ops import UNBOUNDED, Clamp
from smelt.targets.intrinsics import FMA, HALF, HALF_HIGH, HALF_LOW, LOADED
from smelt.targets.types import Core

BLOCKS = (
    (4, 4),
    (1, 12),
    (2, 8),
    (1, 8),
    (4, 2),
    (8, 2),
    (2, 4),
    (1, 4),
)  # pixels, channels: their sums fit 32 registers
SMALL = ((2, 2), (1, 2), (1, 1))  # where registers hold integers only


@dataclass(frozen=True)
class FloatBlock:
    """`pixels` times `channels` sums at a time; `fused`: products are added without being rounded."""

    pixels: int
    channels: int
    fused: bool = False

    def __str__(self) -> str:
        return f"floats(pixels={self.pixels},channels={self.channels}{',fused' if self.fused else ''})"


def float_blocks(pixels: int, channels: int, core: Core) -> Iterable[FloatBlock]:
    """The blocks that are no larger than what there is, at least one; fused where that is faster on the core."""
    fused = core.floats is not None and core.floats.fused
    sizes = SMALL if core.floats is None else BLOCKS
    wide = [(p, c) for p, c in sizes if (p > 1) == (pixels > 1)] + [(p, c) for p, c in sizes if p == 1 < pixels]
    if fused and pixels == 1:
        wide.sort(key=lambda size: size != (1, 8))
    clipped = ((min(p, pixels), min(c, channels)) for p, c in wide)
    return tuple(FloatBlock(p, c, fused) for p, c in dict.fromkeys(clipped))


def real_operands(op: Op, core: Core) -> bool:
    """operands and result that are float32"""
    return op.y.dtype == "float32" and all(t.dtype == "float32" for t in op.inputs)


def real_or_half_weights(op: Op, core: Core) -> bool:
    """operands and result that are float32, weights of float16 allowed"""
    others = [t for t in op.inputs if not (t in op.storable and t.dtype == "float16")]
    return op.y.dtype == "float32" and all(t.dtype == "float32" for t in others)


def weight_table(k: CallBuilder, name: str, data: Table) -> Buffer:
    """Weights as a table; those of float16 are the bits of them there."""
    return k.table(name, data.view(np.uint16) if data.dtype == np.float16 else data)


def weights_from(k: CallBuilder, weights: AnyBuffer, first: Expr, count: int) -> list[Expr]:
    """So many neighbours of such a table, as float32; those of float16 are loaded two at a time."""
    if weights.type != "uint16_t":
        return [weights[first + c] for c in range(count)]
    found: list[Expr] = []
    for c in range(0, count - 1, 2):
        pair = k.let("pair", weights.load("int32_t", first + c))
        found += [k.call(HALF_LOW, pair), k.call(HALF_HIGH, pair)]
    return [*found, k.call(HALF, weights[first + (count - 1)])] if count % 2 else found


def zeros(k: CallBuilder, pixels: int, channels: int) -> list[list[Var]]:
    """The sums of a block, [pixel][channel]."""
    return [[k.var("sum", real(0.0)) for _ in range(channels)] for _ in range(pixels)]


def add_products(k: CallBuilder, sums: Sequence[Var], x: Expr, weights: Sequence[Expr], fused: bool) -> None:
    """Add to each of the sums the product of x with the weight beside it: no sum waits for the product before it."""
    if fused:
        for total, w in zip(sums, weights, strict=True):
            k.assign(total, k.call(FMA, x, w, total))
        return
    products = [k.let("product", x * w) for w in weights]
    for total, product in zip(sums, products, strict=True):
        k.assign(total, total + product)


def multiply(
    k: CallBuilder, xs: Sequence[AnyBuffer], ws: AnyBuffer, rounds: int, sums: list[list[Var]], fused: bool
) -> None:
    """Add the products of `rounds` neighbours in each of `xs` with weights that lie side by side for each of the channels."""
    channels = len(sums[0])
    step = _step(rounds, len(xs), channels, fused)
    with k.loop("i", 0, rounds // step) as i:
        for element in range(step):
            loads = [x[i * step + element] for x in xs]
            loads += weights_from(k, ws, i * (step * channels) + element * channels, channels)
            loaded = _loaded(k, loads, fused)
            values, weights = loaded[: len(xs)], loaded[len(xs) :]
            for row, value in zip(sums, values, strict=True):
                add_products(k, row, value, weights, fused)


def _step(rounds: int, pixels: int, channels: int, fused: bool) -> int:
    """How many neighbours a round takes. One, where its weights are a line of a cache: then no miss waits for another."""
    if fused and pixels == 1 and channels == 8:
        return 1
    return next(s for s in (4, 3, 2, 1) if rounds % s == 0) if channels * pixels >= 8 else _most(rounds)


def _loaded(k: CallBuilder, loads: Sequence[Expr], together: bool) -> list[Expr]:
    """What is loaded; `together` four at a time, before any of the four is used."""
    values: list[Expr] = [k.let("a", load) for load in loads]
    for first in range(0, len(values) - 3 if together else 0, 4):
        values[first] = k.let("a", k.call(LOADED, *values[first : first + 4]))
    return values


def _most(rounds: int) -> int:
    return next(s for s in (8, 7, 6, 5, 4, 3, 2, 1) if rounds % s == 0)


def side_by_side(weights: Array, block: int) -> Table:
    """`weights` (groups, channels, taps) with the channels of each block side by side, tap by tap: one moving pointer."""
    blocks = range(0, weights.shape[1], block)
    return np.concatenate([group[first : first + block].T.reshape(-1) for group in weights for first in blocks])


@dataclass(frozen=True, eq=False)
class Outputs:
    """What becomes of sums: the bias is added, activations limit them."""

    bias: AnyBuffer | None
    clamp: Clamp

    @staticmethod
    def bound(k: CallBuilder, bias: Tensor | None, clamp: Clamp) -> Outputs:
        """With the bias as a table of the kernel."""
        return Outputs(None if bias is None else k.table("bias", bias.constant), clamp)

    def store(
        self, k: CallBuilder, y: AnyBuffer, places: Sequence[Value], channel: Expr, sums: list[list[Var]]
    ) -> None:
        """Store the sums of pixels, whose first channels `channel` lie at `places`."""
        count = len(sums[0])
        biases = [None if self.bias is None else k.let("bias", self.bias[channel + c]) for c in range(count)]
        for place, row in zip(places, sums, strict=True):
            for c, (total, bias) in enumerate(zip(row, biases, strict=True)):
                k.store(y, place + channel + c, limited(k, total if bias is None else total + bias, self.clamp))

    def limit(self, k: CallBuilder, y: AnyBuffer, start: Expr, count: int) -> None:
        """Limit outputs that are there already, from `start` on."""
        if self.clamp != UNBOUNDED:
            ys = k.window("ys", y, start)
            with k.loop("i", 0, count) as i:
                k.store(ys, i, limited(k, ys[i], self.clamp))


def limited(k: CallBuilder, value: Expr, clamp: Clamp) -> Expr:
    """`value` within the limits of an activation."""
    low, high = clamp
    if np.isfinite(low):
        value = maximum(k.let("result", value), real(low))
    if np.isfinite(high):
        value = minimum(k.let("limited", value), real(high))
    return value
