"""How values change from one turn of a loop to the next, and what is known of several states at once."""

from __future__ import annotations

from smelt.loops.assembly.linear import Linear, Value, either, signed
from smelt.loops.assembly.machine import Compared, State

Growth = dict[str, int | None]
"""By how much values grow in a turn, by name; those that are not there do not. None: what they become is not known."""


def growth(before: State, state: State) -> Growth:
    """By how much values grew that are sums."""
    found: Growth = {}
    for name, value in state.items():
        old = before.get(name)
        if isinstance(old, Linear) and isinstance(value, Linear) and value != old:
            known = old.constant is not None and value.constant is not None
            if known and (old.region, old.terms) == (value.region, value.terms):
                found[name] = signed(value.constant - old.constant)  # type: ignore[operator]
    return found


def growing(state: State, by: Growth, counter: int) -> State:
    """`state` with values that grow with a counter; flags are forgotten."""
    found: State = {name: value if isinstance(value, Linear) else None for name, value in state.items()}
    for name, step in by.items():
        if name in found:
            found[name] = _grown(found[name], step, counter)
    return found


def _grown(value: Value | Compared, step: int | None, counter: int) -> Value:
    if not isinstance(value, Linear) or step is None:
        return None
    return value._replace(terms=(*value.terms, (counter, step))) if value.is_known else value


def wrong(state: State, end: State, counter: int) -> list[str]:
    """The values that are not what they should be when a turn ends that began with `state`."""
    return [n for n, v in state.items() if isinstance(v, Linear) and end.get(n) != (v.later(counter) if v.terms else v)]


def too_far(state: State, counter: int, count: int) -> bool:
    """Whether a value outgrows 32 bits."""
    ends = (v.at(counter, count).constant for v in state.values() if isinstance(v, Linear) and v.terms)
    return any(e is not None and signed(e) != e for e in ends)


def at(state: State, counter: int, count: int) -> State:
    """With a number for a counter; flags are forgotten."""
    return {n: _at(v, counter, count) for n, v in state.items()}


def _at(value: Value | Compared, counter: int, count: int) -> Value:
    if not isinstance(value, Linear):
        return None
    return value.at(counter, count) if value.terms else value


def widened(a: State, b: State) -> State:
    """What is known of both."""
    found: State = {}
    for name in a.keys() | b.keys():
        first, second = a.get(name), b.get(name)
        known = not isinstance(first, Compared) and not isinstance(second, Compared)
        found[name] = either(first, second) if known else None  # type: ignore[arg-type]
    return found
