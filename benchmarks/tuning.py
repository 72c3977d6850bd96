"""Does the learned model help? `python benchmarks/tuning.py [--models IC] [--boards nucleo_l4r5zi] [--log FILE]`.

Measures every candidate of every step once (into FILE, a temporary one by default), then replays three orders of measuring from
that log: the learned model's, by static cost, and at random. Prints how far the best so far is above the best there is, after so
many measurements, and how many it takes to come within 5 %, 1 % and 0.1 %. With --others, the learned order also knows another log.
"""

import argparse
import tempfile
from itertools import zip_longest
from pathlib import Path

import numpy as np
from data import MLPERF_TINY
from rich.console import Console
from rich.table import Table

from smelt import board
from smelt.importers import load
from smelt.kernels import FRUGAL
from smelt.passes import prepare
from smelt.planner.known import Known
from smelt.planner.log import TuningLog
from smelt.tuning.devices import counting_device
from smelt.tuning.search import Search
from smelt.tuning.tune import tune
from smelt.tuning.works import works

SEEDS = 5
BATCH = 4  # candidates that are chosen together
WITHIN = (0.05, 0.01, 0.001)


def learned(todo, log, others):
    """The order of a tuning; it may end early."""
    search = Search(todo, others)
    while taken := search.take(lambda some: len(some) <= BATCH):
        for subject in taken:
            m = log.get(subject.candidate.key)
            if m is not None:
                yield m
                search.learn(m)


def static(todo, log, _):
    """The defaults of all steps, then the second by static cost of each, and so on."""
    costly = sorted(todo, key=lambda w: -w.times * w.candidates[0].cost)
    for row in zip_longest(*(w.candidates for w in costly)):
        yield from (log[c.key] for c in row if c is not None and c.key in log)


def shuffled(seed):
    """The defaults, then anything."""

    def order(todo, log, _):
        first = [w.candidates[0].key for w in todo]
        rest = [c.key for w in todo for c in w.candidates[1:]]
        np.random.default_rng(seed).shuffle(rest)
        yield from (log[key] for key in dict.fromkeys((*first, *map(tuple, rest))) if key in log)

    return order


def replay(order, todo, log, others):
    """The best sum of cycles after each measurement; None until every step has one."""
    best, found = [], {}
    for m in order(todo, log, others):
        found[m.kernel, m.place[0]] = m.cycles
        steps = [min((found[c.key] for c in w.candidates if found.get(c.key)), default=None) for w in todo]
        best.append(None if None in steps else sum(w.times * c for w, c in zip(todo, steps, strict=True)))
    return best


def measurements_until(best, limit):
    return next((n for n, cycles in enumerate(best, 1) if cycles is not None and cycles <= limit), float("nan"))


def compare(console, model, target, file, others):
    """The table of one model on one board."""
    path = MLPERF_TINY[model]
    tune(path, target, file, budget=3600, implementations=FRUGAL, exhaustive=True, resident=False)
    device = counting_device(target, "simulator").name
    log = {
        (m.kernel, m.place[0]): m
        for m in TuningLog.load(file).about(target.name).measurements
        if m.origin.counter == device
    }
    todo = works(prepare(load(path)), target, FRUGAL)
    todo = [w for w in todo if any(c.key in log for c in w.candidates)]
    least = sum(
        w.times * min(log[c.key].cycles for c in w.candidates if c.key in log and log[c.key].cycles) for w in todo
    )
    orders = {"learned": [learned], "static cost": [static], "at random": [shuffled(seed) for seed in range(SEEDS)]}
    count = len({c.key for w in todo for c in w.candidates if c.key in log})
    points = [round(count * share) for share in (0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1)]
    table = Table(
        title=f"{model} on {target.name}: {count} candidates, {len(todo)} distinct steps, best {least:,} cycles"
    )
    table.add_column("order")
    for point in points:
        table.add_column(f"after {point}", justify="right")
    for share in WITHIN:
        table.add_column(f"within {share:.1%}", justify="right")
    table.add_column("measured", justify="right")
    for name, ways in orders.items():
        runs = [replay(way, todo, log, Known.trusting(target, others)) for way in ways]
        excess = [np.mean([_at(best, point) / least - 1 for best in runs]) for point in points]
        until = [np.mean([measurements_until(best, least * (1 + share)) for best in runs]) for share in WITHIN]
        cells = [f"+{e:.2%}" if np.isfinite(e) else "-" for e in excess] + [f"{n:.0f}" for n in until]
        table.add_row(name, *cells, f"{np.mean([len(best) for best in runs]):.0f}")
    console.print(table)


def _at(best, count):
    found = best[min(count, len(best)) - 1]
    return float("inf") if found is None else found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="KWS")
    parser.add_argument("--boards", default="nucleo_l4r5zi")
    parser.add_argument("--log", type=Path, help="Where every measurement is, or will be.")
    parser.add_argument("--others", type=Path, help="A log of other models, which the learned order may learn from.")
    options = parser.parse_args()
    console = Console(width=160)
    others = TuningLog.load(options.others) if options.others else TuningLog.empty
    with tempfile.TemporaryDirectory() as folder:
        for name in options.boards.split(","):
            for model in options.models.split(","):
                file = options.log or Path(folder) / f"{model}-{name}.jsonl"
                compare(console, model, board(name), file, [m for m in others if m.board == name])


if __name__ == "__main__":
    main()
