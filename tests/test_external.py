"""Memories outside of the chip: mapped, priced, initialised before anything is in them, and used by firmware."""

from dataclasses import replace

import numpy as np
import pytest

from smelt.board_files import read_board
from smelt.compile import compile
from smelt.devices.simulators.simulator import Simulator
from smelt.errors import DoesNotFit
from smelt.firmware.build import build
from smelt.inputs import random_inputs
from smelt.planner import TuningLog
from smelt.planner.check import check
from smelt.report.execute import execute
from smelt.report.plan_view import look
from smelt.report.profile import estimated_use
from smelt.report.verify import verify
from smelt.targets.board_text import board_table, toml
from smelt.targets.boards import WITH_EXTERNAL, board
from smelt.targets.types import KB
from tests.small_models import dense_model
from tests.tflite_writer import ModelWriter
from tests.tiny_firmware import TRIPLE, tiny

NAMES = [b.name for b in WITH_EXTERNAL]
LINES = 64
"""Of 32 bytes: a table in flash, each first word of which is read, and a buffer in RAM."""

SUMS = """
typedef struct { uint32_t first, others[7]; } line;
__attribute__((section(".rodata.smelt_tables.%s"), aligned(32))) const line table[%d] = {{5u, {0}}, {7u, {0}}, {9u, {0}}};
__attribute__((section(".smelt.ram.%s"), aligned(32))) line buffer[%d];
KERNEL void kernel(uint8_t *o)
{
    uint32_t sum = 0;
    const volatile line *from = %s;
    for (int n = 0; n < %d; n++) sum += from[n].first;
    o[0] = (uint8_t)sum;
    o[1] = (uint8_t)*(volatile uint32_t *)0xE000ED94u;
}
"""
HOOK = """
#include <stdint.h>
typedef struct { uint32_t first, others[7]; } line;
extern line buffer[];
void smelt_board_memories(void)
{
    if (*(volatile uint32_t *)0xE000ED94u == 0u) { for (int n = 0; n < 64; n++) buffer[n].first = 2u; }
}
"""


def outside(name, holds):
    return next(m for m in board(name).chip.memories if m.external and m.holds == holds)


def image(name, read, hook=HOOK):
    flash, ram = (outside(name, holds).name for holds in ("code", "data"))
    sources = tiny(SUMS % (flash, LINES, ram, LINES, read, LINES), "kernel(o);", ("kernel",))
    return build(
        type(sources)({**sources.files, **({"hook.c": hook} if hook else {})}, kernels=sources.kernels), board(name)
    )


@pytest.mark.parametrize("name", NAMES)
def test_tables_in_external_flash_are_loaded_there_and_cost_what_they_cost(name):
    """An ELF with another segment that is loaded; each line is read once, and waited for."""
    made, flash = image(name, "table"), outside(name, "code")
    assert flash.start in [s.load for s in made.parsed.segments]
    assert made.size(flash.name, "constants") == 32 * LINES == made.size(flash.name)
    run = Simulator(board(name)).run(made, bytes(16))
    assert run.outputs[0] == 5 + 7 + 9
    assert LINES * flash.path.first <= run.cycles < LINES * (flash.path.first + 20) + 400


@pytest.mark.parametrize("name", NAMES)
def test_external_ram_is_there_before_the_core_knows_it_and_costs_what_it_costs(name):
    """The function of the board runs before the MPU is on: it has written what the kernel reads."""
    made, ram = image(name, "buffer"), outside(name, "data")
    assert made.size(ram.name, "arena") == 32 * LINES == made.size(ram.name)
    run = Simulator(board(name)).run(made, bytes(16))
    assert run.outputs[0] == 2 * LINES
    assert run.outputs[1] == (5 if 0xA0000000 <= ram.start < 0xE0000000 else 0)


def test_without_a_function_of_the_boards_nothing_happens():
    assert Simulator(board("stm32h750b_dk")).run(image("stm32h750b_dk", "table", hook=""), bytes(16)).outputs[0] == 21


def test_boards_without_external_memories_have_no_such_function():
    for name, there in (("disco_f746ng", False), ("disco_f746ng_sdram", True)):
        assert ("smelt_board_memories" in build(tiny(TRIPLE), board(name)).symbols) == there


def test_code_does_not_run_from_external_memories():
    from smelt.devices.simulators.memory_map import memory_map

    b = board("stm32h735g_dk")
    maps = memory_map(b, frozenset(), {"psram": 4096})
    assert {m.name: m.executable for m in maps if m.name in ("psram", "octospi", "axi")} == {
        "psram": False,
        "axi": True,
    }
    assert next(len(m.data) for m in maps if m.name == "psram") == 4096
    assert {"psram", "octospi"} <= {m.name for m in memory_map(b, frozenset())}


# --- networks -----------------------------------------------------------------------------------------------------------


def equal(path, target, **options):
    """The compilation of a model whose firmware computes what the reference does."""
    made = compile(path, target, **options)
    inputs = random_inputs(made.model, 2)
    assert verify(made, inputs, "reference", path).first is None
    return made


@pytest.fixture
def wide(tmp_path):
    """A model of 380 KB of weights, in three tables that are read alike."""
    path = tmp_path / "wide.tflite"
    path.write_bytes(dense_model((500, 500, 200)))
    return path


def test_tables_that_do_not_fit_the_flash_of_the_chip_are_outside(wide):
    made = equal(wide, "stm32h750b_dk")
    uses = made.plan.flash_uses
    assert set(uses) == {"flash", "qspi"} and sum(uses.values()) == made.plan.table_bytes > 128 * KB
    assert abs(made.image.size("qspi", "constants") - uses["qspi"]) < 256 and made.image.size("flash") <= 128 * KB
    assert check(made.plan) is made.plan
    assert 'NETWORK_OUTSIDE("qspi")' in made.sources.files["network_weights.c"]


def test_views_show_tables_where_they_lie(wide):
    made = compile(wide, "stm32h750b_dk", compiler="none", log=TuningLog.empty)
    view = look(made, TuningLog.empty, "balanced", curve=False)
    used = {m.name: m.used for m in view.memories if m.holds == "code"}
    assert set(used) == {"flash", "qspi"} and used["flash"] <= 128 * KB and sum(used.values()) == made.plan.flash_bytes
    assert {u.memory: u.bytes for u in estimated_use(made.plan) if u.purpose == "constants"} == made.plan.flash_uses


def test_what_tables_outside_cost_is_predicted(wide):
    """The weights of dense layers are read once: nearly all of the time is waiting for them."""
    made = compile(wide, "stm32h750b_dk")
    predicted = look(made, None, "balanced", curve=False).cycles
    simulated = execute(made, random_inputs(made.model, 1)).run.cycles
    assert 0.7 * simulated < predicted < 1.4 * simulated
    assert simulated > 2 * look(compile(wide, "nucleo_h743zi", compiler="none"), None, "balanced", curve=False).cycles


def test_tables_in_ram_are_copied_from_wherever_they_are_loaded(wide):
    made = equal(wide, "stm32h750b_dk", goal="speed")
    assert made.plan.resident_bytes > 300_000 and made.sources.copied_from == "qspi"
    assert {s.load >> 28 for s in made.image.parsed.segments if s.address >> 28 == 2 and s.data} >= {9}
    assert not {m.name for m in made.plan.board.chip.rams if m.external} & set(made.plan.resident_uses)


def test_what_fits_the_chip_stays_there(tmp_path):
    path = tmp_path / "small.tflite"
    path.write_bytes(dense_model())
    for goal in ("balanced", "speed"):
        made = compile(path, "stm32h750b_dk", goal=goal, compiler="none")
        assert set(made.plan.flash_uses) == {"flash"} and made.sources.copied_from is None
        assert "OUTSIDE" not in made.sources.files["network_weights.c"]


def test_too_much_for_all_flash_is_refused(wide):
    b = board("stm32h750b_dk")
    memories = tuple(replace(m, size=128 * KB) if m.name == "qspi" else m for m in b.chip.memories)
    small = replace(b, name="small", chip=replace(b.chip, memories=memories, dma=()))
    with pytest.raises(DoesNotFit, match="flash"):
        compile(wide, small, compiler="none")


def test_tensors_that_do_not_fit_the_chip_are_outside(tmp_path):
    """A board of a file: 8 KB in the chip, of which the stack takes half, and SDRAM."""
    writer = ModelWriter()
    x = writer.tensor("x", (1, 40, 40, 4), "int8", 0.1, 3)
    w = writer.tensor(
        "w", (8, 3, 3, 4), "int8", 0.01, 0, data=np.random.default_rng(1).integers(-127, 128, (8, 3, 3, 4), np.int8)
    )
    y = writer.tensor("y", (1, 40, 40, 8), "int8", 0.2, -4)
    writer.op("CONV_2D", [x, w, -1], [y], StrideH=1, StrideW=1, Padding=0)
    (tmp_path / "conv.tflite").write_bytes(writer.finish([x], [y]))
    values = board_table(board("disco_f746ng_sdram"))
    memories = [m for m in values["memories"] if m["name"] in ("flash", "dtcm", "sdram")]
    memories[1]["size"] = "8K"
    (tmp_path / "tiny.toml").write_text(toml({**values, "name": "tiny", "memories": memories}))
    made = equal(tmp_path / "conv.tflite", read_board(tmp_path / "tiny.toml"))
    assert made.plan.used("sdram") >= 40 * 40 * 8 and "external" in made.sources.files["network_net.h"]
    outside, inside = (
        execute(m, random_inputs(m.model, 1)).run.cycles
        for m in (made, compile(tmp_path / "conv.tflite", "disco_f746ng"))
    )
    assert outside > 1.2 * inside
