"""Programs that measure transfers on the simulated cluster, in C as others' harnesses are: by the DMA in series of sizes, and from
outside of the chip by the runtime's own driver."""

from dataclasses import replace

from smelt.targets.cluster import Bursts
from tests.cluster_c import BOARD, image, run, words

SIZES = (256, 1024, 4096, 16384)
REQUESTS = ((1, 512), (1, 4096), (1, 131072), (16, 512))

SERIES = """
static SMELT_L1 uint8_t tile[16384];
static SMELT_L1 uint32_t times[16];
__attribute__((noinline)) static uint32_t in(uint32_t bytes)
{
    const uint32_t start = smelt_cycles();
    smelt_dma_wait(smelt_dma_in(tile, input, bytes));
    return smelt_cycles() - start;
}
__attribute__((noinline)) static uint32_t out(uint32_t bytes)
{
    const uint32_t start = smelt_cycles();
    smelt_dma_wait(smelt_dma_out(input, tile, bytes));
    return smelt_cycles() - start;
}
static void master(void *argument)
{
    uint32_t n = 0U;
    (void)argument;
    for (uint32_t again = 0U; again < 2U; again++) {
        for (uint32_t bytes = 256U; bytes <= 16384U; bytes *= 4U) {
            times[n++] = in(bytes);
        }
    }
    for (uint32_t again = 0U; again < 2U; again++) {
        for (uint32_t bytes = 256U; bytes <= 16384U; bytes *= 4U) {
            times[n++] = out(bytes);
        }
    }
    smelt_dma_wait(smelt_dma_out(output, times, 64U));
}
"""

OUTSIDE = """
static SMELT_L2 uint8_t there[131072];
static SMELT_L1 uint32_t times[4];
__attribute__((noinline)) static uint32_t request(uint32_t count, uint32_t bytes)
{
    const uint32_t start = smelt_cycles();
    uint32_t last = 0U;
    for (uint32_t i = 0U; i < count; i++) {
        last = smelt_outside_read(there + i * bytes, i * bytes, bytes);
    }
    smelt_outside_wait(last);
    return smelt_cycles() - start;
}
static void master(void *argument)
{
    (void)argument;
    (void)request(2U, 512U); /* now it is in the instruction caches */
    times[0] = request(1U, 512U), times[1] = request(1U, 4096U), times[2] = request(1U, 131072U), times[3] = request(16U, 512U);
    smelt_dma_wait(smelt_dma_out(output, times, 16U));
}
"""


def series() -> list[list[int]]:
    """Cycles of blocking transfers of `SIZES`, programming and polling counted: in, in once more, out, out once more."""
    return words(run(image(SERIES, 16384, 64, (), "gcc"), bytes(16384))).reshape(4, 4).tolist()


def requests(driver: Bursts) -> list[int]:
    """Cycles until `REQUESTS` (how many at a time, of how many bytes) have been served, seen by worker 0."""
    board = replace(BOARD, chip=replace(BOARD.chip, outside=driver))
    firmware = image(OUTSIDE, 4, 16, (), "gcc", board)
    return words(run(firmware, outside={0: bytes(131072)}, board=board)).tolist()
