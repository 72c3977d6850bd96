"""Commands on real boards, or as if on them: `flash`, `profile` through a probe, `run` without anybody to ask."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smelt.commands.compiling import emit_json, find_board, firmware
from smelt.commands.options import adapter_option, board_option, build_options, json_option, model_argument
from smelt.errors import OptionError, printable
from smelt.report.text import emit

if TYPE_CHECKING:
    from smelt.devices.choose import Device
    from smelt.targets.types import Board

ELF = b"\x7fELF"
LARGEST = 256 << 20


@click.command("flash", short_help="Put firmware into a real board.")
@board_option
@click.option("--device", type=click.Choice(["openocd", "pyocd"]), default="openocd", show_default=True)
@adapter_option
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    help="Where boards that need a file get it.  [default: firmware.bin]",
)
@build_options
@model_argument
@json_option
def flash_command(
    model: Path,
    board_name: str,
    device: str,
    adapter: str | None,
    out: Path | None,
    options: dict[str, Any],
    as_json: bool,
) -> None:
    """Compile MODEL, or take it as it is if it is an ELF file, program the flash of a real board with it, compare, and let it run.

    What is there already is not written again. For boards without a debug probe, the command of the vendor's tool is printed.
    """
    from smelt.devices.flashing import flash
    from smelt.devices.probes import named
    from smelt.report.flashing import FlashSummary
    from smelt.report.terminal import working

    board, way = find_board(board_name), named(device, adapter)
    elf, board = _firmware(model, board, None if board.flasher else way, board_name, options)
    if board.flasher:
        told = _for_tool(board, elf, out or Path("firmware.bin"))
        summary = FlashSummary(board.name, len(elf), None, None, told)
        emit_json("flash", summary) if as_json else emit(told)
        return
    if out is not None:
        raise OptionError(f"--out is for boards that are programmed from a file; {board.name} has a debug probe")
    assert way is not None
    with working(f"programming {board.name}"):
        where = flash(board, elf, way)
    summary = FlashSummary(board.name, len(elf), device, where, None)
    emit_json("flash", summary) if as_json else emit(f"{board.name}: programmed and compared, {where}; it runs")


def _firmware(
    model: Path, board: Board, device: str | None, board_name: str, options: dict[str, Any]
) -> tuple[bytes, Board]:
    """The firmware of a model, or the file itself, and the board that it was built for."""
    from smelt.files import read

    data = read(model, LARGEST)
    if data.startswith(ELF):
        return data, board
    compilation = firmware(model, board_name, options, device)
    assert compilation.image is not None
    return compilation.image.elf, compilation.plan.board


def _for_tool(board: Board, elf: bytes, file: Path) -> str:
    """Write the file that a vendor's tool wants; the command that programs it."""
    from smelt.devices.flashing import flash_image
    from smelt.files import write

    assert board.flasher is not None
    write(file, flash_image(board, elf))
    return board.flasher.format(file=printable(file))


def run_alone(
    model: Path, board_name: str, times: int, device: Device | None, options: dict[str, Any], as_json: bool
) -> None:
    """Print what a board says where no debugger is."""
    from smelt.report.execute import AloneSummary, left_alone
    from smelt.report.summary import basis
    from smelt.report.terminal import line, working

    if not options["hello"]:
        raise OptionError("give --input FILE, or --hello FILE for firmware that needs none")
    if device not in (None, "simulator"):
        raise OptionError(f"without --input, only the simulator runs the firmware, not {device}")
    compilation = firmware(model, board_name, options)
    with working("simulating the board"):
        text = left_alone(compilation, times)
    if as_json:
        emit_json("run-alone", AloneSummary(compilation.plan.board.name, text), basis(compilation))
    else:
        line(text.rstrip())


def profile_board(
    model: Path, board_name: str, share: Path | None, device: Device, options: dict[str, Any], as_json: bool
) -> None:
    """Print the cycles that a real board counts, and write them down."""
    from smelt.report.board_profile import profile_on_board, save_shared, show_board_profile
    from smelt.report.summary import basis
    from smelt.report.terminal import working

    compilation = firmware(model, board_name, options, device)
    with working(f"running {model.name} on the board"):
        figures = profile_on_board(compilation, device)
    if share is not None:
        save_shared(figures, share)
    emit_json("profile-board", figures, basis(compilation)) if as_json else show_board_profile(figures)
