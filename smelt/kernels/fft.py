"""The fast Fourier transform of real samples, and the way back: stage by stage where the result lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall, Plain, plain
from smelt.loops.ir import AnyBuffer, Expr, Type, Value, cast, expression, minimum, real
from smelt.model.graph import DType
from smelt.model.ops_fft import InverseFft, RealFft, has_butterflies, one, order, radices, rotations, split_rotations

Complex = tuple[Expr, Expr]


def butterflies(op: RealFft | InverseFft, core: object) -> bool:
    """half the length is a product of 2, 3 and 5"""
    return has_butterflies(op.length)


@dataclass(frozen=True)
class Numbers:
    """Arithmetic of complex numbers in a transform of so many points, as `model.reference_fft` has it: sums of integers wrap."""

    k: CallBuilder
    dtype: DType
    points: int
    inverse: bool = False

    @property
    def is_real(self) -> bool:
        return self.dtype == "float32"

    @property
    def zero(self) -> Expr:
        return real(0.0) if self.is_real else expression(0)

    def kept(self, name: str, value: Complex) -> Complex:
        return self.k.let(name, value[0]), self.k.let(name, value[1])

    def wrapped(self, name: str, value: Complex) -> Complex:
        """Sums and differences of int16, which are wider than that in C; those of int32 have wrapped."""
        type: Type | None = "int16_t" if self.dtype == "int16" else None
        return self.kept(name, (cast(type, value[0]), cast(type, value[1])) if type else value)

    def divided(self, value: Complex, by: int) -> Complex:
        if self.is_real:
            return self.kept("part", value)
        re, im = (self._rounded(self._product(part, one(self.dtype) // by)) for part in value)
        return self.kept("part", (re, im))

    def times(self, a: Complex, b: Complex) -> Complex:
        b, p = self.kept("turn", b), self._product
        re, im = p(a[0], b[0]) - p(a[1], b[1]), p(a[0], b[1]) + p(a[1], b[0])
        return self.kept("turned", (re, im) if self.is_real else (self._rounded(re), self._rounded(im)))

    def scaled(self, a: Complex, by: Value) -> Complex:
        """Times a number that is not complex."""
        re, im = (self._product(part, by) for part in a)
        return self.kept("scaled", (re, im) if self.is_real else (self._rounded(re), self._rounded(im)))

    def turn(self, part: int, of: int) -> tuple[Value, Value]:
        """A part of a whole circle, as the table of all turns has it."""
        re, im = rotations(self.points, self.dtype, self.inverse)[part * (self.points // of)]
        return (real(float(re)), real(float(im))) if self.is_real else (int(re), int(im))

    def across(self, a: Complex) -> Complex:
        """Times -i."""
        return a[1], self.negative(a[0])

    def plus(self, a: Complex, b: Complex) -> Complex:
        return self.sum(a[0], b[0]), self.sum(a[1], b[1])

    def minus(self, a: Complex, b: Complex) -> Complex:
        return self.difference(a[0], b[0]), self.difference(a[1], b[1])

    def conjugate(self, value: Complex) -> Complex:
        return value[0], self.negative(value[1])

    def negative(self, x: Expr) -> Expr:
        return x * real(-1.0) if self.is_real else self.difference(expression(0), x)

    def sum(self, a: Expr, b: Expr) -> Expr:
        return cast("int32_t", cast("uint32_t", a) + cast("uint32_t", b)) if self.dtype == "int32" else a + b

    def difference(self, a: Expr, b: Expr) -> Expr:
        return cast("int32_t", cast("uint32_t", a) - cast("uint32_t", b)) if self.dtype == "int32" else a - b

    def half(self, x: Expr) -> Expr:
        return x * real(0.5) if self.is_real else x >> 1

    def _product(self, a: Expr, b: Value) -> Expr:
        return cast("int64_t", a) * b if self.dtype == "int32" else a * b

    def _rounded(self, product: Expr) -> Expr:
        if self.dtype == "int32":
            return cast("int32_t", (product + (1 << 30)) >> 31)
        return (product + (1 << 14)) >> 15


def build_real_fft(op: RealFft, schedule: Plain) -> KernelCall:
    """In y: pairs of samples in the order that neighbours are combined first, then stage by stage, then taken apart."""
    half, samples = op.length // 2, op.x.shape[-1]
    k = CallBuilder("real_fft")
    n = Numbers(k, op.x.dtype, half)
    x = k.operand("x", op.x)
    places = k.table("order", np.array(order(half, radices(half)), np.uint16))
    turns = k.table("turns", rotations(half, n.dtype))
    splits = k.table("splits", split_rotations(half, n.dtype))
    y = k.result("y", op.y)
    with k.loop("row", 0, op.x.elements // samples) as row:
        source, to = k.window("from", x, row * samples), k.window("to", y, row * (op.length + 2))
        with k.loop("i", 0, half) as i:
            first = k.let("first", minimum(places[i], half - 1) * 2)
            for part in (0, 1):
                inside = (first + part) < samples
                with k.when(inside):
                    k.store(to, i * 2 + part, source[minimum(first + part, samples - 1)])
                with k.otherwise():
                    k.store(to, i * 2 + part, n.zero)
        transform(n, to, turns, half)
        take_apart(n, to, splits, half)
    return k.finish_call()


def build_inverse_fft(op: InverseFft, schedule: Plain) -> KernelCall:
    """In y: the spectrum of pairs of samples, put together from the bins and stored where the first stage wants it."""
    half = op.length // 2
    k = CallBuilder("inverse_fft")
    n = Numbers(k, op.x.dtype, half, inverse=True)
    x = k.operand("x", op.x)
    places = k.table("places", np.argsort(order(half, radices(half))).astype(np.uint16))
    turns = k.table("turns", rotations(half, n.dtype, True))
    splits = k.table("splits", split_rotations(half, n.dtype, True))
    y = k.result("y", op.y)
    with k.loop("row", 0, op.y.elements // op.length) as row:
        source, to = k.window("from", x, row * (op.length + 2)), k.window("to", y, row * op.length)
        _put_together(n, to, source, places, splits, half)
        transform(n, to, turns, half)
        if n.is_real:
            with k.loop("i", 0, op.length) as i:
                k.store(to, i, to[i] // real(op.length))
    return k.finish_call()


def transform(n: Numbers, y: AnyBuffer, turns: AnyBuffer, half: int) -> None:
    points = 1
    for radix in reversed(radices(half)):
        _stage(n, y, turns, half, points, radix)
        points *= radix


def load_complex(buffer: AnyBuffer, index: Value) -> Complex:
    index = expression(index)
    return buffer[index * 2], buffer[index * 2 + 1]


def _store(n: Numbers, buffer: AnyBuffer, index: Value, value: Complex) -> None:
    index = expression(index)
    for part in (0, 1):
        n.k.store(buffer, index * 2 + part, value[part])


def _stage(n: Numbers, y: AnyBuffer, turns: AnyBuffer, half: int, points: int, radix: int) -> None:
    """Make spectra of `points` points into spectra of `radix` times as many."""
    k, step = n.k, half // (points * radix)
    with k.loop("group", 0, step) as group, k.loop("k", 0, points) as i:
        base = k.let("base", group * (points * radix) + i)
        parts = [n.divided(load_complex(y, base + q * points), radix) for q in range(radix)]
        turned = [n.times(part, load_complex(turns, i * (q * step))) if q else part for q, part in enumerate(parts)]
        places = [k.let("place", base + q * points) for q in range(radix)]
        for place, value in zip(places, _butterfly(n, turned), strict=True):
            _store(n, y, place, value)


def _butterfly(n: Numbers, parts: list[Complex]) -> tuple[Complex, ...]:
    """The spectrum of two to five points."""
    kinds: dict[int, Callable[..., tuple[Complex, ...]]] = {2: _two, 3: _three, 4: _four, 5: _five}
    return kinds[len(parts)](n, *parts)


def _two(n: Numbers, a: Complex, b: Complex) -> tuple[Complex, ...]:
    return n.plus(a, b), n.minus(a, b)


def _three(n: Numbers, a: Complex, b: Complex, c: Complex) -> tuple[Complex, ...]:
    total, difference = n.wrapped("total", n.plus(b, c)), n.wrapped("difference", n.minus(b, c))
    low = n.wrapped("low", n.minus(a, (n.half(total[0]), n.half(total[1]))))
    across = n.across(n.scaled(difference, n.turn(1, 3)[1]))
    return n.plus(a, total), n.minus(low, across), n.plus(low, across)


def _four(n: Numbers, a: Complex, b: Complex, c: Complex, d: Complex) -> tuple[Complex, ...]:
    even, odd = n.wrapped("even", n.plus(a, c)), n.wrapped("odd", n.minus(a, c))
    total, across = n.wrapped("total", n.plus(b, d)), n.wrapped("across", n.minus(b, d))
    forth = n.sum(odd[0], across[1]), n.difference(odd[1], across[0])
    back = n.difference(odd[0], across[1]), n.sum(odd[1], across[0])
    second, fourth = (back, forth) if n.inverse else (forth, back)
    return n.plus(even, total), second, n.minus(even, total), fourth


def _five(n: Numbers, a: Complex, b: Complex, c: Complex, d: Complex, e: Complex) -> tuple[Complex, ...]:
    (re, im), (re2, im2) = n.turn(1, 5), n.turn(2, 5)
    outer, outer_difference = n.wrapped("outer", n.plus(b, e)), n.wrapped("apart", n.minus(b, e))
    inner, inner_difference = n.wrapped("inner", n.plus(c, d)), n.wrapped("apart", n.minus(c, d))
    first = n.wrapped("first", n.plus(n.plus(a, n.scaled(outer, re)), n.scaled(inner, re2)))
    across = n.wrapped(
        "across", n.plus(n.across(n.scaled(outer_difference, im)), n.across(n.scaled(inner_difference, im2)))
    )
    second = n.wrapped("second", n.plus(n.plus(a, n.scaled(outer, re2)), n.scaled(inner, re)))
    across2 = n.wrapped(
        "across", n.minus(n.across(n.scaled(inner_difference, im)), n.across(n.scaled(outer_difference, im2)))
    )
    whole = n.plus(a, n.plus(outer, inner))
    return whole, n.minus(first, across), n.plus(second, across2), n.minus(second, across2), n.plus(first, across)


def take_apart(n: Numbers, y: AnyBuffer, splits: AnyBuffer, half: int) -> None:
    """From the spectrum of pairs of samples to that of the samples: bins k and half - k at once."""
    first = n.divided(load_complex(y, 0), 2)
    _store(n, y, 0, (n.sum(first[0], first[1]), n.zero))
    _store(n, y, half, (n.difference(first[0], first[1]), n.zero))
    with n.k.loop("k", 1, half // 2 + 1) as i:
        low = n.kept("low", load_complex(y, i))
        total, turned = _parts(n, low, load_complex(y, half - i), load_complex(splits, i - 1))
        high = n.difference(total[0], turned[0]), n.difference(turned[1], total[1])
        for place, value in ((i, n.plus(total, turned)), (half - i, high)):
            _store(n, y, place, (n.half(value[0]), n.half(value[1])))


def _put_together(n: Numbers, y: AnyBuffer, x: AnyBuffer, places: AnyBuffer, splits: AnyBuffer, half: int) -> None:
    """From the spectrum of samples to that of pairs of them. Of the middle bin the second value is the one."""
    first, last = n.kept("first", load_complex(x, 0)), n.kept("last", load_complex(x, half))
    ends = n.wrapped("ends", (n.sum(first[0], last[0]), n.difference(first[0], last[0])))
    _store(n, y, 0, n.divided(ends, 2))
    with n.k.loop("k", 1, half // 2 + 1) as i:
        even, odd = _parts(n, n.kept("low", load_complex(x, i)), load_complex(x, half - i), load_complex(splits, i - 1))
        for bin, value in ((i, n.plus(even, odd)), (half - i, n.conjugate(n.wrapped("pair", n.minus(even, odd))))):
            _store(n, y, n.k.let("place", minimum(places[bin], half - 1)), value)


def _parts(n: Numbers, low: Complex, high: Complex, turn: Complex) -> tuple[Complex, Complex]:
    """Of two bins: what the spectra of the even and of the odd samples make of them, the latter turned."""
    low, high = n.divided(low, 2), n.divided(n.wrapped("high", n.conjugate(high)), 2)
    total, difference = n.wrapped("total", n.plus(low, high)), n.wrapped("difference", n.minus(low, high))
    return total, n.wrapped("turned", n.times(difference, turn))


FFT: tuple[Implementation, ...] = (
    Implementation("real_fft", RealFft, plain, build_real_fft, (butterflies,)),
    Implementation("inverse_fft", InverseFft, plain, build_inverse_fft, (butterflies,)),
)
