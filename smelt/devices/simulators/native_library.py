"""The native parts: small C libraries that run on the user's computer. A platform wheel has them ready; elsewhere they are compiled
once, by zig or else by the C compiler there is, and kept in the user's cache."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from smelt.errors import BuildError
from smelt.firmware.build import compiler_environment, run_compiler, zig
from smelt.firmware.folders import cache_folders, is_usable

FLAGS = ("-O2", "-std=c11", "-fPIC", "-shared", "-g0")
HOST_COMPILERS = ("cc", "gcc", "clang")
SUFFIXES = {"win32": ".dll", "darwin": ".dylib"}
SAME_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
T = TypeVar("T")


@dataclass(frozen=True)
class Platform:
    """What a library is for: `system` as in `sys.platform`, the processor, and the size of its pointers."""

    system: str
    machine: str
    bits: int = 64

    @staticmethod
    def here() -> Platform:
        """That of this process."""
        machine = platform.machine().lower()
        return Platform(sys.platform, SAME_MACHINES.get(machine, machine), 8 * ctypes.sizeof(ctypes.c_void_p))


@dataclass(frozen=True)
class Native:
    """A C file in the folder `native` of a package. `is_open`: it uses functions of the program that loads it."""

    package: str
    source: str
    headers: tuple[str, ...] = ()
    defines: tuple[str, ...] = ()
    is_open: bool = False

    @property
    def folder(self) -> Path:
        """Where the sources lie, and in a platform wheel the library as well."""
        return Path(str(files(self.package) / "native"))

    @property
    def texts(self) -> Mapping[str, str]:
        """The sources by name."""
        return {name: (self.folder / name).read_text(encoding="utf-8") for name in (self.source, *self.headers)}

    def name(self, target: Platform) -> str:
        """The file name of the library: another one for other sources."""
        key = "\0".join((*self.texts.values(), *self.defines))
        digest = hashlib.sha256(key.encode()).hexdigest()[:12]
        kind = f"{target.system}-{target.machine}-{target.bits}"
        return f"{Path(self.source).stem}-{kind}-{digest}{SUFFIXES.get(target.system, '.so')}"

    def arguments(self, target: Platform) -> tuple[str, ...]:
        """Of a compiler, but for the name of what comes out."""
        unresolved = ("-undefined", "dynamic_lookup") if target.system == "darwin" else ("-Wl,-z,undefs",)
        return (*FLAGS, *self.defines, *(unresolved if self.is_open else ()), self.source)


COUNTER = Native("smelt.devices.simulators", "simulator.c", ("counter.c", "clock.h", "flights.h", "entry.c"))
CLUSTER = Native(
    "smelt.devices.simulators",
    "cluster.c",
    (
        *("cluster.h", "cluster_memory.h", "cluster_events.h", "cluster_dma.h", "cluster_system.h", "cluster_scalar.h"),
        *("cluster_simd.h", "cluster_table.h", "cluster_decode.h", "entry.c"),
    ),
)


def load_native() -> ctypes.CDLL:
    """The library of `native/simulator.c`; raises `BuildError` if it can neither be found nor compiled."""
    return native(COUNTER, lambda library: ctypes.CDLL(str(library)))


def native(part: Native, use: Callable[[Path], T]) -> T:
    """What `use` makes of a library for this computer: that of the package, or one that is compiled and kept.

    Raises `BuildError` if it can neither be found nor compiled, or if `use` raises OSError wherever it is kept.
    """
    last: OSError | None = None
    kept: list[Callable[[Native], Path | None]] = [partial(_kept, folder) for folder in cache_folders("smelt")]
    for place in (_ready, *kept, _temporary):
        try:
            library = place(part)
            if library is not None:
                return use(library)
        except OSError as error:  # a folder from which nothing may be executed, for example
            last = error
    raise BuildError(f"the native part {part.source} cannot be stored or loaded: {last}") from last


def how(part: Native) -> str:
    """Where a library comes from on this computer, in words; raises `BuildError` where it can come from nowhere."""
    if _ready(part):
        return "ready in the package"
    return f"compiled by {' '.join(map(str, _compiler()[:2]))}"


def zig_command(target: Platform) -> tuple[str, ...]:
    """zig's compiler, for whatever computer of the kind and whatever C library. Raises `BuildError` if it is not installed."""
    return (str(zig()), "cc", "-mcpu=baseline", "-nostdlib", *(("entry.c",) if target.system == "win32" else ()))


def _ready(part: Native) -> Path | None:
    """What a platform wheel has brought."""
    library = part.folder / part.name(Platform.here())
    return library if library.is_file() else None


def _kept(folder: Path, part: Native) -> Path | None:
    """In a cache, where that can be used."""
    library = folder / part.name(Platform.here())
    if not library.exists():
        if not is_usable(folder):
            return None
        _compile(part, library)
    return library


def _temporary(part: Native) -> Path | None:
    """In a folder that lasts as long as the computer's temporary files."""
    return _kept(Path(tempfile.mkdtemp(prefix="smelt-native-")), part)


def _compiler() -> tuple[str, ...]:
    try:
        return zig_command(Platform.here())
    except BuildError:
        found = next(filter(None, map(shutil.which, HOST_COMPILERS)), None)
    if found is None:
        raise BuildError(
            "the native part of the simulator must be compiled, and there is no C compiler: install zig with "
            "pip install 'smelt[build]', or cc, gcc or clang"
        )
    return (found,)


def _compile(part: Native, library: Path) -> None:
    """Compile beside the final name, then rename: other processes see all of it or nothing."""
    with tempfile.TemporaryDirectory(dir=library.parent, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for source, text in part.texts.items():
            (folder / source).write_text(text, encoding="utf-8")
        made = f"out{library.suffix}"
        command = (*_compiler(), *part.arguments(Platform.here()), "-o", made)
        run_compiler(folder, command, compiler_environment(folder), f"the native part {part.source}")
        os.replace(folder / made, library)
