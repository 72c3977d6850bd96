"""Cycles that nobody measured: what the planner believes that tables in RAM are worth."""

from dataclasses import replace

import pytest

from smelt.importers import load
from smelt.kernels import FRUGAL
from smelt.passes import prepare
from smelt.planner.known import Known
from smelt.planner.predict import MOST_SAVED, Predictor
from smelt.planner.ways import Way
from smelt.targets.boards import board
from smelt.tuning.works import works
from tests.paths import KWS


def _saved(predictor: Predictor, way: Way, turns: float) -> tuple[int, int]:
    """What the candidate takes with its tables in flash, and what it saves with tables in RAM."""
    way = replace(way)
    way.__dict__["counted"] = replace(way.counted, turns=turns)
    flash = predictor.cycles(way)
    return flash.value, flash.value - predictor.copied(way, flash).value


@pytest.mark.parametrize(
    ("name", "separate"), [("nucleo_l4r5zi", True), ("disco_f746ng", False), ("nucleo_u575zi_q", False)]
)
def test_tables_beside_the_activations_save_the_turns_between_them_where_memories_do_not_chain(name, separate):
    predictor = Predictor(Known(board(name)))
    counted = 0
    for work in works(prepare(load(KWS)), board(name), FRUGAL, 0):
        candidate = next(c for c in work.candidates if not c.resident)
        turns = candidate.counted.turns
        flash, saved = _saved(predictor, candidate, turns)
        without = _saved(predictor, candidate, 0)[1]
        wanted = min(without + turns, MOST_SAVED * flash) if separate else without
        assert saved == pytest.approx(wanted, abs=1)
        counted += turns * work.times
    if separate:
        assert 150_000 < counted < 250_000  # the simulated board loses 199,000 cycles to turns
