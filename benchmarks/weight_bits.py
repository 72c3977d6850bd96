"""What weights of 4 bits cost and save: `python benchmarks/weight_bits.py [--boards a,b] [--goals balanced,speed]`.

The float ResNet-8 of MLPerf Tiny quantised by `smelt quantize` with weights of 8 and of 4 bits, on simulated boards with int8 at
its edges. Every output equals the reference.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from data import shared
from tables import show

from smelt import compile, execute, profile, random_inputs
from smelt.importers import load
from smelt.quantization.quantize import Settings, quantise
from smelt.report.verify import verify

BOARDS = ("nucleo_l4r5zi", "nucleo_h743zi")
BITS = ("8", "4")
STEP = 5
COLUMNS = ("weights", "board", "for", "cycles", "beside 8 bits", "flash", "beside 8 bits", "constants", "RAM")


def files(folder):
    """The .onnx file for each number of bits."""
    model = load(shared("models/mlperf_tiny/pretrainedResnet.tflite"))
    pictures = np.load(shared("inputs/cifar10_test_500.npz"))["images"].astype(np.float32)
    for bits in BITS:
        file = folder / f"resnet8_{bits}.onnx"
        file.write_bytes(quantise(model, [pictures[::STEP]], Settings(weight_bits=bits, kept_wide=0)).file)
        yield bits, file


def measured(file, name, goal):
    """The profile of a network on a board."""
    compilation = compile(file, name, goal=goal, input_type="int8", output_type="int8")
    inputs = random_inputs(compilation.model, 1)
    found = verify(compilation, inputs, "reference", file)
    assert not found.mismatches, found.verdict
    return profile(compilation, execute(compilation, inputs).run)


def rows(made, name, goal):
    """The cells of a board: one row for each number of bits."""
    first = None
    for bits, file in made.items():
        p = measured(file, name, goal)
        first = first or p
        flash, base = (q.code_bytes + q.constant_bytes for q in (p, first))
        yield (
            bits, name, goal, f"{p.cycles:,}", f"{p.cycles / first.cycles - 1:+.1%}", f"{flash:,}", f"{flash / base - 1:+.1%}",
            f"{p.constant_bytes:,}", f"{p.ram_bytes:,}",
        )  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boards", default=",".join(BOARDS))
    parser.add_argument("--goals", default="balanced")
    parser.add_argument("--markdown", action="store_true", help="print the table for a page")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = dict(files(Path(folder)))
        cells = [
            r for name in given.boards.split(",") for goal in given.goals.split(",") for r in rows(made, name, goal)
        ]
    show("ResNet-8 with weights of 8 and of 4 bits, simulated", COLUMNS, cells, given.markdown)


if __name__ == "__main__":
    main()
