"""Moves as C: calls of the header that programs a chip's DMA, which names whose registers it has: there is a header for each."""

from __future__ import annotations

from collections.abc import Iterator

from smelt.targets.types import Chip, Dma

HEADERS = {"stm32_mdma": "smelt_stm32_mdma.h"}
"""By `Dma.interface`: the header with `smelt_mdma_on`, `smelt_mdma_move` and `smelt_mdma_wait`."""

CORES = {"pulp": "smelt_pulp_cores.h"}
"""By `Cluster.interface`: the header with `SMELT_FORK` and `smelt_haul_in`."""

COPIES = "smelt_copies.h"
"""The header with `smelt_copy_rows`, by which the core moves what no DMA does."""

CHANNELS = 0x40
"""The registers of a channel, in bytes; those of the first one begin so far behind those of the whole."""


def dma_of(chip: Chip) -> Dma:
    """The DMA that moves tables. Raises ValueError where there is none that smelt can program."""
    for dma in chip.dma:
        if dma.interface in HEADERS:
            return dma
    raise ValueError(f"the {chip.name} has no DMA that smelt can program")


def switched_on(dma: Dma) -> Iterator[str]:
    """What a network does before its first run."""
    return (f"    smelt_mdma_on({s.address:#010x}u, {s.value:#x}u); /* {s.why} */" for s in dma.setup)


def start(dma: Dma, channel: int, to: str, table: str, size: int) -> str:
    return f"    smelt_mdma_move({_address(dma, channel)}, {to}, {table}, {size}u, 1u, {size}u, {size}u);"


def wait(dma: Dma, channel: int) -> str:
    return f"    smelt_mdma_wait({_address(dma, channel)});"


def carry(chip: Chip, channel: int | None, to: str, source: str, rows: tuple[int, int, int, int]) -> str:
    """Rows: their bytes, how many there are, and how far apart they lie at either end. By a channel of the DMA, or by the core."""
    numbers = ", ".join(f"{n}u" for n in rows)
    if channel is None:
        return f"    smelt_copy_rows({to}, {source}, {numbers});"
    return f"    smelt_mdma_carry({_address(dma_of(chip), channel)}, {to}, {source}, {numbers});"


def clean(place: str, size: int, before: bool) -> str:
    """What a cache has of bytes that a DMA moves as well is written back before that, and forgotten after it."""
    return f"    smelt_{'clean' if before else 'discard'}({place}, {size}u);"


def _address(dma: Dma, channel: int) -> str:
    return f"{dma.registers + CHANNELS * (1 + channel):#010x}u"
