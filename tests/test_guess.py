"""What is chosen where nobody measured such ops."""

from dataclasses import replace
from types import SimpleNamespace

from smelt.importers import load
from smelt.kernels import FRUGAL
from smelt.passes import prepare
from smelt.planner import chosen, make_plan
from smelt.planner.alternatives import _of_interest
from smelt.planner.guess import MARGIN, guessed
from smelt.planner.known import Known
from smelt.planner.log import TuningLog
from smelt.planner.measurement import Measurement, Origin, Places
from smelt.planner.predict import Predictor
from smelt.planner.ratios import ratios
from smelt.planner.ways import Ways, op_key
from smelt.targets.boards import board
from tests.paths import KWS

F746, H743 = board("disco_f746ng"), board("nucleo_h743zi")
PLACES = Places("flash", "flash", "dtcm", "dtcm", "dtcm")


def _row(way, ratio, name="disco_f746ng", key="another op"):
    cost = round(way.instructions(F746.core))
    features = (("cost", cost), ("tables", 0))
    return Measurement(
        "k", key, *way.names, name, round(cost * ratio), None, Origin("a", "b"), PLACES, features=features
    )


def _log(ways, op, slow):
    """Measurements of other ops: the first implementation is so many times as slow as all others."""
    firsts = {way.names[0]: way for way in ways.first_of_each(op, 1)}
    first = ways.first(op).names[0]
    return TuningLog(tuple(_row(way, slow if name == first else 1.0) for name, way in firsts.items()))


def _case():
    ways = Ways(F746.core, FRUGAL)
    default = chosen(prepare(load(KWS)), ways)
    return ways, next(way for way in default if type(way.op).__name__ == "Conv2D")


def test_nothing_is_guessed_without_measurements_of_anything():
    ways, first = _case()
    assert guessed([first], Predictor(Known(F746)), ways) == (first,)


def test_a_way_that_promises_more_than_estimates_err_is_taken():
    ways, first = _case()
    known = Known.trusting(F746, _log(ways, first.op, 20.0))
    (taken,) = guessed([first], Predictor(known), ways)
    assert taken.names[0] != first.names[0]
    values = [Predictor(known).cycles(way).value for way in (first, taken)]
    assert values[1] < (1 - MARGIN) * values[0]


def test_measured_ops_are_not_guessed():
    ways, first = _case()
    log = _log(ways, first.op, 20.0) + TuningLog((_row(first, 20.0, key=op_key(first.op)),))
    assert guessed([first], Predictor(Known.trusting(F746, log)), ways) == (first,)


def test_boards_with_the_same_core_tell_of_each_other():
    ways, first = _case()
    log = _log(ways, first.op, 20.0)
    assert ratios(H743, log.measurements) == ratios(F746, log.measurements)
    assert not ratios(board("nucleo_l4r5zi"), log.measurements)
    known = Known.of(H743, log, Origin("a", "b"))
    assert guessed([first], Predictor(known), ways) != (first,)


def test_what_waited_for_memory_says_nothing_about_the_core():
    _, first = _case()
    slow = replace(_row(first, 3.0), places=replace(PLACES, x="sram1"))
    assert not ratios(F746, (slow,))


def test_a_board_without_measurements_plans_by_those_of_its_kin():
    """Of the board itself nothing is known, which is not the same as nothing."""
    ways, first = _case()
    known = Known.of(H743, _log(ways, first.op, 20.0), Origin("a", "b"))
    assert not known.measurements and known.kin.measurements
    plans = [make_plan(prepare(load(KWS)), H743, FRUGAL, known=some) for some in (None, known)]
    by_default, by_kin = ([way.names[0] for way in plan.ways if way.op.y.shape == first.op.y.shape] for plan in plans)
    assert first.names[0] in by_default and first.names[0] not in by_kin


def test_what_was_measured_as_fast_as_the_first_guess_is_looked_at():
    """It may take less scratch; what is as slow as others is not built."""
    ranked = [("a", str(n), 900 + n) for n in range(6)] + [
        ("a", "first", 1000),
        ("b", "lean", 1009),
        ("c", "slow", 1011),
    ]
    default = SimpleNamespace(names=("a", "first"))
    assert [*_of_interest(ranked, default)] == [*(("a", str(n)) for n in range(4)), ("a", "first"), ("b", "lean")]
    assert [*_of_interest(ranked, SimpleNamespace(names=("d", "")))] == [("a", str(n)) for n in range(4)]
