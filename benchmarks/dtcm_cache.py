"""DORY's experiment: what a data cache is worth, and whether software does better with a tightly coupled memory: `python
benchmarks/dtcm_cache.py [--layers mv1,IC,VWW,KWS] [--markdown]`.

Convolutions and depthwise convolutions of MobileNetV1-1.0-128 (random weights of its shapes) and of the MLPerf Tiny models, each by
itself on the simulated nucleo_h743zi. Operand, result, tables and scratch lie in AXI SRAM, behind the data cache and without it; or
the DTCM is a cache that software manages: tiles of rows and blocks of channels, moved by the MDMA while others are computed. Every
result is compared with the reference, bit for bit. Layers that are larger than AXI SRAM are left out, and said.
"""

import argparse
import sys
from dataclasses import dataclass, replace

import numpy as np
from dtcm_layers import layers
from dtcm_programs import FAST, FAST_BYTES, H743, MDMA, SLOW, tiled_firmware, whole
from tables import show

from smelt.inputs import random_inputs
from smelt.kernels import FRUGAL
from smelt.model.graph import Graph
from smelt.model.ops import DepthwiseConv2D
from smelt.model.reference import trace
from smelt.planner.known import Known
from smelt.planner.measurement import Places
from smelt.planner.predict import Predictor
from smelt.planner.tiles import Costs, Size, Tiled, sizes, timeline
from smelt.planner.ways import Ways

UNCACHED = replace(
    H743,
    chip=replace(H743.chip, memories=tuple(replace(m, path=replace(m.path, data=None)) for m in H743.chip.memories)),
)
"""The same with the data cache off: every load from AXI SRAM or flash waits for the bus."""

PUBLISHED = ("58.5 +- 5.5 %", "(both)", "9.1 +- 2.1 %", "3.9 +- 3.8 %")
MEANS = (
    "layers of", "without D-cache slower: convolution", "depthwise", "software faster: depthwise", "convolution",
)  # fmt: skip


# --- choices ------------------------------------------------------------------------------------------------------------


class Chooser:
    """Ways and tile sizes by predicted cycles."""

    def __init__(self):
        self.ways, self.predictor = Ways(H743.core, FRUGAL), Predictor(Known(H743))

    def cycles(self, way, memory):
        """Predicted, with everything in a memory."""
        return self.predictor.cycles(way, Places("flash", memory, memory, memory, memory)).value

    def likely(self, op, memory, most):
        """First guesses of implementations, the fewest predicted cycles first."""
        return sorted(self.ways.first_of_each(op, 1), key=lambda w: self.cycles(w, memory))[:most]

    def like(self, op, way):
        """The same implementation, with its first schedule where that of `way` is not offered for a tile; else the first guess."""
        same = (offer for offer in self.ways.offers(op) if offer[0] is way.implementation)
        offer = next(same, None)
        return self.ways.named(op, way.names) or (self.ways.built(op, offer) if offer else self.ways.first(op))

    def tiled(self, way):
        """The tiles with the fewest cycles: all sizes by the share of the work in the whole op's, the best few by their own."""
        op, rate = way.op, self.cycles(way, FAST) / way.op.macs
        table_rate = sum(a.nbytes for a in way.call.arguments if isinstance(a, np.ndarray)) / op.y.shape[-1]

        def rough(size):
            tiles = size.tiles(op)
            fits = 2 * (max(t.x.bytes for t in tiles) + max(t.y.bytes for t in tiles))
            fits += min(-(-op.y.shape[-1] // size.channels), 2) * table_rate * size.channels
            if len(tiles) > 400 or (fits > FAST_BYTES and len(tiles) > 1) or not movable(tiles):
                return None
            return timeline(costs(tiles, [rate * t.op.macs for t in tiles], table_rate))

        def exact(size):
            kernels, known = [], {}
            for t in size.tiles(op):
                key = t.op.x.shape, t.op.y.shape, t.op.pad
                if key not in known:
                    known[key] = self.cycles(self.like(t.op, way), FAST)
                kernels.append(known[key])
            return timeline(costs(size.tiles(op), kernels, table_rate))

        candidates = list(sizes(op, FAST_BYTES))
        few = sorted((c, n) for n, size in enumerate(candidates) if (c := rough(size)) is not None)[:4]
        for predicted, n in sorted((exact(candidates[n]), n) for _, n in few):
            tiles = candidates[n].tiles(op)
            found = Tiled(op, candidates[n], tuple(tiles), tuple(self.like(t.op, way) for t in tiles))
            if found.bytes <= FAST_BYTES:
                return found, predicted
        return None


def movable(tiles):
    return all(r.count <= MDMA.rows and r.size <= MDMA.row_bytes for t in tiles for r in (t.x, t.y))


def costs(tiles, kernels, table_rate):
    """What the program of these tiles takes, part by part."""
    slow, fast = MDMA.reach(SLOW), MDMA.reach(FAST)
    once = len({t.x for t in tiles}) == 1
    new = [n == 0 or tiles[n - 1].channels != t.channels for n, t in enumerate(tiles)]
    return Costs(
        tuple(0 if once and n else t.x.cycles(MDMA, slow, fast) for n, t in enumerate(tiles)),
        tuple(
            MDMA.cycles(slow, fast, int(table_rate * t.channels.count)) if new[n] else 0 for n, t in enumerate(tiles)
        ),
        tuple(map(round, kernels)),
        tuple(t.y.cycles(MDMA, fast, slow) for t in tiles),
    )


# --- the table ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    name: str
    depthwise: bool
    how: str
    tiled_how: str
    cached: int
    uncached: int
    software: int
    predicted: int
    size: Size
    tiles: int
    macs: int

    @property
    def source(self):
        """The network that a layer is of, the first word of its name."""
        return self.name.split()[0]

    @property
    def slower(self):
        """Without the data cache, in per cent."""
        return 100 * (self.uncached / self.cached - 1)

    @property
    def faster(self):
        """The software's cache than the data cache, in per cent."""
        return 100 * (1 - self.software / self.cached)


def result(name, op, chooser, most):
    """The best of `most` ways for each; None where a layer is larger than the memories."""
    cached = [(one, way) for way in chooser.likely(op, SLOW, most) if (one := whole(way))]
    software = [found for way in chooser.likely(op, FAST, most) if (found := chooser.tiled(way))]
    if not cached or not software:
        return None
    graph = Graph("layer", (op.x,), (op.y,), (op,))
    (x,) = random_inputs(graph, 1)[0]
    y = trace(graph, [x])[op.y.name]
    times = [(one.cycles(H743, x, y), n) for n, (one, _) in enumerate(cached)]
    uncached = [one.cycles(UNCACHED, x, y) for one, _ in cached]
    tiled = [(tiled_firmware(t).cycles(H743, x, y), n) for n, (t, _) in enumerate(software)]
    (best, which), (software_best, of) = min(times), min(tiled)
    found, predicted = software[of]
    return Result(
        name, isinstance(op, DepthwiseConv2D), cached[which][1].names[0], found.ways[0].names[0], best, min(uncached),
        software_best, predicted, found.size, len(found.tiles), op.macs,
    )  # fmt: skip


def row(r):
    ways = r.how + ("" if r.how == r.tiled_how else f" / {r.tiled_how}")
    return (
        r.name,
        ways,
        f"{r.macs / 1e6:.2f}",
        *(f"{n / 1e3:,.0f}" for n in (r.cached, r.uncached, r.software)),
        f"{r.slower:+.1f} %",
        f"{r.faster:+.1f} %",
        f"{r.tiles} of {r.size.rows} x {r.size.channels}",
        f"{100 * (r.predicted / r.software - 1):+.0f} %",
    )


COLUMNS = (
    "layer", "by", "M MAC", "D-cache, k cycles", "without", "software", "without: slower", "software: faster",
    "tiles of rows x channels", "prediction",
)  # fmt: skip


def mean(values):
    return f"{np.mean(values):.1f} +- {np.std(values):.1f} % ({len(values)})" if values else "-"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--layers", default="mv1,IC,VWW,KWS", help="Of these networks.")
    parser.add_argument("--only", default="", help="Just layers with this in their name.")
    parser.add_argument("--ways", type=int, default=2, help="So many implementations are tried for each.")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    chooser, found, left = Chooser(), [], []
    for name, op in layers(options.layers.split(",")):
        if options.only in name:
            one = result(name, op, chooser, options.ways)
            found.append(one) if one else left.append(name)
            print("  ".join(row(one)) if one else f"{name}: left out", file=sys.stderr, flush=True)
    show("DTCM as a cache of the software's, nucleo_h743zi, simulated", COLUMNS, map(row, found), options.markdown)
    print(f"larger than AXI SRAM, left out: {', '.join(left) or 'none'}")
    rows = [(source, *summary([r for r in found if r.source == source])) for source in options.layers.split(",")]
    rows += [("all", *summary(found)), ("published (DORY)", *PUBLISHED)]
    show("means and standard deviations over layers", MEANS, rows, options.markdown)


def summary(found):
    """Networks apart: pooled, gains of one hide losses of another."""
    depthwise, others = [r for r in found if r.depthwise], [r for r in found if not r.depthwise]
    return (
        mean([r.slower for r in others]),
        mean([r.slower for r in depthwise]),
        mean([r.faster for r in depthwise]),
        mean([r.faster for r in others]),
    )


if __name__ == "__main__":
    main()
