"""Layers on the simulated GAP8 as DORY runs them: `python benchmarks/gap8_ladder.py`.

The programs are ours (`tests/cluster_dory.py`); the figures beside are DORY's. Outputs are compared with NumPy's. Beside silicon
stand programs with the loops that GreenWaves' compiler makes, beside the open GVSOC plain C, on a chip with that model's timing.
"""

import argparse
import sys

from data import ROOT
from tables import show

sys.path.insert(0, str(ROOT))
from tests.cluster_dory import CHIP, NETWORKS, OPEN_GVSOC, cycles_of, tile_of

COLUMNS = ("layer", "times", "tile (h, w, n)", "kcycles", "MAC/cycle", "silicon", "", "plain C", "GVSOC", "")


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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--layers", help="names, separated by commas; all if not given")
    parser.add_argument("--silicon", action="store_true", help="only beside silicon")
    parser.add_argument("--rows", action="store_true", help="only depthwise layers of stride 1, row by row")
    given = parser.parse_args()
    chosen = given.layers and given.layers.split(",")
    for name in given.networks.split(","):
        layers = [layer for layer in NETWORKS[name] if not chosen or layer.name in chosen]
        layers = [layer for layer in layers if not given.rows or (not layer.depth and layer.stride == 1)]
        table(name, layers, not given.silicon, given.rows)


if __name__ == "__main__":
    main()
