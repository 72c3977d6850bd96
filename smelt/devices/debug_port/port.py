"""An Arm debug port with its access ports: Arm Debug Interface v5, registers and errors, above the wire."""

from __future__ import annotations

from typing import Protocol

from smelt.devices.debug_port.core import Core
from smelt.devices.debug_port.target import BusError
from smelt.targets.types import Debug

ABORT, CTRL_STAT, SELECT, RDBUFF = 0x0, 0x4, 0x8, 0xC  # ABORT is written, DPIDR read, at address 0
CSW, TAR, DRW, BD0, CFG, BASE, IDR = 0x00, 0x04, 0x0C, 0x10, 0xF4, 0xF8, 0xFC
STICKYERR, POWER_REQUESTS = 1 << 5, 0x50000000
CSW_DEVICE_ENABLED, CSW_INCREMENT, CSW_SIZE, CSW_KEPT = 0x40, 0x10, 0x7, 0x7F000017
ROM_BASE = 0xE00FF003
APB_ID = 0x54770002


class PortFault(Exception):
    """An access was refused: the port's sticky error is set."""


class Bus(Protocol):
    """What an access port reaches; aligned accesses of 1, 2 or 4 bytes. Both raise `BusError`."""

    def read(self, address: int, size: int) -> int: ...

    def write(self, address: int, size: int, value: int) -> None: ...


class DebugPort:
    """The debug port of a chip: `core` is its processor, which runs while `idle` is called."""

    def __init__(self, core: Core, identity: int) -> None:
        """`identity` is the port's own identification register: the JTAG and SWD ports of a chip differ in it."""
        chip = core.chip
        self.core, self.identity = core, identity
        self._ports = {0: AccessPort(SystemBus(core), chip.ap_id, ROM_BASE)}
        if chip.apb_dbgmcu is not None:
            self._ports[2] = AccessPort(PlainRegisters({chip.apb_dbgmcu: _identity(chip)}), APB_ID, 0xFFFFFFFF)
        self._control = 0
        self._select = 0
        self._last = 0
        self._sticky = False

    def idle(self) -> None:
        self.core.idle()

    def read_dp(self, address: int) -> int:
        if address == CTRL_STAT:
            return self._status() if self._select & 0xF == 0 else 0
        return (self.identity, 0, self._select, self._last)[address >> 2]

    def write_dp(self, address: int, value: int) -> None:
        if address == SELECT:
            self._select = value
        elif address == ABORT:
            self._sticky = self._sticky and not value & 4
        elif address == CTRL_STAT and self._select & 0xF == 0:
            self._control = value & ~0xA00000E2
            self._sticky = self._sticky and not value & STICKYERR  # so on JTAG; on SWD this bit cannot be written

    def _status(self) -> int:
        return self._control | (self._control & POWER_REQUESTS) << 1 | (STICKYERR if self._sticky else 0)

    def read_ap(self, address: int) -> int:
        """A register of the selected access port; only bits 2 and 3 of the address count. Raises `PortFault`."""
        self._last = self._access(address, None)
        return self._last

    def write_ap(self, address: int, value: int) -> None:
        """Raises `PortFault`."""
        self._access(address, value)

    def _access(self, address: int, value: int | None) -> int:
        if self._sticky:
            raise PortFault
        port = self._ports.get(self._select >> 24)
        if port is None:
            return 0  # no access port: reads as zero
        try:
            register = (self._select & 0xF0) | (address & 0xC)
            if value is None:
                return port.read(register)
            port.write(register, value)
            return 0
        except BusError as error:
            self._sticky = True
            raise PortFault from error


class AccessPort:
    """A MEM-AP: 8, 16 and 32 bit accesses, single increments of the address, no packed transfers."""

    def __init__(self, bus: Bus, identity: int, base: int) -> None:
        self._bus, self._identity, self._base = bus, identity, base
        self._csw, self._tar = 0x03000042, 0

    def read(self, register: int) -> int:
        if register == DRW:
            return self._transfer(None)
        if BD0 <= register < BD0 + 16:
            return self._bus.read((self._tar & ~0xF) + register - BD0, 4)
        fixed = {CSW: self._csw | CSW_DEVICE_ENABLED, TAR: self._tar, BASE: self._base, IDR: self._identity, CFG: 0}
        return fixed.get(register, 0)

    def write(self, register: int, value: int) -> None:
        if register == DRW:
            self._transfer(value)
        elif register == TAR:
            self._tar = value
        elif register == CSW:
            size = value & CSW_SIZE if value & CSW_SIZE <= 2 else 2
            self._csw = value & CSW_KEPT & ~CSW_SIZE | size
        elif BD0 <= register < BD0 + 16:
            self._bus.write((self._tar & ~0xF) + register - BD0, 4, value)

    def _transfer(self, value: int | None) -> int:
        """One access at TAR; narrow data travels in the byte lanes of its address."""
        size = 1 << (self._csw & CSW_SIZE)
        address = self._tar & -size
        lane = 8 * (address & 3)
        found = 0
        if value is None:
            found = self._bus.read(address, size) << lane
        else:
            self._bus.write(address, size, value >> lane & ((1 << 8 * size) - 1))
        if self._csw & CSW_INCREMENT:
            self._tar = (self._tar + size) & 0xFFFFFFFF
        return found


class SystemBus:
    """The processor's address space as the AHB access port sees it: memory, debug registers, DBGMCU."""

    def __init__(self, core: Core) -> None:
        self._core, self._memory = core, core.target
        self._dbgmcu = PlainRegisters({core.chip.dbgmcu: _identity(core.chip)})
        self._dbgmcu_page = core.chip.dbgmcu >> 12

    def read(self, address: int, size: int) -> int:
        if address >> 12 == self._dbgmcu_page:
            return self._dbgmcu.read(address, size)
        if address >> 20 == 0xE00:
            word = self._core.read_word(address & ~3)
            return word >> 8 * (address & 3) & ((1 << 8 * size) - 1)
        return int.from_bytes(self._memory.read(address, size), "little")

    def write(self, address: int, size: int, value: int) -> None:
        if address >> 12 == self._dbgmcu_page:
            self._dbgmcu.write(address, size, value)
        elif address >> 20 == 0xE00 and size == 4:
            self._core.write_word(address, value)
        else:
            self._memory.write(address, value.to_bytes(size, "little"))


class PlainRegisters:
    """Registers that keep what is written to them, except for constant ones."""

    def __init__(self, constant: dict[int, int]) -> None:
        self._constant, self._words = constant, dict[int, int]()

    def read(self, address: int, size: int) -> int:
        word = address & ~3
        value = self._constant.get(word, self._words.get(word, 0))
        return value >> 8 * (address & 3) & ((1 << 8 * size) - 1)

    def write(self, address: int, size: int, value: int) -> None:
        word, lane = address & ~3, 8 * (address & 3)
        mask = ((1 << 8 * size) - 1) << lane
        self._words[word] = self._words.get(word, 0) & ~mask | value << lane & mask


def _identity(chip: Debug) -> int:
    return chip.revision << 16 | chip.device
