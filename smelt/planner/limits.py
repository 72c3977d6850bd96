"""Budgets of RAM and flash."""

from __future__ import annotations

import re
from dataclasses import dataclass

from smelt.errors import OptionError
from smelt.planner.code_size import ESTIMATED, CodeSizes


@dataclass(frozen=True)
class Limits:
    """Budgets in bytes, everything included; None: what the board has. `sizes` are those of kernels; `code` is what the firmware
    that was built of a plan has beyond them and the estimate of what all share."""

    ram: int | None = None
    flash: int | None = None
    code: int = 0
    sizes: CodeSizes = ESTIMATED

    @property
    def any(self) -> bool:
        """Whether there is a budget."""
        return self.ram is not None or self.flash is not None


UNLIMITED = Limits()


def size_of(text: str) -> int:
    """Bytes of a size such as 20000, 57K, 57KB or 1M (K is 1024). Raises OptionError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([km]?)i?b?\s*", text.lower())
    if found is None or not float(found[1]):
        raise OptionError(f"'{text}' is no size: write bytes, or K or M behind a number (20000, 57K, 57KB, 1M)")
    return int(float(found[1]) * {"": 1, "k": 1024, "m": 1024 * 1024}[found[2]])
