"""Small operators in float32 for the tests of reference and kernels, and the rule by which sums are compared."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np

from smelt.model.graph import Op, Tensor
from smelt.model.ops import (
    UNBOUNDED,
    Add,
    AveragePool2D,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    L2Pool2D,
    Linear,
    Maximum,
    MaxPool2D,
    Mean,
    Minimum,
    Mul,
    Padding,
    ResizeBilinear,
    Softmax,
    TransposeConv2D,
    Unary,
    UnaryFunction,
)
from smelt.model.ops_matmul import BatchMatMul
from smelt.model.ops_pointwise import (
    AddN,
    CumulativeSum,
    Div,
    FloorDiv,
    FloorMod,
    L2Normalization,
    LogSoftmax,
    Power,
    Prelu,
    ReduceMax,
    ReduceMin,
    ReduceProduct,
    SquaredDifference,
    Sum,
)
from smelt.model.ops_recurrent import RealLstm, RealSvdf
from smelt.model.reference import results
from smelt.model.reference_float_pointwise import FUNCTIONS
from smelt.model.rescale import linear_rescale

CLAMPS = (UNBOUNDED, (0.0, np.inf), (0.0, 6.0), (-1.0, 1.0))
NONE = Padding()
SAME3 = Padding(1, 1, 1, 1)


def real(name: str, shape: tuple[int, ...], data: np.ndarray | None = None) -> Tensor:
    return Tensor(name, tuple(shape), "float32", None, data)


class Maker:
    """Random operators of given shapes, reproducible by seed."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)

    def numbers(self, shape: tuple[int, ...]) -> np.ndarray:
        return self.random.normal(0, 1, shape).astype(np.float32)

    def _common(self, taps: tuple[int, ...], channels: int) -> dict:
        bias = real("bias", (channels,), self.numbers((channels,))) if self.random.integers(4) else None
        clamp = CLAMPS[int(self.random.integers(len(CLAMPS)))]
        weights, y = real("weights", taps, self.numbers(taps)), real("y", (channels,))
        return dict(weights=weights, bias=bias, rescale=linear_rescale(weights, weights, y, clamp))

    def conv(self, image, channels, size, stride=(1, 1), dilation=(1, 1), pad=NONE, groups=1) -> Conv2D:
        y = (image[0], *extents(image, size, stride, dilation, pad), channels)
        common = self._common((channels, *size, image[3] // groups), channels)
        return Conv2D(x=real("x", image), y=real("y", y), stride=stride, dilation=dilation, pad=pad, **common)

    def depthwise(self, image, multiplier, size, stride=(1, 1), dilation=(1, 1), pad=NONE) -> DepthwiseConv2D:
        channels = image[3] * multiplier
        y = (image[0], *extents(image, size, stride, dilation, pad), channels)
        common = self._common((1, *size, channels), channels)
        return DepthwiseConv2D(x=real("x", image), y=real("y", y), stride=stride, dilation=dilation, pad=pad, **common)

    def dense(self, rows, depth, units) -> Dense:
        return Dense(x=real("x", (rows, depth)), y=real("y", (rows, units)), **self._common((units, depth), units))

    def transposed(self, image, channels, size, stride, pad=NONE) -> TransposeConv2D:
        y = [(n - 1) * s + k - a - b for n, s, k, a, b in zip(image[1:3], stride, size, (pad.top, pad.left),
             (pad.bottom, pad.right), strict=True)]  # fmt: skip
        common = self._common((channels, *size, image[3]), channels)
        return TransposeConv2D(
            x=real("x", image), y=real("y", (image[0], *y, channels)), stride=stride, pad=pad, **common
        )

    def pool(self, kind, image, size, stride=(1, 1), pad=NONE):
        y = (image[0], *extents(image, size, stride, (1, 1), pad), image[3])
        clamp = CLAMPS[int(self.random.integers(len(CLAMPS)))]
        return kind(x=real("x", image), y=real("y", y), size=size, stride=stride, pad=pad, clamp=clamp)

    def constant(self, name: str, *shape: int) -> Tensor:
        return real(name, shape, self.numbers(shape))

    def svdf(self, batch, depth, units, rank, memory) -> RealSvdf:
        filters = units * rank
        weights, time = self.constant("weights", filters, depth), self.constant("time_weights", filters, memory)
        state, following = (real(name, (batch, filters * memory)) for name in ("state", "next_state"))
        return RealSvdf(
            x=real("x", (batch, depth)), weights=weights, time_weights=time, bias=self.constant("bias", units),
            state=state, next_state=following, y=real("y", (batch, units)), clamp=CLAMPS[batch],
        )  # fmt: skip

    def lstm(self, batch, steps, depth, units, time_major, limit) -> RealLstm:
        order = (steps, batch) if time_major else (batch, steps)
        weights, recurrent, biases = (
            tuple(self.constant(f"{name}{g}", *shape) for g in range(4))
            for name, shape in (("w", (units, depth)), ("r", (units, units)), ("b", (units,)))
        )
        names = ("hidden", "cell", "next_hidden", "next_cell")
        states = {name: real(name, (batch, units)) for name in names}
        return RealLstm(
            x=real("x", (*order, depth)), y=real("y", (*order, units)), weights=weights, recurrent_weights=recurrent,
            biases=biases, **states, time_major=time_major, cell_limit=limit,
        )  # fmt: skip


def extents(image, size, stride, dilation, pad: Padding) -> tuple[int, ...]:
    totals = (pad.top + pad.bottom, pad.left + pad.right)
    return tuple(
        (n + t - (k - 1) * d - 1) // s + 1
        for n, t, k, d, s in zip(image[1:3], totals, size, dilation, stride, strict=True)
    )


def linear_cases() -> list[Op]:
    """Awkward shapes: rests of blocks, one pixel, one channel, borders, strides, dilation, groups, multipliers."""
    m = Maker(5)
    return [
        m.conv((1, 5, 7, 3), 5, (3, 3), pad=SAME3),
        m.conv((2, 4, 4, 2), 4, (3, 3), (2, 2), pad=Padding(0, 1, 0, 1)),
        m.conv((1, 6, 9, 4), 9, (1, 1)),
        m.conv((2, 3, 3, 1), 1, (1, 1)),
        m.conv((1, 7, 8, 3), 4, (3, 2), dilation=(2, 3), pad=Padding(2, 2, 1, 2)),
        m.conv((1, 6, 6, 4), 6, (3, 3), pad=SAME3, groups=2),
        m.conv((1, 6, 6, 4), 4, (3, 3), (2, 1), groups=4),
        m.conv((1, 9, 1, 2), 3, (5, 1), (2, 2), pad=Padding(2, 2, 0, 0)),
        m.conv((1, 1, 1, 33), 13, (1, 1)),
        m.conv((1, 4, 4, 8), 16, (4, 4)),
        m.conv((1, 2, 5, 2), 2, (5, 5), pad=Padding(2, 2, 2, 2)),
        m.depthwise((1, 5, 7, 5), 1, (3, 3), pad=SAME3),
        m.depthwise((2, 6, 5, 4), 1, (3, 3), (2, 2), pad=Padding(0, 1, 0, 1)),
        m.depthwise((1, 6, 7, 2), 3, (3, 3), pad=SAME3),
        m.depthwise((1, 8, 8, 3), 1, (2, 3), dilation=(3, 2), pad=Padding(1, 1, 2, 2)),
        m.depthwise((1, 10, 3, 1), 8, (9, 3), (2, 2), pad=Padding(4, 4, 1, 1)),
        m.depthwise((1, 3, 14, 2), 1, (1, 10), pad=Padding(0, 0, 4, 5)),
        m.dense(1, 7, 5),
        m.dense(1, 16, 25),
        m.dense(3, 10, 9),
        m.dense(5, 8, 1),
        m.transposed((1, 3, 4, 3), 5, (3, 3), (2, 2)),
        m.transposed((2, 3, 3, 2), 2, (2, 4), (1, 3), Padding(0, 0, 1, 1)),
        m.transposed((1, 1, 5, 4), 9, (1, 2), (1, 1)),
    ]  # fmt: skip


def pool_cases() -> list[Op]:
    m = Maker(6)
    return [
        op
        for kind in (AveragePool2D, MaxPool2D, L2Pool2D)
        for op in (
            m.pool(kind, (1, 5, 7, 5), (2, 2), (2, 2)),
            m.pool(kind, (2, 4, 6, 3), (3, 3), (2, 1), SAME3),
            m.pool(kind, (1, 8, 8, 2), (8, 8)),
        )
    ]


def pointwise_cases() -> list[Op]:
    """Broadcasting, constants, one element, rests of blocks."""
    m = Maker(7)
    shapes = [((2, 3, 5), (5,)), ((7,), (7,)), ((1, 4, 1), (3, 1, 2)), ((9,), (1,))]
    found: list[Op] = []
    for number, (first, second) in enumerate(shapes):
        y = real("y", np.broadcast_shapes(first, second))
        data = m.numbers(second) if number % 2 else None
        operands = dict(x=real("x", first), x2=real("x2", second, data), y=y)
        found += [kind(**operands) for kind in (Minimum, Maximum, SquaredDifference)]
        found += [kind(**operands, clamp=CLAMPS[number]) for kind in (Add, Mul, Div)]
        found += [Add(**operands, subtract=True, clamp=UNBOUNDED), FloorDiv(**operands), FloorMod(**operands)]
        found += [Prelu(x=real("x", y.shape), alpha=real("alpha", second, m.numbers(second)), y=y)]
    for exponent in (2.0, -3.0, 0.0):
        least = real("x2", (1,), np.array([exponent], np.float32))
        found.append(Power(x=real("x", (3, 7)), x2=least, y=real("y", (3, 7))))
    found += [AddN(xs=tuple(real(f"x{n}", (7,)) for n in range(count)), y=real("y", (7,))) for count in (2, 5)]
    for function in get_args(UnaryFunction):
        if function in FUNCTIONS:
            found += [Unary(x=real("x", s), y=real("y", s), function=function, alpha=0.25) for s in ((3, 7), (64,))]
    found += [Unary(x=real("x", (9,)), y=real("y", (9,)), function="leaky_relu", alpha=a) for a in (-0.5, 1.5)]
    found += [kind(x=real("x", (3, 10)), y=real("y", (3, 10))) for kind in (LogSoftmax, L2Normalization)]
    x, y = real("x", (4, 3, 5)), real("y", (4, 3, 5))
    found += [
        CumulativeSum(x=x, y=y, axis=axis, exclusive=axis == 1, reverse=reverse)
        for axis in (0, 1, 2)
        for reverse in (False, True)
    ]
    for axes, out in (((0,), (3, 5)), ((1, 2), (4,)), ((0, 2), (1, 3, 1)), ((0, 1, 2), ())):
        kinds = (Mean, Sum, ReduceProduct, ReduceMax, ReduceMin)
        found += [kind(x=real("x", (4, 3, 5)), y=real("y", out), axes=axes) for kind in kinds]
    for size, flags in (((5, 7), {}), ((6, 4), {"half_pixel_centers": True}), ((9, 9), {"align_corners": True})):
        found += [ResizeBilinear(x=real("x", (1, 3, 4, 2)), y=real("y", (1, *size, 2)), **flags)]
    found += [
        Softmax(x=real("x", s), y=real("y", s), beta=b) for s, b in (((3, 10), 1.0), ((1, 1), 2.0), ((101,), 0.5))
    ]
    return found


def recurrent_cases() -> list[Op]:
    """One of everything, rests of blocks, several images, both orders of time."""
    m = Maker(8)
    svdfs = [m.svdf(*sizes) for sizes in ((1, 1, 1, 1, 1), (2, 7, 3, 2, 5), (1, 40, 4, 1, 8))]
    sizes = ((1, 1, 1, 1, False, None), (2, 3, 5, 4, True, 0.5), (1, 2, 17, 9, False, 10.0))
    return [*svdfs, *(m.lstm(*size) for size in sizes)]


def inputs_of(op: Op, seed: int) -> list[np.ndarray]:
    """Values for `op.inputs`: random ones of some magnitude, constants as they are."""
    random = np.random.default_rng(seed)
    return [
        (random.normal(0, 2.0 ** random.integers(-6, 6), t.shape)).astype(np.float32) if t.data is None else t.data
        for t in op.inputs
    ]


UNIT = 2.0**-24
FUNCTION = 4 * UNIT  # two units in the last place of a function that is at most 1


def sum_bounds(op: Op, *values: np.ndarray) -> tuple[np.ndarray, ...]:
    """(n + 2) * 2^-24 * sum |x * w| for each element of each result, the bias among the terms; and one unit of the smallest
    number."""
    if isinstance(op, RealLstm):
        return lstm_bounds(op, *values)
    if isinstance(op, Linear):
        op = replace(op, rescale=op.rescale.clamped(UNBOUNDED))
    elif hasattr(op, "clamp"):
        op = replace(op, clamp=UNBOUNDED)
    magnitudes = results(op, *(np.abs(v).astype(np.float32) for v in values))
    terms = op.macs / op.y.elements if op.macs else op.x.elements / op.y.elements
    return tuple((terms + 2) * UNIT * m.astype(np.float64) * 1.0001 + 2.0**-149 for m in magnitudes)


def lstm_bounds(op: RealLstm, x: np.ndarray, *values: np.ndarray) -> tuple[np.ndarray, ...]:
    """How far roundings may take y and the states: that of the gates' sums, passed on by functions of slope 1 and 1/4 and by
    products of what is known to be at most 1, from step to step."""
    weights, recurrent, biases = (np.stack([v.astype(np.float64) for v in values[n : n + 4]]) for n in (0, 4, 8))
    hidden, cell = (v.astype(np.float64) for v in values[12:])
    off_hidden, off_cell, ys = np.zeros_like(hidden), np.zeros_like(cell), []
    time = 0 if op.time_major else 1
    terms = op.depth + op.units + 2
    for row in np.moveaxis(np.abs(x.astype(np.float64)), time, 0):
        known = np.abs(biases)[:, np.newaxis] + row @ np.abs(weights).transpose(0, 2, 1)
        sums = known + np.abs(hidden) @ np.abs(recurrent).transpose(0, 2, 1)
        off = (terms * UNIT * sums + off_hidden @ np.abs(recurrent).transpose(0, 2, 1)).max(axis=0)
        off_cell = (
            off_cell + np.abs(cell) * (off / 4 + FUNCTION) + (off * 1.25 + 2 * FUNCTION) + 2 * UNIT * np.abs(cell)
        )
        cell = np.minimum(np.abs(cell) + 1, op.cell_limit or np.inf)
        off_hidden = off_cell + off / 4 + 3 * FUNCTION
        hidden = np.ones_like(hidden)
        ys.append(off_hidden)
    return np.stack(ys, axis=time), off_hidden, off_cell


SUMS = (Linear, AveragePool2D, L2Pool2D, Mean, Sum, BatchMatMul, RealSvdf, RealLstm)
ROWS = (Softmax, LogSoftmax, L2Normalization, ResizeBilinear)


def tolerances(op: Op, *values: np.ndarray) -> tuple[np.ndarray, ...]:
    """By how much the elements of each result may differ between two that compute `op` in float32: `sum_bounds`; two units in the
    last place where there is no sum; where a row is added up and more is computed of the sum, a few units of its largest."""
    if isinstance(op, SUMS):
        return sum_bounds(op, *values)
    wanted = results(op, *values)
    if isinstance(op, ROWS):
        largest, terms = np.abs(values[0]).max(), 4 + op.x.shape[-1]
        return tuple(2 * terms * np.spacing(np.maximum(np.abs(w), largest)) for w in wanted)
    return tuple(2 * np.spacing(np.abs(w)) for w in wanted)
