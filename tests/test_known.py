"""What measurements are worth: graded by who counted, with which compiler, and what kernels call; never silently void or taken."""

from dataclasses import replace

import pytest

from smelt.devices.simulators.version import cycle_model
from smelt.importers import load
from smelt.kernels import FRUGAL, digest
from smelt.kernels.digest import routines_digest
from smelt.kernels.headers import all_headers
from smelt.passes import prepare
from smelt.planner import make_plan
from smelt.planner.known import Known
from smelt.planner.log import TuningLog
from smelt.planner.measurement import Measurement, Origin, Places
from smelt.planner.ways import Ways
from smelt.targets.boards import BOARDS, board
from smelt.tuning.features import features
from smelt.tuning.search import Search
from smelt.tuning.works import works
from tests.paths import HELLO, KWS, VWW

BOARD = board("nucleo_l4r5zi")
ORIGIN = Origin(cycle_model(BOARD), "zig 0.17.1")
PATCH = replace(ORIGIN, compiler="zig 0.17.2")
OTHERS = (
    PATCH,
    Origin("simulator 00000000", ORIGIN.compiler),
    Origin("simulator 00000000", PATCH.compiler),
    Origin("", ORIGIN.compiler),
    Origin(ORIGIN.counter, "arm-none-eabi-gcc 12.2.1"),
    Origin("device farm", ORIGIN.compiler),
    Origin("device farm", PATCH.compiler),
)


@pytest.fixture(scope="module")
def graph():
    return prepare(load(HELLO))


@pytest.fixture(scope="module")
def ways():
    return Ways(BOARD.core, FRUGAL)


@pytest.fixture(scope="module")
def todo(graph, ways):
    return works(graph, BOARD, ways)


@pytest.fixture(scope="module")
def convolutions():
    """Candidates of two layers of KWS: kernels that call many routines, and some that call few."""
    graph, ways = prepare(load(KWS)), Ways(BOARD.core, FRUGAL)
    ops = [op for op in graph.ops if type(op).__name__ == "Conv2D"][:2]
    return [way for op in ops for way in ways.every(op)]


def line(way, op_key, cycles, origin=ORIGIN):
    routines = routines_digest(way.call.kernel, BOARD.core)
    return Measurement(way.kernel, op_key, *way.names, BOARD.name, cycles, origin=origin, routines=routines)


def log_of(todo, origin=ORIGIN):
    """A log in which the last candidate of every step is the fastest by far."""
    return TuningLog(
        tuple(
            line(way, work.op_key, 1000 + 300 * n, origin)
            for work in todo
            for n, way in enumerate(reversed(work.candidates))
        )
    )


def planned(graph, ways, log, **more):
    return make_plan(graph, BOARD, ways, known=Known.of(BOARD, log, ORIGIN), **more)


def grades(convolutions, log, origin=ORIGIN):
    """Kernel -> grade."""
    known = Known.of(BOARD, log, origin)
    return {way.kernel: known.grade(known.figure(way.kernel), way.call.kernel) for way in convolutions}


def log_of_convolutions(convolutions):
    return TuningLog(tuple(line(way, "Conv2D", 100 + n) for n, way in enumerate(convolutions)))


def test_another_core_changes_nothing(convolutions):
    """Neither its figures nor its pipeline is in the name of this board's model of time."""
    other = next(b for b in BOARDS if b.core.timing and b.core.name != BOARD.core.name)
    cpu = replace(other.core, timing=replace(other.core.timed, taken=other.core.timed.taken + 1))
    changed = replace(other, chip=replace(other.chip, core=cpu))
    assert cycle_model(changed) != cycle_model(other) and cycle_model(BOARD) == ORIGIN.counter
    assert set(grades(convolutions, log_of_convolutions(convolutions)).values()) == {"measured"}


def test_a_changed_routine_regrades_the_kernels_that_call_it(convolutions, monkeypatch):
    """Whichever it is, in assembly or in C: every text that some of the kernels reach and others do not is changed in turn."""
    log = log_of_convolutions(convolutions)
    reached = {way.kernel: digest.texts_reached(way.call.kernel, BOARD.core) for way in convolutions}
    some = set.union(*reached.values()) - set.intersection(*reached.values())
    assert any("smlad r" in text for text in some) and any("SMELT_INLINE" in text for text in some)
    for changed in sorted(some):
        now = {kernel: {f"{t} new" if t == changed else t for t in texts} for kernel, texts in reached.items()}
        monkeypatch.setattr(digest, "texts_reached", lambda kernel, core, now=now: now[kernel.name])
        callers = {kernel for kernel, texts in reached.items() if changed in texts}
        assert {kernel for kernel, grade in grades(convolutions, log).items() if grade == "similar"} == callers


def test_what_nobody_calls_and_comments_change_nothing(convolutions, monkeypatch):
    log, texts, included = log_of_convolutions(convolutions), dict(all_headers()), digest.with_included
    more = {
        name: f"/* words */\nSMELT_INLINE int smelt_new(int a)\n{{\n    return a;\n}}\n{t}" for name, t in texts.items()
    }
    monkeypatch.setattr(digest, "with_included", lambda headers: {name: more[name] for name in included(headers)})
    assert set(grades(convolutions, log).values()) == {"measured"}
    body = next(t for t in texts.values() if "int32_t smelt_smlad(" in t).split("int32_t smelt_smlad(")[1].split("}")[0]
    less = {name: t.replace(body, body.replace("{", "{ ;")) for name, t in texts.items()}
    monkeypatch.setattr(digest, "with_included", lambda headers: {name: less[name] for name in included(headers)})
    assert "similar" in grades(convolutions, log).values(), "the change would be seen"


def test_another_patch_of_the_compiler_is_similar_and_plans_the_same(graph, ways, todo, convolutions):
    mine, other = log_of(todo), log_of(todo, PATCH)
    assert str(planned(graph, ways, other)) == str(planned(graph, ways, mine)) != str(make_plan(graph, BOARD, ways))
    assert set(grades(convolutions, log_of_convolutions(convolutions), PATCH).values()) == {"similar"}


@pytest.mark.parametrize("goal", ["balanced", "speed"])
@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_a_wrong_figure_of_another_origin_never_beats_a_measured_one(graph, ways, todo, other, goal):
    """Wherever it stands in the log, and whatever is known besides: all ways, or the default alone."""
    everything = log_of(todo)
    defaults = TuningLog(tuple(line(work.candidates[0], work.op_key, 1000) for work in todo))
    for log in (everything, defaults):
        expected = str(planned(graph, ways, log, goal=goal))
        for place in (Places(), Places(tables="sram1")):
            wrong = [
                replace(line(work.candidates[1], work.op_key, 1, other), places=place)
                for work in todo
                if len(work.candidates) > 1
            ]
            for some in (log + TuningLog(tuple(wrong)), TuningLog(tuple(wrong)) + log):
                assert str(planned(graph, ways, some, goal=goal)) == expected


def test_nothing_is_void_silently(graph, ways, todo):
    """Whoever counted: where nothing better is known, it says which way is best."""
    best = [step.way.kernel for step in planned(graph, ways, log_of(todo)).steps]
    for other in OTHERS:
        assert [step.way.kernel for step in planned(graph, ways, log_of(todo, other)).steps] == best, other


def test_what_was_measured_without_the_first_guess_says_nothing_against_it(graph, ways, todo):
    """As in the log of an older smelt, whose best kernels are no kernels any more: plans are those without a log."""
    without = TuningLog(tuple(line(way, work.op_key, 1) for work in todo for way in work.candidates[1:]))
    assert without and str(planned(graph, ways, without)) == str(make_plan(graph, BOARD, ways))


def test_similar_figures_are_knowledge_of_a_tuning(todo):
    """They are measured anew, and what they say is best comes with the defaults."""
    search = Search(todo, Known.of(BOARD, log_of(todo, PATCH), ORIGIN))
    assert search.known == 0
    taken = search.take(lambda some: True)
    promised = {min(log_of([work], PATCH).measurements, key=lambda m: m.cycles).kernel for work in todo}
    assert {work.candidates[0].kernel for work in todo} | promised <= {s.candidate.kernel for s in taken}
    assert Search(todo, Known.of(BOARD, log_of(todo), ORIGIN)).known == len(search.subjects)


def test_features_tell_kernels_apart():
    """For every candidate of VWW, by the fields of its schedule, however that prints itself."""
    graph = prepare(load(VWW))
    for work in works(graph, BOARD, FRUGAL, 1 << 20):
        seen = {}
        for way in work.candidates:
            key = way.implementation.name, way.resident, features(way, BOARD.core)
            assert key not in seen, f"{way.names} and {seen[key].names} of {work.op_key}"
            seen[key] = way
