"""Where most is alive: `Peak`, and the words for it, of a plan that there is and of one that does not fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from smelt.errors import LONGEST_NAME
from smelt.model.graph import Tensor
from smelt.nouns import Noun
from smelt.planner.flow import Flow, Life, aligned, live_bytes, lives
from smelt.planner.placement import scratch_name


@dataclass(frozen=True)
class Part:
    """What is alive at some time: a tensor, or scratch of the step that runs, and its bytes. `about`: type and shape. `over`: the
    tensors over which it is being written."""

    name: str
    kind: Literal["tensor", "scratch"]
    bytes: int
    about: str = ""
    over: tuple[str, ...] = ()

    @property
    def short(self) -> str:
        """The beginning of the name, in words."""
        return short(self.name)

    def __str__(self) -> str:
        what = self.name if self.kind == "scratch" else f"'{self.short}' {self.about}".rstrip()
        over = ", ".join(f"'{short(name)}'" for name in self.over)
        return f"{self.bytes:,} bytes: {what}{', written over ' if over else ''}{over}"


def short(name: str) -> str:
    """A name, or its beginning: converters join the names of everything they fuse."""
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."


@dataclass(frozen=True)
class Peak(Noun):
    """The time at which most bytes are alive, and what they are, the largest first. Time -1 is before the run, that of the number
    of steps after it. `bytes` may be less than the parts' sum where an output is written over what it is computed from."""

    time: int
    when: str
    bytes: int
    parts: tuple[Part, ...]

    def lines(self, most: int) -> Iterator[str]:
        """In words, with at most so many parts."""
        yield f"Most is alive {self.when}: {self.bytes:,} bytes"
        yield from (f"  - {part}" for part in self.parts[:most])
        if len(self.parts) > most:
            rest = self.parts[most:]
            yield f"  - {sum(part.bytes for part in rest):,} bytes: {len(rest)} more"


def moment(time: int, names: Sequence[str]) -> str:
    """A time in words; `names` are those of the steps."""
    return f"at step {names[time]}" if 0 <= time < len(names) else "before the run" if time < 0 else "after the run"


def about(tensor: Tensor) -> str:
    """Type and shape, in words."""
    return f"{tensor.dtype} {'x'.join(map(str, tensor.shape)) or 'scalar'}"


def peak_of(flow: Flow, names: Sequence[str]) -> Peak:
    """Where most is alive in a flow. `names` are those of its steps."""
    alive, living = live_bytes(flow), lives(flow)
    time = alive.index(max(alive)) - 1
    parts = [_part(flow, s, life, time) for s, life in enumerate(living) if life.first <= time <= life.last]
    if 0 <= time < len(flow.uses):
        scratch = enumerate(flow.uses[time].scratch)
        parts += [Part(scratch_name(names[time], n), "scratch", aligned(size)) for n, size in scratch]
    return Peak(time, moment(time, names), alive[time + 1], tuple(sorted(parts, key=lambda part: -part.bytes)))


def _part(flow: Flow, storage: int, life: Life, time: int) -> Part:
    """A storage that is alive at some time."""
    there = flow.storages[storage]
    over = (flow.storages[life.over].name,) if life.over is not None and life.first == time else ()
    return Part(there.name, "tensor", flow.sizes[storage], about(there.tensors[0]), over)
