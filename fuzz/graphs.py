"""Random graphs over all supported operators and types, with scales, zero points and slopes from sane to absurd.

Each is refused with a SmeltError, or the reference gives what TensorFlow Lite Micro gives, over several inputs that follow one
another; of some, so does the C, compiled for this computer; with --boards so does firmware, on simulated boards.
`python -m fuzz.graphs --cases 500 --seed 1`; exit code 1 if there are findings.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np

from fuzz.boards import cluster_at_random, random_board
from fuzz.fits import Asked, asked_at_random
from fuzz.growth import SHAPES, TYPES, Growth, Value, everything
from fuzz.harness import Case, Finding, Fuzzer, main
from fuzz.host import run_on_host
from fuzz.judge import as_kernels, as_the_oracle, first_difference
from fuzz.operators import RECIPES
from fuzz.oracle import Arrays, OracleRefuses, RemoteOracle
from smelt.compile import compile
from smelt.errors import DoesNotFit, ModelError, SmeltError, Unsupported
from smelt.importers import load
from smelt.importers.tflite import load_tflite
from smelt.model.graph import Graph
from smelt.report.execute import execute
from smelt.targets.boards import board
from smelt.targets.types import Board

COMPILED = 20  # every so manieth graph is compiled for this computer, too
LONGEST_MESSAGE = 4096 + 200  # a path comes in front
STARTS = ("int8", "int8", "int8", "int16", "int16", "float32", "float32", "uint8", "int32", "int64", "bool")
STEPS = 3  # inputs that follow one another
TRIES = 20

Takes = Callable[[str, str], bool]


def grow(seed: int, number: int, takes: Takes = everything) -> tuple[bytes, Growth]:
    """Case `number`: one operator with wild numbers, or a graph of several with mostly sane ones; most of these have only what
    `takes` says of an operator and its type."""
    rng = np.random.default_rng((seed, number))
    alone = number % 2 == 0
    g = Growth(rng, wild=0.5 if alone else float(rng.choice([0.0, 0.02, 0.1])))
    if alone:
        code = list(RECIPES)[number // 2 % len(RECIPES)]
        _grow_one(g, code, g.pick(TYPES[code]))
    else:
        g.takes = takes if g.chance(0.9) else everything
        _grow_several(g, g.integer(2, 12))
    return g.finish(_outputs(g, alone)), g


def alone(code: str, dtype: str, number: int) -> bytes:
    """A sound model of one operator and what its recipe needs beside it; without outputs where chance had it that none grew."""
    g = Growth(np.random.default_rng(number), 0.0)
    _grow_one(g, code, dtype)
    return g.finish(g.made)


def _grow_one(g: Growth, code: str, dtype: str) -> None:
    for _ in range(TRIES):
        if RECIPES[code](g, dtype):
            return
        g.values.clear()


def _grow_several(g: Growth, wanted: int) -> None:
    g.input(g.pick(SHAPES), g.pick(STARTS))
    if g.chance(0.1):
        RECIPES["CALL_ONCE"](g, "none")
    for _ in range(TRIES * wanted):
        near = g.chance(0.8)
        codes = [code for code, types in TYPES.items() if not near or g.values[-1].dtype in types]
        code = g.pick(codes)
        dtype = g.values[-1].dtype if near else g.pick(TYPES[code])
        if g.takes(code, dtype):
            RECIPES[code](g, dtype)
        if len(g.codes) >= wanted:
            break


def _outputs(g: Growth, alone: bool) -> list[Value]:
    """All results, where reals are to be followed; nobody can be asked for numbers of uint64 unless there is nothing else."""
    made = [value for value in g.made if value.dtype != "uint64"] or g.made
    if alone or any(value.dtype == "float32" for value in g.made) or g.chance(0.2):
        return made
    return list(dict.fromkeys((made[-1], g.pick(made))))


class Probe:
    """Whether TensorFlow Lite Micro computes an operator in a type: asked once, with a small model."""

    def __init__(self, oracle: RemoteOracle) -> None:
        self.oracle = oracle
        self.known: dict[tuple[str, str], bool] = {}

    def __call__(self, code: str, dtype: str) -> bool:
        if (code, dtype) not in self.known:
            self.known[code, dtype] = any(self._computed(code, dtype, number) for number in range(8))
        return self.known[code, dtype]

    def _computed(self, code: str, dtype: str, number: int) -> bool:
        g = Growth(np.random.default_rng(number), 0.0)
        _grow_one(g, code, dtype)
        try:
            model = g.finish(_outputs(g, alone=True))
            self.oracle.run(model, rows(g, load_tflite(model, "probe")))
        except (SmeltError, OracleRefuses):
            return False
        return True


def rows(g: Growth, graph: Graph) -> list[Arrays]:
    """Inputs that follow one another: the first with every int8 value where there is room for it."""
    every = np.arange(-128, 128).astype(np.int8)
    first = [
        np.resize(g.rng.permutation(every), t.shape) if t.dtype == "int8" else g.array(t.shape, t.dtype)
        for t in graph.inputs
    ]
    return [first, *([g.array(t.shape, t.dtype) for t in graph.inputs] for _ in range(STEPS - 1))]


def bounded(message: str) -> None:
    """Raises Finding where a message is too long."""
    if len(message) > LONGEST_MESSAGE:
        raise Finding(f"a message of {len(message):,} characters")


def attempt(oracle: RemoteOracle, takes: Takes, boards: tuple[str, ...], case: Case) -> str:
    """How smelt takes one graph."""
    model, g = grow(case.seed, case.number, takes)
    path = case.write(model, ".tflite")
    try:
        graph = load(path)
        inputs = rows(g, graph)
        end = _as_tflm(graph, model, inputs, oracle)
        if case.number % COMPILED == 0:
            _judge("on this computer", graph, inputs, run_on_host(path, inputs))
        wanted = [(name, *_wanted(name, case, path)) for name in boards]
        missing = [name for name, there, asked in wanted if not _on_board(there, path, graph, inputs, asked)]
    except (ModelError, Unsupported) as refusal:
        bounded(str(refusal))
        return f"refused: {type(refusal).__name__}"
    except Finding as finding:
        raise Finding(f"{' '.join(g.codes)}: {finding}") from None
    return f"{end}, but does not fit {' '.join(missing)}" if missing else end


def _as_tflm(graph: Graph, model: bytes, inputs: list[Arrays], oracle: RemoteOracle) -> str:
    """How the reference compares with TensorFlow Lite Micro."""
    try:
        theirs = oracle.run(model, inputs)
    except OracleRefuses:
        return "accepted, but TFLM refuses or aborts"
    if found := first_difference(graph, inputs, theirs, as_the_oracle):
        raise Finding(found)
    return "accepted, and TFLM computes the same"


def _judge(where: str, graph: Graph, inputs: list[Arrays], found: list[Arrays]) -> None:
    if different := first_difference(graph, inputs, found, as_kernels):
        raise Finding(f"as C, {where}: {different}")


def _wanted(name: str, case: Case, path: Path) -> tuple[Board, Asked]:
    """A board of smelt as it is, or one at random, another one for each case, with a goal and as much memory as chance has it; or
    one with a cluster, as much of whose shared memory as chance has it."""
    if name == "cluster":
        there, regions = cluster_at_random(case.dice)
        return there, Asked(regions=regions)
    if name != "random":
        return board(name), Asked()
    there = random_board(case.dice)
    return there, asked_at_random(path, there, case.dice)


def _on_board(target: Board, path: Path, graph: Graph, inputs: list[Arrays], asked: Asked) -> bool:
    """Compare firmware on a simulated board with the reference; whether it fits."""
    try:
        compilation = compile(path, target, compiler="gcc", goal=asked.goal, regions=asked.regions)
    except DoesNotFit as refusal:
        bounded(str(refusal))
        asked.judge(refusal)
        return False
    execution = execute(compilation, [tuple(arrays) for arrays in inputs], timing=False, sequence=True)
    _judge(f"on {target.name}", graph, inputs, [list(arrays) for arrays in execution.outputs])
    return True


def options() -> argparse.ArgumentParser:
    """What this fuzzer is told beside what all are."""
    found = argparse.ArgumentParser(add_help=False)
    found.add_argument(
        "--boards",
        type=lambda names: tuple(names.split(",")),
        default=(),
        help="names, with commas between; random: another board in each case; cluster: GAP8 with 8 to 60 KB of L1",
    )
    return found


if __name__ == "__main__":
    own = options()
    asked = own.parse_known_args()[0].boards
    with closing(RemoteOracle()) as one:
        graphs = partial(attempt, one, Probe(one), asked)
        sys.exit(main(Fuzzer("graphs", __doc__ or "", graphs, cases=500, seconds=60.0), own))
