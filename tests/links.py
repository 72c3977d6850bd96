"""The debug links, one by one, and small programs for them: a few bytes that run anywhere in RAM."""

import importlib.util
import io
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from smelt.devices.qemu import QemuLink
from smelt.devices.simulators.link import SimulatorLink
from smelt.devices.simulators.virtual import SimulatedOpenOcdLink, SimulatedPyOcdLink
from smelt.firmware.build import compiler_command, compiler_environment
from smelt.targets.boards import MPS_BOARDS, board
from tests.tiny_firmware import need

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
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "program.c").write_text(PROGRAM % body)
        (folder / "program.ld").write_text("SECTIONS { .text : { *(.text.entry) *(.text*) *(.rodata*) } }")
        command = (
            *compiler_command(board),
            "-Os",
            "-ffreestanding",
            "-fomit-frame-pointer",
            "-fno-unwind-tables",
            "-fPIC",
        )
        link = ("-nostdlib", "-static", "-Wl,-T,program.ld", "-Wl,--entry=entry", "-Wl,--build-id=none")
        environment = compiler_environment(folder)
        subprocess.run(
            (*command, "program.c", *link, "-o", "program.elf"), cwd=folder, env=environment, check=True, timeout=60
        )
        elf = ELFFile(io.BytesIO((folder / "program.elf").read_bytes()))
        return elf.get_section_by_name(".text").data()


def load(link, ram: int, body: str) -> tuple[int, int]:
    """Put a program into the device's RAM; its entry address and a stack for it."""
    link.write(ram + CODE, code(link.board, body))
    return ram + CODE, ram + STACK


def need_module(name: str) -> None:
    """Like `need`, for a Python package."""
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")


def mps_board(name: str):
    return next(b for b in MPS_BOARDS if b.name == name)


def simulator(name: str = "disco_f746ng"):
    return SimulatorLink(board(name))


def openocd(name: str = "disco_f746ng", chip=None):
    need("openocd")
    return SimulatedOpenOcdLink(board(name), chip)


def pyocd(name: str = "disco_f746ng", chip=None):
    need_module("pyocd")
    return SimulatedPyOcdLink(board(name), chip)


def qemu(name: str = "mps2_an500", **options):
    need("qemu-system-arm")
    return QemuLink(mps_board(name), **options)


LINKS = {"simulator": simulator, "openocd": openocd, "pyocd": pyocd, "qemu": qemu}


@pytest.fixture(scope="module", params=LINKS)
def link(request):
    """Every kind of link in turn; the tests of a module share it, so each must leave it usable."""
    with LINKS[request.param]() as found:
        yield found


@pytest.fixture
def ram(link) -> int:
    """The start of the RAM that the tests use."""
    return ram_of(link)


def ram_of(link) -> int:
    return link.board.chip.rams[0].start
