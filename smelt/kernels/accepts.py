"""What several implementations ask of a layer: each docstring is what users read where it is not met."""

from __future__ import annotations

from smelt.model.graph import Op
from smelt.model.ops import Conv2D, DepthwiseConv2D, Linear
from smelt.targets.types import Core


def has_dual_mac(op: Op, core: Core) -> bool:
    """a core with the DSP extension (SMLAD, SXTB16)"""
    return core.has("smlad") and core.has("sxtb16")


def has_dots(op: Op, core: Core) -> bool:
    """a core that multiplies and adds four bytes at once (pv.sdotsp.b)"""
    return core.has("add_dot")


def has_quads(op: Linear, core: Core) -> bool:
    """at least four output channels"""
    return op.y.shape[-1] >= 4


def is_of_words(op: Linear, core: Core) -> bool:
    """outputs that are made from sums of 32 bits"""
    return op.rescale.rounding in ("floor", "ties_even")


def has_byte_weights(op: Linear, core: Core) -> bool:
    """weights of eight bits"""
    return not op.weights.element.is_packed


def is_undilated(op: Conv2D | DepthwiseConv2D, core: Core) -> bool:
    """neighbouring taps that are neighbours in the image (dilation 1)"""
    return op.dilation == (1, 1)


def is_ungrouped(op: Conv2D, core: Core) -> bool:
    """every output channel reading every input channel (no groups)"""
    return op.weights.shape[3] == op.x.shape[3]


def is_three_by_three(op: DepthwiseConv2D, core: Core) -> bool:
    """a kernel of 3 x 3, as many channels of y as of x"""
    return op.weights.shape[1:3] == (3, 3) and op.multiplier == 1


def has_enough_taps(op: Conv2D, core: Core) -> bool:
    """at least 8 weights for each output channel"""
    return op.weights.elements // op.y.shape[3] >= 8


def is_pointwise(op: Conv2D) -> bool:
    """Whether every output sees one pixel, the one where it is itself."""
    return op.weights.shape[1:3] == (1, 1) and op.stride == (1, 1) and not op.pad


def pixels_of(op: Conv2D) -> int:
    """Pixels of y, of all images."""
    return op.y.elements // op.y.shape[3]
