"""Plans that are wrong in one thing: `python -m fuzz.plans --cases 400 --seed 1`.

Plans of the MLPerf Tiny models with runs in bands, results over operands, tables that are moved and several memories; in each case
one thing is changed: a placement by bytes or to where another is, a call left out, two exchanged, a line buffer smaller. `check`
refuses it, or firmware of it computes what the reference does: the check trusts nothing of what made the plan.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from random import Random

from fuzz.harness import Case, Finding, Fuzzer, main
from smelt.devices.simulators.simulator import Simulator
from smelt.errors import SmeltError
from smelt.firmware import build, emit, render, render_harness
from smelt.importers import load
from smelt.inputs import random_inputs
from smelt.loops.ir import Scratch
from smelt.model.reference import run
from smelt.passes import prepare
from smelt.planner import Goal, Limits, Plan, Step, make_plan
from smelt.planner.bands import Bands
from smelt.planner.check import check
from smelt.planner.known import Known
from smelt.planner.placement import Placement
from smelt.planner.predict import Predictor
from smelt.planner.staging import staged
from smelt.planner.ways import Part, Piece
from smelt.targets.boards import board
from smelt.targets.types import Board
from tests.paths import IC, KWS, VWW

STEPS = (-64, -16, -8, -4, -1, 1, 4, 8, 16, 64)  # bytes
MODELS = {"KWS": KWS, "VWW": VWW, "IC": IC}

Mutation = Callable[[Plan, Random], Plan | None]
"""A plan with one thing changed; None where it has no such thing."""


@dataclass(frozen=True)
class Kind:
    """A plan to be changed: of a model, on a board, for a goal, within regions; `slow`: flash so slow that moves pay."""

    model: str
    board: str
    goal: Goal
    regions: Mapping[str, int] = field(default_factory=dict)
    slow: bool = False

    @cached_property
    def plan(self) -> Plan:
        there = _slow(board(self.board)) if self.slow else board(self.board)
        plan = make_plan(
            prepare(load(MODELS[self.model])), there, goal=self.goal, limits=Limits(regions=tuple(self.regions.items()))
        )
        return staged(plan, Predictor(Known(there))) if self.slow and not plan.stages else plan


KINDS = (
    Kind("KWS", "nucleo_l4r5zi", "ram"),
    Kind("KWS", "nucleo_h743zi", "balanced", {"dtcm": 6144, "axi": 0, "sram1": 9216, "sram2": 0, "sram3": 0, "sram4": 0}),
    Kind("KWS", "nucleo_h743zi", "balanced", slow=True),
    Kind("VWW", "nucleo_l4r5zi", "ram"),
    Kind("IC", "nucleo_l4r5zi", "ram"),
)  # fmt: skip


def _slow(fast: Board) -> Board:
    """The board with a flash for which the core waits long; a DMA sees it as before."""
    flash, *others = fast.chip.memories
    memories = (replace(flash, path=replace(flash.path, first=400, line=402)), *others)
    return replace(fast, chip=replace(fast.chip, memories=memories))


# --- one thing changed ----------------------------------------------------------------------------------------------------


def _with(plan: Plan, number: int, **changes: object) -> Plan:
    """With another placement of that number."""
    places = list(plan.placements)
    places[number] = replace(places[number], **changes)  # type: ignore[arg-type]
    return replace(plan, placements=tuple(places))


def _any(plan: Plan, dice: Random) -> tuple[int, Placement]:
    number = dice.randrange(len(plan.placements))
    return number, plan.placements[number]


def moved(plan: Plan, dice: Random) -> Plan | None:
    """A placement some bytes up or down."""
    number, place = _any(plan, dice)
    return _with(plan, number, offset=max(place.offset + dice.choice(STEPS), 0))


def onto_another(plan: Plan, dice: Random) -> Plan | None:
    """A placement at the beginning or the end of another one, in its memory."""
    number, _ = _any(plan, dice)
    _, other = _any(plan, dice)
    return _with(plan, number, memory=other.memory, offset=dice.choice((other.offset, other.end)))


def shorter_life(plan: Plan, dice: Random) -> Plan | None:
    """What is said of a life is less than it is."""
    number, place = _any(plan, dice)
    return _with(plan, number, **dice.choice(({"last": place.last - 1}, {"first": place.first + 1})))


def steps_exchanged(plan: Plan, dice: Random) -> Plan | None:
    """Two steps that follow each other, the wrong way round."""
    n = dice.randrange(len(plan.steps) - 1)
    steps = list(plan.steps)
    steps[n : n + 2] = steps[n + 1], steps[n]
    return replace(plan, steps=tuple(steps))


def move_at_another_time(plan: Plan, dice: Random) -> Plan | None:
    """A table that is moved later, or waited for earlier."""
    if not plan.stages:
        return None
    stages = list(plan.stages)
    n = dice.randrange(len(stages))
    by = dice.choice((-1, 1))
    first, last = dice.choice(((by, 0), (0, by), (by, by)))
    stages[n] = replace(stages[n], first=stages[n].first + first, last=stages[n].last + last)
    return replace(plan, stages=tuple(stages))


def _in_run(plan: Plan, dice: Random, change: Callable[[Bands, Random], Bands | None]) -> Plan | None:
    """With another run in bands."""
    runs = [n for n, step in enumerate(plan.steps) if isinstance(step.way, Bands)]
    if not runs:
        return None
    n = dice.choice(runs)
    way = plan.steps[n].way
    other = change(way, dice) if isinstance(way, Bands) else None
    if other is None:
        return None
    return replace(plan, steps=(*plan.steps[:n], Step(other, plan.steps[n].name), *plan.steps[n + 1 :]))


def _other_pieces(bands: Bands, pieces: Sequence[Piece]) -> Bands:
    return replace(bands, pieces=tuple(pieces))


def call_left_out(bands: Bands, dice: Random) -> Bands | None:
    """Without one of the calls."""
    n = dice.randrange(len(bands.pieces))
    return _other_pieces(bands, [*bands.pieces[:n], *bands.pieces[n + 1 :]])


def calls_exchanged(bands: Bands, dice: Random) -> Bands | None:
    """Two calls in each other's place, most often two that follow each other."""
    pieces = list(bands.pieces)
    a = dice.randrange(len(pieces))
    b = min(a + 1, len(pieces) - 1) if dice.random() < 0.7 else dice.randrange(len(pieces))
    pieces[a], pieces[b] = pieces[b], pieces[a]
    return None if a == b else _other_pieces(bands, pieces)


def argument_moved(bands: Bands, dice: Random) -> Bands | None:
    """An argument of a call some bytes up or down in its buffer, or said to be other rows than it is."""
    n = dice.randrange(len(bands.pieces))
    piece = bands.pieces[n]
    if not piece.parts:
        return None
    argument, part = dice.choice(list(piece.parts.items()))
    by = dice.choice(STEPS)
    other = Part(part.owner, part.offset, part.tensor, part.first + by)
    if dice.random() < 0.7 or part.tensor is None:
        other = Part(part.owner, max(part.offset + by, 0), part.tensor, part.first)
    pieces = [*bands.pieces[:n], Piece(piece.way, {**piece.parts, argument: other}), *bands.pieces[n + 1 :]]
    return _other_pieces(bands, pieces)


def smaller_line_buffer(plan: Plan, dice: Random) -> Plan | None:
    """A buffer of a run that is said to be smaller, and what lies above it in the same memory as much lower."""
    runs = [step.way for step in plan.steps if isinstance(step.way, Bands) and step.way.scratch]
    if not runs:
        return None
    bands = dice.choice(runs)
    old = dice.choice(bands.scratch)
    by = min(dice.choice((4, 16, 64)), old.bytes - 1)
    new = Scratch(old.bytes - by)

    def parts(piece: Piece) -> Piece:
        return Piece(piece.way, {a: replace(p, owner=new) if p.owner is old else p for a, p in piece.parts.items()})

    way = replace(
        bands,
        pieces=tuple(map(parts, bands.pieces)),
        scratch=tuple(new if s is old else s for s in bands.scratch),
    )
    steps = tuple(Step(way, step.name) if step.way is bands else step for step in plan.steps)
    (there,) = (p for p in plan.placements if p.scratch is old)
    lower = dice.random() < 0.8
    places = tuple(
        replace(p, scratch=new, size=p.size - by) if p is there
        else replace(p, offset=p.offset - by // 4 * 4) if lower and p.memory == there.memory and p.offset >= there.end
        else p
        for p in plan.placements
    )  # fmt: skip
    return replace(plan, steps=steps, placements=places)


MUTATIONS: tuple[Mutation, ...] = (
    moved, moved, moved, onto_another, shorter_life, steps_exchanged, move_at_another_time, smaller_line_buffer,
    *(partial(_in_run, change=change) for change in (call_left_out, calls_exchanged, argument_moved, argument_moved)),
)  # fmt: skip


def _name(mutation: Mutation) -> str:
    inner = mutation.keywords["change"] if isinstance(mutation, partial) else mutation
    return str(inner.__name__).replace("_", " ")


def attempt(kinds: Sequence[Kind], case: Case) -> str:
    """One plan with one thing changed."""
    kind = kinds[case.number % len(kinds)]
    mutated, mutation = None, MUTATIONS[0]
    while mutated is None:
        mutation = case.dice.choice(MUTATIONS)
        mutated = mutation(kind.plan, case.dice)
    try:
        check(mutated)
    except SmeltError as error:
        if "defect of smelt" not in str(error):
            raise Finding(f"{kind}, {_name(mutation)}: an odd refusal: {error}") from error
        return f"{_name(mutation)}: refused"
    program = emit(mutated)
    image = build(render_harness(program, render(program)), mutated.board)
    (inputs,) = random_inputs(mutated.graph, 1)
    found = Simulator(mutated.board, timing=False).run(image, b"".join(x.tobytes() for x in inputs))
    if found.outputs != b"".join(y.tobytes() for y in run(mutated.graph, inputs)):
        raise Finding(f"{kind}, {_name(mutation)}: accepted, and computes something else")
    return f"{_name(mutation)}: harmless, and computes the same"


if __name__ == "__main__":
    sys.exit(main(Fuzzer("plans", __doc__ or "", partial(attempt, KINDS), cases=400, seconds=90.0)))
