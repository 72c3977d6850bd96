"""Which registers hold a value that is still needed, at every place of a routine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from smelt.loops.assembly.ir import SPECIAL, Block, Instruction, Label, Register

Live = frozenset[Register]
NOTHING: Live = frozenset()
ALWAYS = frozenset(SPECIAL)


def before(one: Instruction, live: Live) -> Live:
    """What is needed in front of an instruction, if `live` is behind it."""
    return ((live - one.writing) | one.reading) - ALWAYS


def through(body: Iterable[Instruction], live: Live) -> Live:
    """What is needed in front of instructions in a row."""
    for one in reversed(tuple(body)):
        live = before(one, live)
    return live


def instructions(block: Block) -> tuple[Instruction, ...]:
    return block.body if block.exit is None else (*block.body, block.exit)


def successors(blocks: Sequence[Block], number: int) -> tuple[int, ...]:
    """The blocks that may follow; a jump to an address goes into the next block."""
    exit = blocks[number].exit
    following = (number + 1,) if number + 1 < len(blocks) else ()
    if exit is None or exit.name == "bx":
        return following
    (label,) = (o for o in exit.operands if isinstance(o, Label))
    target = next(i for i, b in enumerate(blocks) if b.label == label.name)
    return (target,) if exit.condition is None else (target, *following)


def live_ends(blocks: Sequence[Block]) -> Mapping[int, Live]:
    """What is needed behind each block."""
    every = [instructions(b) for b in blocks]
    uses = [through(body, NOTHING) for body in every]
    made = [NOTHING.union(*(one.writing for one in body)) for body in every]
    follow = [successors(blocks, number) for number in range(len(blocks))]
    ends = dict.fromkeys(range(len(blocks)), NOTHING)
    starts = dict(ends)
    changed = True
    while changed:
        changed = False
        for number in reversed(range(len(blocks))):
            ends[number] = NOTHING.union(*(starts[s] for s in follow[number]))
            found = uses[number] | (ends[number] - made[number])
            changed = changed or found != starts[number]
            starts[number] = found
    return ends


def most(body: Sequence[Instruction], live: Live) -> int:
    """The most registers of the core that are needed at once in a row of instructions."""
    count = _of_core(live)
    for one in reversed(body):
        count = max(count, _of_core((live | one.writing) - ALWAYS))
        live = before(one, live)
        count = max(count, _of_core(live))
    return count


def _of_core(live: Live) -> int:
    return sum(r.bank == "core" for r in live)
