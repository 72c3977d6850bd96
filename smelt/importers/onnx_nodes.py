"""What an ONNX file holds, as smelt reads it: nodes, constants and edges; names of values are unique."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from smelt.errors import printable
from smelt.model.graph import Array

AI_ONNX, MICROSOFT = "", "com.microsoft"

Attribute = int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | Array


@dataclass(frozen=True, eq=False)
class Node:
    """One operator of the file. Absent optional inputs and outputs are empty strings; `domain` is "" for ONNX's own."""

    index: int
    op: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    version: int = 1

    @property
    def code(self) -> str:
        """The operator with its domain, where that is not ONNX's own."""
        return f"{self.domain}.{self.op}" if self.domain else self.op

    @property
    def where(self) -> str:
        """The operator as messages name it."""
        name = printable(self.name or next((y for y in self.outputs if y), ""))
        return f"operator {self.index} {self.code}" + (f" '{name}'" if name else "")


@dataclass(frozen=True, eq=False)
class Edge:
    """An input or output of the graph. Axes of unknown size are their names, or empty strings; None where no shape is said."""

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None


@dataclass(frozen=True, eq=False)
class Quantised:
    """Integers that a constant of reals was made from: real = scales * (stored - zeros), one for all or one along `axis`."""

    stored: Array
    scales: np.ndarray[Any, np.dtype[np.float32]]
    zeros: np.ndarray[Any, np.dtype[np.int64]]
    axis: int | None
    dtype: str

    @property
    def centred(self) -> Array:
        """The integers with the zero points taken off."""
        return np.asarray(self.stored.astype(np.int64) - along(self.zeros, self.axis, self.stored.ndim))


@dataclass(frozen=True, eq=False)
class Constant:
    """A known value. Reals are float32, whatever width the file gives them; `quantised` is what they were made from."""

    data: Array
    quantised: Quantised | None = None
    packed: str = ""  # the element type where NumPy has none

    @property
    def dtype(self) -> str:
        """The element type."""
        return self.packed or self.data.dtype.name

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.data.shape)


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """A file as it is, its metadata left out."""

    producer: str
    opsets: Mapping[str, int]
    nodes: tuple[Node, ...]
    constants: Mapping[str, Constant]
    inputs: tuple[Edge, ...]
    outputs: tuple[Edge, ...]


def along(values: Array, axis: int | None, rank: int) -> Array:
    """One number, or numbers along an axis, so that they broadcast against an array of that rank."""
    if axis is None or values.size == 1:
        return values.reshape(())
    return values.reshape([-1 if a == axis else 1 for a in range(rank)])
