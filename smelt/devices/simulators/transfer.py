"""What one request of a DMA moves, and how long that takes: addresses, spans and cycles of blocks of elements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from smelt.devices.simulators.flights import Span
from smelt.targets.types import Dma, Reach

Addresses = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Side:
    """Where bytes come from or go to: blocks of elements of `unit` bytes, `step` from start to start (0: always the same
    address). After each block the running address changes by `update`. Bursts are of up to `burst` elements."""

    start: int
    unit: int
    step: int
    update: int
    burst: int

    def addresses(self, block: int, blocks: int) -> Addresses:
        """Of each byte, in order, of `blocks` blocks of `block` bytes."""
        count = block // self.unit
        starts = self.start + np.arange(blocks) * (count * self.step + self.update)
        elements = starts[:, None] + np.arange(count) * self.step
        return (elements[:, :, None] + np.arange(self.unit)).reshape(-1)

    def span(self, block: int, blocks: int, source: bool) -> Span:
        """What the program must leave alone. Bytes between the elements of a block count as its own."""
        count = block // self.unit
        low = min(0, (count - 1) * self.step)
        row = abs((count - 1) * self.step) + self.unit
        pitch = count * self.step + self.update
        first = self.start + low + min(0, (blocks - 1) * pitch)
        if blocks == 1 or abs(pitch) < row:
            whole = abs(pitch) * (blocks - 1) + row
            return Span(first, whole, whole, 1, source)
        return Span(first, row, abs(pitch), blocks, source)

    def cycles(self, reach: Reach, size: int) -> int:
        """Of the bursts that move `size` bytes."""
        return reach.cycles(size, self.unit, self.burst if self.step == self.unit else 1)


@dataclass(frozen=True)
class Transfer:
    """`blocks` blocks of `block` bytes each, in buffers of up to `buffer` bytes."""

    source: Side
    target: Side
    block: int
    blocks: int
    buffer: int

    @property
    def bytes(self) -> int:
        return self.block * self.blocks

    @property
    def spans(self) -> tuple[Span, Span]:
        return self.source.span(self.block, self.blocks, True), self.target.span(self.block, self.blocks, False)

    def cycles(self, dma: Dma, source: Reach, target: Reach) -> int:
        """From its request to the last byte, with nobody in the way."""
        whole, rest = divmod(self.block, self.buffer)
        sizes = ((self.buffer, whole), (rest, 1 if rest else 0))
        row = sum(n * (self.source.cycles(source, size) + self.target.cycles(target, size)) for size, n in sizes)
        return dma.begin + self.blocks * row
