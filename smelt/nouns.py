"""How values print: `str` and `repr` in a screenful at most, `in_full()` whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sized
from dataclasses import fields
from typing import Any

from smelt.errors import shown

MOST = 1900  # characters of `str`, beside the line that says what is left out
MOST_REPR = 500
MOST_VALUE = 100
FEW = 4  # values that are shown one by one


class Noun:
    """Base of the dataclasses that people print."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.__repr__ = cls.__repr__  # type: ignore[method-assign]  # a dataclass writes its own where the class has none

    def in_full(self) -> str:
        """The whole value, readable: by default a line for each field."""
        return "\n".join([type(self).__name__, *(f"  {name}: {value}" for name, value in _values(self))])

    def __str__(self) -> str:
        return clipped(self.in_full())

    def __repr__(self) -> str:
        return clipped(f"{type(self).__name__}({', '.join(f'{n}={v}' for n, v in _values(self))})", MOST_REPR)


def clipped(text: str, most: int = MOST) -> str:
    """At most about `most` characters of a text, whole lines where it has several; what is left out is counted."""
    text = shown(text)
    if len(text) <= most:
        return text
    kept = text[:most].rpartition("\n")[0] or text[:most]
    more = f"... ({len(text) - len(kept):,} more characters)"
    return f"{kept}\n{more}" if "\n" in kept else f"{kept}{more}"


def _values(noun: Any) -> Iterator[tuple[str, str]]:
    """The fields that are shown, each in a few characters."""
    return ((field.name, _value(getattr(noun, field.name))) for field in fields(noun) if field.repr)


def _value(value: Any) -> str:
    if isinstance(value, bytes | bytearray):
        return f"<{len(value):,} bytes>"
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"<{value.dtype} array of shape {tuple(value.shape)}>"
    if isinstance(value, Mapping | tuple | list | set | frozenset) and isinstance(value, Sized) and len(value) > FEW:
        return f"<{len(value):,} {'entries' if isinstance(value, Mapping) else 'values'}>"
    return clipped(repr(value) if not isinstance(value, str) else repr(value[: 2 * MOST_VALUE]), MOST_VALUE)
