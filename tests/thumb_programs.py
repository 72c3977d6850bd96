"""Kernels as a program for Thumb, and its calls: compiled with any compiler and any flags, run in Unicorn.

The program lies at `CODE`; buffers lie in memory of their own behind each other, with room between them, then the stack. Hooks may
look at everything.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from smelt.firmware.elf import read_elf
from smelt.kernels.implementation import KernelCall
from smelt.loops.ir import SIZES, Scratch
from smelt.model.graph import Array, Op, Tensor
from tests.kernels_host import SUPPORT
from tests.paths import ROOT

LIBRARY = ROOT / "smelt" / "firmware" / "support"
CODE, DATA, STACK_TOP, RETURN = 0x0001_0000, 0x2000_0000, 0x2040_0000, 0x0000_F000
STACK_BYTES = 64 * 1024
GAP = 64  # bytes between buffers
CPACR = 0xE000ED88
# What instrumented code calls, and what guards of the stack are.
HOOKS = """
#include <stdint.h>
uintptr_t __stack_chk_guard = 0x5a3c17e9u;
__attribute__((no_stack_protector)) void __stack_chk_fail(void) { for (;;) { __asm__ volatile("udf #1"); } }
__attribute__((no_instrument_function)) void __cyg_profile_func_enter(void *f, void *c) { (void)f, (void)c; }
__attribute__((no_instrument_function)) void __cyg_profile_func_exit(void *f, void *c) { (void)f, (void)c; }
void __gcov_init(void *p) { (void)p; }
void __gcov_exit(void) {}
void __gcov_merge_add(void *p, unsigned n) { (void)p, (void)n; }
void llvm_gcov_init(void *a, void *b) { (void)a, (void)b; }
void llvm_gcda_start_file(const char *n, unsigned v, unsigned c) { (void)n, (void)v, (void)c; }
void llvm_gcda_emit_function(unsigned i, unsigned f, unsigned c) { (void)i, (void)f, (void)c; }
void llvm_gcda_emit_arcs(unsigned n, uint64_t *c) { (void)n, (void)c; }
void llvm_gcda_summary_info(void) {}
void llvm_gcda_end_file(void) {}
__attribute__((naked)) void __gnu_mcount_nc(void) { __asm__ volatile("mov ip, lr\\n pop {lr}\\n bx ip\\n"); }
"""


@dataclass(frozen=True, eq=False)
class Case:
    """A call of a kernel, the values of its inputs, and what it should give."""

    op: Op
    call: KernelCall
    inputs: tuple[Array, ...]
    expected: Array

    def __str__(self) -> str:
        return f"{self.call.kernel.name}: {self.op.inputs[0].shape} -> {self.op.y.shape}"


@dataclass(frozen=True, eq=False)
class Program:
    """Machine code at `CODE` and `DATA`, and the addresses of its functions."""

    segments: tuple[tuple[int, bytes], ...]
    functions: dict[str, int]
    sizes: dict[str, int] = field(default_factory=dict)


class Refused(Exception):
    """A compiler's messages where it does not compile a program."""


def run_command(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Refused(done.stderr)


def build(
    folder: Path,
    text: str,
    compile: Sequence[str],
    support: Sequence[str],
    link: Sequence[str],
    libraries: Sequence[str] = (),
    assembly: str = "",
) -> Program:
    """`text`, compiled by one command, linked by another; `assembly` and what instrumented code and compilers call are compiled by
    `support`.

    Raises Refused.
    """
    (folder / "kernels.c").write_text(text)
    (folder / "hooks.c").write_text(HOOKS)
    (folder / "routines.S").write_text(assembly)
    (folder / "program.ld").write_text(
        f"SECTIONS {{ . = {CODE}; .text : {{ *(.text*) *(.rodata*) *(.init_array*) *(.fini_array*) }}\n"
        ".ARM.exidx : { *(.ARM.exidx*) } .ARM.extab : { *(.ARM.extab*) }\n"
        f". = {DATA}; .data : {{ *(.data*) *(.got*) }} .bss : {{ *(.bss*) *(COMMON) }} }}\n"
    )
    include = ["-I", str(SUPPORT), "-I", str(LIBRARY)]
    run_command([*compile, *include, "-c", "kernels.c", "-o", "kernels.o"], folder)
    for name, source in (("hooks", "hooks.c"), ("memory", str(LIBRARY / "memory.c")), ("routines", "routines.S")):
        run_command([*support, "-O1", "-fno-builtin", *include, "-c", source, "-o", f"{name}.o"], folder)
    objects = ("kernels.o", "hooks.o", "memory.o", "routines.o")
    run_command([*link, "-T", "program.ld", *objects, *libraries, "-o", "program.elf"], folder)
    data = (folder / "program.elf").read_bytes()
    elf = read_elf(data)
    segments = tuple(
        (s.address, data[s.offset : s.offset + s.size] if s.loaded else bytes(s.size))
        for s in elf.sections
        if s.allocated and s.size
    )
    return Program(segments, {f.name: f.address & ~1 for f in elf.functions}, {f.name: f.size for f in elf.functions})


class Machine:
    """Unicorn with a program in its memory."""

    def __init__(self, program: Program, core: str = "CORTEX_M4") -> None:
        import unicorn
        from unicorn import arm_const

        self.program, self.arm, self.unicorn = program, arm_const, unicorn
        self.engine: Any = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self.engine.ctl_set_cpu_model(getattr(arm_const, f"UC_CPU_ARM_{core}"))
        self.engine.mem_map(0, 0x0010_0000)
        self.engine.mem_map(DATA, STACK_TOP - DATA)
        self.engine.mem_map(CPACR & ~0xFFF, 0x1000)
        for address, content in program.segments:
            self.engine.mem_write(address, content)
        self.engine.mem_write(RETURN, b"\xfe\xe7")
        self.engine.reg_write(arm_const.UC_ARM_REG_FPEXC, 1 << 30)
        used = max((a + len(c) for a, c in program.segments if a >= DATA), default=DATA)
        self.free = (used + 0xFFF) & ~0xFFF

    def register(self, name: str) -> int:
        return int(self.engine.reg_read(getattr(self.arm, f"UC_ARM_REG_{name.upper()}"))) & 0xFFFFFFFF

    def set(self, name: str, value: int) -> None:
        self.engine.reg_write(getattr(self.arm, f"UC_ARM_REG_{name.upper()}"), value)

    def run(self, case: Case) -> Array:
        """The output of a call. Raises unicorn.UcError for a fault, AssertionError where a call damages a register."""
        places = self._place(case)
        self.call(case.call.kernel.name, [address for address, _ in places])
        (y,) = (p for p, b in zip(places, case.call.kernel.buffers, strict=True) if b.role == "output")
        return np.frombuffer(bytes(self.engine.mem_read(*y)), case.op.y.dtype).reshape(case.op.y.shape)

    def call(self, name: str, arguments: Sequence[int]) -> None:
        rest = arguments[4:]
        sp = (STACK_TOP - 256 - 4 * len(rest)) & ~7
        self.engine.mem_write(STACK_TOP - STACK_BYTES, b"\xa5" * STACK_BYTES)
        for number, value in enumerate(arguments[:4]):
            self.set(f"r{number}", value)
        self.engine.mem_write(sp, np.array(rest, "<u4").tobytes())
        kept = {f"r{n}": 0x5EED0000 + n for n in range(4, 12)}
        for register, value in {**kept, "sp": sp, "lr": RETURN | 1}.items():
            self.set(register, value)
        self.engine.emu_start(self.program.functions[name] | 1, RETURN, 0, 0)
        assert {r: self.register(r) for r in kept} == kept and self.register("sp") == sp, f"{name} damages a register"

    def _place(self, case: Case) -> list[tuple[int, int]]:
        """(address, bytes) of every buffer, filled."""
        at, places = self.free, []
        values = {t: v for t, v in zip(case.op.inputs, case.inputs, strict=True)}
        for buffer, argument in zip(case.call.kernel.buffers, case.call.arguments, strict=True):
            size = buffer.size * SIZES[buffer.type]
            if isinstance(argument, Scratch):
                content = b"\xa5" * size
            elif isinstance(argument, Tensor):
                content = np.ascontiguousarray(values[argument]).tobytes() if argument in values else b"\x5a" * size
            else:
                content = np.ascontiguousarray(argument).tobytes()
            self.engine.mem_write(at, content)
            places.append((at, size))
            at = (at + size + GAP + 7) & ~7
        assert at < STACK_TOP - STACK_BYTES
        return places
