"""The DMAs of a chip in a board's TOML file: `[[dma]]`, its `[[dma.reaches]]` and its `[[dma.setup]]`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from smelt.targets.toml_table import Table
from smelt.targets.types import Dma, Memory, Reach, Setup

REACH = (("memory", "unit", "first", "beat"), ("tightly",))
NUMBERS = {
    "channels": (1, 256),
    "buffer": (1, 1 << 20),
    "burst": (1, 1024),
    "rows": (1, 1 << 20),
    "row_bytes": (1, 1 << 30),
    "begin": (0, 100_000),
    "line": (0, 100_000),
    "access": (0, 1000),
    "register_read": (0, 100_000),
    "register_write": (0, 100_000),
}
"""The least and the most of each."""
MAY_BE_ZERO = ("line", "access", "register_read", "register_write")
NEEDED = ("name", "interface", "registers", *(n for n in NUMBERS if n not in MAY_BE_ZERO), "reaches")


def parse_dma(table: Table, interfaces: Sequence[str], memories: Sequence[Memory], setup: tuple[Setup, ...]) -> Dma:
    """The DMA of a table; raises BadKey. Its registers are of one of the `interfaces` that there are."""
    table.check_keys(NEEDED, (*MAY_BE_ZERO, "setup"))
    names = [m.name for m in memories]
    reaches = tuple(_reach(t, names) for t in table.tables("reaches"))
    if len({r.memory for r in reaches}) < len(reaches):
        raise table.wrong("reaches", "a memory is named twice")
    numbers = {
        name: table.integer(name, *limits, default=0 if name in MAY_BE_ZERO else None)
        for name, limits in NUMBERS.items()
    }
    return Dma(
        name=table.word("name"),
        interface=table.choice("interface", interfaces),
        registers=table.address("registers"),
        reaches=reaches,
        setup=setup,
        **numbers,
    )


def _reach(table: Table, memories: Sequence[str]) -> Reach:
    table.check_keys(*REACH)
    unit = table.integer("unit", 1, 64)
    if unit & (unit - 1):
        raise table.wrong("unit", f"{unit} is no power of two")
    first, beat = table.integer("first", 0, 100_000), table.integer("beat", 0, 100_000)
    return Reach(table.choice("memory", memories), unit, first, beat, table.flag("tightly"))


def dma_table(dma: Dma, setup: list[dict[str, Any]]) -> dict[str, Any]:
    """The DMA as its table; `setup` is that of its registers."""
    values = {f.name: getattr(dma, f.name) for f in fields(dma) if f.name not in ("reaches", "setup")}
    values = {name: value for name, value in values.items() if value or name not in MAY_BE_ZERO}
    return values | {"reaches": list(map(_reach_table, dma.reaches))} | ({"setup": setup} if setup else {})


def _reach_table(reach: Reach) -> dict[str, Any]:
    values = {"memory": reach.memory, "unit": reach.unit, "first": reach.first, "beat": reach.beat}
    return values | ({"tightly": True} if reach.tightly else {})
