"""Steps on the cores of a cluster in logs: by which names these know them, and which of what was measured is taken.

What is measured is a whole step: rounds of shares on all cores, with their moves. Its op has a key of its own, so that such figures
are never taken for those of kernels on one core. A name holds a digest of everything that makes a step what it is: kernels, where
their operands lie, moves and the sizes of buffers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace

from smelt.kernels.digest import digest_of, texts_reached
from smelt.loops.ir import Scratch
from smelt.model.graph import Op
from smelt.planner.borders import Fill
from smelt.planner.in_tiles import Event, Transfer
from smelt.planner.known import Known
from smelt.planner.on_cores import OnCores
from smelt.planner.predict import NOISE
from smelt.planner.tiles import Rectangle
from smelt.planner.ways import Piece, op_key
from smelt.targets.types import Core

BETWEEN = " | "
"""Between the schedule of kernels and the size of rounds in what logs call the schedule of a step."""

Again = Callable[[str, str, str], OnCores | None]
"""Implementation, schedule of kernels and size of rounds -> the step; None where there is none."""


def step_key(op: Op) -> str:
    """By which logs know such ops where they are divided over cores."""
    return f"cores {op_key(op)}"


def schedule_of(way: OnCores) -> str:
    """Of a step: what kernels have, and how large rounds are."""
    return f"{way.whole.schedule}{BETWEEN}{way.size}"


def routines_of(way: OnCores, core: Core) -> str:
    """Eight digits for everything that its kernels call."""
    kernels = {piece.call.kernel.name: piece.call.kernel for piece in way.pieces}.values()
    return digest_of(text for kernel in kernels for text in texts_reached(kernel, core))


def name_of(way: OnCores) -> str:
    """By which logs know a step."""
    return f"cores_{hashlib.sha256(repr(list(_told(way))).encode()).hexdigest()[:8]}"


def fastest(known: Known, guess: OnCores, again: Again) -> OnCores:
    """What was measured to be faster than the first guess, if that was measured as well; else the guess."""
    mine = _measured(known, guess)
    if mine is None:
        return guess
    for implementation, schedule, cycles in known.believed.ranked(step_key(guess.op), known.board.name):
        if cycles >= mine.cycles * (1 - NOISE):
            break
        kernels, between, size = schedule.rpartition(BETWEEN)
        found = again(implementation, kernels, size) if between else None
        if found is not None and (other := _measured(known, found)) is not None:
            return other
    return mine


def _measured(known: Known, way: OnCores) -> OnCores | None:
    """A step with its measured cycles; None where there is no figure."""
    name = name_of(way) if known else ""
    figure = known.believed.find(name, known.board.name)
    if figure is None or figure.cycles is None:
        return None
    return replace(way, cycles=figure.cycles, measured=name)


# What a step is, without names of tensors


def _told(way: OnCores) -> Iterator[object]:
    buffers = {scratch: n for n, scratch in enumerate(way.scratch)}
    yield [scratch.bytes for scratch in buffers]
    for r in way.rounds:
        yield [_event(way, event, buffers) for event in r.events]
        yield [(core, *_piece(piece, buffers)) for core, piece in zip(r.cores, r.pieces, strict=True)]
    yield [_event(way, event, buffers) for event in way.after]


def _piece(piece: Piece, buffers: dict[Scratch, int]) -> Iterator[object]:
    yield piece.call.kernel.name
    for part in piece.parts.values():
        yield buffers.get(part.owner, "kept") if isinstance(part.owner, Scratch) else "kept", part.offset


def _event(way: OnCores, event: Event | Fill, buffers: dict[Scratch, int]) -> object:
    if isinstance(event, Fill):
        return "fill", buffers[event.buffer], _numbers(event.rectangle), event.value
    moved, kind = event.transfer, type(event).__name__
    if not isinstance(moved, Transfer):
        return kind, type(moved).__name__, moved.data.nbytes, buffers.get(moved.buffer, "kept"), moved.channel
    operand = way.op.activations.index(moved.tensor) if moved.inward else "y"
    how = moved.channel, moved.offset, moved.joins, moved.pitch
    return kind, operand, _numbers(moved.rectangle), buffers[moved.buffer], how


def _numbers(r: Rectangle) -> tuple[int, ...]:
    return r.first, r.size, r.count, r.pitch
