"""The operators that compute on windows and matrices: convolutions, dense, pools, resizing."""

from __future__ import annotations

from dataclasses import replace

from smelt.importers.tflite_moves import ANY, source, target
from smelt.importers.tflite_site import INT8_OR_REAL, REAL, SCALED_OR_REAL, Arm, Site
from smelt.model.graph import Op, Tensor
from smelt.model.ops import (
    AveragePool2D,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    L2Pool2D,
    MaxPool2D,
    Padding,
    Pool,
    Resize,
    ResizeBilinear,
    ResizeNearest,
    TransposeConv2D,
)
from smelt.model.rescale import Clamp, Rescale, linear_rescale

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


def rescaled(x: Tensor, weights: Tensor, bias: Tensor | None, y: Tensor, clamp: Clamp | None = None) -> Rescale:
    """How sums become outputs. Sums of int16 activations are of 64 bits, but of 32 where the bias is int32."""
    wide = x.dtype == "int16" and (bias is None or bias.dtype != "int32")
    rescale = linear_rescale(x, weights, y, clamp, "tflm48" if wide else "tflm")
    if (
        weights.is_constant or weights.quantization is None
    ):  # the zero point of constants is taken off while the file is read
        return rescale
    return replace(rescale, weights_zero=weights.q.zero_point)


def conv_2d(at: Site) -> tuple[Op, ...]:
    x, weights, y = at.image(), at.weights(1, axis=0, axes=4, computed=True), at.four_axes(at.y())
    channels, rows, columns, depth = weights.shape
    groups = x.shape[3] // depth
    if x.shape[3] % depth or channels % groups:
        at.broken(f"weights of shape {list(weights.shape)} do not fit an input of shape {list(x.shape)}")
    stride = at.positive(2, "stride"), at.positive(1, "stride")
    dilation = at.positive(5, "dilation", 1), at.positive(4, "dilation", 1)
    size, pad = windows(at, at.padding(0), x.shape[1:3], (rows, columns), stride, dilation)
    at.alike(x, y)
    y = at.agree(y, (x.shape[0], *size, channels))
    at.demand_no_zero(x, y)
    bias = at.bias(2, channels, ("int64", "int32"), computed=True)
    rescale = rescaled(x, weights, bias, y, at.clamp(3, y))
    op = Conv2D(y=y, x=x, weights=weights, bias=bias, stride=stride, dilation=dilation, pad=pad, rescale=rescale)
    return (op,)


def depthwise_conv_2d(at: Site) -> tuple[Op, ...]:
    x, weights, y = at.image(), at.weights(1, axis=3, axes=4, computed=True), at.four_axes(at.y())
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
    at.alike(x, y)
    y = at.agree(y, (x.shape[0], *size, channels))
    at.demand_no_zero(x, y)
    bias = at.bias(2, channels, computed=True)
    rescale = rescaled(x, weights, bias, y, at.clamp(4, y))
    op = DepthwiseConv2D(
        y=y, x=x, weights=weights, bias=bias, stride=stride, dilation=dilation, pad=pad, rescale=rescale
    )
    return (op,)


def fully_connected(at: Site) -> tuple[Op, ...]:
    x, weights, y = at.x(), at.weights(1, axis=0, axes=2, computed=True), at.y()
    units, depth = weights.shape
    at.demand(at.code(1) == 0, "the weights are shuffled; the default format is supported")
    if x.elements % depth:
        at.broken(f"weights of shape {list(weights.shape)} do not fit an input of shape {list(x.shape)}")
    rows = x.elements // depth
    if not y.shape or y.shape[-1] != units or y.elements != rows * units:
        at.broken(f"output '{y.name}' has shape {list(y.shape)}, but the operator computes {[rows, units]}")
    at.alike(x, y)
    bias = at.bias(2, units, ("int64", "int32"), computed=True)
    if bias is not None and bias.quantization is not None and len(bias.q.scales) == len(weights.q.scales) == 1:
        off = abs(x.q.scale * weights.q.scale - bias.q.scale) / y.q.scale
        at.demand(off <= 0.02, f"the scale of bias '{bias.name}' is not x.scale * weights.scale")
    return (Dense(y=y, x=x, weights=weights, bias=bias, rescale=rescaled(x, weights, bias, y, at.clamp(0, y))),)


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
        y = at.agree(y, at.integers(0))
    at.alike(x, y)
    activation = at.activation(3)
    at.demand(activation == "NONE", f"the fused activation {activation} is not supported here; put it behind")
    at.demand_no_zero(x, y)
    bias = at.bias(3, channels, ("int64", "int16"))
    rescale = rescaled(x, weights, bias, y)
    return (TransposeConv2D(y=y, x=x, weights=weights, bias=bias, stride=stride, pad=pad, rescale=rescale),)


def pool(at: Site, kind: type[Pool]) -> tuple[Op, ...]:
    x, y = at.image(), at.four_axes(at.y())
    stride = at.positive(2, "stride"), at.positive(1, "stride")
    size = at.positive(4, "window"), at.positive(3, "window")
    count, pad = windows(at, at.padding(0), x.shape[1:3], size, stride, (1, 1))
    at.agree(y, (x.shape[0], *count, x.shape[3]))
    at.alike(x, y)
    same = at.is_real or (abs(x.q.scale - y.q.scale) <= 1e-6 and x.q.zero_point == y.q.zero_point)
    at.demand(same, f"input '{x.name}' and output '{y.name}' are quantised differently; a pool does not rescale")
    return (kind(y=y, x=x, size=size, stride=stride, pad=pad, clamp=at.clamp(5, y)),)


def average_pool_2d(at: Site) -> tuple[Op, ...]:
    return pool(at, AveragePool2D)


def l2_pool_2d(at: Site) -> tuple[Op, ...]:
    return pool(at, L2Pool2D)


def max_pool_2d(at: Site) -> tuple[Op, ...]:
    return pool(at, MaxPool2D)


def resize(at: Site, kind: type[Resize], x: Tensor, y: Tensor, align: int, half: int) -> tuple[Op, ...]:
    at.four_axes(x), at.four_axes(y)
    at.alike(x, y)
    size = at.integers(1)
    at.agree(y, (x.shape[0], *size, x.shape[3]))
    align_corners, half_pixel_centers = at.flag(align), at.flag(half)
    at.demand(not (align_corners and half_pixel_centers), "align_corners and half_pixel_centers exclude each other")
    return (kind(y=y, x=x, align_corners=align_corners, half_pixel_centers=half_pixel_centers),)


def resize_nearest(at: Site) -> tuple[Op, ...]:
    return resize(at, ResizeNearest, source(at), target(at), 0, 1)


def resize_bilinear(at: Site) -> tuple[Op, ...]:
    return resize(at, ResizeBilinear, at.x(), at.y(), 2, 3)


COMPUTING: tuple[Arm, ...] = (
    Arm(
        "CONV_2D",
        "grouped, dilated; weights per tensor or per channel, or computed",
        (2, 3),
        conv_2d,
        1,
        SCALED_OR_REAL,
    ),
    Arm(
        "DEPTHWISE_CONV_2D",
        "any multiplier, dilated; weights per tensor or channel, or computed",
        (2, 3),
        depthwise_conv_2d,
        2,
        SCALED_OR_REAL,
    ),
    Arm("FULLY_CONNECTED", "weights per tensor or per unit, or computed", (2, 3), fully_connected, 8, SCALED_OR_REAL),
    Arm("TRANSPOSE_CONV", "no fused activation", (3, 4), transpose_conv, 49, SCALED_OR_REAL),
    Arm("AVERAGE_POOL_2D", "", (1, 1), average_pool_2d, 5, SCALED_OR_REAL),
    Arm("MAX_POOL_2D", "", (1, 1), max_pool_2d, 5, SCALED_OR_REAL),
    Arm("L2_POOL_2D", "", (1, 1), l2_pool_2d, 5, REAL),
    Arm("RESIZE_NEAREST_NEIGHBOR", "constant size", (2, 2), resize_nearest, 74, types=ANY),
    Arm("RESIZE_BILINEAR", "constant size", (2, 2), resize_bilinear, 15, INT8_OR_REAL),
)
