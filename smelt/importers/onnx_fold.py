"""What is known while the file is read: operators on constants, computed in NumPy, and shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

import numpy as np

from smelt.errors import ModelError
from smelt.importers.onnx_arrays import TYPES
from smelt.importers.onnx_bench import Refusal
from smelt.importers.onnx_nodes import Constant, Node, Quantised
from smelt.importers.onnx_site import Site
from smelt.model.graph import Array

MOST_ELEMENTS = 1 << 24  # of a value that is computed; stored ones may be larger
LIKE = ("float32", "int32", "int64")  # types of values that are computed, which CastLike gives to constants
Fold = Callable[[Site, list[Array]], Array | tuple[Array, ...]]


def folded(at: Site) -> bool:
    """Give the results of an operator whose operands are all known; whether that was possible."""
    node = at.node
    if node.domain not in ("", "com.microsoft") or node.op not in FOLDS:
        return False
    operands = [at.bench.value(name) if name else None for name in node.inputs]
    if not all(o is None or isinstance(o, Constant) for o in operands):
        return False
    arrays = [np.zeros(0, np.float32) if o is None else o.data for o in operands if not hasattr(o, "source")]
    try:
        with np.errstate(all="ignore"):
            found = FOLDS[node.op](at, arrays)
    except (ValueError, IndexError, TypeError, OverflowError, np.exceptions.AxisError) as error:
        raise ModelError(f"its constant operands do not fit: {error}") from None
    for place, data in enumerate(found if isinstance(found, tuple) else (found,)):
        at.give(Constant(np.asarray(data), _still_quantised(at, operands[0] if operands else None)), place)
    return True


def _still_quantised(at: Site, x: object) -> Quantised | None:
    """The integers behind a constant of reals that was only moved."""
    q = x.quantised if isinstance(x, Constant) else None
    if q is None or at.node.op not in ("Identity", "Dropout", "Transpose"):
        return None
    if at.node.op != "Transpose":
        return q
    permutation = at.many("perm", tuple(reversed(range(q.stored.ndim))))
    axis = None if q.axis is None else permutation.index(q.axis)
    return replace(q, stored=q.stored.transpose(permutation), axis=axis)


def _bounded(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that is not absurd."""
    if any(size < 0 for size in shape) or prod(shape) > MOST_ELEMENTS:
        raise ModelError(f"a constant would have the shape {list(shape)}")
    return shape


def _constant(at: Site, operands: list[Array]) -> Array:
    attributes = at.node.attributes
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if name in attributes:
            value = attributes[name]
            if isinstance(value, np.ndarray):
                return value
            return np.asarray(value, np.float32 if "float" in name else np.int64)
    raise Refusal("its value is of a kind that smelt does not read")


def _cast(at: Site, operands: list[Array]) -> Array:
    return cast(operands[0], at.integer("to", 1))


def cast(x: Array, to: int) -> Array:
    """Another element type; all reals are float32 here."""
    name = TYPES.get(to)
    if name is None:
        raise Refusal(f"it casts to type {to}")
    if name in ("float32", "float64"):
        return x.astype(np.float32)
    if name == "float16":
        return x.astype(np.float16).astype(np.float32)
    if name == "bfloat16":
        raise Refusal("it casts to bfloat16")
    kept = {"int4": "int8", "uint4": "uint8", "int2": "int8", "uint2": "uint8"}.get(name, name)
    return x.astype(kept)


def _reshape(at: Site, operands: list[Array]) -> Array:
    x = operands[0]
    shape = at.many("shape", ()) if len(operands) < 2 else tuple(int(i) for i in operands[1])
    return x.reshape(reshaped_to(x.shape, shape, at.integer("allowzero", 0)))


def reshaped_to(old: tuple[int, ...], wanted: tuple[int, ...], allow_zero: int) -> tuple[int, ...]:
    """The shape that Reshape gives: 0 is the old extent, -1 what is left. Raises ModelError where there is none."""
    if any(size == 0 and place >= len(old) for place, size in enumerate(wanted)) and not allow_zero:
        raise ModelError(f"a value of shape {list(old)} cannot become one of shape {list(wanted)}")
    shape = [old[i] if size == 0 and not allow_zero else size for i, size in enumerate(wanted)]
    if shape.count(-1) == 1:
        others = prod(size for size in shape if size != -1)
        if others > 0 and prod(old) % others == 0:
            shape[shape.index(-1)] = prod(old) // others
    if prod(shape) != prod(old) or any(size < 0 for size in shape):
        raise ModelError(f"a value of shape {list(old)} cannot become one of shape {list(wanted)}")
    return tuple(shape)


def _axes(at: Site, operands: list[Array], place: int, name: str = "axes") -> tuple[int, ...] | None:
    """Axes as an operand, or as an attribute in older versions; None where there are none."""
    if len(operands) > place and operands[place].size:
        return tuple(int(i) for i in operands[place].reshape(-1))
    return at.many(name, ()) or None


def _squeeze(at: Site, operands: list[Array]) -> Array:
    return np.squeeze(operands[0], _axes(at, operands, 1))


def _unsqueeze(at: Site, operands: list[Array]) -> Array:
    return np.expand_dims(operands[0], _axes(at, operands, 1) or ())


def _concat(at: Site, operands: list[Array]) -> Array:
    return np.concatenate(operands, at.integer("axis", 0))


def _gather(at: Site, operands: list[Array]) -> Array:
    x, indices = operands
    axis = at.axis(at.integer("axis", 0), x.ndim)
    _bounded((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))
    return np.take(x, indices.astype(np.int64), axis)


def _slice(at: Site, operands: list[Array]) -> Array:
    x = operands[0]
    return x[tuple(slices_of(at, x.shape, operands))]


def slices_of(at: Site, shape: tuple[int, ...], operands: list[Array]) -> list[slice]:
    """What a Slice takes of each axis: `operands` are its own, as constants; before version 10 they are attributes."""
    if len(operands) < 3:
        starts, ends = at.many("starts", ()), at.many("ends", ())
        axes, steps = at.many("axes", tuple(range(len(starts)))), (1,) * len(starts)
    else:
        starts, ends = (tuple(int(i) for i in o.reshape(-1)) for o in operands[1:3])
        axes = _axes(at, operands, 3) or tuple(range(len(starts)))
        steps = _axes(at, operands, 4) or (1,) * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise ModelError("its starts, ends, axes and steps do not fit together")
    found = [slice(None)] * len(shape)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        place = at.axis(axis, len(shape))
        first, last, stride = slice(start, end, step).indices(shape[place])
        if step < 0 and end < -shape[place]:
            last = -1
        found[place] = slice(first, None if last < 0 else last, stride)
    return found


def _shape(at: Site, operands: list[Array]) -> Array:
    return shape_of(at, operands[0].shape)


def shape_of(at: Site, shape: tuple[int, ...]) -> Array:
    """What Shape gives: extents from `start` to `end`."""
    end = at.integer("end", len(shape))
    return np.array(shape[at.integer("start", 0) : end], np.int64)


def _expand(at: Site, operands: list[Array]) -> Array:
    x, wanted = operands
    shape = _bounded(np.broadcast_shapes(x.shape, tuple(int(i) for i in wanted)))
    return np.broadcast_to(x, shape).copy()


def _constant_of_shape(at: Site, operands: list[Array]) -> Array:
    value = at.node.attributes.get("value", np.zeros(1, np.float32))
    if not isinstance(value, np.ndarray) or value.size != 1:
        raise ModelError("its value is not one number")
    return np.full(_bounded(tuple(int(i) for i in operands[0])), value.reshape(()), value.dtype)


def _range(at: Site, operands: list[Array]) -> Array:
    start, limit, delta = (o.reshape(()) for o in operands)
    _bounded((max(0, int(np.ceil((float(limit) - float(start)) / float(delta)))),) if delta else (-1,))
    return np.asarray(np.arange(start.item(), limit.item(), delta.item()), start.dtype)


def _transpose(at: Site, operands: list[Array]) -> Array:
    rank = operands[0].ndim
    return operands[0].transpose(at.many("perm", tuple(reversed(range(rank)))))


def _flatten(at: Site, operands: list[Array]) -> Array:
    axis = at.integer("axis", 1)
    axis += operands[0].ndim if axis < 0 else 0
    return operands[0].reshape(prod(operands[0].shape[:axis]), -1)


def _div(at: Site, operands: list[Array]) -> Array:
    x, x2 = operands
    if x.dtype.kind == "f":
        return np.asarray(x / x2)
    if not np.all(x2):
        raise ModelError("it divides by zero")
    wide, by = x.astype(np.int64), x2.astype(np.int64)
    return np.asarray(np.sign(wide) * np.sign(by) * (np.abs(wide) // np.abs(by))).astype(x.dtype)


def _clip(at: Site, operands: list[Array]) -> Array:
    x = operands[0]
    if at.version < 11:
        return np.clip(x, at.real("min", -np.inf), at.real("max", np.inf)).astype(x.dtype)
    low, high = (o if o.size else None for o in (*operands[1:3], *[np.zeros(0)] * 2)[:2])
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def _reduced(function: Callable[..., Array]) -> Fold:
    def fold(at: Site, operands: list[Array]) -> Array:
        axes = _axes(at, operands, 1)
        if axes is None and at.integer("noop_with_empty_axes", 0):
            return operands[0]
        return np.asarray(function(operands[0], axis=axes, keepdims=bool(at.integer("keepdims", 1)))).astype(
            operands[0].dtype
        )

    return fold


def _split(at: Site, operands: list[Array]) -> tuple[Array, ...]:
    axis = at.axis(at.integer("axis", 0), operands[0].ndim)
    sizes = split_sizes(at, operands[0].shape[axis], _axes(at, operands, 1, "split"))
    return tuple(np.split(operands[0], np.cumsum(sizes)[:-1], axis))


def split_sizes(at: Site, extent: int, sizes: tuple[int, ...] | None) -> tuple[int, ...]:
    """The extents that Split gives its results. Raises ModelError where they do not fit."""
    if sizes is None:
        count = at.integer("num_outputs", len(at.node.outputs))
        if not 0 < count <= extent:
            at.broken(f"{extent} elements in {count} parts")
        each = -(-extent // count)
        sizes = (*(each,) * (count - 1), extent - each * (count - 1))
    if sum(sizes) != extent or any(size < 0 for size in sizes) or len(sizes) != len(at.node.outputs):
        at.broken(f"{extent} elements in parts of {list(sizes)}")
    return sizes


def _binary(function: Callable[[Array, Array], Array]) -> Fold:
    def fold(at: Site, operands: list[Array]) -> Array:
        _bounded(np.broadcast_shapes(*(o.shape for o in operands)))
        result = operands[0]
        for other in operands[1:]:
            result = np.asarray(function(result, other))
        return result

    return fold


def _unary(function: Callable[[Array], Array]) -> Fold:
    return lambda at, operands: np.asarray(function(operands[0])).astype(operands[0].dtype)


def _pow(at: Site, operands: list[Array]) -> Array:
    return np.asarray(np.power(operands[0].astype(np.float64), operands[1].astype(np.float64))).astype(
        operands[0].dtype
    )


FOLDS: dict[str, Fold] = {
    "Constant": _constant,
    "Identity": lambda at, operands: operands[0],
    "Dropout": lambda at, operands: operands[0],
    "Cast": _cast,
    "CastLike": lambda at, operands: operands[0].astype(operands[1].dtype),
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Flatten": _flatten,
    "Concat": _concat,
    "Gather": _gather,
    "Slice": _slice,
    "Split": _split,
    "Shape": _shape,
    "Size": lambda at, operands: np.array(operands[0].size, np.int64),
    "Expand": _expand,
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "Transpose": _transpose,
    "Add": _binary(np.add),
    "Sub": _binary(np.subtract),
    "Mul": _binary(np.multiply),
    "Div": _div,
    "Mod": _binary(np.mod),
    "Pow": _pow,
    "Min": _binary(np.minimum),
    "Max": _binary(np.maximum),
    "Equal": _binary(np.equal),
    "Greater": _binary(np.greater),
    "Less": _binary(np.less),
    "And": _binary(np.logical_and),
    "Or": _binary(np.logical_or),
    "Not": lambda at, operands: np.logical_not(operands[0]),
    "Where": lambda at, operands: np.where(*operands),
    "Neg": _unary(np.negative),
    "Abs": _unary(np.abs),
    "Floor": _unary(np.floor),
    "Ceil": _unary(np.ceil),
    "Sqrt": _unary(np.sqrt),
    "Exp": _unary(np.exp),
    "Log": _unary(np.log),
    "Reciprocal": _unary(lambda x: np.float32(1) / x),
    "Relu": _unary(lambda x: np.maximum(x, 0)),
    "Clip": _clip,
    "ReduceProd": _reduced(np.prod),
    "ReduceSum": _reduced(np.sum),
    "ReduceMax": _reduced(np.max),
    "ReduceMin": _reduced(np.min),
    "ReduceMean": _reduced(np.mean),
}
"""Operators that are computed while the file is read where all their operands are known."""


def given_shape(at: Site, node: Node) -> bool:
    """Give what follows from the shape or the type of a value, which alone are known: Shape, Size, and a constant of CastLike;
    whether it was one."""
    if node.domain:
        return False
    if node.op == "CastLike" and isinstance(x := at.any(0), Constant) and at.any(1).dtype in LIKE:
        at.give(Constant(x.data.astype(at.any(1).dtype)))
        return True
    if node.op not in ("Shape", "Size"):
        return False
    shape = at.any(0).shape
    at.give(Constant(shape_of(at, shape) if node.op == "Shape" else np.array(prod(shape), np.int64)))
    return True
