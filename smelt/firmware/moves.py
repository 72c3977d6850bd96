"""Moves as C: calls of the header that programs a chip's DMA, which names whose registers it has: there is a header for each."""

from __future__ import annotations

from collections.abc import Iterator

from smelt.targets.types import Chip, Dma

HEADERS = {"stm32_mdma": "smelt_stm32_mdma.h"}
"""By `Dma.interface`: the header with `smelt_mdma_on`, `smelt_mdma_move` and `smelt_mdma_wait`."""

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


def _address(dma: Dma, channel: int) -> str:
    return f"{dma.registers + CHANNELS * (1 + channel):#010x}u"
