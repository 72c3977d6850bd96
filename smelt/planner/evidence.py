"""What the choices of a plan rest on: measurements, those of other versions of the compiler or with code in RAM, or estimates."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from smelt.model.graph import Op
from smelt.planner.log import DEVICE, IN_RAM, TuningLog, compiler_of
from smelt.planner.plan import Plan
from smelt.planner.ways import op_key


@dataclass(frozen=True)
class Linked:
    """How many steps have a way that was measured through debug links, with code and tables in RAM: `ranked` ones have no other
    measurements, of `covered` ones firmware was measured, which goes first. `links` are their names."""

    ranked: int = 0
    covered: int = 0
    links: tuple[str, ...] = ()

    @property
    def notes(self) -> Iterator[str]:
        """What users are told."""
        how = f"measured through {', '.join(self.links)} with code and tables in RAM"
        if self.ranked:
            yield f"{_steps(self.ranked)} {how}: taken as similar"
        if self.covered:
            yield f"{_steps(self.covered)} {how}: measurements of firmware go first"


NO_LINK = Linked()


@dataclass(frozen=True)
class Evidence:
    """`measured` of the `steps` of a plan have a kernel that was measured in firmware. `similar` are the compilers ("zig 0.17.0")
    whose measurements of its ops are known, and which are other versions of the one in use."""

    steps: int = 0
    measured: int = 0
    similar: tuple[str, ...] = ()
    linked: Linked = NO_LINK

    @property
    def notes(self) -> Iterator[str]:
        """What users are told."""
        if self.similar:
            yield f"measured with {', '.join(self.similar)}: taken as similar"
        yield from self.linked.notes


def evidence(plan: Plan, log: TuningLog, toolchain: str) -> Evidence:
    """What `log` knew of a plan that was made with it, for `toolchain`."""
    ways = [(step.call.kernel.name, plan.board.name, step.resident) for step in plan.steps]
    measured = sum(log.cycles(*way) is not None for way in ways)
    chosen = [(step.op, step.way) for step in plan.steps]
    linked_steps = linked(log, chosen, plan.board.name)
    return Evidence(len(ways), measured, similar(log, (step.op for step in plan.steps), toolchain), linked_steps)


def similar(log: TuningLog, ops: Iterable[Op], toolchain: str) -> tuple[str, ...]:
    """The compilers other than that of `toolchain` that measured such ops."""
    keys: Collection[str] = {op_key(op) for op in ops}
    used = (
        m for m in log.measurements if m.op_key in keys and (m.code == "flash" or not log.covers(m.op_key, m.board))
    )
    found = {m.toolchain for m in used}
    return tuple(sorted({compiler_of(tools) for tools in found - {toolchain}}))


def linked(log: TuningLog, steps: Iterable[tuple[Op, tuple[str, str] | None]], board: str) -> Linked:
    """What debug links measured of steps on a board, each an op and the way it is done; None is any way."""
    known = ((op_key(op), way) for op, way in steps)
    keys = [key for key, way in known if any(way in (None, row[:2]) for row in log.ranked(key, board, *IN_RAM))]
    covered = sum(log.covers(key, board) for key in keys)
    devices = {m.device for m in log.measurements if m.place == IN_RAM and m.op_key in set(keys)}
    return Linked(len(keys) - covered, covered, tuple(sorted({link_of(device) for device in devices})))


def link_of(device: str) -> str:
    """What people call a device behind a debug link: "openocd", "virtual openocd"."""
    return device.removeprefix(DEVICE).partition(",")[0]


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"
