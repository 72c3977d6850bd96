"""Which Thumb instructions fault on misaligned addresses, and how to check that cheaply.

Unicorn lets LDRD, LDM and their kin read from any address; a Cortex-M does not. Almost always the base register of such an
instruction is known when its block starts, up to a constant: then one look at the register per block suffices. The others are
checked one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from smelt.devices.simulators.counter import Check
from smelt.errors import OptionError

_WORDS = ("ldrd", "strd", "ldm", "stm", "vldm", "vstm", "vldr", "vstr")
_END = ("b", "bl", "bx", "blx", "cbz", "cbnz", "tbb", "tbh", "pop", "bkpt", "udf", "svc")
_CONDITIONS = ("eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le")


class Alignment:
    """Decodes code and finds its checks. `register` turns a name such as "r4" into the emulator's number."""

    def __init__(self, register: Callable[[str], int]) -> None:
        try:
            import capstone
        except ImportError as error:
            raise OptionError("the simulator needs capstone: pip install 'smelt[simulate]'") from error
        self._register = register
        self._decoder = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
        self._decoder.detail = True

    def of_block(self, code: bytes, address: int) -> Sequence[Check]:
        """The checks that can be made when the block starts."""
        known, _ = self._track(code, address)
        return known

    def one_by_one(self, code: bytes, address: int) -> Sequence[Check]:
        """The checks of a function that must be made at the instruction itself. Literal pools are skipped over."""
        return self._track(code, address)[1]

    def _track(self, code: bytes, address: int) -> tuple[list[Check], list[Check]]:
        known: list[Check] = []
        hard: list[Check] = []
        offsets: dict[str, int | None] = {}  # register -> offset to its value at the start; None: unknown
        at = 0
        conditional = 0  # instructions of an IT block still to come
        while at + 2 <= len(code):
            found = next(self._decoder.disasm(code[at : at + 4], address + at, 1), None)
            if found is None:
                at, offsets = at + 2, {}
                continue
            name = found.mnemonic.split(".")[0]
            conditional = len(name) if name.startswith("it") else max(conditional - 1, 0)
            base = _base(found, name)
            if base is not None and not (conditional and not name.startswith("it")):
                register, constant = base
                start = offsets.get(register, 0)
                number = self._register(register)
                if start is None:
                    hard.append(Check(address + at, address + at, constant & 3, number))
                else:
                    known.append(Check(address, address + at, (start + constant) & 3, number))
            _update(offsets, found, name, conditional > 0)
            if name in _END or (name[:1] == "b" and name[1:] in _CONDITIONS):
                offsets = {}
            at += found.size
        return known, hard


def _base(found: Any, name: str) -> tuple[str, int] | None:
    """The base register of an instruction that needs alignment, and the constant added to it; None for all others."""
    if not name.startswith(_WORDS):
        return None
    if "ldm" in name or "stm" in name:
        register = found.reg_name(found.operands[0].reg)
        return None if register == "sp" else (register, 0)
    for operand in found.operands:
        if operand.type == 3:  # memory
            register = found.reg_name(operand.mem.base)
            constant = 0 if found.post_index else operand.mem.disp
            return None if register in ("sp", "pc") else (register, constant)
    return None


def _update(offsets: dict[str, int | None], found: Any, name: str, conditional: bool) -> None:
    """Follow what the instruction does to registers: adding a constant keeps them known, anything else does not."""
    moved = None if conditional else _constant_move(found, name, offsets)
    _, written = found.regs_access()
    for number in written:
        offsets[found.reg_name(number)] = None
    if moved is not None:
        offsets[moved[0]] = moved[1]


def _constant_move(found: Any, name: str, offsets: dict[str, int | None]) -> tuple[str, int] | None:
    """The register that gets its own old value plus a constant, with its new offset."""
    operands = found.operands
    if name in ("add", "adds", "addw", "sub", "subs", "subw") and len(operands) >= 2 and operands[-1].type == 2:
        target, source = found.reg_name(operands[0].reg), found.reg_name(operands[-2].reg)
        step = operands[-1].imm if name.startswith("add") else -operands[-1].imm
    elif found.writeback and name.startswith(("ldr", "str", "vld", "vst")):
        memory = next((o for o in operands if o.type == 3), None)
        if memory is None or memory.mem.index:
            return None
        target = source = found.reg_name(memory.mem.base)
        step = memory.mem.disp
    elif found.writeback and ("ldm" in name or "stm" in name) and not name.startswith("v"):
        target = source = found.reg_name(operands[0].reg)
        step = 0  # multiples of four do not matter
    else:
        return None
    start = offsets.get(source, 0)
    return (target, start + step) if target == source and start is not None else None
