"""Files that are not what was asked for, named as what they are: by their first bytes, else by how their name ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

CONVERT = "convert it to an int8 .tflite file, or to an .onnx file"
TO_ONNX = """export it from the program that defines the model:
      import torch
      model.load_state_dict(torch.load('weights.pt'))
      model.eval()
      example = (torch.randn(1, 3, 32, 32),)
      torch.onnx.export(model, example, 'model.onnx', dynamo=True)"""
TO_TFLITE = """convert it:
      import tensorflow as tf
      converter = tf.lite.TFLiteConverter.%s
      converter.optimizations = [tf.lite.Optimize.DEFAULT]
      converter.representative_dataset = samples
      open('model.tflite', 'wb').write(converter.convert())"""
FROM_KERAS = TO_TFLITE % "from_keras_model(tf.keras.models.load_model('FILE'))"
FROM_FOLDER = TO_TFLITE % "from_saved_model('FOLDER')"
UNPACK = "unpack it first"
FETCH = "fetch it with `git lfs pull`"
HUB = "download the file itself"


@dataclass(frozen=True)
class Foreign:
    """`what` a file is, with its article; `remedy` is what to do about it, often nothing. `model`: a sound one of another kind."""

    what: str
    remedy: str = ""

    @property
    def model(self) -> bool:
        return self.remedy in (CONVERT, TO_ONNX, FROM_KERAS, FROM_FOLDER)

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}" if self.remedy else self.what


KERAS, KERAS_ZIP = (
    Foreign("a Keras model (HDF5)", FROM_KERAS),
    Foreign("a Keras model (.keras, a zip archive)", FROM_KERAS),
)
TORCH, TORCH_ZIP = Foreign("a PyTorch model", TO_ONNX), Foreign("a PyTorch model (a zip archive)", TO_ONNX)
FROZEN = Foreign("a TensorFlow graph", CONVERT)
SAVED_MODEL = Foreign("the folder of a TensorFlow SavedModel", FROM_FOLDER)
LFS, PAGE = Foreign("a Git LFS pointer, not the file itself", FETCH), Foreign("a web page, not a file behind it", HUB)
ARRAYS = Foreign("an archive of NumPy arrays (.npz)", "save each array with numpy.save as a .npy file")
ZIPPED = Foreign("a zip archive", UNPACK)

# What a file begins with.
CONTENTS: tuple[tuple[bytes, Foreign], ...] = (
    (b"version https://git-lfs", LFS),
    (b"version https://hawser", LFS),
    (b"\x89HDF\r\n\x1a\n", KERAS),
    (b"\x93NUMPY", Foreign("a NumPy array (.npy)")),
    (b"\x1f\x8b\x08", Foreign("a gzip archive", UNPACK)),
    (b"BZh", Foreign("a bzip2 archive", UNPACK)),
    (b"\xfd7zXZ\x00", Foreign("an xz archive", UNPACK)),
    (b"\x28\xb5\x2f\xfd", Foreign("a Zstandard archive", UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", Foreign("a 7z archive", UNPACK)),
    (b"Rar!\x1a\x07", Foreign("a RAR archive", UNPACK)),
    (b"\x7fELF", Foreign("a program (ELF)")),
    (b"\x89PNG\r\n\x1a\n", Foreign("a picture (PNG)")),
    (b"\xff\xd8\xff", Foreign("a picture (JPEG)")),
    (b"GIF8", Foreign("a picture (GIF)")),
    (b"%PDF-", Foreign("a PDF document")),
    (b"GGUF", Foreign("a GGUF model", CONVERT)),
)
PAGES = (b"<!doctype html", b"<html")

ENDINGS: tuple[tuple[str, Foreign], ...] = (
    (".h5", KERAS),
    (".hdf5", KERAS),
    (".keras", KERAS_ZIP),
    (".pb", FROZEN),
    (".pt", TORCH),
    (".pth", TORCH),
)

ZIP = (b"PK\x03\x04", b"PK\x05\x06")
# Names that stand in the zip archives of programs as they are.
INSIDE: tuple[tuple[bytes, Foreign], ...] = (
    (b"model.weights.h5", KERAS_ZIP),
    (b"/data.pkl", TORCH_ZIP),
    (b"saved_model.pb", Foreign("a zip archive of a TensorFlow SavedModel", CONVERT)),
    (b".tflite", Foreign("a zip archive with a .tflite file in it", UNPACK)),
    (b".npy", ARRAYS),
)


def foreign(name: PurePath, data: bytes) -> Foreign | None:
    """What a file of another format is; None where that is unknown."""
    return by_content(data) or next((what for ending, what in ENDINGS if name.suffix.lower() == ending), None)


def by_content(data: bytes) -> Foreign | None:
    """What the first bytes of a file say that it is; None where they say nothing."""
    if data.startswith(ZIP):
        return next((what for inside, what in INSIDE if inside in data), ZIPPED)
    if data[257:262] == b"ustar":
        return Foreign("a tar archive", UNPACK)
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return Foreign("a sound (WAV)", "save its samples with numpy.save as a .npy file")
    if data[:1] == b"\x80" and b"torch" in data[:4096]:
        return TORCH
    if data[:512].lstrip().lower().startswith(PAGES):
        return PAGE
    return next((what for start, what in CONTENTS if data.startswith(start)), None)


def of_folder(inside: Iterable[str]) -> Foreign:
    """What a folder with these names in it is."""
    names = sorted(inside)
    if {"saved_model.pb", "saved_model.pbtxt"} & set(names):
        return SAVED_MODEL
    models = [name for name in names if name.endswith(".tflite")]
    return Foreign("a folder, not a model file", f"in it is {', '.join(models[:3])}" if models else "")
