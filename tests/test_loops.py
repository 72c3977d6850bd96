"""The loop IR: folding, the printer, the bounds proof, the cost reader."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.kernels.conv2d_dsp import CONV2D_DSP
from smelt.kernels.conv2d_portable import CONV2D_PORTABLE
from smelt.kernels.dense_dsp import DENSE_DSP
from smelt.kernels.dense_portable import DENSE_PORTABLE
from smelt.kernels.depthwise_planes import DEPTHWISE_DSP
from smelt.loops.bounds import OutOfBounds, check_bounds
from smelt.loops.builder import KernelBuilder
from smelt.loops.cost import count
from smelt.loops.ir import Binary, Const, Operator, Var, binary, fold, maximum, minimum
from smelt.loops.kernel import Kernel
from smelt.targets.cores.cortex_m4 import CORTEX_M4
from tests.mac_cases import Maker

GOLDEN = Path(__file__).parent / "golden"
X = Var("x")


def test_constants_fold() -> None:
    assert X + 0 is X
    assert X * 1 is X
    assert Const(0) == X * 0
    assert (X + 3) + 4 == X + 7
    assert (X * 3) * 4 == X * 12
    assert 5 + X == X + 5
    assert X - 3 == X + (-3)
    assert (X >= 0).both(1) == (X >= 0)
    assert (X >= 0).both(0) == Const(0)


@given(
    st.sampled_from(["+", "-", "*", "/", "%", "<", "<=", ">", ">=", "==", "!=", "min", "max"]),
    st.integers(-1000, 1000),
    st.integers(-1000, 1000).filter(bool),
)
def test_folding_is_arithmetic(operator: Operator, a: int, b: int) -> None:
    folded = binary(operator, a, b)
    assert folded == Const(fold(operator, a, b))
    if operator in ("/", "%"):
        assert fold("/", a, b) * b + fold("%", a, b) == a
        assert abs(fold("%", a, b)) < abs(b)


def simple(stop: int, offset: int) -> Kernel:
    """y[i] = x[i + offset] for i < stop, of ten elements each."""
    k = KernelBuilder("shift")
    x, y = k.input("x", "int8_t", 10), k.output("y", "int8_t", 10)
    with k.loop("i", 0, stop) as i:
        k.store(y, i, x[i + offset])
    return k.finish()


def test_equal_kernels_have_equal_names() -> None:
    assert simple(5, 1) == simple(5, 1)
    assert simple(5, 1).name != simple(5, 2).name


def test_bounds_accept_what_fits() -> None:
    simple(10, 0)
    simple(8, 2)


@pytest.mark.parametrize(("stop", "offset"), [(11, 0), (9, 2), (5, -1)])
def test_bounds_refuse_one_too_many(stop: int, offset: int) -> None:
    with pytest.raises(OutOfBounds):
        simple(stop, offset)


def windowed(pad: int, taps: int) -> Kernel:
    """A clipped window that slides over ten elements."""
    k = KernelBuilder("window")
    x, y = k.input("x", "int8_t", 10), k.output("y", "int8_t", 10)
    with k.loop("i", 0, 10) as i:
        total = k.var("total", 0)
        first, stop = k.let("first", maximum(pad - i, 0)), k.let("stop", minimum(10 + 1 - i, taps))
        with k.loop("tap", first, stop) as tap:
            k.assign(total, total + x[i + tap - 1])
        k.store(y, i, total >> 2)
    return k.finish()


def test_bounds_follow_clipped_windows() -> None:
    windowed(1, 3)


def test_bounds_refuse_a_window_clipped_wrongly() -> None:
    with pytest.raises(OutOfBounds):
        windowed(0, 3)


def test_bounds_refuse_wide_access_over_the_end() -> None:
    k = KernelBuilder("wide")
    x, y = k.input("x", "int8_t", 10), k.output("y", "int8_t", 1)
    k.store(y, 0, x.load("int32_t", 7))
    with pytest.raises(OutOfBounds):
        k.finish()


def test_bounds_use_conditions() -> None:
    k = KernelBuilder("guarded")
    x, y = k.input("x", "int8_t", 10), k.output("y", "int8_t", 20)
    with k.loop("i", 0, 20) as i:
        place = k.let("place", i - 5)
        with k.when((place >= 0).both(place < 10)):
            k.store(y, i, x[place])
    check_bounds(k.finish())


def test_mixed_bit_operators_are_parenthesised() -> None:
    k = KernelBuilder("bits")
    y = k.output("y", "int32_t", 1)
    k.store(y, 0, Binary("+", Binary(">>", X, Const(3)), Binary("*", Binary("+", X, Const(1)), Const(2))))
    text = Kernel("bits", (y,), tuple(k._bodies[0])).c()
    assert "(x >> 3) + (x + 1) * 2" in text


def test_a_loop_of_one_round_is_none() -> None:
    k = KernelBuilder("once")
    y = k.output("y", "int8_t", 1)
    with k.loop("i", 0, 1) as i:
        k.store(y, i, 7)
    assert "for" not in str(k.finish())


def test_costs_count_rounds() -> None:
    counts = count(simple(8, 2))
    assert (counts.loads, counts.stores) == (8, 8)


def test_costs_rank_blocks_before_single_outputs() -> None:
    op = Maker(9).conv((1, 8, 8, 16), 16, (3, 3), pad=(1, 1, 1, 1))
    names = {i.name for i in CORTEX_M4.intrinsics}
    cost = {
        str(s): count(CONV2D_DSP.build(op, s).kernel).instructions(names) for s in CONV2D_DSP.schedules(op, CORTEX_M4)
    }
    portable = count(
        CONV2D_PORTABLE.build(op, next(iter(CONV2D_PORTABLE.schedules(op, CORTEX_M4)))).kernel
    ).instructions(names)
    best, worst = min(cost.values()), max(cost.values())
    assert best < worst < portable
    assert best > op.macs


def golden_kernels() -> dict[str, Kernel]:
    m = Maker(8)
    dense = m.dense(1, 10, 4, clamp="relu")
    conv = m.conv((1, 6, 6, 4), 4, (3, 3), pad=(1, 1, 1, 1), clamp="relu")
    depthwise = m.depthwise((1, 5, 6, 2), 1, (3, 3), pad=(1, 1, 1, 1), style="tensor", clamp="relu")
    return {
        "dense_portable": DENSE_PORTABLE.build(dense, next(iter(DENSE_PORTABLE.schedules(dense, CORTEX_M4)))).kernel,
        "dense_dsp": DENSE_DSP.build(dense, next(iter(DENSE_DSP.schedules(dense, CORTEX_M4)))).kernel,
        "conv2d_portable": CONV2D_PORTABLE.build(conv, next(iter(CONV2D_PORTABLE.schedules(conv, CORTEX_M4)))).kernel,
        "depthwise_dsp": DEPTHWISE_DSP.build(
            depthwise, next(iter(DEPTHWISE_DSP.schedules(depthwise, CORTEX_M4)))
        ).kernel,
    }


@pytest.mark.parametrize("name", ["dense_portable", "dense_dsp", "conv2d_portable", "depthwise_dsp"])
def test_golden_c(name: str) -> None:
    """Reviewed text. After an intended change: `python -m tests.test_loops` writes it anew; read the difference."""
    assert golden_kernels()[name].c() == (GOLDEN / f"{name}.c").read_text(encoding="utf-8")


if __name__ == "__main__":
    for name, kernel in golden_kernels().items():
        (GOLDEN / f"{name}.c").write_text(kernel.c(), encoding="utf-8", newline="\n")
