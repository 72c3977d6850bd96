"""Dense layers that leave out zeros: right for any share of zeros, wherever they are."""

from __future__ import annotations

import numpy as np
import pytest

from smelt.kernels.dense_pairs import DENSE_PAIRS, UnitPairs
from smelt.kernels.dense_sifted import DENSE_SIFTED, Sifted, pack
from smelt.loops.ir import Scratch
from smelt.model.graph import Array
from smelt.model.ops import Dense
from smelt.model.reference import evaluate
from smelt.targets.cores.cortex_m4 import CORTEX_M4
from smelt.targets.cores.cortex_m7 import CORTEX_M7
from smelt.targets.types import Core
from tests.kernels_host import run_calls
from tests.mac_cases import Maker

DEPTHS = (8, 31, 64)


def rows_of(depth: int) -> Array:
    """Rows of x: none zero, all zero, one left, one zero, halves, every other one, and random shares."""
    random = np.random.default_rng(depth)
    full = random.integers(-127, 128, (10, depth))
    kept = np.ones((10, depth), bool)
    kept[1] = False
    kept[2] = np.arange(depth) == depth - 1
    kept[3] = np.arange(depth) != 0
    kept[4] = np.arange(depth) < depth // 2
    kept[5] = np.arange(depth) % 2 == 1
    kept[6:] = random.random((4, depth)) < np.array([[0.1], [0.4], [0.6], [0.9]])
    return np.where(kept, full, -128).astype(np.int8)


def layer(depth: int, units: int, style: str = "tensor narrow") -> Dense:
    return Maker(depth + units).dense(10, depth, units, style=style, rectified=True)


@pytest.mark.parametrize("depth", DEPTHS)
def test_any_share_of_zeros(depth: int) -> None:
    ops = [layer(depth, units) for units in (8, 48, 32)]
    made = [(op, DENSE_SIFTED.build(op, s)) for op in ops for s in DENSE_SIFTED.schedules(op, CORTEX_M4)]
    x = rows_of(depth)
    constants = [{t: t.data for t in op.inputs if t.data is not None} for op, _ in made]
    results = run_calls(
        [call for _, call in made], [{op.x: x, **c} for (op, _), c in zip(made, constants, strict=True)]
    )
    for (op, call), result in zip(made, results, strict=True):
        expected = evaluate(op, x, *(t.data for t in op.inputs if t.data is not None))
        assert np.array_equal(result, expected), call.kernel


def test_the_weights_of_an_element_lie_side_by_side() -> None:
    op = layer(8, 32)
    low = (pack(op.weights.constant, 16).view("<i2").reshape(2, 8, 8) & 255).astype(np.uint8).view(np.int8)
    assert np.array_equal(low.transpose(0, 2, 1).reshape(16, 8), op.weights.constant[0::2])


def accepts(op: Dense, core: Core = CORTEX_M4) -> bool:
    return all(accept(op, core) for accept in DENSE_SIFTED.accepts)


def test_what_it_accepts() -> None:
    assert accepts(layer(64, 16))
    assert not accepts(layer(64, 12))
    assert not accepts(layer(7, 8))
    assert not accepts(layer(1025, 8))
    assert not accepts(Maker(1).dense(1, 64, 8, style="tensor narrow"))


def test_pairs_of_units_that_share_their_scale() -> None:
    """Their outputs come from the routine, without sums in between; on sizes that the other tests do not have."""
    for op in (layer(64, 14), layer(16, 6), layer(8, 20)):
        schedule, *_ = DENSE_PAIRS.schedules(op, CORTEX_M7)
        assert schedule == UnitPairs(3)
        assert not any(isinstance(a, Scratch) for a in DENSE_PAIRS.build(op, schedule).arguments)
        x, constants = rows_of(op.weights.shape[1]), {t: t.data for t in op.inputs if t.data is not None}
        (result,) = run_calls([DENSE_PAIRS.build(op, schedule)], [{op.x: x, **constants}])
        assert np.array_equal(result, evaluate(op, x, *constants.values()))


def test_units_that_share_their_scale_have_no_columns_for_it() -> None:
    shared, own = (DENSE_PAIRS.build(layer(8, 16, style), UnitPairs(3)) for style in ("tensor narrow", "narrow"))
    assert [b.name for b in shared.kernel.buffers if b.role == "constant"] == ["weights", "starts"]
    assert [b.name for b in own.kernel.buffers if b.role == "constant"] == ["weights", "starts", "channels"]


def test_scratch_is_a_list() -> None:
    call = DENSE_SIFTED.build(layer(64, 8), Sifted(8))
    assert [a.bytes for a in call.arguments if isinstance(a, Scratch)] == [4 * (64 + 3)]


def test_what_is_left_to_pairs() -> None:
    """Many weights on the M7, scales of their own, narrower clamps."""
    assert accepts(layer(128, 512), CORTEX_M4)
    assert not accepts(layer(128, 512), CORTEX_M7)
    assert not accepts(layer(64, 16, "narrow"), CORTEX_M4)
    assert not accepts(Maker(1).dense(1, 64, 8, style="tensor narrow", rectified=True, clamp=(-9, 9)), CORTEX_M4)
