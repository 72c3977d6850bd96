"""What a debugger needs to know about a Cortex-M: addresses of its debug registers, and what its fault registers mean."""

from __future__ import annotations

from collections.abc import Callable

from smelt.devices.link import LinkLost, Stop, TargetFault, UnexpectedReset
from smelt.errors import DeviceError
from smelt.targets.types import Board

CPUID, ICSR, VTOR, AIRCR = 0xE000ED00, 0xE000ED04, 0xE000ED08, 0xE000ED0C
CFSR, HFSR, DFSR, MMFAR, BFAR = 0xE000ED28, 0xE000ED2C, 0xE000ED30, 0xE000ED34, 0xE000ED38
DHCSR, DCRSR, DCRDR, DEMCR = 0xE000EDF0, 0xE000EDF4, 0xE000EDF8, 0xE000EDFC
DWT_CTRL, DWT_CYCCNT = 0xE0001000, 0xE0001004
TRCENA, CYCCNTENA = 1 << 24, 1
CATCH_ALL = 0x7F1  # DEMCR: stop at the entry of every fault handler, and after a reset
DFSR_HALTED, DFSR_BKPT, DFSR_VCATCH, DFSR_ALL = 1, 2, 8, 0x1F
HFSR_DEBUG, HFSR_FORCED = 1 << 31, 1 << 30
THUMB_STATE = 1 << 24  # in xPSR
NOWHERE = 0xFFFFFFFF  # what called code finds in its link register: it must not return
UNLOCK, SYSRESETREQ = 0x05FA0000, 1 << 2  # in AIRCR

# Bits of CFSR: Armv7-M Architecture Reference Manual B3.2.15; the Armv8-M manual adds the stack limit.
FAULTS = (
    (0, "instruction access violation"),
    (1, "data access violation"),
    (3, "data access violation"),
    (4, "stack outside memory"),
    (8, "instruction fetch outside memory"),
    (9, "data access outside memory"),
    (10, "write outside memory"),
    (11, "stack outside memory"),
    (12, "stack outside memory"),
    (16, "undefined instruction"),
    (17, "branch to an address that is not Thumb code"),
    (18, "invalid return"),
    (19, "instruction of a coprocessor that is off"),
    (20, "stack overflow"),
    (24, "misaligned access"),
    (25, "division by zero"),
)
MMARVALID, BFARVALID = 1 << 7, 1 << 15
EXCEPTIONS = (
    "", "reset", "non-maskable interrupt", "hard fault", "memory fault", "bus fault", "usage fault", "secure fault",
    "", "", "", "supervisor call", "debug monitor", "", "pendable call", "timer interrupt",
)  # fmt: skip

Word = Callable[[int], int]


def is_breakpoint(instruction: int) -> bool:
    """Whether this halfword is a BKPT."""
    return instruction & 0xFF00 == 0xBE00


def conclude(board: Board, entry: int, word: Word, pc: int, sp: int, xpsr: int, cycles: int | None) -> Stop:
    """Explain a stop: the result of the call, or raise what went wrong. `word(address)` reads the device's memory."""
    exception = xpsr & 0x1FF
    if exception:
        return _of_exception(board, entry, word, sp, exception, cycles)
    if is_breakpoint(_halfword(word, pc)):
        return Stop("breakpoint", pc, cycles)
    if pc in _reset_entries(board, word):
        raise UnexpectedReset(board, entry)
    raise DeviceError(f"{board.name}: the processor stopped at {pc:#010x} without a breakpoint there")


def _reset_entries(board: Board, word: Word) -> list[int]:
    """Where a reset may have led: some debuggers forget that there was one as soon as they see it."""
    return [_word_or_zero(word, table + 4) & ~1 for table in {word(VTOR), board.chip.image_start}]


def _word_or_zero(word: Word, address: int) -> int:
    try:
        return word(address)
    except LinkLost:
        raise
    except DeviceError:
        return 0


def _halfword(word: Word, address: int) -> int:
    return _word_or_zero(word, address & ~3) >> (8 * (address & 2)) & 0xFFFF


def _of_exception(board: Board, entry: int, word: Word, sp: int, exception: int, cycles: int | None) -> Stop:
    """The processor is at the start of a handler. Where no debugger is attached to the core (QEMU), a BKPT ends there, too."""
    pc, status = _stacked_pc(word, sp), word(CFSR)
    by_breakpoint = word(HFSR) & HFSR_DEBUG or not status  # QEMU does not set the former
    if by_breakpoint and pc is not None and is_breakpoint(_halfword(word, pc)):
        return Stop("breakpoint", pc, cycles)
    kind = next((name for bit, name in FAULTS if status >> bit & 1), None)
    if kind is None:
        kind = EXCEPTIONS[exception] if exception < len(EXCEPTIONS) else f"interrupt {exception - 16}"
    raise TargetFault(board, kind or f"exception {exception}", pc, _fault_address(word, status, pc))


def _fault_address(word: Word, status: int, pc: int | None) -> int | None:
    if status & BFARVALID:
        return word(BFAR)
    if status & MMARVALID:
        return word(MMFAR)
    return pc if status & 0x101 else None


def _stacked_pc(word: Word, sp: int) -> int | None:
    """The program counter that the processor saved when it entered the handler."""
    try:
        return word((sp & ~3) + 24) & ~1
    except LinkLost:
        raise
    except DeviceError:
        return None
