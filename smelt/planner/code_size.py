"""What a firmware takes besides tensors and tables: code, stack and data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from smelt.kernels.implementation import KernelCall
from smelt.loops.kernel import SLIDING, Kernel

FIXED_RAM = 704
"""Bytes of RAM beside tensors and tables: the stack as it is measured (148 to 632 bytes for the MLPerf Tiny models) and data."""

FIXED_FLASH = 5000
"""Bytes of flash beside kernels and tables: start-up code and the functions that kernels share (2,500 to 9,000)."""

LETTERS_PER_BYTE = 3.0
"""Of a kernel's C without spaces, for each byte of its machine code: the median of the MLPerf Tiny models' kernels."""


@dataclass(frozen=True)
class CodeSizes:
    """What the machine code of kernels takes up, in bytes: as it was `measured` in compiled objects, by name, else an estimate."""

    measured: Mapping[str, int] = field(default_factory=dict)

    def of(self, kernel: Kernel) -> int:
        known = self.measured.get(kernel.name.removesuffix(SLIDING))
        return round(kernel.letters / LETTERS_PER_BYTE) if known is None else known

    def of_all(self, calls: Iterable[KernelCall]) -> int:
        """What the code of a firmware with these calls takes up; each kernel is in it once."""
        return FIXED_FLASH + sum(map(self.of, {call.kernel.name: call.kernel for call in calls}.values()))

    def unknown(self, calls: Iterable[KernelCall]) -> tuple[Kernel, ...]:
        """The kernels of these calls that were not measured, each once."""
        kernels = {call.kernel.name: call.kernel for call in calls}
        return tuple(kernel for name, kernel in kernels.items() if name.removesuffix(SLIDING) not in self.measured)

    def with_measured(self, sizes: Mapping[str, int]) -> CodeSizes:
        """With what was found in objects; kernels take up there what those do whose output overlaps an input."""
        return CodeSizes({**self.measured, **{name.removesuffix(SLIDING): size for name, size in sizes.items()}})


ESTIMATED = CodeSizes()
