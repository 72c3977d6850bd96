"""How far a routine reaches behind its parameters, read from its instructions.

What scheduling may change is in it: where loads may run ahead of a loop they are followed for a turn more, so that the answer
holds for every core and every order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from smelt.loops.assembly.builder import IN_REGISTERS
from smelt.loops.assembly.follow import Follower
from smelt.loops.assembly.ir import Block, Code, Slot
from smelt.loops.assembly.linear import Linear, number
from smelt.loops.assembly.machine import State, word
from smelt.loops.assembly.node import Node, nodes_of_blocks, nodes_of_code
from smelt.loops.assembly.relevant import relevant
from smelt.loops.assembly.touched import Stretch


@dataclass(frozen=True)
class Reach:
    """What is read and what is written behind a pointer; None: nothing."""

    reads: Stretch | None = None
    writes: Stretch | None = None

    @property
    def both(self) -> Stretch | None:
        """All bytes that are touched."""
        if self.reads is None or self.writes is None:
            return self.reads or self.writes
        return self.reads.joined(self.writes)


class Reader:
    """Reads one routine, for as many numbers as it is asked for."""

    def __init__(self, nodes: Iterable[Node], parameters: Sequence[str]) -> None:
        self._nodes, self.parameters = relevant(tuple(nodes)), tuple(parameters)
        self._known: dict[tuple[int | None, ...], Mapping[str, Reach]] = {}

    @classmethod
    def of_code(cls, code: Code) -> Reader:
        """For every core and every order that a scheduler may make."""
        return cls(nodes_of_code(code), code.parameters)

    @classmethod
    def of_blocks(cls, blocks: Sequence[Block], parameters: Sequence[str]) -> Reader:
        """For the order of instructions that these blocks have."""
        return cls(nodes_of_blocks(blocks), parameters)

    def reach(self, numbers: Mapping[str, int | None]) -> Mapping[str, Reach]:
        """Of each parameter that is a pointer. `numbers` has the others, and what is passed for them; None where that is not known.

        Raises Unfollowed where more than a distance depends on data.
        """
        key = tuple(numbers.get(name) for name in self.parameters)
        if key not in self._known:
            follower = Follower(self._nodes)
            follower.follow(_passed(self.parameters, numbers))
            touched = follower.touched
            self._known[key] = {
                r: Reach(touched.stretch(r, False), touched.stretch(r, True)) for r in touched.regions()
            }
        return self._known[key]


def _passed(parameters: Sequence[str], numbers: Mapping[str, int | None]) -> State:
    """Registers and stack as the routine finds them."""
    state: State = {}
    for at, name in enumerate(parameters):
        value = numbers.get(name)
        passed = Linear(name, 0) if name not in numbers else None if value is None else number(value)
        state[name if at < IN_REGISTERS else word(Slot(name, at - IN_REGISTERS, argument=True))] = passed
    return state
