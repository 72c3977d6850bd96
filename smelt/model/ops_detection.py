"""What detectors end with: of many boxes that overlap, the few that are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from smelt.model.graph import Op, Tensor


@dataclass(frozen=True)
class Choice:
    """Which boxes are taken: scores of at least `least` in one of `classes`, those that share more than `overlap` of their common
    area with a better one left out. Where `regular`, each class is looked at by itself and gives at most `per_class` boxes; else
    a box counts with its best class."""

    classes: int
    least: float
    overlap: float
    regular: bool
    per_class: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Detections(Op):
    """The best boxes, best first, of those that come first in the file where scores are equal; zeros behind them. float32.

    x is (1, boxes, 4 or more): how far the centre of a box lies from that of its anchor, and by which power it is larger: y, x,
    height, width, each times `scales`. `anchors` are (boxes, 4): centre and size. `scores` are (1, boxes, classes), with a column
    in front where there is one more. y is (1, most, 4): top, left, bottom, right; `labels` and `found` (1, most): classes from 0
    on, and their scores; `count` is one element.
    """

    results: ClassVar[tuple[str, ...]] = ("y", "labels", "found", "count")

    x: Tensor
    scores: Tensor
    anchors: Tensor
    labels: Tensor
    found: Tensor
    count: Tensor
    scales: tuple[float, float, float, float]
    choice: Choice

    @property
    def boxes(self) -> int:
        return self.x.shape[1]

    @property
    def most(self) -> int:
        return self.y.shape[1]

    @property
    def first(self) -> int:
        """The column of class 0."""
        return self.scores.shape[2] - self.choice.classes
