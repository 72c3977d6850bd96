"""What multiplies and accumulates: weights in smelt's layout, and one promise for reals and integers alike.

Where x is dequantised and the weights are, too, sums are integers and become stored outputs as onnxruntime's fused operators make
them (`Rescale` "ties_even"); where either is missing, everything is float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smelt.importers.onnx_nodes import Constant, Quantised
from smelt.importers.onnx_site import Site
from smelt.importers.onnx_views import UNLIMITED, Decoded, Floats, Limits, Promise, Shape, Target, View
from smelt.model.dtypes import DType
from smelt.model.graph import Array, Op, Quantization, Tensor
from smelt.model.ops import Add, Mul
from smelt.model.ops_pointwise import Cast
from smelt.model.rescale import Rescale, linear_rescale, raw_sums

Layout = Callable[[Array], Array]
Make = Callable[[dict[str, Any]], Op]
INT8 = (-128, 127)
WIDE_WEIGHTS = (
    "weights less their zero point do not fit int8: it is computed in float32; quantise them symmetrically "
    "(weight_type=QuantType.QInt8)"
)


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights as smelt has them: reals, and the integers they were made from (their zero points off) with a scale for each channel
    of y, or one for all. `axis` is that of the channels of y."""

    reals: Floats
    stored: Array | None
    scales: Floats
    axis: int
    dtype: DType = "int8"


def weights_of(at: Site, constant: Constant, layout: Layout, channel_axis: int, axis: int) -> Weights:
    """A constant operand in another layout. `channel_axis` is that of the channels of y in the file, `axis` in the new layout.

    Weights that less their zero point need nine bits are reals.
    """
    reals = np.ascontiguousarray(layout(constant.data.astype(np.float32)))
    q = constant.quantised
    if q is None or (q.scales.size > 1 and q.axis != channel_axis):
        return Weights(reals, None, np.ones(1, np.float32), axis)
    centred = q.centred
    if centred.size and not INT8[0] <= centred.min() <= centred.max() <= INT8[1]:
        at.bench.remark(f"{at.node.where}: {WIDE_WEIGHTS}")
        return Weights(reals, None, np.ones(1, np.float32), axis)
    nibbles = q.dtype in ("int4", "int2") and centred.min() >= -8
    return Weights(
        reals,
        np.ascontiguousarray(layout(centred.astype(np.int8))),
        q.scales.reshape(-1),
        axis,
        "int4" if nibbles else "int8",
    )


@dataclass(frozen=True, eq=False)
class Bias:
    """What is added to sums: reals, and the int32 they were made from, where the scale of those is the product of the others."""

    reals: Floats
    quantised: Quantised | None = None


def bias_of(constant: Constant | None) -> Bias | None:
    """A constant operand as a bias."""
    if constant is None:
        return None
    return Bias(constant.data.astype(np.float32).reshape(-1), constant.quantised)


@dataclass(frozen=True, eq=False)
class Linear:
    """An operator that multiplies and accumulates: `make` builds the op of its operands and results by name."""

    at: Site
    x: View
    weights: Weights
    bias: Bias | None
    shape: Shape
    make: Make

    def promise(self) -> Promise:
        """The result, as reals or integers."""
        quantised = self._quantised if self._is_integer() else None
        types = (self.x.source.tensor.dtype,) if isinstance(self.x.source, Decoded) else ()
        return Promise(self.shape, self._real, quantised, types=types, affine=self._affine, by_channel=True)

    def _is_integer(self) -> bool:
        x = self.x.source
        return isinstance(x, Decoded) and x.table is None and self.weights.stored is not None

    def _affine(self, factors: Floats, addends: Floats) -> Promise | None:
        """Times numbers plus numbers, for each channel: taken into weights and bias; integers only take a bias that they lack."""
        w, old = self.weights, self.bias
        if self._is_integer():
            return replace(self, bias=Bias(addends)).promise() if old is None and np.all(factors == 1) else None
        along = [-1 if axis == w.axis % w.reals.ndim else 1 for axis in range(w.reals.ndim)]
        reals = w.reals * np.broadcast_to(factors, (self.shape[-1],)).reshape(along)
        base = np.zeros(self.shape[-1], np.float32) if old is None else old.reals
        bias = Bias(np.asarray(base * factors + addends, np.float32))
        return replace(self, weights=Weights(reals, None, w.scales, w.axis), bias=bias).promise()

    def _real(self, limits: Limits) -> Tensor:
        bench, at = self.at.bench, self.at
        if self._is_integer() and self.x.source.tensor.dtype == "int8":  # type: ignore[union-attr]
            return self._sums(limits)
        x = bench.real(self.x)
        weights = bench.constant(f"{at.wish}.weights", self.weights.reals)
        bias = None if self.bias is None else bench.constant(f"{at.wish}.bias", self.bias.reals)
        y = bench.tensor(at.wish, self.shape, "float32")
        return self._add(x, weights, bias, y, linear_rescale(x, weights, y, limits))

    def _sums(self, limits: Limits) -> Tensor:
        """Reals of integers where no quantiser follows: f32(f32(sum) * f32(s_x * s_w)), and to that a bias that is real."""
        bench, at = self.at.bench, self.at
        own = self.bias if self.bias is not None and self.bias.quantised is None else None
        x, weights, bias = (self if own is None else replace(self, bias=None))._integers()
        sums = bench.tensor(f"{at.wish}.sums", self.shape, "int32")
        self._add(x, weights, bias, sums, raw_sums(x, sums))
        scales = (np.float32(x.q.scale) * self.weights.scales).astype(np.float32)
        counted = bench.tensor(f"{at.wish}.counted", self.shape, "float32")
        bench.add(Cast(x=sums, y=counted), at.node.where)
        factors = bench.constant(f"{at.wish}.scales", scales.reshape((1,) * (len(self.shape) - 1) + (-1,)))
        y = bench.tensor(at.wish, self.shape, "float32")
        if own is None:
            return bench.add(Mul(x=counted, x2=factors, y=y, clamp=limits), at.node.where)
        product = bench.tensor(f"{at.wish}.product", self.shape, "float32")
        bench.add(Mul(x=counted, x2=factors, y=product, clamp=UNLIMITED), at.node.where)
        x2 = bench.constant(f"{at.wish}.bias", own.reals.reshape((1,) * (len(self.shape) - 1) + (-1,)))
        return bench.add(Add(x=product, x2=x2, y=y, clamp=limits), at.node.where)

    def _integers(self, factors: tuple[float, ...] = ()) -> tuple[Tensor, Tensor, Tensor | None]:
        """x, weights and bias, all of integers. Factors of y, one for each channel, are taken off the scales of the weights."""
        bench, at = self.at.bench, self.at
        assert isinstance(self.x.source, Decoded) and self.weights.stored is not None
        x, scales = self.x.source.tensor, self.weights.scales
        left = scales / np.asarray(factors, np.float32) if factors else scales
        q = Quantization(tuple(map(float, left)), (0,) * len(left), self.weights.axis if len(left) > 1 else None)
        weights = bench.constant(f"{at.wish}.weights", self.weights.stored, self.weights.dtype, q)
        return x, weights, self._integer_bias(x, scales)

    def _quantised(self, target: Target, limits: Limits) -> Tensor:
        bench, at = self.at.bench, self.at
        x, weights, bias = self._integers(target.factors)
        y = bench.tensor(at.wish, self.shape, target.dtype, target.quantization)  # type: ignore[arg-type]
        return self._add(x, weights, bias, y, linear_rescale(x, weights, y, stored_limits(target, limits), "ties_even"))

    def _integer_bias(self, x: Tensor, scales: Floats) -> Tensor | None:
        if self.bias is None:
            return None
        product = (np.float32(x.q.scale) * scales).astype(np.float32)
        q = self.bias.quantised
        if q is not None and q.dtype == "int32" and np.allclose(q.scales, product, rtol=1e-6) and not q.zeros.any():
            stored = q.stored.reshape(-1)
        else:
            exact = np.rint(self.bias.reals.astype(np.float64) / product)
            stored = np.clip(exact, -(2**31), 2**31 - 1).astype(np.int32)
            if q is None:
                self.at.bench.remark("biases of float32 were rounded to int32 at x.scale * weights.scale")
        each = Quantization(tuple(map(float, product)), (0,) * len(product), 0 if len(product) > 1 else None)
        return self.at.bench.constant(f"{self.at.wish}.bias", stored, "int32", each)

    def _add(self, x: Tensor, weights: Tensor, bias: Tensor | None, y: Tensor, rescale: Rescale) -> Tensor:
        op = self.make({"x": x, "weights": weights, "bias": bias, "y": y, "rescale": rescale})
        return self.at.bench.add(op, self.at.node.where)


def stored_limits(target: Target, limits: Limits) -> tuple[int, int]:
    """Real limits in the stored integers that a quantiser wants, within its own: clamp and rounding commute. Where it has factors,
    those of the first channel (`one_limit` says whether they are those of all)."""
    low, high = _ends(target, limits)[0].tolist()
    return low, high


def one_limit(target: Target, limits: Limits) -> bool:
    """Whether real limits are the same stored integers for all channels."""
    ends = _ends(target, limits)
    return bool(np.all(ends == ends[0]))


def _ends(target: Target, limits: Limits) -> NDArray[np.int64]:
    scales = np.asarray(target.factors or target.quantization.scales, np.float32)[:, np.newaxis]
    with np.errstate(over="ignore"):
        ends = np.rint(np.asarray(limits, np.float32) / scales).astype(np.float64) + target.quantization.zero_point
    return np.asarray(np.clip(ends, target.low, target.high), np.int64)
