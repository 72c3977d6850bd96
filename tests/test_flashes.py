"""Which table lies in which flash: the chip's own first, for what is read most."""

from dataclasses import replace

from smelt.planner.flashes import CODE_MARGIN, flash_places
from smelt.targets.boards import board
from smelt.targets.types import KB

CHIP = board("stm32h750b_dk").chip  # 128 KB of its own, and QSPI
ROOM = CHIP.flash.size


def tables(*sizes):
    """Tables of these bytes, those read most first."""
    return {("int8", bytes([n])): size for n, size in enumerate(sizes)}


def names(places):
    return list(places.read.values()), places.copied


def test_what_fits_stays_in_the_chip():
    assert names(flash_places(CHIP, tables(60 * KB, 60 * KB), {}, 4 * KB)) == (["flash"] * 2, "flash")
    assert names(flash_places(CHIP, tables(60 * KB), tables(60 * KB), 4 * KB)) == (["flash"], "flash")


def test_what_is_read_least_goes_outside():
    assert names(flash_places(CHIP, tables(60 * KB, 60 * KB, 4 * KB), {}, 4 * KB)) == (
        ["flash", "flash", "qspi"],
        "qspi",
    )
    assert names(flash_places(CHIP, tables(60 * KB, 61 * KB, 4 * KB), {}, 4 * KB)) == (
        ["flash", "qspi", "flash"],
        "qspi",
    )


def test_first_values_of_copies_go_outside_before_tables_do():
    assert names(flash_places(CHIP, tables(120 * KB), tables(8 * KB), 4 * KB)) == (["flash"], "qspi")


def test_code_comes_first():
    left = ROOM // CODE_MARGIN
    assert names(flash_places(CHIP, tables(8), {}, left)) == (["qspi"], "qspi")


def test_there_may_be_no_place():
    qspi = CHIP.flashes[1]
    assert flash_places(CHIP, tables(qspi.size, ROOM), {}, 4 * KB) is None
    assert flash_places(CHIP, tables(ROOM), tables(qspi.size + 1), 4 * KB) is None


def test_without_flash_outside_everything_is_in_the_chip():
    chip = replace(CHIP, memories=tuple(m for m in CHIP.memories if m.name != "qspi"))
    assert names(flash_places(chip, tables(2 * ROOM), tables(ROOM), 4 * KB)) == (["flash"], "flash")
