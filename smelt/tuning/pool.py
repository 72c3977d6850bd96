"""Who measures: `Pool`, and what goes in and comes out of one. Local worker processes are a pool, and so is a device behind a
link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from smelt.errors import BuildError, DeviceError, DoesNotFit, SmeltError
from smelt.firmware.build import Compiler
from smelt.kernels.implementation import KernelCall
from smelt.model.graph import Array, Op
from smelt.planner.measurement import Places
from smelt.planner.ways import Way
from smelt.targets.types import Board, Memory


@dataclass(frozen=True, eq=False)
class Trial:
    """A kernel call to measure: on which values, what it must write, and how much it may execute before it counts as a
    run-away."""

    op: Op
    way: Way
    inputs: tuple[Array, ...]
    expected: bytes
    limit: int

    @property
    def call(self) -> KernelCall:
        return self.way.call


@dataclass(frozen=True, eq=False)
class Order:
    """Trials that are measured together. Tensors and scratch lie in `memory`, or in the largest RAM where that is too small."""

    board: Board
    memory: Memory
    compiler: Compiler
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of a trial, by its number in the order, and where things lay. Failures are "compile: ...", "fault: ...",
    "mismatch: ...", ..."""

    number: int
    cycles: int | None
    failure: str | None = None
    places: Places | None = None


@dataclass(frozen=True)
class Answer:
    """What a pool says: the outcome of a trial, and at the end of an order neither that nor, if all went well, a failure.

    `worker` is what `submit` returned. `fatal`: the failure is no candidate's. `gone`: the worker ended, for whatever reason,
    and what else it had was forgotten.
    """

    worker: int
    outcome: Outcome | None = None
    failure: str | None = None
    fatal: bool = False
    gone: bool = False

    @property
    def done(self) -> bool:
        """Whether the worker has nothing more to say about the order."""
        return self.outcome is None


class Pool(Protocol):
    """Workers that measure. Submit orders while it is `ready`, and take answers while it is `busy`: a worker answers its
    orders one after the other, in the order in which it got them."""

    def __enter__(self) -> Pool: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @property
    def ready(self) -> bool:
        """Whether it takes an order."""

    @property
    def busy(self) -> bool:
        """Whether an answer is to come."""

    def fits(self, ways: Sequence[Way]) -> bool:
        """Whether one order may hold them all."""

    def submit(self, order: Order) -> int:
        """Give an order to a worker; its number. Raises DoesNotFit where that cannot be, whatever is done."""

    def next(self, timeout: float) -> Answer | None:
        """The next answer of any worker; None where there is none within `timeout` seconds."""


def explained(error: SmeltError) -> str:
    """An error as a measurement has it."""
    kinds = ((DoesNotFit, "memory"), (BuildError, "compile"), (DeviceError, "fault"))
    kind = next((name for kind, name in kinds if isinstance(error, kind)), "defect")
    return f"{kind}: {error}"


def is_ours(error: SmeltError) -> bool:
    """Whether an error is no candidate's fault: there is no compiler, or no room for its files."""
    return isinstance(error, BuildError) and (isinstance(error.__cause__, OSError) or "not installed" in str(error))
