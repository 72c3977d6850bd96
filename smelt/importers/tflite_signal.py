"""The custom operators of audio front ends. Their tensors have no scales; their options are maps."""

from __future__ import annotations

import numpy as np

from smelt.importers.tflite_site import Arm, Site
from smelt.model.graph import Op, Tensor
from smelt.model.ops_fft import InverseFft, RealFft, has_butterflies
from smelt.model.ops_signal import (
    AutoScale,
    Energy,
    FilterBank,
    FilterBankLog,
    FilterBankRoot,
    Pcan,
    SpectralSubtraction,
    Subtraction,
    Window,
)

Types = tuple[str, ...]
INT16, INT32, UINT32, UINT64 = ("int16",), ("int32",), ("uint32",), ("uint64",)
TRANSFORMED = ("int16", "int32", "float32")
NUMBERS = {"int16": 7, "int32": 2, "float32": 0}  # what the option T calls them
MOST_POINTS = 2**14
UINT16 = 2**16 - 1
GAINS = 4 * 32 - 3  # numbers of a table of gains: three for each power of two, four apart


def _limited(at: Site, name: str, least: int, most: int) -> int:
    value = at.custom(name)
    if not least <= value <= most:
        at.broken(f"its option '{name}' is {value}, not {least} to {most}")
    return value


def alike(at: Site) -> tuple[Tensor, Tensor]:
    """x and y, of the type that the operator's option T says, as the oracle demands."""
    x, y = at.x(0, raw=True), at.y(raw=True)
    at.alike(x, y)
    if at.custom("T", 0) != NUMBERS[x.dtype]:
        at.broken(f"its option 'T' is {at.custom('T', 0)}, but its input is {x.dtype}")
    return x, y


def _table(at: Site, position: int, types: Types, elements: int | None = None) -> Tensor:
    """A constant with one axis."""
    tensor = at.x(position, types, raw=True)
    if not tensor.is_constant:
        at.refuse(f"input '{tensor.name}' is computed while the model runs; a constant is supported")
    if len(tensor.shape) != 1 or elements not in (None, tensor.elements):
        wanted = "one axis" if elements is None else f"the shape [{elements}]"
        at.broken(f"input '{tensor.name}' has the shape {list(tensor.shape)}, not {wanted}")
    return tensor


def _scalar(at: Site, tensor: Tensor) -> Tensor:
    if tensor.elements != 1:
        at.broken(f"'{tensor.name}' has the shape {list(tensor.shape)}, not one element")
    return tensor


def window(at: Site) -> tuple[Op, ...]:
    x, weights, y = at.x(0, raw=True), _table(at, 1, INT16), at.y(raw=True)
    if not x.shape or x.shape[-1] % weights.elements:
        at.broken(f"an input of shape {list(x.shape)} is no multiple of the {weights.elements} weights")
    return (Window(y=at.agree(y, x.shape), x=x, weights=weights, shift=_limited(at, "shift", 0, 31)),)


def fft_auto_scale(at: Site) -> tuple[Op, ...]:
    x, y, bits = at.x(0, raw=True), at.y(raw=True), _scalar(at, at.y(1, INT32))
    return (AutoScale(y=at.agree(y, x.shape), x=x, bits=bits),)


def rfft(at: Site) -> tuple[Op, ...]:
    x, y, length = *alike(at), _length(at)
    if not x.shape or x.shape[-1] > length:
        at.broken(f"an input of shape {list(x.shape)} does not fit {length} points")
    return (RealFft(y=at.agree(y, (*x.shape[:-1], length + 2)), x=x, length=length),)


def irfft(at: Site) -> tuple[Op, ...]:
    x, y, length = *alike(at), _length(at)
    if not x.shape or x.shape[-1] != length + 2:
        at.broken(f"an input of shape {list(x.shape)} has not {length // 2 + 1} bins")
    return (InverseFft(y=at.agree(y, (*x.shape[:-1], length)), x=x, length=length),)


def _length(at: Site) -> int:
    length = _limited(at, "fft_length", 4, MOST_POINTS)
    if not has_butterflies(length):
        at.refuse(
            f"its option 'fft_length' is {length}; twice a product of 2, 3 and 5 is supported (TFLM crashes on others)"
        )
    return length


def energy(at: Site) -> tuple[Op, ...]:
    x, y = at.x(0, INT16, raw=True), at.y()
    bins = x.elements // 2
    start, end = _limited(at, "start_index", 0, bins), _limited(at, "end_index", 0, bins)
    if len(x.shape) != 1 or x.elements % 2:
        at.broken(f"an input of shape {list(x.shape)} is no spectrum")
    if start >= end:
        at.refuse(f"it looks at no bin (from {start} to {end})")
    return (Energy(y=at.agree(y, (bins,)), x=x, start=start, end=end),)


def filter_bank(at: Site) -> tuple[Op, ...]:
    x, y = at.x(0, UINT32), at.y()
    channels = _limited(at, "num_channels", 1, 1024)
    weights = _table(at, 1, INT16)
    unweights = _table(at, 2, INT16, weights.elements)
    starts, weight_starts, widths = (_table(at, position, INT16, channels + 1) for position in (3, 4, 5))
    for name, begin, size in (("bins", starts, x.elements), ("weights", weight_starts, weights.elements)):
        first, count = begin.constant.astype(np.int64), widths.constant.astype(np.int64)
        if np.any((count < 0) | (first < 0) | (first + count > size)):
            at.broken(f"a channel has {name} outside the {size} that there are")
    op = FilterBank(
        y=at.agree(y, (channels,)), x=x, weights=weights, unweights=unweights, starts=starts, weight_starts=weight_starts,
        widths=widths,
    )  # fmt: skip
    return (op,)


def filter_bank_square_root(at: Site) -> tuple[Op, ...]:
    x, bits, y = at.x(0, UINT64), _scalar(at, at.x(1, INT32)), at.y()
    return (FilterBankRoot(y=at.agree(y, x.shape), x=x, bits=bits),)


def spectral_subtraction(at: Site) -> tuple[Op, ...]:
    x, y, following = at.x(0), at.y(), at.y(1)
    if not x.shape or x.elements != at.custom("num_channels"):
        at.refuse(f"an input of shape {list(x.shape)} is not one row of {at.custom('num_channels')} channels")
    numbers = Subtraction(
        smoothing=(_limited(at, "smoothing", 0, UINT16), _limited(at, "alternate_smoothing", 0, UINT16)),
        one_minus_smoothing=(
            _limited(at, "one_minus_smoothing", 0, UINT16),
            _limited(at, "alternate_one_minus_smoothing", 0, UINT16),
        ),
        least_remaining=_limited(at, "min_signal_remaining", 0, UINT16),
        smoothing_bits=_limited(at, "smoothing_bits", 0, 31),
        bits=_limited(at, "spectral_subtraction_bits", 0, 31),
        clamping=bool(at.custom("clamping", 0)),
    )
    noise = at.bench.named(at.agree(following, x.shape), f"{following.name}.before")
    at.bench.keep(noise, following, 0)
    return (SpectralSubtraction(y=at.agree(y, x.shape), x=x, noise=noise, next_noise=following, numbers=numbers),)


def pcan(at: Site) -> tuple[Op, ...]:
    x, noise, gains, y = at.x(0), at.x(1), _table(at, 2, INT16), at.y()
    if noise.shape != x.shape:
        at.broken(f"the noise has the shape {list(noise.shape)}, the input {list(x.shape)}")
    if gains.elements < GAINS:
        at.broken(f"its table has {gains.elements} gains, not {GAINS}")
    return (Pcan(y=at.agree(y, x.shape), x=x, noise=noise, gains=gains, shift=_limited(at, "snr_shift", 0, 31)),)


def filter_bank_log(at: Site) -> tuple[Op, ...]:
    x, y = at.x(0, UINT32), at.y(raw=True)
    scale, correction = _limited(at, "output_scale", 0, 2**15 - 1), _limited(at, "input_correction_bits", 0, 31)
    return (FilterBankLog(y=at.agree(y, x.shape), x=x, scale=scale, correction=correction),)


SIGNAL: tuple[Arm, ...] = (
    Arm("CUSTOM SignalWindow", "", (2, 2), window, types=INT16),
    Arm("CUSTOM SignalFftAutoScale", "", (1, 1), fft_auto_scale, types=INT16, outputs=(2, 2)),
    Arm(
        "CUSTOM SignalRfft", f"twice a product of 2, 3 and 5, from 4 to {MOST_POINTS}", (1, 1), rfft, types=TRANSFORMED
    ),
    Arm(
        "CUSTOM SignalIrfft",
        f"twice a product of 2, 3 and 5, from 4 to {MOST_POINTS}",
        (1, 1),
        irfft,
        types=TRANSFORMED,
    ),
    Arm("CUSTOM SignalEnergy", "", (1, 1), energy, types=UINT32),
    Arm("CUSTOM SignalFilterBank", "", (6, 6), filter_bank, types=UINT64),
    Arm("CUSTOM SignalFilterBankSquareRoot", "", (2, 2), filter_bank_square_root, types=UINT32),
    Arm("CUSTOM SignalFilterBankSpectralSubtraction", "", (1, 1), spectral_subtraction, types=UINT32, outputs=(2, 2)),
    Arm("CUSTOM SignalPCAN", "", (3, 3), pcan, types=UINT32),
    Arm("CUSTOM SignalFilterBankLog", "", (1, 1), filter_bank_log, types=INT16),
)
