"""What is decided last, when it is known what a plan takes up: the border between code and data where they share a memory."""

from __future__ import annotations

from dataclasses import replace

from smelt.errors import DoesNotFit
from smelt.planner.plan import Plan
from smelt.targets.border import bordered, shared
from smelt.targets.types import Board


def settled(plan: Plan, board: Board) -> Plan:
    """The plan on the board itself. Raises DoesNotFit where code and tables need what its tensors take up."""
    parts = shared(board)
    if parts is None:
        return replace(plan, board=board)
    code, data = parts
    taken, size = plan.used(data.name), code.size + data.size
    tables = plan.table_bytes - min(sum(b.data.nbytes for b in plan.all_brings), plan.table_bytes)
    machine_code = plan.flash_bytes - plan.table_bytes
    if taken + tables + machine_code > size:
        raise DoesNotFit(
            f"the model does not fit {code.name} and {data.name} of {board.name}, which share {size:,} bytes: "
            f"{tables:,} of tables, about {machine_code:,} of code and {taken:,} of tensors are needed, "
            f"{taken + tables + machine_code - size:,} more."
        )
    return replace(plan, board=bordered(board, taken))
