"""`smelt worker`: boards of this computer for a tuning farm.

Heavy modules are imported inside the command, as in `cli.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from smelt.compiling import find_board

if TYPE_CHECKING:
    from smelt.firmware.build import Compiler


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
