"""The fuzzer of graphs has a recipe for every operator in every type that smelt has, and its judge tells right from wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fuzz.graphs import alone
from fuzz.growth import TYPES
from fuzz.judge import as_kernels, as_the_oracle, first_difference
from fuzz.operators import RECIPES
from smelt.errors import SmeltError
from smelt.importers.tflite import ARMS, load_tflite
from smelt.importers.tflite_file import read_model
from smelt.model.graph import Graph, State
from smelt.model.ops import Add, Unary
from smelt.model.reference import run_sequence
from tests.float_ops import real


def types_of(model: bytes, code: str) -> set[str]:
    """The types in which operators of a file work, as arms have it."""
    raw, by_operand = read_model(model), next(arm.by_operand for arm in ARMS if arm.code == code)
    edges = [op.inputs if by_operand else op.outputs for op in raw.operators if op.code == code]
    return {raw.tensors[indices[0]].dtype if indices else "none" for indices in edges}


def accepted(model: bytes) -> bool:
    try:
        load_tflite(model, "model")
    except SmeltError:
        return False
    return True


@pytest.mark.parametrize("code", TYPES)
def test_every_operator_grows_in_every_type(code):
    """Into something that is accepted, in one of a few attempts."""
    for dtype in TYPES[code]:
        models = [alone(code, dtype, number) for number in range(8)]
        assert any(dtype in types_of(model, code) and accepted(model) for model in models), dtype


def test_there_are_no_other_recipes():
    assert set(RECIPES) == {arm.code for arm in ARMS}


def chain(functions: tuple[str, ...]) -> Graph:
    """Functions of what x and the last result come to."""
    x, old, total = (real(name, (4,)) for name in ("x", "old", "total"))
    ops, last = [Add(x=x, x2=old, y=total, clamp=(-np.inf, np.inf))], total
    for number, function in enumerate(functions):
        ops.append(Unary(x=last, y=real(f"y{number}", (4,)), function=function))
        last = ops[-1].y
    return Graph("chain", (x,), tuple(op.y for op in ops), tuple(ops), (State(old, last, np.zeros(4, np.float32)),))


def test_the_judge_follows_what_the_other_one_had():
    """A unit in the last place is no difference of an exponential, whatever becomes of it behind; of a sum it is one."""
    graph, x = chain(("tanh", "floor")), np.float32([0.3, 1, -2, 50])
    inputs = [[x], [x], [x]]
    right = [list(outputs) for outputs in run_sequence(graph, inputs)]
    assert not first_difference(graph, inputs, right, as_the_oracle)
    for position, found in enumerate(right[1]):
        changed = found.copy()
        changed[0] = np.nextafter(changed[0], np.float32(9))
        other = [right[0], [changed if i == position else a for i, a in enumerate(right[1])], right[2]]
        by_oracle, by_kernels = (first_difference(graph, inputs, other, rule) for rule in (as_the_oracle, as_kernels))
        assert bool(by_oracle) == (position != 1), by_oracle
        assert not by_kernels


@pytest.mark.parametrize("wrong", [np.nan, 7.0, np.inf])
def test_the_judge_sees_a_wrong_step(wrong):
    graph, x = chain(("neg",)), np.float32([0.3, 1, -2, 50])
    right = [list(outputs) for outputs in run_sequence(graph, [[x], [x]])]
    right[1][1] = right[1][1].copy()
    right[1][1][2] = wrong
    found = first_difference(graph, [[x], [x]], right, as_kernels)
    assert found.startswith("input 1: ") and "'y0'" in found and "[2]" in found
    other = replace(graph, outputs=graph.outputs[:1])
    assert not first_difference(other, [[x], [x]], [outputs[:1] for outputs in right], as_kernels)
