"""Weights as an image of their own: a file that lies anywhere in memory, which `NAME_init_image` checks before it is used.

    word 0      "smw" and the version of this format, 1
    words 1, 2  digest of the layout
    word 3      bytes of the whole image
    word 4      CRC-32 of all that comes after these eight words
    words 5-7   0
    then        the tables, each at a multiple of four or eight bytes, large ones of 32

All words are little-endian. The layout is what the C takes for granted: kernels, their order and arguments, types, sizes and places
of tables. Two trainings with the same layout have the same C.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from struct import pack, unpack_from

import numpy as np

from smelt.errors import OptionError
from smelt.firmware.invocations import Constant
from smelt.firmware.program import Program
from smelt.kernels.assembly import called, symbol
from smelt.loops.ir import SIZES
from smelt.nouns import Noun
from smelt.targets.types import Board

MAGIC = int.from_bytes(b"smw\x01", "little")
HEAD = 32
ALIGNMENT = 8
LARGE = 2048
"""Tables of so many bytes begin where lines of flash and caches do."""

LINE = 32


@dataclass(frozen=True, eq=False)
class WeightsImage(Noun):
    """The image of a program: where each table lies, and the bytes."""

    program: Program

    @cached_property
    def offsets(self) -> Mapping[str, int]:
        """Of the tables, by name, from the beginning of the image."""
        found, end = dict[str, int](), HEAD
        for constant in self.program.constants:
            grain = LINE if constant.data.nbytes >= LARGE else max(4, SIZES[constant.type])
            end = -(-end // grain) * grain
            found[constant.name] = end
            end += constant.data.nbytes
        return found

    @cached_property
    def size(self) -> int:
        """The bytes of the whole image, a multiple of `ALIGNMENT`."""
        ends = (self.offsets[c.name] + c.data.nbytes for c in self.program.constants)
        return -(-max(ends, default=HEAD) // ALIGNMENT) * ALIGNMENT

    @cached_property
    def digest(self) -> tuple[int, int]:
        """The two words for the layout."""
        text = "\n".join(_layout(self.program, self.offsets))
        first, second = unpack_from("<II", hashlib.sha256(text.encode()).digest())
        return int(first), int(second)

    @cached_property
    def data(self) -> bytes:
        """The image."""
        body = bytearray(self.size - HEAD)
        for constant in self.program.constants:
            at = self.offsets[constant.name] - HEAD
            stored = np.ascontiguousarray(constant.data).astype(constant.data.dtype.newbyteorder("<")).tobytes()
            body[at : at + len(stored)] = stored
        return pack("<8I", MAGIC, *self.digest, self.size, zlib.crc32(body), 0, 0, 0) + body

    @property
    def words(self) -> tuple[int, ...]:
        """The same as C has it."""
        return tuple(int(word) for word in np.frombuffer(self.data, "<u4"))

    def check_replaces(self, old: bytes) -> None:
        """Raise OptionError where C that was made together with the image `old` does not take this one."""
        if unpack_from("<II", old, 4) != self.digest:
            raise OptionError(
                "the image that is to be replaced is of another layout: its firmware does not take these weights. Operators, "
                "shapes, types or options differ, or numbers that are part of the code: the two NAME_net.c show which. "
                "Replace that firmware as a whole"
            )

    def in_full(self) -> str:
        first, second = self.digest
        return f"image of weights: {self.size} bytes in {len(self.offsets)} tables, layout {first:08x}{second:08x}"


def check_exchange(board: Board, weights: str, image: bool, old: bytes | None) -> str:
    """Where tables lie if they are an image of their own: in flash. Raises OptionError for what cannot have one, and where `old` is
    to be replaced by one that is not asked for (`image` is False), or is none."""
    if not image:
        raise OptionError("--replaces is about an image of weights: give --weights-image, too")
    if board.chip.cluster is not None:
        raise OptionError(
            f"{board.name}: --weights-image is for chips with one core: a cluster's tables are brought by its DMA"
        )
    if weights not in ("", "flash"):
        raise OptionError(
            "--weights-image and --weights: an image is read where it lies, and no table of it is copied to RAM"
        )
    if old is not None and not is_weights_image(old):
        raise OptionError("--replaces: this file is no image of weights, or a damaged one")
    return "flash"


def weights_file(name: str) -> str:
    """What the file with the image of a network is called."""
    return f"{name}_weights.bin"


def is_weights_image(data: bytes) -> bool:
    """Whether it is an image as smelt writes it, not damaged."""
    if len(data) < HEAD or unpack_from("<I", data)[0] != MAGIC:
        return False
    size, crc = unpack_from("<II", data, 12)
    return bool(size == len(data) and zlib.crc32(data[HEAD:]) == crc)


def _layout(program: Program, offsets: Mapping[str, int]) -> Iterator[str]:
    """All that the C takes for granted of tables, memory and kernels, line by line; no names of files and no numbers of weights."""
    kernels = {kernel.name: kernel for kernel in program.kernels}
    yield from (f"kernel {name} {kernel.definition}" for name, kernel in kernels.items())
    core = program.plan.board.core
    code = "".join(kernel.c() for kernel in kernels.values())
    yield from (f"routine {symbol(routine, core)}" for routine in called(code, core))
    yield from (f"table {offsets[c.name]} {c.type} {c.data.size}" for c in program.constants)
    for i in program.invocations:
        places = (offsets[a.name] if isinstance(a, Constant) else str(a) for a in i.arguments)
        yield f"call {i.kernel.name} {' '.join(map(str, places))}"
    yield from (f"region {r.role} {r.bytes}" for r in program.regions)
    for port in (*((program.feed.port,) if program.feed else ()), *program.inputs, *program.outputs):
        yield f"{port.direction} {port.tensor.dtype} {port.tensor.shape} {port.place}"
    for cell in program.cells:
        initial = offsets[cell.initial.name] if isinstance(cell.initial, Constant) else f"byte {cell.initial}"
        yield f"state {cell.tensor.dtype} {cell.tensor.shape} {cell.place} {initial}"
    yield from (f"move {offsets[m.table.name]} {m.place} {m.first} {m.last} {m.channel}" for m in program.moves)
    yield from (f"deed {step.name} {n} {deed}" for step, some in program.deeds.items() for n, deed in some)
