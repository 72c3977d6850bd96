"""What is said when a model does not fit a board: how much is missing, where, and what would help most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smelt.errors import DoesNotFit
from smelt.kernels.implementation import KernelCall
from smelt.planner.flow import Flow, live_bytes, lives
from smelt.targets.types import Board


def check_flash(board: Board, calls: Sequence[KernelCall]) -> None:
    """Raise DoesNotFit where the constants alone, each counted once, are more than the flash holds."""
    sizes = {t.tobytes(): t.nbytes for call in calls for t in call.arguments if isinstance(t, np.ndarray)}
    needed, flash = sum(sizes.values()), board.chip.flash
    if needed > flash.size:
        largest = sorted(sizes.values(), reverse=True)[:3]
        raise DoesNotFit(
            f"the constants of the model do not fit {flash.name} of {board.name}: {needed:,} bytes needed (code not "
            f"counted), {flash.size:,} available, {needed - flash.size:,} missing.\n"
            f"The largest tables have {', '.join(f'{n:,}' for n in largest)} bytes. Choose a board with more flash "
            "or a smaller model."
        )


def does_not_fit(board: Board, room: dict[str, int], flow: Flow, names: Sequence[str], needed: int) -> DoesNotFit:
    """The error for tensors that fit no RAM of the board, nor all of them together. `names` are those of the steps."""
    alive = live_bytes(flow)
    worst = alive.index(max(alive)) - 1
    live = [s for s, life in enumerate(lives(flow)) if life.first <= worst <= life.last]
    live.sort(key=lambda s: (-flow.sizes[s], s))
    available = " + ".join(f"{name} {size:,}" for name, size in room.items())
    when = f"at step {names[worst]}" if 0 <= worst < len(names) else "before the run" if worst < 0 else "after the run"
    lines = [
        f"the tensors of the model do not fit the RAM of {board.name}: {needed:,} bytes needed, available for tensors: "
        f"{available}.",
        f"Most is alive {when}; the largest there:",
        *(
            f"  - '{flow.storages[s].name}' {flow.storages[s].tensors[0].shape}: {flow.sizes[s]:,} bytes"
            for s in live[:3]
        ),
        _advice(flow, worst, live, sum(room.values()), needed),
    ]
    return DoesNotFit("\n".join(lines))


def _advice(flow: Flow, worst: int, live: Sequence[int], available: int, needed: int) -> str:
    """What would free most at the worst step."""
    inside = 0 <= worst < len(flow.uses)
    touched = {*flow.uses[worst].reads, flow.uses[worst].writes} if inside else set(live)
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
