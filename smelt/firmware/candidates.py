"""Firmware to measure with: several programs in one image, of which every input runs one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from smelt.firmware.harness import arena, set_up
from smelt.firmware.image import Image, Sources
from smelt.firmware.program import Port, Program
from smelt.firmware.sources import ASSEMBLY, lines, render, smelt_version, template
from smelt.kernels.assembly import assembly_file, called
from smelt.kernels.headers import includes, needed
from smelt.targets.types import Role

FILE = "candidates.c"


def render_candidates(programs: Sequence[Program]) -> Sources:
    """The sources of `programs`, whose names must differ, and of what chooses between them.

    An input is a 32-bit number, which chooses the program, and the inputs of that program. Their memory is shared.
    """
    libraries = {p.name: render(p).files for p in programs}
    headers = {file: text for texts in libraries.values() for file, text in texts.items() if file.endswith(".h")}
    code = "\n".join(texts[f"{name}_net.c"] for name, texts in libraries.items())
    core = programs[0].plan.board.core
    first = includes(needed(code, core))  # whatever the first program needs, instructions are for all
    routines = called(code, core)
    data = "\n".join(texts[f"{name}_weights.c"] for name, texts in libraries.items())
    texts = {"candidates_code.c": f"{first}\n{code}", "candidates_data.c": data, FILE: _chooser(programs)}
    texts |= {ASSEMBLY: assembly_file(routines, core, ASSEMBLY, smelt_version())} if routines else {}
    tables = tuple(dict.fromkeys(memory for p in programs for memory in p.table_memories))
    return Sources(headers | texts, tables=tables, floats=any(p.floats for p in programs))


def only(image: Image, entry: str, kernels: tuple[str, ...], absent: Collection[str]) -> Image:
    """The image as one that runs only the program of `entry` and `kernels`: its cycles are counted, and the functions named in
    `absent` are not even looked at."""
    functions = tuple(f for f in image.parsed.functions if f.name not in absent)
    return replace(image, entry=entry, kernels=kernels, parsed=replace(image.parsed, functions=functions))


def _chooser(programs: Sequence[Program]) -> str:
    values = {
        "version": smelt_version(),
        "includes": lines(f'#include "{p.name}_net.h"' for p in programs),
        "arenas": lines(_arenas(programs)),
        "instances": lines(f"static {p.name}_net {_instance(p)};" for p in programs),
        "set_up": lines(line for p in programs for line in set_up(p, _instance(p))),
        "inputs": lines(_case(n, _ports(p, "in", "inputs", p.inputs)) for n, p in enumerate(programs)),
        "outputs": lines(_case(n, _ports(p, "out", "outputs", p.outputs)) for n, p in enumerate(programs)),
        "runs": lines(_case(n, [f"{p.name}_run(&{_instance(p)});"]) for n, p in enumerate(programs)),
    }
    return template(FILE).substitute(values)


def _instance(program: Program) -> str:
    return f"smelt_{program.name}"


def _arenas(programs: Sequence[Program]) -> Iterator[str]:
    """One buffer for each memory, as large as the most that a program needs there."""
    sizes: dict[tuple[str, Role], int] = {}
    for region in (r for p in programs for r in p.regions):
        key = region.memory, region.role
        sizes[key] = max(sizes.get(key, 0), region.bytes)
    return (arena(memory, role, size) for (memory, role), size in sizes.items())


def _ports(program: Program, kind: str, all: str, ports: Sequence[Port]) -> Iterator[str]:
    for number, port in enumerate(ports):
        yield f"if (index == {number}u) {{"
        yield f"    const {program.name}_{kind} all = {program.name}_get_{all}(&{_instance(program)});"
        yield f"    span.data = (void *)(uintptr_t)all.{port.field};"
        yield f"    span.bytes = {port.tensor.bytes}u;"
        yield "}"


def _case(number: int, body: Sequence[str] | Iterator[str]) -> str:
    inside = "\n".join(f"        {line}" for line in body)
    return f"    case {number}u:\n{inside}\n        break;"
