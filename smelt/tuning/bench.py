"""`Bench`: what candidates of a model are measured with, and how an outcome becomes a line of the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from smelt.firmware.build import Compiler
from smelt.inputs import random_inputs
from smelt.kernels.digest import routines_digest
from smelt.model.graph import Array, Graph, Op
from smelt.model.reference import trace
from smelt.planner.measurement import FLASH, RAM, Measurement, Origin, Places
from smelt.planner.ways import Way
from smelt.targets.types import Board, Memory
from smelt.tuning.features import features
from smelt.tuning.pool import Order, Outcome, Trial
from smelt.tuning.search import Subject

INSTRUCTIONS, TIMES = 20_000_000, 50
"""What a candidate may execute before it counts as a run-away: so many, and so many times its static cost."""


@dataclass(frozen=True, eq=False)
class Bench:
    """Where candidates are measured: tensors and scratch lie in `memory`, or in the largest RAM where that is too small.
    `graph` is the prepared model. `in_ram`: the device has code and tables in RAM."""

    board: Board
    memory: Memory
    compiler: Compiler
    origin: Origin
    graph: Graph
    in_ram: bool = False

    @cached_property
    def values(self) -> Mapping[str, Array]:
        """Every tensor of the model for one random input: the activations that a kernel meets are not random."""
        return trace(self.graph, random_inputs(self.graph, 1)[0])

    def inputs(self, op: Op) -> tuple[Array, ...]:
        """The values of the operands of an op of the graph that are no constants, each once."""
        return tuple(self.values[t.name] for t in dict.fromkeys(op.activations))

    def order(self, subjects: Sequence[Subject]) -> Order:
        """An order for a pool."""
        return Order(self.board, self.memory, self.compiler, tuple(self._trial(s.candidate) for s in subjects))

    def _trial(self, way: Way) -> Trial:
        expected = b"".join(np.ascontiguousarray(self.values[y.name]).tobytes() for y in way.op.ys)
        limit = INSTRUCTIONS + TIMES * int(way.instructions(self.board.core))
        return Trial(way.op, way, self.inputs(way.op), expected, limit)

    def result(self, subject: Subject, outcome: Outcome) -> Measurement:
        """A line for the log."""
        way, core = subject.candidate, self.board.core
        usual = Places(RAM if self.in_ram else FLASH, RAM if self.in_ram or way.resident else FLASH)
        return Measurement(
            way.kernel,
            subject.work.op_key,
            *way.names,
            self.board.name,
            outcome.cycles,
            outcome.failure,
            self.origin,
            outcome.places or usual,
            features(way, core),
            routines_digest(way.call.kernel, core),
        )
