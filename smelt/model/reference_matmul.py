"""What products of matrices compute."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smelt.model.graph import Array, Op
from smelt.model.ops_matmul import BatchMatMul


def batch_matmul(op: BatchMatMul, x: Array, x2: Array) -> Array:
    """Sums of integers are exact; those of reals are rounded one by one, as are their products."""
    left = x.swapaxes(-1, -2) if op.transposed else x
    right = x2.swapaxes(-1, -2) if op.transposed2 else x2
    if op.y.element.is_float:
        total = np.zeros(op.y.shape, np.float32)
        for i in range(op.depth):
            total = total + left[..., :, i : i + 1] * right[..., i : i + 1, :]
        return np.asarray(total, np.float32)
    wide = (left.astype(np.int64) - op.rescale.x_zero) @ (right.astype(np.int64) - op.x2_zero)
    return op.rescale.apply(wide).astype(op.y.element.numpy)


MATMUL: dict[type[Op], Callable[..., Array]] = {BatchMatMul: batch_matmul}
