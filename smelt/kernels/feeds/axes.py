"""The axes of an image whose channels are planes: lines may be its rows or its columns."""

from __future__ import annotations

from dataclasses import dataclass

from smelt.model.ops import DepthwiseConv2D


@dataclass(frozen=True)
class Axis:
    """One axis of the image: sizes in elements, distances between neighbours in x and y."""

    x_size: int
    y_size: int
    stride: int
    pad: int
    x_step: int
    y_step: int
    tap_step: int

    @property
    def seen(self) -> int:
        """Elements of a plane, padding included."""
        return max((self.y_size - 1) * self.stride + 3, self.pad + self.x_size)


def axes_of(op: DepthwiseConv2D, transposed: bool) -> tuple[Axis, Axis]:
    """(from line to line, along a line)."""
    _, x_rows, x_columns, channels = op.x.shape
    _, y_rows, y_columns, _ = op.y.shape
    down = Axis(x_rows, y_rows, op.stride[0], op.pad.top, x_columns * channels, y_columns * channels, 3)
    across = Axis(x_columns, y_columns, op.stride[1], op.pad.left, channels, channels, 1)
    return (across, down) if transposed else (down, across)
