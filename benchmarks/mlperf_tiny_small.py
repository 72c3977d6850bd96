"""The MLPerf Tiny models on the boards without DSP instructions: `python benchmarks/mlperf_tiny_small.py`.

Cycles are simulated by models that nothing has validated (docs/boards.md). Beside them are Bosch's published results of a real
STM32G0B1 (MLPerf Tiny), shown as they are: no figure of smelt's model was fitted to them. Every run is compared with the reference,
bit for bit.
"""

import argparse

import numpy as np
from data import MLPERF_TINY
from tables import add_options, show

from smelt import board, compile, execute, random_inputs
from smelt.errors import DoesNotFit
from smelt.model.reference import run

BOARDS = ("nucleo_g0b1re", "nucleo_l152re", "pico")
BOSCH = {"nucleo_g0b1re": {"IC": 97.4, "VWW": 90.5, "KWS": 30.4, "AD": 2.62}}  # millions of cycles
COLUMNS = ("model", "board", "Mcycles (not validated)", "Bosch, real board", "ratio", "mismatches", "RAM", "flash")


def row(model, name):
    """The cells of a model on a board."""
    target = board(name)
    try:
        made = compile(MLPERF_TINY[model], target)
    except DoesNotFit as error:
        return (model, name, "does not fit", "-", "-", "-", str(error).partition("\n")[0], "-")
    inputs = random_inputs(made.model, 1)[0]
    execution = execute(made, [inputs])
    expected = run(made.model, inputs)
    wrong = sum(int(np.sum(a != b)) for a, b in zip(execution.outputs[0], expected, strict=True))
    cycles, known = execution.run.cycles / 1e6, BOSCH.get(name, {}).get(model)
    beside = (f"{known}", f"{cycles / known:.2f}") if known else ("-", "-")
    flash = made.image.size(target.chip.flash.name)
    return (model, name, f"{cycles:.2f}", *beside, f"{wrong}", f"{made.plan.ram_bytes:,}", f"{flash:,}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markdown", action="store_true", help="print the table for the README")
    add_options(parser, BOARDS, MLPERF_TINY)
    options = parser.parse_args()
    cells = [row(model, name) for name in options.boards for model in options.models]
    show("MLPerf Tiny on Cortex-M0+ and Cortex-M3", COLUMNS, cells, options.markdown, width=150)


if __name__ == "__main__":
    main()
