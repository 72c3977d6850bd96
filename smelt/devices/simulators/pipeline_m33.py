"""The pipeline of the Cortex-M33."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from smelt.devices.simulators.decode import BRANCHES, FLAGS, Op
from smelt.devices.simulators.pipeline import TICKS, Timed
from smelt.targets.types import CoreTiming


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

    def mispredicted(self, timed: Timed[M33State]) -> int:
        return 0


def _uses_float_unit(op: Op) -> bool:
    return op.kind in ("fadd", "fmac", "fdivide", "froot", "fmove", "fcore")
