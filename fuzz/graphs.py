"""Random graphs over all supported operators, with scales, zero points and slopes from sane to absurd.

Each is refused with a SmeltError, or the reference gives what TensorFlow Lite Micro gives, bit for bit; of some, so does the C,
compiled for this computer. `python -m fuzz.graphs --cases 500 --seed 1`; exit code 1 if there are findings.
"""

from __future__ import annotations

import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np

from fuzz.growth import Growth
from fuzz.harness import Case, Finding, Fuzzer, main
from fuzz.host import run_on_host
from fuzz.operators import RECIPES
from fuzz.oracle import Arrays, OracleRefuses, RemoteOracle
from smelt.errors import ModelError, Unsupported
from smelt.importers import load
from smelt.model.graph import Graph
from smelt.model.reference import run

COMPILED = 20  # every so manieth graph is compiled, too
LONGEST_MESSAGE = 4096 + 200  # a path comes in front
START_SHAPES = ((1, 16, 16, 1), (1, 8, 8, 4), (1, 5, 7, 3), (2, 4, 3, 2), (1, 3, 6), (1, 256), (3, 40))


def grow(seed: int, number: int) -> tuple[bytes, Growth]:
    """Case `number`: one operator with wild numbers, or a graph of several with mostly sane ones."""
    rng = np.random.default_rng((seed, number))
    alone = number % 2 == 0
    g = Growth(rng, wild=0.5 if alone else float(rng.choice([0.0, 0.02, 0.1])))
    codes = list(RECIPES)
    g.input(START_SHAPES[g.integer(0, len(START_SHAPES) - 1)])
    wanted = 1 if alone else g.integer(2, 12)
    for _ in range(20 * wanted):
        code = codes[number // 2 % len(codes)] if alone and not g.codes else g.pick(codes)
        x = g.values[-1] if g.chance(0.7) else g.pick(g.values)
        RECIPES[code](g, x)
        if len(g.codes) >= wanted:
            break
        if alone:
            g.input(g.pick(START_SHAPES))
    made = [value.index for value in g.values if value.index not in g.inputs]
    outputs = made if alone or g.chance(0.2) else list(dict.fromkeys((made[-1], g.pick(made))))
    return g.finish(outputs), g


def rows(g: Growth, graph: Graph) -> list[Arrays]:
    """Inputs: every int8 value where there is room for it, and others."""
    every = [np.resize(g.rng.permutation(np.arange(-128, 128)).astype(np.int8), t.shape) for t in graph.inputs]
    return [every, [g.int8(t.shape) for t in graph.inputs]]


def first_difference(ours: list[Arrays], theirs: list[Arrays]) -> str:
    """Where two lists of outputs differ; empty where they do not."""
    for mine, other in zip(ours, theirs, strict=True):
        for position, (a, b) in enumerate(zip(mine, other, strict=True)):
            a, b = np.ravel(a), np.ravel(b)
            different = np.flatnonzero(~((a == b) | (np.isnan(a) & np.isnan(b))))
            if different.size:
                at = different[0]
                return f"output {position}: {different.size} of {a.size} differ, {a[at]} instead of {b[at]} at {at}"
    return ""


def bounded(message: str) -> None:
    """Raises Finding where a message is too long."""
    if len(message) > LONGEST_MESSAGE:
        raise Finding(f"a message of {len(message):,} characters")


def attempt(oracle: RemoteOracle, case: Case) -> str:
    """How smelt takes one graph."""
    model, g = grow(case.seed, case.number)
    path = case.write(model, ".tflite")
    try:
        found = _judge(path, model, g, oracle, case.number % COMPILED == 0)
    except (ModelError, Unsupported) as refusal:
        bounded(str(refusal))
        return f"refused: {type(refusal).__name__}"
    except OracleRefuses:
        return "accepted, but TFLM refuses or aborts"
    if found:
        raise Finding(f"{' '.join(g.codes)}: {found}")
    return "accepted and exact"


def _judge(path: Path, model: bytes, g: Growth, oracle: RemoteOracle, compiled: bool) -> str:
    """What is wrong with an accepted model; empty where nothing is. Raises what smelt raises, and OracleRefuses."""
    graph = load(path)
    inputs = rows(g, graph)
    ours = [list(run(graph, arrays)) for arrays in inputs]
    found = first_difference(ours, oracle.run(model, inputs))
    if compiled and not found:
        found = first_difference(run_on_host(path, inputs), ours)
        found = f"as C, {found}" if found else ""
    return found


if __name__ == "__main__":
    with closing(RemoteOracle()) as one:
        sys.exit(main(Fuzzer("graphs", __doc__ or "", partial(attempt, one), cases=500, seconds=30.0)))
