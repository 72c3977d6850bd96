"""The sentence for several networks that run one at a time: each Graph -> Plan, and all of them one Image."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from smelt.compile import Compilation, least_of_builds, measured
from smelt.errors import OptionError, printable
from smelt.network import Wanted, read_network
from smelt.nouns import Noun
from smelt.saving import Library

if TYPE_CHECKING:  # `import smelt` stays light
    from smelt.firmware.image import Image, Sources
    from smelt.importers import Layout
    from smelt.passes.edge_types import EdgeType, OutputType
    from smelt.passes.weight_types import WeightType
    from smelt.planner import Goal, Limits
    from smelt.planner.log import TuningLog
    from smelt.planner.suite import Suite
    from smelt.targets.types import Board

SUITE = "networks"
"""The name of a suite that is given none."""


@dataclass(frozen=True, eq=False)
class SuiteCompilation(Library):
    """Networks that take one memory in turn. `parts` are the compilations of each, whose plans lie in that memory, and whose images
    are the common one, seen as that which runs this network; `plan` is the suite."""

    plan: Suite
    parts: tuple[Compilation, ...]
    sources: Sources
    image: Image | None

    @property
    def names(self) -> tuple[str, ...]:
        """What names of files begin with, those of code first."""
        return (self.plan.name, *self.plan.plans)

    @property
    def functions(self) -> dict[str, str]:
        """The C functions that kernels became, by the kernels' names."""
        return {name: function for part in self.parts for name, function in part.functions.items()}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the models' authors should know."""
        return tuple(f"{part.program.name}: {warning}" for part in self.parts for warning in part.warnings)

    @property
    def notes(self) -> tuple[str, ...]:
        """What users are told."""
        return tuple(f"{part.program.name}: {note}" for part in self.parts for note in part.notes)

    def in_full(self) -> str:
        """A line for each noun."""
        nouns: list[Noun] = [self.plan, *(part.program for part in self.parts), self.sources]
        return "\n".join(noun.in_brief() for noun in (*nouns, *((self.image,) if self.image else ())))

    def nouns(self) -> dict[str, str]:
        """What `--keep` leaves behind: file name -> text, besides the sources."""
        return {
            f"{file[:2]}{part.program.name}-{file[2:]}": text
            for part in self.parts
            for file, text in part.nouns().items()
        }


def compile_suite(
    paths: Sequence[Path | str],
    board: Board | str,
    *,
    names: Sequence[str] = (),
    suite: str = SUITE,
    compiler: Literal["zig", "gcc", "none"] = "zig",
    goal: Goal = "balanced",
    log: TuningLog | None = None,
    max_ram: int | None = None,
    max_flash: int | None = None,
    regions: Mapping[str, int] | None = None,
    weights: str = "",
    effort: str = "normal",
    report: Callable[[str], None] | None = None,
    input_type: EdgeType | None = None,
    output_type: OutputType | None = None,
    layout: Layout = "channels_last",
    weight_type: WeightType | None = None,
    input_picture: str = "",
    input_sound: str = "",
) -> SuiteCompilation:
    """Compile the models at `paths` for one program on `board`, in which one of them runs at a time.

    `names` are the networks', by default their files'; `suite` prefixes what they have in common. Budgets are those of all of
    them together; the other options are those of `compile`, for each. Raises what it raises, and says of which network.
    """
    from smelt.firmware import build, emit_suite, render_suite, render_suite_harness
    from smelt.firmware.candidates import only
    from smelt.planner import Limits, Plan, make_plan
    from smelt.planner.effort import planning_of
    from smelt.planner.evidence import evidence
    from smelt.planner.join import Request, join
    from smelt.planner.limits import checked, for_one_core
    from smelt.planner.ways import Ways
    from smelt.plugins import implementations
    from smelt.targets.boards import named

    if input_picture or input_sound:
        raise OptionError("--input-picture and --input-sound are for one model alone")
    names = names_of(paths, names, suite)
    board = named(board)
    for_one_core("several networks in one memory are for one core", board, "compile each by itself")
    wanted = Wanted(input_type, output_type, layout, weight_type)
    networks = {name: read_network(path, board, wanted) for name, path in zip(names, paths, strict=True)}
    known = measured(log, board, compiler)
    planning = planning_of(effort, report)
    limits = checked(Limits(max_ram, max_flash, regions=tuple((regions or {}).items()), weights=weights), board)
    ways = Ways(board.core, implementations())

    def planned(request: Request) -> Plan:
        graph = networks[request.network].graph
        aim: Goal = "flash" if request.smallest else goal
        return make_plan(graph, request.board, ways, known=known, goal=aim, limits=request.limits, planning=planning)

    def made_within(limits: Limits) -> SuiteCompilation:
        joint = join(suite, names, board, limits, planned, goal == "ram")
        programs = emit_suite(joint)
        sources = render_suite(joint, programs)
        image = build(render_suite_harness(programs, sources), board, compiler) if compiler != "none" else None
        parts = tuple(
            Compilation(
                networks[program.name].model,
                networks[program.name].graph,
                program.plan,
                program,
                sources,
                only(image, f"{program.name}_run", program.calls) if image else None,
                evidence(program.plan, known),
                networks[program.name].warnings,
                layout,
            )
            for program in programs
        )
        return SuiteCompilation(joint, parts, sources, image)

    return least_of_builds(made_within, limits, goal)


def names_of(paths: Sequence[Path | str], names: Sequence[str], suite: str) -> tuple[str, ...]:
    """What the networks are called: as given, or as their files. Raises OptionError where names are missing, cannot be, or meet."""
    from smelt.firmware.names import check_name

    if not paths:
        raise OptionError("there is no model: give a file for each network")
    if names and len(names) != len(paths):
        raise OptionError(
            f"{len(names)} name(s) were given for {len(paths)} models: give --name once for each of them, or not at all"
        )
    found = tuple(names) or tuple(map(_called, paths))
    for name in (*found, suite):
        check_name(name)
    if twice := next((name for name in found if found.count(name) > 1), None):
        raise OptionError(f"two networks would be called '{twice}': give --name once for each model")
    if suite in found:
        raise OptionError(f"'{suite}' is the name of what all networks share, too: give --suite another one")
    return found


def _called(path: Path | str) -> str:
    """The name of a network after its file. Raises OptionError where nothing is left of that."""
    words = re.sub(r"[^0-9a-z]+", "_", Path(path).stem.lower()).strip("_")
    if not words or not words[0].isalpha():
        raise OptionError(
            f"no network can be called after the file '{printable(path)}': give --name once for each model"
        )
    return words
