"""How pictures and arrays become what a network wants: (pixel - mean) / std, sizes, the order of axes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from smelt.errors import OptionError
from smelt.inputs.sounds import SoundSpec, sound_spec
from smelt.model.graph import Array

PREFIX = "smelt."
MOST_SIDE = 1 << 14
DataLayout = Literal["channels_last", "channels_first"]
Resizing = Literal["bilinear", "nearest", "area"]
LAYOUTS: tuple[DataLayout, ...] = ("channels_last", "channels_first")


@dataclass(frozen=True)
class Preparation:
    """What is done to pixels of 0 to 255: `mean` is taken off them and they are divided by `std`, each one number or one for each
    channel. Pictures are first resized to `size` (columns, rows); of that the middle is taken. `layout` says how images lie in
    arrays. Where neither mean nor std is given, pixels become what a model's type suggests. `sound` are features of recordings;
    `rate` is what recordings have that a device makes features of, in samples a second (None: any), which come in parts that follow
    one another where the device `slides` over them."""

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    size: tuple[int, int] | None = None
    layout: DataLayout = "channels_last"
    rate: int | None = None
    slides: bool = False
    sound: SoundSpec | None = None

    @property
    def scales(self) -> bool:
        """Whether it says which reals stand for pixels."""
        return bool(self.mean or self.std)

    def reals(self, pixels: Array) -> Array:
        """Pixels, channels last, as float32. Raises OptionError where there are other channels than numbers."""
        for name, numbers in (("mean", self.mean), ("std", self.std)):
            if len(numbers) > 1 and len(numbers) != pixels.shape[-1]:
                raise OptionError(f"--{name} has {len(numbers)} numbers, but pictures have {pixels.shape[-1]} channels")
        with np.errstate(
            over="ignore", divide="ignore", invalid="ignore"
        ):  # infinite ones are refused where they are read
            mean, std = np.array(self.mean or (0,), np.float32), np.array(self.std or (1,), np.float32)
            return np.asarray((pixels.astype(np.float32) - mean) / std, np.float32)

    def as_metadata(self) -> dict[str, str]:
        """What a model's file keeps of it."""
        found = {"mean": _text(self.mean), "std": _text(self.std), "layout": self.layout}
        found["size"] = "x".join(map(str, self.size)) if self.size else ""
        found["sound"] = self.sound.text if self.sound else ""
        return {PREFIX + key: value for key, value in found.items() if value and value != "channels_last"}


def from_metadata(metadata: Mapping[str, str]) -> Preparation:
    """What a model's file says. Raises OptionError where that is no sense."""
    mean, std, size, layout, sound = (
        metadata.get(PREFIX + key) or None for key in ("mean", "std", "size", "layout", "sound")
    )
    return replace(preparation(mean, std, size, layout), sound=sound_spec(sound) if sound else None)


def preparation(
    mean: str | None, std: str | None, size: str | None, layout: str | None, other: Preparation | None = None
) -> Preparation:
    """From what users write; `other` says what they left out. Raises OptionError."""
    other = other or Preparation()
    if layout is not None and layout not in LAYOUTS:
        raise OptionError(f"'{layout}' is no layout: {' or '.join(LAYOUTS)}")
    found = replace(
        other,
        mean=other.mean if mean is None else _numbers("mean", mean),
        std=other.std if std is None else _numbers("std", std),
        size=other.size if size is None else _size(size),
        layout=other.layout if layout is None else "channels_first" if layout == "channels_first" else "channels_last",
    )
    if not all(found.std):
        raise OptionError("--std must not be 0")
    return found


RESIZES: tuple[Resizing, ...] = ("bilinear", "nearest", "area")


@dataclass(frozen=True)
class PictureSpec:
    """What a network is given where the device prepares pictures: pixels of uint8, channels last, in pictures of `size` (columns,
    rows; None: the network's own), which are resized in integers to the preparation's size, or else the network's."""

    size: tuple[int, int] | None
    resize: Resizing
    preparation: Preparation


def picture_spec(text: str, stored: Preparation) -> PictureSpec:
    """From what users write, such as 160x120:mean=127.5:std=127.5; `stored` says what they left out. Raises OptionError."""
    first, *more = text.split(":")
    given: dict[str, str] = {}
    for field in more:
        key, equals, value = field.partition("=")
        if key in given:
            raise OptionError(f"--input-picture says {key} twice")
        if not equals or key not in ("mean", "std", "size", "resize"):
            raise OptionError(
                f"--input-picture has no '{field}': after the size come mean=, std=, size= and resize=, with a colon before each, "
                "such as 160x120:mean=127.5:std=127.5:resize=nearest"
            )
        given[key] = value
    found = preparation(given.get("mean"), given.get("std"), given.get("size"), None, stored)
    word = given.get("resize", RESIZES[0])
    resize = next((resize for resize in RESIZES if resize == word), None)
    if resize is None:
        raise OptionError(f"--input-picture resizes {', '.join(RESIZES)}, not '{word}'")
    own = first == "same"
    return PictureSpec(None if own else _size(first), resize, found)


def _text(numbers: tuple[float, ...]) -> str:
    return ",".join(f"{number:g}" if float(f"{number:g}") == number else repr(number) for number in numbers)


def _numbers(name: str, text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(word) for word in text.split(","))
    except ValueError:
        found = ()
    if not found or not np.isfinite(found).all():
        raise OptionError(f"--{name} is one number, or one for each channel: 127.5 or 123.7,116.3,103.5; not '{text}'")
    return found


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    columns, rows = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (0 < columns <= MOST_SIDE and 0 < rows <= MOST_SIDE):
        raise OptionError(f"a size of pictures is columns x rows, such as 256x256; not '{text}'")
    return columns, rows
