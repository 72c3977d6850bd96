"""What is said where a model does not fit: how much is missing, and where. What would make it fit is found in `advice.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smelt.errors import DoesNotFit
from smelt.kernels.implementation import KernelCall
from smelt.planner.code_size import FIXED_RAM
from smelt.planner.flow import Flow
from smelt.planner.peak import peak_of
from smelt.planner.tables import all_tables
from smelt.targets.types import Board

MOST_PARTS = 6
"""Of what is alive where most is, that many are named."""


def check_flash(board: Board, calls: Sequence[KernelCall]) -> None:
    """Raise DoesNotFit where the constants alone, each counted once, are more than the flash holds."""
    needed, there = sum(all_tables(calls).values()), board.chip.flash_bytes
    names = " and ".join(m.name for m in board.chip.flashes)
    if needed > there:
        raise DoesNotFit(
            f"the constants of the model do not fit {names} of {board.name}: {needed:,} bytes needed (code not "
            f"counted), {there:,} available, {needed - there:,} missing.\n"
            f"{_largest(calls)}"
        )


def over_flash(board: Board, limit: int, calls: Sequence[KernelCall], needed: int) -> DoesNotFit:
    """The error for a budget of flash. `calls` are those that need least."""
    tables = sum(all_tables(calls).values())
    return DoesNotFit(
        f"the model does not fit the flash budget of {limit:,} bytes on {board.name}: at least {needed:,} bytes are needed "
        f"({tables:,} of tables, about {needed - tables:,} of code), {needed - limit:,} more.\n"
        f"{_largest(calls)}"
    )


def over_both(board: Board, ram: int, flash: int, least: int) -> DoesNotFit:
    """The error for budgets that are enough one by one, but not together."""
    return DoesNotFit(
        f"the model does not fit {ram:,} bytes of RAM and {flash:,} bytes of flash on {board.name} at the same time: with so "
        f"much flash at least {least:,} bytes of RAM are needed, {least - ram:,} more."
    )


def over_ram(board: Board, limit: int, flow: Flow, names: Sequence[str], needed: int) -> DoesNotFit:
    """The error for a budget of RAM. `flow` is that of the steps that need least."""
    first = (
        f"the model does not fit the RAM budget of {limit:,} bytes on {board.name}: at least {needed:,} bytes are needed "
        f"({needed - FIXED_RAM:,} of tensors and scratch, {FIXED_RAM:,} for stack and data), {needed - limit:,} more."
    )
    return DoesNotFit("\n".join([first, *_alive(flow, names, limit - FIXED_RAM, needed - FIXED_RAM)]))


def does_not_fit(board: Board, room: dict[str, int], flow: Flow, names: Sequence[str], needed: int) -> DoesNotFit:
    """The error for tensors that fit no RAM of the board, nor all of them together. `names` are those of the steps."""
    available = " + ".join(f"{name} {size:,}" for name, size in room.items())
    first = (
        f"the tensors of the model do not fit the RAM of {board.name}: {needed:,} bytes needed, available for tensors: "
        f"{available}."
    )
    return DoesNotFit("\n".join([first, *_alive(flow, names, sum(room.values()), needed)]))


def _largest(calls: Sequence[KernelCall]) -> str:
    sizes = sorted(all_tables(calls).values(), reverse=True)[:3]
    return f"The largest tables have {', '.join(f'{n:,}' for n in sizes)} bytes."


def _alive(flow: Flow, names: Sequence[str], available: int, needed: int) -> list[str]:
    """What is alive where most is, what of it only waits, and how much is missing."""
    return [*peak_of(flow, names).lines(MOST_PARTS), *_waiting(flow, names), _missing(available, needed)]


def _waiting(flow: Flow, names: Sequence[str]) -> Iterator[str]:
    """The largest of what the step at the peak leaves alone."""
    peak = peak_of(flow, names)
    if not 0 <= peak.time < len(flow.uses):
        return
    use = flow.uses[peak.time]
    touched = {flow.storages[s].name for s in (*use.reads, *use.writes)}
    waiting = [part for part in peak.parts if part.kind == "tensor" and part.name not in touched]
    if waiting:
        first = waiting[0]
        yield f"'{first.short}' only waits there for a later step: without that connection {first.bytes:,} bytes would be free."


def _missing(available: int, needed: int) -> str:
    if needed <= available:
        return "That is enough in total, but not in pieces of the right sizes."
    return f"{needed - available:,} bytes are missing."
