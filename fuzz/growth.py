"""A random model that grows operator by operator: its tensors, and numbers from sane to absurd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tests.tflite_writer import ModelWriter

Shape = tuple[int, ...]
LARGEST, SMALLEST_NORMAL, SMALLEST = 3.4028234e38, 1.17549435e-38, 1.4e-45
ABSURD = (LARGEST, SMALLEST_NORMAL, SMALLEST, 1.0, 0.5, 2.0**-28, 2.0**-31, 2.0**31, 2.0**36)
MOST_ELEMENTS = 4096


@dataclass(frozen=True)
class Value:
    """A tensor of the model: int8, but for those that a recipe keeps to itself."""

    index: int
    shape: Shape
    scale: float
    zero: int
    dtype: str = "int8"


@dataclass
class Growth:
    """A model under construction. `wild` is the chance that a number is taken from its whole range."""

    rng: np.random.Generator
    wild: float
    w: ModelWriter = field(default_factory=ModelWriter)
    codes: list[str] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    count: int = 0

    # Chances

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def integer(self, low: int, high: int) -> int:
        """From `low` to `high`, both included."""
        return int(self.rng.integers(low, high + 1))

    def pick(self, options: Sequence):
        return options[self.integer(0, len(options) - 1)]

    def zero(self) -> int:
        return self.pick((0, -128, 127)) if self.chance(0.4) else self.integer(-128, 127)

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

    def int8(self, shape: Shape) -> np.ndarray:
        match self.integer(0, 3):
            case 0:
                return self.rng.choice(np.array([-128, 127], np.int8), shape)
            case 1:
                return np.clip(self.rng.normal(0, 20, shape), -128, 127).astype(np.int8)
        return self.rng.integers(-128, 128, shape, np.int8)

    # Tensors

    def name(self) -> str:
        self.count += 1
        return f"t{self.count}"

    def input(self, shape: Shape) -> Value:
        scale, zero = self.scale(), self.zero()
        value = Value(self.w.tensor(self.name(), shape, "int8", scale, zero), shape, scale, zero)
        self.inputs.append(value.index)
        self.values.append(value)
        return value

    def result(self, shape: Shape, scale: float, zero: int, dtype: str = "int8") -> Value:
        index = self.w.tensor(self.name(), shape, dtype, () if dtype == "float32" else scale, zero)
        value = Value(index, shape, scale, zero, dtype)
        self.values.append(value)
        return value

    def same(self, x: Value, shape: Shape) -> Value:
        """A result quantised as x is; seldom otherwise, which most operators that move values refuse."""
        return self.result(shape, self.scale() if self.chance(self.wild / 20) else x.scale, x.zero, x.dtype)

    def constant(self, shape: Shape, scale: float, zero: int, dtype: str = "int8") -> Value:
        numbers = () if dtype == "float32" else scale
        index = self.w.tensor(self.name(), shape, dtype, numbers, zero, self.int8(shape).astype(dtype))
        return Value(index, shape, scale, zero, dtype)

    def integers(self, values: Sequence[int] | Sequence[Sequence[int]] | int) -> int:
        return self.w.constant(self.name(), np.asarray(values, np.int32))

    def op(self, code: str, inputs: Sequence[int | Value], outputs: Sequence[int | Value], **options) -> None:
        self.codes.append(code)
        indices = [[v.index if isinstance(v, Value) else v for v in values] for values in (inputs, outputs)]
        self.w.op(code, *indices, version=2, **options)

    def finish(self, outputs: Sequence[int]) -> bytes:
        return self.w.finish(self.inputs, outputs)


def single(x: float) -> float:
    """The nearest positive finite float32."""
    return float(np.float32(min(max(x, SMALLEST), LARGEST)))


Recipe = Callable[[Growth, Value], bool]
"""How an operator grows out of a value; False where the value does not suit it."""
