"""Convolutions by Winograd's way, weights transformed in RAM, and by gathering: every schedule equals the reference."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smelt.kernels.conv2d_gathered import CONV2D_GATHERED
from smelt.kernels.conv2d_winograd4 import CONV2D_WINOGRAD4
from smelt.kernels.implementation import Argument, KernelCall, Schedule
from smelt.loops.ir import Scratch
from smelt.model.graph import Array, Op, Tensor
from smelt.model.ops import Conv2D
from smelt.model.reference import evaluate
from tests.kernels_host import SUPPORT, WARNINGS, _compile, _unload, source
from tests.mac_cases import RELU, Maker
from tests.schedules import candidates
from tests.test_kernels_mac import check, compilers


def cases() -> list[Conv2D]:
    m = Maker(11)
    return [
        m.conv((1, 8, 8, 8), 8, (3, 3), pad=(1, 1, 1, 1), clamp=RELU),
        m.conv((2, 8, 12, 4), 4, (3, 3), pad=(1, 1, 1, 1), style="wide"),
        m.conv((1, 10, 6, 12), 6, (3, 3), style="tensor"),
        m.conv((1, 16, 4, 20), 10, (3, 3), pad=(1, 1, 1, 1), clamp="zero"),
        m.conv((1, 7, 8, 16), 2, (3, 3), pad=(2, 1, 0, 2), bias="none"),
        m.conv((1, 4, 4, 64), 4, (3, 3), pad=(1, 1, 1, 1), style="dead"),
        m.conv((1, 4, 4, 8), 4, (3, 3), style="left", pad=(1, 1, 1, 1)),
        m.conv((1, 4, 4, 36), 4, (3, 3), style="tiny", pad=(1, 1, 1, 1)),
        m.conv((1, 14, 14, 16), 4, (3, 3), pad=(1, 1, 1, 1), clamp=RELU),
        m.conv((2, 17, 14, 16), 4, (3, 3), style="tensor"),  # 15 rows, 12 columns
        m.conv((1, 16, 15, 20), 2, (3, 3), pad=(1, 1, 1, 1), style="wide"),
    ]


def built(most: int | None = None) -> list[tuple[Op, Schedule, KernelCall]]:
    return [(op, s, CONV2D_WINOGRAD4.build(op, s)) for op in cases() for s in candidates(CONV2D_WINOGRAD4, op)[:most]]


def test_every_case_is_accepted() -> None:
    assert all(candidates(CONV2D_WINOGRAD4, op) for op in cases())


def test_layers_of_which_much_would_be_made_twice_are_not() -> None:
    m = Maker(13)
    for rows, columns, depth in ((14, 13, 16), (14, 14, 12), (4, 6, 16), (10, 10, 16)):
        op = m.conv((1, rows, columns, depth), 4, (3, 3), pad=(1, 1, 1, 1))
        assert not candidates(CONV2D_WINOGRAD4, op)


def test_every_schedule_equals_the_reference() -> None:
    check(built())


def test_nothing_is_undefined() -> None:
    check(built(most=2), sanitize=True)


def gathered_cases() -> list[Conv2D]:
    m = Maker(12)
    made = [
        m.conv((1, 9, 8, 3), 8, (3, 3), pad=(1, 1, 1, 1), clamp=RELU),
        m.conv((1, 11, 9, 1), 5, (5, 4), stride=(2, 2), pad=(2, 2, 1, 2), clamp=RELU),
        m.conv((1, 8, 8, 16), 6, (3, 3), stride=(2, 2), pad=(0, 1, 0, 1), style="wide", clamp=RELU),
        m.conv((1, 8, 6, 12), 4, (1, 1), stride=(2, 2), clamp=RELU),
        m.conv((1, 7, 9, 2), 3, (3, 3), style="tensor", pad=(2, 2, 2, 2), clamp=RELU),
        m.conv((1, 1, 9, 5), 2, (1, 3), bias="none", clamp=RELU),
        m.conv((1, 12, 2, 7), 2, (3, 2), stride=(3, 1), pad=(1, 1, 0, 1), clamp=RELU),
        m.conv((1, 6, 5, 32), 4, (2, 2), style="dead", clamp=RELU),
    ]
    return [replace(op, weights=replace(op.weights, data=np.maximum(op.weights.constant, -127))) for op in made]


def gathered(most: int | None = None) -> list[tuple[Op, Schedule, KernelCall]]:
    made = [(op, s) for op in gathered_cases() for s in candidates(CONV2D_GATHERED, op)[:most]]
    return [(op, s, CONV2D_GATHERED.build(op, s)) for op, s in made]


def test_every_gathered_schedule_equals_the_reference() -> None:
    assert len(gathered(1)) >= len(gathered_cases()) - 1
    check(gathered())


def test_nothing_gathered_is_undefined() -> None:
    check(gathered(most=2), sanitize=True)


@pytest.mark.parametrize("compiler", compilers(), ids=lambda c: Path(c[0]).name)
def test_the_c_has_no_warnings(compiler: tuple[str, ...], tmp_path: Path) -> None:
    code = tmp_path / "kernels.c"
    code.write_text(source(call.kernel for _, _, call in [*built(1), *gathered(1)]))
    strings = SUPPORT.parents[1] / "firmware" / "support"  # memcpy and memset where there is no C library
    common = ["-ffreestanding", *WARNINGS, "-I", str(SUPPORT), "-I", str(strings), "-c", str(code)]
    for level in ("-O0", "-O2", "-Os"):
        command = [*compiler, *common, level, "-o", str(tmp_path / "kernels.o")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{level}: {done.stderr[:4000]}"


def run_over(calls: list[KernelCall], op: Conv2D, x: Array) -> list[Array]:
    """What the calls leave in a memory that is x at first and y at last."""
    results = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        library = ctypes.CDLL(str(_compile(Path(folder), source(call.kernel for call in calls), sanitize=False)))
        for call in calls:
            memory = ctypes.create_string_buffer(x.tobytes(), x.nbytes)
            kept = [memory if isinstance(a, Tensor) else _memory(a) for a in call.arguments]
            getattr(library, call.kernel.name)(*kept)
            results.append(np.frombuffer(memory.raw[: op.y.bytes], np.int8).reshape(op.y.shape))
        _unload(library)
    return results


def _memory(argument: Argument) -> ctypes.Array[ctypes.c_char]:
    data = bytes(argument.bytes) if isinstance(argument, Scratch) else np.asarray(argument).tobytes()
    return ctypes.create_string_buffer(data, len(data))


@pytest.mark.parametrize("op", cases(), ids=lambda op: str(op.x.shape))
def test_y_may_lie_over_x(op: Conv2D) -> None:
    """The kernel, called with one pointer for both, as plans do where x dies."""
    made = [(s, CONV2D_WINOGRAD4.build(op, s)) for s in candidates(CONV2D_WINOGRAD4, op)]
    fitting = [(s, call) for s, call in made if call.kernel.in_place and op.y.elements <= op.x.elements]
    if not fitting:  # rows of y would overtake those of x that are still to be read
        assert not any(call.kernel.in_place for _, call in made)
        return
    values = np.random.default_rng(5).integers(-128, 128, op.x.shape).astype(np.int8)
    expected = evaluate(op, values, *(t.constant for t in op.inputs[1:]))
    for (schedule, _), y in zip(fitting, run_over([call for _, call in fitting], op, values), strict=True):
        assert np.array_equal(y, expected), str(schedule)
