"""Cycles that nobody measured: what the planner believes that tables in RAM are worth."""

from dataclasses import replace

import pytest

from smelt.importers import load
from smelt.kernels import FRUGAL
from smelt.passes import prepare
from smelt.planner.estimate import MOST_SAVED, Estimator
from smelt.planner.log import TuningLog
from smelt.targets.boards import board
from smelt.tuning.works import Candidate, works
from tests.paths import KWS


def _saved(estimator: Estimator, candidate: Candidate, key: str, turns: float) -> tuple[int, int]:
    """What the candidate takes with its tables in flash, and what it saves with tables in RAM."""
    way, counted = (candidate.implementation.name, str(candidate.schedule)), replace(candidate.counted, turns=turns)
    flash = estimator.cycles(key, way, candidate.call, counted)
    return flash.value, flash.value - estimator.resident(key, way, candidate.call, counted, flash).value


@pytest.mark.parametrize(
    ("name", "separate"), [("nucleo_l4r5zi", True), ("disco_f746ng", False), ("nucleo_u575zi_q", False)]
)
def test_tables_beside_the_activations_save_the_turns_between_them_where_memories_do_not_chain(name, separate):
    estimator = Estimator(board(name), TuningLog.empty)
    counted = 0
    for work in works(prepare(load(KWS)), board(name), FRUGAL, 0):
        candidate = next(c for c in work.candidates if not c.resident)
        turns = candidate.counted.turns
        flash, saved = _saved(estimator, candidate, work.op_key, turns)
        without = _saved(estimator, candidate, work.op_key, 0)[1]
        wanted = min(without + turns, MOST_SAVED * flash) if separate else without
        assert saved == pytest.approx(wanted, abs=1)
        counted += turns * work.times
    if separate:
        assert 150_000 < counted < 250_000  # the simulated board loses 199,000 cycles to turns
