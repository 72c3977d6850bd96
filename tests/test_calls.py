"""A call cannot lie: what is passed for a kernel's buffers and for a routine's parameters is what they ask for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from smelt.errors import SmeltError
from smelt.firmware.emit import emit
from smelt.kernels import IMPLEMENTATIONS
from smelt.kernels.implementation import Argument, KernelCall
from smelt.kernels.routines import GROUPS, ROUTINES, SIFTED, UNIT_OUTPUTS, WINOGRAD_EIGHT
from smelt.loops.bounds import OutOfBounds
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Scratch, Value
from smelt.loops.routine import At, Number, Reads, Routine, Span, WrongCall, checked_arguments
from smelt.model.graph import Graph, Op, Tensor
from smelt.planner.check import check
from smelt.planner.placement import Placement
from smelt.planner.plan import Plan
from smelt.planner.step import Step
from smelt.planner.ways import Way
from smelt.targets.boards import board
from tests.mac_cases import RELU, Maker

CORE = board("nucleo_l4r5zi").core


def layers() -> list[Op]:
    m = Maker(8)
    return [
        m.conv((1, 6, 6, 9), 4, (1, 1), clamp=RELU, style="narrow"),
        m.conv((1, 8, 8, 16), 2, (3, 3), pad=(1, 1, 1, 1), clamp=RELU, style="narrow"),
        m.conv((1, 5, 5, 8), 3, (1, 1), clamp=RELU),
        m.depthwise((1, 6, 8, 3), 1, (3, 3), pad=(1, 1, 1, 1), clamp=RELU),
        m.dense(1, 32, 16, style="tensor narrow", rectified=True),
    ]


@cache
def made() -> tuple[tuple[Op, str, KernelCall], ...]:
    """The first schedule of every implementation of some layers: (op, implementation's name, call)."""
    return tuple(
        (op, i.name, i.build(op, next(iter(i.schedules(op, CORE)))))
        for op in layers()
        for i in IMPLEMENTATIONS
        if i.takes(op, CORE)
    )


def lies(call: KernelCall) -> Iterator[tuple[int, Argument]]:
    """(number of an argument, what must not be passed for it)."""
    for number, argument in enumerate(call.arguments):
        match argument:
            case Scratch(size):
                yield number, Scratch(size // 2)
                yield number, Scratch(size - 1)
                yield number, np.zeros(size, np.int8)
            case Tensor():
                yield number, replace(argument, shape=(argument.elements - 1,))
                yield number, replace(argument, shape=(argument.elements + 1,))
                yield number, replace(argument, dtype="uint8")
                yield number, replace(argument, dtype="int16")
                yield number, Scratch(argument.bytes)
                yield number, np.zeros(argument.elements, np.int8)
            case _:
                yield number, argument[:-1]
                yield number, argument[: len(argument) // 2]
                yield number, argument.astype(np.int16)
                yield number, argument.view(f"u{argument.dtype.name}")
                yield number, Scratch(argument.nbytes)


def test_every_lie_about_an_argument_is_found() -> None:
    assert len({name for _, name, _ in made()}) >= 15
    for _, name, call in made():
        for number, lie in lies(call):
            arguments = [*call.arguments[:number], lie, *call.arguments[number + 1 :]]
            with pytest.raises(WrongCall, match=call.kernel.buffers[number].name):
                KernelCall(call.kernel, tuple(arguments))
                pytest.fail(f"{name}: {lie} for {call.kernel.buffers[number]}")
        for arguments in (call.arguments[1:], (*call.arguments, Scratch(4))):
            with pytest.raises(WrongCall, match="arguments for"):
                KernelCall(call.kernel, arguments)


def exchanged(op: Op, call: KernelCall) -> tuple[Argument, ...]:
    """The arguments with x for y and y for x."""
    others = {op.activations[0]: op.y, op.y: op.activations[0]}
    return tuple(others.get(a, a) if isinstance(a, Tensor) else a for a in call.arguments)


def test_exchanged_activations_are_found() -> None:
    for op, _, call in made():
        if op.activations[0].elements != op.y.elements:
            with pytest.raises(WrongCall, match="elements"):
                KernelCall(call.kernel, exchanged(op, call))
    op, implementation, call = next(m for m in made() if m[0].activations[0].elements == m[0].y.elements)
    with pytest.raises(SmeltError, match="passes 'y' for 'x', an input"):
        check(plan_of(op, implementation, KernelCall(call.kernel, exchanged(op, call))))


def plan_of(op: Op, implementation: str, call: KernelCall, smaller: int = 0) -> Plan:
    """A plan of one step, one thing after the other; in place number `smaller` a byte is missing."""
    (way,) = (i for i in IMPLEMENTATIONS if i.name == implementation)
    step, target = Step(Way(op, way, None, call), "step"), board("nucleo_l4r5zi")
    memory, offset, places = target.chip.rams[0].name, 0, []
    for number, thing in enumerate((*op.activations, op.y, *step.scratch), 1):
        first, last = (0, 0) if isinstance(thing, Scratch) else (-1 if thing in op.activations else 0, 1)
        tensors, scratch = ((), thing) if isinstance(thing, Scratch) else ((thing,), None)
        size = thing.bytes - (number == smaller)
        places.append(Placement(f"p{number}", memory, offset, size, first, last, tensors, scratch))
        offset += -(-thing.bytes // 8) * 8
    return Plan(Graph("g", tuple(op.activations), (op.y,), (op,)), target, (step,), tuple(places))


def test_emit_finds_places_that_are_too_small() -> None:
    for op, name, call in made():
        emit(check(plan_of(op, name, call)))
        for number in range(1, 1 + sum(isinstance(a, Tensor | Scratch) for a in call.arguments)):
            with pytest.raises(WrongCall, match="are there"):
                emit(plan_of(op, name, call, smaller=number))


# --- routines -------------------------------------------------------------------------------------------------------


LARGE = 1 << 20


def usual(p: Number) -> int:
    """A number that a routine takes."""
    return p.multiple if p.least is None else max(p.least, p.multiple)


def arguments_of(routine: Routine, k: KernelBuilder, sizes: Mapping[str, int]) -> tuple[At | Value, ...]:
    """What a routine takes: usual numbers, and buffers of these sizes."""

    def pointer(p: Reads) -> At:
        declare = k.input if p.access == "read" else k.scratch
        return At(declare(p.name, p.type, sizes.get(p.name, LARGE)))

    return tuple(usual(p) if isinstance(p, Number) else pointer(p) for p in routine.parameters)


def good_arguments(routine: Routine) -> tuple[At | Value, ...]:
    return arguments_of(routine, KernelBuilder("k"), {})


@pytest.mark.parametrize("routine", ROUTINES, ids=lambda r: r.name)
def test_a_call_of_a_routine_has_its_numbers_and_types(routine: Routine) -> None:
    good = good_arguments(routine)
    passed = checked_arguments(routine, good)
    assert len(passed) == sum(not isinstance(p, Number) or p.passed for p in routine.parameters)
    for bad in (good[1:], (*good, 1)):
        with pytest.raises(WrongCall, match="arguments for"):
            checked_arguments(routine, bad)
    for number, p in enumerate(routine.parameters):
        wrong: list[At | Value] = []
        if isinstance(p, Number):
            wrong.append(good[0])
            wrong += [p.least - 1] if p.least is not None else []
            wrong += [3 * p.multiple + 1] if p.multiple > 1 else []
            wrong += [p.most + p.multiple] if p.most is not None else []
        else:
            k = KernelBuilder("k")
            wrong.append(1)
            wrong += [At(k.scratch("b", t, 1 << 20)) for t in ("uint8_t", "float") if t not in (p.type, *p.also)]
            wrong += [At(k.input("c", p.type, 1 << 20))] if p.access != "read" else []
        for value in wrong:
            with pytest.raises(WrongCall, match=routine.name):
                checked_arguments(routine, (*good[:number], value, *good[number + 1 :]))


def test_words_may_lie_in_scratch_of_bytes() -> None:
    """From a multiple of four on; bytes of the image or of tables are no words."""
    k = KernelBuilder("k")
    room, x, number = k.scratch("room", "int8_t", 4 * LARGE), k.input("x", "int8_t", 4 * LARGE), k.let("n", 3)
    good = good_arguments(WINOGRAD_EIGHT)
    for index in (0, 8, number * 4 + 12, number * 2 * 6):
        words, *_ = checked_arguments(WINOGRAD_EIGHT, (At(room, index), *good[1:]))
        assert isinstance(words, Span) and words.words == "int32_t"
        assert words.count == 4 * checked_arguments(WINOGRAD_EIGHT, good)[0].count  # bytes
    wrong = (At(room, 6), At(room, number), At(room, number * 2 + 4), At(x), At(k.window("part", room, number)))
    for place in wrong:
        with pytest.raises(WrongCall, match="'tiles' is of int32_t"):
            checked_arguments(WINOGRAD_EIGHT, (*good[:2], place, *good[3:]))


def test_reaches_follow_from_the_numbers() -> None:
    groups = checked_arguments(GROUPS, (*good_arguments(GROUPS)[:4], 5, 4, 7, 0, -1))
    assert [getattr(a, "count", None) for a in groups[:4]] == [6, 63, 11 * 7 + 2, 6]
    assert checked_arguments(GROUPS, (*good_arguments(GROUPS)[:4], 5, 4, 7, 0, 3))[3].count == 4
    sifted = checked_arguments(SIFTED, (*good_arguments(SIFTED)[:4], 1, 2, 3, 2, 50))
    assert len(sifted) == 8 and [a.count for a in sifted[:4]] == [16, 16, 200, 53]


def test_what_a_reach_depends_on_must_be_known() -> None:
    k = KernelBuilder("k")
    x, outputs = k.input("x", "int8_t", 4), UNIT_OUTPUTS[3]
    with pytest.raises(WrongCall, match="nobody knows"):
        checked_arguments(outputs, (*good_arguments(outputs)[:4], x[0], *good_arguments(outputs)[5:]))


@pytest.mark.parametrize("routine", ROUTINES, ids=lambda r: r.name)
def test_buffers_hold_what_a_routine_reaches(routine: Routine) -> None:
    """As much as it reaches is enough, an element less is out of bounds."""
    spans = [a for a in checked_arguments(routine, good_arguments(routine)) if isinstance(a, Span)]
    reached = {s.buffer.name: s.count for s in spans}

    def build(sizes: Mapping[str, int]) -> None:
        k = KernelBuilder("k")
        k.routine(routine, arguments_of(routine, k, sizes), (), 0)
        k.finish()

    build(reached)
    for name, count in reached.items():
        with pytest.raises(OutOfBounds, match=name):
            build({**reached, name: count - 1})
