"""A model as its file has it, as users want it, and as it is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # `import smelt` stays light
    from pathlib import Path

    from smelt.importers import Layout
    from smelt.model.graph import Graph
    from smelt.passes.edge_types import EdgeType, OutputType
    from smelt.passes.weight_types import WeightType
    from smelt.targets.types import Board


@dataclass(frozen=True)
class Wanted:
    """What users want of a network beside what its file says, as `smelt.compile` takes it: types at its edges and of its weights,
    how images at the edges of ONNX models lie, what is done to pictures or sounds before it."""

    input_type: EdgeType | None = None
    output_type: OutputType | None = None
    layout: Layout = "channels_last"
    weight_type: WeightType | None = None
    input_picture: str = ""
    input_sound: str = ""

    @staticmethod
    def of(options: Mapping[str, Any]) -> Wanted:
        """Those of many options that are about it."""
        return Wanted(**{field.name: options[field.name] for field in fields(Wanted)})

    @property
    def prepares(self) -> bool:
        """Whether what is done to inputs before the network is part of it."""
        return bool(self.input_picture or self.input_sound)


AS_IT_IS = Wanted()


@dataclass(frozen=True, eq=False)
class Network:
    """A model as its file has it, but for what users want otherwise, as it is computed, and what its author should know."""

    model: Graph
    graph: Graph
    warnings: tuple[str, ...]


def read_network(path: Path | str, board: Board, wanted: Wanted, exchanged: bool = False) -> Network:
    """Read a model, as it is computed on a board; `exchanged` weights are those of one training of several. Raises ModelError,
    Unsupported, OptionError."""
    from smelt.importers import load
    from smelt.inputs.before import with_preparation
    from smelt.passes import prepare
    from smelt.passes.edge_types import with_edge_types
    from smelt.passes.sums import wrapping_sums
    from smelt.passes.weight_types import with_weight_type
    from smelt.passes.wider_channels import whole_words, widen_channels

    model = with_edge_types(load(path, wanted.layout), wanted.input_type, wanted.output_type)
    model = with_weight_type(model, wanted.weight_type)
    model = with_preparation(model, path, wanted.input_picture, wanted.input_sound)
    graph = prepare(model, exchanged)
    if board.chip.cluster is not None:  # its cores share banks of memory
        graph = widen_channels(graph, whole_words).check()
    return Network(model, graph, (*model.remarks, *wrapping_sums(graph)))
