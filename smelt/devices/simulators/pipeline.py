"""The pipelines of the Cortex-M4 and the Cortex-M33: what a run of instructions costs while memory answers at once.

Costs are in ticks, `TICKS` to the cycle. A pipeline is asked about one block at a time and gets the state that the block before
it left behind. The branch at a block's end costs what `leave` says, as that depends on where it goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from smelt.devices.simulators.decode import BRANCHES, FLAGS, Op
from smelt.targets.timing import CoreTiming

TICKS = 8
State = TypeVar("State")


@dataclass(frozen=True)
class Timed(Generic[State]):
    """What a block costs: `starts` are its instructions' times, `cost` that of all; `state` is what the next block finds.

    `chained` are the addresses of loads whose cost supposes that they overlap the load before them, which they do only if both
    address the same memory: that is seen when they are executed.
    """

    starts: tuple[int, ...]
    cost: int
    state: State
    chained: tuple[int, ...] = ()


class Pipeline(Protocol[State]):
    """A model of one core."""

    fetch_bytes: int  # instructions that it fetches in a cycle

    def idle(self) -> State:
        """The state with nothing under way."""

    def block(self, ops: Sequence[Op], state: State) -> Timed[State]:
        """The cost of a block's instructions."""

    def leave(self, ops: Sequence[Op], taken: bool, target: Op | None) -> int:
        """What the branch at the end adds, in ticks. `target` is the instruction that follows."""


@dataclass(frozen=True)
class M4State:
    """The last instruction, and how many misaligned 32-bit instructions end the code so far."""

    last: Op | None = None
    wide: int = 0


class M4:
    """Three stages, one instruction at a time; neighbouring loads overlap."""

    fetch_bytes = 4

    def __init__(self, timing: CoreTiming) -> None:
        self.timing = timing

    def idle(self) -> M4State:
        return M4State()

    def block(self, ops: Sequence[Op], state: M4State) -> Timed[M4State]:
        last, wide, time = state.last, state.wide, 0
        starts, chained = [], []
        for op in ops:
            starts.append(TICKS * time)
            time += self._cost(op, last)
            if op.is_load and _chains(op, last):
                chained.append(op.at)
            wide = wide + 1 if op.size == 4 and op.at % 4 else 0
            time += wide == (4 if op.is_store else 3)  # the fetch unit falls behind, once
            last = op
        return Timed(tuple(starts), TICKS * time, M4State(last, wide), tuple(chained))

    def _cost(self, op: Op, last: Op | None) -> int:
        table = self.timing
        if op.kind == "nop":
            return 0 if last is not None and (last.kind == "load" or (last.kind == "store" and last.indexed)) else 1
        if op.kind == "it":
            return 0 if last is not None and last.narrow else 1
        if op.kind in ("load", "store", "load_many", "store_many"):
            return self._memory(op, last)
        late = last is not None and last.kind in ("fadd", "fmac") and bool(last.writes & (op.reads | op.accumulator))
        special = {
            "divide": table.divide, "fmac": table.float_mac, "fdivide": table.float_divide, "froot": table.float_root,
            "system": 2, "table": 3,  # [M4] two for the load, one for the sum, and `load_pc`
        }  # fmt: skip
        return special.get(op.kind, 1) + late

    def _memory(self, op: Op, last: Op | None) -> int:
        stall = 0
        if _depends(op, last) and not _follows_load(last):
            stall += 1  # the address adder has no forwarding
        if last is not None and last.kind == "store" and op.kind in ("load", "load_many"):
            stall += 1
        if op.many:
            return stall + 1 + op.registers
        cost = 2 if op.is_load or op.indexed or op.is_float else 1
        return stall + cost - _chains(op, last)

    def leave(self, ops: Sequence[Op], taken: bool, target: Op | None) -> int:
        if not taken or not ops or not ops[-1].is_branch:
            return 0
        last, table = ops[-1], self.timing
        if last.loads_pc or last.kind == "table":
            refill = table.load_pc
        else:
            refill = table.indirect if last.kind == "indirect" else table.taken
        wide = target is not None and target.size == 4 and target.at % 4 != 0
        return TICKS * (refill + (table.misaligned_target if wide else 0))


def _follows_load(last: Op | None) -> bool:
    return last is not None and last.kind == "load"


def _depends(op: Op, last: Op | None) -> bool:
    """Whether the address comes from the instruction before."""
    if last is None:
        return False
    return bool((last.writes if last.many else last.writes | {last.base}) & op.address)


def _chains(op: Op, last: Op | None) -> bool:
    """Whether a load or store overlaps the load before it, as far as the code tells."""
    # [J] a 32-bit load that is not word-aligned fails to join the load before it
    misplaced = op.is_load and not op.narrow and not op.is_float and op.at % 4 != 0
    return _follows_load(last) and not _depends(op, last) and not misplaced


@dataclass(frozen=True)
class Ready:
    """When a result can be used: by arithmetic and addresses, by an accumulator, by a store."""

    use: int
    accumulate: int
    store: int

    def minus(self, time: int) -> Ready:
        return Ready(self.use - time, self.accumulate - time, self.store - time)


@dataclass(frozen=True)
class M33State:
    """Results under way, by register; until when the floating-point unit refuses work; whether the last instruction may pair."""

    ready: dict[str, Ready] = field(default_factory=dict)
    float_free: int = 0
    pairs: bool = False


_SLOW_ONE_STAGE = (
    "bfi", "bfc", "sbfx", "ubfx", "sxtb", "sxth", "uxtb", "uxth", "rev", "rev16", "revsh", "rbit", "clz",
)  # fmt: skip


class M33:
    """In order, one instruction at a time but for a few pairs of 16-bit ones; results of two stages come a cycle later."""

    fetch_bytes = 4

    def __init__(self, timing: CoreTiming) -> None:
        self.timing = timing

    def idle(self) -> M33State:
        return M33State()

    def block(self, ops: Sequence[Op], state: M33State) -> Timed[M33State]:
        ready, time, float_free, pairs = dict(state.ready), 0, state.float_free, state.pairs
        starts = []
        for op in ops:
            start = max(time, self._need(op, ready), float_free if _uses_float_unit(op) else 0)
            starts.append(TICKS * start)
            if op.kind in BRANCHES:
                time = start  # `leave` knows what it costs
                ready.update({r: Ready(start + 1, start + 1, start + 1) for r in op.writes})
                continue
            free = op.kind == "it" or (op.kind == "nop" and op.narrow and pairs)
            time = start + (0 if free else self._duration(op))
            pairs = op.narrow and not free
            if op.kind == "fmac":
                float_free = start + self.timing.float_mac
            ready.update(self._results(op, start, time))
        left = {r: v.minus(time) for r, v in ready.items() if v.use > time}
        return Timed(tuple(starts), TICKS * time, M33State(left, float_free - time, pairs))

    def _need(self, op: Op, ready: dict[str, Ready]) -> int:
        times = [ready[r].store if op.kind == "store" else ready[r].use for r in op.reads if r in ready]
        times += [ready[r].use for r in op.early | op.address if r in ready]
        times += [ready[r].accumulate for r in op.accumulator if r in ready]
        if op.kind in BRANCHES:
            times = [t for r, t in zip(op.reads, times, strict=False) if r != FLAGS]
        return max(times, default=0)

    def _duration(self, op: Op) -> int:
        if op.many:
            return op.registers
        if op.sets_flags and ((op.kind == "mac" and op.narrow) or (op.kind == "shifted" and not op.early)):
            return 2
        table = self.timing
        special = {"divide": table.divide, "fdivide": table.float_divide, "froot": table.float_root, "system": 2}
        return special.get(op.kind, 1)

    def _results(self, op: Op, start: int, end: int) -> dict[str, Ready]:
        if op.kind == "load":
            found = Ready(start + 2, start + 1, start + 1)
        elif op.kind == "load_many":
            found = Ready(end + 1, end, end)
        elif op.kind == "fmac":
            found = Ready(start + 3, start + 3, start + 3)
        elif op.kind in ("mac", "shifted") or (op.kind == "bits" and op.name not in _SLOW_ONE_STAGE):
            found = Ready(start + 2, start + 1, start + 1)
        else:
            found = Ready(end, end, end)
        results = dict.fromkeys(op.writes, found)
        if FLAGS in results and op.kind != "shifted":
            results[FLAGS] = Ready(end, end, end)
        if op.base:
            results[op.base] = Ready(start + 1, start + 1, start + 1)
        return results

    def leave(self, ops: Sequence[Op], taken: bool, target: Op | None) -> int:
        if not ops or not ops[-1].is_branch:
            return 0
        last, table = ops[-1], self.timing
        before = ops[-2] if len(ops) > 1 else None
        beside = last.narrow and before is not None and before.narrow  # in the second slot of a pair
        if not taken:
            return 0 if beside else TICKS
        if last.loads_pc:
            return TICKS * table.load_pc
        cost = 1 + (table.indirect if last.kind in ("indirect", "table") else table.taken)
        return TICKS * (cost - (1 if beside and before is not None and not before.sets_flags else 0))


def _uses_float_unit(op: Op) -> bool:
    return op.kind in ("fadd", "fmac", "fdivide", "froot", "fmove", "fcore")
