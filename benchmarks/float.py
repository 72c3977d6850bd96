"""Networks in float32, on the simulated boards: `python benchmarks/float.py [MODEL.tflite ...]`.

Each is compiled as it is and compared with TensorFlow Lite Micro: the largest difference, and whether the largest value of each
output is the same one. Beside it, where they are known, millions of cycles of TFLM's float kernels and of TFLM with CMSIS-NN's on
the same simulated boards (shared/facts/peers.md), and how many times as fast smelt is. A model that does not fit a board says so.
"""

import argparse
from pathlib import Path

from data import shared
from tables import show

from smelt import compile, execute, profile, random_inputs
from smelt.errors import SmeltError
from smelt.report.verify import verify

BOARDS = ("nucleo_l4r5zi", "disco_f746ng", "nucleo_h743zi")
COLUMNS = (
    "model",
    "board",
    "Mcycles",
    "ms",
    "cycles/MAC",
    "RAM",
    "flash",
    "largest difference",
    "TFLM",
    "times",
    "CMSIS",
    "times",
)
# Millions of cycles of TFLM, and of TFLM with CMSIS-NN's float kernels: for each of BOARDS.
PEERS = {
    "pretrainedResnet": ((189.7, 151.6), (95.9, 93.3), (88.7, 87.2)),
    "vww_96_float": ((155.5, 98.5), (75.2, 56.3), (77.6, 59.2)),
    "ad01_fp32": ((3.37, 3.10), None, (1.85, 1.85)),
    "kws_ref_model_float32": (None, None, None),
    "hello_world_float": ((0.0073, 0.0066), (0.0035, 0.0034), (0.0034, 0.0032)),
}
FOLDERS = {"hello_world_float": "tflm"}  # of shared/models; else mlperf_tiny
REFUSED_BY_TFLM = ("kws_ref_model_float32",)  # int8 weights beside float32: compared with NumPy


def row(file, name, runs, goal):
    """The cells of a model on a board; those of a model that is refused say why."""
    try:
        compilation = compile(file, name, goal=goal)
    except SmeltError as error:
        return (file.stem, name, f"{type(error).__name__}: {error}".splitlines()[0][:90], *("",) * 9)
    inputs = random_inputs(compilation.model, runs)
    found = verify(compilation, inputs, "reference" if file.stem in REFUSED_BY_TFLM else "tflm", file)
    p = profile(compilation, execute(compilation, inputs[:2]).run)  # the second inference, as the others' figures are
    difference = f"{found.largest:.2g}" if not found.mismatches else f"WRONG: {found.mismatches}"
    beside = []
    for peer in dict(zip(BOARDS, PEERS.get(file.stem, ()), strict=False)).get(name) or (None, None):
        beside += [f"{peer:g}", f"{peer * 1e6 / p.cycles:.2f}"] if peer else ["-", "-"]
    return (
        file.stem, name, f"{p.cycles / 1e6:.4f}", f"{p.milliseconds:.3f}", f"{p.cycles / p.macs:.2f}", f"{p.ram_bytes:,}",
        f"{p.code_bytes + p.constant_bytes:,}", difference, *beside,
    )  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path, help="by default those of shared/models")
    parser.add_argument("--runs", type=int, default=3, help="inputs that are verified, two at least")
    parser.add_argument("--boards", default=",".join(BOARDS))
    parser.add_argument("--goal", default="balanced")
    parser.add_argument("--markdown", action="store_true", help="print the table for a page")
    given = parser.parse_args()
    models = given.models or [shared(f"models/{FOLDERS.get(m, 'mlperf_tiny')}/{m}.tflite") for m in PEERS]
    cells = [row(m, b, given.runs, given.goal) for m in models for b in given.boards.split(",")]
    show("Networks in float32, simulated", COLUMNS, cells, given.markdown, width=190)


if __name__ == "__main__":
    main()
