"""What is said where a model does not fit: how much is missing, where, and what would help most."""

from __future__ import annotations

from collections.abc import Sequence

from smelt.errors import DoesNotFit
from smelt.kernels.implementation import KernelCall
from smelt.planner.code_size import FIXED_RAM
from smelt.planner.flow import Flow, live_bytes, lives
from smelt.planner.tables import all_tables
from smelt.targets.types import Board


def check_flash(board: Board, calls: Sequence[KernelCall]) -> None:
    """Raise DoesNotFit where the constants alone, each counted once, are more than the flash holds."""
    sizes = all_tables(calls)
    needed, flash = sum(sizes.values()), board.chip.flash
    if needed > flash.size:
        raise DoesNotFit(
            f"the constants of the model do not fit {flash.name} of {board.name}: {needed:,} bytes needed (code not "
            f"counted), {flash.size:,} available, {needed - flash.size:,} missing.\n"
            f"{_largest(calls)} Choose a board with more flash or a smaller model."
        )


def over_flash(board: Board, limit: int, calls: Sequence[KernelCall], needed: int) -> DoesNotFit:
    """The error for a budget of flash. `calls` are those that need least."""
    tables = sum(all_tables(calls).values())
    return DoesNotFit(
        f"the model does not fit the flash budget of {limit:,} bytes on {board.name}: at least {needed:,} bytes are needed "
        f"({tables:,} of tables, about {needed - tables:,} of code), {needed - limit:,} more.\n"
        f"{_largest(calls)} A smaller model, or fewer channels in that layer, would free most."
    )


def over_both(board: Board, ram: int, flash: int, least: int) -> DoesNotFit:
    """The error for budgets that are enough one by one, but not together."""
    return DoesNotFit(
        f"the model does not fit {ram:,} bytes of RAM and {flash:,} bytes of flash on {board.name} at the same time: with so "
        f"much flash at least {least:,} bytes of RAM are needed, {least - ram:,} more.\n"
        "More of either would help; `smelt profile --curve` shows what goes together."
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
    """What is alive where most is, and what would free most of it."""
    alive = live_bytes(flow)
    worst = alive.index(max(alive)) - 1
    live = [s for s, life in enumerate(lives(flow)) if life.first <= worst <= life.last]
    live.sort(key=lambda s: (-flow.sizes[s], s))
    when = f"at step {names[worst]}" if 0 <= worst < len(names) else "before the run" if worst < 0 else "after the run"
    return [
        f"Most is alive {when}; the largest there:",
        *(
            f"  - '{flow.storages[s].name}' {flow.storages[s].tensors[0].shape}: {flow.sizes[s]:,} bytes"
            for s in live[:3]
        ),
        _advice(flow, worst, live, available, needed),
    ]


def _advice(flow: Flow, worst: int, live: Sequence[int], available: int, needed: int) -> str:
    """What would free most at the worst step."""
    inside = 0 <= worst < len(flow.uses)
    touched = {*flow.uses[worst].reads, *flow.uses[worst].writes} if inside else set(live)
    waiting = [s for s in live if s not in touched]
    missing = f"{needed - available:,} bytes are missing."
    if needed <= available:
        missing = "That is enough in total, but not in pieces of the right sizes."
    if waiting:
        s = waiting[0]
        later = f"'{flow.storages[s].name}' only waits there for a later step: without that connection"
        return f"{missing} {later} {flow.sizes[s]:,} bytes would be free."
    if inside and flow.scratch[worst] > max((flow.sizes[s] for s in live), default=0):
        return f"{missing} The step's scratch takes {flow.scratch[worst]:,} bytes: another schedule needs less."
    return f"{missing} A smaller input, or fewer channels at this step, would free most."
