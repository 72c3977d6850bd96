"""The commands that say what smelt knows, of no model: boards, operators, the installation, the schemas of its answers.

Heavy modules are imported inside the commands, as in `cli.py`.
"""

from __future__ import annotations

import json
import sys

import click

from smelt.answers import ANSWERS, answer
from smelt.commands.compiling import emit_json, find_board
from smelt.commands.options import json_option
from smelt.errors import OptionError
from smelt.report.text import emit


@click.command("boards", short_help="The boards smelt knows.")
@click.option(
    "--show", metavar="BOARD", help="Instead, all that smelt knows of one, as TOML: where boards of your own begin."
)
@json_option
def boards_command(show: str | None, as_json: bool) -> None:
    """List the boards with their cores, clocks and memories.

    Save what --show prints as my_board.toml, change it, give it a name of its own, and use it with --board my_board.toml.
    """
    from smelt.report.summary import BoardRows, BoardTable, board_rows
    from smelt.report.terminal import show_boards
    from smelt.targets.board_text import board_table, toml

    if show is not None:
        table = board_table(find_board(show))
        emit_json("board", BoardTable(table)) if as_json else emit(toml(table).rstrip())
        return
    rows = board_rows()
    emit_json("boards", BoardRows(rows)) if as_json else show_boards(rows)


@click.command("ops", short_help="The operators smelt can import.")
@click.argument("names", nargs=-1, metavar="[OPERATOR]...")
@json_option
def ops_command(names: tuple[str, ...], as_json: bool) -> None:
    """List the operators smelt imports from model files; of those named, also how they are computed, and on which cores."""
    from smelt.report import supported

    found = supported.chosen(names)
    emit_json("ops", supported.answer(found)) if as_json else supported.show(found, ways=bool(names))


@click.command("doctor", short_help="Check the installation.")
@json_option
def doctor_command(as_json: bool) -> None:
    """Say which parts of smelt are installed and working, and how to get what is missing."""
    from smelt.report.doctor import Findings, examine
    from smelt.report.terminal import show_doctor

    findings = examine()
    emit_json("doctor", Findings(findings)) if as_json else show_doctor(findings)
    if any(f.needed and not f.works for f in findings):
        sys.exit(1)


@click.command("schema", short_help="JSON Schemas of what --json prints.")
@click.argument("name", required=False)
def schema_command(name: str | None) -> None:
    """Print the JSON Schema (draft 2020-12) of an answer; without NAME, which answers there are.

    Every answer says in "schema" which one it is, and its version: "smelt/profile/1".
    """
    from smelt.report.schema import schema_of
    from smelt.report.terminal import table

    if name is None:
        table("", ("answer", "of"), [(a.schema, a.about) for a in ANSWERS])
        return
    if name not in {a.name for a in ANSWERS}:
        raise OptionError(f"smelt gives no answer {name}: there are {', '.join(a.name for a in ANSWERS)}")
    emit(json.dumps(schema_of(answer(name)), indent=2))
