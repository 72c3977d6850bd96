"""The host ring: print many kernels, compile them as one shared library for this computer, call them through ctypes.

Every buffer lies between guard bytes, so that a write beside it is noticed. With `sanitize` the calls run in a
process of their own under the undefined-behaviour sanitizer (as a program would, an error ends that process).
"""

from __future__ import annotations

import ctypes
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from smelt.firmware.build import UNFUSED
from smelt.kernels.assembly import called, declarations
from smelt.kernels.headers import includes, needed
from smelt.kernels.implementation import KernelCall
from smelt.loops.ir import SIZES, Buffer, Scratch
from smelt.loops.kernel import Kernel
from smelt.model.graph import Array, Tensor
from smelt.targets.cores.cortex_m4 import CORTEX_M4

SUPPORT = Path(__file__).parents[1] / "smelt" / "kernels" / "support"
ZIG = (sys.executable, "-m", "ziglang", "cc")
WARNINGS = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wundef", "-Werror")
GUARD = 64
DTYPES = {"float": "float32"}

Inputs = Mapping[Tensor, Array]


@dataclass(frozen=True)
class PlainCall:
    """A call without objects of smelt, for the other process: (kind, bytes) per parameter, where kind is the role."""

    name: str
    buffers: tuple[tuple[str, bytes], ...]


def source(kernels: Iterable[Kernel]) -> str:
    """One C file with every kernel once. On a core with the instructions it calls routines in assembly, which are not in it."""
    unique = {kernel.name: kernel for kernel in kernels}
    code = "\n".join(kernel.c() for kernel in unique.values())
    known = declarations(called(code, CORTEX_M4), CORTEX_M4, "routines.S")
    return f"#include <stdint.h>\n{includes(needed(code, CORTEX_M4))}\n{known}\n\n{code}"


def run_calls(calls: Sequence[KernelCall], inputs: Sequence[Inputs], sanitize: bool = False) -> list[Array]:
    """What each call writes to its (first) output, for the inputs beside it. Raises AssertionError on a damaged guard."""
    return [outputs[0] for outputs in run_all(calls, inputs, sanitize)]


def run_all(calls: Sequence[KernelCall], inputs: Sequence[Inputs], sanitize: bool = False) -> list[tuple[Array, ...]]:
    """`run_calls`, with every output of a call."""
    plain = [_plain(call, values) for call, values in zip(calls, inputs, strict=True)]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        library = _compile(Path(folder), source(call.kernel for call in calls), sanitize)
        results = _run_apart(library, plain) if sanitize else run_plain(library, plain)
    return [_shaped(call, result) for call, result in zip(calls, results, strict=True)]


@dataclass(frozen=True)
class Slid:
    """A call whose output begins `distance` bytes before the buffer `x`, and overlaps it where it is longer than that."""

    call: KernelCall
    inputs: Inputs
    x: Buffer
    distance: int


def run_slid(jobs: Sequence[Slid]) -> list[Array]:
    """What each call leaves in its output."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        kernels = [job.call.kernel.sliding() for job in jobs]
        library = ctypes.CDLL(str(_compile(Path(folder), source(kernels), sanitize=False)))
        results = [_run_slid(getattr(library, k.name), job) for k, job in zip(kernels, jobs, strict=True)]
        _unload(library)
    return results


def _run_slid(function: Any, job: Slid) -> Array:
    buffers, plain = job.call.kernel.buffers, _plain(job.call, job.inputs).buffers
    (y,) = (at for at, buffer in enumerate(buffers) if buffer.role == "output")
    x = buffers.index(job.x)
    front = b"\x5a" * job.distance
    shared, start = _guarded((front + plain[x][1]).ljust(len(plain[y][1]), b"\x5a"))
    memories = [_guarded(data) for _, data in plain]
    addresses = [address for _, address in memories]
    addresses[x], addresses[y] = start + job.distance, start
    function.restype = None
    function(*map(ctypes.c_void_p, addresses))
    inside = start - ctypes.addressof(shared)
    result = bytes(shared)[inside : inside + len(plain[y][1])]
    return _shaped(job.call, (result,))[0]


def _plain(call: KernelCall, values: Inputs) -> PlainCall:
    parts = []
    for buffer, argument in zip(call.kernel.buffers, call.arguments, strict=True):
        wanted = buffer.size * SIZES[buffer.type]
        match argument:
            case Scratch(size):
                assert size >= wanted
                data = b"\xa5" * wanted
            case Tensor() if buffer.role == "input":
                data = np.ascontiguousarray(values[argument] if argument.data is None else argument.data).tobytes()
            case Tensor():
                data = b"\x5a" * argument.bytes
            case _:
                assert argument.dtype == np.dtype(DTYPES.get(buffer.type, buffer.type.removesuffix("_t")))
                data = np.ascontiguousarray(argument).tobytes()
        assert len(data) == wanted, f"{call.kernel.name}: {buffer.name} has {wanted} bytes, its argument {len(data)}"
        parts.append((buffer.role, data))
    return PlainCall(call.kernel.name, tuple(parts))


def _shaped(call: KernelCall, results: tuple[bytes, ...]) -> tuple[Array, ...]:
    ys = [a for a, b in zip(call.arguments, call.kernel.buffers, strict=True) if b.role == "output"]
    shaped = []
    for y, result in zip(ys, results, strict=True):
        assert isinstance(y, Tensor)
        shaped.append(y.element.unpack(result, y.elements).reshape(y.shape))
    return tuple(shaped)


def _compile(folder: Path, text: str, sanitize: bool) -> Path:
    code, library = folder / "kernels.c", folder / "kernels.so"
    code.write_text(text)
    extra = ("-fsanitize=undefined", "-fno-sanitize-recover=undefined") if sanitize else ("-fno-sanitize=undefined",)
    command = [
        *ZIG,
        "-shared",
        "-fPIC",
        "-O0",
        *UNFUSED,
        *WARNINGS,
        *extra,
        "-I",
        str(SUPPORT),
        str(code),
        "-o",
        str(library),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:6000]
    return library


def run_plain(library: Path, calls: Sequence[PlainCall]) -> list[tuple[bytes, ...]]:
    """The outputs of each call."""
    functions = ctypes.CDLL(str(library))
    results = [_call(getattr(functions, call.name), call) for call in calls]
    _unload(functions)
    return results


def _call(function: Any, call: PlainCall) -> tuple[bytes, ...]:
    memories = [_guarded(data) for _, data in call.buffers]
    function.restype = None
    function(*(ctypes.c_void_p(address) for _, address in memories))
    results = []
    for (role, data), (memory, address) in zip(call.buffers, memories, strict=True):
        start = address - ctypes.addressof(memory)
        content = bytes(memory)
        assert content[:start] == b"\xc3" * start, f"{call.name} wrote in front of a buffer ({role})"
        assert set(content[start + len(data) :]) <= {0xC3}, f"{call.name} wrote behind a buffer ({role})"
        if role == "output":
            results.append(content[start : start + len(data)])
        elif role != "scratch":
            assert content[start : start + len(data)] == data, f"{call.name} changed its {role}"
    return tuple(results)


def _guarded(data: bytes) -> tuple[Any, int]:
    """Memory with `data` at an address that is a multiple of 8, and that address."""
    memory = (ctypes.c_ubyte * (len(data) + 2 * GUARD)).from_buffer_copy(b"\xc3" * (len(data) + 2 * GUARD))
    address = (ctypes.addressof(memory) + GUARD) // 8 * 8
    ctypes.memmove(address, data, len(data))
    return memory, address


def _unload(library: ctypes.CDLL) -> None:
    """Windows cannot delete a library that is loaded."""
    if sys.platform == "win32":
        ctypes.windll.kernel32.FreeLibrary(ctypes.c_void_p(library._handle))


def _run_apart(library: Path, calls: Sequence[PlainCall]) -> list[tuple[bytes, ...]]:
    request = library.with_suffix(".calls")
    request.write_bytes(pickle.dumps(list(calls)))
    command = [sys.executable, "-m", "tests.kernels_host", str(library), str(request)]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"the sanitizer stopped the kernels:\n{done.stdout}{done.stderr}"[:6000]
    answer: list[tuple[bytes, ...]] = pickle.loads(request.read_bytes())
    return answer


if __name__ == "__main__":
    from tests.kernels_host import run_plain as run  # so that what was pickled finds its class

    path = Path(sys.argv[2])
    path.write_bytes(pickle.dumps(run(Path(sys.argv[1]), pickle.loads(path.read_bytes()))))
