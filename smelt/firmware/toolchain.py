"""What compiled a kernel, as a short text: name and version."""

from __future__ import annotations

import subprocess
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from smelt.errors import BuildError
from smelt.firmware.build import Compiler, compiler_command
from smelt.targets.types import Board


def toolchain(board: Board, compiler: Compiler | Literal["none"] = "zig") -> str:
    """Compiler and version ("zig 0.15.1"). "none" is zig in no version: what any of them measured is similar.

    Raises BuildError where the compiler is missing.
    """
    if compiler == "none":
        return "zig"
    command = compiler_command(board, compiler)
    if compiler == "zig":
        try:
            return f"zig {version('ziglang')}"
        except PackageNotFoundError:
            return "zig"
    try:
        done = subprocess.run(
            [command[0], "-dumpfullversion"], capture_output=True, encoding="utf-8", errors="replace", timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{compiler} cannot be run: {error}") from error
    return f"{board.core.gcc[0]} {done.stdout.strip()}"
