"""Tables that come from a memory outside of the chip, as nodes of the program: what is asked for, when, and which parts of it steps
take. Steps know numbers only, so that rounds which are alike but for these are a loop in C."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from smelt.firmware.invocations import Constant
from smelt.nouns import Noun
from smelt.planner.in_tiles import Event, Start, Wait
from smelt.planner.on_cores import OnCores
from smelt.planner.plan import Plan
from smelt.planner.step import Step
from smelt.planner.ways import Bring, Fetch


@dataclass(frozen=True, eq=False)
class Request(Noun):
    """A table that comes to byte `to` of the region."""

    table: Constant
    to: int


@dataclass(frozen=True)
class Portion:
    """Bytes of the region that a step fetches when the request of that number has been served."""

    at: int
    bytes: int
    request: int


@dataclass(frozen=True, eq=False)
class Stream(Noun):
    """`requests` in the order in which they are made, to the region in `memory`; those from one number up to another are made at a
    time (`ranges`). `between` says which range, if any, before each step; `asked` which one when tables have been fetched, and
    `portions` is what is fetched, of which `taken` knows the places."""

    memory: str
    requests: tuple[Request, ...] = ()
    ranges: tuple[tuple[int, int], ...] = ()
    portions: tuple[Portion, ...] = ()
    between: dict[int, int] = field(default_factory=dict)
    asked: dict[Fetch, int] = field(default_factory=dict)
    taken: dict[Fetch, int] = field(default_factory=dict)


def stream_of(plan: Plan, constant: Callable[[Bring], Constant]) -> Stream | None:
    """What a plan brings from outside, each with the table that it is; None where that is nothing."""
    if not plan.brings:
        return None
    (memory,) = {plan.placement(bring.buffer).memory for bring in plan.all_brings}
    brings = sorted(plan.all_brings, key=lambda bring: bring.channel)
    requests = tuple(Request(constant(bring), plan.placement(bring.buffer).offset) for bring in brings)
    ranges, portions = list[tuple[int, int]](), list[Portion]()
    between, asked, taken = dict[int, int](), dict[Fetch, int](), dict[Fetch, int]()
    count = 0
    for number, step in enumerate(plan.steps):
        if some := sum(first == number for first, _ in plan.brings):
            between[number] = len(ranges)
            ranges.append((count, count + some))
            count += some
        for fetch, some in _asked(step):
            asked[fetch] = len(ranges)
            ranges.append((count, count + some))
            count += some
        for fetch in _taken(step):
            taken[fetch] = len(portions)
            portions.append(_portion(plan, fetch))
    return Stream(memory, requests, tuple(ranges), tuple(portions), between, asked, taken)


def _asked(step: Step) -> Iterator[tuple[Fetch, int]]:
    """How many requests are made behind each of the tables that a step fetches, if it makes any."""
    events = _events(step)
    if not any(isinstance(e, Start) and isinstance(e.transfer, Bring) for e in events):
        return
    ends = [n for n, e in enumerate(events) if isinstance(e, Wait) and isinstance(e.transfer, Fetch)]
    for begin, end in zip(ends, [*ends[1:], len(events)], strict=True):
        fetch = events[begin].transfer
        assert isinstance(fetch, Fetch)
        yield fetch, sum(isinstance(e, Start) and isinstance(e.transfer, Bring) for e in events[begin:end])


def _taken(step: Step) -> Iterator[Fetch]:
    """What a step fetches of what came from outside."""
    for event in _events(step):
        fetch = event.transfer
        if isinstance(event, Start) and isinstance(fetch, Fetch) and fetch.source is not None:
            yield fetch


def _portion(plan: Plan, fetch: Fetch) -> Portion:
    assert fetch.source is not None
    return Portion(plan.placement(fetch.source.buffer).offset + fetch.at, fetch.data.nbytes, fetch.source.channel)


def _events(step: Step) -> tuple[Event, ...]:
    return step.way.events if isinstance(step.way, OnCores) else ()
