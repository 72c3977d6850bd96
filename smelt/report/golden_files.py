"""Folders of golden activations, as DORY's tools write them: `input.txt`, `out_layer0.txt`..., a number in each line.

The first line may be a label, `# name (shape [H, W, C]),`; numbers are separated by commas, and lines may end with a backslash.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smelt.errors import OptionError, printable
from smelt.files import read
from smelt.nouns import Noun

INPUT, LAYER = "input.txt", re.compile(r"out_layer([0-9]{1,6})\.txt")
MOST_BYTES = 256 << 20
_LABEL = re.compile(r"#?\s*(?P<name>[^()]*?)\s*(\((?P<shape>.*)\))?[\s,\\]*")
_NUMBER = re.compile(rb"[-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?")

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GoldenLayer(Noun):
    """What a layer gives: its file, its label in there ("" where it has none), and the numbers in the file's order."""

    file: str
    label: str
    numbers: Numbers


@dataclass(frozen=True, eq=False)
class GoldenFolder(Noun):
    """One input and what the layers make of it, in the order of their numbers."""

    input: Numbers
    layers: tuple[GoldenLayer, ...]


def read_golden(folder: Path) -> GoldenFolder:
    """What lies in `folder`. Raises OptionError where there is no input or no layer, or a file holds something else."""
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError as error:
        raise OptionError(f"cannot read the folder {printable(folder)}: {error.strerror or error}") from None
    layers = sorted((int(found[1]), name) for name in names if (found := LAYER.fullmatch(name)))
    if INPUT not in names or not layers:
        raise OptionError(
            f"{printable(folder)} is no folder of golden layers: it needs {INPUT} and out_layer0.txt, ..."
        )
    return GoldenFolder(read_layer(folder / INPUT).numbers, tuple(read_layer(folder / name) for _, name in layers))


def read_layer(file: Path) -> GoldenLayer:
    """The numbers of one file. Raises OptionError."""
    data = read(file, MOST_BYTES)
    first, _, rest = data.partition(b"\n")
    label = "" if _tokens(first) else first.decode("utf-8", "replace")
    tokens = (rest if label else data).replace(b"\\", b" ").replace(b",", b" ").split()
    wrong = next((token for token in tokens if not (_NUMBER.fullmatch(token) and isfinite(float(token)))), None)
    if wrong is not None or not tokens:
        found = "nothing" if wrong is None else f"'{printable(wrong[:20].decode('utf-8', 'replace'))}'"
        raise OptionError(f"{printable(file)} holds {found} where a number belongs")
    named = _LABEL.fullmatch(label)
    name = label if named is None else named["name"]
    return GoldenLayer(file.name, printable(name.strip()), np.array([float(token) for token in tokens]))


def _tokens(line: bytes) -> bool:
    """Whether a line is made of numbers."""
    tokens = line.replace(b"\\", b" ").replace(b",", b" ").split()
    return bool(tokens) and all(_NUMBER.fullmatch(token) for token in tokens)
