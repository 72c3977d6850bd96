"""The pipeline of the Cortex-M7: in order, two instructions at a time, with an early and a late arithmetic stage.

Times are issue cycles. A result has several: the late stage, the shifters and simple adders of the early stage, the address adders,
the multiplier, the accumulator behind it, and the store buffer all take it at different moments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from smelt.devices.simulators.decode import BRANCHES, FLAGS, Op
from smelt.devices.simulators.pipeline import TICKS, Timed
from smelt.targets.types import CoreTiming

_EARLY_ADDERS = ("add", "addw", "sub", "subw", "mov", "movw")
_REVERSALS = ("rev", "rev16", "revsh", "rbit")
_FLOAT = ("fadd", "fmac", "fmove")
_DOUBLE = ("fadd", "fmac", "fdivide", "froot")
_ALONE = ("divide", "system", "fcore", "fdivide", "froot", "load_many", "store_many", "table")
_BRANCH_WINDOW = 3  # flags that are this many cycles old resolve a branch early


@dataclass(frozen=True)
class Result:
    """The first issue cycle in which a register's value can be used, by consumer."""

    late: int
    early: int
    address: int
    multiply: int
    accumulate: int
    store: int

    def minus(self, time: int) -> Result:
        return Result(
            self.late - time, self.early - time, self.address - time,
            self.multiply - time, self.accumulate - time, self.store - time,
        )  # fmt: skip

    @property
    def last(self) -> int:
        return max(self.late, self.early, self.address, self.multiply, self.accumulate)


@dataclass(frozen=True)
class M7State:
    """Results under way, and the instruction whose cycle still has a free slot (`older`), in the cycle before the next."""

    ready: dict[str, Result] = field(default_factory=dict)
    older: Op | None = None
    flags: int = -_BRANCH_WINDOW  # when the flags were set


class M7:
    """One simulated Cortex-M7."""

    fetch_bytes = 8

    def __init__(self, timing: CoreTiming) -> None:
        self.timing = timing

    def idle(self) -> M7State:
        return M7State()

    def block(self, ops: Sequence[Op], state: M7State) -> Timed[M7State]:
        ready, older, time, flags = dict(state.ready), state.older, 0, state.flags
        starts, halves = [], 0
        for op in ops:
            need = self._need(op, ready)
            younger = older is not None and need <= time - 1 and _pair(older, op)
            if younger and older is not None:
                start = time - 1
                halves += _bank_unknown(older, op)
                older = None
            else:
                start = max(time, need)
                time = start + self._duration(op)
                older = None if op.kind in _ALONE else op
            starts.append(TICKS * max(start, 0))
            early = self._is_early(op, ready, start, younger)
            ready.update(self._results(op, start, time, early))
            flags = start if op.sets_flags else flags
        left = {r: v.minus(time) for r, v in ready.items() if v.last > time}
        return Timed(tuple(starts), TICKS * time + halves * TICKS // 2, M7State(left, older, flags - time))

    def _need(self, op: Op, ready: dict[str, Result]) -> int:
        times = [ready[r].address for r in op.address if r in ready]
        times += [ready[r].early for r in op.early if r in ready]
        times += [ready[r].accumulate for r in op.accumulator if r in ready]
        for r in op.reads & ready.keys():
            if op.kind in ("mac", "fmac"):
                times.append(ready[r].multiply)
            elif op.kind in ("store", "store_many"):
                times.append(ready[r].store)
            elif op.kind not in BRANCHES or r != FLAGS:  # branches are predicted
                times.append(ready[r].late)
        return max(times, default=0)

    def _duration(self, op: Op) -> int:
        if op.many:
            return (op.registers + 1) // 2
        table = self.timing
        if op.is_double and op.kind in _DOUBLE:
            multiplies = op.name in ("vmul", "vnmul")
            return {
                "fadd": table.double_multiply if multiplies else table.double_add,
                "fmac": table.double_mac,
                "fdivide": table.double_divide,
                "froot": table.double_root,
            }[op.kind]
        special = {
            "divide": table.divide,
            "fdivide": table.float_divide,
            "froot": table.float_root,
            "system": 2,
            "table": 3,
        }
        return special.get(op.kind, 1)

    def _is_early(self, op: Op, ready: dict[str, Result], start: int, younger: bool) -> bool:
        """Whether the early stage computes it: its operands are there in time, and its slot has such an adder."""
        if op.kind == "alu" and (op.name not in _EARLY_ADDERS or younger):
            return False
        if op.kind not in ("alu", "shift") and op.name not in _REVERSALS:
            return False
        return all(ready[r].early <= start for r in op.reads if r in ready) and not op.conditional

    def _results(self, op: Op, s: int, end: int, early: bool) -> dict[str, Result]:
        found = self._result(op, s, end, early)
        results = dict.fromkeys(op.writes, found)
        if FLAGS in results:  # always from the late stage
            results[FLAGS] = Result(*(max(found.late, s + 1),) * 6)
        if op.base:
            results[op.base] = Result(s + 1, s + 2, s + 1, s + 1, s + 1, s + 1)
        return results

    def _result(self, op: Op, s: int, end: int, early: bool) -> Result:
        if op.kind == "load":
            if op.is_float:
                return Result(s + 2, s + 2, s + 2, s + 2, s + 3, s)
            late = s + 1 if op.bytes == 4 else s + 2
            return Result(late, late + 1, late + 1, s + 2, late - 1, s)
        if op.kind == "load_many":
            return Result(end, end + 1, end + 1, end + 1, end - 1 + 2 * op.is_float, end - 1)
        if op.kind == "mac":
            return Result(s + 2, s + 3, s + 3, s + 2, s + 1, s + 1)
        if op.is_double and op.kind in _DOUBLE:
            return Result(*(max(end, s + self.timing.float_add),) * 6)
        if op.kind == "fmac":
            n = self.timing.float_mac
            return Result(s + n, s + n, s + n, s + n, s + 3, s + 3)
        if op.kind in ("fadd", "fmove"):
            n = self.timing.float_add
            return Result(s + n, s + n, s + n, s + n, s + n, s + 1)
        if op.kind == "fcore":
            return Result(s + 3, s + 3, s + 3, s + 3, s + 3, s + 2) if _to_float(op) else Result(*(s + 2,) * 6)
        if early:
            slow = op.name in _REVERSALS
            return Result(s, s + 1 + slow, s + 1 + slow, s + 1, s, s)
        return Result(end, end + 1, end + 1, end, end - 1, end - 1)

    def leave(self, ops: Sequence[Op], taken: bool, target: Op | None) -> int:
        return 0  # a predicted branch costs its slot; `mispredicted` is for the others

    def mispredicted(self, timed: Timed[M7State]) -> int:
        """What a wrong prediction at the block's end costs, in ticks."""
        early = -timed.state.flags > _BRANCH_WINDOW
        return TICKS * (self.timing.mispredicted_early if early else self.timing.mispredicted)


def _to_float(op: Op) -> bool:
    return any(r[0] in "sd" and r != "sp" for r in op.writes)


def _pair(older: Op, younger: Op) -> bool:
    """Whether two instructions may start in the same cycle, by their kinds."""
    a, b = older.kind, younger.kind
    if b in _ALONE or a in ("call", "indirect"):
        return False
    if older.base and older.base in younger.address | {younger.base}:
        return False
    if b == "bits" or (a == b and a in ("mac", "store")):
        return False
    if {a, b} == {"mac", "store"} or (b == "shifted" and a in ("shifted", "bits", "shift")):
        return False
    if older.is_float or younger.is_float:
        return _float_pair(older, younger)
    return not (a == b == "load" and _same_bank(older, younger))


def _float_pair(older: Op, younger: Op) -> bool:
    if older.kind in _FLOAT and younger.kind in _FLOAT:
        return False
    both = {older.kind, younger.kind}
    if "fmac" in both and older.is_float and younger.is_float:
        return False
    return not (both == {"load"} and _same_bank(older, younger))


def _same_bank(a: Op, b: Op) -> bool:
    """Whether two loads certainly want the same 32-bit bank: even or odd words."""
    if a.place is None or b.place is None or a.place[0] != b.place[0]:
        return False
    return not ((a.place[1] >> 2) ^ (b.place[1] >> 2)) & 1


def _bank_unknown(a: Op, b: Op) -> int:
    """Half a cycle on average, if nobody knows whether two loads collide."""
    if a.kind != "load" or b.kind != "load":
        return 0
    return int(a.place is None or b.place is None or a.place[0] != b.place[0])
