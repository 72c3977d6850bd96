"""The Python side of `native/flights.h`: bytes that a DMA is moving, which the program must leave alone."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from smelt.devices.simulators.native_library import load_native
from smelt.targets.types import Memory

SPANS, PORTS = 32, 2


class _Span(ctypes.Structure):
    _fields_ = (
        ("first", ctypes.c_uint64),
        ("extent", ctypes.c_uint64),
        *((name, ctypes.c_uint32) for name in ("pitch", "row", "readable", "reserved")),
    )


class _Flights(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_uint64) for name in ("count", "touched", "address", "at", "wrote")),
        ("port_start", ctypes.c_uint64 * PORTS),
        ("port_end", ctypes.c_uint64 * PORTS),
        ("accesses", ctypes.c_uint64),
        ("stop", ctypes.c_void_p),
        ("read_register", ctypes.c_void_p),
        ("program_counter", ctypes.c_int32),
        ("spans", _Span * SPANS),
    )


@dataclass(frozen=True)
class Span:
    """`rows` rows of `row` bytes whose starts are `pitch` bytes apart. `source`: a DMA reads it, the program may do so as well."""

    first: int
    row: int
    pitch: int
    rows: int
    source: bool

    @property
    def extent(self) -> int:
        """Bytes from the first to the last."""
        return self.pitch * (self.rows - 1) + self.row

    def meets(self, other: Span) -> bool:
        """Whether the two have a byte in common."""
        rows = self.first - other.first + self.pitch * np.arange(self.rows)
        inside = (rows < other.extent) & (rows + self.row > 0)
        within = np.maximum(rows, 0) % other.pitch
        left = self.row + np.minimum(rows, 0)  # of a row that begins before the other's first byte
        return bool(np.any(inside & ((within < other.row) | (within + left > other.pitch))))

    @property
    def text(self) -> str:
        rows = f"{self.rows} rows of " if self.rows > 1 else ""
        return f"{rows}{self.row} bytes {'from' if self.source else 'to'} {self.first:#010x}"


class Touch(NamedTuple):
    """What a program did to bytes in flight."""

    span: Span
    address: int
    pc: int
    wrote: bool


class Flights:
    """The spans that are in flight. Keep it alive for as long as the emulator may call its hook."""

    def __init__(self, ports: Iterable[Memory], stop: int, read_register: int, program_counter: int) -> None:
        """`ports` are up to two memories whose accesses are counted; `stop` and `read_register` the emulator's own functions."""
        self._library = load_native()
        self._spans: list[Span] = []
        self._raw = _Flights(stop=stop, read_register=read_register, program_counter=program_counter)
        for i, memory in enumerate(ports):
            self._raw.port_start[i], self._raw.port_end[i] = memory.start, memory.end

    @property
    def hook(self) -> int:
        """The address of the function to call at every access to data, with `user_data`."""
        return ctypes.cast(self._library.smelt_flight, ctypes.c_void_p).value or 0

    @property
    def user_data(self) -> int:
        return ctypes.addressof(self._raw)

    @property
    def accesses(self) -> int:
        """Of the program, to the memories in `ports`."""
        return int(self._raw.accesses)

    @property
    def touched(self) -> Touch | None:
        """The first access to bytes in flight."""
        raw = self._raw
        if not raw.touched:
            return None
        return Touch(self._spans[raw.touched - 1], int(raw.address), int(raw.at), bool(raw.wrote))

    def meeting(self, span: Span) -> Span | None:
        """What is in flight of the same bytes, if not both only read them."""
        return next((s for s in self._spans if not (s.source and span.source) and s.meets(span)), None)

    def add(self, *spans: Span) -> None:
        self._set([*self._spans, *spans])

    def remove(self, *spans: Span) -> None:
        self._set([s for s in self._spans if all(s is not gone for gone in spans)])

    def _set(self, spans: list[Span]) -> None:
        self._spans = spans
        for raw, s in zip(self._raw.spans, spans, strict=False):
            raw.first, raw.extent, raw.pitch, raw.row, raw.readable = s.first, s.extent, s.pitch, s.row, int(s.source)
        self._raw.count = len(spans)
