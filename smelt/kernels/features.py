"""Features of sounds in float32: a frame at a time in scratch, in the order of the reference."""

from __future__ import annotations

import numpy as np

from smelt.kernels.calls import CallBuilder
from smelt.kernels.fft import Numbers, load_complex, take_apart, transform
from smelt.kernels.implementation import Implementation, KernelCall, Plain, plain
from smelt.loops.ir import AnyBuffer, Buffer, Expr, Value, cast, expression, maximum, minimum, real
from smelt.model.ops_features import FULL_SCALE, LogMel, OrderedSums, PeakGain
from smelt.model.ops_fft import has_butterflies, order, radices, rotations, split_rotations
from smelt.targets.intrinsics import LOG, SQRT
from smelt.targets.types import Core


def samples_to_reals(op: LogMel, core: Core) -> bool:
    """x is int16, y is float32, half the length of the spectrum is a product of 2, 3 and 5"""
    return op.x.dtype == "int16" and op.y.dtype == "float32" and has_butterflies(op.length)


def reals(op: OrderedSums, core: Core) -> bool:
    """x, y and the weights are float32"""
    return op.x.dtype == op.y.dtype == op.weights.dtype == "float32"


def build_log_mel(op: LogMel, schedule: Plain) -> KernelCall:
    half, bands = op.length // 2, op.widths.elements
    k = CallBuilder("log_mel")
    n = Numbers(k, "float32", half)
    x, window = k.operand("x", op.x), k.operand("window", op.window)
    places = k.table("places", np.argsort(order(half, radices(half))).astype(np.uint16))
    turns, splits = k.table("turns", rotations(half, n.dtype)), k.table("splits", split_rotations(half, n.dtype))
    widest = int(op.widths.constant.max())
    weights = k.table("weights", np.pad(op.weights.constant, (0, widest)))
    starts, firsts, widths = (
        k.operand(name, t)
        for name, t in (("starts", op.starts), ("weight_starts", op.weight_starts), ("widths", op.widths))
    )
    gain = k.operand("gain", op.gain) if op.gain else None
    work = k.scratch("work", "float", op.length + 2)
    y = k.result("y", op.y)
    loud = k.let("loud", gain[0] if op.power == 1 else gain[0] * gain[0]) if gain else None
    with k.loop("frame", 0, op.frames) as frame:
        _windowed(k, work, k.window("from", x, frame * op.step), window, places)
        transform(n, work, turns, half)
        take_apart(n, work, splits, half)
        with k.loop("bin", 0, half + 1) as bin:
            re, im = (k.let("part", part) for part in load_complex(work, bin))
            energy = k.let("energy", re * re + im * im)
            k.store(work, bin, k.call(SQRT, energy) if op.power == 1 else energy)
        with k.loop("band", 0, bands) as band:
            # The limits change nothing, but show that these are places: behind the bins, and behind the weights, there is more.
            first = k.let("first", _within(starts[band], half))
            weight = k.let("weight", _within(firsts[band], op.weights.elements))
            total = k.var("total", real(0.0))
            with k.loop("i", 0, k.let("width", minimum(widths[band], widest))) as i:
                k.assign(total, total + weights[weight + i] * work[first + i])
            log = k.call(LOG, (total if loud is None else total * loud) + real(op.floor))
            scaled = log if op.factor == 1 else log * real(op.factor)
            k.store(y, frame * bands + band, scaled + real(op.offset) if op.offset else scaled)
    return k.finish_call()


def _within(place: Expr, most: int) -> Expr:
    return minimum(maximum(place, 0), most)


def _windowed(k: CallBuilder, work: AnyBuffer, source: AnyBuffer, window: Buffer, places: Buffer) -> None:
    """Samples times the window, zeros behind them, in the order that neighbours are combined first."""
    half, size = places.size, window.size

    def product(place: Expr) -> Expr:
        return cast("float", source[place]) * window[place]

    def stored(pair: Value, first: Expr, second: Expr) -> None:
        to = k.let("to", minimum(places[pair], half - 1) * 2)
        k.store(work, to, first)
        k.store(work, to + 1, second)

    with k.loop("pair", 0, size // 2) as pair:
        stored(pair, product(pair * 2), product(pair * 2 + 1))
    if size % 2:
        stored(size // 2, product(expression(size - 1)), real(0.0))
    with k.loop("pair", -(-size // 2), half) as pair:
        stored(pair, real(0.0), real(0.0))


def build_ordered_sums(op: OrderedSums, schedule: Plain) -> KernelCall:
    many, depth = op.weights.shape
    k = CallBuilder("ordered_sums")
    x, weights, y = k.operand("x", op.x), k.operand("weights", op.weights), k.result("y", op.y)
    with k.loop("frame", 0, op.y.elements // many) as frame, k.loop("c", 0, many) as c:
        total = k.var("total", real(0.0))
        with k.loop("i", 0, depth) as i:
            k.assign(total, total + weights[c * depth + i] * x[frame * depth + i])
        k.store(y, frame * many + c, total + real(op.offset) if op.offset else total)
    return k.finish_call()


def samples(op: PeakGain, core: Core) -> bool:
    """x is int16, y is float32"""
    return op.x.dtype == "int16" and op.y.dtype == "float32"


def build_peak_gain(op: PeakGain, schedule: Plain) -> KernelCall:
    k = CallBuilder("peak_gain")
    x, y = k.operand("x", op.x), k.result("y", op.y)
    most = k.var("most", cast("int32_t", expression(0)))
    with k.loop("i", 0, op.x.elements) as i:
        k.assign(most, maximum(most, x[i]))
    k.store(y, 0, real(1.0))
    with k.when(most > 0):
        k.store(y, 0, real(FULL_SCALE) // cast("float", most))
    return k.finish_call()


FEATURES: tuple[Implementation, ...] = (
    Implementation("log_mel", LogMel, plain, build_log_mel, (samples_to_reals,)),
    Implementation("ordered_sums", OrderedSums, plain, build_ordered_sums, (reals,)),
    Implementation("peak_gain", PeakGain, plain, build_peak_gain, (samples,)),
)
