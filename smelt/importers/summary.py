"""What `smelt inspect` shows of a model file, whether it can be compiled or not."""

from __future__ import annotations

from dataclasses import dataclass

from smelt.nouns import Noun


@dataclass(frozen=True)
class TensorSummary(Noun):
    """`dtype` is the file's; `quantization` is readable text, empty where there is none."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: str
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

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the operators where they are known."""
        return sum(operator.macs or 0 for operator in self.operators)
