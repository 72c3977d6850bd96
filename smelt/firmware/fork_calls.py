"""Steps on the cores of a cluster in C: a function for each step, which the first core runs, and one for each of its rounds, which
all run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from smelt.firmware.calls import call, chosen_by, comment, operand
from smelt.firmware.forks import Act, Asked, Brought, Filled, Haul, Hauled
from smelt.firmware.invocations import Constant, Invocation
from smelt.firmware.program import Program
from smelt.firmware.repeats import Item, loops
from smelt.firmware.transports import Place
from smelt.planner.on_cores import NUMBERS
from smelt.planner.step import Step


def step_calls(program: Program) -> Iterator[str]:
    """The calls of a run: of one function for each step."""
    if program.brings:
        yield f"    uint32_t brought[{program.brings}];"
        yield ""
    more = ", brought" if program.brings else ""
    for number, step in enumerate(program.plan.steps):
        yield f"    /* {number}: {step.name} = {comment(f'{step.operators} by {step.way.how}')} */"
        yield from (f"    {_asked(program, ask)}" for first, ask in program.asked if first == number)
        yield f"    {program.step(step)}(net{more});"


def step_functions(program: Program) -> Iterator[str]:
    """The functions of all steps, where steps are functions."""
    if program.plan.board.chip.cluster:
        for step, invocations in groupby(program.invocations, key=lambda i: i.step):
            yield from _functions(program, step, tuple(invocations))


def _functions(program: Program, step: Step, invocations: Sequence[Invocation]) -> Iterator[str]:
    rounds: dict[str, str] = {}
    lines: list[str] = []
    lines += _acts(program, step, program.acts.get(step, ()), rounds)
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
    brought = ", uint32_t *brought" if program.brings else ""
    unused = "" if not program.brings or "brought[" in text else "    (void)brought;\n"
    head = f"{kernel} void {program.step(step)}(const {program.name}_net *net{brought})"
    yield f"{head}\n{{\n{numbers}{unused}{text}\n}}\n\n"


def _acts(program: Program, step: Step, acts: Sequence[Act], rounds: dict[str, str]) -> Iterator[str]:
    """The lines of all that happens, in loops where it comes again with places that move on by the same each time."""
    texts = [_act(program, step, act, rounds) for act in acts]
    items = [Item(*_told(act, text)) for act, text in zip(acts, texts, strict=True)]
    for loop in loops(items):
        if loop.count == 1:
            yield from (f"    {texts[n]}" for n in range(loop.first, loop.first + loop.period))
            continue
        yield f"    for (uint32_t band = 0; band < {loop.count}u; band++) {{"
        for n in range(loop.first, loop.first + loop.period):
            steps = tuple(b - a for a, b in zip(items[n].places, items[n + loop.period].places, strict=True))
            act = acts[n]
            text = texts[n]
            if isinstance(act, Haul | Filled) and any(steps):
                text = _haul(program, act, *steps) if isinstance(act, Haul) else _filled(program, act, *steps)
            yield f"        {text}"
        yield "    }"


def _told(act: Act, text: str) -> tuple[object, tuple[int, ...]]:
    """What is the same when a thing comes again, and the places that may have moved."""
    if isinstance(act, Haul) and isinstance(act.far, Place):
        still = replace(act, near=replace(act.near, offset=0), far=replace(act.far, offset=0))
        return still, (act.near.offset, act.far.offset)
    if isinstance(act, Filled):
        return replace(act, near=replace(act.near, offset=0)), (act.near.offset,)
    return text, ()


def _act(program: Program, step: Step, act: Act, rounds: dict[str, str]) -> str:
    """The line of one, and the function of a round, by its text."""
    if isinstance(act, Haul):
        return _haul(program, act)
    if isinstance(act, Filled):
        return _filled(program, act)
    if isinstance(act, Asked):
        return _asked(program, act)
    if isinstance(act, Brought):
        return f"smelt_brought(brought[{act.number}]);"
    if isinstance(act, Hauled):
        return f"smelt_hauled(moves[{act.number}]);"
    if len(act.calls) == 1:
        (invocation,) = (i for _, i in act.calls)
        return call(program, invocation, (0,) * len(invocation.arguments))
    body = "\n".join(chosen_by(program, [[i] for _, i in act.calls], "core"))
    name = rounds.setdefault(body, f"{program.name}_r_{step.name}_{len(rounds)}")
    return f"SMELT_FORK({name}, net, {len(act.calls)}u);"


def _asked(program: Program, ask: Asked) -> str:
    to = operand(program, ask.to, "void")
    return f"brought[{ask.number}] = smelt_bring({to}, {ask.table.name}, {ask.table.data.nbytes}u);"


def _haul(program: Program, haul: Haul, near_step: int = 0, far_step: int = 0) -> str:
    near = operand(program, haul.near, "void" if haul.inward else "const void", near_step)
    far = haul.far.name if isinstance(haul.far, Constant) else operand(program, haul.far, "void", far_step)
    more, way = "more_" if haul.joins else "", "in" if haul.inward else "out"
    numbers = f"{haul.size * haul.count}u, {haul.size}u, {haul.near_pitch or haul.pitch}u"
    taken = "" if haul.joins else f"moves[{haul.number}] = "
    if haul.near_pitch:
        return f"{taken}smelt_haul_rows({near}, {far}, {numbers});"
    return f"{taken}smelt_haul_{more}{way}({near}, {far}, {numbers});"


def _filled(program: Program, fill: Filled, step: int = 0) -> str:
    near = operand(program, fill.near, "void", step)
    return f"smelt_fill_lines({near}, {fill.value}u, {fill.size}u, {fill.count}u, {fill.pitch}u);"
