"""Thumb code as the pipelines' models see it: what kind of work an instruction is, what it reads when, and what it writes.

Only what timing depends on; which registers play which part follows from the operands' places, as the decoder's own lists of
accesses have gaps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from smelt.errors import OptionError

Kind = Literal[
    "alu", "shift", "shifted", "bits", "mac", "divide", "nop", "it", "system",
    "load", "store", "load_many", "store_many",
    "branch", "call", "indirect", "table",
    "fadd", "fmac", "fdivide", "froot", "fmove", "fcore",
]  # fmt: skip
BRANCHES = ("branch", "call", "indirect", "table")
FLAGS = "flags"
NOTHING: frozenset[str] = frozenset()
LONGEST_IT_BLOCK = 2 + 4 * 4  # bytes

_REGISTER, _IMMEDIATE, _MEMORY = 1, 2, 3  # capstone's numbers
_ALWAYS = (0, 15)
_PC = "pc"

_BITS = (
    "sxtb", "sxth", "uxtb", "uxth", "sxtb16", "uxtb16", "sxtab", "sxtah", "uxtab", "uxtah", "sxtab16", "uxtab16",
    "bfi", "bfc", "sbfx", "ubfx", "rbit", "rev", "rev16", "revsh", "clz", "pkhbt", "pkhtb", "ssat", "usat", "ssat16", "usat16",
    "sel", "usad8", "usada8",
)  # fmt: skip
_PARALLEL = ("add8", "add16", "sub8", "sub16", "asx", "sax")
_SATURATING = ("qadd", "qsub", "qdadd", "qdsub")
_EXTENDED = ("sxtab", "sxtah", "uxtab", "uxtah", "sxtab16", "uxtab16")
_EARLY_BITS = (
    "sbfx",
    "ubfx",
    "rbit",
    "rev",
    "rev16",
    "revsh",
    "bfi",
    "sxtb",
    "sxth",
    "uxtb",
    "uxth",
    "sxtb16",
    "uxtb16",
)
_SHIFTS = ("lsl", "lsr", "asr", "ror", "rrx")
_COMPARES = ("cmp", "cmn", "tst", "teq", "vcmp", "vcmpe")
_LONG = ("smull", "umull", "smlal", "umlal", "umaal")
_SYSTEM = (
    "mrs",
    "msr",
    "dsb",
    "dmb",
    "isb",
    "cps",
    "svc",
    "bkpt",
    "udf",
    "vmrs",
    "vmsr",
    "fmstat",
    "wfi",
    "wfe",
    "sev",
)
_FLOAT_ROOTS = ("vsqrt",)
_FLOAT_MACS = ("vmla", "vmls", "vfma", "vfms", "vfnma", "vfnms", "vnmla", "vnmls")


@dataclass(frozen=True, slots=True)
class Op:
    """One instruction. `reads` are consumed by the ALU (or stored), `early` by the shifter before it, `address` by the address
    adder, `accumulator` by the adder behind the multiplier."""

    at: int
    size: int
    kind: Kind
    name: str
    reads: frozenset[str] = NOTHING
    early: frozenset[str] = NOTHING
    address: frozenset[str] = NOTHING
    accumulator: frozenset[str] = NOTHING
    writes: frozenset[str] = NOTHING  # results
    base: str = ""  # written back by the address adder
    registers: int = 1  # of a load or store
    bytes: int = 4  # of one register
    place: tuple[str, int] | None = None  # base register and displacement, if that is all there is to the address
    indexed: bool = False  # register offset
    sets_flags: bool = False
    conditional: bool = False
    loads_pc: bool = False
    is_float: bool = False

    @property
    def end(self) -> int:
        return self.at + self.size

    @property
    def narrow(self) -> bool:
        return self.size == 2

    @property
    def is_load(self) -> bool:
        return self.kind == "load"

    @property
    def is_store(self) -> bool:
        return self.kind == "store"

    @property
    def is_double(self) -> bool:
        """Whether it computes in double precision, or converts from or to it."""
        return self.is_float and any(r[0] == "d" for r in self.reads | self.accumulator | self.writes)

    @property
    def memory_reads(self) -> int:
        """How often it reads data: registers of single precision in a list count each, those of double precision as well."""
        return len(self.writes) if self.kind in ("load", "load_many") else int(self.kind == "table")

    @property
    def many(self) -> bool:
        return self.kind in ("load_many", "store_many")

    @property
    def is_branch(self) -> bool:
        return self.kind in BRANCHES or self.loads_pc


class Decoder:
    """Decodes blocks of Thumb code. Raises `OptionError` where capstone is missing."""

    def __init__(self) -> None:
        try:
            import capstone
        except ImportError as error:
            raise OptionError("the simulator needs capstone: pip install 'smelt[simulate]'") from error
        self._decoder = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
        self._decoder.detail = True
        self._known: dict[bytes, Op] = {}

    def block(self, code: bytes, address: int) -> tuple[Op, ...]:
        """The instructions of a block; what cannot be decoded counts as simple arithmetic."""
        found: list[Op] = []
        at = 0
        while at + 2 <= len(code):
            size = 4 if code[at + 1] >= 0xE8 else 2
            if count := _it_block(code, at):  # the decoder has to see it as a whole
                group = self._group(code[at:], address + at, count)
                found += group
                at += sum(op.size for op in group)
                continue
            raw = code[at : at + size]
            if raw not in self._known:
                self._known[raw] = self._group(raw, 0, 1)[0]
            found.append(replace(self._known[raw], at=address + at))
            at += size
        return tuple(found)

    def conditional_loads(self, code: bytes, address: int) -> Iterator[Op]:
        """The loads in the IT blocks of a function."""
        at = 0
        while at + 2 <= len(code):
            count = _it_block(code, at)
            group = self._group(code[at : at + LONGEST_IT_BLOCK], address + at, count) if count else []
            yield from (op for op in group if op.conditional and op.memory_reads)
            at += sum(op.size for op in group) or (4 if code[at + 1] >= 0xE8 else 2)

    def _group(self, code: bytes, address: int, count: int) -> list[Op]:
        found: list[Op] = []
        while len(found) < count and len(code) >= 2:
            before = len(found)
            for instruction in self._decoder.disasm(code, address, count - len(found)):
                found.append(_op(instruction))
            done = sum(op.size for op in found[before:])
            code, address = code[done:], address + done
            if len(found) < count and len(code) >= 2:
                size = 4 if code[1] >= 0xE8 else 2
                found.append(Op(address, size, "alu", "unknown"))
                code, address = code[size:], address + size
        return found


def _it_block(code: bytes, at: int) -> int:
    """How many instructions the IT block has that begins here, IT included; 0: none does."""
    if code[at + 1] != 0xBF or not code[at] & 15:
        return 0
    return 1 + 4 - (code[at] & -code[at] & 15).bit_length() + 1


def _op(i: Any) -> Op:
    name = i.insn_name()
    name = "mov" if name == "movs" else name
    common = {"at": i.address, "size": i.size, "name": name, "conditional": i.cc not in _ALWAYS}
    if name.startswith("v") or name == "fmstat":
        return _float(i, name, common)
    if name in ("ldm", "ldmdb", "pop", "stm", "stmdb", "push"):
        return _many(i, name, common)
    if name.startswith(("ldr", "str", "lda", "stl")):
        return _access(i, name, common)
    if name in ("b", "cbz", "cbnz", "bl", "blx", "bx", "bxns", "blxns", "tbb", "tbh"):
        return _branch(i, name, common)
    if name in ("hint", "nop", "it", *_SYSTEM):
        kind: Kind = "system" if name in _SYSTEM else "it" if name == "it" else "nop"
        return Op(kind=kind, writes=frozenset(_registers(i)[:1]) if name == "mrs" else NOTHING, **common)
    return _data(i, name, common)


def _registers(i: Any) -> list[str]:
    return [i.reg_name(o.reg) for o in i.operands if o.type == _REGISTER]


def _branch(i: Any, name: str, common: dict[str, Any]) -> Op:
    registers = frozenset(_registers(i))
    conditional = common.pop("conditional") or name in ("cbz", "cbnz")
    reads = registers | ({FLAGS} if conditional and not registers else set())
    kind: Kind = "table" if name in ("tbb", "tbh") else "indirect" if name.startswith(("bx", "blx")) else "branch"
    kind = "call" if name == "bl" else kind
    links = {"lr"} if name in ("bl", "blx") else set()
    return Op(kind=kind, reads=frozenset(reads), writes=frozenset(links), conditional=conditional, **common)


def _many(i: Any, name: str, common: dict[str, Any]) -> Op:
    registers = _registers(i)
    base = "sp" if name in ("push", "pop") else registers.pop(0)
    written = base if name in ("push", "pop") or i.writeback else ""
    loads = name.startswith(("ldm", "pop"))
    return Op(
        kind="load_many" if loads else "store_many",
        reads=NOTHING if loads else frozenset(registers),
        writes=frozenset(registers) if loads else NOTHING,
        address=frozenset({base}), base=written, registers=len(registers), loads_pc=loads and _PC in registers, **common,
    )  # fmt: skip


def _access(i: Any, name: str, common: dict[str, Any]) -> Op:
    memory = next((o.mem for o in i.operands if o.type == _MEMORY), None)
    registers = _registers(i)
    base = i.reg_name(memory.base) if memory is not None else _PC
    index = i.reg_name(memory.index) if memory is not None and memory.index else ""
    loads, pair = name.startswith("ld"), name in ("ldrd", "strd")
    data = registers[: 2 if pair else 1]
    if name.startswith("strex"):
        data = registers[1:2]
    address = frozenset({base, index} - {"", _PC})
    displacement = 0 if i.post_index or memory is None else memory.disp
    kind = _access_kind(loads, pair)
    return Op(
        kind=kind,
        reads=NOTHING if loads else frozenset(data),
        writes=frozenset(data) if loads else NOTHING,
        address=address,
        base=base if i.writeback else "",
        registers=len(data),
        bytes=1 if name[3:].rstrip("t").endswith("b") else 2 if name[3:].rstrip("t").endswith("h") else 4,
        place=None if index or base == _PC else (base, displacement),
        indexed=bool(index),
        loads_pc=loads and _PC in data,
        **common,
    )


def _access_kind(loads: bool, many: bool) -> Kind:
    if loads:
        return "load_many" if many else "load"
    return "store_many" if many else "store"


def _data(i: Any, name: str, common: dict[str, Any]) -> Op:
    operands = list(i.operands)
    registers = _registers(i)
    compares = name in _COMPARES
    targets = [] if compares else registers[: 2 if name in _LONG or name.startswith(("smlal", "smlsl")) else 1]
    sources = registers if compares or _two_operand(i, registers) else registers[len(targets) :]
    flags = bool(i.update_flags) or compares
    reads = set(sources)
    if common["conditional"]:
        reads |= {FLAGS, *targets}  # a skipped instruction leaves the old value
    if name in ("adc", "sbc", "sel"):
        reads.add(FLAGS)
    kind, early, accumulator = _arithmetic(name, operands, i, registers, sources)
    if _PC in targets:
        return Op(kind="indirect", reads=frozenset(reads), **common)
    reads -= early | accumulator if kind != "alu" else set()
    if name in ("bfi", "movt", "bfc"):
        reads |= set(targets)
    return Op(
        kind=kind, reads=frozenset(reads - {_PC}), early=frozenset(early), accumulator=frozenset(accumulator),
        writes=frozenset(targets) | ({FLAGS} if flags else NOTHING), sets_flags=flags, **common,
    )  # fmt: skip


def _two_operand(i: Any, registers: list[str]) -> bool:
    """`adds r0, #1` or `add r0, r1`: the target is a source, too."""
    name = i.insn_name()
    if name in ("mov", "movs", "movw", "mvn", "movt", "sxtb", "sxth", "uxtb", "uxth", "sxtb16", "uxtb16", "clz", "adr"):
        return False
    if name.startswith(("rev", "rbit", "ssat", "usat", "sbfx", "ubfx", "bf", "neg", "rsb")):
        return False
    return len(i.operands) == 2


def _arithmetic(
    name: str, operands: list[Any], i: Any, registers: list[str], sources: list[str]
) -> tuple[Kind, set[str], set[str]]:
    """The kind, the registers that the shifter reads, and the accumulators."""
    if name in ("sdiv", "udiv"):
        return "divide", set(), set()
    if name.startswith(("mul", "mla", "mls", "sml", "smm", "smu", "sms", "uml", "umu", "uma", "smull", "umull")):
        return "mac", set(), _accumulators(name, registers)
    shifted = {i.reg_name(o.reg) for o in operands if o.type == _REGISTER and o.shift.type}
    if name in _BITS or name in _SATURATING or name.endswith(_PARALLEL):
        early = shifted | ({sources[-1]} if sources and name in (*_EARLY_BITS, *_EXTENDED, "pkhbt", "pkhtb") else set())
        return "bits", early, {sources[0]} if name in _EXTENDED and len(sources) > 1 else set()
    if shifted:
        return "shifted", shifted, set()
    if name in _SHIFTS:
        return "shift", set(), set()
    immediate = next((o.imm for o in reversed(operands) if o.type == _IMMEDIATE), None)
    constants = ("movw", "movt", "adr", "addw", "subw")
    if immediate is not None and _is_shifted_constant(immediate) and i.size == 4 and name not in constants:
        return "shifted", set(), set()
    return "alu", set(), set()


def _accumulators(name: str, registers: list[str]) -> set[str]:
    if name.startswith(("smlal", "umlal", "umaal", "smlsl")):
        return set(registers[:2])
    added = name.startswith(("mla", "mls", "smla", "smls", "smmla", "smmls"))
    return {registers[3]} if added and len(registers) > 3 else set()


def _is_shifted_constant(immediate: int) -> bool:
    """Whether a constant is an 8-bit value moved up, neither small nor a repeated pattern."""
    value = immediate & 0xFFFFFFFF
    low, half = value & 0xFF, value & 0xFFFF
    repeated = value in (low * 0x00010001, (half & 0xFF00) * 0x00010001, low * 0x01010101)
    return value > 0xFF and not repeated


def _float(i: Any, name: str, common: dict[str, Any]) -> Op:
    registers = _registers(i)
    common |= {"is_float": True}
    if name in ("vldr", "vstr"):
        memory = next(o.mem for o in i.operands if o.type == _MEMORY)
        base = i.reg_name(memory.base)
        double, loads = registers[0].startswith("d"), name == "vldr"
        kind = _access_kind(loads, double)
        return Op(
            kind=kind,
            reads=NOTHING if loads else frozenset(registers[:1]), writes=frozenset(registers[:1]) if loads else NOTHING,
            address=frozenset({base} - {_PC}), registers=2 if double else 1,
            place=None if base == _PC else (base, memory.disp), **common,
        )  # fmt: skip
    if name.startswith(("vldm", "vstm", "vpush", "vpop")):
        stack = name in ("vpush", "vpop")
        base = "sp" if stack else registers.pop(0)
        count = sum(2 if r.startswith("d") else 1 for r in registers)
        loads = name.startswith(("vldm", "vpop"))
        return Op(
            kind="load_many" if loads else "store_many", reads=NOTHING if loads else frozenset(registers),
            writes=frozenset(registers) if loads else NOTHING, address=frozenset({base}),
            base=base if stack or i.writeback else "", registers=count, **common,
        )  # fmt: skip
    return _float_arithmetic(name, registers, common)


def _float_arithmetic(name: str, registers: list[str], common: dict[str, Any]) -> Op:
    if name in ("fmstat", "vmrs", "vmsr"):
        return Op(kind="fcore", reads=frozenset({"fpflags"}), writes=frozenset({FLAGS}), **common)
    if name.startswith("vcmp"):
        return Op(kind="fadd", reads=frozenset(registers), writes=frozenset({"fpflags"}), **common)
    if name in _FLOAT_MACS:
        return Op(
            kind="fmac", reads=frozenset(registers[1:]), accumulator=frozenset(registers[:1]),
            writes=frozenset(registers[:1]), **common,
        )  # fmt: skip
    core = [r for r in registers if r[0] not in "sd" or r == "sp"]
    if name == "vmov":
        half = len(registers) // 2
        kind: Kind = "fcore" if core else "fmove"
        return Op(
            kind=kind, reads=frozenset(registers[half:]), writes=frozenset(registers[:half] or registers), **common
        )
    kind = "fdivide" if name.startswith("vdiv") else "froot" if name in _FLOAT_ROOTS else "fadd"
    return Op(kind=kind, reads=frozenset(registers[1:]), writes=frozenset(registers[:1]), **common)
