"""The files of users: read within bounds, written whole or not at all, and never made into something else."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from smelt.errors import BuildError, OptionError, SmeltError, printable

# --- reading --------------------------------------------------------------------------------------------------------


def read(file: Path, most: int, error: type[SmeltError] = OptionError) -> bytes:
    """The content of a regular file of at most `most` bytes; raises `error` where it is another thing, or larger.

    Pipes and devices are refused without waiting for them, and what has no end is not read.
    """
    name = printable(file)
    try:
        found = os.stat(file)
        if not stat.S_ISREG(found.st_mode):  # to open some devices is to change them
            raise error(f"{name} is {kind(found.st_mode)}, not a file that holds data")
        if found.st_size > most:
            raise error(f"{name} has {found.st_size:,} bytes; the most is {most:,}")
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as stream:
            data = stream.read(most + 1)  # a file may grow, or say a size of 0 and hold something
    except FileNotFoundError:
        raise error(f"there is no file {name}") from None
    except (OSError, ValueError) as problem:  # ValueError: a name with a zero byte
        reason = getattr(problem, "strerror", None) or problem
        raise error(f"{name} cannot be read: {reason}") from None
    if len(data) > most:
        raise error(f"{name} has more than {most:,} bytes, the most there may be")
    return data


def kind(mode: int) -> str:
    """What a file that is no regular one is, in words."""
    words = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    return next((word for test, word in words if test(mode)), "a device")


# --- writing --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Written:
    """Where bytes are until they get their own name; `temporary` is None for what is written by opening it."""

    target: Path
    data: bytes
    temporary: Path | None


def write(file: Path, data: bytes) -> None:
    """Write `data` to one file, by the rules of `save`."""
    save({file.name: data}, file.parent)


def save(files: Mapping[str, bytes], folder: Path) -> None:
    """Write all of `files` into `folder`, or none: first under temporary names, then renamed.

    What is there already stays what it is: a link leads to its target, whose permissions are kept; pipes and devices are
    opened and written to. Raises OptionError where the folder cannot be used, BuildError where the disk is full.
    """
    made: list[Path] = []
    staged: list[_Written] = []
    done = False
    try:
        made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
        for name, data in files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            staged.append(_stage(data, target))
        for written in sorted(staged, key=lambda w: w.temporary is not None):
            _finish(written)
        done = True
    except (OSError, ValueError) as error:
        reason = _reason(error)
        place = printable(folder)
        if isinstance(error, PermissionError | NotADirectoryError | FileExistsError | IsADirectoryError | ValueError):
            raise OptionError(f"cannot write into '{place}': {reason}") from None
        raise BuildError(f"cannot write into '{place}': {reason}; nothing was left behind") from None
    finally:
        if not done:  # interrupted as well
            _discard([written.temporary for written in staged if written.temporary is not None], made)


def check_output(file: Path, *inputs: Path) -> None:
    """Raise OptionError where `file` cannot be what a command writes: a folder, or one of the files that it reads, however they
    are called. To be asked before the work."""
    if file.is_dir():
        raise OptionError(f"cannot write '{printable(file)}': it is a folder; say the name of a file")
    for given in inputs:
        with suppress(OSError, ValueError):  # where one of them does not exist, they are not the same
            if file.samefile(given):
                raise OptionError(f"'{printable(file)}' is what is read: say another name for what is written")


def append_lines(file: Path, lines: Sequence[bytes]) -> None:
    """Add whole lines to a file, each with a single write. What is not finished, because its writer was killed or the disk was
    full, is closed first, so that nothing is glued to it.

    Raises OptionError where the file cannot be written; what was in it stays.
    """
    if not lines:
        return
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
        try:
            torn = _is_torn(descriptor)
            for number, line in enumerate(lines):
                _write(descriptor, (b"\n" if torn and number == 0 else b"") + line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        raise _unwritable(file, error) from None


def check_appendable(file: Path, room: int) -> None:
    """Raise OptionError where `append_lines` could not write to the file, or not `room` bytes. Leaves no file behind where there is
    none."""
    try:
        there = file.exists()
        if there and not file.is_file():
            raise OptionError(f"cannot write '{printable(file)}': it is {kind(file.stat().st_mode)}")
        os.close(os.open(file, os.O_WRONLY | os.O_APPEND | (0 if there else os.O_CREAT | os.O_EXCL), 0o644))
        if not there:
            file.unlink()
        free = shutil.disk_usage(file.absolute().parent).free
    except (OSError, ValueError) as error:
        raise _unwritable(file, error) from None
    if free < room:
        raise OptionError(f"cannot write '{printable(file)}': the disk is full")


def _reason(error: Exception) -> str:
    """Why a folder cannot be written into."""
    if isinstance(error, FileExistsError | NotADirectoryError):
        return "it is a file, or in one, and not a folder"
    return getattr(error, "strerror", None) or str(error)


def _unwritable(file: Path, error: Exception) -> OptionError:
    return OptionError(f"cannot write '{printable(file)}': {getattr(error, 'strerror', None) or error}")


def _is_torn(descriptor: int) -> bool:
    """Whether the file's last line lacks its end."""
    if os.lseek(descriptor, 0, os.SEEK_END) == 0:
        return False
    os.lseek(descriptor, -1, os.SEEK_END)
    return os.read(descriptor, 1) != b"\n"


def _write(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    if written != len(data):
        raise OSError(f"only {written} of {len(data)} bytes were written: is the disk full?")


def _stage(data: bytes, target: Path) -> _Written:
    """`data` in a temporary file beside what `target` is or leads to, which is not touched."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and stat.S_ISDIR(mode):
        raise IsADirectoryError(f"'{printable(target.name)}' is a folder")
    if mode is not None and not stat.S_ISREG(mode):
        return _Written(target, data, None)
    target = Path(os.path.realpath(target))
    if mode is not None and not os.access(target, os.W_OK):
        raise PermissionError(f"'{printable(target.name)}' is write-protected")
    handle, name = tempfile.mkstemp(prefix=".smelt-", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(name, 0o644 if mode is None else stat.S_IMODE(mode))
    except BaseException:
        os.unlink(name)
        raise
    return _Written(target, data, Path(name))


def _finish(written: _Written) -> None:
    if written.temporary is not None:
        os.replace(written.temporary, written.target)
        return
    descriptor = os.open(written.target, os.O_WRONLY | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(written.data)


def _discard(files: list[Path], folders: list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
    for folder in folders:
        for inner in sorted((p for p in folder.rglob("*") if p.is_dir()), reverse=True):
            _remove_empty(inner)
        _remove_empty(folder)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # not empty, or never made
        folder.rmdir()
