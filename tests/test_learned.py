"""What a tuning learns, and the order in which it measures."""

import math
from dataclasses import replace

import numpy as np
import pytest

from smelt.importers import load
from smelt.kernels import FRUGAL
from smelt.passes import prepare
from smelt.planner.known import Known
from smelt.planner.log import TuningLog
from smelt.planner.measurement import Measurement, Places
from smelt.targets.boards import board
from smelt.tuning.features import features
from smelt.tuning.learned import Prediction, fit, of_candidate, of_measurement
from smelt.tuning.search import Search
from smelt.tuning.works import works
from tests.paths import KWS

BOARD = board("nucleo_l4r5zi")


@pytest.fixture(scope="module")
def todo():
    return works(prepare(load(KWS)), BOARD, FRUGAL, 100_000)


def truth(candidate):
    """A world in which cycles follow from what is known of a kernel, and a little from what is not."""
    counts, cost = dict(features(candidate, BOARD.core)), candidate.instructions(BOARD.core)
    cycles = cost * (1.1 + 0.5 * counts.get("spills", 0) / cost)
    cycles += 2 * counts["tables"] if not candidate.resident and "tables" in counts else 0
    factor = {"conv2d_portable": 1.7, "dense_portable": 1.5}.get(candidate.implementation.name, 1.0)
    return round(cycles * factor * (1 + 0.01 * math.sin(len(str(candidate.schedule)))))


def measured(work, c, cycles, board=BOARD.name):
    places, known = Places("flash", "sram1" if c.resident else "flash"), features(c, BOARD.core)
    return Measurement(c.kernel, work.op_key, *c.names, board, cycles, places=places, features=known)


def known(log=TuningLog.empty):
    return Known.trusting(BOARD, log)


def explored(search, most=10_000):
    """The subjects in the order in which they would be measured in that world."""
    order = []
    while len(order) < most and (taken := search.take(lambda some: len(some) <= 4)):
        for s in taken:
            order.append(s)
            search.learn(measured(s.work, s.candidate, truth(s.candidate)))
    return order


def test_it_predicts_what_it_has_not_seen_and_knows_how_well(todo):
    everything = [(of_candidate(w.op_key, c, BOARD.core), truth(c)) for w in todo for c in w.candidates]
    np.random.default_rng(0).shuffle(everything)
    seen, unseen = everything[::2], everything[1::2]
    prediction = fit([e for e, _ in seen], [c for _, c in seen]).predict([e for e, _ in unseen])
    errors = prediction.mean - np.log([c for _, c in unseen])
    assert np.median(np.abs(errors)) < 0.05
    assert np.mean(np.abs(errors) < 4 * prediction.deviation) > 0.85
    known = fit([e for e, _ in seen], [c for _, c in seen]).predict([seen[0][0]])
    assert abs(known.mean[0] - math.log(seen[0][1])) < 0.05


def test_a_line_of_the_log_teaches_like_the_candidate(todo):
    work = todo[0]
    c = work.candidates[-1]
    assert of_measurement(measured(work, c, 5)) == of_candidate(work.op_key, c, BOARD.core)
    assert of_measurement(replace(measured(work, c, 5), features=())) is None


def test_the_expected_gain_is_what_it_says():
    prediction = Prediction(np.log(np.array([100.0, 100.0, 100.0])), np.array([1e-6, 0.3, 0.3]))
    gain = prediction.gain(np.array([150.0, 100.0, 20.0]))
    sample = 100 * np.exp(0.3 * np.random.default_rng(0).standard_normal(200_000))
    assert gain[0] == pytest.approx(50, rel=0.01)
    assert gain[1] == pytest.approx(np.maximum(100 - sample, 0).mean(), rel=0.05)
    assert gain[2] < 0.01


def test_defaults_come_first_and_the_best_is_found_early(todo):
    search = Search(todo, known())
    order = explored(search)
    assert {id(s.work) for s in order[: len(todo)]} == {id(w) for w in todo}
    assert all(s.candidate is s.work.candidates[0] for s in order[: len(todo)])
    least = sum(w.times * min(truth(c) for c in w.candidates if not c.resident) for w in todo)
    assert search.best() <= 1.005 * least
    assert len(order) < 0.8 * len(search.subjects), "what promises nothing is left out"
    assert search.known == len(order) and search.known + search.hopeless() == len(search.subjects)


def test_the_order_is_always_the_same_and_resuming_goes_on(todo):
    orders = [[s.candidate.key for s in explored(Search(todo, known()))] for _ in range(2)]
    assert orders[0] == orders[1]
    half = Search(todo, known())
    log = TuningLog(tuple(measured(s.work, s.candidate, truth(s.candidate)) for s in explored(half, 20)))
    rest = explored(Search(todo, known(log)))
    assert not {s.candidate.key for s in rest} & {(m.kernel, m.place[0]) for m in log.measurements}


def test_exhaustive_measures_everything_once(todo):
    order = explored(Search(todo, known(), exhaustive=True))
    keys = [s.candidate.key for s in order]
    assert len(keys) == len(set(keys)) == len({c.key for w in todo for c in w.candidates})


def test_layers_of_another_model_help(todo):
    """Fewer measurements are needed where a log of other steps is known."""
    others = [measured(w, c, truth(c)) for w in todo[1:] for c in w.candidates]
    renamed = TuningLog(tuple(replace(m, kernel=f"{m.kernel}_other", op_key=f"other {m.op_key}") for m in others))

    def until_best(log):
        search, least = Search(todo[:1], known(log)), min(truth(c) for c in todo[0].candidates if not c.resident)
        for n in range(1, 100):
            explored(search, 1)
            if search.best() and search.best() <= 1.01 * least * todo[0].times:
                return n
        raise AssertionError("never")

    assert until_best(renamed) <= until_best(TuningLog.empty)


def test_a_step_whose_first_candidates_fail_is_not_given_up(todo):
    search = Search(todo[:1], known())
    tried = 0
    while taken := search.take(lambda some: len(some) <= 2):
        for s in taken:
            tried += 1
            good = truth(s.candidate) if tried > 6 else None
            search.learn(replace(measured(s.work, s.candidate, good), failure=None if good else "fault: x"))
    assert search.best()


def test_tables_are_tried_in_ram_where_there_is_room(todo):
    search = Search(todo, known())
    order = explored(search)
    assert any(s.candidate.resident for s in order)
    assert not any(c.resident for w in works(prepare(load(KWS)), BOARD, FRUGAL, 0) for c in w.candidates)
    assert all(c.table_bytes <= 100_000 for w in todo for c in w.candidates if c.resident)
