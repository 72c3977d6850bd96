"""Features of sounds in float32, each number rounded in a stated order: every kernel gives the reference's bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from smelt.model.graph import Op, Tensor

FULL_SCALE = 1 << 15  # of samples
PREPARATION = "preparation"
"""The origin of ops that no file has: what is done before a network."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LogMel(Op):
    """Logarithms of the energies of frames in mel bands, y of (1, frames, ...) with a value for each band.

    x are samples of int16, (1, rows, 1, step), one row behind the other: a frame begins with every row, and is as long as `window`,
    by which it is multiplied. Of its spectrum of `length` samples, zeros behind, each bin counts its magnitude (`power` 1) or the
    square of it (2). Band m sums weight * bin over the `widths[m]` bins from `starts[m]` on, its weights being those from
    `weight_starts[m]` on, in order. y = factor * ln(sum + floor) + offset, with `floor` > 0. Where there is a `gain`, one number of
    float32, sums are multiplied by it, to the power of `power`: as if all samples were.
    """

    x: Tensor
    window: Tensor
    weights: Tensor
    starts: Tensor
    weight_starts: Tensor
    widths: Tensor
    gain: Tensor | None = None
    length: int
    power: Literal[1, 2]
    floor: float
    factor: float = 1.0
    offset: float = 0.0

    @property
    def frames(self) -> int:
        return self.y.shape[1]

    @property
    def step(self) -> int:
        """Samples from a frame to the next one."""
        return self.x.shape[-1]

    @property
    def macs(self) -> int:
        """Those of the window, of a spectrum in butterflies of four points, of its energies and of the bands."""
        half = self.length // 2
        spectrum = 3 * half * ((half.bit_length() + 1) // 2) + 4 * half
        return self.frames * (self.window.elements + spectrum + self.length + self.weights.elements)

    @property
    def span(self) -> int:
        """The rows that a frame reads."""
        return -(-self.window.elements // self.step)


@dataclass(frozen=True, eq=False, kw_only=True)
class OrderedSums(Op):
    """y[frame, c] = the sum of weights[c, i] * x[frame, i] over i, product by product in this order, + offset: x is (1, frames,
    ...) with as many values for each frame as `weights`, (values of y, values of x), has columns. float32."""

    x: Tensor
    weights: Tensor
    offset: float = 0.0

    @property
    def macs(self) -> int:
        return self.y.shape[1] * self.weights.elements


@dataclass(frozen=True, eq=False, kw_only=True)
class PeakGain(Op):
    """What the largest sample of x, int16, is multiplied by to become 32768, as one float32; 1 where none is above 0."""

    x: Tensor
