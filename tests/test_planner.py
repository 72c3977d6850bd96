"""The planner: orders are the best there are, addresses are tight, and `check` catches what is wrong."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from smelt.errors import DoesNotFit, ModelError, OptionError, SmeltError, Unsupported
from smelt.importers import load
from smelt.kernels import IMPLEMENTATIONS
from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall, plain
from smelt.loops.ir import Buffer, Const, minimum
from smelt.loops.kernel import Kernel
from smelt.model import ops, reference
from smelt.model.graph import Array, Graph, Op, Quantization, Tensor
from smelt.model.ops import Add, Concat, Conv2D, Lookup, Reshape, Slice
from smelt.passes import prepare
from smelt.planner import Plan, Step, make_plan, solver
from smelt.planner.addresses import arrange, pack
from smelt.planner.blocks import Block, Span, first_fit, height
from smelt.planner.blocks import load as load_of
from smelt.planner.check import check
from smelt.planner.depth_first import depth_first
from smelt.planner.flow import Flow, Storage, Use, aligned, live_bytes, peak, steps_of
from smelt.planner.order import Order, _Search, best_order, lower_bound
from smelt.planner.placement import STACK_RESERVE
from smelt.planner.step import flow_of
from smelt.planner.ways import Part, Piece, Way, Ways
from smelt.targets.boards import BOARDS, DISCO_F746NG, NUCLEO_L4R5ZI
from smelt.targets.types import Board, Core, Memory
from tests.paths import IC, INT8_MODELS, VWW

Q = Quantization((0.05,), (-10,))
EVERY_OP = (
    *(ops.Conv2D, ops.DepthwiseConv2D, ops.Dense, ops.TransposeConv2D, ops.AveragePool2D, ops.MaxPool2D, ops.Mean),
    *(ops.Pad, ops.Concat, ops.Slice, ops.Transpose, ops.ResizeNearest, ops.ResizeBilinear, ops.Softmax, ops.Unary),
    *(ops.Quantize, ops.Dequantize),
)
IN_PLACE = {ops.Add: (0, 1), ops.Mul: (0, 1), ops.Lookup: (0,)}


def stand_in(kind: type[Op], over: tuple[int, ...] = (), scratch: Callable[[Op], Iterable[int]] | None = None) -> Any:
    """An implementation with the operands and scratch of a real one. It goes element by element through the operands whose numbers
    are in `over`, then through the others."""

    def build(op: Op, schedule: Any) -> KernelCall:
        k = CallBuilder("stand_in")
        xs = [k.operand(f"x{i}", t) for i, t in enumerate(op.activations)]
        for i, size in enumerate(scratch(op) if scratch else ()):
            k.scratch(f"s{i}", "int8_t", size)
        y = k.result("y", op.y)
        for group in (over, [n for n in range(len(xs)) if n not in over]):
            with k.loop("i", 0, y.size) as i:
                k.store(y, i, sum((xs[n][minimum(i, xs[n].size - 1)] for n in group if n < len(xs)), Const(0)))
        return k.finish_call()

    return Implementation(f"{kind.__name__}_stand_in", kind, plain, build)


NOTHING_IN_PLACE = tuple(stand_in(kind) for kind in (*EVERY_OP, *IN_PLACE))
STAND_INS = tuple(stand_in(kind) for kind in EVERY_OP) + tuple(stand_in(*kind) for kind in IN_PLACE.items())


def tensor(name: str, size: int) -> Tensor:
    return Tensor(name, (size,), "int8", Q)


def small_board(*sizes: int, flash: int = 1 << 20) -> Board:
    rams = tuple(Memory(f"ram{i}", 0x20000000 + i * 0x100000, size, "data") for i, size in enumerate(sizes))
    chip = replace(NUCLEO_L4R5ZI.chip, memories=(Memory("flash", 0x08000000, flash, "code"), *rams))
    return Board("small", "a small board", chip, 1_000_000)


BIG = small_board(1 << 20)


def plan_of(graph: Graph, board: Board = BIG, implementations: Sequence[Implementation] = STAND_INS) -> Plan:
    return make_plan(graph, board, implementations, reserve=0)


# Real models


LOWER_BOUNDS = {
    "IC": 49_152,
    "VWW": 55_296,
    "KWS": 16_000,
    "AD": 768,
}


@pytest.mark.parametrize("model", INT8_MODELS)
def test_real_models_lie_at_the_lower_bound(model: str) -> None:
    graph = prepare(load(INT8_MODELS[model]))
    plan = plan_of(graph)
    # the peak of live bytes is less where results slide: chains of them can only be moved together
    assert peak(flow_of(graph, plan.ways)) <= plan.tensor_bytes == plan.bound
    if model in LOWER_BOUNDS:
        assert plan.tensor_bytes <= LOWER_BOUNDS[model], "the bound of whole ops, below which runs in bands go"
    assert plan_of(graph, implementations=NOTHING_IN_PLACE).tensor_bytes >= plan.tensor_bytes
    computes_the_same(plan, graph)


@cache
def stand_ins(core: Core) -> Ways:
    """For all boards with the core: what is found out about ways for one of them is found out."""
    return Ways(core, STAND_INS)


@pytest.mark.parametrize("board", BOARDS, ids=lambda b: b.name)
def test_real_models_lie_in_the_fastest_memory(board: Board) -> None:
    graph = prepare(load(VWW))
    plan = make_plan(graph, board, stand_ins(board.core))
    assert [m.name for m in plan.memories] == [board.chip.rams[0].name]
    if board is BOARDS[0]:
        assert str(plan) == str(make_plan(graph, board, STAND_INS)), "nothing was kept, and yet it is the same plan"
    assert plan.tensor_bytes <= 55_296, "the two largest tensors beside each other"


# Orders


@st.composite
def graphs(draw: st.DrawFn, most: int = 12) -> Graph:
    """Random graphs of slices, sums, concatenations, lookups and reshapes of vectors."""
    inputs = [tensor(f"x{i}", draw(st.integers(1, 40))) for i in range(draw(st.integers(1, 2)))]
    known, made = list(inputs), list[Op]()
    for i in range(draw(st.integers(1, most))):
        op = draw_op(draw, f"t{i}", known)
        made.append(op)
        known.append(op.y)
    results = [op.y for op in made]
    outputs = draw(st.lists(st.sampled_from(results), min_size=1, max_size=3, unique=True))
    return Graph("random", tuple(inputs), tuple(outputs), tuple(made)).check()


def draw_op(draw: st.DrawFn, name: str, known: list[Tensor]) -> Op:
    x = draw(st.sampled_from(known))
    x2 = draw(st.sampled_from([t for t in known if t.shape == x.shape]))
    match draw(st.sampled_from(["slice", "slice", "add", "concat", "lookup", "reshape"])):
        case "slice":
            return Slice(x=x, y=tensor(name, draw(st.integers(1, x.elements))), begin=(0,), stride=(1,))
        case "add":
            return Add(x=x, x2=x2, y=tensor(name, x.elements))
        case "concat" if x.elements < 60:
            other = draw(st.sampled_from(known))
            return Concat(xs=(x, other), y=tensor(name, x.elements + other.elements), axis=0)
        case "lookup":
            table = Tensor(f"{name}.table", (256,), "int8", Q, np.arange(-128, 128).astype(np.int8)[::-1])
            return Lookup(x=x, table=table, y=tensor(name, x.elements))
        case _:
            return Reshape(x=x, y=tensor(name, x.elements))


def flow_in_file_order(graph: Graph) -> Flow:
    steps = [Step(Way(op, i, None, i.build(op, None)), op.y.name) for op in steps_of(graph) for i in [stand_in_for(op)]]
    return flow_of(graph, [step.way for step in steps])


def stand_in_for(op: Op) -> Implementation:
    return next(i for i in STAND_INS if isinstance(op, i.op))


def is_valid(flow: Flow, order: Sequence[int]) -> bool:
    return all(needed in order[:at] for at, step in enumerate(order) for needed in flow.needs[step])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graphs())
def test_orders_are_valid_and_no_worse_than_the_file(graph: Graph) -> None:
    flow = flow_in_file_order(graph)
    order = best_order(flow)
    assert sorted(order.steps) == list(range(len(flow.uses))) and is_valid(flow, order.steps)
    assert lower_bound(flow) <= order.bound <= order.peak == peak(flow.reordered(order.steps)) <= peak(flow)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graphs(most=6))
def test_orders_of_small_graphs_are_the_best_of_all(graph: Graph) -> None:
    flow = flow_in_file_order(graph)
    best = min(simulated_peak(flow, o) for o in permutations(range(len(flow.uses))) if is_valid(flow, o))
    assert best_order(flow).peak == best


def simulated_peak(flow: Flow, order: Sequence[int]) -> int:
    """The peak by running the steps and looking at who is needed later, without the planner's lifetimes."""
    alive = set(flow.inputs)
    most = sum(flow.sizes[s] for s in alive)
    for at, step in enumerate(order):
        use, later = flow.uses[step], [flow.uses[i] for i in order[at + 1 :]]
        needed = {s for u in later for s in u.reads} | set(flow.outputs)
        alive = {s for s in alive if s in needed or s in use.reads}
        over = [flow.grown(step, s, by) for s, by in flow.slides(step).items() if s not in needed]
        now = sum(flow.sizes[s] for s in alive) + min([flow.sizes[use.writes[0]], *over])
        most = max(most, now + sum(aligned(b) for b in use.scratch))
        alive = {s for s in alive | {*use.writes} if s in needed}
    return most


def fork(*branches: int, joined: int = 4) -> Graph:
    """An input, branches that grow to the sizes given and shrink again, and their concatenation."""
    x, made, ends = tensor("x", 8), list[Op](), list[Tensor]()
    for i, size in enumerate(branches):
        wide = Concat(xs=(x,) * (size // 8), y=tensor(f"wide{i}", size), axis=0)
        end = Slice(x=wide.y, y=tensor(f"end{i}", joined), begin=(0,), stride=(1,))
        made += [wide, end]
        ends.append(end.y)
    wide_first = [op for op in made if isinstance(op, Concat)] + [op for op in made if isinstance(op, Slice)]
    y = Concat(xs=tuple(ends), y=tensor("y", joined * len(ends)), axis=0)
    return Graph("fork", (x,), (y.y,), (*wide_first, y)).check()


def test_a_fork_is_run_branch_by_branch() -> None:
    plan = plan_of(fork(800, 800, 800))
    assert plan.tensor_bytes == plan.bound == 8 + 800 + 2 * 4 and not plan.notes
    assert peak(flow_in_file_order(plan.graph)) > 2400


def test_wide_graphs_end_within_the_limit_and_say_what_is_not_proved() -> None:
    graph = fork(*(8 * n for n in range(10, 30)), joined=8)
    flow = flow_in_file_order(graph)
    cut = best_order(flow, moves=3)
    best = best_order(flow)
    assert cut.bound <= best.bound == best.peak <= cut.peak < peak(flow)


def test_ties_keep_the_order_of_the_file() -> None:
    graph = fork(80)
    assert [op for s in plan_of(graph).steps for op in s.ops] == list(graph.ops)


# Addresses


@st.composite
def blocks(draw: st.DrawFn) -> list[Block]:
    found = []
    for _ in range(draw(st.integers(1, 9))):
        first, length, size = draw(st.integers(0, 8)), draw(st.integers(0, 5)), 4 * draw(st.integers(1, 12))
        spans = [Span(first, first + length, size)]
        if draw(st.booleans()):
            again = first + length + 1, first + length + draw(st.integers(1, 3))
            spans.append(Span(*again, 4 * draw(st.integers(1, size // 4)), 4 * draw(st.integers(0, 3))))
        found.append(Block(tuple(spans), heat=draw(st.integers(0, 100))))
    return found


def overlap_free(found: Sequence[Block], offsets: Sequence[int]) -> bool:
    taken: set[tuple[int, int]] = set()
    for block, offset in zip(found, offsets, strict=True):
        for span in block.spans:
            cells = {
                (t, b)
                for t in range(span.first, span.last + 1)
                for b in range(offset + span.offset, offset + span.end, 4)
            }
            if cells & taken:
                return False
            taken |= cells
    return True


@settings(max_examples=60, deadline=None)
@given(blocks())
def test_blocks_are_packed_without_overlap_and_no_worse_than_by_first_fit(found: list[Block]) -> None:
    bound = load_of(found)
    offsets = pack(found, bound)
    assert overlap_free(found, offsets)
    assert bound <= height(found, offsets) <= height(found, first_fit(found))
    assert offsets == pack(found, bound)


@settings(max_examples=60, deadline=None)
@given(blocks(), st.lists(st.integers(4, 40), min_size=2, max_size=3))
def test_blocks_spread_over_memories_stay_inside(found: list[Block], units: list[int]) -> None:
    budgets = [4 * n for n in units]
    places = arrange(found, budgets)
    assume(places is not None)
    assert places is not None
    for memory, budget in enumerate(budgets):
        here = [(b, offset) for b, (m, offset) in zip(found, places, strict=True) if m == memory]
        assert overlap_free([b for b, _ in here], [offset for _, offset in here])
        assert all(offset + b.size <= budget for b, offset in here)


def test_the_solver_finds_what_first_fit_does_not() -> None:
    """Six blocks for which first fit needs more than the 68 bytes that are alive at once."""
    shape = [(1, 5, 7), (6, 6, 8), (5, 9, 4), (5, 8, 5), (3, 4, 8), (7, 9, 2)]
    found = [Block((Span(first, last, 4 * size),)) for first, last, size in shape]
    assert height(found, first_fit(found)) > 68
    assert height(found, pack(found, load_of(found))) == load_of(found) == 68


# Writing in place


def add_chain(*, keep: bool) -> Graph:
    a, b = tensor("a", 100), tensor("b", 100)
    first = Add(x=a, x2=b, y=tensor("first", 100))
    second = Add(x=first.y, x2=b, y=tensor("second", 100))
    return Graph("chain", (a, b), (second.y, first.y) if keep else (second.y,), (first, second)).check()


def test_sums_are_written_over_operands_that_die() -> None:
    plan = plan_of(add_chain(keep=False))
    assert plan.tensor_bytes == 200
    assert plan_of(add_chain(keep=False), implementations=NOTHING_IN_PLACE).tensor_bytes == 300


def test_outputs_are_not_written_over() -> None:
    plan = plan_of(add_chain(keep=True))
    first, second = (plan.placement(op.y) for op in plan.graph.ops)
    assert first.offset != second.offset
    computes_the_same(plan, plan.graph)


def test_a_storage_with_a_living_alias_is_not_written_over() -> None:
    x = tensor("x", 100)
    alias = Reshape(x=x, y=tensor("alias", 100))
    table = Tensor("table", (256,), "int8", Q, np.arange(-128, 128).astype(np.int8)[::-1])
    looked = Lookup(x=x, table=table, y=tensor("looked", 100))
    y = Add(x=alias.y, x2=looked.y, y=tensor("y", 100))
    plan = plan_of(Graph("alias", (x,), (y.y,), (alias, looked, y)).check())
    assert plan.tensor_bytes == 200
    assert plan.placement(alias.y) is plan.placement(x)
    computes_the_same(plan, plan.graph)


def test_an_operand_that_is_read_later_is_not_written_over() -> None:
    x, x2 = tensor("x", 100), tensor("x2", 100)
    y = Add(x=x, x2=x2, y=tensor("y", 100))
    graph = Graph("one", (x, x2), (y.y,), (y,)).check()
    only_second = (stand_in(Add, (1,)),)
    plan = plan_of(graph, implementations=only_second)
    assert plan.placement(y.y).offset == plan.placement(x2).offset != plan.placement(x).offset
    twice = Graph("twice", (x,), (y.y,), (replace(y, x2=x),)).check()
    assert plan_of(twice, implementations=only_second).tensor_bytes == 200
    wider = Graph("wider", (x,), (y.y,), (Lookup(x=x, table=x2, y=Tensor("y", (100,), "float32")),))
    wider = replace(wider, outputs=(wider.ops[0].y,), inputs=(x, x2))
    assert plan_of(wider).tensor_bytes == 500, "y begins 300 bytes before x; the table is read later"


# Plans


def computes_the_same(plan: Plan, graph: Graph) -> None:
    """Run the plan on bytes in memory, as the firmware will, noise in scratch, and compare with the reference."""
    noise = np.random.default_rng(1)
    memory = {m.name: noise.integers(0, 256, m.size, np.uint8) for m in plan.board.chip.rams}

    def view(tensor: Tensor, piece: Piece | None = None) -> Array:
        part = piece.part(tensor) if piece else Part(tensor)
        place = plan.placement(part.owner)
        return memory[place.memory][place.offset + part.offset :][: tensor.bytes]

    def read(tensor: Tensor, piece: Piece | None = None) -> Array:
        return np.frombuffer(view(tensor, piece).tobytes(), tensor.dtype).reshape(tensor.shape)

    inputs = [noise.integers(-128, 128, t.shape, np.int8) for t in graph.inputs]
    for t, value in zip(graph.inputs, inputs, strict=True):
        view(t)[:] = np.frombuffer(value.tobytes(), np.uint8)
    for step in plan.steps:
        for scratch in step.scratch:
            p = plan.placement(scratch)
            memory[p.memory][p.offset : p.end] = 0xA5
        for piece in step.pieces:
            op = piece.way.op
            operands = [t.constant if t.is_constant else read(t, piece) for t in op.inputs]
            view(op.y, piece)[:] = np.frombuffer(reference.evaluate(op, *operands).tobytes(), np.uint8)
    for t, expected in zip(graph.outputs, reference.run(graph, inputs), strict=True):
        np.testing.assert_array_equal(read(t), expected)


WITH_SCRATCH = tuple(
    stand_in(i.op, IN_PLACE.get(i.op, ()), lambda op: (op.y.bytes // 3 + 1, 5) if isinstance(op, Slice | Add) else ())
    for i in STAND_INS
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graphs())
def test_plans_of_random_graphs_are_sound_and_compute_the_same(graph: Graph) -> None:
    plan = plan_of(graph, implementations=WITH_SCRATCH)
    assert plan.bound <= plan.tensor_bytes
    assert peak(flow_of(graph, plan.ways)) <= plan.tensor_bytes
    computes_the_same(plan, graph)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(graphs(), st.integers(20, 120))
def test_plans_over_several_memories_are_sound_and_compute_the_same(graph: Graph, size: int) -> None:
    try:
        plan = plan_of(graph, small_board(size, size, size), WITH_SCRATCH)
    except DoesNotFit:
        return
    computes_the_same(plan, graph)


def mutations(plan: Plan, dice: random.Random) -> list[Plan]:
    """The plan with one thing wrong, in every way we can think of."""
    places = list(plan.placements)

    def change(i: int, **fields: Any) -> Plan:
        changed = (*places[:i], replace(places[i], **fields), *places[i + 1 :])
        return replace(plan, placements=changed)

    i = dice.randrange(len(places))
    wrong = [
        change(i, offset=plan.budget(plan.board.chip.rams[0])),
        change(i, offset=-4),
        change(i, offset=places[i].offset + 2),
        change(i, memory="nowhere"),
        change(i, size=0),
        replace(plan, placements=tuple(places[:i] + places[i + 1 :])),
        replace(plan, steps=plan.steps[1:]),
        replace(plan, steps=(*plan.steps, plan.steps[0])),
    ]
    used = [k for k, p in enumerate(places) if p.last > p.first]
    if used:
        k = dice.choice(used)
        wrong += [change(k, last=places[k].last - 1), change(k, first=places[k].first + 1)]
    crowded = [
        (k, j)
        for k, p in enumerate(places)
        for j, q in enumerate(places)
        if k != j and p.first < q.last and q.first < p.last and p.offset != q.offset
    ]
    if crowded:
        k, j = dice.choice(crowded)
        wrong.append(change(k, offset=places[j].offset))
    return wrong


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graphs(), st.integers(0, 1000))
def test_the_check_catches_what_is_wrong(graph: Graph, seed: int) -> None:
    plan = plan_of(graph, implementations=WITH_SCRATCH)
    assume(plan.steps)
    for wrong in mutations(plan, random.Random(seed)):
        with pytest.raises(SmeltError, match="defect of smelt"):
            check(wrong)


def test_the_check_catches_steps_out_of_order_and_promises_not_made() -> None:
    plan = plan_of(add_chain(keep=False))
    with pytest.raises(SmeltError, match="used at step 0"):
        check(replace(plan, steps=plan.steps[::-1]))
    others = {kind.op: kind for kind in NOTHING_IN_PLACE}
    stubborn = [replace(s, way=replace(s.way, call=others[type(s.way.op)].build(s.way.op, None))) for s in plan.steps]
    with pytest.raises(SmeltError, match=r"over '.*', which it reads"):
        check(replace(plan, steps=tuple(stubborn)))


def test_graphs_without_steps_have_plans() -> None:
    x = tensor("x", 10)
    y = Reshape(x=x, y=tensor("y", 10))
    plan = plan_of(Graph("names", (x,), (y.y,), (y,)).check())
    assert plan.steps == () and plan.tensor_bytes == 12
    assert "names" in str(plan)


def test_reshapes_of_constants_must_be_folded_first() -> None:
    c = Tensor("c", (4,), "int8", Q, np.zeros(4, np.int8))
    y = Reshape(x=c, y=tensor("y", 4))
    with pytest.raises(ModelError, match="prepare"):
        plan_of(Graph("unprepared", (), (y.y,), (y,)))


# What does not fit, what is not supported


def test_too_little_ram_names_the_step_the_largest_tensors_and_what_would_help() -> None:
    graph = fork(800, 800)
    with pytest.raises(DoesNotFit) as error:
        plan_of(graph, small_board(256, 128))
    message = str(error.value)
    assert "812 bytes needed" in message or "816 bytes needed" in message
    assert "ram0 256 + ram1 128" in message and "'wide" in message and "missing" in message


def test_enough_ram_in_pieces_that_are_too_small_is_told_apart() -> None:
    with pytest.raises(DoesNotFit, match="enough in total, but not in pieces"):
        plan_of(fork(800, 800), small_board(500, 500))


def test_tensors_are_spread_over_memories_where_none_holds_them_all() -> None:
    graph = add_chain(keep=True)
    plan = plan_of(graph, small_board(100, 100))
    assert [(m.name, plan.used(m.name)) for m in plan.memories] == [("ram0", 100), ("ram1", 100)]
    assert str(plan) == str(plan_of(graph, small_board(100, 100)))
    computes_the_same(plan, graph)


def test_without_the_solver_first_fit_must_do(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = [(1, 5, 7), (6, 6, 8), (5, 9, 4), (5, 8, 5), (3, 4, 8), (7, 9, 2)]
    found = [Block((Span(first, last, 4 * size),)) for first, last, size in shape]
    monkeypatch.setattr(solver, "installed", lambda: False)
    assert pack(found, load_of(found)) == first_fit(found)
    assert plan_of(add_chain(keep=True), small_board(100, 100)).tensor_bytes == 200
    with pytest.raises(OptionError, match=r"smelt\[plan\]"):
        arrange(found, (36, 32))


def test_what_only_waits_is_named() -> None:
    x = tensor("x", 400)
    middle = Slice(x=x, y=tensor("middle", 300), begin=(0,), stride=(1,))
    wide = Concat(xs=(middle.y, middle.y), y=tensor("wide", 600), axis=0)
    thin = Slice(x=wide.y, y=tensor("thin", 4), begin=(0,), stride=(1,))
    y = Concat(xs=(x, thin.y), y=tensor("y", 404), axis=0)
    graph = Graph("skip", (x,), (y.y,), (middle, wide, thin, y)).check()
    with pytest.raises(DoesNotFit, match=r"'x' only waits there for a later step: .* 400 bytes"):
        plan_of(graph, small_board(600))


def test_scratch_counts_and_is_named_where_it_is_the_most() -> None:
    graph = add_chain(keep=False)
    greedy = (stand_in(Add, (0, 1), lambda op: (1000,)),)
    assert plan_of(graph, implementations=greedy).tensor_bytes == 1200
    with pytest.raises(DoesNotFit, match=r"1,000 bytes: \w+\.scratch"):
        plan_of(graph, small_board(512), greedy)


def test_too_little_flash_is_told_before_the_build() -> None:
    x, y = tensor("x", 10), tensor("y", 10)

    def build(op: Op, schedule: Any) -> KernelCall:
        roles = (
            Buffer("x", "int8_t", 10, "input"),
            Buffer("t", "int8_t", 5000, "constant"),
            Buffer("y", "int8_t", 10, "output"),
        )
        return KernelCall(Kernel("k", roles, ()), (x, np.arange(5000, dtype=np.int8), y))

    heavy = (Implementation("heavy", Add, plain, build),)
    graph = Graph("heavy", (x,), (y,), (Add(x=x, x2=x, y=y),)).check()
    with pytest.raises(DoesNotFit, match="5,000 of tables"):
        plan_of(graph, small_board(1000, flash=4096), heavy)


def test_unsupported_ops_are_refused_with_every_reason() -> None:
    x, y, z = tensor("x", 10), tensor("y", 10), tensor("z", 5)
    first = Add(x=x, x2=x, y=y)
    second = Slice(x=y, y=z, begin=(0,), stride=(1,), origin="operator 7")

    def never(op: Op, core: Core) -> bool:
        """a core with
        wings"""
        return False

    picky = (replace(stand_in(Add), accepts=(never,)),)
    with pytest.raises(Unsupported) as error:
        plan_of(Graph("odd", (x,), (z,), (first, second)).check(), implementations=picky)
    assert len(error.value.reasons) == 2
    assert "a core with wings" in str(error.value) and "no implementation of Slice" in str(error.value)
    assert "operator 7" in str(error.value)


def test_the_first_implementation_that_accepts_is_taken() -> None:
    def never(op: Op, core: Core) -> bool:
        """the impossible"""
        return False

    usual = stand_in(Add)
    plan = plan_of(
        add_chain(keep=False), implementations=(replace(usual, accepts=(never,)), usual, stand_in(Add, (0,)))
    )
    assert all(way.implementation is usual for some in plan.ways for way in some.ways)


def test_flow_and_live_bytes_of_a_hand_made_case() -> None:
    """Two inputs, a scratch buffer, and a step that writes over its operand."""
    storages = tuple(Storage((tensor(name, size),)) for name, size in (("a", 6), ("b", 4), ("c", 6), ("d", 8)))
    uses = (
        Use(frozenset({0}), (2,), over={0: 0}, scratch=(3,)),
        Use(frozenset({1, 2}), (3,)),
    )
    flow = Flow(storages, uses, frozenset({0, 1}), frozenset({3}))
    assert live_bytes(flow) == (12, 16, 20, 8)
    assert peak(flow) == lower_bound(flow) == 20


def test_convolutions_of_real_models_take_scratch_into_the_plan() -> None:
    graph = prepare(load(IC))
    columns = (stand_in(Conv2D, (), lambda op: (512,)), *(i for i in STAND_INS if i.op is not Conv2D))
    plan = make_plan(graph, DISCO_F746NG, columns, goal="speed")
    assert plan.tensor_bytes == 49_152 + 512 and plan.scratch_bytes == 512
    assert plan.live_tensor_bytes == 49_152


@pytest.mark.parametrize("model", LOWER_BOUNDS)
def test_real_models_with_real_kernels_lie_at_the_bound_plus_scratch(model: str) -> None:
    plan = make_plan(prepare(load(INT8_MODELS[model])), DISCO_F746NG)
    assert plan.live_tensor_bytes <= LOWER_BOUNDS[model], "kernels that write over their input need less"
    assert plan.bound <= plan.tensor_bytes <= 1.07 * plan.bound <= 1.07 * (LOWER_BOUNDS[model] + plan.scratch_bytes)


def test_scratch_gives_way_where_it_does_not_fit():
    """Two images of 16 KB and a little: the first choices of kernels with their scratch are too much, the leaner ones fit."""
    big, most = NUCLEO_L4R5ZI, 36_000
    ram = replace(big.chip.rams[0], size=most + STACK_RESERVE)
    small = replace(big, chip=replace(big.chip, memories=(big.chip.flash, ram)))
    graph = prepare(load(IC))
    ways = Ways(big.core, IMPLEMENTATIONS)
    assert make_plan(graph, big, ways).tensor_bytes > small.chip.rams[0].size - STACK_RESERVE
    plan = make_plan(graph, small, ways)
    assert plan.tensor_bytes <= most and plan.notes
    tiny = replace(big, chip=replace(big.chip, memories=(big.chip.flash, replace(ram, size=12_000))))
    with pytest.raises(DoesNotFit):
        make_plan(graph, tiny, ways)


# Large graphs: a good plan within a fixed amount of work, the same every time, and an honest bound


def leaves_and_sums(kind: str, count: int) -> Graph:
    """About `count` element-wise ops: leaves that all read the input, and a tree of sums over them in some order."""
    dice, x = random.Random(count), tensor("x", 64)
    table = Tensor("table", (256,), "int8", Q, np.arange(-128, 128).astype(np.int8)[::-1])
    made: list[Op] = [Lookup(x=x, y=tensor(f"leaf{i}", 64), table=table) for i in range((count + 1) // 2)]
    left = [op.y for op in made]
    while len(left) > 1:
        if kind == "shuffled":
            dice.shuffle(left)
        made.append(Add(x=left.pop(0), x2=left.pop(0), y=tensor(f"sum{len(made)}", 64)))
        left.append(made[-1].y)
    return Graph(kind, (x,), (left[0],), tuple(made)).check()


def pieces(count: int) -> Graph:
    """Tensors of many sizes that wait for each other: joined, cut and copied at random."""
    dice, x = random.Random(count), tensor("x", 16)
    made: list[Op] = []
    known = [x]
    while len(made) < count:
        y = f"t{len(made)}"
        if dice.random() < 0.5 or len(known) < 3:
            t = dice.choice(known[-20:])
            made.append(Slice(x=t, y=tensor(y, dice.randint(1, t.bytes)), begin=(0,), stride=(1,)))
        else:
            a, b = known.pop(dice.randrange(len(known))), dice.choice(known)
            if a.bytes + b.bytes > 400:
                continue
            made.append(Concat(xs=(a, b), y=tensor(y, a.bytes + b.bytes), axis=0))
        known.append(made[-1].y)
    read = {t for op in made for t in op.activations}
    return Graph("pieces", (x,), tuple(op.y for op in made if op.y not in read), tuple(made)).check()


LARGE = (
    (leaves_and_sums, "shuffled", 100, False),
    (leaves_and_sums, "even", 600, True),
    (pieces, None, 300, True),
    (pieces, None, 300, False),
)


@pytest.mark.parametrize(("make", "kind", "count", "with_solver"), LARGE)
def test_large_graphs_are_planned_well_within_a_fixed_amount_of_work(
    make: Callable[..., Graph], kind: str | None, count: int, with_solver: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not with_solver:
        monkeypatch.setattr(solver, "installed", lambda: False)
    graph = make(kind, count) if kind else make(count)
    plan = plan_of(graph)
    flow = flow_of(graph, plan.ways)
    assert lower_bound(flow) <= plan.bound <= plan.tensor_bytes <= peak(flow_in_file_order(graph))
    if kind:  # a tree over n leaves needs about log2(n) sums at a time, and is found with a few more
        assert plan.tensor_bytes <= 64 * (2 * count.bit_length() + 2)
        gap = plan.tensor_bytes - plan.bound
        assert f"of tensors, at most {gap:,} more" in str(plan).splitlines()[0]
        (note,) = plan.notes
        assert (
            f"cut short: {plan.tensor_bytes:,} bytes of tensors may be {gap:,} bytes ({gap / plan.bound:.1%})" in note
        )
    if not with_solver and kind:
        assert str(plan) == str(plan_of(graph))


def test_the_search_looks_at_no_more_moves_than_it_may() -> None:
    flow = flow_in_file_order(leaves_and_sums("shuffled", 300))
    search = _Search(flow, lower_bound(flow))
    quick = search.beam(20_000)
    assert search.looked <= 20_000 + len(flow.uses)
    start, given = search.looked, Order(tuple(range(len(flow.uses))), peak(flow), lower_bound(flow))
    found = search.run(given, 5_000)
    assert search.looked - start <= 5_000 + len(flow.uses) and given.bound <= found.bound <= found.peak
    assert quick is None or is_valid(flow, quick.steps)
    assert is_valid(flow, depth_first(flow)) and sorted(depth_first(flow)) == list(range(len(flow.uses)))
