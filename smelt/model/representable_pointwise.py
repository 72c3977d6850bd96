"""Where the numbers of element-wise operators leave the oracle's 32-bit fixed point: a part of `representable.py`."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from smelt.model.arithmetic import quantize_multiplier
from smelt.model.graph import Op
from smelt.model.limits import farthest, rescaled
from smelt.model.ops_pointwise import AddN, Compare, CumulativeSum, Div, LogSoftmax, Prelu, SquaredDifference, Sum
from smelt.model.unary import is_scaled


def pointwise_excesses(op: Op) -> Iterator[str]:
    """Why `op` is not exact with these scales; nothing where it is, or is no op of this kind."""
    if not is_scaled(op.inputs[0].dtype if op.inputs else "bool"):
        return
    match op:
        case SquaredDifference():
            twice = 2 * max(op.x.q.scale, op.x2.q.scale)
            bits = 14 if op.x.dtype == "int8" else 0
            yield from rescaled(1 << 30, twice * twice / (2.0**bits * op.y.q.scale), "(2 x.scale)^2 / y.scale")
        case Compare():
            for tensor in (op.x, op.x2):
                if not tensor.q.scale < 1:
                    yield f"'{tensor.name}' has the scale {tensor.q.scale:.3g}; comparisons need scales below 1"
        case Div():
            ratio = op.x.q.scale / (op.x2.q.scale * op.y.q.scale)
            if quantize_multiplier(ratio)[1] > 22:
                yield f"x.scale / x2.scale / y.scale is {ratio:.3g}; it must be below {1 << 22}"
        case Prelu():
            ratio = op.x.q.scale / op.y.q.scale
            yield from rescaled(farthest(op.x), ratio, "x.scale / y.scale")
            most = farthest(op.x) * farthest(op.alpha)
            yield from rescaled(most, ratio * op.alpha.q.scale, "alpha.scale * x.scale / y.scale")
        case Sum():
            count = prod(op.x.shape[axis] for axis in op.axes)
            yield from rescaled(count * farthest(op.x), op.x.q.scale / op.y.q.scale, "x.scale / y.scale")
        case LogSoftmax() if not op.x.q.scale > 2.0**-26:
            yield f"input scale {op.x.q.scale:.3g} is out of range"
        case AddN() | CumulativeSum():
            x = op.inputs[0]
            if not 2 * x.q.scale / op.y.q.scale < 1 << 20:
                yield f"x.scale / y.scale is {x.q.scale / op.y.q.scale:.3g}; it must be below {1 << 19}"
