"""Parts of a foreign program: they are steps wherever they are called, and however often."""

import pytest

from smelt.devices.simulators.simulator import Simulator
from smelt.targets.boards import board
from tests.foreign import build

PROGRAM = """
#define OWN __attribute__((noinline, noclone))
volatile uint32_t sink;
OWN void spin(uint32_t n) { while (n--) sink = n; }
OWN void leaf(void) { sink = 1; spin(20); sink = 2; }
OWN void other(void) { sink = 5; spin(30); sink = 6; }
OWN void nest(void) { spin(7); leaf(); spin(9); other(); sink = 3; }
OWN void recurse(uint32_t depth) { spin(4); if (depth) recurse(depth - 1); spin(2); sink = 8; }
OWN void turn(void) { sink = 9; spin(11); other(); }
OWN void helper(void) { spin(3); leaf(); sink = 4; }
OWN void deep(void) { helper(); sink = 4; helper(); sink = 5; }
OWN void work(void) { sink = 7; %s sink = 7; }
int main(void) { work(); sink = 1; work(); leaf(); return 0; }
"""
CASES = (
    ("deeper than in the function", "deep();", ("leaf",), ("leaf", "leaf")),
    ("directly and deeper", "leaf(); helper(); leaf();", ("leaf",), ("leaf",) * 3),
    ("one within another", "nest(); leaf();", ("leaf", "nest"), ("nest", "leaf", "leaf")),
    ("all within another", "nest(); other();", ("leaf", "nest", "other"), ("nest", "leaf", "other", "other")),
    ("recursion", "recurse(3); leaf();", ("recurse", "leaf"), ("recurse",) * 4 + ("leaf",)),
    ("recursion around others", "recurse(40); recurse(0);", ("recurse",), ("recurse",) * 42),
    ("a tail call", "turn(); leaf();", ("turn", "other", "leaf"), ("turn", "other", "leaf")),
    ("a tail call of what is no part", "turn(); leaf();", ("turn", "leaf"), ("turn", "leaf")),
    ("many", "for (uint32_t i = 0; i < 500; i++) leaf();", ("leaf",), ("leaf",) * 500),
    ("the function itself", "leaf();", ("work", "leaf"), ("work", "leaf")),
    ("none", "spin(3);", ("leaf",), ()),
)


@pytest.mark.parametrize("name", ["nucleo_l4r5zi", "disco_f746ng"])
@pytest.mark.parametrize(("calls", "parts", "steps"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_parts_are_steps_wherever_they_are_called(name, calls, parts, steps, tmp_path):
    elf = build(name, PROGRAM % calls, tmp_path)
    whole = Simulator(board(name)).run_elf(elf, function="work")
    run = Simulator(board(name)).run_elf(elf, function="work", parts=parts)
    assert len(run.step_instructions) == len(run.step_cycles) == len(steps)
    assert (run.instructions, run.runs) == (whole.instructions, whole.runs) == (whole.overhead_instructions, 2)
    assert abs(run.cycles - whole.cycles) <= len(steps) + 1  # fractions of cycles
    counted = dict(zip(steps, run.step_instructions, strict=True))
    alike = [n for n, step in zip(run.step_instructions, steps, strict=True) if step == "leaf"]
    assert len(set(alike)) <= 1
    if "leaf" in counted and "other" in counted:
        assert 0 < counted["leaf"] < counted["other"]  # spins less
