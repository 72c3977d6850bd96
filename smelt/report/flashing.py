"""What `smelt flash` answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FlashSummary:
    """A firmware of `bytes` bytes (its ELF file) that was programmed through a `device` and now is `where` it says; or the
    `command` of the vendor's tool, which has not run."""

    board: str
    bytes: int
    device: str | None
    where: str | None
    command: str | None
