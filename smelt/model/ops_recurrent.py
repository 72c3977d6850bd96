"""Operators that remember: what they read as a state they write as the state's next value (`Graph.states`).

Their numbers are data of the op, made from the file's scales by `svdf_numbers` and `lstm_numbers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from typing import ClassVar

from smelt.model.arithmetic import quantize_multiplier
from smelt.model.arithmetic16 import INT16_MAX, TableInput
from smelt.model.graph import Op, Tensor
from smelt.model.ops import UNBOUNDED
from smelt.model.parameters import Factor
from smelt.model.rescale import Clamp


@dataclass(frozen=True)
class SvdfNumbers:
    """From sums over x to the state's newest column, and from sums over the state to y."""

    x_zero: int
    state_zero: int
    y_zero: int
    column: Factor
    output: Factor


@dataclass(frozen=True, eq=False, kw_only=True)
class AnySvdf(Op):
    """A dense layer whose weights over time are factored. A filter keeps its last `memory` sums over x; `rank` filters make a unit.

    `weights` are (filters, depth), `time_weights` (filters, memory), `bias` (units,), `state` and `next_state`
    (batch, filters * memory), x (batch, depth).
    """

    results: ClassVar[tuple[str, ...]] = ("y", "next_state")
    renews: ClassVar[tuple[tuple[str, str], ...]] = (("state", "next_state"),)

    x: Tensor
    weights: Tensor
    time_weights: Tensor
    bias: Tensor
    state: Tensor
    next_state: Tensor

    @property
    def filters(self) -> int:
        return self.weights.shape[0]

    @property
    def memory(self) -> int:
        return self.time_weights.shape[1]

    @property
    def rank(self) -> int:
        return self.filters // self.y.shape[1]

    @property
    def macs(self) -> int:
        return self.x.shape[0] * (self.weights.elements + self.time_weights.elements)


@dataclass(frozen=True, eq=False, kw_only=True)
class Svdf(AnySvdf):
    """Of quantised tensors: x and `weights` are int8, `time_weights` and the state int8 or int16, `bias` int32."""

    numbers: SvdfNumbers


@dataclass(frozen=True, eq=False, kw_only=True)
class RealSvdf(AnySvdf):
    """Of float32."""

    clamp: Clamp = UNBOUNDED

    @property
    def storable(self) -> tuple[Tensor, ...]:
        return (self.weights,) if self.weights.is_constant else ()


def svdf_numbers(x: Tensor, weights: Tensor, time_weights: Tensor, state: Tensor, y: Tensor) -> SvdfNumbers:
    """Of the tensors of a file."""
    return SvdfNumbers(
        x.q.zero_point,
        state.q.zero_point,
        y.q.zero_point,
        Factor(*quantize_multiplier(x.q.scale * weights.q.scale / state.q.scale)),
        Factor(*quantize_multiplier(state.q.scale * time_weights.q.scale / y.q.scale)),
    )


@dataclass(frozen=True)
class LstmNumbers:
    """`inputs` and `recurrents` bring the sums of the four gates over x and over the hidden state to 12 fraction bits."""

    x_zero: int
    hidden_zero: int
    inputs: tuple[Factor, ...]
    recurrents: tuple[Factor, ...]
    forget: Factor  # of forget gate times cell
    update: Factor  # of input gate times candidate
    output: Factor  # of output gate times activated cell
    cell: TableInput  # of the cell, for tanh
    cell_limit: int | None


@dataclass(frozen=True, eq=False, kw_only=True)
class AnyLstm(Op):
    """Long short-term memory over the time steps of x, (batch, time, depth), or (time, batch, depth) where `time_major`.

    Four gates in the order input, forget, candidate, output: `weights` are (units, depth) each, `recurrent_weights` (units, units),
    `biases` (units,). `hidden`, of x's type, and `cell` are (batch, units). y is the hidden state of every step.
    """

    results: ClassVar[tuple[str, ...]] = ("y", "next_hidden", "next_cell")

    x: Tensor
    weights: tuple[Tensor, ...]
    recurrent_weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    hidden: Tensor
    cell: Tensor
    next_hidden: Tensor
    next_cell: Tensor
    time_major: bool = False

    @property
    def batch(self) -> int:
        return self.hidden.shape[0]

    @property
    def steps(self) -> int:
        return self.x.shape[0 if self.time_major else 1]

    @property
    def depth(self) -> int:
        return self.x.shape[2]

    @property
    def units(self) -> int:
        return self.hidden.shape[1]

    @property
    def macs(self) -> int:
        return self.batch * self.steps * 4 * self.units * (self.depth + self.units)


@dataclass(frozen=True, eq=False, kw_only=True)
class Lstm(AnyLstm):
    """Of quantised tensors: x is int8 or int16, weights are int8, the cell int16."""

    numbers: LstmNumbers


@dataclass(frozen=True, eq=False, kw_only=True)
class RealLstm(AnyLstm):
    """Of float32; the cell stays within `cell_limit` on both sides, anywhere where that is None."""

    cell_limit: float | None = None

    @property
    def storable(self) -> tuple[Tensor, ...]:
        return tuple(t for t in (*self.weights, *self.recurrent_weights) if t.is_constant)


def lstm_numbers(
    x: Tensor, weights: Sequence[Tensor], recurrent_weights: Sequence[Tensor], hidden: Tensor, cell: Tensor, clip: float
) -> LstmNumbers:
    """Of the tensors of a file; `clip` limits the cell to so much on both sides, 0 does not."""
    step, cell_scale = 2.0**-12, cell.q.scale
    left = 12 + round(log2(cell_scale))
    return LstmNumbers(
        x.q.zero_point,
        hidden.q.zero_point,
        tuple(_rescale(x.q.scale * w.q.scale / step) for w in weights),
        tuple(_rescale(hidden.q.scale * w.q.scale / step) for w in recurrent_weights),
        _rescale(2.0**-15),
        _rescale(2.0**-30 / cell_scale),
        _rescale(2.0**-30 / hidden.q.scale),
        TableInput(3, -left) if left < 0 else TableInput(3 << left, 0),
        int(min(clip / cell_scale, INT16_MAX)) if clip > 0 else None,
    )


def _rescale(real: float) -> Factor:
    return Factor(*quantize_multiplier(real))
