"""A heap in a device's RAM, kept by the host: the device itself knows nothing of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from smelt.devices.session_errors import DeviceHeapFull
from smelt.errors import DeviceError
from smelt.targets.types import Board

ALIGN = 16


@dataclass(frozen=True)
class Block:
    """Bytes of the device's RAM."""

    address: int
    size: int

    @property
    def end(self) -> int:
        return self.address + self.size


def aligned(size: int) -> int:
    """What `size` bytes take up; nothing takes up less than one unit."""
    return max(-(-size // ALIGN), 1) * ALIGN


class Heap:
    """First fit over the free blocks of some memories, in the order given; neighbours that are free become one."""

    def __init__(self, board: Board, memories: Sequence[Block]) -> None:
        self._board = board
        self._memories = tuple(memories)
        self._free = {memory: [memory] for memory in self._memories}
        self._taken: dict[int, tuple[Block, Block]] = {}  # by address: the block, and the memory that it is in

    @property
    def size(self) -> int:
        return sum(m.size for m in self._memories)

    @property
    def used(self) -> int:
        """Bytes that are allocated."""
        return sum(block.size for block, _ in self._taken.values())

    @property
    def free(self) -> int:
        return self.size - self.used

    @property
    def largest(self) -> Block:
        """The largest free block."""
        return self.largest_of(self._memories)

    def largest_of(self, memories: Iterable[Block]) -> Block:
        """The largest free block of some memories; one without bytes where there is none."""
        return max((block for m in memories for block in self._free[m]), key=lambda b: b.size, default=Block(0, 0))

    def allocate(self, size: int, preferred: int | None = None) -> Block:
        """`size` bytes at a multiple of `ALIGN`, in the memory that begins at `preferred` or next after it if they fit there,
        else in any. Raises DeviceHeapFull."""
        needed = aligned(size)
        for memory in self._in_order(preferred):
            for free in self._free[memory]:
                if free.size >= needed:
                    return self._take(memory, free, Block(free.address, needed))
        raise self._full(size)

    def claim(self, start: Block, size: int) -> Block:
        """The first `size` bytes of the free block `start`. Raises DeviceHeapFull where it is smaller."""
        if aligned(size) > start.size:
            raise self._full(size)
        memory = next(m for m in self._memories if start in self._free[m])
        return self._take(memory, start, Block(start.address, aligned(size)))

    def release(self, block: Block) -> None:
        """Give back what was allocated. Raises DeviceError for anything else."""
        known, memory = self._taken.pop(block.address, (None, None))
        if known is None or memory is None:
            raise DeviceError(f"{self._board.name}: nothing is allocated at {block.address:#010x}")
        self._free[memory] = _merged([*self._free[memory], known])

    def _in_order(self, preferred: int | None) -> list[Block]:
        if preferred is None:
            return list(self._memories)
        return sorted(self._memories, key=lambda m: (m.address < preferred, m.address - preferred))

    def _take(self, memory: Block, free: Block, block: Block) -> Block:
        blocks = self._free[memory]
        rest = Block(block.end, free.end - block.end)
        position = blocks.index(free)
        blocks[position : position + 1] = [rest] if rest.size else []
        self._taken[block.address] = (block, memory)
        return block

    def _full(self, size: int) -> DeviceHeapFull:
        return DeviceHeapFull(self._board.name, size, self.free, self.largest.size)


def _merged(blocks: Iterable[Block]) -> list[Block]:
    merged: list[Block] = []
    for block in sorted(blocks, key=lambda b: b.address):
        if merged and merged[-1].end == block.address:
            merged[-1] = Block(merged[-1].address, merged[-1].size + block.size)
        else:
            merged.append(block)
    return merged
