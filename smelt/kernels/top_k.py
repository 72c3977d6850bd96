"""TopK: each place goes to the greatest value that comes after the one before it. No memory but the results."""

from __future__ import annotations

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall, Plain, plain
from smelt.loops.ir import binary
from smelt.model.ops_moves import TopK
from smelt.targets.types import Core


def comparable(op: TopK, core: Core) -> bool:
    """x and y are of one type, of whole bytes, and the indices int32"""
    return op.x.dtype == op.y.dtype and not op.y.element.is_packed and op.indices.dtype == "int32"


def build_top_k(op: TopK, schedule: Plain) -> KernelCall:
    k = CallBuilder("top_k")
    x, y, indices = k.operand("x", op.x), k.result("y", op.y), k.result("indices", op.indices)
    size, count = op.x.shape[-1], op.y.shape[-1]
    with k.loop("row", 0, op.y.elements // count) as row:
        start, place = k.let("start", row * size), k.var("place", -1)
        value = k.var("value", x[start])
        with k.loop("rank", 0, count) as rank:
            last, before = k.let("last", value), k.let("before", place)
            k.assign(place, -1)
            with k.loop("i", 0, size) as i:
                candidate = k.let("candidate", x[start + i])
                later = k.var("later", binary("==", candidate, last).both(i > before))
                with k.when(candidate < last):
                    k.assign(later, 1)
                with k.when(before < 0):
                    k.assign(later, 1)
                with k.when(later > 0):
                    with k.when(place < 0):
                        k.assign(value, candidate)
                        k.assign(place, i)
                    with k.when(candidate > value):
                        k.assign(value, candidate)
                        k.assign(place, i)
            k.store(y, row * count + rank, value)
            k.store(indices, row * count + rank, place)
    return k.finish_call()


TOP_K = Implementation("top_k", TopK, plain, build_top_k, (comparable,))
