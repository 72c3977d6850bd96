"""TensorFlow Lite Micro's own kernel tests, as data (tests/data/tflm_cases.json): edges that a random test may miss."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from fuzz.judge import as_the_oracle, first_difference
from smelt.importers.tflite import load_tflite
from smelt.kernels import IMPLEMENTATIONS
from smelt.model.graph import Array, Graph, Op
from smelt.model.reference import initial_states, is_real, results, run_sequence
from smelt.passes import prepare
from smelt.targets.cores.cortex_m4 import CORTEX_M4
from tests.float_ops import tolerances
from tests.kernels_host import run_all
from tests.oracle import Oracle
from tests.paths import DATA
from tests.tflite_writer import ModelWriter

CASES: list[dict[str, Any]] = json.loads((DATA / "tflm_cases.json").read_text("utf-8"))["cases"]
every_case = pytest.mark.parametrize("case", CASES, ids=[case["origin"].replace("_test.cc", "") for case in CASES])


def model(case: dict[str, Any]) -> bytes:
    w = ModelWriter()
    tensors = {
        role: [
            w.tensor(
                f"{role}{i}", t["shape"], t["type"], t.get("scale", ()), t.get("zero", 0),
                np.reshape(t["values"], t["shape"]) if t.get("constant") else None, variable=t.get("variable", False),
            )
            for i, t in enumerate(case[role])
        ]
        for role in ("x", "y")
    }  # fmt: skip
    w.op(case["op"], tensors["x"], tensors["y"], version=2, **case["options"])
    given = [i for i, t in zip(tensors["x"], case["x"], strict=True) if not (t.get("constant") or t.get("variable"))]
    return w.finish(given, tensors["y"])


def arrays(case: dict[str, Any], role: str) -> list[list[Array]]:
    """Of every step, of which most cases have one: values are a list for each step where there are several."""
    found = [t for t in case[role] if "values" in t and not t.get("constant")]
    steps = [len(t["values"]) if isinstance(t["values"][0], list) else 1 for t in found]
    stacks = [np.reshape(t["values"], (max(steps), *t["shape"])).astype(t["type"]) for t in found]
    return [[stack[step] for stack in stacks] for step in range(max(steps))]


@every_case
def test_the_reference_and_the_oracle_give_the_values(case):
    written, inputs = model(case), arrays(case, "x")
    graph = load_tflite(written, "case")
    for found, wanted in zip(run_sequence(graph, inputs), arrays(case, "y"), strict=True):
        for mine, theirs in zip(found, wanted, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=case.get("within", 0))
    if case["op"] not in OF_LITERT:
        oracle = Oracle(written)
        assert not first_difference(graph, inputs, [oracle.run(step) for step in inputs], as_the_oracle)


OF_LITERT = ("REDUCE_PROD", "FLOOR_DIV", "FLOOR_MOD")  # in some types


def steps_of(graph: Graph, inputs: list[list[Array]]) -> list[tuple[Op, list[Array]]]:
    """Every op with the values that it has in every step."""
    found, states = [], initial_states(graph)
    for given in inputs:
        values = {**dict(zip(graph.inputs, given, strict=True)), **states}
        for op in graph.ops:
            operands = [values[t] if t.data is None else t.data for t in op.inputs]
            found.append((op, operands))
            values.update(zip(op.ys, results(op, *operands), strict=True))
        states = {state.read: values[state.write] for state in graph.states}
    return found


def test_kernels_give_the_same():
    """The first way of a core with a unit for floats, on this computer."""
    steps = [s for case in CASES for s in steps_of(prepare(load_tflite(model(case), "case")), arrays(case, "x"))]
    ways = [next(way for way in IMPLEMENTATIONS if way.takes(op, CORTEX_M4)) for op, _ in steps]
    calls = [way.build(op, next(iter(way.schedules(op, CORTEX_M4)))) for (op, _), way in zip(steps, ways, strict=True)]
    given = [dict(zip(op.inputs, operands, strict=True)) for op, operands in steps]
    for (op, operands), found in zip(steps, run_all(calls, given, sanitize=True), strict=True):
        wanted = results(op, *operands)
        allowed = tolerances(op, *operands) if is_real(op) else (0.0,) * len(wanted)
        for mine, theirs, most in zip(found, wanted, allowed, strict=True):
            off = np.abs(mine.astype(np.float64) - theirs)
            assert np.all(off <= most), f"{op}: {mine} instead of {theirs}"
