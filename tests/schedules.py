"""The schedules of every core there is: what the host ring runs."""

from __future__ import annotations

from smelt.kernels.implementation import Implementation, KernelCall, Schedule
from smelt.loops.ir import Scratch
from smelt.model.graph import Op, Tensor
from smelt.targets.boards import BOARDS
from smelt.targets.cores.ri5cy import RI5CY
from smelt.targets.types import Core

CORES: tuple[Core, ...] = tuple({c.name: c for c in (*(b.core for b in BOARDS), RI5CY)}.values())


def candidates(implementation: Implementation, op: Op, cores: tuple[Core, ...] = CORES) -> list[Schedule]:
    """The schedules of an implementation for `op` on all cores that it accepts, each once."""
    fitting = [core for core in cores if implementation.takes(op, core)]
    return list(dict.fromkeys(s for core in fitting for s in implementation.schedules(op, core)))


Made = tuple[Op, Schedule, KernelCall]


def built(
    implementation: Implementation, ops: list[Op], most: int | None = None, cores: tuple[Core, ...] = CORES
) -> list[Made]:
    """Calls for `most` schedules of each op; of calls that are equal, in kernel and tables, the first."""
    made = ((op, s, implementation.build(op, s)) for op in ops for s in candidates(implementation, op, cores)[:most])
    return list({_content(op, call): (op, s, call) for op, s, call in made}.values())


def _content(op: Op, call: KernelCall) -> tuple[object, ...]:
    tables = (a.tobytes() for a in call.arguments if not isinstance(a, Tensor | Scratch))
    return op, call.kernel.name, *tables
