"""Total: sums that come in parts are added, and become outputs by the epilogue of the layer whose sums they are."""

from __future__ import annotations

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall, Plain, plain
from smelt.kernels.requantize import store_outputs
from smelt.kernels.requantize48 import epilogue
from smelt.loops.ir import cast
from smelt.model.ops import Total


def build_total(op: Total, schedule: Plain) -> KernelCall:
    parts, width = op.x.shape
    r = epilogue(op.of, op.of.weights.constant, folded=True)
    k = CallBuilder("total")
    x, table, y = k.operand("x", op.x), r.bind(k), k.result("y", op.y)
    with k.loop("channel", 0, op.y.elements) as channel:
        total = k.var("total", r.bias(table, channel))
        with k.loop("part", 0, parts) as part:
            k.assign(total, total + cast(total.type, x[part * width + channel]))
        store_outputs(k, r, table, channel, [total], y, [channel])
    return k.finish_call()


TOTAL = Implementation("total", Total, plain, build_total)
