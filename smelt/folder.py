"""Folders that smelt shares with people: it replaces and removes what it wrote itself, as it left it, and nothing else."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from smelt.errors import OptionError, printable
from smelt.files import kind, read, save
from smelt.firmware.mark import is_firmware, is_intact, is_marked
from smelt.firmware.pmsis import FILES as SDK_FILES
from smelt.firmware.sources import ASSEMBLY, FILES, MEMORY
from smelt.firmware.weights_image import is_weights_image, weights_file
from smelt.kernels.headers import included, with_included

FIRMWARE = ("firmware.elf", "6-firmware.elf")
MOST = 1 << 30  # bytes of a file that is looked at
ADVICE = "choose another folder, or move the file away"


def save_own(files: Mapping[str, bytes], folder: Path, networks: Sequence[str], library: str = ".") -> None:
    """Write `files` into `folder`, all or none; the C library is in the subfolder `library`. `networks` are what its files begin
    with.

    What is there already must be smelt's, in the state in which smelt left it, and no header of another network may change. Files
    that are there as they should be are not touched. What an earlier compilation of these networks left and this one does not
    need, headers and firmware, is removed. Raises OptionError, BuildError.
    """
    place = folder / library
    before = {name for network in networks for name in _left_by(network, place, folder)}
    others = _used_by_others(place, networks)
    changed = {}
    for name, data in files.items():
        found = found_in(folder / name, folder)
        if found != data:
            _check(folder / name, found, others.get(Path(name).name, ""))
            changed[name] = data
    save(changed, folder)
    kept = {Path(name).name for name in files}
    for name in sorted((before | set(FIRMWARE)) - kept - set(others)):
        _remove(place / name if name in before else folder / name, networks)


def _left_by(network: str, place: Path, folder: Path) -> set[str]:
    """The files that an earlier compilation may have left whose code bears the name of a network or suite."""
    code = found_in(place / f"{network}_net.c", folder)
    if code is None or not is_intact(code):
        return set()
    return _headers(code) | {
        weights_file(network),
        *(f"{network}_{end}" for end in (*FILES, MEMORY, ASSEMBLY, *SDK_FILES)),
    }


def found_in(file: Path, folder: Path) -> bytes | None:
    """What a file below `folder` holds, None where there is none. Raises OptionError for links and for what is no file."""
    for part in (file, *file.parents):
        if part == folder:
            break
        if os.path.islink(part):
            raise OptionError(f"cannot write '{printable(file)}': {printable(part.name)} is a link; {ADVICE}")
    try:
        mode = file.lstat().st_mode
    except OSError:
        return None  # whoever writes says why it cannot be
    if not stat.S_ISREG(mode):
        raise OptionError(f"cannot write '{printable(file)}': it is {kind(mode)}; {ADVICE}")
    return read(file, MOST)


def _check(file: Path, found: bytes | None, other: str) -> None:
    """Raise OptionError unless what was found may be replaced."""
    if found is None:
        return
    name = printable(file)
    if other:
        raise OptionError(
            f"'{name}' is used by the network '{other}' as well, for which it must stay as it is: choose another folder,"
            f" or delete the files of '{other}' and compile both again"
        )
    if (file.name in FIRMWARE and is_firmware(found)) or is_weights_image(found):
        return
    if not is_marked(found):
        raise OptionError(f"'{name}' was not written by smelt (or by one from before such files said so): {ADVICE}")
    if not is_intact(found):
        raise OptionError(f"'{name}' was changed since smelt wrote it, and would be lost: {ADVICE}")


def _used_by_others(folder: Path, networks: Sequence[str]) -> dict[str, str]:
    """The headers that other networks in the folder use: file name -> one of those networks."""
    users = {}
    try:
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    except OSError as error:
        raise OptionError(f"cannot write into '{printable(folder)}': {error.strerror or error}") from None
    for file in (folder / name for name in names if name.endswith("_net.c")):
        name = file.name.removesuffix("_net.c")
        if name not in networks and os.path.isfile(file):
            users.update(dict.fromkeys(_headers(read(file, MOST)), name))
    return users


def _headers(code: bytes) -> set[str]:
    """What a file of code includes: headers of kernels, with what these include, and of networks."""
    text = code.decode("utf-8", "replace")
    return {*with_included(included(text)), *re.findall(r'^#include "(\w+_net\.h)"', text, re.MULTILINE)}


def _remove(file: Path, networks: Sequence[str]) -> None:
    """Remove what an earlier compilation of these networks left, if it is that."""
    if os.path.islink(file) or not os.path.isfile(file):
        return
    data = read(file, MOST)
    if file.name in FIRMWARE:
        own = is_firmware(data) and any(f"\0{network}_run\0".encode() in data for network in networks)
    else:
        own = is_intact(data) or is_weights_image(data)
    if own:
        file.unlink()
