"""How the benchmarks print: a table on a terminal, or in Markdown for the README."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], markdown: bool = False, width: int = 190):
    """Print rows of cells under their headings."""
    if markdown:
        for line in (columns, ("---",) * len(columns), *rows):
            print("| " + " | ".join(line) + " |")
        return
    table = Table(*columns, title=title)
    for line in rows:
        table.add_row(*line)
    Console(width=width).print(table)


def add_options(parser, boards: Iterable[str], models: Iterable[str]) -> None:
    """The options of every benchmark that goes through models on boards."""
    parser.add_argument("--boards", default=",".join(boards), type=_names, help="Just these, such as a,b.")
    parser.add_argument("--models", default=",".join(models), type=_names, help="Just these, such as IC,KWS.")


def _names(text: str) -> list[str]:
    return text.split(",")
