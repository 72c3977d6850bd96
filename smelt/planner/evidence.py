"""What the choices of a plan rest on: measurements, those of other versions of the compiler or with code in RAM, or estimates."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from smelt.model.graph import Op
from smelt.planner.core_figures import step_key
from smelt.planner.known import Known, standing
from smelt.planner.measurement import DEVICE, IN_RAM
from smelt.planner.on_cores import OnCores
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

OTHER_ROUTINES = "routines of another time"


@dataclass(frozen=True)
class Evidence:
    """`measured` of the `steps` of a plan have a kernel that was measured in firmware, or were measured whole. `similar` is what
    such figures have that is another one now: compilers ("zig 0.17.0"), models of time, routines that kernels call."""

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


def evidence(plan: Plan, known: Known) -> Evidence:
    """What measurements knew of a plan that was made with them."""
    ways = [w for way in plan.ways for w in way.ways]
    measured = [(w, m) for w in ways if (m := known.figure(w.kernel, w.place)) and m.cycles]
    changed = any(
        there[0] <= 2 and known.grade(m, w.call.kernel) == "similar"
        for w, m in measured
        for there in (standing(m.origin, known.origin or m.origin),)
    )
    basis = (*similar(known, (w.op for w in ways)), *((OTHER_ROUTINES,) if changed else ()))
    whole = sum(isinstance(way, OnCores) and way.measured != "" for way in plan.ways)
    return Evidence(len(ways), len(measured) + whole, basis, linked(known, ((w.op, w.names) for w in ways)))


def similar(known: Known, ops: Iterable[Op]) -> tuple[str, ...]:
    """What measurements of such ops that are believed have that is another one now: compilers and models of time."""
    keys: Collection[str] = {key for op in ops for key in (op_key(op), step_key(op))}
    used = (
        m for m in known.believed.measurements if m.op_key in keys and (m.code_in_flash or not known.covers(m.op_key))
    )
    return tuple(sorted({name for origin in {m.origin for m in used} for name in known.others(origin)}))


def linked(known: Known, steps: Iterable[tuple[Op, tuple[str, str] | None]]) -> Linked:
    """What debug links measured of steps on a board, each an op and the way it is done; None is any way."""
    board, log = known.board.name, known.believed
    ways = ((op_key(op), way) for op, way in steps)
    keys = [key for key, way in ways if any(way in (None, row[:2]) for row in log.ranked(key, board, IN_RAM))]
    covered = sum(known.covers(key) for key in keys)
    devices = {m.origin.counter for m in log.measurements if m.place == IN_RAM and m.op_key in set(keys)}
    return Linked(len(keys) - covered, covered, tuple(sorted({link_of(device) for device in devices})))


def link_of(device: str) -> str:
    """What people call a device behind a debug link: "openocd", "virtual openocd"."""
    return device.removeprefix(DEVICE).partition(",")[0]


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"
