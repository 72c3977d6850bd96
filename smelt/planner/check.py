"""The proof of a plan: it knows nothing of how the plan was made and trusts none of it.

The program is replayed, kernel call by kernel call. Every byte of every memory has a mark: of which value it is which byte. A
call must find what it reads marked as the bytes of that operand; then its scratch loses all marks, and what it writes gets those
of its result. So every byte that is read was written or moved there before, and nothing that is still needed was written over,
whatever the plan says of lives. A table that is moved to RAM has marks like any value, from the step on at whose beginning its
move is started; until the step before which that is waited for, nothing may touch the bytes where it arrives.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from smelt.errors import SmeltError
from smelt.kernels.implementation import bytes_of
from smelt.loops.ir import Scratch
from smelt.model.graph import Tensor
from smelt.model.ops import Slice
from smelt.model.slabs import Rows, band_axis, needed, row_bytes
from smelt.planner.bands import Bands
from smelt.planner.check_cores import bring_problems, share_problems
from smelt.planner.check_tiles import tile_problems, transfer_problems
from smelt.planner.flow import ALIGN, steps_of, storages_of
from smelt.planner.in_tiles import InTiles
from smelt.planner.on_cores import OnCores
from smelt.planner.placement import budgets
from smelt.planner.plan import Plan
from smelt.planner.replay import Replay, arrivals, row_bytes_of, tensors_fed
from smelt.planner.step import Step
from smelt.planner.ways import Piece


def check(plan: Plan) -> Plan:
    """The plan, as it is. Raises SmeltError unless it is sound."""
    problems = list(_problems(plan))
    if problems:
        raise SmeltError("the plan is wrong (a defect of smelt):\n" + "\n".join(f"  - {p}" for p in problems))
    return plan


def is_sound(plan: Plan) -> bool:
    """Whether `check` would have nothing to say."""
    return not any(True for _ in _problems(plan))


def excess(plan: Plan) -> str:
    """Which budget, of the limits and of the tables' own memories, the plan does not keep; nothing where it keeps all."""
    if plan.limits.ram is not None and plan.ram_bytes > plan.limits.ram:
        return f"{plan.ram_bytes:,} bytes of RAM are more than the budget of {plan.limits.ram:,}"
    if plan.limits.flash is not None and plan.flash_bytes > plan.limits.flash:
        return f"{plan.flash_bytes:,} bytes of flash are more than the budget of {plan.limits.flash:,}"
    for name, most in plan.limits.regions:
        taken = plan.used(name) + plan.resident_uses.get(name, 0) if plan.table_places is not None else 0
        if taken > most:
            return f"{taken:,} bytes of {name} are more than the {most:,} of its region"
    if plan.table_places is None:
        return f"{plan.resident_bytes:,} bytes of tables find no room in RAM beside the tensors"
    if plan.flash_places is None:
        return f"{plan.table_bytes:,} bytes of tables find no room in flash beside the code"
    return ""


def _problems(plan: Plan) -> Iterator[str]:
    found = [*_step_problems(plan), *_feed_problems(plan), *_memory_problems(plan)]
    yield from found
    if not found:
        yield from Replay(plan).problems()


def _step_problems(plan: Plan) -> Iterator[str]:
    """Each op of the graph is in one step, after the ops that make its operands, and each call computes what it should."""
    ops = set(steps_of(plan.graph))
    planned = [op for step in plan.steps for op in step.ops]
    if len(planned) != len(ops) or set(planned) != ops:
        yield "the steps are not the ops of the graph"
    if len({step.name for step in plan.steps}) != len(plan.steps):
        yield "two steps have the same name"
    for step in plan.steps:
        for piece in step.pieces:
            yield from _argument_problems(plan, step, piece)
        yield from _band_problems(step, step.way) if isinstance(step.way, Bands) else ()
        yield from tile_problems(step.name, step.way) if isinstance(step.way, InTiles) else ()
        yield from share_problems(plan, step.name, step.way) if isinstance(step.way, OnCores) else ()


def _argument_problems(plan: Plan, step: Step, piece: Piece) -> Iterator[str]:
    """The kernel writes the op's result, and reads its operands; none reaches out of the buffer in which it lies."""
    for buffer, argument in zip(piece.call.kernel.buffers, piece.call.arguments, strict=True):
        if not isinstance(argument, np.ndarray):
            part = piece.part(argument)
            place = plan.places.get(part.owner)
            if place is not None and not 0 <= part.offset <= place.size - bytes_of(buffer):
                yield f"{step.name}: '{buffer.name}' reaches out of the {place.size} bytes of '{place.name}'"
        if isinstance(argument, Tensor):
            allowed = piece.way.op.ys if buffer.role == "output" else piece.way.op.activations
            if not any(argument is t for t in allowed):
                yield f"{step.name} passes '{argument.name}' for '{buffer.name}', an {buffer.role}"


def _band_problems(step: Step, bands: Bands) -> Iterator[str]:
    """Each call of a run computes rows of one of its ops from the very rows that these need, or moves rows; all are computed."""
    by_result = {op.y: op for op in bands.ops}
    computed: dict[Tensor, int] = dict.fromkeys(by_result, 0)
    for piece in bands.pieces:
        y = piece.part(piece.way.op.y)
        reads = [piece.part(x) for x in piece.way.op.activations]
        op, axis = by_result.get(y.tensor) if y.tensor else None, band_axis(bands.ops[0])
        if _moves(piece) and y.tensor is not None and y.tensor in (*by_result, bands.fed):
            if any((r.tensor, r.first) != (y.tensor, y.first) for r in reads):
                yield f"{step.name} moves other rows than it says"
        elif op is None or axis is None:
            yield f"{step.name} computes what is not of its run"
        else:
            size = row_bytes(op.y, axis)
            rows = Rows(y.first // size, y.first // size + piece.way.op.y.shape[axis])
            wanted = {(x, r.first * row_bytes(x, axis), r.count) for x, r in needed(op, rows, axis).items()}
            found = {(r.tensor, r.first, x.shape[axis]) for r, x in zip(reads, piece.way.op.activations, strict=True)}
            if wanted != found:
                yield f"{step.name} computes rows {rows.first} to {rows.stop - 1} of '{op.y.name}' from other rows than it should"
            if rows.first != computed[op.y]:
                yield f"{step.name} does not compute the rows of '{op.y.name}' one after the other"
            computed[op.y] = rows.stop
    axis = band_axis(bands.ops[0])
    if axis is None or computed[bands.ops[-1].y] != bands.ops[-1].y.shape[axis]:
        yield f"{step.name} does not compute all of its result"


def _feed_problems(plan: Plan) -> Iterator[str]:
    """What is fed is an input that the first step reads and no other; its rows come in one after the other, into scratch."""
    for step in plan.steps:
        come = 0
        for _, arrival in arrivals(step):
            part, size = arrival.part, row_bytes_of(step)
            if step is not plan.steps[0] or arrival.tensor is not plan.fed:
                yield f"{step.name} is fed what is not there"
            elif arrival.rows.first != come or (part.tensor, part.first) != (plan.fed, size * come):
                yield f"{step.name} is fed other rows than come next"
            elif part.owner not in step.scratch or part.offset + size * arrival.rows.count > part.owner.bytes:
                yield f"{step.name} is fed rows that find no room"
            come = arrival.rows.stop
    fed = tensors_fed(plan)
    if plan.fed is not None and fed.isdisjoint(plan.graph.inputs):
        yield f"'{plan.fed.name}' is fed, and is no input"
    for step in plan.steps[1:]:
        yield from (f"{step.name} reads '{t.name}', which is fed" for t in step.way.reads if t in fed)


def _moves(piece: Piece) -> bool:
    op = piece.way.op
    return isinstance(op, Slice) and op.x.shape == op.y.shape


def _memory_problems(plan: Plan) -> Iterator[str]:
    """Everything lies inside its memory, aligned, has one place of its own size, and what steps need has one while they run."""
    room = budgets(plan.board, plan.reserve)
    for p in plan.placements:
        if p.memory not in room:
            yield f"'{p.name}' lies in {p.memory}, which {plan.board.name} does not have for data"
        elif p.offset < 0 or p.end > room[p.memory]:
            yield f"'{p.name}' ({p.offset} to {p.end}) reaches out of {p.memory} ({room[p.memory]} bytes)"
        if p.offset % ALIGN:
            yield f"'{p.name}' is not aligned to {ALIGN} bytes"
        sizes = [t.bytes for t in p.tensors] + ([p.scratch.bytes] if p.scratch else [])
        if p.size < max(sizes, default=0):
            yield f"'{p.name}' has {p.size} of {max(sizes)} bytes"
    if over := excess(plan):
        yield over
    owners = [owner for p in plan.placements for owner in (*p.tensors, *((p.scratch,) if p.scratch else ()))]
    if len(set(owners)) != len(owners):
        yield "something has two places"
    yield from _life_problems(plan)
    yield from _stage_problems(plan)
    yield from bring_problems(plan)
    for step in plan.steps:
        yield from transfer_problems(plan, step, step.way) if isinstance(step.way, InTiles) else ()


def _stage_problems(plan: Plan) -> Iterator[str]:
    """Tables that are moved while the plan runs are read by their steps, lie in the chip's own flash, and a DMA can move them."""
    flash = plan.board.chip.flash.name
    for stage in plan.stages:
        there, size = plan.places.get(stage.buffer), stage.table.nbytes
        if not int(plan.fed is not None) <= stage.first <= stage.last < len(plan.steps):
            yield f"{stage.in_full()}: there are no such steps"
        elif there is None or not there.first <= stage.first <= stage.last <= there.last or stage.buffer.bytes < size:
            yield f"{stage.in_full()}: it has no place for it"
        elif not any(a is stage.table for call in plan.steps[stage.last].calls for a in call.arguments):
            yield f"{stage.in_full()}: that has no such table"
        elif plan.table_memory(stage.table) or plan.table_flash(stage.table):
            yield f"{stage.in_full()}: it does not lie in {flash}"
        elif not any(d.reach(flash) and d.reach(there.memory) and size <= d.row_bytes for d in plan.board.chip.dma):
            yield f"{stage.in_full()}: no DMA moves it from {flash} to {there.memory}"


def _life_problems(plan: Plan) -> Iterator[str]:
    """What is said of lives is true: everything has a place while it is used; aliases have the same."""
    end = len(plan.steps)
    needed: list[tuple[Tensor | Scratch, str, int, int]] = []
    needed += [(t, t.name, -1, -1) for t in plan.graph.inputs if t not in tensors_fed(plan)]
    needed += [(t, t.name, end, end) for t in plan.graph.outputs]
    needed += [(t, t.name, -1, end) for state in plan.graph.states for t in (state.read, state.write)]
    for i, step in enumerate(plan.steps):
        needed += [(t, t.name, i, i) for t in (*step.way.reads, *step.ys)]
        needed += [(s, f"scratch of {step.name}", i, i) for s in step.scratch]
        owners = (
            piece.part(a).owner for piece in step.pieces for a in piece.call.arguments if not isinstance(a, np.ndarray)
        )
        needed += [
            (o, o.name if isinstance(o, Tensor) else f"scratch of {step.name}", i, i) for o in dict.fromkeys(owners)
        ]
    for owner, name, first, last in needed:
        place = plan.places.get(owner)
        if place is None:
            yield f"'{name}' has no place"
        elif not place.first <= first <= last <= place.last:
            yield f"'{name}' is used at step {first}, but has its place from {place.first} to {place.last}"
    for storage in storages_of(plan.graph):
        if len({id(plan.places[t]) for t in storage.tensors if t in plan.places}) > 1:
            yield f"'{storage.name}' and its reshapes lie at different places"
