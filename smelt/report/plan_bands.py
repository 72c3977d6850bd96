"""What a run of ops in bands does, kernel call by kernel call, as it is looked at: which rows, from where to where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from smelt.loops.ir import Scratch
from smelt.model.graph import Tensor
from smelt.model.slabs import row_bytes
from smelt.planner.bands import Bands
from smelt.planner.line_buffers import Arrival
from smelt.planner.peak import about
from smelt.planner.ways import Part, Piece

Deed = Literal["computes", "moves", "arrives"]


@dataclass(frozen=True)
class Touched:
    """`size` bytes of a box from byte `offset` of it on, which are read or written."""

    box: str
    offset: int
    size: int


@dataclass(frozen=True)
class Band:
    """What happens to rows `first` up to `stop` of one of the tensors of a run (`lanes_of`), given by its position: a kernel call
    computes them, or moves them within their line buffer, or they arrive, where the input is fed."""

    lane: int
    first: int
    stop: int
    deed: Deed
    kernel: str
    reads: tuple[Touched, ...]
    writes: tuple[Touched, ...]


def tensors_of(way: Bands) -> tuple[Tensor, ...]:
    """What a run computes rows of, in order; before that the input that is fed."""
    return (*([] if way.fed is None else [way.fed]), *(op.y for op in way.ops))


def lanes_of(way: Bands) -> tuple[str, ...]:
    """The same in words."""
    makers = {op.y: type(op).__name__ for op in way.ops}
    return tuple(f"{makers.get(t, 'the input')} '{t.name}' {about(t)}" for t in tensors_of(way))


def bands_of(way: Bands, names: Mapping[Tensor | Scratch, str]) -> Iterator[Band]:
    """All of it, in order. `names` are those of the boxes in which things lie."""
    for number, piece in enumerate(way.pieces):
        yield from (_arrival(way, arrival, names) for before, arrival in way.arrivals if before == number)
        yield _call(way, piece, names)


def _arrival(way: Bands, arrival: Arrival, names: Mapping[Tensor | Scratch, str]) -> Band:
    size = arrival.rows.count * row_bytes(arrival.tensor, way.layout.axis)
    writes = (_touched(arrival.part, size, names),)
    return Band(_lane(way, arrival.tensor), arrival.rows.first, arrival.rows.stop, "arrives", "", (), writes)


def _call(way: Bands, piece: Piece, names: Mapping[Tensor | Scratch, str]) -> Band:
    op, y = piece.way.op, piece.part(piece.way.op.y)
    assert y.tensor is not None, "a piece computes rows of a tensor"
    first = y.first // row_bytes(y.tensor, way.layout.axis)
    sources = tuple((x, piece.part(x)) for x in op.activations)
    deed: Deed = "moves" if any(part.tensor is y.tensor for _, part in sources) else "computes"
    reads = tuple(_touched(part, x.bytes, names) for x, part in sources)
    writes = (_touched(y, op.y.bytes, names),)
    rows = first, first + op.y.shape[way.layout.axis]
    return Band(_lane(way, y.tensor), *rows, deed, piece.call.kernel.name, reads, writes)


def _lane(way: Bands, tensor: Tensor) -> int:
    return tensors_of(way).index(tensor)


def _touched(part: Part, size: int, names: Mapping[Tensor | Scratch, str]) -> Touched:
    return Touched(names[part.owner], part.offset, size)
