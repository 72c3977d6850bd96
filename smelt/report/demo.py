"""`demo`: the int8 ResNet-8 that ships with smelt classifies a picture on a simulated board."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from smelt.compile import compile
from smelt.errors import OptionError, printable
from smelt.firmware.build import Compiler
from smelt.inputs import read_inputs
from smelt.nouns import Noun
from smelt.report.execute import Execution, execute
from smelt.report.profile import Profile, profile
from smelt.targets.types import Board

ASSETS = files("smelt").joinpath("assets")


@dataclass(frozen=True)
class DemoSummary(Noun):
    """What the firmware printed about a picture, and what one inference costs."""

    picture: str
    prediction: str
    profile: Profile


@dataclass(frozen=True, eq=False)
class Demo(Noun):
    """What the firmware said of a picture, and what that cost."""

    picture: str
    execution: Execution
    profile: Profile

    @property
    def prediction(self) -> str:
        """The line that the firmware printed."""
        return self.execution.run.text.strip()

    def summary(self) -> DemoSummary:
        return DemoSummary(self.picture, self.prediction, self.profile)


def class_names() -> tuple[str, ...]:
    """The ten classes of CIFAR-10, in the model's order."""
    return tuple(ASSETS.joinpath("cifar10.txt").read_text("utf-8").split())


def demo(picture: str, board: Board, compiler: Compiler = "zig") -> Demo:
    """Compile, simulate, listen. `picture` is a class of CIFAR-10 or a file. Raises OptionError where it is neither."""
    labels = class_names()
    with as_file(ASSETS) as folder:
        file = folder / f"{picture}.png" if picture in labels else Path(picture)
        if not os.path.isfile(file):
            raise OptionError(f"no picture '{printable(picture)}': give a file, or one of {', '.join(labels)}")
        compilation = compile(folder / "resnet8.tflite", board, labels=labels, compiler=compiler)
        execution = execute(compilation, read_inputs((file,), compilation.model))
    return Demo(file.name, execution, profile(compilation, execution.run))
