"""Damaged input files through `read_input`: `python -m fuzz.inputs --cases 20000 --seed 1`.

Every case is an array of the model's type or an OptionError, in a second and in memory in proportion to the file.
"""

from __future__ import annotations

import functools
import io
import sys
import wave
import zipfile
from collections.abc import Callable

import numpy as np
from PIL import Image

from fuzz.harness import Case, Finding, Fuzzer, main
from fuzz.mutations import spoilt
from smelt.errors import OptionError
from smelt.inputs import PICTURES, read_input
from smelt.model.graph import Array, Quantization, Tensor

Q = Quantization((0.1,), (-5,))
TENSORS = (
    Tensor("int8", (1, 8, 8, 3), "int8", Q),
    Tensor("grey", (1, 8, 8, 1), "int8", Q),
    Tensor("float", (1, 8, 8, 3), "float32"),
    Tensor("flat", (1, 64), "int16"),
    Tensor("bool", (4, 3), "bool"),
    Tensor("scalar", (), "int32"),
    Tensor("tiny", (1, 8, 8, 3), "int8", Quantization((1e-45,), (127,))),
)
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "PPM", "WEBP", "TIFF")
WORDS = (
    b"9" * 40, b"-1", b"1e9", b"(" * 3000, b")" * 3000, b"{" * 500,
    b"'", b'"', b"\\", b"\n", b"\0", b"None", b"|O8", b"<U9", b"<c16",
    b"<f3", b">i8", b"[('a','|i1')]", b"__import__('os')", b"0x10", b"(1,)", b"()", b"True", b"2147483648", b"9223372036854775807",
    b"18446744073709551616", b"lambda:0", b"#", b"\xff\xfe", b"\xed\xa0\x80",
)  # fmt: skip


def array_file(random: np.random.Generator, tensor: Tensor) -> bytes:
    dtype, shape = tensor.dtype, tensor.shape
    if random.random() < 0.4:
        dtype = random.choice(["|i1", "|u1", "|b1", "<i2", ">i4", "<i8", "<f4", ">f8", "<f2", "<c8", "<U3"])
    if random.random() < 0.4:
        shape = [(8, 8, 3), (3, 1, 8, 8, 1), (2, *shape), shape[1:], (0,), (1, 64)][random.integers(6)]
    array = random.integers(0, 200, shape).astype(dtype)
    if array.dtype.kind == "f" and array.size and random.random() < 0.3:
        array.reshape(-1)[random.integers(array.size)] = random.choice([np.nan, np.inf, -np.inf])
    buffer = io.BytesIO()
    ordered = np.asfortranarray(array) if random.random() < 0.5 else array
    np.lib.format.write_array(buffer, ordered, version=(int(random.integers(1, 4)), 0))
    return buffer.getvalue()


@functools.cache
def picture(format: str, grey: bool) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8) if grey else (8, 8, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(buffer, format)
    return buffer.getvalue()


def picture_file(random: np.random.Generator, tensor: Tensor) -> bytes:
    return picture(str(random.choice(FORMATS)), tensor.shape[-1:] == (1,))


def archive_file(random: np.random.Generator, tensor: Tensor) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", array_file(random, tensor))
    return buffer.getvalue()


def sound_file(random: np.random.Generator, tensor: Tensor) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setparams((1, 2, 16000, 0, "NONE", "none"))
        sound.writeframes(random.bytes(128))
    return buffer.getvalue()


def raw_file(random: np.random.Generator, tensor: Tensor) -> bytes:
    size = int(random.choice([0, 1, 12, 1000])) if random.random() < 0.3 else tensor.bytes * int(random.integers(1, 4))
    return random.bytes(size)


MAKERS: tuple[tuple[Callable[[np.random.Generator, Tensor], bytes], tuple[str, ...]], ...] = (
    (array_file, (".npy",)),
    (array_file, (".npy",)),
    (picture_file, PICTURES),
    (picture_file, PICTURES),
    (archive_file, (".npz",)),
    (sound_file, (".wav",)),
    (raw_file, (".bin", "", ".raw")),
)
SUFFIXES = tuple(suffix for _, suffixes in MAKERS for suffix in suffixes)


def damaged(case: Case, tensor: Tensor) -> tuple[bytes, str]:
    """A file of some kind, with none to four damages, and how its name ends."""
    maker, suffixes = MAKERS[case.rng.integers(len(MAKERS))]
    data = spoilt(maker(case.rng, tensor), case.dice, WORDS, case.dice.randrange(5))
    return data, case.dice.choice(suffixes if case.dice.random() < 0.8 else SUFFIXES)


def check(arrays: list[Array], tensor: Tensor) -> None:
    for array in arrays:
        if array.dtype != tensor.dtype or array.shape != tensor.shape:
            raise Finding(f"{array.dtype} {array.shape} for {tensor}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise Finding("not finite")


def attempt(case: Case) -> str:
    """Read one file as some tensor."""
    tensor = TENSORS[case.rng.integers(len(TENSORS))]
    path = case.write(*damaged(case, tensor))
    try:
        check(read_input(path, tensor), tensor)
    except OptionError as error:
        if not str(error).replace("\n", "").isprintable() or len(str(error)) > 2000:
            raise Finding("the message is not fit to be shown") from error
        return "refused"
    return "read"


if __name__ == "__main__":
    sys.exit(main(Fuzzer("inputs", __doc__ or "", attempt, cases=20_000, seconds=1.0, memory=200 << 20)))
