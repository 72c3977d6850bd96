"""What is done before a network, on the device: what users say of pictures and sounds becomes ops of the graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from smelt.errors import OptionError
from smelt.importers import metadata
from smelt.inputs import from_pixels
from smelt.inputs.features import prepared_sound
from smelt.inputs.preparation import PictureSpec, Preparation, from_metadata, picture_spec
from smelt.inputs.sounds import SoundSpec, sound_spec
from smelt.model.graph import Array, Graph, Tensor
from smelt.passes.picture import Camera, with_picture

STORED = "stored"
MOST_PIXELS = 1 << 24
"""Of pictures that come in: more than any memory of a microcontroller has."""

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
    if width * height > MOST_PIXELS:
        raise OptionError(f"--input-picture: {width}x{height} are more than {MOST_PIXELS:,} pixels")
    if spec.resize == "area" and (width % resized[0] or height % resized[1]):
        raise OptionError(
            f"--input-picture: resize=area makes pictures smaller by whole factors, and {width}x{height} are no multiple of "
            f"{resized[0]}x{resized[1]}"
        )
    table = pixel_table(edge, spec.preparation, channels)
    return with_picture(graph, edge, Camera(height, width, (resized[1], resized[0]), spec.resize, table))


def pixel_table(tensor: Tensor, preparation: Preparation, channels: int) -> Array:
    """What is stored for every pixel in each channel, (256, channels): what the host makes of pictures."""
    pixels = np.repeat(np.arange(256, dtype=np.int16)[:, None], channels, axis=1)
    return from_pixels(pixels, tensor, "(pixel - mean) / std", preparation)


def _picture_input(graph: Graph) -> Tensor:
    found = [t for t in graph.inputs if len(t.shape) == 4 and t.shape[0] == 1 and t.shape[3] in (1, 3)]
    if len(found) != 1 or found[0].dtype not in TYPES:
        inputs = ", ".join(map(str, graph.inputs))
        raise OptionError(
            f"--input-picture is for models with one input of pictures, (1, rows, columns, 1 or 3) of {', '.join(TYPES)}; "
            f"the model has {inputs}"
        )
    return found[0]


def with_preparation(graph: Graph, path: Path | str, picture: str, sound: str) -> Graph:
    """The graph of the model file at `path` with what the device does before it: `picture` or `sound` as users write it, or
    neither. What the file's metadata says is the default. Raises OptionError."""
    if picture and sound:
        raise OptionError("--input-picture and --input-sound are about the same input: give one of them")
    if picture:
        return prepared_picture(graph, picture_spec(picture, from_metadata(metadata(path))))
    return prepared_sound(graph, said_sound(path, sound)) if sound else graph


def said_sound(path: Path | str, text: str) -> SoundSpec:
    """What users write of sounds: fields, or that the metadata of the model file at `path` has them. Raises OptionError."""
    if text != STORED:
        return sound_spec(text)
    stored = from_metadata(metadata(path)).sound
    if stored is None:
        raise OptionError(
            "--input-sound stored: the model's metadata says nothing of sounds (smelt quantize --sound writes it)"
        )
    return stored
