"""What the scheduler decided about a routine, kept: looking for good orders takes seconds, to follow what was found a moment.

`orders.json.gz` beside this file holds the decisions about smelt's own routines (`python -m dev.orders` writes it). A decision is
found by a digest of the routine, the core's timing, and the text of the scheduler: what was decided otherwise is never found, and
decided anew.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from importlib.resources import files

from smelt.loops.assembly.ir import Code, Instruction
from smelt.loops.assembly.timing import Timing

FILE = "orders.json.gz"
Numbers = tuple[int, ...]
"""Instructions by where they stood."""


@dataclass(frozen=True)
class Turn:
    """Of a loop: what runs ahead of it, and the order of a turn."""

    ahead: Numbers
    order: Numbers


@dataclass(frozen=True)
class Decisions:
    """The turns of loops by label, and the orders of blocks by number; or that all stays `as_written`."""

    turns: Mapping[str, Turn] = field(default_factory=dict)
    orders: Mapping[int, Numbers] = field(default_factory=dict)
    as_written: bool = False


def numbers_of(chosen: Iterable[Instruction], body: Sequence[Instruction]) -> Numbers:
    """Where each of `chosen` stands in `body`; equal ones are taken in turn."""
    places: dict[Instruction, list[int]] = {}
    for number, one in reversed([*enumerate(body)]):
        places.setdefault(one, []).append(number)
    return tuple(places[one].pop() for one in chosen)


def key_of(code: Code, timing: Timing) -> str:
    """By what decisions about a routine on a core are found."""
    values = (getattr(timing, f.name) for f in fields(timing))
    texts = (repr(sorted(v)) if isinstance(v, frozenset) else repr(v) for v in values)
    return _digest((_scheduler(), repr(code), *texts))


def kept(code: Code, timing: Timing) -> Decisions | None:
    """What is kept about a routine on a core."""
    return _all().get(key_of(code, timing))


def packed(found: Mapping[str, Decisions]) -> bytes:
    """The content of the file, the same bytes for the same decisions."""
    text = json.dumps({key: asdict(found[key]) for key in sorted(found)}, separators=(",", ":"))
    return gzip.compress(text.encode(), mtime=0)


@cache
def _all() -> dict[str, Decisions]:
    stored = files("smelt.loops.assembly") / FILE
    if not stored.is_file():
        return {}
    values = json.loads(gzip.decompress(stored.read_bytes()))
    return {
        key: Decisions(
            {label: Turn(tuple(t["ahead"]), tuple(t["order"])) for label, t in value["turns"].items()},
            {int(number): tuple(order) for number, order in value["orders"].items()},
            value["as_written"],
        )
        for key, value in values.items()
    }


@cache
def _scheduler() -> str:
    """A digest of what decides: this package."""
    own = sorted((f for f in files("smelt.loops.assembly").iterdir() if f.name.endswith(".py")), key=lambda f: f.name)
    return _digest(f.read_text("utf-8") for f in own)


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
