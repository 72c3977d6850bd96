"""How values print: `str` and `repr` in a screenful at most, `in_full()` whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import fields, is_dataclass
from html import escape
from typing import Any

from smelt.errors import shown

MOST = 1900  # characters of `str`, beside the line that says what is left out
MOST_REPR = 500
MOST_VALUE = 100
FEW = 4  # values that are shown one by one
MOST_ROWS = 100


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

    def _repr_html_(self) -> str:
        """What notebooks show: a noun that has a text of its own as that; of others the fields, those that hold several nouns as
        tables."""
        if type(self).in_full is not Noun.in_full:
            return f"<pre>{escape(str(self))}</pre>"
        noun: Any = self
        rows, tables = [], []
        for field in (f for f in fields(noun) if f.repr):
            value = getattr(noun, field.name)
            if isinstance(value, tuple) and value and all(is_dataclass(v) and type(v) is type(value[0]) for v in value):
                tables.append(_html_table(f"{field.name} ({len(value):,})", value[:MOST_ROWS]))
            else:
                rows.append((field.name, _value(value)))
        return "".join([_html_rows(type(self).__name__, rows), *tables])


def clipped(text: str, most: int = MOST) -> str:
    """At most about `most` characters of a text, whole lines where it has several; what is left out is counted."""
    text = shown(text)
    if len(text) <= most:
        return text
    kept = text[:most].rpartition("\n")[0] or text[:most]
    more = f"... ({len(text) - len(kept):,} more characters)"
    return f"{kept}\n{more}" if "\n" in kept else f"{kept}{more}"


def _html_table(caption: str, nouns: Sequence[Any]) -> str:
    """A row for each of some dataclasses of one kind."""
    names = [field.name for field in fields(nouns[0]) if field.repr]
    cells = [[_value(getattr(noun, name)) for name in names] for noun in nouns]
    return _html_rows(caption, cells, names)


def _html_rows(caption: str, rows: Sequence[Sequence[str]], head: Sequence[str] = ()) -> str:
    lines = [f"<tr>{''.join(f'<th>{escape(h)}</th>' for h in head)}</tr>"] if head else []
    lines += [f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows]
    return f"<table><caption>{escape(caption)}</caption>{''.join(lines)}</table>"


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
