"""Products of two channels at once: one word holds two weights of each, so that only half of the weights need unpacking.

A halfword is 256 * (weight of one channel) + (weight of the other). SMLAD with the word itself adds up 256 * high + low,
SMLAD with SXTB16 of it adds up low alone; the difference is exact as long as sums stay below 2^23, which the weights show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.requantizer import Requantizer
from smelt.kernels.routines import products
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import SIZES, AnyBuffer, Expr, Table
from smelt.loops.routine import At
from smelt.model.ops import Conv2D
from smelt.targets.intrinsics import SMLAD, SXTB16
from smelt.targets.types import Core

MOST_SUM = 2**23
OTHERS = 20  # instructions of a routine for a block of pixels
CALL = 50  # and for a call


def fit_pairs(flat: NDArray[np.int8], r: Requantizer) -> bool:
    """Whether `flat` (channels, taps) can be stored in pairs, and the sums told apart."""
    if r.wraps or _high_bytes(flat).min() < -128:
        return False
    wide, bias = flat.astype(np.int64), r.columns[:, 0].astype(np.int64)
    positive, negative = np.maximum(wide, 0).sum(axis=1), np.minimum(wide, 0).sum(axis=1)
    greatest, least = bias + 127 * positive - 128 * negative, bias + 127 * negative - 128 * positive
    return bool(np.max(greatest) < MOST_SUM and np.min(least) >= -MOST_SUM and np.max(np.abs(bias)) < MOST_SUM)


def _even(weights: NDArray[np.int8]) -> NDArray[np.int8]:
    """`weights` (channels, ...) with a channel of zeros at the end, if needed for an even number."""
    return np.concatenate([weights, np.zeros_like(weights[: len(weights) % 2])])


def _high_bytes(weights: NDArray[np.int8]) -> NDArray[np.int16]:
    """The upper bytes of the halfwords, without what a negative lower byte borrows."""
    even = _even(weights)
    return even[1::2].astype(np.int16) - (even[0::2] < 0)


def pack_pairs(weights: NDArray[np.int8], mixed: bool) -> Table:
    """`weights` (channels, runs, length) as int32 [pair of channels][run][word], and one more word that may be read."""
    halves = _high_bytes(weights).astype(np.int32) * 256 + (_even(weights)[0::2].astype(np.int32) & 255)
    pairs, runs, length = halves.shape
    padded = np.zeros((pairs, runs, length + length % 2), np.int16)
    padded[:, :, :length] = halves
    if mixed:
        padded = padded.reshape(pairs, runs, -1, 4)[..., [0, 2, 1, 3]]
    return np.append(padded.reshape(-1).view("<i4").astype(np.int32), np.int32(0))


def leaves_cache(op: Conv2D, core: Core) -> bool:
    """Whether the weights of two channels are no longer near the core when the next pixels need them."""
    most = core.style.cached_bytes
    return most is not None and op.weights.elements // op.y.shape[3] * 2 > most


@dataclass(frozen=True)
class Row:
    """`pixels` neighbours, `step` elements of x apart, whose sums are made at once, `block` at a time. Each sees `rows` rows of
    `words` words, which lie `pitch` elements apart."""

    pixels: int
    block: int
    words: int
    step: int
    rows: int
    pitch: int


def multiply_row(
    k: KernelBuilder, row: Row, sums: AnyBuffer, weights: AnyBuffer, x: AnyBuffer, starts: tuple[Expr, Expr],
    plain: bool = False,
) -> None:  # fmt: skip
    """The sums of low channel and both (`plain`: of second and first channel) of each pixel, from `starts` on."""
    size = SIZES[x.type]
    numbers = (row.words, row.step * size, row.rows, row.pitch * size, row.pixels)
    words = row.rows * row.words
    blocks = -(-row.pixels // row.block)
    work = ((SMLAD, 2 * row.block * blocks * words), *(() if plain else ((SXTB16, blocks * words),)))
    others, turns = (
        blocks * (words * (row.block + 2) + OTHERS) + CALL,
        blocks * words if weights.role == "constant" else 0,
    )
    k.routine(products(row.block, plain), (At(sums), At(weights), At(x), *starts, *numbers), work, others, turns)
