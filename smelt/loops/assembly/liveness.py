"""Which registers hold a value that is still needed, at every place of a routine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from smelt.loops.assembly.ir import SPECIAL, Block, Instruction, Label, Register

Live = frozenset[Register]
NOTHING: Live = frozenset()


def before(one: Instruction, live: Live) -> Live:
    """What is needed in front of an instruction, if `live` is behind it."""
    found = (live - set(one.all_writes)) | set(one.read_registers)
    return frozenset(r for r in found if r not in SPECIAL)


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
    ends = dict.fromkeys(range(len(blocks)), NOTHING)
    starts = dict(ends)
    changed = True
    while changed:
        changed = False
        for number in reversed(range(len(blocks))):
            ends[number] = NOTHING.union(*(starts[s] for s in successors(blocks, number)))
            found = through(instructions(blocks[number]), ends[number])
            changed = changed or found != starts[number]
            starts[number] = found
    return ends


def most(body: Sequence[Instruction], live: Live) -> int:
    """The most registers that are needed at once in a row of instructions."""
    count = len(live)
    for one in reversed(body):
        count = max(count, len(live | {r for r in one.all_writes if r not in SPECIAL}))
        live = before(one, live)
        count = max(count, len(live))
    return count
