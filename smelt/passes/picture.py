"""Pictures as a camera has them before a network: resized, cut out and scaled by ops of the graph."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from smelt.model.graph import Array, Graph, Op, Quantization, Tensor
from smelt.model.ops import AveragePool2D, Lookup, ResizeBilinear, ResizeNearest, Slice, Unary
from smelt.model.ops_features import PREPARATION
from smelt.model.ops_pointwise import ChannelLookup
from smelt.passes.rewrite import fresh_name

PIXEL = Quantization((1.0,), (0,))


@dataclass(frozen=True, eq=False)
class Camera:
    """Pictures of `rows` x `columns` become ones of `resized` (rows, columns), of which the middle is taken; `table`, (256,
    channels), has what the network stores for each pixel. By "area" pictures are made smaller by whole factors."""

    rows: int
    columns: int
    resized: tuple[int, int]
    resize: Literal["bilinear", "nearest", "area"]
    table: Array


def with_picture(graph: Graph, edge: Tensor, camera: Camera) -> Graph:
    """The graph that is given pictures of uint8, channels last, in the place of its input `edge`, and is called the same."""
    x = Tensor(edge.name, (1, camera.rows, camera.columns, edge.shape[3]), "uint8", PIXEL)
    inner = replace(edge, name=fresh_name(graph, f"{edge.name}.prepared"))
    ops = _ops(graph, x, inner, camera)
    if not ops:  # a network of pixels
        inner = x
    graph = graph.substitute({edge: inner})
    inputs = tuple(x if t is inner else t for t in graph.inputs)
    return replace(graph, inputs=inputs, ops=(*ops, *graph.ops)).check()


def _ops(graph: Graph, x: Tensor, inner: Tensor, camera: Camera) -> tuple[Op, ...]:
    """From pixels to what the network reads."""
    ops: list[Op] = []
    last = x

    def made(name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        return replace(like, name=fresh_name(graph, f"{x.name}.{name}"), shape=shape)

    if camera.resized != (camera.rows, camera.columns):
        shape = (1, *camera.resized, x.shape[3])
        if camera.resize == "nearest":
            ops.append(
                ResizeNearest(x=last, y=made("resized", shape, last), half_pixel_centers=True, origin=PREPARATION)
            )
        else:
            signed = replace(made("signed", x.shape, x), dtype="int8", quantization=Quantization((1.0,), (-128,)))
            ops.append(Unary(x=x, y=signed, function="requantize", origin=PREPARATION))
            ops.append(_smaller(signed, made("resized", shape, signed), camera))
        last = ops[-1].y
    if last.shape != inner.shape:
        begin = tuple((have - want) // 2 for have, want in zip(last.shape, inner.shape, strict=True))
        ops.append(
            Slice(x=last, y=made("cut", inner.shape, last), begin=begin, stride=(1, 1, 1, 1), origin=PREPARATION)
        )
        last = ops[-1].y
    if last.dtype == inner.dtype and np.array_equal(camera.table, _same(last, camera.table)):
        return (*ops[:-1], replace(ops[-1], y=inner)) if ops else ()
    return (*ops, _scaled(graph, last, inner, camera.table))


def _smaller(x: Tensor, y: Tensor, camera: Camera) -> Op:
    if camera.resize == "bilinear":
        return ResizeBilinear(x=x, y=y, half_pixel_centers=True, origin=PREPARATION)
    size = camera.rows // camera.resized[0], camera.columns // camera.resized[1]
    return AveragePool2D(x=x, y=y, size=size, stride=size, origin=PREPARATION)


def _same(tensor: Tensor, table: Array) -> Array:
    """The table that leaves the values of a byte as they are."""
    low, high = tensor.element.range
    return np.repeat(np.arange(low, high + 1)[:, None], table.shape[1], axis=1)


def _scaled(graph: Graph, x: Tensor, y: Tensor, table: Array) -> Op:
    """Mean, standard deviation, scale and zero point: all that is a function of one pixel is one table, or one for each channel."""
    name = fresh_name(graph, f"{y.name}.table")
    if (table == table[:, :1]).all():
        return Lookup(x=x, y=y, table=_constant(name, table[:, 0], y), origin=PREPARATION)
    return ChannelLookup(x=x, y=y, table=_constant(name, table.T, y), origin=PREPARATION)


def _constant(name: str, data: Array, y: Tensor) -> Tensor:
    return Tensor(name, data.shape, y.dtype, y.quantization, np.ascontiguousarray(data))
