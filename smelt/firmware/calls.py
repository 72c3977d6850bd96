"""Kernel calls in C: their arguments, and those that come again in loops."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from smelt.firmware.invocations import Constant, Invocation
from smelt.firmware.moves import carry, clean, dma_of, start, wait
from smelt.firmware.program import Band, Program
from smelt.firmware.repeats import Repeat, again, repeats
from smelt.firmware.transports import Deed, Place, Shared, Transport
from smelt.kernels.c_types import C_TYPES
from smelt.loops.ir import SIZES, Buffer
from smelt.planner.step import Step


def comment(text: str) -> str:
    """`text` made safe inside a C comment (names come from model files)."""
    return "".join(c if c.isprintable() else "?" for c in text).replace("*/", "* /").replace("/*", "/ *")


def operand(program: Program, place: Place | Constant, type: str, step: int = 0) -> str:
    """An argument of a call, which moves by `step` bytes from band to band."""
    if isinstance(place, Constant):
        return in_image(place) if program.exchanged else place.name
    bare, moved = type.removeprefix("const "), f" {'+' if step > 0 else '-'} ({abs(step)}u * band)" if step else ""
    if bare == "void":
        return f"({type} *)({address(program, place)}{moved})" if step else f"({type} *){address(program, place)}"
    at = " + ".join(offset(program, place)) or "0u"
    return f"{program.name}_{program.role(place.memory)}_{bare.removesuffix('_t')}(net, {at}{moved})"


def region_helpers(program: Program, code: str) -> Iterator[str]:
    """The functions that `code` calls for elements in regions."""
    for role in dict.fromkeys(r.role for r in program.regions):
        for type in dict.fromkeys(C_TYPES.values()):
            helper, through = f"{program.name}_{role}_{type.removesuffix('_t')}", "" if SIZES[type] == 1 else "(void *)"
            if f"{helper}(" in code:
                yield f"static inline {type} *{helper}(const {program.name}_net *net, uint32_t at)"
                yield f"{{\n    uint8_t *const region = net->{role};\n    return ({type} *){through}&region[at];\n}}\n"


def in_image(constant: Constant) -> str:
    """A table in an image of weights."""
    return f"(const {constant.type} *)(const void *)&net->weights[{constant.name.upper()}]"


def address(program: Program, place: Place) -> str:
    """A pointer to the bytes there."""
    behind = " + ".join(offset(program, place))
    region = f"net->{program.role(place.memory)}"
    return f"&{region}[{behind}]" if behind else region


def offset(program: Program, place: Place) -> Iterator[str]:
    """What is added to the beginning of a region, by name where it has one."""
    named = program.offsets.get(place.within)
    behind = place.offset if named is None else place.offset - named.placement.offset
    if named is not None:
        yield named.macro
    if behind:
        yield f"{behind}u"


def offset_macros(program: Program, code: str) -> Iterator[str]:
    """The offsets that `code` names, each with what lies there."""
    used = set(re.findall(r"\w+", code))
    for o in program.offsets.values():
        if o.macro in used:
            where = f"{o.placement.size} bytes in {program.role(o.placement.memory)}"
            yield f"#define {o.macro} {o.placement.offset}u /* {where} */"


def said(step: Step) -> str:
    """A step in a line."""
    return f"{step.name} = {comment(f'{step.operators} by {step.way.how}')}"


def step_bodies(program: Program) -> Iterator[tuple[Step, list[str]]]:
    """The calls of each step of a run, all but those of what is fed."""
    first = 1 if program.feed else 0
    for number, (step, invocations) in enumerate(groupby(program.own, key=lambda i: i.step), first):
        body = list(_moved(program, number))
        if step in program.deeds:
            body += _tiles(program, step, tuple(invocations))
        else:
            body += (line for repeat in repeats(tuple(invocations)) for line in _repeated(program, repeat))
        yield step, body


def _moved(program: Program, number: int) -> Iterator[str]:
    """What must have arrived for a step, then what is sent on its way while it computes."""
    for move in program.moves:
        if move.last == number:
            yield wait(dma_of(program.plan.board.chip), move.channel)
    for move in program.moves:
        if move.first == number:
            to = operand(program, move.place, "void")
            table = operand(program, move.table, "const void")
            yield start(dma_of(program.plan.board.chip), move.channel, to, table, move.table.data.nbytes)


def _tiles(program: Program, step: Step, invocations: Sequence[Invocation]) -> Iterator[str]:
    """The calls of a step in tiles, with what is moved between them."""
    for number in range(len(invocations) + 1):
        for deed in (d for at, d in program.deeds[step] if at == number):
            yield from _deed(program, deed)
        for invocation in invocations[number : number + 1]:
            yield f"    {call(program, invocation, (0,) * len(invocation.arguments))}"


def _deed(program: Program, deed: Deed) -> Iterator[str]:
    if isinstance(deed, Shared):
        yield clean(operand(program, deed.place, "void"), deed.bytes, deed.before)
    elif isinstance(deed, Transport):
        ends = operand(program, deed.to, "void"), operand(program, deed.source, "const void")
        yield carry(
            program.plan.board.chip, deed.channel, *ends, (deed.size, deed.count, deed.to_pitch, deed.source_pitch)
        )
    elif deed.transport.channel is not None:
        yield wait(dma_of(program.plan.board.chip), deed.transport.channel)


def _repeated(program: Program, repeat: Repeat) -> Iterator[str]:
    """Calls, in a loop where they come again."""
    margin = "    " if repeat.count == 1 else "        "
    if repeat.count > 1:
        yield f"    for (uint32_t band = 0; band < {repeat.count}u; band++) {{"
    for invocation, steps in zip(repeat.invocations, repeat.steps, strict=True):
        yield f"{margin}{call(program, invocation, steps)}"
    if repeat.count > 1:
        yield "    }"


def call(program: Program, invocation: Invocation, steps: Sequence[int]) -> str:
    """A call whose arguments move by so many bytes from band to band."""
    return f"{program.function(invocation.kernel)}({_arguments(program, invocation, steps)});"


def _arguments(program: Program, invocation: Invocation, steps: Sequence[int]) -> str:
    return ", ".join(
        operand(program, argument, _pointed(buffer), step)
        for buffer, argument, step in zip(invocation.kernel.buffers, invocation.arguments, steps, strict=True)
    )


def _pointed(buffer: Buffer) -> str:
    return ("const " if buffer.role in ("input", "constant") else "") + buffer.type


def bands_of(program: Program, bands: Sequence[Band]) -> Iterator[str]:
    """The calls of each band; those of bands that come again are written once."""
    return chosen_by(program, [band.invocations for band in bands], "number")


def chosen_by(program: Program, groups: Sequence[Sequence[Invocation]], number: str) -> Iterator[str]:
    """The calls of the group of that number, a variable of C; those that come again are written once."""
    first = 0
    for repeat in again(groups):
        yield f"    if ({number} < {first + repeat.count}u) {{"
        if any(step for steps in repeat.steps for step in steps):
            yield f"        const uint32_t band = {number} - {first}u;"
        for invocation, steps in zip(repeat.invocations, repeat.steps, strict=True):
            yield f"        {call(program, invocation, steps)}"
        yield "        return;"
        yield "    }"
        first += repeat.count
