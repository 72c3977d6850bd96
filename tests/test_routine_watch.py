"""Every routine in assembly keeps to what kernels declare for it: memory, stack, registers, results."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smelt.kernels.headers import all_headers
from smelt.kernels.routines import ROUTINES
from smelt.loops.ir import Function, If, Kernel, Loop, Routine, Span, Stmt
from smelt.targets.boards import board
from tests.kernels_host import SUPPORT, ZIG
from tests.routine_cases import every_case, few_cases, functions_of, routines_of
from tests.routine_watch import Watch, bodies, content, watched_text
from tests.thumb_programs import LIBRARY, Case, Machine, Program, build

FLAGS = ("-std=gnu11", "-O2", "-g", "-ffreestanding", "-fno-sanitize=all", "-ffunction-sections")


def program(folder: Path, kernels: Sequence[Kernel]) -> tuple[Program, tuple[Routine, ...]]:
    """A program with the kernels, and with all assembly that is in the headers."""
    text, routines = watched_text(kernels)
    includes = "".join(f'#include "{name}"\n' for name in all_headers())
    command = [*ZIG, *board("nucleo_l4r5zi").core.zig, *FLAGS]
    (folder / "headers.c").write_text(includes)
    support = ["-I", str(SUPPORT), "-I", str(LIBRARY)]
    expanded = subprocess.run(
        [*command, *support, "-E", "headers.c"], cwd=folder, capture_output=True, text=True, check=True
    )
    names = sorted(set(re.findall(r"\b(smelt_\w+_code)\(void\)", expanded.stdout)))
    everything = f"void *const everything[] = {{{', '.join(f'(void *){n}' for n in names)}}};\n"
    link = [*command, "-nostdlib", "-static", "-Wl,-T,program.ld", "-Wl,--no-gc-sections"]
    return build(folder, includes + everything + text, command, link), routines


def watched(folder: Path, cases: Sequence[Case], kernels: Sequence[Kernel] | None = None) -> Watch:
    """A watch that saw all `cases`; `kernels` stand in for theirs."""
    made, routines = program(folder, kernels or [c.call.kernel for c in cases])
    watch = Watch(machine := Machine(made), routines)
    for case in cases:
        result = machine.run(case)
        assert np.array_equal(result, case.expected), f"{case} is wrong"
    return watch


@pytest.fixture(scope="module")
def all_watched(tmp_path_factory: pytest.TempPathFactory) -> Watch:
    return watched(tmp_path_factory.mktemp("watch"), every_case())


def test_routines_do_what_they_declare(all_watched: Watch) -> None:
    assert not all_watched.complaints, "\n".join(all_watched.complaints)


def test_every_routine_is_watched(all_watched: Watch) -> None:
    assert set(all_watched.calls) == {f.name for f in ROUTINES}
    assert {n for n, deep in all_watched.depth.items() if deep} == {f.name for f in ROUTINES if f.stack}


def test_stack_is_declared_as_it_is(all_watched: Watch) -> None:
    assert all_watched.depth == {f.name: f.stack for f in ROUTINES if f.stack}


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
    assert said == {f.name for f in ROUTINES}


def shortened(body: tuple[Stmt, ...], target: Routine, number: int) -> tuple[Stmt, ...]:
    """`body` where a routine declares half of one of its spans."""
    return tuple(_shortened(s, target, number) for s in body)


def _shortened(statement: Stmt, target: Routine, number: int) -> Stmt:
    match statement:
        case Routine() if statement == target:
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


def planted() -> list[tuple[Function, Case, Routine, int]]:
    """For every routine a call of it, and each of its spans."""
    found = []
    for function in ROUTINES:
        case = next(c for c in few_cases() if function in functions_of(c.call.kernel))
        routine = next(r for r in routines_of(case.call.kernel.body) if r.function == function)
        found += [(function, case, routine, n) for n, a in enumerate(routine.arguments) if isinstance(a, Span)]
    return found


def test_the_watch_sees_what_is_not_declared(tmp_path: Path) -> None:
    """Half of a span, one after the other; all of them in one program, each under a name of its own."""
    faults = planted()
    kernels = [
        replace(case.call.kernel, name=f"fault_{i}", body=shortened(case.call.kernel.body, routine, number))
        for i, (_, case, routine, number) in enumerate(faults)
    ]
    made, routines = program(tmp_path, kernels)
    for kernel, (function, case, routine, number) in zip(kernels, faults, strict=True):
        watch = Watch(machine := Machine(made), routines)
        machine.run(replace(case, call=replace(case.call, kernel=kernel)))
        assert watch.complaints, f"{function.name} declares too much: argument {number}, {routine.arguments[number]}"
