"""The MDMA of the STM32H7 as a program sees it: its registers, what they do, and when.

Requests are the program's own (there are no peripherals here that could make one). A transfer's bytes appear when the program
learns that it is over, which is when it reads a register of the channel after that time: before, it must leave them alone
(`flights.py`), so nobody can tell. Where ST's manual calls a set-up forbidden or its effect unpredictable, and where a program uses
what is not simulated (linked lists, requests of peripherals, stopping a channel, padding), it is told so by a fault; what the
hardware reports by itself, a transfer error, it finds in CISR and CESR.

Sources: ST RM0433 14 (MDMA) and stm32h7xx_hal_mdma.h, which states the rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from smelt.devices.simulators.flights import Flights, Span
from smelt.devices.simulators.memory_map import Mapped
from smelt.devices.simulators.transfer import Side, Transfer
from smelt.targets.types import Chip, Dma, Memory, Reach

PAGE = 4096
CHANNEL_START, CHANNEL_SIZE = 0x40, 0x40
CISR, CIFCR, CESR, CCR, CTCR, CBNDTR, CSAR, CDAR, CBRUR, CLAR, CTBR, CMAR, CMDR = (
    0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x18, 0x1C, 0x20, 0x24, 0x28, 0x30, 0x34,
)  # fmt: skip
SETTINGS = (CTCR, CBNDTR, CSAR, CDAR, CBRUR, CLAR, CTBR, CMAR, CMDR)
TEIF, CTCIF, BRTIF, BTIF, TCIF, CRQA = 1, 2, 4, 8, 16, 1 << 16
FLAGS = TEIF | CTCIF | BRTIF | BTIF | TCIF
EN, SWRQ, CCR_KEPT = 1, 1 << 16, 0x70FF
ADDRESS_ERROR, BLOCK_ERROR, READ_ERROR = 1 << 10, 1 << 11, 1 << 7
ONE_BUFFER, ONE_BLOCK = 0, 1  # TRGM
SOFTWARE, PACKED = 1 << 30, 1 << 25


class Surroundings(Protocol):
    """What the MDMA needs of the board it is in."""

    def now(self) -> int:
        """Cycles since reset, or 0 where nobody keeps the time: then every transfer is over at once."""

    def lines(self) -> int:
        """That the caches have fetched since reset."""

    def stall(self, cycles: int) -> None:
        """Let the core wait."""

    def has_clock(self) -> bool:
        """Whether the program has switched it on."""

    def refuse(self, detail: str, address: int | None = None) -> None:
        """Stop the program: it has used the MDMA wrongly."""


@dataclass
class Pending:
    """A request that is being carried out. `end` is the time when it is done, on the clock of the MDMA's own work."""

    transfer: Transfer
    spans: tuple[Span, ...]
    end: int
    error: int | None = None  # what CESR will say; None: all goes well


@dataclass
class Channel:
    """The registers of a channel by their offsets, how far it has come, and what it is doing."""

    registers: dict[int, int] = field(default_factory=lambda: dict.fromkeys((CISR, CESR, CCR, *SETTINGS), 0))
    done: int = 0  # bytes of all its blocks
    pending: Pending | None = None

    @property
    def on(self) -> bool:
        return bool(self.registers[CCR] & EN)


class Mdma:
    """Answers for the registers of `dma` on a board with the memories `maps`."""

    def __init__(
        self, dma: Dma, chip: Chip, maps: tuple[Mapped, ...], flights: Flights, surroundings: Surroundings
    ) -> None:
        self._dma, self._chip, self._maps, self._flights, self._board = dma, chip, maps, flights, surroundings
        self._channels = [Channel() for _ in range(dma.channels)]
        self._free = 0  # when all requests so far are done, on the clock of its own work

    # --- registers --------------------------------------------------------------------------------------------------

    def read(self, address: int, size: int) -> int:
        self._board.stall(self._dma.register_read)
        channel, offset = self._register(address, size, "read")
        if channel is None:
            return self._global_flags() if offset == 0 else 0
        self._settle(channel)
        return channel.registers.get(offset, 0) | (CRQA if offset == CISR and channel.pending else 0)

    def write(self, address: int, size: int, value: int) -> None:
        self._board.stall(self._dma.register_write)
        channel, offset = self._register(address, size, "written")
        if channel is None:
            return
        if offset == CIFCR:
            channel.registers[CISR] &= ~value | ~FLAGS
        elif offset == CCR:
            self._control(channel, value, address)
        elif offset in SETTINGS and channel.on:
            self._board.refuse("the registers of a channel that is on cannot be written", address)
        elif offset in SETTINGS:
            channel.registers[offset] = value

    def _register(self, address: int, size: int, how: str) -> tuple[Channel | None, int]:
        """The channel of a register, and its offset there; no channel for the global ones."""
        if not self._board.has_clock():
            self._board.refuse(f"the {self._dma.name} has no clock; {self._dma.setup[0].why}", address)
        if size != 4:
            self._board.refuse(f"its registers must be {how} as words", address)
        number, offset = divmod(address - self._dma.registers - CHANNEL_START, CHANNEL_SIZE)
        if not 0 <= number < len(self._channels):
            return None, address - self._dma.registers
        return self._channels[number], offset

    def _global_flags(self) -> int:
        """GISR0: the channels of which a flag is set whose interrupt is wanted."""
        flags = 0
        for number, channel in enumerate(self._channels):
            self._settle(channel)
            wanted = channel.registers[CCR]
            flags |= int(bool(channel.registers[CISR] & FLAGS & wanted >> 1)) << number
        return flags

    def _control(self, channel: Channel, value: int, address: int) -> None:
        self._settle(channel)
        if channel.pending and not value & EN:
            self._board.refuse("stopping a channel in the middle of a transfer is not simulated", address)
        elif value & SWRQ and not channel.on:
            self._board.refuse("a request of a channel that is not on yet", address)
        elif value & SWRQ and channel.pending:
            self._board.refuse("a request of a channel that still moves what was requested before", address)
        elif value & EN and not channel.on and (wrong := self._wrong(channel)):
            self._board.refuse(wrong, address)
        else:
            if value & EN and not channel.on:
                channel.done = 0
            channel.registers[CCR] = value & CCR_KEPT
            if value & SWRQ:
                self._request(channel)

    # --- what is set up ---------------------------------------------------------------------------------------------

    def _wrong(self, channel: Channel) -> str:
        """Why the manual promises nothing for what a channel is about to do, or why it is not simulated; nothing if all is well."""
        r, control = channel.registers, channel.registers[CTCR]
        buffer = (control >> 18 & 0x7F) + 1
        sides = {source: _side(r, source) for source in (True, False)}
        if r[CLAR] or r[CMAR]:
            return "linked lists and mask writes are not simulated"
        if not control & SOFTWARE:
            return "requests of peripherals are not simulated: SWRM is 0"
        if sides[True].unit != sides[False].unit and not control & PACKED:
            return "units of different sizes are simulated packed only: PKE is 0"
        if not r[CBNDTR] & 0x1FFFF or (r[CBNDTR] & 0x1FFFF) > self._dma.row_bytes:
            return f"a block is of 1 to {self._dma.row_bytes} bytes"
        found = (self._wrong_side(s, buffer, _tightly(r, source), _blocks(r)) for source, s in sides.items())
        return next(filter(None, found), "")

    def _wrong_side(self, side: Side, buffer: int, tightly: bool, blocks: tuple[int, int]) -> str:
        burst = side.burst * side.unit
        if burst > buffer or buffer % side.unit:
            return f"bursts of {burst} bytes in buffers of {buffer}: a buffer holds whole units and at least a burst"
        if side.step and abs(side.step) < side.unit:
            return "an offset between elements that is smaller than an element"
        if tightly and side.burst > self._dma.burst:
            return f"bursts of {side.burst} beats: the port of the tightly coupled memories takes {self._dma.burst}"
        if tightly and side.step == 0 and side.burst > 1:
            return "bursts to one address, through the port of the tightly coupled memories"
        if tightly and side.burst > 1 and _crosses(side, blocks):
            return "a burst across a multiple of 1 KB, through the port of the tightly coupled memories"
        return ""

    # --- transfers --------------------------------------------------------------------------------------------------

    def _request(self, channel: Channel) -> None:
        registers = channel.registers
        transfer = self._next(channel)
        error = self._error(registers, transfer)
        spans = () if error is not None else transfer.spans
        for span in spans:
            if other := self._flights.meeting(span):
                self._board.refuse(f"{span.text} while another channel moves {other.text}", span.first)
                return
        cycles = self._dma.begin if error is not None else transfer.cycles(self._dma, *self._reaches(transfer))
        self._free = max(self._free, self._work()) + cycles
        channel.pending = Pending(transfer, spans, self._free, error)
        self._flights.add(*spans)

    def _next(self, channel: Channel) -> Transfer:
        """What the next request of a channel moves."""
        r = channel.registers
        block, blocks = _blocks(r)
        buffer = (r[CTCR] >> 18 & 0x7F) + 1
        begun, within = divmod(channel.done, block)
        mode = r[CTCR] >> 28 & 3
        source, target = (_moved(_side(r, is_source), block, begun, within) for is_source in (True, False))
        if mode == ONE_BUFFER:
            return Transfer(source, target, min(buffer, block - within), 1, buffer)
        return Transfer(source, target, block - within, 1 if mode == ONE_BLOCK else blocks - begun, buffer)

    def _error(self, registers: dict[int, int], transfer: Transfer) -> int | None:
        """What the hardware will report of a request, as CESR has it; None if nothing."""
        for source, side in ((True, transfer.source), (False, transfer.target)):
            found = (READ_ERROR if source else 0) | side.start & 0x7F
            tightly = _tightly(registers, source)
            if transfer.block % side.unit:
                return found | BLOCK_ERROR
            if side.start % side.unit or side.update % side.unit:
                return found | ADDRESS_ERROR
            reach = self._reach(side.span(transfer.block, transfer.blocks, source))
            if reach is None or reach.tightly != tightly or (tightly and side.unit > reach.unit):
                return found
        target = self._memory(transfer.spans[1])
        return transfer.target.start & 0x7F if target is self._chip.flash else None

    def _memory(self, span: Span) -> Memory | None:
        """The memory that holds all of a span."""
        end = span.first + span.extent
        return next((m for m in self._chip.memories if m.start <= span.first and end <= m.end), None)

    def _reach(self, span: Span) -> Reach | None:
        memory = self._memory(span)
        return self._dma.reach(memory.name) if memory else None

    def _reaches(self, transfer: Transfer) -> tuple[Reach, Reach]:
        source, target = (self._reach(span) for span in transfer.spans)
        assert source and target, "_error has looked"
        return source, target

    def _work(self) -> int:
        """Cycles since reset without those in which the core was in the way."""
        dma = self._dma
        return self._board.now() - dma.line * self._board.lines() - dma.access * self._flights.accesses // 1000

    def _settle(self, channel: Channel) -> None:
        """Let a channel be done with what it has had the time for."""
        pending = channel.pending
        if pending is None or (self._board.now() and self._work() < pending.end):
            return
        channel.pending, registers = None, channel.registers
        self._flights.remove(*pending.spans)
        if pending.error is not None:
            registers[CISR] |= TEIF
            registers[CESR] = pending.error
            registers[CCR] &= ~EN
            return
        self._move(pending.transfer)
        channel.done += pending.transfer.bytes
        block, blocks = _blocks(registers)
        registers[CISR] |= TCIF | (0 if channel.done % block else BTIF)
        if channel.done == block * blocks:
            registers[CISR] |= BRTIF | CTCIF
            registers[CCR] &= ~EN
            registers[CBNDTR] &= 0xC0000

    def _move(self, transfer: Transfer) -> None:
        source, target = (
            side.addresses(transfer.block, transfer.blocks) for side in (transfer.source, transfer.target)
        )
        read, write = (
            next(m for m in self._maps if m.start <= at[0] < m.end) for at in (source, target)
        )  # fmt: skip
        write.data[target - write.start] = read.data[source - read.start]


def _blocks(registers: dict[int, int]) -> tuple[int, int]:
    """The bytes of a block, and the number of blocks."""
    return registers[CBNDTR] & 0x1FFFF, (registers[CBNDTR] >> 20) + 1


def _tightly(registers: dict[int, int], source: bool) -> bool:
    """Whether a side is reached through the port of the tightly coupled memories."""
    return bool(registers[CTBR] & (1 << 16 if source else 1 << 17))


def _side(registers: dict[int, int], source: bool) -> Side:
    """The source or the target of a channel, as its registers have it, from the beginning."""
    control, update = registers[CTCR], registers[CBRUR]
    increment, size, offset, burst = (control >> at for at in ((0, 4, 8, 12) if source else (2, 6, 10, 15)))
    direction = {2: 1, 3: -1}.get(increment & 3, 0)
    change = update & 0xFFFF if source else update >> 16
    negative = registers[CBNDTR] & (1 << 18 if source else 1 << 19)
    unit = 1 << (size & 3)
    return Side(
        registers[CSAR if source else CDAR],
        unit,
        direction << (offset & 3),
        -change if negative else change,
        1 << (burst & 7),
    )


def _moved(side: Side, block: int, blocks: int, within: int) -> Side:
    """A side behind so many blocks and so many bytes of the next one."""
    moved = blocks * (block // side.unit * side.step + side.update) + within // side.unit * side.step
    return Side(side.start + moved, side.unit, side.step, side.update, side.burst)


def _crosses(side: Side, blocks: tuple[int, int]) -> bool:
    """Whether some burst does: bursts begin where buffers do, at multiples of their own size from a block's start."""
    pitch = blocks[0] // side.unit * side.step + side.update
    burst = side.unit * side.burst
    starts = (side.start + i * pitch for i in range(blocks[1]))
    return any(start % burst and start % 1024 + blocks[0] > 1024 for start in starts)
