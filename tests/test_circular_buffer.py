"""CIRCULAR_BUFFER, which ends inferences early, against TensorFlow Lite Micro."""

from __future__ import annotations

import numpy as np
import pytest

from smelt.compile import compile
from smelt.errors import ModelError, Unsupported
from smelt.importers.tflite import load_tflite
from smelt.model.ops import Slice
from smelt.model.reference import run_sequence
from smelt.report.execute import execute
from smelt.report.verify import verify
from smelt.targets.boards import board
from tests.oracle import Oracle
from tests.tflite_writer import ModelWriter

Q = (0.5, 3)


def streaming(periods: tuple[int, ...], slots=4, width=3, variable=True) -> bytes:
    """A buffer for each period behind the other, a sum over its slots between them. Outputs: what each buffer holds, and the last
    sum. The oracle keeps only what is variable apart from everything else."""
    w = ModelWriter()
    shape, wide = (1, 1, 1, width), (1, slots, 1, width)
    x = given = w.tensor("x", shape, "int8", *Q)
    buffers = []
    for i, period in enumerate(periods):
        kept = w.tensor(f"kept{i}", wide, "int8", *Q, variable=variable)
        options = {"cycles_max": period} if period else {}
        w.op("CUSTOM CIRCULAR_BUFFER", [x], [kept], **options)
        x = w.tensor(f"sum{i}", shape, "int8", *Q)
        w.op("MEAN", [kept, w.constant(f"axes{i}", [1])], [x], KeepDims=True)
        buffers.append(kept)
    return w.finish([given], [*buffers, x])


def inputs(count: int, width=3) -> list[tuple[np.ndarray]]:
    rng = np.random.default_rng(count)
    return [(rng.integers(-128, 128, (1, 1, 1, width), np.int8),) for _ in range(count)]


@pytest.mark.parametrize("periods", [(1,), (2,), (3,), (1, 1), (2, 2), (2, 3), (3, 1, 2), (0,)])
def test_buffers_are_the_oracles(periods):
    """Those behind one that ends an inference stay as they were; the last output is right wherever it is computed."""
    model, every = streaming(periods), int(np.prod([period or 2 for period in periods]))
    graph, oracle, xs = load_tflite(model, "m"), Oracle(model), inputs(4 * every + 3)
    last = graph.outputs[-1].q.zero_point
    for i, (found, one) in enumerate(zip(run_sequence(graph, xs), xs, strict=True)):
        expected = oracle.run(one)
        for mine, theirs in zip(found[:-1], expected[:-1], strict=True):
            np.testing.assert_array_equal(mine, theirs)
        if (i + 1) % every == 0:
            np.testing.assert_array_equal(found[-1], expected[-1])
            last = found[-1]
        assert np.all(found[-1] == last), "other inferences leave it as it was"


def test_what_begins_at_the_zero_point_need_not_be_a_variable():
    found = run_sequence(load_tflite(streaming((2,), variable=False), "m"), inputs(2))
    assert np.all(found[0][0][0, :3] == Q[1]) and np.all(found[0][1] == Q[1]) and not np.all(found[1][1] == Q[1])


@pytest.mark.parametrize(("slots", "period"), [(5, 1), (13, 1), (25, 1), (4, 2), (6, 2)])
def test_where_the_file_does_not_say_how_often(slots, period):
    model, xs = streaming((0,), slots), inputs(6)
    graph, oracle = load_tflite(model, "m"), Oracle(model)
    changes = [not np.array_equal(a[-1], b[-1]) for a, b in zip(*[iter(run_sequence(graph, xs))] * 2, strict=True)]
    assert all(changes)
    for found, one in zip(run_sequence(graph, xs), xs, strict=True):
        expected = oracle.run(one)
        np.testing.assert_array_equal(found[0], expected[0])
    assert len(graph.states) == (1 if period == 1 else 3)


def test_firmware_ends_inferences_alike(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(streaming((1, 2, 2)))
    compilation = compile(path, board("nucleo_l4r5zi"))
    xs = inputs(20)
    assert not [op for op in compilation.plan.graph.ops if isinstance(op, Slice)], "states are chosen where they lie"
    for oracle in ("reference", "tflm"):
        assert verify(compilation, xs, oracle, path, sequence=True).mismatches == 0
    carried, anew = (execute(compilation, xs[:5], sequence=s).outputs for s in (True, False))
    assert np.array_equal(carried[0][1], anew[0][1]) and not np.array_equal(carried[4][1], anew[4][1])


def counted(count: int) -> bytes:
    """A variable that is assigned in front of a buffer, behind it, or on both sides: how often it was assigned."""
    w = ModelWriter()
    shape = (1, 1, 1, 3)
    x, y = w.tensor("x", shape, "int8", *Q), w.tensor("y", (1, 4, 1, 3), "int8", *Q)
    handle, old, new = w.tensor("handle", (), "resource"), *(w.tensor(n, shape, "int8", *Q) for n in ("old", "new"))
    w.op("VAR_HANDLE", [], [handle], SharedName="last", Container="")
    w.op("READ_VARIABLE", [handle], [old])
    w.op("MAXIMUM", [old, x], [new])
    if count != 1:
        w.op("ASSIGN_VARIABLE", [handle, new], [])
    w.op("CUSTOM CIRCULAR_BUFFER", [x], [y], cycles_max=2)
    if count:
        w.op("ASSIGN_VARIABLE", [handle, x], [])
    return w.finish([x], [y, old])


@pytest.mark.parametrize("count", [0, 1])
def test_variables_stay_as_they_were(count):
    model, xs = counted(count), inputs(9)
    graph, oracle = load_tflite(model, "m"), Oracle(model)
    for found, one in zip(run_sequence(graph, xs), xs, strict=True):
        np.testing.assert_array_equal(found[1], oracle.run(one)[1])


def broken():
    w = ModelWriter()
    x = w.tensor("x", (1, 1, 1, 3), "int8", *Q)
    for shape, q, options, words in (
        ((1, 4, 1, 2), Q, {"cycles_max": 1}, "no slot of"),
        ((1, 4, 3), Q, {"cycles_max": 1}, "no slot of"),
        ((1, 4, 1, 3), (0.25, 3), {"cycles_max": 1}, "different scales"),
        ((1, 4, 1, 3), Q, {"cycles_max": 2**31 - 1}, "'cycles_max' is 2147483647"),
        ((1, 4, 1, 3), Q, {"cycles_max": "often"}, "no integer"),
    ):
        w = ModelWriter()
        x, y = w.tensor("x", (1, 1, 1, 3), "int8", *Q), w.tensor("y", shape, "int8", *q)
        w.op("CUSTOM CIRCULAR_BUFFER", [x], [y], **options)
        yield w.finish([x], [y]), words
    yield counted(2), "in front of and behind"
    w = ModelWriter()
    x, y = w.tensor("x", (1, 1, 2, 96), "int8", *Q), w.tensor("y", (1, 3, 2, 96), "int8", *Q)
    w.op("CUSTOM CIRCULAR_BUFFER", [x], [y])
    yield w.finish([x], [y]), "write the option"
    w = ModelWriter()
    for _ in range(2):
        branch = w.subgraph()
        x, y = branch.tensor("x", (1, 1, 1, 3), "int8", *Q), branch.tensor("y", (1, 4, 1, 3), "int8", *Q)
        branch.op("CUSTOM CIRCULAR_BUFFER", [x], [y], cycles_max=2)
        branch.called([x], [y])
    x, y = w.tensor("x", (1, 1, 1, 3), "int8", *Q), w.tensor("y", (1, 4, 1, 3), "int8", *Q)
    w.op("IF", [w.constant("condition", [True], "bool"), x], [y], ThenSubgraphIndex=1, ElseSubgraphIndex=2)
    yield w.finish([x], [y]), "within a subgraph"


@pytest.mark.parametrize("case", list(broken()), ids=lambda case: case[-1].replace(" ", "_"))
def test_refusals(case):
    model, words = case
    with pytest.raises((ModelError, Unsupported), match=words):
        load_tflite(model, "m")
