"""Measure what smelt ships: `python dev/ship_log.py [--budget 3m] [--keep FILE]` writes smelt/assets/tuned.jsonl.gz.

Tunes the MLPerf Tiny models on the boards below with the bundled compiler, at most `--budget` for each model and board, and keeps,
for every distinct step, the default, the fastest few, and what is fastest with less scratch or smaller tables. What --keep
holds already is not measured again; it is where everything that was measured goes.
"""

import argparse
import gzip
import tempfile
from collections import defaultdict
from pathlib import Path

from smelt.devices.simulators.version import cycle_model
from smelt.firmware.toolchain import toolchain
from smelt.importers import load
from smelt.kernels import FRUGAL, IMPLEMENTATIONS
from smelt.passes import prepare
from smelt.planner.log import TuningLog
from smelt.planner.measurement import Origin
from smelt.report.tuning import progress_bar, seconds
from smelt.targets.boards import board
from smelt.tuning.shipped import FILE
from smelt.tuning.tune import tune
from smelt.tuning.works import works

ROOT = Path(__file__).resolve().parents[1]
MODELS = (
    ROOT / "smelt" / "assets" / "resnet8.tflite",
    *(
        ROOT / "tests" / "data" / "models" / "mlperf_tiny" / f"{name}.tflite"
        for name in ("vww_96_int8", "kws_ref_model", "ad01_int8")
    ),
)
BOARDS = ("nucleo_l4r5zi", "disco_f746ng", "nucleo_u575zi_q")
BEST = 3  # of each step, with tables in flash and in RAM
SMALLER = 6  # with less scratch or smaller tables than those


def measure(models, boards, keep, budget):
    """Tune every model on every board."""
    for name in boards:
        for model in models:
            with progress_bar(f"{model.stem} on {name}") as report:
                result = tune(model, board(name), keep, budget=budget, implementations=IMPLEMENTATIONS, report=report)
            print(
                f"{result.model} on {name}: {result.cycles_before} -> {result.cycles_after} cycles, {result.measured} measured,"
                f" {result.left} left, {result.seconds:.0f} s",
                flush=True,
            )


def defaults(models):
    """The kernels that are the first guesses."""
    graphs = [prepare(load(model)) for model in models]
    targets = [board(name) for name in BOARDS]
    sets = (FRUGAL, IMPLEMENTATIONS)
    return {w.candidates[0].kernel for g in graphs for b in targets for some in sets for w in works(g, b, some)}


def chosen(log, first):
    """The measurements to ship."""
    steps = defaultdict(list)
    for name in BOARDS:
        origin = Origin(cycle_model(board(name)), toolchain(board(name)))
        for m in log.about(name).measurements:
            if m.cycles is not None and m.origin == origin:
                steps[name, m.op_key, m.place].append(m)
    for measurements in steps.values():
        ranked = sorted(measurements, key=lambda m: (m.cycles, m.kernel))
        best = {m.kernel: m for m in [*ranked[:BEST], *frontier(ranked), *(m for m in ranked if m.kernel in first)]}
        yield from best.values()


def frontier(ranked):
    """The fastest that need less than any faster one."""
    found = []
    for m in ranked:
        needs = dict(m.features).get("scratch", 0), dict(m.features).get("tables", 0)
        if not any(a <= needs[0] and b <= needs[1] for a, b in (n for _, n in found)):
            found.append((m, needs))
    return [m for m, _ in found[: BEST + SMALLER]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", default="3m", help="For each model and board.")
    parser.add_argument(
        "--keep", type=Path, help="A log of everything that is measured, which a next run goes on from."
    )
    parser.add_argument(
        "--only", help="Just these models and boards, such as kws_ref_model,nucleo_l4r5zi; for trying this out."
    )
    parser.add_argument("--out", type=Path, default=ROOT / "smelt" / "assets" / FILE)
    options = parser.parse_args()
    some = options.only.split(",") if options.only else ()
    boards = [name for name in BOARDS if not some or name in some]
    models = [path for path in MODELS if not some or path.stem in some]
    with tempfile.TemporaryDirectory() as folder:
        keep = options.keep or Path(folder) / "log.jsonl"
        measure(models, boards, keep, seconds(options.budget))
        lines = [m.line for m in chosen(TuningLog.load(keep), defaults(models))]
    options.out.write_bytes(gzip.compress(b"".join(sorted(lines)), 9, mtime=0))
    print(f"{options.out}: {len(lines)} measurements, {options.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
