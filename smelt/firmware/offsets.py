"""Offsets in regions by name: where inputs, results, states and scratch lie, as macros that kernel calls are written with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from smelt.firmware.invocations import Invocation
from smelt.firmware.names import part
from smelt.planner.placement import Placement
from smelt.planner.plan import Plan
from smelt.planner.step import Step

LINES = "lines"
"""What scratch is called that kernels call by different names: one writes rows there that another one reads."""


@dataclass(frozen=True)
class Offset:
    """A macro for the beginning of a placement."""

    macro: str
    placement: Placement


def offsets(plan: Plan, invocations: Iterable[Invocation], prefix: str) -> Mapping[str, Offset]:
    """Macros that begin with `prefix`, by the names of placements."""
    words = {id(t): f"input_{n}" for n, t in enumerate(plan.graph.inputs)}
    words |= {id(s.read): f"state_{n}" for n, s in enumerate(plan.graph.states)}
    for step in plan.steps:
        words = {id(y): f"{step.name}_y{n or ''}" for n, y in enumerate(step.ys)} | words
    words |= dict(_scratch(invocations))
    found, taken = dict[str, Offset](), set[str]()
    for placement in plan.placements:
        owners = (*placement.tensors, placement.scratch)
        word = next((words[id(owner)] for owner in owners if id(owner) in words), placement.name)
        if placement.name not in found:
            name = part(word, taken)
            taken.add(name)
            found[placement.name] = Offset(f"{prefix}_{name}".upper(), placement)
    return found


def _scratch(invocations: Iterable[Invocation]) -> Iterator[tuple[int, str]]:
    """What scratch is for: its step, and how kernels call it."""
    steps, words = dict[int, Step](), dict[int, set[str]]()
    for invocation in invocations:
        call = invocation.piece.call
        for buffer, argument in zip(call.kernel.buffers, call.arguments, strict=True):
            if not isinstance(argument, np.ndarray) and buffer.role == "scratch":
                owner = id(invocation.piece.part(argument).owner)
                steps.setdefault(owner, invocation.step)
                words.setdefault(owner, set()).add(buffer.name)
    for owner, some in words.items():
        yield owner, f"{steps[owner].name}_{min(some) if len(some) == 1 else LINES}"
