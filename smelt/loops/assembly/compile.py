"""From a routine as it was written to blocks with instructions in their order, and real registers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from smelt.loops.assembly.allocate import NoRegister, allocated
from smelt.loops.assembly.decisions import Decisions, Turn, kept, numbers_of
from smelt.loops.assembly.ir import WIDE, Block, Code, Instruction, Lead, Register, Repeat, instruction
from smelt.loops.assembly.liveness import Live, live_ends, through
from smelt.loops.assembly.schedule import REGISTERS, Loop, pipelined, scheduled, with_ends
from smelt.loops.assembly.timing import Timing

BUDGETS = (
    REGISTERS,
    REGISTERS - 1,
    REGISTERS - 2,
)  # registers that are tried; then the routine stays as it was written
LOOP_ALIGN = 8


@dataclass(frozen=True)
class Assembled:
    """A routine as the core executes it."""

    code: Code
    blocks: tuple[Block, ...]
    registers: Mapping[Register, str]
    short: bool = False


def as_written(code: Code) -> Assembled:
    """`code` with every instruction where it was written. Raises NoRegister."""
    loops = {part.label: Loop((), part.body, live) for part, live in _repeats(code)}
    blocks = _flattened(code, loops, Timing())
    return Assembled(code, blocks, allocated(blocks))


def assembled(code: Code, timing: Timing) -> Assembled:
    """`code` in the order that suits a core. Raises NoRegister."""
    found = kept(code, timing) or decided(code, timing)
    return as_written(code) if found.as_written else following(found, code, timing)


def decided(code: Code, timing: Timing) -> Decisions:
    """What suits a core best."""
    for budget in BUDGETS:
        try:
            found = _decided(code, timing, budget)
            following(found, code, timing)
            return found
        except NoRegister:
            continue
    return Decisions(as_written=True)


def _decided(code: Code, timing: Timing, budget: int) -> Decisions:
    """With at most `budget` registers in use at once, as far as that can be. Raises NoRegister."""
    bodies = {part.label: part.body for part, _ in _repeats(code)}
    loops = {part.label: pipelined(part.body, timing, live, part.held, budget) for part, live in _repeats(code)}
    plain = _flattened(code, loops, timing)
    ends = live_ends(plain)
    turns = {
        label: Turn(numbers_of(loop.ahead, bodies[label]), numbers_of(loop.body, bodies[label]))
        for label, loop in loops.items()
    }
    orders = {
        number: numbers_of(scheduled(b.body, timing, ends[number], b.exit, budget, bool(b.repeats)), b.body)
        for number, b in enumerate(plain)
        if b.label not in loops
    }
    return Decisions(turns, orders)


def following(found: Decisions, code: Code, timing: Timing) -> Assembled:
    """`code` in the orders that were found for it. Raises NoRegister."""

    def turn(part: Repeat, live: Live) -> Loop:
        chosen = found.turns[part.label]
        return Loop(tuple(part.body[i] for i in chosen.ahead), tuple(part.body[i] for i in chosen.order), live)

    plain = _flattened(code, {part.label: turn(part, live) for part, live in _repeats(code)}, timing)
    blocks = tuple(
        replace(block, body=tuple(block.body[i] for i in found.orders[number])) if number in found.orders else block
        for number, block in enumerate(plain)
    )
    return Assembled(code, blocks, allocated(blocks, timing.short), timing.short)


def unrolled(body: int, timing: Timing, most: int = 16) -> int:
    """How often a loop of `body` instructions is written out: a power of two."""
    count = 1
    while count < most and 2 * count * body * WIDE <= timing.round_bytes:
        count *= 2
    return count


def _repeats(code: Code) -> Iterator[tuple[Repeat, Live]]:
    """Every loop, and what is needed behind its turns."""
    ends = live_ends(_flattened(code, {}, Timing()))
    for number, part in enumerate(code.parts):
        if isinstance(part, Repeat):
            yield part, through((*part.ends, part.exit), ends[number])


def _flattened(code: Code, loops: Mapping[str, Loop], timing: Timing) -> tuple[Block, ...]:
    """Blocks only: loops written out, what runs ahead in the block before, constants resolved. A loop that is not in `loops` is
    one turn as it was written."""
    blocks: list[Block] = []
    for part in code.parts:
        if isinstance(part, Block):
            blocks.append(replace(part, body=_resolved(part.body, loops)))
            continue
        if part.label not in loops:
            blocks.append(Block(part.label, (*part.body, *part.ends), part.exit, LOOP_ALIGN, len(part.body)))
            continue
        loop = loops[part.label]
        blocks[-1] = replace(blocks[-1], body=(*blocks[-1].body, *loop.ahead))
        body = with_ends(loop, _resolved(part.ends, loops), timing, part.unroll)
        blocks.append(Block(part.label, body, part.exit, LOOP_ALIGN, len(part.body)))
    return tuple(blocks)


def _resolved(body: tuple[Instruction, ...], loops: Mapping[str, Loop]) -> tuple[Instruction, ...]:
    """With numbers for what loops decide, which are only added and subtracted; sums with nothing are left out."""
    found = []
    for one in body:
        leads = [o for o in one.operands if isinstance(o, Lead)]
        if not leads:
            found.append(one)
            continue
        numbers = {o: loops[o.loop].lead(o.pointer) if o.loop in loops else 0 for o in leads}
        operands = tuple(numbers[o] if isinstance(o, Lead) else o for o in one.operands)
        if operands[2] != 0:
            found.append(instruction(one.name, *operands, condition=one.condition))
        elif operands[0] != operands[1]:
            found.append(instruction("mov", *operands[:2], condition=one.condition))
    return tuple(found)
