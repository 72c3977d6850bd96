"""Convolutions of sequences and images, and transposed ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from smelt.importers.onnx_channels import with_integers
from smelt.importers.onnx_linear import Linear, Weights, bias_of, weights_of
from smelt.importers.onnx_nodes import Constant
from smelt.importers.onnx_site import OnnxArm, Site
from smelt.importers.onnx_views import View, stored_as
from smelt.importers.onnx_windows import CHANNELS_LAST, as_it_was, both, image, windows
from smelt.model.graph import Array
from smelt.model.ops import Conv2D, DepthwiseConv2D, Padding, TransposeConv2D


def conv(at: Site) -> None:
    at.give(convolved(at, at.running(0), at.constant(1), at.constant(2) if at.has(2) else None))


def convolved(at: Site, x: View, weights: Constant, bias: Constant | None) -> View:
    """The convolution of x that the attributes of a node describe."""
    rank = len(x.shape)
    seen = image(at, x)
    _check(at, rank, weights, bias)
    channels, depth = weights.shape[:2]
    groups = at.integer("group", 1)
    if groups < 1 or seen.shape[1] != depth * groups or channels % groups:
        at.broken(f"weights of shape {list(weights.shape)} do not fit an input of shape {list(x.shape)}")
    if at.node.attributes.get("kernel_shape", weights.shape[2:]) != weights.shape[2:]:
        at.broken(f"its kernel_shape is not that of weights of shape {list(weights.shape)}")
    w = windows(at, seen.shape, weights.shape[2:])
    single = depth == 1 and groups > 1
    filters = _filters(at, weights, single)
    if single:
        seen, filters = with_integers(seen, filters)
    settings: dict[str, Any] = {"stride": w.stride, "dilation": w.dilation, "pad": w.pad}
    kind = DepthwiseConv2D if single else Conv2D
    shape = (seen.shape[0], *w.count, channels)
    linear = Linear(at, seen, filters, bias_of(bias), shape, lambda operands: kind(**operands, **settings))
    return as_it_was(stored_as(linear.promise(), CHANNELS_LAST, "float32"), rank)


def _check(at: Site, rank: int, weights: Constant, bias: Constant | None) -> None:
    if len(weights.shape) != rank:
        at.broken(f"weights of shape {list(weights.shape)} do not fit an input with {rank} axes")
    if bias is not None and bias.data.size not in (weights.shape[0], 0):
        at.broken(f"a bias of {bias.data.size} numbers for {weights.shape[0]} channels")


def _filters(at: Site, weights: Constant, single: bool) -> Weights:
    """(channels out, rows, columns, channels in), or (1, rows, columns, channels out)."""
    if single:
        return weights_of(at, weights, lambda a: _four(a).transpose(1, 2, 3, 0), 0, 3)
    return weights_of(at, weights, lambda a: _four(a).transpose(0, 2, 3, 1), 0, 0)


def _four(a: Array) -> Array:
    return a if a.ndim == 4 else a[:, :, np.newaxis]


def conv_transpose(at: Site) -> None:
    x, weights = at.running(0), at.constant(1)
    bias = at.constant(2) if at.has(2) else None
    rank, seen, groups = len(x.shape), image(at, x), at.integer("group", 1)
    if len(weights.shape) != rank or groups < 1 or weights.shape[0] != seen.shape[1] or seen.shape[1] % groups:
        at.broken(f"weights of shape {list(weights.shape)} do not fit an input of shape {list(x.shape)}")
    channels = weights.shape[1] * groups
    if bias is not None and bias.data.size != channels:
        at.broken(f"a bias of {bias.data.size} numbers for {channels} channels")
    axes = rank - 2
    stride, dilation = at.many("strides", (1,) * axes, axes), at.many("dilations", (1,) * axes, axes)
    if min(*stride, *dilation, *weights.shape) < 1:
        at.broken("windows, strides and dilations are 1 or more")
    at.bounded([*weights.shape[:2], groups, *(n * d for n, d in zip(weights.shape[2:], dilation, strict=True))])
    size, pad = _transposed_size(at, seen.shape, weights.shape[2:], stride, dilation)

    def layout(a: Array) -> Array:
        return _spread(_dense(_four(a), groups), both(dilation)).transpose(1, 2, 3, 0)

    filters = weights_of(at, weights, layout, 1, 0)
    if groups > 1 and filters.scales.size > 1:
        at.refuse("grouped transposed convolutions with a scale for each channel are not supported")
    settings: dict[str, Any] = {"stride": both(stride), "pad": pad}
    shape = (seen.shape[0], *size, channels)
    linear = Linear(at, seen, filters, bias_of(bias), shape, lambda operands: TransposeConv2D(**operands, **settings))
    at.give(as_it_was(stored_as(linear.promise(), CHANNELS_LAST, "float32"), rank))


def _dense(a: Array, groups: int) -> Array:
    """Weights of groups as those of one group: zeros where channels do not meet."""
    if groups == 1:
        return a
    depth, channels = a.shape[0] // groups, a.shape[1]
    full = np.zeros((a.shape[0], channels * groups, *a.shape[2:]), a.dtype)
    for group in range(groups):
        rows = slice(group * depth, (group + 1) * depth)
        full[rows, group * channels : (group + 1) * channels] = a[rows]
    return full


def _spread(a: Array, dilation: tuple[int, int]) -> Array:
    """Weights with zeros between their taps."""
    if dilation == (1, 1):
        return a
    rows, columns = ((n - 1) * d + 1 for n, d in zip(a.shape[2:], dilation, strict=True))
    full = np.zeros((*a.shape[:2], rows, columns), a.dtype)
    full[:, :, :: dilation[0], :: dilation[1]] = a
    return full


def _transposed_size(
    at: Site, shape: tuple[int, ...], size: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[tuple[int, int], Padding]:
    """Rows and columns of the result, and what is cut off the full one."""
    axes, auto = len(size), at.text("auto_pad", "NOTSET")
    pads, extra = at.many("pads", (0,) * 2 * axes, 2 * axes), at.many("output_padding", (0,) * axes, axes)
    wanted = at.many("output_shape", ())[-axes:]
    sizes, cut = [1, 1], [(0, 0), (0, 0)]
    for axis in range(axes):
        place = axis + 2 - axes
        full = (shape[place + 2] - 1) * stride[axis] + (size[axis] - 1) * dilation[axis] + 1 + extra[axis]
        before, behind = pads[axis], pads[axes + axis]
        if wanted or auto in ("SAME_UPPER", "SAME_LOWER"):
            total = max(0, full - (wanted[axis] if wanted else shape[place + 2] * stride[axis]))
            before = total // 2 if auto != "SAME_LOWER" else total - total // 2
            before = total - total // 2 if auto == "NOTSET" else before
            behind = total - before
        sizes[place], cut[place] = (wanted[axis] if wanted else full - before - behind), (before, behind)
    if min(sizes) < 1 or min(pads) < 0:
        at.refuse(f"its result would have {sizes[0]} rows and {sizes[1]} columns")
    return (sizes[0], sizes[1]), Padding(*cut[0], *cut[1])


CONVOLUTIONS: tuple[OnnxArm, ...] = (
    OnnxArm("Conv", "1-D and 2-D, grouped, dilated; constant weights", conv),
    OnnxArm("ConvTranspose", "1-D and 2-D; constant weights", conv_transpose),
)
