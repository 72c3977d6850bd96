"""Audio front ends: windows, filter banks and what makes features of them."""

from __future__ import annotations

import numpy as np

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall, Plain, plain
from smelt.loops.ir import Expr, Intrinsic, cast, expression, maximum, minimum
from smelt.model.ops_signal import (
    AutoScale,
    Energy,
    FilterBank,
    FilterBankLog,
    FilterBankRoot,
    Integers,
    Pcan,
    SpectralSubtraction,
    Window,
    log_corrections,
)

FREE_BITS = Intrinsic("free_bits", "int32_t", 40, 60)
HIGHEST_BIT = Intrinsic("highest_bit", "int32_t", 25, 30)
ROOT = Intrinsic("root", "uint32_t", 400, 500)
SHIFT_LEFT = Intrinsic("shift_left", "int32_t", 1, 1)

LN2 = 45426  # with 16 fraction bits


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
        with k.when(value > greatest):
            k.assign(greatest, value)
        with k.otherwise(), k.when(0 - value > greatest):
            k.assign(greatest, cast("int16_t", 0 - value))
    count = k.let("count", k.call(FREE_BITS, greatest))
    k.store(bits, 0, count)
    with k.loop("i", 0, op.x.elements) as i:
        k.store(y, i, k.call(SHIFT_LEFT, x[i], count))
    return k.finish_call()


def build_energy(op: Energy, schedule: Plain) -> KernelCall:
    k = CallBuilder("energy")
    x, y = k.operand("x", op.x), k.result("y", op.y)
    with k.loop("i", 0, op.y.elements) as i:
        k.store(y, i, expression(0))
    with k.loop("i", op.start, op.end) as i:
        re, im = (cast("uint32_t", part * part) for part in (k.let("part", x[i * 2]), k.let("part", x[i * 2 + 1])))
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
    k = CallBuilder("spectral_subtraction", in_place=True)
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
    Implementation("window", Window, plain, build_window, ()),
    Implementation("auto_scale", AutoScale, plain, build_auto_scale),
    Implementation("energy", Energy, plain, build_energy),
    Implementation("filter_bank", FilterBank, plain, build_filter_bank),
    Implementation("filter_bank_root", FilterBankRoot, plain, build_filter_bank_root),
    Implementation("spectral_subtraction", SpectralSubtraction, plain, build_spectral_subtraction),
    Implementation("pcan", Pcan, plain, build_pcan),
    Implementation("filter_bank_log", FilterBankLog, plain, build_filter_bank_log),
)
