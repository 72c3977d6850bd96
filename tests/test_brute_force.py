"""Plans against everything there is: on small ones every order and every two addresses are tried, and no plan is better than its
bound says, nor takes more than it reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from smelt.kernels import IMPLEMENTATIONS
from smelt.model.graph import Graph, Op, Quantization, Tensor
from smelt.model.ops import Conv2D, DepthwiseConv2D, Padding
from smelt.model.rescale import linear_rescale
from smelt.planner import _menu, make_plan
from smelt.planner.addresses import pack
from smelt.planner.blocks import blocks_of, height, load
from smelt.planner.chains import chain_bound
from smelt.planner.effort import USUAL
from smelt.planner.flow import Flow, Storage, Use
from smelt.planner.limits import UNLIMITED
from smelt.planner.loosen import loosened
from smelt.planner.order import best_order, lower_bound
from smelt.planner.placement import STACK_RESERVE
from smelt.planner.step import AnyWay, flow_of
from smelt.planner.ways import Ways
from smelt.targets.boards import NUCLEO_L4R5ZI
from tests.brute_force import fits, least_bytes
from tests.test_planner import STAND_INS, graphs, plan_of, tensor

SLOW = (HealthCheck.too_slow, HealthCheck.filter_too_much)


def flow_of_sizes(sizes: tuple[int, ...], uses: tuple[Use, ...], inputs: int, outputs: frozenset[int]) -> Flow:
    storages = tuple(Storage((tensor(f"t{n}", size),)) for n, size in enumerate(sizes))
    return Flow(storages, uses, frozenset(range(inputs)), outputs)


@st.composite
def flows(draw: st.DrawFn, several: bool) -> Flow:
    """Steps that read what came before, mostly the last, with scratch and distances at random; results may be written over
    `several` operands at once, or over one."""
    inputs, steps = draw(st.integers(1, 2)), draw(st.integers(2, 5))
    sizes = tuple(4 * draw(st.integers(1, 12)) for _ in range(inputs + steps))
    uses: list[Use] = []
    for y in range(inputs, inputs + steps):
        chain = draw(st.integers(0, 3)) > 0
        reads = {*([y - 1] if chain else []), *draw(st.lists(st.integers(0, y - 1), min_size=not chain, max_size=1))}
        over = {x: 4 * draw(st.integers(0, 6)) for x in sorted(reads) if draw(st.integers(0, 3))}
        scratch = (4 * draw(st.integers(1, 8)),) if draw(st.integers(0, 2)) == 0 else ()
        uses.append(Use(frozenset(reads), (y,), over if several else dict([*over.items()][:1]), scratch))
    unread = set(range(inputs, len(sizes))) - {x for use in uses for x in use.reads}
    assume(len(sizes) + sum(len(use.scratch) for use in uses) <= 8)
    return flow_of_sizes(sizes, tuple(uses), inputs, frozenset(unread))


def planned(flow: Flow) -> tuple[int, int]:
    """What the planner takes for a flow, and its bound."""
    order = best_order(flow)
    ordered = flow.reordered(order.steps)
    bound = chain_bound(ordered, order.bound)
    found = (blocks_of(some).blocks for some in (ordered, loosened(ordered, bound)))
    return min(height(blocks, pack(blocks, load(blocks))) for blocks in found), bound


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=SLOW)
@given(graphs(most=5))
def test_small_graphs_are_planned_in_the_least_bytes_of_all_orders_and_addresses(graph: Graph) -> None:
    plan = plan_of(graph, implementations=STAND_INS)
    flow = flow_of(graph, plan.ways)
    assume(len(flow.storages) <= 6)
    assert plan.bound == least_bytes(flow) == plan.tensor_bytes
    assert str(plan).splitlines()[0].endswith("the optimum")


@pytest.mark.parametrize(("several", "at_best"), [(False, 0.9), (True, 0.8)])
def test_no_order_and_no_addresses_are_better_than_the_bound(several: bool, at_best: float) -> None:
    """Where plans take more it is for one of two reasons: first fit finds no better results to lie apart, or a result could be
    written over several operands at once. The bound is below the best where paths meet, or where something waits."""
    ends: Counter[bool] = Counter()

    @settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=SLOW)
    @given(flows(several))
    def one(flow: Flow) -> None:
        taken, bound = planned(flow)
        least = least_bytes(flow)
        assert bound <= least <= taken
        ends[least == taken] += 1

    one()
    assert ends[True] >= at_best * ends.total()


def chain(*sizes: int, by: int, scratch: int = 0) -> Flow:
    """Results one over the other, each `by` bytes before the one before."""
    count = len(sizes) - 1
    some = (scratch,) if scratch else ()
    uses = tuple(Use(frozenset({n}), (n + 1,), {n: by}, some) for n in range(count))
    return flow_of_sizes(sizes, uses, 1, frozenset({count}))


def test_what_slides_can_only_be_moved_together() -> None:
    """KWS in small: every step begins 4 bytes before its operand, and has scratch in one piece."""
    flow = chain(80, 80, 80, 80, by=4, scratch=40)
    order = best_order(flow)
    assert order.bound == 80 + 4 + 40, "alive at one time"
    assert planned(flow) == (80 + 3 * 4 + 40,) * 2 and least_bytes(flow) == 80 + 3 * 4 + 40
    assert chain_bound(chain(80, 80, 80, by=4), 84) == 88 and chain_bound(chain(80, 80, by=4), 84) == 84


def test_a_result_apart_ends_a_chain_that_reaches_too_far() -> None:
    """As in VWW: what begins far before its operand pushes up all that this lies over, unless that lies apart from it."""
    uses = (Use(frozenset({0}), (1,), {0: 0}), Use(frozenset({1}), (2,), {1: 0}), Use(frozenset({2}), (3,), {2: 40}))
    flow = flow_of_sizes((72, 40, 40, 80), uses, 1, frozenset({3}))
    rigid = blocks_of(flow).blocks
    assert height(rigid, pack(rigid, load(rigid))) == 112
    assert planned(flow) == (80, 80) and least_bytes(flow) == 80


def test_results_over_several_operands_are_in_the_bound_though_in_no_plan() -> None:
    uses = (Use(frozenset({0, 1}), (2,), {0: 0, 1: 40}),)
    flow = flow_of_sizes((40, 40, 80), uses, 2, frozenset({2}))
    assert best_order(flow).bound == least_bytes(flow) == 80 < planned(flow)[0] == 120


def test_brute_force_knows_several_memories() -> None:
    flow = chain(40, 40, 40, by=4)
    assert fits(flow, (48,)) and not fits(flow, (44,))
    assert fits(flow, (40, 40)) and not fits(flow, (40, 36))


# --- runs in bands ------------------------------------------------------------------------------------------------------


def convolution(n: int, x: Tensor, depthwise: bool, kernel: int, stride: int, channels: int) -> Op:
    """A convolution of x with padding, so that rows are halved by a stride of two."""
    random = np.random.default_rng(n)
    rows, depth = -(-x.shape[1] // stride), x.shape[3]
    shape = (1, kernel, kernel, depth) if depthwise else (channels, kernel, kernel, depth)
    weights = Tensor(f"w{n}", shape, "int8", Quantization((0.02,), (0,)), random.integers(-127, 128, shape, np.int8))
    bias = Tensor(f"b{n}", (channels,), "int32", None, random.integers(-900, 900, channels).astype(np.int32))
    y = Tensor(f"y{n}", (1, rows, rows, channels), "int8", Quantization((0.3,), (4,)))
    total = max((rows - 1) * stride + kernel - x.shape[1], 0)
    pad = Padding(total // 2, total - total // 2, total // 2, total - total // 2)
    kind = DepthwiseConv2D if depthwise else Conv2D
    scale = linear_rescale(x, weights, y)
    return kind(x=x, weights=weights, bias=bias, y=y, rescale=scale, stride=(stride, stride), pad=pad)


def expanded(size: int, depth: int, more: int, stride: int, results: int) -> Graph:
    """A block of MobileNetV2 in small: what lies in between is several times as large as x and y."""
    x = Tensor("x", (1, size, size, depth), "int8", Quantization((0.05,), (-3,)))
    wide = convolution(0, x, False, 1, 1, depth * more)
    middle = convolution(1, wide.y, True, 3, stride, depth * more)
    last = convolution(2, middle.y, False, 1, 1, results)
    return Graph("expanded", (x,), (last.y,), (wide, middle, last)).check()


def choices(options: Sequence[Sequence[AnyWay]], at: int = 0) -> Iterator[tuple[AnyWay, ...]]:
    """Everything that can be taken: at each step a way, or a run from there on."""
    if at == len(options):
        yield ()
        return
    for way in options[at]:
        for others in choices(options, at + len(way.ops)):
            yield (way, *others)


def alike(way: AnyWay) -> tuple[object, ...]:
    """What tells ways apart that do different things to memory."""
    return len(way.ops), tuple(s.bytes for s in way.scratch), tuple(way.slide(x) for x in way.reads)


@pytest.mark.parametrize("graph", [expanded(12, 2, 6, 2, 4), expanded(10, 4, 4, 1, 2)], ids=["strided", "plain"])
def test_the_least_ram_is_that_of_the_best_ways_runs_order_and_addresses(graph: Graph) -> None:
    ways = Ways(NUCLEO_L4R5ZI.core, IMPLEMENTATIONS)
    plan = make_plan(graph, NUCLEO_L4R5ZI, ways, goal="ram")
    menu = _menu(graph, NUCLEO_L4R5ZI, ways, STACK_RESERVE, None, UNLIMITED, USUAL)
    best, tried = plan.tensor_bytes, 0
    for situation in menu.situations:
        some = [list({alike(way): way for way, _ in reversed(of_step)}.values()) for of_step in situation.options]
        for taken in choices(some):
            flow = flow_of(graph, taken)
            best, tried = least_bytes(flow, best) if lower_bound(flow) < best else best, tried + 1
    assert tried > 100 and any(len(step.ops) > 1 for step in plan.steps)
    assert best == plan.tensor_bytes == plan.bound
