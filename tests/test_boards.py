"""Boards, chips and cores are data: these are the rules that the data must keep."""

import importlib
import itertools
import pkgutil

import pytest

from smelt.errors import OptionError
from smelt.firmware.linker import board_header, linker_script
from smelt.targets import chips, cores
from smelt.targets.boards import BOARDS, PRODUCTS, board
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
    assert written == {b.core if kind is Core else b.chip for b in BOARDS}
    assert len({value.name for value in written}) == len(written)


@pytest.mark.parametrize("chip", [b.chip for b in BOARDS], ids=lambda c: c.name)
def test_memories_are_pages_that_do_not_overlap(chip):
    ranges = sorted((at, at + m.size) for m in chip.memories for at in (m.start, *m.aliases))
    assert all(start % 4096 == 0 and end % 4096 == 0 for start, end in ranges)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(ranges))
    assert chip.flash.holds == "code"
    assert chip.rams


@pytest.mark.parametrize("chip", [b.chip for b in BOARDS], ids=lambda c: c.name)
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
    assert board_header(b).count(" X(0x") == len(b.chip.setup)
