"""Models that people deploy, on the simulated boards: `python benchmarks/field.py [MODEL.tflite ...]`.

Each is compiled as it is and run on a sequence of inputs, states carried from each to the next; `wrong` counts the values
that are not bit for bit TensorFlow Lite Micro's. Cycles are simulated. Beside them, where they are known, those of TensorFlow Lite
Micro with CMSIS-NN on the same simulated boards (shared/facts/peers.md), and the ratio.
"""

import argparse
from pathlib import Path

from data import shared
from tables import show

from smelt import compile, execute, profile, random_inputs
from smelt.errors import SmeltError
from smelt.report.verify import verify

BOARDS = ("nucleo_l4r5zi", "disco_f746ng", "esp32c3")
COLUMNS = ("model", "board", "Mcycles", "ms", "MAC/cycle", "RAM", "flash", "wrong", "TFLM Mcycles", "ratio")
# Millions of cycles of TFLM + CMSIS-NN: (L4R5, F746).
TFLM = {
    "tinyengine_vww1": (65.93, 40.50),
    "mltk_visual_wake_words": (33.00, 19.45),
    "mltk_pacman_v3": (28.14, 16.06),
    "mltk_image_example1": (9.414, 5.358),
    "mlcommons_resnet_large_int8": (200.7, 136.8),
}


def row(model, name, runs):
    """The cells of a model on a board; those of a model that is refused say why."""
    try:
        compilation = compile(model, name)
    except SmeltError as error:
        return (model.stem, name, f"{type(error).__name__}: {error}".splitlines()[0][:90], *("",) * 7)
    inputs = random_inputs(compilation.model, runs)
    found = verify(compilation, inputs, "tflm", model, sequence=True)
    p = profile(compilation, execute(compilation, inputs[:2], sequence=True).run)
    per_cycle = f"{p.macs / p.cycles:.2f}" if p.macs else "-"
    peer = dict(zip(BOARDS, TFLM.get(model.stem, ()), strict=False)).get(name)
    beside = (f"{peer}", f"{p.cycles / 1e6 / peer:.2f}") if peer else ("-", "-")
    return (
        model.stem, name, f"{p.cycles / 1e6:.3f}", f"{p.milliseconds:.2f}", per_cycle, f"{p.ram_bytes:,}",
        f"{p.code_bytes + p.constant_bytes:,}", str(found.mismatches), *beside,
    )  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path, help="by default those of shared/models/field")
    parser.add_argument("--runs", type=int, default=50, help="inputs of the sequence that is verified")
    parser.add_argument("--boards", default=",".join(BOARDS))
    parser.add_argument("--markdown", action="store_true", help="print the table for a page")
    given = parser.parse_args()
    models = given.models or sorted(shared("models/field").glob("*.tflite"))
    cells = [row(model, name, given.runs) for model in models for name in given.boards.split(",")]
    show("Models that people deploy, simulated", COLUMNS, cells, given.markdown, width=170)


if __name__ == "__main__":
    main()
