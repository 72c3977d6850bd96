"""Audio front ends: windows, the fast Fourier transform of int16 samples, filter banks and what makes features of them."""

from __future__ import annotations

import numpy as np

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall, Plain, plain
from smelt.loops.ir import AnyBuffer, Expr, Intrinsic, Value, cast, expression, maximum, minimum
from smelt.model.ops_signal import (
    ONE,
    AutoScale,
    Energy,
    FilterBank,
    FilterBankLog,
    FilterBankRoot,
    Integers,
    Pcan,
    RealFft,
    SpectralSubtraction,
    Window,
    log_corrections,
    radices,
    rotations,
    split_rotations,
)

FREE_BITS = Intrinsic("free_bits", "int32_t", 40, 60)
HIGHEST_BIT = Intrinsic("highest_bit", "int32_t", 25, 30)
ROOT = Intrinsic("root", "uint32_t", 400, 500)
SHIFT_LEFT = Intrinsic("shift_left", "int32_t", 1, 1)

LN2 = 45426  # with 16 fraction bits

Complex = tuple[Expr, Expr]


def build_window(op: Window, schedule: Plain) -> KernelCall:
    k = CallBuilder("window", in_place=True)
    x, weights, y = k.operand("x", op.x), k.operand("weights", op.weights), k.result("y", op.y)
    size = op.weights.elements
    with k.loop("row", 0, op.x.elements // size) as row, k.loop("i", 0, size) as i:
        k.store(y, row * size + i, minimum(maximum((x[row * size + i] * weights[i]) >> op.shift, -(2**15)), 2**15 - 1))
    return k.finish_call()


def build_auto_scale(op: AutoScale, schedule: Plain) -> KernelCall:
    k = CallBuilder("auto_scale")
    x, y, bits = k.operand("x", op.x), k.result("y", op.y), k.result("bits", op.bits)
    greatest = k.var("greatest", 0)
    with k.loop("i", 0, op.x.elements) as i:
        value = k.let("value", x[i])
        magnitude = k.let("magnitude", maximum(value, 0 - value))
        with k.when(magnitude > greatest):
            k.assign(greatest, cast("int16_t", magnitude))
    count = k.let("count", k.call(FREE_BITS, greatest))
    k.store(bits, 0, count)
    with k.loop("i", 0, op.x.elements) as i:
        k.store(y, i, k.call(SHIFT_LEFT, x[i], count))
    return k.finish_call()


def power_of_two(op: RealFft, core: object) -> bool:
    """the length is a power of two, 4 or more"""
    return op.length >= 4 and op.length & (op.length - 1) == 0


def build_real_fft(op: RealFft, schedule: Plain) -> KernelCall:
    """In y: pairs of samples in the order that neighbours are combined first, then stage by stage, then taken apart."""
    half, samples = op.length // 2, op.x.shape[-1]
    k = CallBuilder("real_fft")
    x = k.operand("x", op.x)
    order = k.table("order", np.array(_order(half, radices(half)), np.uint16))
    turns = k.table("turns", rotations(half).astype(np.int16))
    splits = k.table("splits", split_rotations(half).astype(np.int16))
    y = k.result("y", op.y)
    with k.loop("row", 0, op.x.elements // samples) as row:
        source, to = k.window("from", x, row * samples), k.window("to", y, row * (op.length + 2))
        with k.loop("i", 0, half) as i:
            first = k.let("first", minimum(order[i], half - 1) * 2)
            for part in (0, 1):
                inside = (first + part) < samples
                with k.when(inside):
                    k.store(to, i * 2 + part, source[minimum(first + part, samples - 1)])
                with k.otherwise():
                    k.store(to, i * 2 + part, 0)
        points = 1
        for radix in reversed(radices(half)):
            _stage(k, to, turns, half, points, radix)
            points *= radix
        _take_apart(k, to, splits, half)
    return k.finish_call()


def _order(points: int, factors: tuple[int, ...]) -> list[int]:
    if not factors:
        return [0]
    inner = _order(points // factors[0], factors[1:])
    return [start + factors[0] * i for start in range(factors[0]) for i in inner]


def _load(buffer: AnyBuffer, index: Value) -> Complex:
    index = expression(index)
    return buffer[index * 2], buffer[index * 2 + 1]


def _store(k: CallBuilder, buffer: AnyBuffer, index: Value, value: Complex) -> None:
    index = expression(index)
    for part in (0, 1):
        k.store(buffer, index * 2 + part, value[part])


def _kept(k: CallBuilder, name: str, value: Complex) -> Complex:
    return k.let(name, value[0]), k.let(name, value[1])


def _int16(k: CallBuilder, name: str, value: Complex) -> Complex:
    """Sums and differences wrap at 16 bits."""
    return k.let(name, cast("int16_t", value[0])), k.let(name, cast("int16_t", value[1]))


def _plus(a: Complex, b: Complex) -> Complex:
    return a[0] + b[0], a[1] + b[1]


def _minus(a: Complex, b: Complex) -> Complex:
    return a[0] - b[0], a[1] - b[1]


def _divided(k: CallBuilder, value: Complex, radix: int) -> Complex:
    return _kept(k, "part", (_rounded(value[0] * (ONE // radix)), _rounded(value[1] * (ONE // radix))))


def _rounded(product: Expr) -> Expr:
    return (product + (1 << 14)) >> 15


def _times(k: CallBuilder, a: Complex, b: Complex) -> Complex:
    b = _kept(k, "turn", b)
    return _kept(k, "turned", (_rounded(a[0] * b[0] - a[1] * b[1]), _rounded(a[0] * b[1] + a[1] * b[0])))


def _stage(k: CallBuilder, y: AnyBuffer, turns: AnyBuffer, half: int, points: int, radix: int) -> None:
    """Make spectra of `points` points into spectra of `radix` times as many."""
    step = half // (points * radix)
    with k.loop("group", 0, step) as group, k.loop("k", 0, points) as i:
        base = k.let("base", group * (points * radix) + i)
        parts = [_divided(k, _load(y, base + q * points), radix) for q in range(radix)]
        a, b, *rest = (_times(k, part, _load(turns, i * (q * step))) if q else part for q, part in enumerate(parts))
        places = [k.let("place", base + q * points) for q in range(radix)]
        for place, value in zip(places, _butterfly(k, a, b, *rest), strict=True):
            _store(k, y, place, value)


def _butterfly(k: CallBuilder, a: Complex, b: Complex, *rest: Complex) -> tuple[Complex, ...]:
    """The spectrum of two or four points."""
    if not rest:
        return _plus(a, b), _minus(a, b)
    c, d = rest
    even, odd = _int16(k, "even", _plus(a, c)), _int16(k, "odd", _minus(a, c))
    total, across = _int16(k, "total", _plus(b, d)), _int16(k, "across", _minus(b, d))
    return (
        _plus(even, total),
        (odd[0] + across[1], odd[1] - across[0]),
        _minus(even, total),
        (odd[0] - across[1], odd[1] + across[0]),
    )


def _take_apart(k: CallBuilder, y: AnyBuffer, splits: AnyBuffer, half: int) -> None:
    """From the spectrum of pairs of samples to that of the samples: bins k and half - k at once."""
    first = _divided(k, _load(y, 0), 2)
    _store(k, y, 0, (first[0] + first[1], expression(0)))
    _store(k, y, half, (first[0] - first[1], expression(0)))
    with k.loop("k", 1, half // 2 + 1) as i:
        low, high = _kept(k, "low", _load(y, i)), _load(y, half - i)
        high = _int16(k, "high", (high[0], 0 - high[1]))
        low, high = _divided(k, low, 2), _divided(k, high, 2)
        total, difference = _int16(k, "total", _plus(low, high)), _int16(k, "difference", _minus(low, high))
        turned = _times(k, difference, _load(splits, i - 1))
        _store(k, y, i, ((total[0] + turned[0]) >> 1, (total[1] + turned[1]) >> 1))
        _store(k, y, half - i, ((total[0] - turned[0]) >> 1, (turned[1] - total[1]) >> 1))


def build_energy(op: Energy, schedule: Plain) -> KernelCall:
    k = CallBuilder("energy")
    x, y = k.operand("x", op.x), k.result("y", op.y)
    with k.loop("i", 0, op.y.elements) as i:
        k.store(y, i, expression(0))
    with k.loop("i", op.start, op.end) as i:
        re, im = (cast("uint32_t", part * part) for part in _kept(k, "part", _load(x, i)))
        k.store(y, i, re + im)
    return k.finish_call()


def build_filter_bank(op: FilterBank, schedule: Plain) -> KernelCall:
    k = CallBuilder("filter_bank")
    x = k.operand("x", op.x)
    weights, unweights = k.operand("weights", op.weights), k.operand("unweights", op.unweights)
    starts, weight_starts = k.operand("starts", op.starts), k.operand("weight_starts", op.weight_starts)
    widths, y = k.operand("widths", op.widths), k.result("y", op.y)
    carried = k.var("carried", cast("uint64_t", expression(0)))
    with k.loop("channel", 0, op.widths.elements) as c:
        total, next_total = k.var("total", carried), k.var("next_total", cast("uint64_t", expression(0)))
        first, weight = k.let("first", starts[c]), k.let("weight", weight_starts[c])
        with k.loop("i", 0, k.let("width", widths[c])) as i:
            # The minimum changes nothing: importers check the tables.
            value = k.let("value", cast("uint64_t", x[_inside(first + i, op.x.elements)]))
            place = k.let("place", _inside(weight + i, op.weights.elements))
            k.assign(total, total + value * cast("uint64_t", weights[place]))
            k.assign(next_total, next_total + value * cast("uint64_t", unweights[place]))
        with k.when(c > 0):
            k.store(y, c - 1, total)
        k.assign(carried, next_total)
    return k.finish_call()


def _inside(index: Expr, size: int) -> Expr:
    return minimum(maximum(index, 0), size - 1)


def build_filter_bank_root(op: FilterBankRoot, schedule: Plain) -> KernelCall:
    k = CallBuilder("filter_bank_root")
    x, bits, y = k.operand("x", op.x), k.operand("bits", op.bits), k.result("y", op.y)
    shift = k.let("shift", bits[0])
    with k.loop("i", 0, op.x.elements) as i:
        k.store(y, i, k.call(ROOT, x[i]) >> shift)
    return k.finish_call()


def build_spectral_subtraction(op: SpectralSubtraction, schedule: Plain) -> KernelCall:
    n, channels = op.numbers, op.x.elements
    k = CallBuilder("spectral_subtraction")
    x, noise = k.operand("x", op.x), k.operand("noise", op.noise)
    y, following = k.result("y", op.y), k.result("next_noise", op.next_noise)
    for odd in range(min(2, channels)):
        with k.loop("pair", 0, (channels - odd + 1) // 2) as pair:
            i = k.let("i", pair * 2 + odd)
            value = k.let("value", x[i])
            raised = k.let("raised", value * (1 << n.smoothing_bits))
            smoothed = _wide(raised) * n.smoothing[odd] + _wide(noise[i]) * n.one_minus_smoothing[odd]
            estimate = k.let("estimate", cast("uint32_t", smoothed >> n.bits))
            found = k.let("found", minimum(estimate, raised))
            k.store(following, i, found if n.clamping else estimate)
            least = cast("uint32_t", (_wide(value) * n.least_remaining) >> n.bits)
            k.store(y, i, maximum((raised - found) >> n.smoothing_bits, least))
    return k.finish_call()


def _wide(x: Expr) -> Expr:
    return cast("uint64_t", x)


def build_pcan(op: Pcan, schedule: Plain) -> KernelCall:
    k = CallBuilder("pcan")
    x, noise, gains = k.operand("x", op.x), k.operand("noise", op.noise), k.operand("gains", op.gains)
    y = k.result("y", op.y)
    with k.loop("i", 0, op.x.elements) as i:
        level = k.let("level", noise[i])
        gain = k.var("gain", gains[cast("int32_t", level) & 3])  # right up to 2, and replaced beyond
        with k.when(level > 2):
            top = k.let("top", k.call(HIGHEST_BIT, level))  # 1 to 31
            first = k.let("first", minimum(maximum(top, 1), 31) * 4 - 2)
            fraction = k.let("fraction", cast("int32_t", ((_wide(level) * 2048) >> (top + 1)) & 1023))
            slope = ((gains[first + 2] * fraction) >> 5) + gains[first + 1] * 32
            k.assign(gain, cast("int16_t", ((slope * fraction + (1 << 14)) >> 15) + gains[first]))
        ratio = k.let("ratio", cast("uint32_t", (_wide(x[i]) * cast("uint32_t", gain)) >> op.shift))
        with k.when(ratio < 8192):
            k.store(y, i, (ratio * ratio) >> 20)
        with k.otherwise():
            k.store(y, i, (ratio >> 6) - 64)
    return k.finish_call()


def build_filter_bank_log(op: FilterBankLog, schedule: Plain) -> KernelCall:
    k = CallBuilder("filter_bank_log")
    x = k.operand("x", op.x)
    table: Integers = log_corrections()
    corrections = k.table("corrections", table.astype(np.int16))
    y = k.result("y", op.y)
    with k.loop("i", 0, op.x.elements) as i:
        value = k.let("value", x[i] * (1 << op.correction))
        whole = k.let("whole", k.call(HIGHEST_BIT, value))
        fraction = k.let("fraction", cast("int32_t", ((_wide(value) * 65536) >> whole) & 65535))
        segment = k.let("segment", fraction >> 9)
        low = k.let("low", corrections[segment])
        line = low + (((corrections[segment + 1] - low) * (fraction & 511)) >> 16)
        log = cast("uint32_t", whole * 65536 + fraction + line)
        natural = k.let("natural", cast("uint32_t", (_wide(log) * LN2 + (1 << 15)) >> 16))
        scaled = (natural * op.scale + (1 << 15)) >> 16
        k.store(y, i, cast("int32_t", minimum(scaled, cast("uint32_t", expression(2**15 - 1)))))
    return k.finish_call()


SIGNAL: tuple[Implementation, ...] = (
    Implementation("window", Window, plain, build_window, (), ("x",)),
    Implementation("auto_scale", AutoScale, plain, build_auto_scale),
    Implementation("real_fft", RealFft, plain, build_real_fft, (power_of_two,)),
    Implementation("energy", Energy, plain, build_energy),
    Implementation("filter_bank", FilterBank, plain, build_filter_bank),
    Implementation("filter_bank_root", FilterBankRoot, plain, build_filter_bank_root),
    Implementation("spectral_subtraction", SpectralSubtraction, plain, build_spectral_subtraction),
    Implementation("pcan", Pcan, plain, build_pcan),
    Implementation("filter_bank_log", FilterBankLog, plain, build_filter_bank_log),
)
