"""What Fourier transforms compute. Spectra are (rows, points, 2) here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from smelt.model.graph import Array, DType, Op
from smelt.model.ops_fft import InverseFft, RealFft, one, radices, rotations, split_rotations

CONJUGATE = (1, -1)


@dataclass(frozen=True)
class Numbers:
    """Arithmetic of complex numbers. Integers are int64 here: products are rounded, sums wrap, and what is summed is divided first
    by the number of summands."""

    dtype: DType

    @property
    def is_real(self) -> bool:
        return self.dtype == "float32"

    def wide(self, x: Array) -> Array:
        return x if self.is_real else x.astype(np.int64)

    def wrapped(self, x: Array) -> Array:
        return x if self.is_real else x.astype(self.dtype).astype(np.int64)

    def divided(self, x: Array, by: int) -> Array:
        return x if self.is_real else self._rounded(x * (one(self.dtype) // by))

    def times(self, x: Array, turn: Array) -> Array:
        turn = self.wide(turn)
        re = x[..., 0] * turn[:, 0] - x[..., 1] * turn[:, 1]
        im = x[..., 0] * turn[:, 1] + x[..., 1] * turn[:, 0]
        product = np.stack([re, im], axis=-1)
        return product if self.is_real else self.wrapped(self._rounded(product))

    def scaled(self, x: Array, by: Array) -> Array:
        """Times a number that is not complex."""
        return np.asarray(x * by) if self.is_real else self.wrapped(self._rounded(x * np.int64(by)))

    def half(self, x: Array) -> Array:
        """Of a sum; that of int16 does not wrap."""
        if self.is_real:
            return np.asarray(x * np.float32(0.5))
        return np.asarray((x if self.dtype == "int16" else self.wrapped(x)) >> 1)

    def conjugate(self, x: Array) -> Array:
        return self.wrapped(x * np.array(CONJUGATE, x.dtype))

    def _rounded(self, product: Array) -> Array:
        bits = 15 if self.dtype == "int16" else 31
        return np.asarray((product + (1 << (bits - 1))) >> bits)


def real_fft(op: RealFft, x: Array) -> Array:
    """Of every row: pairs of samples are complex numbers, whose spectrum is then taken apart."""
    n, half = Numbers(op.x.dtype), op.length // 2
    rows = np.zeros((x.size // x.shape[-1], op.length), x.dtype)
    rows[:, : x.shape[-1]] = x.reshape(len(rows), -1)
    pairs = _fft(n, n.wide(rows).reshape(len(rows), half, 2), radices(half), rotations(half, n.dtype), False)
    y = np.zeros((len(rows), half + 1, 2), pairs.dtype)
    first = n.divided(pairs[:, 0], 2)
    y[:, 0, 0], y[:, half, 0] = first[:, 0] + first[:, 1], first[:, 0] - first[:, 1]
    k = np.arange(1, half // 2 + 1)
    total, turned = _parts(n, pairs, k, half, split_rotations(half, n.dtype))
    y[:, k] = n.half(total + turned)
    difference = np.stack([(total - turned)[..., 0], (turned - total)[..., 1]], axis=-1)
    y[:, half - k] = n.half(difference)
    return y.astype(x.dtype)


def inverse_fft(op: InverseFft, x: Array) -> Array:
    """The way back of `real_fft`. Only reals are divided at the end: integers are on the way."""
    n, half = Numbers(op.x.dtype), op.length // 2
    bins = n.wide(x).reshape(-1, half + 1, 2)
    pairs = np.zeros((len(bins), half, 2), bins.dtype)
    ends = np.stack([bins[:, 0, 0] + bins[:, half, 0], bins[:, 0, 0] - bins[:, half, 0]], axis=-1)
    pairs[:, 0] = n.divided(n.wrapped(ends), 2)
    k = np.arange(1, half // 2 + 1)
    even, odd = _parts(n, bins, k, half, split_rotations(half, n.dtype, True))
    pairs[:, k] = n.wrapped(even + odd)
    pairs[:, half - k] = n.conjugate(n.wrapped(even - odd))
    y = _fft(n, pairs, radices(half), rotations(half, n.dtype, True), True)
    return np.asarray(y / np.float32(op.length) if n.is_real else y.astype(x.dtype))


def _parts(n: Numbers, x: Array, k: Array, half: int, turns: Array) -> tuple[Array, Array]:
    """Of bins k and half - k: what the spectra of the even and of the odd samples make of them, the latter turned."""
    low, high = n.divided(x[:, k], 2), n.divided(n.conjugate(x[:, half - k]), 2)
    return n.wrapped(low + high), n.times(n.wrapped(low - high), turns)


def _fft(n: Numbers, x: Array, factors: tuple[int, ...], turns: Array, inverse: bool) -> Array:
    """Decimation in time. Every butterfly of integers first divides by its radix, so that nothing overflows."""
    if not factors:
        return x
    radix, points = factors[0], x.shape[1]
    parts = [n.divided(_fft(n, x[:, i::radix], factors[1:], turns, inverse), radix) for i in range(radix)]
    made = BUTTERFLIES[radix](n, parts, turns[:: len(turns) // points])
    if inverse and radix == 4:
        made[1], made[3] = made[3], made[1]
    return np.concatenate([n.wrapped(part) for part in made], axis=1)


Butterfly = Callable[[Numbers, list[Array], Array], list[Array]]
"""From spectra of as many parts, and the turns of the whole circle, to the pieces of the spectrum of them all."""


def _turned(n: Numbers, parts: list[Array], turns: Array) -> list[Array]:
    k = np.arange(parts[0].shape[1])
    return [n.times(part, turns[q * k]) if q else part for q, part in enumerate(parts)]


def _across(x: Array) -> Array:
    """Times -i."""
    return np.asarray(x[..., ::-1] * np.array(CONJUGATE, x.dtype))


def _two(n: Numbers, parts: list[Array], turns: Array) -> list[Array]:
    a, b = _turned(n, parts, turns)
    return [a + b, a - b]


def _three(n: Numbers, parts: list[Array], turns: Array) -> list[Array]:
    a, b, c = _turned(n, parts, turns)
    total = n.wrapped(b + c)
    across = _across(n.scaled(n.wrapped(b - c), turns[len(turns) // 3, 1]))
    low = n.wrapped(a - n.half(total))
    return [a + total, low - across, low + across]


def _four(n: Numbers, parts: list[Array], turns: Array) -> list[Array]:
    a, b, c, d = _turned(n, parts, turns)
    even, odd, total, across = n.wrapped(a + c), n.wrapped(a - c), n.wrapped(b + d), _across(n.wrapped(b - d))
    return [even + total, odd + across, even - total, odd - across]


def _five(n: Numbers, parts: list[Array], turns: Array) -> list[Array]:
    a, b, c, d, e = _turned(n, parts, turns)
    (re, im), (re2, im2) = turns[len(turns) // 5], turns[2 * (len(turns) // 5)]
    outer, inner = (n.wrapped(b + e), n.wrapped(b - e)), (n.wrapped(c + d), n.wrapped(c - d))
    first = n.wrapped(a + n.scaled(outer[0], re) + n.scaled(inner[0], re2))
    across = n.wrapped(_across(n.scaled(outer[1], im)) + _across(n.scaled(inner[1], im2)))
    second = n.wrapped(a + n.scaled(outer[0], re2) + n.scaled(inner[0], re))
    across2 = n.wrapped(-_across(n.scaled(outer[1], im2)) + _across(n.scaled(inner[1], im)))
    return [a + (outer[0] + inner[0]), first - across, second + across2, second - across2, first + across]


BUTTERFLIES: dict[int, Butterfly] = {2: _two, 3: _three, 4: _four, 5: _five}

FFT: dict[type[Op], Callable[..., Array]] = {RealFft: real_fft, InverseFft: inverse_fft}
