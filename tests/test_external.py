"""Memories outside of the chip: mapped, priced, initialised before anything is in them, and used by firmware."""

import pytest

from smelt.devices.simulators.simulator import Simulator
from smelt.firmware.build import build
from smelt.targets.boards import WITH_EXTERNAL, board
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
