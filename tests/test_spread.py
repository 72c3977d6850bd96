"""Where everything lies in memories of different prices: by price, proved against brute force."""

from dataclasses import replace
from itertools import product

import pytest

from smelt.importers import load
from smelt.kernels import FRUGAL
from smelt.passes import prepare
from smelt.planner import make_plan
from smelt.planner.addresses import arrange, pack
from smelt.planner.blocks import Block, Span, height
from smelt.planner.blocks import load as most_alive
from smelt.planner.effort import NORMAL
from smelt.planner.limits import Limits
from smelt.planner.placement import STACK_RESERVE
from smelt.planner.spread import by_price, waiting
from smelt.planner.waits import priced
from smelt.targets.boards import board
from tests.paths import KWS

F746 = board("disco_f746ng")


def _small(dtcm):
    """The board with so many bytes beside the core."""
    memories = tuple(replace(m, size=dtcm) if m.name == "dtcm" else m for m in F746.chip.memories)
    return replace(F746, chip=replace(F746.chip, memories=memories))


def _blocks(*sizes):
    """Blocks that are all alive at once."""
    return [Block((Span(0, 1, size),)) for size in sizes]


def _packed(blocks):
    return pack(blocks, most_alive(blocks))


@pytest.mark.parametrize("solver", [True, False], ids=["solver", "greedy"])
@pytest.mark.parametrize(
    ("waits", "budgets", "inside"),
    [
        (((0, 10), (0, 50), (0, 20)), (200, 300), {1, 2}),  # what would wait longest elsewhere
        (((0, 10), (0, 50), (0, 20)), (100, 300), {1}),
        (((0, 10), (0, 50), (0, 20)), (300, 300), {0, 1, 2}),
        (((5, 0), (0, 50), (0, 20)), (300, 300), {1, 2}),  # a later memory may be the better one
    ],
)
def test_what_waits_longest_elsewhere_lies_near(solver, waits, budgets, inside, monkeypatch):
    if solver:
        pytest.importorskip("ortools")
    else:
        monkeypatch.setattr("smelt.planner.solver.installed", lambda: False)
    places = by_price(_blocks(100, 100, 100), budgets, waits, _packed, NORMAL)
    assert {i for i, (memory, _) in enumerate(places) if memory == 0} == inside


def test_the_least_waiting_is_that_of_brute_force():
    pytest.importorskip("ortools")
    spans = [(0, 3, 120), (1, 2, 80), (2, 5, 200), (4, 6, 120), (5, 6, 60), (0, 6, 40)]
    blocks, waits = [Block((Span(*span),)) for span in spans], [(0, n * n + 3, n + 7) for n in (9, 4, 7, 2, 5, 3)]
    budgets = (240, 200, 400)
    fitting = [
        sum(of[m] for of, m in zip(waits, memories, strict=True))
        for memories in product(range(3), repeat=len(blocks))
        if all(
            most_alive(some) == height(some, _packed(some)) <= budget
            for n, budget in enumerate(budgets)
            for some in [[b for b, m in zip(blocks, memories, strict=True) if m == n]]
        )
    ]
    assert waiting(waits, by_price(blocks, budgets, waits, _packed, NORMAL)) == min(fitting)


def test_of_equal_prices_the_fewest_memories_are_taken():
    pytest.importorskip("ortools")
    places = by_price(_blocks(100, 100), (100, 300, 300), ((9, 4, 4), (9, 4, 4)), _packed, NORMAL)
    assert {memory for memory, _ in places} == {1}


def test_what_fits_nowhere_has_no_places():
    blocks = _blocks(100, 100, 100)
    assert by_price(blocks, (100, 150), ((0, 1),) * 3, _packed, NORMAL) is None
    assert arrange(blocks, (100, 150), NORMAL, ((0, 1),) * 3) is None


def test_a_network_that_is_too_large_for_the_first_memory_uses_it_all_the_same():
    kws = prepare(load(KWS))
    tight = _small(STACK_RESERVE + 12 * 1024)
    plan = make_plan(kws, tight, FRUGAL)
    assert {m.name for m in plan.memories} == {"dtcm", "sram1"} and plan.used("dtcm") > 9_000
    one = make_plan(kws, F746, FRUGAL, goal="ram").ram_bytes
    lean = make_plan(kws, tight, FRUGAL, goal="speed", limits=Limits(ram=one))
    assert lean.ram_bytes <= one <= plan.ram_bytes and lean.cycles >= plan.cycles


def test_prices_matter_where_memories_differ():
    kws = prepare(load(KWS))
    assert {m.name for m in make_plan(kws, F746, FRUGAL).memories} == {"dtcm"}
    assert priced(F746) and priced(board("nucleo_h743zi"))
    assert not priced(board("nucleo_l4r5zi")) and not priced(board("esp32c3"))
