"""One operator of an ONNX file, as the functions that convert it ask for its operands and attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import NoReturn

import numpy as np

from smelt.errors import ModelError
from smelt.importers.onnx_bench import MOST_ELEMENTS, Bench, Refusal
from smelt.importers.onnx_nodes import Constant, Node
from smelt.importers.onnx_views import Promise, Source, View, plain
from smelt.model.graph import Tensor

REAL = "float32"


class Site:
    """Operands by place, attributes by name, results by `give`. What is missing or wrong is a ModelError, what smelt cannot do a
    Refusal."""

    def __init__(self, bench: Bench, node: Node) -> None:
        self.bench, self.node = bench, node

    @property
    def version(self) -> int:
        """The version of the operator set that the node's operator is of."""
        return self.node.version

    @property
    def wish(self) -> str:
        """The name that the first result has in the file."""
        return next((name for name in self.node.outputs if name), "value")

    def broken(self, message: str) -> NoReturn:
        """The file contradicts itself."""
        raise ModelError(message)

    def refuse(self, message: str) -> NoReturn:
        """The file is sound, but this cannot be compiled."""
        raise Refusal(message)

    def demand(self, condition: bool, message: str) -> None:
        """Refuse unless the condition holds."""
        if not condition:
            self.refuse(message)

    # Operands

    def has(self, place: int) -> bool:
        """Whether an optional operand is there."""
        return place < len(self.node.inputs) and self.node.inputs[place] != ""

    def any(self, place: int) -> Constant | View:
        """An operand that must be there."""
        if not self.has(place):
            self.broken(f"its operand {place} is missing")
        return self.bench.value(self.node.inputs[place])

    def view(self, place: int) -> View:
        """An operand as a value that is computed; a constant as one that is stored."""
        found = self.any(place)
        return found if isinstance(found, View) else self.held(found, place)

    def held(self, constant: Constant, place: int) -> View:
        """A constant as a tensor."""
        dtype = constant.data.dtype.name
        if dtype not in ("float32", "int8", "int16", "int32", "int64", "uint8", "bool"):
            self.refuse(f"its operand {place} is of {dtype}")
        return plain(self.bench.constant(self.node.inputs[place], constant.data, dtype), dtype)  # type: ignore[arg-type]

    def running(self, place: int) -> View:
        """An operand that must not be a constant."""
        found = self.any(place)
        if isinstance(found, Constant):
            self.refuse(f"its operand {place} is a constant; fold the model's constants first (onnxsim, onnxslim)")
        return found

    def constant(self, place: int) -> Constant:
        """An operand that must be known while the file is read."""
        found = self.any(place)
        if isinstance(found, View):
            self.refuse(f"its operand '{self.node.inputs[place]}' must be a constant")
        return found

    def integers(self, place: int) -> tuple[int, ...]:
        """A constant operand of integers."""
        data = self.constant(place).data
        if data.dtype.kind not in "iu":
            self.broken(f"its operand {place} is of {data.dtype}, not of integers")
        return tuple(int(i) for i in data.reshape(-1))

    def number(self, place: int) -> float:
        """A constant operand that is one number."""
        data = self.constant(place).data
        if data.size != 1:
            self.broken(f"its operand {place} has {data.size} values, not one")
        return float(data.reshape(()))

    def alone(self, place: int) -> bool:
        """Whether nothing but this operator reads the operand."""
        return self.bench.is_alone(self.node.inputs[place])

    # Attributes

    def integer(self, name: str, default: int) -> int:
        """An attribute that is an integer."""
        value = self.node.attributes.get(name, default)
        if not isinstance(value, int):
            self.broken(f"its attribute {name} is no integer")
        return value

    def real(self, name: str, default: float) -> float:
        """An attribute that is a real number, as float32 has it."""
        value = self.node.attributes.get(name, default)
        if not isinstance(value, float | int):
            self.broken(f"its attribute {name} is no number")
        return float(np.float32(value))

    def text(self, name: str, default: str) -> str:
        """An attribute that is a text."""
        value = self.node.attributes.get(name, default)
        if not isinstance(value, str):
            self.broken(f"its attribute {name} is no text")
        return value

    def many(self, name: str, default: tuple[int, ...], count: int | None = None) -> tuple[int, ...]:
        """An attribute that is a list of integers, `count` of them."""
        value = self.node.attributes.get(name, default)
        if not isinstance(value, tuple) or not all(isinstance(i, int) for i in value):
            self.broken(f"its attribute {name} is no list of integers")
        if count is not None and len(value) != count:
            self.broken(f"its attribute {name} has {len(value)} numbers, not {count}")
        return tuple(int(i) for i in value)

    def axis(self, axis: int, rank: int) -> int:
        """An axis, counted from the front."""
        if not -rank <= axis < rank:
            self.broken(f"axis {axis} of a value with {rank} axes")
        return axis % rank

    def bounded(self, shape: Sequence[int]) -> tuple[int, ...]:
        """A shape that no one would take for absurd."""
        if any(size < 0 for size in shape) or prod(shape) > MOST_ELEMENTS:
            self.broken(f"its result would have the shape {list(shape)[:8]}")
        return tuple(shape)

    def broadcast(self, *shapes: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that operands of these shapes have together."""
        try:
            return self.bounded(np.broadcast_shapes(*shapes))
        except ValueError:
            self.broken(f"operands of shapes {' and '.join(str(list(s)) for s in shapes)} do not fit")

    # Results

    def give(self, view: View | Constant, place: int = 0) -> None:
        """Let a result stand for this. Optional results that nothing wants are dropped."""
        if place < len(self.node.outputs) and self.node.outputs[place]:
            self.bench.values[self.node.outputs[place]] = view

    def fresh(self, shape: tuple[int, ...], dtype: str = REAL) -> Tensor:
        """A new tensor for a result."""
        return self.bench.tensor(self.wish, shape, dtype)  # type: ignore[arg-type]

    def limited(self, place: int, low: float, high: float) -> Source | None:
        """The operand's source with limits, where it can take them in: a promise that nothing else reads. None else."""
        view = self.view(place)
        if isinstance(view.source, Promise) and self.alone(place):
            return view.source.limited(low, high)
        return None


Arm = Callable[[Site], None]


@dataclass(frozen=True)
class OnnxArm:
    """How an operator is converted: `code` is its name with the domain in front, `note` what users should know."""

    code: str
    note: str
    build: Arm
    oracle: str = "onnxruntime"
