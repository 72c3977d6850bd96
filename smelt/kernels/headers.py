"""The C that kernels are written in, `support/smelt_*.h`: which of the headers a piece of C needs.

A header says itself which functions it defines by name; a routine says which header it is in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

from smelt.kernels.routines import ROUTINES
from smelt.targets.intrinsics import ADD_DOT, SMLAD
from smelt.targets.types import Core

BASE = "smelt_kernels.h"
INSTRUCTIONS = "smelt_dsp.h"
XPULP = "smelt_xpulp.h"


@cache
def all_headers() -> Mapping[str, str]:
    """All there are: file name -> text."""
    support = files("smelt.kernels") / "support"
    return {file.name: file.read_text("utf-8") for file in sorted(support.iterdir(), key=lambda f: f.name)}


def needed(code: str, core: Core) -> tuple[str, ...]:
    """The headers that `code`, kernels for `core`, must include. Instructions are wanted where the core has them."""
    names = set(re.findall(r"\b(?:smelt_|SMELT_|mem(?=cpy|set))(\w+)", code))
    found = [
        h for h in all_headers() if h not in (BASE, INSTRUCTIONS, XPULP) and names & (_routines(h) | _functions(h))
    ]
    if core.has(SMLAD.name) and names & _functions(INSTRUCTIONS):
        found.insert(0, INSTRUCTIONS)
    if core.has(ADD_DOT.name) and names:
        found.insert(0, XPULP)
    return tuple(found) or ((BASE,) if names else ())


def with_included(headers: Iterable[str]) -> dict[str, str]:
    """`headers` and what they include: file name -> text."""
    texts: dict[str, str] = {}
    waiting = list(headers)
    while waiting:
        name = waiting.pop()
        if name not in texts:
            texts[name] = all_headers()[name]
            waiting += included(texts[name])
    return dict(sorted(texts.items()))


def includes(headers: Iterable[str]) -> str:
    """The lines of C that include them."""
    return "\n".join(f'#include "{name}"' for name in headers)


def included(code: str) -> tuple[str, ...]:
    """The headers that `code` includes itself."""
    found = re.findall(r'^\s*#\s*include\s*"(smelt_\w+\.h)"', code, re.MULTILINE)
    return tuple(name for name in found if name in all_headers())


@cache
def _routines(header: str) -> frozenset[str]:
    """The routines whose portable bodies are in a header."""
    return frozenset(r.name for r in ROUTINES if r.source == header)


@cache
def _functions(header: str) -> frozenset[str]:
    """What a header defines by name, without the prefix."""
    return frozenset(re.findall(r"^SMELT_(?:INLINE|SHARED) \w+ smelt_(\w+)\(", all_headers()[header], re.MULTILINE))
