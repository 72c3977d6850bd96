"""States: what lives from one run to the next, in the reference, in the plan and in C."""

import re
import subprocess
import sys
from dataclasses import replace
from time import process_time

import numpy as np
import pytest

from smelt.compile import compile
from smelt.errors import ModelError, SmeltError, Unsupported
from smelt.importers.tflite import load_tflite
from smelt.kernels import IMPLEMENTATIONS
from smelt.loops.ir import Const, Copy
from smelt.model import ops
from smelt.model.graph import Graph, Quantization, State, Tensor
from smelt.model.reference import initial_states, run, run_sequence, step
from smelt.passes import prepare
from smelt.passes.states import separate_states
from smelt.planner import chosen, make_plan, ways_for
from smelt.planner.check import check
from smelt.planner.step import flow_of, named
from smelt.report.execute import execute
from smelt.report.layers import verify_layers
from smelt.report.verify import verify
from smelt.targets.boards import board
from tests.oracle import Oracle
from tests.paths import HELLO, ROOT
from tests.test_library import WARNINGS
from tests.test_reference_recurrent import svdf_model
from tests.tflite_writer import ModelWriter

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
        flow = flow_of(plan.graph, plan.ways)
        number = next(i for i, s in enumerate(flow.storages) if state.read in s.tensors)
        renewing = flow.writers[number]
        assert all(r <= renewing or number in flow.uses[r].renewed for r in flow.readers[number])


def test_a_delay_line_needs_no_copy():
    assert len(separate_states(delay_line()).ops) == 2
    assert [type(op) for op in separate_states(newest_first()).ops] == [ops.Maximum, ops.Minimum, ops.Slice]


def test_the_check_catches_a_state_that_is_renewed_too_early():
    plan = make_plan(prepare(delay_line()), BOARD)
    early = replace(plan, steps=tuple(reversed(plan.steps)))
    with pytest.raises(SmeltError, match="is used at step 1, but has its place"):
        check(early)
    graph = newest_first()
    with pytest.raises(SmeltError, match="is used at step -1, but has its place"):
        check(replace(make_plan(prepare(graph), BOARD), graph=graph, steps=_steps_of(graph)))


def _steps_of(graph):
    return named(chosen(graph, ways_for(BOARD.core, IMPLEMENTATIONS)))


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


def test_many_states_take_no_time():
    """Thousands of variables that change places in a ring: no real file has them."""
    count, width = 3000, 2
    reads = [tensor(f"s{i}", 1, width) for i in range(count)]
    x, y = tensor("x", 1, width), tensor("y", 1, width)
    states = tuple(State(r, reads[i - 1], np.full((1, width), i % 100, np.int8)) for i, r in enumerate(reads))
    graph = Graph("ring", (x,), (y,), (add(x, reads[0], y),), states)
    started = process_time()
    made = separate_states(graph).check()
    assert process_time() - started < 20 and len(made.ops) == 2 * count + 1
    (first, second) = run_sequence(graph, inputs(graph, 2)), run_sequence(made, inputs(graph, 2))
    assert all(np.array_equal(a, b) for (a,), (b,) in zip(first, second, strict=True))


def test_svdf_shifts_its_state_where_it_lies(tmp_path):
    path = tmp_path / "svdf.tflite"
    path.write_bytes(svdf_model(np.random.default_rng(2), 1, 6, 3, 2, 7, "int16", 0.1))
    compilation = compile(path, BOARD)
    plan = compilation.plan
    (step_,) = plan.steps
    (op,) = step_.ops
    assert plan.placement(op.state) is plan.placement(op.next_state), "no copy"
    assert verify(compilation, inputs(compilation.model, 20, 6), "tflm", path, sequence=True).mismatches == 0
    (call,) = step_.calls
    (state,) = (b for b, a in zip(call.kernel.buffers, call.arguments, strict=True) if a is op.next_state)
    early = Copy(state, Const(0), Const(0), Const(0), Const(state.size))
    forgetful = replace(call, kernel=replace(call.kernel, body=(early, *call.kernel.body)))
    with pytest.raises(SmeltError, match=r"over '.*', which it reads"):
        check(replace(plan, steps=(replace(step_, way=replace(step_.way, call=forgetful)),)))


# Files


def streaming(steps=4, width=5, initial=True):
    """y = the last inputs, oldest first: all but the newest from a variable that a subgraph sets before the first inference."""
    w = ModelWriter()
    q, shape = (0.5, 3), (1, steps, width)
    x = w.tensor("x", (1, 1, width), "int8", *q)
    handle, old = w.tensor("handle", (), "resource"), w.tensor("old", shape, "int8", *q)
    y, new = w.tensor("y", (1, steps + 1, width), "int8", *q), w.tensor("new", shape, "int8", *q)
    begin, end, ones = (
        w.constant("begin", [0, 1, 0]),
        w.constant("end", [1, steps + 1, width]),
        w.constant("ones", [1, 1, 1]),
    )
    if initial:
        inner = w.subgraph()
        there = inner.tensor("there", (), "resource")
        values = inner.tensor("values", shape, "int8", *q, data=np.arange(steps * width).reshape(shape))
        inner.op("VAR_HANDLE", [], [there], SharedName="history", Container="")
        inner.op("ASSIGN_VARIABLE", [there, values], [])
        w.op("CALL_ONCE", [], [], InitSubgraphIndex=1)
    w.op("VAR_HANDLE", [], [handle], SharedName="history", Container="")
    w.op("READ_VARIABLE", [handle], [old])
    w.op("CONCATENATION", [old, x], [y], Axis=1)
    w.op("STRIDED_SLICE", [y, begin, end, ones], [new])
    w.op("ASSIGN_VARIABLE", [handle, new], [])
    return w, x, y


def accumulating(width=6):
    """The sum of all inputs in a variable that is read before and after it is assigned."""
    w = ModelWriter()
    q = (0.5, 0)
    x, total, y = (w.tensor(name, (1, width), "int8", *q) for name in ("x", "total", "y"))
    handle = w.tensor("handle", (), "resource")
    again, twice = w.tensor("again", (1, width), "int8", *q), w.tensor("twice", (1, width), "int8", *q)
    w.op("VAR_HANDLE", [], [handle], SharedName="total", Container="c")
    w.op("READ_VARIABLE", [handle], [total])
    w.op("ADD", [total, x], [y])
    w.op("ASSIGN_VARIABLE", [handle, y], [])
    w.op("READ_VARIABLE", [handle], [again])
    w.op("MUL", [again, total], [twice])
    return w, x, twice


FILES = {"streaming": streaming, "zeros": lambda: streaming(initial=False), "accumulating": accumulating}


@pytest.mark.parametrize("make", FILES.values(), ids=FILES)
def test_variables_agree_with_the_oracle_over_twenty_steps(make):
    writer, x, y = make()
    model = writer.finish([x], [y])
    graph, oracle = load_tflite(model, "m"), Oracle(model)
    xs = inputs(graph, 20, 3)
    for (got,), want in zip(run_sequence(graph, xs), [oracle.run(one) for one in xs], strict=True):
        assert np.array_equal(got, want[0])


@pytest.mark.parametrize("name", FILES)
def test_firmware_carries_states_over_twenty_steps(name, tmp_path):
    writer, x, y = FILES[name]()
    path = tmp_path / "m.tflite"
    path.write_bytes(writer.finish([x], [y]))
    compilation = compile(path, BOARD)
    xs = inputs(compilation.model, 20, 4)
    for oracle in ("reference", "tflm"):
        assert verify(compilation, xs, oracle, path, sequence=True).mismatches == 0
        assert verify(compilation, xs[:3], oracle, path).mismatches == 0
    carried, anew = (execute(compilation, xs, sequence=s).outputs for s in (True, False))
    assert np.array_equal(carried[0][0], anew[0][0]) and not np.array_equal(carried[9][0], anew[9][0])
    found = verify_layers(compilation, xs[:3], sequence=True)
    assert found.first is None and found.steps == 3 * len(compilation.plan.steps)


PROGRAM = """
#include "m_net.h"
#include <stdio.h>

M_MEMORY(a_memory);
M_MEMORY(b_memory);

static int step(const m_net *net)
{
    if (fread(m_get_inputs(net).in_x, 1, sizeof(int8_t) * M_IN_X_ELEMENTS, stdin) != M_IN_X_ELEMENTS) {
        return 0;
    }
    m_run(net);
    return fwrite(m_get_outputs(net).out_y, 1, M_OUT_Y_ELEMENTS, stdout) == M_OUT_Y_ELEMENTS;
}

int main(void)
{
    static uint8_t kept[M_STATE_BYTES];
    m_net a, b;
    if (m_init(&a, &a_memory) != 0 || m_init(&b, &b_memory) != 0 || !step(&a) || !step(&b) || !step(&a)) {
        return 1;
    }
    m_save(&a, kept);
    if (!step(&a)) {
        return 2;
    }
    m_restore(&b, kept);
    if (!step(&b)) {
        return 3;
    }
    m_reset(&a);
    return step(&a) ? 0 : 4;
}
"""


def every_second(width=5):
    """y changes in every second inference: what a buffer of the last inputs has, behind it."""
    w, q, shape = ModelWriter(), (0.5, 3), (1, 4, 1, width)
    x = w.tensor("x", (1, 1, 1, width), "int8", *q)
    kept, y = w.tensor("kept", shape, "int8", *q), w.tensor("y", shape, "int8", *q)
    w.op("CUSTOM CIRCULAR_BUFFER", [x], [kept], cycles_max=2)
    w.op("RELU", [kept], [y])
    return w, x, y


@pytest.mark.parametrize("make", [streaming, every_second])
def test_instances_remember_apart_and_states_can_be_kept(make, tmp_path):
    writer, x, y = make()
    path = tmp_path / "m.tflite"
    path.write_bytes(writer.finish([x], [y]))
    compilation = compile(path, BOARD, name="m", compiler="none")
    for file, text in compilation.sources.files.items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    (tmp_path / "main.c").write_text(PROGRAM, encoding="utf-8")
    command = [sys.executable, "-m", "ziglang", "cc", *WARNINGS, "main.c", "m_net.c", "m_weights.c", "-o", "program"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    graph = compilation.model
    xs = inputs(graph, 6, 5)
    found = subprocess.run([tmp_path / "program"], input=b"".join(x.tobytes() for (x,) in xs), capture_output=True)
    assert found.returncode == 0
    got = np.frombuffer(found.stdout, np.int8).reshape(6, *graph.outputs[0].shape)
    a, b = run_sequence(graph, [xs[0], xs[2], xs[3]]), run_sequence(graph, [xs[1]])
    restored = run_sequence(graph, [xs[0], xs[2], xs[4]])[2]
    wanted = [a[0], b[0], a[1], a[2], restored, run(graph, xs[5])]
    assert all(np.array_equal(mine, theirs) for mine, (theirs,) in zip(got, wanted, strict=True))


def test_a_network_without_states_has_none_of_it():
    texts = "".join(compile(HELLO, BOARD, compiler="none").sources.files.values())
    assert not re.search("_reset|_save|_restore|STATE_BYTES", texts)


def broken_files():
    w, x, y = streaming()
    w._others[0].op("CALL_ONCE", [], [], InitSubgraphIndex=1)
    yield w, x, y, "calls another one"
    w, x, y = streaming()
    w._operators[0] = replace(w._operators[0], options={"InitSubgraphIndex": 7})
    yield w, x, y, "its subgraph is 7, but the file has 2"
    w, x, y = streaming()
    w._operators.append(w._operators.pop(0))
    yield w, x, y, "put it in front"
    w, x, y = streaming()
    w.op("ASSIGN_VARIABLE", [w._operators[2].inputs[0], x], [])
    yield w, x, y, "the variable holds"
    w, x, y = streaming()
    given = w._others[0]._operators[1].inputs[1]
    w._others[0]._tensors[given] = replace(w._others[0]._tensors[given], buffer=0)
    yield w, x, y, "which is no constant"
    w, x, y = streaming()
    w._operators[2] = replace(w._operators[2], inputs=(x,))
    yield w, x, y, "no handle"


@pytest.mark.parametrize("case", list(broken_files()), ids=lambda case: case[-1].replace(" ", "_"))
def test_files_whose_variables_make_no_sense(case):
    writer, x, y, words = case
    with pytest.raises((ModelError, Unsupported), match=words):
        load_tflite(writer.finish([x], [y]), "m")


def svdf_with(**changed) -> bytes:
    """An SVDF of three filters over two steps, whose state is otherwise."""
    w, rng = ModelWriter(), np.random.default_rng(1)
    x, y = w.tensor("x", (1, 4), "int8", 0.05, 3), w.tensor("y", (1, 3), "int8", 0.3, 0)
    weights = w.tensor("weights", (3, 4), "int8", 0.01, data=rng.integers(-9, 9, (3, 4)))
    times = w.tensor("times", (3, 2), "int8", 0.02, data=rng.integers(-9, 9, (3, 2)))
    bias = w.tensor("bias", (3,), "int32", 0.001, data=[1, 2, 3])
    options = {"shape": (1, 6), "dtype": "int8", "scale": 0.05, "variable": True} | changed
    state = w.tensor("state", **options)
    w.op("SVDF", [x, weights, times, bias, state], [y], Rank=1)
    if changed.get("scale") == 0.07:
        z = w.tensor("z", (1, 3), "int8", 0.3, 0)
        w.op("SVDF", [x, weights, times, bias, state], [z], Rank=1)
        return w.finish([x], [y, z])
    return w.finish([x], [y])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"shape": (1, 7)}, "has the shape .1, 7., not .1, 6."),
        ({"shape": (6,)}, "has the shape .6., not .1, 6."),
        ({"shape": (1, 2**30)}, "impossible shape"),
        ({"shape": (1, -1)}, "dynamic shape"),
        ({"dtype": "int32"}, "is int32"),
        ({"dtype": "int16"}, "one type is supported"),
        ({"variable": False}, "must be a variable"),
        ({"data": np.zeros((1, 6))}, "must be a variable, without data"),
        ({"scale": 0.07}, "two operators"),
    ],
)
def test_states_that_do_not_fit_their_operator(changed, words):
    load_tflite(svdf_with(), "m")
    with pytest.raises((ModelError, Unsupported), match=words):
        load_tflite(svdf_with(**changed), "m")


def ring(count: int) -> bytes:
    """Variables that each take over what the one before had; the first one what the last one had, or x where that is greater. One
    alone is given back what it has."""
    w, q, shape = ModelWriter(), (0.5, 3), (1, 4)
    x, m, y = (w.tensor(name, shape, "int8", *q) for name in ("x", "m", "y"))
    handles = [w.tensor(f"h{i}", (), "resource") for i in range(count)]
    olds = [w.tensor(f"old{i}", shape, "int8", *q) for i in range(count)]
    for i, (handle, old) in enumerate(zip(handles, olds, strict=True)):
        w.op("VAR_HANDLE", [], [handle], SharedName=f"v{i}", Container="")
        w.op("READ_VARIABLE", [handle], [old])
    w.op("MAXIMUM", [olds[-1], x], [m])
    for i, handle in enumerate(handles):
        w.op("ASSIGN_VARIABLE", [handle, olds[i - 1] if i or count == 1 else m], [])
    w.op("MINIMUM", [olds[0], m], [y])
    return w.finish([x], [y, olds[-1]])


@pytest.mark.parametrize("count", [1, 2, 5])
def test_variables_that_change_places(count):
    model = ring(count)
    graph, oracle = load_tflite(model, "m"), Oracle(model)
    xs, prepared = inputs(graph, 12, count), prepare(graph)
    for found, again, one in zip(run_sequence(graph, xs), run_sequence(prepared, xs), xs, strict=True):
        for mine, same, theirs in zip(found, again, oracle.run(one), strict=True):
            assert np.array_equal(mine, theirs) and np.array_equal(same, theirs)
    check(make_plan(prepared, BOARD))


@pytest.mark.parametrize("number", [1, 2])
def test_subgraphs_of_first_values_that_call_each_other(number):
    """One chooses the other, and that one gives first values by the first."""
    w = ModelWriter()
    first, second = w.subgraph(), w.subgraph()
    given, made = [first.constant("c", [True], "bool"), first.constant("i", 1)], first.tensor("o", (), "int32")
    first.op("IF", given, [made], ThenSubgraphIndex=2, ElseSubgraphIndex=2)
    second.op("CALL_ONCE", [], [], InitSubgraphIndex=number)
    second.called([i := second.tensor("i", (), "int32")], [i])
    x, y = w.tensor("x", (1, 4), "int8", 0.5), w.tensor("y", (1, 4), "int8", 0.5)
    w.op("CALL_ONCE", [], [], InitSubgraphIndex=1)
    w.op("RELU", [x], [y])
    with pytest.raises((ModelError, Unsupported), match=f"subgraph {number} calls itself"):
        load_tflite(w.finish([x], [y]), "m")


@pytest.mark.extra
def test_a_wake_word_of_esphome():
    path = ROOT / ".." / "shared" / "models" / "field" / "microwakeword_okay_nabu_v2.tflite"
    compilation = compile(path, BOARD)
    xs = inputs(compilation.model, 50, 1)
    assert verify(compilation, xs, "tflm", path, sequence=True).mismatches == 0
