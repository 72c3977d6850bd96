"""Micro-benchmarks of the cycle models: one per timing rule, with the published figure for a core whose memory never waits.

A rule's code is repeated, in a loop: the cost of one copy is the difference between loops with many and with few copies. Registers:
r0 to r3 and r5 to r7 are free, r2 holds an address in the fastest RAM, r3 one 8 KB later, r6 is 0, r4 counts.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from smelt.devices.run import Run
from smelt.devices.simulators.simulator import Simulator
from smelt.firmware.build import compiler_environment, zig
from smelt.targets.boards import board
from smelt.targets.types import Board

FEW, MANY, TIMES = 4, 12, 100


@dataclass(frozen=True)
class Rule:
    """`code` takes `cycles` per copy, says `source`."""

    name: str
    code: str
    cycles: float
    source: str
    copies: tuple[int, int] = (FEW, MANY)
    setup: str = ""  # once, before the loop; r6 and r12 stay as they are


TRM, JNK, MEASURED, ST = "Arm TRM", "jnk0le/random", "compendium.i-0.nl", "RM0432: 5 wait states"
NORDIC = "nRF5340, about 7"
MODEL = "the model"  # nothing is published: what docs/timing.md says of it

M4_RULES = (
    Rule("arithmetic", "add.w r0, r1, #1", 1, TRM),
    Rule("SMLAD, dependent accumulator", "smlad r0, r1, r5, r0", 1, TRM),
    Rule("SMULL", "smull r0, r1, r5, r7", 1, TRM),
    Rule("SXTB16 with rotation", "sxtb16 r0, r1, ror #8", 1, TRM),
    Rule("load, then arithmetic", "ldr r0, [r2]; adds r1, #1", 3, TRM),
    Rule("chained loads", "ldr r0, [r2]", 1, TRM),
    Rule("32-bit loads off word boundaries", "adds r1, #0; ldr.w r0, [r2]; ldr.w r5, [r2]; adds r1, #0", 6, JNK),
    Rule("address computed just before", "adds r2, #0; ldr r0, [r2]", 4, TRM),
    Rule("address loaded just before", "ldr r3, [r3]", 2, TRM),
    Rule("post-indexed loads, same base", "ldr r0, [r2], #4", 2, JNK),
    Rule("post-indexed loads, two bases", "ldr r0, [r2], #4; ldr r1, [r3], #4", 2, JNK),
    Rule("a load eats a NOP", "ldr r0, [r2]; nop", 2, JNK),
    Rule("store, immediate offset", "str r0, [r2]", 1, TRM),
    Rule("store, register offset", "str r0, [r2, r6]", 2, JNK),
    Rule("load, store, arithmetic", "ldr r0, [r2]; str r0, [r3]; adds r1, #1", 3, JNK),
    Rule("load after store", "ldr r0, [r2]; str r0, [r3]", 3, JNK),
    Rule("LDM of 4", "ldm r2, {r0, r1, r5, r7}", 5, TRM),
    Rule("PUSH and POP of 4", "push {r0, r1, r5, r7}; pop {r0, r1, r5, r7}", 10, TRM),
    Rule("LDRD", "ldrd r0, r1, [r2]", 3, TRM),
    Rule("taken branch", "b 1f; nop; 1:", 2, TRM),
    Rule("branch not taken", "bne 1f; 1:", 1, TRM),
    Rule("branch to a misaligned 32-bit instruction", "b.n 1f; nop; nop; 1: add.w r0, r1, #1; nop", 5, MEASURED),
    Rule("folded IT", "adds r1, #0; it eq; moveq r0, r1", 2, TRM),
    Rule(
        "run of misaligned 32-bit instructions", "adds r1, #0; " + "add.w r0, r1, #1; " * 6 + "adds r1, #0", 9, MEASURED
    ),
    Rule("VADD, independent", "vadd.f32 s0, s1, s2", 1, TRM),
    Rule("VADD, dependent", "vadd.f32 s0, s0, s2", 2, TRM),
    Rule("VFMA", "vfma.f32 s0, s1, s2; adds r1, #0", 4, TRM),
    Rule("VDIV", "vdiv.f32 s0, s1, s2; adds r1, #0", 15, TRM),
    Rule("chained VLDR", "vldr s0, [r2]", 1, TRM),
    Rule("loads of two memories in turn", "ldr r0, [r2]; ldr r1, [r6]", 4, JNK, setup="ldr r6, =0x20031000"),
    Rule("loads of RAM and flash in turn", "ldr r0, [r2]; ldr r1, [r6]", 4, JNK, setup="ldr r6, =0x08010000"),
    Rule(
        "flash: a line of 8 bytes of data",
        "ldr r0, [r6], #8; adds r1, #1",
        2 + 1 + 5,
        ST,
        setup="ldr r6, =0x08010000 + 0x2000 * COUNT",
    ),
    Rule("flash: 32-bit instructions beyond the cache", "add.w r0, r1, #1", 3, ST, copies=(400, 800)),
)

M4_MEMORIES = (
    ("flash", 0x08010000), ("sram1", 0x20004000), ("sram2", 0x20031000), ("sram3", 0x20041000), ("sram2", 0x10001000),
    ("registers", 0x40020000),
)  # fmt: skip
"""Addresses on the L4R5, and the memory block that answers there; SRAM2 has two names."""


def _of(first: int, second: int) -> str:
    return f"ldr r6, ={first:#x}; ldr r12, ={second:#x}"


def _chain(memories: tuple[tuple[str, int], tuple[str, int]], load: str) -> Rule:
    """Loads of two memories in turn: one cycle each if it is the same one, else two."""
    (first, at), (second, other) = memories
    code = "; ".join(load.format(register, base) for register, base in ((0, "r6"), (1, "r12")))
    return Rule(
        f"{load.split()[0]} of {first} and {second} in turn",
        code,
        2 if first == second else 4,
        JNK,
        setup=_of(at, other),
    )


M4_PAIRS = (
    *(_chain((a, b), "ldr.w r{}, [{}]") for a in M4_MEMORIES for b in M4_MEMORIES),
    *(_chain((a, b), "vldr s{}, [{}]") for a in M4_MEMORIES[:2] for b in M4_MEMORIES[:2]),
    Rule("a literal and flash", "ldr r0, [r6]; ldr r1, =0x12345678", 2, JNK, setup=_of(0x08010000, 0)),
    Rule("a literal and RAM", "ldr r0, [r2]; ldr r1, =0x12345678", 4, JNK),
    Rule("two of flash, two of RAM", "ldr.w r0, [r6]; ldr.w r1, [r6]; ldr.w r5, [r12]; ldr.w r7, [r12]", 6, JNK,
         setup=_of(0x08010000, 0x20004000)),
    Rule("a store between", "ldr.w r0, [r6]; adds r1, #0; ldr.w r5, [r12]; adds r1, #0", 6, JNK,
         setup=_of(0x08010000, 0x20004000)),
    Rule("skipped loads", "cmp r5, #3; ittt ne; ldrne r0, [r6]; ldrne r1, [r2]; ldrne r1, [r6]; adds r1, #0", 6, MODEL,
         setup=_of(0x08010000, 0)),
    Rule("conditional loads", "cmp r5, #3; ittt eq; ldreq r0, [r6]; ldreq r1, [r2]; ldreq r1, [r6]; adds r1, #0", 8, JNK,
         setup=_of(0x08010000, 0)),
    Rule("LDM within SRAM1", "ldm r6, {r0, r1, r5, r7}", 5, JNK, setup=_of(0x20030000 - 16, 0)),
    Rule("LDM of SRAM1 and SRAM2", "ldm r6, {r0, r1, r5, r7}", 6, JNK, setup=_of(0x20030000 - 8, 0)),
    Rule("LDM of SRAM1, LDM of SRAM2", "ldm r2, {r0, r1}; ldm r6, {r5, r7}", 6, JNK, setup=_of(0x20031000, 0)),
    Rule("LDRD of SRAM1 and SRAM2", "ldrd r0, r1, [r6]", 4, JNK, setup=_of(0x20030000 - 4, 0)),
)  # fmt: skip
"""Loads chain only where both address the same memory block."""

M7_RULES = (
    Rule("two ALU", "add.w r0, r1, #1; add.w r5, r1, #1", 1, JNK),
    Rule("two ALU, dependent through the early stage", "add.w r0, r1, #1; eor.w r5, r0, r1", 1, JNK),
    Rule("ALU chain", "eor.w r0, r0, r1", 1, JNK),
    Rule("two shifted operands", "add.w r0, r1, r5, lsl #3; add.w r7, r1, r5, lsl #3", 2, JNK),
    Rule("shifted operand one cycle early", "eor.w r0, r1, r0, ror #3", 2, JNK),
    Rule("ALU and load", "ldr.w r0, [r2]; add.w r5, r1, #1", 1, JNK),
    Rule("ALU and store", "str.w r0, [r2]; add.w r5, r1, #1", 1, JNK),
    Rule("load and store", "ldr.w r0, [r2]; str.w r1, [r2, #4]", 1, JNK),
    Rule("two loads, different banks", "ldr.w r0, [r2]; ldr.w r1, [r2, #4]", 1, JNK),
    Rule("two loads, same bank", "ldr.w r0, [r2]; ldr.w r1, [r2, #8]", 2, JNK),
    Rule("two stores", "str.w r0, [r2]; str.w r1, [r2, #4]", 2, JNK),
    Rule("two MAC", "smlad r0, r1, r5, r0; smlad r7, r1, r5, r7", 2, JNK),
    Rule("MAC and ALU", "smlad r0, r1, r5, r0; add.w r7, r1, #1", 1, JNK),
    Rule("MAC and load", "smlad r0, r1, r5, r0; ldr.w r7, [r2]", 1, JNK),
    Rule("MAC and store", "smlad r0, r1, r5, r0; str.w r7, [r2]", 2, JNK),
    Rule("DSP and MAC", "sxtb16 r7, r1, ror #8; smlad r0, r1, r5, r0", 1, JNK),
    Rule("two DSP", "sxtb16 r0, r1; sxtb16 r5, r1", 2, JNK),
    Rule("MAC, accumulator chain", "smlad r0, r1, r5, r0", 1, JNK),
    Rule("MAC result to a multiplicand", "mul r0, r0, r1", 2, JNK),
    Rule("load to address", "ldr.w r3, [r3]", 2, JNK),
    Rule("byte load to address", "ldrb.w r6, [r2, r6]", 3, JNK),
    Rule("load to ALU", "ldr.w r0, [r2]; eor.w r1, r1, r0; ldr.w r5, [r2]; eor.w r1, r1, r5", 2, JNK),
    Rule("store what was loaded in the same cycle", "ldr.w r0, [r2]; str.w r0, [r2, #4]", 1, JNK),
    Rule("LDM of 4", "ldm r2, {r0, r1, r5, r7}", 2, JNK),
    Rule("LDRD", "ldrd r0, r1, [r2]", 1, JNK),
    Rule("STRD", "strd r0, r1, [r2]", 1, JNK),
    Rule("PUSH and POP of 4", "push {r0, r1, r5, r7}; pop {r0, r1, r5, r7}", 4, JNK),
    Rule("unaligned load", "ldr.w r0, [r2, #1]", 4, JNK),
    Rule("post-indexed loads, back to back", "ldr.w r0, [r2], #4", 1, JNK),
    Rule("branch not taken, beside its neighbour", "bne.w 1f; 1: add.w r0, r1, #1", 1, JNK),
    Rule("VADD chain", "vadd.f32 s0, s0, s2", 3, JNK),
    Rule("VFMA, accumulator chain", "vfma.f32 s0, s1, s2", 3, JNK),
    Rule("VMUL and ALU", "vmul.f32 s0, s1, s2; add.w r0, r1, #1", 1, JNK),
)

M7_DOUBLE_RULES = (
    Rule("VADD.F64", "vadd.f64 d0, d1, d2", 2, JNK),
    Rule("VMUL.F64", "vmul.f64 d0, d1, d2", 5, JNK),
    Rule("VFMA.F64", "vfma.f64 d0, d1, d2", 8, JNK),
    Rule("VDIV.F64", "vdiv.f64 d0, d1, d2", 30, JNK),
)

M33_RULES = (
    Rule("arithmetic", "add.w r0, r1, #1", 1, JNK),
    Rule("load to use", "ldr.w r0, [r2]; add.w r1, r0, #1", 3, JNK),
    Rule("chained loads", "ldr.w r0, [r2]", 1, JNK),
    Rule("load to address", "ldr.w r3, [r3]", 2, JNK),
    Rule("load to store", "ldr.w r0, [r2]; str.w r0, [r2]", 2, JNK),
    Rule("load to accumulator", "ldr.w r0, [r2]; smlad r0, r1, r5, r0", 2, JNK),
    Rule("LDRD", "ldrd r0, r1, [r2]", 2, JNK),
    Rule("LDM of 4", "ldm r2, {r0, r1, r5, r7}", 4, JNK),
    Rule("MAC, accumulator chain", "smlad r0, r1, r5, r0", 1, JNK),
    Rule("MAC result to a multiplicand", "mul r0, r0, r1", 2, JNK),
    Rule("shifted operand chain", "add.w r0, r1, r0, ror #3", 2, JNK),
    Rule("BFI chain", "bfi r0, r1, #1, #3", 1, JNK),
    Rule("MULS", "muls r0, r1, r0", 2, JNK),
    Rule("IT", "adds r1, #0; it eq; moveq r0, r1", 2, JNK),
    Rule("branch not taken, short", "adds r1, #0; bne 1f; 1:", 1, JNK),
    Rule("taken branch after a flag-setting instruction", "adds r1, #0; beq 1f; nop; 1:", 3, JNK),
    Rule("taken branch after another short instruction", "mov r1, r6; b 1f; nop; 1:", 2, JNK),
    Rule("VFMA, dependent", "vfma.f32 s0, s1, s2", 3, JNK),
    Rule(
        "flash: a line of 16 bytes of data",
        "ldr.w r0, [r6], #16; adds r1, #1; adds r1, #1",
        3 + 7,
        NORDIC,
        setup="ldr r6, =0x08010000 + 0x2000 * COUNT",
    ),
)

RULES = (
    ("nucleo_l4r5zi", M4_RULES),
    ("disco_f746ng", M7_RULES),
    ("nucleo_h743zi", M7_DOUBLE_RULES),
    ("nucleo_u575zi_q", M33_RULES),
)

_FRAME = """
    .syntax unified
    .fpu fpv5-d16
    .thumb
    .section .isr_vector, "a"
    .word {stack:#x}, reset
    .text
    .thumb_func
    .type reset, %function
reset:
    movs r0, #4  @ the emulator tells less about an access once it has answered a request of the program
    ldr r1, =text
    bkpt 0xab
    bl all
    movs r0, #0x18
    ldr r1, =0x20026
    bkpt 0xab
    .ltorg
text:
    .asciz "on"
    .balign 4
    .global all
    .thumb_func
    .type all, %function
all:
    push {{r4-r7, lr}}
{calls}
    pop {{r4-r7, pc}}
    .size all, . - all
{functions}
"""
_FUNCTION = """
    .balign 32
    .global {name}
    .thumb_func
    .type {name}, %function
{name}:
    push {{r4-r7, lr}}
    mov.w r4, #{times}
    movs r6, #0
    {setup}
    .balign 4
2:
    ldr r2, ={ram:#x}
    add.w r3, r2, #8192
    str r3, [r3]
    str r6, [r2]
    movs r0, #1
    movs r1, #0
    movs r5, #3
    movs r7, #3
    .balign 8
{body}
    .balign 4
    subs r4, #1
    bne.w 2b
    pop {{r4-r7, pc}}
    .ltorg
    .size {name}, . - {name}
"""
_SCRIPT = "SECTIONS {{ . = {flash:#x}; .isr_vector : {{ *(.isr_vector) }} .text : {{ *(.text) }} }}"


def assemble(target: Board, text: str, folder: Path) -> bytes:
    """A program in assembly, linked to the start of the flash, by the bundled compiler."""
    (folder / "code.S").write_text(text)
    (folder / "link.ld").write_text(_SCRIPT.format(flash=target.chip.flash.start))
    command = (
        str(zig()),
        "cc",
        *target.core.zig,
        "-nostdlib",
        "-T",
        "link.ld",
        "-Wl,-z,max-page-size=4",
        "code.S",
        "-o",
        "out.elf",
    )
    subprocess.run(command, cwd=folder, env=compiler_environment(folder), check=True, capture_output=True)
    return (folder / "out.elf").read_bytes()


def program(target: Board, rules: tuple[Rule, ...], folder: Path) -> tuple[bytes, tuple[str, ...]]:
    """The program of all rules, and the names of its functions: two for each rule."""
    functions, names = [], []
    ram = target.chip.rams[0]
    for i, rule in enumerate(rules):
        for count in rule.copies:
            names.append(f"rule_{i}_{count}")
            body = "\n".join(["    " + rule.code.replace("; ", "\n    ")] * count)
            functions.append(
                _FUNCTION.format(
                    name=names[-1],
                    times=TIMES,
                    ram=ram.start + 4096,
                    setup=rule.setup.replace("COUNT", str(count)).replace("; ", "\n    "),
                    body=body,
                )
            )
    calls = "\n".join(f"    bl {name}" for name in names)
    text = _FRAME.format(stack=ram.start + 4096, calls=calls, functions="".join(functions))
    return assemble(target, text, folder), tuple(names)


def measure(board_name: str, rules: tuple[Rule, ...], folder: Path) -> tuple[float, ...]:
    """The simulated cycles of one copy of each rule's code."""
    target = board(board_name)
    elf, names = program(target, rules, folder)
    run: Run = Simulator(target).run_elf(elf, function="all", parts=names)
    assert len(run.step_cycles) == len(names)
    pairs = zip(run.step_cycles[::2], run.step_cycles[1::2], rules, strict=True)
    return tuple((many - few) / TIMES / (rule.copies[1] - rule.copies[0]) for few, many, rule in pairs)
