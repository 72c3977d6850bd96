"""What a routine reads and writes is read from its instructions: that is what they do, and no call declares less."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smelt.kernels.routines import BUILT, ROUTINES
from smelt.loops.assembly.builder import Assembler
from smelt.loops.assembly.compile import assembled
from smelt.loops.assembly.ir import STACK, Place
from smelt.loops.assembly.machine import Unfollowed
from smelt.loops.assembly.reach import Reach, Reader
from smelt.loops.assembly.touched import Stretch
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Const
from smelt.loops.routine import At, Number, Reads, Routine, Span, Updates, Value, Writes, WrongCall, checked_arguments
from tests.routine_cases import CORES
from tests.test_assembly import built
from tests.thumb_programs import STACK_BYTES, STACK_TOP, Machine

ASSEMBLED = tuple(r for r in ROUTINES if r.reader is not None)
BY_DATA = {r.name: {p.name for p in r.parameters if isinstance(p, Reads) and p.by_data} for r in ASSEMBLED}
FOLLOWED = tuple(
    r for r in ASSEMBLED if not any(isinstance(p, Reads) and p.by_data and p.access == "read" for p in r.parameters)
)
"""Those that take any data."""
APART = 0x50000  # bytes between what pointers point to in the simulator
MOST = {
    "words": 37,
    "pixels": 14,
    "groups": 5,
    "count": 8,
    "lines": 6,
    "outputs": 14,
    "rows": 4,
    "rounds": 9,
    "columns": 5,
    "depth": 24,
    "step": 40,
}
"""What numbers are at most there; that, and 99 for the others, is much more than loops are written out."""


TILES = ("rows", "columns")


def passed(routine: Routine) -> tuple[Reads | Number, ...]:
    return tuple(p for p in routine.parameters if not isinstance(p, Number) or p.passed)


def has_no_limit(routine: Routine) -> bool:
    return any(isinstance(p, Number) and p.most is None for p in passed(routine))


def number_of(p: Number) -> st.SearchStrategy[int]:
    if p.name == "shift":
        return st.sampled_from((-1, 1, 8, 13))
    least = p.multiple if p.least is None else p.least
    most = max(least, MOST.get(p.name, 99)) if p.most is None else p.most
    return st.integers(-(-least // p.multiple), most // p.multiple).map(lambda n: n * p.multiple)


@st.composite
def calls(draw: st.DrawFn, routines: tuple[Routine, ...] = FOLLOWED) -> tuple[Routine, dict[str, int]]:
    """A routine, and numbers that it takes."""
    routine = draw(st.sampled_from(routines))
    return routine, {p.name: draw(number_of(p)) for p in passed(routine) if isinstance(p, Number)}


# --- against the simulator ------------------------------------------------------------------------------------------------


class Watched:
    """All routines for a core in the simulator, which notes what they touch behind each pointer."""

    def __init__(self, folder: Path, number: int) -> None:
        timing = CORES[number].scheduling
        self.routines = {r.name: assembled(BUILT[r.name](timing), timing) for r in ASSEMBLED}
        self.machine = Machine(built(folder, self.routines))
        self._found: dict[tuple[int, bool], Stretch] = {}
        uc, engine = self.machine.unicorn, self.machine.engine
        engine.mem_write(self.machine.free, random.Random(7).randbytes(4 * APART))
        for kind, writes in ((uc.UC_HOOK_MEM_READ, False), (uc.UC_HOOK_MEM_WRITE, True)):
            engine.hook_add(kind, lambda _, __, at, size, ___, writes: self._touch(at, size, writes), writes)

    def _touch(self, at: int, size: int, writes: bool) -> None:
        if not STACK_TOP - STACK_BYTES <= at < STACK_TOP:
            pointer = round((at - self.machine.free) / APART)
            low = at - self._address(pointer)
            found = Stretch(low, low + size)
            self._found[pointer, writes] = self._found.get((pointer, writes), found).joined(found)

    def _address(self, pointer: int) -> int:
        return self.machine.free + pointer * APART

    def run(self, routine: Routine, numbers: Mapping[str, int]) -> dict[str, Reach]:
        """What a call touches."""
        self._found = {}
        pointers = [p.name for p in passed(routine) if not isinstance(p, Number)]
        arguments = [
            numbers[p.name] & 0xFFFFFFFF if isinstance(p, Number) else self._address(pointers.index(p.name))
            for p in passed(routine)
        ]
        self.machine.call(routine.name, arguments)
        return {
            name: Reach(self._found.get((at, False)), self._found.get((at, True))) for at, name in enumerate(pointers)
        }

    def read(self, routine: Routine) -> Reader:
        """What is read from the instructions in their order."""
        return _read(self.routines[routine.name].blocks, self.routines[routine.name].code.parameters)


_read = cache(Reader.of_blocks)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Watched, ...]:
    return tuple(Watched(tmp_path_factory.mktemp(core.name), number) for number, core in enumerate(CORES))


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(call=calls())
def test_what_is_read_from_instructions_is_what_they_do(
    watched: tuple[Watched, ...], call: tuple[Routine, dict[str, int]]
) -> None:
    """To the byte for each order of instructions; what calls are checked with holds for the orders of all cores."""
    routine, numbers = call
    assert routine.reader is not None
    every, by_data = routine.reader.reach(numbers), BY_DATA[routine.name]
    for core in watched:
        done, read = core.run(routine, numbers), core.read(routine).reach(numbers)
        assert {n: r for n, r in read.items() if n not in by_data} == {
            n: r for n, r in done.items() if n not in by_data
        }
        for name, reach in done.items():
            assert all(
                mine is None or (all_ is not None and all_.covers(mine))
                for mine, all_ in ((reach.reads, every[name].reads), (reach.writes, every[name].writes))
            ), name


# --- what calls declare ---------------------------------------------------------------------------------------------------


def arguments(routine: Routine, numbers: Mapping[str, int]) -> tuple[At | Value, ...]:
    k = KernelBuilder("k")
    declared = {"read": k.input, "write": k.output, "update": k.scratch}
    return tuple(
        numbers[p.name] if isinstance(p, Number) else At(declared[p.access](p.name, p.type, 1 << 24))
        for p in routine.parameters
    )


def declaring(routine: Routine, name: str, change: object) -> Routine:
    """The routine with another declaration of a pointer."""
    return replace(
        routine,
        parameters=tuple(change(p) if p.name == name else p for p in routine.parameters),  # type: ignore[operator]
    )


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(call=calls())
def test_an_element_too_few_is_refused(call: tuple[Routine, dict[str, int]]) -> None:
    routine, numbers = call
    spans = [a for a in checked_arguments(routine, arguments(routine, numbers)) if isinstance(a, Span)]
    for span in (s for s in spans if s.buffer.name not in BY_DATA[routine.name]):

        def with_count(p: Reads, count: int = span.count) -> Reads:
            return replace(p, count=Const(count))

        right = declaring(routine, span.buffer.name, with_count)
        assert span in checked_arguments(right, arguments(routine, numbers))
        wrong = declaring(routine, span.buffer.name, lambda p, n=span.count - 1: with_count(p, n))
        with pytest.raises(WrongCall, match=f"behind '{span.buffer.name}', not"):
            checked_arguments(wrong, arguments(routine, numbers))


@pytest.mark.parametrize("routine", FOLLOWED, ids=lambda r: r.name)
def test_what_is_written_is_declared_so(routine: Routine) -> None:
    numbers = {p.name: max(p.least or 0, p.multiple) for p in passed(routine) if isinstance(p, Number)}
    for p in passed(routine):
        if isinstance(p, Number):
            continue
        other = Reads if p.access == "write" else Writes
        wrong = declaring(routine, p.name, lambda p, other=other: other(p.name, p.type))
        with pytest.raises(WrongCall, match=f"'{p.name}' is not only"):
            checked_arguments(wrong, arguments(wrong, numbers))
        updated = declaring(routine, p.name, lambda p: Updates(p.name, p.type, p.count, p.also, p.by_data))
        checked_arguments(updated, arguments(updated, numbers))


def test_parameters_have_the_names_that_instructions_know() -> None:
    routine = ASSEMBLED[0]
    with pytest.raises(ValueError, match="know its parameters as"):
        replace(routine, parameters=routine.parameters[::-1])


# --- what data decide -----------------------------------------------------------------------------------------------------


def test_loops_that_end_by_data_reach_anywhere() -> None:
    """What does not change in them is known nevertheless, and so is what comes after them."""
    a = Assembler("ended", ("x", "y", "words"))
    x, y, words, value = a.argument("x"), a.argument("y"), a.argument("words"), a.register("value")
    a.label("block")
    a.label("turn")
    a.do("ldr", value, Place(x, step=4, region="x"))
    a.do("str", value, Place(y, offset=8, region="y"))
    a.do("cmp", value, 0)
    a.branch("ne", "turn")
    a.do("add", y, y, 4)
    a.do("subs", words, words, 1)
    a.branch("ne", "block")
    reader = Reader.of_code(a.finish())
    found = reader.reach({"words": 10})
    assert found == {"x": Reach(reads=Stretch()), "y": Reach(writes=Stretch(8, 48))}
    parameters = (Reads("x", "int32_t"), Writes("y", "int32_t"), Number("words"))
    routine = Routine("ended", "ended.h", parameters, reader=reader)
    with pytest.raises(WrongCall, match="behind 'x' is not known"):
        checked_arguments(routine, arguments(routine, {"words": 10}))
    promised = declaring(routine, "x", lambda p: replace(p, count=Const(50), by_data=True))
    assert [s.count for s in checked_arguments(promised, arguments(routine, {"words": 10}))[:2]] == [50, 12]


def test_loads_may_run_ahead_of_a_loop_and_stores_do_not() -> None:
    def reader(held: tuple[str, ...]) -> Reader:
        a = Assembler("copied", ("x", "y", "words"))
        x, y, words = (a.argument(name) for name in ("x", "y", "words"))
        with a.apart() as turn:
            a.do("str", a.new("ldr", Place(x, step=4, region="x")), Place(y, step=4, region="y"))
        with a.apart() as ends:
            a.do("subs", words, words, 1)
        a.repeat("turns", turn, ends, "ne", 4, held)
        return Reader.of_code(a.finish())

    assert reader(()).reach({"words": 5}) == {"x": Reach(Stretch(0, 84)), "y": Reach(None, Stretch(0, 80))}
    assert reader(("x",)).reach({"words": 5}) == {"x": Reach(Stretch(0, 80)), "y": Reach(None, Stretch(0, 80))}


def test_ways_that_data_choose_are_followed_both() -> None:
    a = Assembler("chosen", ("x", "y", "words"))
    x, y = a.argument("x"), a.argument("y")
    value = a.new("ldr", Place(x, region="x"))
    a.do("cmp", value, 0)
    a.branch("eq", "other")
    a.do("str", value, Place(y, offset=4, region="y"))
    a.branch(None, "end")
    a.label("other")
    a.do("str", value, Place(y, offset=16, region="y"))
    a.label("end")
    assert Reader.of_code(a.finish()).reach({"words": None})["y"] == Reach(writes=Stretch(4, 20))


def test_addresses_behind_nothing_are_refused() -> None:
    a = Assembler("lost", ("x", "y", "words"))
    a.new("ldr", Place(a.new("ldr", Place(a.argument("x"), region="x"))))
    with pytest.raises(Unfollowed, match="behind no parameter"):
        Reader.of_code(a.finish()).reach({"words": 1})
    a = Assembler("mistaken", ("x", "y", "words"))
    a.new("ldr", Place(a.argument("x"), region="y"))
    with pytest.raises(Unfollowed, match="behind 'x', not 'y'"):
        Reader.of_code(a.finish()).reach({"words": 1})


@pytest.mark.parametrize(("words", "left"), [(4, False), (3, True)])
def test_a_room_on_the_stack_is_not_left(words: int, left: bool) -> None:
    a = Assembler("stacked", ("x", "words"))
    room = a.room("room", words)
    a.put(a.slot("behind"), a.argument("x"))
    to, end = a.address(room), a.address(room, 16)
    a.label("turn")
    a.do("str", a.argument("words"), Place(to, step=4, region=STACK))
    a.do("cmp", to, end)
    a.branch("ne", "turn")
    reader = Reader.of_code(a.finish())
    if left:
        with pytest.raises(Unfollowed, match="bytes 0 to 16 of the stack, where it has 12"):
            reader.reach({"words": 1})
    else:
        assert reader.reach({"words": 1}) == {}


def test_rooms_on_the_stack_come_first() -> None:
    a = Assembler("late", ("x",))
    a.slot("first")
    with pytest.raises(ValueError, match="comes before slots"):
        a.room("room", 2)


def test_numbers_that_are_not_known_are_told() -> None:
    routine = next(r for r in ASSEMBLED if r.name == "groups")
    known = {p.name: 1 for p in passed(routine) if isinstance(p, Number)}
    assert routine.reader is not None
    assert routine.reader.reach({**known, "zero": None}) == routine.reader.reach(known)
    with pytest.raises(Unfollowed):
        routine.reader.reach({**known, "words": None})
    assert routine.reader.reach({**known, "step": None})["y"].writes == Stretch()


@pytest.mark.parametrize(
    "routine", [r for r in FOLLOWED if has_no_limit(r) and not BY_DATA[r.name]], ids=lambda r: r.name
)
def test_large_layers_cost_no_more_than_small_ones(routine: Routine) -> None:
    """Loops are not executed turn by turn; of those over groups of tiles, which go no two turns alike, what is in a tile is not."""
    assert routine.reader is not None
    numbers = [p for p in passed(routine) if isinstance(p, Number)]
    for most in (1024, 1 << 15):  # the second one for those that one number decides
        large = {p.name: p.most or (24 if p.name in TILES else most if p.name in MOST else 16) for p in numbers}
        reach = routine.reader.reach(large)
        far = max(s.high for r in reach.values() for s in (r.reads, r.writes) if s and s.high)
        if far > 100_000:
            return
    raise AssertionError(f"no more than {far} bytes")
