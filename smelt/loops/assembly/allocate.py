"""Real registers for virtual ones, by colouring: two that are needed at once get different ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from smelt.loops.assembly.ir import SPECIAL, Block, Register
from smelt.loops.assembly.liveness import before, instructions, live_ends

REAL = (*(f"r{n}" for n in range(13)), "lr")
FLOATS = tuple(f"s{n}" for n in range(16))  # the others are the caller's


class NoRegister(ValueError):
    """There are more values at once than registers."""


def allocated(blocks: Sequence[Block], short: bool = False) -> Mapping[Register, str]:
    """A real register for each virtual one. `short`: low ones for what loads in loops name, whose encodings are then shorter.

    Raises NoRegister.
    """
    neighbours = _interference(blocks)
    place = {r: at for at, r in enumerate(_appearing(blocks))}
    orders = (
        _order(neighbours),
        sorted(neighbours, key=lambda r: place[r]),
        sorted(neighbours, key=lambda r: (-len(neighbours[r]), place[r])),
    )
    failures = []
    for order in orders:
        try:
            found = _coloured(neighbours, order)
            return _renamed(found, _loaded(blocks)) if short else found
        except NoRegister as failure:
            failures.append(failure)
    raise failures[0]


def _loaded(blocks: Sequence[Block]) -> Mapping[Register, int]:
    """How often loads in loops that have short encodings name registers."""
    loads = (
        i for b in blocks if b.repeats for i in b.body if i.kind == "load" and i.place is not None and not i.place.step
    )
    return Counter(r for one in loads for r in (*one.read_registers, *one.writes))


def _renamed(found: Mapping[Register, str], loaded: Mapping[Register, int]) -> Mapping[Register, str]:
    """The same with other names of real registers, but for those that some must be: the lowest for what is loaded most often."""
    fixed = {r.fixed for r in found}
    names = [name for name in REAL if name not in fixed]
    often = Counter[str]()
    for register, name in found.items():
        often[name] += loaded.get(register, 0)
    new = dict(zip(sorted(names, key=lambda name: -often[name]), names, strict=True))
    return {register: new.get(name, name) for register, name in found.items()}


def _appearing(blocks: Sequence[Block]) -> list[Register]:
    """All registers, in the order in which they are named first."""
    every = (r for b in blocks for one in instructions(b) for r in (*one.read_registers, *one.all_writes))
    return list(dict.fromkeys(r for r in every if r not in SPECIAL))


def _coloured(neighbours: Mapping[Register, set[Register]], order: Sequence[Register]) -> Mapping[Register, str]:
    """The first register that is free, one after the other in an order."""
    found = {r: r.fixed for r in neighbours if r.fixed is not None}
    for register in order:
        if register in found:
            continue
        taken = {found[n] for n in neighbours[register] if n in found}
        free = [r for r in (REAL if register.bank == "core" else FLOATS) if r not in taken]
        if not free:
            raise NoRegister(f"no register for '{register}' beside {', '.join(sorted(map(str, neighbours[register])))}")
        found[register] = free[0]
    return found


def _interference(blocks: Sequence[Block]) -> dict[Register, set[Register]]:
    neighbours: dict[Register, set[Register]] = {}
    ends = live_ends(blocks)
    for number, block in enumerate(blocks):
        live = ends[number]
        for one in reversed(instructions(block)):
            written = {r for r in one.all_writes if r not in SPECIAL}
            for register in (*one.read_registers, *written):
                if register not in SPECIAL:
                    neighbours.setdefault(register, set())
            for a in written:
                for b in _others(a, live | written):
                    neighbours.setdefault(a, set()).add(b)
                    neighbours.setdefault(b, set()).add(a)
            live = before(one, live)
        for a in live if number == 0 else ():  # parameters are there together
            neighbours.setdefault(a, set()).update(_others(a, live))
    return neighbours


def _others(one: Register, registers: Iterable[Register]) -> Iterator[Register]:
    """Those that cannot be the same as one."""
    return (r for r in registers if r != one and r.bank == one.bank)


def _order(neighbours: Mapping[Register, set[Register]]) -> list[Register]:
    """Those with many neighbours first: the last ones find a register whatever the others got."""
    left = {r: set(n) for r, n in neighbours.items()}
    stack: list[Register] = []
    waiting = [r for r in neighbours if r.fixed is None]
    while waiting:
        easiest = min(waiting, key=lambda r: (len(left[r]), r.name))
        waiting.remove(easiest)
        for other in left.pop(easiest):
            if other in left:
                left[other].discard(easiest)
        stack.append(easiest)
    return stack[::-1]
