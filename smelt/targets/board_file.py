"""Boards as TOML: the text of a file -> `Board`, and any `Board` -> text that reads back as an equal one.

What may be wrong with a board as a whole, memories that overlap for example, is in `board_rules.py`; docs/boards.md describes the
format.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, get_args

from smelt.errors import OptionError, printable
from smelt.targets.board_rules import check_board, priced_like
from smelt.targets.board_text import (
    BUSES,
    NO_WAIT,
    board_table,
    path_value,
    toml,
)
from smelt.targets.boards import BOARDS
from smelt.targets.dma_file import parse_dma
from smelt.targets.registers_file import parse_clock, parse_pin, parse_uart
from smelt.targets.toml_table import BadKey, Table
from smelt.targets.types import (
    MB,
    Board,
    Cache,
    Chip,
    Contents,
    Core,
    Debug,
    Dma,
    Memory,
    Path,
    Replacement,
    Role,
    Setup,
)

LARGEST = 256 * MB  # of a memory
LONGEST_WAIT = 100_000  # cycles
TOP = (
    ("name", "title", "core", "clock_hz", "memories"),
    ("chip", "caches", "setup", "debug", "double_precision", "linker_script", "debug_registers", "boot_bytes",
     "dma", "picojoules_per_cycle", "qemu", "flasher", "clock", "uart", "pin"),
)  # fmt: skip
MEMORY = (("name", "start", "size", "holds"), ("role", "external", "path", "aliases", "reads_at", "fetches_at"))
PATH = (("first",), ("line", "busy", "prefetch", "instructions", "data", "bus"))
CACHE = (("name", "size", "ways", "line"), ("replacement",))
CLOCKS = tuple({b.clock.interface: 0 for b in BOARDS if b.clock})
SETUP = (("address", "value", "why"), ("clear",))


def parse_board(data: bytes, file: str) -> Board:
    """The board that the content of a TOML file describes. Raises OptionError, which names the file and the key."""
    name = printable(file)
    try:
        values = tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise OptionError(f"{name} is no description of a board: it is not text") from None
    except (
        ValueError,
        RecursionError,
    ) as error:  # ValueError: tomllib's own, and Python's for numbers of too many digits
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise OptionError(f"{name} is no TOML: {reason}") from None
    try:
        return board_of(values)
    except BadKey as error:
        raise OptionError(f"{name}: {error}") from None


def board_text(board: Board) -> str:
    """The board as TOML."""
    return toml(board_table(board))


def board_of(values: Mapping[str, Any]) -> Board:
    """The board that a parsed file describes. Raises BadKey."""
    top = Table(values)
    top.check_keys(*TOP)
    core = _core(top)
    caches = _caches(top)
    memories = tuple(_memory(table, caches, core) for table in top.tables("memories"))
    name = top.word("name")
    board = Board(
        name=name,
        title=top.text("title"),
        chip=Chip(
            name=top.text("chip") if "chip" in values else name,
            core=core,
            memories=memories,
            setup=tuple(map(_setup, top.tables("setup"))),
            linker_script=top.choice("linker_script", tuple({b.chip.linker_script: 0 for b in BOARDS}), "flash.ld"),
            double_precision=top.flag("double_precision"),
            debug_registers=top.flag("debug_registers", True),
            debug=_debug(top.table("debug")) if "debug" in values else None,
            dma=tuple(_dma(table, memories) for table in top.tables("dma")),
            boot_bytes=top.integer("boot_bytes", 0, 16 * MB, 0),
        ),
        clock_hz=top.integer("clock_hz", 1000, 10**10),
        picojoules_per_cycle=top.number("picojoules_per_cycle", 0.001, 1e6),
        qemu=top.word("qemu", pattern=r"[a-z0-9][a-z0-9_.-]{0,39}") if "qemu" in values else None,
        flasher=top.text("flasher") if "flasher" in values else None,
        clock=parse_clock(top.table("clock"), CLOCKS) if "clock" in values else None,
        uart=parse_uart(top.table("uart")) if "uart" in values else None,
        pin=parse_pin(top.table("pin")) if "pin" in values else None,
    )
    check_board(board, caches, BOARDS)
    return board


def _core(top: Table) -> Core:
    known = {b.core.name: b.core for b in BOARDS}
    return known[top.choice("core", tuple(known))]


def _caches(top: Table) -> dict[str, Cache]:
    found: dict[str, Cache] = {}
    for table in top.tables("caches"):
        table.check_keys(*CACHE)
        name = table.word("name", pattern=r"[a-z][a-z0-9_-]{0,39}")
        if name in found:
            raise table.wrong("name", f"there are two caches called {name}")
        found[name] = _cache(table, name)
    return found


def _cache(table: Table, name: str) -> Cache:
    size, ways, line = table.size("size", 16 * MB), table.integer("ways", 1, 64), table.integer("line", 4, 4096)
    if line & (line - 1):
        raise table.wrong("line", f"{line} is no power of two")
    sets, rest = divmod(size, ways * line)
    if rest or sets & (sets - 1):
        raise table.wrong("size", f"{size} bytes are not {ways} ways of a power of two of lines of {line} bytes")
    return Cache(name, size, ways, line, _literal(table, "replacement", Replacement, "lru"))


def _memory(table: Table, caches: Mapping[str, Cache], core: Core) -> Memory:
    table.check_keys(*MEMORY)
    holds: Contents = _literal(table, "holds", Contents)
    external, size = table.flag("external"), table.size("size", LARGEST)
    if "path" not in table.values:
        where, like = priced_like(BOARDS, core, holds, external, size)
        example = toml({"path": path_value(like.path)}).strip()
        raise table.wrong(
            "path",
            "is missing: what the core waits for a memory is never taken as nothing. The nearest example, "
            f'{like.name} of {where.name}, has {example}; a memory that answers at once has path = "{NO_WAIT}"',
        )
    return Memory(
        name=table.word("name", pattern=r"[a-z][a-z0-9_]{1,23}"),
        start=table.address("start"),
        size=size,
        holds=holds,
        role=_literal(table, "role", Role) if "role" in table.values else None,
        path=_path(table, caches),
        aliases=table.addresses("aliases"),
        reads_at=table.address("reads_at") if "reads_at" in table.values else None,
        fetches_at=table.address("fetches_at") if "fetches_at" in table.values else None,
        external=external,
    )


def _path(memory: Table, caches: Mapping[str, Cache]) -> Path:
    if isinstance(memory.values["path"], str):
        memory.choice("path", (NO_WAIT,))
        return Path()
    table = memory.table("path")
    table.check_keys(*PATH)
    first = table.integer("first", 0, LONGEST_WAIT)
    path = Path(
        first=first,
        line=table.integer("line", 0, LONGEST_WAIT, first),
        busy=table.integer("busy", 0, LONGEST_WAIT, 0),
        prefetch=table.flag("prefetch"),
        instructions=_named_cache(table, "instructions", caches),
        data=_named_cache(table, "data", caches),
        bus=BUSES.index(table.choice("bus", BUSES, BUSES[0])),
    )
    if path.data and path.line < path.first:
        raise table.wrong(
            "line", f"{path.line} is less than first, {first}: a line behind a cache for data takes no less"
        )
    return path


def _named_cache(table: Table, name: str, caches: Mapping[str, Cache]) -> Cache | None:
    if name not in table.values:
        return None
    if not caches:
        raise table.wrong(name, "there are no [[caches]]")
    return caches[table.choice(name, tuple(caches))]


def _setup(table: Table) -> Setup:
    table.check_keys(*SETUP)
    clear = table.address("clear") if "clear" in table.values else 0
    return Setup(table.address("address"), table.address("value"), clear, table.text("why"))


def _dma(table: Table, memories: tuple[Memory, ...]) -> Dma:
    interfaces = tuple({dma.interface: 0 for b in BOARDS for dma in b.chip.dma})
    return parse_dma(table, interfaces, memories, tuple(map(_setup, table.tables("setup"))))


def _debug(table: Table) -> Debug:
    required = [f.name for f in fields(Debug) if f.default is MISSING]
    numbers = [f.name for f in fields(Debug) if f.name not in ("openocd", "pyocd")]
    table.check_keys(required, [f.name for f in fields(Debug) if f.default is not MISSING])
    values = {name: table.address(name) for name in numbers if name in table.values}
    pyocd = table.word("pyocd") if "pyocd" in table.values else None
    return Debug(**values, openocd=table.word("openocd"), pyocd=pyocd)


def _literal(table: Table, name: str, type: Any, default: str | None = None) -> Any:
    return table.choice(name, get_args(type), default)
