"""IF and WHILE against TensorFlow Lite Micro: branches and rounds that follow from constants."""

from __future__ import annotations

import numpy as np
import pytest

from smelt.errors import ModelError, Unsupported
from smelt.importers import load, tflite_control
from smelt.model.reference import run_sequence
from tests.oracle import Oracle
from tests.reference_check import values
from tests.tflite_writer import ModelWriter

RNG = np.random.default_rng(11)


def loaded(model: bytes, tmp_path):
    file = tmp_path / "model.tflite"
    file.write_bytes(model)
    return load(file)


def check(model: bytes, tmp_path, shape: tuple[int, ...]) -> None:
    graph, oracle = loaded(model, tmp_path), Oracle(model)
    arrays = [values(RNG, shape, "int8") for _ in range(4)]
    for (found,), array in zip(run_sequence(graph, [(a,) for a in arrays]), arrays, strict=True):
        np.testing.assert_array_equal(found, oracle.run([array])[0])


def loop(rounds: int, step: int = 1) -> tuple[ModelWriter, bytes]:
    """y = x after `rounds` additions of a row of a table, which a counter picks: what is left of a recurrent layer."""
    w = ModelWriter()
    condition, body = w.subgraph(), w.subgraph()
    shape = (1, 4)
    i, _ = condition.tensor("i", (), "int32"), condition.tensor("h", shape, "int8", 0.5)
    goes_on = condition.tensor("goes_on", (), "bool")
    condition.op("LESS", [i, condition.constant("rounds", rounds)], [goes_on])
    condition.called([i, _], [goes_on])
    i, h = body.tensor("i", (), "int32"), body.tensor("h", shape, "int8", 0.5)
    table = body.tensor("table", (8, 4), "int8", 0.5, data=RNG.integers(-9, 9, (8, 4)))
    row, total, following = (
        body.tensor("row", (1, 4), "int8", 0.5),
        body.tensor("total", shape, "int8", 0.5),
        body.tensor("n", (), "int32"),
    )
    at = body.tensor("at", (1,), "int32")
    body.op("RESHAPE", [i, body.constant("one", [1])], [at])
    body.op("GATHER", [table, at], [row], Axis=0)
    body.op("ADD", [h, row], [total])
    body.op("ADD", [i, body.constant("step", step)], [following])
    body.called([i, h], [following, total])
    zero, x = w.constant("zero", 0), w.tensor("x", shape, "int8", 0.5)
    n, y = w.tensor("n", (), "int32"), w.tensor("y", shape, "int8", 0.5)
    w.op("WHILE", [zero, x], [n, y], CondSubgraphIndex=1, BodySubgraphIndex=2)
    return w, w.finish([x], [y])


@pytest.mark.parametrize("rounds", [0, 1, 7])
def test_a_loop_is_its_rounds(rounds, tmp_path):
    _, model = loop(rounds)
    check(model, tmp_path, (1, 4))


def test_a_loop_gathers_its_rows(tmp_path):
    """Rows before, the new one and rows behind are joined in every round: before the first and behind the last there are none.

    TensorFlow Lite Micro has no tensors without elements there, so what is expected is said here.
    """
    rounds, open_rows = 3, [-1, 4]
    w = ModelWriter()
    condition, body = w.subgraph(), w.subgraph()
    i, rows = condition.tensor("i", (), "int32"), condition.tensor("rows", (rounds, 4), "int8", 0.5)
    goes_on = condition.tensor("goes_on", (), "bool")
    condition.op("LESS", [i, condition.constant("rounds", rounds)], [goes_on])
    condition.called([i, rows], [goes_on])
    i, rows = body.tensor("i", (), "int32"), body.tensor("rows", (rounds, 4), "int8", 0.5)
    zero, following = body.constant("zero", 0), body.tensor("n", (), "int32")
    body.op("ADD", [i, body.constant("step", 1)], [following])
    parts = []
    for name, row, least in (("before", zero, "i"), ("own", i, "one"), ("behind", following, "rest")):
        count = {"i": i, "one": body.constant("a row", 1), "rest": body.constant("all behind", -1)}[least]
        first, size = body.tensor(f"{name} first", (2,), "int32"), body.tensor(f"{name} size", (2,), "int32")
        body.op("PACK", [row, zero], [first], ValuesCount=2)
        body.op("PACK", [count, body.constant(f"{name} columns", 4)], [size], ValuesCount=2)
        parts.append(body.tensor(name, (1, 4), "int8", 0.5, signature=open_rows))
        body.op("SLICE", [rows, first, size], [parts[-1]])
    flat = body.tensor("flat", (1, 4), "int8", 0.5)
    body.op("RELU", [parts[1]], [flat])
    joined = body.tensor("joined", (rounds, 4), "int8", 0.5)
    body.op("CONCATENATION", [parts[0], flat, parts[2]], [joined], Axis=0)
    body.called([i, rows], [following, joined])
    x, n, y = (
        w.tensor("x", (rounds, 4), "int8", 0.5),
        w.tensor("n", (), "int32"),
        w.tensor("y", (rounds, 4), "int8", 0.5),
    )
    w.op("WHILE", [w.constant("zero", 0), x], [n, y], CondSubgraphIndex=1, BodySubgraphIndex=2)
    graph = loaded(w.finish([x], [y]), tmp_path)
    array = values(RNG, (rounds, 4), "int8")
    np.testing.assert_array_equal(run_sequence(graph, [(array,)])[0][0], np.maximum(array, 0))


@pytest.mark.parametrize("taken", [True, False])
def test_a_branch_that_is_known(taken, tmp_path):
    w = ModelWriter()
    for code in ("RELU", "LOGISTIC"):
        branch = w.subgraph()
        x, y = branch.tensor("x", (2, 3), "int8", 1 / 256, -128), branch.tensor("y", (2, 3), "int8", 1 / 256, -128)
        branch.op(code, [x], [y])
        branch.called([x], [y])
    x, y = w.tensor("x", (2, 3), "int8", 1 / 256, -128), w.tensor("y", (2, 3), "int8", 1 / 256, -128)
    w.op("IF", [w.constant("condition", [taken], "bool"), x], [y], ThenSubgraphIndex=1, ElseSubgraphIndex=2)
    check(w.finish([x], [y]), tmp_path, (2, 3))


@pytest.mark.parametrize("rounds, step", [(2**31 - 1, 1), (5, 0)])
def test_endless_loops_are_refused(rounds, step, tmp_path):
    """It has very many rounds, or the counter stands still: no answer takes long."""
    with pytest.raises(Unsupported, match="it runs more than 1024 rounds"):
        loaded(counting(rounds, 1, step), tmp_path)


def counting(rounds: int, depth: int, step: int = 1) -> bytes:
    """Loops that count, each in the body of the other."""
    w = ModelWriter()
    for number in range(depth):
        condition, body = w.subgraph(), w.subgraph()
        i, goes_on = condition.tensor("i", (), "int32"), condition.tensor("goes_on", (), "bool")
        condition.op("LESS", [i, condition.constant("rounds", rounds)], [goes_on])
        condition.called([i], [goes_on])
        i, following = body.tensor("i", (), "int32"), body.tensor("following", (), "int32")
        if number + 1 < depth:
            inner = {"CondSubgraphIndex": 2 * number + 3, "BodySubgraphIndex": 2 * number + 4}
            body.op("WHILE", [body.constant("zero", 0)], [body.tensor("n", (), "int32")], **inner)
        body.op("ADD", [i, body.constant("step", step)], [following])
        body.called([i], [following])
    x, y = w.tensor("x", (1, 4), "int8", 0.5), w.tensor("y", (1, 4), "int8", 0.5)
    w.op("WHILE", [w.constant("zero", 0)], [w.tensor("n", (), "int32")], CondSubgraphIndex=1, BodySubgraphIndex=2)
    w.op("RELU", [x], [y])
    return w.finish([x], [y])


def branching(depth: int, times: int) -> bytes:
    """Each of `depth` subgraphs chooses the next one, `times` times."""
    w = ModelWriter()
    for number, place in enumerate((*(w.subgraph() for _ in range(depth)), w)):
        x = y = place.tensor("x", (1, 4), "int8", 0.5)
        following = {f"{name}SubgraphIndex": number + 2 if place is not w else 1 for name in ("Then", "Else")}
        for i in range(0 if number + 1 == depth else times if place is not w else 1):
            condition, x = place.constant(f"c{i}", [True], "bool"), y
            y = place.tensor(f"y{i}", (1, 4), "int8", 0.5)
            place.op("IF", [condition, x], [y], **following)
        if place is not w:
            place.called([place._operators[0].inputs[1] if place._operators else x], [y])
    z = w.tensor("z", (1, 4), "int8", 0.5)
    w.op("RELU", [y], [z])
    return w.finish([w._operators[0].inputs[1]], [z])


def test_loops_within_loops_are_bounded(tmp_path, monkeypatch):
    """A thousand rounds of a thousand rounds, and two calls that each call twice, and so on."""
    assert len(loaded(counting(5, 3), tmp_path).ops) == len(loaded(branching(6, 2), tmp_path).ops) == 1
    monkeypatch.setattr(tflite_control, "MOST_READ", 300)
    for model in (counting(1000, 2), branching(16, 2), branching(16, 3)):
        with pytest.raises(Unsupported, match="more than 300 operators and tensors altogether; shorten loops"):
            loaded(model, tmp_path)


@pytest.mark.parametrize("depth", [17, 500])
def test_calls_within_calls_are_bounded(depth, tmp_path):
    assert len(loaded(branching(16, 1), tmp_path).ops) == 1
    with pytest.raises(Unsupported, match="more than 16 subgraphs call one another"):
        loaded(branching(depth, 1), tmp_path)


def test_a_condition_that_is_computed_is_refused(tmp_path):
    w = ModelWriter()
    for code in ("RELU", "LOGISTIC"):
        branch = w.subgraph()
        x, y = branch.tensor("x", (1, 1), "int8", 1 / 256, -128), branch.tensor("y", (1, 1), "int8", 1 / 256, -128)
        branch.op(code, [x], [y])
        branch.called([x], [y])
    x, y = w.tensor("x", (1, 1), "int8", 1 / 256, -128), w.tensor("y", (1, 1), "int8", 1 / 256, -128)
    condition = w.tensor("condition", (1, 1), "bool")
    w.op("GREATER", [x, w.tensor("half", (1, 1), "int8", 1 / 256, -128, data=[[0]])], [condition])
    w.op("IF", [condition, x], [y], ThenSubgraphIndex=1, ElseSubgraphIndex=2)
    with pytest.raises(Unsupported, match="must follow from constants"):
        loaded(w.finish([x], [y]), tmp_path)


@pytest.mark.parametrize("number", [0, 1, 3])
def test_subgraphs_that_call_themselves_or_are_not_there(number, tmp_path):
    w = ModelWriter()
    condition, body = w.subgraph(), w.subgraph()
    i, goes_on = condition.tensor("i", (), "int32"), condition.tensor("goes_on", (), "bool")
    condition.op("LESS", [i, condition.constant("rounds", 3)], [goes_on])
    condition.called([i], [goes_on])
    i, following = body.tensor("i", (), "int32"), body.tensor("n", (), "int32")
    body.op("WHILE", [i], [following], CondSubgraphIndex=1, BodySubgraphIndex=2 if number == 1 else number)
    body.called([i], [following])
    x, y = w.tensor("x", (1, 4), "int8", 0.5), w.tensor("y", (1, 4), "int8", 0.5)
    w.op("WHILE", [w.constant("zero", 0)], [w.tensor("n", (), "int32")], CondSubgraphIndex=1, BodySubgraphIndex=2)
    w.op("RELU", [x], [y])
    with pytest.raises(ModelError, match="subgraph"):
        loaded(w.finish([x], [y]), tmp_path)
