"""How values print: `repr` in a few lines, `str` in a screenful at most, `in_full()` whole; notebooks get tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import fields, is_dataclass
from html import escape
from typing import Any

from smelt.errors import shown

MOST = 1900  # characters of `str`, beside the line that says what is left out
MOST_REPR = 300
MOST_VALUE = 100
FEW = 4  # values that are shown one by one
MOST_ROWS = 100

Table = tuple[str, Sequence[str], Sequence[Sequence[object]]]
"""A caption, what columns are called (nothing where there is nothing to say), rows."""


class Noun:
    """Base of the dataclasses that people print."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.__repr__ = cls.__repr__  # type: ignore[method-assign]  # a dataclass writes its own where the class has none

    def in_full(self) -> str:
        """The whole value, readable: by default a line for each field."""
        return "\n".join([type(self).__name__, *(f"  {name}: {value}" for name, value in _values(self))])

    def in_brief(self) -> str:
        """What it is, in a line: by default the first one of a text of its own; nothing where there is none."""
        return self.in_full().partition("\n")[0] if type(self).in_full is not Noun.in_full else ""

    def as_tables(self) -> Iterator[Table]:
        """What notebooks show instead of a text: by default, of a noun that has no text of its own, its fields, those that hold
        several nouns as tables of their own."""
        if type(self).in_full is not Noun.in_full:
            return
        noun: Any = self
        rows: list[Sequence[object]] = []
        tables: list[Table] = []
        for field in (f for f in fields(noun) if f.repr):
            value = getattr(noun, field.name)
            if isinstance(value, tuple) and value and all(is_dataclass(v) and type(v) is type(value[0]) for v in value):
                tables.append(_table(f"{field.name} ({len(value):,})", value))
            else:
                rows.append((field.name, value))
        yield self.in_brief() or type(self).__name__, (), rows
        yield from tables

    def __str__(self) -> str:
        return clipped(self.in_full())

    def __repr__(self) -> str:
        if brief := self.in_brief():
            return f"<{clipped(brief, MOST_REPR)}>"
        return clipped(f"{type(self).__name__}({', '.join(f'{n}={v}' for n, v in _values(self))})", MOST_REPR)

    def _repr_html_(self) -> str:
        return "".join(_html(*table) for table in self.as_tables()) or f"<pre>{escape(str(self))}</pre>"


def clipped(text: str, most: int = MOST) -> str:
    """At most about `most` characters of a text, whole lines where it has several; what is left out is counted."""
    text = shown(text)
    if len(text) <= most:
        return text
    kept = text[:most].rpartition("\n")[0] or text[:most]
    more = f"... ({len(text) - len(kept):,} more characters)"
    return f"{kept}\n{more}" if "\n" in kept else f"{kept}{more}"


def _table(caption: str, nouns: Sequence[Any]) -> Table:
    """A row for each of some dataclasses of one kind."""
    names = [field.name for field in fields(nouns[0]) if field.repr]
    return caption, names, [[getattr(noun, name) for name in names] for noun in nouns]


def _html(caption: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [f"<tr>{''.join(f'<th>{escape(h)}</th>' for h in head)}</tr>"] if head else []
    lines += [f"<tr>{''.join(f'<td>{escape(_cell(value))}</td>' for value in row)}</tr>" for row in rows[:MOST_ROWS]]
    if len(rows) > MOST_ROWS:
        lines.append(f"<tr><td>... and {len(rows) - MOST_ROWS:,} more</td></tr>")
    return f"<table><caption>{escape(shown(caption))}</caption>{''.join(lines)}</table>"


def _cell(value: object) -> str:
    """As people read it: texts without quotes, large numbers in groups, nothing for None."""
    if isinstance(value, str):
        return clipped(value, MOST_VALUE)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.6g}"
    if isinstance(value, Noun) and (brief := value.in_brief()):
        return clipped(brief, MOST_REPR)
    return "" if value is None else _value(value)


def _values(noun: Any) -> Iterator[tuple[str, str]]:
    """The fields that are shown, each in a few characters."""
    return ((field.name, _value(getattr(noun, field.name))) for field in fields(noun) if field.repr)


def _value(value: Any) -> str:
    if isinstance(value, bytes | bytearray):
        return f"<{len(value):,} bytes>"
    if isinstance(value, Noun):
        return clipped(repr(value), MOST_VALUE)
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"<{value.dtype} array of shape {tuple(value.shape)}>"
    if isinstance(value, Mapping | tuple | list | set | frozenset) and isinstance(value, Sized) and len(value) > FEW:
        return f"<{len(value):,} {'entries' if isinstance(value, Mapping) else 'values'}>"
    if isinstance(value, tuple):
        return f"({', '.join(map(_value, value))}{',' if len(value) == 1 else ''})"
    return clipped(repr(value) if not isinstance(value, str) else repr(value[: 2 * MOST_VALUE]), MOST_VALUE)
