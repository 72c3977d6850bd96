"""Archives of arrays (.npz, as `numpy.savez` and `numpy.savez_compressed` write them), within bounds."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Container

from smelt.errors import OptionError
from smelt.inputs.npy import parse_npy
from smelt.model.graph import Array

MOST_ARRAYS = 256
SUFFIX = ".npy"

# What `zipfile` raises on archives that are damaged, encrypted or packed in a way that it does not know.
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)


def parse_npz(data: bytes, source: str, most: int, wanted: Container[str] | None = None) -> dict[str, Array]:
    """The arrays in the content of a .npz file, by name, of together at most `most` bytes, whatever it is packed to: all of them,
    or those `wanted`.

    Raises OptionError where it is damaged, holds too much, or something that is no array.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = [i for i in archive.infolist() if wanted is None or i.filename.removesuffix(SUFFIX) in wanted]
            if len(infos) > MOST_ARRAYS or sum(info.file_size for info in infos) > most:
                raise OptionError(f"{source} unpacks to more than {MOST_ARRAYS} arrays or {most:,} bytes")
            return {info.filename.removesuffix(SUFFIX): _array(archive, info, source) for info in infos}
    except DAMAGED as error:
        raise OptionError(f"{source} is no readable archive of arrays: {error or type(error).__name__}") from None


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: str) -> Array:
    with archive.open(info) as file:
        return parse_npy(file.read(info.file_size), f"{source}, '{info.filename}'")
