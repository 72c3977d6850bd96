"""What the commands do with several models: networks that take one memory in turn (docs/several.md)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smelt.commands.compiling import emit_json, find_board, show_notes, show_warnings, stored_preparation
from smelt.errors import Mismatch, OptionError

if TYPE_CHECKING:
    from smelt.devices.choose import Device
    from smelt.model.graph import Array
    from smelt.several import SuiteCompilation


def compile(
    models: Sequence[Path], board_name: str, out: Path | None, keep: Path | None, options: dict[str, Any], as_json: bool
) -> None:
    from smelt.report.suite import show_suite, suite_summary

    compilation = _compiled(models, board_name, options)
    if out is not None:
        compilation.save(out)
    if keep is not None:
        compilation.keep(keep)
    summary = suite_summary(compilation)
    emit_json("compile-suite", summary) if as_json else show_suite(summary, out)


def run(
    models: Sequence[Path],
    board_name: str,
    files: Sequence[Path],
    times: int,
    output: Path | None,
    sequence: bool,
    device: Device | None,
    options: dict[str, Any],
    as_json: bool,
) -> None:
    """`sequence` is what several networks always do; `times` is about a board that is left alone, which has one."""
    from smelt.report.suite import RunNetworks, execute_suite
    from smelt.report.terminal import line, show_run, working

    if not files:
        raise OptionError("several models are run on inputs: give --input, for one after the other")
    if output is not None:
        raise OptionError("--output saves what one network gives, and several models were given: use --json")
    compilation = _firmware(models, board_name, options)
    inputs = _read_inputs(models, compilation, files)
    with working(f"simulating {sum(map(len, inputs))} inference(s)"):
        executions = execute_suite(compilation, inputs, device=device)
    if as_json:
        emit_json("run-suite", RunNetworks({e.compilation.program.name: e.summary() for e in executions}))
        return
    for execution in executions:
        line(f"{execution.compilation.program.name}:")
        show_run(execution)


def verify(
    models: Sequence[Path],
    board_name: str | None,
    golden: Path | None,
    order: str | None,
    count: int,
    seed: int,
    files: Sequence[Path],
    oracle: str,
    layers: bool,
    sequence: bool,
    device: Device | None,
    options: dict[str, Any],
    as_json: bool,
) -> None:
    """`sequence` is what several networks always do."""
    from smelt.inputs import random_inputs
    from smelt.report.suite import VerifyNetworks, verify_suite
    from smelt.report.terminal import line, show_verification, working

    if golden is not None or order is not None or board_name is None:
        raise OptionError("--golden is of one model, and several were given" if board_name else "give --board")
    if layers:
        raise OptionError("--layers looks into one network, and several models were given")
    compilation = _firmware(models, board_name, options)
    real = _read_inputs(models, compilation, files) if files else [[] for _ in models]
    inputs = [random_inputs(part.model, count, seed) + own for part, own in zip(compilation.parts, real, strict=True)]
    if not all(inputs):
        raise OptionError("nothing to verify: give --inputs above 0 or --input FILE")
    with working(f"verifying {sum(map(len, inputs))} input(s) against {oracle}"):
        found = verify_suite(compilation, inputs, oracle, models, device)
    names = [part.program.name for part in compilation.parts]
    if as_json:
        emit_json("verify-suite", VerifyNetworks(dict(zip(names, found, strict=True))))
    else:
        for name, verification in zip(names, found, strict=True):
            line(f"{name}:")
            show_verification(verification)
    for name, verification in zip(names, found, strict=True):
        if verification.first is not None:
            raise Mismatch(f"{name}: {verification.verdict}")


def profile(
    models: Sequence[Path],
    board_name: str,
    curve: bool,
    share: Path | None,
    device: Device | None,
    options: dict[str, Any],
    as_json: bool,
) -> None:
    from smelt.inputs import random_inputs
    from smelt.report.profile import profile as profiled
    from smelt.report.suite import ProfileNetworks, execute_suite
    from smelt.report.terminal import line, show_profile, working

    if curve or share is not None:
        raise OptionError(f"{'--curve' if curve else '--share'} is of one model, and several were given")
    compilation = _firmware(models, board_name, options)
    with working("simulating one inference of each network"):
        executions = execute_suite(
            compilation, [random_inputs(part.model, 1) for part in compilation.parts], device=device
        )
    figures = {e.compilation.program.name: profiled(e.compilation, e.run) for e in executions}
    if as_json:
        emit_json("profile-suite", ProfileNetworks(figures))
        return
    for name, found in figures.items():
        line(f"{name}:")
        show_profile(found)


def _compiled(models: Sequence[Path], board_name: str, options: dict[str, Any]) -> SuiteCompilation:
    """The compilation, with a sign of life on the terminal."""
    from smelt.report.terminal import working
    from smelt.several import compile_suite

    board = find_board(board_name)
    with working(f"compiling {', '.join(model.name for model in models)} for {board.name}") as tell:
        compilation = compile_suite(models, board, **options, report=tell)
    show_notes(compilation.notes)
    show_warnings(compilation.warnings)
    return compilation


def _firmware(models: Sequence[Path], board_name: str, options: dict[str, Any]) -> SuiteCompilation:
    """The compilation for a command that runs it. Raises OptionError where it would be C only."""
    if options["compiler"] == "none":
        raise OptionError("this needs firmware, and --compiler none makes C only: use --compiler zig or --compiler gcc")
    return _compiled(models, board_name, options)


def _read_inputs(
    models: Sequence[Path], compilation: SuiteCompilation, files: Sequence[Path]
) -> list[list[tuple[Array, ...]]]:
    """The inputs of each network, of which the files are given in the order of the models, prepared as each model's file says.
    Raises OptionError."""
    from smelt.inputs import read_inputs

    counts = [len(part.model.inputs) for part in compilation.parts]
    if len(files) != sum(counts):
        wanted = ", ".join(f"{part.program.name} {n}" for part, n in zip(compilation.parts, counts, strict=True))
        raise OptionError(
            f"the models have {sum(counts)} input(s) together ({wanted}), but {len(files)} file(s) were given"
        )
    rest = list(files)
    return [
        read_inputs([rest.pop(0) for _ in range(n)], part.model, stored_preparation(model))
        for model, part, n in zip(models, compilation.parts, counts, strict=True)
    ]
