"""Kernels that call the routines shared by all layers: awkward shapes on the host, and their assembly on the simulated boards."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from smelt.devices.session import Session
from smelt.kernels.conv2d_direct import CONV2D_DIRECT
from smelt.kernels.conv2d_eight import CONV2D_EIGHT
from smelt.kernels.conv2d_pointwise import CONV2D_POINTWISE
from smelt.kernels.depthwise_lines import DEPTHWISE_LINES
from smelt.kernels.implementation import Implementation
from smelt.kernels.inner.groups import GroupBlock
from smelt.kernels.quantize import QUANTIZE_FLOATS
from smelt.loops.ir import Scratch
from smelt.model.graph import Array, Op, Tensor
from smelt.model.ops import Quantize
from smelt.model.reference import evaluate
from smelt.model.tables import quantize_thresholds
from smelt.targets.boards import board
from smelt.targets.cores.cortex_m4 import CORTEX_M4
from smelt.targets.cores.cortex_m7 import CORTEX_M7
from smelt.targets.cores.cortex_m33 import CORTEX_M33
from smelt.targets.types import Core
from tests.kernels_host import run_calls
from tests.mac_cases import RELU, Maker, rounded
from tests.routine_cases import quantize
from tests.schedules import Made
from tests.schedules import built as built_for_all
from tests.test_kernels_direct import cases as direct_cases
from tests.test_kernels_mac import check, inputs_of

BOARDS = ("nucleo_l4r5zi", "disco_f746ng", "nucleo_u575zi_q")
CORES = (CORTEX_M4, CORTEX_M7, CORTEX_M33)


def cases() -> list[tuple[Implementation, Op]]:
    m, around = Maker(77), (1, 1, 1, 1)
    pointwise = [
        m.conv((2, 4, 5, 9), 6, (1, 1), clamp=RELU),
        m.conv((1, 1, 3, 3), 2, (1, 1), clamp=RELU, style="tensor"),
        m.conv((1, 7, 7, 8), 3, (1, 1), clamp=RELU),
        m.conv((1, 7, 1, 11), 4, (1, 1), clamp=RELU, bias="none"),
        m.conv((1, 3, 3, 26), 7, (1, 1), clamp=RELU),
        m.conv((1, 4, 4, 32), 6, (1, 1), clamp=RELU),
        m.conv((1, 5, 5, 34), 5, (1, 1), clamp=RELU, style="tensor"),
        m.conv((1, 8, 8, 54), 6, (1, 1), clamp=RELU, style="dead"),
    ]
    thin = [
        m.conv((1, 21, 21, 8), 5, (1, 1), clamp=RELU),
        m.conv((2, 3, 7, 8), 3, (1, 1), clamp=RELU, style="tensor"),
        m.conv((1, 2, 2, 8), 1, (1, 1), clamp=RELU),
    ]
    depthwise = [
        m.depthwise((1, 25, 5, 3), 1, (3, 3), pad=around, clamp=RELU),
        m.depthwise((2, 4, 4, 2), 1, (3, 3), pad=around, clamp=RELU, style="wide"),
        m.depthwise((1, 14, 14, 2), 1, (3, 3), pad=around, clamp=RELU, bias="none"),
        m.depthwise((1, 24, 24, 3), 1, (3, 3), pad=(0, 1, 0, 1), stride=(2, 2), clamp=RELU),
        m.depthwise((1, 9, 31, 3), 1, (3, 3), pad=around, stride=(2, 2), clamp=RELU, style="tensor"),
        m.depthwise((1, 5, 48, 2), 1, (3, 3), pad=around, clamp=RELU),
        m.depthwise((1, 7, 8, 2), 1, (3, 3), stride=(3, 1), pad=(0, 0, 1, 1), clamp=RELU),
    ]
    direct = direct_cases()
    once = [rounded(op, how) for how in ("even", "floor") for op in (direct[0], direct[2], direct[5])]
    groups = ((CONV2D_POINTWISE, pointwise), (CONV2D_EIGHT, thin), (DEPTHWISE_LINES, depthwise))
    return [(implementation, op) for implementation, ops in (*groups, (CONV2D_DIRECT, [*direct, *once])) for op in ops]


def built(core: Core) -> list[Made]:
    return [
        (op, schedule, implementation.build(op, schedule))
        for implementation, op in cases()
        if all(accept(op, core) for accept in implementation.accepts)
        for schedule in implementation.schedules(op, core)
    ]


def everywhere() -> list[Made]:
    """What any core is offered."""
    return [made for implementation, op in cases() for made in built_for_all(implementation, [op])]


def test_every_schedule_equals_the_reference_on_the_host() -> None:
    made = everywhere()
    assert len({op for op, _, _ in made}) >= 13 and len({call.kernel.name.rsplit("_", 1)[0] for *_, call in made}) == 4
    check(made)


def test_nothing_is_undefined() -> None:
    check(everywhere(), sanitize=True)


@pytest.mark.parametrize(("name", "core"), list(zip(BOARDS, CORES, strict=True)), ids=BOARDS)
def test_the_assembly_equals_the_reference(name: str, core: Core) -> None:
    made = built(core)
    with Session(board(name)) as session:
        for seed, (op, schedule, call) in enumerate(made):
            x, *_ = inputs_of(op, seed)
            arguments = [_argument(session, a, x) for a in call.arguments]
            getattr(session.load(call), call.kernel.name)(*arguments)
            expected = evaluate(op, x, *[t.data for t in op.inputs[1:]])
            found = arguments[-1].numpy().reshape(op.y.shape)
            assert np.array_equal(found, expected), f"{op.x.shape} -> {op.y.shape} with {schedule} on {name}"
            for argument in arguments:
                argument.free()


def _argument(session, argument, x):
    match argument:
        case Scratch(size):
            return session.tensor(np.full(size, 0x5A, np.uint8))
        case Tensor() if argument.name == "x":
            return session.tensor(x)
        case Tensor():
            return session.empty(argument.shape, "int8")
    return session.tensor(np.ascontiguousarray(argument))


def steps_and_others(op: Quantize) -> Array:
    """Where results change, the numbers around it, and what is no number or leaves int32."""
    at = quantize_thresholds(op)
    ends = np.array([1e30, -1e30, np.inf, -np.inf, np.nan, 0, -0.0, 1e-40], np.float32)
    return np.concatenate([at, *(np.nextafter(at, np.float32(end)) for end in (-np.inf, np.inf)), ends])


@pytest.mark.parametrize("rounding", ["tflm", "ties_even"])
def test_reals_become_integers_as_the_operator_says(rounding: Literal["tflm", "ties_even"]) -> None:
    """Halves of steps exist at all of these scales."""
    ops = [quantize(3 * 255 + 8, scale, zero, rounding) for scale, zero in ((0.5, -128), (0.37, 127), (1 / 255, -3))]
    assert all(QUANTIZE_FLOATS.takes(op, CORTEX_M4) for op in ops)
    calls = [QUANTIZE_FLOATS.build(op, next(iter(QUANTIZE_FLOATS.schedules(op, CORTEX_M4)))) for op in ops]
    xs = [steps_and_others(op) for op in ops]
    on_host = run_calls(calls, [{op.x: x} for op, x in zip(ops, xs, strict=True)])
    with Session(board("nucleo_l4r5zi")) as session:
        for op, call, x, portable in zip(ops, calls, xs, on_host, strict=True):
            arguments = [_argument(session, a, x) for a in call.arguments]
            getattr(session.load(call), call.kernel.name)(*arguments)
            expected = evaluate(op, x)
            assert np.array_equal(portable, expected) and np.array_equal(arguments[-1].numpy(), expected)


def test_refusals_say_why() -> None:
    m = Maker(5)
    ragged = m.conv((1, 5, 5, 16), 4, (1, 1), clamp=(-100, 100))
    reasons = [a.__doc__ for a in CONV2D_POINTWISE.accepts if not a(ragged, CORTEX_M4)]
    assert reasons and "all of int8" in reasons[0]
    assert str(GroupBlock(12, True)) == "groups(pixels=12, staged)"
