"""A dense layer of few outputs divided along its inputs: each core adds up some of the products; when all are there, one core adds
these sums and makes outputs of them.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import numpy as np

from smelt.model.graph import Op, Tensor
from smelt.model.ops import Dense, Total
from smelt.model.rescale import floor_rescale
from smelt.model.slabs import Rows
from smelt.planner.core_times import call_cycles, timed
from smelt.planner.flow import aligned
from smelt.planner.on_cores import GRAIN, MOST_ROUNDS, OnCores, Portion, on_cores
from smelt.planner.shares import Share, View
from smelt.planner.tiles import Rectangle, rounded
from smelt.planner.ways import Way, Ways
from smelt.targets.cluster import Cluster

QUAD = 4
"""Units that kernels may compute at a time: where there are fewer, others whose weights are zero may be added."""

WORD = 4
"""Inputs of a part are a multiple of so many, as kernels read words."""

SUM = 4
"""Bytes of one."""


def can_sum(op: Op) -> bool:
    """Whether parts of its inputs have sums: of dense layers of one row whose weights are known, and whose sums are words."""
    if not isinstance(op, Dense) or not op.has_constants or op.weights.element.bits != 8 or op.x.element.bits < 8:
        return False
    exact = op.rescale.rounding in ("tflm", "ties_even", "floor") and not op.rescale.weights_zero
    return exact and op.x.elements == op.weights.shape[1]


def of_inputs(op: Dense, inputs: Rows, width: int) -> Dense:
    """The sums of products of some inputs of a layer, and zeros up to `width` of them."""
    weights = np.zeros((width, inputs.count), np.int8)
    weights[: op.weights.shape[0]] = op.weights.constant[:, inputs.first : inputs.stop]
    name = f"[i{inputs.first}:{inputs.stop}]"
    x = Tensor(op.x.name + name, (1, inputs.count), op.x.dtype, op.x.quantization)
    w = Tensor(op.weights.name + name, weights.shape, "int8", None, weights)
    y = Tensor(op.y.name + name, (1, width), "int32")
    return Dense(x=x, weights=w, bias=None, y=y, rescale=floor_rescale([1] * width, [0] * width, 0, y.element.range))


def view_of(op: Dense, parts: int, width: int) -> View:
    """The layer with so many parts of its inputs."""
    return View(op, op, None, sums=Tensor(f"sums of {op.y.name}", (parts, width), "int32"))


def total_of(view: View) -> Total:
    """What makes the outputs of a view's sums."""
    assert isinstance(view.whole, Dense) and view.sums is not None, "only dense layers have sums"
    return Total(x=view.sums, of=view.whole, y=view.whole.y)


def by_inputs(way: Way, ways: Ways, cluster: Cluster, room: int) -> OnCores | None:
    """The layer of a way in as few rounds as have room, with the fewest predicted cycles; None where it has no such parts."""
    if not can_sum(way.op):
        return None
    units = way.op.y.elements
    found = (_rounds(way, ways, cluster, room, width) for width in {units, max(units, QUAD)})
    return min((f for f in found if f is not None), key=lambda f: f.cycles, default=None)


def _rounds(way: Way, ways: Ways, cluster: Cluster, room: int, width: int) -> OnCores | None:
    """With sums of so many units."""
    op = way.op
    assert isinstance(op, Dense), "only dense layers have sums"
    size, depth = op.x.element.bits // 8, op.x.elements
    for count in range(1, MOST_ROUNDS):
        step = rounded(ceil(depth / (count * cluster.count)), WORD)
        bytes_of_round = step * cluster.count * (size + width) * (1 if count == 1 else 2)
        if bytes_of_round + ceil(depth / step) * width * SUM > room or _least(way, ways, cluster, step, width) > room:
            continue
        made = _made(way, ways, cluster, step, width)
        if sum(rounded(s.bytes, 16) for s in made.scratch) <= room:
            return made
    return None


def _least(way: Way, ways: Ways, cluster: Cluster, step: int, width: int) -> int:
    """The bytes that rounds need at least, by the kernel of the first core: weights of parts differ, other tables may not."""
    op = way.op
    assert isinstance(op, Dense), "only dense layers have sums"
    parts = ceil(op.x.elements / step)
    busy, buffers = min(parts, cluster.count), 2 if parts > cluster.count else 1
    first = _share(view_of(op, parts, width), 0, Rows(0, min(step, op.x.elements)))
    own = ways.frugal(first.op)
    *others, weights = sorted(rounded(a.nbytes, 8) for a in own.call.arguments if isinstance(a, np.ndarray))
    inputs = min(step * busy, op.x.elements) * (op.x.element.bits // 8)
    moved = (rounded(inputs, GRAIN) + rounded(weights * busy + sum(others), GRAIN)) * buffers
    sums = rounded(busy * width * SUM, GRAIN) * 2 + rounded(parts * width * SUM, GRAIN)
    return moved + sums + busy * rounded(sum(aligned(s.bytes) for s in own.scratch), GRAIN)


def _made(way: Way, ways: Ways, cluster: Cluster, step: int, width: int) -> OnCores:
    """With parts of `step` inputs."""
    op, core = way.op, ways.core
    assert isinstance(op, Dense), "only dense layers have sums"
    parts = [Rows(a, min(a + step, op.x.elements)) for a in range(0, op.x.elements, step)]
    view = view_of(op, len(parts), width)
    portions, busy = list[Portion](), list[float]()
    for first in range(0, len(parts), cluster.count):
        shares = [_share(view, n, inputs) for n, inputs in enumerate(parts)][first : first + cluster.count]
        some = [ways.frugal(s.op) for s in shares]
        begin, end = shares[0].xs[0].first, shares[-1].xs[0].first + shares[-1].xs[0].size
        portions.append(Portion(tuple(shares), tuple(some), ((_piece(begin, end - begin),),)))
        busy.append(max(call_cycles(w, core) for w in some))
    last = ways.first(total_of(view))
    sums, y = _piece(0, view.sums.bytes if view.sums else 0), _piece(0, op.y.bytes)
    share = Share(last.op, Rows(0, 1), Rows(0, op.y.elements), (sums,), y)
    portions.append(Portion((share,), (last,), portions[-1].reads))
    made = on_cores(way, view, portions, "inputs")
    return replace(made, cycles=timed(made, [*busy, call_cycles(last, core)], cluster))


def _share(view: View, number: int, inputs: Rows) -> Share:
    """The sums of some inputs, which go to a row of their own."""
    assert isinstance(view.whole, Dense) and view.sums is not None, "only dense layers have sums"
    width, size = view.sums.shape[1], view.whole.x.element.bits // 8
    x = _piece(inputs.first * size, inputs.count * size)
    y = _piece(number * width * SUM, width * SUM)
    return Share(of_inputs(view.whole, inputs, width), inputs, Rows(0, width), (x,), y)


def _piece(first: int, size: int) -> Rectangle:
    return Rectangle(first, size, 1, size)
