"""`smelt report`: a page about a network on a board.

Heavy modules are imported inside the command, as in `cli.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from smelt.commands.compiling import emit_json, find_board, firmware
from smelt.commands.options import board_option, build_options, json_option, model_argument

if TYPE_CHECKING:
    from smelt.report.story import OnBoard, Option

MADE_BY_COMMAND = ("model", "page", "as_json", "board_name")


@click.command("report", short_help="A page about a network on a board, to look at and to send around.")
@board_option
@click.option("--html", "page", required=True, type=click.Path(path_type=Path), help="The page: one file, no network.")
@click.option("--also", "others", multiple=True, metavar="BOARD", help="Boards to be shown beside it.")
@click.option("--no-curve", is_flag=True, help="Leave out what other budgets would buy, which takes longest.")
@build_options
@model_argument
@json_option
@click.pass_context
def report_command(
    context: click.Context,
    model: Path,
    board_name: str,
    page: Path,
    others: tuple[str, ...],
    no_curve: bool,
    options: dict[str, Any],
    as_json: bool,
) -> None:
    """Compile MODEL, run one inference on the simulated board, and write all of it as one page: the network as a picture, what each
    step takes beside the core's ceiling, memory over time, what budgets buy, flash by use, tuning, boards side by side, digests.
    """
    from smelt.files import check_output
    from smelt.report.making import make_report
    from smelt.report.report_page import save_report
    from smelt.report.terminal import line, working

    check_output(page, model)
    find_board(board_name)
    compilation = firmware(model, board_name, options)
    boards = [_elsewhere(model, other, options) for other in others]
    with working(f"what budgets buy for {model.name} on {board_name}"):
        found = make_report(compilation, model, options, boards, _given(context), curve=not no_curve)
    save_report(found, page)
    emit_json("report", found) if as_json else line(f"written to {page}")


def _elsewhere(model: Path, board_name: str, options: dict[str, Any]) -> OnBoard:
    """The same network on another board."""
    from smelt.report.making import run_once
    from smelt.report.story import on_board

    compilation = firmware(model, board_name, options)
    return on_board(compilation.plan.board, run_once(compilation))


def _given(context: click.Context) -> list[Option]:
    """Options that the command line has, but those that say what to do."""
    from smelt.report.story import Option

    given = context.get_parameter_source
    return [
        Option(parameter.opts[0], _shown(context.params[parameter.name]))
        for parameter in context.command.params
        if isinstance(parameter, click.Option)
        and parameter.name in context.params
        and parameter.name not in MADE_BY_COMMAND
        and given(parameter.name) is ParameterSource.COMMANDLINE
    ]


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
