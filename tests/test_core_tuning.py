"""Tuning for boards with a cluster: whole steps measured on the simulator, known by a log, and taken by plans."""

from dataclasses import replace

import pytest

from smelt.errors import OptionError
from smelt.model.ops import AveragePool2D
from smelt.planner import make_plan
from smelt.planner.core_figures import name_of, routines_of, schedule_of, step_key
from smelt.planner.core_search import CoreSearch
from smelt.planner.costs import cycles_of
from smelt.planner.evidence import evidence
from smelt.planner.known import Known
from smelt.planner.limits import Limits
from smelt.planner.log import TuningLog
from smelt.planner.measurement import Measurement, Origin
from smelt.planner.predict import Predictor
from smelt.planner.ratios import ratios
from smelt.planner.ways import Ways
from smelt.plugins import implementations
from smelt.tuning import core_steps
from smelt.tuning.core_steps import CoreTuning, core_works, tune_steps
from smelt.tuning.tune import tune
from tests.paths import HELLO
from tests.test_cores import BOARD, LAYERS, image, planned, pool

GRAPH = LAYERS["pixels"]


@pytest.fixture(scope="module")
def candidates():
    (work,) = core_works(planned(GRAPH), Ways(BOARD.core, implementations()))
    assert work.times == 1 and len(work.candidates) > 2
    return work.candidates


def known(*figures):
    """A log that says so of candidates."""
    lines = [
        Measurement(name_of(way), step_key(way.op), way.whole.implementation.name, schedule_of(way), BOARD.name, cycles)
        for way, cycles in figures
    ]
    return Known.trusting(BOARD, TuningLog(tuple(lines)))


def test_names_say_what_a_step_is_and_not_whose(candidates):
    """The same for tensors of other names, another one for every other size; kernels are part of it."""
    assert len({name_of(way) for way in candidates}) == len(candidates)
    op = GRAPH.ops[0]
    renamed = {t: replace(t, name=f"{t.name}_2") for t in (op.x, op.y)}
    other = replace(GRAPH, inputs=(renamed[op.x],), outputs=(renamed[op.y],), ops=(op.substitute(renamed),))
    assert name_of(planned(other).ways[0]) == name_of(candidates[0])
    assert all(way.size and schedule_of(way).endswith(way.size) for way in candidates)


def test_what_was_measured_to_be_faster_is_taken(candidates):
    guess, *_, other = candidates
    log = known((guess, 9000), (other, 7000))
    found = make_plan(GRAPH, BOARD, known=log)
    (way,) = found.ways
    assert name_of(way) == name_of(other) == way.measured and found.cycles == way.cycles == 7000
    assert cycles_of(Predictor(log), way).source == "measured"
    assert evidence(found, log).measured == 1


@pytest.mark.parametrize("figures", [(9000, 8990), (None, 7000), (9000, None)], ids=["noise", "no guess", "failed"])
def test_the_guess_stays_where_nothing_says_that_it_is_slower(candidates, figures):
    guess, *_, other = candidates
    some = ((way, cycles) for way, cycles in zip((guess, other), figures, strict=True) if cycles)
    (way,) = make_plan(GRAPH, BOARD, known=known(*some)).ways
    assert name_of(way) == name_of(guess)


def test_what_has_no_room_and_what_is_nothing_is_not_taken(candidates):
    """Of a log of other budgets, or one that somebody edited."""
    guess, *_, other = candidates
    log = known((guess, 9000), (other, 7000)).believed.measurements
    odd = tuple(replace(m, kernel=f"odd_{n}", cycles=10, schedule=text) for n, (m, text) in enumerate(
        zip((log[1],) * 3, ("quads(direct)", "quads(direct) | nothing", "none | pixels"), strict=True)
    ))  # fmt: skip
    (way,) = make_plan(GRAPH, BOARD, known=Known.trusting(BOARD, TuningLog((*log, *odd)))).ways
    assert name_of(way) == name_of(other)
    little = Limits(regions=(("l1", 8192),))
    (way,) = make_plan(GRAPH, BOARD, known=known((guess, 9000), (other, 7000)), limits=little).ways
    assert name_of(way) == name_of(planned(GRAPH, 8192).ways[0])


def test_of_pools_all_implementations_are_compared():
    """Words of four channels, best for one core, leave cores without a share where an image has one pixel."""
    graph, ways = pool(AveragePool2D, image(25, 5, 64), (25, 5)), Ways(BOARD.core, implementations())
    plan = planned(graph)
    search = CoreSearch.of(plan, Predictor(Known(BOARD)), ways)
    found = {way.implementation.name: search.best(way).cycles for way in ways.first_of_each(graph.ops[0], 1)}
    assert plan.ways[0].whole.implementation.name == "average_pool"
    assert plan.ways[0].cycles <= found["average_pool"] < found["average_pool_words"]


def test_figures_of_steps_say_nothing_of_kernels(candidates):
    """Nor of other boards with the same core."""
    assert not ratios(BOARD, known((candidates[0], 9000)).believed.measurements)


def test_steps_are_measured_and_known(tmp_path, monkeypatch):
    monkeypatch.setattr(core_steps, "SIZES", 1)
    monkeypatch.setattr(core_steps, "SCHEDULES", 1)
    monkeypatch.setattr(core_steps, "WORTH", 1.1)
    file, told = tmp_path / "log.jsonl", []
    case = CoreTuning(
        GRAPH, BOARD, Ways(BOARD.core, implementations()), "zig", Origin("simulator", "zig"), TuningLog.empty, file
    )
    done = tune_steps(case, float("inf"), False, lambda *progress: told.append(progress))
    log = TuningLog.load(file)
    assert done.measured == done.candidates == len(log.measurements) > 0 == done.failed == done.left
    assert done.cycles_after <= done.cycles_before and told[-1][0] == told[-1][1] and told[-1][2]
    for m in log.measurements:
        features = dict(m.features)
        assert 0.4 * m.cycles < features["predicted"] < 1.5 * m.cycles and features["cores"] == 8
    monkeypatch.setattr(core_steps, "_whole_runs", lambda *asked: (2, 1))
    again = tune_steps(replace(case, log=log), 0.0, False, lambda *progress: None)
    assert again.known == done.candidates and again.measured == again.left == 0
    guess = planned(GRAPH).ways[0]
    assert log.find(name_of(guess), BOARD.name).routines == routines_of(guess, BOARD.core)


@pytest.mark.parametrize("where", [{"device": "pyocd"}, {"farm": "tcp://127.0.0.1:1"}])
def test_real_boards_and_farms_are_refused(where, tmp_path):
    with pytest.raises(OptionError, match="this computer's simulator only: leave out"):
        tune(HELLO, BOARD, tmp_path / "log.jsonl", **where)
