"""Tiles of convolutions: each is an op that computes its part of the result bit for bit, from what a move brings."""

from itertools import product

import numpy as np
import pytest

from smelt.kernels import FRUGAL
from smelt.model.graph import Graph, Quantization, Tensor
from smelt.model.ops import Conv2D, DepthwiseConv2D, Padding
from smelt.model.reference import trace
from smelt.model.rescale import linear_rescale
from smelt.model.slabs import Rows
from smelt.planner.tiles import BURST, Costs, Size, Tiled, can_tile, rounded, sizes, tile, timeline
from smelt.planner.ways import Ways
from smelt.targets.boards import board

H743 = board("nucleo_h743zi")


def convolution(kind=Conv2D, rows=9, columns=7, depth=5, channels=12, kernel=3, stride=2, before=1):
    """A convolution whose windows reach over every border."""
    random = np.random.default_rng(5)
    depthwise = kind is DepthwiseConv2D
    channels = depth if depthwise else channels
    shape = (1, kernel, kernel, channels) if depthwise else (channels, kernel, kernel, depth)
    x = Tensor("x", (1, rows, columns, depth), "int8", Quantization((0.1,), (3,)))
    scales = tuple(0.01 * (1 + c % 3) for c in range(channels))
    q = Quantization(scales, (0,) * channels, 3 if depthwise else 0)
    weights = Tensor("w", shape, "int8", q, random.integers(-127, 128, shape, dtype=np.int8))
    bias = Tensor("b", (channels,), "int32", None, random.integers(-900, 900, channels).astype(np.int32))
    pad = Padding(before, before, before, before)
    high, wide = ((n + 2 * before - kernel) // stride + 1 for n in (rows, columns))
    y = Tensor("y", (1, high, wide, channels), "int8", Quantization((0.4,), (-7,)))
    return kind(
        x=x, weights=weights, bias=bias, y=y, rescale=linear_rescale(x, weights, y), stride=(stride,) * 2, pad=pad
    )


CASES = [
    convolution(),
    convolution(stride=1),
    convolution(kernel=1, before=0, stride=1, depth=8),
    convolution(kernel=5, before=2, stride=3),
    convolution(DepthwiseConv2D, depth=16),
    convolution(DepthwiseConv2D, depth=24, stride=1, kernel=5, before=2),
]


def computed(op, x):
    return trace(Graph("one", (op.x,), (op.y,), (op,)), [x])[op.y.name]


def moved(data, rectangle):
    """What a move of a rectangle brings from the bytes of a tensor."""
    flat = data.reshape(-1)
    starts = rectangle.first + rectangle.pitch * np.arange(rectangle.count)
    return flat[starts[:, None] + np.arange(rectangle.size)]


@pytest.mark.parametrize("op", CASES, ids=lambda op: f"{type(op).__name__}{op.weights.shape}")
@pytest.mark.parametrize("rows, channels", [(1, 8), (2, 8), (3, 100), (100, 8), (100, 100)])
def test_tiles_compute_their_part_of_the_result(op, rows, channels):
    """Halos, borders and remainders among them: every byte of y comes from one tile."""
    x = np.random.default_rng(1).integers(-128, 128, op.x.shape, dtype=np.int8)
    size = Size(min(rows, op.y.shape[1]), min(channels, op.y.shape[3]))
    whole, found = computed(op, x), np.full(op.y.elements, 99, np.int16)
    assert can_tile(op)
    for t in size.tiles(op):
        part = computed(t.op, moved(x, t.x).reshape(t.op.x.shape))
        at = t.y.first + t.y.pitch * np.arange(t.y.count)
        places = (at[:, None] + np.arange(t.y.size)).reshape(-1)
        assert (found[places] == 99).all()
        found[places] = part.reshape(-1)
    assert np.array_equal(found.reshape(op.y.shape), whole)


@pytest.mark.parametrize("op", CASES, ids=lambda op: f"{type(op).__name__}{op.weights.shape}")
@pytest.mark.parametrize("rows, columns", [(1, 1), (2, 3), (100, 2)])
def test_tiles_of_columns_as_well(op, rows, columns):
    x = np.random.default_rng(2).integers(-128, 128, op.x.shape, dtype=np.int8)
    (_, high, wide, depth), whole = op.y.shape, computed(op, x)
    for first, left in product(range(0, high, rows), range(0, wide, columns)):
        down, across = Rows(first, min(first + rows, high)), Rows(left, min(left + columns, wide))
        t = tile(op, down, Rows(0, depth), across)
        part = computed(t.op, moved(x, t.x).reshape(t.op.x.shape))
        assert np.array_equal(part.reshape(-1), moved(whole, t.y).reshape(-1))


def test_buffers_hold_the_tables_of_all_tiles_of_a_block():
    """Those at a border may have others than those in the middle."""
    op, ways = CASES[0], Ways(H743.core, FRUGAL)
    tiles = tuple(Size(2, 8).tiles(op))
    tiled = Tiled(op, Size(2, 8), tiles, tuple(ways.first(t.op) for t in tiles))
    for n, t in enumerate(tiles):
        tables = {
            k: s
            for u, w in zip(tiles, tiled.ways, strict=True)
            if u.channels == t.channels
            for k, s in w.tables.items()
        }
        assert tiled.block_bytes(n) >= sum(tables.values())
    count, size = tiled.buffers["x"]
    assert (count, size) == (2, rounded(max(t.x.bytes for t in tiles), BURST))
    assert tiled.bytes == sum(count * size for count, size in tiled.buffers.values())


def test_time_is_that_of_the_slower_of_moves_and_kernels():
    moves, kernels = 1000, 5000
    slow = Costs((moves,) * 8, (0,) * 8, (kernels,) * 8, (moves,) * 8)
    assert 8 * kernels + 2 * moves < timeline(slow) < 8 * (kernels + 500) + 2 * moves
    fast = Costs((moves,) * 8, (0,) * 8, (100,) * 8, (moves,) * 8)
    assert 16 * moves < timeline(fast) < 16 * moves + 2000


def test_sizes_leave_room_and_end_with_the_whole():
    op = CASES[2]
    found = list(sizes(op, 10**6))
    assert Size(op.y.shape[1], op.y.shape[3]) in found and len(set(found)) == len(found)
    assert all(size.rows * size.channels < op.y.shape[1] * op.y.shape[3] for size in sizes(op, 300))


def test_a_move_of_long_rows_is_cheaper_than_one_of_short_ones():
    dma = H743.chip.dma[0]
    axi, dtcm = dma.reach("axi"), dma.reach("dtcm")
    assert dma.cycles(axi, dtcm, 128) == 40 + 122
    packed = tile(CASES[3], Rows(0, 2), Rows(0, 12)).x
    assert packed.count == 1 and packed.cycles(dma, axi, dtcm) < 40 + packed.bytes * 22
    assert dma.cycles(axi, dtcm, 1024, grain=1) > 20 * dma.cycles(axi, dtcm, 1024)
    assert dma.cycles(axi, dtcm, 32, 32, 32) > dma.cycles(axi, dtcm, 1024)
