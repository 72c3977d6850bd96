"""Softmax in float32."""

from __future__ import annotations

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall, Plain, plain
from smelt.kernels.inner.floats import real_operands
from smelt.loops.ir import AnyBuffer, Var, maximum, real
from smelt.model.ops import Softmax
from smelt.targets.intrinsics import EXP


def build_softmax(op: Softmax, schedule: Plain) -> KernelCall:
    k = CallBuilder("softmax_floats", in_place=True)
    x, y = k.operand("x", op.x), k.result("y", op.y)
    columns = op.x.shape[-1]
    with k.loop("row", 0, op.x.elements // columns) as row:
        source, target = k.window("from", x, row * columns), k.window("to", y, row * columns)
        most = largest(k, source, columns)
        total = k.var("total", real(0.0))
        with k.loop("i", 0, columns) as i:
            value = k.let("value", k.call(EXP, (source[i] - most) * real(op.beta)))
            k.store(target, i, value)
            k.assign(total, total + value)
        with k.loop("j", 0, columns) as j:
            k.store(target, j, target[j] // total)
    return k.finish_call()


def largest(k: CallBuilder, x: AnyBuffer, columns: int) -> Var:
    """The greatest of the first elements of `x`."""
    most = k.var("most", x[0])
    with k.loop("i", 1, columns) as i:
        k.assign(most, maximum(x[i], most))
    return most


SOFTMAX_FLOATS = Implementation("softmax_floats", Softmax, plain, build_softmax, (real_operands,))
