"""The proof of shares of an op: each is what it says, all together are the op, and what comes and goes fits and can be moved.

That shares which are computed at the same time do not touch what others write is found by the replay of the plan (`check.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from smelt.model.graph import Op, Tensor
from smelt.model.ops import Dense, Total
from smelt.model.rescale import Rescale
from smelt.model.slabs import Rows, row_bytes
from smelt.planner.borders import Border
from smelt.planner.in_tiles import Start, Transfer
from smelt.planner.on_cores import OnCores
from smelt.planner.part_sums import SUM, can_sum, of_inputs
from smelt.planner.plan import Plan
from smelt.planner.shares import Share, View, share, views
from smelt.planner.tiles import Rectangle
from smelt.planner.ways import Bring, Fetch, Part, Piece
from smelt.targets.cluster import Cluster


def share_problems(plan: Plan, name: str, way: OnCores) -> Iterator[str]:
    """Each call computes a share of the op from what this needs, by the op's own numbers, on a core of its own; all is computed,
    and goes home."""
    cluster = plan.board.chip.cluster
    if cluster is not None and way.view.sums is not None:
        yield from _round_problems(cluster, name, way)
        yield from _sums_problems(name, way, way.view.sums)
        yield from _move_problems(plan, cluster, name, way)
        return
    view = next((v for v in views(way.op) if v.axis == way.view.axis and v.name == way.view.name), None)
    if cluster is None or view is None or not _same_border(way.view.border, view.border):
        yield f"{name} is computed on several cores, which cannot be"
        return
    yield from _round_problems(cluster, name, way)
    y, left = way.op.ys[0], np.ones(way.op.ys[0].bytes, bool)
    for piece in way.pieces:
        yield from _piece_problems(name, view, way.view.activations, piece)
        if piece.part(piece.way.op.ys[0]).owner is y:
            left[_rectangle(piece.part(piece.way.op.ys[0]), piece.way.op.ys[0]).places] = False
    for event in way.events:
        if isinstance(event.transfer, Transfer) and not event.transfer.inward:
            left[event.transfer.rectangle.places] = False
    if left.any():
        yield f"{name} does not compute all of '{y.name}'"
    yield from _move_problems(plan, cluster, name, way)


def _round_problems(cluster: Cluster, name: str, way: OnCores) -> Iterator[str]:
    """Each share has a core of its own."""
    for r in way.rounds:
        if len(set(r.cores)) != len(r.pieces) or not all(0 <= core < cluster.count for core in r.cores):
            yield f"{name} has no core of its own for each of {len(r.pieces)} shares"


def _same_border(mine: Border | None, other: Border | None) -> bool:
    """Whether what lies around an image is the same."""
    if mine is None or other is None:
        return mine is other
    same = mine.x is other.x and (mine.whole.shape, mine.whole.dtype) == (other.whole.shape, other.whole.dtype)
    return same and (mine.top, mine.left, mine.value) == (other.top, other.left, other.value)


def _piece_problems(name: str, view: View, operands: Sequence[Tensor], piece: Piece) -> Iterator[str]:
    (y,), whole = piece.way.op.ys, view.whole
    there = piece.part(y)
    if there.tensor is not whole.ys[0]:
        yield f"{name} computes what is not of its op"
        return
    wanted = _share(view, _rectangle(there, y), y)
    if wanted is None:
        yield f"{name} computes what is no share of its op"
        return
    mine = [(piece.part(x).tensor, _rectangle(piece.part(x), x)) for x in piece.way.op.activations]
    if mine != list(zip(operands, wanted.xs, strict=True)) or not same_numbers(piece.way.op, wanted.op):
        yield f"{name} computes a share from what it should not"


def _sums_problems(name: str, way: OnCores, sums: Tensor) -> Iterator[str]:
    """Each part of the inputs is added up once, by the layer's own weights, and the outputs are made of all sums."""
    op, (*parts, last) = way.op, way.pieces
    if not can_sum(op) or not isinstance(op, Dense) or sums.dtype != "int32" or len(sums.shape) != 2:
        yield f"{name} is divided along its inputs, which cannot be"
        return
    count, width, size = *sums.shape, op.x.element.bits // 8
    inputs, rows = list[Rows](), list[int]()
    for piece in parts:
        (x,), (y,) = piece.way.op.activations, piece.way.op.ys
        there, mine = piece.part(y), piece.part(x)
        some = Rows(mine.first // size, mine.first // size + x.elements)
        inside = mine.tensor is op.x and mine.first % size == 0 and some.stop <= op.x.elements
        if there.tensor is not sums or not inside or not same_numbers(piece.way.op, of_inputs(op, some, width)):
            yield f"{name} computes what is no sum of its inputs"
            return
        inputs.append(some)
        rows.append(there.first)
    ends = [0, *(r.stop for r in sorted(inputs))]
    if [r.first for r in sorted(inputs)] != ends[:-1] or ends[-1] != op.x.elements:
        yield f"{name} does not add up each input once"
    if sorted(rows) != [n * width * SUM for n in range(count)]:
        yield f"{name} does not have a row for each of its sums"
    total, read, made = last.way.op, last.part(last.way.op.activations[0]), last.part(last.way.op.ys[0])
    same = isinstance(total, Total) and total.of is op and total.x.shape == sums.shape
    if not same or (read.tensor, read.first, made.tensor, made.first) != (sums, 0, op.y, 0):
        yield f"{name} makes its outputs of other sums"


def _share(view: View, found: Rectangle, tile: Tensor) -> Share | None:
    """The share whose result is a part of the result of a view; None where none is."""
    y = view.op.ys[0]
    size = y.bytes if view.axis is None else row_bytes(y, view.axis)
    element = y.element.bits // 8
    row, rest = divmod(found.first, size)
    count = 1 if view.axis is None else tile.shape[view.axis]
    depth = tile.shape[-1] if view.channels > 1 else 1
    channel = rest // element if depth < view.channels else 0
    if row + count > view.length or channel + depth > view.channels:
        return None
    wanted = share(view, Rows(row, row + count), Rows(channel, channel + depth))
    return wanted if wanted.y == found else None


def _rectangle(part: Part, tensor: Tensor) -> Rectangle:
    if not part.row or tensor.bytes % part.row:
        return Rectangle(part.first, tensor.bytes, 1, tensor.bytes)
    return Rectangle(part.first, part.row, tensor.bytes // part.row, part.pitch)


def _move_problems(plan: Plan, cluster: Cluster, name: str, way: OnCores) -> Iterator[str]:
    """Buffers lie in the cluster's memory and hold what comes; the DMA moves so much, between memories that it reaches."""
    memories = {m.name: m for m in plan.board.chip.memories}
    for event in way.events:
        moved, near = event.transfer, plan.places.get(event.transfer.buffer)
        if isinstance(moved, Bring):
            continue
        if isinstance(moved, Fetch) and not _is_there(moved):
            yield f"{name} fetches other tables than come from outside"
        size = moved.end if isinstance(moved, Transfer) else moved.data.nbytes
        if near is None or moved.buffer not in way.scratch or size > min(moved.buffer.bytes, near.size):
            yield f"{name} has no room for what it moves"
        elif near.memory != cluster.memory or size > cluster.dma.bytes:
            yield f"{name}: {cluster.dma.name} does not move {size} bytes to {near.memory}"
        elif isinstance(moved, Transfer):
            far, r = plan.places.get(moved.tensor), moved.rectangle
            if moved.pitch and (moved.pitch < r.size or r.pitch != r.size):
                yield f"{name}: rows of '{moved.tensor.name}' lie over one another, or are not rows"
            reached = far is not None and memories[far.memory].mapped and far.memory != cluster.memory
            if not reached or (r.count > 1 and max(r.size, r.pitch) > cluster.dma.stride):
                yield f"{name}: {cluster.dma.name} does not move such parts of '{moved.tensor.name}'"

    for fill in way.fills:
        r, near = fill.rectangle, plan.places.get(fill.buffer)
        inside = r.first >= 0 and r.first + (r.count - 1) * r.pitch + r.size <= fill.buffer.bytes
        if near is None or fill.buffer not in way.scratch or near.memory != cluster.memory or not inside:
            yield f"{name} has no room for what it fills"


def bring_problems(plan: Plan) -> Iterator[str]:
    """What comes from outside has room, in a memory where nobody computes, and is asked for in the order of its numbers, the first
    of them between steps."""
    if [bring.channel for bring in _asked(plan)] != list(range(len(plan.all_brings))) or bool(plan.all_brings) > bool(
        plan.brings
    ):
        yield "tables from outside are asked for in another order than that of their numbers"
    for bring in plan.all_brings:
        near, cluster = plan.places.get(bring.buffer), plan.board.chip.cluster
        if near is None or cluster is None or near.memory == cluster.memory:
            yield "tables come from outside to where they cannot"
        elif bring.data.nbytes > min(bring.buffer.bytes, near.size):
            yield f"'{near.name}' has no room for the tables that come from outside"


def _asked(plan: Plan) -> Iterator[Bring]:
    """What comes from outside, in the order in which it is asked for."""
    for number, step in enumerate(plan.steps):
        yield from (bring for first, bring in plan.brings if first == number)
        events = step.way.events if isinstance(step.way, OnCores) else ()
        yield from (e.transfer for e in events if isinstance(e, Start) and isinstance(e.transfer, Bring))


def _is_there(fetch: Fetch) -> bool:
    """Whether tables are the bytes that came from outside."""
    if fetch.source is None:
        return True
    first = fetch.at // 4
    return np.array_equal(fetch.source.data[first : first + fetch.data.size], fetch.data)


def same_numbers(mine: Any, other: Any) -> bool:
    """Whether two values compute the same: ops with the shapes, constants and attributes of each other."""
    if isinstance(mine, Tensor) and isinstance(other, Tensor):
        data = (mine.data is None) == (other.data is None)
        same = data and (mine.data is None or other.data is None or np.array_equal(mine.data, other.data))
        return same and mine.shape == other.shape and mine.dtype == other.dtype
    if isinstance(mine, Op | Rescale):
        names = [f.name for f in fields(mine) if f.name != "origin"]
        return type(mine) is type(other) and all(same_numbers(getattr(mine, n), getattr(other, n)) for n in names)
    if isinstance(mine, np.ndarray):
        return bool(np.array_equal(mine, other))
    if isinstance(mine, tuple) and isinstance(other, tuple):
        return len(mine) == len(other) and all(same_numbers(a, b) for a, b in zip(mine, other, strict=True))
    return bool(mine is other or mine == other)
