"""Integer arithmetic on shapes that converters leave in a file (SHAPE, STRIDED_SLICE, PACK, RESHAPE for a Flatten).

With fixed shapes all of it is constant; it is evaluated here and never reaches the graph.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smelt.importers.tflite_moves import check_count, expanded, joined, new_shape, one_integer, squeezed
from smelt.importers.tflite_site import Refusal, Site
from smelt.importers.tflite_slices import strided_slice_spec
from smelt.model.graph import Array

INTEGERS = ("int32", "int64", "bool")
MOST_VALUES = 64


def evaluate(at: Site) -> None:
    """Give the integer result of the operator its value. Raises Refusal where that is not constant."""
    raw = at.bench.model.tensors[at.operator.outputs[0]]
    function = FUNCTIONS.get(at.operator.code)
    if function is None or len(at.operator.outputs) != 1 or not _small(at):
        raise Refusal(f"output '{raw.name}' is {raw.dtype}; int8 is supported (integers only where they are constant)")
    value = function(at).astype(raw.dtype)
    if value.shape != raw.shape:
        at.broken(f"output '{raw.name}' has shape {list(raw.shape)}, but the operator computes {list(value.shape)}")
    at.bench.define(raw.index, value)


def _small(at: Site) -> bool:
    """Whether all operands are constants of a few integers (SHAPE looks at its operand's shape only)."""
    if at.operator.code == "SHAPE":
        return True
    tensors = tuple(at.operand(position) for position in range(len(at.operator.inputs)) if at.has(position))
    few = sum(tensor.elements for tensor in tensors) <= MOST_VALUES
    return few and all(tensor.is_constant and tensor.dtype in ("int32", "int64") for tensor in tensors)


def _x(at: Site, position: int = 0) -> Array:
    return at.operand(position).constant


def _shape(at: Site) -> Array:
    return np.array(at.operand(0).shape, np.int64)


def _strided_slice(at: Site) -> Array:
    x = _x(at)
    spec = strided_slice_spec(at, x.shape)
    for axis, (begin, stride, extent) in enumerate(zip(spec.begin, spec.stride, spec.extent, strict=True)):
        x = np.take(x, [begin + i * stride for i in range(extent)], axis)
    return x.reshape(spec.shape)


def _pack(at: Site) -> Array:
    check_count(at, "values_count", len(at.operator.inputs))
    xs = [_x(at, position) for position in range(len(at.operator.inputs))]
    if any(x.shape != xs[0].shape for x in xs):
        at.broken("its inputs have different shapes")
    return np.stack(xs, at.axis(at.integer(1), xs[0].ndim + 1))


def _concatenation(at: Site) -> Array:
    xs = [_x(at, position) for position in range(len(at.operator.inputs))]
    axis = at.axis(at.integer(0), xs[0].ndim)
    joined(at, tuple(x.shape for x in xs), axis)
    return np.concatenate(xs, axis)


def _reshape(at: Site) -> Array:
    x = _x(at)
    shape = new_shape(at, x.size, at.bench.model.tensors[at.operator.outputs[0]].shape)
    return _reshaped(at, x, shape)


def _squeeze(at: Site) -> Array:
    asked = at.operator.options.integers(0) if at.operator.options is not None else ()
    return _reshaped(at, _x(at), squeezed(at, _x(at).shape, asked))


def _expand_dims(at: Site) -> Array:
    return _reshaped(at, _x(at), expanded(at, _x(at).shape, one_integer(at, 1)))


def _reshaped(at: Site, x: Array, shape: tuple[int, ...]) -> Array:
    if min(shape, default=0) < 0 or int(np.prod(shape, dtype=object)) != x.size:
        at.broken(f"an input of shape {list(x.shape)} cannot become {list(shape)}")
    return x.reshape(shape)


def _cast(at: Site) -> Array:
    return _x(at)


FUNCTIONS: dict[str, Callable[[Site], Array]] = {
    "SHAPE": _shape,
    "STRIDED_SLICE": _strided_slice,
    "PACK": _pack,
    "CONCATENATION": _concatenation,
    "RESHAPE": _reshape,
    "SQUEEZE": _squeeze,
    "EXPAND_DIMS": _expand_dims,
    "CAST": _cast,
}
