"""Fake boards for the tests of farms: simulated chips behind links that delay, die and lie, as a seed says."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable

from smelt.devices.link import LinkLost, Stop
from smelt.devices.simulators.link import SimulatorLink
from smelt.targets.boards import NUCLEO_L4R5ZI
from smelt.tuning.farm_worker import Offer, Owned, serve

BOARD = NUCLEO_L4R5ZI
ORIGIN = "fake boards"
DEADLY = 0.2  # share of all boards
LIARS = (1, 30, 58, 87)  # so far apart that no three of them are asked about the same thing
UNITS = 37  # of the layer that is tuned; nothing else of that size is read from a board
CALLS = 3  # after which a board dies, at most


class FakeLink(SimulatorLink):
    """A board by its number: its faults are the same in every run."""

    def __init__(self, number: int) -> None:
        super().__init__(BOARD)
        self.dice = random.Random(number)
        self.lies = number in LIARS
        self.dies = not self.lies and self.dice.random() < DEADLY
        self.left = self.dice.randint(0, CALLS)

    def call(self, entry: int, stack: int, timeout: float) -> Stop:
        time.sleep(self.dice.uniform(0, 0.05))
        if self.dies and self.left == 0:
            raise LinkLost("the fake board has died")
        self.left -= 1
        return super().call(entry, stack, timeout)

    def read(self, address: int, size: int) -> bytes:
        found = super().read(address, size)
        return bytes(b ^ 1 for b in found) if self.lies and size == UNITS else found


def name(number: int) -> str:
    return f"fake {number}"


def owned(numbers: range) -> tuple[Owned, ...]:
    """Links to these boards, made where they are needed."""

    def open(number: int) -> Callable[[], FakeLink]:
        return lambda: FakeLink(number)

    return tuple(Owned(name(n), open(n)) for n in numbers)


if __name__ == "__main__":
    address, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    boards = owned(range(first, first + count))
    serve(address, BOARD, Offer(ORIGIN, len(boards), boards), "zig")
