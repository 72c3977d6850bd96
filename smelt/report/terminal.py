"""Tables in the terminal. Everything goes to standard output, signs of life to standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from smelt.devices.choose import Device
from smelt.devices.probes import VIRTUAL, is_probe
from smelt.devices.waits import together
from smelt.errors import printable, shown
from smelt.importers import ModelSummary, TensorSummary
from smelt.planner.placement import WORKER_STACK_BYTES
from smelt.report import text
from smelt.report.demo import Demo
from smelt.report.doctor import Finding
from smelt.report.execute import Execution
from smelt.report.layers import LayerVerification
from smelt.report.profile import MemoryUse, Profile
from smelt.report.summary import BoardRow, CompileSummary
from smelt.report.text import emit
from smelt.report.verify import Verification


@contextmanager
def working(what: str) -> Iterator[Callable[[str], None]]:
    """A moving sign on the terminal (not in pipes) while something takes time; what is told it is shown beside."""
    errors = Console(stderr=True)
    if not errors.is_terminal:
        yield lambda words: None
        return
    with errors.status(Text(printable(what)), spinner="line") as status:
        yield lambda words: status.update(Text(printable(f"{what}: {words}")))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], right: Sequence[int] = ()) -> None:
    """Print a table; the columns numbered in `right` are aligned to the right."""
    if title:
        line(title)
    cells = [tuple(printable(_cell(cell)) for cell in row) for row in rows]
    emit("\n".join(text.table(columns, cells, right)))


def _cell(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def line(words: str = "") -> None:
    """Print a line (or several) of text, whatever it holds."""
    emit(text.fitted(shown(words)))


def show_compile(summary: CompileSummary, out: Path | None) -> None:
    line(f"{summary.model} for {summary.board}: {summary.steps} steps, {summary.macs:,} MACs")
    line(f"tensors {summary.tensor_bytes:,} bytes, of which scratch at most {summary.scratch_bytes:,}")
    if summary.resident_steps:
        line(f"tables in RAM {summary.resident_bytes:,} bytes, of {', '.join(summary.resident_steps)}")
    show_uses(summary.memory, summary.estimated, out)


def show_uses(memory: Sequence[MemoryUse], estimated: bool, out: Path | None) -> None:
    """What a compilation takes up of which memory, and where it was written."""
    about = "about " if estimated else ""
    show_memory([(u.memory, u.purpose, f"{about}{u.bytes:,}") for u in memory])
    if about:
        line("estimated: no compiler")
    if out is not None:
        line(f"written to {out}")


def show_memory(rows: Sequence[tuple[str, str, int | str]]) -> None:
    table("", ("memory", "used by", "bytes"), rows, right=(2,))


def show_run(execution: Execution) -> None:
    if execution.run.text:
        line(execution.run.text.rstrip())
    for number, arrays in enumerate(execution.outputs[:10]):
        for tensor, array in zip(execution.compilation.graph.outputs, arrays, strict=True):
            values = ", ".join(f"{v:g}" for v in array.reshape(-1)[:16])
            more = f", ... ({array.size} values)" if array.size > 16 else ""
            line(f"output {number} {tensor.name}: {values}{more}")
    if len(execution.outputs) > 10:
        line(f"... {len(execution.outputs) - 10} more")
    board = execution.compilation.plan.board.name
    time = _time(execution.run.cycles or None, execution.milliseconds, execution.microjoules, execution.derived)
    place = f"{_place(execution.device)} {board}"
    line(f"{execution.run.instructions:,} instructions{f', {time}' if time else ''} an inference ({place})")


def show_verification(verification: Verification | LayerVerification) -> None:
    place = "" if isinstance(verification, LayerVerification) else f" ({_place(verification.device)})"
    line(f"{verification.model} on {verification.board}{place}: {verification.verdict}")


def _place(device: Device) -> str:
    """What ran a board's firmware, for people: QEMU is no model of its time."""
    name, _, adapter = device.partition(":")
    if is_probe(device):
        return f"{name}, a simulated" if adapter == VIRTUAL else f"{name}, a real"
    return "QEMU" if device == "qemu" else "simulated"


def show_profile(profile: Profile) -> None:
    """Steps first, then totals, then memory."""
    rows = [
        (
            s.name,
            f"{s.implementation} {s.schedule}{', tables in RAM' if s.resident else ''}",
            s.macs,
            s.instructions,
            _known(s.cycles),
            _ratio(s.macs, s.cycles or 0),
        )
        for s in profile.steps
    ]
    columns = ("step", "implementation and schedule", "MACs", "instructions", "cycles", "MAC/cycle")
    place = "simulated" if profile.cycles is not None else "in QEMU, no cycles"
    table(f"{profile.model} on {profile.board} ({place})", columns, rows, right=(2, 3, 4, 5))
    show_waits(profile)
    line()
    if profile.cycles is not None:
        time = _time(None, profile.milliseconds, profile.microjoules, profile.derived)
        how = "simulated" if profile.validated else "simulated by a model that nothing validates"
        line(f"cycles        {profile.cycles:>12,}   one inference, {how}: {time}")
    line(f"instructions  {profile.instructions:>12,}   one inference")
    line(f"MACs          {profile.macs:>12,}   {_ratio(profile.macs, profile.instructions)} per instruction")
    line(f"RAM           {profile.ram_bytes:>12,}   bytes: {_parts(profile, ram=True)}")
    line(f"flash         {profile.flash_bytes:>12,}   bytes: {_parts(profile, ram=False)}")
    line(
        f"tensors       {profile.tensor_bytes:>12,}   bytes, of which scratch at most {profile.scratch_bytes:,}; "
        f"no plan of these steps needs less than {profile.tensor_bound:,}"
    )
    if profile.resident_bytes:
        line(f"tables        {profile.resident_bytes:>12,}   bytes are copied from flash to RAM at start-up")
    line()
    show_memory([(m.memory, m.purpose, m.bytes) for m in profile.memory])


def show_waits(profile: Profile) -> None:
    """What the time of each step was spent on, in percent; nothing where one core computes."""
    steps = [(s.name, s.waits) for s in profile.steps if s.waits is not None]
    if not steps:
        return
    names = ("compute", "banks", "fetches", "imbalance", "barriers", "dma", "outside")
    whole = [*steps, ("all steps", together(waits for _, waits in steps))]
    rows = [(name, *(f"{100 * getattr(w, n) / max(w.cycles, 1):.1f}" for n in names)) for name, w in whole]
    line()
    table("", ("% of cycles", *names), rows, right=range(1, len(names) + 1))
    hot = [(s.hot_bytes, s.name) for s in profile.steps if s.hot_bytes is not None]
    if hot:
        most, name = max(hot)
        cache = f"the instruction cache of cores has {profile.instruction_cache:,}"
        line()
        line(f"hot code      {most:>12,}   bytes at most, in {name}; {cache}")
    if profile.worker_stacks:
        line(f"core stacks   {max(profile.worker_stacks):>12,}   bytes at most; each has {WORKER_STACK_BYTES:,}")


def _parts(profile: Profile, ram: bool) -> str:
    def wanted(use: MemoryUse) -> bool:
        return (use.purpose not in ("code", "constants")) == ram

    return ", ".join(f"{m.purpose} {m.bytes:,} in {m.memory}" for m in profile.memory if wanted(m))


def _known(value: int | None) -> int | str:
    return "-" if value is None else value


def _time(cycles: int | None, milliseconds: float | None, microjoules: float | None, derived: bool) -> str:
    """What is known of cycles, time and energy, in words."""
    parts = [
        "" if cycles is None else f"{cycles:,} cycles",
        "" if milliseconds is None else f"{milliseconds:,.2f} ms",
        "" if microjoules is None else f"{microjoules:,.0f} uJ{' (derived)' if derived else ''}",
    ]
    return ", ".join(part for part in parts if part)


def _ratio(macs: int, instructions: int) -> str:
    return f"{macs / instructions:.2f}" if macs and instructions else "-"


def show_model(summary: ModelSummary) -> None:
    """Operators with their tensors; then what is unsupported."""
    line(f"{summary.name} ({summary.format}): {len(summary.operators)} operators, {summary.macs:,} MACs")
    rows = [
        (
            o.index,
            f"{o.name} v{o.version}",
            _tensors(o.inputs, False),
            _tensors(o.outputs, False),
            "-" if o.macs is None else o.macs,
        )
        for o in summary.operators
    ]
    table("", ("#", "operator", "reads", "makes", "MACs"), rows, right=(0, 4))
    for kind, tensors in (("input", summary.inputs), ("output", summary.outputs)):
        for tensor in tensors:
            line(f"{kind} {tensor.name}: {_tensors((tensor,), True)}")
    line(f"constants: {summary.constant_bytes:,} bytes")
    for problem in summary.problems:
        line(f"unsupported: {problem}")
    if not summary.problems:
        line("smelt can compile this model")


def _tensors(tensors: tuple[TensorSummary, ...], constants: bool) -> str:
    shown = [t for t in tensors if constants or not t.constant]
    return "; ".join(map(_tensor, shown))


def _tensor(tensor: TensorSummary) -> str:
    stored = "" if tensor.quantization is None else tensor.quantization.text
    return f"{tensor.dtype} {'x'.join(map(str, tensor.shape)) or 'scalar'} {stored}".strip()


def show_boards(rows: Sequence[BoardRow]) -> None:
    cells = [
        (r.name, r.title, f"{r.clock_hz // 1_000_000} MHz", f"{r.flash_bytes // 1024} KB", _memories(r)) for r in rows
    ]
    table("", ("board", "what it is", "clock", "flash", "RAM"), cells, right=(2, 3))


def _memories(row: BoardRow) -> str:
    rams, outside = (
        ", ".join(f"{name} {size // 1024} KB" for name, size in sizes.items()) for sizes in (row.ram, row.outside)
    )
    return f"{rams}; outside of the chip: {outside}" if outside else rams


def show_doctor(findings: tuple[Finding, ...]) -> None:
    rows = [
        (f.label or ("ok" if f.works else "missing"), f.part, f.purpose, f.detail, "" if f.works else f.remedy)
        for f in findings
    ]
    table("", ("", "part", "for", "found", "what to do"), rows)


def show_demo(demo: Demo) -> None:
    p = demo.profile
    line(f"picture     {demo.picture}")
    line(f"{demo.prediction}   <- printed by the firmware on the simulated {p.board}")
    time = _time(p.cycles, p.milliseconds, p.microjoules, p.derived)
    line(f"work        {p.instructions:,} instructions for {p.macs:,} MACs{f'; simulated {time}' if time else ''}")
    line(f"RAM         {p.ram_bytes:,} bytes (tensors {p.tensor_bytes:,}, measured stack {p.stack_bytes:,})")
    line(f"flash       {p.flash_bytes:,} bytes (code {p.code_bytes:,}, constants {p.constant_bytes:,})")
