"""What a firmware takes besides tensors and tables: code, stack and data, estimated."""

from __future__ import annotations

from collections.abc import Iterable

from smelt.kernels.implementation import KernelCall
from smelt.loops.kernel import Kernel

FIXED_RAM = 704
"""Bytes of RAM beside tensors and tables: the stack as it is measured (148 to 632 bytes for the MLPerf Tiny models) and data."""

FIXED_FLASH = 5000
"""Bytes of flash beside kernels and tables: start-up code and the functions that kernels share (2,500 to 9,000)."""

LETTERS_PER_BYTE = 3.0
"""Of a kernel's C without spaces, for each byte of its machine code: the median of the MLPerf Tiny models' kernels."""


def code_bytes(kernel: Kernel) -> int:
    """About what a kernel's machine code takes up."""
    return round(sum(not c.isspace() for c in kernel.c()) / LETTERS_PER_BYTE)


def code_of(calls: Iterable[KernelCall]) -> int:
    """About what the code of a firmware with these calls takes up, without `Limits.code`."""
    kernels = {call.kernel.name: call.kernel for call in calls}
    return FIXED_FLASH + sum(map(code_bytes, kernels.values()))
