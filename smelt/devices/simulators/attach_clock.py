"""The registers of a board's clock on a simulated board."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from smelt.devices.simulators.clock_tree import ClockTree
from smelt.devices.simulators.clock_tree_f7 import F7ClockTree
from smelt.devices.simulators.clock_tree_h7 import H7ClockTree
from smelt.devices.simulators.clock_tree_l4 import L4ClockTree
from smelt.devices.simulators.clock_tree_small import G0ClockTree, L1ClockTree
from smelt.devices.simulators.clock_tree_u5 import U5ClockTree
from smelt.targets.types import Board

TREES: dict[str, type[ClockTree]] = {
    "stm32_l4": L4ClockTree,
    "stm32_f7": F7ClockTree,
    "stm32_h7": H7ClockTree,
    "stm32_u5": U5ClockTree,
    "stm32_g0": G0ClockTree,
    "stm32_l1": L1ClockTree,
}
"""By the interface that `Clock` names; registers of one without a model here are mere memory."""


@dataclass(frozen=True)
class ClockRegisters:
    """A board's clock tree, and the pages where it answers; no pages where there is none."""

    tree: ClockTree | None
    pages: tuple[int, ...]

    def answers(self, address: int) -> bool:
        return address & -4096 in self.pages


def clock_registers(board: Board, refuse: Callable[[str, int], None]) -> ClockRegisters:
    """`refuse(sentence, address)` is called for what the chip's manual forbids."""
    if board.clock is None or board.clock.interface not in TREES:
        return ClockRegisters(None, ())
    tree = TREES[board.clock.interface](board, board.clock, refuse)
    return ClockRegisters(tree, tree.PAGES)
