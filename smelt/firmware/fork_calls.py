"""Steps on the cores of a cluster in C: a function for each step, which the first core runs, and one for each of its rounds, which
all run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from smelt.firmware.calls import call, chosen_by, comment, operand
from smelt.firmware.forks import Act, Fork, Haul
from smelt.firmware.invocations import Constant, Invocation
from smelt.firmware.program import Program
from smelt.planner.on_cores import NUMBERS
from smelt.planner.step import Step


def step_calls(program: Program) -> Iterator[str]:
    """The calls of a run: of one function for each step."""
    for number, step in enumerate(program.plan.steps):
        yield f"    /* {number}: {step.name} = {comment(f'{step.operators} by {step.way.how}')} */"
        yield f"    {program.step(step)}(net);"


def step_functions(program: Program) -> Iterator[str]:
    """The functions of all steps, where steps are functions."""
    if program.plan.board.chip.cluster:
        for step, invocations in groupby(program.invocations, key=lambda i: i.step):
            yield from _functions(program, step, tuple(invocations))


def _functions(program: Program, step: Step, invocations: Sequence[Invocation]) -> Iterator[str]:
    rounds: dict[str, str] = {}
    lines: list[str] = []
    for act in program.acts.get(step, ()):
        lines += _act(program, step, act, rounds)
    if step not in program.acts:
        lines = [f"    {call(program, i, (0,) * len(i.arguments))}" for i in invocations]
    for body, name in rounds.items():
        yield f"static void {name}(const {program.name}_net *net, uint32_t core)\n{{\n{body}\n}}\n"
        yield f"SMELT_TASK({name}, {program.name}_net)\n\n"
    numbers = (
        f"    uint32_t moves[{NUMBERS}];\n\n" if any(isinstance(a, Haul) for a in program.acts.get(step, ())) else ""
    )
    text = "\n".join(lines)
    kernel = f"{program.owner.upper()}_STATIC_KERNEL"
    yield f"{kernel} void {program.step(step)}(const {program.name}_net *net)\n{{\n{numbers}{text}\n}}\n\n"


def _act(program: Program, step: Step, act: Act, rounds: dict[str, str]) -> Iterator[str]:
    """The lines of one, and the function of a round, by its text."""
    if isinstance(act, Haul):
        yield _haul(program, act)
    elif not isinstance(act, Fork):
        yield f"    smelt_hauled(moves[{act.number}]);"
    elif len(act.calls) == 1:
        (invocation,) = (i for _, i in act.calls)
        yield f"    {call(program, invocation, (0,) * len(invocation.arguments))}"
    else:
        body = "\n".join(chosen_by(program, [[i] for _, i in act.calls], "core"))
        name = rounds.setdefault(body, f"{program.name}_r_{step.name}_{len(rounds)}")
        yield f"    SMELT_FORK({name}, net, {len(act.calls)}u);"


def _haul(program: Program, haul: Haul) -> str:
    near = operand(program, haul.near, "void" if haul.inward else "const void")
    far = haul.far.name if isinstance(haul.far, Constant) else operand(program, haul.far, "void")
    more, way = "more_" if haul.joins else "", "in" if haul.inward else "out"
    numbers = f"{haul.size * haul.count}u, {haul.size}u, {haul.pitch}u"
    taken = "" if haul.joins else f"moves[{haul.number}] = "
    return f"    {taken}smelt_haul_{more}{way}({near}, {far}, {numbers});"
