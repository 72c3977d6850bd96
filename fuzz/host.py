"""The generated C, compiled by the computer's own compiler under the sanitizers, and run."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fuzz.harness import unbound_memory
from fuzz.oracle import Arrays
from smelt.compile import Compilation, compile
from smelt.firmware.program import Port
from smelt.targets.boards import board
from smelt.targets.types import Board

FLAGS = "-std=c99 -O1 -Wall -Wextra -Wconversion -Werror -fsanitize=address,undefined -fno-sanitize-recover".split()
MAIN = Path(__file__).with_suffix(".c")


def big_board() -> Board:
    """A board on which everything fits: the largest one with memories of 64 MB."""
    real = board("nucleo_h743zi")
    memories = tuple(replace(memory, size=64 << 20) for memory in real.chip.memories)
    return replace(real, chip=replace(real.chip, memories=memories))


def run_on_host(path: Path, inputs: Sequence[Arrays]) -> list[Arrays]:
    """The outputs for each of several inputs. Raises AssertionError where the C does not compile or ends with an error."""
    compilation = compile(path, big_board(), name="net", compiler="none")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in compilation.sources.files.items():
            (folder / file).write_text(text, encoding="utf-8")
        (folder / "main.c").write_text(_main(compilation), encoding="utf-8")
        sources = sorted(str(p) for p in folder.glob("*.c"))
        _called(["gcc", *FLAGS, "-I", str(folder), *sources, "-o", str(folder / "net")])
        given = b"".join(np.ascontiguousarray(a).tobytes() for arrays in inputs for a in arrays)
        written = _called([str(folder / "net")], given)
    return _split(compilation.program.outputs, written, len(inputs))


def _main(compilation: Compilation) -> str:
    program = compilation.program
    ports = {"INPUTS": program.inputs, "OUTPUTS": program.outputs}
    macros = [f"#define {name}(X) {' '.join(_fields(found))}" for name, found in ports.items()]
    return "\n".join(['#include "net_net.h"', *macros, MAIN.read_text("utf-8")])


def _fields(ports: Iterable[Port]) -> list[str]:
    return [f"X({port.field}, {port.tensor.bytes}u)" for port in ports]


def _called(command: list[str], given: bytes = b"") -> bytes:
    lift = (
        unbound_memory if sys.platform == "linux" else None
    )  # the address sanitizer reserves terabytes of address space
    done = subprocess.run(command, input=given, capture_output=True, check=False, timeout=120, preexec_fn=lift)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[:1500]
    return done.stdout


def _split(ports: Sequence[Port], written: bytes, times: int) -> list[Arrays]:
    found, at = [], 0
    for _ in range(times):
        arrays = []
        for port in ports:
            size = port.tensor.bytes
            arrays.append(np.frombuffer(written[at : at + size], port.tensor.dtype).reshape(port.tensor.shape))
            at += size
        found.append(arrays)
    return found
