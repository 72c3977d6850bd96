"""Small programs for the debug links, compiled into a few bytes that run anywhere in RAM."""

import io
import os
import subprocess
from functools import cache

from elftools.elf.elffile import ELFFile

from smelt.firmware.build import compiler_command, compiler_environment

PROGRAM = """
#include <stdint.h>
#define NAKED __attribute__((naked, used, section(".text.entry")))
#if defined(__arm__)
#define STOP "bkpt #0"
#define GO "bl body\\n"
#else
#define STOP "ebreak"
#define GO "call body\\n"
#endif
__attribute__((noinline, used)) static void body(void) { %s }
NAKED void entry(void) { __asm__ volatile(GO STOP); }
"""

# where the tests put things, from the start of the test's RAM
CODE, DATA, STACK = 0x0, 0x1000, 0x4000


@cache
def code(board, body: str) -> bytes:
    """Machine code without relocations; it begins with a call of `body` and a breakpoint."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "program.c").write_text(PROGRAM % body)
        (folder / "program.ld").write_text("SECTIONS { .text : { *(.text.entry) *(.text*) *(.rodata*) } }")
        command = (*compiler_command(board), "-Os", "-ffreestanding", "-fomit-frame-pointer", "-fno-unwind-tables", "-fPIC")
        link = ("-nostdlib", "-static", "-Wl,-T,program.ld", "-Wl,--entry=entry", "-Wl,--build-id=none")
        environment = compiler_environment(folder)
        subprocess.run(
            (*command, "program.c", *link, "-o", "program.elf"), cwd=folder, env=environment, check=True, timeout=60
        )
        elf = ELFFile(io.BytesIO((folder / "program.elf").read_bytes()))
        return elf.get_section_by_name(".text").data()


def is_ci() -> bool:
    return bool(os.environ.get("CI"))


def load(link, ram: int, body: str) -> tuple[int, int]:
    """Put a program into the device's RAM; its entry address and a stack for it."""
    link.write(ram + CODE, code(link.board, body))
    return ram + CODE, ram + STACK
