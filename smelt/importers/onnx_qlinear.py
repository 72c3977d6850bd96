"""QOperator form: integers with their scales as operands. Each is what it is in QDQ form: dequantise, compute, quantise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from smelt.importers.onnx_binary import ADD, MUL, Arithmetic, combined
from smelt.importers.onnx_conv import convolved
from smelt.importers.onnx_dense import multiplied, stacked
from smelt.importers.onnx_fused import added, multiplied_bytes
from smelt.importers.onnx_joins import joined
from smelt.importers.onnx_nodes import Constant, Quantised
from smelt.importers.onnx_quant import Parameters, decoded, known, parameters, quantised
from smelt.importers.onnx_reduce import averaged, mean_along, of_axis
from smelt.importers.onnx_site import OnnxArm, Site
from smelt.importers.onnx_unary import leaky, sigmoid
from smelt.importers.onnx_views import View, transposed_axes
from smelt.importers.onnx_windows import CHANNELS_LAST

Operand = Constant | View


def operand(at: Site, place: int, axis: int | None = None) -> Operand:
    """The reals of three operands: integers, scales, zero points."""
    x = at.any(place)
    p = parameters(at, place + 1, place + 2, x.dtype, axis)
    return known(at, x, p) if isinstance(x, Constant) else decoded(at, x, p)


def running(at: Site, place: int) -> View:
    """The same where they must not be constants."""
    found = operand(at, place)
    if isinstance(found, Constant):
        at.refuse(f"its operand {place} is a constant")
    return found


def give(at: Site, y: Operand, scale: int, zero: int, dtype: str = "uint8") -> None:
    """Quantise the result by operands at these places."""
    if isinstance(y, Constant):
        at.refuse("its result is a constant")
    at.give(quantised(at, y, parameters(at, scale, zero, dtype)))


def _bias(at: Site, place: int, x: Parameters, weights: Constant, axis: int) -> Constant | None:
    """int32 at the product of the scales."""
    if not at.has(place):
        return None
    stored = at.constant(place).data.reshape(-1)
    if weights.quantised is None or stored.dtype != np.int32:
        at.refuse("its bias is not int32")
    scales = (x.scales * weights.quantised.scales).astype(np.float32)
    zeros = np.zeros(scales.shape, np.int64)
    reals = stored.astype(np.float32) * scales
    return Constant(reals, Quantised(stored, scales, zeros, 0 if scales.size > 1 else None, "int32"))


def conv(at: Site) -> None:
    weights = operand(at, 3, 0)
    if not isinstance(weights, Constant):
        at.refuse("its weights must be constants")
    bias = _bias(at, 8, parameters(at, 1, 2), weights, 0)
    give(at, convolved(at, running(at, 0), weights, bias), 6, 7)


def matmul(at: Site) -> None:
    a, b = running(at, 0), operand(at, 3, 1)
    if isinstance(b, Constant) and len(b.shape) == 2:
        give(at, multiplied(at, a, b, False, None), 6, 7)
    else:
        give(at, stacked(at, a, b if isinstance(b, View) else at.held(b, 3)), 6, 7)


def gemm(at: Site) -> None:
    transposed = bool(at.integer("transB", 0))
    at.demand(not at.integer("transA", 0), "transA is not supported; transpose before it")
    a, b = running(at, 0), operand(at, 3, 0 if transposed else 1)
    if not isinstance(b, Constant):
        at.refuse("its weights must be constants")
    y = multiplied(at, a, b, transposed, _bias(at, 6, parameters(at, 1, 2), b, 0), at.real("alpha", 1.0))
    if at.has(7):
        give(at, y, 7, 8)
    else:
        at.give(y)


def binary(at: Site, how: Arithmetic, fused: Callable[..., object]) -> None:
    give(at, combined(at, operand(at, 0), operand(at, 3), how, fused), 6, 7)  # type: ignore[arg-type]


def concat(at: Site) -> None:
    count = (len(at.node.inputs) - 2) // 3
    found = [operand(at, 2 + 3 * number) for number in range(count)]
    views = [f if isinstance(f, View) else at.held(f, 2) for f in found]
    if not views:
        at.broken("it joins nothing")
    give(at, joined(at, views, at.axis(at.integer("axis", 0), len(views[0].shape))), 0, 1)


def average_pool(at: Site) -> None:
    give(at, _as_channels_first(at, lambda x: averaged(at, x)), 3, 4)


def global_average_pool(at: Site) -> None:
    give(at, _as_channels_first(at, lambda x: mean_along(at, x, tuple(range(2, len(x.shape))), True)), 3, 4)


def _as_channels_first(at: Site, pool: Callable[[View], View]) -> View:
    """A pool of images that may have their channels last in the file."""
    x = running(at, 0)
    if not at.integer("channels_last", 0):
        return pool(x)
    rank = len(x.shape)
    at.demand(rank == 4, "channels_last of what is no image")
    there, back = (0, 3, 1, 2), CHANNELS_LAST
    return transposed_axes(pool(transposed_axes(at.bench.arranged(x, tuple(range(rank))), there)), back)


def reduce_mean(at: Site) -> None:
    x = running(at, 0)
    axes = tuple(sorted(at.axis(axis, len(x.shape)) for axis in at.many("axes", tuple(range(len(x.shape))))))
    give(at, mean_along(at, x, axes, bool(at.integer("keepdims", 1))), 3, 4)


def softmax(at: Site) -> None:
    """Where no axis is said it is the last one, whatever the operator set (onnxruntime's schema of QLinearSoftmax)."""
    give(at, of_axis(at, running(at, 0), at.integer("opset", 13), unsaid=-1), 3, 4)


def of_one(at: Site, function: Callable[[Site, View], View]) -> None:
    give(at, function(at, running(at, 0)), 3, 4)


MICROSOFT: tuple[OnnxArm, ...] = (
    OnnxArm("QLinearAdd", "", lambda at: binary(at, ADD, added)),
    OnnxArm("QLinearMul", "", lambda at: binary(at, MUL, multiplied_bytes)),
    OnnxArm("QLinearConcat", "", concat),
    OnnxArm("QGemm", "constant weights and bias", gemm),
    OnnxArm("QLinearAveragePool", "", average_pool),
    OnnxArm("QLinearGlobalAveragePool", "", global_average_pool),
    OnnxArm("QLinearReduceMean", "", reduce_mean),
    OnnxArm("QLinearSoftmax", "", softmax),
    OnnxArm("QLinearLeakyRelu", "", lambda at: of_one(at, leaky)),
    OnnxArm("QLinearSigmoid", "", lambda at: of_one(at, sigmoid)),
)

QLINEAR: tuple[OnnxArm, ...] = (
    OnnxArm("QLinearConv", "constant weights of int8, or of uint8 that fit int8 less their zero point", conv),
    OnnxArm("QLinearMatMul", "constant weights, or two values", matmul),
    *(replace(arm, code=f"com.microsoft.{arm.code}") for arm in MICROSOFT),
)
