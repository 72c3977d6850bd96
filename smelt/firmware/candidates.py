"""Firmware to measure with: several programs in one image, of which every input runs one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from smelt.firmware.harness import chooser
from smelt.firmware.image import Image, Sources
from smelt.firmware.program import Program
from smelt.firmware.sources import ASSEMBLY, render, smelt_version
from smelt.kernels.assembly import assembly_file, called
from smelt.kernels.headers import includes, needed

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
    texts = {"candidates_code.c": f"{first}\n{code}", "candidates_data.c": data, FILE: chooser(programs, FILE)}
    texts |= {ASSEMBLY: assembly_file(routines, core, ASSEMBLY, smelt_version())} if routines else {}
    tables = tuple(dict.fromkeys(memory for p in programs for memory in p.table_memories))
    return Sources(headers | texts, tables=tables, floats=any(p.floats for p in programs))


def only(image: Image, entry: str, kernels: tuple[str, ...], absent: Collection[str] = ()) -> Image:
    """The image as one that runs only the program of `entry` and `kernels`: its cycles are counted, and the functions named in
    `absent` are not even looked at."""
    functions = tuple(f for f in image.parsed.functions if f.name not in absent)
    return replace(image, entry=entry, kernels=kernels, parsed=replace(image.parsed, functions=functions))
