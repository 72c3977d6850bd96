"""Pointwise layers of MobileNetV1-128 on the simulated GAP8 as DORY runs them: `python benchmarks/gap8_ladder.py`.

The programs are ours (`tests/cluster_layers.py`); the figures beside are DORY's. Outputs are compared with NumPy's.
"""

import argparse
import sys

from data import ROOT
from tables import show

sys.path.insert(0, str(ROOT))
from tests.cluster_layers import LAYERS, cycles_of, tile_of

COLUMNS = ("layer", "tile (h, w, n)", "kcycles", "MAC/cycle", "silicon", "", "GVSOC", "")


def row(layer):
    cycles = cycles_of(layer)
    others = [f(figure * 1e6, cycles) for figure in (layer.silicon, layer.gvsoc) for f in (thousands, ratio)]
    return (layer.name, str(tile_of(layer)), f"{cycles / 1e3:,.0f}", f"{layer.macs / cycles:.2f}", *others)


def thousands(figure, _):
    return f"{figure / 1e3:,.0f}"


def ratio(figure, cycles):
    return f"{cycles / figure - 1:+.0%}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", default=",".join(layer.name for layer in LAYERS))
    chosen = parser.parse_args().layers.split(",")
    show("DORY's tiles on the simulated cluster", COLUMNS, [row(layer) for layer in LAYERS if layer.name in chosen])


if __name__ == "__main__":
    main()
