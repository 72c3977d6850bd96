"""Tensors that stay in the memory that cores share, from the step that makes them to the last one that reads them: nothing moves
them out and in again.

Where each share writes one piece of a tensor, and each share of those who read it reads one piece, kernels find it where it is.
That is asked of steps as they were divided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from smelt.model.graph import Tensor
from smelt.planner.borders import Fill
from smelt.planner.core_times import call_cycles, timed
from smelt.planner.in_tiles import Event, Transfer
from smelt.planner.on_cores import GRAIN, OnCores, Round, placed_in_order
from smelt.planner.placement import Placement, budgets, scratch_name
from smelt.planner.plan import Plan
from smelt.planner.step import Step
from smelt.planner.tiles import rounded
from smelt.planner.ways import Part, Piece
from smelt.targets.cluster import Cluster


def with_way(plan: Plan, number: int, way: OnCores, memory: str) -> Plan:
    """The plan with a step on cores, whose buffers lie at the beginning of a memory."""
    old = plan.steps[number]
    step = Step(way, old.name)
    placements: list[Placement] = [p for p in plan.placements if p.scratch not in set(old.scratch)]
    for k, (scratch, offset) in enumerate(placed_in_order(step.scratch)):
        name = scratch_name(step.name, k)
        placements.append(
            Placement(name, memory, offset, rounded(scratch.bytes, GRAIN), number, number, scratch=scratch)
        )
    steps = (*plan.steps[:number], step, *plan.steps[number + 1 :])
    return replace(plan, steps=steps, placements=tuple(placements))


def with_kept(plan: Plan, cluster: Cluster) -> Plan:
    """The plan with tensors in the cluster's memory, one after the other in the order in which they are made, where that has room
    and takes fewer predicted cycles."""
    for place in sorted(plan.placements, key=lambda p: (p.first, p.offset)):
        if place.tensors and place.memory != cluster.memory:
            plan = _kept(plan, cluster, place) or plan
    return plan


def _kept(plan: Plan, cluster: Cluster, place: Placement) -> Plan | None:
    """With one more; None where its steps cannot have it there, or there is no room."""
    steps = range(place.first, place.last + 1)
    if place.first < 0 or place.last >= len(plan.steps):
        return None  # an input or an output, which lies where users find it
    ways: dict[int, OnCores] = {}
    for number in steps:
        way, touched = plan.steps[number].way, set(place.tensors)
        if touched.isdisjoint((*way.reads, *way.ys)):
            continue
        if not isinstance(way, OnCores) or (found := _in_place(way, touched, plan, cluster)) is None:
            return None
        ways[number] = found
    if sum(way.cycles for way in ways.values()) >= sum(_cycles(plan.steps[number]) for number in ways):
        return None
    for number, way in ways.items():
        plan = with_way(plan, number, way, cluster.memory)
    return _placed(plan, cluster, place)


def _cycles(step: Step) -> int:
    return step.way.cycles if isinstance(step.way, OnCores) else 0


def _placed(plan: Plan, cluster: Cluster, place: Placement) -> Plan | None:
    """With a placement in the cluster's memory, as far at the beginning as there is room."""
    others = [
        p for p in plan.placements if p.memory == cluster.memory and p.first <= place.last and place.first <= p.last
    ]
    offset, size = 0, rounded(place.size, GRAIN)
    for other in sorted(others, key=lambda p: p.offset):
        if other.offset >= offset + size:
            break
        offset = max(offset, rounded(other.end, GRAIN))
    if offset + size > budgets(plan.board, plan.reserve)[cluster.memory]:
        return None
    moved = replace(place, memory=cluster.memory, offset=offset)
    return replace(plan, placements=tuple(moved if p is place else p for p in plan.placements))


def _in_place(way: OnCores, tensors: set[Tensor], plan: Plan, cluster: Cluster) -> OnCores | None:
    """A way whose kernels find some tensors where these are; None where a share has them not in one piece."""
    if way.view.border is not None and way.view.border.x in tensors:
        return None  # rows with their border lie apart
    rounds = list[Round]()
    for r in way.rounds:
        pieces = [_piece(piece, tensors) for piece in r.pieces]
        if None in pieces:
            return None
        rounds.append(replace(r, events=_without(r.events, tensors), pieces=tuple(p for p in pieces if p)))
    gone = {e.transfer.buffer for e in way.events if _moves(e, tensors)}
    found = replace(
        way, rounds=tuple(rounds), after=_without(way.after, tensors), scratch=tuple(s for s in way.scratch if s not in gone)
    )  # fmt: skip
    fewer = _timed(way, plan, cluster) - _timed(found, plan, cluster)
    return replace(found, cycles=way.cycles - fewer)


def _timed(way: OnCores, plan: Plan, cluster: Cluster) -> int:
    """Predicted cycles."""
    busy = [max(call_cycles(piece.way, plan.board.core) for piece in r.pieces) for r in way.rounds]
    return timed(way, busy, cluster)


def _piece(piece: Piece, tensors: set[Tensor]) -> Piece | None:
    """A kernel call that has them where they are."""
    parts = dict(piece.parts)
    for argument, part in piece.parts.items():
        if part.tensor in tensors:
            if not isinstance(argument, Tensor) or part.row != argument.bytes:
                return None
            parts[argument] = Part(part.tensor, part.first, part.tensor, part.first, part.row, part.pitch)
    return replace(piece, parts=parts)


def _moves(event: Event | Fill, tensors: set[Tensor]) -> bool:
    return not isinstance(event, Fill) and isinstance(event.transfer, Transfer) and event.transfer.tensor in tensors


def _without(events: Sequence[Event | Fill], tensors: set[Tensor]) -> tuple[Event | Fill, ...]:
    return tuple(e for e in events if not _moves(e, tensors))
