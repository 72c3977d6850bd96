"""How far a routine reaches behind its parameters, read from its instructions.

What scheduling may change is in it: where loads may run ahead of a loop they are followed for a turn more, so that the answer
holds for every core and every order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from smelt.loops.assembly.builder import IN_REGISTERS
from smelt.loops.assembly.follow import Follower
from smelt.loops.assembly.ir import SP, STACK, Block, Code, Slot
from smelt.loops.assembly.linear import Linear, number
from smelt.loops.assembly.machine import State, Unfollowed, word
from smelt.loops.assembly.node import Node, nodes_of_blocks, nodes_of_code
from smelt.loops.assembly.relevant import read_by, relevant
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
    """Reads one routine, for as many numbers as it is asked for. `room`: words on the stack that it may reach by addresses."""

    def __init__(self, nodes: Iterable[Node], parameters: Sequence[str], room: int | None = None) -> None:
        self._nodes, self.parameters, self._room = relevant(tuple(nodes)), tuple(parameters), room
        asked = read_by(self._nodes)
        self._asked = tuple(name for at, name in enumerate(self.parameters) if _where(at, name) in asked)
        self._known: dict[tuple[int | None, ...], Mapping[str, Reach]] = {}

    @classmethod
    def of_code(cls, code: Code) -> Reader:
        """For every core and every order that a scheduler may make."""
        return cls(nodes_of_code(code), code.parameters, code.room)

    @classmethod
    def of_blocks(cls, blocks: Sequence[Block], parameters: Sequence[str]) -> Reader:
        """For the order of instructions that these blocks have."""
        return cls(nodes_of_blocks(blocks), parameters)

    def reach(self, numbers: Mapping[str, int | None]) -> Mapping[str, Reach]:
        """Of each parameter that is a pointer. `numbers` has the others, and what is passed for them; None where that is not known.

        Raises Unfollowed where more than a distance depends on data, and where it leaves its room on the stack.
        """
        key = tuple(numbers.get(name) for name in self._asked)
        if key not in self._known:
            follower = Follower(self._nodes)
            follower.follow(_passed(self.parameters, numbers))
            touched = follower.touched
            found = {r: Reach(touched.stretch(r, False), touched.stretch(r, True)) for r in touched.regions()}
            self._inside(found.pop(STACK, Reach()))
            self._known[key] = found
        return self._known[key]

    def _inside(self, reach: Reach) -> None:
        """Check what is reached on the stack."""
        stretch = reach.both
        if self._room is None or stretch is None:
            return
        if not Stretch(0, 4 * self._room).covers(stretch):
            raise Unfollowed(
                f"it reaches bytes {stretch.low} to {stretch.high} of the stack, where it has {4 * self._room}"
            )


def _passed(parameters: Sequence[str], numbers: Mapping[str, int | None]) -> State:
    """Registers and stack as the routine finds them."""
    state: State = {SP.name: Linear(STACK, 0)}
    for at, name in enumerate(parameters):
        value = numbers.get(name)
        passed = Linear(name, 0) if name not in numbers else None if value is None else number(value)
        state[_where(at, name)] = passed
    return state


def _where(at: int, name: str) -> str:
    """What a parameter is known by in a state."""
    return name if at < IN_REGISTERS else word(Slot(name, at - IN_REGISTERS, argument=True))
