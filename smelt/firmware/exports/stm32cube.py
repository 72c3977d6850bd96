"""`stm32cube`: a folder for a project of STM32CubeMX or STM32CubeIDE, with its memory sections for the linker."""

from __future__ import annotations

from collections.abc import Iterator

from smelt.firmware.exports.arranged import arranged, example
from smelt.firmware.exports.layout import Format
from smelt.firmware.exports.package import Package
from smelt.firmware.exports.texts import filled, listed
from smelt.firmware.sources import lines
from smelt.targets.types import Memory

USUAL = "main"  # the region that lies where the project's variables do


def _files(package: Package) -> dict[str, str]:
    name = package.name
    sections = f'"{name}_sections.h"'
    app = example(package, entry=f"int {name}_app(void);\n\nint {name}_app(void)\n{{\n    return run_example();\n}}\n")
    placed, tables, memories = list(_placed(package)), list(_tables(package)), _memories(package)
    script = filled(
        "stm32cube_memory.ld",
        package,
        memories=lines(f"  {_region(package, m)} (rw) : ORIGIN = {m.start:#x}, LENGTH = {m.size}" for m in memories),
        sections=lines((*_buffers(package, placed), *_constants(package, tables))),
        assertions=lines(_assertions(package, placed)),
    )
    header = filled("stm32cube_sections.h", package, sections=lines(_macros(package, placed)))
    lists = filled(
        "stm32cube_lists.txt",
        package,
        code=listed(package.code, "Src/"),
        link=filled("stm32cube_link.txt", package) if memories else "",
        language="enable_language(ASM)\n" if any(file.endswith(".S") for file in package.code) else "",
    )
    return {
        **arranged(package, "Inc/", "Src/"),
        f"Inc/{name}_sections.h": header,
        "CMakeLists.txt": lists,
        f"Example/{name}_app.c": app.replace(f'"{package.header}"', sections),
        **({f"{name}_memory.ld": script} if memories else {}),
    }


def _memories(package: Package) -> tuple[Memory, ...]:
    """The memories that the plan uses beside those that a project has anyway."""
    return tuple(dict.fromkeys((*(memory for memory, _ in _placed(package)), *_tables(package))))


def _told(package: Package) -> dict[str, str]:
    return {"memory": filled(f"stm32cube_use_{'memory' if _memories(package) else 'alone'}.md", package)}


def _placed(package: Package) -> Iterator[tuple[Memory, str]]:
    """The memories of regions that are not where variables usually are, with the regions' roles."""
    chip = package.program.plan.board.chip
    for region in package.program.regions:
        if region.role != USUAL and region.bytes:
            yield next(m for m in chip.memories if m.name == region.memory), region.role


def _tables(package: Package) -> Iterator[Memory]:
    """The flashes outside of the chip that hold tables."""
    names = {c.flash for c in package.program.constants if c.flash and not c.memory}
    yield from (m for m in package.program.plan.board.chip.memories if m.name in names)


def _region(package: Package, memory: Memory) -> str:
    return f"{package.name}_{memory.name}".upper()


def _macros(package: Package, placed: list[tuple[Memory, str]]) -> Iterator[str]:
    for memory, role in placed:
        macro = f"{package.name}_{role}_SECTION".upper()
        yield f'#define {macro} __attribute__((section(".{package.name}_{role}"))) /* {memory.name} */'


def _buffers(package: Package, placed: list[tuple[Memory, str]]) -> Iterator[str]:
    for memory, role in placed:
        section = f".{package.name}_{role}"
        yield f"  {section} (NOLOAD) : ALIGN(8) {{ *({section} {section}.*) }} > {_region(package, memory)}"


def _assertions(package: Package, placed: list[tuple[Memory, str]]) -> Iterator[str]:
    """That the project's variables, which CubeMX's scripts have between two symbols, are elsewhere: linkers let bytes overlap that
    have no initial values."""
    for memory, role in placed:
        section = f".{package.name}_{role}"
        after, before = f"_sdata >= ADDR({section}) + SIZEOF({section})", f"_ebss <= ADDR({section})"
        yield f'ASSERT({after} || {before}, "{memory.name} holds {package.name}: let the project\'s RAM leave it out");'


def _constants(package: Package, tables: list[Memory]) -> Iterator[str]:
    for memory in tables:
        name = f".rodata.smelt_tables.{memory.name}"
        yield f"  .{package.name}_{memory.name} : ALIGN(32) {{ *({name}) }} > {_region(package, memory)}"


FORMAT = Format(
    "stm32cube",
    "A folder for a project of STM32CubeMX, with its memory sections",
    "stm32cube_use.md",
    _files,
    told=_told,
)
