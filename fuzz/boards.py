"""Descriptions of boards: `python -m fuzz.boards --cases 20000 --seed 1`.

Every case is the TOML of a board of smelt, or of one at random, most of them mutated: values, keys, types, tables, bytes. Whatever
comes, it is refused with an OptionError that names the file and, where it is TOML at all, the key; or it is a board, whose own
description reads back as an equal one, and for which start-up code and linker script can be written.
"""

from __future__ import annotations

import copy
import random
import re
import sys
from typing import Any

from fuzz.harness import Case, Finding, Fuzzer, main
from fuzz.mutations import spoilt
from smelt.errors import OptionError
from smelt.firmware.linker import board_header, linker_script
from smelt.targets.board_file import board_of, board_text, parse_board
from smelt.targets.board_text import board_table, toml
from smelt.targets.boards import BOARDS, CLUSTERS
from smelt.targets.toml_table import BadKey
from smelt.targets.types import Board

FILE = "x.toml"
CORES = ("cortex_m0plus", "cortex_m3", "cortex_m4", "cortex_m33", "cortex_m7")
LEAST_SHARED, MOST_SHARED = 8 << 10, 60 << 10
ODD: tuple[Any, ...] = (
    True, False, 0, -1, 1, 3, 4096, 1.5, 1e300, float("nan"), 2**31, 2**32, 2**64, 10**400, 0x20000000, 0x08000000, 0xC0000000,
    0xE000E000, "", "64K", "1M", "0K", "K", "flash", "data", "code", "main", "external", "no wait", "x" * 300, "*/", "\n", "ä",
    "../x", [], {}, [1], [{}], {"first": 1}, {"first": -1},
)  # fmt: skip
WORDS = (
    b"[[memories]]",
    b"=",
    b'"',
    b"\n",
    b"[",
    b"{",
    b"}",
    b"0x",
    b"'''",
    b"memories",
    b"[" * 3000,
    b"9" * 5000,
    b"\0",
    b"\xff",
)
PART = r"(\w+|['\"][^\n]{1,70}?)(\[\d+\])?"
KEY = re.compile(rf"{PART}(\.{PART})*: .", re.DOTALL)


def random_values(dice: random.Random) -> dict[str, Any]:
    """The values of a board that can be: one core, flash, one to three RAMs, and in a third of all memories outside of the chip."""
    core = dice.choice(CORES)
    first, second, third = sorted(dice.choice((0, 0, 1, 4, 9, 20)) for _ in range(3))
    line = {
        "name": "cache",
        "size": f"{dice.choice((1, 4, 16))}K",
        "ways": dice.choice((1, 2, 4)),
        "line": dice.choice((8, 16, 32)),
    }
    cached = dice.random() < 0.6
    more: dict[str, Any] = {"data": "cache"} if cached else {}

    def path(wait: int) -> dict[str, Any] | str:
        return (
            "no wait"
            if wait == 0
            else {"first": wait, "line": wait + dice.randrange(9), "busy": dice.randrange(9), **more}
        )

    def ram(name: str, start: int, wait: int, role: str, least: int = 1) -> dict[str, Any]:
        size = f"{4 * dice.choice((least, 2, 3, 8, 16, 40, 128))}K"
        return {"name": name, "start": start, "size": size, "holds": "data", "role": role, "path": path(wait)}

    outside = dice.random() < 0.35
    flash = 256 if outside and dice.random() < 0.6 else 4096
    memories = [
        {
            "name": "flash",
            "start": 0x08000000,
            "size": f"{flash}K",
            "holds": "code",
            "path": path(dice.choice((3, 9, 20))),
        },
        ram("first", 0x20000000, first, "main", least=3),
        *[ram("second", 0x24000000, second, "extra")][: dice.randrange(2)],
        *[ram("third", 0x30000000, third, "extra2")][: dice.randrange(2)],
    ]
    if outside:
        start = 0xC0000000 if core in ("cortex_m3", "cortex_m4", "cortex_m7") else 0x60000000
        memories.append(ram("sdram", start, 60, "external") | {"size": "8M", "external": True})
        qspi = {"name": "qspi", "start": 0x90000000, "size": "16M", "holds": "code", "external": True, "path": path(99)}
        memories.append(qspi)
    values = {"name": "random", "title": "A board at random", "core": core, "clock_hz": dice.randint(10**6, 10**9)}
    used = any(isinstance(m["path"], dict) for m in memories)
    return {**values, "caches": [line] if cached and used else [], "memories": memories}


def random_board(dice: random.Random) -> Board:
    """A board that can be."""
    return board_of(random_values(dice))


def cluster_at_random(dice: random.Random) -> tuple[Board, dict[str, int]]:
    """A board of a chip with a cluster, and how many bytes of what its cores share may be taken: 8 to 60 KB."""
    board = dice.choice(CLUSTERS)
    assert board.chip.cluster is not None
    return board, {board.chip.cluster.memory: dice.randrange(LEAST_SHARED, MOST_SHARED + 1, 16)}


def _mutated(values: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """The same with other values, without some, with keys of other names."""
    values = copy.deepcopy(values)
    for _ in range(dice.choice((1, 1, 2, 5))):
        place: Any = values
        while (inner := [v for v in _items(place) if isinstance(v, dict | list) and v]) and dice.random() < 0.75:
            place = dice.choice(inner)
        key = dice.choice(list(place) if isinstance(place, dict) else range(len(place))) if place else None
        if key is None:
            continue
        if isinstance(place, dict) and dice.random() < 0.3:
            place[dice.choice((*place, "more", f"{key}s"))] = place.pop(key)
        else:
            place[key] = copy.deepcopy(dice.choice((*ODD, place[key])))
    return values


def _items(place: dict[str, Any] | list[Any]) -> list[Any]:
    return list(place.values()) if isinstance(place, dict) else list(place)


def read(dice: random.Random, case: Case) -> Board | str:
    """A board that is described somehow, or why it is refused: "x.toml: key: reason" for what is TOML. Raises Finding for a board
    that can be and is refused."""
    values = random_values(dice) if dice.random() < 0.6 else board_table(dice.choice(BOARDS)) | {"name": "mine"}
    kind, text = dice.randrange(4), toml(values).encode()
    if kind == 0:
        return parse_board(text, FILE)
    try:
        if kind == 1:
            return parse_board(case.write(spoilt(text, dice, WORDS, dice.randint(1, 6)), ".toml").read_bytes(), FILE)
        return board_of(_mutated(values, dice))
    except BadKey as error:
        return f"{FILE}: {error}"
    except OptionError as error:
        return str(error)


def attempt(case: Case) -> str:
    """Read one description, as commands do."""
    found = read(case.dice, case)
    if isinstance(found, Board):
        if parse_board(board_text(found).encode(), FILE) != found:
            raise Finding("its own description is another board")
        if "$" in linker_script(found) or not board_header(found):
            raise Finding("a linker script that is not complete")
        return "a board"
    if not found.startswith(FILE) or len(found) > 2000:
        raise Finding(f"an error without the file, or a long one: {found[:200]}")
    if not found.startswith(f"{FILE}: "):
        return "refused: no TOML"
    if not KEY.match(found.removeprefix(f"{FILE}: ")):
        raise Finding(f"an error without a key: {found[:200]}")
    return "refused: a key"


if __name__ == "__main__":
    sys.exit(main(Fuzzer("boards", __doc__ or "", attempt, cases=20_000, seconds=5.0)))
