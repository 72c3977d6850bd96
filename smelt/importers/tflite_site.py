"""Where an operator of a .tflite file is turned into ops: its operands, options, complaints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import floor, inf, isfinite, isinf, prod
from typing import NoReturn

import numpy as np

from smelt.errors import ModelError
from smelt.importers.names import Names
from smelt.importers.tflite_file import RawModel, RawOperator, RawQuantization, RawTensor
from smelt.importers.tflite_schema import ACTIVATIONS, PADDINGS, name_of
from smelt.model.graph import Array, DType, Op, Quantization, Tensor
from smelt.model.ops import Clamp, Dequantize
from smelt.model.representable import fits_steps, usable_scale

MOST_ELEMENTS = 1 << 26  # no microcontroller holds more; products of damaged dimensions are far beyond
MOST_AXES = 6
MOST_STEP = 4096  # strides, dilations, windows
LONGEST_NAME = 60  # in messages; converters join the names of everything they fuse

DTYPES: dict[str, DType] = {
    "float32": "float32",
    "int8": "int8",
    "int16": "int16",
    "int32": "int32",
    "int64": "int64",
    "uint8": "uint8",
    "bool": "bool",
}


INT8 = ("int8",)
SCALED = ("int8", "uint8", "int16")  # integers that stand for reals by a scale and a zero point


class Refusal(Exception):
    """What the file asks for is sound, but not supported: becomes one reason of `Unsupported`."""


class Workbench:
    """The tensors of a graph under construction, made from the file's when they are first needed."""

    def __init__(self, model: RawModel) -> None:
        self.model = model
        self.names = Names()
        for raw in model.tensors:
            self.names.unique(raw.name)
        self._tensors: dict[int, Tensor] = {}
        self._arrays: dict[tuple[tuple[int, int], str], Array] = {}
        self._derived: set[Tensor] = set()
        self._dequantized: dict[Tensor, Dequantize] = {}
        computed = {index for operator in model.operators for index in operator.outputs}
        self._running = {model.tensors[index].name for index in (*model.inputs, *computed)}

    def tensor(self, index: int) -> Tensor:
        """The tensor with this index. Raises ModelError or Refusal where it makes no sense."""
        if index not in self._tensors:
            self._tensors[index] = self._make(self.model.tensors[index])
        return self._tensors[index]

    def define(self, index: int, data: Array) -> None:
        """Give a tensor that is not yet used constant data."""
        raw = self.model.tensors[index]
        self._tensors[index] = Tensor(raw.name, data.shape, DTYPES[raw.dtype], data=data)

    def note(self, op: Op) -> None:
        """Remember whether the result of `op` follows from constants alone (a pass will fold it), or is of few real values."""
        if isinstance(op, Dequantize):
            self._dequantized[op.y] = op
        if all(self.is_fixed(tensor) for tensor in op.inputs):
            self._derived.add(op.y)

    def dequantized(self, tensor: Tensor) -> Dequantize | None:
        """The op that computes a real tensor from int8, if one does."""
        return self._dequantized.get(tensor)

    def is_fixed(self, tensor: Tensor) -> bool:
        return tensor.is_constant or tensor in self._derived

    def is_running(self, tensor: Tensor) -> bool:
        """Whether the tensor is an input or computed (else it must be a constant)."""
        return tensor.name in self._running

    def _make(self, raw: RawTensor) -> Tensor:
        if raw.dtype not in DTYPES:
            raise Refusal(f"tensor '{raw.name}' is {raw.dtype}; int8 is supported")
        if raw.variable:
            raise Refusal(
                f"tensor '{raw.name}' is a variable that lives between inferences; make it an input and output"
            )
        if raw.sparse:
            raise Refusal(f"tensor '{raw.name}' is stored sparsely; store it densely")
        _check_shape(raw)
        dtype = DTYPES[raw.dtype]
        quantization = None if dtype == "float32" or raw.quantization is None else _quantization(raw, raw.quantization)
        return Tensor(raw.name, raw.shape, dtype, quantization, self._data(raw))

    def _data(self, raw: RawTensor) -> Array | None:
        if raw.data is None:
            return np.zeros(raw.shape, raw.dtype) if prod(raw.shape) == 0 else None
        start, size = raw.data
        kind = np.dtype(raw.dtype).newbyteorder("<")
        if size != prod(raw.shape) * kind.itemsize:
            raise ModelError(
                f"constant '{raw.name}' of shape {list(raw.shape)} and type {raw.dtype} needs "
                f"{prod(raw.shape) * kind.itemsize} bytes, but its buffer has {size}"
            )
        key = (raw.data, raw.dtype)
        if key not in self._arrays:  # tensors may share a buffer: convert it once
            stored = np.frombuffer(self.model.file, kind, size // kind.itemsize, start)
            self._arrays[key] = np.ascontiguousarray(stored, dtype=raw.dtype)
        return self._arrays[key].reshape(raw.shape)


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
    limits = np.iinfo(raw.dtype if raw.dtype in ("int8", "uint8", "int16", "int32") else "int32")
    if not all(limits.min <= zero <= limits.max for zero in zeros):
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


@dataclass(frozen=True)
class Site:
    """One operator of the file being converted; the conversions in `tflite_ops` and `tflite_moves` work on this.

    Methods raise ModelError where the file contradicts itself and Refusal where it asks for what is not supported;
    `demand` collects complaints that do not stand in the way of finding more. `types` are the arm's.
    """

    bench: Workbench
    operator: RawOperator
    types: tuple[str, ...] = INT8
    complaints: list[str] = field(default_factory=list)

    @property
    def where(self) -> str:
        return place(self.bench.model, self.operator)

    @property
    def origin(self) -> str:
        """Index and code: what an op made here remembers of the file."""
        return f"operator {self.operator.index} {self.operator.code}"

    def refuse(self, why: str) -> NoReturn:
        raise Refusal(why)

    def broken(self, why: str) -> NoReturn:
        raise ModelError(f"{self.where}: {why}")

    def demand(self, truth: bool, why: str) -> None:
        if not truth:
            self.complaints.append(why)

    # Operands

    def has(self, position: int) -> bool:
        """Whether the operand is there (absent ones are -1 or left out)."""
        return position < len(self.operator.inputs) and self.operator.inputs[position] >= 0

    def operand(self, position: int) -> Tensor:
        """Any input that must be there."""
        if not self.has(position):
            self.broken(f"input {position} is missing")
        return self.bench.tensor(self.operator.inputs[position])

    def result(self, position: int = 0) -> Tensor:
        """Any output that must be there."""
        if position >= len(self.operator.outputs):
            self.broken(f"output {position} is missing")
        return self.bench.tensor(self.operator.outputs[position])

    def x(self, position: int = 0, types: tuple[str, ...] = (), raw: bool = False) -> Tensor:
        """An input of one of `types` (else the arm's), with one scale unless it is `raw` or no type that has one."""
        return self._activation(self.operand(position), "input", types or self.types, raw)

    def y(self, position: int = 0, types: tuple[str, ...] = (), raw: bool = False) -> Tensor:
        """An output, as `x` says of inputs."""
        return self._activation(self.result(position), "output", types or self.types, raw)

    def _activation(self, tensor: Tensor, role: str, types: tuple[str, ...], raw: bool) -> Tensor:
        if tensor.dtype not in types:
            self.refuse(f"{role} '{tensor.name}' is {tensor.dtype}; {listed(types)} supported")
        complaint = quantization_complaint(tensor) if tensor.dtype in SCALED and not raw else ""
        if complaint:
            self.refuse(f"{role} '{tensor.name}' {complaint}")
        if tensor.elements == 0:
            self.refuse(f"{role} '{tensor.name}' of shape {list(tensor.shape)} is empty")
        return tensor

    def alike(self, *tensors: Tensor) -> None:
        """Refuse tensors of different types."""
        if len({tensor.dtype for tensor in tensors}) > 1:
            self.refuse(f"its tensors are {', '.join(tensor.dtype for tensor in tensors)}; one type is supported")

    def image(self, position: int = 0) -> Tensor:
        """An int8 input of shape (batch, rows, columns, channels)."""
        return self.four_axes(self.x(position))

    def four_axes(self, tensor: Tensor) -> Tensor:
        if len(tensor.shape) != 4:
            self.broken(f"'{tensor.name}' must have 4 axes, but its shape is {list(tensor.shape)}")
        return tensor

    def weights(self, position: int, axis: int, axes: int) -> Tensor:
        """Constant int8 weights with `axes` axes, per tensor or per channel along `axis`, all zero points 0."""
        tensor = self.operand(position)
        self._fixed(tensor, "weights")
        if tensor.dtype != "int8":
            self.refuse(f"weights '{tensor.name}' are {tensor.dtype}; int8 is supported")
        if len(tensor.shape) != axes or tensor.elements == 0:
            self.broken(f"weights '{tensor.name}' must have {axes} axes, but their shape is {list(tensor.shape)}")
        quantization = tensor.quantization
        if quantization is None:
            self.refuse(f"weights '{tensor.name}' have no quantisation parameters")
        self.demand(not any(quantization.zero_points), f"weights '{tensor.name}' have a zero point other than 0")
        self.demand(
            quantization.axis in (None, axis),
            f"weights '{tensor.name}' are quantised along axis {quantization.axis}; axis {axis} is supported",
        )
        return tensor

    def _fixed(self, tensor: Tensor, role: str) -> None:
        """Complain unless `tensor` is a constant, or follows from constants."""
        if self.bench.is_fixed(tensor):
            return
        if not self.bench.is_running(tensor):
            self.broken(f"{role} '{tensor.name}' has no data")
        self.refuse(f"{role} '{tensor.name}' is computed while the model runs; a constant is supported")

    def bias(self, position: int, channels: int) -> Tensor | None:
        """An int32 constant with one value per channel, or None."""
        if not self.has(position):
            return None
        tensor = self.operand(position)
        if tensor.dtype != "int32":
            self.refuse(f"bias '{tensor.name}' is {tensor.dtype}; int32 is supported")
        self._fixed(tensor, "bias")
        if tensor.elements != channels:
            self.broken(f"bias '{tensor.name}' has shape {list(tensor.shape)}, but there are {channels} channels")
        if tensor.shape == (channels,) or tensor.data is None:
            return tensor
        flat = tensor.data.reshape(channels)
        return Tensor(self.fresh(f"{tensor.name}_flat"), (channels,), "int32", tensor.quantization, flat)

    def integers(self, position: int) -> tuple[int, ...]:
        """The values of a constant operand: a shape, axes, sizes."""
        tensor = self.operand(position)
        if tensor.data is None:
            self._fixed(tensor, f"input {position}")
            self.refuse(f"input {position} '{tensor.name}' is computed from constants; store its values")
        if tensor.dtype not in ("int32", "int64"):
            self.broken(f"input {position} '{tensor.name}' is {tensor.dtype}, not int32")
        if tensor.elements > 64:
            self.broken(f"input {position} '{tensor.name}' has {tensor.elements} values; that is no shape or axis")
        return tuple(int(value) for value in tensor.data.flat)

    def axis(self, value: int, axes: int) -> int:
        """`value` counted from the front. Raises ModelError when there is no such axis."""
        if not -axes <= value < axes:
            self.broken(f"axis {value} does not exist in a shape of {axes} axes")
        return value % axes

    # Options

    def integer(self, number: int, default: int = 0) -> int:
        options = self.operator.options
        return default if options is None else options.integer(number, "i", default)

    def code(self, number: int) -> int:
        options = self.operator.options
        return 0 if options is None else options.integer(number, "b")

    def flag(self, number: int) -> bool:
        return self.operator.options is not None and self.operator.options.flag(number)

    def real(self, number: int) -> float:
        return 0.0 if self.operator.options is None else self.operator.options.real(number)

    def positive(self, number: int, what: str, default: int = 0) -> int:
        value = self.integer(number, default)
        if value <= 0:
            self.broken(f"{what} is {value}, not positive")
        if value > MOST_STEP:
            self.refuse(f"{what} is {value}; at most {MOST_STEP} is supported")
        return value

    def padding(self, number: int) -> str:
        found = name_of(PADDINGS, self.code(number), "padding")
        if found not in PADDINGS:
            self.broken(f"{found} is neither SAME nor VALID")
        return found

    def activation(self, number: int) -> str:
        return name_of(ACTIVATIONS, self.code(number), "number")

    def clamp(self, number: int, y: Tensor) -> Clamp:
        """The fused activation as limits of y's integers, rounded as the oracle does (in float32). Integers without a scale
        are the reals that they look like."""
        activation = self.activation(number)
        if activation not in REAL_LIMITS:
            self.refuse(f"the fused activation {activation} is not supported; NONE, RELU, RELU6, RELU_N1_TO_1 are")
        low, high = REAL_LIMITS[activation]
        least, most = (int(end) for end in (np.iinfo(y.dtype).min, np.iinfo(y.dtype).max))
        if y.dtype not in SCALED:
            return int(max(least, low)), int(min(most, high))
        for limit in (low, high):
            few = isinf(limit) or fits_steps(limit, y.q)
            self.demand(few, f"the limits of {activation} are too many steps of {y.q.scale:.3g} for 32-bit arithmetic")
        return max(least, _stored(low, y.q)), min(most, _stored(high, y.q))

    # Checks and results

    def agree(self, y: Tensor, shape: tuple[int, ...]) -> Tensor:
        """`y`, whose declared shape must be the computed one."""
        if y.shape != shape:
            self.broken(f"output '{y.name}' has shape {list(y.shape)}, but the operator computes {list(shape)}")
        return y

    def fresh(self, name: str) -> str:
        return self.bench.names.unique(name)

    def like(self, tensor: Tensor, shape: tuple[int, ...], suffix: str) -> Tensor:
        """A new int8 tensor quantised as `tensor`."""
        return Tensor(self.fresh(f"{tensor.name}_{suffix}"), shape, "int8", tensor.quantization)


REAL_LIMITS: dict[str, tuple[float, float]] = {
    "NONE": (-inf, inf),
    "RELU": (0.0, inf),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}


def _stored(real: float, q: Quantization) -> int:
    """A real number in stored integers: divided in float32, rounded half away from zero. Infinities stay far away."""
    with np.errstate(over="ignore"):
        quotient = float(np.float32(real) / np.float32(q.scale))
    if not isfinite(quotient):
        return 1 << 20 if quotient > 0 else -(1 << 20)
    return q.zero_point + (floor(abs(quotient) + 0.5) if quotient >= 0 else -floor(abs(quotient) + 0.5))


def listed(types: tuple[str, ...]) -> str:
    """Types and their verb: "int8 is", "int8 and int16 are"."""
    return f"{types[0]} is" if len(types) == 1 else f"{', '.join(types[:-1])} and {types[-1]} are"


def quantization_complaint(tensor: Tensor) -> str:
    """Why a tensor of scaled integers that is no weights cannot be used; empty where it can."""
    if tensor.quantization is None:
        return f"has no quantisation parameters; {tensor.dtype} needs a scale and a zero point"
    if len(tensor.quantization.scales) != 1:
        return "is quantised per channel; only weights may be"
    if not usable_scale(tensor.q.scale):
        return f"has the scale {tensor.q.scale:.3g}, which is no normal positive float32"
    return ""


def place(model: RawModel, operator: RawOperator) -> str:
    """How messages name an operator: its index, its code, its first result."""
    origin = f"operator {operator.index} {operator.code}"
    if not operator.outputs:
        return origin
    name = model.tensors[operator.outputs[0]].name
    return f"{origin} '{name if len(name) <= LONGEST_NAME else name[:LONGEST_NAME] + '...'}'"


@dataclass(frozen=True)
class Arm:
    """How one TFLite operator is converted.

    `options` is the schema's number of its options table (0: none are read), `inputs` the least and the most operands,
    `types` those of the values it computes with (weights, indices and conditions have their own).
    """

    code: str
    note: str
    inputs: tuple[int, int]
    build: Callable[[Site], tuple[Op, ...]]
    options: int = 0
    types: tuple[str, ...] = INT8
