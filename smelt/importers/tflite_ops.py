"""The operators that compute: convolutions, dense, pools, element by element."""

from __future__ import annotations

from smelt.importers.tflite_site import Arm, Site
from smelt.model.graph import Op, Tensor
from smelt.model.ops import (
    Add,
    AveragePool2D,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dequantize,
    Maximum,
    MaxPool2D,
    Mean,
    Minimum,
    Mul,
    Padding,
    Pool,
    Quantize,
    Resize,
    ResizeBilinear,
    ResizeNearest,
    Softmax,
    TransposeConv2D,
    Unary,
    UnaryFunction,
)
from smelt.model.representable import FARTHEST, fits_steps

Pair = tuple[int, int]
BYTES = ("int8", "uint8")


def window(at: Site, padding: str, extent: int, size: int, stride: int, dilation: int = 1) -> tuple[int, int, int]:
    """Along one axis: how many windows there are, and the padding before and after. Odd padding goes behind."""
    reach = (size - 1) * dilation + 1
    count = (extent + stride - 1) // stride if padding == "SAME" else (extent + stride - reach) // stride
    if count <= 0:
        at.broken(f"a window of {reach} does not fit in {extent} rows or columns with padding {padding}")
    total = max(0, (count - 1) * stride + reach - extent)
    return count, total // 2, total - total // 2


def windows(
    at: Site, padding: str, extent: tuple[int, ...], size: Pair, stride: Pair, dilation: Pair
) -> tuple[Pair, Padding]:
    rows, top, bottom = window(at, padding, extent[0], size[0], stride[0], dilation[0])
    columns, left, right = window(at, padding, extent[1], size[1], stride[1], dilation[1])
    return (rows, columns), Padding(top, bottom, left, right)


def conv_2d(at: Site) -> tuple[Op, ...]:
    x, weights, y = at.image(), at.weights(1, axis=0, axes=4), at.four_axes(at.y())
    channels, rows, columns, depth = weights.shape
    groups = x.shape[3] // depth
    if x.shape[3] % depth or channels % groups:
        at.broken(f"weights of shape {list(weights.shape)} do not fit an input of shape {list(x.shape)}")
    stride = at.positive(2, "stride"), at.positive(1, "stride")
    dilation = at.positive(5, "dilation", 1), at.positive(4, "dilation", 1)
    size, pad = windows(at, at.padding(0), x.shape[1:3], (rows, columns), stride, dilation)
    at.agree(y, (x.shape[0], *size, channels))
    bias, clamp = at.bias(2, channels), at.clamp(3, y)
    op = Conv2D(y=y, x=x, weights=weights, bias=bias, stride=stride, dilation=dilation, pad=pad, clamp=clamp)
    return (op,)


def depthwise_conv_2d(at: Site) -> tuple[Op, ...]:
    x, weights, y = at.image(), at.weights(1, axis=3, axes=4), at.four_axes(at.y())
    one, rows, columns, channels = weights.shape
    multiplier = at.integer(3)
    if one != 1 or channels != multiplier * x.shape[3]:
        at.broken(
            f"weights of shape {list(weights.shape)} with multiplier {multiplier} do not fit "
            f"an input of shape {list(x.shape)}"
        )
    stride = at.positive(2, "stride"), at.positive(1, "stride")
    dilation = at.positive(6, "dilation", 1), at.positive(5, "dilation", 1)
    size, pad = windows(at, at.padding(0), x.shape[1:3], (rows, columns), stride, dilation)
    at.agree(y, (x.shape[0], *size, channels))
    bias, clamp = at.bias(2, channels), at.clamp(4, y)
    op = DepthwiseConv2D(y=y, x=x, weights=weights, bias=bias, stride=stride, dilation=dilation, pad=pad, clamp=clamp)
    return (op,)


def fully_connected(at: Site) -> tuple[Op, ...]:
    x, weights, y = at.x(), at.weights(1, axis=0, axes=2), at.y()
    units, depth = weights.shape
    at.demand(at.code(1) == 0, "the weights are shuffled; the default format is supported")
    if x.elements % depth:
        at.broken(f"weights of shape {list(weights.shape)} do not fit an input of shape {list(x.shape)}")
    rows = x.elements // depth
    if not y.shape or y.shape[-1] != units or y.elements != rows * units:
        at.broken(f"output '{y.name}' has shape {list(y.shape)}, but the operator computes {[rows, units]}")
    bias = at.bias(2, units)
    if bias is not None and bias.quantization is not None and len(bias.q.scales) == len(weights.q.scales) == 1:
        off = abs(x.q.scale * weights.q.scale - bias.q.scale) / y.q.scale
        at.demand(off <= 0.02, f"the scale of bias '{bias.name}' is not x.scale * weights.scale")
    return (Dense(y=y, x=x, weights=weights, bias=bias, clamp=at.clamp(0, y)),)


def transpose_conv(at: Site) -> tuple[Op, ...]:
    x, weights, y = at.image(2), at.weights(1, axis=0, axes=4), at.four_axes(at.y())
    channels, rows, columns, depth = weights.shape
    stride = at.positive(2, "stride"), at.positive(1, "stride")
    # The convolution from y back to x fixes the padding
    size, pad = windows(at, at.padding(0), y.shape[1:3], (rows, columns), stride, (1, 1))
    if x.shape != (y.shape[0], *size, depth) or y.shape[3] != channels:
        at.broken(
            f"output '{y.name}' of shape {list(y.shape)} does not follow from an input of shape {list(x.shape)} "
            f"and weights of shape {list(weights.shape)}"
        )
    if at.has(0) and at.operand(0).is_constant:
        at.agree(y, at.integers(0))
    activation = at.activation(3)
    at.demand(activation == "NONE", f"the fused activation {activation} is not supported here; put it behind")
    return (TransposeConv2D(y=y, x=x, weights=weights, bias=at.bias(3, channels), stride=stride, pad=pad),)


def pool(at: Site, kind: type[Pool]) -> tuple[Op, ...]:
    x, y = at.image(), at.four_axes(at.y())
    stride = at.positive(2, "stride"), at.positive(1, "stride")
    size = at.positive(4, "window"), at.positive(3, "window")
    count, pad = windows(at, at.padding(0), x.shape[1:3], size, stride, (1, 1))
    at.agree(y, (x.shape[0], *count, x.shape[3]))
    same = abs(x.q.scale - y.q.scale) <= 1e-6 and x.q.zero_point == y.q.zero_point
    at.demand(same, f"input '{x.name}' and output '{y.name}' are quantised differently; a pool does not rescale")
    return (kind(y=y, x=x, size=size, stride=stride, pad=pad, clamp=at.clamp(5, y)),)


def average_pool_2d(at: Site) -> tuple[Op, ...]:
    return pool(at, AveragePool2D)


def max_pool_2d(at: Site) -> tuple[Op, ...]:
    return pool(at, MaxPool2D)


def mean(at: Site) -> tuple[Op, ...]:
    x, y = at.x(), at.y()
    axes = tuple(sorted({at.axis(axis, len(x.shape)) for axis in at.integers(1)}))
    if not axes:
        at.refuse("it reduces no axis; leave it out")
    kept = (1 if axis in axes else size for axis, size in enumerate(x.shape))
    dropped = (size for axis, size in enumerate(x.shape) if axis not in axes)
    at.agree(y, tuple(kept) if at.flag(0) else tuple(dropped))
    return (Mean(y=y, x=x, axes=axes),)


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


def resize(at: Site, kind: type[Resize], align: int, half: int) -> tuple[Op, ...]:
    x, y, size = at.image(), at.four_axes(at.y()), at.integers(1)
    at.agree(y, (x.shape[0], *size, x.shape[3]))
    align_corners, half_pixel_centers = at.flag(align), at.flag(half)
    at.demand(not (align_corners and half_pixel_centers), "align_corners and half_pixel_centers exclude each other")
    return (kind(y=y, x=x, align_corners=align_corners, half_pixel_centers=half_pixel_centers),)


def resize_nearest(at: Site) -> tuple[Op, ...]:
    return resize(at, ResizeNearest, 0, 1)


def resize_bilinear(at: Site) -> tuple[Op, ...]:
    return resize(at, ResizeBilinear, 2, 3)


def demand_quantization(at: Site, y: Tensor, scale: float, zero_point: int) -> None:
    found = y.q
    at.demand(
        found.scale == scale and found.zero_point == zero_point,
        f"output '{y.name}' has scale {found.scale:.6g} and zero point {found.zero_point}; "
        f"int8 {at.operator.code} has 1/{round(1 / scale)} and {zero_point}",
    )


def softmax(at: Site) -> tuple[Op, ...]:
    x, y = at.x(), at.y()
    beta = at.real(0)
    if not x.shape:
        at.broken("its input is a scalar")
    at.agree(y, x.shape)
    demand_quantization(at, y, 1 / 256, -128)
    return (Softmax(y=y, x=x, beta=beta),)


def unary(at: Site, function: UnaryFunction, alpha: float = 0.0) -> tuple[Op, ...]:
    x, y = at.x(), at.y()
    at.agree(y, x.shape)
    return (Unary(y=y, x=x, function=function, alpha=alpha),)


def relu(at: Site) -> tuple[Op, ...]:
    return unary(at, "relu")


def relu6(at: Site) -> tuple[Op, ...]:
    return unary(at, "relu6")


def leaky_relu(at: Site) -> tuple[Op, ...]:
    return unary(at, "leaky_relu", at.real(0))


def logistic(at: Site) -> tuple[Op, ...]:
    demand_quantization(at, at.y(), 1 / 256, -128)
    return unary(at, "logistic")


def tanh(at: Site) -> tuple[Op, ...]:
    demand_quantization(at, at.y(), 1 / 128, 0)
    return unary(at, "tanh")


def hard_swish(at: Site) -> tuple[Op, ...]:
    return unary(at, "hard_swish")


def quantize(at: Site) -> tuple[Op, ...]:
    x, y = at.x(types=("float32", *BYTES)), at.y(types=BYTES)
    y = at.agree(y, x.shape)
    if x.dtype != "float32":
        same = x.dtype == y.dtype == "uint8"
        at.demand(not same, "it goes from uint8 to uint8, which TensorFlow Lite Micro lacks; leave it out")
        return (Unary(y=y, x=x, function="requantize"),)
    if y.dtype != "int8":
        at.refuse(f"output '{y.name}' is {y.dtype}; from float32 only int8 is supported")
    source = at.bench.dequantized(x)
    far = source is not None and not fits_steps(FARTHEST * source.x.q.scale, y.q)
    at.demand(not far, f"input '{x.name}' can be too many steps of {y.q.scale:.3g} for 32-bit arithmetic")
    return (Quantize(y=y, x=x),)


def dequantize(at: Site) -> tuple[Op, ...]:
    x, y = at.x(), at.result()
    if y.dtype != "float32":
        at.refuse(f"output '{y.name}' is {y.dtype}; float32 is supported")
    at.agree(y, x.shape)
    return (Dequantize(y=y, x=x),)


COMPUTING: tuple[Arm, ...] = (
    Arm("CONV_2D", "grouped, dilated; weights per tensor or per channel", (2, 3), conv_2d, 1),
    Arm("DEPTHWISE_CONV_2D", "any multiplier, dilated; weights per tensor or channel", (2, 3), depthwise_conv_2d, 2),
    Arm("FULLY_CONNECTED", "constant weights per tensor or per unit", (2, 3), fully_connected, 8),
    Arm("TRANSPOSE_CONV", "no fused activation", (3, 4), transpose_conv, 49),
    Arm("AVERAGE_POOL_2D", "", (1, 1), average_pool_2d, 5),
    Arm("MAX_POOL_2D", "", (1, 1), max_pool_2d, 5),
    Arm("MEAN", "any axes", (2, 2), mean, 27),
    Arm("ADD", "broadcasting", (2, 2), add, 11),
    Arm("SUB", "broadcasting", (2, 2), sub, 28),
    Arm("MUL", "broadcasting", (2, 2), mul, 21),
    Arm("MINIMUM", "broadcasting", (2, 2), minimum),
    Arm("MAXIMUM", "broadcasting", (2, 2), maximum),
    Arm("RESIZE_NEAREST_NEIGHBOR", "constant size", (2, 2), resize_nearest, 74),
    Arm("RESIZE_BILINEAR", "constant size", (2, 2), resize_bilinear, 15),
    Arm("SOFTMAX", "over the last axis", (1, 1), softmax, 9),
    Arm("RELU", "", (1, 1), relu),
    Arm("RELU6", "", (1, 1), relu6),
    Arm("LEAKY_RELU", "", (1, 1), leaky_relu, 75),
    Arm("LOGISTIC", "", (1, 1), logistic),
    Arm("TANH", "", (1, 1), tanh),
    Arm("HARD_SWISH", "", (1, 1), hard_swish),
    Arm("QUANTIZE", "float32, int8 and uint8 to int8; int8 to uint8", (1, 1), quantize, types=BYTES),
    Arm("DEQUANTIZE", "int8 and uint8 to float32", (1, 1), dequantize, types=BYTES),
)
