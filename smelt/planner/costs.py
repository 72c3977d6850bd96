"""What a step takes, be it one op or a run of ops in bands of rows."""

from __future__ import annotations

import numpy as np

from smelt.planner.bands import Bands
from smelt.planner.core_figures import name_of
from smelt.planner.in_tiles import InTiles
from smelt.planner.measurement import FLASH
from smelt.planner.on_cores import OnCores
from smelt.planner.plan import Plan
from smelt.planner.predict import Cycles, Predictor
from smelt.planner.step import AnyWay, Step
from smelt.planner.ways import Piece

CALL = 40
"""Cycles of a kernel call beside what its loops cost: arguments, registers saved, the first rounds of pipelines."""


def cycles_of(predictor: Predictor, way: AnyWay) -> Cycles:
    """Cycles of a step. Those of bands are estimates: the slabs' static costs, in the ratio of what the whole op is known to take
    to its own static cost. Those of steps on cores were measured of the very step, or of one whose tensors came and went."""
    if isinstance(way, OnCores) and way.measured:
        return Cycles(way.cycles, "measured" if way.measured == name_of(way) else "moved")
    if isinstance(way, InTiles | OnCores):
        return Cycles(way.cycles, "estimated")
    if isinstance(way, Bands):
        return Cycles(round(sum(cycles_of_pieces(predictor, way))), "estimated")
    cycles = predictor.cycles(way)
    return predictor.copied(way, cycles) if way.resident else cycles


def cycles_in(plan: Plan, predictor: Predictor, step: Step) -> Cycles:
    """Cycles of a step of a plan. For tables in flash outside of the chip it waits longer than for those in the chip's own."""
    known = cycles_of(predictor, step.way)
    more = round(sum(_outside(plan, predictor, piece) for piece in step.pieces))
    return Cycles(known.value + more, "estimated") if more else known


def _outside(plan: Plan, predictor: Predictor, piece: Piece) -> float:
    """Cycles that a call waits longer for the tables that it reads outside of the chip."""
    tables = [a if isinstance(a, np.ndarray) and plan.table_memory(a) is None else None for a in piece.call.arguments]
    there = ["" if a is None else plan.table_flash(a) or "" for a in tables]
    if not any(there):
        return 0.0
    return predictor.stalls(piece.way, there) - predictor.stalls(piece.way, [FLASH if name else "" for name in there])


def cycles_of_pieces(predictor: Predictor, bands: Bands) -> tuple[float, ...]:
    """The same of each kernel call of a run. Whole ops may have to lie in a slower memory than line buffers: what they wait there
    is none of this."""
    core = predictor.board.core
    by_names = {way.names: predictor.alone(way).value / max(way.instructions(core), 1) for way in bands.ways}
    by_name: dict[str, float] = {}
    for (name, _), ratio in by_names.items():
        by_name[name] = max(ratio, by_name.get(name, 0.0))
    known: dict[str, float] = {}
    for way in (piece.way for piece in bands.pieces):
        if way.kernel not in known:
            same = by_names.get(way.names) or by_name.get(way.implementation.name)
            cycles = way.instructions(core) * same if same else predictor.alone(way).value
            known[way.kernel] = cycles + CALL
    return tuple(known[piece.way.kernel] for piece in bands.pieces)
