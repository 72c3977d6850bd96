"""Energy of a network and its steps, from what is published about a board: picojoules per cycle, measured on it, or by kind of
layer, derived from somebody's milliwatts."""

from __future__ import annotations

from collections.abc import Sequence

from smelt.model.graph import Op
from smelt.model.ops import Conv2D, Dense, DepthwiseConv2D, Mean, Pool
from smelt.targets.energy import Energies
from smelt.targets.types import Board


def microjoules(cycles: int, board: Board, ops: Sequence[Op] = ()) -> float | None:
    """The energy of that many cycles, in which `ops` are computed; None where nothing is published, or for 0 cycles."""
    if not cycles:
        return None
    if board.picojoules_per_cycle is not None:
        return cycles * board.picojoules_per_cycle * 1e-6
    if board.chip.energies is not None:
        return cycles * _picojoules(board.chip.energies, ops) * 1e-6
    return None


def is_derived(board: Board) -> bool:
    """Whether energy is that of other programs' layers."""
    return board.picojoules_per_cycle is None and board.chip.energies is not None


def _picojoules(energies: Energies, ops: Sequence[Op]) -> float:
    """Per cycle of a step, whose kind its first op of a kind gives."""
    for op in ops:
        if isinstance(op, DepthwiseConv2D):
            return energies.depthwise
        if isinstance(op, Conv2D):
            return energies.pointwise if op.weights.shape[1:3] == (1, 1) else energies.convolution
        if isinstance(op, Dense):
            return energies.dense
        if isinstance(op, Pool | Mean):
            return energies.pooling
    return energies.otherwise
