"""`smelt tune`, and `smelt worker`: boards of this computer for a tuning farm.

Heavy modules are imported inside the commands, as in `cli.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from smelt.commands.compiling import emit_json, find_board
from smelt.commands.options import adapter_option, board_option, json_option, model_argument, read_logs
from smelt.errors import OptionError

if TYPE_CHECKING:
    from smelt.firmware.build import Compiler


@click.command("tune", short_help="Measure ways to compute each step; keep the fastest in a log.")
@model_argument
@board_option
@click.option("--budget", default="10m", show_default=True, help="How long to measure, such as 90s, 10m or 1h.")
@click.option(
    "--log",
    "logs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Where measurements are added; what further ones hold is known, too.  [default: smelt-BOARD.jsonl]",
)
@click.option(
    "--device",
    type=click.Choice(["simulator", "openocd", "pyocd", "qemu"]),
    default="simulator",
    show_default=True,
    help="What counts the cycles: openocd and pyocd are for real boards; QEMU cannot.",
)
@adapter_option
@click.option(
    "--farm",
    metavar="ADDRESS",
    help="Measure on the boards of a farm: the scheduler of Dask, such as tcp://127.0.0.1:8786 (docs/farm.md).",
)
@click.option("--exhaustive", is_flag=True, help="Measure what promises nothing, too.")
@click.option("--compiler", type=click.Choice(["zig", "gcc"]), default="zig", show_default=True)
@click.option(
    "--for",
    "goal",
    type=click.Choice(["balanced", "speed"]),
    default="balanced",
    show_default=True,
    help="speed also measures what spends flash.",
)
@json_option
def tune_command(
    model: Path,
    board_name: str,
    budget: str,
    logs: tuple[Path, ...],
    device: str,
    adapter: str | None,
    farm: str | None,
    exhaustive: bool,
    compiler: Compiler,
    goal: str,
    as_json: bool,
) -> None:
    """Measure the ways to compute each step of MODEL on the simulated board, or on a real one, and keep the figures in a log.

    The most promising are measured first, and what promises nothing not at all. The log only ever grows: stop with Ctrl-C and
    start again at any time. `smelt compile --log FILE` uses it.

    For a board with a cluster of cores whole steps on all of them are measured, on the simulator.
    """
    from smelt import plugins
    from smelt.report.tuning import progress_bar, seconds, show_tuning
    from smelt.tuning.tune import tune

    board = find_board(board_name)
    file, *more = logs or (Path(f"smelt-{board.name}.jsonl"),)
    with progress_bar(f"tuning {model.name} for {board.name}") as report:
        result = tune(
            model,
            board,
            file,
            budget=seconds(budget),
            compiler=compiler,
            implementations=[w for w in plugins.implementations() if goal == "speed" or not w.spends_flash],
            device=device,
            adapter=adapter,
            farm=farm,
            exhaustive=exhaustive,
            known=read_logs(tuple(more)),
            report=report,
        )
    emit_json("tune", result) if as_json else show_tuning(result)
    if result.left and not result.measured:
        raise OptionError(
            f"nothing was measured: the budget of {budget} was over before any of {result.left} candidates had a result. "
            "Give a larger --budget"
        )


@click.command("worker", short_help="Offer boards of this computer to a tuning farm.")
@click.argument("address")
@click.option("--board", "-b", "board_name", required=True, metavar="BOARD", help="The kind of board that is offered.")
@click.option(
    "--device",
    type=click.Choice(["simulator", "openocd", "pyocd"]),
    default="simulator",
    show_default=True,
    help="What counts the cycles.",
)
@click.option(
    "--adapter",
    "adapters",
    multiple=True,
    help="A board behind it, once for each: for OpenOCD a command, for pyOCD a serial number. virtual: a simulated chip.",
)
@click.option("--count", default=1, show_default=True, type=click.IntRange(1), help="How many boards are simulated.")
@click.option("--compiler", type=click.Choice(["zig", "gcc"]), default="zig", show_default=True)
def worker_command(
    address: str, board_name: str, device: str, adapters: tuple[str, ...], count: int, compiler: Compiler
) -> None:
    """Measure for whoever tunes with --farm ADDRESS, the scheduler of Dask, until it ends or Ctrl-C comes.

    A farm computes what its clients send: use addresses that only you reach, or TLS (docs/farm.md).
    """
    from smelt.tuning.farm_worker import offered, serve

    board = find_board(board_name)
    serve(address, board, offered(board, device, adapters, count), compiler)
