"""The C runtime of chips with a cluster: forks, the DMA, memories outside, and what a run tells."""

from dataclasses import replace

import numpy as np
import pytest

from smelt.firmware.linker import WORKER_STACK_BYTES
from smelt.targets.chips.gap8 import TIGHT_DRIVER
from tests.cluster_c import BOARD, image, run, words
from tests.cluster_programs import need_if
from tests.cluster_transfers import requests

SUMS = """
static SMELT_L1 uint8_t tile[4096];
static SMELT_L1 uint32_t sums[SMELT_WORKERS];
KERNEL void add_up(void *argument)
{
    const uint32_t n = smelt_worker_number();
    const uint8_t *const from = (const uint8_t *)argument + 512U * n;
    uint32_t sum = 0U;
    for (uint32_t i = 0U; i < 512U; i++) {
        sum += from[i];
    }
    sums[n] = sum;
}
static void master(void *argument)
{
    (void)argument;
    smelt_dma_wait(smelt_dma_in(tile, input, sizeof tile));
    smelt_fork(add_up, tile);
    smelt_dma_wait(smelt_dma_out(output, sums, sizeof sums));
}
"""
TWICE = """
static SMELT_L2 uint8_t there[6000];
static void master(void *argument)
{
    (void)argument;
    smelt_outside_wait(smelt_outside_read(there, 0U, 0U)); /* nothing: it is there */
    const uint32_t first = smelt_outside_read(there, 0x01000010U, 5000U);
    const uint32_t second = smelt_outside_read(there + 5000, 100U, 1000U);
    smelt_outside_wait(first);
    memcpy(output, there, 5000U);
    smelt_outside_wait(smelt_outside_write(7000U, output, 5000U));
    smelt_outside_wait(second);
    smelt_outside_wait(smelt_outside_read(output, 7000U, 5000U));
    memcpy(output + 5000, there + 5000, 1000U);
}
"""
RANDOM = np.random.default_rng(12)


def some_bytes(count: int) -> bytes:
    return RANDOM.integers(0, 256, count, dtype=np.uint8).tobytes()


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
def test_eight_workers_share_the_work(compiler):
    need_if(compiler)
    given = some_bytes(4096)
    result = run(image(SUMS, 4096, 32, ("add_up",), compiler), given)
    assert words(result).tolist() == [sum(given[512 * n : 512 * n + 512]) for n in range(8)]
    calls = result.calls["add_up"]
    assert sorted(c.core for c in calls) == list(range(8)) and len(result.step_cycles) == 1
    assert max(c.start for c in calls) - min(c.start for c in calls) < 40  # cycles: they go on together
    assert result.step_cycles[0] < result.cycles < result.total_cycles and result.dma[1] == 4096 + 32
    assert 0 < max(result.worker_stacks) <= WORKER_STACK_BYTES and result.stack_bytes > 0


@pytest.mark.parametrize("driver", [BOARD.chip.outside, TIGHT_DRIVER], ids=["silicon", "tight"])
def test_bytes_come_from_outside_and_go_there(driver):
    board = replace(BOARD, chip=replace(BOARD.chip, outside=driver))
    flash, ram = some_bytes(5000), some_bytes(1000)
    result = run(image(TWICE, 4, 6000, (), "zig", board), outside={0x01000010: flash, 100: ram}, board=board)
    assert result.outputs == flash + ram
    busy, moved, bursts = result.outside
    assert moved == 16000 and bursts == (4 if driver is BOARD.chip.outside else 3 * 10 + 2)
    assert abs(busy - (3 * driver.cycles(5000) + driver.cycles(1000))) <= bursts


def test_bursts_from_outside_are_as_tight_as_the_hardware_allows():
    """Within a request and from one that waits to the next: what a burst takes and 5 %, 6 % where each is a request."""
    *_, long, short = requests(TIGHT_DRIVER)
    assert TIGHT_DRIVER.cycles(131072) < long < 1.05 * TIGHT_DRIVER.cycles(131072)
    assert 16 * TIGHT_DRIVER.cycles(512) < short < 1.07 * 16 * TIGHT_DRIVER.cycles(512)
