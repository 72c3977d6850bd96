"""How sums become outputs: every rounding against its definition, and what passes and kernels read of it."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.errors import ModelError
from smelt.model.arithmetic import quantize_multipliers, requantize
from smelt.model.arithmetic16 import requantize48
from smelt.model.graph import Quantization, Tensor
from smelt.model.rescale import Rescale, linear_rescale
from smelt.planner.ways import op_key
from tests.mac_cases import Maker
from tests.reference_check import cases

REALS = st.lists(st.floats(2.0**-20, 2.0**6), min_size=1, max_size=4)
SUMS = st.integers(-(2**23), 2**23)
WIDE_SUMS = SUMS | st.integers(-(2**31), 2**31 - 1)


def made(reals, rounding, zero=0, low=-(2**40), high=2**40):
    multipliers, shifts = quantize_multipliers(reals)
    return Rescale(multipliers, shifts, rounding, 0, zero, low, high)


def halves_to_even(value):
    return round(value)  # of a Fraction: to the nearest, halves to even


@given(st.data())
@cases(60)
def test_ties_even_is_what_float32_makes_of_it(data):
    """Sums become float32, and so does the product, which doubles have exactly; the rest is exact."""
    reals = [float(np.float32(real)) for real in data.draw(REALS)]
    r = made(reals, "ties_even", zero=3)
    total = np.array([data.draw(WIDE_SUMS) for _ in reals])
    products = [float(np.float32(float(np.float32(int(t))) * real)) for t, real in zip(total, reals, strict=True)]
    assert r.apply(total).tolist() == [halves_to_even(Fraction(value)) + 3 for value in products]


@given(st.data())
@cases(60)
def test_floor_is_that_of_the_real_number(data):
    reals = data.draw(REALS)
    r = made(reals, "floor", zero=3)
    total = np.array([data.draw(SUMS) for _ in reals])
    exact = [
        Fraction(int(t) * int(m)) * Fraction(2) ** (int(s) - 31)
        for t, m, s in zip(total, r.multipliers, r.shifts, strict=True)
    ]
    assert r.apply(total).tolist() == [floor(value) + 3 for value in exact]


def test_halves():
    half = made([0.5], "ties_even")
    assert [int(half.apply(np.array([n]))[0]) for n in (1, 3, -1, -3, 5)] == [0, 2, 0, -2, 2]
    assert [int(made([0.5], "floor").apply(np.array([n]))[0]) for n in (1, -1)] == [0, -1]
    assert [int(made([0.5], "tflm").apply(np.array([n]))[0]) for n in (1, 3, -1, -3)] == [1, 2, 0, -1]


@given(st.data())
@cases(40)
def test_the_oracle_s_roundings(data):
    reals = data.draw(REALS)
    total = np.array([data.draw(SUMS) for _ in reals])
    r = made(reals, "tflm", zero=-7, low=-128, high=127)
    assert np.array_equal(r.apply(total), np.clip(requantize(total, r.multipliers, r.shifts) - 7, -128, 127))
    wide = made(reals, "tflm48")
    assert np.array_equal(wide.apply(total), requantize48(total, r.multipliers, r.shifts))


def test_of_tensors():
    x, y = (
        Tensor(n, (1, 3), t, Quantization((s,), (z,)))
        for n, t, s, z in (("x", "int8", 0.5, 3), ("y", "int16", 0.25, 0))
    )
    weights = Tensor("w", (3, 3), "int8", Quantization((0.5, 0.25, 0.125), (0,) * 3, 0), np.zeros((3, 3), np.int8))
    r = linear_rescale(x, weights, y)
    assert (r.x_zero, r.y_zero, r.clamp) == (3, 0, (-32768, 32767)) and r.largest == 1.0
    assert len({*zip(r.multipliers, r.shifts, strict=True)}) == 3
    assert r.of(np.array([1])).largest == 0.5 and r.clamped((-1, 5)).clamp == (-1, 5)
    per_tensor = Tensor("w", (3, 3), "int8", Quantization((0.5,), (0,)), np.zeros((3, 3), np.int8))
    common = linear_rescale(x, per_tensor, y)
    assert len(common.multipliers) == 3 and len({*zip(common.multipliers, common.shifts, strict=True)}) == 1
    narrow = Tensor("y", (1, 2), "int8", Quantization((0.25,), (0,)))
    with pytest.raises(ModelError, match="3 scales, but 'y' 2 channels"):
        linear_rescale(x, weights, narrow)


def test_measurements_are_found_by_the_clamp_alone():
    """Keys of the shipped log name shapes and clamps, no multipliers."""
    assert (
        op_key(Maker(1).dense(1, 16, 8))
        == "Dense x=int8[1x16] weights=int8[8x16]! bias=int32[8]! clamp=(-128,127) -> int8[1x8]"
    )


def test_of_reals_only_limits_are_left():
    x, w, y = (Tensor(n, (1, 2), "float32") for n in "xwy")
    r = linear_rescale(x, w, y)
    assert (r.rounding, r.clamp, r.largest) == ("real", (-np.inf, np.inf), 0.0) and r.of(np.array([1])) is r
    limited = r.clamped((0.0, 6.0))
    assert limited.apply(np.array([[-1.5, 7.25]], np.float32)).tolist() == [[0.0, 6.0]]
