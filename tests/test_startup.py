"""What the start-up code switches on before the network runs: caches, the flash accelerator and its prefetching."""

from dataclasses import replace

import pytest

from smelt.devices.simulators.simulator import Simulator
from smelt.firmware.build import build
from smelt.targets.boards import PRODUCTS, board
from tests.tiny_firmware import tiny, tiny_image

CCR, CCR_CACHES = 0xE000ED14, 3 << 16  # the core's instruction and data cache
# The bits that make flash bearable, by the reference manuals: FLASH_ACR (prefetching, and on the F746 the accelerator), ICACHE_CR.
EXPECTED = {
    "nucleo_l4r5zi": ((0x40022000, 1 << 8),),
    "disco_f746ng": ((0x40023C00, 3 << 8), (CCR, CCR_CACHES)),
    "nucleo_h743zi": ((CCR, CCR_CACHES),),
    "nucleo_g0b1re": ((0x40022000, 1 << 8),),
    "nucleo_l152re": ((0x40023C00, 3 << 1),),
    "nucleo_u575zi_q": ((0x40022000, 1 << 8), (0x40030400, 1)),
}
CHECK = "if ((*(volatile uint32_t *)%#xU & %#xU) != %#xU) o[0] = 1;"


@pytest.mark.parametrize("name", EXPECTED)
def test_flash_is_made_fast(name):
    checks = " ".join(CHECK % (address, bits, bits) for address, bits in EXPECTED[name])
    definition = f"KERNEL void kernel(uint8_t *o) {{ o[0] = 0; {checks} }}"
    run = Simulator(board(name)).run(tiny_image(name, definition, "kernel(o);"), bytes(16))
    assert run.outputs[0] == 0


@pytest.mark.parametrize("target", PRODUCTS, ids=lambda b: b.name)
def test_every_register_is_named(target):
    for change in target.chip.setup:
        assert not change.value & change.clear or change.clear == 0xFFFFFFFF
        assert ":" in change.why


def test_a_board_without_a_data_cache_runs_without_it():
    """Whoever describes a board decides: the core has one, but it is on no way to a memory."""
    h743 = board("nucleo_h743zi")
    memories = tuple(replace(m, path=replace(m.path, data=None)) for m in h743.chip.memories)
    uncached = replace(h743, chip=replace(h743.chip, memories=memories))
    definition = f"KERNEL void kernel(uint8_t *o) {{ o[0] = (uint8_t)(*(volatile uint32_t *){CCR:#x}U >> 16 & 3U); }}"
    image = build(tiny(definition, "kernel(o);", ("kernel",)), uncached)
    assert Simulator(uncached).run(image, bytes(16)).outputs[0] == 2
