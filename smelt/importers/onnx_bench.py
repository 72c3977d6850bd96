"""The graph under construction: values by their names in the file, and ops in the order in which they are made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from smelt.errors import ModelError, printable
from smelt.importers.names import Names
from smelt.importers.onnx_nodes import Constant, Node, OnnxModel
from smelt.importers.onnx_views import (
    Decoded,
    Order,
    Promise,
    Shape,
    Source,
    Stored,
    Target,
    View,
    arrangement,
    plain,
    stored_as,
)
from smelt.model.dtypes import DType, element_type
from smelt.model.graph import Array, Op, Quantization, Tensor
from smelt.model.ops import Dequantize, Lookup, Reshape, Transpose, Unary
from smelt.model.representable import excesses

MOST_ELEMENTS = 1 << 26
DEEP, DEEPEST = 24, 40
"""Promises that wait for one another: from how many on one that takes nothing more in is computed, and at most."""


class Refusal(Exception):
    """What the file asks for is sound, but not supported: becomes one reason of `Unsupported`."""


class Echo(Refusal):
    """What is missing is the result of an operator that has been refused: no reason of its own."""


@dataclass(frozen=True)
class Moved:
    """A transposition that had to stay: between which operator and what was wanted of it."""

    where: str
    tensor: str


class Bench:
    """Values by name; `ops` made so far; `remarks` for the author, each once. `here` is the operator being read."""

    def __init__(self, model: OnnxModel) -> None:
        self.model = model
        self.names = Names()
        self.values: dict[str, Constant | View] = dict(model.constants)
        self.lost: set[str] = set()
        self.ops: list[Op] = []
        self.remarks: dict[str, None] = {}
        self.moved: list[Moved] = []
        self.renewed: dict[Tensor, Tensor] = {}
        self.here = ""
        self.orders: dict[str, Order] = {}  # of the axes of edges, as they are stored
        self.readers: Counter[str] = Counter(name for node in model.nodes for name in _read_by(node))
        self.readers.update(edge.name for edge in model.outputs)
        self.recursive = True  # whether promises wait for one another; in integer networks they become one
        self._depths: dict[str, int] = {}  # of names: how many promises wait for one another behind each
        self._made: dict[tuple[Any, ...], Tensor] = {}
        self._kept: list[object] = []  # what `_made` knows by identity must live as long as it does

    def value(self, name: str) -> Constant | View:
        """What a name stands for. Raises Echo where that was refused."""
        if name in self.lost:
            raise Echo(name)
        found = self.values.get(name)
        if found is None:
            raise ModelError(f"'{printable(name)}' is read before it is computed")
        return found

    def remark(self, text: str) -> None:
        """Tell the author of the model, once."""
        self.remarks[text] = None

    def tensor(
        self, wish: str, shape: Shape, dtype: DType, quantization: Quantization | None = None, data: Array | None = None
    ) -> Tensor:
        """A new tensor with a name of its own."""
        if prod(shape) > MOST_ELEMENTS or any(size < 0 for size in shape):
            raise ModelError(f"'{printable(wish)}' would have the shape {list(shape)}")
        name = self.names.unique(printable(wish) or "value")
        if data is not None:
            data = np.ascontiguousarray(data, element_type(dtype).numpy).reshape(shape)
        return Tensor(name, shape, dtype, quantization, data)

    def constant(self, wish: str, data: Array, dtype: DType = "float32", q: Quantization | None = None) -> Tensor:
        """A new constant."""
        return self.tensor(wish, data.shape, dtype, q, data)

    def add(self, op: Op, origin: str | None = None) -> Tensor:
        """Append an op, and give its first result. Raises Refusal where its numbers cannot be computed exactly."""
        complaints = excesses(op)
        if complaints:
            raise Refusal("; ".join(complaints))
        self.ops.append(replace(op, origin=self.here if origin is None else origin))
        return op.y

    def once(self, key: tuple[Any, ...], keep: object, make: Callable[[], Tensor]) -> Tensor:
        """What was made for a key before, else what `make` makes."""
        if key not in self._made:
            self._made[key] = make()
            self._kept.append(keep)
        return self._made[key]

    # From sources to tensors

    def real(self, view: View) -> Tensor:
        """The tensor of float32 that holds a value of reals, stored as the view's source is."""
        source = view.source
        match source:
            case Tensor() if source.element.is_float:
                return source
            case Promise():
                return self.once((id(source), "real"), source, lambda: source.real(source.limits))
            case Decoded():
                key = (id(source.tensor), None if source.table is None else source.table.tobytes())
                return self.once(key, source.tensor, lambda: self._decoded(source))
        raise Refusal("integers are read where reals belong; put a DequantizeLinear between them")

    def _decoded(self, source: Decoded) -> Tensor:
        x = source.tensor
        y = self.tensor(f"{x.name}.real", x.shape, "float32")
        if source.table is None:
            return self.add(Dequantize(x=x, y=y))
        return self.add(Lookup(x=x, y=y, table=self.constant(f"{y.name}.table", source.table)))

    def held(self, view: View) -> Tensor:
        """The tensor that holds a value as it is: of reals, or of integers."""
        source = view.source
        if isinstance(source, Stored):
            target = source.target
            return self.once((id(source), target), source, lambda: source.make(target))
        return source if isinstance(source, Tensor) else self.real(view)

    def settled(self, view: View) -> View:
        """The view with a source that needs nothing any more to be computed."""
        if isinstance(view.source, Promise | Stored):
            return view.of(self.held(view))
        return view

    def shallow(self, node: Node) -> None:
        """See to it that not too many promises wait for one another: what an operator promises behind many others is computed now,
        for promises are kept by recursion."""
        if not self.recursive:
            return
        depth = 1 + max((self._depth(name) for name in node.inputs), default=0)
        for name in node.outputs:
            view = self.values.get(name)
            if not isinstance(view, View) or not self._waits(view.source):
                continue
            self._depths[name] = depth
            takes_in = isinstance(view.source, Promise) and view.source.affine is not None
            if depth >= (DEEPEST if takes_in else DEEP):
                self.values[name] = self.settled(view)

    def _depth(self, name: str) -> int:
        view = self.values.get(name)
        return self._depths.get(name, 0) if isinstance(view, View) and self._waits(view.source) else 0

    def _waits(self, source: Source) -> bool:
        """Whether it is not computed yet."""
        if isinstance(source, Stored):
            return (id(source), source.target) not in self._made
        return isinstance(source, Promise) and (id(source), "real") not in self._made

    # Moving

    def move(self, source: Source, shape: Shape, build: Callable[[Tensor], Tensor]) -> Source:
        """What `build`, which only moves elements, makes of a source; it gives tensors of that shape."""
        match source:
            case Tensor():
                return build(source)
            case Decoded():
                return replace(source, tensor=build(source.tensor))
            case Stored():
                return Stored(shape, source.target, lambda target: build(source.make(target)))
        quantised = source.quantised

        def as_integers(target: Target, limits: tuple[float, float]) -> Tensor:
            assert quantised is not None
            return build(quantised(target, limits))

        return replace(
            source,
            shape=shape,
            real=lambda limits: build(source.real(limits)),
            quantised=None if quantised is None else as_integers,
            affine=None,
            by_channel=False,
            scaled=None,
        )

    def arranged(self, view: View, order: Order) -> View:
        """The same value, stored so that stored axis i is its axis `order[i]`, and not regrouped."""
        if view.stored == tuple(view.shape[a] for a in order) and view.order == inverse(order):
            return view
        how = arrangement(view, order)
        if how is None:
            rank = len(view.order)
            flat = self.arranged(replace(view, shape=tuple(view.stored[a] for a in view.order)), tuple(range(rank)))
            whole = self.move(flat.source, view.shape, lambda x: self.reshaped(x, view.shape))
            return self.arranged(plain(whole, view.dtype), order)

        def build(x: Tensor) -> Tensor:
            if how.moves:
                x = self.transposed(self.reshaped(x, how.split), how.permutation)
            return self.reshaped(x, how.shape)

        return stored_as(self.move(view.source, how.shape, build), order, view.dtype)

    def reshaped(self, x: Tensor, shape: Shape) -> Tensor:
        """A tensor under another shape."""
        if x.shape == shape:
            return x
        return self.add(Reshape(x=x, y=self.like(x, shape)))

    def transposed(self, x: Tensor, permutation: Order) -> Tensor:
        """A tensor with its axes moved."""
        if permutation == tuple(range(len(permutation))):
            return x
        y = self.like(x, tuple(x.shape[axis] for axis in permutation))
        self.moved.append(Moved(self.here, x.name))
        return self.add(Transpose(x=x, y=y, permutation=permutation))

    def like(self, x: Tensor, shape: Shape, wish: str = "") -> Tensor:
        """A new tensor of x's type and quantisation."""
        return self.tensor(wish or x.name, shape, x.dtype, x.quantization)

    def labelled(self, x: Tensor, q: Quantization) -> Tensor:
        """Plain bytes as those of a quantisation that is known only now, as int8."""
        known = self.renewed.get(x)
        if x.dtype == "uint8":
            outer = Quantization(q.scales, (q.zero_point + 128,))
            labelled = known or replace(x, quantization=outer)
            self.renewed[x] = labelled
            y = self.tensor(f"{x.name}.int8", x.shape, "int8", q)
            return self.once((id(x), q), x, lambda: self.add(Unary(x=labelled, y=y, function="requantize")))
        if known is not None and known.quantization != q:
            raise Refusal(f"'{x.name}' is read with several scales")
        self.renewed[x] = known or replace(x, quantization=q)
        return self.renewed[x]

    def is_alone(self, name: str) -> bool:
        """Whether only one operator, or one output of the graph, reads a value."""
        return self.readers[name] == 1


def inverse(order: Order) -> Order:
    """The permutation that undoes one."""
    return tuple(order.index(axis) for axis in range(len(order)))


def _read_by(node: Node) -> tuple[str, ...]:
    """The operands whose elements an operator reads, and not their shape or type alone."""
    read = {"Shape": 0, "Size": 0, "CastLike": 1}.get(node.op, len(node.inputs))
    return tuple(name for name in node.inputs[:read] if name)


def lost_outputs(node: Node) -> set[str]:
    """The names that stand for nothing where an operator is refused."""
    return {name for name in node.outputs if name}
