"""`smelt plan` in the terminal: memory over time as a chart, the peak, the bound, what budgets buy."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from smelt.report.curve import show_points
from smelt.report.plan_view import MemoryView, PlanView
from smelt.report.terminal import line, table
from smelt.report.text import emit, width

HEIGHT = 8
"""Lines of a chart."""

WIDEST = 100
"""Columns of a chart, where the terminal has them."""

LABEL = 10
"""Columns of what stands beside a chart."""

MOST_PARTS = 8

EIGHTHS = " ▁▂▃▄▅▆▇█"


def show_plan(view: PlanView, page: Path | None) -> None:
    """Totals, a chart of each memory, the peak, the bound, what lies in the memories, what budgets buy."""
    about = "about " if view.estimated_steps else ""
    line(
        f"{view.model} on {view.board}, for {view.goal}: {len(view.steps)} steps, {about}{view.cycles:,} cycles expected"
    )
    line(
        f"RAM {view.ram_bytes:,} bytes{_of(view.max_ram)}, flash {view.flash_bytes:,} bytes{_of(view.max_flash)}; "
        "stack and code are estimates"
    )
    for memory in view.memories:
        if memory.arena:
            line()
            line(f"{memory.name}: bytes of tensors and scratch alive at each step")
            emit(_colored(chart(memory.alive, _columns(), _blocks())))
    line()
    line("\n".join(view.peak.lines(MOST_PARTS)))
    line()
    line(_bound(view))
    line()
    rows = [_memory_row(view, memory) for memory in view.memories]
    table("", ("memory", "tensors and scratch", "tables", "other", "bytes", "of"), rows, right=(1, 2, 3, 4, 5))
    if view.points:
        line()
        show_points("What each budget would buy", view.points)
    if page is not None:
        line(f"written to {page}")


def _of(budget: int | None) -> str:
    return "" if budget is None else f" of {budget:,}"


def _bound(view: PlanView) -> str:
    more = view.tensor_bytes - view.bound
    if more <= 0:
        return f"Buffers take {view.tensor_bytes:,} bytes, which is the bound: no plan of these steps needs less."
    return (
        f"Buffers take {view.tensor_bytes:,} bytes: {more:,} ({more / max(view.bound, 1):.1%}) above the bound of {view.bound:,}, "
        "below which no plan of these steps can go."
    )


def _memory_row(view: PlanView, memory: MemoryView) -> tuple[str | int, ...]:
    mine = [box for box in view.boxes if box.memory == memory.name]
    tables = sum(box.size for box in mine if box.kind == "table")
    return memory.name, memory.arena, tables, memory.used - memory.arena - tables, memory.used, memory.bytes


def _columns() -> int:
    return max(min(width() or WIDEST, WIDEST) - LABEL - 2, 20)


def _blocks() -> str:
    """What bars are drawn with: full blocks only where the stream's encoding has no others, and then in ASCII."""
    try:
        EIGHTHS.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return " #"
    return EIGHTHS


def chart(alive: Sequence[int], columns: int, blocks: str) -> list[str]:
    """The lines of a chart of bytes over time, the highest first; below them the numbers of steps. Where there are more times than
    columns, a column is the most of several."""
    bars = [max(alive[first:last]) for first, last in _groups(len(alive), columns)]
    most, part = max(max(bars), 1), max(columns // len(bars), 1)
    part = min(part, 4)
    full = len(blocks) - 1
    lines = []
    for row in range(HEIGHT, 0, -1):
        levels = [min(max(round(bar / most * HEIGHT * full) - (row - 1) * full, 0), full) for bar in bars]
        label = f"{most * row // HEIGHT:,}" if row in (HEIGHT, HEIGHT // 2) else ""
        lines.append(f"{label:>{LABEL}} |{''.join(blocks[level] * part for level in levels)}")
    return [*lines, f"{'step':>{LABEL}} |{_numbers(len(alive), columns, part)}"]


def _groups(times: int, columns: int) -> Iterator[tuple[int, int]]:
    """The times of each column, as (first, one after the last)."""
    count = min(times, columns)
    return ((n * times // count, (n + 1) * times // count) for n in range(count))


def _numbers(times: int, columns: int, part: int) -> str:
    """Numbers of steps below the columns in which they are, with room between them."""
    text, groups = "", list(_groups(times, columns))
    for column, (first, _) in enumerate(groups):
        place, number = column * part, str(first - 1)
        room = (not text or place >= len(text) + 2) and place + len(number) <= len(groups) * part
        if 1 <= first < times - 1 and room:
            text = text.ljust(place) + number
    return text


def _colored(lines: Sequence[str]) -> str:
    """The chart for the terminal: the peak stands out."""
    console = Console(highlight=False, soft_wrap=True)
    text = Text("\n".join(lines))
    text.highlight_regex(f"[{EIGHTHS[1:]}]", "cyan")
    text.highlight_regex(r"^ *[\d,]+ (?=\|)", "bold")
    with console.capture() as shown:
        console.print(text, end="")
    return shown.get()
