"""The sentence: Graph -> Plan -> Program -> Sources -> Image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from smelt.errors import DoesNotFit, ModelError, OptionError, Unsupported
from smelt.network import Wanted, read_network
from smelt.nouns import Noun
from smelt.saving import Library

if TYPE_CHECKING:  # `import smelt` stays light
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from smelt.firmware.image import Image, Sources
    from smelt.firmware.mlperf import Mlperf
    from smelt.firmware.program import Program
    from smelt.importers import Layout, ModelSummary
    from smelt.model.graph import Array, Graph
    from smelt.nouns import Table
    from smelt.passes.edge_types import EdgeType, OutputType
    from smelt.passes.weight_types import WeightType
    from smelt.planner import Goal, Limits
    from smelt.planner.evidence import Evidence
    from smelt.planner.known import Known
    from smelt.planner.log import TuningLog
    from smelt.planner.plan import Plan
    from smelt.planner.suite import Suite
    from smelt.targets.types import Board

BUILDS = 6
"""How often a firmware is built anew because its code has other sizes than were estimated."""

MORE = 256
"""Bytes of flash by which each of these builds, from the second on, aims lower than what is known of the last one."""


class Built(Protocol):
    """What sizes are read of: what was made of one network, or of several."""

    @property
    def plan(self) -> Plan | Suite: ...
    @property
    def image(self) -> Image | None: ...
    @property
    def functions(self) -> dict[str, str]: ...


Made = TypeVar("Made", bound=Built)


@dataclass(frozen=True, eq=False)
class Compilation(Library):
    """Every noun on the way from a model file to firmware. `model` is the graph as the file has it, but for other types at its
    edges and of its weights where they were asked for."""

    model: Graph
    graph: Graph
    plan: Plan
    program: Program
    sources: Sources
    image: Image | None
    evidence: Evidence
    warnings: tuple[str, ...] = ()
    """What the model's author should know: how its file was read, sums that may leave 32 bits."""

    layout: Layout = "channels_last"
    """How edges of ONNX models that are images lie."""

    prepares: bool = False
    """Whether what is done to inputs before the network is part of it."""

    firmware: Sources | None = None
    """What `image` was built of, beside the start-up code: `sources`, and what makes firmware of them."""

    @property
    def names(self) -> tuple[str, ...]:
        """What names of files begin with, those of code first."""
        return (self.program.name,)

    @property
    def functions(self) -> dict[str, str]:
        """The C functions that kernels became, by the kernels' names."""
        return {i.piece.call.kernel.name: self.program.function(i.kernel) for i in self.program.invocations} | {
            kernel.name: self.program.function(kernel) for kernel in self.program.kernels
        }

    @property
    def weights_image(self) -> bytes | None:
        """The weights as an image of their own; None where they are a part of the firmware like all else."""
        from smelt.firmware.weights_image import WeightsImage

        return WeightsImage(self.program).data if self.program.exchanged else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What users are told: what could not be had, and what the choices rest on."""
        from smelt.planner.software_floats import software_notes

        e = self.evidence
        rest = f"{e.measured} of {e.steps} steps were chosen by measurements, the others by estimates"
        return (
            *self.plan.notes,
            *software_notes(self.plan),
            *e.notes,
            *((f"no compiler: sizes are estimates; {rest}",) if self.image is None else ()),
        )

    @property
    def images(self) -> dict[str, bytes]:
        """Firmware where it was built, and weights that are an image of their own."""
        from smelt.firmware.weights_image import weights_file

        weights = self.weights_image
        return super().images | ({} if weights is None else {weights_file(self.program.name): weights})

    @property
    def application(self) -> dict[str, str]:
        """For a chip with an SDK, a program that runs the network once, and knows what the reference computes."""
        from smelt.firmware.pmsis import Example, has_sdk, render_pmsis
        from smelt.inputs import random_inputs
        from smelt.model.reference import run

        if not has_sdk(self.program):
            return {}
        (inputs,) = random_inputs(self.model, 1)
        return render_pmsis(self.program, self.sources, Example(inputs, run(self.model, inputs)))

    def in_full(self) -> str:
        """A line for each noun."""
        nouns = (self.graph, self.plan, self.program, self.sources, self.image)
        return "\n".join([self.in_brief(), *(f"  {noun.in_brief()}" for noun in nouns if noun is not None)])

    def in_brief(self) -> str:
        return f"compilation of {self.graph.name} for {self.plan.board.name}"

    def as_tables(self) -> Iterator[Table]:
        """The nouns, the steps, and what each memory holds."""
        nouns = (self.graph, self.plan, self.program, self.sources, self.image)
        yield self.in_brief(), (), [(noun.in_brief(),) for noun in nouns if noun is not None]
        yield from self.plan.as_tables()
        if self.image is not None:
            yield "memory", ("", "holds", "bytes"), [(use.memory, use.content, use.size) for use in self.image.uses]

    def nouns(self) -> dict[str, str]:
        """What `--keep` leaves behind: file name -> text, besides the sources."""
        texts = {
            "1-model.txt": self.model,
            "2-graph.txt": self.graph,
            "3-plan.txt": self.plan,
            "4-program.txt": self.program,
        }
        return {name: f"{noun.in_full()}\n" for name, noun in texts.items()}


def compile(
    path: Path | str,
    board: Board | str,
    *,
    name: str = "network",
    labels: tuple[str, ...] = (),
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
    feed: bool = False,
    layout: Layout = "channels_last",
    weight_type: WeightType | None = None,
    uart: bool = False,
    hello: Callable[[Graph], Sequence[Array]] | None = None,
    input_picture: str = "",
    input_sound: str = "",
    weights_image: bool = False,
    replaces: bytes | None = None,
    mlperf: Mlperf | None = None,
) -> Compilation:
    """Compile the model at `path` for `board`, given as such or by its name. `name` prefixes the C; `labels` are what the
    firmware prints for classes.

    `compiler` is "zig" (the bundled one), "gcc" (arm-none-eabi-gcc or riscv64-unknown-elf-gcc), or "none" for C only.
    `goal` "balanced" is frugal: tables are no larger than the weights and stay in flash. "speed" spends flash and RAM on cycles,
    and so does "energy", which is cycles times a constant of the board; "ram" and "flash" ask for the least of it, and then for
    the fewest cycles.
    `max_ram` and `max_flash` are budgets in bytes, everything included (the stack is estimated). `regions` say how many bytes may
    be taken of certain memories, by name; `weights` where tables lie: "flash", "ram", the name of a RAM, or as the goal has it.
    `effort` "quick", "normal" or "thorough" is how hard planning tries. `report` hears how far planning is; where it is given,
    KeyboardInterrupt ends the planning with the best plan so far, if there is one, and the plan's notes say so.
    `input_type` and `output_type` replace the file's: int8, uint8 or float32 at the edges, the same numbers inside.
    `output_type` "class" gives the number of the greatest score instead of all scores. With `input_picture`, such as
    "160x120:mean=127.5:std=127.5", the network is given pixels of uint8, and the device resizes and scales them; with
    `input_sound`, such as "mfcc:rate=16000:window=30:stride=20", samples of int16, and the device computes features
    (docs/preparation.md).
    `weight_type` "float16" stores weights of float32 in half the bytes; a warning says what that changes.
    `layout` "keep" leaves images at the edges of an ONNX model as its file has them, "channels_last" as they are computed.
    With `feed` the input comes in a few rows at a time and never is whole, and the plan is the one with the least RAM.
    `log` holds measurements: what was fastest on this board with this compiler is used as far as it fits.
    With `weights_image` the weights are an image of their own (`Compilation.weights_image`), in whose place that of another
    training may come; `replaces` is such an image, of C that must take this one as well.
    With `uart` the firmware prints through the board's serial port; `hello` says, for the model as its file has it, which inputs it
    computes for ever where no debugger gives it any; with `mlperf` it answers the runner of MLPerf Tiny there.
    Raises ModelError, Unsupported, DoesNotFit, BuildError, OptionError.
    """
    from smelt.firmware import build, emit, render, render_harness
    from smelt.firmware.hello import speaking, with_hello
    from smelt.firmware.mlperf import answering, wired
    from smelt.firmware.names import check_name
    from smelt.firmware.weights_image import WeightsImage, check_exchange
    from smelt.planner import Limits, make_plan
    from smelt.planner.advice import plan_or_advice
    from smelt.planner.effort import planning_of
    from smelt.planner.evidence import evidence
    from smelt.planner.feed import fed_plan
    from smelt.planner.limits import checked, for_one_core
    from smelt.planner.ways import Ways
    from smelt.plugins import implementations
    from smelt.targets.boards import named

    check_name(name)  # before the minutes that a plan may take
    if mlperf and hello:
        raise OptionError("a firmware with a hello computes that for ever, and answers nobody")
    if mlperf and feed:
        raise OptionError(
            "the benchmark's runner sends whole inputs, and with --feed the input never is whole in memory"
        )
    board = named(board)
    if feed:
        for_one_core("an input that is fed is computed by one", board, "leave out --feed")
    if weights_image or replaces is not None:
        weights = check_exchange(board, weights, weights_image, replaces)
    wanted = Wanted(input_type, output_type, layout, weight_type, input_picture, input_sound)
    network = read_network(path, board, wanted, exchanged=weights_image)
    graph = network.graph
    board = wired(board, network.model, mlperf) if mlperf else board
    known = measured(log, board, compiler)
    known = known.of_any_training() if weights_image else known
    planning = planning_of(effort, report)
    limits = checked(Limits(max_ram, max_flash, regions=tuple((regions or {}).items()), weights=weights), board)
    built: dict[str, Ways] = {}

    def ask(goal: Goal, there: Board, within: Limits) -> Plan:
        ways = built.setdefault(there.core.name, Ways(there.core, implementations()))
        known_there = known if there.name == board.name else None

        def planned(some: Graph) -> Plan:
            return make_plan(some, there, ways, known=known_there, goal=goal, limits=within, planning=planning)

        return fed_plan(graph, ways, planned, goal == "ram") if feed else planned(graph)

    def made_within(limits: Limits) -> Compilation:
        plan = plan_or_advice(ask, goal, board, limits)
        program = emit(plan, name, exchanged=weights_image)
        if replaces is not None:
            WeightsImage(program).check_replaces(replaces)
        sources = render(program)
        firmware = render_harness(program, sources, labels)
        if uart or hello:
            firmware = speaking(firmware, plan.board)
        if hello:
            firmware = with_hello(firmware, hello(network.model))
        if mlperf:
            firmware = answering(firmware, program, network.model, mlperf)
        image = build(firmware, plan.board, compiler) if compiler != "none" else None
        found = evidence(plan, known)
        return Compilation(
            network.model, graph, plan, program, sources, image, found, network.warnings, layout,
            wanted.prepares, firmware,
        )  # fmt: skip

    return least_of_builds(made_within, limits, goal)


def least_of_builds(made_within: Callable[[Limits], Made], limits: Limits, goal: Goal) -> Made:
    """Build until the firmware keeps its budget of flash, and, where flash is the goal, until no size is a guess any more. Where
    code shares a memory with data and has not been left enough, the next plan leaves more. Raises DoesNotFit."""
    from smelt.firmware.build import TooMuchCode

    best: Made | None = None
    sizes: list[int] = []
    for number in range(BUILDS):
        try:
            made = made_within(limits)
        except TooMuchCode as error:
            if number == BUILDS - 1:
                raise
            limits = replace(limits, code=limits.code + error.bytes + MORE)
            continue
        if made.image is None:
            return made
        sizes.append(flash_of(made))
        if keeps_flash(made):
            best = made if best is None or flash_of(made) < flash_of(best) else best
            if goal != "flash" or not limits.sizes.unknown(made.plan.calls, made.plan.board.core):
                return best
        limits = corrected(limits, made, number)
    if best is not None:
        return best
    raise DoesNotFit(
        f"no firmware of at most {limits.flash:,} bytes of flash was found for {made.plan.board.name} in {BUILDS} builds: "
        f"the smallest of them has {min(sizes):,}"
    )


@dataclass(frozen=True)
class Inspection(Noun):
    """What a model file holds, and what `compile` has to say about it on a board that is large enough.

    `refusal` is what it raises, None where it compiles; the summary's problems are its reasons.
    """

    summary: ModelSummary
    refusal: ModelError | Unsupported | None
    warnings: tuple[str, ...]

    def in_brief(self) -> str:
        return f"{self.summary.in_brief()}; smelt {'can' if self.refusal is None else 'cannot'} compile it"

    def as_tables(self) -> Iterator[Table]:
        """What the file holds, and what is wrong with it."""
        yield self.in_brief(), (), [(text,) for text in (*self.summary.problems, *self.warnings)]
        yield from self.summary.as_tables()


def inspect(path: Path | str) -> Inspection:
    """Look at a model file without a board and without a compiler. Raises ModelError where it cannot be read at all,
    Unsupported where it is of a format that smelt does not read."""
    from smelt.importers import describe, load
    from smelt.passes import prepare
    from smelt.passes.sums import wrapping_sums
    from smelt.planner import check_supported
    from smelt.planner.software_floats import software_warnings
    from smelt.targets.boards import plainest

    summary = describe(path)
    try:
        graph = prepare(load(path))
        check_supported(graph, plainest())
        return Inspection(summary, None, (*graph.remarks, *wrapping_sums(graph), *software_warnings(graph)))
    except ModelError as error:
        problems = summary.problems or (str(error),)
        return Inspection(replace(summary, problems=problems), error, ())
    except Unsupported as refusal:
        return Inspection(replace(summary, problems=refusal.reasons), refusal, ())


def keeps_flash(made: Built) -> bool:
    """Whether a firmware keeps its budget of flash: its plan only estimated the code."""
    budget = made.plan.limits.flash
    return budget is None or flash_of(made) <= budget


def flash_of(made: Built) -> int:
    """What a firmware takes up of the flash, in bytes."""
    assert made.image is not None
    return sum(made.image.size(m.name) for m in made.plan.board.chip.flashes)


def corrected(limits: Limits, made: Built, number: int) -> Limits:
    """What the next plan goes by after a build, the one of that number: the sizes that its code has, and how far the
    rest of it is from the estimate."""
    from smelt.kernels.assembly import in_assembly, symbol

    assert made.image is not None
    core, symbols = made.plan.board.core, made.image.symbols
    kernels = {call.kernel.name: call.kernel for call in made.plan.calls}.values()
    routines = in_assembly({name for kernel in kernels for name in kernel.callees}, core)
    functions = {**made.functions, **{routine.name: symbol(routine, core) for routine in routines}}
    found = {name: symbols[function].size for name, function in functions.items() if function in symbols}
    sizes = limits.sizes.with_measured(found)
    code = sizes.of_all(made.plan.calls, core)
    return replace(limits, sizes=sizes, code=flash_of(made) - made.plan.table_bytes - code + number * MORE)


def measured(log: TuningLog | None, board: Board, compiler: Literal["zig", "gcc", "none"]) -> Known:
    """What a log says about this board, for the compiler and the model of time as they are; C only is for whatever zig would
    make of it. What smelt ships is known as well, unless `log` is `TuningLog.empty`, and what holds of boards that take as long.

    Raises OptionError where there is a log, and nothing in it holds for the board.
    """
    from smelt.devices.simulators.version import model_of_time
    from smelt.firmware.toolchain import toolchain
    from smelt.planner.known import Known
    from smelt.planner.log import TuningLog
    from smelt.planner.measurement import Origin
    from smelt.tuning.alike import holding
    from smelt.tuning.shipped import shipped_log

    if log is TuningLog.empty:
        return Known(board)
    if log is not None and not holding(log, board).about(board.name).measurements:
        raise OptionError(f"the tuning log has no measurement of {board.name}: run `smelt tune` first")
    origin = Origin(model_of_time(board), toolchain(board, compiler))
    return Known.of(board, holding(shipped_log() + (log or TuningLog.empty), board), origin)
