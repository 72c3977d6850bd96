"""The DMAs of a chip on a simulated board: their registers, and the hook that watches what they move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from smelt.devices.faults import Kind
from smelt.devices.simulators.counter import Counter
from smelt.devices.simulators.flights import Flights
from smelt.devices.simulators.machine import Machine
from smelt.devices.simulators.mdma import Mdma
from smelt.devices.simulators.memory_map import Mapped
from smelt.targets.types import Chip, Dma

MODELS = {"stm32_mdma": Mdma}
"""By the interface that `Dma` names; what has none here is no register that answers."""

Refuse = Callable[[Kind, str, int | None], None]
"""What stops the program: the kind of fault, what is wrong, and the address that it used."""


@dataclass
class DmaRegisters:
    """The registers of a DMA, which bring their hook along when a program first uses them: others need not pay for it."""

    dma: Dma
    machine: Machine
    counter: Counter
    flights: Flights
    word: Callable[[int], int]  # what a register of the chip holds
    give_up: Refuse
    model: Any = None
    watched: bool = False

    def read(self, address: int, size: int) -> int:
        self._watch()
        return int(self.model.read(address, size))

    def write(self, address: int, size: int, value: int) -> None:
        self._watch()
        self.model.write(address, size, value)

    def _watch(self) -> None:
        if not self.watched:
            self.watched = True
            self.machine.add_data_hook(self.flights.hook, self.flights.user_data, writes=True)

    # --- `Surroundings` of the model --------------------------------------------------------------------------------

    def now(self) -> int:
        clock = self.counter.clock
        return clock.cycles_at(self.machine.pc) if clock else 0

    def lines(self) -> int:
        clock = self.counter.clock
        return int(clock.raw.code_misses + clock.raw.data_misses) if clock else 0

    def stall(self, cycles: int) -> None:
        self.counter.stall(cycles)

    def has_clock(self) -> bool:
        return all(self.word(s.address) & s.value == s.value for s in self.dma.setup)

    def refuse(self, detail: str, address: int | None = None) -> None:
        self.give_up("wrong use of a DMA", detail, address)


def attach_dma(
    machine: Machine,
    chip: Chip,
    maps: tuple[Mapped, ...],
    counter: Counter,
    word: Callable[[int], int],
    give_up: Refuse,
) -> tuple[DmaRegisters, ...]:
    """The DMAs of `chip` that are simulated; their registers are not mapped yet."""
    found = []
    for dma in chip.dma:
        if dma.interface not in MODELS:
            continue
        ports = [m for m in chip.memories if (reach := dma.reach(m.name)) and reach.tightly]
        stop, read = machine.native_function("uc_emu_stop"), machine.native_function("uc_reg_read")
        flights = Flights(ports, stop, read, machine.register("pc"))
        registers = DmaRegisters(dma, machine, counter, flights, word, give_up)
        registers.model = MODELS[dma.interface](dma, chip, maps, flights, registers)
        found.append(registers)
    return tuple(found)
