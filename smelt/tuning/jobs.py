"""What a farm and its workers say to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from smelt.targets.types import Board
from smelt.tuning.pool import Outcome


@dataclass(frozen=True, eq=False)
class Job:
    """What a worker is asked: an order, or the firmware of one where the board is simulated; on none of the boards that are put
    aside."""

    work: Any
    aside: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Reply:
    """What a worker says: on which board, and the outcomes; `failure` where there are none: (words, whether no candidate is to
    blame). `lost`: the board went away, or there is none left."""

    board: str
    outcomes: tuple[Outcome, ...] = ()
    failure: tuple[str, bool] | None = None
    lost: bool = False


def resource(origin: str, board: Board) -> str:
    """By what name workers own boards of a kind whose cycles are of an origin."""
    return f"smelt/{origin}/{board.name}"
