"""Which Thumb instructions fault on misaligned addresses, and how to check that cheaply.

Unicorn lets LDRD, LDM and their kin read from any address; a Cortex-M does not. Almost always the base register of such an
instruction is known when its block starts, up to a constant: then one look at a register per block suffices. The others are checked
one by one. Instructions that an IT block may skip are not checked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from smelt.devices.simulators.counter import Check
from smelt.errors import OptionError

_WORDS = ("ldrd", "strd", "ldm", "stm", "vldm", "vstm", "vldr", "vstr")
_MULTIPLE = ("ldm", "stm", "vldm", "vstm")
_END = ("b", "bl", "bx", "blx", "cbz", "cbnz", "tbb", "tbh", "bkpt", "udf", "svc")
_CONDITIONS = ("eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le")
_REGISTER, _IMMEDIATE, _MEMORY, _SHIFT_LEFT = 1, 2, 3, 2  # capstone's numbers

# What a register holds: the value that some register had when the code began, plus a constant; None: anything.
_Origin = tuple[str, int] | None


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
        return self._checks(code, address)[0]

    def one_by_one(self, code: bytes, address: int) -> Sequence[Check]:
        """The checks of a function that must be made at the instruction itself."""
        return self._checks(code, address)[1]

    def _checks(self, code: bytes, address: int) -> tuple[list[Check], list[Check]]:
        known: list[Check] = []
        hard: list[Check] = []
        registers = _Registers()
        skippable, at = 0, 0
        while at + 2 <= len(code):
            found = next(self._decoder.disasm(code[at : at + 4], address + at, 1), None)
            if found is None:
                registers.lose_all()
                at += 2
                continue
            name = found.mnemonic.split(".")[0]
            base = None if skippable else _base(found, name)
            if base is not None:
                origin = registers.origin(base[0])
                if origin is None:
                    hard.append(Check(address + at, address + at, base[1] & 3, self._register(base[0])))
                else:
                    known.append(Check(address, address + at, (origin[1] + base[1]) & 3, self._register(origin[0])))
            registers.follow(found, name, skippable > 0)
            skippable = len(name) - 1 if name.startswith("it") else max(skippable - 1, 0)
            at += found.size
        return known, hard


class _Registers:
    """Where the registers' values come from, instruction by instruction."""

    def __init__(self) -> None:
        self._origins: dict[str, _Origin] = {}
        self._lost = False

    def origin(self, register: str) -> _Origin:
        return self._origins.get(register, None if self._lost else (register, 0))

    def lose_all(self) -> None:
        self._origins, self._lost = {}, True

    def follow(self, found: Any, name: str, skippable: bool) -> None:
        """Copies and steps by constants keep a value known; anything else does not. A jump starts afresh."""
        moved = None if skippable else self._moved(found, name)
        _, written = found.regs_access()
        names = [found.reg_name(number) for number in written]
        if name in _END or "pc" in names or (name[:1] == "b" and name[1:] in _CONDITIONS):
            self._origins, self._lost = {}, False
            return
        self._origins.update(dict.fromkeys(names))
        if moved is not None:
            self._origins[moved[0]] = moved[1]

    def _moved(self, found: Any, name: str) -> tuple[str, _Origin] | None:
        """The register that gets a known value, and that value."""
        if found.writeback and name.startswith(("ldr", "str", "vld", "vst", *_MULTIPLE)):
            return self._stepped(found, name)
        operands = found.operands
        if name in ("mov", "movs") and operands[1].type == _REGISTER and not operands[1].shift.type:
            return found.reg_name(operands[0].reg), self.origin(found.reg_name(operands[1].reg))
        if name not in ("add", "adds", "addw", "sub", "subs", "subw"):
            return None
        step = _step(operands[-1], -1 if name.startswith("sub") else 1)
        return None if step is None else self._plus(found, operands[0], operands[-2], step)

    def _plus(self, found: Any, target: Any, source: Any, step: int) -> tuple[str, _Origin]:
        origin = self.origin(found.reg_name(source.reg))
        return found.reg_name(target.reg), None if origin is None else (origin[0], origin[1] + step)

    def _stepped(self, found: Any, name: str) -> tuple[str, _Origin] | None:
        if name.startswith(_MULTIPLE):
            return self._plus(found, found.operands[0], found.operands[0], 0)  # by a multiple of four
        memory = next((o.mem for o in found.operands if o.type == _MEMORY), None)
        if memory is None or memory.index:
            return None
        last = found.operands[-1]  # a step after the access is an operand of its own
        step = memory.disp if last.type == _MEMORY else _signed(last) if last.type == _IMMEDIATE else None
        register = found.reg_name(memory.base)
        origin = self.origin(register)
        return register, None if origin is None or step is None else (origin[0], origin[1] + step)


def _signed(operand: Any) -> int:
    return -int(operand.imm) if operand.subtracted else int(operand.imm)


def _step(operand: Any, sign: int) -> int | None:
    """What adding the operand does to the two lowest bits, if that is known."""
    if operand.type == _IMMEDIATE:
        return sign * int(operand.imm)
    shifted = operand.shift.type == _SHIFT_LEFT and operand.shift.value >= 2
    return 0 if shifted else None


def _base(found: Any, name: str) -> tuple[str, int] | None:
    """The base register of an instruction that needs alignment, and the constant added to it; None for all others."""
    if not name.startswith(_WORDS):
        return None
    if name.startswith(_MULTIPLE):
        register, constant = found.reg_name(found.operands[0].reg), 0
    else:
        memory = next(o.mem for o in found.operands if o.type == _MEMORY)
        register, constant = found.reg_name(memory.base), 0 if found.post_index else memory.disp
    return None if register in ("sp", "pc") else (register, constant)
