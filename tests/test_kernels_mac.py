"""Every schedule of every multiply-accumulate implementation, on awkward shapes, equals the reference bit for bit."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smelt.kernels import INT8 as LINEAR
from smelt.kernels import INT16
from smelt.kernels.accepts import has_byte_weights
from smelt.kernels.dense_nibbles import DENSE_NIBBLES, longest_stretch
from smelt.kernels.implementation import Implementation, KernelCall, Schedule
from smelt.model.graph import Array, Op
from smelt.model.reference import evaluate
from smelt.targets.cores.cortex_m4 import CORTEX_M4
from smelt.targets.types import Core
from tests.kernels_host import SUPPORT, WARNINGS, ZIG, run_calls, source
from tests.mac_cases import (
    Maker,
    cases,
    convolutions,
    dense_layers,
    depthwise_convolutions,
    halfwords,
    of_sums,
    packed_in_nibbles,
    transpose_convolutions,
)
from tests.schedules import CORES, built, candidates


def inputs_of(op: Op, seed: int) -> list[Array]:
    """Values for `op.inputs`: random ones, now and then only extremes, constants as they are."""
    random = np.random.default_rng(seed)
    extreme = seed % 3 == 0
    values = []
    for tensor in op.inputs:
        low, high = (-128, 127) if tensor.element.is_float else tensor.element.range
        made = random.integers(low, high + 1, tensor.shape)
        made = np.where(made < 0, low, high) if extreme else made
        values.append(made.astype(tensor.dtype) if tensor.data is None else tensor.data)
    return values


def check(made: list[tuple[Op, Schedule, KernelCall]], sanitize: bool = False) -> None:
    values = [inputs_of(op, seed) for seed, (op, _, _) in enumerate(made)]
    inputs = [dict(zip(op.inputs, v, strict=True)) for (op, _, _), v in zip(made, values, strict=True)]
    results = run_calls([call for _, _, call in made], inputs, sanitize)
    for (op, schedule, call), v, result in zip(made, values, results, strict=True):
        expected = evaluate(op, *v)
        wrong = np.argwhere(result != expected)
        assert not len(wrong), (
            f"{type(op).__name__} {op.inputs[0].shape} -> {op.y.shape} with {schedule}: "
            f"{len(wrong)} of {result.size} differ, first at {wrong[0]}: "
            f"{result[tuple(wrong[0])]} for {expected[tuple(wrong[0])]}\n{call.kernel}"
        )


@pytest.mark.parametrize("implementation", LINEAR, ids=lambda i: i.name)
def test_every_schedule_equals_the_reference(implementation: Implementation) -> None:
    made = built(implementation, cases())
    assert made
    check(made)


@pytest.mark.parametrize("depth, extremes", [(700, False), (1301, True), (4100, False)])
def test_rows_of_nibbles_are_added_up_in_stretches(depth: int, extremes: bool) -> None:
    """Where sums of all elements could not be told apart: the most of them, or more than there may be."""
    op = Maker(depth).dense(2, depth, 6)
    data = np.full(op.weights.shape, -8, np.int8) if extremes else op.weights.constant >> 6
    (op,) = packed_in_nibbles([replace(op, weights=replace(op.weights, data=data << 4))])
    made = built(DENSE_NIBBLES, [op], most=2)
    assert (made and longest_stretch(op.weights.constant) < depth) or depth == 700
    check(made, sanitize=True)


@pytest.mark.parametrize("core", CORES, ids=lambda c: c.name)
def test_the_ring_runs_what_the_core_is_offered(core: Core) -> None:
    for implementation in LINEAR:
        for op in cases():
            if implementation.takes(op, core):
                assert {*implementation.schedules(op, core)} <= {*candidates(implementation, op)}


@pytest.mark.parametrize("implementation", LINEAR, ids=lambda i: i.name)
def test_nothing_is_undefined(implementation: Implementation) -> None:
    check(built(implementation, cases(), most=1), sanitize=True)


@pytest.mark.parametrize("implementation", INT16, ids=lambda i: i.name)
def test_int16_activations(implementation: Implementation) -> None:
    """Sums of 32 bits and of 64, with and without the sanitizer."""
    ops = halfwords([*convolutions(), *depthwise_convolutions(), *dense_layers()[:8], *transpose_convolutions()])
    ops += [
        of_sums(op, ("narrow", "split", "wide")[number % 3])
        for number, op in enumerate([*convolutions(), *dense_layers()[:8]])
    ]
    check(built(implementation, ops))
    check(built(implementation, ops[::2], most=1), sanitize=True)


@pytest.mark.parametrize("implementation", LINEAR, ids=lambda i: i.name)
def test_int4_weights(implementation: Implementation) -> None:
    """Unpacked at once, slice by slice, or where they are multiplied; with and without the sanitizer."""
    ops = packed_in_nibbles(cases())
    if has_byte_weights in implementation.accepts:
        assert not built(implementation, ops, most=1)
        return
    made = built(implementation, ops, most=2)
    assert made
    check(made)
    check(built(implementation, ops[::4], most=1), sanitize=True)


def compilers() -> list[tuple[str, ...]]:
    found = [c for c in ("arm-none-eabi-gcc", "riscv64-unknown-elf-gcc", "gcc") if shutil.which(c)]
    flags = {
        "arm-none-eabi-gcc": ("-mthumb", "-mcpu=cortex-m4"),
        "riscv64-unknown-elf-gcc": ("-march=rv32imc", "-mabi=ilp32"),
    }
    own = [(*ZIG, *CORTEX_M4.zig)]
    return [*own, *((c, *flags.get(c, ())) for c in found)]


@pytest.mark.parametrize("compiler", compilers(), ids=lambda c: Path(c[0]).name)
def test_the_c_has_no_warnings(compiler: tuple[str, ...], tmp_path: Path) -> None:
    calls = [call for implementation in LINEAR for _, _, call in built(implementation, cases(), most=1)[::3]]
    code = tmp_path / "kernels.c"
    code.write_text(source(call.kernel for call in calls))
    strings = SUPPORT.parents[1] / "firmware" / "support"  # memcpy and memset where there is no C library
    command = [*compiler, "-ffreestanding", *WARNINGS, "-O1", "-I", str(SUPPORT), "-I", str(strings), "-c", str(code)]
    done = subprocess.run([*command, "-o", str(tmp_path / "kernels.o")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:4000]
