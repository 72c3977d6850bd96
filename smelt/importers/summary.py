"""What `smelt inspect` shows of a model file, whether it can be compiled or not."""

from __future__ import annotations

from dataclasses import dataclass

from smelt.nouns import Noun


@dataclass(frozen=True)
class QuantizationSummary(Noun):
    """real = scale * (stored - zero point), with one scale, or one for each place along `axis`; `custom` where the file has another
    scheme."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int | None = None
    custom: bool = False

    @property
    def text(self) -> str:
        """For people, in a few words."""
        if self.custom:
            return "custom"
        if self.axis is not None:
            return f"per channel ({len(self.scales)}, axis {self.axis})"
        return f"{self.scales[0]:.6g} * (q - {self.zero_points[0] if self.zero_points else 0})"


@dataclass(frozen=True)
class TensorSummary(Noun):
    """`dtype` is the file's; `quantization` is None where the file has none of this tensor."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: QuantizationSummary | None
    constant: bool


@dataclass(frozen=True)
class OperatorSummary(Noun):
    """`macs` is None where smelt does not know. Absent optional inputs are left out."""

    index: int
    name: str
    version: int
    inputs: tuple[TensorSummary, ...]
    outputs: tuple[TensorSummary, ...]
    macs: int | None


@dataclass(frozen=True)
class ModelSummary(Noun):
    """A file as it is. `constant_bytes` is what its buffers hold.

    `problems` are empty if `load` succeeds; `smelt.compile.inspect` adds what else `compile` refuses.
    """

    name: str
    format: str
    description: str
    inputs: tuple[TensorSummary, ...]
    outputs: tuple[TensorSummary, ...]
    operators: tuple[OperatorSummary, ...]
    constant_bytes: int
    problems: tuple[str, ...]

    def in_brief(self) -> str:
        return (
            f"{self.name} ({self.format}): {len(self.operators)} operators, {self.constant_bytes:,} bytes of constants"
        )

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the operators where they are known."""
        return sum(operator.macs or 0 for operator in self.operators)
