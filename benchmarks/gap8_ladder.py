"""Layers on the simulated GAP8 as DORY runs them, and what transfers take: `python benchmarks/gap8_ladder.py [--transfers]`.

The programs are ours (`tests/cluster_dory.py`); the figures beside are DORY's. Outputs are compared with NumPy's. Beside silicon
stand programs with the loops that GreenWaves' compiler makes, beside the open GVSOC plain C, on a chip with that model's timing.
"""

import argparse
import sys

from data import ROOT
from tables import show

sys.path.insert(0, str(ROOT))
from smelt.targets.chips.gap8 import SILICON_DRIVER, TIGHT_DRIVER
from tests.cluster_dory import CHIP, NETWORKS, OPEN_GVSOC, cycles_of, tile_of
from tests.cluster_transfers import REQUESTS, SIZES, requests, series

COLUMNS = ("layer", "times", "tile (h, w, n)", "kcycles", "MAC/cycle", "silicon", "", "plain C", "GVSOC", "")

ON_GREENWAVES_MODEL = (133, 170, 594, 2305)  # cycles of transfers in; out, of the longest: 3151
DRIVERS = {"GreenWaves', fitted to silicon": SILICON_DRIVER, "ours on what the hardware takes": TIGHT_DRIVER}


def row(layer, both, by_rows):
    """The layer's cells, and kcycles of all such layers: here, on silicon, here in plain C, on GVSOC."""
    sides = [(layer.silicon > 0, layer.silicon, False, CHIP), (both, layer.gvsoc, True, OPEN_GVSOC)]
    found = [cycles_of(layer, stock, by_rows, board=board) / 1e3 if run else 0 for run, _, stock, board in sides]
    silicon, gvsoc = found
    speed = layer.macs / (1e3 * silicon) if silicon else 0
    cells = (
        thousands(silicon),
        f"{speed:.2f}",
        *beside(silicon, layer.silicon),
        thousands(gvsoc),
        *beside(gvsoc, layer.gvsoc),
    )
    sums = [layer.times * n for n in (silicon, layer.silicon if silicon else 0, gvsoc, layer.gvsoc if gvsoc else 0)]
    return (layer.name, str(layer.times), str(tile_of(layer)), *cells), sums


def thousands(figure):
    return f"{figure:,.0f}" if figure else "-"


def beside(found, figure):
    return thousands(figure), f"{found / figure - 1:+.1%}" if found and figure else ""


def table(name, layers, both, by_rows):
    rows = [row(layer, both, by_rows) for layer in layers]
    ours, silicon, plain, gvsoc = (sum(sums[i] for _, sums in rows) for i in range(4))
    last = (thousands(ours), "", *beside(ours, silicon), thousands(plain), *beside(plain, gvsoc))
    show(
        f"{name} in DORY's tiles on the simulated cluster",
        COLUMNS,
        [cells for cells, _ in rows] + [("sum", "", "", *last)],
    )


def transfers():
    """By the DMA, in the order of the others' table: the first of each series fetches its code."""
    names = ("in", "in, once more", "out", "out, once more")
    rows = [(name, *map(str, cycles)) for name, cycles in zip(names, series(), strict=True)]
    other = ("GreenWaves' model, in", *map(str, ON_GREENWAVES_MODEL))
    show("Blocking transfers, cycles", ("", *(f"{size} B" for size in SIZES)), [*rows, other])


def outside():
    """From HyperRAM: what is asked for, until it is there; what a further burst of 512 bytes costs in a long request."""
    rows = []
    for name, driver in DRIVERS.items():
        cycles = requests(driver)
        burst = (cycles[2] - cycles[1]) / (REQUESTS[2][1] - REQUESTS[1][1]) * 512
        rows.append(
            (
                name,
                *(f"{c:,} ({c / (n * size):.2f})" for c, (n, size) in zip(cycles, REQUESTS, strict=True)),
                f"{burst:.0f}",
            )
        )
    columns = [f"{n} x {size} B" if n > 1 else f"{size} B" for n, size in REQUESTS]
    show("Requests of bytes outside, cycles (per byte)", ("driver", *columns, "512 B more"), rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--layers", help="names, separated by commas; all if not given")
    parser.add_argument("--silicon", action="store_true", help="only beside silicon")
    parser.add_argument("--rows", action="store_true", help="only depthwise layers of stride 1, row by row")
    parser.add_argument(
        "--transfers", action="store_true", help="transfers by the DMA and from outside of the chip instead"
    )
    given = parser.parse_args()
    if given.transfers:
        transfers()
        outside()
        return
    chosen = given.layers and given.layers.split(",")
    for name in given.networks.split(","):
        layers = [layer for layer in NETWORKS[name] if not chosen or layer.name in chosen]
        layers = [layer for layer in layers if not given.rows or (not layer.depth and layer.stride == 1)]
        table(name, layers, not given.silicon, given.rows)


if __name__ == "__main__":
    main()
