"""What a firmware takes besides tensors and tables: code, stack and data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from smelt.kernels.assembly import in_assembly
from smelt.kernels.implementation import KernelCall
from smelt.loops.kernel import SLIDING, Kernel
from smelt.targets.types import Core

FIXED_RAM = 704
"""Bytes of RAM beside tensors and tables: the stack as it is measured (148 to 632 bytes for the MLPerf Tiny models) and data."""

FIXED_FLASH = 2500
"""Bytes of flash beside kernels, routines and tables: start-up code, `main`, and the C that kernels share. The median of three
models on four boards, for which it is 1,740 to 3,530."""

LETTERS_PER_BYTE = 3.0
"""Of a kernel's C without spaces, for each byte of its machine code: the median of the MLPerf Tiny models' kernels."""

ROUTINE = 500
"""Bytes of a routine in assembly: the mean of those that the MLPerf Tiny models call."""


@dataclass(frozen=True)
class Code:
    """Machine code that a firmware holds once, however often it is called: a kernel, or a routine in assembly that kernels call.
    `estimate`: what it may take up, in bytes."""

    name: str
    estimate: int


def code_of(kernel: Kernel, core: Core) -> tuple[Code, ...]:
    """The code of a kernel, and of the routines that it calls."""
    own = Code(kernel.name.removesuffix(SLIDING), round(kernel.letters / LETTERS_PER_BYTE))
    return own, *(Code(routine.name, ROUTINE) for routine in in_assembly(kernel.callees, core))


@dataclass(frozen=True)
class CodeSizes:
    """What machine code takes up, in bytes: as it was `measured` in compiled objects, by name, else an estimate. Kernels take up
    what those do whose output overlaps an input."""

    measured: Mapping[str, int] = field(default_factory=dict)

    def of(self, code: Code) -> int:
        return self.measured.get(code.name, code.estimate)

    def of_all(self, calls: Iterable[KernelCall], core: Core) -> int:
        """What the code of a firmware with these calls takes up."""
        return FIXED_FLASH + sum(map(self.of, _all_code(calls, core)))

    def unknown(self, calls: Iterable[KernelCall], core: Core) -> tuple[Code, ...]:
        """The code of these calls that was not measured, each once."""
        return tuple(code for code in _all_code(calls, core) if code.name not in self.measured)

    def with_measured(self, sizes: Mapping[str, int]) -> CodeSizes:
        """With what was found in objects."""
        return CodeSizes({**self.measured, **{name.removesuffix(SLIDING): size for name, size in sizes.items()}})


def _all_code(calls: Iterable[KernelCall], core: Core) -> Iterable[Code]:
    kernels = {call.kernel.name: call.kernel for call in calls}
    return dict.fromkeys(code for kernel in kernels.values() for code in code_of(kernel, core))


ESTIMATED = CodeSizes()
