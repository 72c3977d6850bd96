"""The MLPerf Tiny models on the simulated boards, beside the best published results: `python benchmarks/mlperf_tiny.py`.

Cycles are simulated, at the board's full clock, weights in flash, outputs bit-exact to TensorFlow Lite Micro. Published results are
measured on real boards (MLPerf Tiny v0.5 to v1.3); `TFLM` is TensorFlow Lite Micro with CMSIS-NN, in exact instructions.
"""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from smelt import board, compile, execute, profile, random_inputs

MODELS = Path(__file__).resolve().parents[2] / "shared" / "models" / "mlperf_tiny"
FILES = {"IC": "pretrainedResnet_quant", "VWW": "vww_96_int8", "KWS": "kws_ref_model", "AD": "ad01_int8"}
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
COLUMNS = ("model", "board", "for", "Mcycles", "ms", "MAC/cycle", "uJ", "RAM", "code", "constants", "record", "ratio", "Minstr",
           "TFLM Minstr")  # fmt: skip


def row(model, name, goal):
    compilation = compile(MODELS / f"{FILES[model]}.tflite", board(name), goal=goal)
    p = profile(compilation, execute(compilation, random_inputs(compilation.model, 1)).run)
    record, who = RECORDS[name][model]
    return (
        model, name, goal, f"{p.cycles / 1e6:.3f}", f"{p.milliseconds:.2f}", f"{p.macs / p.cycles:.2f}",
        f"{p.microjoules:.0f}" if p.microjoules else "-", f"{p.ram_bytes:,}", f"{p.code_bytes:,}", f"{p.constant_bytes:,}",
        f"{record} {who}", f"{p.cycles / 1e6 / record:.2f}", f"{p.instructions / 1e6:.2f}", f"{TFLM[model]}",
    )  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markdown", action="store_true", help="print the table for the README")
    markdown = parser.parse_args().markdown
    rows = [row(model, name, goal) for name in RECORDS for model in FILES for goal in ("balanced", "speed")]
    kept = [r for r in rows if r[2] == "balanced" or r[3:] not in [(*o[3:],) for o in rows if o[2] == "balanced"]]
    if markdown:
        for line in (COLUMNS, ("---",) * len(COLUMNS), *kept):
            print("| " + " | ".join(line) + " |")
        return
    table = Table(*COLUMNS, title="MLPerf Tiny, simulated cycles against published results of real boards")
    for cells in kept:
        table.add_row(*cells)
    Console(width=190).print(table)


if __name__ == "__main__":
    main()
