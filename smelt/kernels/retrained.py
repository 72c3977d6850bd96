"""An op as another training of the same architecture might have it: other scales, zero points and multipliers, the same shapes.

What differs in the kernels of several such ops depends on the training; what is the same is the architecture's. Zero points at the
ends of their type, and 0, stay what they are, as do the scales that TensorFlow Lite prescribes (1/256 and other powers of two):
they follow from what an op is, a ReLU or a softmax, and not from data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import frexp
from typing import Any

import numpy as np

from smelt.model.graph import Op, Quantization, Tensor
from smelt.model.rescale import Rescale

TRAININGS = range(5)
BITS = 8
"""The low bits of a multiplier that stay 0: those of onnxruntime have 24 significant bits."""


def retrained(op: Op, training: int) -> Op:
    """`op` with other numbers, the same for the same `training`, in which what was equal stays equal. Weights stay as they are."""
    quantised = [t for t in (*op.inputs, *op.ys) if t.quantization is not None and t.element.high < 2**31 - 1]
    known = sorted({scale for t in quantised for scale in t.q.scales})
    scales = {s: _scale(s, place, training) for place, s in enumerate(known)}
    tensors = {t: replace(t, quantization=_other(t, scales, training)) for t in quantised}
    changed = op.substitute(tensors)
    y = tensors.get(op.y, op.y)
    limits = getattr(op, "clamp", None)
    fields: dict[str, Any] = {}
    if isinstance(rescale := getattr(op, "rescale", None), Rescale):
        fields["rescale"] = _rescale(rescale, op, tensors, training)
    elif limits is not None and op.y in tensors and "clamp" in op.__dataclass_fields__:
        fields["clamp"] = tuple(_limit(v, op.y, y) for v in limits)
    return replace(changed, **fields) if fields else changed


def _other(tensor: Tensor, scales: Mapping[float, float], training: int) -> Quantization:
    q = tensor.q
    zeros = tuple(_zero(z, tensor, training) for z in q.zero_points)
    return Quantization(tuple(scales[s] for s in q.scales), zeros, q.axis)


def _scale(scale: float, place: int, training: int) -> float:
    """Up to twice or half of it; those of one op in other ratios to each other."""
    if frexp(scale)[0] == 0.5:
        return scale
    return float(np.float32(scale * 1.013 * 2 ** (((7 * training + 5 * place) % 9 - 4) / 4)))


def _zero(zero: int, tensor: Tensor, training: int) -> int:
    low, high = tensor.element.range
    if zero in (0, low, high) or tensor.is_constant:
        return zero
    room = range(max(low + 1, zero - 9), min(high, zero + 10))
    others = [z for z in room if z not in (0, zero)]
    return others[training * 3 % len(others)]


def _rescale(p: Rescale, op: Op, tensors: Mapping[Tensor, Tensor], training: int) -> Rescale:
    """Other multipliers with as many bits, of every second training also shifts by one more."""
    if p.rounding in ("real", "floor"):
        return p
    x = op.inputs[0]
    new_x, new_y = tensors.get(x, x), tensors.get(op.y, op.y)
    x_zero = new_x.q.zero_point if x in tensors and x.q.zero_points == (p.x_zero,) else p.x_zero
    y_zero = new_y.q.zero_point if op.y in tensors and op.y.q.zero_points == (p.y_zero,) else p.y_zero
    m = p.multipliers.astype(np.int64)
    fresh = (2**30 + (m * 5 + (training + 1) * 0x0765_4300) % 2**30) >> BITS << BITS
    multipliers = np.where(m >= 2**30, fresh, m).astype(np.int32)
    low, high = (y_zero if v == p.y_zero else v for v in p.clamp)
    shifts = p.shifts - training % 2
    inside = None if p.inside is None else p.inside + y_zero - p.y_zero
    return replace(
        p, multipliers=multipliers, shifts=shifts, x_zero=x_zero, y_zero=y_zero, low=low, high=high, inside=inside
    )


def _limit(value: Any, old: Tensor, new: Tensor) -> Any:
    return new.q.zero_point if old.q.zero_points == (value,) else value
