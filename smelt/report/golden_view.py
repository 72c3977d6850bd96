"""What `verify --golden` prints: a line for each layer."""

from __future__ import annotations

from smelt.report.golden import GoldenComparison, GoldenDifference, LayerComparison
from smelt.report.terminal import line, table


def show_golden(found: GoldenComparison) -> None:
    """The table of layers, then what holds for all of them."""
    on_board = found.board is not None
    columns = (
        "golden layer",
        "label",
        "values",
        "tensor",
        "reference",
        *(("board",) if on_board else ()),
        "first difference",
    )
    rows = [_row(layer, on_board) for layer in found.layers]
    title = found.model if found.board is None else f"{found.model} on {found.board}"
    table(f"{title}: golden layers, images as {found.order.upper()}", columns, rows, right=(2,))
    if found.order == "chw":
        line("the files' numbers lie as C, H, W, whatever their labels say")
    if found.remark:
        line(found.remark)
    if found.outputs is not None:
        how = (
            "equal the reference"
            if not found.wrong_outputs
            else f"differ from the reference in {found.wrong_outputs:,}"
        )
        cycles = "" if found.cycles is None else f" in {found.cycles:,} cycles"
        line(f"the firmware's {found.outputs:,} output values{cycles} {how}")
    line(found.verdict)


def _row(layer: LayerComparison, on_board: bool) -> tuple[str | int, ...]:
    missing = layer.tensor is None
    reference = "no tensor of that size" if missing else _told(layer.reference)
    board = (_told(layer.board) if layer.seen else "not shown",) if on_board else ()
    first = layer.reference or layer.board
    place = "" if first is None else f"element {first.element}: {first.got:g}, golden {first.golden:g}"
    return (layer.file, layer.label, layer.values, layer.tensor or "", reference, *board, place)


def _told(difference: GoldenDifference | None) -> str:
    return "equal" if difference is None else f"{difference.mismatches:,} differ"
