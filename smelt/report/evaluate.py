"""How well a network does on many inputs: as it is, beside another one, and as firmware on the simulated board."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smelt.errors import OptionError
from smelt.inputs.datasets import Dataset
from smelt.model.graph import Array, Graph, Tensor
from smelt.model.reference import computes_reals
from smelt.nouns import Noun
from smelt.passes import prepare
from smelt.quantization.batches import batch_size, outputs_of
from smelt.quantization.ranges import sqnr

if TYPE_CHECKING:
    from smelt.compile import Compilation

ON_BOARD = 10
"""Inferences that are simulated between two signs of life."""

MOST_CLASSES = 1000

Report = Callable[[str, int, int], None]
"""Hears what is done, how much of it is, and of how much."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What one network, or firmware, makes of every input: `outputs` (inputs, values) as reals."""

    name: str
    outputs: Array

    @property
    def classes(self) -> Array:
        """The greatest of several values, or whether a single one is at least 1/2."""
        if self.outputs.shape[1] == 1:
            return (self.outputs[:, 0] >= 0.5).astype(np.int64)
        return np.asarray(self.outputs.argmax(1), np.int64)

    @property
    def most(self) -> int:
        """How many classes it tells apart."""
        return max(2, int(self.outputs.shape[1]))

    def accuracy(self, labels: Array) -> float:
        return float((self.classes == labels).mean())

    def confusion(self, labels: Array) -> Array:
        """How often inputs of each class (rows) are taken for each class (columns)."""
        found = np.zeros((self.most, self.most), np.int64)
        np.add.at(found, (labels, self.classes), 1)
        return found

    def margins(self, labels: Array) -> Array:
        """How far the value of the right class is below the greatest other one; negative where it is right."""
        if self.outputs.shape[1] == 1:
            return np.where(labels == 1, 0.5 - self.outputs[:, 0], self.outputs[:, 0] - 0.5)
        places = np.arange(len(labels))
        others = self.outputs.copy()
        others[places, labels] = -np.inf
        return np.asarray(others.max(1) - self.outputs[places, labels])


@dataclass(frozen=True)
class PredictionSummary(Noun):
    """A prediction: its share of right classes where there are labels, how often its class is that of the first prediction, and
    signal to noise in dB with that as the signal."""

    name: str
    accuracy: float | None
    agreement: float | None
    sqnr_db: float | None


@dataclass(frozen=True)
class Worst(Noun):
    """An input, its label where there is one, by how much it is off, and the classes that are predicted."""

    input: str
    label: str | None
    by: float
    predicted: tuple[str, ...]


@dataclass(frozen=True)
class EvaluationSummary(Noun):
    """Predictions on so many inputs. `confusion` has for each prediction a row by label with a column by predicted class;
    `differing` inputs have other outputs on the board than by the reference."""

    model: str
    inputs: int
    classes: tuple[str, ...]
    predictions: tuple[PredictionSummary, ...]
    confusion: dict[str, tuple[tuple[int, ...], ...]]
    differing: int | None
    worst: tuple[Worst, ...]


@dataclass(frozen=True, eq=False)
class Evaluation(Noun):
    """Predictions side by side, the first one being what the others are compared with. `differing` inputs have other outputs on the
    board than by the reference; None where that was not asked, or where reals are computed."""

    model: str
    predictions: tuple[Prediction, ...]
    labels: Array | None
    classes: tuple[str, ...]
    sources: tuple[str, ...]
    differing: int | None = None

    def rows(self) -> tuple[PredictionSummary, ...]:
        """For each prediction what it is worth."""
        first = self.predictions[0]
        found = []
        for p in self.predictions:
            alike = p is not first and p.outputs.shape == first.outputs.shape
            found.append(
                PredictionSummary(
                    p.name,
                    None if self.labels is None else p.accuracy(self.labels),
                    float((p.classes == first.classes).mean()) if alike else None,
                    finite(sqnr(first.outputs, p.outputs)) if alike else None,
                )
            )
        return tuple(found)

    def worst(self, count: int) -> tuple[Worst, ...]:
        """Inputs with labels that are furthest from right; without labels, those on which predictions differ most."""
        last = self.predictions[-1]
        if self.labels is not None:
            badness = last.margins(self.labels)
            order = [i for i in np.argsort(-badness, kind="stable")[:count] if badness[i] >= 0]
        elif len(self.predictions) > 1 and last.outputs.shape == self.predictions[0].outputs.shape:
            badness = np.abs(last.outputs - self.predictions[0].outputs).max(1)
            order = [i for i in np.argsort(-badness, kind="stable")[:count] if badness[i] > 0]
        else:
            return ()
        return tuple(
            Worst(
                self.sources[i],
                None if self.labels is None else self.name_of(int(self.labels[i])),
                float(badness[i]),
                tuple(self.name_of(int(p.classes[i])) for p in self.predictions),
            )
            for i in order
        )

    def name_of(self, number: int) -> str:
        """The name of a class, or its number."""
        return self.classes[number] if number < len(self.classes) else str(number)

    def summary(self, worst: int) -> EvaluationSummary:
        """For programs, with so many of the worst inputs."""
        confusions = (
            {}
            if self.labels is None
            else {p.name: tuple(map(tuple, p.confusion(self.labels).tolist())) for p in self.predictions}
        )
        return EvaluationSummary(
            self.model,
            len(self.sources),
            self.classes,
            self.rows(),
            confusions,
            self.differing,
            self.worst(worst),
        )

    def in_full(self) -> str:
        parts = [f"{r.name} {r.accuracy:.2%}" if r.accuracy is not None else r.name for r in self.rows()]
        return f"{self.model} on {len(self.sources)} inputs: {', '.join(parts)}"


def finite(value: float) -> float | None:
    """A number for JSON, which has no infinite ones."""
    return value if np.isfinite(value) else None


def evaluate(
    model: Graph,
    data: Dataset,
    report: Report,
    against: tuple[Graph, Dataset] | None = None,
    compilation: Compilation | None = None,
) -> Evaluation:
    """Judge a network on a data set, beside another one on the same data, and beside the firmware of a compilation.

    Raises OptionError where labels do not fit the network, DeviceError where firmware fails.
    """
    found = []
    if against is not None:
        found.append(predicted(f"against: {against[0].name}", *against, report))
    found.append(predicted(model.name, model, data, report))
    differing = None
    if compilation is not None:
        reference = found[-1]
        found.append(on_board(compilation, data, report))
        if not computes_reals(compilation.graph):
            differing = int(np.any(found[-1].outputs != reference.outputs, axis=1).sum())
    for prediction in found:
        check_labels(prediction, data)
    names = tuple(data.sources(i) for i in range(data.count))
    return Evaluation(model.name, tuple(found), data.labels, data.classes, names, differing)


def check_labels(prediction: Prediction, data: Dataset) -> None:
    """Raise OptionError where a label is none of the network's classes."""
    if data.labels is None:
        return
    if prediction.most > MOST_CLASSES:
        raise OptionError(f"{prediction.name} has {prediction.most:,} outputs: at most {MOST_CLASSES} are classes")
    most = int(data.labels.max(initial=0)) + 1
    if max(most, len(data.classes)) > prediction.most:
        raise OptionError(
            f"the data has labels of {max(most, len(data.classes))} classes, but {prediction.name} tells {prediction.most} apart"
        )


def predicted(name: str, graph: Graph, data: Dataset, report: Report) -> Prediction:
    """What the reference makes of every input; reals are within the rounding of sums."""
    ready = prepare(graph)
    size, parts = batch_size(ready), []
    for start in range(0, data.count, size):
        report(name, start, data.count)
        parts.append(reals_of(graph.outputs[0], outputs_of(ready, data.stacked(start, start + size))[0]))
    report(name, data.count, data.count)
    return Prediction(name, np.concatenate(parts))


def on_board(compilation: Compilation, data: Dataset, report: Report) -> Prediction:
    """What the firmware makes of every input on the simulated board."""
    from smelt.report.execute import execute

    board, parts = compilation.plan.board.name, []
    for start in range(0, data.count, ON_BOARD):
        report(board, start, data.count)
        inputs = [data.read(i) for i in range(start, min(start + ON_BOARD, data.count))]
        outputs = execute(compilation, inputs, timing=False).outputs
        parts.append(reals_of(compilation.model.outputs[0], np.stack([arrays[0] for arrays in outputs])))
    report(board, data.count, data.count)
    return Prediction(f"firmware on {board}", np.concatenate(parts))


def reals_of(tensor: Tensor, values: Sequence[Array] | Array) -> Array:
    """Values of a tensor as reals, a row for each input."""
    rows = np.asarray(values).reshape(len(values), -1).astype(np.float64)
    if tensor.element.is_float or tensor.quantization is None:
        return rows
    return (rows - tensor.q.zero_point) * tensor.q.scale
