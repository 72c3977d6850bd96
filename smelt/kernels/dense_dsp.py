"""Dense with dual multiply-accumulate: blocks of units share every element of x."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from smelt.kernels.accepts import has_byte_weights, has_dual_mac
from smelt.kernels.calls import CallBuilder
from smelt.kernels.feeds.blocks import in_blocks
from smelt.kernels.feeds.widened import last_elements
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.inner.packed import pack_weights, quads
from smelt.kernels.requantize import requantizer, store_outputs
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import AnyBuffer, Call, Const, Expr, Var
from smelt.model.ops import Dense
from smelt.targets.intrinsics import SMLAD, SXTB16, SXTB16_ROR8
from smelt.targets.types import Core


@dataclass(frozen=True)
class UnitBlock:
    """`units` sums in registers, `unroll` times four products per round of the inner loop."""

    units: int
    unroll: int

    def __str__(self) -> str:
        return f"block(units={self.units}, unroll={self.unroll})"


def build_dense(op: Dense, schedule: UnitBlock) -> KernelCall:
    weights = op.weights.constant
    units, depth = weights.shape
    r = requantizer(op, weights, folded=True)
    packed = pack_weights(weights.reshape(units, 1, depth), schedule.units, mixed=True)
    k = CallBuilder("dense_dsp")
    x, w, table, y = k.operand("x", op.x), k.table("weights", packed), r.bind(k), k.result("y", op.y)
    with k.loop("row", 0, op.x.elements // depth) as row:
        xs = k.window("xs", x, row * depth)
        for first, count in in_blocks(k, "block", units, schedule.units):
            unit = k.let("unit", first)
            sums = [k.var("sum", r.bias(table, unit + c), "int32_t") for c in range(count)]
            ws = k.window("ws", w, unit * quads(depth))
            for start, size in in_blocks(k, "quad", depth // 4, schedule.unroll):
                for quad in range(size):
                    word = k.let("word", xs.load("int32_t", (start + quad) * 4))
                    even, odd = k.let("even", Call(SXTB16, (word,))), k.let("odd", Call(SXTB16_ROR8, (word,)))
                    _multiply(k, ws, start + quad, even, odd, sums)
            if depth % 4:
                _multiply(k, ws, Const(depth // 4), *last_elements(k, xs, depth), sums)
            for c in range(count):
                store_outputs(k, r, table, unit + c, [sums[c]], y, [row * units + unit + c])
    return k.finish_call()


def _multiply(k: KernelBuilder, ws: AnyBuffer, quad: Expr, even: Expr, odd: Expr, sums: list[Var]) -> None:
    """Four elements of x with the weights of every unit."""
    for unit, total in enumerate(sums):
        word = k.let("weights", ws[quad * len(sums) + unit])
        k.assign(total, Call(SMLAD, (Call(SXTB16, (word,)), even, total)))
        k.assign(total, Call(SMLAD, (Call(SXTB16_ROR8, (word,)), odd, total)))


def schedules(op: Dense, core: Core) -> Iterable[UnitBlock]:
    seen = set()
    for units in (4, 3, 2, 6, 1):
        for unroll in (4, 1, 2):
            schedule = UnitBlock(min(units, op.weights.shape[0]), unroll)
            if schedule not in seen:
                seen.add(schedule)
                yield schedule


DENSE_DSP = Implementation("dense_dsp", Dense, schedules, build_dense, (has_dual_mac, has_byte_weights))
