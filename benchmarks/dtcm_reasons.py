"""Why DORY's figures are not reproduced in size (docs/dtcm_cache.md), one reason at a time: `python benchmarks/dtcm_reasons.py
[--layers "mv1 conv0,mv1 depthwise3"] [--markdown]`.

Layers of MobileNetV1-1.0-128 on the simulated nucleo_h743zi as dtcm_cache.py runs them, each time with one thing changed: where
scratch, tables and tensors lie, what the bus and the cache are like, which kernel computes. All results are compared with the
reference, bit for bit.
"""

import argparse
import sys
from dataclasses import dataclass, replace

from dtcm_cache import UNCACHED, Chooser
from dtcm_layers import layers
from dtcm_programs import FAST, H743, IN_AXI, SLOW, Where, tiled_firmware, whole
from tables import show

from smelt.inputs import random_inputs
from smelt.model.graph import Graph
from smelt.model.reference import trace
from smelt.targets.types import KB

LAYERS = "mv1 conv0,mv1 depthwise1,mv1 pointwise3,mv1 depthwise5,mv1 pointwise6"


def paths(board, change):
    """The board with other paths to its memories."""
    memories = tuple(replace(m, path=change(m)) for m in board.chip.memories)
    return replace(board, chip=replace(board.chip, memories=memories))


def bus_of(board, first):
    """With so many cycles to a word of AXI SRAM, where it waits."""
    return paths(board, lambda m: replace(m.path, first=first) if m.name == SLOW else m.path)


def faster(path):
    """A path by which everything comes in half the time."""
    return replace(path, first=path.first // 2, line=path.line // 2, busy=path.busy // 2)


def cache_of(size):
    """With a data cache of another size."""
    return paths(H743, lambda m: replace(m.path, data=m.path.data and replace(m.path.data, size=size)))


def region():
    """AXI SRAM in two halves, one of which the MPU keeps out of the data cache."""
    (axi,) = (m for m in H743.chip.memories if m.name == SLOW)
    half = axi.size // 2
    two = (
        replace(axi, size=half),
        replace(
            axi, name="region", start=axi.start + half, size=half, role="extra5", path=replace(axi.path, data=None)
        ),
    )
    others = tuple(m for m in H743.chip.memories if m is not axi)
    return replace(H743, chip=replace(H743.chip, memories=(*others, *two)))


@dataclass(frozen=True)
class Variant:
    """One thing that is changed: the boards with and without a data cache for the layer, and where its buffers lie."""

    name: str
    where: Where = IN_AXI
    cached: object = H743
    uncached: object = UNCACHED
    uncached_where: Where | None = None


VARIANTS = (
    Variant("as in the experiment"),
    Variant("scratch in DTCM", Where(scratch=FAST)),
    Variant("scratch and tables in DTCM", Where(scratch=FAST, tables=FAST)),
    Variant("tables in flash, scratch in DTCM", Where(scratch=FAST, tables="flash")),
    Variant("only tensors not cached (a region of the MPU)", uncached=region(), uncached_where=Where(tensors="region")),
    Variant(
        "the same, scratch in DTCM", Where(scratch=FAST), uncached=region(), uncached_where=Where("region", SLOW, FAST)
    ),
    Variant("a word waits 6 cycles, not 12", uncached=bus_of(UNCACHED, 6)),
    Variant("a word waits 3 cycles", uncached=bus_of(UNCACHED, 3)),
    Variant("a word waits 6 cycles, scratch in DTCM", Where(scratch=FAST), uncached=bus_of(UNCACHED, 6)),
    Variant("a line comes in half the time", cached=paths(H743, lambda m: faster(m.path))),
    Variant("a data cache of 64 KB", cached=cache_of(64 * KB)),
    Variant("a data cache of 1 MB: each line comes once", cached=cache_of(1024 * KB)),
)  # fmt: skip
COLUMNS = ("layer", "by", "changed", "D-cache, k cycles", "without", "software", "without: slower", "software: faster")


class Layer:
    """One layer by one implementation, as the software's cache has it and by one call."""

    def __init__(self, name, op, chooser, way):
        self.name, self.op, self.way = name, op, way
        (self.x,) = random_inputs(Graph("layer", (op.x,), (op.y,), (op,)), 1)[0]
        self.y = trace(Graph("layer", (op.x,), (op.y,), (op,)), [self.x])[op.y.name]
        found = chooser.tiled(chooser.likely(op, FAST, 1)[0])
        self.software = self._cycles(tiled_firmware(found[0]), H743) if found else None

    def _cycles(self, firmware, board):
        return None if firmware is None else firmware.cycles(board, self.x, self.y)

    def row(self, variant, uncached=True):
        """The cells of a variant."""
        cached = self._cycles(whole(self.way, variant.where), variant.cached)
        without = None
        if uncached:
            without = self._cycles(whole(self.way, variant.uncached_where or variant.where), variant.uncached)
        return (
            self.name, self.way.names[0], variant.name, *map(thousands, (cached, without, self.software)),
            per_cent(without, cached), per_cent(cached, self.software, of=cached),
        )  # fmt: skip


def thousands(cycles):
    return f"{cycles / 1e3:,.0f}" if cycles else "-"


def per_cent(more, less, of=None):
    return f"{100 * (more - less) / (of or less):+.1f} %" if more and less else "-"


def rows(name, op, chooser):
    """All variants by the first guess; the experiment itself by every other kind of kernel too."""
    first, *others = chooser.likely(op, SLOW, 4)
    layer = Layer(name, op, chooser, first)
    yield from (layer.row(variant) for variant in VARIANTS)
    for way in others:
        other = Layer(name, op, chooser, way)
        yield from (other.row(variant) for variant in VARIANTS[:2])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--layers", default=LAYERS)
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    wanted, chooser, found = options.layers.split(","), Chooser(), []
    for name, op in layers(["mv1"]):
        for row in rows(name, op, chooser) if name in wanted else ():
            found.append(row)
            print("  ".join(row), file=sys.stderr, flush=True)
    show(
        "DORY's experiment with one thing changed, nucleo_h743zi, simulated",
        COLUMNS,
        found,
        options.markdown,
        width=170,
    )


if __name__ == "__main__":
    main()
