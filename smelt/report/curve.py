"""`smelt profile --curve`: what RAM, flash and cycles can be had together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from smelt.compile import measured
from smelt.network import AS_IT_IS, Wanted, read_network
from smelt.nouns import Noun
from smelt.planner import Limits, TuningLog, trade_offs
from smelt.planner.effort import planning_of
from smelt.planner.evidence import NO_LINK, Evidence, Linked, linked, similar
from smelt.planner.flow import steps_of
from smelt.planner.limits import checked, for_one_core
from smelt.planner.tradeoff import Point
from smelt.report.terminal import line, table
from smelt.targets.boards import named
from smelt.targets.types import Board

if TYPE_CHECKING:
    from smelt.firmware.build import Compiler


@dataclass(frozen=True)
class TradeOff(Noun):
    """The points of a model on a board. `estimated`: nothing was built, so that sizes are always estimates."""

    model: str
    board: str
    points: tuple[Point, ...]
    similar_measurements: tuple[str, ...] = ()
    linked: Linked = NO_LINK
    estimated: bool = True

    @property
    def notes(self) -> tuple[str, ...]:
        """What users are told: what the choices rest on."""
        return tuple(Evidence(similar=self.similar_measurements, linked=self.linked).notes)


def trade_off(
    path: Path | str,
    board: Board | str,
    *,
    compiler: Compiler | Literal["none"] = "zig",
    log: TuningLog | None = None,
    max_ram: int | None = None,
    max_flash: int | None = None,
    regions: Mapping[str, int] | None = None,
    weights: str = "",
    effort: str = "normal",
    wanted: Wanted = AS_IT_IS,
) -> TradeOff:
    """The curve of the model at `path`, within budgets, as it is `wanted`; the other options are those of `compile`. Raises what
    that raises, but builds nothing, and OptionError where steps are divided over the cores of a cluster."""
    board = named(board)
    for_one_core("the curve is of plans for one", board, "compile with --for and budgets, and compare profiles")
    limits = checked(Limits(max_ram, max_flash, regions=tuple((regions or {}).items()), weights=weights), board)
    graph = read_network(path, board, wanted).graph
    known = measured(log, board, compiler)
    points = trade_offs(graph, board, known=known, limits=limits, planning=planning_of(effort, None))
    basis = similar(known, graph.ops), linked(known, ((op, None) for op in steps_of(graph)))
    return TradeOff(graph.name, board.name, points, *basis)


def show_curve(result: TradeOff) -> None:
    """What can be had together."""
    show_points(f"{result.model} on {result.board}: what can be had together", result.points)


def show_points(title: str, points: Sequence[Point]) -> None:
    """A line for each point, the least RAM first."""
    rows = [(p.ram_bytes, p.resident_bytes, p.flash_bytes, _cycles(p)) for p in points]
    table(title, ("RAM", "of which tables", "flash", "cycles"), rows, right=(0, 1, 2, 3))
    line()
    line(
        "Bytes, everything included; stack and code are estimates. Ask for a point with --for speed --max-ram --max-flash."
    )
    if any(p.estimated for p in points):
        line("~ cycles of steps that were not measured are estimates: `smelt tune --for speed` measures them.")


def _cycles(point: Point) -> str:
    """Cycles; where not all of them are measured, marked, with how many steps are estimates."""
    return (
        f"~{point.cycles:,} ({point.estimated} of {point.steps} estimated)" if point.estimated else f"{point.cycles:,}"
    )
