"""What the models of all pipelines share: what a run of instructions costs while memory answers at once.

Costs are in ticks, `TICKS` to the cycle. A pipeline is asked about one block at a time and gets the state that the block before
it left behind. The branch at a block's end costs what `leave` says, as that depends on where it goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from smelt.devices.simulators.decode import Op

TICKS = 8
State = TypeVar("State")


@dataclass(frozen=True)
class Timed(Generic[State]):
    """What a block costs: `starts` are its instructions' times, `cost` that of all; `state` is what the next block finds.

    `chained` are the addresses of loads whose cost supposes that they overlap the load before them, which they do only if both
    address the same memory: that is seen when they are executed.
    """

    starts: tuple[int, ...]
    cost: int
    state: State
    chained: tuple[int, ...] = ()


class Pipeline(Protocol[State]):
    """A model of one core."""

    fetch_bytes: int  # instructions that it fetches in a cycle

    def idle(self) -> State:
        """The state with nothing under way."""

    def block(self, ops: Sequence[Op], state: State) -> Timed[State]:
        """The cost of a block's instructions."""

    def leave(self, ops: Sequence[Op], taken: bool, target: Op | None) -> int:
        """What the branch at the end adds, in ticks. `target` is the instruction that follows."""

    def mispredicted(self, timed: Timed[State]) -> int:
        """What a wrong prediction of the branch at the end of a block adds, in ticks; 0 where nothing is predicted."""
