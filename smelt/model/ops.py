"""One frozen dataclass per operator. Images are (batch, rows, columns, channels); clamps are in `y`'s stored integers.

Importers reduce what files offer to this set: SPLIT and UNPACK become `Slice`s, PACK a `Concat` of `Reshape`s, SQUEEZE and
EXPAND_DIMS `Reshape`, SUB an `Add` with `subtract`, every activation that stands alone a `Unary`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

from smelt.model.graph import Op, Tensor
from smelt.model.rescale import Clamp as Clamp
from smelt.model.rescale import Rescale


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


@dataclass(frozen=True, eq=False, kw_only=True)
class Linear(Op):
    """Sums of products of x and `weights`, to which `bias` is added, and what `rescale` makes of them."""

    x: Tensor
    weights: Tensor
    bias: Tensor | None
    rescale: Rescale

    @property
    def clamp(self) -> Clamp:
        """The least and the greatest output."""
        return self.rescale.clamp


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv2D(Linear):
    """`weights` are (channels out, rows, columns, channels in); `bias` is int32 (channels out,) at x.scale * weights.scale.

    Channels in of x may be a multiple of the weights' (grouped convolution). Padding has the value of x's zero point.
    """

    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pad: Padding = Padding()

    @property
    def macs(self) -> int:
        return self.y.elements * prod(self.weights.shape[1:])


@dataclass(frozen=True, eq=False, kw_only=True)
class DepthwiseConv2D(Linear):
    """`weights` are (1, rows, columns, channels out); channel c of y reads channel c // multiplier of x."""

    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pad: Padding = Padding()

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


@dataclass(frozen=True, eq=False, kw_only=True)
class TransposeConv2D(Linear):
    """`weights` are (channels out, rows, columns, channels in); `pad.top` and `pad.left` are cut off the full result."""

    stride: tuple[int, int] = (1, 1)
    pad: Padding = Padding()

    @property
    def macs(self) -> int:
        return self.x.elements * prod(self.weights.shape[:3])


@dataclass(frozen=True, eq=False, kw_only=True)
class Pool(Op):
    """Windows of `size` over the image; padding takes no part (it does not count in an average)."""

    x: Tensor
    size: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    pad: Padding = Padding()
    clamp: Clamp = FULL


class AveragePool2D(Pool):
    pass


class MaxPool2D(Pool):
    pass


@dataclass(frozen=True, eq=False, kw_only=True)
class Reduce(Op):
    """One value from all along `axes` (sorted, non-negative); y may keep the reduced axes with size 1 or drop them."""

    x: Tensor
    axes: tuple[int, ...]


class Mean(Reduce):
    pass


@dataclass(frozen=True, eq=False, kw_only=True)
class Binary(Op):
    """Element by element with NumPy broadcasting. Either operand may be a constant, not both."""

    x: Tensor
    x2: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Add(Binary):
    clamp: Clamp = FULL
    subtract: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class Mul(Binary):
    clamp: Clamp = FULL


class Minimum(Binary):
    pass


class Maximum(Binary):
    pass


@dataclass(frozen=True, eq=False, kw_only=True)
class Pad(Op):
    """`before` and `after` elements of `value` (as stored) per axis."""

    x: Tensor
    before: tuple[int, ...]
    after: tuple[int, ...]
    value: int | float


@dataclass(frozen=True, eq=False, kw_only=True)
class Reshape(Op):
    """The same bytes under another shape."""

    x: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Concat(Op):
    xs: tuple[Tensor, ...]
    axis: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Slice(Op):
    """y[i] = x[begin + i * stride] along every axis; strides may be negative; the extent is y's shape."""

    x: Tensor
    begin: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Transpose(Op):
    """Axis i of y is axis permutation[i] of x."""

    x: Tensor
    permutation: tuple[int, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Resize(Op):
    x: Tensor
    align_corners: bool = False
    half_pixel_centers: bool = False


class ResizeNearest(Resize):
    pass


class ResizeBilinear(Resize):
    pass


@dataclass(frozen=True, eq=False, kw_only=True)
class Softmax(Op):
    """Over the last axis."""

    x: Tensor
    beta: float = 1.0


UnaryFunction = Literal[
    "relu", "relu6", "relu_n1_to_1", "relu_0_to_1", "leaky_relu", "logistic", "tanh", "hard_swish", "requantize", "elu",
    "gelu", "gelu_tanh", "abs", "neg", "sign", "square", "sqrt", "rsqrt", "exp", "log", "sin", "cos", "floor", "ceil",
    "round", "not",
]  # fmt: skip


@dataclass(frozen=True, eq=False, kw_only=True)
class Unary(Op):
    """A function of one value: of x's integers where x has a scale, of plain integers, of bool, of reals. `alpha` is the slope
    of leaky_relu. "requantize" brings a number from x's scale and type to y's."""

    x: Tensor
    function: UnaryFunction
    alpha: float = 0.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Lookup(Op):
    """y = table[x - (the least x)]: x is of one byte, `table` a constant of 256 entries of y's dtype."""

    x: Tensor
    table: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Quantize(Op):
    """float32 to integers with a scale."""

    x: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Dequantize(Op):
    """Integers with a scale to float32."""

    x: Tensor
