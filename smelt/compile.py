"""The sentence: Graph -> Plan -> Program -> Sources -> Image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # `import smelt` stays light
    from smelt.firmware.image import Image, Sources
    from smelt.firmware.program import Program
    from smelt.model.graph import Graph
    from smelt.planner.log import TuningLog
    from smelt.planner.plan import Plan
    from smelt.targets.types import Board


@dataclass(frozen=True, eq=False)
class Compilation:
    """Every noun on the way from a model file to firmware. `model` is the graph as the file has it."""

    model: Graph
    graph: Graph
    plan: Plan
    program: Program
    sources: Sources
    image: Image | None

    def nouns(self) -> dict[str, str]:
        """What `--keep` leaves behind: file name -> text, besides the sources."""
        texts = {
            "1-model.txt": self.model,
            "2-graph.txt": self.graph,
            "3-plan.txt": self.plan,
            "4-program.txt": self.program,
        }
        return {name: f"{noun}\n" for name, noun in texts.items()}


def compile(
    path: Path,
    board: Board,
    *,
    name: str = "network",
    labels: tuple[str, ...] = (),
    compiler: Literal["zig", "gcc", "none"] = "zig",
    goal: Literal["balanced", "speed"] = "balanced",
    log: TuningLog | None = None,
) -> Compilation:
    """Compile the model at `path` for `board`. `name` prefixes the C; `labels` are what the firmware prints for classes.

    `compiler` is "zig" (the bundled one), "gcc" (arm-none-eabi-gcc or riscv64-unknown-elf-gcc), or "none" for C only.
    `goal` "speed" allows what buys speed with flash (Winograd's weights are 3.6 times as large).
    `log` holds measurements: what was fastest on this board with this compiler is used as far as it fits.
    Raises ModelError, Unsupported, DoesNotFit, BuildError, OptionError.
    """
    from smelt.firmware import build, emit, render, render_harness
    from smelt.importers import load
    from smelt.kernels import FRUGAL, IMPLEMENTATIONS
    from smelt.passes import prepare
    from smelt.planner import make_plan

    model = load(path)
    graph = prepare(model)
    known = measured(log, board, compiler)
    plan = make_plan(graph, board, IMPLEMENTATIONS if goal == "speed" else FRUGAL, log=known)
    program = emit(plan, name)
    sources = render(program)
    image = build(render_harness(program, sources, labels), board, compiler) if compiler != "none" else None
    return Compilation(model, graph, plan, program, sources, image)


def measured(log: TuningLog | None, board: Board, compiler: Literal["zig", "gcc", "none"]) -> TuningLog:
    """What of a log is about this board and the compiler in its version; C only is for whatever zig would make of it.

    Raises OptionError where there is a log, and nothing in it is about them.
    """
    from smelt.errors import OptionError
    from smelt.firmware.toolchain import toolchain
    from smelt.planner.log import TuningLog

    if log is None:
        return TuningLog.empty
    tools = toolchain(board, "gcc" if compiler == "gcc" else "zig")
    known = log.of(board.name, tools)
    if not known.measurements:
        raise OptionError(f"the tuning log has no measurement of {board.name} with {tools}: run `smelt tune` first")
    return known
