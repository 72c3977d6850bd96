"""Folders of packages: smelt writes into one that is empty or holds the same network in the same format as it left that."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from smelt.errors import OptionError, printable
from smelt.files import kind, read, save
from smelt.firmware.exports import MANIFEST
from smelt.firmware.mark import is_intact
from smelt.folder import ADVICE, found_in

MOST_MANIFEST = 1 << 24


def check_folder(folder: Path, format: str, name: str) -> Mapping[str, str]:
    """What smelt left in a folder: path -> SHA-256. Raises OptionError where the folder holds another package, or is none. To be
    asked before the work."""
    if folder.exists() and not folder.is_dir():
        raise OptionError(f"cannot write into '{printable(folder)}': it is {kind(folder.stat().st_mode)}, not a folder")
    table = _manifest(folder / MANIFEST)
    if table is None:
        return {}
    found = table.get("format"), table.get("name")
    if found != (format, name):
        raise OptionError(
            f"'{printable(folder)}' holds the network '{printable(found[1])}' as {printable(found[0])}: choose another folder"
        )
    return {path: digest for path, digest in table["files"].items() if _is_below(path)}


def save_package(files: Mapping[str, bytes], folder: Path, format: str, name: str) -> None:
    """Write `files` into `folder`, all or none, and remove what an earlier export left there that this one does not have.

    What is there already must be as smelt left it; other files are not touched. Raises OptionError, BuildError.
    """
    before = check_folder(folder, format, name)
    changed = {}
    for path, data in files.items():
        found = found_in(folder / path, folder)
        if found != data:
            if found is not None and path != MANIFEST:
                _check(folder / path, found, before.get(path))
            changed[path] = data
    save(changed, folder)
    for path in before.keys() - files.keys():
        _remove(folder, path, before[path])


def _manifest(file: Path) -> dict[str, Any] | None:
    """The list of files that a folder has, None where it has none. Raises OptionError where it is not smelt's."""
    if not os.path.lexists(file):
        return None
    try:
        table = json.loads(read(file, MOST_MANIFEST))
    except ValueError:
        table = None
    files = table.get("files") if isinstance(table, dict) else None
    if not isinstance(files, dict) or not all(isinstance(digest, str) for digest in files.values()):
        raise OptionError(f"'{printable(file)}' was not written by smelt: {ADVICE}")
    return dict(table)


def _is_below(path: str) -> bool:
    """Whether a path stays in its folder."""
    return not os.path.isabs(path) and not {"..", ""} & set(path.split("/")) and "\\" not in path


def _check(file: Path, found: bytes, left: str | None) -> None:
    """Raise OptionError unless what was found is what smelt left."""
    if left == hashlib.sha256(found).hexdigest() or is_intact(found):
        return
    if left is None:
        raise OptionError(f"'{printable(file)}' was not written by smelt: {ADVICE}")
    raise OptionError(f"'{printable(file)}' was changed since smelt wrote it, and would be lost: {ADVICE}")


def _remove(folder: Path, path: str, left: str) -> None:
    """Remove what an earlier export left, if it is still that, and the folders that are empty then."""
    found = found_in(folder / path, folder)
    if found is None or hashlib.sha256(found).hexdigest() != left:
        return
    (folder / path).unlink()
    with suppress(OSError):  # not empty
        for parent in (folder / path).parents:
            if parent == folder:
                break
            parent.rmdir()
