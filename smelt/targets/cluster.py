"""What a chip has besides memories when a cluster of cores computes on it: a shared fast memory in banks that a DMA fills, and
memories outside that are reached in bursts. Data only; times are cycles of the chip's one clock, every number names its source
in `chips/`."""

from __future__ import annotations

from dataclasses import dataclass, field

from smelt.nouns import Noun


@dataclass(frozen=True)
class ClusterDma(Noun):
    """Moves bytes between the cluster's memory and those that all cores see, while the cores compute.

    A transfer has up to `bytes` bytes; on the side outside of the cluster they may lie in lines, a stride apart. Data begin to flow
    `begin` cycles after the transfer was written down, `words` words of the cluster's memory a cycle, each of which needs its bank;
    a line takes a cycle at least. Behind `burst` bytes of a line nothing moves for `gap_in` or `gap_out` thousandths of a cycle.
    """

    name: str
    ids: int
    bytes: int
    stride: int  # at most
    begin: int
    words: int
    burst: int
    gap_in: int
    gap_out: int
    call: int = 0  # what a core takes to write a transfer down and to see that it has ended

    def cycles(self, size: int, inwards: bool, lines: int = 1) -> int:
        """Of a transfer of `size` bytes in `lines` lines, from its call until the core goes on, with all banks free."""
        line = -(-size // lines)
        gaps = (line - 1) // self.burst * (self.gap_in if inwards else self.gap_out)
        return self.call + self.begin + lines * -(-line // (4 * self.words)) + lines * gaps // 1000


@dataclass(frozen=True)
class Bursts(Noun):
    """How memories outside of the chip are reached that are not mapped: a request of at most `burst` bytes takes `first` cycles
    and then `thousandths` of a cycle for each byte. One is under way at a time."""

    first: int
    thousandths: int
    burst: int

    def cycles(self, size: int) -> int:
        """Of `size` bytes in as few requests as possible, each begun when the one before has ended."""
        return -(-size // self.burst) * self.first + size * self.thousandths // 1000


@dataclass(frozen=True)
class ClusterTiming:
    """What a cluster's cores wait for besides their own pipeline. All are whole times of an access or an instruction."""

    jump: int  # a direct jump
    divide: int  # by a divisor without leading zeros; one more for each of them
    far: int  # a worker's access to a memory outside of the cluster
    demux: int  # to its own view of the event unit and the DMA
    peripheral: int  # to other registers on its side
    controller_l2: int  # the fabric controller's access to the memory that it shares with the cluster
    controller_far: int  # to anything inside of the cluster
    request: int  # from the beginning of a p.elw until the event unit has it
    wake: int  # from an event until the core that slept goes on
    refill: int  # of a line of the shared instruction cache
    controller_refill: int  # of the controller's own


@dataclass(frozen=True)
class Cluster(Noun):
    """`count` equal cores, the workers, of the same kind as the chip's own core, which is the fabric controller: it starts
    them, and it alone reaches what lies outside of the chip. `memory` is the name of what they share; its `banks` serve one
    access a cycle each. `hart` is the number that the controller's `mhartid` shows; workers count from 0."""

    interface: str  # whose registers it has: simulators and support code know them by this name
    count: int
    memory: str
    banks: int
    hart: int
    instructions: tuple[int, int]  # sets and ways of the shared instruction cache, lines of 16 bytes
    controller_instructions: tuple[int, int]
    controller_memory: str  # the tightly coupled one
    dma: ClusterDma
    timing: ClusterTiming = field(repr=False)
