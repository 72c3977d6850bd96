"""What `smelt quantize` and `smelt evaluate` print."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from smelt.errors import printable
from smelt.nouns import Noun
from smelt.quantization.quantize import Quantised
from smelt.report.evaluate import Evaluation, finite
from smelt.report.terminal import line, table

LONGEST_NAME = 40
MOST_SHOWN = 12
"""Classes of a confusion matrix that is printed."""


@contextmanager
def stages() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on the terminal (nothing in pipes), to be called with what is done, how much of it is, and of how much."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)
        yield lambda what, done, of: progress.update(task, completed=done, total=of, description=short(printable(what)))


def short(name: str) -> str:
    """The end of a name that is too long: converters join the names of everything they fuse, the last being the layer's."""
    return name if len(name) <= LONGEST_NAME else f"...{name[3 - LONGEST_NAME :]}"


@dataclass(frozen=True)
class QuantisedLayer(Noun):
    """A layer of what was made: bits of a weight, how many weights there are, how activations are stored, signal to noise in dB
    with this layer alone in integers, and at its place; None where it is infinite, or was not measured."""

    number: int
    name: str
    op: str
    weight_bits: int | None
    weights: int
    activation: str
    sqnr_alone_db: float | None
    sqnr_here_db: float | None


@dataclass(frozen=True)
class QuantisedSummary(Noun):
    """The file that was made of a float model with so many calibration inputs, and how far it is from that, in dB."""

    model: str
    file: str
    inputs: int
    sqnr_db: float | None
    weight_bytes: int
    layers: tuple[QuantisedLayer, ...]
    remarks: tuple[str, ...]


def quantised_summary(found: Quantised, out: Path) -> QuantisedSummary:
    """What was made, for programs."""
    layers = tuple(
        QuantisedLayer(
            row.number,
            row.name,
            row.op,
            row.bits or None,
            row.weights,
            row.activation,
            None if row.alone is None else finite(row.alone),
            finite(row.here),
        )
        for row in found.table
    )
    remarks = tuple(found.graph.remarks)
    return QuantisedSummary(
        found.graph.name, str(out), found.inputs, finite(found.sqnr), found.weight_bytes, layers, remarks
    )


def show_quantised(found: Quantised, out: Path) -> None:
    """The table of layers, and what was written."""
    rows = [
        (
            r.number,
            short(r.name),
            r.op,
            f"int{r.bits}" if r.bits else "-",
            r.activation,
            "-" if r.alone is None else _decibels(r.alone),
            _decibels(r.here),
        )
        for r in found.table
    ]
    title = f"{found.graph.name}, quantised with {found.inputs} input(s)"
    columns = ("#", "layer", "operator", "weights", "activation", "dB alone", "dB here")
    table(title, columns, rows, right=(0, 5, 6))
    line(
        "dB alone: the outputs where the weights of that layer alone are integers; dB here: its own result, all being integers"
    )
    line(f"outputs {_decibels(found.sqnr)} dB above the noise; weights {found.weight_bytes:,} bytes")
    line(f"written to {out}")


def show_evaluation(found: Evaluation, worst: int) -> None:
    """Predictions side by side, confusion, worst inputs."""
    rows = [
        (
            r.name,
            _percent(r.accuracy),
            _percent(r.agreement),
            "-" if r.sqnr_db is None else f"{r.sqnr_db:.1f}",
        )
        for r in found.rows()
    ]
    table(
        f"{found.model} on {len(found.sources):,} input(s)",
        ("", "accuracy", "agreement", "SQNR dB"),
        rows,
        right=(1, 2, 3),
    )
    if found.labels is not None and found.predictions[-1].most <= MOST_SHOWN:
        last = found.predictions[-1]
        confusion = last.confusion(found.labels)
        names = [found.name_of(i) for i in range(len(confusion))]
        cells = [(name, *(int(n) for n in counts)) for name, counts in zip(names, confusion, strict=True)]
        line()
        table(f"what {last.name} takes each class for", ("", *names), cells, right=range(1, len(names) + 1))
    bad = found.worst(worst)
    if bad:
        line()
        columns = (
            "worst input",
            *(() if found.labels is None else ("is",)),
            *(p.name for p in found.predictions),
            "by",
        )
        cells = [(w.input, *(() if w.label is None else (w.label,)), *w.predicted, f"{w.by:.3g}") for w in bad]
        table("", columns, cells, right=(len(columns) - 1,))
    if found.differing is not None:
        line(f"firmware and reference differ on {found.differing:,} of {len(found.sources):,} input(s)")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"


def _decibels(value: float) -> str:
    return "exact" if finite(value) is None else f"{value:.1f}"
