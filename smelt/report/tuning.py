"""What people see of a tuning: a bar while it runs, a summary after it, and budgets as they write them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from smelt.errors import OptionError, printable
from smelt.report.terminal import line
from smelt.tuning.told import Tuning

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def seconds(budget: str) -> float:
    """A length of time such as 90, 90s, 1.5m or 2h, in seconds. Raises OptionError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", budget.strip())
    if match is None:
        raise OptionError(f"'{budget}' is no length of time: write 90s, 10m or 1h")
    return float(match[1]) * UNITS[match[2]]


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int, int | None], None]]:
    """A bar on the terminal (nothing in pipes). The value is to be called with the candidates measured, all of them,
    and the best cycles so far."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(printable(what), total=None)

        def report(done: int, total: int, cycles: int | None) -> None:
            text = printable(what) if cycles is None else f"best so far {cycles:,} cycles"
            progress.update(task, completed=done, total=total, description=text)

        yield report


def show_tuning(result: Tuning) -> None:
    """The summary of a tuning."""
    line(
        f"{result.model} for {result.board}, measured by {result.device}, {result.places}: "
        f"{result.steps} steps, {result.distinct_steps} of them distinct"
    )
    if not result.measured and not result.left:
        parts = [f"nothing new to measure: {result.candidates} candidates"]
    else:
        parts = [f"{result.measured} of {result.candidates} candidates measured in {result.seconds:.0f} s"]
    parts += [f"{getattr(result, key)} {text}" for key, text in _COUNTS if getattr(result, key)]
    line(", ".join(parts))
    before, after = result.cycles_before, result.cycles_after
    if before is None or after is None:
        line("not every step has been measured: tune again with a larger budget")
    else:
        line(
            f"cycles of all steps, {result.places}: {before:,} before, {after:,} after ({1 - after / before:.1%} fewer)"
        )
    for note in result.notes:
        line(f"note: {note}")
    if result.log is not None:
        line(f"log: {result.log}")


_COUNTS = (
    ("known", "known already"),
    ("failed", "failed"),
    ("left", "left for another time"),
    ("hopeless", "not worth it"),
)
