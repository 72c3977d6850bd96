"""How a report is made of a compilation: one inference, the plan as it is looked at, what the log knows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from smelt.compile import Compilation, measured
from smelt.firmware.sources import smelt_version
from smelt.firmware.toolchain import toolchain
from smelt.inputs import random_inputs
from smelt.report.execute import execute
from smelt.report.plan_view import look
from smelt.report.profile import Profile, profile
from smelt.report.story import OnBoard, Option, Report, story


def run_once(compilation: Compilation) -> Profile:
    """What one inference costs on the simulated board."""
    return profile(compilation, execute(compilation, random_inputs(compilation.model, 1)).run)


def make_report(
    compilation: Compilation,
    model: Path,
    options: Mapping[str, Any],
    boards: Sequence[OnBoard],
    given: Sequence[Option],
    curve: bool,
) -> Report:
    """The report of a compilation of the file `model` by `options`, of which those that were `given` are named."""
    board = compilation.plan.board
    return story(
        compilation,
        run_once(compilation),
        look(compilation, options["log"], options["goal"], curve=curve and not options["feed"]),
        measured(options["log"], board, options["compiler"]),
        boards,
        given,
        toolchain(board, options["compiler"]),
        hashlib.sha256(model.read_bytes()).hexdigest(),
        smelt_version(),
    )
