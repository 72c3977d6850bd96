"""What lies beside the core where that memory does not hold everything."""

from dataclasses import replace

import pytest

from smelt.importers import load
from smelt.kernels import FRUGAL
from smelt.passes import prepare
from smelt.planner import make_plan
from smelt.planner.blocks import Block, Span, first_fit
from smelt.planner.limits import Limits
from smelt.planner.nearer import matters, near
from smelt.planner.placement import STACK_RESERVE
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


@pytest.mark.parametrize(
    ("saved", "budget", "ram", "inside"),
    [
        ((10, 50, 20), 200, None, {1, 2}),  # what saves most
        ((10, 50, 20), 100, None, {1}),
        ((0, 0, 90), 200, None, {0, 2}),  # what saves nothing may lie there, too
        ((10, 50, 20), 300, None, {0, 1, 2}),
    ],
)
def test_what_saves_most_lies_in_the_first_memory(saved, budget, ram, inside):
    places = near(_blocks(100, 100, 100), saved, (budget, 300), ram, first_fit)
    assert {i for i, (memory, _) in enumerate(places) if memory == 0} == inside


def test_no_more_is_taken_than_there_is():
    blocks = _blocks(100, 100, 100)
    assert near(blocks, (1, 1, 1), (100, 150), None, first_fit) is None
    assert near(blocks, (1, 1, 1), (200, 300), 299, first_fit) is None
    assert near(blocks, (1, 1, 1), (200, 300), 300, first_fit) is not None


def test_a_network_that_is_too_large_for_the_first_memory_uses_it_all_the_same():
    kws = prepare(load(KWS))
    tight = _small(STACK_RESERVE + 12 * 1024)
    plan = make_plan(kws, tight, FRUGAL)
    assert {m.name for m in plan.memories} == {"dtcm", "sram1"} and plan.used("dtcm") > 10_000
    one = make_plan(kws, F746, FRUGAL).ram_bytes
    assert make_plan(kws, tight, FRUGAL, limits=Limits(ram=one)).ram_bytes <= one <= plan.ram_bytes


def test_nothing_is_split_where_it_all_fits_or_nothing_waits():
    kws = prepare(load(KWS))
    assert {m.name for m in make_plan(kws, F746, FRUGAL).memories} == {"dtcm"}
    assert matters(F746) and matters(board("nucleo_h743zi"))
    assert not matters(board("nucleo_l4r5zi")) and not matters(board("nucleo_u575zi_q"))
