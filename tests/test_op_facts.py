"""What op classes say of themselves is true: claims that passes rely on, tried on random graphs over all operators."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from fuzz.graphs import grow
from smelt.errors import ModelError, Unsupported
from smelt.importers.tflite import load_tflite
from smelt.model import ops
from smelt.model.graph import Op, Tensor
from smelt.model.reference import evaluate
from tests.reference_check import values

GRAPHS = 300


def operators():
    """Ops of graphs as files have them, a few of each class."""
    found: dict[type[Op], list[Op]] = {}
    for number in range(GRAPHS):
        try:
            graph = load_tflite(grow(11, number)[0], "m")
        except (ModelError, Unsupported):
            continue
        for op in graph.ops:
            some = found.setdefault(type(op), [])
            if len(some) < 4 and all(0 < t.elements <= 4096 for t in (*op.inputs, *op.ys)):
                some.append(op)
    return [op for some in found.values() for op in some]


OPERATORS = operators()


@dataclass(frozen=True, eq=False, kw_only=True)
class Strange(Op):
    """It says nothing of itself."""

    x: Tensor


def arrays(rng, op):
    return [t.data if t.data is not None else values(rng, t.shape, t.dtype) for t in op.inputs]


def changed(op, given, position, value):
    return evaluate(op, *(value if i == position else a for i, a in enumerate(given)))


def wide(array):
    return array.astype(np.float64)


@pytest.mark.parametrize("number", range(len(OPERATORS)), ids=lambda n: f"{type(OPERATORS[n]).__name__}{n}")
def test_claims(number):
    op, rng = OPERATORS[number], np.random.default_rng(number)
    for _ in range(3):
        given = arrays(rng, op)
        y = evaluate(op, *given)
        for position, x in enumerate(op.inputs):
            if x.data is None and x.element.is_integer and x.element.bits <= 16 and op.directions is not None:
                direction(op, given, position, y, rng)
            if x in op.carried and x.data is None:
                channel(op, given, position, y, rng)
        if op.of_one_value:
            one_value(op, given, y, rng)
        if op.alias_of is not None:
            assert y.tobytes() == given[0].tobytes() and op.alias_of is op.inputs[0]
        if op.limits is not None and op.y.element.is_integer:
            low, high = op.limits
            assert y.min() >= low and y.max() <= high
            middle = int(np.median(y))
            assert np.array_equal(evaluate(op.limited((middle, high)), *given), np.maximum(y, min(middle, high)))


def direction(op, given, position, y, rng):
    """y moves one way where an operand grows; where that depends on others, it moves one way at each place of y at least."""
    x = op.inputs[position]
    step = rng.integers(0, 60, x.shape)
    more = np.minimum(wide(given[position]) + step, x.element.high).astype(given[position].dtype)
    moved = wide(changed(op, given, position, more)) - wide(y)
    if op.directions[position]:
        assert (moved * op.directions[position] >= 0).all()
        return
    twice = np.minimum(wide(more) + step, x.element.high).astype(more.dtype)
    again = wide(changed(op, given, position, twice)) - wide(y) - moved
    assert (moved * again >= 0).all()


def channel(op, given, position, y, rng):
    """Nothing but channel c of y depends on channel c of an operand."""
    x = op.inputs[position]
    count = x.shape[-1] if x.shape else 1
    c = int(rng.integers(count))
    other = given[position].copy()
    other.reshape(-1, count)[:, c] = values(rng, (*x.shape, 1), x.dtype).reshape(-1, count)[:, c]
    after = changed(op, given, position, other)
    of_y = op.y.shape[-1] if op.y.shape else 1
    if count == of_y:
        kept = [i for i in range(of_y) if i != c]
        assert np.array_equal(
            after.reshape(-1, of_y)[:, kept], y.reshape(-1, of_y)[:, kept], equal_nan=y.dtype.kind == "f"
        )
    else:
        assert count == 1


def one_value(op, given, y, rng):
    x = given[0].copy().reshape(-1)
    place = int(rng.integers(x.size))
    x[place] = values(rng, (1,), op.inputs[0].dtype)[0]
    after = changed(op, given, 0, x.reshape(given[0].shape)).reshape(-1)
    same = np.arange(x.size) != place
    assert after.size == x.size and np.array_equal(after[same], y.reshape(-1)[same], equal_nan=y.dtype.kind == "f")


def test_the_claims_that_passes_use_were_all_tried():
    made = {type(op) for op in OPERATORS}
    assert made >= {
        ops.Add,
        ops.Mul,
        ops.Mean,
        ops.Pad,
        ops.Concat,
        ops.Slice,
        ops.Reshape,
        ops.Unary,
        ops.MaxPool2D,
        ops.Transpose,
    }
    assert any(op.directions and 0 in op.directions for op in OPERATORS)


def test_nothing_is_assumed_of_an_op_that_says_nothing():
    x = Tensor("x", (2, 3), "int8")
    op = Strange(x=x, y=replace(x, name="y"))
    assert (op.alias_of, op.directions, op.carried, op.limits) == (None, None, (), None) and not op.of_one_value
    with pytest.raises(TypeError):
        op.limited((0, 1))
