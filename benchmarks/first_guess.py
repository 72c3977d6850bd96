"""How good first guesses are: `python benchmarks/first_guess.py --keep tuned.json [--tune 600] [--models a,b] [--boards c]`.

Leave one model out: every measurement of the model's own layers is taken out of what smelt ships, so that nothing but those of
other models' layers is known; then the model is compiled, "balanced", and its cycles are simulated. Beside them is what a tuning
of `--tune` seconds finds from there, kept in the file `--keep` (a JSON object) for the next time. A ratio of 1.05 says that tuning
would have saved 5 %.
"""

import argparse
import json
import tempfile
from pathlib import Path

from data import MLPERF_TINY, shared
from tables import add_options, show

from smelt import execute, random_inputs
from smelt.compile import Compilation
from smelt.firmware import build, emit, render, render_harness
from smelt.firmware.toolchain import toolchain
from smelt.importers import load
from smelt.kernels import IMPLEMENTATIONS
from smelt.passes import prepare
from smelt.planner import make_plan
from smelt.planner.evidence import evidence
from smelt.planner.flow import steps_of
from smelt.planner.known import Known
from smelt.planner.log import TuningLog
from smelt.planner.measurement import Origin
from smelt.planner.ways import Ways, op_key
from smelt.targets.boards import board
from smelt.tuning.devices import counting_device
from smelt.tuning.shipped import shipped_log
from smelt.tuning.tune import tune

BOARDS = ("nucleo_l4r5zi", "disco_f746ng", "nucleo_h743zi")
FIELD = (
    "mltk_pacman_v3",
    "tinyengine_vww1",
    "mltk_visual_wake_words",
    "mlcommons_resnet_large_int8",
    "mltk_image_example1",
    "microwakeword_okay_nabu_v2",
    "tflm_keyword_scrambled_8bit",
)
COLUMNS = ("model", "board", "first guess, Mcycles", "RAM", "tuned, Mcycles", "RAM", "ratio")
TARGET = 1.05


def path_of(model):
    """The file of a model of MLPerf Tiny or of the field."""
    return MLPERF_TINY.get(model) or shared(f"models/field/{model}.tflite")


def without(model):
    """What smelt ships but for measurements of a model's own layers."""
    mine = {op_key(op) for op in steps_of(prepare(load(path_of(model))))}
    return shipped_log().only(lambda m: m.op_key not in mine)


def simulated(model, target, log):
    """Cycles and bytes of RAM of a model that is planned with a log and nothing else."""
    known = Known.of(target, log, Origin(counting_device(target, "simulator").name, toolchain(target)))
    loaded = load(path_of(model))
    graph = prepare(loaded)
    plan = make_plan(graph, target, Ways(target.core, IMPLEMENTATIONS), known=known)
    program = emit(plan, "network")
    sources = render(program)
    image = build(render_harness(program, sources, ()), target, "zig")
    made = Compilation(loaded, graph, plan, program, sources, image, evidence(plan, known), ())
    return execute(made, random_inputs(loaded, 1)).run.cycles, plan.ram_bytes


def tuned(model, target, log, seconds):
    """The same with what a tuning finds that begins with that log."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tuned.jsonl"
        tune(path_of(model), target, file, budget=seconds, known=log, resident=False)
        return simulated(model, target, log + TuningLog.load(file))


def row(model, name, kept, seconds):
    """The cells of a model on a board."""
    target, log = board(name), without(model)
    cycles, ram = simulated(model, target, log)
    key = f"{model} on {name}"
    if key not in kept and seconds:
        kept[key] = tuned(model, target, log, seconds)
    if key not in kept:
        return (model, name, f"{cycles / 1e6:.3f}", f"{ram:,}", "-", "-", "-")
    best, room = kept[key]
    verdict = f"{cycles / best:.3f}" + ("" if cycles <= TARGET * best else " (!)")
    return (model, name, f"{cycles / 1e6:.3f}", f"{ram:,}", f"{best / 1e6:.3f}", f"{room:,}", verdict)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, BOARDS, (*FIELD, *MLPERF_TINY))
    parser.add_argument("--keep", type=Path, help="where the results of tunings are, and will be")
    parser.add_argument("--tune", type=float, default=0, help="seconds for each tuning that is not there; 0: none")
    parser.add_argument("--markdown", action="store_true", help="print the table for a page")
    options = parser.parse_args()
    kept = json.loads(options.keep.read_text()) if options.keep and options.keep.exists() else {}
    cells = []
    for model in options.models:
        for name in options.boards:
            cells.append(row(model, name, kept, options.tune))
            if options.keep:
                options.keep.write_text(json.dumps(kept, indent=1))
    show("First guesses, own measurements left out", COLUMNS, cells, options.markdown, width=130)


if __name__ == "__main__":
    main()
