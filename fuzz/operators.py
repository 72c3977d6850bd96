"""Recipes: how each supported operator grows out of a value. A recipe returns False where the value does not suit it."""

from __future__ import annotations

from math import prod, sqrt

import numpy as np

from fuzz.growth import MOST_ELEMENTS, Growth, Recipe, Shape, Value, single
from fuzz.moves import MOVES
from fuzz.pointwise import POINTWISE

ACTIVATIONS = (0, 0, 0, 1, 2, 3)


def window(g: Growth, extent: int, size: int, stride: int, dilation: int, same: bool) -> int:
    reach = (size - 1) * dilation + 1
    return -(-extent // stride) if same else (extent - reach) // stride + 1


def filters(g: Growth, shape: Shape, axis: int, x: Value, taps: int) -> tuple[list[int], float]:
    """Weights and perhaps a bias; and a scale that suits the result."""
    channels = shape[axis]
    per_channel = g.chance(0.7)
    base = g.scale(0.01)
    count = channels if per_channel else 1
    scales = [g.scale(base, 2) for _ in range(count)]
    data = g.int8(shape)
    if per_channel and g.chance(0.15):
        dead = g.integer(0, channels - 1)
        scales[dead] = 0.0
        if g.chance(0.7):
            np.moveaxis(data, axis, 0)[dead] = 0
    tensors = [g.w.tensor(g.name(), shape, "int8", scales, 0, data, axis)]
    if g.chance(0.7):
        spread = g.pick((1, 1000, 100_000)) if not g.chance(g.wild / 2) else 2**30
        bias = np.clip(g.rng.normal(0, spread, channels), -(2**31), 2**31 - 1).astype(np.int32)
        bias_scales = [single(x.scale * s) if s else 0.0 for s in scales]
        tensors.append(g.w.tensor(g.name(), (channels,), "int32", bias_scales, 0, bias, 0))
    return tensors, x.scale * base * 30 * sqrt(taps)


def conv_2d(g: Growth, x: Value) -> bool:
    if len(x.shape) != 4:
        return False
    return windowed(g, x, depthwise=False)


def depthwise_conv_2d(g: Growth, x: Value) -> bool:
    return len(x.shape) == 4 and windowed(g, x, depthwise=True)


def windowed(g: Growth, x: Value, depthwise: bool) -> bool:
    batch, height, width, depth = x.shape
    size, stride = (g.integer(1, 3), g.integer(1, 3)), (g.integer(1, 2), g.integer(1, 2))
    dilation = (g.integer(1, 2), g.integer(1, 2)) if g.chance(0.2) else (1, 1)
    same = g.chance(0.6)
    rows, columns = (window(g, *args, same) for args in zip((height, width), size, stride, dilation, strict=True))
    multiplier = g.pick((1, 1, 2)) if depthwise else 0
    channels = depth * multiplier if depthwise else g.integer(1, 8)
    if min(rows, columns) < 1 or rows * columns * channels * batch > MOST_ELEMENTS:
        return False
    shape = (1, *size, channels) if depthwise else (channels, *size, depth)
    tensors, near = filters(g, shape, 3 if depthwise else 0, x, size[0] * size[1] * (1 if depthwise else depth))
    y = g.result((batch, rows, columns, channels), g.scale(near), g.zero())
    options = dict(
        Padding=0 if same else 1, StrideH=stride[0], StrideW=stride[1], FusedActivationFunction=g.pick(ACTIVATIONS),
        DilationHFactor=dilation[0], DilationWFactor=dilation[1],
    )  # fmt: skip
    if depthwise:
        options["DepthMultiplier"] = multiplier
    g.op("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [x, *tensors], [y], **options)
    return True


def transpose_conv(g: Growth, x: Value) -> bool:
    if len(x.shape) != 4 or prod(x.shape) > 512:
        return False
    batch, height, width, depth = x.shape
    size, stride, channels = (g.integer(1, 3), g.integer(1, 3)), (g.integer(1, 2), g.integer(1, 2)), g.integer(1, 4)
    same = g.chance(0.5)
    rows, columns = (n * s if same else (n - 1) * s + k for n, k, s in zip((height, width), size, stride, strict=True))
    tensors, near = filters(g, (channels, *size, depth), 0, x, depth * 2)
    y = g.result((batch, rows, columns, channels), g.scale(near), g.zero())
    operands = [g.integers(y.shape), tensors[0], x, *tensors[1:]]
    g.op("TRANSPOSE_CONV", operands, [y], Padding=0 if same else 1, StrideH=stride[0], StrideW=stride[1])
    return True


def fully_connected(g: Growth, x: Value) -> bool:
    if len(x.shape) < 2 or x.shape[-1] > 1024:
        return False
    depth, units = x.shape[-1], g.integer(1, 12)
    tensors, near = filters(g, (units, depth), 0, x, depth)
    y = g.result((*x.shape[:-1], units), g.scale(near), g.zero())
    g.op("FULLY_CONNECTED", [x, *tensors], [y], FusedActivationFunction=g.pick(ACTIVATIONS), KeepNumDims=True)
    return True


def pool(code: str) -> Recipe:
    def grow(g: Growth, x: Value) -> bool:
        if len(x.shape) != 4:
            return False
        size, stride, same = (g.integer(1, 3), g.integer(1, 3)), (g.integer(1, 2), g.integer(1, 2)), g.chance(0.5)
        rows, columns = (window(g, *a, 1, same) for a in zip(x.shape[1:3], size, stride, strict=True))
        if min(rows, columns) < 1:
            return False
        y = g.same(x, (x.shape[0], rows, columns, x.shape[3]))
        options = dict(StrideH=stride[0], StrideW=stride[1], FilterHeight=size[0], FilterWidth=size[1])
        g.op(code, [x], [y], Padding=0 if same else 1, FusedActivationFunction=g.pick(ACTIVATIONS), **options)
        return True

    return grow


def mean(g: Growth, x: Value) -> bool:
    axes = sorted(g.rng.permutation(len(x.shape))[: g.integer(1, len(x.shape))].tolist())
    keep = g.chance(0.5)
    kept = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
    shape = kept if keep else tuple(n for a, n in enumerate(x.shape) if a not in axes)
    if not shape:
        return False
    g.op("MEAN", [x, g.integers(axes)], [g.result(shape, g.scale(x.scale), g.zero())], KeepDims=keep)
    return True


def binary(code: str) -> Recipe:
    def grow(g: Growth, x: Value) -> bool:
        alike = code in ("MINIMUM", "MAXIMUM")
        scale, zero = (x.scale, x.zero) if alike else (g.scale(x.scale), g.zero())
        others = [v for v in g.values if v.shape == x.shape and (not alike or (v.scale, v.zero) == (scale, zero))]
        if g.chance(0.6) and others:
            x2 = g.pick(others)
        else:
            shape = tuple(1 if g.chance(0.3) else n for n in x.shape)
            x2 = g.constant(shape, scale, zero)
        near = x.scale * x2.scale * 30 if code == "MUL" else max(x.scale, x2.scale)
        y = g.same(x, x.shape) if alike else g.result(x.shape, g.scale(near), g.zero())
        options = {} if alike else {"FusedActivationFunction": g.pick(ACTIVATIONS)}
        g.op(code, [x, x2] if g.chance(0.5) else [x2, x], [y], **options)
        return True

    return grow


def resize(code: str) -> Recipe:
    def grow(g: Growth, x: Value) -> bool:
        if len(x.shape) != 4 or prod(x.shape) > 600:
            return False
        size = (g.integer(1, 2 * x.shape[1]), g.integer(1, 2 * x.shape[2]))
        align = g.chance(0.3)
        y = g.same(x, (x.shape[0], *size, x.shape[3]))
        g.op(code, [x, g.integers(size)], [y], AlignCorners=align, HalfPixelCenters=not align and g.chance(0.5))
        return True

    return grow


def softmax(g: Growth, x: Value) -> bool:
    beta = 1.0 if g.chance(0.7) else g.scale(1.0)
    y = g.result(x.shape, 1 / 256, -128)
    g.op("SOFTMAX", [x], [y], Beta=beta)
    return True


def unary(code: str) -> Recipe:
    def grow(g: Growth, x: Value) -> bool:
        scale, zero, options = g.scale(x.scale), g.zero(), {}
        match code:
            case "LOGISTIC":
                scale, zero = 1 / 256, -128
            case "TANH":
                scale, zero = 1 / 128, 0
            case "RELU6":
                scale, zero = (x.scale, x.zero) if not g.chance(g.wild / 4) else (scale, zero)
            case "LEAKY_RELU":
                options = {"Alpha": g.alpha()}
        g.op(code, [x], [g.result(x.shape, scale, zero)], **options)
        return True

    return grow


def there_and_back(g: Growth, x: Value) -> bool:
    """DEQUANTIZE, then QUANTIZE of what it gives."""
    real = g.w.tensor(g.name(), x.shape, "float32")
    g.op("DEQUANTIZE", [x], [real])
    g.op("QUANTIZE", [real], [g.result(x.shape, g.scale(x.scale), g.zero())])
    return True


def batch_matmul(g: Growth, x: Value) -> bool:
    if len(x.shape) < 2 or x.shape[-1] > 64:
        return False
    depth, columns = x.shape[-1], g.integer(1, 6)
    x2 = g.constant((*x.shape[:-2], depth, columns), g.scale(0.01), g.zero())
    near = x.scale * x2.scale * 60 * sqrt(depth)
    g.op("BATCH_MATMUL", [x, x2], [g.result((*x.shape[:-1], columns), g.scale(near), g.zero())])
    return True


def rounding(code: str) -> Recipe:
    """A function of floats whose result is exact: there, and back to int8."""

    def grow(g: Growth, x: Value) -> bool:
        real, whole = (g.w.tensor(g.name(), x.shape, "float32") for _ in range(2))
        g.op("DEQUANTIZE", [x], [real])
        g.op(code, [real], [whole])
        g.op("QUANTIZE", [whole], [g.result(x.shape, g.scale(x.scale), g.zero())])
        return True

    return grow


RECIPES: dict[str, Recipe] = {
    "CONV_2D": conv_2d,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d,
    "FULLY_CONNECTED": fully_connected,
    "TRANSPOSE_CONV": transpose_conv,
    "MEAN": mean,
    "SOFTMAX": softmax,
    "DEQUANTIZE": there_and_back,
    **MOVES,
}
RECIPES |= {code: pool(code) for code in ("AVERAGE_POOL_2D", "MAX_POOL_2D")}
RECIPES |= {code: binary(code) for code in ("ADD", "SUB", "MUL", "MINIMUM", "MAXIMUM")}
RECIPES |= {code: resize(code) for code in ("RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR")}
UNARY = ("RELU", "RELU6", "LEAKY_RELU", "LOGISTIC", "TANH", "HARD_SWISH", "QUANTIZE")
RECIPES |= {code: unary(code) for code in UNARY}
RECIPES |= POINTWISE
RECIPES |= {"BATCH_MATMUL": batch_matmul} | {code: rounding(code) for code in ("FLOOR", "CEIL", "ROUND")}

ELSEWHERE: tuple[str, ...] = (
    *(
        "SIN",
        "COS",
        "SQRT",
        "SQUARE",
        "L2_POOL_2D",
    ),  # floats that come near the oracle's, or leave what QUANTIZE can take
    *(
        "VAR_HANDLE",
        "READ_VARIABLE",
        "ASSIGN_VARIABLE",
        "CALL_ONCE",
        "SVDF",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
    ),  # they remember
    *("IF", "WHILE"),  # of subgraphs
    *(
        f"CUSTOM Signal{name}"
        for name in ("Window", "FftAutoScale", "Rfft", "Irfft", "Energy", "FilterBank", "FilterBankSquareRoot")
    ),
    *(
        f"CUSTOM Signal{name}" for name in ("FilterBankSpectralSubtraction", "PCAN", "FilterBankLog")
    ),  # chains of their own
    "CUSTOM TFLM_DECODE",  # constants, each with a code of its own
    *(f"CUSTOM Signal{name}" for name in ("Framer", "Stacker", "OverlapAdd", "Delay")),  # they remember
)
"""What graphs that grow from int8 values do not have: tests of their families compare these with the oracle."""
