"""Measurements hold on other boards exactly where a kernel takes as long there."""

from dataclasses import replace

import pytest

from smelt.compile import compile, measured
from smelt.planner.log import TuningLog
from smelt.planner.measurement import Measurement, Origin
from smelt.targets.boards import BOARDS, board
from smelt.targets.types import MB, Cache, Path
from smelt.tuning.alike import holding, takes_as_long
from smelt.tuning.shipped import shipped_log
from tests.paths import KWS

BASE, MORE = board("disco_f746ng"), board("disco_f746ng_sdram")


def changed(target, memory=None, **changes):
    """Another board, with changes of its chip or of one of its memories."""
    if memory is not None:
        memories = tuple(replace(m, **changes) if m.name == memory else m for m in target.chip.memories)
        changes = {"memories": memories}
    return replace(target, name="mine", chip=replace(target.chip, **changes))


def test_which_boards_of_smelt_take_as_long_as_others():
    pairs = {(b.name, other.name) for b in BOARDS for other in BOARDS if b is not other and takes_as_long(b, other)}
    assert ("disco_f746ng_sdram", "disco_f746ng") in pairs and ("disco_f746ng", "disco_f746ng_sdram") not in pairs
    assert ("stm32h750b_dk", "nucleo_h743zi") in pairs  # less flash, which changes no time
    assert not [pair for pair in pairs if "nucleo_l4r5zi" in pair]


@pytest.mark.parametrize(
    "other",
    [
        changed(MORE, "sram1", path=Path(9, 10)),
        changed(MORE, "flash", start=0x08100000),
        changed(MORE, "dtcm", name="tcm"),
        changed(MORE, setup=()),
        changed(MORE, double_precision=True),
        changed(MORE, "flash", path=replace(BASE.chip.flash.path, data=Cache("dcache", 8192, 4, 32, "random"))),
        changed(MORE, core=board("nucleo_l4r5zi").core),
    ],
)
def test_what_changes_time_is_another_board(other):
    assert takes_as_long(changed(MORE), BASE) and not takes_as_long(other, BASE)


def test_sizes_and_more_memories_change_nothing():
    assert takes_as_long(changed(MORE, "flash", size=2 * MB), BASE)


def test_what_was_measured_is_worth_the_same():
    mine, theirs = (measured(None, b, "zig") for b in (changed(MORE), BASE))
    assert mine.believed.measurements and mine.board.name == "mine"
    kinds = [
        [(m.kernel, m.cycles, m.places, known.grade) for m in known.believed.measurements] for known in (mine, theirs)
    ]
    assert [k[:3] for k in kinds[0]] == [k[:3] for k in kinds[1]]
    assert {m.origin.counter.split()[0] for m in mine.believed.measurements} == {"simulator"}


def test_the_same_ways_are_chosen():
    mine, theirs = (compile(KWS, b, compiler="none") for b in (MORE, BASE))
    assert [str(w) for w in mine.plan.ways] == [str(w) for w in theirs.plan.ways]
    assert mine.evidence == theirs.evidence


def test_what_was_measured_on_the_board_itself_comes_last():
    def row(name, cycles, counter):
        return Measurement("k", "op", "way", "", name, cycles, origin=Origin(counter, "zig 1"))

    log = TuningLog(
        (row(MORE.name, 5, "device openocd"), row(BASE.name, 7, "device openocd"), row("nucleo_l4r5zi", 9, "x"))
    )
    found = holding(log, MORE).about(MORE.name).measurements
    assert [m.cycles for m in found] == [7, 5] and holding(log, BASE).about(BASE.name).measurements == (
        log.measurements[1],
    )
    assert holding(shipped_log(), board("pico")).measurements == shipped_log().measurements
