"""What a kernel waits for memory: lines that it touches, those that are missing, and cycles by where its buffers lie."""

from dataclasses import replace

import pytest

from smelt.importers import load
from smelt.kernels import IMPLEMENTATIONS
from smelt.loops.builder import KernelBuilder
from smelt.loops.traffic import traffic
from smelt.passes import prepare
from smelt.planner import chosen
from smelt.planner.known import Known
from smelt.planner.log import TuningLog
from smelt.planner.measurement import Measurement, Origin, Places
from smelt.planner.predict import Predictor, memories
from smelt.planner.price import Pricer
from smelt.planner.ways import Ways, op_key
from smelt.targets.boards import board
from smelt.targets.types import Cache, Path
from tests.paths import IC, KWS

LINE = 32
CACHE = Cache("dcache", 4096, 4, LINE, "random")
SLOW = Path(first=8, line=10, busy=0, data=CACHE)
F746 = board("disco_f746ng")
IN_DTCM, IN_SRAM = Places("flash", "flash", "dtcm", "dtcm", "dtcm"), Places("flash", "flash", "sram1", "sram1", "sram1")


def _read(turns, inner, outer_step, inner_step, size=16384):
    """A kernel that reads one byte of x in each turn of an inner loop."""
    k = KernelBuilder("reads")
    x, y = k.input("x", "int8_t", size), k.output("y", "int8_t", 1)
    with k.loop("i", 0, turns) as i, k.loop("j", 0, inner) as j:
        k.store(y, 0, x[i * outer_step + j * inner_step])
    return k.finish()


@pytest.mark.parametrize(
    ("kernel", "missing"),
    [
        (_read(1, 16384, 0, 1), 512),  # in sequence: each line once
        (_read(64, 64, 64, 1), 128),  # the same in rows
        (_read(16, 1024, 0, 1), 32),  # a kilobyte again and again
        (_read(16, 16384, 0, 1), 16 * 512),  # four times what the cache holds, again and again: nearly all
        (_read(64, 256, 1, 64), 64 * 256),  # a channel of 64 after the other: each access another line, all of which go
        (_read(64, 32, 1, 64), 64),  # the same where all lines stay
    ],
)
def test_lines_are_missing_where_the_cache_lost_them(kernel, missing):
    found = Pricer(kernel).misses([SLOW, Path()])
    assert sum(m.read for m in found.values()) == pytest.approx(missing, rel=0.03)


def test_a_missing_line_stalls_a_read_and_an_uncached_memory_every_read():
    stream = _read(1, 16384, 0, 1)
    assert Pricer(stream).stalls([SLOW, Path()]) == pytest.approx(512 * 8)
    assert Pricer(stream).stalls([Path(first=3), Path()]) == 16384 * 3
    assert Pricer(stream).stalls([Path(), Path()]) == 0


def test_a_row_of_bytes_and_one_of_words_are_as_long_as_they_are():
    k = KernelBuilder("copies")
    x, y = k.input("x", "int32_t", 1024), k.output("y", "int8_t", 1024)
    k.copy(y, 0, y, 0, 0)
    with k.loop("i", 0, 256) as i:
        k.store(y, i * 4, x.load("int32_t", i), "int32_t")
    tree = traffic(k.finish(), LINE).tree
    assert tree.all[0, False] == 32 and tree.all[1, True] == 32


def _first_guesses(path):
    graph = prepare(load(path))
    return chosen(graph, Ways(F746.core, IMPLEMENTATIONS))


@pytest.mark.parametrize("path", [IC, KWS])
def test_no_kernel_is_faster_behind_the_cache_than_beside_the_core(path):
    predictor = Predictor(Known(F746))
    for way in _first_guesses(path):
        fast, slow = predictor.cycles(way, IN_DTCM), predictor.cycles(way, IN_SRAM)
        assert 0 < fast.value < slow.value < 8 * fast.value, way.in_full()
        assert fast.source == slow.source == "estimated"


def _measured(way, cycles, places, board="disco_f746ng"):
    return Measurement(way.kernel, op_key(way.op), *way.names, board, cycles, None, Origin("a", "b"), places)


def test_what_was_measured_there_is_believed_and_moved_elsewhere():
    way = _first_guesses(KWS)[1]
    log = TuningLog((_measured(way, 100_000, IN_DTCM), _measured(way, 150_000, IN_SRAM)))
    predictor = Predictor(Known.trusting(F746, log))
    assert (predictor.cycles(way, IN_DTCM).value, predictor.cycles(way, IN_DTCM).source) == (100_000, "measured")
    assert (predictor.cycles(way, IN_SRAM).value, predictor.cycles(way, IN_SRAM).source) == (150_000, "measured")
    alone = Predictor(Known.trusting(F746, TuningLog(log.measurements[:1])))
    moved = alone.cycles(way, IN_SRAM)
    waits = alone.stalls(way, memories(way.call.kernel, IN_SRAM)) - alone.stalls(
        way, memories(way.call.kernel, IN_DTCM)
    )
    assert moved.source == "moved" and moved.value == round(100_000 + waits) and waits > 0
    alike = alone.cycles(way, replace(IN_DTCM, x="sram1"))
    assert 100_000 < alike.value < moved.value


def test_memories_that_are_alike_have_one_price():
    h743 = board("nucleo_h743zi")
    predictor = Predictor(Known(h743))
    graph = prepare(load(KWS))
    for way in chosen(graph, Ways(h743.core, IMPLEMENTATIONS)):
        one, two = (predictor.cycles(way, Places("flash", "flash", m, m, m)) for m in ("sram1", "sram2"))
        assert one == two


def test_a_memory_that_is_none_of_the_chips_is_refused():
    with pytest.raises(KeyError):
        Predictor(Known(F746)).cycles(_first_guesses(KWS)[0], Places(x="ccm"))
