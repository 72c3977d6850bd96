"""`join`: plans for networks that run one at a time, such that all of them fit together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from smelt.errors import DoesNotFit
from smelt.planner.code_size import FIXED_FLASH, FIXED_RAM
from smelt.planner.limits import Limits
from smelt.planner.plan import Plan
from smelt.planner.suite import Suite, check_suite, excess, missing
from smelt.targets.types import Board


@dataclass(frozen=True, eq=False)
class Request:
    """A plan that is asked for: of which network, for which board and within what. `smallest`: with the least flash there is."""

    network: str
    board: Board
    limits: Limits
    smallest: bool = False


Planner = Callable[[Request], Plan]
"""Raises DoesNotFit."""

Way = Callable[[Suite, Suite, str], Iterator[Request]]
"""What may be asked of a network so that a suite takes less; given are the suite, the same without the network, and its name."""


def join(name: str, networks: Sequence[str], board: Board, limits: Limits, planner: Planner, least_ram: bool) -> Suite:
    """The suite of `networks`, checked: each as it is planned alone, as far as that fits beside the others; else they are planned
    anew one after the other, the smallest first. With `least_ram` that is done for less RAM, too. Raises DoesNotFit, which says of
    which networks."""
    suite = Suite(name, {n: _alone(planner, Request(n, board, limits)) for n in networks}, limits)
    if least_ram:
        suite = min((suite, *_in_one_memory(suite, planner)), key=lambda s: s.ram_bytes)
        suite = _smaller(suite, _same_memories, planner, lambda s: s.ram_bytes)
    if excess(suite):
        suite = _smaller(suite, _beside_others, planner, missing)
    if excess(suite):
        suite = min((suite, *_in_one_memory(suite, planner)), key=missing)
    for way in (_same_memories, _less_flash):
        if excess(suite):
            suite = _smaller(suite, way, planner, missing)
    if over := excess(suite):
        raise _refusal(suite, over)
    return check_suite(suite)


def _alone(planner: Planner, request: Request) -> Plan:
    try:
        return planner(request)
    except DoesNotFit as error:
        raise DoesNotFit(f"{request.network}: {error}") from None


def _in_one_memory(suite: Suite, planner: Planner) -> Iterator[Suite]:
    """The suites in which all networks take one of the memories that some take, one after the other, as far as they can."""
    for memory in suite.memories if len(suite.memories) > 1 else ():
        new = suite
        for network in suite.plans:
            others = replace(new, plans={n: plan for n, plan in new.plans.items() if n != network})
            with suppress(DoesNotFit):
                plan = planner(
                    _within(others, network, {m.name: 0 for m in suite.board.chip.rams} | {memory.name: memory.size})
                )
                new = replace(new, plans={**new.plans, network: replace(plan, board=suite.board)})
        yield new


def _smaller(suite: Suite, way: Way, planner: Planner, size: Callable[[Suite], int]) -> Suite:
    """The suite after networks were planned anew until that makes its size no smaller."""
    while size(suite):
        before = suite
        for network in sorted(suite.plans, key=lambda n: suite.plans[n].ram_bytes):
            suite = min((suite, *_anew(suite, way, planner, network)), key=size)
        if size(suite) == size(before):
            break
    return suite


def _anew(suite: Suite, way: Way, planner: Planner, network: str) -> Iterator[Suite]:
    """The suites in which a network is planned as may be asked of it."""
    others = replace(suite, plans={n: plan for n, plan in suite.plans.items() if n != network})
    for request in way(suite, others, network):
        with suppress(DoesNotFit):
            yield replace(suite, plans={**suite.plans, network: replace(planner(request), board=suite.board)})


def _beside_others(suite: Suite, others: Suite, network: str) -> Iterator[Request]:
    """All but what the others keep to themselves, states and tables."""
    yield _within(others, network, {m.name: m.size for m in others.board.chip.rams})


def _same_memories(suite: Suite, others: Suite, network: str) -> Iterator[Request]:
    """Nothing but one of the memories that the others have; or no more than they have in turn, where one of these may grow."""
    taken = {m.name: others.shared(m.name) for m in others.board.chip.rams}
    for m in others.memories:
        yield _within(others, network, {**dict.fromkeys(taken, 0), m.name: m.size})
        yield _within(others, network, {**taken, m.name: m.size})


def _within(others: Suite, network: str, most: Mapping[str, int]) -> Request:
    """A plan that takes of each RAM at most so many bytes, and only what the others leave."""
    board, limits, rams = others.board, others.limits, others.board.chip.rams
    own = {m.name: others.private(m.name) + others.resident_uses.get(m.name, 0) for m in rams}
    room = {m.name: most[m.name] + (others.reserve if m is rams[0] else 0) for m in rams}
    sizes = {m.name: max(min(m.size - own[m.name], room[m.name]), 0) for m in rams}
    memories = tuple(replace(m, size=sizes.get(m.name, m.size)) for m in board.chip.memories)
    if limits.ram is not None:
        limits = replace(limits, ram=max(limits.ram - sum(own.values()), FIXED_RAM))
    return Request(network, replace(board, chip=replace(board.chip, memories=memories)), limits)


def _less_flash(suite: Suite, others: Suite, network: str) -> Iterator[Request]:
    """What the others leave; else the least."""
    left = suite.most_flash - others.flash_bytes + FIXED_FLASH
    yield Request(network, suite.board, replace(suite.limits, flash=max(left, FIXED_FLASH)))
    yield Request(network, suite.board, replace(suite.limits, flash=None), smallest=True)


def _refusal(suite: Suite, over: str) -> DoesNotFit:
    needs = (
        f"  - {name}: {plan.ram_bytes:,} bytes of RAM and {plan.flash_bytes:,} of flash alone"
        for name, plan in suite.plans.items()
    )
    return DoesNotFit("\n".join([f"the networks do not fit {suite.board.name} together: {over}.", *needs]))
