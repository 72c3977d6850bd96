"""Plans against everything there is: on small ones every order and every two addresses are tried, and no plan is better than its
bound says, nor takes more than it reports."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from smelt.model.graph import Graph
from smelt.planner.addresses import pack
from smelt.planner.blocks import blocks_of, height, load
from smelt.planner.chains import chain_bound
from smelt.planner.flow import Flow, Storage, Use
from smelt.planner.loosen import loosened
from smelt.planner.order import best_order
from smelt.planner.step import flow_of
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
