"""The smallest nodes of a program: places, constant tables, and kernel calls."""

from __future__ import annotations

from dataclasses import dataclass

from smelt.firmware.transports import Place
from smelt.loops.ir import Type
from smelt.loops.kernel import Kernel
from smelt.model.graph import Array
from smelt.nouns import Noun
from smelt.planner.step import Step
from smelt.planner.ways import Piece


@dataclass(frozen=True, eq=False)
class Constant(Noun):
    """A table in flash, or in the RAM called `memory`, to which it is copied from flash at start-up; `flash` names one outside of
    the chip."""

    name: str
    type: Type
    data: Array
    comment: str
    memory: str | None = None
    flash: str | None = None


@dataclass(frozen=True, eq=False)
class Invocation(Noun):
    """A kernel call of a step, with its arguments in order."""

    step: Step
    piece: Piece
    kernel: Kernel
    arguments: tuple[Place | Constant, ...]
