"""Which table lies in which flash, where a board has flash outside of the chip: what is read most per byte in the chip's own, the
rest outside. First values of tables that are copied to RAM are read once: they go outside first, all of them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from smelt.planner.tables import TableKey, distributed
from smelt.targets.types import Chip

CODE_MARGIN = 2
"""How many times what its code is estimated to take up is left free of the chip's flash, where tables could as well go outside."""


@dataclass(frozen=True)
class FlashPlaces:
    """The flash of each table that is read there, and that of the first values of all others; `own` is the chip's."""

    own: str
    read: Mapping[TableKey, str]
    copied: str

    def home(self, table: TableKey) -> str:
        """The flash that has a table or its first values."""
        return self.read.get(table, self.copied)

    def outside(self, table: TableKey) -> str | None:
        """The same, None for the chip's own."""
        return None if self.home(table) == self.own else self.home(table)


def flash_places(
    chip: Chip, read: Mapping[TableKey, int], copied: Mapping[TableKey, int], code: int
) -> FlashPlaces | None:
    """Places for tables with their bytes, those read most first, beside so many bytes of code; None where there are none.

    Without flash outside of the chip all are in its own: how much fits there is not asked here.
    """
    flash, *others = chip.flashes
    total, first_values = sum(read.values()) + sum(copied.values()), sum(copied.values())
    room = flash.size - chip.boot_bytes - CODE_MARGIN * code
    if not others or total <= room:
        return FlashPlaces(flash.name, dict.fromkeys(read, flash.name), flash.name)
    rooms = {flash.name: room, **{m.name: m.size for m in others}}
    home = next((m.name for m in others if first_values <= m.size), None)
    if home is None:
        return None
    rooms[home] -= first_values
    found = distributed(read, rooms)
    return None if found is None else FlashPlaces(flash.name, found, home)


def uses_of(places: FlashPlaces | None, read: Mapping[TableKey, int], copied: Mapping[TableKey, int]) -> dict[str, int]:
    """The bytes of tables in each flash that has any; nowhere, where there are no places."""
    uses: dict[str, int] = {}
    if places is not None:
        for key, size in {**read, **copied}.items():
            uses[places.home(key)] = uses.get(places.home(key), 0) + size
    return uses
