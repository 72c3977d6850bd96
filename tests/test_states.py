"""States: what lives from one run to the next, in the reference, in the plan and in C."""

from dataclasses import replace

import numpy as np
import pytest

from smelt.errors import ModelError, SmeltError
from smelt.model import ops
from smelt.model.graph import Graph, Quantization, State, Tensor
from smelt.model.reference import initial_states, run, run_sequence, step
from smelt.passes import prepare
from smelt.passes.states import separate_states
from smelt.planner import make_plan
from smelt.planner.check import check
from smelt.planner.step import flow_of
from smelt.targets.boards import board

Q = Quantization((0.5,), (3,))
BOARD = board("nucleo_l4r5zi")


def tensor(name, *shape, data=None):
    return Tensor(name, shape, "int8", Q, data)


def add(x, x2, y):
    return ops.Maximum(x=x, x2=x2, y=y)


def delay_line(steps=3, width=4):
    """y = the last inputs, oldest first: the state holds all but the newest."""
    x, old, new = tensor("x", 1, width), tensor("old", steps, width), tensor("new", steps, width)
    y = tensor("y", steps + 1, width)
    joined = ops.Concat(xs=(old, x), axis=0, y=y)
    rest = ops.Slice(x=y, y=new, begin=(1, 0), stride=(1, 1))
    return Graph("line", (x,), (y,), (joined, rest), (State(old, new, np.full((steps, width), 9, np.int8)),))


def swapped(width=6):
    """Two states that change places, and x in one of them: nothing has a place of its own."""
    x, a, b, y = (tensor(name, 1, width) for name in ("x", "a", "b", "y"))
    low, high = np.full((1, width), -7, np.int8), np.full((1, width), 7, np.int8)
    c = tensor("c", 1, width)
    states = (State(a, b, low), State(b, a, high), State(c, x, low))
    found = tensor("found", 1, width)
    return Graph("swap", (x,), (y, a), (add(a, x, found), add(found, c, y)), states)


def newest_first(width=5):
    """A reader of the old value needs the new one: the op that makes the new value cannot write over the old one."""
    x, old, new, y = (tensor(name, 1, width) for name in ("x", "old", "new", "y"))
    made = add(old, x, new)
    return Graph(
        "peak", (x,), (y,), (made, ops.Minimum(x=old, x2=new, y=y)), (State(old, new, np.zeros((1, width), np.int8)),)
    )


GRAPHS = (delay_line, swapped, newest_first)


def inputs(graph, count, seed=0):
    rng = np.random.default_rng(seed)
    return [tuple(rng.integers(-128, 128, t.shape, np.int8) for t in graph.inputs) for _ in range(count)]


def test_the_reference_carries_states():
    graph = delay_line(2, 1)
    xs = [(np.array([[n]], np.int8),) for n in (1, 2, 3)]
    found = [y[:, 0].tolist() for (y,) in run_sequence(graph, xs)]
    assert found == [[9, 9, 1], [9, 1, 2], [1, 2, 3]]
    assert [run(graph, x)[0][:, 0].tolist() for x in xs][2] == [9, 9, 3], "a run alone begins anew"
    _, states = step(graph, xs[0], initial_states(graph))
    again, _ = step(graph, xs[1], states)
    assert again[0][:, 0].tolist() == [9, 1, 2], "states can be kept and given back"


@pytest.mark.parametrize("make", GRAPHS)
def test_preparing_changes_no_value(make):
    graph = make()
    prepared = prepare(graph)
    for want, got in zip(run_sequence(graph, inputs(graph, 7)), run_sequence(prepared, inputs(graph, 7)), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(want, got, strict=True))


@pytest.mark.parametrize("make", GRAPHS)
def test_a_state_has_one_place_through_all_steps(make):
    plan = make_plan(prepare(make()), BOARD)
    for state in plan.graph.states:
        place = plan.placement(state.read)
        assert place is plan.placement(state.write) and (place.first, place.last) == (-1, len(plan.steps))
        flow = flow_of(plan.graph, plan.steps)
        number = next(i for i, s in enumerate(flow.storages) if state.read in s.tensors)
        renewing = flow.writers[number]
        assert all(r <= renewing or number in flow.uses[r].renewed for r in flow.readers[number])


def test_a_delay_line_needs_no_copy():
    assert len(separate_states(delay_line()).ops) == 2
    assert [type(op) for op in separate_states(newest_first()).ops] == [ops.Maximum, ops.Minimum, ops.Slice]


def test_the_check_catches_a_state_that_is_renewed_too_early():
    plan = make_plan(prepare(delay_line()), BOARD)
    early = replace(plan, steps=tuple(reversed(plan.steps)))
    with pytest.raises(SmeltError, match="before it is computed"):
        check(early)
    graph = newest_first()
    with pytest.raises(SmeltError, match="after the state was renewed"):
        check(replace(make_plan(prepare(graph), BOARD), graph=graph, steps=_steps_of(graph)))


def _steps_of(graph):
    from smelt.planner import chosen

    return chosen(graph, BOARD)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: replace(s, write=tensor("elsewhere", 3, 4)), "never computed"),
        (lambda s: replace(s, initial=np.zeros((1, 4), np.int8)), "begins as"),
        (lambda s: replace(s, write=tensor("short", 1, 4, data=np.zeros((1, 4), np.int8))), "of another kind"),
    ],
)
def test_states_that_make_no_sense(change, words):
    graph = delay_line()
    with pytest.raises(ModelError, match=words):
        replace(graph, states=(change(graph.states[0]),)).check()
