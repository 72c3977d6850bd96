"""The debug registers of a Cortex-M, as its access port sees them, on top of any `Target`."""

from __future__ import annotations

from smelt.devices.cortex_m import (
    AIRCR,
    BFAR,
    BFARVALID,
    CATCH_ALL,
    CFSR,
    CPUID,
    DCRDR,
    DCRSR,
    DEMCR,
    DFSR,
    DFSR_BKPT,
    DFSR_HALTED,
    DFSR_VCATCH,
    DHCSR,
    DWT_CTRL,
    DWT_CYCCNT,
    FAULTS,
    HFSR,
    HFSR_DEBUG,
    HFSR_FORCED,
    MMFAR,
    SYSRESETREQ,
    THUMB_STATE,
    TRCENA,
    UNLOCK,
    VTOR,
)  # fmt: skip
from smelt.devices.debug_port.components import ROM, words
from smelt.devices.debug_port.target import BusError, Event, Target
from smelt.targets.types import Debug

C_DEBUGEN, C_HALT, C_STEP, C_MASKINTS = 1, 2, 4, 8
CONTROLS = 0xF
S_REGRDY, S_HALT, S_LOCKUP, S_RETIRE, S_RESET = 1 << 16, 1 << 17, 1 << 19, 1 << 24, 1 << 25
DEBUG_KEY = 0xA05F0000
VC_CORERESET, VC_HARDERR = 1, 1 << 10
FP_CTRL, FP_COMP0 = 0xE0002000, 0xE0002008
COMPARATORS = 8
HARD_FAULT = 3
RETURN_TO_THREAD = 0xFFFFFFF9
LOCKED_AT = 0xFFFFFFFE
DEMCR_BITS = CATCH_ALL | TRCENA | 0xF0000
FRAME = ("r0", "r1", "r2", "r3", "r12", "lr", "pc", "xpsr")
AMONG_REGISTERS = {16: "xpsr", 17: "msp", 18: "psp", 33: "fpscr"}


class Core:
    """A processor under a debugger: it runs only while `idle` is called. Words at addresses it does not know: `BusError`."""

    def __init__(self, target: Target, chip: Debug) -> None:
        self.target, self.chip = target, chip
        self._version = target.board.core.breakpoint_unit
        self.running = False
        self._constant = words(chip, target.board.core)
        self._control, self._demcr, self._dcrdr = 0, 0, 0
        self._lockup = self._was_reset = self._retired = False
        self._faults = dict.fromkeys((CFSR, HFSR, DFSR, MMFAR, BFAR), 0)
        self._units: dict[int, int] = {}  # DWT and FPB registers without a function here
        self._comparators = [0] * COMPARATORS
        self._breakpoints_on = False

    # --- registers as words -----------------------------------------------------------------------------------------

    def read_word(self, address: int) -> int:
        if address in self._constant:
            return self._constant[address]
        if address in self._faults:
            return self._faults[address]
        if address == DHCSR:
            return self._status()
        if address in (DCRDR, DEMCR):
            return self._dcrdr if address == DCRDR else self._demcr
        if address == AIRCR:
            return 0xFA050000
        if address == CPUID:
            return int.from_bytes(self.target.read(CPUID, 4), "little")
        if 0xE0001000 <= address < 0xE0003000:
            return self._unit(address)
        if address >> 12 == ROM >> 12:
            return 0  # the end of the table, reserved identification registers
        return int.from_bytes(self.target.read(address, 4), "little")

    def write_word(self, address: int, value: int) -> None:
        if address == DHCSR:
            self._control_debug(value)
        elif address == DCRSR:
            self._transfer(value)
        elif address == DCRDR:
            self._dcrdr = value
        elif address == DEMCR:
            self._demcr = value & DEMCR_BITS
        elif address == AIRCR:
            self._application_interrupt(value)
        elif address in (CFSR, HFSR, DFSR):
            self._faults[address] &= ~value
        elif address in self._faults:
            self._faults[address] = value
        elif 0xE0001000 <= address < 0xE0003000:
            self._set_unit(address, value)
        elif address not in self._constant:
            self.target.write(address, value.to_bytes(4, "little"))

    def _status(self) -> int:
        found = self._control | S_REGRDY | (0 if self.running else S_HALT) | (S_LOCKUP if self._lockup else 0)
        found |= (S_RESET if self._was_reset else 0) | (S_RETIRE if self._retired else 0)
        self._was_reset = self._retired = False
        return found

    def _application_interrupt(self, value: int) -> None:
        if value & 0xFFFF0000 == UNLOCK and value & (SYSRESETREQ | 1):
            self.reset()

    def _transfer(self, selector: int) -> None:
        name = _register(selector & 0x7F)
        if self.running or name is None:
            self._dcrdr = self._dcrdr if selector >> 16 & 1 else 0
        elif selector >> 16 & 1:
            self.target.write_register(name, self._dcrdr)
        else:
            self._dcrdr = self.target.read_register(name) & 0xFFFFFFFF

    # --- run control ------------------------------------------------------------------------------------------------

    def _control_debug(self, value: int) -> None:
        if value & 0xFFFF0000 != DEBUG_KEY:
            return
        self._control = value & CONTROLS
        if not value & C_DEBUGEN:
            self.running = True
        elif value & C_HALT:
            if self.running:
                self._halt(DFSR_HALTED)
        elif not self.running:
            if value & C_STEP:
                self._step()
            else:
                self.running = True

    def _halt(self, cause: int) -> None:
        if self._lockup:
            self.target.write_register("pc", LOCKED_AT)
        self.running = self._lockup = False
        self._control |= C_HALT
        self._faults[DFSR] |= cause

    def _step(self) -> None:
        self.running = self._retired = True
        self._happened(self.target.step())
        if self.running:
            self._halt(DFSR_HALTED)

    def idle(self) -> None:
        """Let the processor run for a moment, if it is not halted."""
        if self.running and not self._lockup:
            self._retired = True
            self._happened(self.target.run())

    def reset(self) -> None:
        """A system reset: the debug registers stay as they are."""
        self.target.reset()
        self.target.write(VTOR, bytes(4))
        self._faults = dict.fromkeys(self._faults, 0)
        self._was_reset, self._lockup = True, False
        self.running = True
        if self._control & C_DEBUGEN and self._demcr & VC_CORERESET:
            self._halt(DFSR_VCATCH)
        else:
            self._control &= ~C_HALT

    def _happened(self, event: Event | None) -> None:
        if event is None:
            return
        if event.cause == "reset":
            self.reset()
        elif event.cause == "fault":
            self._enter_handler(event)
        elif self._control & C_DEBUGEN:
            self._halt(DFSR_BKPT)
        else:
            self._enter_handler(event)

    def _enter_handler(self, event: Event) -> None:
        """What the processor does at a fault while only the hard fault's handler is enabled."""
        target = self.target
        self._record(event)
        if target.read_register("xpsr") & 0x1FF == HARD_FAULT:
            self._lockup = True
            return
        target.write_register("pc", event.pc)
        frame = b"".join(target.read_register(name).to_bytes(4, "little") for name in FRAME)
        stack = (target.read_register("sp") - len(frame)) & 0xFFFFFFF8
        try:
            target.write(stack, frame)
            table = int.from_bytes(target.read(VTOR, 4), "little") or target.board.chip.image_start
            vector = int.from_bytes(target.read(table + 4 * HARD_FAULT, 4), "little")
        except BusError:
            self._lockup = True
            return
        entered = (("sp", stack), ("lr", RETURN_TO_THREAD), ("xpsr", THUMB_STATE | HARD_FAULT), ("pc", vector))
        for name, value in entered:
            target.write_register(name, value)
        if self._control & C_DEBUGEN and self._demcr & VC_HARDERR:
            self._halt(DFSR_VCATCH)

    def _record(self, event: Event) -> None:
        if event.cause == "breakpoint":
            self._faults[HFSR] |= HFSR_DEBUG
            return
        bits = [bit for bit, kind in FAULTS if kind == event.kind and bit >= 8]
        self._faults[HFSR] |= HFSR_FORCED
        self._faults[CFSR] |= sum(1 << bit for bit in bits[:1])
        if event.address is not None and bits[:1] == [9]:
            self._faults[CFSR] |= BFARVALID
            self._faults[BFAR] = event.address

    # --- breakpoints; the cycle counter is the target's own ----------------------------------------------------------

    def _unit(self, address: int) -> int:
        if address in (DWT_CTRL, DWT_CYCCNT):
            word = int.from_bytes(self.target.read(address, 4), "little")
            return word | 0x40000000 if address == DWT_CTRL else word
        if address == FP_CTRL:
            return self._breakpoint_unit() | int(self._breakpoints_on)
        number = (address - FP_COMP0) // 4
        return self._comparators[number] if 0 <= number < COMPARATORS else self._units.get(address, 0)

    def _breakpoint_unit(self) -> int:
        """FP_CTRL: six comparators and two for literals in version 1; eight comparators in version 2."""
        return 0x260 if self._version == 1 else 0x10000080

    def _set_unit(self, address: int, value: int) -> None:
        number = (address - FP_COMP0) // 4
        if address in (DWT_CTRL, DWT_CYCCNT):
            self.target.write(address, value.to_bytes(4, "little"))
        elif address == FP_CTRL or 0 <= number < COMPARATORS:
            self._set_breakpoints(address, number, value)
        else:
            self._units[address] = value

    def _set_breakpoints(self, address: int, number: int, value: int) -> None:
        if address == FP_CTRL:
            if not value & 2:  # the key
                return
            self._breakpoints_on = bool(value & 1)
        else:
            self._comparators[number] = value
        active = self._comparators if self._breakpoints_on else []
        self.target.set_breakpoints(place for c in active if c & 1 for place in self._places(c))

    def _places(self, comparator: int) -> tuple[int, ...]:
        """The instructions that a comparator matches."""
        if self._version == 2:
            return (comparator & ~1,)
        word, halves = comparator & 0x1FFFFFFC, comparator >> 30
        return tuple(word + 2 * i for i in (0, 1) if halves >> i & 1)


def _register(selector: int) -> str | None:
    if selector < 16:
        return (*(f"r{i}" for i in range(13)), "sp", "lr", "pc")[selector]
    if 64 <= selector < 96:
        return f"s{selector - 64}"
    return AMONG_REGISTERS.get(selector)
