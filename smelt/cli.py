"""The command line. Heavy modules are imported inside the commands, so that `smelt --help` is immediate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smelt.commands import suite
from smelt.commands.about import boards_command, doctor_command, ops_command, schema_command
from smelt.commands.boards import flash_command, profile_board, run_alone
from smelt.commands.compiling import (
    compiled,
    emit_json,
    find_board,
    firmware,
    host_preparation,
    show_notes,
    show_warnings,
)
from smelt.commands.data import evaluate_command, quantize_command
from smelt.commands.export import export_command
from smelt.commands.group import EXIT_CODES, Commands
from smelt.commands.options import (
    board_option,
    build_options,
    device_option,
    feed_option,
    golden_options,
    json_option,
    model_argument,
    models_argument,
    plan_options,
    sequence_option,
)
from smelt.commands.report import report_command
from smelt.commands.tuning import tune_command, worker_command
from smelt.errors import OptionError

if TYPE_CHECKING:
    from smelt.devices.choose import Device
    from smelt.firmware.build import Compiler
    from smelt.report.golden import Order as GoldenOrder


@click.group(cls=Commands, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="smelt")
def main() -> None:
    """A trained model in, bare-metal firmware out.

    smelt turns a .tflite or .onnx file into C99 specialised for the model and the chip, builds firmware from it, and runs that
    firmware on a simulated copy of the board. No board and no network are needed.
    """


@main.command("compile", short_help="Model file to C library and firmware.")
@board_option
@click.option("--out", "-o", type=click.Path(path_type=Path), help="Folder for the C library and firmware.elf.")
@click.option("--keep", type=click.Path(path_type=Path), help="Folder for everything on the way, as readable files.")
@build_options
@models_argument(suite.compile)
@json_option
def compile_command(
    model: Path, board_name: str, out: Path | None, keep: Path | None, options: dict[str, Any], as_json: bool
) -> None:
    """Compile MODEL for a board.

    Without --out nothing is written: the sizes are reported, and whether everything fits.
    """
    from smelt.report.summary import basis, compile_summary
    from smelt.report.terminal import show_compile

    compilation = compiled(model, board_name, options)
    if out is not None:
        compilation.save(out)
    if keep is not None:
        compilation.keep(keep)
    summary = compile_summary(compilation)
    emit_json("compile", summary, basis(compilation)) if as_json else show_compile(summary, out)


@main.command("run", short_help="Run inputs through the firmware on a simulated board.")
@board_option
@click.option(
    "--input",
    "-i",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A picture, recording, .npy or raw file; one for each input of the model. Not needed with --hello.",
)
@click.option(
    "--times",
    default=3,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="With --hello and no --input: switch the board off after so many inferences.",
)
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Save the outputs as .npy.")
@sequence_option
@device_option
@build_options
@models_argument(suite.run)
@json_option
def run_command(
    model: Path,
    board_name: str,
    files: tuple[Path, ...],
    times: int,
    output: Path | None,
    sequence: bool,
    device: Device | None,
    options: dict[str, Any],
    as_json: bool,
) -> None:
    """Run MODEL's firmware on the simulated board with real inputs, and print what it says and computes.

    With --hello FILE and no --input, print what the board says through its serial port when it is switched on and left alone.
    """
    if not files:
        run_alone(model, board_name, times, device, options, as_json)
        return
    from smelt.inputs import read_inputs
    from smelt.report.execute import execute
    from smelt.report.output import save_outputs
    from smelt.report.summary import basis
    from smelt.report.terminal import show_run, working

    find_board(board_name)
    compilation = firmware(model, board_name, options, device)
    inputs = read_inputs(files, compilation.model, host_preparation(model, options))
    with working(f"running {len(inputs)} inference(s)"):
        result = execute(compilation, inputs, device=device, sequence=sequence)
    if output is not None:
        save_outputs(result, output)
    emit_json("run", result.summary(), basis(compilation)) if as_json else show_run(result)


@main.command("verify", short_help="Compare the firmware with an oracle, bit for bit.")
@golden_options
@click.option("--inputs", "-n", "count", default=10, show_default=True, type=click.IntRange(0), help="Random inputs.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the random inputs.")
@click.option("--input", "-i", "files", multiple=True, type=click.Path(path_type=Path), help="Real inputs as well.")
@click.option(
    "--oracle",
    type=click.Choice(["reference", "tflm", "onnxruntime"]),
    default="reference",
    show_default=True,
    help="smelt's NumPy reference, or, on the file itself, TensorFlow Lite Micro (.tflite) or onnxruntime (.onnx).",
)
@click.option(
    "--layers", is_flag=True, help="Run operator by operator and name the first layer that differs (reference only)."
)
@sequence_option
@device_option
@build_options
@models_argument(suite.verify)
@json_option
def verify_command(
    model: Path,
    board_name: str | None,
    golden: Path | None,
    order: GoldenOrder | None,
    count: int,
    seed: int,
    files: tuple[Path, ...],
    oracle: str,
    layers: bool,
    sequence: bool,
    device: Device | None,
    options: dict[str, Any],
    as_json: bool,
) -> None:
    """Run MODEL's firmware on random inputs (and real ones) and compare every output value with an oracle, or layer by layer with
    what another tool wrote (--golden).

    Exit code 8 if a single value differs.
    """
    from smelt.commands.golden import verify_golden

    if golden is not None:
        verify_golden(model, board_name, golden, order, device, options, as_json)
        return
    if board_name is None or order is not None:
        raise OptionError(
            "give --board" if board_name is None else "--golden-order is about --golden, which is missing"
        )
    from smelt.errors import Mismatch
    from smelt.inputs import random_inputs, read_inputs
    from smelt.report.layers import LayerVerification, verify_layers
    from smelt.report.summary import basis
    from smelt.report.terminal import show_verification, working
    from smelt.report.verify import Verification, verify

    if layers and oracle != "reference":
        raise OptionError("--layers compares with the reference: other oracles do not show what is between layers")

    find_board(board_name)
    compilation = firmware(model, board_name, options, device)
    inputs = random_inputs(compilation.model, count, seed) + (
        read_inputs(files, compilation.model, host_preparation(model, options)) if files else []
    )
    if not inputs:
        raise OptionError("nothing to verify: give --inputs above 0 or --input FILE")
    with working(f"verifying {len(inputs)} input(s) against {oracle}"):
        verification: LayerVerification | Verification
        if layers:
            verification = verify_layers(compilation, inputs, sequence=sequence, device=device)
        else:
            verification = verify(compilation, inputs, oracle, model, device, sequence)
    if as_json:
        emit_json("verify-layers" if layers else "verify", verification, basis(compilation))
    else:
        show_verification(verification)
    if verification.first is not None:
        raise Mismatch(verification.verdict)


@main.command("profile", short_help="Where instructions, RAM and flash go, step by step.")
@board_option
@click.option("--curve", is_flag=True, help="Instead, what RAM, flash and cycles can be had together. Nothing is run.")
@click.option(
    "--share",
    type=click.Path(path_type=Path),
    help="Of a real board: write its cycles, step by step, into a file that you may send in; it has no weights and no names.",
)
@device_option
@build_options
@models_argument(suite.profile)
@json_option
def profile_command(
    model: Path,
    board_name: str,
    curve: bool,
    share: Path | None,
    device: Device | None,
    options: dict[str, Any],
    as_json: bool,
) -> None:
    """Run one inference on the simulated board and show what every step costs.

    With --device openocd or pyocd, the real board counts, and the simulator's figures stand beside.
    """
    from smelt.devices.probes import is_probe

    if share is not None and not is_probe(device):
        raise OptionError("--share is what a real board has counted: give --device openocd or pyocd, too")
    if curve:
        show_trade_offs(model, board_name, options, as_json)
        return
    if device is not None and is_probe(device):
        profile_board(model, board_name, share, device, options, as_json)
        return
    from smelt.inputs import random_inputs
    from smelt.report.execute import execute
    from smelt.report.profile import profile
    from smelt.report.summary import basis
    from smelt.report.terminal import show_profile, working

    compilation = firmware(model, board_name, options, device)
    with working("simulating one inference"):
        result = execute(compilation, random_inputs(compilation.model, 1), device=device)
    figures = profile(compilation, result.run)
    emit_json("profile", figures, basis(compilation)) if as_json else show_profile(figures)


def show_trade_offs(model: Path, board_name: str, options: dict[str, Any], as_json: bool) -> None:
    """Print the trade-off curve of a model. Raises OptionError for plans of other kinds than it has."""
    from smelt.network import Wanted
    from smelt.report.curve import show_curve, trade_off
    from smelt.report.terminal import working

    if options["feed"] or options["weights_image"]:
        other = "--feed" if options["feed"] else "--weights-image"
        raise OptionError(
            f"--curve has no plans with {other}: compile with it and --for and budgets, and compare profiles"
        )
    board = find_board(board_name)
    same = ("compiler", "log", "max_ram", "max_flash", "regions", "weights", "effort")
    with working(f"choosing for {model.name} on {board.name}"):
        result = trade_off(model, board, **{key: options[key] for key in same}, wanted=Wanted.of(options))
    show_notes(result.notes)
    emit_json("curve", result) if as_json else show_curve(result)


@main.command("plan", short_help="Memory over time: what lies where, what the peak is, what budgets buy.")
@model_argument
@board_option
@click.option("--html", "page", type=click.Path(path_type=Path), help="Draw it: a page in one file.")
@click.option(
    "--no-curve", is_flag=True, help="Leave out what other budgets would buy, which takes longest; so does --feed."
)
@feed_option
@plan_options
@json_option
def plan_command(
    model: Path, board_name: str, page: Path | None, no_curve: bool, feed: bool, options: dict[str, Any], as_json: bool
) -> None:
    """Plan MODEL for a board, as `compile` does, and show its memories while it runs. Nothing is built.

    In the page: boxes are tensors, scratch and tables, from left to right the steps in which they are alive, from the bottom to the
    top their addresses. Click on anything, or press the keys that it tells.
    """
    from smelt.files import check_output
    from smelt.report.plan_chart import show_plan
    from smelt.report.plan_page import save_page
    from smelt.report.plan_view import look
    from smelt.report.summary import basis
    from smelt.report.terminal import working

    if page is not None:
        check_output(page, model)
    compilation = compiled(model, board_name, {**options, "feed": feed, "compiler": "none"})
    with working(f"what budgets buy for {model.name} on {board_name}"):
        view = look(compilation, options["log"], options["goal"], curve=not no_curve and not feed)
    if page is not None:
        save_page(view, page)
    emit_json("plan", view, basis(compilation)) if as_json else show_plan(view, page)


@main.command("inspect", short_help="What a model file contains, and what is unsupported and why.")
@model_argument
@json_option
def inspect_command(model: Path, as_json: bool) -> None:
    """Show the operators, shapes, quantisation and MACs of MODEL. Needs no board and no compiler.

    Exit code 3 or 4, as of `compile`, if smelt cannot compile the model; the reasons are listed.
    """
    from smelt.compile import inspect
    from smelt.report.summary import Told
    from smelt.report.terminal import show_model

    inspection = inspect(model)
    summary = inspection.summary
    if as_json:
        emit_json("inspect", summary, Told(summary.macs, inspection.warnings))
    else:
        show_model(summary)
    show_warnings(inspection.warnings)
    if inspection.refusal is not None:
        sys.exit(inspection.refusal.exit_code)


@main.command("demo", short_help="Classify a picture on a simulated board.")
@click.option(
    "--picture", default="frog", show_default=True, help="A CIFAR-10 class, or a picture file of 32x32 pixels."
)
@click.option("--board", "-b", "board_name", metavar="BOARD", help="By default one with a display.")
@click.option("--compiler", type=click.Choice(["zig", "gcc"]), default="zig", show_default=True)
@json_option
def demo_command(picture: str, board_name: str | None, compiler: Compiler, as_json: bool) -> None:
    """Compile the int8 ResNet-8 that ships with smelt, and let its firmware classify a picture on the simulated board."""
    from smelt.report.demo import demo
    from smelt.report.terminal import show_demo, working
    from smelt.targets.boards import DEMO

    board = find_board(board_name) if board_name else DEMO
    with working(f"compiling ResNet-8 for {board.name} and simulating it"):
        result = demo(picture, board, compiler)
    emit_json("demo", result.summary()) if as_json else show_demo(result)


for command in (
    export_command,
    flash_command,
    quantize_command,
    evaluate_command,
    report_command,
    tune_command,
    worker_command,
    boards_command,
    ops_command,
    doctor_command,
    schema_command,
):
    main.add_command(command)
