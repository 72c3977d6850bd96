"""Damaged model files: `inspect` and `compile` agree about whatever is in them, and end with a result or with a SmeltError of
bounded size, in bounded time and memory. What loads computes what TensorFlow Lite Micro computes.

`python -m fuzz.models --cases 20000 --seed 1`; exit code 1 if there are findings.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np

from fuzz.graphs import alone, bounded
from fuzz.growth import TYPES
from fuzz.harness import Case, Finding, Fuzzer, main
from fuzz.host import big_board
from fuzz.judge import as_the_oracle, first_difference
from fuzz.mutations import Target
from fuzz.oracle import OracleRefuses, RemoteOracle
from smelt.compile import compile, inspect
from smelt.errors import DoesNotFit, ModelError, SmeltError, Unsupported
from smelt.importers import load
from smelt.model.graph import Graph
from tests.every_operator import computing, gathering, moving, remembering
from tests.paths import DATA
from tests.reference_check import values

LARGEST = 200_000  # bytes of a file that is damaged over and over
ORACLE = 4  # of so many mutants that load one is computed by TFLM as well
COMPILED = 12  # of so many mutants one is compiled; the others are loaded, which is what compiling begins with
STEPS = 2  # inputs that follow one another
MOST_MACS = 5_000_000  # of what the reference is asked to compute


class Sound:
    """The files to be damaged, by number: those with every operator in a row, every operator alone in some of its types, and all
    small ones of the tests' data. Each is made when it is first wanted."""

    def __init__(self) -> None:
        small = [path for path in sorted(DATA.rglob("*.tflite")) if path.stat().st_size <= LARGEST]
        self.files: list[Callable[[], bytes]] = [computing, moving, gathering, remembering]
        self.files += [path.read_bytes for path in small]
        self.files += [partial(alone, code, dtype, 1) for code in TYPES for dtype in _some(TYPES[code])]
        self.made: dict[int, Target] = {}

    def target(self, number: int) -> Target:
        place = number % len(self.files)
        if place not in self.made:
            self.made[place] = Target.of(self.files[place]())
        return self.made[place]


def _some(types: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((types[0], types[-1], *(t for t in ("int16", "float32") if t in types))))


def attempt(sound: Sound, oracle: RemoteOracle, case: Case) -> str:
    """How smelt takes one file, of the sound ones in turn."""
    dice = case.dice
    model = sound.target(case.number).mutant(dice)
    path = case.write(model, ".tflite")
    promised = _inspected(path)
    whole = dice.randrange(COMPILED) == 0
    try:
        graph = _taken(path, whole)
    except (ModelError, Unsupported) as refusal:
        bounded(str(refusal))
        _agree(promised, refusal.exit_code)
        return f"refused: {type(refusal).__name__}"
    except DoesNotFit:
        _agree(promised, 0)
        return "does not fit"
    if promised == Unsupported.exit_code and not whole:
        return "refused: kernels"  # which load does not know
    _agree(promised, 0)
    return _computed(graph, model, oracle) if dice.randrange(ORACLE) == 0 else "accepted"


def _agree(promised: int, code: int) -> None:
    if promised != code:
        raise Finding(f"inspect exits with {promised}, compile with {code}")


def _taken(path: Path, whole: bool) -> Graph:
    """The graph in a file, for which C is written if `whole`. Raises SmeltError."""
    return compile(path, big_board(), compiler="none").model if whole else load(path)


def _inspected(path: Path) -> int:
    """The exit code that `inspect` would give."""
    try:
        inspection = inspect(path)
    except SmeltError as error:
        bounded(str(error))
        return error.exit_code
    bounded("\n".join(inspection.summary.problems))
    return inspection.refusal.exit_code if inspection.refusal else 0


def _computed(graph: Graph, model: bytes, oracle: RemoteOracle) -> str:
    if graph.macs > MOST_MACS:
        return "accepted"
    rng = np.random.default_rng(0)
    inputs = [[values(rng, t.shape, t.dtype) for t in graph.inputs] for _ in range(STEPS)]
    try:
        theirs = oracle.run(model, inputs)
    except OracleRefuses:
        return "accepted, but TFLM refuses or aborts"
    if different := first_difference(graph, inputs, theirs, as_the_oracle):
        raise Finding(different)
    return "accepted, and TFLM computes the same"


if __name__ == "__main__":
    with closing(RemoteOracle()) as one:
        sys.exit(main(Fuzzer("models", __doc__ or "", partial(attempt, Sound(), one), cases=20_000, seconds=30.0)))
