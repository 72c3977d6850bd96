"""Files as network inputs: pictures, recordings, .npy arrays, raw bytes."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from smelt.errors import OptionError, printable
from smelt.files import read
from smelt.importers.foreign import by_content
from smelt.inputs.features import computed, on_host
from smelt.inputs.npy import parse_npy
from smelt.inputs.npz import parse_npz
from smelt.inputs.preparation import Preparation
from smelt.inputs.recordings import RECORDINGS, parts_of, samples_of
from smelt.model.graph import Array, Graph, Tensor

if TYPE_CHECKING:
    from PIL import Image

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".webp", ".tif", ".tiff")
RAW = ("", ".bin", ".raw", ".dat")  # such a file may begin as another by chance
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "WEBP", "TIFF")
MOST_BYTES = 1 << 30
MOST_PICTURE_BYTES = 64 << 20
MOST_PIXELS = 64 << 20

# What the picture decoders of Pillow let escape on damaged files: they are written by many hands, and no contract names it.
DAMAGED = (
    OSError, ValueError, SyntaxError, TypeError, AttributeError, LookupError, ArithmeticError, EOFError, AssertionError,
    MemoryError, RuntimeError, struct.error, zlib.error,
)  # fmt: skip


def read_inputs(
    files: Sequence[Path | str], graph: Graph, preparation: Preparation | None = None
) -> list[tuple[Array, ...]]:
    """One tuple of input arrays per run. Each file feeds one input of the graph, in order; a .npy or raw file may hold
    several runs; pictures are prepared. Raises OptionError naming the file, what it holds, and what the model wants.
    """
    if len(files) != len(graph.inputs):
        wanted = ", ".join(str(t) for t in graph.inputs)
        raise OptionError(f"the model has {len(graph.inputs)} input(s) ({wanted}), but {len(files)} file(s) were given")
    columns = [read_input(Path(file), tensor, preparation) for file, tensor in zip(files, graph.inputs, strict=True)]
    if len({len(c) for c in columns}) > 1:
        raise OptionError(f"the input files hold different numbers of runs: {[len(c) for c in columns]}")
    return list(zip(*columns, strict=True))


def read_input(file: Path, tensor: Tensor, preparation: Preparation | None = None) -> list[Array]:
    """The arrays for `tensor` that `file` holds, one per run, in the tensor's own shape and type.

    No more memory is taken than the file is large, whatever it says of itself. Raises OptionError.
    """
    suffix, source = file.suffix.lower(), printable(file)
    if suffix in PICTURES:
        return [from_picture(read(file, MOST_PICTURE_BYTES), tensor, source, preparation)]
    data = read(file, MOST_BYTES)
    if suffix in RECORDINGS:
        if preparation is not None and preparation.slides:
            return list(parts_of(data, tensor.elements, source, preparation.rate).reshape(-1, *tensor.shape))
        return [from_recording(data, tensor, source, preparation)]
    if suffix == ".npy":
        return from_array(parse_npy(data, source), tensor, source)
    if suffix == ".npz":
        return from_array(_of_archive(parse_npz(data, source, MOST_BYTES), tensor, source), tensor, source)
    what = by_content(data)
    fits = tensor.bytes and len(data) % tensor.bytes == 0
    if what and not (suffix in RAW and fits):
        raise OptionError(
            f"{source} is {what}; an input is a picture, a recording, a .npy or .npz file, or raw bytes of {tensor}"
        )
    return from_bytes(data, tensor, source)


def _of_archive(arrays: dict[str, Array], tensor: Tensor, source: str) -> Array:
    """The array of the tensor's name, or the only one."""
    if tensor.name in arrays:
        return arrays[tensor.name]
    if len(arrays) != 1:
        names = ", ".join(sorted(map(printable, arrays))) or "none"
        raise OptionError(f"{source} holds several arrays or none ({names}), and none is called '{tensor.name}'")
    return next(iter(arrays.values()))


def from_array(array: Array, tensor: Tensor, source: str) -> list[Array]:
    """Runs from an array of the tensor's type (or float, which is quantised): one run, or several along a new first axis."""
    if not tensor.elements or array.size % tensor.elements or array.size == 0:
        raise OptionError(f"{source} has shape {array.shape}, but the model's input is {tensor}")
    tail = tensor.shape[1:] if tensor.shape[:1] == (1,) else tensor.shape
    several = array.ndim > 0 and array.shape[1:] == tail
    if array.shape not in (tensor.shape, tail) and not several and array.shape[1:] != tensor.shape:
        raise OptionError(f"{source} has shape {array.shape}, but the model's input is {tensor}")
    return list(_finite(_converted(array, tensor, source), source).reshape(-1, *tensor.shape))


def _converted(array: Array, tensor: Tensor, source: str) -> Array:
    """The array in the tensor's type. Values of float32 that another type cannot hold become infinite."""
    if array.dtype == tensor.dtype:
        return array
    if tensor.element.is_integer and tensor.quantization is not None and array.dtype.kind == "f":
        q = tensor.q
        real = _finite(array, source).astype(np.float64)
        with np.errstate(over="ignore"):  # infinite is beyond the limits as well
            stored = np.clip(np.round(real / q.scale) + q.zero_point, *tensor.element.range)
        return stored.astype(tensor.element.numpy)
    if tensor.dtype == "float32" and array.dtype.kind in "fiu":
        with np.errstate(over="ignore"):
            return array.astype(np.float32)
    raise OptionError(
        f"{source} holds {array.dtype} values, but the model's input is {tensor}"
        + ("; for pixels, save (pixels - 128) as int8" if array.dtype == np.uint8 and tensor.dtype == "int8" else "")
    )


def _finite(array: Array, source: str) -> Array:
    """Refuse what no integer stands for: what C makes of it as an integer is undefined."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise OptionError(f"{source} has {array[place]} at {list(place)}: a network's input is made of finite numbers")
    return array


def from_bytes(data: bytes, tensor: Tensor, source: str) -> list[Array]:
    """Runs from raw little-endian bytes in the tensor's own type."""
    if not data or not tensor.bytes or len(data) % tensor.bytes:
        raise OptionError(
            f"{source} holds {len(data)} bytes, but an input of the model ({tensor}) takes {tensor.bytes}"
        )
    if tensor.dtype == "bool" and max(data) > 1:
        raise OptionError(f"{source} holds the byte {max(data)}, but the model's input is {tensor}: 0 or 1")
    dtype = tensor.element.numpy
    values = np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype, copy=False)
    return list(_finite(values.reshape(-1, *tensor.shape), source))


def from_picture(data: bytes, tensor: Tensor, source: str, preparation: Preparation | None = None) -> Array:
    """A picture of the input's size, or of any, where the preparation has one. Without mean and std it is the pixel for uint8
    inputs, (pixel - 128) for int8 ones and pixel / 255 for float32 ones."""
    if len(tensor.shape) != 4 or tensor.shape[0] != 1 or tensor.shape[3] not in (1, 3):
        raise OptionError(f"{source} is a picture, but the model's input is {tensor}: give a .npy or raw file")
    if tensor.dtype not in ("int8", "uint8", "float32"):
        raise OptionError(
            f"{source} is a picture, but the model's input is {tensor}: pictures are for int8, uint8 and float32"
        )
    preparation = preparation or Preparation()
    return from_pixels(_decoded(data, tensor, source, preparation.size), tensor, source, preparation)


def from_pixels(pixels: Array, tensor: Tensor, source: str, preparation: Preparation) -> Array:
    """What becomes of pixels, 0 to 255 in int16, channels last, in the type of `tensor`."""
    if preparation.scales:
        return _finite(_converted(preparation.reals(pixels), tensor, source), source)
    if tensor.element.is_float:
        return (pixels / 255).astype(np.float32)
    return (pixels + tensor.element.low).astype(tensor.element.numpy)


def from_recording(data: bytes, tensor: Tensor, source: str, preparation: Preparation | None = None) -> Array:
    """The samples of a .wav file of 16 bits and one channel, cut off or filled up with silence to the model's length: as they are
    for int16 without a scale, which a device prepares; else the features that the preparation has, or from -1 to 1. Raises
    OptionError."""
    preparation = preparation or Preparation()
    as_they_are = tensor.dtype == "int16" and tensor.quantization is None
    if preparation.sound is not None and not as_they_are:
        graph = on_host(tensor, preparation.sound)
        return computed(graph, samples_of(data, graph.inputs[0].elements, source, preparation.sound.rate))
    if not as_they_are and max(tensor.shape, default=0) != tensor.elements:
        raise OptionError(
            f"{source} is a recording, but the model's input is {tensor}: samples are one line of numbers. "
            "For models of features, say which (--input-sound; quantize and evaluate: --sound), or save these as .npy"
        )
    samples = samples_of(data, tensor.elements, source, preparation.rate)
    if as_they_are:
        return samples.reshape(tensor.shape)
    return from_array((samples / np.float32(32768)).reshape(tensor.shape), tensor, source)[0]


def _of_bytes(picture: Image.Image) -> Image.Image:
    """A picture whose grey values of 16 bits are rounded to 8: Pillow's own conversion makes everything above 255 white."""
    if not picture.mode.startswith("I"):
        return picture
    from PIL import Image

    values = np.asarray(picture).astype(np.int64).clip(0, 65535)
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _decoded(data: bytes, tensor: Tensor, source: str, size: tuple[int, int] | None) -> Array:
    """The pixels of a picture, 0 to 255, of the tensor's shape. Nothing is decoded that is too large."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise OptionError("reading pictures needs Pillow: pip install 'smelt[image]'") from None
    _, rows, columns, channels = tensor.shape
    try:
        with warnings.catch_warnings():  # of sizes, which are compared here before anything is decoded
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                found = picture.size
                fits = found == (columns, rows) if size is None else found[0] * found[1] <= MOST_PIXELS
                if fits:
                    decoded = _of_bytes(picture).convert("L" if channels == 1 else "RGB")
                    if size is not None and size != found:
                        decoded = decoded.resize(size, Image.Resampling.BILINEAR)
    except UnidentifiedImageError:
        raise OptionError(f"cannot read picture {source}: it is none of {', '.join(FORMATS)}") from None
    except (*DAMAGED, Image.DecompressionBombError) as error:
        raise OptionError(f"cannot read picture {source}: {error or type(error).__name__}") from None
    if not fits:
        raise OptionError(
            f"{source} is {found[0]}x{found[1]} pixels, but the model's input is {columns}x{rows}: resize it first "
            f"(smelt quantize and evaluate do so: --size {columns}x{rows}; firmware does: --input-picture {found[0]}x{found[1]})"
            if size is None
            else f"{source} has {found[0]}x{found[1]} pixels, which is too large"
        )
    left, top = ((size[0] - columns) // 2, (size[1] - rows) // 2) if size else (0, 0)
    if min(left, top) < 0:
        raise OptionError(
            f"pictures of {decoded.width}x{decoded.height} are too small for the model's {columns}x{rows}"
        )
    cut = decoded.crop((left, top, left + columns, top + rows)) if size else decoded
    return np.asarray(cut, np.int16).reshape(tensor.shape)


def random_inputs(graph: Graph, count: int, seed: int = 0) -> list[tuple[Array, ...]]:
    """`count` runs of random inputs, always the same for a seed: integers uniformly from all that their type has."""
    if seed < 0:
        raise OptionError(f"{seed} cannot be a seed: a seed is 0 or more")
    generator = np.random.default_rng(seed)
    return [tuple(_random(generator, t) for t in graph.inputs) for _ in range(count)]


def _random(generator: np.random.Generator, tensor: Tensor) -> Array:
    element = tensor.element
    if element.is_float:
        return generator.normal(0, 2, tensor.shape).astype(element.numpy)
    return generator.integers(*element.range, tensor.shape, element.numpy, endpoint=True)
