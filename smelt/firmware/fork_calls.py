"""Steps on the cores of a cluster in C: a function for each step, which the first core runs, and one for each of its rounds, which
all run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from smelt.firmware.calls import call, chosen_by, operand, said
from smelt.firmware.forks import Act, Asking, Filled, Haul, Hauled, Taken
from smelt.firmware.invocations import Constant, Invocation
from smelt.firmware.program import Program
from smelt.firmware.repeats import Item, loops
from smelt.firmware.streams import Stream
from smelt.firmware.transports import Place
from smelt.planner.on_cores import NUMBERS
from smelt.planner.step import Step


def asked_before(program: Program, number: int) -> Iterator[str]:
    """What begins to come from outside before the step of a number. Requests are numbered from the first one on."""
    if program.stream is not None and (range := program.stream.between.get(number)) is not None:
        yield f"    {'(void)' if range else 'const uint32_t brought = '}{_asking(program, range)}"


def cluster_functions(program: Program) -> Iterator[str]:
    """The functions of all steps, those of rounds before them."""
    yield from _stream(program, program.stream) if program.stream else ()
    for step, invocations in groupby(program.invocations, key=lambda i: i.step):
        yield from _functions(program, step, tuple(invocations))


def _stream(program: Program, stream: Stream) -> Iterator[str]:
    """The tables of what comes from outside."""
    requests = (f"{{{r.table.name}, {r.to}u, {r.table.data.nbytes}u}}" for r in stream.requests)
    portions = (f"{{{p.at}u, {p.bytes}u, {p.request}u}}" for p in stream.portions)
    ranges = (f"{{{first}u, {end}u}}" for first, end in stream.ranges)
    for type, name, some in (
        ("request", "requests", requests),
        ("portion", "portions", portions),
        ("range", "ranges", ranges),
    ):
        yield f"static const smelt_{type} {program.name}_{name}[] = {{\n"
        yield "".join(f"    {one},\n" for one in some)
        yield "};\n\n"


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
        f"    uint32_t moves[{NUMBERS}];\n\n"
        if any(isinstance(a, Haul | Taken) for a in program.acts.get(step, ()))
        else ""
    )
    text = "\n".join(lines)
    kernel = f"{program.owner.upper()}_STATIC_KERNEL"
    brought = ", uint32_t brought" if program.stream else ""
    unused = "" if not program.stream or "brought)" in text else "    (void)brought;\n"
    head = f"{kernel} void {program.step(step)}(const {program.name}_net *net{brought})"
    yield f"/* {said(step)} */\n{head}\n{{\n{numbers}{unused}{text}\n}}\n\n"


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
            yield f"        {_moved(program, acts[n], steps) if any(steps) else texts[n]}"
        yield "    }"


def _told(act: Act, text: str) -> tuple[object, tuple[int, ...]]:
    """What is the same when a thing comes again, and the places that may have moved."""
    if isinstance(act, Haul) and isinstance(act.far, Place):
        still = replace(act, near=replace(act.near, offset=0), far=replace(act.far, offset=0))
        return still, (act.near.offset, act.far.offset)
    if isinstance(act, Filled):
        return replace(act, near=replace(act.near, offset=0)), (act.near.offset,)
    if isinstance(act, Taken):
        return replace(act, near=replace(act.near, offset=0), portion=0), (act.near.offset, act.portion)
    return ("asking", (act.range,)) if isinstance(act, Asking) else (text, ())


def _moved(program: Program, act: Act, steps: Sequence[int]) -> str:
    """The line of what comes again, which moves by so much each time."""
    if isinstance(act, Haul):
        return _haul(program, act, *steps)
    if isinstance(act, Filled):
        return _filled(program, act, *steps)
    if isinstance(act, Taken):
        return _taken(program, act, *steps)
    assert isinstance(act, Asking)
    return f"(void){_asking(program, act.range, *steps)}"


def _act(program: Program, step: Step, act: Act, rounds: dict[str, str]) -> str:
    """The line of one, and the function of a round, by its text."""
    if isinstance(act, Haul):
        return _haul(program, act)
    if isinstance(act, Filled):
        return _filled(program, act)
    if isinstance(act, Taken):
        return _taken(program, act)
    if isinstance(act, Asking):
        return f"(void){_asking(program, act.range)}"
    if isinstance(act, Hauled):
        return f"smelt_hauled(moves[{act.number}]);"
    if len(act.calls) == 1:
        (invocation,) = (i for _, i in act.calls)
        return call(program, invocation, (0,) * len(invocation.arguments))
    body = "\n".join(chosen_by(program, [[i] for _, i in act.calls], "core"))
    name = rounds.setdefault(body, f"{program.name}_r_{step.name}_{len(rounds)}")
    return f"SMELT_FORK({name}, net, {len(act.calls)}u);"


def _asking(program: Program, range: int, step: int = 0) -> str:
    return f"smelt_ask({_region(program)}, {program.name}_requests, {program.name}_ranges + {_counted(range, step)});"


def _taken(program: Program, taken: Taken, near_step: int = 0, step: int = 0) -> str:
    near = operand(program, taken.near, "void", near_step)
    portion = f"{program.name}_portions + {_counted(taken.portion, step)}"
    return f"moves[{taken.number}] = smelt_take({near}, {_region(program)}, {portion}, brought);"


def _region(program: Program) -> str:
    """Where tables from outside come to."""
    assert program.stream is not None
    return f"net->{program.role(program.stream.memory)}"


def _counted(first: int, step: int) -> str:
    return f"{first}u + {step}u * band" if step else f"{first}u"


def _haul(program: Program, haul: Haul, near_step: int = 0, far_step: int = 0) -> str:
    near = operand(program, haul.near, "void" if haul.inward else "const void", near_step)
    far = haul.far.name if isinstance(haul.far, Constant) else operand(program, haul.far, "void", far_step)
    kind, way = (
        ("rest_" if haul.joins else "each_") if haul.times > 1 else "more_" if haul.joins else "",
        "in" if haul.inward else "out",
    )
    numbers = f"{haul.size * haul.count}u, {haul.size}u, {haul.near_pitch or haul.pitch}u"
    numbers += f", {haul.times}u, {haul.steps[0]}u, {haul.steps[1]}u" if haul.times > 1 else ""
    taken = "" if haul.joins else f"moves[{haul.number}] = "
    if haul.near_pitch:
        return f"{taken}smelt_haul_rows({near}, {far}, {numbers});"
    return f"{taken}smelt_haul_{kind}{way}({near}, {far}, {numbers});"


def _filled(program: Program, fill: Filled, step: int = 0) -> str:
    near = operand(program, fill.near, "void", step)
    return f"smelt_fill_lines({near}, {fill.value}u, {fill.size}u, {fill.count}u, {fill.pitch}u);"
