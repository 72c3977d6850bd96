"""Where an operator of a .tflite file is turned into ops: its operands, options, complaints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import floor, inf, isfinite, isinf
from typing import Literal, NoReturn

import numpy as np

from smelt.errors import ModelError
from smelt.importers.flexbuffer import read_map
from smelt.importers.tflite_file import RawModel, RawOperator
from smelt.importers.tflite_schema import ACTIVATIONS, PADDINGS, name_of
from smelt.importers.tflite_workbench import Echo, Refusal, Workbench
from smelt.model.graph import Op, Quantization, Tensor
from smelt.model.ops import Clamp
from smelt.model.representable import fits_steps, usable_scale

MOST_STEP = 4096  # strides, dilations, windows
LONGEST_NAME = 60  # in messages; converters join the names of everything they fuse

INT8 = ("int8",)
REAL = ("float32",)
INT8_OR_REAL = (*INT8, *REAL)
SCALED_OR_REAL = ("int8", "int16", "float32")
WEIGHTS = {"float32": ("float32", "int8"), "int16": ("int8",), "int8": ("int8", "int4"), "uint8": ("int8",)}
BIASES = {"float32": "float32", "int8": "int32", "uint8": "int32"}
SCALED = ("int8", "uint8", "int16")  # integers that stand for reals by a scale and a zero point


@dataclass(frozen=True)
class Site:
    """One operator of the file being converted; the conversions in `tflite_ops` and `tflite_moves` work on this.

    Methods raise ModelError where the file contradicts itself and Refusal where it asks for what is not supported;
    `demand` collects complaints that do not stand in the way of finding more. `types` are the arm's.
    """

    bench: Workbench
    operator: RawOperator
    types: tuple[str, ...] = INT8
    by_operand: bool = False
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

    @property
    def dtype(self) -> str:
        """The type the operator works in: that of its first result; of its first operand where that is `by_operand`."""
        indices = self.operator.inputs if self.by_operand else self.operator.outputs
        return self.bench.model.tensors[indices[0]].dtype if indices and indices[0] >= 0 else "none"

    @property
    def is_settled(self) -> bool:
        """Whether every operand is constant, so that nothing remains to be done on the device."""
        return all(self.bench.tensor(index).is_constant for index in self.operator.inputs if index >= 0)

    def reads_lost(self) -> bool:
        """Whether an operand follows from the result of an operator that could not be converted."""
        return not self.bench.lost.isdisjoint(self.operator.inputs)

    # Operands

    def has(self, position: int) -> bool:
        """Whether the operand is there (absent ones are -1 or left out)."""
        return position < len(self.operator.inputs) and self.operator.inputs[position] >= 0

    def is_running(self, position: int) -> bool:
        """Whether the operand is there, and computed while the model runs, as far as that could be converted."""
        if not self.has(position):
            return False
        tensor = self.operand(position)
        return not tensor.is_constant and self.bench.is_running(tensor) and not self.bench.is_lost(tensor)

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

    def variable(self, position: int) -> tuple[Tensor, Tensor]:
        """An operand that lives between inferences: what the last one left, and what this one leaves (a result of the op)."""
        if not self.has(position):
            self.broken(f"input {position} is missing")
        return self.bench.remember(self.operator.inputs[position])

    def _activation(self, tensor: Tensor, role: str, types: tuple[str, ...], raw: bool) -> Tensor:
        if tensor.dtype not in types:
            self.refuse(f"{role} '{tensor.name}' is {tensor.dtype}; {listed(types)} supported")
        complaint = quantization_complaint(tensor) if tensor.dtype in SCALED and not raw else ""
        if complaint:
            self.refuse(f"{role} '{tensor.name}' {complaint}")
        if tensor.elements == 0 and not self.is_settled:
            self.refuse(f"{role} '{tensor.name}' of shape {list(tensor.shape)} is empty")
        return tensor

    def alike(self, *tensors: Tensor) -> None:
        """Refuse tensors of different types."""
        if len({tensor.dtype for tensor in tensors}) > 1:
            self.refuse(f"its tensors are {', '.join(tensor.dtype for tensor in tensors)}; one type is supported")

    def demand_no_zero(self, *tensors: Tensor) -> None:
        """Complain of int16 tensors with a zero point, where the oracle takes it to be 0."""
        for tensor in tensors:
            if tensor.dtype == "int16" and tensor.quantization is not None and any(tensor.quantization.zero_points):
                self.demand(False, f"int16 '{tensor.name}' has a zero point other than 0")

    def image(self, position: int = 0) -> Tensor:
        """An input of shape (batch, rows, columns, channels)."""
        return self.four_axes(self.x(position))

    def four_axes(self, tensor: Tensor) -> Tensor:
        if len(tensor.shape) != 4:
            self.broken(f"'{tensor.name}' must have 4 axes, but its shape is {list(tensor.shape)}")
        return tensor

    @property
    def is_real(self) -> bool:
        """Whether the operator computes in float32."""
        return self.dtype == "float32"

    def weights(self, position: int, axis: int, axes: int, computed: bool = False) -> Tensor:
        """Weights of int8 or int4 with `axes` axes, per tensor or per channel along `axis`. All zero points are 0, except
        where the oracle honours one: in FULLY_CONNECTED, and in the legacy quantisation.

        Where the operator computes in float32 they are float32; int8 ones are dequantised, once and for all. They are constants,
        unless they may be `computed`.
        """
        tensor = self.operand(position)
        self._known(tensor, "weights", computed)
        types = WEIGHTS[self.dtype] if tensor.is_constant or not self.is_real else REAL
        if tensor.dtype not in types:
            self.refuse(f"weights '{tensor.name}' are {tensor.dtype}; {listed(types)} supported")
        if len(tensor.shape) != axes or tensor.elements == 0:
            self.broken(f"weights '{tensor.name}' must have {axes} axes, but their shape is {list(tensor.shape)}")
        if tensor.dtype == "float32":
            return self._finite(tensor, "weights") if tensor.is_constant else tensor
        quantization = tensor.quantization
        if quantization is None:
            self.refuse(f"weights '{tensor.name}' have no quantisation parameters")
        honoured = self.bench.legacy or self.operator.code == "FULLY_CONNECTED"
        centred = not any(quantization.zero_points) or (honoured and len(quantization.zero_points) == 1)
        self.demand(centred, f"weights '{tensor.name}' have a zero point other than 0")
        if quantization.axis not in (None, axis):
            self.refuse(
                f"weights '{tensor.name}' are quantised along axis {quantization.axis}; axis {axis} is supported"
            )
        return self._dequantized(tensor) if self.is_real else tensor

    def _finite(self, tensor: Tensor, role: str) -> Tensor:
        """A float32 constant, which must hold numbers: products with what is none would spoil sums that pad with zeros."""
        if not np.all(np.isfinite(tensor.constant)):
            self.refuse(f"{role} '{tensor.name}' hold values that are infinite or no numbers")
        return tensor

    def _dequantized(self, tensor: Tensor) -> Tensor:
        """Weights as the reals that they stand for, as `tflite_advice.HYBRID` tells people."""
        if self.operator not in self.bench.hybrid:
            self.bench.hybrid.append(self.operator)
        q = tensor.q
        shape = [-1 if a == q.axis else 1 for a in range(len(tensor.shape))]
        scales = np.asarray(q.scales, np.float32).reshape(shape if len(q.scales) > 1 else -1)
        data = tensor.constant.astype(np.float32) * scales
        return Tensor(self.fresh(f"{tensor.name}_real"), tensor.shape, "float32", None, data)

    def _known(self, tensor: Tensor, role: str, computed: bool) -> None:
        """Complain unless `tensor` is a constant, or may be `computed` and is."""
        if not (computed and self.bench.is_running(tensor) and not self.bench.is_lost(tensor)):
            self._fixed(tensor, role)

    def _fixed(self, tensor: Tensor, role: str) -> None:
        """Complain unless `tensor` is a constant."""
        if tensor.is_constant:
            return
        if self.bench.is_lost(tensor):
            raise Echo
        if not self.bench.is_running(tensor):
            self.broken(f"{role} '{tensor.name}' has no data")
        self.refuse(f"{role} '{tensor.name}' is computed while the model runs; a constant is supported")

    def bias(
        self, position: int, channels: int, of_int16: tuple[str, ...] = ("int64",), computed: bool = False
    ) -> Tensor | None:
        """A constant, or something that may be `computed`, with one value per channel, or None: int32, float32 where the operator
        computes in it, one of the types `of_int16` where its activations are int16."""
        if not self.has(position):
            return None
        tensor, types = self.operand(position), of_int16 if self.dtype == "int16" else (BIASES[self.dtype],)
        if tensor.dtype not in types:
            self.refuse(f"bias '{tensor.name}' is {tensor.dtype}; {listed(types)} supported")
        self._known(tensor, "bias", computed)
        if self.is_real and tensor.is_constant:
            self._finite(tensor, "bias")
        if tensor.elements != channels:
            self.broken(f"bias '{tensor.name}' has shape {list(tensor.shape)}, but there are {channels} channels")
        if tensor.shape == (channels,):
            return tensor
        if tensor.data is None:
            self.refuse(
                f"bias '{tensor.name}' is computed and has the shape {list(tensor.shape)}; {[channels]} is supported"
            )
        flat = tensor.data.reshape(channels)
        return Tensor(self.fresh(f"{tensor.name}_flat"), (channels,), tensor.dtype, tensor.quantization, flat)

    def integers(self, position: int) -> tuple[int, ...]:
        """The values of a constant operand: a shape, axes, sizes."""
        tensor = self.operand(position)
        self._fixed(tensor, f"input {position}")
        if tensor.dtype not in ("int32", "int64"):
            self.broken(f"input {position} '{tensor.name}' is {tensor.dtype}, not int32")
        if tensor.elements > 64:
            self.broken(f"input {position} '{tensor.name}' has {tensor.elements} values; that is no shape or axis")
        return tuple(int(value) for value in tensor.constant.flat)

    def axis(self, value: int, axes: int) -> int:
        """`value` counted from the front. Raises ModelError when there is no such axis."""
        if not -axes <= value < axes:
            self.broken(f"axis {value} does not exist in a shape of {axes} axes")
        return value % axes

    # Options

    def custom(self, name: str, default: int | None = None) -> int:
        """An option of a custom operator; without a `default` it must be there."""
        found = read_map(self.operator.custom).get(name, default)
        if found is None or isinstance(found, str | float):
            self.broken(f"its option '{name}' is {'missing' if found is None else f'{found!r}, no integer'}")
        return int(found)

    def custom_real(self, name: str) -> float:
        """An option of a custom operator that is a finite number of float32."""
        found = read_map(self.operator.custom).get(name)
        if found is None or isinstance(found, str) or not isfinite(np.float32(found)):
            self.broken(f"its option '{name}' is {'missing' if found is None else f'{found!r}, no number'}")
        return float(np.float32(found))

    def integer(self, number: int, default: int = 0) -> int:
        options = self.operator.options
        return default if options is None else options.integer(number, "i", default)

    def code(self, number: int) -> int:
        options = self.operator.options
        return 0 if options is None else options.integer(number, "b")

    def flag(self, number: int, default: bool = False) -> bool:
        options = self.operator.options
        return default if options is None else options.flag(number, default)

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
        if y.element.is_float:
            return low, high
        least, most = y.element.range
        if y.dtype not in SCALED:
            return int(max(least, low)), int(min(most, high))
        for limit in (low, high):
            few = isinf(limit) or fits_steps(limit, y.q)
            self.demand(few, f"the limits of {activation} are too many steps of {y.q.scale:.3g} for 32-bit arithmetic")
        return max(least, _stored(low, y.q)), min(most, _stored(high, y.q))

    # Checks and results

    def agree(self, y: Tensor, shape: tuple[int, ...]) -> Tensor:
        """`y`, whose declared shape must be the computed one, or left open where it is not: then with the computed one."""
        if y.shape == shape:
            return y
        if not self.bench.is_open(y, shape):
            self.broken(f"output '{y.name}' has shape {list(y.shape)}, but the operator computes {list(shape)}")
        return self.bench.renew(y, shape)

    def fresh(self, name: str) -> str:
        return self.bench.names.unique(name)

    def like(self, tensor: Tensor, shape: tuple[int, ...], suffix: str) -> Tensor:
        """A new tensor of the type and quantisation of `tensor`."""
        return Tensor(self.fresh(f"{tensor.name}_{suffix}"), shape, tensor.dtype, tensor.quantization)


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


Oracle = Literal["TFLM", "LiteRT"]


@dataclass(frozen=True)
class Arm:
    """How one TFLite operator is converted.

    `options` is the schema's number of its options table (0: none are read), `inputs` the least and the most operands,
    `outputs` the least and the most results, `types` those of the values it computes with (weights, indices and conditions have
    their own): that of the first result, of the first operand where that is `by_operand`. `oracle` says whose result is the
    right one: TensorFlow Lite's own (LiteRT) where TFLM lacks the operator.
    """

    code: str
    note: str
    inputs: tuple[int, int]
    build: Callable[[Site], tuple[Op, ...]]
    options: int = 0
    types: tuple[str, ...] = INT8
    outputs: tuple[int, int] = (1, 1)
    oracle: Oracle = "TFLM"
    by_operand: bool = False
