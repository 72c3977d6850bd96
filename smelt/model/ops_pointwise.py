"""More operators that work element by element, and those that reduce axes. Their operands' types say in which numbers they compute.

Integers of int8 and int16 have a scale and a zero point, unless a class says that it takes stored integers as they are; int32 and
int64 are plain integers that wrap, bool is 0 or 1, float32 is real.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from smelt.model.graph import Op, Tensor
from smelt.model.ops import FULL, Binary, Clamp, Reduce


@dataclass(frozen=True, eq=False, kw_only=True)
class SquaredDifference(Binary):
    """(x - x2) squared."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Div(Binary):
    """x / x2; of plain integers towards zero."""

    clamp: Clamp = FULL


class FloorDiv(Binary):
    """x / x2, rounded down."""


class FloorMod(Binary):
    """What `FloorDiv` leaves: it has the sign of x2."""


class Power(Binary):
    """x to the power of x2."""


Relation = Literal["==", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True, eq=False, kw_only=True)
class Compare(Binary):
    """Whether `x relation x2`: y is bool."""

    relation: Relation


class LogicalAnd(Binary):
    """Of bool."""


class LogicalOr(Binary):
    """Of bool."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Select(Op):
    """x where `condition` (bool) is true, else x2: stored values, of any type; all three broadcast to y's shape."""

    by_element: ClassVar[bool] = True
    renews: ClassVar[tuple[tuple[str, str], ...]] = (("x2", "y"),)

    condition: Tensor
    x: Tensor
    x2: Tensor

    @property
    def carried(self) -> tuple[Tensor, ...]:
        return (self.condition, self.x, self.x2)


@dataclass(frozen=True, eq=False, kw_only=True)
class Prelu(Op):
    """x where it is not negative, else x * alpha; alpha (int8 where x is int8 or int16) broadcasts to x's shape."""

    by_element: ClassVar[bool] = True

    x: Tensor
    alpha: Tensor

    @property
    def carried(self) -> tuple[Tensor, ...]:
        return (self.x, self.alpha)


@dataclass(frozen=True, eq=False)
class ByteSteps:
    """How a byte becomes another one in each channel: ops one after the other from `argument`, which is (256, channels), as all
    results are; constants are one number, or one for each channel."""

    argument: Tensor
    ops: tuple[Op, ...]

    def __str__(self) -> str:
        return "+".join(type(op).__name__ for op in self.ops)


@dataclass(frozen=True, eq=False, kw_only=True)
class ChannelFunction(Op):
    """A function of one byte that is another one in each channel (index of the last axis)."""

    x: Tensor
    steps: ByteSteps


@dataclass(frozen=True, eq=False, kw_only=True)
class ChannelLookup(Op):
    """y = table[channel, x - (the least x)]: x is of one byte, `table` a constant (channels, 256) of y's dtype."""

    x: Tensor
    table: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class AddN(Op):
    """The sum of two or more tensors of one shape, type and quantisation."""

    by_element: ClassVar[bool] = True

    xs: tuple[Tensor, ...]

    @property
    def carried(self) -> tuple[Tensor, ...]:
        return self.xs


@dataclass(frozen=True, eq=False, kw_only=True)
class Cast(Op):
    """The same number in another type: floats lose their fraction and saturate, integers wrap, bool is whether it is not 0."""

    x: Tensor

    @property
    def carried(self) -> tuple[Tensor, ...]:
        return (self.x,)


@dataclass(frozen=True, eq=False, kw_only=True)
class LogSoftmax(Op):
    """Over the last axis."""

    x: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class L2Normalization(Op):
    """x divided by the root of the sum of its squares along the last axis."""

    x: Tensor


class Sum(Reduce):
    """The sum over `axes`."""


class ReduceMax(Reduce):
    """The greatest stored value."""


class ReduceMin(Reduce):
    """The least stored value."""


class ReduceProduct(Reduce):
    """The product of plain integers or reals."""


class ReduceAll(Reduce):
    """Whether all (of bool) are true."""


class ReduceAny(Reduce):
    """Whether any (of bool) is true."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ArgExtreme(Op):
    """Where along `axis` the extreme stored value of x is, the first one of several: y is int32 and lacks the axis."""

    x: Tensor
    axis: int


class ArgMax(ArgExtreme):
    pass


class ArgMin(ArgExtreme):
    pass


@dataclass(frozen=True, eq=False, kw_only=True)
class CumulativeSum(Op):
    """Sums of x up to each element along `axis`: without the element itself where `exclusive`, from the end where `reverse`."""

    x: Tensor
    axis: int
    exclusive: bool = False
    reverse: bool = False
