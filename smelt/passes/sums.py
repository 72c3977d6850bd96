"""A proof that no int32 sum of the operators that multiply and accumulate leaves its 32 bits, whatever the input of the graph."""

from __future__ import annotations

import numpy as np

from smelt.model.arithmetic import INT32_MAX, INT32_MIN, Integers
from smelt.model.graph import Graph
from smelt.model.ops import Linear
from smelt.passes.channel_bounds import Bounds, bounds_of_graph, bounds_of_tensor, has_few_channels, sums_of

MOST_NAMED = 5
ANY_INT8 = Bounds(np.array([-128]), np.array([127]))


def wrapping_sums(graph: Graph) -> tuple[str, ...]:
    """One warning, or none: which ops have sums that are not proved to stay within int32.

    Such sums wrap, and so does what is left of them after the left shift of a multiplier above one: in the oracle and in
    smelt's C alike, but the results are not what the network was trained to give. Graphs are proved after `prepare`.
    """
    found = bounds_of_graph(graph) if has_few_channels(graph) else None
    named = []
    for op in graph.ops:
        if isinstance(op, Linear) and op.x.dtype == "int8":
            x = ANY_INT8 if found is None else bounds_of_tensor(op.x, found)
            channels = wrapping_channels(op, *sums_of(op, x))
            if channels:
                named.append(f"{op.origin or op.y.name} ({channels} of {op.y.shape[-1]} channels)")
    if not named:
        return ()
    shown = ", ".join(named[:MOST_NAMED]) + (f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else "")
    return (f"int32 sums may wrap for some inputs, as TensorFlow Lite Micro's do: {shown}",)


def wrapping_channels(op: Linear, least: Integers, most: Integers) -> int:
    """How many channels have sums from `least` to `most` that, shifted left as the multiplier asks, leave int32."""
    p = op.rescale
    scale = np.left_shift(1, p.left)
    return int(np.count_nonzero((least * scale < INT32_MIN) | (most * scale > INT32_MAX)))
