"""One frozen dataclass per operator. Images are (batch, rows, columns, channels); clamps are in `y`'s stored values.

Importers reduce what files offer to this set: SPLIT and UNPACK become `Slice`s, PACK a `Concat` of `Reshape`s, SQUEEZE and
EXPAND_DIMS `Reshape`, SUB an `Add` with `subtract`, every activation that stands alone a `Unary`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, prod
from typing import ClassVar, Literal

import numpy as np

from smelt.model.graph import Op, Tensor
from smelt.model.rescale import Clamp as Clamp
from smelt.model.rescale import Rescale
from smelt.model.terms import Terms


@dataclass(frozen=True)
class Padding:
    """Rows and columns added around an image; their value is the operator's business."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def __bool__(self) -> bool:
        return any((self.top, self.bottom, self.left, self.right))


FULL: Clamp = (-128, 127)
UNBOUNDED: Clamp = (-inf, inf)


@dataclass(frozen=True, eq=False, kw_only=True)
class Linear(Op):
    """Sums of products of x and `weights`, to which `bias` is added, and what `rescale` makes of them.

    Weights and bias are constants, or computed as x is. Only computed weights have a zero point; of constant ones it has been
    taken off.
    """

    mixes_channels: ClassVar[bool] = True
    """Whether every channel of y is computed from all channels of x."""

    channel_axis: ClassVar[int] = 0
    """The axis of the weights that has the channels of y."""

    x: Tensor
    weights: Tensor
    bias: Tensor | None
    rescale: Rescale

    @property
    def has_constants(self) -> bool:
        """Whether weights and bias are known before the network runs."""
        return self.weights.is_constant and (self.bias is None or self.bias.is_constant)

    @property
    def storable(self) -> tuple[Tensor, ...]:
        return (self.weights,) if self.has_constants and self.rescale.rounding == "real" else ()

    @property
    def clamp(self) -> Clamp:
        """The least and the greatest output."""
        return self.rescale.clamp

    def limited(self, clamp: Clamp) -> Op:
        return replace(self, rescale=self.rescale.clamped(clamp))

    @property
    def reads_whole_pixels(self) -> bool:
        """Whether the last axis of the weights is that of x, or several pixels of it."""
        return self.weights.shape[-1] == self.x.shape[-1]

    @property
    def sees_padding(self) -> bool:
        """Whether some position of y is computed from less than a whole window of x."""
        return False


@dataclass(frozen=True, eq=False, kw_only=True)
class Windowed(Linear):
    """What slides a window over an image."""

    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pad: Padding = Padding()

    @property
    def sees_padding(self) -> bool:
        size, spread = self.weights.shape[1:3], self.dilation
        for axis, before in ((0, self.pad.top), (1, self.pad.left)):
            end = (self.y.shape[axis + 1] - 1) * self.stride[axis] + (size[axis] - 1) * spread[axis] + 1 - before
            if before > 0 or end > self.x.shape[axis + 1]:
                return True
        return False


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv2D(Windowed):
    """`weights` are (channels out, rows, columns, channels in); `bias` is int32 (channels out,) at x.scale * weights.scale.

    Channels in of x may be a multiple of the weights' (grouped convolution). Padding has the value of x's zero point.
    """

    @property
    def macs(self) -> int:
        return self.y.elements * prod(self.weights.shape[1:])


@dataclass(frozen=True, eq=False, kw_only=True)
class DepthwiseConv2D(Windowed):
    """`weights` are (1, rows, columns, channels out); channel c of y reads channel c // multiplier of x."""

    mixes_channels: ClassVar[bool] = False
    channel_axis: ClassVar[int] = -1

    @property
    def multiplier(self) -> int:
        return self.y.shape[-1] // self.x.shape[-1]

    @property
    def macs(self) -> int:
        return self.y.elements * self.weights.shape[1] * self.weights.shape[2]


@dataclass(frozen=True, eq=False, kw_only=True)
class Dense(Linear):
    """`weights` are (units, depth); x is read as (elements // depth, depth) whatever its shape."""

    @property
    def macs(self) -> int:
        return self.y.elements * self.weights.shape[1]

    @property
    def reads_whole_pixels(self) -> bool:
        return self.weights.shape[-1] % (self.x.shape[-1] if self.x.shape else 1) == 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Total(Op):
    """What becomes of the sums of a layer with constant weights, of one row of x, where these come in parts: `x` are int32 (parts,
    units), or more columns, of which each row is the sum of some of the products of stored values of x and weights. No file has
    it: the planner divides a layer along its inputs."""

    x: Tensor
    of: Dense


@dataclass(frozen=True, eq=False, kw_only=True)
class TransposeConv2D(Linear):
    """`weights` are (channels out, rows, columns, channels in); `pad.top` and `pad.left` are cut off the full result."""

    stride: tuple[int, int] = (1, 1)
    pad: Padding = Padding()

    @property
    def macs(self) -> int:
        return self.x.elements * prod(self.weights.shape[:3])

    @property
    def sees_padding(self) -> bool:
        return True


@dataclass(frozen=True, eq=False, kw_only=True)
class Pool(Op):
    """Windows of `size` over the image; padding takes no part (it does not count in an average)."""

    x: Tensor
    size: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    pad: Padding = Padding()
    clamp: Clamp = FULL

    @property
    def carried(self) -> tuple[Tensor, ...]:
        return (self.x,)


@dataclass(frozen=True, eq=False, kw_only=True)
class AveragePool2D(Pool):
    """With a `rescale` y is that of the sum of a window's elements without the zero point of x, whatever their number: what lies
    outside of the image adds nothing, as reals of 0 would."""

    rescale: Rescale | None = None


class L2Pool2D(Pool):
    """The root of the mean of squares; of reals only."""


class MaxPool2D(Pool):
    pass


@dataclass(frozen=True, eq=False, kw_only=True)
class Reduce(Op):
    """One value from all along `axes` (sorted, non-negative); y may keep the reduced axes with size 1 or drop them."""

    x: Tensor
    axes: tuple[int, ...]

    @property
    def carried(self) -> tuple[Tensor, ...]:
        return () if len(self.x.shape) - 1 in self.axes else (self.x,)


@dataclass(frozen=True, eq=False, kw_only=True)
class Mean(Reduce):
    """With a `rescale` y is that of the sum of all elements without the zero point of x."""

    rescale: Rescale | None = None

    @property
    def directions(self) -> tuple[int, ...]:
        return (1,)


@dataclass(frozen=True, eq=False, kw_only=True)
class Binary(Op):
    """Element by element with NumPy broadcasting. Either operand may be a constant, not both."""

    by_element: ClassVar[bool] = True

    x: Tensor
    x2: Tensor

    @property
    def carried(self) -> tuple[Tensor, ...]:
        return (self.x, self.x2)


@dataclass(frozen=True, eq=False, kw_only=True)
class Add(Binary):
    """`terms` say how integers with a scale are added; without, as TensorFlow Lite Micro does, which `subtract` is about."""

    clamp: Clamp = FULL
    subtract: bool = False
    terms: Terms | None = None

    @property
    def directions(self) -> tuple[int, ...]:
        if self.terms is not None:
            first, second = self.terms.ratios
            return int(np.sign(first)), int(np.sign(second))
        return (1, -1 if self.subtract else 1)


@dataclass(frozen=True, eq=False, kw_only=True)
class Mul(Binary):
    """With a `rescale` y is that of the product of both operands without their zero points."""

    clamp: Clamp = FULL
    rescale: Rescale | None = None

    @property
    def directions(self) -> tuple[int, ...]:
        return (0, 0)


class Minimum(Binary):
    @property
    def directions(self) -> tuple[int, ...]:
        return (1, 1)


class Maximum(Binary):
    @property
    def directions(self) -> tuple[int, ...]:
        return (1, 1)


@dataclass(frozen=True, eq=False, kw_only=True)
class Pad(Op):
    """`before` and `after` elements of `value` (as stored) per axis."""

    x: Tensor
    before: tuple[int, ...]
    after: tuple[int, ...]
    value: int | float

    @property
    def directions(self) -> tuple[int, ...]:
        return (1,)

    @property
    def carried(self) -> tuple[Tensor, ...]:
        return (self.x,) if self.before[-1:] == self.after[-1:] == (0,) else ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Reshape(Op):
    """The same bytes under another shape."""

    x: Tensor

    @property
    def alias_of(self) -> Tensor:
        return self.x

    @property
    def directions(self) -> tuple[int, ...]:
        return (1,)


@dataclass(frozen=True, eq=False, kw_only=True)
class Concat(Op):
    xs: tuple[Tensor, ...]
    axis: int

    @property
    def directions(self) -> tuple[int, ...]:
        return (1,) * len(self.xs)


@dataclass(frozen=True, eq=False, kw_only=True)
class Slice(Op):
    """y[i] = x[begin + i * stride] along every axis; strides may be negative; the extent is y's shape."""

    x: Tensor
    begin: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def directions(self) -> tuple[int, ...]:
        return (1,)


@dataclass(frozen=True, eq=False, kw_only=True)
class Transpose(Op):
    """Axis i of y is axis permutation[i] of x."""

    x: Tensor
    permutation: tuple[int, ...]

    @property
    def directions(self) -> tuple[int, ...]:
        return (1,)

    @property
    def carried(self) -> tuple[Tensor, ...]:
        return (self.x,) if self.permutation[-1:] == (len(self.x.shape) - 1,) else ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Resize(Op):
    x: Tensor
    align_corners: bool = False
    half_pixel_centers: bool = False

    @property
    def directions(self) -> tuple[int, ...]:
        return (1,)

    @property
    def carried(self) -> tuple[Tensor, ...]:
        return (self.x,)


class ResizeNearest(Resize):
    pass


class ResizeBilinear(Resize):
    pass


@dataclass(frozen=True, eq=False, kw_only=True)
class Softmax(Op):
    """Over the last axis. With `steps` y is the nearest integer to so many times the probability, and the zero point of y.
    `exchanged`: x may come to have another scale, as in `Rescale`."""

    x: Tensor
    beta: float = 1.0
    steps: int | None = None
    exchanged: bool = False


UnaryFunction = Literal[
    "relu", "relu6", "relu_n1_to_1", "relu_0_to_1", "leaky_relu", "logistic", "tanh", "hard_swish", "requantize", "elu",
    "gelu", "gelu_tanh", "abs", "neg", "sign", "square", "sqrt", "rsqrt", "exp", "log", "sin", "cos", "floor", "ceil",
    "round", "erf", "not",
]  # fmt: skip


@dataclass(frozen=True, eq=False, kw_only=True)
class Unary(Op):
    """A function of one value: of x's integers where x has a scale, of plain integers, of bool, of reals. `alpha` is the slope
    of leaky_relu. "requantize" brings a number from x's scale and type to y's."""

    of_one_value: ClassVar[bool] = True
    as_table: ClassVar[bool] = True

    x: Tensor
    function: UnaryFunction
    alpha: float = 0.0

    @property
    def carried(self) -> tuple[Tensor, ...]:
        return (self.x,)


@dataclass(frozen=True, eq=False, kw_only=True)
class Lookup(Op):
    """y = table[x - (the least x)]: x is of one byte, `table` a constant of 256 entries of y's dtype."""

    of_one_value: ClassVar[bool] = True

    x: Tensor
    table: Tensor

    @property
    def carried(self) -> tuple[Tensor, ...]:
        return (self.x,)


@dataclass(frozen=True, eq=False, kw_only=True)
class Quantize(Op):
    """float32 to integers with a scale: the quotient in float32, rounded to an integer, halves away from zero or ("ties_even") to
    the even one, and the zero point added."""

    of_one_value: ClassVar[bool] = True

    x: Tensor
    rounding: Literal["tflm", "ties_even"] = "tflm"

    @property
    def carried(self) -> tuple[Tensor, ...]:
        return (self.x,)


@dataclass(frozen=True, eq=False, kw_only=True)
class Dequantize(Op):
    """Integers with a scale to float32."""

    of_one_value: ClassVar[bool] = True
    as_table: ClassVar[bool] = True

    x: Tensor

    @property
    def carried(self) -> tuple[Tensor, ...]:
        return (self.x,)
