"""Matrix products: with constant weights they are `Dense`, between two values `BatchMatMul`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smelt.importers.onnx_fused import byte_of, matrix_products
from smelt.importers.onnx_linear import Bias, Linear, bias_of, weights_of
from smelt.importers.onnx_nodes import Constant
from smelt.importers.onnx_site import OnnxArm, Site
from smelt.importers.onnx_views import Promise, View, is_free, places, plain, transposed_axes
from smelt.model.graph import Array, Tensor
from smelt.model.ops import Dense
from smelt.model.ops_matmul import BatchMatMul
from smelt.model.rescale import linear_rescale

MOST_PLACES = 1 << 22


def gemm(at: Site) -> None:
    a, b = at.running(0), at.any(1)
    c = at.any(2) if at.has(2) else None
    if len(a.shape) != 2 or len(b.shape) != 2:
        at.broken(f"matrices of {len(a.shape)} and {len(b.shape)} axes")
    turned, transposed = bool(at.integer("transA", 0)), bool(at.integer("transB", 0))
    alpha, beta = at.real("alpha", 1.0), at.real("beta", 1.0)
    if turned:
        a = transposed_axes(at.bench.arranged(a, (0, 1)), (1, 0))
    if isinstance(c, View):
        at.refuse("its third operand must be a constant")
    elif isinstance(b, Constant):
        at.give(multiplied(at, a, b, transposed, c, alpha, beta))
    else:
        at.demand(c is None and alpha == 1, "the product of two values is not scaled, and nothing is added to it")
        at.give(stacked(at, a, transposed_axes(at.bench.arranged(b, (0, 1)), (1, 0)) if transposed else b))


def multiplied(
    at: Site, a: View, b: Constant, transposed: bool, c: Constant | None, alpha: float = 1.0, beta: float = 1.0
) -> View:
    """alpha * a @ b + beta * c, b being (units, depth) where it is transposed."""
    units, depth = b.shape if transposed else b.shape[::-1]
    if not a.shape or a.shape[-1] != depth:
        at.broken(f"weights of shape {list(b.shape)} do not fit an input of shape {list(a.shape)}")
    a, columns = rows_of(at, a)

    def layout(weights: Array) -> Array:
        turned = weights if transposed else weights.T
        if columns is None:
            return turned
        moved = np.empty_like(turned)
        moved[:, columns] = turned
        return moved

    weights = weights_of(at, b, layout, 0 if transposed else 1, 0)
    if alpha != 1:
        by = np.float32(alpha)
        weights = replace(weights, reals=weights.reals * by, scales=weights.scales * by)
        at.demand(weights.stored is None or alpha > 0, "alpha of quantised weights must be positive")
    if c is not None and c.data.size == 0:
        c = None
    if c is not None and c.data.size not in (1, units):
        at.refuse(f"a bias of shape {list(c.shape)} is not one number for each of {units} units")
    bias = bias_of(c)
    if bias is not None and (beta != 1 or bias.reals.size != units):
        bias = Bias(np.broadcast_to(bias.reals * np.float32(beta), (units,)).astype(np.float32))
    linear = Linear(at, a, weights, bias, (*a.shape[:-1], units), lambda operands: Dense(**operands))
    return plain(linear.promise(), "float32")


def rows_of(at: Site, view: View) -> tuple[View, Array | None]:
    """A value as rows of its last axis, and where its columns lie in the rows of the source: None where they lie in order.

    Nothing moves where rows are whole in the source, as they are behind a Flatten of an image.
    """
    depth = view.shape[-1]
    if not is_free(view, tuple(range(len(view.shape)))) and view.elements <= MOST_PLACES:
        where = places(view).reshape(-1, depth)
        whole = np.array_equal(where // depth, np.broadcast_to(np.arange(len(where))[:, np.newaxis], where.shape))
        if whole and np.array_equal(where % depth, np.broadcast_to(where[0] % depth, where.shape)):
            shape = view.shape

            def build(x: Tensor) -> Tensor:
                return at.bench.reshaped(x, shape)

            return plain(at.bench.move(view.source, shape, build), view.dtype), where[0] % depth
    return at.bench.arranged(view, tuple(range(len(view.shape)))), None


def matmul(at: Site) -> None:
    a, b = at.any(0), at.any(1)
    if isinstance(b, Constant) and len(b.shape) == 2 and isinstance(a, View):
        at.give(multiplied(at, a, b, False, None))
    else:
        at.give(stacked(at, at.view(0), at.view(1)))


def stacked(at: Site, a: View, b: View) -> View:
    """The products of stacks of matrices, in integers where both are dequantised bytes."""
    if len(a.shape) < 2 or len(b.shape) < 2:
        at.refuse("products of vectors are not supported; give them two axes")
    if a.shape[-1] != b.shape[-2]:
        at.broken(f"matrices of shapes {list(a.shape)} and {list(b.shape)} do not fit")
    x, transposed = _matrix(at, a)
    x2, transposed2 = _matrix(at, b)
    shape = (*at.broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])

    def real(limits: tuple[float, float]) -> Tensor:
        y = at.fresh(shape)
        left, right = at.bench.real(x), at.bench.real(x2)
        rescale = linear_rescale(left, right, y, limits)
        op = BatchMatMul(x=left, x2=right, y=y, rescale=rescale, transposed=transposed, transposed2=transposed2)
        return at.bench.add(op, at.node.where)

    promise, left, right = Promise(shape, real), byte_of(x.source), byte_of(x2.source)
    if left is not None and right is not None:
        promise = matrix_products(at, left, right, promise, transposed, transposed2)
    return plain(promise, "float32")


def _matrix(at: Site, view: View) -> tuple[View, bool]:
    """Matrices as they are stored, and whether rows and columns are exchanged there."""
    own = tuple(range(len(view.shape)))
    turned = (*own[:-2], own[-1], own[-2])
    exchanged = not is_free(view, own) and is_free(view, turned)
    return at.bench.arranged(view, turned if exchanged else own), exchanged


PRODUCTS: tuple[OnnxArm, ...] = (
    OnnxArm("Gemm", "a constant bias; none for two values that are multiplied", gemm),
    OnnxArm("MatMul", "constant weights, or two values", matmul),
)
