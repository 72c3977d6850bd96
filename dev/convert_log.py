"""Give the lines of a log from before what they do not say: `python dev/convert_log.py HEADERS [FILE.jsonl.gz]`, by default
smelt/assets/tuned.jsonl.gz.

Where everything lay, the features and the digest of what a kernel calls follow from the kernels of the MLPerf Tiny models,
which are built anew; nothing is measured. HEADERS is a folder with the headers that the log was measured with (as its lines
say: "headers 1a2b3c4d"): what a kernel called then may be another thing now. Lines of kernels that are not built any more
stay as they are.
"""

import argparse
import gzip
import hashlib
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # this checkout, whatever is installed

from dev.ship_log import BOARDS, MODELS  # noqa: E402
from smelt.importers import load  # noqa: E402
from smelt.kernels import IMPLEMENTATIONS  # noqa: E402
from smelt.kernels.digest import definitions_reached, digest_of  # noqa: E402
from smelt.kernels.headers import needed, with_included  # noqa: E402
from smelt.passes import prepare  # noqa: E402
from smelt.planner import make_plan  # noqa: E402
from smelt.planner.flow import steps_of  # noqa: E402
from smelt.planner.log import TuningLog  # noqa: E402
from smelt.planner.measurement import Origin  # noqa: E402
from smelt.planner.ways import Ways, op_key  # noqa: E402
from smelt.targets.boards import board  # noqa: E402
from smelt.tuning.bench import Bench  # noqa: E402
from smelt.tuning.firmware import one_step, places_of  # noqa: E402
from smelt.tuning.pool import Outcome  # noqa: E402
from smelt.tuning.search import Subject  # noqa: E402
from smelt.tuning.works import Work  # noqa: E402


def built(log):
    """(board, kernel, whether its tables are in RAM) -> a measurement without figures and the way, where a line is still
    built."""
    found = {}
    for target in map(board, BOARDS):
        lines = log.about(target.name).measurements
        for model in MODELS:
            graph, ways = prepare(load(model)), Ways(target.core, IMPLEMENTATIONS)
            plan = make_plan(graph, target, ways)
            bench = Bench(target, max(plan.memories, key=lambda m: plan.used(m.name)), "zig", Origin(), graph)
            for op in steps_of(graph):
                key = op_key(op)
                for m in (m for m in lines if m.op_key == key and (m.board, m.kernel, m.place[0]) not in found):
                    way = ways.named(op, (m.implementation, m.schedule))
                    if way is not None and way.kernel == m.kernel:
                        way = way.copied() if m.place[0] else way
                        order = bench.order([Subject(Work(key, (way,), 1), way)])
                        outcome = Outcome(0, None, "", places_of(one_step(order, order.trials[0])))
                        found[m.board, m.kernel, m.place[0]] = (
                            bench.result(Subject(Work(key, (way,), 1), way), outcome),
                            way,
                        )
    return found


def converted(log, headers):
    """The lines with what they lacked."""
    known = built(log)
    digest = hashlib.sha256("".join(headers.values()).encode()).hexdigest()[:8]
    for m in log.measurements:
        new, way = known.get((m.board, m.kernel, m.place[0]), (m, None))
        if way is not None and m.routines == f"headers {digest}":
            code = way.call.kernel.c()
            names = with_included(needed(code, board(m.board).core))
            new = replace(
                new,
                routines=digest_of(d.text for d in definitions_reached(code, tuple(headers[name] for name in names))),
            )
            yield replace(m, places=new.places, features=new.features, routines=new.routines)
        else:
            yield m


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("headers", type=Path)
    parser.add_argument("file", type=Path, nargs="?", default=ROOT / "smelt" / "assets" / "tuned.jsonl.gz")
    options = parser.parse_args()
    headers = {f.name: f.read_text("utf-8") for f in sorted(options.headers.iterdir(), key=lambda f: f.name)}
    after = list(converted(TuningLog.parse(gzip.decompress(options.file.read_bytes())), headers))
    options.file.write_bytes(gzip.compress(b"".join(sorted(m.line for m in after)), 9, mtime=0))
    done = sum(bool(m.places.x) for m in after)
    print(f"{options.file}: {len(after)} measurements, {done} of them converted")


if __name__ == "__main__":
    main()
