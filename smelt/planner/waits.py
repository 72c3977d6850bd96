"""What steps wait for the memories in which tensors and scratch lie: the price of a place, of operands and of whole plans."""

from __future__ import annotations

from collections.abc import Sequence

from smelt.loops.ir import Scratch
from smelt.model.graph import Tensor
from smelt.planner.measurement import FLASH
from smelt.planner.placement import homes
from smelt.planner.plan import Plan
from smelt.planner.predict import Predictor
from smelt.planner.step import Step
from smelt.planner.ways import Piece
from smelt.targets.types import Board

Owner = Tensor | Scratch


def priced(board: Board) -> bool:
    """Whether it matters in which RAM of a board something lies."""
    there = homes(board, 0)
    return len({m.path for m in board.chip.rams if there[m.name]}) > 1


def waits_of(predictor: Predictor, steps: Sequence[Step], names: Sequence[str]) -> dict[Owner, tuple[int, ...]]:
    """The cycles that steps wait longer for each tensor and scratch in each memory of `names`, the fastest first, than in that one,
    everything else in the fastest."""
    found: dict[Owner, list[float]] = {}
    for step in steps:
        for piece in step.pieces:
            for owner, waits in _of_piece(predictor, piece, names).items():
                before = found.setdefault(owner, [0.0] * len(names))
                found[owner] = [a + b for a, b in zip(before, waits, strict=True)]
    return {owner: tuple(max(round(n), 0) for n in waits) for owner, waits in found.items()}


def _of_piece(predictor: Predictor, piece: Piece, names: Sequence[str]) -> dict[Owner, list[float]]:
    owners = _owners(piece)
    fast = [FLASH if owner is None else names[0] for owner in owners]
    least = predictor.stalls(piece.way, fast)

    def waits(of: Owner, memory: str) -> float:
        there = [memory if owner is of else usual for owner, usual in zip(owners, fast, strict=True)]
        return predictor.stalls(piece.way, there) - least

    return {owner: [waits(owner, name) for name in names] for owner in owners if owner is not None}


def waiting(predictor: Predictor, plan: Plan) -> int:
    """The cycles that a plan waits longer than with all its tensors and scratch in the fastest RAM."""
    fastest, total = plan.board.chip.rams[0].name, 0.0
    for step in plan.steps:
        for piece in step.pieces:
            owners = _owners(piece)
            here = [FLASH if owner is None else plan.placement(owner).memory for owner in owners]
            fast = [FLASH if owner is None else fastest for owner in owners]
            if here != fast:
                total += predictor.stalls(piece.way, here) - predictor.stalls(piece.way, fast)
    return max(round(total), 0)


def _owners(piece: Piece) -> list[Owner | None]:
    """For each buffer of a kernel what is given addresses for it; None for tables."""
    return [piece.part(a).owner if isinstance(a, Tensor | Scratch) else None for a in piece.call.arguments]
