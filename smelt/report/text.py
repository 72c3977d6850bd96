"""Text on its way to the terminal: shown without control characters, in the stream's encoding, broken between words.

Imports little, since the command line needs it for every answer.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress

import click

from smelt.errors import shown

GAP = 2  # columns between those of a table


def emit(text: str) -> None:
    """Print to standard output, with a line end."""
    click.echo(_encodable(text, sys.stdout))


def complain(text: str) -> None:
    """Print to standard error; where that is closed or full, nothing."""
    with suppress(OSError, ValueError):
        click.echo(_encodable(fitted(shown(text)), sys.stderr), err=True)


def _encodable(text: str, stream: object) -> str:
    """What the encoding of a stream lacks, as escapes: click would write UTF-8 to an ASCII stream."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def width() -> int | None:
    """The columns of the terminal; None for pipes and files, which get lines as long as they need."""
    return shutil.get_terminal_size((0, 0)).columns or None


def fitted(text: str, columns: int | None = None) -> str:
    """Lines broken between words, continued with a deeper indentation. Words that are longer than a line stay whole."""
    columns = columns or width()
    return text if columns is None else "\n".join(_broken(line, columns) for line in text.split("\n"))


def _broken(line: str, columns: int) -> str:
    if cells(line) <= columns:
        return line
    indent = " " * (len(line) - len(line.lstrip()))
    return "\n".join(_wrap(line.lstrip(), columns, indent, f"{indent}  "))


def _wrap(text: str, columns: int, first: str = "", later: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        columns,
        initial_indent=first,
        subsequent_indent=later,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    )


def cells(text: str) -> int:
    """The columns that a text takes up."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = (), most: int | None = None
) -> list[str]:
    """The lines of a table, the heads first; the columns numbered in `right` are aligned to the right.

    A table that does not fit into `most` columns (by default: of the terminal) breaks its cells between words, all but those of
    the first column and of numbers; where that is not enough, every row becomes a paragraph.
    """
    most = most or width()
    natural = [max(map(cells, column)) for column in zip(columns, *rows, strict=True)]
    least = [_longest_word(column) for column in zip(columns, *rows, strict=True)]
    fixed = {0, *right}
    sizes = _sizes(natural, [n if i in fixed else w for i, (n, w) in enumerate(zip(natural, least, strict=True))], most)
    if sizes is None:
        return list(_paragraphs(columns, rows, most or 0))
    return [line for row in (columns, *rows) for line in _row(row, sizes, right)]


def _longest_word(column: Sequence[str]) -> int:
    return max((cells(word) for cell in column for word in cell.split()), default=0)


def _sizes(natural: list[int], least: list[int], most: int | None) -> list[int] | None:
    """The columns' widths: the widest give way first. None where there is no room for the longest words."""
    sizes, gaps = list(natural), GAP * (len(natural) - 1)
    if most is not None:
        if sum(least) + gaps > most:
            return None
        while sum(sizes) + gaps > most:
            widest = max((i for i, size in enumerate(sizes) if size > least[i]), key=lambda i: sizes[i])
            sizes[widest] -= 1
    return sizes


def _row(row: Sequence[str], sizes: Sequence[int], right: Sequence[int]) -> Iterator[str]:
    """The lines of one row."""
    wrapped = [[cell] if cells(cell) <= size else _wrap(cell, size) for cell, size in zip(row, sizes, strict=True)]
    for number in range(max(map(len, wrapped))):
        parts = [cell[number] if number < len(cell) else "" for cell in wrapped]
        padded = [
            " " * (size - cells(part)) + part if i in right else part + " " * (size - cells(part))
            for i, (part, size) in enumerate(zip(parts, sizes, strict=True))
        ]
        yield (" " * GAP).join(padded).rstrip()


def _paragraphs(columns: Sequence[str], rows: Sequence[Sequence[str]], most: int) -> Iterator[str]:
    """Every row as its first cell, and below it the others with their heads."""
    for row in rows:
        yield from fitted(f"{columns[0]} {row[0]}".strip(), most).split("\n")
        for head, cell in zip(columns[1:], row[1:], strict=True):
            if cell:
                yield from fitted(f"  {head}: {cell}", most).split("\n")
