"""The commands that go through many inputs: `quantize` and `evaluate`. Heavy modules are imported inside, as in `cli.py`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smelt.commands.compiling import compiled, emit_json, find_board, show_warnings, stored_preparation
from smelt.commands.options import RealRange, json_option, model_argument
from smelt.errors import Mismatch, OptionError

if TYPE_CHECKING:
    from smelt.inputs.datasets import Dataset
    from smelt.inputs.preparation import Preparation
    from smelt.model.graph import Graph

    Given = Callable[[Preparation], Preparation]
    """The preparation that users gave, completed by what a file says of it."""

LAYOUTS = ("channels_last", "channels_first")  # as below, of modules that import NumPy
METHODS = ("minmax", "percentile", "mse", "entropy")


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where inputs are, and how they are prepared: the command gets `data`, `given` and `limit`."""

    @click.option(
        "--data",
        type=click.Path(path_type=Path),
        required=True,
        help="A .npz archive (x, and y where there are labels), or a folder of pictures, .wav or .npy files; folders in it are "
        "classes.",
    )
    @click.option("--mean", help="Taken off pixels of 0 to 255: one number, or one for each channel.")
    @click.option("--std", help="What pixels are divided by then. Without both: as `smelt run` takes pictures.")
    @click.option("--size", metavar="COLUMNSxROWS", help="Resize pictures to this; the middle of it is taken.")
    @click.option("--layout", type=click.Choice(LAYOUTS), help="How images lie in arrays.  [default: channels_last]")
    @click.option(
        "--sound",
        metavar="log-mel|mfcc[:FIELD=NUMBER]...",
        help="Features of .wav files, as --input-sound of `smelt compile` has them (docs/preparation.md).",
    )
    @functools.wraps(command)
    def wrapped(
        *args: Any,
        mean: str | None,
        std: str | None,
        size: str | None,
        layout: str | None,
        sound: str | None,
        **kwargs: Any,
    ) -> Any:
        def given(stored: Preparation) -> Preparation:
            from smelt.inputs.preparation import preparation
            from smelt.inputs.sounds import sound_spec

            found = preparation(mean, std, size, layout, stored)
            return found if sound is None else replace(found, sound=sound_spec(sound))

        return command(*args, given=given, **kwargs)

    return wrapped


@click.command("quantize", short_help="A float model and data to an int8 ONNX file.")
@model_argument
@data_options
@click.option("--out", "-o", type=click.Path(path_type=Path), help="The .onnx file.  [default: MODEL_int8.onnx]")
@click.option(
    "--method", type=click.Choice(METHODS), default="minmax", show_default=True, help="What makes ranges of values."
)
@click.option(
    "--percentile", default=99.99, show_default=True, type=RealRange(90, 100), help="For --method percentile."
)
@click.option(
    "--weight-bits",
    type=click.Choice(["8", "4", "auto"]),
    default="8",
    show_default=True,
    help="4: but for the most sensitive layers (--kept-wide); auto: for layers that can do with it.",
)
@click.option(
    "--kept-wide",
    default=6.25,
    show_default=True,
    type=RealRange(0, 100),
    help="Of the weights, the percentage that may stay 8 bits with --weight-bits 4.",
)
@click.option(
    "--least-sqnr",
    default=25.0,
    show_default=True,
    type=RealRange(0, 100),
    help="What auto keeps of the outputs, in dB above the noise.",
)
@click.option(
    "--rounding",
    type=click.Choice(["nearest", "adaptive"]),
    help="Of weights: each for itself, or so that sums are right.  [default: adaptive for 4 bits]",
)
@click.option("--equalize", is_flag=True, help="First scale channels between layers so that their weights are alike.")
@click.option("--no-correction", is_flag=True, help="Do not correct biases for the mean error of their sums.")
@click.option("--int16", "wide", multiple=True, metavar="LAYER", help="Activations of this layer are int16: its name.")
@click.option(
    "--limit", default=500, show_default=True, type=click.IntRange(1), help="Use at most so many inputs, evenly spread."
)
@json_option
def quantize_command(
    model: Path,
    data: Path,
    given: Given,
    out: Path | None,
    limit: int,
    as_json: bool,
    wide: tuple[str, ...],
    equalize: bool,
    no_correction: bool,
    kept_wide: float,
    **chosen: Any,
) -> None:
    """Quantise the float MODEL (.tflite or .onnx), with DATA to see what its values are, and write an .onnx file of integers.

    `smelt compile` and other tools read the file. How pictures were prepared is kept in it: `smelt run` and `smelt evaluate` do the
    same.
    """
    from smelt.files import check_output, write
    from smelt.importers import load
    from smelt.quantization.quantize import Settings, quantise
    from smelt.report.judging import quantised_summary, show_quantised, stages

    target = out or Path(f"{model.stem}_int8.onnx")
    check_output(target, model, data)
    graph = load(model)
    prepared = given(stored_preparation(model))
    few = read_data(data, graph, prepared).chosen(limit).within_memory()
    settings = Settings(
        **chosen,
        kept_wide=kept_wide / 100,
        equalise=equalize,
        correct=not no_correction,
        int16=wide,
        metadata=prepared.as_metadata(),
    )
    with stages() as report:
        found = quantise(graph, few.stacked(), settings, report)
    write(target, found.file)
    emit_json("quantize", quantised_summary(found, target)) if as_json else show_quantised(found, target)
    show_warnings(found.graph.remarks)


@click.command("evaluate", short_help="Accuracy, confusion and agreement on data.")
@model_argument
@data_options
@click.option("--board", "-b", "board_name", metavar="BOARD", help="The firmware on this board as well, simulated.")
@click.option(
    "--against", type=click.Path(path_type=Path), help="Another model to compare with, such as the float one."
)
@click.option("--limit", type=click.IntRange(1), help="Judge at most so many inputs, evenly spread.")
@click.option("--worst", default=10, show_default=True, type=click.IntRange(0, 1000), help="So many worst inputs.")
@json_option
def evaluate_command(
    model: Path,
    data: Path,
    given: Given,
    board_name: str | None,
    against: Path | None,
    limit: int | None,
    worst: int,
    as_json: bool,
) -> None:
    """Judge MODEL on DATA: its accuracy and confusion where there are labels, its agreement with another model, the worst inputs.

    Exit code 8 if the firmware's numbers differ from the reference's.
    """
    from smelt.importers import load
    from smelt.report.evaluate import evaluate
    from smelt.report.judging import show_evaluation, stages

    if board_name is not None:
        find_board(board_name)
    graph = load(model)
    prepared = given(stored_preparation(model))

    def inputs(of: Graph) -> Dataset:
        found = read_data(data, of, prepared)
        return found if limit is None else found.chosen(limit)

    judged = inputs(graph)
    other = None if against is None else load(against)
    beside = None if other is None else (other, inputs(other))
    compilation = None if board_name is None else compiled(model, board_name, {})
    with stages() as report:
        found = evaluate(graph, judged, report, beside, compilation)
    emit_json("evaluate", found.summary(worst)) if as_json else show_evaluation(found, worst)
    if found.differing:
        raise Mismatch(f"firmware and reference differ on {found.differing} of {len(found.sources)} input(s)")


def read_data(path: Path, graph: Graph, prepared: Preparation) -> Dataset:
    """The data set, whose errors are about files."""
    from smelt.inputs.datasets import dataset

    try:
        return dataset(path, graph, prepared)
    except OSError as error:
        raise OptionError(f"cannot read {path}: {error.strerror}") from None
