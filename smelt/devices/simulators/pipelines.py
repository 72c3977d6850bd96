"""The models of the cores' pipelines, by the names that `CoreTiming` calls them: a new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from smelt.devices.simulators.decode import Decoder, Op
from smelt.devices.simulators.pipeline import Pipeline
from smelt.devices.simulators.pipeline_m0plus import M0Plus
from smelt.devices.simulators.pipeline_m3 import M3
from smelt.devices.simulators.pipeline_m4 import M4
from smelt.devices.simulators.pipeline_m7 import M7
from smelt.devices.simulators.pipeline_m33 import M33
from smelt.devices.simulators.pipeline_riscv import Riscv, decode_riscv
from smelt.targets.types import CoreTiming


@dataclass(frozen=True)
class PipelineModel:
    """How the time of a pipeline is found. `sources` are the files of this folder that only such models are made of."""

    name: str
    create: Callable[[CoreTiming], Pipeline[Any]]
    decoder: Callable[[], Callable[[bytes, int], tuple[Op, ...]]]
    sources: tuple[str, ...]


MODELS = (
    PipelineModel("m0plus", M0Plus, lambda: Decoder().block, ("decode.py", "pipeline_m0plus.py")),
    PipelineModel("m3", M3, lambda: Decoder().block, ("decode.py", "pipeline_m4.py", "pipeline_m3.py")),
    PipelineModel("m4", M4, lambda: Decoder().block, ("decode.py", "pipeline_m4.py")),
    PipelineModel("m7", M7, lambda: Decoder().block, ("decode.py", "pipeline_m7.py")),
    PipelineModel("m33", M33, lambda: Decoder().block, ("decode.py", "pipeline_m33.py")),
    PipelineModel("riscv", Riscv, lambda: decode_riscv, ("pipeline_riscv.py",)),
)


def model_of(timing: CoreTiming) -> PipelineModel:
    """The model of a core's pipeline."""
    return next(m for m in MODELS if m.name == timing.pipeline)
