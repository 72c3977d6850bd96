"""What a firmware did on a device, whichever it was: `Run`, and what all devices that run firmware have in common."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from smelt.devices.waits import Waits
from smelt.errors import DeviceError
from smelt.firmware.image import Image
from smelt.nouns import Noun
from smelt.targets.types import Board

if TYPE_CHECKING:  # what only a simulator that keeps time has to say
    from smelt.devices.simulators.clock import Stalls

STACK_PATTERN = 0xC0DEC0DE
"""What start-up code fills the stack with, so that one sees afterwards how deep it was."""

RESET, STACK_LIMIT, STACK_TOP = "smelt_reset", "__smelt_stack_limit", "__smelt_stack_top"
NEEDED_SYMBOLS = (RESET, STACK_LIMIT, STACK_TOP)


@dataclass(frozen=True)
class Run(Noun):
    """What a firmware did: `outputs` is all that it wrote to its output file, `text` what it printed.

    Cycles are those of the board's full clock, and 0 if no time was kept. `end` says how the program ended: "exit", with
    `exit_code`, or "idle" when it jumps to itself for ever (programs other than smelt's own).
    `step_instructions` and `overhead_instructions` belong to the last completed inference, `stack_bytes` is the
    deepest stack of the whole run, `startup_instructions` is everything outside the network, in the whole run. What a device
    does not count is 0. `step_waits` are there where several cores compute together, `worker_stacks` the deepest stack of each.
    """

    outputs: bytes
    text: str
    runs: int
    step_instructions: tuple[int, ...]
    overhead_instructions: int
    startup_instructions: int
    total_instructions: int
    stack_bytes: int
    step_cycles: tuple[int, ...] = ()
    step_waits: tuple[Waits, ...] = ()
    overhead_cycles: int = 0
    total_cycles: int = 0
    stalls: Stalls | None = None
    end: Literal["exit", "idle"] = "exit"
    exit_code: int = 0
    worker_stacks: tuple[int, ...] = ()

    def in_brief(self) -> str:
        cycles = f", {self.cycles:,} cycles" if self.cycles else ""
        ended = "jumps to itself for ever" if self.end == "idle" else f"exit code {self.exit_code}"
        return f"run of {self.runs} inference(s), one of {self.instructions:,} instructions{cycles}: {ended}"

    @property
    def cycles(self) -> int:
        """Cycles of one inference, the last one."""
        return sum(self.step_cycles) + self.overhead_cycles

    @property
    def instructions(self) -> int:
        """Instructions of one inference: its steps and what runs between them."""
        return sum(self.step_instructions) + self.overhead_instructions


def check_firmware(image: Image, board: Board, device: str, also: Collection[str] = ()) -> None:
    """Raise `DeviceError` unless an image is smelt's firmware for the board that a device is, with the symbols `also` as well."""
    if image.board != board.name:
        raise DeviceError(f"the image was built for {image.board}, {device} is a {board.name}")
    if missing := [name for name in (*NEEDED_SYMBOLS, *also) if name not in image.symbols]:
        raise DeviceError(f"the image is no firmware of smelt: it has no {', '.join(missing)}")


def stack_of(image: Image) -> range:
    """The addresses of a firmware's stack."""
    return range(image.symbols[STACK_LIMIT].address, image.symbols[STACK_TOP].address)


def too_small(image: Image) -> str:
    """What is said where a stack was not enough."""
    return f"the stack of {len(stack_of(image))} bytes is too small"


def exit_detail(code: int, text: str) -> str:
    """An exit code, and the last line of what the firmware printed before it."""
    lines = text.strip().splitlines()
    return f"{code}{f' after printing {lines[-1]!r}' if lines else ''}"
