"""QuantizeLinear and DequantizeLinear: quantisers decide in which form the values before them are computed.

Bytes are int8 inside: uint8 of the file less 128, zero points too. A quantiser that smelt's integers cannot hold (several zero
points, int16 with a zero point, 32 bits) is computed as it is written, in float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smelt.importers import onnx_channels
from smelt.importers.onnx_arrays import TYPES
from smelt.importers.onnx_nodes import Constant, Quantised, along
from smelt.importers.onnx_site import OnnxArm, Site
from smelt.importers.onnx_unary import casted, reals_of, table_of
from smelt.importers.onnx_views import Decoded, Floats, Promise, Stored, Target, View, natural_order, stored_as
from smelt.model.graph import Array, Quantization, Tensor
from smelt.model.ops import Lookup, Quantize
from smelt.model.tables import every_value, quantized_within

RANGES: dict[str, tuple[int, int]] = {
    "int8": (-128, 127), "uint8": (0, 255), "int4": (-8, 7), "uint4": (0, 15), "int2": (-2, 1), "uint2": (0, 3),
    "int16": (-32768, 32767), "uint16": (0, 65535), "int32": (-(2**31), 2**31 - 1),
}  # fmt: skip
BYTES = ("int8", "uint8", "int4", "uint4", "int2", "uint2")


@dataclass(frozen=True, eq=False)
class Parameters:
    """Scales and zero points of a quantiser, one or one along `axis`, and the integers that it makes."""

    scales: Floats
    zeros: Array
    axis: int | None
    dtype: str
    block: int = 0

    @property
    def is_single(self) -> bool:
        return self.scales.size == 1

    @property
    def offset(self) -> int:
        """What is added to integers of the file to have smelt's."""
        return -128 if self.dtype in ("uint8", "uint4", "uint2") else 0

    def target(self) -> Target | None:
        """What smelt stores; None where it has no such integers."""
        if not self.is_single or (self.dtype not in BYTES and self.dtype != "int16"):
            return None
        zero = int(self.zeros.reshape(-1)[0]) + self.offset
        if self.dtype == "int16" and zero:
            return None
        low, high = RANGES[self.dtype]
        q = Quantization((float(self.scales.reshape(-1)[0]),), (zero,))
        return Target(
            "int16" if self.dtype == "int16" else "int8", q, low + self.offset, high + self.offset, self.offset != 0
        )

    def by_channel(self, x: View) -> Target | None:
        """What smelt stores of x with a scale for each channel; None where it has no such integers."""
        zeros = set(self.zeros.reshape(-1).tolist())
        if self.axis is None or self.block or self.dtype not in BYTES or len(zeros) != 1:
            return None
        low, high, zero = (n + self.offset for n in (*RANGES[self.dtype], int(zeros.pop())))
        scales = along(self.scales, self.axis, len(x.shape))
        return onnx_channels.target_of(scales, zero, low, high, self.offset != 0, x)


def parameters(at: Site, scale: int, zero: int, dtype: str = "", axis: int | None = None, block: int = 0) -> Parameters:
    """From constant operands at these places; `dtype` is that of the integers where nothing else says so."""
    scales = at.constant(scale).data.astype(np.float32)
    if not np.all(np.isfinite(scales)) or not np.all(scales > 0):
        at.refuse("a scale is zero, negative, or no number")
    if at.has(zero):
        constant = at.constant(zero)
        zeros, dtype = constant.data.astype(np.int64), constant.dtype
    else:
        zeros, dtype = np.zeros(scales.shape, np.int64), dtype or "uint8"
    at.demand(dtype in RANGES, f"it quantises to {dtype}")
    if zeros.size not in (1, scales.size):
        at.broken(f"{scales.size} scales, but {zeros.size} zero points")
    if scales.size == 1:
        scales, zeros, axis = scales.reshape(()), zeros.reshape(-1)[:1].reshape(()), None
    elif zeros.size != scales.size:
        zeros = np.broadcast_to(zeros.reshape(()), scales.shape)
    return Parameters(scales, zeros, axis, dtype, block)


def _own(at: Site, x: Constant | View, dtype: str) -> Parameters:
    axis = at.integer("axis", 1)
    block = at.integer("block_size", 0)
    rank = len(x.shape)
    many = at.constant(1).data.size > 1
    return parameters(at, 1, 2, dtype, at.axis(axis, rank) if many else None, block)


# From integers to reals


def dequantize_linear(at: Site) -> None:
    x = at.any(0)
    dtype = x.dtype
    p = _own(at, x, dtype)
    at.give(known(at, x, p) if isinstance(x, Constant) else decoded(at, x, p))


def known(at: Site, x: Constant, p: Parameters) -> Constant:
    """A dequantised constant, which remembers its integers."""
    rank = x.data.ndim
    if p.axis is not None and not p.block and p.scales.size != x.shape[p.axis]:
        at.broken(f"{p.scales.size} scales for an axis of {x.shape[p.axis]}")
    if p.block:
        scales, zeros = _of_blocks(at, p.scales, x, p), _of_blocks(at, p.zeros, x, p)
    else:
        scales, zeros = along(p.scales, p.axis, rank), along(p.zeros, p.axis, rank)
    reals = (x.data.astype(np.int64) - zeros).astype(np.float32) * scales
    quantised = None if p.block else Quantised(x.data, p.scales.reshape(-1), p.zeros.reshape(-1), p.axis, x.dtype)
    return Constant(np.asarray(reals, np.float32), quantised)


def _of_blocks(at: Site, numbers: Array, x: Constant, p: Parameters) -> Array:
    """Numbers for blocks of an axis, repeated for all of it."""
    axis = p.axis or 0
    if numbers.ndim != x.data.ndim or numbers.shape[axis] * p.block < x.shape[axis]:
        at.broken(f"scales of shape {list(numbers.shape)} for blocks of {p.block} in {list(x.shape)}")
    part = [slice(None)] * x.data.ndim
    part[axis] = slice(0, x.shape[axis])
    return np.repeat(numbers, p.block, axis)[tuple(part)]


def decoded(at: Site, x: View, p: Parameters) -> View:
    """The reals that integers stand for."""
    target, source = p.target(), x.source
    if isinstance(source, onnx_channels.ByChannel):
        own, other = source.target, p.by_channel(x)
        if other is None or (other.quantization, other.factors) != (own.quantization, own.factors):
            at.refuse("integers of a scale for each channel are read with other scales")
        return onnx_channels.read(at, x, source)
    if isinstance(source, Faked):
        if (source.target.low, source.target.high) != RANGES["int8"]:
            at.refuse("integers that smelt keeps as float32 are clipped")
        if source.parameters is not p and not source.is_alike(p):
            at.refuse("integers of a scale for each channel are read with other scales")
        return x.of(source.tensor, "float32")
    if isinstance(source, Tensor) and source.dtype not in ("int8", "uint8", "int16"):
        return _scaled(at, casted(at, x, "float32"), p)
    if target is None or not isinstance(source, Stored | Tensor):
        at.refuse("integers are dequantised in a way that smelt does not know")
    tensor = at.bench.held(x)
    wanted = target.quantization
    if tensor.quantization is None or tensor.dtype == "uint8":
        tensor = at.bench.labelled(tensor, wanted)
    elif not _alike(tensor.q, wanted):
        y = at.bench.tensor(f"{tensor.name}.read", tensor.shape, tensor.dtype, wanted)
        at.demand(tensor.dtype == "int8", "int16 values are read with another scale than they were made with")
        table = at.bench.constant(f"{y.name}.table", every_value(tensor).astype(np.int8), "int8", wanted)
        tensor = at.bench.add(Lookup(x=tensor, y=y, table=table))
    return x.of(Decoded(tensor), "float32")


def _alike(q: Quantization, q2: Quantization) -> bool:
    return q.zero_points == q2.zero_points and np.float32(q.scale) == np.float32(q2.scale)


def _scaled(at: Site, x: View, p: Parameters) -> View:
    """Plain numbers times scales, in float32."""
    at.demand(p.is_single, "a scale for each channel of integers that are computed is not supported")
    r, tensor = reals_of(at), at.bench.real(x)
    if p.zeros.any():
        tensor = r.plus(tensor, -float(p.zeros))
    return x.of(r.times(tensor, float(p.scales)))


# From reals to integers


@dataclass(frozen=True, eq=False)
class Faked(Stored):
    """Integers that are not made: `tensor` holds the reals that they stand for."""

    tensor: Tensor = None  # type: ignore[assignment]
    parameters: Parameters = None  # type: ignore[assignment]

    def is_alike(self, p: Parameters) -> bool:
        own = self.parameters
        return (
            own.axis == p.axis
            and np.array_equal(own.scales, p.scales)
            and np.array_equal(own.zeros.reshape(-1), p.zeros.reshape(-1))
        )


def quantize_linear(at: Site) -> None:
    x = at.any(0)
    code = at.integer("output_dtype", 0)
    p = _own(at, x, TYPES.get(code, "") if code else "")
    at.give(_of_constant(x, p) if isinstance(x, Constant) else quantised(at, x, p))


def _of_constant(x: Constant, p: Parameters) -> Constant:
    low, high = RANGES[p.dtype]
    rank = x.data.ndim
    steps = np.rint(x.data.astype(np.float32) / along(p.scales, p.axis, rank)) + along(p.zeros, p.axis, rank)
    kept = "int8" if p.dtype in ("int4", "int2") else "uint8" if p.dtype in ("uint4", "uint2") else p.dtype
    return Constant(np.clip(steps, low, high).astype(kept), packed=p.dtype if kept != p.dtype else "")


def quantised(at: Site, x: View, p: Parameters) -> View:
    """The integers that a quantiser makes of reals: made when it is known what limits them."""
    target = p.target()
    at.demand(x.dtype == "float32", f"it quantises {x.dtype}")
    if target is None:
        several = p.by_channel(x)
        return _faked(at, x, p) if several is None else onnx_channels.made(at, x, several, p.dtype)
    source, where = x.source, at.node.where

    def make(wanted: Target) -> Tensor:
        before, at.bench.here = at.bench.here, where
        found = at.bench.once((id(source), wanted), source, lambda: integers(at, x, wanted))
        at.bench.here = before
        return found

    return x.of(Stored(x.stored, target, make), p.dtype)


def integers(at: Site, x: View, target: Target) -> Tensor:
    """Stored integers of a value of reals."""
    match x.source:
        case Promise() as promise if promise.quantised is not None and target.dtype in promise.types:
            return promise.quantised(target, promise.limits)
        case Decoded() as known_ if _is_same(known_, target) or {known_.tensor.dtype, target.dtype} == {"int8"}:
            return _looked_up(at, known_, target)
    real = at.bench.real(x)
    y = at.bench.tensor(at.wish, real.shape, target.dtype, target.quantization)  # type: ignore[arg-type]
    found = at.bench.add(Quantize(x=real, y=y, rounding="ties_even"))
    if (target.low, target.high) == y.element.range:
        return found
    return _looked_up(at, Decoded(found), target)


def _is_same(source: Decoded, target: Target) -> bool:
    """Whether a quantiser gives what its reals were dequantised from."""
    x = source.tensor
    full = (target.low, target.high) == x.element.range
    return source.table is None and _alike(x.q, target.quantization) and full and x.dtype == target.dtype


def _looked_up(at: Site, source: Decoded, target: Target) -> Tensor:
    """A function of a byte as one step; none where nothing changes."""
    x = source.tensor
    if _is_same(source, target):
        return x
    at.demand(x.dtype == "int8", "integers of int16 are limited by a Clip; limit the reals before the QuantizeLinear")
    table = stored(table_of(source), target)
    y = at.bench.tensor(at.wish, x.shape, target.dtype, target.quantization)  # type: ignore[arg-type]
    return at.bench.add(
        Lookup(x=x, y=y, table=at.bench.constant(f"{y.name}.table", table, y.dtype, target.quantization))
    )


def stored(reals: Floats, target: Target) -> Array:
    """The integers that a quantiser makes of reals."""
    limited = quantized_within(reals, target.quantization, target.low, target.high)
    return limited.astype(np.int8 if target.dtype == "int8" else np.int16)


def _faked(at: Site, x: View, p: Parameters) -> View:
    """What is left of reals after they were quantised and dequantised, in float32."""
    order = natural_order(x)
    x = at.bench.arranged(x, order)
    if p.axis is not None and p.scales.size != x.shape[p.axis]:
        at.broken(f"{p.scales.size} scales for an axis of {x.shape[p.axis]}")
    r, rank = reals_of(at), len(order)
    place = None if p.axis is None else order.index(p.axis)
    scale, zero = (
        at.bench.constant(f"{at.wish}.constant", np.asarray(_spread(a, place, rank), np.float32))
        for a in (p.scales, p.zeros)
    )
    low, high = RANGES[p.dtype]
    steps = r.unary("round", r.over(at.bench.real(x), scale))
    limited = r.plus(steps, zero, (float(low), float(high)))
    tensor = r.times(r.plus(limited, zero, subtract=True), scale)
    at.bench.remark(
        f"{at.node.where} quantises to {p.dtype}"
        + ("" if p.is_single else " with scales and zero points for each channel")
        + ": its values are rounded as written, but computed and kept as float32"
    )
    target = Target("int8", Quantization((1.0,), (0,)), -128, 127)

    def make(wanted: Target) -> Tensor:
        at.refuse("integers that smelt keeps as float32 are read by something other than a DequantizeLinear")

    seen = stored_as(tensor, order, "float32")
    return seen.of(Faked(seen.stored, target, make, tensor, p), p.dtype)


def _spread(numbers: Array, axis: int | None, rank: int) -> Array:
    if axis is None:
        return numbers.reshape((1,) * rank)
    return numbers.reshape([-1 if a == axis else 1 for a in range(rank)])


QUANTISERS: tuple[OnnxArm, ...] = tuple(
    arm
    for domain in ("", "com.microsoft.")
    for arm in (
        OnnxArm(f"{domain}QuantizeLinear", "a constant scale", quantize_linear),
        OnnxArm(f"{domain}DequantizeLinear", "a constant scale", dequantize_linear),
    )
)
