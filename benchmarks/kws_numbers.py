"""One network in several numbers, on the simulated boards: `python benchmarks/kws_numbers.py`.

The keyword spotter of MLPerf Tiny as it is (int8), with its weights requantised to int4, and with activations of int16 (16x8).
Nothing is trained again: the figures are what such networks cost. Every output is compared with TensorFlow Lite Micro's.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from data import MLPERF_TINY, ROOT
from tables import show

from smelt import compile, execute, profile, random_inputs
from smelt.report.verify import verify

sys.path.insert(0, str(ROOT))
from tests.requantized import requantized

BOARDS = ("nucleo_l4r5zi", "disco_f746ng", "nucleo_u575zi_q")
VARIANTS = {"int8": ("int8", "int8"), "int4": ("int8", "int4"), "16x8": ("int16", "int8")}
COLUMNS = ("numbers", "board", "kcycles", "ms", "cycles/MAC", "flash", "weights and tables", "RAM", "against TFLM")


def row(file, name, board, runs, goal):
    compilation = compile(file, board, goal=goal)
    inputs = random_inputs(compilation.model, runs)
    p = profile(compilation, execute(compilation, inputs[:1]).run)
    verdict = verify(compilation, inputs, "tflm", file) if runs else None
    word = "-" if verdict is None else "equal" if not verdict.mismatches else f"WRONG: {verdict.mismatches}"
    return (
        name, board, f"{p.cycles / 1e3:,.0f}", f"{p.milliseconds:.2f}", f"{p.cycles / p.macs:.2f}",
        f"{p.code_bytes + p.constant_bytes:,}", f"{p.constant_bytes:,}", f"{p.ram_bytes:,}", word,
    )  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="inputs that are verified")
    parser.add_argument("--boards", default=",".join(BOARDS))
    parser.add_argument("--numbers", default=",".join(VARIANTS))
    parser.add_argument("--goal", default="balanced")
    parser.add_argument("--markdown", action="store_true", help="print the table for a page")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for name in given.numbers.split(","):
            file = Path(folder) / f"kws_{name}.tflite"
            file.write_bytes(requantized(MLPERF_TINY["KWS"], *VARIANTS[name]))
            rows += [row(file, name, board, given.runs, given.goal) for board in given.boards.split(",")]
    show("A keyword spotter in several numbers, simulated", COLUMNS, rows, given.markdown)


if __name__ == "__main__":
    main()
