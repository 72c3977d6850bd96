"""Every routine in assembly keeps to what kernels declare for it: memory, stack, registers, results."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from smelt.kernels.headers import all_headers
from smelt.kernels.routines import BUILT, PRODUCT_WORDS, ROUTINES, SUM_WORDS
from smelt.loops.ir import If, Loop, Stmt
from smelt.loops.routine import CallRoutine, Routine, Span
from smelt.targets.types import Core
from tests.routine_cases import CORES, every_case, few_cases, routines_of
from tests.routine_watch import Watch, bodies, content, program, watch_all
from tests.thumb_programs import Case, Machine


@pytest.fixture(scope="module")
def all_watched() -> Watch:
    return watch_all()


def test_routines_do_what_they_declare(all_watched: Watch) -> None:
    assert not all_watched.complaints, "\n".join(all_watched.complaints)


@pytest.mark.parametrize("core", CORES[1:], ids=lambda c: c.name)
def test_those_for_other_cores_do_so_too(core: Core) -> None:
    watch = watch_all(core)
    assert not watch.complaints, "\n".join(watch.complaints)
    assert set(watch.calls) == {r.name for r in ROUTINES}
    assert watch.depth.items() >= {r.name: r.stack for r in ROUTINES if r.name in BUILT}.items()


def test_every_routine_is_watched(all_watched: Watch) -> None:
    assert set(all_watched.calls) == {r.name for r in ROUTINES}
    assert {n for n, deep in all_watched.depth.items() if deep} == {r.name for r in ROUTINES if r.stack}


def test_stack_is_declared_as_it_is(all_watched: Watch) -> None:
    assert all_watched.depth == {r.name: r.stack for r in ROUTINES if r.stack}


def test_every_piece_of_assembly_is_entered(all_watched: Watch) -> None:
    made = all_watched.machine.program
    assert {content(made, b) for b in all_watched.entered} == {content(made, b) for b in bodies(made)}


def test_headers_and_values_name_the_same_routines() -> None:
    said = {
        n
        for text in all_headers().values()
        for part in re.findall(r"Routines: ([^.]*)\.", text)
        for n in re.findall(r"smelt_(\w+)", part)
    }
    assert said == {r.name for r in ROUTINES}


def shortened(body: tuple[Stmt, ...], target: CallRoutine, number: int) -> tuple[Stmt, ...]:
    """`body` where a routine declares half of one of its spans."""
    return tuple(_shortened(s, target, number) for s in body)


def _shortened(statement: Stmt, target: CallRoutine, number: int) -> Stmt:
    match statement:
        case CallRoutine() if statement == target:
            arguments = list(statement.arguments)
            span = arguments[number]
            assert isinstance(span, Span)
            arguments[number] = replace(span, count=span.count // 2)
            return replace(statement, arguments=tuple(arguments))
        case Loop():
            return replace(statement, body=shortened(statement.body, target, number))
        case If():
            then, otherwise = (shortened(b, target, number) for b in (statement.then, statement.otherwise))
            return replace(statement, then=then, otherwise=otherwise)
    return statement


def _is_full(call: CallRoutine, routine: Routine) -> bool:
    return call.routine == routine and all(a.count != 0 for a in call.arguments if isinstance(a, Span))


def planted() -> list[tuple[Routine, Case, CallRoutine, int]]:
    """For every routine a call of it none of whose spans is empty, and each of these."""
    found = []
    cases = (*few_cases(), *every_case())
    for routine in ROUTINES:
        case, call = next((c, call) for c in cases for call in c.call.kernel.calls if _is_full(call, routine))
        found += [(routine, case, call, n) for n, a in enumerate(call.arguments) if isinstance(a, Span)]
    return found


def test_the_watch_sees_what_is_not_declared(tmp_path: Path) -> None:
    """Half of a span, one after the other; all of them in one program, each under a name of its own."""
    faults = planted()
    kernels = [
        replace(case.call.kernel, name=f"fault_{i}", body=shortened(case.call.kernel.body, call, number))
        for i, (_, case, call, number) in enumerate(faults)
    ]
    made, routines = program(tmp_path, kernels)
    for kernel, (routine, case, call, number) in zip(kernels, faults, strict=True):
        watch = Watch(machine := Machine(made), routines)
        machine.run(replace(case, call=replace(case.call, kernel=kernel)))
        assert watch.complaints, f"{routine.name} declares too much: argument {number}, {call.arguments[number]}"


def test_the_watch_sees_turns_that_are_not_kept(tmp_path: Path) -> None:
    """Routines that go backwards in a turn of four words, said to go word by word."""
    turning = (SUM_WORDS, PRODUCT_WORDS)
    cases = [next(c for c in few_cases() if routine in routines_of(c.call.kernel)) for routine in turning]
    made, routines = program(tmp_path, [case.call.kernel for case in cases])
    fewer = [replace(c, routine=replace(c.routine, turn=c.routine.turn // 4)) for c in routines]
    for case in cases:
        watch = Watch(machine := Machine(made), fewer)
        machine.run(case)
        assert watch.complaints, case.call.kernel.name
