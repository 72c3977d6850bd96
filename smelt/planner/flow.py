"""What steps do to memory, stripped of everything else: storages, and who writes and reads them when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from smelt.errors import ModelError
from smelt.model.graph import Graph, Op, Tensor
from smelt.nouns import Noun

ALIGN = 4
"""Storages and scratch buffers begin at multiples of this many bytes, and take up multiples of it."""


def aligned(size: int) -> int:
    """`size` rounded up to whole units of `ALIGN` bytes; nothing takes up less than one unit."""
    return max(-(-size // ALIGN), 1) * ALIGN


@dataclass(frozen=True, eq=False)
class Storage(Noun):
    """Bytes that a tensor shares with whatever only reshapes it. `name` is that of the first of them.

    That of a state is shared by what the last run left in it and what this run leaves; `renewed` are the tensors of the latter.
    """

    tensors: tuple[Tensor, ...]
    renewed: frozenset[Tensor] = frozenset()

    @property
    def name(self) -> str:
        return self.tensors[0].name

    @property
    def bytes(self) -> int:
        """The size of the tensors; what the storage takes up is `aligned(bytes)`."""
        return max(t.bytes for t in self.tensors)


@dataclass(frozen=True)
class Use(Noun):
    """What one step needs. Storages are numbers: positions in `Flow.storages`.

    `over` are those of `reads` over which the step may write, should nobody need them afterwards, and how many bytes before each
    its only result must begin at least: nothing where it is written in place. `renewed` are those of `reads` that are states, read
    as this run leaves them. `scratch` are the sizes of its scratch buffers in bytes.
    """

    reads: frozenset[int]
    writes: tuple[int, ...]
    over: Mapping[int, int] = field(default_factory=dict)
    scratch: tuple[int, ...] = ()
    renewed: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Flow(Noun):
    """Steps as uses of storages. `inputs` are written before the first step, `outputs` read after the last. States are both."""

    storages: tuple[Storage, ...]
    uses: tuple[Use, ...]
    inputs: frozenset[int]
    outputs: frozenset[int]

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """What each storage takes up, in bytes."""
        return tuple(aligned(s.bytes) for s in self.storages)

    @cached_property
    def scratch(self) -> tuple[int, ...]:
        """What the scratch of each step takes up, in bytes."""
        return tuple(sum(aligned(b) for b in use.scratch) for use in self.uses)

    @cached_property
    def readers(self) -> tuple[frozenset[int], ...]:
        """The steps that read each storage."""
        found: list[list[int]] = [[] for _ in self.storages]
        for i, use in enumerate(self.uses):
            for s in use.reads:
                found[s].append(i)
        return tuple(map(frozenset, found))

    @cached_property
    def writers(self) -> dict[int, int]:
        """The step that writes each storage that has one: those that are no inputs, and states."""
        return {s: i for i, use in enumerate(self.uses) for s in use.writes}

    @cached_property
    def written(self) -> tuple[int, ...]:
        """What the results of each step take up that was not taken before, in bytes."""
        return tuple(sum(self.sizes[s] for s in use.writes if s not in self.inputs) for use in self.uses)

    @cached_property
    def needs(self) -> tuple[frozenset[int], ...]:
        """The steps that must run before each step: those that compute what it reads, and those that still read what it renews."""
        return tuple(frozenset((*self._makers(use), *self._former_readers(i))) for i, use in enumerate(self.uses))

    def _makers(self, use: Use) -> Iterable[int]:
        return (self.writers[s] for s in use.reads if s in self.writers and (s not in self.inputs or s in use.renewed))

    def _former_readers(self, step: int) -> Iterable[int]:
        states = (s for s in self.uses[step].writes if s in self.inputs)
        return (i for s in states for i in self.readers[s] if i != step and s not in self.uses[i].renewed)

    @cached_property
    def followers(self) -> tuple[frozenset[int], ...]:
        """The steps that must run after each step."""
        found: list[list[int]] = [[] for _ in self.uses]
        for i, needed in enumerate(self.needs):
            for n in needed:
                found[n].append(i)
        return tuple(map(frozenset, found))

    def slides(self, step: int) -> Mapping[int, int]:
        """The storages over which `step` could be written, as far as the step, the sizes and the outputs go: by its only result,
        which is no state. Each with how many bytes before it the result begins."""
        use = self.uses[step]
        if len(use.writes) != 1 or use.writes[0] in self.inputs:
            return {}
        size = self.sizes[use.writes[0]]
        return {s: aligned(by) if by else 0 for s, by in use.over.items() if s not in self.outputs and by < size}

    def grown(self, step: int, over: int, by: int) -> int:
        """What a result that begins `by` bytes before the storage over which it is written takes up besides that."""
        (written,) = self.uses[step].writes
        return by + max(self.sizes[written] - by - self.sizes[over], 0)

    def least_written(self, step: int) -> int:
        """What the results of a step take up at least that was not taken before, in bytes."""
        return min([self.written[step], *(self.grown(step, s, by) for s, by in self.slides(step).items())])

    def least_beside(self, step: int) -> int:
        """The same for results that are written over several operands at once, which no plan does yet but any could: a bound."""
        slides = self.slides(step)
        if len(slides) < 2:
            return self.least_written(step)
        size = self.written[step]
        return max(min(slides.values()), size - sum(size - self.grown(step, s, by) for s, by in slides.items()))

    def reordered(self, order: Sequence[int]) -> Flow:
        """The same flow with the steps in another order."""
        return Flow(self.storages, tuple(self.uses[i] for i in order), self.inputs, self.outputs)


@dataclass(frozen=True)
class Life:
    """The steps from which and up to which a storage holds something: -1 is before all, `len(uses)` after all.

    `over` is the storage over which it is written, or None where it is written somewhere else; it begins `by` bytes before that.
    """

    first: int
    last: int
    over: int | None = None
    by: int = 0


def storages_of(graph: Graph) -> tuple[Storage, ...]:
    """The storages of a graph: one for each tensor that is not a constant, reshapes joined with what they reshape, and what a state
    was with what it becomes.

    Raises ModelError where a reshape has a constant operand (`fold_constants` leaves none), or where a state becomes what has a
    storage for other reasons (`separate_states` leaves none).
    """
    members: dict[Tensor, list[Tensor]] = {t: [t] for t in graph.sources}
    for op in graph.ops:
        x = op.alias_of
        if x is None:
            members.update({y: [y] for y in op.ys})
        elif x in members:
            members[op.y] = members[x]
            members[x].append(op.y)
        else:
            raise ModelError(f"'{op}' reshapes a constant: prepare the graph before planning")
    renewed: dict[int, frozenset[Tensor]] = {}
    for state in graph.states:
        old, new = members[state.read], members.get(state.write)
        if new is None or new[0] in graph.sources or id(old) in renewed:
            raise ModelError(f"state '{state}' has no storage of its own: prepare the graph before planning")
        renewed[id(old)] = frozenset(new)
        old.extend(new)
        members.update(dict.fromkeys(new, old))
    groups = {id(group): group for group in members.values()}
    return tuple(Storage(tuple(group), renewed.get(key, frozenset())) for key, group in groups.items())


def index_of(storages: Iterable[Storage]) -> dict[Tensor, int]:
    """The number of the storage of each tensor."""
    return {tensor: i for i, storage in enumerate(storages) for tensor in storage.tensors}


def steps_of(graph: Graph) -> tuple[Op, ...]:
    """The ops that are steps: all but those that are only names, as reshapes are."""
    return tuple(op for op in graph.ops if op.alias_of is None)


def lives(flow: Flow) -> tuple[Life, ...]:
    """When each storage of `flow` is alive, and which one it is written over, in the order of `flow.uses`.

    What would take up more behind or in front of what it is written over is so only where the most bytes that are alive at any time
    depend on it: storages that are written over one another can only be moved together.
    """
    found = _all_over(flow)
    alive = _alive(flow, found)
    most = max(alive)
    for s, life in enumerate(found):
        if life.over is None:
            continue
        grown = flow.grown(life.first, life.over, life.by)
        if grown and alive[life.first + 1] - grown + flow.sizes[s] <= most:
            found[s] = Life(life.first, life.last)
    return tuple(found)


def _all_over(flow: Flow) -> list[Life]:
    """Lives where all is written over what dies, as far as it can be."""
    end = len(flow.uses)
    found: list[Life] = []
    for s, readers in enumerate(flow.readers):
        first = -1 if s in flow.inputs else flow.writers.get(s, -1)
        last = end if s in flow.outputs else max(readers, default=first)
        found.append(Life(first, last))
    for i, use in enumerate(flow.uses):
        dying = {s: by for s, by in flow.slides(i).items() if found[s].last == i}
        if dying:
            best = min(dying, key=lambda s: (flow.grown(i, s, dying[s]), -flow.sizes[s], s))
            (written,) = use.writes
            found[written] = Life(i, found[written].last, best, dying[best])
    return found


def live_bytes(flow: Flow) -> tuple[int, ...]:
    """What is alive, in bytes, at each time: before the first step, during every step, after the last."""
    return tuple(_alive(flow, lives(flow)))


def least_bytes(flow: Flow, step: int) -> int:
    """The same for the time of one step, if its result is written over what dies wherever that saves anything."""
    return _alive(flow, _all_over(flow))[step + 1]


def _alive(flow: Flow, lives: Sequence[Life]) -> list[int]:
    """The same for these lives: during a step that writes over a storage that counts, and what is more than that."""
    alive = [0] * (len(flow.uses) + 2)
    for size, life in zip(flow.sizes, lives, strict=True):
        if life.over is not None:
            alive[life.first + 1] += flow.grown(life.first, life.over, life.by)
        for time in range(life.first + (life.over is not None), life.last + 1):
            alive[time + 1] += size
    for i, scratch in enumerate(flow.scratch):
        alive[i + 1] += scratch
    return alive


def peak(flow: Flow) -> int:
    """The most bytes alive at any time: no placement of addresses can need less."""
    return max(live_bytes(flow), default=0)
