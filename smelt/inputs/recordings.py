"""Recordings: the samples of .wav files of 16 bits and one channel."""

from __future__ import annotations

import io
import wave

import numpy as np
from numpy.typing import NDArray

from smelt.errors import OptionError

RECORDINGS = (".wav",)


def samples_of(data: bytes, count: int, source: str, rate: int | None = None) -> NDArray[np.int16]:
    """The first `count` samples, filled up with silence. Raises OptionError for other kinds of files, those that are cut off, and
    another rate than the one that is wanted."""
    values = _read(data, source, rate, count)
    return np.pad(values, (0, count - len(values)))


def parts_of(data: bytes, count: int, source: str, rate: int | None) -> NDArray[np.int16]:
    """All samples in parts of `count`, at least one, the last of them filled up. Raises OptionError as `samples_of` does."""
    values = _read(data, source, rate)
    parts = max(-(-len(values) // count), 1)
    return np.pad(values, (0, parts * count - len(values))).reshape(parts, count)


def _read(data: bytes, source: str, rate: int | None, count: int | None = None) -> NDArray[np.int16]:
    try:
        with wave.open(io.BytesIO(_plain(data))) as recording:
            kind, own = (recording.getnchannels(), recording.getsampwidth()), recording.getframerate()
            wanted = recording.getnframes() if count is None else min(count, recording.getnframes())
            samples = recording.readframes(wanted) if kind == (1, 2) else b""
    except (wave.Error, EOFError, OSError, RuntimeError, ValueError) as error:
        found = str(error).replace("unknown format: ", "recordings have format 1, PCM, and this is format ")
        raise OptionError(f"cannot read recording {source}: {found or 'it is cut off'}") from None
    if kind == (1, 2) and len(samples) < 2 * wanted:
        raise OptionError(f"cannot read recording {source}: it is cut off")
    if kind != (1, 2):
        raise OptionError(f"{source} has {kind[0]} channel(s) of {8 * kind[1]} bits: recordings have one of 16 bits")
    if rate not in (None, own):
        raise OptionError(f"{source} has {own:,} samples a second, but {rate:,} are wanted: convert it first")
    return np.frombuffer(samples, "<i2").astype(np.int16)


def _plain(data: bytes) -> bytes:
    """PCM by its other name, WAVE_FORMAT_EXTENSIBLE, which Python's own reader knows from 3.12 on, under the first one."""
    at = data.find(b"fmt ", 12)
    extensible = at >= 0 and data[at + 8 : at + 10] == b"\xfe\xff" and data[at + 32 : at + 34] == b"\x01\x00"
    return data[: at + 8] + b"\x01\x00" + data[at + 10 :] if extensible else data
