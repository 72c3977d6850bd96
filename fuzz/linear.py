"""Recipes of the operators that multiply and add, and of windows: convolutions, dense layers, pools, resizing."""

from __future__ import annotations

from math import prod, sqrt

import numpy as np

from fuzz.growth import Continuation, Growth, Recipe, Shape, Value, fits, out_of, single

ACTIVATIONS = (0, 0, 0, 1, 2, 3)
BIASES = {"int8": ("int32",), "int16": ("int64", "int32")}


def window(extent: int, size: int, stride: int, dilation: int, same: bool) -> int:
    reach = (size - 1) * dilation + 1
    return -(-extent // stride) if same else (extent - reach) // stride + 1


def filters(g: Growth, shape: Shape, axis: int, x: Value, taps: int, biases: dict = BIASES) -> tuple[list[int], float]:
    """Weights and perhaps a bias; and a scale that suits the result."""
    if x.dtype == "float32":
        tensors = [g.constant(shape, "float32")]
        tensors += [g.constant((shape[axis],), "float32")] if g.chance(0.7) else []
        return [tensor.index for tensor in tensors], 0.0
    channels = shape[axis]
    per_channel = g.chance(0.7)
    base = g.scale(0.01)
    scales = [g.scale(base, 2) for _ in range(channels if per_channel else 1)]
    dtype = "int4" if x.dtype == "int8" and g.chance(0.15) else "int8"
    data = g.array(shape, "int8") >> (4 if dtype == "int4" else 0)
    if per_channel and g.chance(0.15):
        dead = g.integer(0, channels - 1)
        scales[dead] = 0.0
        if g.chance(0.7):
            np.moveaxis(data, axis, 0)[dead] = 0
    tensors = [g.w.tensor(g.name(), shape, dtype, scales, 0, data, axis)]
    if g.chance(0.7):
        spread = g.pick((1, 1000, 100_000)) if not g.chance(g.wild / 2) else 2**30
        bias = np.clip(g.rng.normal(0, spread, channels), -(2**31), 2**31 - 1).astype(np.int32)
        bias_scales = [single(x.scale * s) if s else 0.0 for s in scales]
        tensors.append(g.w.tensor(g.name(), (channels,), g.pick(biases[x.dtype]), bias_scales, 0, bias, 0))
    return tensors, x.scale * base * 30 * sqrt(taps)


def windowed(depthwise: bool) -> Continuation:
    def grow(g: Growth, x: Value) -> bool:
        if len(x.shape) != 4:
            return False
        batch, height, width, depth = x.shape
        size, stride = (g.integer(1, 3), g.integer(1, 3)), (g.integer(1, 2), g.integer(1, 2))
        dilation = (g.integer(1, 2), g.integer(1, 2)) if g.chance(0.2) else (1, 1)
        same = g.chance(0.6)
        rows, columns = (window(*args, same) for args in zip((height, width), size, stride, dilation, strict=True))
        multiplier = g.pick((1, 1, 2)) if depthwise else 0
        groups = g.pick([n for n in (1, 1, 2, 4) if depth % n == 0]) if not depthwise else 1
        channels = depth * multiplier if depthwise else groups * g.integer(1, 8 // groups)
        if min(rows, columns) < 1 or not fits((rows, columns, channels, batch)):
            return False
        shape = (1, *size, channels) if depthwise else (channels, *size, depth // groups)
        biases = {**BIASES, "int16": ("int64",)} if depthwise else BIASES
        tensors, near = filters(g, shape, 3 if depthwise else 0, x, prod(shape) // channels, biases)
        y = g.new((batch, rows, columns, channels), x.dtype, near)
        options = dict(
            Padding=0 if same else 1, StrideH=stride[0], StrideW=stride[1], FusedActivationFunction=g.pick(ACTIVATIONS),
            DilationHFactor=dilation[0], DilationWFactor=dilation[1],
        )  # fmt: skip
        if depthwise:
            options["DepthMultiplier"] = multiplier
        g.op("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [x, *tensors], [y], **options)
        return True

    return grow


def transpose_conv(g: Growth, x: Value) -> bool:
    if len(x.shape) != 4 or prod(x.shape) > 512:
        return False
    batch, height, width, depth = x.shape
    size, stride, channels = (g.integer(1, 3), g.integer(1, 3)), (g.integer(1, 2), g.integer(1, 2)), g.integer(1, 4)
    same = g.chance(0.5)
    rows, columns = (n * s if same else (n - 1) * s + k for n, k, s in zip((height, width), size, stride, strict=True))
    tensors, near = filters(g, (channels, *size, depth), 0, x, depth * 2, {**BIASES, "int16": ("int64",)})
    y = g.new((batch, rows, columns, channels), x.dtype, near)
    operands = [g.integers(y.shape), tensors[0], x, *tensors[1:]]
    g.op("TRANSPOSE_CONV", operands, [y], Padding=0 if same else 1, StrideH=stride[0], StrideW=stride[1])
    return True


def fully_connected(g: Growth, x: Value) -> bool:
    """By constants, or of two dimensions by what was computed: itself."""
    if len(x.shape) < 2 or x.shape[-1] > 1024:
        return False
    if len(x.shape) == 2 and x.shape[0] <= 16 and x.dtype != "int16" and g.chance(0.3):
        y = g.new((x.shape[0], x.shape[0]), x.dtype, x.scale * x.scale * 60 * sqrt(x.shape[1]))
        g.op("FULLY_CONNECTED", [x, x], [y], FusedActivationFunction=g.pick(ACTIVATIONS))
        return True
    depth, units = x.shape[-1], g.integer(1, 12)
    tensors, near = filters(g, (units, depth), 0, x, depth)
    y = g.new((*x.shape[:-1], units), x.dtype, near)
    g.op("FULLY_CONNECTED", [x, *tensors], [y], FusedActivationFunction=g.pick(ACTIVATIONS), KeepNumDims=True)
    return True


def pool(code: str) -> Continuation:
    def grow(g: Growth, x: Value) -> bool:
        if len(x.shape) != 4:
            return False
        size, stride, same = (g.integer(1, 3), g.integer(1, 3)), (g.integer(1, 2), g.integer(1, 2)), g.chance(0.5)
        rows, columns = (window(*a, 1, same) for a in zip(x.shape[1:3], size, stride, strict=True))
        if min(rows, columns) < 1:
            return False
        y = g.same(x, (x.shape[0], rows, columns, x.shape[3]))
        options = dict(StrideH=stride[0], StrideW=stride[1], FilterHeight=size[0], FilterWidth=size[1])
        g.op(code, [x], [y], Padding=0 if same else 1, FusedActivationFunction=g.pick(ACTIVATIONS), **options)
        return True

    return grow


def resize(code: str) -> Continuation:
    def grow(g: Growth, x: Value) -> bool:
        if len(x.shape) != 4 or prod(x.shape) > 600:
            return False
        size = (g.integer(1, 2 * x.shape[1]), g.integer(1, 2 * x.shape[2]))
        align = g.chance(0.3)
        y = g.same(x, (x.shape[0], *size, x.shape[3]))
        g.op(code, [x, g.integers(size)], [y], AlignCorners=align, HalfPixelCenters=not align and g.chance(0.5))
        return True

    return grow


def batch_matmul(g: Growth, x: Value) -> bool:
    """By a constant, or by what was computed: itself."""
    if len(x.shape) < 2 or x.shape[-1] > 64:
        return False
    depth, columns = x.shape[-1], g.integer(1, 6)
    twice = g.chance(0.3) and x.shape[-2] <= 64
    adjoint = twice or g.chance(0.3)
    columns = x.shape[-2] if twice else columns
    matrix = (columns, depth) if adjoint else (depth, columns)
    x2 = x if twice else g.constant((*x.shape[:-2], *matrix), x.dtype, *g.numbers(x.dtype, 0.01))
    near = x.scale * x2.scale * 60 * sqrt(depth)
    if not fits((*x.shape[:-1], columns)):
        return False
    g.op("BATCH_MATMUL", [x, x2], [g.new((*x.shape[:-1], columns), x.dtype, near)], AdjY=adjoint)
    return True


LINEAR: dict[str, Recipe] = {
    "CONV_2D": out_of(windowed(depthwise=False)),
    "DEPTHWISE_CONV_2D": out_of(windowed(depthwise=True)),
    "FULLY_CONNECTED": out_of(fully_connected),
    "TRANSPOSE_CONV": out_of(transpose_conv),
    "BATCH_MATMUL": out_of(batch_matmul),
}
LINEAR |= {code: out_of(pool(code)) for code in ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D")}
LINEAR |= {code: out_of(resize(code)) for code in ("RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR")}
