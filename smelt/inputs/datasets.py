"""Many inputs, with or without the class of each: archives of arrays, folders of pictures, of recordings, of arrays."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from smelt.errors import OptionError, printable
from smelt.files import read
from smelt.inputs import MOST_BYTES, PICTURES, from_array, read_input
from smelt.inputs.npy import parse_npy
from smelt.inputs.npz import parse_npz
from smelt.inputs.preparation import Preparation
from smelt.inputs.recordings import RECORDINGS
from smelt.model.graph import Array, Graph, Tensor

MOST_FILES = 200_000
X_NAMES = ("x", "images", "inputs", "data", "x_test")
Y_NAMES = ("y", "labels", "targets", "y_test")
ARRAYS = (".npy", ".bin", ".raw")
SUFFIXES = (*PICTURES, *ARRAYS, *RECORDINGS)
MOST_LOADED = 512 << 20
"""Bytes of inputs that lie in memory at once."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Inputs of a network, in order: `read` gives those of one number, each in the shape and type of its tensor. `sources` say
    where they come from. `labels` are the classes' numbers, `classes` their names, where these are known."""

    graph: Graph
    count: int
    read: Callable[[int], tuple[Array, ...]]
    sources: Callable[[int], str]
    labels: Array | None = None
    classes: tuple[str, ...] = ()

    def chosen(self, most: int) -> Dataset:
        """At most so many of them, evenly spread."""
        if self.count <= most:
            return self
        places = np.linspace(0, self.count - 1, most).astype(np.int64).tolist()
        labels = None if self.labels is None else self.labels[places]
        return Dataset(
            self.graph, most, lambda i: self.read(places[i]), lambda i: self.sources(places[i]), labels, self.classes
        )

    def within_memory(self) -> Dataset:
        """As many of them as `stacked` can be asked for at once."""
        each = sum(t.elements * t.element.numpy.itemsize for t in self.graph.inputs)
        return self.chosen(max(1, MOST_LOADED // max(each, 1)))

    def stacked(self, start: int = 0, stop: int | None = None) -> list[Array]:
        """For each input of the network an array of those from `start` to `stop`, stacked along the first axis."""
        runs = [self.read(i) for i in range(start, self.count if stop is None else min(stop, self.count))]
        return [np.concatenate(arrays) for arrays in zip(*runs, strict=True)]


def dataset(path: Path, graph: Graph, preparation: Preparation | None = None) -> Dataset:
    """The inputs in a .npz archive (arrays x or images, and y or labels; or one for each input, by its name) or in a folder, whose
    sub-folders are classes. Raises OptionError where there are none, or they do not fit the graph.
    """
    preparation = preparation or Preparation()
    if any(t.shape[:1] != (1,) for t in graph.inputs):
        raise OptionError("data sets are for models whose inputs have a first axis of 1, the batch")
    if path.is_dir():
        return _of_folder(path, graph, preparation)
    if path.suffix.lower() != ".npz":
        raise OptionError(f"{printable(path)} is neither a folder nor a .npz archive (numpy.savez(file, x=..., y=...))")
    return _of_archive(path, graph, preparation)


# Archives


def _of_archive(path: Path, graph: Graph, preparation: Preparation) -> Dataset:
    source = printable(path)
    names = [t.name for t in graph.inputs]
    arrays = parse_npz(read(path, MOST_BYTES), source, MOST_BYTES, {*names, *X_NAMES, *Y_NAMES})
    columns = [_column(arrays, t, source, len(names) == 1) for t in graph.inputs]
    counts = {len(column) if column.ndim else 0 for column in columns}
    if len(counts) > 1:
        raise OptionError(f"{source} has different numbers of inputs: {sorted(counts)}")
    (count,) = counts
    if not count:
        raise OptionError(f"{source} holds no inputs")
    labels = next((arrays[name] for name in Y_NAMES if name in arrays), None)

    def one(number: int) -> tuple[Array, ...]:
        return tuple(
            _of_array(column[number], t, f"{source}, number {number}", preparation)
            for column, t in zip(columns, graph.inputs, strict=True)
        )

    one(0)  # what does not fit is told at once
    return Dataset(graph, count, one, lambda number: f"{number}", _labels(labels, count, source))


def _column(arrays: dict[str, Array], tensor: Tensor, source: str, alone: bool) -> Array:
    for name in (tensor.name, *(X_NAMES if alone else ())):
        if name in arrays:
            return arrays[name]
    wanted = " or ".join(X_NAMES[:2]) if alone else f"'{tensor.name}', an input of the model"
    raise OptionError(f"{source} has no array called {wanted}")


def _of_array(values: Array, tensor: Tensor, source: str, preparation: Preparation) -> Array:
    """One input; pixels of uint8 are prepared, and images turned where their channels are first."""
    image = len(tensor.shape) == 4
    if image and values.ndim == 3 and preparation.layout == "channels_first":
        values = values.transpose(1, 2, 0)
    if image and values.shape == (*tensor.shape[3:], *tensor.shape[1:3]) != tensor.shape[1:]:
        raise OptionError(
            f"{source} has shape {values.shape}, but the model's input is {tensor}: for images with the channels first, "
            "say --layout channels_first"
        )
    if values.dtype == np.uint8 and image and (preparation.scales or tensor.dtype == "int8"):
        values = preparation.reals(values.reshape(tensor.shape) if values.size == tensor.elements else values)
    found = from_array(values, tensor, source)
    if len(found) != 1:
        raise OptionError(f"{source} has shape {values.shape}, but the model's input is {tensor}")
    return found[0]


def _labels(labels: Array | None, count: int, source: str) -> Array | None:
    if labels is None:
        return None
    if labels.ndim == 2 and len(labels) == count and labels.shape[1] > 1:
        labels = labels.argmax(1)  # one of many set
    flat = labels.reshape(-1)
    if len(flat) != count:
        raise OptionError(f"{source} has {count} inputs, but labels of shape {labels.shape}")
    if flat.dtype.kind == "f" and not np.array_equal(flat, np.rint(flat)):
        raise OptionError(f"{source} has labels that are no whole numbers")
    found = flat.astype(np.int64)
    if found.min(initial=0) < 0:
        raise OptionError(f"{source} has negative labels")
    return found


# Folders


def _of_folder(path: Path, graph: Graph, preparation: Preparation) -> Dataset:
    if len(graph.inputs) != 1:
        raise OptionError(f"the model has {len(graph.inputs)} inputs: give a .npz archive with an array for each")
    (tensor,) = graph.inputs
    classes = _classes(path)
    parts = [(_files(path / name), name) for name in classes] if classes else [(_files(path), "")]
    files = [file for found, _ in parts for file in found]
    if not files:
        kinds = ", ".join((*PICTURES[:3], *RECORDINGS, *ARRAYS))
        raise OptionError(f"{printable(path)} holds no files to read ({kinds}), nor do folders in it")
    if len(files) > MOST_FILES:
        raise OptionError(f"{printable(path)} holds more than {MOST_FILES:,} files: make a folder of some of them")
    labels = np.repeat(np.arange(len(parts)), [len(found) for found, _ in parts]) if classes else None

    def one(number: int) -> tuple[Array, ...]:
        return (_of_file(files[number], tensor, preparation),)

    one(0)
    return Dataset(
        graph, len(files), one, lambda number: printable(files[number].relative_to(path)), labels, tuple(classes)
    )


def _classes(path: Path) -> list[str]:
    """The names of folders in a folder, in order; those that are numbers in the order of these."""
    with os.scandir(path) as entries:
        names = [e.name for e in islice(entries, MOST_FILES + 1) if e.is_dir() and not e.name.startswith(".")]
    return sorted(names, key=int) if all(name.isdecimal() for name in names) else sorted(names)


def _files(path: Path) -> list[Path]:
    with os.scandir(path) as entries:
        return sorted(_readable(entries))


def _readable(entries: Iterator[os.DirEntry[str]]) -> Sequence[Path]:
    return [
        Path(e.path) for e in islice(entries, MOST_FILES + 1) if Path(e.name).suffix.lower() in SUFFIXES and e.is_file()
    ]


def _of_file(file: Path, tensor: Tensor, preparation: Preparation) -> Array:
    if file.suffix.lower() == ".npy":
        return _of_array_file(file, tensor, preparation)
    found = read_input(file, tensor, preparation)
    if len(found) != 1:
        raise OptionError(f"{printable(file)} holds {len(found)} inputs; in a folder each file is one")
    return found[0]


def _of_array_file(file: Path, tensor: Tensor, preparation: Preparation) -> Array:
    """One input, prepared as one of an archive is, with or without the batch as its first axis."""
    source = printable(file)
    values = parse_npy(read(file, MOST_BYTES), source)
    if values.ndim == len(tensor.shape) and values.size:
        if values.shape[1:] == tensor.shape[1:] and len(values) != 1:
            raise OptionError(f"{source} holds {len(values)} inputs; in a folder each file is one")
        values = values[0] if len(values) == 1 else values
    return _of_array(values, tensor, source, preparation)
