"""`smelt report`: all that people look at of one compilation, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from smelt.compile import Compilation
from smelt.kernels.assembly import called, symbol
from smelt.model.graph import Tensor
from smelt.nouns import Noun
from smelt.planner.known import Known
from smelt.planner.peak import about
from smelt.planner.ways import op_key
from smelt.report.plan_view import PlanView
from smelt.report.profile import Profile
from smelt.targets.types import Board

Use = Literal["kernel", "routine", "constants", "other code"]


@dataclass(frozen=True)
class Layer:
    """A step as a node of the network's picture: the operators of the file that it computes, what it makes, and the steps that make
    what it reads; -1 for an input."""

    name: str
    op: str
    origin: str
    makes: tuple[str, ...]
    reads_from: tuple[int, ...]
    macs: int
    cycles: int | None
    least_cycles: int


@dataclass(frozen=True)
class FlashUse:
    """Bytes of flash, by what they are."""

    name: str
    use: Use
    bytes: int


@dataclass(frozen=True)
class Progress:
    """Cycles of all steps by the best that was known after so many measurements of a tuning log."""

    measurements: int
    cycles: int


@dataclass(frozen=True)
class OnBoard:
    """The same network on a board: of one inference, simulated."""

    board: str
    core: str
    clock_hz: int
    cycles: int | None
    milliseconds: float | None
    microjoules: float | None
    ram_bytes: int
    flash_bytes: int


@dataclass(frozen=True)
class Option:
    """An option of the command line that is not as usual."""

    name: str
    value: str


@dataclass(frozen=True)
class Report(Noun):
    """A network on a board: what it costs, step by step; how it lies in memory; what else could be had. `macs_per_cycle` is the
    most that the core, or all cores of a cluster, can do: a step's `least_cycles` are its multiply-accumulates at that rate."""

    profile: Profile
    plan: PlanView
    macs_per_cycle: int
    layers: tuple[Layer, ...]
    flash: tuple[FlashUse, ...]
    progress: tuple[Progress, ...]
    boards: tuple[OnBoard, ...]
    options: tuple[Option, ...]
    smelt: str
    compiler: str
    sources_digest: str
    firmware_digest: str
    model_digest: str


def most_macs(board: Board) -> int:
    """Multiply-accumulates of int8 or int16 that all cores together can do in a cycle, by their instructions."""
    cluster = board.chip.cluster
    return board.core.macs_per_cycle * (1 if cluster is None else cluster.count)


def layers_of(compilation: Compilation, profile: Profile) -> tuple[Layer, ...]:
    """The steps with what leads from one to the other."""
    makers: dict[Tensor, int] = {t: -1 for t in compilation.graph.inputs}
    same = {y: op.alias_of for op in compilation.plan.graph.ops if op.alias_of is not None for y in op.ys}
    most = most_macs(compilation.plan.board)
    found = []
    for number, (step, costs) in enumerate(zip(compilation.plan.steps, profile.steps, strict=True)):
        reads = dict.fromkeys(makers[t] for t in (_made(t, makers, same) for t in step.way.reads) if t in makers)
        makers |= dict.fromkeys(step.ys, number)
        origin = ", ".join(dict.fromkeys(op.origin for op in step.ops))
        least = -(-step.macs // most)
        makes = tuple(map(about, step.ys))
        found.append(Layer(step.name, step.operators, origin, makes, tuple(reads), step.macs, costs.cycles, least))
    return tuple(found)


def _made(tensor: Tensor, makers: dict[Tensor, int], same: dict[Tensor, Tensor]) -> Tensor:
    """What a step made: that of which a tensor is another view, such as a reshaped one."""
    while tensor not in makers and tensor in same:
        tensor = same[tensor]
    return tensor


def flash_of(compilation: Compilation, profile: Profile) -> tuple[FlashUse, ...]:
    """What lies in flash, the largest first; every kernel and every routine in assembly once, constants by the first step that has
    them."""
    assert compilation.image is not None
    symbols, core = compilation.image.symbols, compilation.plan.board.core
    code = "\n".join(kernel.c() for kernel in compilation.program.kernels)
    names: dict[str, Use] = dict.fromkeys(compilation.functions.values(), "kernel")
    names |= {symbol(routine, core): "routine" for routine in called(code, core)}
    uses = [FlashUse(name, use, symbols[name].size) for name, use in names.items() if name in symbols]
    seen = set[object]()
    for step in compilation.plan.steps:
        own = {key: size for key, size in step.way.tables.items() if key not in seen}
        seen |= own.keys()
        if own:
            uses.append(FlashUse(step.name, "constants", sum(own.values())))
    rest = profile.flash_bytes - sum(u.bytes for u in uses)
    others = [FlashUse("start-up, run function, all else", "other code", rest)] if rest > 0 else []
    return tuple(sorted((*uses, *others), key=lambda u: -u.bytes))


def progress_of(compilation: Compilation, known: Known) -> tuple[Progress, ...]:
    """How the sum of the best known ways fell, measurement by measurement, from where each step had one; of firmware in flash."""
    steps = [op_key(op) for step in compilation.plan.steps for op in step.ops]
    best: dict[str, int] = {}
    found: list[Progress] = []
    count = 0
    for m in known.measurements:
        if m.cycles is None or m.op_key not in steps or not m.code_in_flash:
            continue
        count += 1
        if m.cycles < best.get(m.op_key, m.cycles + 1):
            best[m.op_key] = m.cycles
            if len(best) == len(set(steps)):
                found.append(Progress(count, sum(best[key] for key in steps)))
    return (*found, Progress(count, found[-1].cycles)) if found else ()


def on_board(board: Board, profile: Profile) -> OnBoard:
    """What one inference costs there."""
    return OnBoard(
        board.name,
        board.core.name,
        board.clock_hz,
        profile.cycles,
        profile.milliseconds,
        profile.microjoules,
        profile.ram_bytes,
        profile.flash_bytes,
    )


def story(
    compilation: Compilation, profile: Profile, view: PlanView, known: Known, boards: Sequence[OnBoard],
    options: Sequence[Option], compiler: str, model_digest: str, version: str,
) -> Report:  # fmt: skip
    """The report of a compilation that was run; `boards` are others with the same network."""
    assert compilation.image is not None
    return Report(
        profile,
        view,
        most_macs(compilation.plan.board),
        layers_of(compilation, profile),
        flash_of(compilation, profile),
        progress_of(compilation, known),
        (on_board(compilation.plan.board, profile), *boards),
        tuple(options),
        version,
        compiler,
        compilation.sources.digest,
        compilation.image.digest,
        model_digest,
    )
