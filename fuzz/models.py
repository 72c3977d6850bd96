"""Damaged model files: `inspect` and `compile` agree about whatever is in them, and end with a result or with a SmeltError of
bounded size, in bounded time and memory. What loads computes what TensorFlow Lite Micro computes.

`python -m fuzz.models --cases 20000 --seed 1`; exit code 1 if there are findings.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from fuzz.findings import Options, Report, read_options
from fuzz.graphs import LONGEST_MESSAGE, first_difference
from fuzz.host import big_board
from fuzz.mutations import Target
from fuzz.oracle import OracleRefuses, RemoteOracle
from smelt.compile import compile, inspect
from smelt.errors import DoesNotFit, ModelError, SmeltError, Unsupported
from smelt.importers import load
from smelt.model.graph import Graph
from smelt.model.reference import run
from tests.paths import DATA
from tests.test_importer_fuzz import computing, moving

SECONDS = 30.0  # the most that one file may take, on a machine that is busy with other things
MEMORY = 4 << 30  # of the whole process: whatever a file declares
LARGEST = 200_000  # bytes of a file that is damaged over and over
ORACLE = 4  # of so many mutants that load one is computed by TFLM as well
COMPILED = 12  # of so many mutants one is compiled; the others are loaded, which is what compiling begins with
MOST_MACS = 5_000_000  # of what the reference is asked to compute


def targets() -> dict[str, Target]:
    """The files to be damaged: two with every operator, and all small ones of the tests' data."""
    files = {"computing": computing(), "moving": moving()}
    files |= {str(p.relative_to(DATA)): p.read_bytes() for p in sorted(DATA.rglob("*.tflite"))}
    return {name: Target.of(file) for name, file in files.items() if len(file) <= LARGEST}


def check(model: bytes, chance: random.Random, path: Path, oracle: RemoteOracle, report: Report) -> str:
    """What is wrong with how smelt takes one file; empty where nothing is. The outcome is noted."""
    path.write_bytes(model)
    promised, message = _inspected(path)
    whole = chance.randrange(COMPILED) == 0
    try:
        graph = _taken(path, whole)
    except (ModelError, Unsupported) as refusal:
        report.note(f"refused: {type(refusal).__name__}")
        if len(str(refusal)) > LONGEST_MESSAGE or len(message) > LONGEST_MESSAGE:
            return f"a message of {max(len(str(refusal)), len(message))} characters"
        return (
            "" if promised == refusal.exit_code else f"inspect exits with {promised}, compile with {refusal.exit_code}"
        )
    except DoesNotFit:
        report.note("does not fit")
        return "" if promised == 0 else f"inspect exits with {promised}, but compile accepts"
    if promised == Unsupported.exit_code and not whole:
        report.note("refused: kernels")  # which load does not know
        return ""
    report.note("accepted")
    if promised != 0:
        return f"inspect exits with {promised}, but compile accepts"
    return _computed(graph, model, oracle, report) if chance.randrange(ORACLE) == 0 else ""


def _taken(path: Path, whole: bool) -> Graph:
    """The graph in a file, for which C is written if `whole`. Raises SmeltError."""
    return compile(path, big_board(), compiler="none").model if whole else load(path)


def _inspected(path: Path) -> tuple[int, str]:
    """The exit code that `inspect` would give, and what it says."""
    try:
        inspection = inspect(path)
    except SmeltError as error:
        return error.exit_code, str(error)
    return (inspection.refusal.exit_code if inspection.refusal else 0), "\n".join(inspection.summary.problems)


def _computed(graph: Graph, model: bytes, oracle: RemoteOracle, report: Report) -> str:
    if graph.macs > MOST_MACS or any(t.dtype != "int8" for t in graph.inputs):
        return ""
    rng = np.random.default_rng(0)
    inputs = [[rng.integers(-128, 128, t.shape, np.int8) for t in graph.inputs]]
    ours = [list(run(graph, arrays)) for arrays in inputs]
    try:
        theirs = oracle.run(model, inputs)
    except OracleRefuses:
        report.note("accepted, but TFLM refuses or aborts")
        return ""
    report.note("accepted, and TFLM computes the same")
    return first_difference(ours, theirs)


def attempt(model: bytes, chance: random.Random, path: Path, oracle: RemoteOracle, report: Report) -> str:
    """`check` with everything that escapes it as a finding, and its time."""
    started = time.monotonic()
    try:
        found = check(model, chance, path, oracle, report)
    except Exception as defect:  # a finding, whatever it is
        return f"{type(defect).__name__}: {defect}"
    seconds = time.monotonic() - started
    return found or (f"takes {seconds:.0f} s" if seconds > SECONDS else "")


def run_cases(options: Options) -> Report:
    """Try all cases, the targets in turn."""
    report, oracle, sound = Report("models"), RemoteOracle(), targets()
    names = list(sound)
    with tempfile.TemporaryDirectory() as folder:
        for number in options.numbers(report):
            name = names[number % len(names)]
            chance = random.Random(f"{options.seed} {number}")
            model = sound[name].mutant(chance)
            found = attempt(model, chance, Path(folder) / "mutant.tflite", oracle, report)
            if found:
                report.find(f"case {number} of seed {options.seed} ({name})", found)
                options.save(f"model-{options.seed}-{number}.tflite", model)
    oracle.close()
    return report


def main() -> int:
    """Run all cases; the exit code."""
    import resource  # not on Windows, where TFLM's wheel does not exist either

    options = read_options("Damaged model files.", cases=20_000)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    return run_cases(options).show()


if __name__ == "__main__":
    sys.exit(main())
