"""Programs in assembly for a simulated cluster: how tests build and run them."""

import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from smelt.devices.simulators.cluster_faults import fault_of
from smelt.devices.simulators.cluster_machine import EXITED, ClusterMachine
from smelt.devices.simulators.cluster_simulator import ClusterRun, ClusterSimulator, loaded
from smelt.firmware.build import Compiler, compiler_command, compiler_environment, run_compiler
from smelt.firmware.elf import read_elf
from smelt.firmware.image import Image
from smelt.targets.boards import GAPUINO
from smelt.targets.types import Board
from tests.tiny_firmware import need
from tests.xpulp import Assembler

BOARD = GAPUINO
RESULTS, BUFFER = 0x10008000, 0x10000100
SCRIPT = "SECTIONS { . = 0x1C000000; .text : { *(.text*) } .data : { *(.data*) } }\n"
LINK = ("-nostdlib", "-static", "-Wl,--entry=_start", "-T", "a.ld")

START = """
    .option arch, +zicsr
    .text
    .option push
    .option norvc
    .rept 32
    nop
    .endr
    .option pop
    .globl _start
    .type _start, @function
_start:
    csrr t0, 0xF14
    srli t0, t0, 5
    beqz t0, worker
    li t1, 0x10200000
    li t0, 0x1C000000
    li t2, 8
    addi t3, t1, 0x40
1:  sw t0, 0(t3)
    addi t3, t3, 4
    addi t2, t2, -1
    bnez t2, 1b
    li t0, {cores}
    sw t0, 0x20(t1)
    sw t0, 8(t1)
    li t1, 0x10200400
    li t0, 3
    sw t0, 0(t1)
    li t1, 0x10200800
    {controller}
1:  wfi
    j 1b
    .size _start, . - _start
    .globl worker
    .type worker, @function
worker:
    csrr s0, 0xF14
    li s1, 0x10204000
    li t0, 0x10000
    sw t0, 8(s1)
    li t0, 0xFF
    sw t0, 0x200(s1)
    sw t0, 0x20C(s1)
    li t0, 1
    csrw 0x7A1, t0
    li t0, -1
    csrw 0x7A0, t0
    slli s10, s0, 12
    li ra, {results}
    add ra, ra, s10
    .balign 4
    {body}
    bnez s0, 1f
    li t1, 0x1A1040A0
    li t0, 0x80000000
    sw t0, 0(t1)
1:  wfi
    j 1b
    .size worker, . - worker
"""
"""The controller starts the workers `cores` (a set of bits); each has its number in s0, the event unit in s1, where its results
go in ra, and runs `body`. Worker 0 ends the program."""


def need_if(compiler: Compiler) -> None:
    """Skip where a compiler is missing that is no part of smelt's own packages."""
    if compiler == "gcc":
        need(BOARD.core.gcc[0])


@cache
def built(text: str, compiler: Compiler = "zig") -> bytes:
    """The ELF file of a program in assembly."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "a.S").write_text(text)
        (folder / "a.ld").write_text(SCRIPT)
        command = (*compiler_command(BOARD, compiler), *LINK, "a.S", "-o", "a.elf")
        run_compiler(folder, command, compiler_environment(folder), "a program of a test")
        return (folder / "a.elf").read_bytes()


def program(body: str, cores: int = 0xFF, controller: str = "", results: int = RESULTS) -> str:
    """A whole program; lines may be of XpulpV2."""
    return START.format(cores=cores, controller=controller, results=results, body=translated(body))


def translated(text: str) -> str:
    """Assembly in which XpulpV2's instructions are `.insn`, and nothing is compressed."""
    return Assembler().text([line for line in text.splitlines() if line.strip()])


def machine_after(
    body: str,
    given: Mapping[int, bytes] | None = None,
    board: Board = BOARD,
    cores: int = 0xFF,
    controller: str = "",
) -> ClusterMachine:
    """The machine after a program that began with `given` bytes in its memories; raises `Fault` if it does anything wrong."""
    elf = built(program(body, cores, controller))
    parsed = read_elf(elf)
    image = Image(elf, board.name, "zig", parsed, (), "", ())
    machine = loaded(board, image)
    for address, data in (given or {}).items():
        machine.write(address, data)
    reason = machine.run(20_000_000)
    if reason != EXITED:
        raise fault_of(machine, reason, board.name, image, 20_000_000)
    return machine


def ran(body: str, cores: int = 0xFF, controller: str = "", strict: bool = True, limit: int = 50_000_000) -> ClusterRun:
    """What a program does; raises `Fault`."""
    elf = built(program(body, cores, controller))
    return ClusterSimulator(BOARD, strict).run_elf(elf, timeout_instructions=limit)
