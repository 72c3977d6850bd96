"""The nouns of WHAT is computed: `Quantization`, `Tensor`, `Op`, `Graph`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from math import prod
from typing import Any, ClassVar

import numpy as np

from smelt.errors import ModelError
from smelt.model.dtypes import DType as DType
from smelt.model.dtypes import ElementType, element_type
from smelt.nouns import MOST_REPR, Noun, clipped

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Quantization(Noun):
    """Affine quantisation: ``real = scale * (stored - zero_point)``.

    One entry per tensor, or one per index along `axis`. Scales are Python floats that hold float32 values exactly.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int | None = None

    @property
    def scale(self) -> float:
        """The scale of a per-tensor quantisation."""
        (scale,) = self.scales
        return scale

    @property
    def zero_point(self) -> int:
        """The zero point of a per-tensor quantisation."""
        (zero_point,) = self.zero_points
        return zero_point

    def __str__(self) -> str:
        if len(self.scales) > 1:
            return f"per channel ({len(self.scales)}, axis {self.axis})"
        return f"{self.scale:.6g} * (q - {self.zero_point})"


@dataclass(frozen=True, eq=False)
class Tensor(Noun):
    """A value of fixed shape. Constants carry `data`. Compared and hashed by identity; names are unique in a graph."""

    name: str
    shape: tuple[int, ...]
    dtype: DType
    quantization: Quantization | None = None
    data: Array | None = None

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def element(self) -> ElementType:
        """What `dtype` is: range, bits, packing."""
        return element_type(self.dtype)

    @property
    def bytes(self) -> int:
        """What the tensor takes in a device's memory."""
        return self.element.bytes_of(self.elements)

    @property
    def is_constant(self) -> bool:
        return self.data is not None

    @property
    def q(self) -> Quantization:
        """The quantisation of a tensor that must have one. Raises ModelError where it has none."""
        if self.quantization is None:
            raise ModelError(f"tensor '{self.name}' has no quantisation parameters")
        return self.quantization

    @property
    def constant(self) -> Array:
        """The data of a tensor that must be constant. Raises ModelError where it is not."""
        if self.data is None:
            raise ModelError(f"tensor '{self.name}' must be a constant")
        return self.data

    def in_full(self) -> str:
        shape = "x".join(map(str, self.shape)) or "scalar"
        return f"{self.name}: {self.dtype} {shape}" + (" constant" if self.is_constant else "")

    def __repr__(self) -> str:
        return clipped(f"<Tensor {self}>", MOST_REPR)


def scale_of(tensor: Tensor) -> Quantization | None:
    """The one scale and zero point of a tensor; None where it has none, or several."""
    q = tensor.quantization
    return q if q is not None and len(q.scales) == 1 else None


@dataclass(frozen=True, eq=False, kw_only=True)
class Op(Noun):
    """One operator: operands and results by name. `origin` says where in the file it comes from.

    Nearly every op has one result, `y`. One that has more gives the names of their fields in `results`, `y` first.
    """

    results: ClassVar[tuple[str, ...]] = ("y",)

    # What passes and the planner ask of an op. Where a class says nothing, nothing is assumed.

    of_one_value: ClassVar[bool] = False
    """Whether every element of y is a function of the element of x at its place (and of constants)."""

    by_element: ClassVar[bool] = False
    """Whether every element of y is a function of the elements of all operands at its place, with broadcasting."""

    as_table: ClassVar[bool] = False
    """Whether such a function of a byte is better looked up in a table than computed."""

    renews: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Operands that are states, and results over them: every kernel of the op may write the one over the other."""

    y: Tensor
    origin: str = ""

    @property
    def alias_of(self) -> Tensor | None:
        """The operand whose bytes y is, under another shape: such an op is no step. None where y has bytes of its own."""
        return None

    @property
    def directions(self) -> tuple[int, ...] | None:
        """For each of `inputs`, whether y grows or stays with each of its elements (1), falls or stays (-1), or does one of the
        two, depending on the other inputs (0). None where that is not known. Nothing is said of int32 and int64, which wrap."""
        return None

    @property
    def carried(self) -> tuple[Tensor, ...]:
        """The operands whose channel c (index of the last axis) goes to channel c of y and nowhere else, or to all channels where
        there is but one. Empty where channels mix, or where that is not known."""
        return ()

    @property
    def limits(self) -> tuple[Any, Any] | None:
        """The least and the greatest stored value that the op lets y have; None where it does not limit y."""
        return getattr(self, "clamp", None)

    def limited(self, clamp: tuple[Any, Any]) -> Op:
        """The op with other `limits`. Raises TypeError where it has none."""
        changed: dict[str, Any] = {"clamp": clamp}
        return replace(self, **changed)

    @cached_property
    def ys(self) -> tuple[Tensor, ...]:
        """Every result, in the order of `results`."""
        found: list[Tensor] = []
        for name in self.results:
            value = getattr(self, name)
            found.extend(value if isinstance(value, tuple) else (value,))
        return tuple(found)

    @cached_property
    def inputs(self) -> tuple[Tensor, ...]:
        """Every operand that is read, constants included, in the order of the fields."""
        found: list[Tensor] = []
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in self.results:
                continue
            if isinstance(value, Tensor):
                found.append(value)
            elif isinstance(value, tuple):
                found.extend(v for v in value if isinstance(v, Tensor))
        return tuple(found)

    @cached_property
    def activations(self) -> tuple[Tensor, ...]:
        """The operands that are not constants."""
        return tuple(t for t in self.inputs if not t.is_constant)

    @property
    def storable(self) -> tuple[Tensor, ...]:
        """The operands, large constants of float32, that kernels read as float16 as well: the weights."""
        return ()

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one execution, padding included (the usual way of counting)."""
        return 0

    def substitute(self, tensors: Mapping[Tensor, Tensor]) -> Op:
        """The same op with operands and results exchanged."""

        def swap(value: Any) -> Any:
            if isinstance(value, Tensor):
                return tensors.get(value, value)
            if isinstance(value, tuple):
                return tuple(swap(v) for v in value)
            return value

        old = {f.name: getattr(self, f.name) for f in fields(self)}
        new = {name: swap(value) for name, value in old.items()}
        changed = {name: value for name, value in new.items() if value is not old[name] and value != old[name]}
        return replace(self, **changed) if changed else self

    def in_full(self) -> str:
        return f"{', '.join(y.name for y in self.ys)} = {type(self).__name__}({', '.join(t.name for t in self.inputs)})"


@dataclass(frozen=True, eq=False)
class State(Noun):
    """What lives from one run to the next: ops read `read`, and what `write` has at the end is what `read` has in the next run.

    In the first run, and after a reset, `read` is `initial`, an array of its shape.
    """

    read: Tensor
    write: Tensor
    initial: Array

    def in_full(self) -> str:
        return f"{self.read.name} <- {self.write.name}"


@dataclass(frozen=True, eq=False)
class Graph(Noun):
    """Ops in an order in which they can run, from `inputs` and what `states` hold to `outputs` and the next values of `states`.

    `remarks` are what its author should know of how its file was read.
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    states: tuple[State, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[Tensor, ...]:
        """What has a value before the first op: inputs, and states as the last run left them."""
        return (*self.inputs, *(state.read for state in self.states))

    @property
    def sinks(self) -> tuple[Tensor, ...]:
        """What is wanted after the last op: outputs, and the next values of states. A tensor may occur more than once."""
        return (*self.outputs, *(state.write for state in self.states))

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Every tensor, sources first, each once, in order of appearance."""
        seen = dict.fromkeys(self.sources)
        for op in self.ops:
            seen.update(dict.fromkeys((*op.inputs, *op.ys)))
        seen.update(dict.fromkeys(self.sinks))
        return tuple(seen)

    @property
    def storable(self) -> tuple[Tensor, ...]:
        """The operands, large constants of float32, that kernels read as float16 as well: the weights."""
        return ()

    @property
    def macs(self) -> int:
        return sum(op.macs for op in self.ops)

    def producer(self, tensor: Tensor) -> Op | None:
        return next((op for op in self.ops if any(y is tensor for y in op.ys)), None)

    def substitute(self, tensors: Mapping[Tensor, Tensor]) -> Graph:
        """The same graph with tensors exchanged wherever they occur."""
        if not tensors:
            return self
        return replace(
            self,
            inputs=tuple(tensors.get(t, t) for t in self.inputs),
            outputs=tuple(tensors.get(t, t) for t in self.outputs),
            ops=tuple(op.substitute(tensors) for op in self.ops),
            states=tuple(
                replace(s, read=tensors.get(s.read, s.read), write=tensors.get(s.write, s.write)) for s in self.states
            ),
        )

    def check(self) -> Graph:
        """Raise ModelError unless every tensor is defined before use, once, under a name of its own."""
        problems = list(self._problems())
        if problems:
            raise ModelError("inconsistent graph:\n" + "\n".join(f"  - {p}" for p in problems))
        return self

    def _problems(self) -> Iterator[str]:
        names: dict[str, Tensor] = {}
        for tensor in self.tensors:
            if names.setdefault(tensor.name, tensor) is not tensor:
                yield f"two tensors are called '{tensor.name}'"
            if tensor.data is not None and tensor.data.shape != tensor.shape:
                yield f"constant '{tensor.name}' has data of shape {tensor.data.shape}, not {tensor.shape}"
        known = set(self.sources)
        if len(known) != len(self.sources):
            yield "a tensor is twice among the inputs and states"
        for op in self.ops:
            for tensor in op.activations:
                if tensor not in known:
                    yield f"'{op}' reads '{tensor.name}' before it is computed"
            for y in op.ys:
                if y in known or y.is_constant:
                    yield f"'{op}' writes '{y.name}', which already has a value"
                known.add(y)
        for tensor in self.outputs:
            if tensor not in known and not tensor.is_constant:
                yield f"output '{tensor.name}' is never computed"
        for state in self.states:
            yield from _state_problems(state, known)

    def in_full(self) -> str:
        lines = [f"graph {self.name}"]
        lines += [f"  input  {t}  {t.quantization or ''}" for t in self.inputs]
        lines += [f"  state  {state.in_full()}" for state in self.states]
        lines += [f"  {op.in_full()}  -> {op.y.dtype} {op.y.shape}  {op.y.quantization or ''}" for op in self.ops]
        lines += [f"  output {t}" for t in self.outputs]
        return "\n".join(lines)

    def in_brief(self) -> str:
        return f"graph {self.name}: {len(self.ops)} ops"


def _state_problems(state: State, known: set[Tensor]) -> Iterator[str]:
    read, write = state.read, state.write
    if write not in known and not write.is_constant:
        yield f"the next value '{write.name}' of state '{read.name}' is never computed"
    if read.is_constant:
        yield f"state '{read.name}' is a constant"
    if (read.shape, read.dtype) != (write.shape, write.dtype):
        yield f"state '{read}' gets the next value '{write}', which is of another kind"
    if state.initial.shape != read.shape or state.initial.dtype != read.element.numpy:
        yield f"state '{read}' begins as {state.initial.dtype} {state.initial.shape}"
