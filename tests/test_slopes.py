"""Outputs by products of 32 bits: right for every sum beside a step, or refused."""

from __future__ import annotations

import numpy as np
import pytest

from smelt.kernels.once import Integers, find_once
from smelt.kernels.slopes import Slopes, find_slopes
from smelt.model.arithmetic import quantize_multipliers
from smelt.model.rescale import Rescale, floor_rescale
from tests.test_kernels_rounding import around_steps

CHANNELS = 30


def integer_network(random: np.random.Generator, bits: int, shift: int) -> Rescale:
    factors = random.integers(-(1 << bits), 1 << bits, CHANNELS)
    addends = random.integers(-(1 << (shift + 6)), 1 << (shift + 6), CHANNELS)
    return floor_rescale(factors, addends, shift, (-128, 127), 0, -128)


def reals(random: np.random.Generator, rounding: str, zero: int) -> Rescale:
    scales = np.exp2(random.uniform(-10, -3, CHANNELS)).astype(np.float32).tolist()
    return Rescale(*quantize_multipliers(scales), rounding, 0, zero, -128, 127)  # type: ignore[arg-type]


def check(form: Slopes | None, p: Rescale, low: Integers, high: Integers) -> None:
    """Right beside all steps, in the arithmetic that routines have."""
    assert form is not None
    sums = around_steps(p, low, high)
    assert np.array_equal(np.clip(form.of(sums), -128, 127), p.apply(sums))
    x = sums - form.origins
    x = x if form.widths is None else np.clip(x, 0, form.widths)
    lower = np.zeros_like(x)
    if form.bits:
        lower = x * form.columns[0] + form.columns[1]
        assert np.abs(lower).max() < 2**31
    last = x * form.columns[-2] + (lower >> form.bits) + form.columns[-1]
    last = (last + 2**31) % 2**32 - 2**31
    if form.widths is None:
        assert np.array_equal(last, (x * form.slopes + form.offsets) >> form.bits), "the upper product leaves 32 bits"
    assert np.array_equal(np.clip(last >> form.shifts, -128, 127), p.apply(sums))


@pytest.mark.parametrize("seed", range(3))
def test_one_product_does_integer_networks_whatever_their_sums(seed: int) -> None:
    random = np.random.default_rng(seed)
    for bits, reach in ((9, 2**24), (13, 2**21), (17, 2**17)):
        p = integer_network(random, bits, 24)
        low, high = -random.integers(1, reach, CHANNELS), random.integers(1, reach, CHANNELS)
        form = find_slopes(p, low, high)
        check(form, p, low, high)
        assert form is not None and not form.bits


@pytest.mark.parametrize("seed", range(3))
def test_two_products_do_what_is_finer(seed: int) -> None:
    random = np.random.default_rng(seed)
    low, high = np.full(CHANNELS, -(2**17)), np.full(CHANNELS, 2**17 - 1)
    for p in (integer_network(random, 20, 28), reals(random, "tflm", -128)):
        assert find_slopes(p, low, high) is None
        check(find_slopes(p, low, high, split=True), p, low, high)
        check(find_slopes(p, low, high, random.integers(-99, 99, CHANNELS), split=True), p, low, high)


def test_most_channels_of_onnx_have_a_form() -> None:
    """Where the product in float32 lies at a tie which the exact one misses, there is none."""
    p, seen, ends = reals(np.random.default_rng(5), "ties_even", 5), 0, np.array([2**17])
    for channel in range(CHANNELS):
        one = p.of(np.array([channel]))
        form = find_slopes(one, -ends, ends, split=True)
        if form is not None:
            check(form, one, -ends, ends)
            seen += 1
    assert seen > 0.7 * CHANNELS


def test_small_numbers_need_no_limits() -> None:
    p = integer_network(np.random.default_rng(4), 10, 16)
    low, high = np.full(CHANNELS, -(2**16)), np.full(CHANNELS, 2**16)
    check(find_slopes(p, low, high, np.arange(CHANNELS)), p, low, high)


def test_channels_without_steps_are_what_they_are() -> None:
    p = floor_rescale([0, 5, -3], [1 << 29, -(1 << 40), 1 << 40], 24, (-128, 127), 0, -100)
    low, high = np.full(3, -900), np.full(3, 900)
    for form in (find_slopes(p, low, high), find_slopes(p, low, high, np.zeros(3, np.int64), split=True)):
        check(form, p, low, high)


@pytest.mark.parametrize("split", [False, True])
def test_outputs_that_can_be_one_number_only_are_that_number(split: bool) -> None:
    """A ReLU whose zero is the largest number (found by `fuzz.cores --seed 12 --first 12`)."""
    p = Rescale(*quantize_multipliers([0.1, 0.2]), "tflm", -37, 127, 127, 127)
    low, high = np.full(2, -900), np.full(2, 900)
    form, once = find_slopes(p, low, high, split=split), find_once(p, low, high)
    assert form is not None and np.all(form.of(np.stack([low, high])) == 127)
    assert once is not None and np.all(once.of(np.stack([low, high])) == 127)


def test_what_no_line_does_is_refused() -> None:
    """Ties to even, of a scale that is a power of two; halves away from zero, on both sides of it."""
    low, high = np.full(2, -(2**15)), np.full(2, 2**15)
    even = Rescale(*quantize_multipliers([2.0**-6, 2.0**-4]), "ties_even", 0, 3, -128, 127)
    away = Rescale(*quantize_multipliers([2.0**-6, 2.0**-4]), "tflm", 0, 3, -128, 127)
    for p in (even, away):
        assert find_slopes(p, low, high, split=True) is None


def test_a_slope_that_is_off_by_one_would_be_seen() -> None:
    p = integer_network(np.random.default_rng(9), 16, 24)
    low, high = np.full(CHANNELS, -(2**17)), np.full(CHANNELS, 2**17)
    form = find_slopes(p, low, high)
    assert form is not None
    sums = around_steps(p, low, high)
    wrong = Slopes(form.origins, form.widths, form.slopes + 1, form.offsets, form.bits, form.shifts)
    assert not np.array_equal(wrong.of(sums), p.apply(sums))
