"""Damage to files: of any kind (`spoilt`), and to models (`Target`), whose tables are changed where they hold scales, shapes,
options and indices."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smelt.importers.tflite_file import read_model

WORDS = (0, 1, 2, 3, 4, 8, 0x7F, 0x80, 0xFF, 0xFFFF, 0x10000, 0x7F800000, 0x7FC00000, 0x7FFFFFFF, 0x80000000)
WORDS += (0xFFFFFFFF, 0xFFFFFFFE, 0x3FFFFFFF)
# Floats that a scale may be replaced by: subnormal, tiny, huge, negative, not a number.
SCALES = (0x00000001, 0x00800000, 0x2F800000, 0x30000000, 0x52000000, 0x7F7FFFFF, 0xBF800000, 0x7F800000, 0x7FC00000, 0)
HEADER = 160  # bytes at the beginning of a file, which are damaged more often than the others


def spoilt(file: bytes, dice: random.Random, words: Sequence[bytes], times: int) -> bytes:
    """A file with so many damages: `words` are what means something in files of its kind."""
    data = bytearray(file)
    for _ in range(times):
        _spoil(data, dice, words)
    return bytes(data)


def _spoil(data: bytearray, dice: random.Random, words: Sequence[bytes]) -> None:
    at = dice.randrange(min(len(data), dice.choice((HEADER, len(data)))) + 1)
    match dice.randrange(7):
        case 0:
            data[at : at + 1] = bytes(byte ^ 1 << dice.randrange(8) for byte in data[at : at + 1])
        case 1:
            data[at : at + 1] = dice.randbytes(1)
        case 2:
            width = dice.choice((1, 2, 4, 8))
            number = dice.choice(WORDS) & ((1 << 8 * width) - 1)
            data[at : at + width] = number.to_bytes(width, dice.choice(("little", "big")))
        case 3:
            data[at : at + dice.randrange(8)] = dice.choice(words)
        case 4:
            data[at:at] = dice.randbytes(dice.randint(1, 8))
        case 5:
            del data[at:]
        case _:
            size = dice.randrange(64)
            data[at:at] = data[at : at + size] * dice.choice((1, 2, 100))


@dataclass(frozen=True)
class Target:
    """A sound file, the stretches of it that are not weights, and where its scales are."""

    file: bytes
    tables: tuple[tuple[int, int], ...]
    scales: tuple[int, ...]

    @staticmethod
    def of(file: bytes) -> Target:
        model = read_model(file)
        spans = sorted({t.data for t in model.tensors if t.data is not None and t.data[1] > 64})
        starts = [0, *(start + size for start, size in spans)]
        ends = [*(start for start, _ in spans), len(file)]
        tables = tuple((a, b) for a, b in zip(starts, ends, strict=True) if a < b)
        return Target(file, tables, _places_of_scales(file, tables))

    def spot(self, chance: random.Random) -> int:
        if chance.random() < 0.1:
            return chance.randrange(len(self.file))
        start, end = chance.choices(self.tables, [b - a for a, b in self.tables])[0]
        return chance.randrange(start, end)

    def mutant(self, chance: random.Random) -> bytes:
        kind = chance.random()
        if kind < 0.05:
            return self.file[: chance.randrange(len(self.file))]
        if kind < 0.07:
            return self.file[:8] + chance.randbytes(chance.randrange(3000))
        data = bytearray(self.file)
        if kind < 0.3 and self.scales:
            for _ in range(chance.choice((1, 1, 2))):
                at = chance.choice(self.scales)
                data[at : at + 4] = chance.choice((*SCALES, chance.getrandbits(31))).to_bytes(4, "little")
            return bytes(data)
        for _ in range(chance.choice((1, 1, 1, 2, 3, 8, 40))):
            self.damage(data, chance)
        return bytes(data)

    def damage(self, data: bytearray, chance: random.Random) -> None:
        at, kind = self.spot(chance), chance.randrange(6)
        word = at & ~3
        if kind == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at] = chance.randrange(256)
        elif kind == 2:
            data[word : word + 4] = chance.choice(WORDS).to_bytes(4, "little")
        elif kind == 3:
            moved = int.from_bytes(data[word : word + 4], "little") + chance.choice((-8, -4, -1, 1, 4, 8, 64))
            data[word : word + 4] = (moved & 0xFFFFFFFF).to_bytes(4, "little")
        elif kind == 4:
            size, other = chance.choice((4, 8, 16, 64)), self.spot(chance) & ~3
            data[word : word + size] = data[other : other + size]
        else:
            data[word : word + 8] = chance.randbytes(8)
        del data[len(self.file) :]
        data.extend(bytes(len(self.file) - len(data)))


def _places_of_scales(file: bytes, tables: tuple[tuple[int, int], ...]) -> tuple[int, ...]:
    """Words that hold the scale of some tensor: found by their value."""
    wanted = {
        np.float32(s).tobytes() for t in read_model(file).tensors if t.quantization for s in t.quantization.scales
    }
    places = (at for a, b in tables for at in range((a + 3) & ~3, b - 3, 4))
    return tuple(at for at in places if file[at : at + 4] in wanted)
