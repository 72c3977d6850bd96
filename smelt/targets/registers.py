"""What start-up code does with registers, one after the other: as data, which firmware, debug links and simulators read alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Literal

from smelt.errors import OptionError
from smelt.nouns import Noun

ALL = 0xFFFFFFFF
Deed = Literal["change", "wait", "pause"]
DEEDS: tuple[Deed, ...] = ("change", "wait", "pause")


@dataclass(frozen=True)
class Condition:
    """Of a register: that these bits of it have this value."""

    address: int
    mask: int
    value: int

    def holds(self, word: int) -> bool:
        return word & self.mask == self.value


@dataclass(frozen=True)
class RegisterStep:
    """One deed. "change": the bits of `mask` become those of `value`. "wait": until they are, which takes hardware a moment; the
    start-up code gives up at some time, and says which bits of which register did not come. "pause": read the register `value`
    times, and nothing else.

    `why` names the register, as the vendor's manual does, and what for. `only`: on chips of which that holds.
    """

    deed: Deed
    address: int
    mask: int
    value: int
    why: str
    only: Condition | None = None

    @property
    def bits(self) -> Condition:
        return Condition(self.address, self.mask, self.value)


@dataclass(frozen=True)
class Clock(Noun):
    """How a board comes from its state after a reset to its full clock. `interface` is whose registers these are: simulators know
    them by this name. `crystal_hz` is what the board feeds into the chip's HSE, a crystal or (`bypass`) a clock; 0: nothing."""

    interface: str
    steps: tuple[RegisterStep, ...] = field(repr=False)
    crystal_hz: int = 0
    bypass: bool = False
    slower: Condition | None = None
    slower_hz: int = 0
    """What the clock is on chips of which `slower` holds."""


BAUD = 115_200
"""The rate of serial ports unless another one is asked for."""


@dataclass(frozen=True)
class Divider:
    """What a serial port divides its clock by: the low bits of a register, a number of at most `most`. With `sixteenths` there is
    more of it in bits 20 to 23."""

    address: int
    most: int
    sixteenths: bool = False

    def scaled(self, value: int, factor: float) -> int:
        """The register's value for so many times the divider; raises OptionError where that is more than it holds."""
        parts = 16 if self.sixteenths else 1
        divider = (value & 0xFFFFF) + (value >> 20) / 16 if self.sixteenths else value
        whole, rest = divmod(round(divider * factor * parts), parts)
        if not 0 < whole <= self.most:
            raise OptionError(f"the serial port would divide its clock by {whole}, and can by 1 to {self.most}")
        return whole | rest << 20


@dataclass(frozen=True)
class Uart(Noun):
    """A serial port that reaches the computer at the other end of the board's USB cable, 8N1. `steps` set it up for `baud` where
    the clock is the board's full one; then each byte is written to `data` as soon as `ready` holds. A byte that came is read at
    `received`, unless `empty` holds; other rates are made by the `divider`. None: nobody has written it down."""

    name: str
    data: int
    ready: Condition = field(repr=False)
    steps: tuple[RegisterStep, ...] = field(repr=False)
    received: int | None = field(default=None, repr=False)
    empty: Condition | None = field(default=None, repr=False)
    divider: Divider | None = field(default=None, repr=False)
    baud: int = field(default=BAUD, repr=False)

    def at(self, baud: int) -> Uart:
        """The port at another rate. Raises OptionError where it does not have that."""
        if baud == self.baud:
            return self
        divider = self.divider
        if divider is None:
            raise OptionError(f"{self.name}: how it is set to {baud} baud is not written down")
        steps = (
            replace(s, value=divider.scaled(s.value, self.baud / baud), why=s.why.replace(str(self.baud), str(baud)))
            if s.address == divider.address
            else s
            for s in self.steps
        )
        return replace(self, steps=tuple(steps), baud=baud)


@dataclass(frozen=True)
class Pin(Noun):
    """A free pin on a header of the board, where instruments are connected. `steps` make an output of it, which is high; then the
    word `low`, written to `data`, pulls it down, and `high` up again."""

    name: str
    data: int
    high: int = field(repr=False)
    low: int = field(repr=False)
    steps: tuple[RegisterStep, ...] = field(repr=False)


def change(
    address: int, value: int, why: str, *, mask: int | None = None, only: Condition | None = None
) -> RegisterStep:
    """Set these bits, or give the bits of `mask` this value."""
    return RegisterStep("change", address, value if mask is None else mask, value, why, only)


def wait(address: int, mask: int, value: int, why: str, only: Condition | None = None) -> RegisterStep:
    """Go on when the bits of `mask` have this value."""
    return RegisterStep("wait", address, mask, value, why, only)


def pause(address: int, times: int, why: str) -> RegisterStep:
    """Read a register so many times."""
    return RegisterStep("pause", address, 0, times, why)


def grouped(steps: Sequence[RegisterStep]) -> Iterator[tuple[Condition | None, tuple[RegisterStep, ...]]]:
    """The steps in their order, those together that one condition is asked for."""
    return ((only, tuple(group)) for only, group in groupby(steps, lambda step: step.only))


def carry_out(
    steps: Sequence[RegisterStep], read: Callable[[int], int], write: Callable[[int, int], None], times: int = 1000
) -> RegisterStep | None:
    """Do through a debug link, which reads and writes words, what start-up code would do. The step that waited in vain, `times`
    times; None if all is well."""
    for only, group in grouped(steps):
        if only is not None and not only.holds(read(only.address)):
            continue
        for step in group:
            if step.deed == "change":
                write(step.address, read(step.address) & ~step.mask & ALL | step.value)
            elif step.deed == "wait" and not any(step.bits.holds(read(step.address)) for _ in range(times)):
                return step
            elif step.deed == "pause":
                for _ in range(step.value):
                    read(step.address)
    return None
