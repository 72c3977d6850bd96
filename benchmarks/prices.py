"""What places cost, predicted and simulated: `python benchmarks/prices.py [--models a,b] [--boards c] [--seconds 300]`.

The layers of the models are measured alone, with operands and scratch in each RAM in turn; from the figure for the first RAM and
the price of the others (`planner/price.py`) follows what they should take there. The price knows the loops and the caches, and
nothing of these measurements. Shown are errors of the whole layer's cycles, by implementation: minus is too optimistic.
"""

import argparse
import time
from collections import defaultdict
from statistics import median

from data import MLPERF_TINY, shared
from tables import add_options, show

from smelt.errors import SmeltError
from smelt.firmware.toolchain import toolchain
from smelt.importers import load
from smelt.kernels import IMPLEMENTATIONS
from smelt.passes import prepare
from smelt.planner.flow import steps_of
from smelt.planner.known import Known
from smelt.planner.log import TuningLog
from smelt.planner.measurement import Origin
from smelt.planner.predict import Predictor
from smelt.planner.ways import Ways, op_key
from smelt.targets.boards import board
from smelt.tuning.bench import Bench
from smelt.tuning.devices import counting_device
from smelt.tuning.firmware import firmware, outcomes
from smelt.tuning.search import Subject
from smelt.tuning.works import Work

BOARDS = ("disco_f746ng", "nucleo_h743zi", "nucleo_l4r5zi")
MODELS = ("IC", "KWS", "mltk_visual_wake_words")
COLUMNS = ("board", "memory", "implementation", "layers", "slower by, median", "error, median", "error, worst")


def ways_of(model, target):
    """The first schedule of every implementation for each distinct layer, first guesses first."""
    graph = prepare(load(MLPERF_TINY.get(model) or shared(f"models/field/{model}.tflite")))
    ways = Ways(target.core, IMPLEMENTATIONS)
    ops = {op_key(op): op for op in steps_of(graph)}
    found = [(rank, way) for op in ops.values() for rank, way in enumerate(ways.first_of_each(op, 1))]
    return graph, [way for _, way in sorted(found, key=lambda one: one[0])]


def measured(bench, way):
    """One way in the bench's memory as a line of a log; None where it failed or lay elsewhere."""
    subject = Subject(Work(op_key(way.op), (way,), 1), way)
    try:
        (outcome,) = outcomes(firmware(bench.order([subject])))
    except SmeltError:
        return None
    m = bench.result(subject, outcome)
    return m if m.cycles and m.places.x == bench.memory.name else None


def errors(model, target, seconds):
    """(memory, implementation) -> [(times as slow as in the first RAM, relative error)]."""
    graph, ways = ways_of(model, target)
    origin = Origin(counting_device(target, "simulator").name, toolchain(target))
    paths = {m.path: m for m in reversed(target.chip.rams)}  # one memory of each kind
    first, *others = sorted(paths.values(), key=target.chip.rams.index)
    found = defaultdict(list)
    until = time.monotonic() + seconds
    for way in ways:
        if time.monotonic() > until:
            break
        base = measured(Bench(target, first, "zig", origin, graph), way)
        for memory in others if base else ():
            there = measured(Bench(target, memory, "zig", origin, graph), way)
            if there is not None:
                predictor = Predictor(Known.trusting(target, TuningLog((base,))))
                predicted = predictor.cycles(way, there.places).value
                entry = there.cycles / base.cycles, predicted / there.cycles - 1
                found[memory.name, way.implementation.name].append(entry)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, BOARDS, MODELS)
    parser.add_argument("--seconds", type=float, default=300, help="for each board and model")
    parser.add_argument("--markdown", action="store_true", help="print the table for a page")
    options = parser.parse_args()
    cells = []
    for name in options.boards:
        found = defaultdict(list)
        for model in options.models:
            for key, entries in errors(model, board(name), options.seconds).items():
                found[key] += entries
        for memory in dict.fromkeys(memory for memory, _ in found):
            found[memory, "all"] = [e for (m, _), entries in found.items() if m == memory for e in entries]
        for (memory, implementation), entries in sorted(found.items()):
            slower, wrong = median(s for s, _ in entries), [e for _, e in entries]
            worst = max(wrong, key=abs)
            cells.append((name, memory, implementation, f"{len(entries)}", f"{slower:.2f}", f"{median(wrong):+.1%}",
                          f"{worst:+.1%}"))  # fmt: skip
    show("Places: predicted against simulated", COLUMNS, cells, options.markdown, width=130)


if __name__ == "__main__":
    main()
