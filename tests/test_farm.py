"""A farm: a hundred fake boards that delay, die and lie in four processes, and two simulated ones; what hangs, what is refused."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from smelt.cli import main
from smelt.devices.simulators.link import SimulatorLink
from smelt.devices.simulators.version import cycle_model
from smelt.errors import OptionError
from smelt.importers import load
from smelt.kernels import FRUGAL
from smelt.model.graph import Graph
from smelt.passes import prepare
from smelt.planner.known import Known
from smelt.planner.log import TuningLog
from smelt.planner.measurement import Origin
from smelt.targets.boards import PICO
from smelt.tuning.bench import Bench
from smelt.tuning.farm import Farm
from smelt.tuning.jobs import Job, Reply
from smelt.tuning.linked import LinkedDevice
from smelt.tuning.pool import Order, Outcome, Pool
from smelt.tuning.queues import measured
from smelt.tuning.search import Search
from smelt.tuning.tune import tune
from smelt.tuning.works import works
from tests.farm_fakes import BOARD, LIARS, ORIGIN, UNITS, name
from tests.tables import TABLE
from tests.tflite_writer import ModelWriter

BOARDS, PROCESSES = 100, 4
LONG = 600.0


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a scheduler that only this computer reaches."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=None, silence_logs=50) as cluster:
        yield cluster.scheduler_address


@contextmanager
def started(*commands: list[str]) -> Iterator[None]:
    """Programs that run meanwhile."""
    processes = [
        subprocess.Popen([sys.executable, *c], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for c in commands
    ]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def until_there(address: str, count: int) -> None:
    """Wait for so many workers."""
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(count, timeout=60)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    writer = ModelWriter()
    x = writer.tensor("x", (1, 24), "int8", 0.1, 0)
    w = writer.tensor("w", (UNITS, 24), "int8", 0.01, 0, data=np.arange(24 * UNITS).reshape(UNITS, 24).astype(np.int8))
    y = writer.tensor("y", (1, UNITS), "int8", 0.1, 0)
    writer.op("FULLY_CONNECTED", [x, w, -1], [y])
    path = tmp_path_factory.mktemp("farm") / "model.tflite"
    path.write_bytes(writer.finish([x], [y]))
    return path


@pytest.fixture(scope="module")
def graph(model: Path) -> Graph:
    return prepare(load(model))


Results = set[tuple[str, Outcome]]


def results(pool: Pool, graph: Graph) -> Results:
    """What a pool measures of all candidates, each by its kernel."""
    bench = Bench(BOARD, BOARD.chip.rams[0], "zig", Origin(), graph, in_ram=True)
    ways = [way for way in FRUGAL if way.name == "dense_dsp"]
    search = Search(works(graph, BOARD, ways, in_ram=True), Known(BOARD), exhaustive=True, in_ram=True)
    found = [(s.candidate.kernel, o) for s, o in measured(pool, bench, search, time.monotonic() + LONG)]
    assert len(found) == len(search.subjects)
    return {(kernel, Outcome(0, o.cycles, o.failure)) for kernel, o in found}


def test_a_hundred_boards_measure_what_one_does(scheduler: str, graph: Graph, record_property: object) -> None:
    """Though some die or lie: and who lied is put aside."""
    alone = results(LinkedDevice(lambda: SimulatorLink(BOARD)), graph)
    share = BOARDS // PROCESSES
    commands = [["-m", "tests.farm_fakes", scheduler, str(n * share), str(share)] for n in range(PROCESSES)]
    with started(*commands):
        until_there(scheduler, PROCESSES)
        farm = Farm(scheduler, BOARD, ORIGIN, True)
        begun = time.monotonic()
        together = results(farm, graph)
        seconds = time.monotonic() - begun
    assert together == alone and len(alone) > 3
    assert name(LIARS[0]) in farm.aside <= {name(n) for n in LIARS}
    record_property(  # type: ignore[operator]
        TABLE,
        f"a farm of {BOARDS} fake boards in {PROCESSES} processes: {len(together)} measurements in {seconds:.0f} s, "
        f"{len(farm.aside)} boards put aside",
    )


def test_simulated_boards_of_a_farm_write_the_log_that_this_computer_does(
    scheduler: str, model: Path, tmp_path: Path
) -> None:
    logs = tmp_path / "alone", tmp_path / "farm"
    tune(model, PICO, logs[0], exhaustive=True)
    with started(["-m", "smelt", "worker", scheduler, "--board", "pico", "--count", "2"]):
        until_there(scheduler, 1)
        done = CliRunner().invoke(
            main, ["tune", str(model), "-b", "pico", "--log", str(logs[1]), "--farm", scheduler, "--exhaustive"]
        )
    assert done.exit_code == 0, done.output
    alone, together = (TuningLog.load(log).measurements for log in logs)
    assert sorted(m.line for m in alone) == sorted(m.line for m in together) and len(alone) > 2
    assert all(m.origin.counter == cycle_model(PICO) for m in together)


class Client:
    """Of Dask, as far as a farm knows it: what is submitted hangs so many times, then the board answers."""

    def __init__(self, hanging: int) -> None:
        self.left, self.cancelled = hanging, 0

    def submit(self, measure: object, job: Job, **how: object) -> Future[Reply]:
        future: Future[Reply] = Future()
        future.cancel = self._cancel  # type: ignore[method-assign]
        future.status = "finished"  # type: ignore[attr-defined]
        if self.left == 0:
            future.set_result(Reply("good", (Outcome(0, 7),)))
        self.left -= 1
        return future

    def _cancel(self) -> bool:
        self.cancelled += 1
        return True

    def scheduler_info(self, n_workers: int) -> dict[str, object]:
        return {"workers": {"w": {"resources": {f"smelt/{ORIGIN}/{BOARD.name}": 3}}}}


@pytest.mark.parametrize(("hanging", "answers"), [(2, [7, None]), (9, ["gone"])])
def test_boards_that_hang_cost_their_measurement(graph: Graph, hanging: int, answers: list[object]) -> None:
    farm = Farm("tcp://nowhere", BOARD, ORIGIN, True, patience=0.0)
    farm._client = client = Client(hanging)
    number = farm.submit(Order(BOARD, BOARD.chip.rams[0], "zig", ()))
    found = []
    while farm.busy:
        answer = farm.next(5)
        assert answer is not None and answer.worker == number
        found.append("gone" if answer.gone else answer.outcome and answer.outcome.cycles)
    assert found == answers and client.cancelled == min(hanging, 5)


def test_a_farm_without_such_a_board_is_refused(scheduler: str, model: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(OptionError, match=r"no worker of the farm owns .*/nucleo_l4r5zi"),
        Farm(scheduler, BOARD, ORIGIN, True),
    ):
        pass
    nowhere = CliRunner().invoke(
        main, ["tune", str(model), "-b", "pico", "--log", str(tmp_path / "log"), "--farm", "tcp://127.0.0.1:9"]
    )
    assert nowhere.exit_code == 2 and "no scheduler of Dask at tcp://127.0.0.1:9" in nowhere.output


def test_a_worker_that_finds_no_scheduler_says_so() -> None:
    done = CliRunner().invoke(main, ["worker", "nonsense://here", "--board", "pico"])
    assert done.exit_code == 2 and "'nonsense://here' is no address of a scheduler of Dask" in done.output
    closed = CliRunner().invoke(main, ["worker", "tcp://127.0.0.1:9", "--board", "pico"])
    assert closed.exit_code == 2 and "no scheduler of Dask at tcp://127.0.0.1:9" in closed.output
