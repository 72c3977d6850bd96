"""Modules: kernels or C source as code linked for one place in a device's RAM, and the device runtime of a session.

A module is compiled by the session's compiler and linked at the address where it will lie; the names of the runtime's
helpers (memcpy, memset and what compilers call them) are given to the linker as addresses.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Protocol, runtime_checkable

import numpy as np

from smelt.errors import BuildError, OptionError
from smelt.firmware.build import COMPILE, Compiler, compiler_command, compiler_environment, run_compiler, write_texts
from smelt.firmware.elf import Elf, read_elf
from smelt.firmware.program import Program
from smelt.firmware.sources import ASSEMBLY, smelt_version
from smelt.kernels.assembly import assembly_file, called, declarations
from smelt.kernels.headers import included, includes, needed, with_included
from smelt.kernels.implementation import KernelCall
from smelt.loops.floats import computes_in_floats
from smelt.loops.ir import Role, Scratch, Type
from smelt.loops.kernel import Kernel
from smelt.model.graph import Array, Tensor
from smelt.targets.types import Board

MAGIC = 0x54_4C_4D_53  # "SMLT" in the device's memory
TASKS = 24
"""How many calls the queue on the device holds."""
ARGUMENT_BYTES = 1024
HEADER = struct.Struct("<IIII")  # magic, counter, count, done
TASK = struct.Struct("<IIIII")  # function, arguments, count, result, cycles
QUEUE_BYTES = HEADER.size + TASKS * TASK.size
HELPERS = ("memcpy", "memset", "memmove", "__aeabi_")
LINK = ("-nostdlib", "-static", "-Wl,--gc-sections", "-Wl,--build-id=none", "-Wl,-z,max-page-size=4")


@runtime_checkable
class HasProgram(Protocol):
    """A compilation, as far as a module is concerned."""

    @property
    def program(self) -> Program: ...


Loadable = str | Kernel | KernelCall | Program | HasProgram | Sequence[Kernel | KernelCall]
"""What can become a module: C source text, kernels (with or without their arguments), a program or a compilation."""


@dataclass(frozen=True, eq=False)
class Parameter:
    """A pointer that a function takes: `elements` of the NumPy type `dtype`. `value` is passed where callers leave it out."""

    name: str
    dtype: str
    elements: int
    role: Role
    value: Array | None = None

    @property
    def bytes(self) -> int:
        return self.elements * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, eq=False)
class Signature:
    """The parameters of a kernel, in order."""

    name: str
    parameters: tuple[Parameter, ...]

    @property
    def open(self) -> tuple[Parameter, ...]:
        """What must be passed: neither tables that are known nor scratch."""
        return tuple(p for p in self.parameters if p.value is None and p.role != "scratch")


@dataclass(frozen=True, eq=False)
class ModuleSource:
    """C for a module. `signatures` belong to the functions whose parameters are known, which are kernels of smelt without what
    they include; `calls` have their tables, too."""

    text: str
    signatures: Mapping[str, Signature] = field(default_factory=dict)
    calls: tuple[tuple[KernelCall, Signature], ...] = ()
    board: str | None = None  # the board for which kernels were chosen, where they were chosen for one
    floats: bool = False  # kernels in it compute in floating point


@dataclass(frozen=True, eq=False)
class Module:
    """Bytes for `address`, and the functions in them as pointers (the Thumb bit included)."""

    address: int
    data: bytes
    functions: Mapping[str, int]
    elf: Elf


def module_source(what: Loadable) -> ModuleSource:
    """The C of a module. Raises OptionError for what cannot be one."""
    if isinstance(what, str):
        return ModuleSource(what)
    if isinstance(what, HasProgram):
        what = what.program
    if isinstance(what, Program):
        return _of_kernels(what.kernels, (), what.plan.board.name)
    items = (what,) if isinstance(what, Kernel | KernelCall) else tuple(what)
    if not items or not all(isinstance(i, Kernel | KernelCall) for i in items):
        raise OptionError("a session loads C source text, kernels, kernel calls, or a compilation")
    kernels = [i.kernel if isinstance(i, KernelCall) else i for i in items]
    return _of_kernels(kernels, tuple(i for i in items if isinstance(i, KernelCall)))


def _of_kernels(kernels: Iterable[Kernel], calls: tuple[KernelCall, ...], board: str | None = None) -> ModuleSource:
    known = {k.name: k for k in kernels}
    text = "\n".join(k.c() for k in known.values())
    signatures = {k.name: _signature(k, [None] * len(k.buffers)) for k in known.values()}
    bound = tuple((c, _signature(c.kernel, [_table(a) for a in c.arguments])) for c in calls)
    names = [c.kernel.name for c in calls]
    # the name of a kernel alone means its call only while there is but one
    signatures |= {s.name: s for _, s in bound if names.count(s.name) == 1}
    floats = any(computes_in_floats(k) for k in known.values())
    return ModuleSource(text, signatures, bound, board, floats)


def _signature(kernel: Kernel, values: Sequence[Array | None]) -> Signature:
    parameters = [
        Parameter(b.name, _numpy_type(b.type), b.size, b.role, value)
        for b, value in zip(kernel.buffers, values, strict=True)
    ]
    return Signature(kernel.name, tuple(parameters))


def _table(argument: Tensor | Array | Scratch) -> Array | None:
    return argument if isinstance(argument, np.ndarray) else None


def _numpy_type(type: Type) -> str:
    return "float32" if type == "float" else type.removesuffix("_t")


def code_address(board: Board, address: int) -> int:
    """Where the core fetches what lies at `address` of a RAM: elsewhere only where instructions have a bus of their own."""
    for memory in board.chip.rams:
        if memory.start <= address < memory.end and memory.fetches_at is not None:
            return address - memory.start + memory.fetches_at
    return address


def build_module(
    source: ModuleSource, board: Board, address: int, helpers: Mapping[str, int], compiler: Compiler = "zig"
) -> Module:
    """Compile `source` and link it for `address`; `helpers` are functions that are on the device already.

    Raises BuildError where the compiler or the linker refuses.
    """
    support = files("smelt.firmware") / "support"
    headers = needed(source.text, board.core) if source.signatures else included(source.text)
    routines = called(source.text, board.core)
    known = f"{includes(headers)}\n{declarations(routines, board.core, ASSEMBLY)}"
    # kernels that need no header of smelt have sized integers, too
    text = f"#include <stdint.h>\n{known}\n\n{source.text}" if source.signatures else source.text
    texts = {"module.c": text, "string.h": (support / "string.h").read_text("utf-8"), **with_included(headers)}
    texts |= {ASSEMBLY: assembly_file(routines, board.core, ASSEMBLY, smelt_version())} if routines else {}
    return _build(texts, Target(board, compiler, source.floats), address, helpers, "-O2", "module.c.o")


def build_runtime(board: Board, address: int, queue: int, compiler: Compiler = "zig") -> Module:
    """The device runtime, linked for `address`, with its queue at `queue`. It switches the core's floating-point unit on."""
    support = files("smelt.firmware") / "support"
    entry = board.core.isa.session_entry
    texts = {name: (support / "session" / name).read_text("utf-8") for name in ("smelt_session.h", "runtime.c", entry)}
    texts |= {name: (support / name).read_text("utf-8") for name in ("string.h", "memory.c")}
    return _build(texts, Target(board, compiler, floats=True), address, {"smelt_session_queue": queue}, "-Os", "*")


def helpers_of(runtime: Module) -> dict[str, int]:
    """The functions of the runtime that modules may call."""
    return {name: pointer for name, pointer in runtime.functions.items() if name.startswith(HELPERS)}


@dataclass(frozen=True)
class Target:
    """What a module is compiled for, and by what. With `floats` it may use the core's floating-point unit."""

    board: Board
    compiler: Compiler
    floats: bool


def _build(
    texts: Mapping[str, str], target: Target, address: int, symbols: Mapping[str, int], optimize: str, keep: str
) -> Module:
    board = target.board
    try:
        with tempfile.TemporaryDirectory(prefix="smelt-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            write_texts(folder, {**texts, "module.ld": _script(board, address, symbols, keep)})
            names = [n for n in texts if n.endswith((".c", ".S"))]
            objects = _compile(folder, names, target, optimize)
            own = {f.name for o in objects for f in read_elf((folder / o).read_bytes()).functions}
            _link(folder, objects, target)
            return _read(board, address, (folder / "module.elf").read_bytes(), own)
    except OSError as error:
        raise BuildError(f"the compiler's files could not be written or run: {error}") from error


def _script(board: Board, address: int, symbols: Mapping[str, int], keep: str) -> str:
    template = (files("smelt.firmware") / "support" / "session" / "module.ld").read_text("utf-8")
    return Template(template).substitute(
        code=f"{code_address(board, address):#x}",
        data=f"{address:#x}",
        keep=keep,
        symbols="\n".join(f"    {name} = {value:#x};" for name, value in symbols.items()),
    )


def _compile(folder: Path, names: Sequence[str], target: Target, optimize: str) -> list[str]:
    for name in names:
        builtin = ("-fno-builtin",) if name == "memory.c" else ()
        flags = (*COMPILE, optimize, *builtin, f"-ffile-prefix-map={folder}=.")
        _run(folder, target, (*flags, "-c", name, "-o", f"{name}.o"), name)
    return [f"{name}.o" for name in names]


def _link(folder: Path, objects: Sequence[str], target: Target) -> None:
    options = (*LINK, "-T", "module.ld", *objects, "-o", "module.elf")
    if target.compiler == "gcc":
        _run(folder, target, (*options, "-Wl,--no-warn-rwx-segments", "-lgcc"), "linking the module")
        return
    try:
        _run(folder, target, options, "linking the module")
    except BuildError as error:
        if "undefined symbol: __" not in str(error):
            raise
        # the compiler's own helpers for 64-bit and floating-point arithmetic become part of the module
        _run(folder, target, (*options, "-lcompiler_rt"), "linking the module")


def _run(folder: Path, target: Target, options: Sequence[str], what: str) -> None:
    command = compiler_command(target.board, target.compiler, target.floats)
    run_compiler(folder, (*command, *options), compiler_environment(folder), what)


def _read(board: Board, address: int, data: bytes, own: set[str]) -> Module:
    elf = read_elf(data)
    pieces = [(_ram_address(board, address, at), content) for at, content in _contents(elf, data)]
    end = max((at + len(content) for at, content in pieces), default=address)
    image = bytearray(end - address)
    for at, content in pieces:
        image[at - address : at - address + len(content)] = content
    functions = {f.name: f.address | board.core.isa.code_bit for f in elf.functions if f.name in own}
    return Module(address, bytes(image), functions, elf)


def _contents(elf: Elf, data: bytes) -> Iterator[tuple[int, bytes]]:
    """(address, bytes) of everything that the device needs; what starts as zeros is spelled out."""
    for s in elf.sections:
        if s.allocated and s.size:
            yield s.address, data[s.offset : s.offset + s.size] if s.loaded else bytes(s.size)


def _ram_address(board: Board, base: int, address: int) -> int:
    """Where the host writes what the linker put at `address`."""
    offset = code_address(board, base) - base
    is_code_view = offset != 0 and any(a <= address < a + m.size for m in board.chip.rams for a in m.aliases)
    return address - offset if is_code_view else address
