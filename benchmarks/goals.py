"""Goals and budgets: `python benchmarks/goals.py [--models KWS,AD] [--boards ...] [--budgets 8] [--simulate]`.

Each model is planned for each board, for each of the five goals within several budgets of RAM, from the least that `--for ram`
finds up to ample. What the plans are predicted to take must be monotone without exception: `--for X` is never worse in X than any
other goal within the same budget, and more RAM never makes "speed" slower. Whatever is not is listed, and the program ends with 1.
`--simulate` builds and runs the plans of "speed" and "balanced" as well and allows 1 %.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from data import MODELS, ROOT
from tables import show

import smelt
from smelt.compile import measured
from smelt.errors import DoesNotFit, SmeltError
from smelt.importers import load
from smelt.kernels import IMPLEMENTATIONS
from smelt.passes import prepare
from smelt.planner import GOALS, Limits, make_plan
from smelt.planner.ways import Ways

BOARDS = ("nucleo_l4r5zi", "disco_f746ng", "nucleo_u575zi_q", "nucleo_h743zi", "esp32c3")
COLUMNS = ("model", "board", "budget", "goal", "RAM", "flash", "cycles", "simulated")
AIMS = {"speed": "cycles", "energy": "cycles", "ram": "ram", "flash": "flash"}
ALLOWED = 1.01


@dataclass(frozen=True)
class Found:
    """What the plan for a goal within a budget of RAM comes to; `simulated` are cycles, 0 where nothing was run."""

    model: str
    board: str
    budget: int
    goal: str
    ram: int
    flash: int
    cycles: int
    simulated: int = 0

    @property
    def cells(self) -> tuple[str, ...]:
        sizes = (f"{n:,}" for n in (self.ram, self.flash, self.cycles))
        return self.model, self.board, f"{self.budget:,}", self.goal, *sizes, f"{self.simulated:,}"


def found(name: str, file: Path, board, budgets: int, simulate: bool) -> Iterator[Found]:
    """The plans of a model on a board, the least budget first; nothing where the model does not fit."""
    graph, known = prepare(load(file)), measured(None, board, "zig")
    ways = Ways(board.core, IMPLEMENTATIONS)

    def of(goal, ram=None) -> Found:
        plan = make_plan(graph, board, ways, known=known, goal=goal, limits=Limits(ram=ram))
        run = 0
        if simulate and goal in ("speed", "balanced"):
            compiled = smelt.compile(file, board, goal=goal, max_ram=ram)
            run = smelt.profile(compiled, smelt.execute(compiled, smelt.random_inputs(compiled.model, 1)).run).cycles
        return Found(name, board.name, ram or 0, goal, plan.ram_bytes, plan.flash_bytes, plan.cycles, run)

    try:
        least, most = of("ram").ram, max(of(goal).ram for goal in ("speed", "balanced"))
    except SmeltError as error:
        print(f"{name} on {board.name}: {type(error).__name__}: {error}".splitlines()[0][:150])
        return
    for n in range(budgets):
        for goal in GOALS:
            ram = round(least * (most / least) ** (n / max(budgets - 1, 1)))
            try:
                yield of(goal, ram)
            except DoesNotFit as error:
                print(f"{name} {board.name} {goal} {ram}: {error}".splitlines()[0][:150])


def violations(rows: list[Found]) -> Iterator[str]:
    """What is not monotone among the plans of a model on a board."""
    for ram in dict.fromkeys(row.budget for row in rows):
        here = {row.goal: row for row in rows if row.budget == ram}
        for goal, aim in AIMS.items():
            for other in here.values() if goal in here else ():
                mine, theirs = getattr(here[goal], aim), getattr(other, aim)
                if mine > theirs:
                    yield _line(here[goal], f"{mine:,} {aim}, but --for {other.goal} {theirs:,}", mine, theirs)
                if aim == "cycles" and here[goal].simulated > ALLOWED * other.simulated > 0:
                    mine, theirs = here[goal].simulated, other.simulated
                    yield _line(
                        here[goal], f"{mine:,} simulated cycles, but --for {other.goal} {theirs:,}", mine, theirs
                    )
    for less, more in pairwise(sorted((r for r in rows if r.goal == "speed"), key=lambda row: row.budget)):
        for what, allowed in (("cycles", 1.0), ("simulated", ALLOWED)):
            a, b = getattr(less, what), getattr(more, what)
            if b > allowed * a:
                yield _line(more, f"{b:,} {what}, but within {less.budget:,} bytes {a:,}", b, a)


def _line(row: Found, words: str, mine: int, theirs: int) -> str:
    return f"{row.model} on {row.board} within {row.budget:,} bytes --for {row.goal}: {words} ({mine / theirs - 1:.1%} worse)"


def named(models: list[str]) -> dict[str, Path]:
    """The files of models by their names in `data.MODELS`, or by their paths."""
    field = sorted((ROOT.parent / "shared" / "models" / "field").glob("*.tflite"))
    known = MODELS | {file.stem: file for file in field}
    return known if not models else {m: known.get(m, Path(m)) for m in models}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="", help="Names such as KWS,AD or files; by default all.")
    parser.add_argument("--boards", default=",".join(BOARDS))
    parser.add_argument("--budgets", type=int, default=8, help="How many budgets of RAM.")
    parser.add_argument("--simulate", action="store_true", help="Build and run as well.")
    parser.add_argument("--markdown", action="store_true", help="print the table for a page")
    given = parser.parse_args()
    rows, wrong = list[Found](), list[str]()
    for name, file in named([m for m in given.models.split(",") if m]).items():
        for board in map(smelt.board, given.boards.split(",")):
            here = list(found(name, file, board, given.budgets, given.simulate))
            rows += here
            wrong += violations(here)
    show("Goals within budgets", COLUMNS, [row.cells for row in rows], given.markdown)
    print("\n".join(wrong) or "monotone without exception")
    print(f"{len(wrong)} of {len(rows)} plans are not monotone" if wrong else f"{len(rows)} plans")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
