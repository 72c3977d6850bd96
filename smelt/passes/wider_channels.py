"""Channels that are computed although nobody needs them, where more of them suit a machine: whole words, or pixels that do not lie
where all cores ask the same bank of memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from smelt.model.graph import Graph, Tensor
from smelt.model.ops import Conv2D, DepthwiseConv2D
from smelt.passes.rewrite import fresh_name, readers

Widths = dict[Tensor, int]

WORD = 4
MANY = 256  # channels, of which a word more is less than 2 %


def whole_words(channels: int) -> int:
    """So many channels, or up to seven more: whole words of them, and where there are many an odd number of words, so that pixels
    one behind another begin in different banks of a memory."""
    words = -(-channels // WORD)
    return WORD * (words | 1 if channels >= MANY else words)


def widen_channels(graph: Graph, width: Callable[[int], int]) -> Graph:
    """The graph whose tensors of int8 between convolutions have `width` of their channels, no fewer than these.

    Exact: what is added is the same at every position, and weights for it are zero. Inputs, outputs and states of the graph stay as
    they are, and so does what anything else than a convolution with constants reads.
    """
    widths = _widths(graph, width)
    if not widths:
        return graph
    uses = readers(graph)
    wider = {t: replace(t, shape=(*t.shape[:-1], count)) for t, count in widths.items()}
    ops = (_wider(graph, op, widths, uses) if isinstance(op, Conv2D | DepthwiseConv2D) else op for op in graph.ops)
    return replace(graph, ops=tuple(op.substitute(wider) for op in ops))


def _widths(graph: Graph, width: Callable[[int], int]) -> Widths:
    """How many channels tensors have afterwards, of those that get more. What a depthwise convolution reads and writes have as
    many."""
    fixed = {*graph.sources, *graph.sinks}
    made = set[Tensor]()
    for op in graph.ops:
        if isinstance(op, Conv2D | DepthwiseConv2D) and _is_free(op):
            made.add(op.y)
            fixed.update(t for t in op.inputs if t is not op.x)
        else:
            fixed.update((*op.inputs, *op.ys))
    tied = [(op.x, op.y) for op in graph.ops if isinstance(op, DepthwiseConv2D) and _is_free(op)]
    free, count = made - fixed, -1
    while count != len(free):
        count = len(free)
        free -= {t for x, y in tied if not {x, y} <= free for t in (x, y)}
    found = {t: width(t.shape[-1]) for t in free}
    return {t: n for t, n in found.items() if n > t.shape[-1]}


def _is_free(op: Conv2D | DepthwiseConv2D) -> bool:
    """Whether an op can compute more channels, and read some that do not matter."""
    fits = op.multiplier == 1 if isinstance(op, DepthwiseConv2D) else op.weights.shape[-1] == op.x.shape[-1]
    return fits and op.has_constants and op.x.dtype == op.y.dtype == op.weights.dtype == "int8"


def _wider(
    graph: Graph, op: Conv2D | DepthwiseConv2D, widths: Mapping[Tensor, int], uses: Counter[Tensor]
) -> Conv2D | DepthwiseConv2D:
    """`op` with zeros as weights of what is added, and its last channel's numbers for it."""
    of_x, of_y = (widths.get(t, t.shape[-1]) - t.shape[-1] for t in (op.x, op.y))
    if not of_x and not of_y:
        return op

    def grown(constant: Tensor, more: Mapping[int, int]) -> Tensor:
        name = constant.name if uses[constant] == 1 else fresh_name(graph, f"{constant.name}.{op.y.name}")
        pads = [(0, more.get(axis, 0)) for axis in range(len(constant.shape))]
        data = np.pad(constant.constant, pads)
        q = constant.quantization if constant.quantization and len(constant.quantization.scales) == 1 else None
        return Tensor(name, data.shape, constant.dtype, q, data)

    axes = {3: of_y} if isinstance(op, DepthwiseConv2D) else {0: of_y, 3: of_x}
    last = np.minimum(np.arange(op.y.shape[-1] + of_y), op.y.shape[-1] - 1)
    bias = None if op.bias is None else grown(op.bias, {0: of_y})
    return replace(op, weights=grown(op.weights, axes), bias=bias, rescale=op.rescale.of(last))
