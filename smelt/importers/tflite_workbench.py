"""The tensors of a graph that is made of a .tflite file, and what is known of them so far."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite, prod

import numpy as np

from smelt.errors import ModelError
from smelt.importers.names import Names
from smelt.importers.tflite_advice import DENSE, HALF
from smelt.importers.tflite_file import RawModel, RawOperator, RawQuantization, RawTensor
from smelt.model.dtypes import DTYPES
from smelt.model.graph import Array, Op, Quantization, Tensor
from smelt.model.limits import farthest
from smelt.model.ops import Dequantize, Unary
from smelt.model.reference_gathers import GATHERS
from smelt.model.reference_moves import MOVES

MOST_ELEMENTS = 1 << 26  # no microcontroller holds more; products of damaged dimensions are far beyond
MOST_AXES = 6


WIDENED_BY = {"floor": 1.0, "ceil": 1.0, "round": 1.0, "abs": 0.0, "neg": 0.0, "relu": 0.0}
"""How much farther from 0 a function of reals can come."""


class Refusal(Exception):
    """What the file asks for is sound, but not supported: becomes one reason of `Unsupported`."""


class Echo(Refusal):
    """What is missing is the result of an operator that has been refused: no reason of its own."""


@dataclass(eq=False)
class Variable:
    """What lives between inferences: `read` is what the last one left, `current` what was assigned so far in this one, `initial`
    what it begins with. `behind` is how many gates there were in front of the assignment."""

    name: str
    read: Tensor | None = None
    current: Tensor | None = None
    initial: Array | None = None
    behind: int = 0


@dataclass(frozen=True, eq=False)
class Gate:
    """Where an inference ends unless `due` (bool) is true: behind the operator with this index."""

    operator: int
    due: Tensor


@dataclass(eq=False)
class Effort:
    """What reading a file has taken so far: values computed, and operators and tensors of subgraphs that were called."""

    values: int = 0
    called: int = 0


class Workbench:
    """The tensors of a graph under construction, made from the file's when they are first needed.

    `lost` are the indices of results of operators that could not be converted, and of all that follows from them; `renewed` are
    tensors whose dynamic shape was declared wrongly and what they are instead; `effort` is what reading the file has taken.
    `variables` are found by container and name, `handles` say which tensors stand for them, `kept` are those that are
    tensors; `gates` are where an inference may end early. `legacy` says that the file's quantisation is of uint8 throughout.
    """

    def __init__(self, model: RawModel, legacy: bool = False) -> None:
        self.model, self.legacy = model, legacy
        self.names = Names()
        for raw in model.tensors:
            self.names.unique(raw.name)
        self._indices = {raw.name: raw.index for raw in model.tensors}
        self._tensors: dict[int, Tensor] = {}
        self._arrays: dict[tuple[tuple[int, int], str, int], Array] = {}
        self.lost: set[int] = set()
        self.renewed: dict[Tensor, Tensor] = {}
        self.effort = Effort()
        self.variables: dict[tuple[str, str], Variable] = {}
        self.handles: dict[int, Variable] = {}
        self.kept: list[Variable] = []
        self.gates: list[Gate] = []
        self.called: set[int] = set()  # subgraphs that gave variables their initial values
        self.inside: frozenset[int] = frozenset({0})  # subgraphs that are being read: this one and its callers
        self.hybrid: list[RawOperator] = []  # those that compute in float32 with int8 weights
        self._reach: dict[Tensor, float] = {}
        computed = {index for operator in model.operators for index in operator.outputs}
        self._running = {model.tensors[index].name for index in (*model.inputs, *computed)}

    def tensor(self, index: int) -> Tensor:
        """The tensor with this index. Raises ModelError or Refusal where it makes no sense."""
        if index not in self._tensors:
            self._tensors[index] = self._make(self.model.tensors[index])
        return self._tensors[index]

    def define(self, tensor: Tensor, data: Array) -> None:
        """Give a tensor constant data; whatever is converted from now on reads that."""
        data = np.ascontiguousarray(data).reshape(tensor.shape)
        self._tensors[self._indices[tensor.name]] = replace(tensor, data=data)

    def alias(self, tensor: Tensor, value: Tensor) -> None:
        """Let whatever is converted from now on read `value` instead of a tensor of the file."""
        self._tensors[self._indices[tensor.name]] = value

    def bind(self, index: int, value: Tensor) -> None:
        """Let a tensor of the file be `value`, of another subgraph. Raises ModelError where it cannot hold that."""
        raw = self.model.tensors[index]
        fits = len(raw.shape) == len(value.shape) and all(
            s in (-1, n) for s, n in zip(raw.shape, value.shape, strict=True)
        )
        stored = (
            _quantization(raw, raw.quantization) if raw.quantization is not None and raw.dtype != "float32" else None
        )
        if raw.dtype != value.dtype or not (fits or -1 in raw.signature) or stored != value.quantization:
            raise ModelError(
                f"tensor '{raw.name}' cannot be '{value}' of another subgraph: types, shapes or scales differ"
            )
        self._tensors[index] = value

    def calling(self, model: RawModel, number: int) -> Workbench:
        """The workbench of subgraph `number`, which an operator of this one calls: names and variables are common to both."""
        inner = Workbench(model)
        inner.names, inner.variables, inner.kept = self.names, self.variables, self.kept
        inner.gates = self.gates
        inner.inside, inner.effort = self.inside | {number}, self.effort
        inner._arrays, inner.hybrid = self._arrays, self.hybrid
        return inner

    def named(self, tensor: Tensor, name: str) -> Tensor:
        """A tensor like `tensor`, called `name` or nearly so."""
        return replace(tensor, name=self.names.unique(name or tensor.name), data=None)

    def remember(self, index: int) -> tuple[Tensor, Tensor]:
        """A tensor of the file that is variable, as what its operator reads and what it writes.

        It begins as the oracle lets it: at its zero point where it is int8, else at 0.
        """
        raw = self.model.tensors[index]
        read = self._make(replace(raw, variable=False))
        if not raw.variable or read.is_constant:
            raise ModelError(f"tensor '{raw.name}' must be a variable, without data")
        if any(variable.name == raw.name for variable in self.kept):
            raise Refusal(f"variable '{raw.name}' has two operators; one is supported")
        zero = read.q.zero_point if read.dtype == "int8" and read.quantization is not None else 0
        write = self.named(read, f"{raw.name}.next")
        self.keep(read, write, zero)
        return read, write

    def kept_by_its_operator(self, index: int) -> Tensor:
        """A result that lives between inferences, whether the file calls it a variable or not."""
        self._tensors[index] = self._make(replace(self.model.tensors[index], variable=False))
        return self._tensors[index]

    def keep(self, read: Tensor, write: Tensor, initial: int) -> None:
        """Let what `write` has after an inference be what `read` has in the next; every element begins as `initial`."""
        data = np.full(read.shape, initial, read.element.numpy)
        self.kept.append(Variable(read.name, read, write, data, len(self.gates)))

    def is_open(self, tensor: Tensor, shape: tuple[int, ...]) -> bool:
        """Whether the file leaves sizes of a tensor open, and these fit the others."""
        index = self._indices.get(tensor.name)
        signature = () if index is None else self.model.tensors[index].signature
        fits = len(signature) == len(shape) and all(s in (-1, n) for s, n in zip(signature, shape, strict=True))
        return fits and -1 in signature and prod(shape) <= MOST_ELEMENTS

    def renew(self, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The tensor with another shape than the file declares, from now on."""
        index = self._indices[tensor.name]
        self._tensors[index] = self.renewed[tensor] = replace(tensor, shape=shape)
        return self._tensors[index]

    def is_lost(self, tensor: Tensor) -> bool:
        return self._indices.get(tensor.name) in self.lost

    def note(self, op: Op) -> None:
        """Remember how far from 0 the reals of a result can be: dequantised ones, and what comes of such by a
        move or a function that does not widen them much."""
        if isinstance(op, Dequantize):
            self._reach[op.y] = farthest(op.x) * op.x.q.scale
            return
        known = [found for x in op.activations if (found := self._reach.get(x)) is not None]
        if known and (type(op) in MOVES or type(op) in GATHERS):
            self._reach[op.y] = max(known)
        elif known and isinstance(op, Unary) and op.function in WIDENED_BY:
            self._reach[op.y] = max(known) + WIDENED_BY[op.function]

    def reach(self, tensor: Tensor) -> float | None:
        """The greatest magnitude of a real tensor that comes from integers; None where nothing is known of it."""
        return self._reach.get(tensor)

    def is_running(self, tensor: Tensor) -> bool:
        """Whether the tensor is an input or computed (else it must be a constant)."""
        return tensor.name in self._running

    def _make(self, raw: RawTensor) -> Tensor:
        if raw.dtype == "float16" and raw.data is not None and not raw.sparse:
            return self._of_halves(raw, *raw.data)
        if raw.dtype not in DTYPES:
            advice = HALF if raw.dtype == "float16" else f"the types are {', '.join(DTYPES)}"
            raise Refusal(f"tensor '{raw.name}' is {raw.dtype}; {advice}")
        if raw.variable:
            raise Refusal(
                f"tensor '{raw.name}' is a variable that lives between inferences; make it an input and output"
            )
        if raw.sparse:
            raise Refusal(f"tensor '{raw.name}' is stored sparsely; {DENSE}")
        _check_shape(raw)
        element = DTYPES[raw.dtype]
        stored = None if element.is_float else raw.quantization
        quantization = None if stored is None else _quantization(raw, stored)
        return Tensor(raw.name, raw.shape, element.name, quantization, self._data(raw))

    def _of_halves(self, raw: RawTensor, start: int, size: int) -> Tensor:
        """A constant of float16 as one of float32, which the DEQUANTIZE that follows on it makes of it."""
        _check_shape(raw)
        elements = prod(raw.shape)
        if size != 2 * elements:
            raise ModelError(f"constant '{raw.name}' of float16 needs {2 * elements} bytes, but its buffer has {size}")
        halves = np.frombuffer(self.model.file, "<f2", elements, start)
        return Tensor(raw.name, raw.shape, "float32", None, halves.astype(np.float32).reshape(raw.shape))

    def _data(self, raw: RawTensor) -> Array | None:
        if raw.data is None:
            return np.zeros(raw.shape, DTYPES[raw.dtype].numpy) if prod(raw.shape) == 0 else None
        start, size = raw.data
        element, elements = DTYPES[raw.dtype], prod(raw.shape)
        if size != element.bytes_of(elements):
            raise ModelError(
                f"constant '{raw.name}' of shape {list(raw.shape)} and type {raw.dtype} needs "
                f"{element.bytes_of(elements)} bytes, but its buffer has {size}"
            )
        key = (raw.data, raw.dtype, elements)
        if key not in self._arrays:  # tensors may share a buffer: convert it once
            self._arrays[key] = element.unpack(self.model.file, elements, start)
        stored = self._arrays[key].reshape(raw.shape)
        return stored ^ np.int8(-128) if raw.flipped else stored


def _check_shape(raw: RawTensor) -> None:
    if any(size == -1 for size in raw.shape):
        raise Refusal(f"tensor '{raw.name}' has the dynamic shape {list(raw.shape)}; fix its sizes")
    if any(size < 0 for size in raw.shape) or prod(max(size, 1) for size in raw.shape) > MOST_ELEMENTS:
        raise ModelError(f"tensor '{raw.name}' has the impossible shape {_brief(raw.shape)}")
    if len(raw.shape) > MOST_AXES:
        raise Refusal(f"tensor '{raw.name}' has {len(raw.shape)} axes; at most {MOST_AXES} are supported")


def _brief(shape: tuple[int, ...]) -> str:
    return str(list(shape)) if len(shape) <= 8 else f"{list(shape[:8])}... of {len(shape)} axes"


def _quantization(raw: RawTensor, stored: RawQuantization) -> Quantization:
    if stored.custom:
        raise Refusal(f"tensor '{raw.name}' is quantised by a custom scheme; affine is supported")
    if raw.dtype == "int8" and not stored.zero_points:  # TFLM takes the tensor to have no scale either
        raise Refusal(f"tensor '{raw.name}' has a scale, but no zero point; write one even where it is 0")
    scales, zeros = stored.scales, stored.zero_points or (0,)
    # Weights and biases of dead channels have the scale 0; `activation_complaint` and `weights` say where it may be
    if not all(isfinite(scale) and scale >= 0 for scale in scales):
        raise ModelError(f"tensor '{raw.name}' has a scale that is not a positive number")
    if len(zeros) not in (1, len(scales)):
        raise ModelError(f"tensor '{raw.name}' has {len(scales)} scales, but {len(zeros)} zero points")
    element = DTYPES[raw.dtype if raw.dtype in ("int4", "int8", "uint8", "int16", "int32") else "int32"]
    if not all(element.low <= zero <= element.high for zero in zeros):
        raise ModelError(f"tensor '{raw.name}' has a zero point outside {raw.dtype}")
    if len(scales) == 1:
        return Quantization(scales, zeros)
    # Old converters wrote any axis for biases; a vector has only one
    axis = 0 if len(raw.shape) == 1 else stored.axis
    if not 0 <= axis < len(raw.shape) or raw.shape[axis] != len(scales):
        raise ModelError(
            f"tensor '{raw.name}' of shape {list(raw.shape)} has {len(scales)} scales along axis {stored.axis}"
        )
    return Quantization(scales, zeros * (len(scales) if len(zeros) == 1 else 1), axis)
