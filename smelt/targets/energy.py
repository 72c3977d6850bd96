"""What a chip's cycles cost by what is computed in them, where that is published. Data only."""

from __future__ import annotations

from dataclasses import dataclass

from smelt.nouns import Noun


@dataclass(frozen=True)
class Energies(Noun):
    """Picojoules per cycle of the whole chip by kind of layer, derived from the power of networks' layers that somebody else's
    kernels computed: what other kernels take may differ. `otherwise` is the mean of a network."""

    convolution: float
    pointwise: float
    depthwise: float
    pooling: float
    dense: float
    otherwise: float
