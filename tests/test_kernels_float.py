"""Kernels in float32 on the host: every schedule of every core, by the rule for sums, or bit for bit where there are none."""

from __future__ import annotations

import numpy as np
import pytest

from smelt.kernels import FLOATS, IMPLEMENTATIONS
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.other import FLOATS as OTHERS
from smelt.model.graph import Op, Tensor
from smelt.model.ops import ResizeBilinear, Softmax
from smelt.model.ops_pointwise import ArgMax, ArgMin, Compare, L2Normalization, LogSoftmax
from smelt.model.reference import evaluate
from smelt.targets.cores.cortex_m3 import CORTEX_M3
from smelt.targets.cores.cortex_m4 import CORTEX_M4
from smelt.targets.cores.cortex_m7 import CORTEX_M7
from tests.float_ops import inputs_of, linear_cases, pointwise_cases, pool_cases, sum_bound
from tests.kernels_host import run_calls

CORES = (CORTEX_M3, CORTEX_M4, CORTEX_M7)


def ways(op: Op) -> list[KernelCall]:
    """Every kernel for `op`, on any core, once."""
    found: dict[str, KernelCall] = {}
    for core in CORES:
        for way in accepting(op, core):
            for schedule in way.schedules(op, core):
                call = way.build(op, schedule)
                found.setdefault(call.kernel.name, call)
    assert found, op
    return list(found.values())


def accepting(op: Op, core) -> list[Implementation]:
    return [i for i in IMPLEMENTATIONS if i.takes(op, core)]


@pytest.mark.parametrize("family", [linear_cases, pool_cases])
@pytest.mark.parametrize("sanitize", [False, True], ids=["plain", "sanitized"])
def test_every_schedule_is_within_the_rounding_of_sums(family, sanitize):
    ops = [(op, call) for op in family() for call in (ways(op) if not sanitize else ways(op)[:1])]
    values = [inputs_of(op, number) for number, (op, _) in enumerate(ops)]
    given = [dict(zip(op.inputs, v, strict=True)) for (op, _), v in zip(ops, values, strict=True)]
    results = run_calls([call for _, call in ops], given, sanitize=sanitize)
    for (op, call), inputs, got in zip(ops, values, results, strict=True):
        off = np.abs(got.astype(np.float64) - evaluate(op, *inputs))
        assert np.all(off <= sum_bound(op, *inputs)), f"{call.kernel.name}: {op} {off.max()}"


def test_unfused_kernels_are_the_reference_bit_for_bit():
    """They take products in the oracle's order, each rounded. Transposed convolutions walk backwards; squares may be fused."""
    ops = [op for op in (*linear_cases(), *pool_cases()) if type(op).__name__ not in ("TransposeConv2D", "L2Pool2D")]
    calls = [
        (op, way.build(op, next(iter(way.schedules(op, CORTEX_M4))))) for op in ops for way in accepting(op, CORTEX_M4)
    ]
    values = [inputs_of(op, number) for number, (op, _) in enumerate(calls)]
    given = [dict(zip(op.inputs, v, strict=True)) for (op, _), v in zip(calls, values, strict=True)]
    results = run_calls([call for _, call in calls], given)
    for (op, call), inputs, got in zip(calls, values, results, strict=True):
        assert np.array_equal(got, evaluate(op, *inputs)), f"{call.kernel.name}: {op}"


SUMMING = (Softmax, LogSoftmax, L2Normalization, ResizeBilinear)


def test_functions_of_elements_are_within_two_units_in_the_last_place():
    """Rows that are summed, and what follows from the sums, are within a few units of the row's largest magnitudes."""
    calls = [(op, call) for op in pointwise_cases() for call in ways(op)]
    values = [positive_if_need_be(op, inputs_of(op, number)) for number, (op, _) in enumerate(calls)]
    given = [dict(zip(op.inputs, v, strict=True)) for (op, _), v in zip(calls, values, strict=True)]
    for (op, call), inputs, got in zip(
        calls, values, run_calls([c for _, c in calls], given, sanitize=True), strict=True
    ):
        wanted = evaluate(op, *inputs)
        unit = np.spacing(np.abs(wanted))
        if isinstance(op, SUMMING):
            unit = (4 + op.x.shape[-1]) * np.spacing(np.maximum(np.abs(wanted), np.abs(inputs[0]).max()))
        assert np.all(np.abs(got - wanted) <= 2 * unit), f"{call.kernel.name}: {op}"


def positive_if_need_be(op: Op, values: list[np.ndarray]) -> list[np.ndarray]:
    return [np.abs(v) for v in values] if getattr(op, "function", "") in ("log", "sqrt", "rsqrt") else values


def test_every_implementation_is_tested():
    ops = (*linear_cases(), *pool_cases(), *pointwise_cases())
    assert {way.name for op in ops for way in accepting(op, CORTEX_M4)} == {way.name for way in (*FLOATS, *OTHERS)}


def test_comparisons_and_places_of_extremes():
    """Infinities and what is no number among the values; ties are frequent."""
    rng = np.random.default_rng(4)
    x, x2 = Tensor("x", (6, 20), "float32"), Tensor("x2", (6, 20), "float32")
    ops = [Compare(x=x, x2=x2, y=Tensor("y", (6, 20), "bool"), relation=r) for r in ("==", "!=", ">", ">=", "<", "<=")]
    ops += [
        kind(x=x, y=Tensor("y", (6 if axis else 20,), "int32"), axis=axis)
        for kind in (ArgMax, ArgMin)
        for axis in (0, 1)
    ]
    few = np.array([0, -0.0, 1, -1, 2.5, np.inf, -np.inf, np.nan], np.float32)
    given = {t: rng.choice(few, t.shape) for t in (x, x2)}
    ways = [next(i for i in IMPLEMENTATIONS if i.takes(op, CORTEX_M4)) for op in ops]
    calls = [way.build(op, next(iter(way.schedules(op, CORTEX_M4)))) for op, way in zip(ops, ways, strict=True)]
    for op, found in zip(ops, run_calls(calls, [given] * len(calls), sanitize=True), strict=True):
        expected = evaluate(op, *(given[t] for t in op.inputs))
        np.testing.assert_array_equal(found.astype(expected.dtype), expected, err_msg=str(op))
