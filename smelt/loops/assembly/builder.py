"""`Assembler`: routines are written by plain Python functions, an instruction per call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from smelt.loops.assembly.ir import (
    SP,
    Block,
    Code,
    Condition,
    Instruction,
    Label,
    Lead,
    Operand,
    Part,
    Place,
    Register,
    Repeat,
    Shifted,
    Size,
    Slot,
    instruction,
)  # fmt: skip

IN_REGISTERS = 4  # arguments; the others lie on the stack


class Assembler:
    """Collects the parts of one routine. Registers are made by name; parameters in registers are there from the start."""

    def __init__(self, name: str, parameters: Sequence[str]) -> None:
        self.name = name
        self.parameters = tuple(parameters)
        self._slots: list[Slot] = []
        self._parts: list[Part] = []
        self._label, self._align = "start", 0
        self._body: list[Instruction] = []
        self._count = self._room = 0

    # --- values ---------------------------------------------------------------------------------------------------------

    def register(self, name: str) -> Register:
        """A new register; names need not differ."""
        self._count += 1
        return Register(f"{name}.{self._count}")

    def registers(self, name: str, count: int) -> list[Register]:
        return [self.register(f"{name}{i}") for i in range(count)]

    def float(self, name: str, fixed: str | None = None) -> Register:
        """A new register of the floating-point unit; with `fixed` that one."""
        return Register(fixed, fixed, "float") if fixed else replace(self.register(name), bank="float")

    def argument(self, name: str) -> Register:
        """One of the first four parameters, in the register it comes in. Raises ValueError for the others."""
        number = self.parameters.index(name)
        if number >= IN_REGISTERS:
            raise ValueError(f"{self.name}: {name} comes on the stack")
        return Register(name, f"r{number}")

    def passed(self, name: str) -> Slot:
        """Where a parameter lies that comes on the stack."""
        number = self.parameters.index(name) - IN_REGISTERS
        if number < 0:
            raise ValueError(f"{self.name}: {name} comes in a register")
        return Slot(name, number, argument=True)

    def slot(self, name: str) -> Slot:
        """A new word on the stack."""
        self._slots.append(Slot(name, len(self._slots)))
        return self._slots[-1]

    def room(self, name: str, words: int) -> Slot:
        """Several new words on the stack, the first of them; `address` says where they are. They come before all slots."""
        if self._room != len(self._slots):
            raise ValueError(f"{self.name}: {name} comes before slots")
        first, *_ = [self.slot(name) for _ in range(words)]
        self._room += words
        return first

    # --- instructions ---------------------------------------------------------------------------------------------------

    def do(self, name: str, *operands: Operand, condition: Condition | None = None) -> None:
        """Any instruction."""
        self._body.append(instruction(name, *operands, condition=condition))

    def new(self, name: str, *operands: Operand, into: str = "t") -> Register:
        """An instruction whose result goes to a new register."""
        result = self.register(into)
        self.do(name, result, *operands)
        return result

    def get(self, slot: Slot, into: Register | None = None) -> Register:
        """What a slot holds."""
        into = into or self.register(slot.name)
        self.do("ldr", into, Place(SP, slot=slot))
        return into

    def put(self, slot: Slot, value: Register) -> None:
        self.do("str", value, Place(SP, slot=slot))

    def address(self, room: Slot, offset: int = 0, into: Register | None = None) -> Register:
        """Where a room on the stack begins, or `offset` bytes behind that: what it holds is reached by such addresses only, in the
        region `STACK`."""
        into = into or self.register(room.name)
        self.do("add", into, SP, 4 * room.number + offset)
        return into

    # --- control --------------------------------------------------------------------------------------------------------

    def label(self, name: str, align: int = 0) -> None:
        """What follows can be branched to."""
        self._close(None)
        self._label, self._align = name, align

    def branch(self, condition: Condition | None, label: str) -> None:
        """Go there, where the flags say so."""
        self._close(instruction("b", Label(label), condition=condition))

    def enter(self, loop: str, length: int, skipped: Register) -> Register:
        """The address of the turn of a loop of `length` instructions that leaves out `skipped` turns of the first round."""
        base, size = self.new("adr", Label(loop)), self.new("mov", Size(loop, length))
        address = self.new("mla", skipped, size, base, into="entry")
        return self.new("add", address, 1, into="entry")  # Thumb

    def jump(self, address: Register) -> None:
        """Into the loop that follows, at an address made by `enter`."""
        self._close(instruction("bx", address))

    @contextmanager
    def apart(self) -> Iterator[list[Instruction]]:
        """Instructions that are collected for another use."""
        kept, self._body = self._body, []
        collected: list[Instruction] = self._body
        yield collected
        self._body = kept

    def repeat(
        self,
        label: str,
        body: Sequence[Instruction],
        ends: Sequence[Instruction],
        condition: Condition,
        unroll: int,
        held: tuple[str, ...] = (),
    ) -> None:
        """A loop: see `Repeat`. It goes on while `condition` holds after `ends`."""
        self._close(None)
        again = instruction("b", Label(label), condition=condition)
        self._parts.append(Repeat(label, tuple(body), tuple(ends), again, unroll, held))
        self._label, self._align = f"{label}.end", 0

    def _close(self, exit: Instruction | None) -> None:
        if self._body or exit is not None or self._label:
            self._parts.append(Block(self._label, tuple(self._body), exit, self._align))
        self._body, self._label, self._align = [], "", 0

    def finish(self) -> Code:
        """The routine; it returns at the end of its last part."""
        self._close(None)
        parts = tuple(p for p in self._parts if isinstance(p, Repeat) or p.body or p.exit or p.label)
        return Code(self.name, self.parameters, len(self._slots), parts, self._room)


__all__ = ["Assembler", "Lead", "Place", "Shifted"]
