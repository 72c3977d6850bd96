"""Awkward convolutions, depthwise convolutions, transposed convolutions and dense layers for the kernel tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from smelt.model.arithmetic import quantize_multipliers
from smelt.model.graph import Op, Quantization, Tensor
from smelt.model.ops import FULL, Clamp, Conv2D, Dense, DepthwiseConv2D, Padding, TransposeConv2D
from smelt.model.rescale import floor_rescale, linear_rescale

RELU = "relu"


def rounded(op: Any, how: str, seed: int = 0) -> Any:
    """The op with another rounding: "even" as in ONNX, "pow2" the same with scales that are powers of two, "floor" with numbers of
    an integer network, some of them negative."""
    r = linear_rescale(op.x, op.weights, op.y, op.rescale.clamp, "ties_even")
    if how == "pow2":
        exponents = np.rint(np.log2(np.maximum(r.factors, 2.0**-30)))
        multipliers, shifts = quantize_multipliers(np.exp2(exponents).tolist())
        r = replace(r, multipliers=multipliers, shifts=shifts)
    if how == "floor":
        random, channels = np.random.default_rng(seed), op.y.shape[-1]
        shift = int(random.integers(12, 25))
        factors = np.rint(r.factors.astype(np.float64) * 2**shift).astype(np.int64)
        factors = np.clip(np.maximum(factors, 1) * random.choice([1, 1, 1, -1], channels), -(2**31) + 1, 2**31 - 1)
        addends = random.integers(-(2 ** (shift + 5)), 2 ** (shift + 5), channels)
        r = floor_rescale(factors, addends, shift, op.rescale.clamp, r.x_zero, r.y_zero)
    return replace(op, rescale=r)


def small_numbers(op: Any) -> Any:
    """An op of an integer network, whose products stay below 32 bits."""
    channels = op.y.shape[-1]
    numbers = floor_rescale(range(30, 30 + channels), range(channels), 14, FULL, op.rescale.x_zero, op.rescale.y_zero)
    return replace(op, rescale=numbers)


def large_numbers(op: Any) -> Any:
    """An op of an integer network, whose products leave 32 bits; one channel falls, one is always the same, few sums limit one."""
    channels, p = op.y.shape[-1], op.rescale
    factors = (np.arange(channels) * 40_001 + 90_000) * np.where(np.arange(channels) % 3 == 1, -1, 1)
    factors[-1] = 0
    added = np.arange(channels) * (1 << 20) * (np.arange(channels) % 5 - 2)
    return replace(op, rescale=floor_rescale(factors, added, 22, FULL, p.x_zero, p.y_zero))


def of_sums(op: Any, how: str) -> Any:
    """The same with x of int16, as sums of branches are. Outputs take a product of 32 bits ("narrow"), two ("split"), or more
    ("wide")."""
    x = replace(op.x, dtype="int16", quantization=Quantization((op.x.q.scale,), (-200,)))
    channels = np.arange(op.y.shape[-1])
    factor, odd, shift = {"narrow": (1, 0, 16), "split": (1 << 26, 12345, 35), "wide": (1 << 24, 1001, 40)}[how]
    numbers = floor_rescale(factor + odd * (channels + 1), channels, shift, op.rescale.clamp, -200, op.rescale.y_zero)
    return replace(op, x=x, rescale=numbers, bias=None)


def fine_numbers(op: Any) -> Any:
    """An op of an integer network, whose outputs take two products."""
    p, factors = op.rescale, (1 << 22) + 123457 * np.arange(1, op.y.shape[-1] + 1)
    return replace(op, rescale=floor_rescale(factors, factors // 3, 30, FULL, p.x_zero, p.y_zero))


def of_bits(op: Any, bits: int) -> Any:
    """The same with weights that so many bits hold, packed."""
    limit = 1 << (bits - 1)
    data = (op.weights.constant.astype(np.int64) % (2 * limit) - limit).astype(np.int8)
    return replace(op, weights=replace(op.weights, dtype="int4", data=data))


class Maker:
    """Random operators of given shapes, reproducible by seed."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)

    def tensor(self, name: str, shape: tuple[int, ...], scale: float, zero: int) -> Tensor:
        return Tensor(name, shape, "int8", Quantization((scale,), (zero,)))

    def weights(self, shape: tuple[int, ...], axis: int, style: str) -> Tensor:
        low, high = (-127, 128) if "narrow" in style or style == "dead" else (-128, 128)
        data = self.random.integers(low, high, shape).astype(np.int8)
        channels = shape[axis]
        scales = self.random.uniform(0.001, 0.02, channels)
        if style == "wide":
            scales *= 2.0 ** self.random.integers(-9, 3, channels)
        if style == "tiny":
            scales *= 2.0**-27
        if style == "left":
            scales *= 2.0**10
        if style == "dead":
            dead = self.random.integers(0, 2, channels).astype(bool)
            np.moveaxis(data, axis, 0)[dead] = 0
            scales[dead] = 1e-12
        if style.startswith("tensor"):
            scales = scales[:1]
        kept = tuple(float(np.float32(s)) for s in scales)
        return Tensor(
            "weights", shape, "int8", Quantization(kept, (0,) * len(kept), axis if len(kept) > 1 else None), data
        )

    def bias(self, channels: int, style: str) -> Tensor | None:
        if style == "none":
            return None
        data = self.random.integers(-5000, 5000, channels)
        if style == "overflow":  # sums that leave int32, and sums that just do not
            data = np.sign(data) * (2**31 - 1 - np.abs(data) * 100)
        data = data.astype(np.int32)
        return Tensor("bias", (channels,), "int32", None, data)

    def _finish(self, style: str, clamp: Clamp | str, taps: int) -> tuple[float, float, int, int, Clamp]:
        """(x scale, y scale, x zero, y zero, clamp)."""
        x_zero, y_zero = (int(z) for z in self.random.integers(-128, 128, 2))
        if clamp == RELU:
            y_zero = -128
        known = {RELU: (-128, 127), "zero": (y_zero, 127)}
        bounds = known[clamp] if isinstance(clamp, str) else clamp
        x_scale = 0.02
        y_scale = x_scale * 0.01 * 80 * float(np.sqrt(taps))
        return x_scale, y_scale, x_zero, y_zero, bounds

    def conv(
        self, x: tuple[int, ...], channels: int, size: tuple[int, int], *, stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1), pad: tuple[int, int, int, int] = (0, 0, 0, 0), groups: int = 1,
        style: str = "", bias: str = "", clamp: Clamp | str = FULL,
    ) -> Conv2D:  # fmt: skip
        shape = (channels, *size, x[3] // groups)
        common = self._common(x, channels, size, stride, dilation, pad, style, bias, clamp, shape, 0)
        return Conv2D(**common)

    def depthwise(
        self, x: tuple[int, ...], multiplier: int, size: tuple[int, int], *, stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1), pad: tuple[int, int, int, int] = (0, 0, 0, 0),
        style: str = "", bias: str = "", clamp: Clamp | str = FULL,
    ) -> DepthwiseConv2D:  # fmt: skip
        channels = x[3] * multiplier
        shape = (1, *size, channels)
        common = self._common(x, channels, size, stride, dilation, pad, style, bias, clamp, shape, 3)
        return DepthwiseConv2D(**common)

    def _common(
        self, x: tuple[int, ...], channels: int, size: tuple[int, int], stride: tuple[int, int],
        dilation: tuple[int, int], pad: tuple[int, int, int, int], style: str, bias: str, clamp: Clamp | str,
        shape: tuple[int, ...], axis: int,
    ) -> dict[str, Any]:  # fmt: skip
        top, bottom, left, right = pad
        x_scale, y_scale, x_zero, y_zero, bounds = self._finish(style, clamp, int(np.prod(shape)) // channels)
        extent = [(s - 1) * d + 1 for s, d in zip(size, dilation, strict=True)]
        rows = (x[1] + top + bottom - extent[0]) // stride[0] + 1
        columns = (x[2] + left + right - extent[1]) // stride[1] + 1
        y = self.tensor("y", (x[0], rows, columns, channels), y_scale, y_zero)
        operand, weights = self.tensor("x", x, x_scale, x_zero), self.weights(shape, axis, style)
        return {
            "x": operand,
            "weights": weights,
            "bias": self.bias(channels, bias),
            "y": y,
            "stride": stride,
            "dilation": dilation,
            "pad": Padding(top, bottom, left, right),
            "rescale": linear_rescale(operand, weights, y, bounds),
        }

    def transpose(
        self, x: tuple[int, ...], channels: int, size: tuple[int, int], y: tuple[int, int], *,
        stride: tuple[int, int] = (1, 1), pad: tuple[int, int] = (0, 0), style: str = "", bias: str = "",
        clamp: Clamp | str = FULL,
    ) -> TransposeConv2D:  # fmt: skip
        shape = (channels, *size, x[3])
        x_scale, y_scale, x_zero, y_zero, bounds = self._finish(style, clamp, int(np.prod(shape)) // channels)
        operand, weights = self.tensor("x", x, x_scale, x_zero), self.weights(shape, 0, style)
        result = self.tensor("y", (x[0], *y, channels), y_scale, y_zero)
        return TransposeConv2D(
            x=operand,
            weights=weights,
            bias=self.bias(channels, bias),
            y=result,
            stride=stride,
            pad=Padding(pad[0], 0, pad[1], 0),
            rescale=linear_rescale(operand, weights, result, bounds),
        )

    def dense(
        self, rows: int, depth: int, units: int, *, style: str = "", bias: str = "", clamp: Clamp | str = FULL,
        rectified: bool = False,
    ) -> Dense:  # fmt: skip
        x_scale, y_scale, x_zero, y_zero, bounds = self._finish(style, clamp, depth)
        x_zero = -128 if rectified else x_zero
        x, weights = self.tensor("x", (rows, depth), x_scale, x_zero), self.weights((units, depth), 0, style)
        y = self.tensor("y", (rows, units), y_scale, y_zero)
        return Dense(
            x=x,
            weights=weights,
            bias=self.bias(units, bias),
            y=y,
            rescale=linear_rescale(x, weights, y, bounds),
        )


def halfwords(ops: list[Op]) -> list[Op]:
    """The same with int16 activations, in turn with biases of 64 bits, some of them large, of 32 bits, and without."""
    return [_halfwords(op, number) for number, op in enumerate(ops)]


def _halfwords(op: Op, number: int) -> Op:
    zero = 77 if isinstance(op, Dense) and number % 2 else 0

    def wide(tensor: Tensor) -> Tensor:
        return replace(tensor, dtype="int16", quantization=Quantization((tensor.q.scale / 256,), (zero,)))

    kind = ("int64", "int32", "large", "none")[number % 4]
    data = np.zeros(op.y.shape[-1]) if op.bias is None else op.bias.constant
    data = data.astype(np.int64) * {"large": 2**24, "int64": 64}.get(kind, 1)
    bias = None if kind == "none" else Tensor("bias", data.shape, "int32" if kind == "int32" else "int64", None, data)
    if kind == "int32" and bias is not None:
        bias = replace(bias, data=data.astype(np.int32))
    x, y = wide(op.x), wide(op.y)
    clamp = (-(2**15), 2**15 - 1) if op.clamp == FULL else (op.clamp[0] * 200, op.clamp[1] * 200)
    rounding = "tflm" if kind == "int32" else "tflm48"
    return replace(op, x=x, y=y, bias=bias, rescale=linear_rescale(x, op.weights, y, clamp, rounding))


def packed_in_nibbles(ops: list[Op]) -> list[Op]:
    """The same with weights of int4, some of them only extremes."""
    return [_nibbles(op, number) for number, op in enumerate(ops)]


def _nibbles(op: Op, number: int) -> Op:
    if op.weights.dtype == "int4":
        return op
    data = op.weights.constant >> 4
    if number % 4 == 1:
        data = np.where(data < 0, -8, 7).astype(np.int8)
    scales = tuple(scale * 16 for scale in op.weights.q.scales)
    weights = replace(op.weights, dtype="int4", data=data, quantization=replace(op.weights.q, scales=scales))
    return replace(op, weights=weights, rescale=linear_rescale(op.x, weights, op.y, op.clamp))


def of_one_column() -> list[Op]:
    """Time series: the filter may have columns that only ever see padding."""
    m = Maker(5)
    return [
        m.conv((1, 9, 1, 8), 4, (3, 1), pad=(1, 1, 0, 0)),
        m.conv((2, 11, 1, 3), 5, (5, 1), stride=(2, 1), pad=(2, 1, 0, 0), bias="none", clamp=RELU),
        m.conv((1, 8, 1, 4), 6, (3, 3), stride=(2, 2), pad=(1, 0, 1, 1), style="wide"),
        m.conv((1, 12, 1, 4), 2, (2, 3), dilation=(3, 2), pad=(0, 0, 2, 2)),
        m.depthwise((1, 10, 1, 6), 1, (3, 1), pad=(1, 1, 0, 0)),
        m.depthwise((1, 9, 1, 8), 1, (3, 3), stride=(2, 2), pad=(1, 1, 1, 1), clamp="zero"),
        m.depthwise((1, 7, 1, 3), 2, (4, 1), bias="none"),
    ]


def convolutions() -> list[Op]:
    m = Maker(1)
    return [
        m.conv((1, 5, 5, 3), 4, (3, 3), pad=(1, 1, 1, 1), clamp=RELU),
        m.conv((1, 7, 6, 3), 5, (3, 3), stride=(2, 2), pad=(0, 1, 0, 1)),
        m.conv((1, 1, 1, 1), 1, (1, 1)),
        m.conv((1, 1, 1, 5), 3, (3, 3), pad=(1, 1, 1, 1), style="wide"),
        m.conv((2, 4, 5, 8), 6, (1, 1), clamp="zero"),
        m.conv((1, 5, 7, 7), 3, (1, 1), style="wide", bias="none"),
        m.conv((1, 6, 6, 4), 4, (1, 1), stride=(2, 2), style="dead"),
        m.conv((1, 9, 5, 1), 7, (5, 4), stride=(2, 2), pad=(2, 2, 1, 2)),
        m.conv((1, 3, 3, 2), 3, (3, 3), pad=(4, 4, 4, 4), style="tensor"),
        m.conv((1, 8, 8, 4), 5, (2, 2), stride=(3, 3), clamp=(-100, 50)),
        m.conv((1, 7, 8, 2), 3, (3, 2), dilation=(2, 3), pad=(2, 2, 1, 2)),
        m.conv((1, 7, 8, 4), 4, (3, 3), dilation=(2, 1), pad=(2, 2, 1, 1), style="wide"),
        m.conv((1, 5, 5, 6), 9, (3, 3), groups=3, pad=(1, 1, 1, 1)),
        m.conv((2, 5, 4, 4), 4, (3, 3), groups=2, dilation=(1, 2), pad=(1, 1, 2, 2), clamp="zero"),
        m.conv((2, 4, 6, 16), 10, (3, 3), pad=(1, 1, 1, 1), style="wide", clamp=RELU),
        m.conv((1, 4, 4, 8), 4, (3, 3), pad=(1, 1, 1, 1), bias="overflow"),
        m.conv((1, 4, 4, 8), 4, (3, 3), style="left"),
        m.conv((1, 4, 4, 8), 4, (3, 3), style="tiny", pad=(1, 1, 1, 1)),
        m.conv((1, 1, 9, 4), 5, (1, 5), pad=(0, 0, 2, 2), style="dead", clamp="zero"),
        m.conv((1, 9, 1, 20), 2, (3, 1), stride=(4, 1), pad=(2, 0, 0, 0)),
    ]


def depthwise_convolutions() -> list[Op]:
    m = Maker(2)
    return [
        m.depthwise((1, 5, 5, 4), 1, (3, 3), pad=(1, 1, 1, 1), clamp=RELU),
        m.depthwise((1, 6, 7, 5), 1, (3, 3), stride=(2, 2), pad=(0, 1, 0, 1), style="wide"),
        m.depthwise((1, 5, 5, 3), 2, (3, 3), pad=(1, 1, 1, 1)),
        m.depthwise((2, 4, 3, 2), 3, (2, 2), style="wide"),
        m.depthwise((1, 1, 1, 1), 1, (1, 1)),
        m.depthwise((1, 1, 1, 3), 1, (3, 3), pad=(1, 1, 1, 1), clamp="zero"),
        m.depthwise((1, 9, 5, 1), 8, (5, 4), stride=(2, 2), pad=(2, 2, 1, 2)),
        m.depthwise((1, 3, 3, 2), 1, (3, 3), pad=(4, 4, 4, 4), style="tensor"),
        m.depthwise((1, 8, 8, 6), 1, (2, 3), stride=(3, 3), clamp=(-100, 50)),
        m.depthwise((1, 8, 8, 3), 1, (3, 3), dilation=(2, 2), pad=(2, 2, 2, 2)),
        m.depthwise((1, 8, 9, 2), 2, (3, 2), dilation=(1, 3), pad=(1, 1, 1, 2)),
        m.depthwise((1, 4, 4, 4), 1, (3, 3), pad=(1, 1, 1, 1), bias="overflow"),
        m.depthwise((1, 4, 4, 4), 1, (3, 3), style="dead", bias="none"),
        m.depthwise((1, 4, 4, 4), 1, (4, 4), style="left"),
        m.depthwise((2, 7, 9, 5), 1, (5, 5), pad=(2, 2, 2, 2), style="wide", clamp="zero"),
        m.depthwise((1, 7, 10, 3), 1, (1, 7), pad=(0, 0, 3, 3), stride=(1, 3)),
        m.depthwise((1, 9, 4, 2), 1, (7, 1), pad=(3, 3, 0, 0)),
        m.depthwise((2, 12, 9, 1), 5, (10, 8), stride=(2, 2), pad=(4, 5, 3, 3)),
        m.depthwise((1, 7, 6, 1), 3, (3, 2), dilation=(2, 1), pad=(1, 1, 1, 0)),
    ]


def dense_layers() -> list[Op]:
    m = Maker(3)
    return [
        m.dense(1, 16, 8, clamp=RELU),
        m.dense(1, 1, 1),
        m.dense(1, 7, 3, style="wide"),
        m.dense(3, 10, 5, style="tensor"),
        m.dense(7, 20, 6, style="narrow"),
        m.dense(5, 9, 4, clamp=RELU, style="narrow"),
        m.dense(2, 33, 6, clamp="zero"),
        m.dense(1, 64, 10, bias="overflow"),
        m.dense(1, 5, 2, bias="none", style="dead"),
        m.dense(1, 12, 4, style="left", clamp=(-5, 5)),
        m.dense(1, 130, 7, style="tensor", clamp="zero"),
        m.dense(1, 12, 4, style="tiny"),
        m.dense(3, 12, 8, style="tensor narrow", rectified=True),
        m.dense(1, 41, 32, style="tensor narrow", rectified=True),
        m.dense(2, 33, 24, style="tensor narrow", rectified=True, clamp=(-90, 80)),
        m.dense(1, 8, 48, style="tensor narrow", rectified=True, bias="none", clamp=RELU),
        m.dense(1, 32, 12, style="tensor narrow", clamp=RELU),
    ]


def transpose_convolutions() -> list[Op]:
    m = Maker(4)
    return [
        m.transpose((1, 3, 4, 3), 5, (3, 3), (7, 9), stride=(2, 2)),
        m.transpose((1, 3, 4, 3), 2, (3, 3), (6, 8), stride=(2, 2), pad=(0, 1), clamp="zero"),
        m.transpose((2, 2, 2, 4), 3, (2, 2), (6, 6), stride=(3, 3)),
        m.transpose((1, 4, 4, 2), 1, (4, 4), (5, 5), pad=(1, 1), style="wide"),
        m.transpose((1, 1, 1, 1), 1, (1, 1), (1, 1), bias="none"),
        m.transpose((1, 4, 3, 2), 6, (5, 2), (8, 9), stride=(2, 3), pad=(1, 0), style="tensor"),
    ]


def rectified() -> list[Op]:
    """What the routines shared by layers accept; `test_kernels_routines` has more of it."""
    m = Maker(6)
    return [
        m.conv((1, 7, 3, 11), 5, (1, 1), clamp=RELU, style="narrow"),
        m.conv((1, 5, 5, 8), 3, (1, 1), clamp=RELU),
        m.depthwise((1, 5, 12, 3), 1, (3, 3), pad=(1, 1, 1, 1), clamp=RELU),
        m.depthwise((1, 9, 8, 2), 1, (3, 3), stride=(2, 2), pad=(0, 1, 0, 1), clamp=RELU),
    ]


def cases() -> list[Op]:
    return [
        *convolutions(),
        *depthwise_convolutions(),
        *dense_layers(),
        *packed_in_nibbles(dense_layers()[:7]),
        *transpose_convolutions(),
        *rectified(),
        *of_one_column(),
    ]
