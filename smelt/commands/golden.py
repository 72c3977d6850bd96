"""What `verify --golden` does. Heavy modules are imported inside the functions, as in `cli.py`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from smelt.commands.compiling import emit_json, find_board, firmware, show_warnings
from smelt.errors import Mismatch, OptionError

if TYPE_CHECKING:
    from smelt.devices.choose import Device
    from smelt.report.golden import Order


def verify_golden(
    model: Path,
    board_name: str | None,
    folder: Path,
    order: Order | None,
    device: Device | None,
    options: dict[str, Any],
    as_json: bool,
) -> None:
    """Compare MODEL's layers with those in `folder`: its reference, and on a board, where one is named, its firmware.

    Raises Mismatch where a value differs, OptionError where the folder or the options do not fit.
    """
    from smelt.importers import load
    from smelt.report.golden import Mismatches, compare_golden, golden_on_board
    from smelt.report.golden_files import read_golden
    from smelt.report.golden_view import show_golden
    from smelt.report.summary import Basis, basis
    from smelt.report.terminal import working

    if options["layout"] != "channels_last" or options["feed"]:
        raise OptionError("--golden knows images with their channels last, whole: leave out --layout and --feed")
    if board_name is not None:
        find_board(board_name)
    golden = read_golden(folder)
    if board_name is None:
        graph = load(model)
        show_warnings(graph.remarks)
        with working(f"computing {len(golden.layers)} golden layers"):
            found = compare_golden(graph, golden, order)
        about = Basis()
    else:
        compilation = firmware(model, board_name, options)
        with working(f"running {len(golden.layers)} golden layers"):
            found = golden_on_board(compilation, golden, order, device)
        about = basis(compilation)
    emit_json("verify-golden", found, Mismatches(found.mismatches), about) if as_json else show_golden(found)
    if found.mismatches:
        raise Mismatch(found.verdict)
