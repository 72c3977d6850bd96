"""Several networks in one firmware: run in turn, compared with an oracle, and what they share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from smelt.compile import Compilation
from smelt.devices.choose import Device, chosen, run_image
from smelt.errors import DeviceError, OptionError
from smelt.kernels.assembly import called, symbol
from smelt.loops.c import PREFIX
from smelt.model.graph import Array
from smelt.nouns import Noun
from smelt.planner.code_size import code_of
from smelt.planner.suite import state_bytes, turn_bytes
from smelt.report.execute import Execution, ExecutionSummary, arrays_of, stream
from smelt.report.profile import MemoryUse, Profile, estimated_use, memory_use
from smelt.report.summary import Basis, basis
from smelt.report.terminal import line, show_uses, table
from smelt.report.verify import ORACLES, Runs, Verification, compared
from smelt.several import SuiteCompilation


def turns(inputs: Sequence[Runs]) -> Iterator[tuple[int, tuple[Array, ...]]]:
    """The inputs of several networks in turn, each with the number of its network, until all are used up."""
    for round in range(max(map(len, inputs))):
        yield from ((n, own[round]) for n, own in enumerate(inputs) if round < len(own))


def execute_suite(
    compilation: SuiteCompilation, inputs: Sequence[Runs], timing: bool = True, device: Device | None = None
) -> tuple[Execution, ...]:
    """Run the networks in turn in one firmware, the first input of each, then the second of each and so on: an execution of each
    network. What a network remembers is carried from each of its inputs to the next. Cycles are those of the last input of each.

    Raises DeviceError where it faults or hangs, or the device is missing, OptionError where there is no firmware.
    """
    if compilation.image is None:
        raise OptionError("running needs firmware: compile with the compiler zig or gcc, not none")
    board, order = compilation.plan.board, list(turns(inputs))
    data = b"".join(n.to_bytes(4, "little") + stream([arrays]) for n, arrays in order)
    views = [part.image for part in compilation.parts] if timing else [compilation.image]
    runs = [run_image(board, view, data, device, timing, counting=timing) for view in views if view is not None]
    outputs = _split(compilation, runs[0].outputs, [n for n, _ in order])
    parts = zip(compilation.parts, runs if timing else runs * len(compilation.parts), outputs, strict=True)
    return tuple(Execution(part, run, tuple(own), chosen(board, device)) for part, run, own in parts)


def _split(compilation: SuiteCompilation, data: bytes, order: Sequence[int]) -> list[list[tuple[Array, ...]]]:
    """The outputs of each network, from what all of them wrote in this order. Raises DeviceError for another number of bytes."""
    found: list[list[tuple[Array, ...]]] = [[] for _ in compilation.parts]
    offset = 0
    for n in order:
        tensors = compilation.parts[n].graph.outputs
        size = sum(t.bytes for t in tensors)
        if offset + size <= len(data):
            found[n].append(arrays_of(data[offset : offset + size], tensors))
        offset += size
    if offset != len(data):
        raise DeviceError(f"the firmware gave {len(data)} bytes of outputs for {len(order)} inputs, not {offset}")
    return found


def verify_suite(
    compilation: SuiteCompilation,
    inputs: Sequence[Runs],
    oracle: str,
    models: Sequence[Path | str],
    device: Device | None = None,
) -> tuple[Verification, ...]:
    """Run the networks in turn in one firmware, and each of them alone through the oracle: what one network leaves in the common
    memory, or where another has its states, shows as a difference. Inputs of a network follow one another, as in a sequence."""
    executions = execute_suite(compilation, inputs, timing=False, device=device)
    return tuple(
        compared(execution, ORACLES[oracle](execution.compilation, own, model, True), oracle)
        for execution, own, model in zip(executions, inputs, models, strict=True)
    )


@dataclass(frozen=True)
class Share(Noun):
    """What a network takes up in a suite, and would alone, besides stack, data and the code that all firmware has, in bytes.
    `turn_bytes` are tensors and scratch, `code_bytes` its kernels and what they call."""

    network: str
    model: str
    steps: int
    macs: int
    turn_bytes: int
    state_bytes: int
    resident_bytes: int
    constant_bytes: int
    code_bytes: int


@dataclass(frozen=True)
class Saved(Noun):
    """What networks would take up in firmware of their own beyond what they do in one: bytes of RAM, of constants, of code."""

    ram_bytes: int
    constant_bytes: int
    code_bytes: int


def shares(compilation: SuiteCompilation) -> tuple[Share, ...]:
    """What each network takes up."""
    suite = compilation.plan
    return tuple(
        Share(
            part.program.name,
            part.graph.name,
            len(plan.steps),
            part.model.macs,
            sum(turn_bytes(plan, m.name) for m in suite.memories),
            sum(state_bytes(plan, m.name) for m in suite.memories),
            plan.resident_bytes,
            plan.table_bytes,
            sum(_code_sizes(compilation, part).values()),
        )
        for part, plan in zip(compilation.parts, suite.plans.values(), strict=True)
    )


def saved(compilation: SuiteCompilation) -> Saved:
    """What is there once instead of several times."""
    suite, parts = compilation.plan, shares(compilation)
    code = {name: size for part in compilation.parts for name, size in _code_sizes(compilation, part).items()}
    return Saved(
        sum(p.turn_bytes + p.state_bytes + p.resident_bytes for p in parts) - suite.tensor_bytes - suite.resident_bytes,
        sum(p.constant_bytes for p in parts) - suite.table_bytes,
        sum(p.code_bytes for p in parts) - sum(code.values()),
    )


def _code_sizes(compilation: SuiteCompilation, part: Compilation) -> dict[str, int]:
    """The bytes of the kernels of a network and of what they call, by name: as they were built; else estimates."""
    if compilation.image is None:
        sizes, core = compilation.plan.limits.sizes, compilation.plan.board.core
        return {code.name: sizes.of(code) for kernel in part.program.kernels for code in code_of(kernel, core)}
    symbols = compilation.image.symbols
    names = {*part.functions.values(), *_called(part)}
    return {name: symbols[name].size for name in sorted(names & symbols.keys())}


def _called(part: Compilation) -> set[str]:
    """The symbols that the kernels of a network may call: routines in assembly, and C that kernels share."""
    core = part.plan.board.core
    code = "\n".join(kernel.c(kernel.name) for kernel in part.program.kernels)
    return {symbol(r, core) for r in called(code, core)} | set(re.findall(rf"\b{PREFIX}\w+(?=\()", code))


@dataclass(frozen=True)
class Network(Noun):
    """A network of a suite: what it takes up, what users should know, and what its choices rest on."""

    share: Share
    warnings: tuple[str, ...]
    basis: Basis


@dataclass(frozen=True)
class SuiteSummary(Noun):
    """Sizes of a compilation of several networks in bytes, what is `saved` by making them one firmware. `estimated`: nothing was
    built, so that there is no `firmware_digest` either."""

    suite: str
    board: str
    networks: tuple[Network, ...]
    tensor_bytes: int
    resident_bytes: int
    constant_bytes: int
    saved: Saved
    memory: tuple[MemoryUse, ...]
    estimated: bool
    sources_digest: str
    firmware_digest: str | None


@dataclass(frozen=True)
class RunNetworks:
    """What each network did, by name."""

    networks: dict[str, ExecutionSummary]


@dataclass(frozen=True)
class VerifyNetworks:
    """How each network compares with the oracle, by name."""

    networks: dict[str, Verification]


@dataclass(frozen=True)
class ProfileNetworks:
    """What one inference of each network costs, by name."""

    networks: dict[str, Profile]


def suite_summary(compilation: SuiteCompilation) -> SuiteSummary:
    """What a compilation of several networks came to."""
    suite, image = compilation.plan, compilation.image
    return SuiteSummary(
        suite.name,
        suite.board.name,
        tuple(
            Network(share, tuple(part.warnings), basis(part))
            for share, part in zip(shares(compilation), compilation.parts, strict=True)
        ),
        suite.tensor_bytes,
        suite.resident_bytes,
        suite.table_bytes,
        saved(compilation),
        memory_use(image) if image else estimated_use(suite),
        image is None,
        compilation.sources.digest,
        image.digest if image else None,
    )


def show_suite(summary: SuiteSummary, out: Path | None) -> None:
    """A line for each network, what sharing saved, and what all of it takes up."""
    own = [n.share for n in summary.networks]
    line(f"{', '.join(s.network for s in own)} for {summary.board}, in turn in one memory")
    columns = ("network", "model", "steps", "MACs", "tensors", "states", "constants", "code")
    keys = ("network", "model", "steps", "macs", "turn_bytes", "state_bytes", "constant_bytes", "code_bytes")
    table("", columns, [tuple(getattr(s, key) for key in keys) for s in own], right=(2, 3, 4, 5, 6, 7))
    spared = summary.saved
    line(
        f"shared: {spared.ram_bytes:,} bytes of RAM, {spared.constant_bytes:,} of constants and {spared.code_bytes:,} of "
        "code less than for each alone"
    )
    show_uses(summary.memory, summary.estimated, out)
