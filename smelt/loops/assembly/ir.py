"""The assembly IR: instructions of Thumb-2 with virtual registers, what they read and write, and routines made of them.

An instruction's operands play the roles that timing tells apart: a value is read by the arithmetic stage (`use`), by a
multiplier (`multiply`), by the adder behind it (`accumulate`), by a shifter before the arithmetic (`early`), as an address, or
to be stored. Instructions are 32 bits wide but for `bx`, so that code that begins at a word stays at words; the printer
shortens neighbours by twos, and where `Timing.short` says so all that it can.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Kind = Literal["alu", "shift", "shifted", "bits", "mac", "load", "store", "branch", "fadd", "fmac", "fdivide", "fcore"]
Bank = Literal["core", "float"]
Role = Literal["use", "multiply", "accumulate", "early", "address", "store"]
Condition = Literal["eq", "ne", "hs", "lo", "hi", "ls", "ge", "lt", "gt", "le", "mi", "pl"]
WIDE = 4  # bytes of an instruction


@dataclass(frozen=True)
class Register:
    """A value's place, by name; `fixed` is the real register that it must be (parameters come in r0 to r3). Those of the
    floating-point unit are a bank of their own."""

    name: str
    fixed: str | None = None
    bank: Bank = "core"

    def __str__(self) -> str:
        return self.name

    def __hash__(self) -> int:
        return hash(self.name)


FLAGS = Register("flags", "flags")
SP = Register("sp", "sp")
FPSCR = Register("fpscr", "fpscr")
SPECIAL = (FLAGS, SP, FPSCR)
STACK = SP.name
"""The region of what lies on the stack and is reached by addresses."""


@dataclass(frozen=True)
class Shifted:
    """A register moved on its way: `asr #8`, `ror #8`."""

    register: Register
    how: Literal["lsl", "lsr", "asr", "ror"]
    count: int


@dataclass(frozen=True)
class Lead:
    """A constant that scheduling decides: the bytes by which a loop's loads run ahead of it in `pointer`; 0 where they do not."""

    loop: str
    pointer: Register


@dataclass(frozen=True)
class Size:
    """A constant that printing decides: the bytes of a turn of a loop, of `length` instructions."""

    loop: str
    length: int


@dataclass(frozen=True)
class Slot:
    """A word on the routine's stack, `number` words from its end; with `argument` a word that the caller put there."""

    name: str
    number: int
    argument: bool = False


@dataclass(frozen=True)
class Place:
    """An address: a register, and a constant or another register beside it; `step` is added to the register afterwards.

    `region` is the parameter through which the memory was reached, or "" where nobody knows; slots know their place themselves.
    `table`: it holds constants, which often lie in another memory than all else.
    """

    base: Register
    offset: int = 0
    index: Register | None = None
    shift: int = 0
    step: int = 0
    region: str = ""
    slot: Slot | None = None
    table: bool = False


@dataclass(frozen=True)
class Label:
    name: str


Operand = Register | int | Shifted | Lead | Size | Place | Label

SHAPES: dict[str, tuple[Kind, str]] = {
    **dict.fromkeys(("smlad", "smlabb", "smlabt", "smlatb", "smlatt", "smmla", "smmlar", "mla", "mls"), ("mac", "wmma")),
    **dict.fromkeys(("smlawb", "smlawt"), ("mac", "wmma")),
    **dict.fromkeys(("mul", "smmulr", "smuad", "smulbb", "smultt"), ("mac", "wmm")),
    **dict.fromkeys(("sxtb16", "uxtb16"), ("bits", "we")),
    **dict.fromkeys(("sadd16", "ssub16", "shadd16", "usub8", "uqadd8"), ("bits", "wuu")),
    **dict.fromkeys(("pkhbt", "pkhtb", "sxtab16"), ("bits", "wue")),
    "uxtah": ("bits", "wae"),
    **dict.fromkeys(("ssat", "usat", "usat16"), ("bits", "w#u")),
    "ubfx": ("bits", "we##"),
    "bfi": ("bits", "bu##"),
    **dict.fromkeys(("add", "sub", "rsb", "and", "bic", "eor", "orr", "adds", "subs", "ands"), ("alu", "wuu")),
    **dict.fromkeys(("mov", "mvn", "adr", "movw"), ("alu", "wu")),
    "movt": ("alu", "b#"),
    **dict.fromkeys(("lsl", "lsr", "asr", "lsls"), ("shift", "wuu")),
    **dict.fromkeys(("cmp", "tst"), ("alu", "uu")),
    **dict.fromkeys(("ldr", "ldrb", "ldrsb", "ldrh", "ldrsh", "vldr"), ("load", "wp")),
    **dict.fromkeys(("str", "strb", "strh"), ("store", "sp")),
    **{f"vldmia {count + 1}": ("load", "p" + "w" * count) for count in (4, 8)},
    "vstmia 9": ("store", "p" + "s" * 8),
    **dict.fromkeys(("vmul.f32", "vadd.f32"), ("fadd", "wuu")),
    "vfma.f32": ("fmac", "cmm"),
    "vdiv.f32": ("fdivide", "wuu"),
    **dict.fromkeys(("vcvt.s16.f32", "vcvt.s32.f32"), ("fadd", "bu#")),
    "vcvtr.s32.f32": ("fadd", "wu"),
    **dict.fromkeys(("vmov", "vmrs", "vmsr"), ("fcore", "wu")),
    "vmov 4": ("fcore", "wwuu"),
    "b": ("branch", "l"),
    "bx": ("branch", "u"),
}  # fmt: skip
"""Of each instruction its kind and, for each operand, what happens to it: written, read in a role, both, a place, a constant.
With a number behind the name: of those with so many operands."""
ROLES: dict[str, Role] = {
    "u": "use",
    "m": "multiply",
    "a": "accumulate",
    "e": "early",
    "s": "store",
    "b": "use",
    "c": "accumulate",
}
SETS_FLAGS = ("adds", "subs", "ands", "lsls", "cmp", "tst")
COMPUTES: tuple[Kind, ...] = ("fadd", "fmac", "fdivide")
"""Kinds that change FPSCR, in any order: nobody reads it between them."""
MULTIPLE = ("vldmia", "vstmia")
"""A place and the registers that lie there side by side."""
SIZES = {
    "ldr": 4,
    "str": 4,
    "vldr": 4,
    "ldrb": 1,
    "ldrsb": 1,
    "strb": 1,
    "ldrh": 2,
    "ldrsh": 2,
    "strh": 2,
}


@dataclass(frozen=True)
class Instruction:
    """One instruction. What it reads and writes follows from its operands."""

    name: str
    operands: tuple[Operand, ...]
    kind: Kind
    reads: tuple[tuple[Register, Role], ...]
    writes: tuple[Register, ...]
    base: Register | None = None  # stepped on after the access
    place: Place | None = None
    condition: Condition | None = None

    @property
    def size(self) -> int:
        """Bytes of memory that it reads or writes."""
        return 4 * (len(self.operands) - 1) if self.name in MULTIPLE else SIZES[self.name]

    @cached_property
    def reading(self) -> frozenset[Register]:
        """The registers that it reads."""
        return frozenset(self.read_registers)

    @cached_property
    def writing(self) -> frozenset[Register]:
        """The registers that it writes."""
        return frozenset(self.all_writes)

    @property
    def all_writes(self) -> tuple[Register, ...]:
        return self.writes if self.base is None else (*self.writes, self.base)

    @property
    def read_registers(self) -> tuple[Register, ...]:
        return tuple(r for r, _ in self.reads)


def instruction(name: str, *operands: Operand, condition: Condition | None = None) -> Instruction:
    """An instruction of `SHAPES`. Raises ValueError for operands that do not fit it."""
    kind, shape = SHAPES.get(f"{name} {len(operands)}") or SHAPES[name]
    if len(operands) != len(shape):
        raise ValueError(f"{name} has {len(shape)} operands, not {len(operands)}")
    reads: list[tuple[Register, Role]] = []
    writes: list[Register] = []
    place = None
    for operand, part in zip(operands, shape, strict=True):
        if part in "wbc":
            if not isinstance(operand, Register):
                raise ValueError(f"{name} writes a register, not {operand}")
            writes.append(operand)
        if part == "p":
            if not isinstance(operand, Place):
                raise ValueError(f"{name} goes to a place, not {operand}")
            place = operand
            reads += [(r, "address") for r in (operand.base, operand.index) if r is not None]
        elif part in ROLES and isinstance(operand, Register):
            reads.append((operand, ROLES[part]))
        elif isinstance(operand, Shifted):
            reads.append((operand.register, "early"))
    if (
        kind == "alu"
        and any(isinstance(o, Shifted) or is_moved_constant(o) for o in operands)
        and name not in ("movw", "movt")
    ):
        kind = "shifted"
    if name in SETS_FLAGS:
        writes.append(FLAGS)
    if condition is not None:
        reads.append((FLAGS, "use"))
    if kind in COMPUTES:
        reads.append((FPSCR, "use"))
    base = place.base if place is not None and place.step else None
    return Instruction(name, operands, kind, tuple(reads), tuple(writes), base, place, condition)


def is_moved_constant(operand: Operand) -> bool:
    """Whether a constant is an 8-bit value moved up, neither small nor a repeated pattern: it takes the shifter."""
    if not isinstance(operand, int):
        return False
    value = operand & 0xFFFFFFFF
    low, half = value & 0xFF, value & 0xFFFF
    return value > 0xFF and value not in (low * 0x00010001, (half & 0xFF00) * 0x00010001, low * 0x01010101)


@dataclass(frozen=True)
class Block:
    """Instructions in a row, with a branch at the end or without. `align` is that of its first one, a power of two; `turn`: after
    how many instructions it may be entered, and after as many more; 0: only at its beginning."""

    label: str
    body: tuple[Instruction, ...]
    exit: Instruction | None = None
    align: int = 0
    turn: int = 0

    @property
    def repeats(self) -> bool:
        """Whether it goes back to its own beginning."""
        return self.exit is not None and Label(self.label) in self.exit.operands


@dataclass(frozen=True)
class Repeat:
    """A loop whose body is written out `unroll` times: rounds, between which `ends` and the branch `exit` stand.

    It is entered at any turn of the first round: see `Assembler.enter`. Loads may be done a turn early, and then read as much more
    behind the end; but not those of the regions `held`, behind whose ends nothing lies.
    """

    label: str
    body: tuple[Instruction, ...]
    ends: tuple[Instruction, ...]
    exit: Instruction
    unroll: int
    held: tuple[str, ...] = ()


Part = Block | Repeat


@dataclass(frozen=True)
class Code:
    """A routine: the names of its parameters as C passes them, `words` of stack for itself, and its parts. The first of these,
    `room`, are reached by addresses, in the region `STACK`."""

    name: str
    parameters: tuple[str, ...]
    words: int
    parts: tuple[Part, ...]
    room: int = 0

    @property
    def instructions(self) -> Iterator[Instruction]:
        for part in self.parts:
            yield from part.body
            if isinstance(part, Repeat):
                yield from part.ends
            if part.exit is not None:
                yield part.exit
