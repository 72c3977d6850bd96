"""Files as network inputs: pictures, .npy arrays, raw bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from smelt.errors import OptionError
from smelt.model.graph import Array, Graph, Tensor

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".webp", ".tif", ".tiff")


def read_inputs(files: tuple[Path, ...], graph: Graph) -> list[tuple[Array, ...]]:
    """One tuple of input arrays per run. Each file feeds one input of the graph, in order; a .npy or raw file may hold
    several runs. Raises OptionError naming the file, what it holds, and what the model wants.
    """
    if len(files) != len(graph.inputs):
        wanted = ", ".join(str(t) for t in graph.inputs)
        raise OptionError(f"the model has {len(graph.inputs)} input(s) ({wanted}), but {len(files)} file(s) were given")
    columns = [read_input(file, tensor) for file, tensor in zip(files, graph.inputs, strict=True)]
    if len({len(c) for c in columns}) > 1:
        raise OptionError(f"the input files hold different numbers of runs: {[len(c) for c in columns]}")
    return list(zip(*columns, strict=True))


def read_input(file: Path, tensor: Tensor) -> list[Array]:
    """The arrays for `tensor` that `file` holds, one per run, in the tensor's own shape and type."""
    if not file.is_file():
        raise OptionError(f"input file '{file}' does not exist" if not file.exists() else f"'{file}' is not a file")
    suffix = file.suffix.lower()
    try:
        if suffix == ".npy":
            return from_array(np.load(file, allow_pickle=False), tensor, str(file))
        if suffix in PICTURES:
            return [from_picture(file, tensor)]
        return from_bytes(file.read_bytes(), tensor, str(file))
    except (OSError, ValueError, EOFError) as error:
        raise OptionError(f"cannot read input file '{file}': {error}") from None


def from_array(array: Array, tensor: Tensor, source: str) -> list[Array]:
    """Runs from an array of the tensor's type (or float, which is quantised): one run, or several along a new first axis."""
    if array.dtype != tensor.dtype:
        array = _converted(array, tensor, source)
    if not tensor.elements or array.size % tensor.elements or array.size == 0:
        raise OptionError(f"{source} has shape {array.shape}, but the model's input is {tensor}")
    tail = tensor.shape[1:] if tensor.shape[:1] == (1,) else tensor.shape
    several = array.ndim > 0 and array.shape[1:] == tail
    if array.shape not in (tensor.shape, tail) and not several and array.shape[1:] != tensor.shape:
        raise OptionError(f"{source} has shape {array.shape}, but the model's input is {tensor}")
    return list(array.reshape(-1, *tensor.shape))


def _converted(array: Array, tensor: Tensor, source: str) -> Array:
    if tensor.dtype == "int8" and array.dtype.kind == "f":
        q = tensor.q
        return np.clip(np.round(array / q.scale) + q.zero_point, -128, 127).astype(np.int8)
    if tensor.dtype == "float32" and array.dtype.kind in "fiu":
        return array.astype(np.float32)
    raise OptionError(
        f"{source} holds {array.dtype} values, but the model's input is {tensor}"
        + ("; for pixels, save (pixels - 128) as int8" if array.dtype == np.uint8 else "")
    )


def from_bytes(data: bytes, tensor: Tensor, source: str) -> list[Array]:
    """Runs from raw little-endian bytes in the tensor's own type."""
    if not data or len(data) % tensor.bytes:
        raise OptionError(
            f"{source} holds {len(data)} bytes, but an input of the model ({tensor}) takes {tensor.bytes}"
        )
    return list(np.frombuffer(data, np.dtype(tensor.dtype).newbyteorder("<")).reshape(-1, *tensor.shape))


def from_picture(file: Path, tensor: Tensor) -> Array:
    """A picture of the input's size, as (pixel - 128) for int8 inputs and pixel / 255 for float32 ones."""
    if len(tensor.shape) != 4 or tensor.shape[0] != 1 or tensor.shape[3] not in (1, 3):
        raise OptionError(f"'{file}' is a picture, but the model's input is {tensor}: give a .npy or raw file")
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise OptionError("reading pictures needs Pillow: pip install 'smelt[image]'") from None
    _, rows, columns, channels = tensor.shape
    try:
        with Image.open(file) as picture:
            if picture.size != (columns, rows):
                size = f"{picture.size[0]}x{picture.size[1]}"
                raise OptionError(
                    f"'{file}' is {size} pixels, but the model's input is {columns}x{rows}: resize it first"
                )
            pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"), np.int16).reshape(tensor.shape)
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise OptionError(f"cannot read picture '{file}': {error}") from None
    if tensor.dtype == "float32":
        return (pixels / 255).astype(np.float32)
    return (pixels - 128).astype(np.int8)


def random_inputs(graph: Graph, count: int, seed: int = 0) -> list[tuple[Array, ...]]:
    """`count` runs of uniformly random inputs, always the same for a seed."""
    generator = np.random.default_rng(seed)
    return [tuple(_random(generator, t) for t in graph.inputs) for _ in range(count)]


def _random(generator: np.random.Generator, tensor: Tensor) -> Array:
    if tensor.dtype == "float32":
        return generator.normal(0, 2, tensor.shape).astype(np.float32)
    return generator.integers(-128, 128, tensor.shape, np.int8)
