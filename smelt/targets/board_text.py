"""Boards as tables and text of TOML, each number as people write it. What has its default is left out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from smelt.targets.dma_file import NUMBERS, dma_table
from smelt.targets.registers_file import clock_table, pin_table, uart_table
from smelt.targets.types import KB, MB, Board, Cache, Debug, Memory, Path, Setup

NO_WAIT = "no wait"
"""The price of a memory that answers at once, which must be said."""

BUSES = ("own", "code", "ram")
"""The words for `Path.bus`, by its number."""

ON_ONE_LINE = ("path", "only", "slower", "ready", "empty", "divider")

DECIMAL = frozenset(
    {
        "clock_hz",
        "boot_bytes",
        "ways",
        "line",
        "first",
        "busy",
        "picojoules_per_cycle",
        "unit",
        "beat",
        "crystal_hz",
        "slower_hz",
        "most",
        *NUMBERS,
    }
)


def board_table(board: Board) -> dict[str, Any]:
    """The board as what a TOML file of it has: texts, numbers, lists, tables."""
    chip = board.chip
    values: dict[str, Any] = {"name": board.name, "title": board.title, "chip": chip.name, "core": board.core.name}
    values |= {"clock_hz": board.clock_hz}
    values |= _unless(
        {"double_precision": False, "debug_registers": True, "linker_script": "flash.ld", "boot_bytes": 0}, chip
    )
    values |= _unless({"picojoules_per_cycle": None, "qemu": None, "flasher": None}, board)
    values |= {"caches": list(map(_cache, chip.caches)), "memories": list(map(_memory, chip.memories))}
    values |= {"setup": list(map(_setup, chip.setup))}
    values |= {"dma": [dma_table(dma, list(map(_setup, dma.setup))) for dma in chip.dma]}
    values |= {"debug": _debug(chip.debug)} if chip.debug else {}
    values |= {"clock": clock_table(board.clock)} if board.clock else {}
    values |= {"uart": uart_table(board.uart)} if board.uart else {}
    values |= {"pin": pin_table(board.pin)} if board.pin else {}
    return {key: value for key, value in values.items() if value != []}


def size_text(size: int) -> str | int:
    """A size as people write it: "64K", "2M", or the number of bytes."""
    if size % MB == 0:
        return f"{size // MB}M"
    return f"{size // KB}K" if size % KB == 0 else size


def path_value(path: Path) -> dict[str, Any] | str:
    if path == Path():
        return NO_WAIT
    values: dict[str, Any] = {"first": path.first, "line": path.line}
    values |= _unless({"busy": 0, "prefetch": False}, path)
    values |= {name: cache.name for name in ("instructions", "data") if (cache := getattr(path, name))}
    return values | ({"bus": BUSES[path.bus]} if path.bus else {})


def _unless(defaults: Mapping[str, Any], thing: object) -> dict[str, Any]:
    """The fields of a thing that are not what they are by default."""
    return {name: value for name, default in defaults.items() if (value := getattr(thing, name)) != default}


def _cache(cache: Cache) -> dict[str, Any]:
    values = {"name": cache.name, "size": size_text(cache.size), "ways": cache.ways, "line": cache.line}
    return values | _unless({"replacement": "lru"}, cache)


def _memory(memory: Memory) -> dict[str, Any]:
    values = {"name": memory.name, "start": memory.start, "size": size_text(memory.size), "holds": memory.holds}
    values |= _unless({"role": None, "external": False}, memory)
    values |= {"path": path_value(memory.path)}
    values |= {"aliases": list(memory.aliases)} if memory.aliases else {}
    return values | _unless({"reads_at": None, "fetches_at": None}, memory)


def _setup(change: Setup) -> dict[str, Any]:
    return {"address": change.address, **_unless({"clear": 0}, change), "value": change.value, "why": change.why}


def _debug(debug: Debug) -> dict[str, Any]:
    return {f.name: value for f in fields(debug) if (value := getattr(debug, f.name)) is not None}


# --- text ---------------------------------------------------------------------------------------------------------------


def toml(values: Mapping[str, Any]) -> str:
    """A table as text: its own keys, its tables, its arrays of tables."""
    return "\n".join(_lines(values)) + "\n"


def _lines(values: Mapping[str, Any], within: str = "") -> Iterator[str]:
    for key, value in values.items():
        if not _is_section(key, value):
            yield f"{key} = {_value(key, value)}"
    for key, value in values.items():
        if _is_section(key, value):
            name = f"{within}{key}"
            for table in value if isinstance(value, list) else [value]:
                yield ""
                yield f"[[{name}]]" if isinstance(value, list) else f"[{name}]"
                yield from _lines(table, f"{name}.")


def _is_section(key: str, value: object) -> bool:
    """Whether it has lines of its own; the path of a memory has one, and so has a condition."""
    return (isinstance(value, dict) and key not in ON_ONE_LINE) or (
        isinstance(value, list) and any(isinstance(v, dict) for v in value)
    )


def _value(key: str, value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{k} = {_value(k, v)}' for k, v in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(_value(key, v) for v in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and key not in DECIMAL:
        return f"0x{value:08X}"
    return json.dumps(value, ensure_ascii=False)
