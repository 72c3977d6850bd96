"""`smelt export`: a network as a package. Heavy modules are imported inside the functions, as in `cli.py`."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smelt.commands.compiling import compiled, emit_json, find_board, host_preparation
from smelt.commands.options import EXPORTS, board_option, build_options, json_option, models_argument
from smelt.errors import OptionError

if TYPE_CHECKING:
    from smelt.firmware.exports import Label
    from smelt.inputs.preparation import Preparation
    from smelt.model.graph import Array, Graph
    from smelt.report.export import Exported


def _of_several(*arguments: Any, **options: Any) -> None:
    raise OptionError(
        "a package has one network, and several models were given: export each for itself, or, where they share memory, "
        "`smelt compile MODEL... --out FOLDER`"
    )


@click.command("export", short_help="A package for Arduino, PlatformIO, Zephyr, ESP-IDF, CMSIS, CMake, ...")
@click.argument("format", type=click.Choice(EXPORTS), metavar="FORMAT")
@board_option
@click.option(
    "--out", "-o", required=True, type=click.Path(path_type=Path), help="Folder for the package: empty, or of the same."
)
@click.option("--package-version", "version", default="1.0.0", show_default=True, help="Of the package: three numbers.")
@click.option(
    "--license",
    metavar="ID",
    help="SPDX licence of the package, such as MIT. Generated code is yours.  [default: no statement]",
)
@click.option("--publisher", metavar="NAME", default="user", show_default=True, help="Author, maintainer, vendor.")
@click.option("--url", metavar="URL", default="", help="Page of the package.")
@click.option(
    "--date",
    "day",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="YYYY-MM-DD",
    help="Of the release, in formats that have one.  [default: today]",
)
@click.option(
    "--input",
    "-i",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="What the self-test computes: a picture, recording, .npy or raw file for each input.  [default: random numbers]",
)
@click.option("--no-run", is_flag=True, help="Do not run the firmware: figures are estimates then.")
@build_options
@models_argument(_of_several)
@json_option
def export_command(
    format: str,
    model: Path,
    board_name: str,
    out: Path,
    version: str,
    license: str | None,
    publisher: str,
    url: str,
    day: datetime | None,
    files: tuple[Path, ...],
    no_run: bool,
    options: dict[str, Any],
    as_json: bool,
) -> None:
    """Compile MODEL for a board, and write a package that a project of yours takes as it is.

    FORMAT is one of c, single-file, cmake, arduino, platformio, zephyr, esp-idf, cmsis-pack, stm32cube, mlf, mlperf-tiny. Each has
    the C, a README with figures, a licence, an example, and a self-test behind a macro: an input and the outputs that it must give,
    which the firmware gave on the simulated board. In place of the example, mlperf-tiny has firmware for the benchmark's runner.
    """
    from smelt.firmware.exports import cluster_advice
    from smelt.firmware.names import check_name
    from smelt.report.export import check_export, export
    from smelt.report.summary import basis
    from smelt.report.terminal import working

    label = _label(version, license, publisher, url, day)
    check_name(options["name"])
    board = find_board(board_name)
    if board.chip.cluster is not None:
        raise OptionError(cluster_advice(board.name))
    check_export(format, options["name"], label, out)
    compilation = compiled(model, board_name, options | _firmware(format, publisher, options))
    with working(f"exporting {model.name} as {format}"):
        exported = export(
            compilation,
            format,
            model,
            out,
            label=label,
            inputs=_golden(files, compilation.model, host_preparation(model, options)),
            labels=options["labels"],
            options=_said(options, no_run),
            simulate=not no_run,
        )
    emit_json("export", exported.summary(), basis(compilation)) if as_json else _show(exported)


def _firmware(format: str, publisher: str, options: dict[str, Any]) -> dict[str, Any]:
    """What compiling is told for formats that have firmware."""
    from smelt.firmware.exports import format_named
    from smelt.firmware.mlperf import Mlperf

    if not format_named(format).firmware:
        return {}
    if options["compiler"] == "none":
        raise OptionError(
            f"{format} has firmware, and --compiler none makes C only: use --compiler zig or --compiler gcc"
        )
    return {"mlperf": Mlperf(publisher)}


def _label(version: str, license: str | None, publisher: str, url: str, day: datetime | None) -> Label:
    from smelt.firmware.exports import Label

    stated = {} if license is None else {"license": license}
    return Label(version=version, publisher=publisher, url=url, day=day.date() if day else date.today(), **stated)


def _golden(files: tuple[Path, ...], graph: Graph, preparation: Preparation | None) -> tuple[Array, ...] | None:
    """The inputs of the self-test that users gave. Raises OptionError where they are several runs."""
    from smelt.inputs import read_inputs

    if not files:
        return None
    runs = read_inputs(files, graph, preparation)
    if len(runs) != 1:
        raise OptionError(f"the self-test is one inference, and --input gives {len(runs)}")
    return runs[0]


def _said(options: dict[str, Any], no_run: bool) -> dict[str, str]:
    """What a user asked for beside what there is without a word."""
    silent = {"goal": "balanced", "compiler": "zig", "effort": "normal", "layout": "channels_last"}
    apart = ("name", "labels", "log", "replaces")
    kept = {k: v for k, v in options.items() if k not in apart and v and v != silent.get(k)}
    texts = {key: _typed(v) for key, v in kept.items()}
    if options["log"] is not None:
        texts["log"] = f"{len(options['log'].measurements)} measurements"
    names = {"goal": "for", "regions": "region"}
    return {f"--{names.get(key, key).replace('_', '-')}": text for key, text in texts.items()} | (
        {"--no-run": "True"} if no_run else {}
    )


def _typed(value: Any) -> str:
    """The value of an option as users wrote it; of files their names."""
    if isinstance(value, dict):
        return ",".join(f"{name}={size}" for name, size in value.items())
    return ",".join(file.name for file in value) if isinstance(value, tuple) else str(value)


def _show(exported: Exported) -> None:
    from smelt.report.terminal import line, table

    package = exported.package
    line(f"{package.name} {package.label.version} as {exported.format.name}: {exported.format.summary}")
    rows = [
        (f.what, f"{f.value:,.2f}" if isinstance(f.value, float) else f.value, f.unit, f.how) for f in package.figures
    ]
    table("", ("figure", "value", "", ""), rows, right=(1,))
    line(f"{len(exported.files)} files written to {exported.folder}: begin with README.md")
