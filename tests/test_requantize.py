"""The epilogue: its fast form is exact, and is taken only where it is."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from smelt.kernels.requantize import requantizer
from smelt.kernels.requantizer import GREATEST_SHIFT
from smelt.model.arithmetic import requantize
from tests.mac_cases import Maker, cases


def fast(total: int, multiplier: int, shift: int, zero: int, away: bool) -> int:
    """The fast form in Python's integers, as the kernels compute it."""
    x = total + ((total * (2 * multiplier - 2**32) + 2**31) >> 32)
    x += (x >> 31) if away and shift else 0
    return (x + ((1 << shift) >> 1) + (zero << shift)) >> shift


@given(
    st.integers(-(2**30), 2**30), st.integers(2**30, 2**31 - 1), st.integers(0, GREATEST_SHIFT), st.integers(-128, 127)
)
def test_the_fast_form_is_exact(total: int, multiplier: int, shift: int, zero: int) -> None:
    expected = int(requantize(np.int64(total), multiplier, -shift)) + zero
    assert fast(total, multiplier, shift, zero, away=True) == expected
    # Where everything below the zero point is clamped, the direction of halves below it does not matter.
    assert max(fast(total, multiplier, shift, zero, away=False), zero) == max(expected, zero)


def test_the_cases_take_every_form() -> None:
    forms = set()
    for op in cases():
        weights = op.weights.constant
        axis = 3 if type(op).__name__ == "DepthwiseConv2D" else 0
        r = requantizer(op, np.moveaxis(weights, axis, 0).reshape(op.y.shape[-1], -1), folded=True)
        forms.add((r.form, r.shift is None, r.wraps))
    assert {("fast", False, False), ("fast", True, False), ("general", True, False), ("general", True, True)} <= forms


def test_dead_channels_do_not_spoil_the_fast_form() -> None:
    op = Maker(3).dense(1, 20, 12, style="dead")
    assert requantizer(op, op.weights.constant, folded=True).form == "fast"
