"""What ways have in common that compute one op in parts."""

from __future__ import annotations

from dataclasses import dataclass

from smelt.model.graph import Op, Tensor
from smelt.nouns import Noun
from smelt.planner.ways import Way


@dataclass(frozen=True, eq=False)
class Divided(Noun):
    """A way to compute an op in parts. `whole` is how it is computed otherwise, of which parts take implementation and schedule."""

    whole: Way

    @property
    def op(self) -> Op:
        return self.whole.op

    @property
    def ops(self) -> tuple[Op, ...]:
        """What it computes."""
        return (self.whole.op,)

    @property
    def ways(self) -> tuple[Way, ...]:
        """How it is computed otherwise."""
        return (self.whole,)

    @property
    def reads(self) -> tuple[Tensor, ...]:
        """The activations that it needs."""
        return self.op.activations

    @property
    def ys(self) -> tuple[Tensor, ...]:
        """Its result."""
        return self.op.ys

    def slide(self, x: Tensor) -> int | None:
        """Never over its operand."""
        return None
