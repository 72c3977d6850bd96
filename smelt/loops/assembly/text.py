"""Routines as text for an assembler: GNU's or LLVM's, after the C preprocessor."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace

from smelt.loops.assembly.compile import Assembled
from smelt.loops.assembly.ir import (
    MULTIPLE,
    WIDE,
    Block,
    Instruction,
    Label,
    Operand,
    Place,
    Register,
    Shifted,
    Size,
    instruction,
)

SAVED = tuple(f"r{n}" for n in range(4, 12))
SAVED_BYTES = 4 * (len(SAVED) + 1)
NARROW = ("bx",)
LOW = tuple(f"r{n}" for n in range(8))
AS_THEY_ARE = (
    "smlad", "smlabb", "smlabt", "smlatb", "smlatt", "smlawb", "smlawt", "smmla", "smmlar", "smmulr", "smuad", "mul", "mla", "mls",
    "sxtb16", "uxtb16", "sadd16", "ssub16", "shadd16", "usub8", "uqadd8", "sxtab16", "uxtah", "smulbb", "smultt", "usat", "usat16",
    "pkhbt", "pkhtb", "ssat", "ubfx", "bfi", "bx", "movw", "movt",
)  # fmt: skip
"""Instructions with one encoding, whose names take no `.w`."""


def stack_bytes(words: int) -> int:
    """What a routine with so many words of its own takes of the stack."""
    return SAVED_BYTES + 4 * words


def digest(routine: Assembled) -> str:
    """Of all that its text says."""
    return hashlib.sha256("\n".join(_lines("", routine)).encode()).hexdigest()[:8]


def section(name: str, routine: Assembled) -> str:
    """The routine as a function in a section of its own. A linker keeps one of several of a name: it must have a
    digest."""
    head = (
        f'    .section .text.{name},"axG",%progbits,{name},comdat',
        "    .p2align 3", f"    .weak {name}", f"    .hidden {name}", f"    .type {name}, %function", "    .thumb_func", f"{name}:",
    )  # fmt: skip
    return "\n".join((*head, *_lines(name, routine), f"    .size {name}, . - {name}")) + "\n"


def _lines(name: str, routine: Assembled) -> Iterator[str]:
    words = routine.code.words
    routine = _sized(routine)
    yield f"    push {{{SAVED[0]}-{SAVED[-1]}, lr}}"
    if words:
        yield f"    sub.w sp, sp, #{4 * words}"
    for block in routine.blocks:
        yield from _block(name, block, routine)
    if words:
        yield f"    add.w sp, sp, #{4 * words}"
    yield f"    pop {{{SAVED[0]}-{SAVED[-1]}, pc}}"


def _sized(routine: Assembled) -> Assembled:
    """With numbers for the sizes of turns."""
    sizes = {b.label: _turn_bytes(b, routine) for b in routine.blocks if b.turn}

    def sized(one: Instruction) -> Instruction:
        if not any(isinstance(o, Size) for o in one.operands):
            return one
        operands = (sizes[o.loop] if isinstance(o, Size) else o for o in one.operands)
        return instruction(one.name, *operands, condition=one.condition)

    return replace(routine, blocks=tuple(replace(b, body=tuple(map(sized, b.body))) for b in routine.blocks))


def _turn_bytes(block: Block, routine: Assembled) -> int:
    short = _shortened(block, routine)
    return sum(WIDE // 2 if n in short else WIDE for n in range(block.turn))


def _block(name: str, block: Block, routine: Assembled) -> Iterator[str]:
    registers, words = routine.registers, routine.code.words
    if block.align > WIDE:
        yield f"    .p2align {block.align.bit_length() - 1}"
    if block.label:
        yield f"{_label(name, block.label)}:"
    short = _shortened(block, routine)
    for number, one in enumerate(block.body):
        yield f"    {_text(name, one, registers, words, number in short)}"
    if block.exit is not None:
        yield f"    {_text(name, block.exit, registers, words, block.exit.name in NARROW)}"
        if block.exit.name in NARROW:
            yield "    .p2align 2"


def _shortened(block: Block, routine: Assembled) -> frozenset[int]:
    """The instructions that are printed 16 bits wide: all that can be, or neighbours by twos, so that the others stay at words, and
    none in turns of loops."""
    able = [_is_short(one, routine.registers, routine.code.words) for one in block.body]
    if routine.short:
        return frozenset(n for n, can in enumerate(able) if can)
    found: list[int] = []
    number = len(able) if block.turn else 0
    while number + 1 < len(able):
        both = able[number] and able[number + 1]
        found += [number, number + 1] if both else []
        number += 2 if both else 1
    return frozenset(found)


def _is_short(one: Instruction, registers: Mapping[Register, str], words: int) -> bool:
    """Whether there is an encoding of 16 bits that leaves the flags alone."""
    reals = [_real(o, registers) for o in one.operands if isinstance(o, Register)]
    if one.name in ("ldr", "str") and one.place is not None:
        place, low = one.place, all(r in LOW for r in reals)
        if place.slot is not None:
            return low and slot_offset(place.slot.number, place.slot.argument, words) <= 1020
        return (
            low
            and _real(place.base, registers) in LOW
            and place.index is None
            and not place.step
            and 0 <= place.offset <= 124
        )
    if one.name == "mov":
        return len(reals) == 2
    if one.name == "cmp":
        return len(reals) == 2 and all(r in LOW for r in reals)
    return one.name == "add" and len(reals) == 3 and reals[0] == reals[1]


def _label(name: str, label: str) -> str:
    return f".L{name}_{label.replace('.', '_')}"


def _text(name: str, one: Instruction, registers: Mapping[Register, str], words: int, short: bool) -> str:
    condition = one.condition or ""
    wide = "" if _has_one_encoding(one) else ".n" if short else ".w"
    mnemonic = f"{one.name}{condition}{wide}"
    texts = [_operand(name, o, registers, words) for o in one.operands]
    if one.name in MULTIPLE:
        texts = [f"{texts[0][1:].partition(']')[0]}!", f"{{{', '.join(texts[1:])}}}"]
    if short and one.name == "add":
        texts = texts[1:]
    if one.name == "pkhbt" and isinstance(one.operands[2], Register):
        texts[2] += ", lsl #16"
    if one.name == "pkhtb" and isinstance(one.operands[2], Register):
        texts[2] += ", asr #16"
    return f"{mnemonic} {', '.join(texts)}"


def _has_one_encoding(one: Instruction) -> bool:
    """Whether assemblers want no `.w`: not all take it where nothing is shorter."""
    if one.place is not None and (one.place.offset < 0 or (one.place.step and one.size < 4)):
        return True
    return one.name in AS_THEY_ARE or one.name.startswith("v")


def _operand(name: str, operand: Operand, registers: Mapping[Register, str], words: int) -> str:
    match operand:
        case Register():
            return _real(operand, registers)
        case int():
            return f"#{operand}"
        case Shifted(register, how, count):
            return f"{_real(register, registers)}, {how} #{count}"
        case Place():
            return _place(operand, registers, words)
        case Label(label):
            return _label(name, label)
    raise TypeError(f"not resolved: {operand}")


def _place(place: Place, registers: Mapping[Register, str], words: int) -> str:
    base = _real(place.base, registers)
    if place.slot is not None:
        return f"[{base}, #{slot_offset(place.slot.number, place.slot.argument, words)}]"
    if place.step:
        return f"[{base}], #{place.step}"
    if place.index is not None:
        shift = f", lsl #{place.shift}" if place.shift else ""
        return f"[{base}, {_real(place.index, registers)}{shift}]"
    return f"[{base}, #{place.offset}]" if place.offset else f"[{base}]"


def slot_offset(number: int, argument: bool, words: int) -> int:
    """Bytes from the stack pointer."""
    return 4 * (number + words) + SAVED_BYTES if argument else 4 * number


def _real(register: Register, registers: Mapping[Register, str]) -> str:
    return register.fixed or registers[register]
