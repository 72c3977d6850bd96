"""Operators that cut and join signals, and remember what they still need: samples go in, frames come out, or the other way round.

What they remember is a state of the graph (`Graph.states`), apart for each row of x: its axes before the last one (or two).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from smelt.model.graph import Op, Tensor

Renewals = tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Framer(Op):
    """Frames that overlap: x is (..., frames * step), y (..., frames, size). int16.

    `history` is (rows, fewer samples than a frame), `seen` how many steps there have been, counted up to `needed`. Frames that
    begin before the first sample have zeros there, and `valid` says that some of y's do.
    """

    results: ClassVar[tuple[str, ...]] = ("y", "valid", "next_history", "next_seen")
    renews: ClassVar[Renewals] = (("history", "next_history"), ("seen", "next_seen"))

    x: Tensor
    history: Tensor
    seen: Tensor
    valid: Tensor
    next_history: Tensor
    next_seen: Tensor
    step: int
    needed: int

    @property
    def frames(self) -> int:
        """Of a row, in each run."""
        return self.y.shape[-2]

    @property
    def size(self) -> int:
        return self.y.shape[-1]

    @property
    def rows(self) -> int:
        return prod(self.x.shape[:-1])


@dataclass(frozen=True, eq=False, kw_only=True)
class Stacker(Op):
    """The newest frames side by side: x is (channels,), y (frames * channels,), `history` all of y but the newest frame. int16.

    The first frame is taken for all that came before it. `valid` says that y is due: first after `right` frames behind the first
    one, then after every `step`. `missing` is how many that takes; before the first frame, more than y has.
    """

    results: ClassVar[tuple[str, ...]] = ("y", "valid", "next_history", "next_missing")
    renews: ClassVar[Renewals] = (("history", "next_history"), ("missing", "next_missing"))

    x: Tensor
    history: Tensor
    missing: Tensor
    valid: Tensor
    next_history: Tensor
    next_missing: Tensor
    right: int
    step: int

    @property
    def frames(self) -> int:
        return self.y.elements // self.x.elements


@dataclass(frozen=True, eq=False, kw_only=True)
class OverlapAdd(Op):
    """The sum of frames that overlap: x is (..., frames, size), y (..., frames * step), `tail` (rows, size - step) what frames so
    far add to those to come. int16, whose sums saturate one by one, or float32."""

    results: ClassVar[tuple[str, ...]] = ("y", "next_tail")
    renews: ClassVar[Renewals] = (("tail", "next_tail"),)

    x: Tensor
    tail: Tensor
    next_tail: Tensor

    @property
    def frames(self) -> int:
        return self.x.shape[-2]

    @property
    def size(self) -> int:
        return self.x.shape[-1]

    @property
    def step(self) -> int:
        return self.size - self.tail.shape[-1]

    @property
    def rows(self) -> int:
        return prod(self.x.shape[:-2])


@dataclass(frozen=True, eq=False, kw_only=True)
class CircularBuffer(Op):
    """The last values of x, the oldest first: y is `history` without its first x.elements, then x. Any type."""

    renews: ClassVar[Renewals] = (("history", "y"),)

    x: Tensor
    history: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Countdown(Op):
    """y (bool, a scalar) is true in every `period`-th run: where `left`, a state (int32), is 1, and then begins anew."""

    results: ClassVar[tuple[str, ...]] = ("y", "next_left")
    renews: ClassVar[Renewals] = (("left", "next_left"),)

    left: Tensor
    next_left: Tensor
    period: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Delay(Op):
    """y is x later: x is (..., samples), `line` (rows, delay) the samples under way, the oldest first. int16."""

    results: ClassVar[tuple[str, ...]] = ("y", "next_line")
    renews: ClassVar[Renewals] = (("line", "next_line"),)

    x: Tensor
    line: Tensor
    next_line: Tensor

    @property
    def samples(self) -> int:
        return self.x.shape[-1]

    @property
    def delay(self) -> int:
        return self.line.shape[-1]

    @property
    def rows(self) -> int:
        return prod(self.x.shape[:-1])
