"""What commands have in common: the board that is meant, the compilation with signs of life, what is told besides the answer.

Heavy modules are imported inside the functions, as in `cli.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smelt.answers import AS_JSON, answered
from smelt.errors import OptionError
from smelt.report.text import complain, emit

if TYPE_CHECKING:
    from smelt.compile import Compilation
    from smelt.inputs.preparation import Preparation
    from smelt.model.graph import Array, Graph
    from smelt.targets.types import Board


def find_board(text: str) -> Board:
    from smelt.board_files import find_board

    return find_board(text)


def firmware(model: Path, board_name: str, options: dict[str, Any], device: str | None = None) -> Compilation:
    """The compilation for a command that runs it, on a device. Raises OptionError where it would be C only."""
    if options["compiler"] == "none":
        raise OptionError("this needs firmware, and --compiler none makes C only: use --compiler zig or --compiler gcc")
    return compiled(model, board_name, options, device)


def compiled(model: Path, board_name: str, options: dict[str, Any], device: str | None = None) -> Compilation:
    """The compilation, with a sign of life on the terminal."""
    from smelt.compile import compile
    from smelt.devices.probes import firmware_board
    from smelt.report.terminal import working

    board, told = firmware_board(find_board(board_name), device)
    show_notes([told] if told else [])
    options = {**options, "hello": _hello(model, options)}
    with working(f"compiling {model.name} for {board.name}") as tell:
        compilation = compile(model, board, **options, report=tell)
    show_notes(compilation.notes)
    show_warnings(compilation.warnings)
    return compilation


def _hello(model: Path, options: dict[str, Any]) -> Callable[[Graph], Sequence[Array]] | None:
    """What a firmware computes of its own accord: the first input in files; None where there are none."""
    files: Sequence[Path] = options.get("hello", ())
    if not files:
        return None
    from smelt.inputs import read_inputs

    return lambda graph: read_inputs(files, graph, host_preparation(model, options))[0]


def host_preparation(model: Path, options: dict[str, Any]) -> Preparation | None:
    """How inputs are prepared before a firmware made with these options gets them; None where it does all of that."""
    if sound := options.get("input_sound"):
        from smelt.inputs.before import said_sound
        from smelt.inputs.preparation import Preparation

        spec = said_sound(model, sound)
        return Preparation(rate=spec.rate, slides=spec.slides)
    return None if options.get("input_picture") else stored_preparation(model)


def stored_preparation(model: Path) -> Preparation:
    """What a model's file says of how its inputs are prepared."""
    from smelt.importers import metadata
    from smelt.inputs.preparation import from_metadata

    return from_metadata(metadata(model))


def show_warnings(warnings: Iterable[str]) -> None:
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)


def show_notes(notes: Iterable[str]) -> None:
    for note in notes:
        complain(f"note: {note}")


def emit_json(name: str, *parts: Any) -> None:
    """The answer of that name (`smelt.answers`), of its parts, for programs."""
    emit(json.dumps(answered(name, *parts), indent=2))
    if (context := click.get_current_context(silent=True)) is not None:
        context.meta[AS_JSON] = False  # what fails after it is no answer
