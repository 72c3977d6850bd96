"""Steps as functions of C: what a run calls one after the other, and `NAME_step` one at a time."""

from __future__ import annotations

from collections.abc import Iterator

from smelt.firmware.calls import said, step_bodies
from smelt.firmware.fork_calls import asked_before, cluster_functions
from smelt.firmware.program import Program

MOST_MACS = 2**32 - 1


def functions(program: Program) -> Iterator[str]:
    """A function for each step of a run."""
    if program.plan.board.chip.cluster:
        yield from cluster_functions(program)
        return
    for step, body in step_bodies(program):
        head = f"{program.owner.upper()}_STATIC_STEP void {program.step(step)}(const {program.name}_net *net)"
        text = "\n".join(body)
        yield f"/* {said(step)} */\n{head}\n{{\n{text}\n}}\n\n"


def calls(program: Program) -> Iterator[str]:
    """The calls of a run."""
    for number, step in enumerate(program.plan.steps):
        yield from asked_before(program, number)
        if number or not program.feed:
            yield f"    {program.step(step)}(net{', brought' if program.stream else ''});"
    if not program.own:
        yield "    (void)net;"


def can_step(program: Program) -> bool:
    """Whether steps can be run one at a time: what comes from outside of a chip meanwhile would have to be remembered."""
    return program.stream is None


def cases(program: Program) -> Iterator[str]:
    """The same as cases of a switch; what is fed was computed before."""
    for number, step in enumerate(program.plan.steps):
        yield f"    case {number}u:"
        if number or not program.feed:
            yield f"        {program.step(step)}(net);"
        yield "        break;"


def table(program: Program) -> Iterator[str]:
    """What is known of each step: its name, its operators, its products."""
    for step in program.plan.steps:
        yield f'    {{"{step.name}", "{step.operators}", {min(step.macs, MOST_MACS)}u}},'
