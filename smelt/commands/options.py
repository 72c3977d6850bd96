"""The options that several commands have, and what users write in them as values."""

from __future__ import annotations

import functools
from collections.abc import Callable
from inspect import signature
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smelt.answers import JSON
from smelt.errors import OptionError, printable
from smelt.files import read
from smelt.report.text import complain

if TYPE_CHECKING:
    from smelt.planner.log import TuningLog

GOALS = ("balanced", "speed", "ram", "flash", "energy")  # of the planner, whose import takes longer than --help may
EXPORTS = (
    "c",
    "single-file",
    "cmake",
    "arduino",
    "platformio",
    "zephyr",
    "esp-idf",
    "cmsis-pack",
    "stm32cube",
    "mlf",
    "mlperf-tiny",
)  # FORMATS
EFFORTS = ("quick", "normal", "thorough")
LAYOUTS = ("channels_last", "keep")
EDGE_TYPES = ("int8", "uint8", "float32")
OUTPUT_TYPES = (*EDGE_TYPES, "class")
WEIGHT_TYPES = ("float16",)
MOST_LABELS = 1 << 20  # bytes
MOST_IMAGE = 1 << 28  # bytes of weights


class RealRange(click.FloatRange):
    """Numbers within limits; nan, which no comparison finds outside, is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found: float = super().convert(value, param, ctx)
        if isnan(found):
            self.fail(f"{value!r} is not a number", param, ctx)
        return found


def model_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.argument("model", type=click.Path(path_type=Path))(command)


def models_argument(several: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """One model, which the command gets as `model`; more than one go to `several` in its stead, as `models`. To be given below
    `build_options`, which wants to know. Raises TypeError where `several` does not take all that the command does: users would be
    the first to meet it."""

    def decorated(command: Callable[..., Any]) -> Callable[..., Any]:
        signature(several).bind(**dict.fromkeys((signature(command).parameters.keys() - {"model"}) | {"models"}))

        @click.argument("models", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="MODEL...")
        @functools.wraps(command)
        def wrapped(*args: Any, models: tuple[Path, ...], **kwargs: Any) -> Any:
            if len(models) > 1:
                return several(*args, models=models, **kwargs)
            return command(*args, model=models[0], **kwargs)

        return wrapped

    return decorated


def board_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--board",
        "-b",
        "board_name",
        required=True,
        metavar="BOARD",
        help="One of `smelt boards`, or a .toml file that describes one.",
    )(command)


def golden_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Of `verify`: the layers that another tool wrote, for which no board is needed."""
    for option in (
        click.option(
            "--golden-order",
            "order",
            type=click.Choice(["hwc", "chw"]),
            help="How the golden files' images lie, whatever their labels say.  [default: as more of the layers are equal]",
        ),
        click.option(
            "--golden",
            type=click.Path(path_type=Path),
            metavar="FOLDER",
            help="Compare layer by layer with the activations that FOLDER holds as text (input.txt, out_layer0.txt, ...): the "
            "reference, and with --board the firmware.",
        ),
        click.option(
            "--board",
            "-b",
            "board_name",
            metavar="BOARD",
            help="One of `smelt boards`, or a .toml file; only --golden needs none.",
        ),
    ):
        command = option(command)
    return command


def adapter_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--adapter",
        help="OpenOCD: a command that chooses the adapter. pyOCD: its serial number. virtual: a simulated chip.",
    )(command)


def device_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where firmware runs; the command gets device and adapter as one name."""

    @click.option(
        "--device",
        type=click.Choice(["simulator", "qemu", "openocd", "pyocd"]),
        help="Where to run the firmware; openocd and pyocd program a real board.  [default: the simulator if it has the board's "
        "core, else QEMU]",
    )
    @adapter_option
    @functools.wraps(command)
    def wrapped(*args: Any, device: str | None, adapter: str | None, **kwargs: Any) -> Any:
        from smelt.devices.probes import named

        return command(*args, device=named(device, adapter), **kwargs)

    return wrapped


def sequence_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--sequence",
        is_flag=True,
        help="The inputs follow one another: what the model remembers is carried from each to the next. Else each begins anew.",
    )(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(JSON, "as_json", is_flag=True, help="Print JSON for programs, errors included.")(command)


def feed_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--feed", is_flag=True, help="The input comes in rows, one after the other, and never is whole in memory."
    )(command)


def build_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of every command that compiles."""

    @click.option(
        "--name",
        "names",
        multiple=True,
        help="Prefix of everything the C exports; of several networks once for each.  [default: network; several: their files']",
    )
    @click.option("--suite", help="Prefix of what several networks share.  [default: networks]")
    @click.option(
        "--labels", type=click.Path(path_type=Path), help="A text file with the name of a class on each line."
    )
    @click.option(
        "--compiler",
        type=click.Choice(["zig", "gcc", "none"]),
        default="zig",
        show_default=True,
        help="zig is the bundled one, gcc the cross-compiler on the PATH; none writes C only, and estimates sizes.",
    )
    @click.option(
        "--uart",
        is_flag=True,
        help="Firmware prints through the board's serial port (115200 baud), not through a debugger.",
    )
    @click.option(
        "--hello",
        "hellos",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Firmware brings this input along (a picture, recording, .npy or raw file; one for each input), computes it for ever "
        "where no debugger is there, and prints what comes of it through the serial port.",
    )
    @click.option(
        "--weights-image",
        is_flag=True,
        help="The weights are an image of their own, NAME_weights.bin, which another training of the network may replace.",
    )
    @click.option(
        "--replaces",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="An image of weights in the field: refuse a model that the C around it does not take.",
    )
    @feed_option
    @plan_options
    @functools.wraps(command)
    def wrapped(
        *args: Any,
        names: tuple[str, ...],
        suite: str | None,
        labels: Path | None,
        compiler: str,
        feed: bool,
        uart: bool,
        hellos: tuple[Path, ...],
        weights_image: bool,
        replaces: Path | None,
        options: dict[str, Any],
        **kwargs: Any,
    ) -> Any:
        if len(kwargs.get("models", ())) > 1:
            own = of_several(names, suite, labels, feed, uart or bool(hellos), weights_image or replaces is not None)
        else:
            own = of_one(names, suite, labels, feed) | {"uart": uart, "hello": hellos}
            own |= {"weights_image": weights_image, "replaces": read_weights_image(replaces)}
        return command(*args, options={**own, "compiler": compiler, **options}, **kwargs)

    return wrapped


PLAN_OPTIONS = (
    click.option(
        "--for",
        "goal",
        type=click.Choice(GOALS),
        default="balanced",
        show_default=True,
        help="speed spends RAM and flash on cycles, and so does energy (cycles times a constant of the board); ram and flash "
        "ask for the least of it.",
    ),
    click.option(
        "--input-type", type=click.Choice(EDGE_TYPES), help="What the network is given, whatever the file says."
    ),
    click.option(
        "--output-type",
        type=click.Choice(OUTPUT_TYPES),
        help="What it gives; class is the number of the greatest score.",
    ),
    click.option(
        "--input-picture",
        metavar="COLUMNSxROWS[:mean=M][:std=S][:size=COLUMNSxROWS][:resize=bilinear|nearest|area]",
        default="",
        help="The network is given pictures of this size as a camera has them, uint8, and the device resizes and scales them: "
        "(pixel - mean) / std. same: no resizing. What is left out is what the model's metadata says (docs/preparation.md).",
    ),
    click.option(
        "--input-sound",
        metavar="log-mel|mfcc[:rate=HZ][:window=MS][:stride=MS][:n_mels=N][:n_mfcc=N]...",
        default="",
        help="The network is given samples of int16, and the device computes features of them. stored: those of the model's "
        "metadata (docs/preparation.md).",
    ),
    click.option(
        "--layout",
        type=click.Choice(LAYOUTS),
        default="channels_last",
        show_default=True,
        help="How images at the edges of an ONNX model lie: as the network computes them, or as its file has them.",
    ),
    click.option(
        "--weight-type",
        type=click.Choice(WEIGHT_TYPES),
        help="How weights of float32 are stored: float16 takes half the flash; the arithmetic stays float32.",
    ),
    click.option("--max-ram", metavar="BYTES", help="Budget for all RAM: 20000, 57K (of 1024), 1M. Stack: estimated."),
    click.option("--max-flash", metavar="BYTES", help="Budget for code and constants."),
    click.option(
        "--region",
        "regions",
        metavar="NAME=SIZE",
        multiple=True,
        help="What may be taken of a memory: dtcm=64K; sram3=0 leaves it alone. May be given several times.",
    ),
    click.option(
        "--weights", metavar="flash|ram|NAME", default="", help="Where tables lie.  [default: as the goal has it]"
    ),
    click.option(
        "--effort",
        type=click.Choice(EFFORTS),
        default="normal",
        show_default=True,
        help="How hard planning tries. Ctrl-C takes the best plan so far.",
    ),
    click.option(
        "--log",
        "logs",
        multiple=True,
        type=click.Path(path_type=Path),
        help="A log of `smelt tune`: what was measured to be fastest is used. May be given several times; none: not even "
        "the log that smelt ships.",
    ),
)
"""Of every command that makes a plan, in the order in which `--help` has them."""


def plan_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with `PLAN_OPTIONS`, which it is given as `options`."""

    @functools.wraps(command)
    def wrapped(
        *args: Any,
        goal: str,
        input_type: str | None,
        output_type: str | None,
        input_picture: str,
        input_sound: str,
        layout: str,
        weight_type: str | None,
        max_ram: str | None,
        max_flash: str | None,
        regions: tuple[str, ...],
        weights: str,
        effort: str,
        logs: tuple[Path, ...],
        **kwargs: Any,
    ) -> Any:
        options: dict[str, Any] = {"goal": goal, "input_type": input_type, "output_type": output_type, "layout": layout}
        options |= {"max_ram": read_size(max_ram), "max_flash": read_size(max_flash), "log": read_logs(logs)}
        options |= {"weight_type": weight_type, "input_picture": input_picture, "input_sound": input_sound}
        options |= {"regions": read_regions(regions), "weights": weights, "effort": effort}
        return command(*args, options=options, **kwargs)

    return functools.reduce(lambda made, option: option(made), reversed(PLAN_OPTIONS), wrapped)


def of_one(names: tuple[str, ...], suite: str | None, labels: Path | None, feed: bool) -> dict[str, Any]:
    """What only a network alone has. Raises OptionError for what only several have."""
    if len(names) > 1 or suite is not None:
        given = "--suite" if suite is not None else f"{len(names)} times --name"
        raise OptionError(f"{given} is for several models, and one was given")
    return {"name": names[0] if names else "network", "labels": read_labels(labels), "feed": feed}


def of_several(
    names: tuple[str, ...], suite: str | None, labels: Path | None, feed: bool, speaks: bool, image: bool
) -> dict[str, Any]:
    """What only several networks have. Raises OptionError for what only one has."""
    if labels is not None:
        raise OptionError("--labels is for one model: firmware of several networks prints no classes")
    if speaks:
        raise OptionError("--uart and --hello are for one model: firmware of several networks prints nothing")
    if image:
        raise OptionError(
            "--weights-image and --replaces are for one model: networks that share memory share tables, too"
        )
    if feed:
        raise OptionError("--feed is for one model: between its rows, no other network may run")
    return {"names": names, **({} if suite is None else {"suite": suite})}


def read_size(text: str | None) -> int | None:
    """A size as users write it, in bytes; raises OptionError."""
    from smelt.planner.limits import size_of

    return None if text is None else size_of(text)


def read_regions(texts: tuple[str, ...]) -> dict[str, int]:
    """Regions as users write them; raises OptionError."""
    from smelt.planner.limits import regions_of

    return regions_of(texts) if texts else {}


def read_labels(file: Path | None) -> tuple[str, ...]:
    """The lines of a file; raises OptionError where it cannot be read."""
    if file is None:
        return ()
    try:
        return tuple(read(file, MOST_LABELS).decode().splitlines())
    except UnicodeDecodeError as error:
        raise OptionError(f"cannot read labels from '{printable(file)}': {error}") from None


def read_weights_image(file: Path | None) -> bytes | None:
    """The content of a file; raises OptionError where it cannot be read."""
    return None if file is None else read(file, MOST_IMAGE)


def read_logs(files: tuple[Path, ...]) -> TuningLog | None:
    """Tuning logs together, None for no files, an empty one for the word none. Tells users of damaged lines; raises OptionError
    where a file cannot be read."""
    if not files:
        return None
    from smelt.planner.log import TuningLog, damage

    log = TuningLog.empty
    for file in dict.fromkeys(file for file in files if str(file) != "none"):
        found = TuningLog.load(file)
        if told := damage(file, found):
            complain(f"note: {told}")
        log = log + found if log is not TuningLog.empty else found
    return log
