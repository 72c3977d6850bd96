"""The native part of the simulators: compiled once per host, then kept in the user's cache."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from smelt.errors import BuildError
from smelt.firmware.build import compiler_environment, zig

FLAGS = ("-mcpu=baseline", "-O2", "-std=c11", "-fPIC", "-shared", "-nostdlib", "-g0")
T = TypeVar("T")


def load_native() -> ctypes.CDLL:
    """The library of `native/counter.c`; raises `BuildError` if it can neither be found nor compiled."""
    return native("smelt.devices.simulators", "counter.c", ("clock.h",), lambda library: ctypes.CDLL(str(library)))


def native(
    package: str, source: str, headers: Sequence[str], use: Callable[[Path], T], flags: tuple[str, ...] = FLAGS
) -> T:
    """What `use` makes of the library of a C file in the folder `native` of a package, compiled once for this computer.

    Raises `BuildError` if it can neither be found nor compiled, or if `use` raises OSError wherever it is kept.
    """
    folder_of_sources = files(package) / "native"
    texts = {name: (folder_of_sources / name).read_text(encoding="utf-8") for name in (source, *headers)}
    key = "\0".join((*texts.values(), *flags, sys.platform, platform.machine(), str(ctypes.sizeof(ctypes.c_void_p))))
    name = f"{Path(source).stem}-{hashlib.sha256(key.encode()).hexdigest()[:20]}{_suffix()}"
    last: Exception | None = None
    for folder in (_cache_folder(), None):
        try:
            if folder is None:  # no usable cache: a private folder that lasts as long as the computer's temporary files
                folder = Path(tempfile.mkdtemp(prefix="smelt-native-"))
            folder.mkdir(parents=True, exist_ok=True)
            library = folder / name
            if not library.exists():
                _compile(texts, source, flags, library)
            return use(library)
        except OSError as error:
            last = error
    raise BuildError(f"the native part {source} cannot be stored or loaded: {last}")


def _suffix() -> str:
    return {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")


def _cache_folder() -> Path:
    try:
        home = Path.home()
    except RuntimeError:
        home = Path(tempfile.mkdtemp(prefix="smelt-native-"))
    below = {"win32": "AppData/Local", "darwin": "Library/Caches"}.get(sys.platform, ".cache")
    return home / below / "smelt"


def _compile(texts: Mapping[str, str], main: str, flags: tuple[str, ...], library: Path) -> None:
    """Compile beside the final name, then rename: other processes see all of it or nothing."""
    with tempfile.TemporaryDirectory(dir=library.parent, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for source, text in texts.items():
            (folder / source).write_text(text, encoding="utf-8")
        command = (str(zig()), "cc", *flags, main, "-o", f"out{library.suffix}")
        done = subprocess.run(
            command, cwd=folder, env=compiler_environment(folder), capture_output=True, text=True, errors="replace"
        )
        if done.returncode != 0:
            raise BuildError(f"the native part {main} does not compile:\n{done.stderr[-2000:]}")
        os.replace(folder / f"out{library.suffix}", library)
