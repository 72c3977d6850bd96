"""How hard planning tries: every limit of every search comes from one `Effort`. All are numbers of moves or the solver's own
deterministic seconds, never times: the same model gets the same plan on any machine, under any load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from smelt.errors import OptionError


@dataclass(frozen=True)
class Effort:
    """`choice` and `addresses` limit one solution of CP-SAT in its deterministic seconds, `moves` a search for the best order.

    `rungs` is how many budgets of RAM are tried where flash decides as well, `runs` how many runs of layers in bands are built,
    and one more for every two steps.
    """

    name: str
    choice: float
    addresses: float
    moves: int
    rungs: int
    runs: int

    def __str__(self) -> str:
        return self.name


QUICK = Effort("quick", 0.25, 1.0, 75_000, 3, 3)
NORMAL = Effort("normal", 1.0, 4.0, 300_000, 6, 8)
THOROUGH = Effort("thorough", 12.0, 16.0, 1_200_000, 12, 64)
EFFORTS = (QUICK, NORMAL, THOROUGH)


def effort_named(name: str) -> Effort:
    """An effort by its name. Raises OptionError."""
    found = next((effort for effort in EFFORTS if effort.name == name), None)
    if found is None:
        raise OptionError(f"'{name}' is no effort: choose {', '.join(map(str, EFFORTS))}")
    return found


def nobody(_: str) -> None:
    """Hears nothing."""


@dataclass(frozen=True)
class Planning:
    """How a plan is made: with which effort, and who hears how far it is (`report` gets a few words from time to time).

    `keep_best`: KeyboardInterrupt ends the search, not the program, once there is a plan; the plan's notes say so.
    """

    effort: Effort = NORMAL
    report: Callable[[str], None] = nobody
    keep_best: bool = False


USUAL = Planning()


def planning_of(effort: str, report: Callable[[str], None] | None) -> Planning:
    """How plans are made with an effort of that name; whoever hears of it may interrupt. Raises OptionError."""
    return Planning(effort_named(effort), report or nobody, keep_best=report is not None)
