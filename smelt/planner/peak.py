"""Where most is alive: `Peak`, and the words for it, of a plan that there is and of one that does not fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from smelt.errors import LONGEST_NAME
from smelt.model.graph import Tensor
from smelt.nouns import Noun
from smelt.planner.flow import Flow, aligned, live_bytes, lives


@dataclass(frozen=True)
class Part:
    """What is alive at some time: a tensor, or scratch of the step that runs, and its bytes. `about`: type and shape."""

    name: str
    kind: Literal["tensor", "scratch"]
    bytes: int
    about: str = ""

    @property
    def short(self) -> str:
        """The name, or its beginning: converters join the names of everything they fuse."""
        return self.name if len(self.name) <= LONGEST_NAME else f"{self.name[:LONGEST_NAME]}..."

    def __str__(self) -> str:
        what = self.short if self.kind == "scratch" else f"'{self.short}' {self.about}".rstrip()
        return f"{self.bytes:,} bytes: {what}"


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


def scratch_name(step: str, number: int) -> str:
    """What a scratch buffer of a step is called."""
    return f"{step}.scratch{number or ''}"


def peak_of(flow: Flow, names: Sequence[str]) -> Peak:
    """Where most is alive in a flow. `names` are those of its steps."""
    alive = live_bytes(flow)
    time = alive.index(max(alive)) - 1
    live = [s for s, life in enumerate(lives(flow)) if life.first <= time <= life.last]
    parts = [Part(flow.storages[s].name, "tensor", flow.sizes[s], about(flow.storages[s].tensors[0])) for s in live]
    if 0 <= time < len(flow.uses):
        scratch = enumerate(flow.uses[time].scratch)
        parts += [Part(scratch_name(names[time], n), "scratch", aligned(size)) for n, size in scratch]
    return Peak(time, moment(time, names), alive[time + 1], tuple(sorted(parts, key=lambda part: -part.bytes)))
