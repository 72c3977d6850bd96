"""Kernels in float32 on the host: every schedule of every core, by the rule for sums, or bit for bit where there are none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from smelt.kernels import FLOATS, IMPLEMENTATIONS
from smelt.kernels.float_recurrent import RECURRENT_FLOATS
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.other import FLOATS as OTHERS
from smelt.model.graph import Op, Tensor
from smelt.model.ops import L2Pool2D, TransposeConv2D
from smelt.model.ops_pointwise import ArgMax, ArgMin, Compare, FloorMod, Power
from smelt.model.ops_recurrent import RealLstm
from smelt.model.reference import evaluate, results
from smelt.targets.cores.cortex_m3 import CORTEX_M3
from smelt.targets.cores.cortex_m4 import CORTEX_M4
from smelt.targets.cores.cortex_m7 import CORTEX_M7
from tests.float_ops import (
    inputs_of,
    linear_cases,
    pointwise_cases,
    pool_cases,
    recurrent_cases,
    sum_bounds,
    tolerances,
)
from tests.kernels_host import run_all, run_calls

CORES = (CORTEX_M3, CORTEX_M4, CORTEX_M7)


@dataclass(frozen=True)
class Way:
    """One kernel for an op; `fused` where it adds products without rounding them."""

    op: Op
    call: KernelCall
    fused: bool

    def __str__(self) -> str:
        return f"{self.call.kernel.name}: {self.op}"


def ways(op: Op) -> list[Way]:
    """Every kernel for `op`, on any core, once."""
    found: dict[str, Way] = {}
    for core in CORES:
        for way in accepting(op, core):
            for schedule in way.schedules(op, core):
                call = way.build(op, schedule)
                found.setdefault(call.kernel.name, Way(op, call, getattr(schedule, "fused", False)))
    assert found, op
    return list(found.values())


def accepting(op: Op, core) -> list[Implementation]:
    return [i for i in IMPLEMENTATIONS if i.takes(op, core)]


@dataclass(frozen=True)
class Case(Way):
    """The values of the op's inputs, and what the kernel and the reference make of them."""

    values: list[np.ndarray]
    found: tuple[np.ndarray, ...]
    wanted: tuple[np.ndarray, ...]


def computed(ways: list[Way], sanitize: bool) -> list[Case]:
    """All kernels in one library."""
    values = [positive_if_need_be(way.op, inputs_of(way.op, number)) for number, way in enumerate(ways)]
    given = [dict(zip(way.op.inputs, v, strict=True)) for way, v in zip(ways, values, strict=True)]
    found = run_all([way.call for way in ways], given, sanitize=sanitize)
    return [
        Case(way.op, way.call, way.fused, v, f, results(way.op, *v))
        for way, v, f in zip(ways, values, found, strict=True)
    ]


def sums() -> list[Op]:
    return [*linear_cases(), *pool_cases(), *recurrent_cases()]


@pytest.fixture(scope="module")
def of_sums() -> list[Way]:
    return [way for op in sums() for way in ways(op)]


@pytest.fixture(scope="module")
def plain(of_sums) -> list[Case]:
    return computed(of_sums, sanitize=False)


@pytest.fixture(scope="module")
def sanitized(of_sums) -> list[Case]:
    """One schedule of each."""
    return computed(list({way.op: way for way in reversed(of_sums)}.values()), sanitize=True)


@pytest.mark.parametrize("kind", ["plain", "sanitized"])
def test_every_schedule_is_within_the_rounding_of_sums(kind, request):
    for case in request.getfixturevalue(kind):
        bounds = sum_bounds(case.op, *case.values)
        for found, wanted, bound in zip(case.found, case.wanted, bounds, strict=True):
            off = np.abs(found.astype(np.float64) - wanted)
            assert np.all(off <= bound), f"{case} {off.max()}"


OTHERWISE = (TransposeConv2D, L2Pool2D, RealLstm)


def test_unfused_kernels_are_the_reference_bit_for_bit(plain):
    """They take products in the oracle's order, each rounded. Transposed convolutions walk backwards; squares may be fused;
    functions are within two units."""
    unfused = [case for case in plain if not case.fused and not isinstance(case.op, OTHERWISE)]
    assert {type(case.op) for case in unfused} == {type(op) for op in sums()} - set(OTHERWISE)
    for case in unfused:
        for found, wanted in zip(case.found, case.wanted, strict=True):
            assert np.array_equal(found, wanted), str(case)


def test_functions_of_elements_are_within_two_units_in_the_last_place():
    """Rows that are summed, and what follows from the sums, are within a few units of the row's largest magnitudes."""
    for case in computed([way for op in pointwise_cases() for way in ways(op)], sanitize=True):
        ((found,), (wanted,)) = case.found, case.wanted
        (allowed,) = tolerances(case.op, *case.values)
        with np.errstate(invalid="ignore"):  # products that overflow on both sides
            near = np.abs(found - wanted) <= allowed
        assert np.all(near | (found == wanted)), str(case)


def positive_if_need_be(op: Op, values: list[np.ndarray]) -> list[np.ndarray]:
    return [np.abs(v) for v in values] if getattr(op, "function", "") in ("log", "sqrt", "rsqrt") else values


def test_every_implementation_is_tested():
    tested = {way.name for op in (*sums(), *pointwise_cases()) for way in accepting(op, CORTEX_M4)}
    assert tested == {way.name for way in (*FLOATS, *OTHERS, *RECURRENT_FLOATS)}


@pytest.mark.parametrize("kind", [FloorMod, Power])
def test_rests_of_divisions_are_exact_and_powers_are_those_of_c(kind):
    """Quotients of 277 bits, the least and the greatest numbers, halves of steps; infinities, zeros and what is no number."""
    few = np.array([0, -0.0, 1e-45, 3e-39, 1.1754944e-38, 0.1, 1, 1.5, 7, 1e9, 3.4e38, np.inf, np.nan], np.float32)
    few = np.concatenate([few, -few])
    x, x2, y = (
        Tensor("x", (len(few), 1), "float32"),
        Tensor("x2", few.shape, "float32"),
        Tensor("y", (26, 26), "float32"),
    )
    op = kind(x=x, x2=x2, y=y)
    given = {x: few.reshape(-1, 1), x2: few}
    wanted = evaluate(op, *given.values())
    with np.errstate(all="ignore"):
        allowed = 2 * np.spacing(np.abs(wanted)) if kind is Power else 0.0
        for found in run_calls([way.call for way in ways(op)], [given] * len(ways(op)), sanitize=True):
            alike = (found == wanted) | (np.isnan(found) & np.isnan(wanted)) | (np.abs(found - wanted) <= allowed)
            assert alike.all() and (np.signbit(found) == np.signbit(wanted))[~np.isnan(wanted)].all()


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
