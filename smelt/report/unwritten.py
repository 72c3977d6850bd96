"""Outputs that TensorFlow Lite Micro does not write in some inferences: frames that are not valid, and what lies behind a buffer
that ends the inference. What its arena holds then is no result of the model; what the reference says stands in for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smelt.model.graph import Array, Graph, Tensor
from smelt.model.ops_pointwise import LogicalAnd, Select
from smelt.model.ops_streams import Countdown, Framer, Stacker
from smelt.model.reference import initial_states, trace


def filled_in(
    graph: Graph, inputs: Sequence[tuple[Array, ...]], outputs: Sequence[tuple[Array, ...]], sequence: bool
) -> list[tuple[Array, ...]]:
    """TFLM's outputs for each of `inputs`, with the reference's where TFLM writes none."""
    flags = [_written(graph, y) for y in graph.outputs]
    if not any(flags):
        return list(outputs)
    states, found = initial_states(graph), list[tuple[Array, ...]]()
    for one, theirs in zip(inputs, outputs, strict=True):
        values = trace(graph, one, states)
        if sequence:
            states = {s.read: values[s.write.name] if s.write.data is None else s.write.data for s in graph.states}
        kept = (flag is None or np.all(values[flag.name]) for flag in flags)
        mine = (y.data if y.data is not None else values[y.name] for y in graph.outputs)
        found.append(tuple(b if k else a for k, a, b in zip(kept, mine, theirs, strict=True)))
    return found


def _written(graph: Graph, y: Tensor) -> Tensor | None:
    """The tensor that says whether TFLM writes an output; None where it always does."""
    match graph.producer(y):
        case Framer(valid=valid) | Stacker(valid=valid):
            return valid
        case Select(condition=due) if _is_countdown(graph, due):
            return due
    return None


def _is_countdown(graph: Graph, due: Tensor) -> bool:
    """Whether a buffer says so, or several; those are no tensors of a file, so nothing else can use them."""
    match graph.producer(due):
        case LogicalAnd(x2=last):
            return _is_countdown(graph, last)
        case op:
            return isinstance(op, Countdown)
