"""`Waits`: where the time of a step went whose cores compute together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass

from smelt.nouns import Noun


@dataclass(frozen=True)
class Waits(Noun):
    """Cycles of a step, or of several, by what they were spent on; together they are all that it took.

    What cores do at the same time counts as a mean over all of them: `compute`; `banks`, waiting for a bank of the memory that
    they share; `fetches`, for instructions; `imbalance`, for the slowest of them, or without a share. While all are held up:
    `barriers`, from a call on all cores until the first of them begins and from the last one's end until the call is over;
    `dma`, what the first core takes to start transfers and waits for them, code between calls included; `outside`, what it waits
    for memories outside of the chip.
    """

    compute: float = 0.0
    banks: float = 0.0
    fetches: float = 0.0
    imbalance: float = 0.0
    barriers: float = 0.0
    dma: float = 0.0
    outside: float = 0.0

    @property
    def cycles(self) -> float:
        return self.compute + self.banks + self.fetches + self.imbalance + self.barriers + self.dma + self.outside


def together(parts: Iterable[Waits]) -> Waits:
    """The sum of several."""
    return Waits(*map(sum, zip(*map(astuple, parts), strict=True)))
