"""Convolutions that read x as it is take next to no scratch. That they equal the reference shows `test_kernels_routines`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smelt.kernels.conv2d_direct import CONV2D_DIRECT
from smelt.model.ops import Conv2D
from tests.mac_cases import RELU, Maker
from tests.schedules import Made, built, candidates


def cases() -> list[Conv2D]:
    m = Maker(14)
    around = (1, 1, 1, 1)
    made = [
        m.conv((1, 5, 7, 8), 6, (3, 3), pad=around, clamp=RELU),
        m.conv((2, 4, 8, 4), 2, (3, 3), pad=around, style="tensor"),  # columns in threes
        m.conv((1, 6, 5, 12), 4, (3, 3), stride=(2, 2), pad=(0, 1, 0, 1)),
        m.conv((1, 9, 11, 4), 2, (5, 3), stride=(2, 1), pad=(2, 2, 2, 0), bias="none"),
        m.conv((1, 3, 2, 16), 4, (3, 3), pad=around),  # fewer than three columns
        m.conv((2, 5, 5, 20), 8, (1, 1), clamp=RELU),  # made apart, with a rest
        m.conv((1, 3, 4, 16), 16, (1, 1), style="tensor"),
        m.conv((1, 4, 4, 4), 12, (1, 1)),  # more channels than x has
        m.conv((1, 7, 6, 8), 4, (1, 1), stride=(2, 2)),
        m.conv((1, 1, 9, 4), 6, (1, 5), pad=(0, 0, 2, 2), style="dead"),
    ]
    return [replace(op, weights=replace(op.weights, data=np.maximum(op.weights.constant, -127))) for op in made]


def direct() -> list[Made]:
    return built(CONV2D_DIRECT, [*cases()])


def test_every_case_is_accepted() -> None:
    assert all(candidates(CONV2D_DIRECT, op) for op in cases())


def test_scratch_is_three_pixels_at_most() -> None:
    for op, schedule, call in direct():
        assert call.scratch_bytes == (3 * op.ys[0].shape[3] if schedule.apart else 0)


def test_y_of_pointwise_layers_may_lie_where_x_is() -> None:
    """Made apart, at no distance; pixel by pixel, a pixel before x."""
    op = cases()[6]
    distances = {str(s): call.overlap(op.x, op.y).least for _, s, call in built(CONV2D_DIRECT, [op])}
    assert distances == {"direct(pixels=3, apart)": 0, "direct(pixels=1)": op.y.shape[3]}


def test_what_sees_nothing_of_the_image_is_left_to_others() -> None:
    m = Maker(15)
    assert not candidates(CONV2D_DIRECT, m.conv((1, 3, 3, 4), 2, (3, 3), pad=(4, 4, 4, 4)))
    assert not candidates(CONV2D_DIRECT, m.conv((1, 5, 5, 6), 2, (3, 3)))
