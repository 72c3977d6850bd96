"""Where compilers keep what they can make again: a folder that was tried, because what the environment says may not be true.

Nothing but trying tells: root may write everywhere and cannot write in /proc, a folder may lie on a full disk or on a file system
without locks, and zig waits for ever for a lock that it cannot get.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO


def cache_folder(name: str, spare: Path, wanted: str | None = None) -> Path:
    """A folder `name` that can be used: `wanted`, or in the user's cache, or a private one below the temporary files; `spare`,
    which nobody keeps, where there is none."""
    places = [Path(wanted)] if wanted else []
    return next((p for p in (*places, *cache_folders(name)) if is_usable(p)), spare)


def cache_folders(name: str) -> Iterator[Path]:
    """Where a cache may be, best first; whether it can be used is not known yet."""
    roots = [os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME", "")]
    home = os.environ.get("HOME", "")
    if sys.platform != "win32" and os.path.isdir(home):  # nobody wants a home folder made
        roots.append(os.path.join(home, ".cache"))
    yield from (Path(root) / name for root in roots if os.path.isabs(root))
    if (own := _private()) is not None:
        yield own / name


def is_usable(folder: Path) -> bool:
    """Whether files in a folder, which is made if need be, can be written, locked, renamed and removed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".smelt-", dir=folder) as name:
            first, second = Path(name) / "first", Path(name) / "second"
            with first.open("wb") as stream:
                stream.write(bytes(4096))
                _lock(stream)
            os.replace(first, second)
    except (OSError, ValueError):  # ValueError: a name with a null
        return False
    return True


def _private() -> Path | None:
    """A folder below the temporary files that nobody else can write to."""
    if sys.platform == "win32":
        return Path(tempfile.gettempdir()) / "smelt"  # every user has such a folder
    try:
        folder = Path(tempfile.gettempdir()) / f"smelt-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    mine = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022
    return folder if mine else None


def _lock(stream: IO[bytes]) -> None:
    """Raise OSError where files cannot be locked."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
