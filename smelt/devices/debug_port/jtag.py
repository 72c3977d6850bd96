"""A JTAG scan chain as on an STM32: TDI -> boundary scan TAP -> debug port TAP -> TDO. IEEE 1149.1, and ADIv5 for the latter."""

from __future__ import annotations

from typing import Protocol

from smelt.devices.debug_port.port import DebugPort, PortFault
from smelt.targets.types import Debug

RESET, IDLE, SELECT_DR, CAPTURE_DR, SHIFT_DR, EXIT1_DR, PAUSE_DR, EXIT2_DR, UPDATE_DR = range(9)
SELECT_IR, CAPTURE_IR, SHIFT_IR, EXIT1_IR, PAUSE_IR, EXIT2_IR, UPDATE_IR = range(9, 16)
NEXT = (
    (IDLE, RESET), (IDLE, SELECT_DR), (CAPTURE_DR, SELECT_IR), (SHIFT_DR, EXIT1_DR), (SHIFT_DR, EXIT1_DR),
    (PAUSE_DR, UPDATE_DR), (PAUSE_DR, EXIT2_DR), (SHIFT_DR, UPDATE_DR), (IDLE, SELECT_DR),
    (CAPTURE_IR, RESET), (SHIFT_IR, EXIT1_IR), (SHIFT_IR, EXIT1_IR), (PAUSE_IR, UPDATE_IR), (PAUSE_IR, EXIT2_IR),
    (SHIFT_IR, UPDATE_IR), (IDLE, SELECT_DR),
)  # fmt: skip

DP_ABORT, DPACC, APACC, DP_IDCODE, DP_BYPASS = 0x8, 0xA, 0xB, 0xE, 0xF
BOUNDARY_IDCODE = 0b00001
ACK_OK = 0b010
READ = 1
STABLE = (IDLE, SHIFT_DR, SHIFT_IR)  # TMS low changes nothing


class Tap(Protocol):
    """One TAP of a chain. A data register is a value and its number of bits."""

    @property
    def ir_bits(self) -> int: ...

    def reset(self) -> None: ...

    def select(self, instruction: int) -> None: ...

    def capture(self) -> tuple[int, int]: ...

    def update(self, value: int) -> None: ...


class DebugTap:
    """JTAG-DP. A read's result is captured by the next scan, like in the chips."""

    ir_bits = 4

    def __init__(self, port: DebugPort) -> None:
        self._port = port
        self._instruction, self._result = DP_IDCODE, 0

    def reset(self) -> None:
        self._instruction = DP_IDCODE

    def select(self, instruction: int) -> None:
        self._instruction = instruction

    def capture(self) -> tuple[int, int]:
        if self._instruction in (DPACC, APACC):
            return self._result << 3 | ACK_OK, 35
        if self._instruction == DP_IDCODE:
            return self._port.identity, 32
        return (0, 35) if self._instruction == DP_ABORT else (0, 1)

    def update(self, value: int) -> None:
        address, data = (value & 6) << 1, value >> 3
        try:
            if self._instruction == APACC:
                if value & READ:
                    self._result = self._port.read_ap(address)
                else:
                    self._port.write_ap(address, data)
            elif self._instruction == DPACC:
                self._access_dp(value & READ, address, data)
            elif self._instruction == DP_ABORT:
                self._port.write_dp(0, data)
        except PortFault:
            self._result = 0  # the debugger finds the sticky error in CTRL/STAT

    def _access_dp(self, read: int, address: int, data: int) -> None:
        if read:
            self._result = self._port.read_dp(address)
        elif address:  # address 0 is ABORT, which has an instruction of its own on JTAG
            self._port.write_dp(address, data)


class BoundaryTap:
    """The boundary-scan TAP: identification and bypass only."""

    ir_bits = 5

    def __init__(self, identity: int) -> None:
        self._identity, self._instruction = identity, BOUNDARY_IDCODE

    def reset(self) -> None:
        self._instruction = BOUNDARY_IDCODE

    def select(self, instruction: int) -> None:
        self._instruction = instruction

    def capture(self) -> tuple[int, int]:
        return (self._identity, 32) if self._instruction == BOUNDARY_IDCODE else (0, 1)

    def update(self, value: int) -> None:
        """Nothing on this chip's pins can be driven."""


class Chain:
    """The TAPs of a chip, the one at TDO first. They share TMS, so one state serves all."""

    def __init__(self, taps: tuple[Tap, ...]) -> None:
        self._taps = taps
        self.state = RESET
        self._register, self._bits = 0, 0
        self._lengths: tuple[int, ...] = ()

    @property
    def tdo(self) -> int:
        return self._register & 1

    def clock(self, tms: int, tdi: int) -> None:
        """A rising edge of TCK."""
        if self.state in (SHIFT_DR, SHIFT_IR):
            self._register = (self._register | tdi << self._bits) >> 1
        elif self.state == CAPTURE_DR:
            self._capture([tap.capture() for tap in self._taps])
        elif self.state == CAPTURE_IR:
            self._capture([(1, tap.ir_bits) for tap in self._taps])
        self.state = NEXT[self.state][tms]
        if self.state in (UPDATE_DR, UPDATE_IR):
            self._update()
        elif self.state == RESET:
            for tap in self._taps:
                tap.reset()

    def clocks(self, count: int, tdi: int) -> int:
        """Several edges with TMS low; the bits of TDI go in lowest first, and so do those of TDO come out."""
        found = done = 0
        while done < count and self.state not in STABLE:
            found |= self.tdo << done
            self.clock(0, tdi >> done & 1)
            done += 1
        if self.state == IDLE or done == count:
            return found | self.tdo * ((1 << count) - (1 << done))
        through = self._register | tdi >> done << self._bits
        self._register = through >> (count - done)
        return found | (through & ((1 << (count - done)) - 1)) << done

    def _capture(self, parts: list[tuple[int, int]]) -> None:
        self._register = self._bits = 0
        for value, bits in parts:
            self._register |= value << self._bits
            self._bits += bits
        self._lengths = tuple(bits for _, bits in parts)

    def _update(self) -> None:
        value = self._register
        for tap, bits in zip(self._taps, self._lengths, strict=True):
            part = value & ((1 << bits) - 1)
            if self.state == UPDATE_IR:
                tap.select(part)
            else:
                tap.update(part)
            value >>= bits


def chain(port: DebugPort, chip: Debug) -> Chain:
    """The scan chain of a chip."""
    return Chain((DebugTap(port), BoundaryTap(chip.boundary_id)))
