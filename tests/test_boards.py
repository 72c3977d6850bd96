"""Boards, chips and cores are data: these are the rules that the data must keep."""

import importlib
import itertools
import pkgutil

import pytest

from smelt.errors import OptionError
from smelt.firmware.linker import board_header, linker_script
from smelt.targets import chips, cores
from smelt.targets.boards import BOARDS, CLUSTERS, PRODUCTS, WITH_EXTERNAL, board
from smelt.targets.start_up import changes
from smelt.targets.types import KB, Chip, Core


def test_boards_are_found_by_name():
    for b in BOARDS:
        assert board(b.name) is b


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("disco_f746", "disco_f746ng"), ("NUCLEO-L4R5ZI", "nucleo_l4r5zi"), ("esp32-c3", "esp32c3"), ("xyzzy", "esp32c3")],
)
def test_unknown_boards_name_the_nearest(typed, meant):
    with pytest.raises(OptionError, match=meant) as error:
        board(typed)
    assert repr(typed) in str(error.value)


@pytest.mark.parametrize(("folder", "kind"), [(cores, Core), (chips, Chip)], ids=["cores", "chips"])
def test_every_chip_and_core_is_on_a_board(folder, kind):
    modules = [importlib.import_module(f"{folder.__name__}.{m.name}") for m in pkgutil.iter_modules(folder.__path__)]
    written = {value for module in modules for value in vars(module).values() if isinstance(value, kind)}
    assert written == {b.core if kind is Core else b.chip for b in (*BOARDS, *CLUSTERS)}
    assert len({value.name for value in written}) == len(written)


@pytest.mark.parametrize("chip", [b.chip for b in (*BOARDS, *CLUSTERS)], ids=lambda c: c.name)
def test_memories_are_pages_that_do_not_overlap(chip):
    ranges = sorted((at, at + m.size) for m in chip.memories for at in (m.start, *m.aliases))
    assert all(start % 4096 == 0 and end % 4096 == 0 for start, end in ranges)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(ranges))
    assert chip.flash.holds == "code"
    assert chip.rams


@pytest.mark.parametrize("chip", [b.chip for b in (*BOARDS, *CLUSTERS)], ids=lambda c: c.name)
def test_the_stack_grows_out_of_memory(chip):
    below = chip.rams[0].start - 1
    assert not any(at <= below < at + m.size for m in chip.memories for at in (m.start, *m.aliases))


def test_ram_of_the_boards():
    total = {b.name: sum(m.size for m in b.chip.rams) // KB for b in PRODUCTS}
    assert total == {
        "nucleo_l4r5zi": 640,
        "disco_f746ng": 320,
        "nucleo_h743zi": 128 + 512 + 288 + 64,
        "nucleo_u575zi_q": 784,
        "esp32c3": 384,
        "pico": 264,
        "nucleo_g0b1re": 144,
        "nucleo_l152re": 80,
    }


@pytest.mark.parametrize("b", BOARDS, ids=lambda b: b.name)
def test_linker_scripts_name_every_memory(b):
    script = linker_script(b)
    assert "$" not in script
    for memory in b.chip.memories:
        assert f"{memory.name} (" in script
    for memory in b.chip.rams:
        assert f".smelt.ram.{memory.name}" in script
    for memory in b.chip.flashes[1:]:
        assert f".rodata.smelt_tables.{memory.name}" in script
    assert board_header(b).count(" X(0x") == len(changes(b.chip)) >= len(b.chip.setup)


@pytest.mark.parametrize("b", WITH_EXTERNAL, ids=lambda b: b.name)
def test_memories_outside_of_the_chip(b):
    """RAM and flash, each with a price; the chip's own memories are enough for the stack and the code."""
    outside = [m for m in b.chip.memories if m.external]
    assert {m.holds for m in outside} == {"code", "data"} and all(m.path.first > 40 for m in outside)
    assert [m.role for m in outside if m.holds == "data"] == ["external"] and b.chip.rams[-1].external
    assert not b.chip.flash.external and b.chip.flashes == (b.chip.flash, *(m for m in outside if m.holds == "code"))


def test_what_the_core_takes_for_a_device_gets_a_region_of_the_mpu():
    """Armv7-M ARM, B3.5: 8 MB from 0xC0000000 on, TEX = 1, C, B: write-back and allocating; not to be executed."""
    before, after = (changes(board(name).chip) for name in ("disco_f746ng", "disco_f746ng_sdram"))
    assert after[: len(before)] == before
    assert [(s.address & 0xFFF, s.value) for s in after[len(before) :]] == [
        (0xD98, 0),
        (0xD9C, 0xC0000000),
        (0xDA0, 0x130B002D),
        (0xD94, 5),
    ]
    assert not [
        s for s in changes(board("stm32h735g_dk").chip) if s.address >> 12 == 0xE000E
    ]  # 0x70000000 is memory anyway
