"""What one instruction does to values that are sums over counters, and which memory it touches."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass

from smelt.loops.assembly import linear
from smelt.loops.assembly.ir import FLAGS, WIDE, Instruction, Label, Lead, Operand, Place, Register, Shifted, Size, Slot
from smelt.loops.assembly.linear import Linear, Value, either, minus, number, of_constants, plus, shifted, times

CODE = "@"
"""In front of a label: a place in the code."""


class Unfollowed(ValueError):
    """What a routine touches cannot be told before it runs; the message says where."""


@dataclass(frozen=True)
class Compared:
    """Flags: of the difference of two values, or with no second one of a result."""

    first: Value
    second: Value = None
    differ: bool = False


State = dict[str, "Value | Compared"]
"""Values by the names of registers and of words on the stack, and the flags."""


@dataclass(frozen=True)
class Access:
    """Bytes that an instruction reads or writes."""

    at: Linear
    size: int
    writes: bool


TWO: dict[str, Callable[[Value, Value], Value]] = {
    "add": plus,
    "sub": minus,
    "rsb": lambda a, b: minus(b, a),
    "mul": times,
    "and": lambda a, b: of_constants(operator.and_, a, b),
    "orr": lambda a, b: of_constants(operator.or_, a, b),
    "eor": lambda a, b: of_constants(operator.xor, a, b),
    "bic": lambda a, b: of_constants(lambda x, y: x & ~y, a, b),
    "lsl": lambda a, b: shifted(a, "lsl", b),
    "lsr": lambda a, b: shifted(a, "lsr", b),
    "asr": lambda a, b: shifted(a, "asr", b),
}
"""Of two operands; those with an `s` set the flags too."""


def word(slot: Slot) -> str:
    """The name of a word on the stack."""
    return f"{'passed' if slot.argument else 'slot'} {slot.number}"


def value_of(operand: Operand, state: State) -> Value:
    match operand:
        case Register(name):
            found = state.get(name)
            return found if not isinstance(found, Compared) else None
        case int():
            return number(operand)
        case Shifted(register, how, count):
            return shifted(value_of(register, state), how, number(count))
        case Label(name):
            return Linear(CODE + name, 0)
        case Size(_, length):
            return number(WIDE * length)  # as if none were shorter: see `Follower`
        case Lead():
            return number(0)  # what runs ahead is followed as a turn of its own
    return None


def execute(one: Instruction, state: State) -> Access | None:
    """Change `state` as an instruction does; what it touches. Raises Unfollowed for an address that is behind no parameter."""
    if one.place is not None:
        return _memory(one, one.place, state)
    flags, result = _result(one, state)
    for register in one.writes:
        if register == FLAGS:
            state[FLAGS.name] = flags if one.condition is None else None
        else:
            state[register.name] = result if one.condition is None else either(value_of(register, state), result)
    return None


def _result(one: Instruction, state: State) -> tuple[Compared | None, Value]:
    """Flags and result."""
    name, values = one.name, [value_of(o, state) for o in one.operands]
    if name == "cmp":
        return Compared(values[0], values[1], True), None
    if name == "tst":
        return Compared(of_constants(operator.and_, values[0], values[1])), None
    if name in ("mov", "movw", "adr"):
        return None, values[1]
    if name == "mvn":
        return None, minus(number(-1), values[1])
    if name == "mla":
        return None, plus(times(values[1], values[2]), values[3])
    if name == "mls":
        return None, minus(values[3], times(values[1], values[2]))
    base = name.removesuffix("s") if FLAGS in one.writes else name
    if base not in TWO:
        return None, None
    result = TWO[base](values[1], values[2])
    return (Compared(values[1], values[2], True) if base == "sub" else Compared(result)), result


def _memory(one: Instruction, place: Place, state: State) -> Access | None:
    (register, *_) = (o for o in one.operands if isinstance(o, Register))
    if place.slot is not None:
        name = word(place.slot)
        if one.kind == "load":
            state[register.name] = state.get(name)
        else:
            state[name] = value_of(register, state) if one.size == 4 else None
        return None
    at = plus(value_of(place.base, state), number(place.offset))
    if place.index is not None:
        at = plus(at, shifted(value_of(place.index, state), "lsl", number(place.shift)))
    if place.step:
        base = value_of(place.base, state)
        stepped = plus(base, number(place.step))
        state[place.base.name] = stepped if one.condition is None else either(base, stepped)
    if one.kind == "load":
        state[register.name] = None
    return Access(_named(one, place, at), one.size, one.kind == "store")


def _named(one: Instruction, place: Place, at: Value) -> Linear:
    """The address with the parameter that it is behind, which is that of `place`."""
    if at is None and place.region:
        return Linear(place.region, None)
    if at is None or not at.region or at.region.startswith(CODE):
        raise Unfollowed(f"{_text(one)}: the address is behind no parameter")
    if place.region and place.region != at.region:
        raise Unfollowed(f"{_text(one)}: the address is behind '{at.region}', not '{place.region}'")
    return at


def _text(one: Instruction) -> str:
    registers = ", ".join(str(r) for r in (*one.all_writes, *one.read_registers))
    return f"{one.name} ({registers})"


@dataclass(frozen=True)
class Question:
    """Whether a difference compares to 0 in a way. It may be asked while `positive` are not below 0."""

    difference: Linear
    relation: str
    positive: tuple[Linear, ...] = ()


def question(flags: Value | Compared, name: str) -> Question | None:
    """What must be asked for a condition. None: nobody knows the answer."""
    if not isinstance(flags, Compared):
        return None
    if flags.differ:
        return _of_difference(flags.first, flags.second, name)
    if name not in ("eq", "ne", *linear.SIGNS):
        return None
    return _known(flags.first, linear.SIGNS.get(name, name))


def _of_difference(a: Value, b: Value, name: str) -> Question | None:
    difference = minus(a, b)
    if difference is None or a is None or b is None or a.constant is None or b.constant is None:
        return None
    difference = difference._replace(constant=a.constant - b.constant)  # without the wrap of 32 bits
    relation = linear.UNSIGNED.get(name)
    if relation is None:
        return _known(difference, linear.SIGNS.get(name, name))
    if a.is_number and b.is_number:
        bits = [v % (1 << linear.BITS) for v in (a.constant, b.constant)]
        return Question(linear.Linear("", bits[0] - bits[1]), relation)
    # addresses behind one parameter compare as their distances from it do
    return _known(difference, relation, () if a.region else (a, b))


def _known(difference: Value, relation: str, positive: tuple[Linear, ...] = ()) -> Question | None:
    if difference is None or difference.constant is None or difference.region:
        return None
    return Question(difference, relation, positive)
