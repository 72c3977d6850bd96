"""Who counted the cycles: what a log says about it, what is applied, and tuning through debug links."""

import gzip
import json
import time
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

import smelt.tuning.linked as measure_link
import smelt.tuning.shipped as shipped
from smelt.compile import compile, measured
from smelt.devices.simulators.link import SimulatorLink
from smelt.devices.simulators.version import cycle_model
from smelt.errors import DeviceError, OptionError
from smelt.firmware.toolchain import toolchain
from smelt.importers import load
from smelt.kernels import FRUGAL
from smelt.passes import prepare
from smelt.planner import chosen
from smelt.planner.alternatives import alternatives
from smelt.planner.estimate import Estimator
from smelt.planner.log import IN_RAM, Measurement, TuningLog, append
from smelt.report.doctor import examine
from smelt.targets.boards import board
from smelt.targets.types import Path
from smelt.tuning.bench import Bench, order, outcomes
from smelt.tuning.linked import counting_device, linked
from smelt.tuning.search import Search
from smelt.tuning.tune import tune
from smelt.tuning.works import works
from tests.links import need
from tests.paths import HELLO, KWS

BOARD = board("nucleo_l4r5zi")
MODEL_OF_TIME = cycle_model(BOARD)


def entry(kernel="k_1", cycles=10, device=MODEL_OF_TIME, op_key="Dense", **more):
    return Measurement(kernel, op_key, "dense", "a", BOARD.name, toolchain(BOARD), cycles, None, device, **more)


# --- logs -----------------------------------------------------------------------------------------------------------


def test_device_residence_and_counts_survive_the_file(tmp_path):
    entries = (entry(), entry(cycles=7, resident=True, counts=(("cost", 5), ("loads", 2))), entry("k_2", code="ram"))
    append(tmp_path / "log", entries)
    log = TuningLog.load(tmp_path / "log")
    assert log.measurements == entries
    assert (log.cycles("k_1", BOARD.name), log.cycles("k_1", BOARD.name, resident=True)) == (10, 7)
    assert log.ranked("Dense", BOARD.name, resident=True) == (("dense", "a", 7),)


def test_lines_from_before_places_were_noted_say_where_links_put_things():
    def place(**change):
        values = json.loads(entry(resident=False).line) | change
        del values["code"]
        (m,) = TuningLog.parse(json.dumps(values).encode()).measurements
        return m.place

    assert place() == (False, "flash") and place(resident=True) == (True, "flash")
    assert place(device="device openocd") == place(device=f"virtual pyocd, {MODEL_OF_TIME}") == IN_RAM
    assert TuningLog.parse(entry(code="nowhere").line).damaged == 1


def test_logs_from_before_still_load_but_are_not_applied(tmp_path):
    old = {"kernel": "k", "op_key": "Dense", "implementation": "dense", "schedule": "a", "board": BOARD.name}
    old |= {"toolchain": toolchain(BOARD), "cycles": 5, "error": None}
    (tmp_path / "log").write_text(json.dumps(old) + "\n")
    log = TuningLog.load(tmp_path / "log")
    assert log.cycles("k", BOARD.name) == 5 and log.measurements[0].device == "" and not log.measurements[0].resident
    with pytest.raises(OptionError, match="its model of time is another one now"):
        measured(log, BOARD, "zig")
    spoilt = [{**old, "resident": "no"}, {**old, "device": 5}, {**old, "cycles": True}, {**old, "code": 5}]
    assert all(TuningLog.parse(json.dumps(s).encode()).damaged == 1 for s in spoilt)


def test_real_devices_are_preferred_and_never_mixed_with_simulations():
    real, virtual, in_ram = "device farm", f"virtual openocd, {MODEL_OF_TIME}", {"resident": True, "code": "ram"}
    log = TuningLog((
        entry("a", 1), entry("a", 100, real), entry("b", 200, real), entry("b", 2),  # one op, two devices
        entry("c", 3, op_key="Conv"), entry("c", 4, virtual, op_key="Conv", **in_ram),  # two places: both stay
        entry("d", 5, "simulator 00000000", op_key="Add"), entry("e", 6, virtual, op_key="Mul", **in_ram),
        entry("f", 7, virtual, op_key="Max", **in_ram), entry("f", 8, "device openocd", op_key="Max", **in_ram),
    ))  # fmt: skip
    known = log.preferring(MODEL_OF_TIME)
    expected = {("a", 100), ("b", 200), ("c", 3), ("c", 4), ("e", 6), ("f", 8)}
    assert {(m.kernel, m.cycles) for m in known.measurements} == expected
    assert known.cycles("c", BOARD.name) == 3 and known.cycles("c", BOARD.name, *IN_RAM) == 4
    assert known.cycles("f", BOARD.name) is None and known.cycles("f", BOARD.name, resident=True) is None
    assert known.covers("Conv", BOARD.name) and not known.covers("Max", BOARD.name)


def test_the_model_of_time_has_a_name_for_each_board():
    names = {cycle_model(board(name)) for name in ("nucleo_l4r5zi", "disco_f746ng", "nucleo_u575zi_q")}
    assert len(names) == 3 and all(name.startswith("simulator ") for name in names)
    flash = BOARD.chip.flash
    slower = replace(flash, path=replace(flash.path, first=flash.path.first + 1))
    chip = replace(BOARD.chip, memories=(slower, *BOARD.chip.memories[1:]))
    assert cycle_model(replace(BOARD, chip=chip)) != MODEL_OF_TIME


# --- what is measured -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bench():
    graph = prepare(load(HELLO))
    return Bench(BOARD, BOARD.chip.rams[0], "zig", toolchain(BOARD), MODEL_OF_TIME, graph)


def test_candidates_get_the_activations_of_the_model():
    graph = prepare(load(KWS))
    bench = Bench(BOARD, BOARD.chip.rams[0], "zig", "", "", graph)
    after_relu = [op for op in graph.ops if type(op).__name__ == "Conv2D"][1]
    (x,) = bench.inputs(after_relu)
    assert x.shape == after_relu.x.shape and np.mean(x == after_relu.x.q.zero_point) > 0.1
    assert np.array_equal(bench.inputs(after_relu)[0], x)


def test_a_candidate_costs_the_same_alone_and_in_company(bench):
    subjects = Search(works(bench.graph, BOARD, FRUGAL), TuningLog.empty).subjects[:3]
    together = [o.cycles for o in outcomes(order(bench, subjects))]
    alone = [o.cycles for s in subjects for o in outcomes(order(bench, [s]))]
    assert all(together) and together == pytest.approx(alone, rel=0.05)  # their code may lie elsewhere in flash


# --- devices --------------------------------------------------------------------------------------------------------


def test_devices_that_cannot_count_are_refused():
    with pytest.raises(OptionError, match="QEMU counts no cycles"):
        counting_device(BOARD, "qemu")
    with pytest.raises(OptionError, match="no device 'abacus'"):
        counting_device(BOARD, "abacus")
    with pytest.raises(OptionError, match="--adapter is for real boards"):
        counting_device(BOARD, "simulator", "virtual")
    with pytest.raises(OptionError, match="no model of the time"):
        counting_device(board("mps3_an547"), "simulator")
    assert counting_device(BOARD, "simulator") == measure_link.Where(MODEL_OF_TIME)
    assert counting_device(board("mps2_an386"), "openocd").name == "device openocd"


def both(board, model, most):
    """(cycles through a link, cycles in firmware with the tables in RAM) of the first candidates of a model."""
    graph = prepare(load(model))
    bench = Bench(board, board.chip.rams[0], "zig", "", "", graph, "ram")
    search = Search(works(graph, board, FRUGAL, in_ram=True), TuningLog.empty)
    results = list(islice(linked(bench, search, time.monotonic() + 100, lambda: SimulatorLink(board)), most))
    assert all(o.cycles for _, o in results), [o.error for _, o in results]
    return [(o.cycles, next(outcomes(order(bench, [s]))).cycles) for s, o in results]


@pytest.mark.parametrize("model, most", [(HELLO, 6), (KWS, 3)])
def test_a_link_measures_what_firmware_takes_where_memories_cost_nothing(model, most):
    """In memories that answer at once: what remains is the call, whose arguments come from a queue, and where branches lie."""
    at_once = tuple(replace(m, path=Path()) for m in BOARD.chip.memories)
    ideal = replace(BOARD, chip=replace(BOARD.chip, memories=at_once))
    for through_link, firmware in both(ideal, model, most):
        assert -0.005 * firmware < through_link - firmware < 200


@pytest.mark.parametrize(
    "name, model, most, less, more",
    [
        ("nucleo_l4r5zi", HELLO, 6, 0.30, 0.0),  # kernels that run once: code from flash comes for the first time
        ("nucleo_l4r5zi", KWS, 3, 0.0, 0.22),  # hot loops: from RAM, instructions share a bus with data
        ("disco_f746ng", KWS, 3, 0.02, 0.03),  # the largest RAM (sram1) and flash are behind the same caches
    ],
)
def test_code_in_ram_is_no_figure_for_firmware(name, model, most, less, more):
    """Even where tables are in RAM in both. Measured: -29 to -6 %, +7 to +19 %, 0 to +1.5 %."""
    for through_link, firmware in both(board(name), model, most):
        assert (1 - less) * firmware < through_link < (1 + more) * firmware


def test_wrong_values_faults_and_devices_without_a_counter(bench, monkeypatch):
    values = {name: value + 1 for name, value in bench.values.items()}
    wrong = Bench(BOARD, bench.memory, "zig", bench.toolchain, "", bench.graph)
    wrong.__dict__["values"] = {**bench.values, **{op.y.name: values[op.y.name] for op in bench.graph.ops}}
    search = Search(works(bench.graph, BOARD, FRUGAL)[:1], TuningLog.empty)
    _, outcome = next(linked(wrong, search, time.monotonic() + 50, lambda: SimulatorLink(BOARD)))
    assert outcome.cycles is None and outcome.error.startswith("mismatch: ")

    def faulty(bench, session, subject):
        raise DeviceError("it fell")

    monkeypatch.setattr(measure_link, "_called", faulty)
    _, outcome = next(linked(bench, search, time.monotonic() + 50, lambda: SimulatorLink(BOARD)))
    assert outcome.error == "fault: it fell"
    monkeypatch.setattr(measure_link, "_called", lambda *a: (b"", None))
    with pytest.raises(DeviceError, match="no counter of cycles"):
        next(linked(bench, search, time.monotonic() + 50, lambda: SimulatorLink(BOARD)))


def test_tuning_through_openocd(tmp_path, ships):
    """It measures with code and tables in RAM, compares such figures only, and says so; `compile` takes them as similar."""
    need("openocd")
    ships(TuningLog.empty)
    file = tmp_path / "log"
    result = tune(HELLO, BOARD, file, implementations=FRUGAL, device="openocd", adapter="virtual")
    log = TuningLog.load(file)
    assert result.device == f"virtual openocd, {MODEL_OF_TIME}" and result.measured > 6 and not result.failed
    assert {(m.device, m.place) for m in log.measurements} == {(result.device, IN_RAM)}
    assert result.cycles_after <= result.cycles_before and result.places == "code and tables in RAM"
    compilation = compile(HELLO, BOARD, compiler="none", log=log)
    assert compilation.evidence.measured == 0 and compilation.evidence.linked.ranked == result.steps
    said = f"{result.steps} steps measured through virtual openocd with code and tables in RAM: taken as similar"
    assert said in compilation.notes
    cycles = [log.cycles(s.call.kernel.name, BOARD.name, *IN_RAM) for s in compilation.plan.steps]
    assert sum(cycles) == result.cycles_after and not any(s.resident for s in compilation.plan.steps)
    again = tune(HELLO, BOARD, file, implementations=FRUGAL, budget=0)
    assert again.known == 0, "the simulator's own figures are others"


# --- what smelt ships -----------------------------------------------------------------------------------------------


@pytest.fixture
def ships(tmp_path, monkeypatch):
    """Pretend that smelt ships this log."""

    def pretend(log):
        monkeypatch.setattr(shipped, "shipped_log", lambda: log)

    return pretend


def others_win(graph):
    """A log in which the last candidate of every step is the fastest."""
    lines = []
    for work in works(graph, BOARD, FRUGAL):
        for n, c in enumerate(reversed(work.candidates)):
            how = c.implementation.name, str(c.schedule), BOARD.name, toolchain(BOARD)
            lines.append(Measurement(c.call.kernel.name, work.op_key, *how, 10 + n, None, MODEL_OF_TIME))
    return TuningLog(tuple(lines))


def in_ram(log, drop=()):
    """The same figures as a real device behind a link would have them, but for some kernels."""
    left = (m for m in log.measurements if m.kernel not in drop)
    return TuningLog(tuple(replace(m, device="device openocd", resident=True, code="ram") for m in left))


def test_figures_of_a_link_rank_what_no_firmware_was_measured_for(ships):
    """They choose as firmware's figures would; never where firmware was measured, nor where the first guess was not."""
    log = others_win(prepare(load(HELLO)))
    ships(TuningLog.empty)
    first = kernels()
    assert kernels(log=in_ram(log)) == kernels(log=log) != first
    assert kernels(log=in_ram(log, drop=first)) == first
    slow = TuningLog(tuple(replace(m, cycles=100_000 - m.cycles) for m in log.measurements))
    both = compile(HELLO, BOARD, compiler="none", log=slow + in_ram(log))
    alone = compile(HELLO, BOARD, compiler="none", log=slow)
    assert both.sources.digest == alone.sources.digest and both.evidence.measured == len(both.plan.steps)
    assert (
        "3 steps measured through openocd with code and tables in RAM: measurements of firmware go first" in both.notes
    )


def test_figures_of_a_link_are_ratios_to_an_estimate(ships):
    """Under a goal that trades cycles for bytes: what the first guess takes stays an estimate, of firmware."""
    ships(TuningLog.empty)
    graph = prepare(load(HELLO))
    log = in_ram(others_win(graph))
    slower = TuningLog(tuple(replace(m, cycles=1000 * m.cycles) for m in log.measurements))
    plain, ranked, same = (
        [alternatives(chosen(graph, BOARD), Estimator(BOARD, some), FRUGAL, True)]
        for some in (TuningLog.empty, log, slower)
    )
    figures = [[o.cycles for options in some for o in options] for (some,) in (plain, ranked, same)]
    assert figures[1] == figures[2], "only their ratios count"
    assert {c.source for c in figures[0]} == {"estimated"} and {c.source for c in figures[1]} == {"estimated", "ranked"}
    for before, after in zip(plain[0], ranked[0], strict=True):
        assert before[0].cycles == after[0].cycles
        assert min(o.cycles.value for o in after) < after[0].cycles.value


def kernels(**options):
    return [s.call.kernel.name for s in compile(HELLO, BOARD, compiler="none", **options).plan.steps]


def test_what_is_shipped_is_applied_unless_it_is_stale_or_unwanted(ships):
    log = others_win(prepare(load(HELLO)))
    ships(TuningLog.empty)
    first = kernels()
    ships(log)
    assert kernels() != first and kernels(log=TuningLog.empty) == first
    for change in ({"toolchain": "zig 0.1"}, {"device": "simulator 00000000"}, {"board": "disco_f746ng"}):
        ships(TuningLog(tuple(replace(m, **change) for m in log.measurements)))
        assert kernels() == first


def test_what_users_measured_comes_on_top(ships):
    log = others_win(prepare(load(HELLO)))
    ships(log)
    fastest = replace(log.measurements[0], cycles=1_000)
    known = measured(TuningLog((fastest,)), BOARD, "zig")
    assert known.cycles(fastest.kernel, BOARD.name) == 1_000 and len(known.measurements) == len(log.measurements)


def test_the_doctor_says_whether_it_is_valid(ships):
    log = TuningLog((entry(),))
    ships(log)
    finding = next(f for f in examine() if f.part == shipped.FILE)
    assert finding.works and "1 measurements on 1 boards" in finding.detail
    ships(TuningLog((replace(log.measurements[0], toolchain="zig 0.1"),)))
    finding = next(f for f in examine() if f.part == shipped.FILE)
    assert not finding.works and not finding.needed and "zig 0.1" in finding.detail
    ships(TuningLog.empty)
    assert not [f for f in examine() if f.part == shipped.FILE]


def test_the_shipped_file_is_a_whole_log():
    file = shipped.files("smelt") / "assets" / shipped.FILE
    if file.is_file():
        log = TuningLog.parse(gzip.decompress(file.read_bytes()))
        assert log.measurements and not log.damaged and all(m.cycles for m in log.measurements)
