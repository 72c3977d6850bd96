"""What the choices of a plan rest on: measurements, those of other versions of the compiler, or estimates."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from smelt.model.graph import Op
from smelt.planner.log import TuningLog, compiler_of
from smelt.planner.plan import Plan
from smelt.planner.tuner import op_key


@dataclass(frozen=True)
class Evidence:
    """`measured` of the `steps` of a plan have a kernel that was measured. `similar` are the compilers ("zig 0.17.0") whose
    measurements of its ops are known, and which are other versions of the one in use."""

    steps: int = 0
    measured: int = 0
    similar: tuple[str, ...] = ()

    @property
    def notes(self) -> Iterator[str]:
        """What users are told."""
        if self.similar:
            yield f"measured with {', '.join(self.similar)}: taken as similar"


def evidence(plan: Plan, log: TuningLog, toolchain: str) -> Evidence:
    """What `log` knew of a plan that was made with it, for `toolchain`."""
    ways = [(step.call.kernel.name, plan.board.name, step.resident) for step in plan.steps]
    measured = sum(log.cycles(*way) is not None for way in ways)
    return Evidence(len(ways), measured, similar(log, (step.op for step in plan.steps), toolchain))


def similar(log: TuningLog, ops: Iterable[Op], toolchain: str) -> tuple[str, ...]:
    """The compilers other than that of `toolchain` that measured such ops."""
    keys: Collection[str] = {op_key(op) for op in ops}
    found = {m.toolchain for m in log.measurements if m.op_key in keys}
    return tuple(sorted({compiler_of(tools) for tools in found - {toolchain}}))
