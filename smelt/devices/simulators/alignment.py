"""Which Thumb instructions fault on misaligned addresses, and how to check that cheaply.

Unicorn lets LDRD, LDM and their kin read from any address; a Cortex-M does not. Almost always the base register of
such an instruction is known when its block starts, up to a constant: then one look at a register per block suffices.
The others are checked one by one. Instructions that an IT block may skip are not checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from smelt.devices.simulators.counter import Check
from smelt.errors import OptionError

_WORDS = ("ldrd", "strd", "ldm", "stm", "vldm", "vstm", "vldr", "vstr")
_MULTIPLE = ("ldm", "stm", "vldm", "vstm")
_END = ("b", "bl", "bx", "blx", "cbz", "cbnz", "tbb", "tbh", "bkpt", "udf", "svc")
_CONDITIONS = ("eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le")
_REGISTER, _IMMEDIATE, _MEMORY, _SHIFT_LEFT = 1, 2, 3, 2  # capstone's numbers

_UNKNOWN = "?"  # begins the names of values that nothing is known about
_MOVES = ("mov", "movs", "movw", "movt", "mvn", "mvns")
_ADDITIONS = ("add", "adds", "addw", "sub", "subs", "subw")


@dataclass(frozen=True)
class _Value:
    """What a register holds, as far as its two lowest bits go: a sum of values that registers had when the code began,
    or of unknown ones, each times a factor, plus a constant."""

    terms: tuple[tuple[str, int], ...]
    constant: int = 0

    @property
    def is_known(self) -> bool:
        return not any(name.startswith(_UNKNOWN) for name, _ in self.terms)

    def plus(self, other: _Value, factor: int = 1) -> _Value:
        sums = dict(self.terms)
        for name, f in other.terms:
            sums[name] = sums.get(name, 0) + f * factor
        terms = tuple(sorted((name, f & 3) for name, f in sums.items() if f & 3))
        return _Value(terms, (self.constant + other.constant * factor) & 3)


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
        registers, skippable = _Registers(), 0
        for found in self._decode(code, address):
            if found is None:
                registers.lose_all()
                continue
            name = found.mnemonic.split(".")[0]
            base = None if skippable else _base(found, name)
            if base is not None:
                value = registers.value(base[0]).plus(_Value((), base[1]))
                if registers.is_new(value):
                    self._add(known, hard, value, base, address, found.address)
            registers.follow(found, name, skippable > 0)
            skippable = len(name) - 1 if name.startswith("it") else max(skippable - 1, 0)
        return known, hard

    def _add(
        self, known: list[Check], hard: list[Check], value: _Value, base: tuple[str, int], start: int, at: int
    ) -> None:
        """Check the value when the code begins, if it is known then, or else the base register itself."""
        if not value.terms and not value.constant:
            return
        if value.is_known and len(value.terms) <= 2:
            registers = tuple((self._register(name), factor) for name, factor in value.terms)
            known.append(Check(start, at, value.constant, registers))
        else:
            hard.append(Check(at, at, base[1] & 3, ((self._register(base[0]), 1),)))

    def _decode(self, code: bytes, address: int) -> Iterator[Any]:
        """The instructions; None for a halfword that is none."""
        at = 0
        while at + 2 <= len(code):
            for found in self._decoder.disasm(code[at:], address + at):
                yield found
                at += found.size
            if at + 2 <= len(code):
                yield None
                at += 2


class _Registers:
    """What the registers hold, instruction by instruction."""

    def __init__(self) -> None:
        self._start_afresh()
        self._unknowns = 0

    def _start_afresh(self) -> None:
        self._values: dict[str, _Value] = {}
        self._checked: set[_Value] = set()
        self._lost = False

    def _unknown(self) -> _Value:
        self._unknowns += 1
        return _Value(((f"{_UNKNOWN}{self._unknowns}", 1),))

    def value(self, register: str) -> _Value:
        if register not in self._values:
            self._values[register] = self._unknown() if self._lost else _Value(((register, 1),))
        return self._values[register]

    def lose_all(self) -> None:
        self._start_afresh()
        self._lost = True

    def is_new(self, value: _Value) -> bool:
        """Whether a value has not been checked yet, and remember that it is now."""
        new = value not in self._checked
        self._checked.add(value)
        return new

    def follow(self, found: Any, name: str, skippable: bool) -> None:
        """Copies and sums keep a value known; anything else does not. A jump starts afresh."""
        moved = None if skippable else self._moved(found, name)
        _, written = found.regs_access()
        names = [found.reg_name(number) for number in written]
        if name in _END or "pc" in names or (name[:1] == "b" and name[1:] in _CONDITIONS):
            self._start_afresh()
            return
        self._values.update((n, self._unknown()) for n in names)
        if moved is not None:
            self._values[moved[0]] = moved[1]

    def _moved(self, found: Any, name: str) -> tuple[str, _Value] | None:
        """The register that gets a sum, and that sum."""
        if found.writeback and name.startswith(("ldr", "str", "vld", "vst", *_MULTIPLE)):
            return self._stepped(found, name)
        operands = found.operands
        if name in _MOVES:
            return self._copied(found, name)
        if name not in _ADDITIONS or len(operands) < 2 or operands[-2].type != _REGISTER:
            return None
        sign = -1 if name.startswith("sub") else 1
        addend = self._operand(found, operands[-1])
        source = self.value(found.reg_name(operands[-2].reg))
        return None if addend is None else (found.reg_name(operands[0].reg), source.plus(addend, sign))

    def _copied(self, found: Any, name: str) -> tuple[str, _Value] | None:
        target, source = found.operands[:2]
        if name == "movt":  # the upper half
            return found.reg_name(target.reg), self.value(found.reg_name(target.reg))
        if source.type == _IMMEDIATE:
            return found.reg_name(target.reg), _Value((), ~source.imm & 3 if name.startswith("mvn") else source.imm & 3)
        if name.startswith("mvn") or source.type != _REGISTER or source.shift.type:
            return None
        return found.reg_name(target.reg), self.value(found.reg_name(source.reg))

    def _operand(self, found: Any, operand: Any) -> _Value | None:
        if operand.type == _IMMEDIATE:
            return _Value((), int(operand.imm))
        if operand.shift.type not in (0, _SHIFT_LEFT):
            return None
        return _Value(()).plus(self.value(found.reg_name(operand.reg)), 1 << operand.shift.value)

    def _stepped(self, found: Any, name: str) -> tuple[str, _Value] | None:
        """An access that also moves its base register."""
        if name.startswith(_MULTIPLE):  # by a multiple of four
            register = found.reg_name(found.operands[0].reg)
            return register, self.value(register)
        memory = next((o.mem for o in found.operands if o.type == _MEMORY), None)
        last = found.operands[-1]  # a step after the access is an operand of its own
        if memory is None or memory.index or last.type not in (_MEMORY, _IMMEDIATE):
            return None
        step = memory.disp if last.type == _MEMORY else -last.imm if last.subtracted else last.imm
        register = found.reg_name(memory.base)
        return register, self.value(register).plus(_Value((), step))


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
