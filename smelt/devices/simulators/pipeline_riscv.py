"""A plain model of the ESP32-C3's core: RV32IMC, four stages, in order. Nothing about it is validated by published measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smelt.devices.simulators.decode import Kind, Op
from smelt.devices.simulators.pipeline import TICKS, Timed
from smelt.targets.types import CoreTiming

_LOAD, _STORE, _BRANCH, _JALR, _JAL, _SYSTEM, _REGISTER = 0x03, 0x23, 0x63, 0x67, 0x6F, 0x73, 0x33


def decode_riscv(code: bytes, address: int) -> tuple[Op, ...]:
    """The instructions of a block, as far as timing needs them."""
    found, at = [], 0
    while at + 2 <= len(code):
        word = int.from_bytes(code[at : at + 4], "little")
        wide = word & 3 == 3
        found.append(_wide(word, address + at) if wide else _compressed(word & 0xFFFF, address + at))
        at += 4 if wide else 2
    return tuple(found)


def _op(at: int, size: int, kind: Kind, reads: Sequence[int] = (), write: int = 0, conditional: bool = False) -> Op:
    writes = frozenset({f"x{write}"} if write else ())
    return Op(at, size, kind, kind, frozenset(f"x{r}" for r in reads), writes=writes, conditional=conditional)


def _wide(word: int, at: int) -> Op:
    opcode, target, first, second = word & 0x7F, word >> 7 & 31, word >> 15 & 31, word >> 20 & 31
    if opcode == _LOAD:
        return _op(at, 4, "load", (first,), target)
    if opcode == _STORE:
        return _op(at, 4, "store", (first, second))
    if opcode == _BRANCH:
        return _op(at, 4, "branch", (first, second), conditional=True)
    if opcode in (_JAL, _JALR):
        return _op(at, 4, "call" if opcode == _JAL else "indirect", () if opcode == _JAL else (first,), target)
    if opcode == _SYSTEM:
        return _op(at, 4, "system", (first,), target)
    if opcode == _REGISTER and word >> 25 == 1:
        return _op(at, 4, "divide" if word >> 12 & 4 else "mac", (first, second), target)
    return _op(at, 4, "alu", (first, second) if opcode == _REGISTER else (first,), target)


def _compressed(half: int, at: int) -> Op:
    quadrant, function = half & 3, half >> 13
    low, high, full = 8 + (half >> 2 & 7), 8 + (half >> 7 & 7), half >> 7 & 31
    if quadrant == 0:
        if function == 2:
            return _op(at, 2, "load", (high,), low)
        return _op(at, 2, "store", (high, low)) if function == 6 else _op(at, 2, "alu", (2,), low)
    if quadrant == 1:
        if function in (6, 7):
            return _op(at, 2, "branch", (high,), conditional=True)
        if function in (1, 5):
            return _op(at, 2, "call", (), 1 if function == 1 else 0)
        return _op(at, 2, "alu", (high,), high) if function == 4 else _op(at, 2, "alu", (full,), full)
    if function == 2:
        return _op(at, 2, "load", (2,), full)
    if function == 6:
        return _op(at, 2, "store", (2, half >> 2 & 31))
    if function == 4 and half >> 2 & 31 == 0:
        return _op(at, 2, "indirect", (full,), 1 if half & 0x1000 else 0)
    return _op(at, 2, "alu", (full, half >> 2 & 31), full)


@dataclass(frozen=True)
class RiscvState:
    """The register that a load has not delivered yet."""

    loading: frozenset[str] = frozenset()


class Riscv:
    """One instruction a cycle; a load's result comes one later."""

    fetch_bytes = 4

    def __init__(self, timing: CoreTiming) -> None:
        self.timing = timing

    def idle(self) -> RiscvState:
        return RiscvState()

    def block(self, ops: Sequence[Op], state: RiscvState) -> Timed[RiscvState]:
        time, loading, starts = 0, state.loading, []
        for op in ops:
            time += bool(loading & op.reads)
            starts.append(TICKS * time)
            time += self.timing.divide if op.kind == "divide" else 1
            loading = op.writes if op.kind == "load" else frozenset()
        return Timed(tuple(starts), TICKS * time, RiscvState(loading))

    def leave(self, ops: Sequence[Op], taken: bool, target: Op | None) -> int:
        if not taken or not ops or not ops[-1].is_branch:
            return 0
        return TICKS * (self.timing.indirect if ops[-1].kind == "indirect" else self.timing.taken)

    def mispredicted(self, timed: Timed[RiscvState]) -> int:
        return 0
