"""What is done before a network, on the device: what users say of pictures and sounds becomes ops of the graph."""

from __future__ import annotations

from math import log
from pathlib import Path

import numpy as np

from smelt.errors import OptionError
from smelt.importers import metadata
from smelt.inputs import from_pixels
from smelt.model.graph import Array, Graph, Tensor
from smelt.model.ops_fft import has_butterflies
from smelt.passes.picture import Camera, with_picture
from smelt.passes.sound import Features, with_sound
from smelt.preparation import PictureSpec, Preparation, from_metadata, picture_spec
from smelt.sounds import SoundSpec, sound_spec

TYPES = ("int8", "uint8", "float32")


def prepared_picture(graph: Graph, spec: PictureSpec) -> Graph:
    """The graph that is given pictures as a camera has them. Raises OptionError where it has no one input for pictures, or their
    size cannot be."""
    edge = _picture_input(graph)
    _, rows, columns, channels = edge.shape
    own = columns, rows
    resized = spec.preparation.size or own
    if resized[0] < columns or resized[1] < rows:
        raise OptionError(
            f"pictures of {resized[0]}x{resized[1]} are too small for the model's {columns}x{rows}: the size is what pictures are "
            "resized to before their middle is taken"
        )
    width, height = spec.size or resized
    table = pixel_table(edge, spec.preparation, channels)
    return with_picture(graph, edge, Camera(height, width, (resized[1], resized[0]), spec.resize, table))


def pixel_table(tensor: Tensor, preparation: Preparation, channels: int) -> Array:
    """What is stored for every pixel in each channel, (256, channels): what the host makes of pictures."""
    pixels = np.repeat(np.arange(256, dtype=np.int16)[:, None], channels, axis=1)
    return from_pixels(pixels, tensor, "the pixel table", preparation)


def _picture_input(graph: Graph) -> Tensor:
    found = [t for t in graph.inputs if len(t.shape) == 4 and t.shape[0] == 1 and t.shape[3] in (1, 3)]
    if len(found) != 1 or found[0].dtype not in TYPES:
        inputs = ", ".join(map(str, graph.inputs))
        raise OptionError(
            f"--input-picture is for models with one input of pictures, (1, rows, columns, 1 or 3) of {', '.join(TYPES)}; "
            f"the model has {inputs}"
        )
    return found[0]


def prepared_sound(graph: Graph, spec: SoundSpec) -> Graph:
    """The graph that is given samples of int16. Raises OptionError where its input is no number of frames of such features."""
    if len(graph.inputs) != 1:
        raise OptionError(f"--input-sound is for models with one input, and this one has {len(graph.inputs)}")
    (edge,) = graph.inputs
    return with_sound(graph, edge, features_of(edge, spec))


def features_of(edge: Tensor, spec: SoundSpec) -> Features:
    """The features that an input wants: (1, frames, values), (1, frames, values, 1), or all in a row. Raises OptionError."""
    n, shape = spec.numbers, edge.shape
    stored = edge.dtype == "float32" or (edge.dtype in (*TYPES, "int16") and edge.quantization is not None)
    if not stored or shape[:1] != (1,):
        raise OptionError(
            f"--input-sound is for inputs (1, ...) of float32 or of integers with a scale; the model's input is {edge}"
        )
    window, stride = spec.samples("window"), spec.samples("stride")
    length = int(n["n_fft"]) or 1 << max(window - 1, 3).bit_length()
    if length < window or not has_butterflies(length):
        raise OptionError(
            f"--input-sound: n_fft={length} is no spectrum of a window of {window} samples: it is not less, and half of it is a "
            "product of 2, 3 and 5"
        )
    coefficients = 0 if spec.kind == "log-mel" else int(n["n_mfcc"]) or (shape[2] if len(shape) > 2 else 0)
    values = coefficients or int(n["n_mels"])
    if coefficients > n["n_mels"] or (spec.kind == "mfcc" and not coefficients):
        raise OptionError("--input-sound: n_mfcc is how many coefficients a frame has, and at most n_mels")
    if edge.elements % values or (len(shape) > 2 and shape[2] != values):
        raise OptionError(
            f"--input-sound: the model's input is {edge}, and frames have {values} features: say other ones with "
            f"{'n_mfcc=' if spec.kind == 'mfcc' else 'n_mels='}"
        )
    return Features(
        frames=edge.elements // values,
        rate=spec.rate,
        window=window,
        stride=stride,
        length=length,
        bands=int(n["n_mels"]),
        low=n["low"],
        high=n["high"] or spec.rate / 2,
        scale=spec.mel,
        power=1 if n["power"] == 1 else 2,
        floor=n["floor"],
        factor=1.0 if spec.log == "ln" else 20 / n["power"] / log(10),
        coefficients=coefficients,
        mean=n["mean"],
        std=n["std"],
    )


def with_preparation(graph: Graph, path: Path | str, picture: str, sound: str) -> Graph:
    """The graph of the model file at `path` with what the device does before it: `picture` or `sound` as users write it, or
    neither. What the file's metadata says is the default. Raises OptionError."""
    if picture and sound:
        raise OptionError("--input-picture and --input-sound are about the same input: give one of them")
    if picture:
        return prepared_picture(graph, picture_spec(picture, from_metadata(metadata(path))))
    return prepared_sound(graph, sound_spec(sound)) if sound else graph
