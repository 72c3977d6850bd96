"""Archives that are the same for the same files."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping

EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can say


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A .zip of files, in order of their names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system, entry.external_attr = 3, 0o644 << 16  # as on POSIX systems, wherever it is written
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def tarred(files: Mapping[str, bytes]) -> bytes:
    """A .tar of files that belong to root, below "./", each folder before what is in it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for folder in sorted(
            {f"./{'/'.join(parts[:n])}" for name in files if (parts := name.split("/")) for n in range(len(parts))}
        ):
            archive.addfile(_entry(folder.rstrip("/") or ".", tarfile.DIRTYPE, 0o755))
        for name in sorted(files):
            entry = _entry(f"./{name}", tarfile.REGTYPE, 0o644)
            entry.size = len(files[name])
            archive.addfile(entry, io.BytesIO(files[name]))
    return buffer.getvalue()


def _entry(name: str, type: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.uname, entry.gname = type, mode, "root", "root"
    return entry
