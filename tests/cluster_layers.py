"""Pointwise layers as DORY runs them on GAP8, by programs of our own after the fact sheet's description of DORY and PULP-NN:
DORY's tiles (its constraints and its objective, solved by trying everything), blocking transfers, the 4x2 loop in assembly and
everything else in plain C."""

from dataclasses import dataclass

import numpy as np

from smelt.firmware.build import Compiler
from tests.cluster_c import image, run
from tests.cluster_pointwise import TWO_PIXELS

BUDGET = 36_700  # bytes of L1 that DORY's stacks leave on the board


@dataclass(frozen=True)
class Layer:
    """One of MobileNetV1-128: `size` rows and columns. Mcycles of DORY: on silicon as published, and of its program of 2021 on the
    open GVSOC with the same loop."""

    name: str
    size: int
    channels: int
    wanted: int
    silicon: float
    gvsoc: float

    @property
    def macs(self) -> int:
        return self.size**2 * self.channels * self.wanted


LAYERS = (
    Layer("PW3", 32, 64, 128, 0.784, 1.034),
    Layer("PW4", 32, 128, 128, 1.331, 1.562),
    Layer("PW5", 16, 128, 256, 0.658, 0.803),
    Layer("PW6", 16, 256, 256, 1.191, 1.357),
    Layer("PW7", 8, 256, 512, 0.594, 0.690),
    Layer("PW8", 8, 512, 512, 1.308, 1.376),
)

PROGRAM = """
enum { SIZE = %(size)d, CHANNELS = %(channels)d, WANTED = %(wanted)d, ROWS = %(rows)d, ACROSS = %(across)d, PART = %(part)d };
static SMELT_L1 uint8_t x[ROWS * ACROSS * CHANNELS] __attribute__((aligned(64)));
static SMELT_L1 uint8_t y[ROWS * ACROSS * PART] __attribute__((aligned(64)));
static SMELT_L1 int8_t weights[PART * CHANNELS] __attribute__((aligned(64)));
static SMELT_L1 int32_t factors[PART], summands[PART];
static SMELT_L1 uint8_t columns[SMELT_WORKERS][2 * CHANNELS] __attribute__((aligned(64)));
static SMELT_L1 uint32_t rows, across, part, cycles;
%(routine)s
KERNEL void pointwise(void *argument)
{
    const uint32_t n = smelt_worker_number(), chunk = (rows + SMELT_WORKERS - 1U) / SMELT_WORKERS;
    (void)argument;
    for (uint32_t row = n * chunk; row < (n + 1U) * chunk && row < rows; row++) {
        for (uint32_t column = 0U; column < across; column += 2U) {
            const uint32_t *const from = (const uint32_t *)(x + (row * across + column) * CHANNELS);
            for (uint32_t j = 0U; j < CHANNELS / 2U; j++) {
                ((uint32_t *)columns[n])[j] = from[j];
            }
            two_pixels(columns[n], weights, y + (row * across + column) * part, CHANNELS, part);
        }
    }
}
static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }
static void tile(uint32_t row, uint32_t column, uint32_t first)
{
    rows = least(ROWS, SIZE - row), across = least(ACROSS, SIZE - column);
    const uint8_t *const from = input + WANTED * CHANNELS + (row * SIZE + column) * CHANNELS;
    smelt_dma_wait(smelt_dma_in_lines(x, from, rows * across * CHANNELS, across * CHANNELS, SIZE * CHANNELS));
    smelt_fork(pointwise, 0);
    for (uint32_t i = 0U; i < rows; i++) {
        uint8_t *const to = output + ((row + i) * SIZE + column) * WANTED + first;
        smelt_dma_wait(smelt_dma_out_lines(to, y + i * across * part, across * part, part, WANTED));
    }
}
static void master(void *argument)
{
    const uint8_t *const tables = input + WANTED * CHANNELS + SIZE * SIZE * CHANNELS;
    const uint32_t start = smelt_cycles();
    (void)argument;
    for (uint32_t first = 0U; first < WANTED; first += PART) {
        part = least(PART, WANTED - first);
        smelt_dma_wait(smelt_dma_in(weights, input + first * CHANNELS, part * CHANNELS));
        smelt_dma_wait(smelt_dma_in(factors, tables + 4U * first, 4U * part));
        smelt_dma_wait(smelt_dma_in(summands, tables + 4U * (WANTED + first), 4U * part));
        for (uint32_t row = 0U; row < SIZE; row += ROWS) {
            for (uint32_t column = 0U; column < SIZE; column += ACROSS) {
                tile(row, column, first);
            }
        }
    }
    cycles = smelt_cycles() - start;
    smelt_dma_wait(smelt_dma_out(output + SIZE * SIZE * WANTED, &cycles, 4U));
}
"""


def tile_of(layer: Layer) -> tuple[int, int, int]:
    """DORY's tile: rows, columns and channels of y, the best of all that fit."""
    most = (layer.size, layer.size, layer.wanted)
    h, w, n = np.meshgrid(*(np.arange(1, m + 1) for m in most), indexing="ij")
    taken = h * w * (layer.channels + n) + n * layer.channels + 8 * n + 16 * layer.channels + 40
    value = 2e6 * ((h - 1) % 8) + 3e6 * ((w - 1) % 2) + 1e6 * ((n - 1) % 4) + 1e6 * (w * h >= 16) + taken + 1e5 * n
    best = np.argmax(np.where(taken <= BUDGET, value, 0))
    rows, across, part = (int(a.flat[best]) for a in (h, w, n))
    return rows, across, part


def cycles_of(layer: Layer, compiler: Compiler = "gcc") -> int:
    """Of the layer, from the first transfer to the last; its outputs are compared with NumPy's."""
    sizes = zip(("rows", "across", "part"), tile_of(layer), strict=True)
    shape = {
        "size": layer.size,
        "channels": layer.channels,
        "wanted": layer.wanted,
        **dict(sizes),
        "routine": TWO_PIXELS,
    }
    random = np.random.default_rng(layer.size)
    weights = random.integers(-128, 128, (layer.wanted, layer.channels), np.int8)
    x = random.integers(0, 256, (layer.size**2, layer.channels), np.uint8)
    factors = random.integers(1, 60, layer.wanted).astype("<i4")
    summands = random.integers(-(1 << 14), 1 << 14, layer.wanted).astype("<i4")
    given = b"".join(a.tobytes() for a in (weights, x, factors, summands))
    y = np.clip((x.astype(np.int64) @ weights.T.astype(np.int64) * factors + summands) >> 9, 0, 255)
    result = run(image(PROGRAM % shape, len(given), y.size + 4, ("pointwise",), compiler), given)
    assert result.outputs[: y.size] == y.astype(np.uint8).tobytes()
    return int.from_bytes(result.outputs[y.size :], "little")
