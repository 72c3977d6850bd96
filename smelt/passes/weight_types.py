"""Other types of weights than the file has, where users ask for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from smelt.errors import OptionError, check_word
from smelt.model.dtypes import HALF
from smelt.model.graph import Graph, Tensor
from smelt.passes.constants import fold_constants

WeightType = Literal["float16"]
MOST_HALF = 65504.0


def with_weight_type(graph: Graph, weights: WeightType | None) -> Graph:
    """The graph with its weights of float32 rounded to float16, ties to even, which halves what they take of the flash; everything
    is computed in float32 as before. None leaves it as it is. A remark says how much that is, and what it changes.

    Tables with a number beyond 65504 stay as they are. Raises OptionError where there is nothing to round, and for other types.
    """
    if weights is None:
        return graph
    check_word(weights, "type of weights", get_args(WeightType))
    folded = fold_constants(graph)
    found = list(dict.fromkeys(t for op in folded.ops for t in op.storable if t.dtype == "float32"))
    halves = {t: half for t in found if (half := _half(t)) is not None}
    if not halves:
        raise OptionError(
            "there are no weights of float32 to store as float16: leave --weight-type away"
            if not found
            else "no weights can be stored as float16: each table has a number beyond 65504"
        )
    ops = tuple(op.substitute({t: halves[t] for t in op.storable if t in halves}) for op in folded.ops)
    return replace(folded, ops=ops, remarks=(*graph.remarks, _remark(halves, len(found)))).check()


def _half(tensor: Tensor) -> Tensor | None:
    """A table in float16; None where that has no number for one of its own."""
    if np.abs(tensor.constant).max(initial=0) > MOST_HALF:
        return None
    return replace(tensor, dtype=HALF.name, data=tensor.constant.astype(np.float16))


def _remark(halves: dict[Tensor, Tensor], tables: int) -> str:
    before, after = sum(t.bytes for t in halves), sum(t.bytes for t in halves.values())
    changes = [_largest_change(t.constant, half.constant.astype(np.float32)) for t, half in halves.items()]
    left = f"; {tables - len(halves)} with numbers beyond {MOST_HALF:.0f} stay float32" if tables > len(halves) else ""
    return (
        f"weights of {len(halves)} tables are stored as float16: {after:,} bytes instead of {before:,}; the largest change is "
        f"{max(changes):.2g} of a table's largest weight{left}"
    )


def _largest_change(weights: np.ndarray, stored: np.ndarray) -> float:
    largest = float(np.abs(weights).max(initial=0))
    return float(np.abs(weights - stored).max(initial=0)) / largest if largest else 0.0
