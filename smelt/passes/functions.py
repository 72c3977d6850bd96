"""Several element-wise ops that together are a function of one byte become one table: x * logistic(x), relu(x) - a * relu(-x)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from smelt.model.graph import Array, Graph, Op, Tensor
from smelt.model.ops import Add, Lookup, Mul
from smelt.model.ops_pointwise import ByteSteps, ChannelFunction, Prelu
from smelt.model.reference import evaluate
from smelt.model.tables import every_value
from smelt.passes.lookups import BYTES, lookup_of, tables_of
from smelt.passes.rewrite import readers

MOST_OPS = 16  # in one function

Cones = dict[Tensor, dict[Tensor, tuple[Op, ...]]]
"""For a tensor, each byte that it is a function of, and the ops that compute it from there, in order."""


def fuse_functions(graph: Graph) -> Graph:
    """Replace an op of several operands that all follow from one tensor of bytes, element by element, by the `Lookup` of what the
    ops between compute; those have no other readers, so that nothing has to be kept longer.

    Exact: the ops are evaluated for each of the 256 values. Constants take part where all their elements are equal.
    """
    uses, tables = readers(graph), tables_of(graph)
    cones: Cones = {}
    ops: list[Op] = []
    for op in graph.ops:
        if (op.of_one_value or op.by_element) and len(op.ys) == 1:
            cones[op.y] = _cones_of(op, cones, _uniform)
        root = _root(op, cones, uses) if op.by_element and op.y.dtype in BYTES else None
        ops.append(op if root is None else lookup_of(graph, root, op, _results(root, cones[op.y][root]), tables))
    return replace(graph, ops=tuple(ops))


Accepts = Callable[[Op, Tensor], bool]
"""(op, constant) -> may it take part?"""


def _cones_of(op: Op, cones: Cones, accepts: Accepts) -> dict[Tensor, tuple[Op, ...]]:
    """What `op` is a function of: what all its operands are functions of, they themselves included."""
    whole = all(t.shape == op.y.shape for t in op.activations)
    if not op.activations or not whole or not all(accepts(op, t) for t in op.inputs if t.is_constant):
        return {}
    known = [{t: (), **cones.get(t, {})} for t in op.activations]
    found: dict[Tensor, tuple[Op, ...]] = {}
    for root in known[0]:
        if root.dtype in BYTES and all(root in others for others in known):
            ops = dict.fromkeys(before for others in known for before in others[root])
            if len(ops) < MOST_OPS:
                found[root] = (*ops, op)
    return found


def _uniform(op: Op, constant: Tensor) -> bool:
    """Whether a constant is the same for every element; the table of an op of one value is."""
    return op.of_one_value or bool(np.all(constant.constant == constant.constant.reshape(-1)[0]))


def _root(op: Op, cones: Cones, uses: Counter[Tensor]) -> Tensor | None:
    """The tensor of which `op` may become a table: the one that leaves out most ops."""
    chosen: Tensor | None = None
    for root, ops in cones.get(op.y, {}).items():
        inside = Counter(t for o in ops for t in set(o.inputs))
        closed = all(uses[o.y] == inside[o.y] for o in ops if o is not op)
        if closed and (chosen is None or len(ops) > len(cones[op.y][chosen])):
            chosen = root
    return chosen


LEAST = 256  # elements of a channel for which its table is worth being computed
FEWEST_STEPS = 3  # or PRELU, which takes as long
STEPS = (Lookup, Add, Mul, Prelu)


def fuse_channel_functions(graph: Graph) -> Graph:
    """Replace an op that is a function of one byte in each channel by a `ChannelFunction` of the ops between, whose results nobody
    else reads: PRELU, and what it is decomposed into, with a slope for each channel.

    Exact: the same ops are computed for each of the 256 values.
    """
    uses = readers(graph)
    cones: Cones = {}
    ops: list[Op] = []
    for op in graph.ops:
        if isinstance(op, STEPS) and op.inputs[0].dtype in BYTES and op.y.dtype == "int8":
            cones[op.y] = _cones_of(op, cones, _by_channel)
        root = _root(op, cones, uses) if op.by_element else None
        steps = cones[op.y][root] if root is not None else ()
        ops.append(_by_channels(root, steps) if root is not None and _is_worth_it(op, steps) else op)
    return replace(graph, ops=tuple(ops))


def _by_channel(op: Op, constant: Tensor) -> bool:
    """Whether a constant is one number, or one for each channel."""
    channels = op.y.shape[-1] if op.y.shape else 1
    return _uniform(op, constant) or constant.elements == channels == constant.shape[-1]


def _is_worth_it(op: Op, steps: tuple[Op, ...]) -> bool:
    work = len(steps) >= FEWEST_STEPS or any(isinstance(step, Prelu) for step in steps)
    return work and op.y.elements // max(op.y.shape[-1], 1) >= LEAST


def _by_channels(root: Tensor, steps: tuple[Op, ...]) -> ChannelFunction:
    """`steps` from `root` on, for every value."""
    shape = (256, root.shape[-1])
    tensors = {t: _of_channels(op, t, shape) for op in steps for t in (*op.inputs, op.y)}
    ops = tuple(op.substitute(tensors) for op in steps)
    return ChannelFunction(x=root, steps=ByteSteps(tensors[root], ops), y=steps[-1].y, origin=steps[-1].origin)


def _of_channels(op: Op, tensor: Tensor, shape: tuple[int, int]) -> Tensor:
    if tensor.data is None:
        return replace(tensor, shape=shape)
    if op.of_one_value:
        return tensor
    data = tensor.constant.reshape(-1)
    return replace(tensor, shape=data.shape, data=data)


def _results(root: Tensor, ops: tuple[Op, ...]) -> Array:
    """What `ops` make of each of the values that `root` can have."""
    values: dict[Tensor, Array] = {root: every_value(root).astype(root.element.numpy)}
    for op in ops:
        samples = {t: _sample(op, t) for t in (*op.inputs, op.y)}
        arrays = (values[t] if t in values else samples[t].constant for t in op.inputs)
        values[op.y] = evaluate(op.substitute(samples), *arrays)
    return values[ops[-1].y]


def _sample(op: Op, tensor: Tensor) -> Tensor:
    """The tensor for 256 elements; a constant for all of them."""
    if tensor.data is None:
        return replace(tensor, shape=(256,))
    return tensor if op.of_one_value else replace(tensor, shape=(), data=tensor.data.reshape(-1)[0].reshape(()))
