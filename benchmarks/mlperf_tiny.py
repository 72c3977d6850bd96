"""The MLPerf Tiny models on the simulated boards, beside the best published results: `python benchmarks/mlperf_tiny.py`.

Cycles are simulated, at the board's full clock, outputs bit-exact to TensorFlow Lite Micro. "balanced" has its weights in flash and
is what one gets without options; "speed" spends RAM freely (weights in RAM where that pays). The time of AD depends on how many
activations are zero: besides a random input, the slowest of the recorded windows is shown. Published results are measured on real
boards (MLPerf Tiny v0.5 to v1.3), so a ratio between 0.9 and 1.1 leaves open who is faster; `TFLM` is TensorFlow Lite Micro with
CMSIS-NN, in exact instructions.
"""

import argparse

import numpy as np
from data import INPUTS, MLPERF_TINY
from tables import add_options, show

from smelt import board, compile, execute, profile, random_inputs
from smelt.inputs import from_array

# Millions of cycles and who (shared/facts/records.md).
RECORDS = {
    "nucleo_l4r5zi": {"IC": (19.82, "ST"), "VWW": (10.67, "ST"), "KWS": (5.18, "ST"), "AD": (0.486, "Plumerai")},
    "disco_f746ng": {
        "IC": (13.30, "Bosch"),
        "VWW": (7.36, "Plumerai"),
        "KWS": (3.83, "Plumerai"),
        "AD": (0.308, "Bosch"),
    },
    "nucleo_u575zi_q": {"IC": (16.69, "Plumerai"), "VWW": (9.48, "ST"), "KWS": (4.64, "ST"), "AD": (0.495, "Bosch")},
}
# Millions of instructions of TFLM + CMSIS-NN on M4/M7 (shared/facts/peers.md).
TFLM = {"IC": 28.5, "VWW": 22.6, "KWS": 7.23, "AD": 0.573}
COLUMNS = ("model", "board", "for", "Mcycles", "ms", "MAC/cycle", "uJ", "RAM", "code", "constants", "record", "ratio", "verdict",
           "Minstr", "TFLM Minstr")  # fmt: skip
GOALS = ("balanced", "speed")

FASTER, SLOWER = 0.9, 1.1
"""Ratios to a record that simulated cycles can claim anything for: docs/timing.md says how far off they may be."""


def verdict(ratio):
    """What a ratio of simulated cycles to a record measured on a board lets one say."""
    return "faster" if ratio <= FASTER else "slower" if ratio >= SLOWER else "open"


def inputs(model, graph):
    """(label, runs) of each row that a model has."""
    yield model, [random_inputs(graph, 1)[0]]
    if model == "AD":
        frames = np.fromfile(INPUTS / "mlperf_tiny" / "ad01_normal_id_01_hist.bin", np.float32).reshape(-1, 640)
        yield "AD, recorded", [(a,) for a in from_array(frames[:20], graph.inputs[0], "ad")]


def rows(model, name, goal):
    """The cells of a model on a board: of its slowest run, for each kind of input."""
    compilation = compile(MLPERF_TINY[model], board(name), goal=goal)
    record, who = RECORDS[name][model]
    for label, runs in inputs(model, compilation.model):
        p = max((profile(compilation, execute(compilation, [run]).run) for run in runs), key=lambda p: p.cycles)
        yield (
            label, name, goal, f"{p.cycles / 1e6:.3f}", f"{p.milliseconds:.2f}", f"{p.macs / p.cycles:.2f}",
            f"{p.microjoules:.0f}" if p.microjoules else "-", f"{p.ram_bytes:,}", f"{p.code_bytes:,}", f"{p.constant_bytes:,}",
            f"{record} {who}", f"{p.cycles / 1e6 / record:.2f}", verdict(p.cycles / 1e6 / record),
            f"{p.instructions / 1e6:.2f}", f"{TFLM[model]}",
        )  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markdown", action="store_true", help="print the table for the README")
    add_options(parser, RECORDS, MLPERF_TINY)
    options = parser.parse_args()
    cells = [
        r for name in options.boards for model in options.models for goal in GOALS for r in rows(model, name, goal)
    ]
    title = "MLPerf Tiny, simulated cycles against published results of real boards"
    show(title, COLUMNS, cells, options.markdown)


if __name__ == "__main__":
    main()
