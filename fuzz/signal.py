"""Recipes of the custom operators of audio front ends: each has an input of its own, and others follow it as in a front end."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fuzz.growth import Growth, Recipe, Shape, Value

Stage = Callable[[Growth, Value], Value]
"""An operator out of a value that suits it; its first result."""

MOST_BINS = 300
TYPES = {"int16": 7, "int32": 2, "float32": 0}  # what the option T calls them


def custom(g: Growth, name: str, xs: list[Value], y: tuple[Shape, str], *more: Value, **options: int) -> Value:
    """An operator whose result has no scale, so that only signal operators read it."""
    result = g.tensor(*y)
    g.op(f"CUSTOM Signal{name}", xs, [result, *more], **options)
    return result


def table(g: Growth, data: np.ndarray) -> Value:
    return g.tensor(data.shape, "int16", data=data)


def window(g: Growth, x: Value) -> Value:
    weights = table(g, g.array(x.shape[-1:], "int16"))
    return custom(g, "Window", [x, weights], (x.shape, "int16"), shift=g.integer(0, 20))


def auto_scale(g: Growth, x: Value) -> Value:
    return custom(g, "FftAutoScale", [x], (x.shape, "int16"), g.tensor((), "int32"))


def real_fft(g: Growth, x: Value) -> Value:
    length = max(4, 1 << (x.shape[-1] - 1).bit_length())
    return custom(g, "Rfft", [x], ((*x.shape[:-1], length + 2), x.dtype), T=TYPES[x.dtype], fft_length=length)


def energy(g: Growth, x: Value) -> Value:
    """Of all bins: the oracle leaves the others as they are."""
    bins = x.shape[-1] // 2
    return custom(g, "Energy", [x], ((bins,), "uint32"), start_index=0, end_index=bins)


def filter_bank(g: Growth, x: Value) -> Value:
    """With the roots of its sums: nobody can be asked for numbers of 64 bits."""
    channels = g.integer(1, 6)
    widths = g.rng.integers(1, x.shape[0] // (channels + 1) + 1, channels + 1)
    starts, count = np.cumsum(widths) - widths, int(widths.sum())
    tables = [*g.rng.integers(0, 4096, (2, count)), starts, starts, widths]
    constants = [table(g, data) for data in tables]
    sums = custom(g, "FilterBank", [x, *constants], ((channels,), "uint64"), num_channels=channels)
    return root(g, sums)


def root(g: Growth, x: Value) -> Value:
    bits = g.tensor((), "int32", data=np.array(g.integer(0, 14)))
    return custom(g, "FilterBankSquareRoot", [x, bits], (x.shape, "uint32"))


def subtraction(g: Growth, x: Value) -> Value:
    options = {"num_channels": x.shape[0], "smoothing_bits": g.integer(0, 12), "clamping": int(g.chance(0.5))}
    names = ("smoothing", "one_minus_smoothing", "alternate_smoothing", "alternate_one_minus_smoothing")
    options |= {name: g.integer(0, 2**14) for name in names}
    options |= {"min_signal_remaining": g.integer(0, 2**14), "spectral_subtraction_bits": g.integer(10, 16)}
    return custom(g, "FilterBankSpectralSubtraction", [x], (x.shape, "uint32"), g.tensor(x.shape, "uint32"), **options)


def pcan(g: Growth, x: Value) -> Value:
    """Against itself as the noise, or the noise that the operator in front estimated."""
    noise = [v for v in g.made if v != x and (v.shape, v.dtype) == (x.shape, "uint32")]
    gains = table(g, g.array((125,), "int16"))
    xs = [x, g.pick([*noise, x]), gains]
    return custom(g, "PCAN", xs, (x.shape, "uint32"), snr_shift=g.integer(0, 12))


def logarithm(g: Growth, x: Value) -> Value:
    options = {"output_scale": g.integer(0, 2**15 - 1), "input_correction_bits": g.integer(0, 8)}
    return custom(g, "FilterBankLog", [x], (x.shape, "int16"), **options)


STAGES: dict[str, tuple[Stage, str]] = {
    "Window": (window, "int16"),
    "FftAutoScale": (auto_scale, "int16"),
    "Rfft": (real_fft, "int16"),
    "Energy": (energy, "int16"),
    "FilterBank": (filter_bank, "uint32"),
    "FilterBankSquareRoot": (filter_bank, "uint32"),
    "FilterBankSpectralSubtraction": (subtraction, "uint32"),
    "PCAN": (pcan, "uint32"),
    "FilterBankLog": (logarithm, "uint32"),
}
"""Every operator, and what it reads; in the order of a front end."""


def inverse(g: Growth, dtype: str) -> bool:
    length = 1 << g.integer(2, 9)
    outer = (g.integer(1, 3),) if g.chance(0.5) else ()
    x = g.input((*outer, length + 2), dtype)
    custom(g, "Irfft", [x], ((*outer, length), dtype), T=TYPES[dtype], fft_length=length)
    return True


# Streams: each by itself, for what is not valid has no value to go on with


def framer(g: Growth, dtype: str) -> bool:
    step, frames = g.integer(1, 9), g.integer(1, 3)
    size = step + g.integer(0, 20)
    outer = (g.integer(1, 3),) if g.chance(0.5) else ()
    x, valid = g.input((*outer, frames * step), dtype), g.tensor((), "bool")
    options = {"frame_size": size, "frame_step": step, "prefill": g.chance(0.5)}
    custom(g, "Framer", [x], ((*outer, frames, size), dtype), valid, **options)
    return True


def stacker(g: Growth, dtype: str) -> bool:
    channels, left, right = g.integer(1, 7), g.integer(0, 3), g.integer(0, 3)
    x, valid, frames = g.input((channels,), dtype), g.tensor((), "bool"), left + right + 1
    options = {"num_channels": channels, "stacker_left_context": left, "stacker_right_context": right}
    custom(g, "Stacker", [x], ((frames * channels,), dtype), valid, stacker_step=g.integer(1, frames), **options)
    return True


def overlap_add(g: Growth, dtype: str) -> bool:
    step, frames = g.integer(1, 9), g.integer(1, 3)
    outer = (g.integer(1, 3),) if g.chance(0.5) else ()
    x = g.input((*outer, frames, step + g.integer(0, 20)), dtype)
    custom(g, "OverlapAdd", [x], ((*outer, frames * step), dtype), frame_step=step, T=TYPES[dtype])
    return True


def delay(g: Growth, dtype: str) -> bool:
    x = g.some(dtype)
    custom(g, "Delay", [x], (x.shape, dtype), delay_length=g.integer(0, 30))
    return True


OTHERS: dict[str, Recipe] = {
    "Irfft": inverse,
    "Framer": framer,
    "Stacker": stacker,
    "OverlapAdd": overlap_add,
    "Delay": delay,
}


def front_end(name: str) -> Recipe:
    """The operator, and what follows it as far as chance goes."""

    def grow(g: Growth, dtype: str) -> bool:
        stage, source = STAGES[name]
        source = dtype if name == "Rfft" else source
        x = stage(g, g.input((2 * g.integer(4, MOST_BINS // 2),), source))
        behind = list(STAGES).index(name) + 1
        for following, (stage, source) in list(STAGES.items())[behind:]:
            if following != "FilterBankSquareRoot" and source == x.dtype and g.chance(0.5):
                x = stage(g, x)
        return True

    return grow


SIGNAL: dict[str, Recipe] = {
    **{f"CUSTOM Signal{name}": front_end(name) for name in STAGES},
    **{f"CUSTOM Signal{name}": recipe for name, recipe in OTHERS.items()},
}
