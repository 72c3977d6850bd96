"""Operators between quantisers that compute in integers as onnxruntime's fused operators do (docs/onnx.md)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import prod

from smelt.importers.onnx_linear import stored_limits
from smelt.importers.onnx_site import Site
from smelt.importers.onnx_views import Decoded, Limits, Promise, Shape, Source, Target
from smelt.model.graph import Tensor
from smelt.model.ops import Add, AveragePool2D, Mean, Mul, Padding, Softmax
from smelt.model.ops_matmul import BatchMatMul
from smelt.model.parameters import softmax_steps
from smelt.model.rescale import matmul_rescale, mean_rescale, product_rescale
from smelt.model.terms import fused_terms


def byte_of(source: Source) -> Tensor | None:
    """The tensor of int8 that a source is a plain dequantisation of."""
    if isinstance(source, Decoded) and source.table is None and source.tensor.dtype == "int8":
        return source.tensor
    return None


def result(at: Site, shape: Shape, target: Target) -> Tensor:
    """A tensor of the integers that a quantiser wants."""
    return at.bench.tensor(at.wish, shape, target.dtype, target.quantization)  # type: ignore[arg-type]


def added(at: Site, x: Tensor, x2: Tensor, shape: Shape, promise: Promise, subtract: bool = False) -> Promise:
    """A sum or difference of bytes."""

    def quantised(target: Target, limits: Limits) -> Tensor:
        y = result(at, shape, target)
        terms = fused_terms(x, x2, y, unsigned=target.unsigned, subtract=subtract)
        op = Add(x=x, x2=x2, y=y, clamp=stored_limits(target, limits), subtract=subtract, terms=terms)
        return at.bench.add(op, at.node.where)

    return replace(promise, quantised=quantised)


subtracted = partial(added, subtract=True)
"""A difference of bytes."""


def multiplied_bytes(at: Site, x: Tensor, x2: Tensor, shape: Shape, promise: Promise) -> Promise:
    """A product of bytes."""

    def quantised(target: Target, limits: Limits) -> Tensor:
        y, clamp = result(at, shape, target), stored_limits(target, limits)
        rescale = product_rescale(x, x2, y, clamp, unsigned=target.unsigned)
        return at.bench.add(Mul(x=x, x2=x2, y=y, clamp=clamp, rescale=rescale), at.node.where)

    return replace(promise, quantised=quantised)


def matrix_products(at: Site, x: Tensor, x2: Tensor, promise: Promise, transposed: bool, transposed2: bool) -> Promise:
    """The products of stacks of matrices of bytes."""

    def quantised(target: Target, limits: Limits) -> Tensor:
        y = result(at, promise.shape, target)
        rescale = matmul_rescale(x, x2, y, stored_limits(target, limits))
        op = BatchMatMul(
            x=x, x2=x2, y=y, rescale=rescale, x2_zero=x2.q.zero_point, transposed=transposed, transposed2=transposed2
        )
        return at.bench.add(op, at.node.where)

    return replace(promise, quantised=quantised)


def meant(at: Site, x: Tensor, axes: tuple[int, ...], promise: Promise) -> Promise:
    """The mean of bytes along axes as they are stored."""
    count = prod(x.shape[axis] for axis in axes)

    def quantised(target: Target, limits: Limits) -> Tensor:
        y = result(at, promise.shape, target)
        rescale = mean_rescale(x, count, y, stored_limits(target, limits))
        return at.bench.add(Mean(x=x, y=y, axes=axes, rescale=rescale), at.node.where)

    return replace(promise, quantised=quantised)


def pooled_means(
    at: Site, x: Tensor, size: tuple[int, int], stride: tuple[int, int], pad: Padding, promise: Promise
) -> Promise:
    """The means of windows of bytes, all of them whole: padding counts as zeros."""

    def quantised(target: Target, limits: Limits) -> Tensor:
        y, clamp = result(at, promise.shape, target), stored_limits(target, limits)
        rescale = mean_rescale(x, prod(size), y, clamp)
        op = AveragePool2D(x=x, y=y, size=size, stride=stride, pad=pad, clamp=clamp, rescale=rescale)
        return at.bench.add(op, at.node.where)

    return replace(promise, quantised=quantised)


def soft_maxima(at: Site, x: Tensor, promise: Promise) -> Promise:
    """The softmax of bytes along the last axis."""

    def quantised(target: Target, limits: Limits) -> Tensor:
        y = result(at, promise.shape, target)
        return at.bench.add(Softmax(x=x, y=y, steps=softmax_steps(y)), at.node.where)

    return replace(promise, quantised=quantised)
