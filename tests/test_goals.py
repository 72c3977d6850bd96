"""Goals and budgets: monotone by construction, equal on every run; memories that are given or left alone; interrupts."""

import json
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
from click.testing import CliRunner

from smelt.cli import main
from smelt.errors import DoesNotFit, OptionError, SmeltError
from smelt.importers import load
from smelt.kernels import IMPLEMENTATIONS
from smelt.passes import prepare
from smelt.planner import GOALS, Limits, make_plan
from smelt.planner.alternatives import Option
from smelt.planner.check import check
from smelt.planner.copies import UNIT, Copies, Copy
from smelt.planner.effort import EFFORTS, Planning, effort_named
from smelt.planner.limits import checked, regions_of
from smelt.planner.predict import Cycles
from smelt.planner.ways import Ways
from smelt.targets.boards import DISCO_F746NG, NUCLEO_L4R5ZI, board
from tests.paths import AD, KWS

AIMS = {"speed": "cycles", "energy": "cycles", "ram": "ram_bytes", "flash": "flash_bytes"}


@pytest.fixture(scope="module")
def kws():
    return prepare(load(KWS))


@pytest.fixture(scope="module")
def ways():
    return Ways(NUCLEO_L4R5ZI.core, IMPLEMENTATIONS)


@pytest.fixture(scope="module")
def disco_ways():
    return Ways(DISCO_F746NG.core, IMPLEMENTATIONS)


@pytest.fixture(scope="module")
def plans(kws, ways):
    """For each budget of RAM, from the least on, the plans of all goals that find one."""
    least = make_plan(kws, NUCLEO_L4R5ZI, ways, goal="ram").ram_bytes
    budgets = [least, round(1.2 * least), 2 * least, 4 * least]
    return [
        {goal: make_plan(kws, NUCLEO_L4R5ZI, ways, goal=goal, limits=Limits(budget)) for goal in GOALS}
        for budget in budgets
    ]


@pytest.mark.parametrize("goal", AIMS)
def test_no_goal_is_better_in_another_goals_aim(plans, goal):
    for here in plans:
        mine = getattr(here[goal], AIMS[goal])
        assert mine == min(getattr(plan, AIMS[goal]) for plan in here.values())


def test_more_ram_never_makes_speed_slower(plans):
    cycles = [here["speed"].cycles for here in plans]
    assert all(more <= less for less, more in pairwise(cycles)) and cycles[-1] < cycles[0]


def test_the_least_ram_is_not_paid_with_portable_kernels(plans):
    names = {way.implementation.name for step in plans[0]["ram"].steps for way in step.way.ways}
    assert "conv2d_direct" in names and not any(name.endswith("portable") for name in names)


def test_balanced_is_frugal_and_takes_the_least_ram_of_what_is_about_as_fast(kws, ways, plans):
    for here in plans:
        plan = here["balanced"]
        assert not any(step.resident for step in plan.steps)
        assert not any(way.implementation.spends_flash for step in plan.steps for way in step.way.ways)
    usual = make_plan(kws, NUCLEO_L4R5ZI, ways)
    cheaper = Limits(usual.ram_bytes - 4)
    assert make_plan(kws, NUCLEO_L4R5ZI, ways, limits=cheaper).cycles > 1.01 * plans[-1]["speed"].cycles


def test_plans_are_equal_on_every_run(kws):
    """Other ways are built, nothing else is kept from one to the next."""
    runs = [Ways(DISCO_F746NG.core, IMPLEMENTATIONS) for _ in range(2)]
    for goal, budget in (("flash", 20_000), ("speed", 25_000)):
        first, second = (make_plan(kws, DISCO_F746NG, ways, goal=goal, limits=Limits(budget)) for ways in runs)
        assert str(first) == str(second) and first.in_full() == second.in_full()


def test_efforts_scale_every_limit():
    for less, more in pairwise(EFFORTS):
        limits = [(getattr(less, f), getattr(more, f)) for f in ("choice", "addresses", "moves", "rungs")]
        assert all(a < b for a, b in limits)
    with pytest.raises(OptionError, match="no effort"):
        effort_named("some")


# --- tables in RAM ----------------------------------------------------------------------------------------------------


def test_copies_are_those_that_save_most_in_every_room():
    offers = (((2, 30), (1, 10)), ((1, 14),), ((3, 40), (2, 36)))
    options: list[Option] = [(object(), Cycles(100, "measured")) for _ in offers]
    made = tuple(
        tuple(Copy((object(), Cycles(100 - saved, "measured")), units, saved) for units, saved in some)
        for some in offers
    )
    copies = Copies(tuple(options), made)
    for room in range(8):
        some = [((0, 0), *offer) for offer in offers]
        best = max(sum(s for _, s in taken) for taken in product(*some) if sum(u for u, _ in taken) <= room)
        assert copies.saved(room * UNIT) == best
        taken = next(copies.best_first(room * UNIT))
        assert sum(100 - cycles.value for _, cycles in taken) == best
    values = [sum(c.value for _, c in taken) for taken in copies.best_first(7 * UNIT)]
    assert all(a < b for a, b in pairwise(values)) and values[-1] == 300, "best first, at last none"


# --- regions and weights ----------------------------------------------------------------------------------------------


def test_a_region_bounds_what_is_taken_of_a_memory(kws, disco_ways):
    for regions in ((("dtcm", 8 * 1024),), (("dtcm", 0),)):
        plan = make_plan(kws, DISCO_F746NG, disco_ways, goal="speed", limits=Limits(regions=regions))
        taken = plan.used("dtcm") + plan.resident_uses.get("dtcm", 0)
        assert taken <= regions[0][1] and plan.used("sram1") > 0
        assert plan.board is DISCO_F746NG and "regions: dtcm" in str(plan.in_full())
    free = make_plan(kws, DISCO_F746NG, disco_ways)
    with pytest.raises(SmeltError, match="bytes of dtcm are more than the 100 of its region"):
        check(replace(free, limits=Limits(regions=(("dtcm", 100),))))
    nothing = tuple((m.name, 0) for m in DISCO_F746NG.chip.rams)
    with pytest.raises(DoesNotFit):
        make_plan(kws, DISCO_F746NG, disco_ways, limits=Limits(regions=nothing))


def test_weights_lie_where_they_are_told_to():
    graph = prepare(load(AD))
    flash = make_plan(graph, DISCO_F746NG, goal="speed", limits=Limits(weights="flash"))
    assert not flash.resident_bytes
    ram = make_plan(graph, board("nucleo_h743zi"), limits=Limits(weights="ram"))
    assert ram.resident_bytes == ram.table_bytes > 0
    one = make_plan(graph, board("nucleo_h743zi"), limits=Limits(weights="axi"))
    places = {one.table_memory(a) for call in one.calls for a in call.arguments if isinstance(a, np.ndarray)}
    assert places == {"axi"}
    with pytest.raises(DoesNotFit):
        make_plan(graph, DISCO_F746NG, limits=Limits(weights="sram2"))


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(regions=(("ccm", 5),)), "no RAM 'ccm': there are dtcm"),
        (Limits(regions=(("dtcm", 1 << 20),)), "dtcm of disco_f746ng has 65,536 bytes"),
        (Limits(weights="attic"), "weights cannot lie in 'attic'"),
    ],
)
def test_what_the_board_does_not_have(limits, words):
    with pytest.raises(OptionError, match=words):
        checked(limits, DISCO_F746NG)


def test_regions_as_users_write_them():
    assert regions_of(["dtcm=64K", "sram3=0", "a = 5"]) == {"dtcm": 65536, "sram3": 0, "a": 5}
    for text in ("dtcm", "=5", "dtcm=lots"):
        with pytest.raises(OptionError):
            regions_of([text])


def test_the_command_line_takes_regions_weights_and_effort():
    words = ["compile", str(KWS), "-b", "disco_f746ng", "--compiler", "none", "--json", "--effort", "quick"]
    done = CliRunner().invoke(main, [*words, "--region", "dtcm=0", "--weights", "flash"])
    assert done.exit_code == 0, done.output
    assert "dtcm" not in {m["memory"] for m in json.loads(done.stdout)["memory"] if m["purpose"] == "tensors"}
    refused = CliRunner().invoke(main, [*words, "--region", "ccm=1K"])
    assert refused.exit_code == 2 and "dtcm (65,536 bytes)" in refused.output


# --- interrupts -------------------------------------------------------------------------------------------------------


def test_an_interrupt_keeps_the_best_plan_so_far(kws, ways):
    told: list[str] = []

    def interrupted(words: str) -> None:
        told.append(words)
        raise KeyboardInterrupt

    plan = make_plan(kws, NUCLEO_L4R5ZI, ways, goal="speed", planning=Planning(report=interrupted, keep_best=True))
    assert "cycles in" in told[0] and any("planning was interrupted" in note for note in plan.notes)
    check(plan)
    with pytest.raises(KeyboardInterrupt):
        make_plan(kws, NUCLEO_L4R5ZI, ways, goal="speed", planning=Planning(report=interrupted))
