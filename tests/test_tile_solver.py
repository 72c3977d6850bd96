"""Sizes of tiles over any hierarchy: what they cost is what a walk through their loops counts, and the solver finds the best."""

import random
from dataclasses import replace
from itertools import pairwise, product

import pytest

from smelt.model.ops import DepthwiseConv2D
from smelt.model.slabs import Rows, Window
from smelt.planner.hierarchy import Hierarchy, Level, Link, hierarchy
from smelt.planner.layer import Axis, Layer, layer_of
from smelt.planner.tile_costs import SCALE, Tiling, price
from smelt.planner.tile_solver import best_tiles, enumerated
from smelt.targets.boards import board
from tests.test_tiles import convolution

NOTHING = Link(0, 0, 0)


def some_layer(rng, partial_sums=None, most=12):
    kernel, stride, length = rng.choice([1, 3]), rng.choice([1, 2]), rng.randint(3, most // 2 + 1)
    window = Window(kernel, stride, 1, kernel // 2)
    rows, columns = (Axis(-(-length // stride), length, window, rng.choice([1, None])) for _ in range(2))
    depthwise = rng.random() < 0.3
    outputs, inputs = (rng.randrange(4, most + 1, 4) for _ in range(2))
    inputs = 1 if depthwise else inputs
    return Layer(
        rows, columns, Axis(outputs, outputs, grain=4), Axis(inputs, inputs, grain=4), depthwise, rng.randint(0, 90_000),
        weights=rng.choice([0, kernel**2]), scratch=rng.choice([0, 40]),
        partial_sums=not depthwise and (rng.random() < 0.5 if partial_sums is None else partial_sums),
    )  # fmt: skip


def some_levels(rng, count):
    def link():
        return Link(
            rng.randint(5, 60), rng.randint(0, 20), rng.randint(300, 3000), rng.choice([0, 100]), rng.choice([0, 60]),
            rng.random() < 0.6,
        )  # fmt: skip

    sizes = (rng.choice([400, 900, 2000]) // (n + 1) for n in range(count))
    return Hierarchy("home", tuple(Level(f"level{n}", size, way := link(), way) for n, size in enumerate(sizes)))


# --- a walk -----------------------------------------------------------------------------------------------------------


class Walk:
    """Goes through all loops and moves what is not there yet: moves, rows apart, bytes of one level."""

    def __init__(self, layer, tiling, level):
        self.layer, self.tiling, self.level = layer, tiling, level
        self.moves = self.rows = self.bytes = 0
        whole = [Rows(0, axis.length) for axis in (layer.rows, layer.columns, layer.outputs, layer.inputs)]
        self.down(whole, 0, first=True)

    def down(self, tile, n, first):
        """`first`: no sums of this tile of the result have been made."""
        parts = [
            [Rows(a, min(a + cut.sizes[n], t.stop)) for a in range(t.first, t.stop, cut.sizes[n])]
            for t, cut in zip(tile, self.tiling.cuts, strict=True)
        ]
        order = (0, 1, 2, 3) if self.tiling.by_place[n] else (2, 0, 1, 3)
        here = {}
        for found in product(*(parts[axis] for axis in order)):
            inner = [part for _, part in sorted(zip(order, found, strict=True))]
            begun = first and inner[3].first == tile[3].first
            if n == self.level:
                self.visit(tile, inner, parts, here, first)
            else:
                self.down(inner, n + 1, begun)

    def visit(self, tile, inner, parts, here, first):
        layer, (rows, columns, outputs, inputs) = self.layer, inner
        deep = outputs if layer.depthwise else inputs
        divided = len(parts[2 if layer.depthwise else 3]) > 1 or self.elsewhere(2 if layer.depthwise else 3)
        x = (rows, columns, deep)
        if here.get("x") != x:
            reads = [
                axis.window.reach(t).within(axis.read).count
                for axis, t in ((layer.rows, rows), (layer.columns, columns))
            ]
            self.move(*reads, deep.count * layer.x, divided)
        here["x"] = x
        if layer.weights and here.get("w") != (outputs, inputs):
            self.moves, self.rows = self.moves + 1, self.rows + 1
            self.bytes += outputs.count * inputs.count * layer.weights
        here["w"] = (outputs, inputs)
        if inputs.stop == tile[3].stop:  # its sums are made, as far as this level goes
            passes = self.tiling.inputs.counts[self.level - 1] if self.level else 1
            width = layer.sum if layer.partial_sums and passes > 1 else layer.y
            self.move(rows.count, columns.count, outputs.count * width, len(parts[2]) > 1 or self.elsewhere(2))
            if not first:
                self.moves, self.rows = self.moves + 1, self.rows + 1
                self.bytes += rows.count * columns.count * outputs.count * layer.sum

    def elsewhere(self, axis):
        """Whether some tile of the level before is divided, if not this one: rows are counted alike for all."""
        return self.tiling.cuts[axis].divided[self.level]

    def move(self, rows, columns, size, channels):
        self.moves += 1
        self.rows += rows * columns if channels else rows if self.tiling.columns.divided[self.level] else 1
        self.bytes += rows * columns * size


def counted(layer, levels, tiling, level):
    """Moves, rows and bytes of a level, as the price has them."""
    layer = replace(layer, work=0, call=0)
    found = []
    for link in (Link(1, 0, 0), Link(0, 1, 0), Link(0, 0, SCALE)):
        links = [link if n == level else NOTHING for n in range(levels)]
        one = Hierarchy("home", tuple(Level(f"level{n}", 0, way, way) for n, way in enumerate(links)))
        found.append(price(layer, one, replace(tiling, double=(False,) * levels)).cycles // SCALE)
    return tuple(found)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_the_price_counts_what_a_walk_through_the_loops_moves(levels):
    """With halos, borders, remainders, sums that come and go; at each level. Where tiles of a level are divided into different
    numbers, some of them not at all, the price takes all of them for divided: never less than the walk."""
    rng, same = random.Random(levels), 0
    for _ in range(40):
        layer = some_layer(rng)
        cuts = tuple(rng.choice(list(axis.cuts(levels))) for axis in layer.axes)
        tiling = Tiling(cuts, tuple(rng.random() < 0.5 for _ in range(levels)), (False,) * levels)
        alike = all(divided_alike(axis.length, cut) for axis, cut in zip(layer.axes, cuts, strict=True))
        for level in range(levels):
            walk, found = Walk(layer, tiling, level), counted(layer, levels, tiling, level)
            wanted = walk.moves, walk.rows, walk.bytes
            assert all(a >= b for a, b in zip(found, wanted, strict=True)), (layer, tiling, level)
            if level == 0 or alike:
                assert found == wanted, (layer, tiling, level)
                same += 1
    assert same > 25


def divided_alike(length, cut):
    """Whether the tiles of each level but the last are of one size."""
    sizes = (length, *cut.sizes)
    return all(a % b == 0 for a, b in pairwise(sizes[:-1]))


# --- the choice -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(16))
def test_the_solver_finds_what_brute_force_finds(seed):
    """On small layers, through one level and two; without it a tiling that fits and is not better."""
    pytest.importorskip("ortools")
    rng = random.Random(seed)
    levels = 1 + seed % 2
    layer, there = some_layer(rng, partial_sums=seed % 3 == 0, most=12 // levels), some_levels(rng, levels)
    best, found = enumerated(layer, there), best_tiles(layer, there, 20.0)
    plain = best_tiles(layer, there, solver=False)
    assert (best is None) == (found is None)
    if best is None or found is None:
        return
    assert found.proved and found.cycles == best.cycles
    for columns, outputs, inputs in zip(*(cut.divided for cut in found.tiling.cuts[1:]), strict=True):
        assert not (columns and (outputs or inputs))  # no move has rows of rows
    assert all(size <= level.bytes for size, level in zip(found.bytes, there.levels, strict=True))
    assert plain is None or (plain.cycles >= best.cycles and plain.proved == (len(there.levels) == 1))
    if len(there.levels) == 1:
        assert plain is not None and plain.cycles == best.cycles


def test_the_answer_is_the_same_every_time():
    pytest.importorskip("ortools")
    layer, there = layer_of(convolution(rows=30, columns=20, depth=16), 90_000), some_levels(random.Random(3), 2)
    assert best_tiles(layer, there) == best_tiles(layer, there)


def test_input_channels_are_divided_only_where_kernels_take_sums():
    """A layer whose weights exceed the memory by far, pixel by pixel."""
    pytest.importorskip("ortools")
    one = Axis(4, 4)
    layer = Layer(one, one, Axis(8, 8, grain=8), Axis(256, 256, grain=8), False, 10_000, weights=1)
    way = Link(20, 2, 500)
    small = Hierarchy("home", (Level("fast", 900, way, way),))
    assert best_tiles(layer, small) is None
    found = best_tiles(replace(layer, partial_sums=True), small)
    assert found is not None and found.tiling.inputs.divided == (True,) and found.bytes[0] <= 900


def test_two_buffers_pay_where_moves_go_on_beside_the_core():
    pytest.importorskip("ortools")
    layer = layer_of(convolution(rows=64, columns=64, depth=16, stride=1), 2_000_000)
    way = Link(40, 15, 976, 130, 60, beside=True)
    there = Hierarchy("axi", (Level("dtcm", 30_000, way, way),))
    copied = replace(way, beside=False)
    double, single = (best_tiles(layer, Hierarchy("axi", (Level("dtcm", 30_000, w, w),))) for w in (way, copied))
    assert double is not None and single is not None and best_tiles(layer, there) == double
    assert double.tiling.double == (True,) and single.tiling.double == (False,)
    moved = layer.work + 1024 * 16 + double.tiles * 60
    assert double.cycles < single.cycles and double.cycles < moved + 976 * 64 * 16 * 64 // 1024


def test_hierarchies_come_from_the_data_of_a_board():
    """A DMA where one reaches both memories, else the core copies: for the longer, the slower the memory is."""
    h743, dk = board("nucleo_h743zi"), board("stm32h750b_dk")
    near = hierarchy(h743, ("axi", "dtcm"), (100_000,))
    assert near.levels[0].inward.beside and near.home == "axi" and near.levels[0].bytes == 100_000
    far = hierarchy(dk, ("sdram", "axi", "dtcm"), (400_000, 100_000))
    assert [level.memory for level in far.levels] == ["axi", "dtcm"]
    assert not far.levels[0].inward.beside and far.levels[0].inward.kilobyte > 3 * near.levels[0].inward.kilobyte
    with pytest.raises(KeyError):
        hierarchy(dk, ("sdram", "l1"), (1000,))


def test_layers_are_what_ops_are():
    op = convolution(DepthwiseConv2D, depth=24, stride=1, kernel=5, before=2)
    layer = layer_of(op, 1000, scratch=64)
    assert (layer.rows.length, layer.rows.read, layer.outputs.length) == (op.y.shape[1], op.x.shape[1], 24)
    assert layer.depthwise and layer.inputs.sizes == (1,) and layer.columns.sizes[0] == op.y.shape[2]
    assert layer.outputs.sizes == (24, 16, 8)
