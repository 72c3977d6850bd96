"""Layers as DORY runs them on GAP8, by programs of our own after the fact sheet's description of DORY and PULP-NN: DORY's tiles
(its constraints and its objective, solved by trying everything), blocking transfers, PULP-NN's loops.

Each program exists twice. `stock`: the loop over words in assembly, everything else plain C, as an ordinary compiler makes it,
which is how the programs on the open GVSOC were built. Otherwise inner loops are the hardware's and pointers step in loads and
stores: what GreenWaves' compiler makes of such C, and what ran on silicon.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from smelt.firmware.build import Compiler
from smelt.targets.types import KB, Board
from tests.cluster_c import BOARD, image, run

FOLDER = Path(__file__).parent / "dory"
BUDGETS = {
    1: 36_700,
    2: 35_000,
}  # bytes of L1 that DORY's stacks leave, by how many buffers tiles have: on the board, simulated
SHIFT = 9  # of the programs' rescaling


def with_more_l2(board: Board) -> Board:
    """Less of L2 for code, as these programs need little of it and the largest layer needs 387 KB for tensors."""
    code, l2 = (next(m for m in board.chip.memories if m.name == name) for name in ("code", "l2"))
    parts = {
        "code": replace(code, size=64 * KB),
        "l2": replace(l2, start=code.start + 64 * KB, size=code.size + l2.size - 64 * KB),
    }
    memories = tuple(parts.get(m.name, m) for m in board.chip.memories)
    return replace(board, chip=replace(board.chip, memories=memories))


def as_open_gvsoc(board: Board) -> Board:
    """What is known of the open GVSOC's timing: `mul` takes 2 cycles, a barrier 11, the DMA moves 8 bytes a cycle either way."""
    chip = board.chip
    core = replace(chip.core, timing=replace(chip.core.timed, multiply=2))
    timing = replace(chip.cluster.timing, wake=3)
    cluster = replace(chip.cluster, timing=timing, dma=replace(chip.cluster.dma, gap_in=0, gap_out=0))
    return replace(board, chip=replace(chip, core=core, cluster=cluster))


CHIP = with_more_l2(BOARD)
OPEN_GVSOC = as_open_gvsoc(CHIP)


@dataclass(frozen=True)
class Window:
    """A convolution of `size` rows and `across` columns of `depth` channels to `channels`, a depthwise one where `depth` is 0.
    Kcycles of DORY: on silicon as published, and on the open GVSOC of its own program; 0 where there is no figure."""

    name: str
    size: int
    depth: int
    channels: int
    stride: int = 1
    silicon: int = 0
    gvsoc: int = 0
    kernel: int = 3
    across: int = 0  # as many as rows
    times: int = 1  # how many such layers the network has
    buffers: int = 1  # of each tile of x, y and weights

    @property
    def pad(self) -> int:
        return self.kernel // 2

    @property
    def x_size(self) -> tuple[int, int]:
        return self.size, self.across or self.size

    @property
    def y_size(self) -> tuple[int, int]:
        height, width = ((n + 2 * self.pad - self.kernel) // self.stride + 1 for n in self.x_size)
        return height, width

    @property
    def taps(self) -> int:
        """Products in a sum."""
        return self.kernel**2 * (self.depth or 1)

    @property
    def macs(self) -> int:
        height, width = self.y_size
        return height * width * self.channels * self.taps


MOBILENET = (
    Window("conv", 128, 3, 32, 2, 830, 1262),
    Window("DW1", 64, 0, 32, 1, 913, 1699),
    Window("PW2", 64, 32, 64, 1, 1091, 1531, 1),
    Window("DW2", 64, 0, 64, 2, 1016, 1222),
    Window("PW3", 32, 64, 128, 1, 784, 1034, 1),
    Window("DW3", 32, 0, 128, 1, 872, 1540),
    Window("PW4", 32, 128, 128, 1, 1331, 1562, 1),
    Window("DW4", 32, 0, 128, 2, 462, 565),
    Window("PW5", 16, 128, 256, 1, 658, 803, 1),
    Window("DW5", 16, 0, 256, 1, 475, 793),
    Window("PW6", 16, 256, 256, 1, 1191, 1357, 1),
    Window("DW6", 16, 0, 256, 2, 256, 275),
    Window("PW7", 8, 256, 512, 1, 594, 690, 1),
    Window("DW7", 8, 0, 512, 1, 256, 446, times=5),
    Window("PW8", 8, 512, 512, 1, 1308, 1376, 1, times=5),
    Window("DW12", 8, 0, 512, 2, 145, 163),
    Window("DW13", 4, 0, 1024, 1, 178, 299),
)
"""All of it but what waits for HyperRAM (the last two pointwise layers and the dense one) and the pooling."""

PENGUINET = (
    Window("conv 5x5", 96, 1, 32, 2, 0, 1052, 5, 160, buffers=2),
    Window("conv2", 24, 32, 32, 2, 0, 260, 3, 40, buffers=2),
    Window("conv3", 12, 32, 32, 1, 0, 238, 3, 20, buffers=2),
    Window("conv4", 12, 32, 64, 2, 0, 255, 3, 20, buffers=2),
    Window("conv5", 6, 64, 64, 1, 0, 256, 3, 10, buffers=2),
    Window("conv6", 6, 64, 128, 2, 0, 757, 3, 10, buffers=2),
    Window("conv7", 3, 128, 128, 1, 0, 1053, 3, 5, buffers=2),
)
"""Its convolutions; pooling and dense layers are 7 % of DORY's time."""

RESIDUAL = (
    Window("conv 5x5", 200, 1, 16, 2, 0, 1744, 5, buffers=2),
    Window("conv2", 100, 16, 16, 2, 0, 730, buffers=2),
    Window("conv3", 50, 16, 16, 2, 0, 240, buffers=2),
    Window("conv4", 25, 16, 16, 1, 0, 207, times=3, buffers=2),
)
"""Convolutions of Residual_connection_test_1."""

NETWORKS = {"MobileNetV1-128": MOBILENET, "PenguiNet_32": PENGUINET, "Residual_1": RESIDUAL}


"""MobileNet's program of 2021 was made for the board, whose DMA blocks, with single buffers; those of today's DORY have two."""


def read(layer: Window, y: np.ndarray, size: int) -> np.ndarray:
    """How many of `size` rows or columns of x so many of y read at most."""
    return np.minimum((y - 1) * layer.stride + layer.kernel, size)


def tile_of(layer: Window) -> tuple[int, int, int]:
    """DORY's tile: rows, columns and channels of y, the best of all that fit."""
    return _convolution_tile(layer) if layer.depth else _depthwise_tile(layer)


def _convolution_tile(layer: Window) -> tuple[int, int, int]:
    most = (*layer.y_size, layer.channels)
    h, w, n = np.meshgrid(*(np.arange(1, m + 1) for m in most), indexing="ij")
    high, wide = (read(layer, a, size) for a, size in zip((h, w), layer.x_size, strict=True))
    taken = layer.buffers * (high * wide * layer.depth + h * w * n + n * (layer.taps + 8)) + 16 * layer.taps + 40
    value = 2e6 * ((h - 1) % 8) + 3e6 * ((w - 1) % 2) + 1e6 * ((n - 1) % 4) + 1e6 * (w * h >= 16) + taken + 1e5 * n
    whole = ((high - layer.kernel) % layer.stride == 0) & ((wide - layer.kernel) % layer.stride == 0)
    return _best(whole & (taken <= BUDGETS[layer.buffers]), value, h, w, n)


def _depthwise_tile(layer: Window) -> tuple[int, int, int]:
    height, width = layer.y_size
    rows = [height] if max(layer.x_size) <= 32 else range(1, height + 1)
    h, n = np.meshgrid(np.array(rows), np.arange(1, layer.channels + 1), indexing="ij")
    w, high = np.full_like(h, width), read(layer, h, layer.size)
    strips = 8 * (layer.kernel * (high + 2 * layer.pad) + layer.kernel)
    taken = n * (high * layer.x_size[1] + h * w + layer.taps + 8) + strips + 40
    value = 1e4 * (n > 7) + 2e4 * ((n - 1) % 16) + 1e4 * (h % 4 == 0) + taken + 1e3 * (w + h)
    return _best(taken <= BUDGETS[layer.buffers], value, h, w, n)


def _best(fits: np.ndarray, value: np.ndarray, *shape: np.ndarray) -> tuple[int, int, int]:
    best = np.argmax(np.where(fits, value, 0))
    rows, across, part = (int(a.flat[best]) for a in shape)
    return rows, across, part


def reference(layer: Window, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sums, [row, column, channel]."""
    height, width = layer.y_size
    step, pad = layer.stride, (layer.pad, layer.pad)
    padded = np.pad(x.astype(np.int32), (pad, pad, (0, 0)))
    sums = np.zeros((height, width, layer.channels), np.int32)
    for i in range(layer.kernel):
        for j in range(layer.kernel):
            seen = padded[i : i + (height - 1) * step + 1 : step, j : j + (width - 1) * step + 1 : step]
            w = weights[:, i, j].astype(np.int32)
            sums += seen @ w.T if layer.depth else seen * w[:, 0]
    return sums


def program(layer: Window, stock: bool = False, by_rows: bool = False) -> str:
    rows, across, part = tile_of(layer)
    (height, width), (y_height, y_width) = layer.x_size, layer.y_size
    x_rows, x_across = (int(read(layer, np.array(n), size)) for n, size in ((rows, height), (across, width)))
    x_bytes = height * width * (layer.depth or layer.channels)
    sizes = {
        "HEIGHT": height, "WIDTH": width, "Y_HEIGHT": y_height, "Y_WIDTH": y_width,
        "DEPTH": layer.depth, "CHANNELS": layer.channels, "FILTER": layer.kernel,
        "STRIDE": layer.stride, "PAD": layer.pad, "ROWS": rows, "ACROSS": across, "PART": part, "X_ROWS": x_rows,
        "X_ACROSS": x_across, "X_AT": layer.channels * layer.taps, "FACTORS_AT": layer.channels * layer.taps + x_bytes,
    }  # fmt: skip
    head = f"#define XPULP {int(not stock)}\nenum {{ {', '.join(f'{k} = {v}' for k, v in sizes.items())} }};\n"
    parts = ("convolution.c",) if layer.depth else ("depthwise.c", "rows.h" if by_rows else "strips.h")
    return head + "".join(_text(name) for name in ("parts.h", *parts))


def _text(name: str) -> str:
    return (FOLDER / name).read_text()


def cycles_of(
    layer: Window, stock: bool = False, by_rows: bool = False, compiler: Compiler = "gcc", board: Board = CHIP
) -> int:
    """Of the layer, from the first transfer to the last; its outputs are compared with NumPy's."""
    random = np.random.default_rng(layer.size)
    weights = random.integers(-128, 128, (layer.channels, layer.kernel, layer.kernel, layer.depth or 1), np.int8)
    x = random.integers(0, 256, (*layer.x_size, layer.depth or layer.channels), np.uint8)
    factors = random.integers(1, 60, layer.channels).astype("<i4")
    summands = random.integers(-(1 << 14), 1 << 14, layer.channels).astype("<i4")
    given = b"".join(a.tobytes() for a in (weights, x, factors, summands))
    y = np.clip((reference(layer, x, weights) * factors + summands) >> SHIFT, 0, 255)
    firmware = image(program(layer, stock, by_rows), len(given), y.size + 4, ("layer",), compiler, board)
    result = run(firmware, given, board=board)
    assert result.outputs[: y.size] == y.astype(np.uint8).tobytes()
    return int.from_bytes(result.outputs[y.size :], "little")
