"""A program replayed on marks of bytes: `check.py` says what that proves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np

from smelt.model.graph import Array, Tensor
from smelt.model.slabs import row_bytes
from smelt.planner.bands import Bands
from smelt.planner.borders import Border, Fill
from smelt.planner.check_tiles import NOTHING, VALUE, Range, Transfers, mark_of
from smelt.planner.flow import index_of, storages_of
from smelt.planner.in_tiles import Event, InTiles, Start, Transfer, Wait
from smelt.planner.line_buffers import Arrival
from smelt.planner.on_cores import OnCores
from smelt.planner.placement import Stage
from smelt.planner.plan import Plan
from smelt.planner.step import Step
from smelt.planner.ways import Bring, Fetch, Part, Piece


class Replay:
    """What every byte of every memory holds while the program runs."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._values = _numbers(plan)
        self._bytes: Mapping[str, Array] = {
            m.name: np.full(plan.used(m.name), NOTHING, np.int64) for m in plan.memories
        }
        self._flying: dict[Stage, Range] = {}
        self._transfers = Transfers()
        self._brought = Transfers()
        self._numbers: dict[Fetch | Bring, int] = {}
        self._borders = {border.whole: border for border in _borders(plan)}

    def problems(self) -> Iterator[str]:
        for tensor in (t for t in self.plan.graph.sources if t not in tensors_fed(self.plan)):
            self._write(self._range(Part(tensor, tensor=tensor), tensor.bytes))
        for number, step in enumerate(self.plan.steps):
            self._flying = {s: there for s, there in self._flying.items() if s.last != number}
            for stage in self.plan.stages:
                if stage.first == number:
                    self._write(self._staged(stage))
                    self._flying |= {stage: self._staged(stage)} if stage.last > number else {}
            for bring in (b for first, b in self.plan.brings if first == number):
                yield from self._bring(step.name, Start(bring))
            for which, pieces in _at_once(step):
                self._arrive(step, which)
                yield from self._move(step, which)
                yield from self._run(number, step, pieces)
            yield from self._move(step, len(step.pieces))
            yield from self._transfers.left(step.name)
        yield from self._brought.left("the plan")
        for tensor in self.plan.graph.sinks:
            found = self._range(Part(tensor, tensor=tensor), tensor.bytes)
            yield from self._missing(found, "after the last step")

    def _arrive(self, step: Step, number: int) -> None:
        """Rows of what is fed that come in before a piece."""
        for before, arrival in arrivals(step):
            if before == number:
                self._write(self._range(arrival.part, arrival.rows.count * row_bytes_of(step)))

    def _move(self, step: Step, number: int) -> Iterator[str]:
        """What begins or must be over before a piece: the bytes are taken for moved at once, and none are touched in between."""
        for event in (e for at, e in _events(step) if at == number):
            if isinstance(event, Fill):
                yield from self._fill(step, event)
                continue
            if isinstance(event.transfer, Bring):
                yield from self._bring(step.name, event)
                continue
            if isinstance(event, Wait):
                yield from self._transfers.wait(step.name, event.transfer)
                continue
            if isinstance(event.transfer, Fetch):
                source, target = self._source(event.transfer), self._fetched(event.transfer)
                yield from self._missing(source, f"when {step.name} moves it") if event.transfer.source else ()
            else:
                source, target = self._ends(event.transfer)
                yield from self._missing(source, f"when {step.name} moves it")
            yield from self._untouched(step, (source,), (target,))
            self._write(target)
            yield from self._transfers.start(step.name, event.transfer, source, target)

    def _fill(self, step: Step, fill: Fill) -> Iterator[str]:
        """The first core writes what lies around an image."""
        place, r = self.plan.places[fill.buffer], fill.rectangle
        name = f"border in {place.name}"
        there = Range(name, place.memory, place.offset + r.first, r.bytes, row=r.size, apart=r.pitch)
        yield from self._untouched(step, (), (there,))
        self._bytes[there.memory][there.where] = mark_of(fill.value)

    def _ends(self, transfer: Transfer) -> tuple[Range, Range]:
        """What a transfer reads, and what it writes."""
        r = transfer.rectangle
        near = self._range(Part(transfer.buffer, transfer.offset, transfer.tensor, r.first, r.size, r.pitch), r.bytes)
        if transfer.pitch:
            near = replace(near, row=r.size, apart=transfer.pitch)
        whole = self._range(Part(transfer.tensor, 0, transfer.tensor), transfer.tensor.bytes)
        far = replace(near, memory=whole.memory, start=whole.start + r.first, row=r.size, apart=r.pitch)
        return (far, near) if transfer.inward else (near, far)

    def _untouched(self, step: Step, reads: Sequence[Range], writes: Sequence[Range]) -> Iterator[str]:
        """Nobody touches what a move writes, nor writes what one reads."""
        for touched in (*reads, *writes):
            if any(touched.meets(moved) for moved in self._flying.values()):
                yield f"{step.name} touches '{touched.name}', into whose bytes a table is being moved"
        yield from self._transfers.touched(step.name, reads, writes)
        yield from self._brought.touched(step.name, reads, writes)

    def _bring(self, name: str, event: Event) -> Iterator[str]:
        """Tables that begin to come from outside, or must be there."""
        bring = event.transfer
        assert isinstance(bring, Bring)
        if isinstance(event, Wait):
            yield from self._brought.wait(name, bring)
            return
        target = self._fetched(bring)
        yield from self._transfers.touched(name, (), (target,))
        yield from self._brought.touched(name, (), (target,))
        self._write(target)
        yield from self._brought.start(name, bring, FLASH_BYTES, target)

    def _fetched(self, tables: Fetch | Bring) -> Range:
        """Where tables come to; their marks are behind those of all values and of tables on their way to steps."""
        place = self.plan.places[tables.buffer]
        number = self._numbers.setdefault(tables, len(self._numbers))
        mark = (1 + max(self._values.values(), default=0) + len(self.plan.stages) + number) << VALUE
        return Range(f"tables of {place.name}", place.memory, place.offset, tables.data.nbytes, mark)

    def _source(self, fetch: Fetch) -> Range:
        """Where tables come from: where constants are, or where they came to from outside."""
        if fetch.source is None:
            return FLASH_BYTES
        whole = self._fetched(fetch.source)
        return replace(whole, start=whole.start + fetch.at, bytes=fetch.data.nbytes, mark=whole.mark + fetch.at)

    def _run(self, number: int, step: Step, pieces: Sequence[Piece]) -> Iterator[str]:
        """Calls that run at the same time: what one writes is touched by none of the others."""
        touched = list[tuple[list[Range], list[Range]]]()
        for piece in pieces:
            reads, writes, scratch = self._touched(number, piece)
            for x in reads:
                yield from self._missing(x, f"when {step.name} reads it")
            yield from self._untouched(step, reads, (*writes, *scratch))
            yield from self._meeting(step, piece, reads, writes, scratch)
            for theirs, others in touched:
                yield from _crossing(step.name, [*writes, *scratch], [*theirs, *others])
                yield from _crossing(step.name, others, reads)
            touched.append((reads, [*writes, *scratch]))
        for piece in pieces:
            _, writes, scratch = self._touched(number, piece)
            for there in (*scratch, *writes):
                self._write(there)

    def _touched(self, number: int, piece: Piece) -> tuple[list[Range], list[Range], list[Range]]:
        """What a call reads and writes, and its scratch."""
        reads, writes, scratch = list[Range](), list[Range](), list[Range]()
        reads += [self._fetched(piece.tables)] if piece.tables else []
        for buffer, argument in zip(piece.call.kernel.buffers, piece.call.arguments, strict=True):
            if isinstance(argument, np.ndarray):
                stage = self.plan.stage(number, argument)
                reads += [self._staged(stage)] if stage else []
                continue
            there = self._range(piece.part(argument), argument.bytes)
            {"input": reads, "output": writes, "scratch": scratch}[buffer.role].append(there)
        return reads, writes, scratch

    def _meeting(
        self, step: Step, piece: Piece, reads: list[Range], writes: list[Range], scratch: list[Range]
    ) -> Iterator[str]:
        """Of what a call touches nothing meets what it writes, but for operands over which the kernel may write its result."""
        for n, a in enumerate((*writes, *scratch)):
            for b in (*writes, *scratch)[n + 1 :]:
                if a.meets(b):
                    yield f"{step.name} has '{a.name}' and '{b.name}' in the same bytes"
            for x in reads:
                if a.meets(x) and not (a in writes and self._may_write_over(piece, a, x)):
                    yield f"{step.name} writes '{a.name}' over '{x.name}', which it reads"

    def _may_write_over(self, piece: Piece, y: Range, x: Range) -> bool:
        """Whether a result begins so far before an operand, or exactly where that begins, that the kernel's loops write no byte
        before they read it last."""
        op = piece.way.op
        operands = [t for t in op.activations if self._range(piece.part(t), t.bytes) == x]
        results = [t for t in op.ys if self._range(piece.part(t), t.bytes) == y]
        pairs = [piece.call.overlap(a, b) for a in operands for b in results]
        return bool(pairs) and all(pair.allows(x.start - y.start) for pair in pairs)

    def _staged(self, stage: Stage) -> Range:
        """Where a table is moved to; its marks are behind those of all values."""
        place = self.plan.places[stage.buffer]
        mark = (1 + max(self._values.values(), default=0) + self.plan.stages.index(stage)) << VALUE
        return Range(f"table of {place.name}", place.memory, place.offset, stage.table.nbytes, mark)

    def _range(self, there: Part, size: int) -> Range:
        place = self.plan.places[there.owner]
        if there.tensor is None:
            return Range(f"scratch of {place.name}", place.memory, place.offset + there.offset, size)
        start = place.offset + there.offset
        if (border := self._borders.get(there.tensor)) is not None:
            mark = self._values[border.x] << VALUE
            return Range(there.tensor.name, place.memory, start, size, mark, border=border, begin=there.first)
        mark = (self._values[there.tensor] << VALUE) + there.first
        return Range(there.tensor.name, place.memory, start, size, mark, of=there.row, every=there.pitch)

    def _missing(self, there: Range, when: str) -> Iterator[str]:
        memory = self._bytes[there.memory]
        if there.end > memory.size or not np.array_equal(memory[there.where], there.marks):
            yield f"'{there.name}' is not at {there.memory}+{there.start} {when}"

    def _write(self, there: Range) -> None:
        self._bytes[there.memory][there.where] = there.marks


FLASH_BYTES = Range("tables in flash", "", 0, 0)
"""What a move of tables reads: nobody writes there."""


def _crossing(step: str, written: Sequence[Range], touched: Sequence[Range]) -> Iterator[str]:
    """Bytes that one core writes while another touches them."""
    for a in written:
        for b in touched:
            if a.meets(b):
                yield f"{step} writes '{a.name}' at {a.memory}+{a.start} on one core while another uses '{b.name}' there"


def _numbers(plan: Plan) -> dict[Tensor, int]:
    """A number for every value: twice the position of its storage, and one more for states as this run leaves them."""
    storages = storages_of(plan.graph)
    found = {t: 2 * n + (t in storages[n].renewed) for t, n in index_of(storages).items()}
    views = (step.way.view for step in plan.steps if isinstance(step.way, OnCores))
    sums = (view.sums for view in views if view.sums is not None)
    return found | {t: 2 * (len(storages) + n) for n, t in enumerate(sums)}


def _borders(plan: Plan) -> Iterator[Border]:
    views = (step.way.view for step in plan.steps if isinstance(step.way, OnCores))
    yield from (view.border for view in views if view.border is not None)


def tensors_fed(plan: Plan) -> frozenset[Tensor]:
    """The input that is fed, under all its names."""
    return frozenset(t for s in storages_of(plan.graph) if plan.fed in s.tensors for t in s.tensors)


def arrivals(step: Step) -> tuple[tuple[int, Arrival], ...]:
    return step.way.arrivals if isinstance(step.way, Bands) else ()


def _events(step: Step) -> tuple[tuple[int, Event | Fill], ...]:
    """What happens between kernel calls, each with the number of the call before which it does."""
    if isinstance(step.way, OnCores):
        starts = [0, *accumulate(len(r.pieces) for r in step.way.rounds)]
        groups = (*(r.events for r in step.way.rounds), step.way.after)
        return tuple((n, event) for n, events in zip(starts, groups, strict=True) for event in events)
    return step.way.events if isinstance(step.way, InTiles) else ()


def _at_once(step: Step) -> Iterator[tuple[int, tuple[Piece, ...]]]:
    """The kernel calls that run at the same time, one behind another but on cores, with the number of the first of them."""
    number = 0
    groups = [r.pieces for r in step.way.rounds] if isinstance(step.way, OnCores) else [(p,) for p in step.pieces]
    for pieces in groups:
        yield number, tuple(pieces)
        number += len(pieces)


def row_bytes_of(step: Step) -> int:
    """The bytes of a row of what a step is fed."""
    way = step.way
    return row_bytes(way.fed, way.layout.axis) if isinstance(way, Bands) and way.fed is not None else 0
