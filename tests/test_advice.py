"""What is said to make a model fit does: every claim is planned, and a byte less is refused where the least is claimed."""

import re
from dataclasses import replace

import pytest

from smelt.errors import DoesNotFit
from smelt.importers import load
from smelt.passes import prepare
from smelt.planner import Limits, make_plan
from smelt.planner.advice import plan_or_advice
from smelt.planner.limits import UNLIMITED
from smelt.planner.ways import Ways
from smelt.targets.boards import BOARDS, NUCLEO_L4R5ZI, board
from tests.paths import AD, KWS


class Asking:
    """Plans of one graph, which are counted."""

    def __init__(self, model):
        self.graph, self.ways, self.count = prepare(load(model)), {}, 0

    def __call__(self, goal, there, limits):
        from smelt.kernels import IMPLEMENTATIONS

        self.count += 1
        ways = self.ways.setdefault(there.core.name, Ways(there.core, IMPLEMENTATIONS))
        return make_plan(self.graph, there, ways, goal=goal, limits=limits)

    def refused(self, goal, there, limits=UNLIMITED):
        with pytest.raises(DoesNotFit) as error:
            plan_or_advice(self, goal, there, limits)
        return str(error.value)


@pytest.fixture(scope="module")
def ad():
    return Asking(AD)


def sized(**sizes):
    """The board with other sizes of memories."""
    memories = tuple(replace(m, size=sizes.get(m.name, m.size)) for m in NUCLEO_L4R5ZI.chip.memories)
    return replace(NUCLEO_L4R5ZI, chip=replace(NUCLEO_L4R5ZI.chip, memories=memories))


def number(pattern, text):
    found = re.search(pattern, text)
    assert found, text
    return int(found[1].replace(",", ""))


def test_what_fits_is_planned_once(ad):
    before = ad.count
    assert plan_or_advice(ad, "speed", NUCLEO_L4R5ZI, UNLIMITED).steps and ad.count == before + 1


def test_a_budget_is_told_that_is_enough_and_a_byte_less_is_not(ad):
    message = ad.refused("speed", NUCLEO_L4R5ZI, Limits(ram=900))
    enough = number(r"--max-ram (\d+)", message)
    assert "It would fit:" in message and number(r"--max-ram \d+: ([\d,]+) bytes more", message) == enough - 900
    assert ad("speed", NUCLEO_L4R5ZI, Limits(ram=enough)).ram_bytes <= enough
    with pytest.raises(DoesNotFit):
        ad("ram", NUCLEO_L4R5ZI, Limits(ram=enough - 1))


def test_a_budget_of_flash(ad):
    message = ad.refused("speed", NUCLEO_L4R5ZI, Limits(flash=10_000))
    enough = number(r"--max-flash (\d+)", message)
    assert ad("speed", NUCLEO_L4R5ZI, Limits(flash=enough)).flash_bytes <= enough
    assert "--max-ram" not in message


def test_two_budgets_of_which_neither_alone_helps(ad):
    message = ad.refused("ram", NUCLEO_L4R5ZI, Limits(ram=800, flash=10_000))
    plan = ad("ram", NUCLEO_L4R5ZI, UNLIMITED)
    assert f"without budgets: {plan.ram_bytes:,} bytes of RAM and {plan.flash_bytes:,} of flash" in message


def test_bytes_that_a_memory_lacks(ad):
    """Where the board itself is too small; then the first board that holds it is named, too."""
    names = [m.name for m in NUCLEO_L4R5ZI.chip.rams]
    small = sized(**dict.fromkeys(names, 4200))
    ask = Asking(KWS)
    message = ask.refused("ram", small)
    more, name = number(r"with ([\d,]+) bytes more in", message), re.search(r"bytes more in (\w+)", message)[1]
    assert name in names and ask("ram", sized(**{**dict.fromkeys(names, 4200), name: 4200 + more}), UNLIMITED)
    other = re.search(r"on (\w+), the smallest board that holds it: ([\d,]+) bytes of RAM", message)
    assert other and ask("ram", board(other[1]), UNLIMITED).ram_bytes == int(other[2].replace(",", ""))


def test_flash_that_a_board_lacks(ad):
    message = ad.refused("balanced", sized(flash=20_000))
    more = number(r"with ([\d,]+) bytes more in flash", message)
    assert ad("flash", sized(flash=20_000 + more), UNLIMITED)
    assert re.search(rf"on ({'|'.join(b.name for b in BOARDS)}), the smallest board", message)


def test_another_goal(ad):
    """KWS for speed takes what `--for ram` does without."""

    def ask(goal, there, limits):
        if goal == "speed":
            raise DoesNotFit("no")
        return ad(goal, there, limits)

    plan = ad("ram", NUCLEO_L4R5ZI, UNLIMITED)
    with pytest.raises(
        DoesNotFit, match=rf"--for ram: {plan.ram_bytes:,} bytes of RAM and {plan.flash_bytes:,} of flash"
    ):
        plan_or_advice(ask, "speed", NUCLEO_L4R5ZI, UNLIMITED)


def test_nothing_helps():
    def never(goal, there, limits):
        raise DoesNotFit("no")

    with pytest.raises(DoesNotFit, match="Nothing was found that would make it fit"):
        plan_or_advice(never, "speed", NUCLEO_L4R5ZI, Limits(ram=1))
