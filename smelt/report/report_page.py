"""The report as a page: one file with everything in it, which needs no network.

All but the drawing of memory is HTML and SVG as they stand, so that numbers can be copied and paper shows the same. Names come from
the model's file and are trusted by nobody: all text goes through `_text`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

from smelt.errors import printable
from smelt.files import write
from smelt.report.plan_page import plan_element, plan_script, plan_style
from smelt.report.story import Layer, Progress, Report

ROW, BOX, LEFT = 44, 34, 96  # of the network's picture: a step's height, its box's, where boxes begin; pixels
PICTURE = 900
CHART = (640, 180)
FEW_POINTS = 4  # less is no curve


def save_report(report: Report, file: Path) -> None:
    """Write the page. Raises BuildError or OptionError where the file cannot be written."""
    write(file, report_page(report).encode("utf-8"))


def report_page(report: Report) -> str:
    """The page, HTML."""
    parts = (_head, _network, _steps, _memory, _flash, _progress, _boards, _origin)
    texts = {
        "TITLE": _text(f"{report.profile.model} on {report.profile.board}"),
        "STYLE": _asset("report.css") + plan_style(),
        "SCRIPT": plan_script(),
        "BODY": "\n".join(part(report) for part in parts),
    }
    before, *after = _asset("report.html").split("@")
    return before + "".join(texts.get(text, text) if n % 2 == 0 else text for n, text in enumerate(after))


def _asset(name: str) -> str:
    return (files("smelt.report") / "pages" / name).read_text(encoding="utf-8")


def _text(value: object) -> str:
    return escape(printable(str(value)))


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _card(title: str, body: str, about: str = "") -> str:
    told = f'<p class="soft">{about}</p>' if about else ""
    return f'<section class="card"><h2>{title}</h2>{told}{body}</section>'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """Cells are HTML; columns of numbers are aligned to the right."""

    def line(tag: str, cells: Sequence[str]) -> str:
        kinds = (' class="number"' if n in numbers else "" for n in range(len(cells)))
        return f"<tr>{''.join(f'<{tag}{k}>{c}</{tag}>' for k, c in zip(kinds, cells, strict=True))}</tr>"

    return f'<div class="wide"><table>{line("th", head)}{"".join(line("td", r) for r in rows)}</table></div>'


def _bar(share: float, least: float | None = None, kind: str = "") -> str:
    mark = "" if least is None else f'<u style="left:{100 * least:.2f}%"></u>'
    return f'<div class="bar"><i class="{kind}" style="width:{100 * share:.2f}%"></i>{mark}</div>'


# --- parts ------------------------------------------------------------------------------------------------------------


def _head(report: Report) -> str:
    p = report.profile
    rate = f"{p.macs / p.cycles:.2f} MAC/cycle" if p.cycles else ""
    energy = None if p.microjoules is None else f"{p.microjoules:,.0f} uJ"
    figures = [
        (f"{p.cycles:,}" if p.cycles else "-", "cycles of one inference, simulated"),
        (f"{p.milliseconds:.2f} ms" if p.milliseconds else "-", f"at {report.plan.clock_hz // 1_000_000} MHz"),
        (rate, f"of at most {report.macs_per_cycle} by the instructions"),
        (f"{p.ram_bytes:,}", "bytes of RAM, measured stack included"),
        (f"{p.flash_bytes:,}", "bytes of flash"),
        (f"{p.macs:,}", "multiply-accumulates"),
        *([(energy, "an inference, derived" if p.derived else "an inference")] if energy else []),
    ]
    cells = "".join(f"<div><b>{_text(b)}</b><span>{_text(s)}</span></div>" for b, s in figures if b)
    return f'<h1>{_text(p.model)} <span class="soft">on {_text(p.board)}</span></h1><div class="figures">{cells}</div>'


def _network(report: Report) -> str:
    """Steps from top to bottom; what does not come from the step above is drawn as an arc at the left."""
    layers = report.layers
    boxes = [_box(n, layer) for n, layer in enumerate(layers)]
    arcs = [_arc(source, n) for n, layer in enumerate(layers) for source in layer.reads_from if source != n - 1]
    downs = [_down(n) for n, layer in enumerate(layers) if n - 1 in layer.reads_from]
    height = ROW * len(layers) + 30
    inputs = ", ".join(_text(b.about) for b in report.plan.boxes if b.kind == "input") or "the input"
    picture = (
        f'<svg viewBox="0 0 {PICTURE} {height}" role="img" aria-label="the network, step by step">'
        f'<text x="{LEFT}" y="14" class="quiet">{inputs}</text>{"".join((*arcs, *downs, *boxes))}</svg>'
    )
    about = "A box is a step: what it computes, of which operators of the file, and what it makes."
    return _card("The network", f'<div class="wide">{picture}</div>', about)


def _box(number: int, layer: Layer) -> str:
    y = 24 + ROW * number
    origin = layer.origin if len(layer.origin) <= 90 else f"{layer.origin[:87]}..."
    return (
        f'<rect x="{LEFT}" y="{y}" width="{PICTURE - LEFT - 4}" height="{BOX}" rx="5"/>'
        f'<text x="{LEFT + 10}" y="{y + 15}">{_text(layer.name)}: {_text(layer.op)}</text>'
        f'<text x="{LEFT + 10}" y="{y + 29}" class="quiet">{_text(origin)}</text>'
        f'<text x="{PICTURE - 14}" y="{y + 15}" text-anchor="end">{_text(", ".join(layer.makes))}</text>'
        f'<text x="{PICTURE - 14}" y="{y + 29}" text-anchor="end" class="quiet">{layer.macs:,} MACs</text>'
    )


def _arc(source: int, target: int) -> str:
    start = 20 if source < 0 else 24 + ROW * source + BOX / 2
    end = 24 + ROW * target + BOX / 2
    x = LEFT - min(LEFT - 10, 14 + 10 * (target - source))
    return (
        f'<path d="M{LEFT} {start} C{x} {start} {x} {end} {LEFT} {end}"/>'
        f'<path class="head" d="M{LEFT - 6} {end - 4} L{LEFT} {end} L{LEFT - 6} {end + 4} Z"/>'
    )


def _down(number: int) -> str:
    x, y = LEFT + 24, 24 + ROW * number
    return f'<path d="M{x} {y - ROW + BOX} L{x} {y}"/><path class="head" d="M{x - 4} {y - 6} L{x} {y} L{x + 4} {y - 6} Z"/>'


def _steps(report: Report) -> str:
    """Where time goes: each step's cycles as a bar, and the least that the core's multipliers would need as a mark."""
    steps = report.profile.steps
    count: Callable[[int], int] = lambda n: steps[n].cycles or steps[n].instructions  # noqa: E731
    most = max((count(n) for n in range(len(steps))), default=1) or 1
    total = sum(count(n) for n in range(len(steps))) or 1
    rows = [
        (
            _text(s.name),
            _bar(count(n) / most, layer.least_cycles / most if layer.macs else None),
            _number(count(n)),
            f"{count(n) / total:.1%}",
            f"{s.macs / count(n):.2f}" if s.macs else "-",
            f"{layer.least_cycles / count(n):.0%}" if s.macs else "-",
            f'<span class="soft how">{_text(s.implementation)}, {_text(s.schedule)}</span>',
        )
        for n, (s, layer) in enumerate(zip(steps, report.layers, strict=True))
    ]
    what = "cycles" if report.profile.cycles else "instructions"
    table = _table(("step", what, "", "share", "MAC/cycle", "of the ceiling", "how"), rows, (2, 3, 4, 5))
    about = (
        f"The mark is the ceiling: the step's MACs at {report.macs_per_cycle} a cycle, what the multipliers can do at best. "
        "Transforms such as Winograd's multiply less often, and may go beyond it."
    )
    return _card("Step by step", table.replace("<td><div", '<td class="bars"><div'), about)


def _memory(report: Report) -> str:
    return f'<section class="card">{plan_element(report.plan)}</section>'


def _flash(report: Report) -> str:
    most = max((use.bytes for use in report.flash), default=1)
    kinds = {"kernel": "kernel", "routine": "routine", "constants": "constants", "other code": "other"}
    rows = [
        (f"<code>{_text(u.name)}</code>", u.use, _bar(u.bytes / most, None, kinds[u.use]), _number(u.bytes))
        for u in report.flash
    ]
    table = _table(("", "what it is", "", "bytes"), rows, (3,))
    return _card("Flash by use", table.replace("<td><div", '<td class="bars"><div'))


def _progress(report: Report) -> str:
    if not report.progress:
        return _card("Tuning", "<p>Not every step has been measured: <code>smelt tune</code> does that.</p>")
    first, last = report.progress[0], report.progress[-1]
    about = (
        f"The sum of the best known ways of all steps fell from {first.cycles:,} to {last.cycles:,} cycles over "
        f"{last.measurements:,} measurements of these steps."
    )
    return _card("Tuning", _curve(report.progress) if len(report.progress) >= FEW_POINTS else "", about)


def _curve(points: Sequence[Progress]) -> str:
    """A staircase of the best so far."""
    (width, height), low, high = CHART, min(p.cycles for p in points), max(p.cycles for p in points)
    last = points[-1].measurements

    def place(count: int, cycles: int) -> str:
        return f"{60 + (width - 70) * count / last:.1f},{10 + (height - 30) * (1 - (cycles - low) / max(high - low, 1)):.1f}"

    corners = [place(points[0].measurements, points[0].cycles)]
    for before, now in pairwise(points):
        corners += [place(now.measurements, before.cycles), place(now.measurements, now.cycles)]
    ends = ((high, 16), (low, height - 20)) if high > low else ((low, height - 20),)
    labels = "".join(f'<text x="0" y="{y}" class="quiet">{value:,}</text>' for value, y in ends)
    return (
        f'<div class="wide"><svg viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="best cycles so far">{labels}'
        f'<polyline points="{" ".join(corners)}"/>'
        f'<text x="{width - 10}" y="{height - 2}" text-anchor="end" class="quiet">{last:,} measurements</text></svg></div>'
    )


def _boards(report: Report) -> str:
    head = ("board", "core", "MHz", "cycles", "ms", "uJ", "RAM", "flash")
    rows = [
        (
            _text(b.board), _text(b.core), str(b.clock_hz // 1_000_000), _number(b.cycles),
            "-" if b.milliseconds is None else f"{b.milliseconds:.2f}",
            "-" if b.microjoules is None else f"{b.microjoules:,.0f}",
            _number(b.ram_bytes), _number(b.flash_bytes),
        )
        for b in report.boards
    ]  # fmt: skip
    about = "" if len(rows) > 1 else "<code>--also BOARD</code> puts others beside it."
    return _card("Boards", _table(head, rows, range(2, 8)), about)


def _origin(report: Report) -> str:
    rows = [
        ("model", f"<code>{report.model_digest}</code> (SHA-256 of the file)"),
        ("smelt", _text(report.smelt)),
        ("compiler", _text(report.compiler)),
        ("sources", f"<code>{report.sources_digest}</code>"),
        ("firmware", f"<code>{report.firmware_digest}</code>"),
        *((f"<code>{_text(o.name)}</code>", f"<code>{_text(o.value)}</code>") for o in report.options),
    ]
    return _card("Where this comes from", _table(("", ""), rows))
