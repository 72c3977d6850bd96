"""How large kernels are: compiled all together, each measured once. Without a compiler `planner/code_size.py` estimates."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from importlib.resources import files
from pathlib import Path

from smelt.errors import BuildError
from smelt.firmware.build import COMPILE, Compiler, compiler_command, compiler_environment, run_compiler, write_texts
from smelt.firmware.elf import read_elf
from smelt.kernels.headers import includes, needed, with_included
from smelt.loops.kernel import Kernel
from smelt.targets.types import Board

FILE = "kernels.c"


def kernel_sizes(
    kernels: Collection[Kernel], board: Board, compiler: Compiler = "zig", optimize: str = "-O2"
) -> dict[str, int]:
    """Bytes of machine code that each kernel takes up, by name, without what it shares with others.

    Raises `BuildError` where the compiler is missing or refuses one.
    """
    if not kernels:
        return {}
    try:
        with tempfile.TemporaryDirectory(prefix="smelt-", ignore_cleanup_errors=True) as name:
            elf = read_elf(_compiled(Path(name), kernels, board, compiler, optimize))
    except OSError as error:
        raise BuildError(f"the compiler's files could not be written or run: {error}") from error
    return {kernel.name: elf.symbols[kernel.name].size for kernel in kernels}


def _compiled(folder: Path, kernels: Collection[Kernel], board: Board, compiler: Compiler, optimize: str) -> bytes:
    code = "\n".join(kernel.c() for kernel in kernels)
    headers = needed(code, board.core)
    string = (files("smelt.firmware") / "support" / "string.h").read_text("utf-8")
    text = f"#include <stdint.h>\n{includes(headers)}\n\n{code}"
    write_texts(folder, {FILE: text, "string.h": string, **with_included(headers)})
    command = (*compiler_command(board, compiler), *COMPILE, optimize, "-c", FILE, "-o", "kernels.o")
    run_compiler(folder, command, compiler_environment(folder), FILE)
    return (folder / "kernels.o").read_bytes()
