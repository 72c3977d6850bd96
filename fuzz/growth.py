"""A random model that grows operator by operator: its tensors of every type, and numbers from sane to absurd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from smelt.importers.tflite import ARMS
from tests.reference_check import values
from tests.tflite_writer import ModelWriter

Shape = tuple[int, ...]
LARGEST, SMALLEST_NORMAL, SMALLEST = 3.4028234e38, 1.17549435e-38, 1.4e-45
ABSURD = (LARGEST, SMALLEST_NORMAL, SMALLEST, 1.0, 0.5, 2.0**-28, 2.0**-31, 2.0**31, 2.0**36)
MOST_ELEMENTS = 4096
SHAPES: tuple[Shape, ...] = (
    (1, 16, 16, 1), (1, 8, 8, 4), (1, 5, 7, 3), (2, 4, 3, 2), (1, 3, 6), (2, 5, 4), (1, 256), (3, 40), (7,),
)  # fmt: skip
NEAR = {"int8": 0.05, "uint8": 0.05, "int16": 2.0**-12}
"""Types whose values stand for reals by a scale and a zero point, and scales that they usually have."""
TYPES = {arm.code: arm.types for arm in ARMS}
"""The types that smelt has of each operator."""


def everything(code: str, dtype: str) -> bool:
    return True


@dataclass(frozen=True)
class Value:
    """A tensor of the model; `scale` is 0 where it has none."""

    index: int
    shape: Shape
    dtype: str
    scale: float = 0.0
    zero: int = 0

    @property
    def numbers(self) -> tuple[float, int]:
        return self.scale, self.zero


@dataclass
class Growth:
    """A model under construction. `wild` is the chance that a number is taken from its whole range."""

    rng: np.random.Generator
    wild: float
    takes: Callable[[str, str], bool] = everything
    """Whether an operator is wanted in a type."""
    w: ModelWriter = field(default_factory=ModelWriter)
    codes: list[str] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    """What operators may read: inputs, and results of a type's usual numbers."""
    inputs: list[Value] = field(default_factory=list)
    made: list[Value] = field(default_factory=list)
    """Results of operators."""
    read: set[int] = field(default_factory=set)
    count: int = 0

    # Chances

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def integer(self, low: int, high: int) -> int:
        """From `low` to `high`, both included."""
        return int(self.rng.integers(low, high + 1))

    def pick(self, options: Sequence):
        return options[self.integer(0, len(options) - 1)]

    def zero(self, dtype: str = "int8") -> int:
        """A zero point: of int16 nearly always 0, which most of its operators demand."""
        if dtype not in NEAR or (dtype == "int16" and not self.chance(self.wild / 4)):
            return 0
        limits = np.iinfo(dtype)
        low, high = int(limits.min), int(limits.max)
        return self.pick(((low + high + 1) // 2, low, high)) if self.chance(0.4) else self.integer(low, high)

    def scale(self, near: float = 0.05, octaves: float = 4) -> float:
        """A positive float32 around `near`, or any there is."""
        if not self.chance(self.wild):
            return single(near * 2.0 ** self.rng.uniform(-octaves, octaves))
        match self.integer(0, 3):
            case 0:
                return single(self.pick(ABSURD))
            case 1:
                return single(2.0 ** self.rng.uniform(-149, 127.99))
            case 2:
                return single(near * 2.0 ** self.integer(-40, 40))
        return single(near * 2.0 ** self.rng.uniform(-40, 40))

    def alpha(self) -> float:
        """A slope: between -2 and 2, or any float32."""
        if not self.chance(self.wild):
            return float(np.float32(self.pick((self.rng.uniform(-2, 2), -0.25, -1.0, 0.25))))
        sign = self.pick((-1, 1))
        return self.pick((0.0, 1.0, sign * self.scale(), sign * LARGEST, float("inf"), float("nan")))

    def array(self, shape: Shape, dtype: str) -> np.ndarray:
        """Values of a type: of all magnitudes, or only its ends."""
        return values(self.rng, shape, dtype)

    # Tensors

    def name(self) -> str:
        self.count += 1
        return f"t{self.count}"

    def tensor(
        self, shape: Shape, dtype: str, scale: float = 0.0, zero: int = 0, data: np.ndarray | None = None
    ) -> Value:
        """A tensor that operators do not find; per tensor, or without a scale where that is 0."""
        index = self.w.tensor(self.name(), shape, dtype, scale or (), zero, data)
        return Value(index, tuple(shape), dtype, scale, zero)

    def numbers(self, dtype: str, near: float = 0.0) -> tuple[float, int]:
        """A scale near `near` and a zero point, for types that have them."""
        return (self.scale(near or NEAR[dtype]), self.zero(dtype)) if dtype in NEAR else (0.0, 0)

    def input(self, shape: Shape, dtype: str = "int8", *numbers: float | int) -> Value:
        value = self.tensor(shape, dtype, *(numbers or self.numbers(dtype)))
        self.inputs.append(value)
        self.values.append(value)
        return value

    def some(self, dtype: str) -> Value:
        """A value of a type that is no scalar: the newest one, another one, or a new input."""
        found = [value for value in self.values if value.dtype == dtype and value.shape]
        if not found or self.chance(0.03):
            return self.input(self.pick(SHAPES), dtype)
        return found[-1] if self.chance(0.7) else self.pick(found)

    def result(self, shape: Shape, dtype: str, scale: float = 0.0, zero: int = 0) -> Value:
        """A result with these numbers, which operators find."""
        value = self.tensor(shape, dtype, scale, zero)
        self.values.append(value)
        return value

    def new(self, shape: Shape, dtype: str, near: float = 0.0) -> Value:
        """A result with numbers of its own."""
        return self.result(shape, dtype, *self.numbers(dtype, near))

    def same(self, x: Value, shape: Shape) -> Value:
        """A result quantised as x is; seldom otherwise, which most operators that move values refuse."""
        other = x.scale and self.chance(self.wild / 20)
        return self.result(shape, x.dtype, self.scale() if other else x.scale, x.zero)

    def constant(self, shape: Shape, dtype: str, scale: float = 0.0, zero: int = 0) -> Value:
        return self.tensor(shape, dtype, scale, zero, self.array(shape, dtype))

    def like(self, x: Value, shape: Shape) -> Value:
        """A constant of the type and numbers of x."""
        return self.constant(shape, x.dtype, *x.numbers)

    def alike(self, x: Value) -> list[Value]:
        """Values of the shape, type and numbers of x; x among them."""
        key = (x.shape, x.dtype, x.numbers)
        return [v for v in (x, *self.values) if (v.shape, v.dtype, v.numbers) == key]

    def integers(self, values: Sequence[int] | Sequence[Sequence[int]] | int) -> int:
        return self.w.constant(self.name(), np.asarray(values, np.int32))

    # Operators

    def subgraph(self) -> Growth:
        """Another subgraph of the file, which is grown by itself; its number is `w.subgraphs`, if it is the newest one."""
        return Growth(self.rng, 0.0, self.takes, self.w.subgraph())

    def op(self, code: str, inputs: Sequence[int | Value], outputs: Sequence[int | Value], **options) -> None:
        self.codes.append(code)
        indices = [[v.index if isinstance(v, Value) else v for v in values] for values in (inputs, outputs)]
        self.read.update(indices[0])
        self.made.extend(v for v in outputs if isinstance(v, Value))
        self.w.op(code, *indices, version=2, **options)

    def finish(self, outputs: Sequence[Value]) -> bytes:
        """The file, with these outputs, and without the inputs that nobody reads."""
        read = [x.index for x in self.inputs if x.index in self.read]
        return self.w.finish(read, [y.index for y in outputs])


def single(x: float) -> float:
    """The nearest positive finite float32."""
    return float(np.float32(min(max(x, SMALLEST), LARGEST)))


def fits(shape: Shape) -> bool:
    return 0 < prod(shape) <= MOST_ELEMENTS


Recipe = Callable[[Growth, str], bool]
"""How an operator grows that works in a type (as `Arm.types` has it); False where the values that there are do not suit it."""

Continuation = Callable[[Growth, Value], bool]
"""The same, out of a value of that type."""


def out_of(grow: Continuation) -> Recipe:
    """A recipe that begins with some value of the operator's type."""
    return lambda g, dtype: grow(g, g.some(dtype))
