"""The nouns of ON WHAT: `Isa`, `Core`, `Memory`, `Chip`, `Board`, and what they are made of. Data only; every number names its
source where it is written: cores in `cores/`, a file each; chips in `chips/`; boards in `boards.py`. Other rooms ask these values,
and never for names.

All times are cycles of the core's clock with the chip at the full clock of its board.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from smelt.loops.assembly.timing import Timing
from smelt.loops.ir import Intrinsic
from smelt.nouns import Noun
from smelt.targets.cluster import Bursts, Cluster
from smelt.targets.energy import Energies
from smelt.targets.intrinsics import ADD_DOT, SMLAD
from smelt.targets.registers import Clock, Pin, Uart

KB = 1024
MB = 1024 * KB

Contents = Literal["code", "data"]
Role = Literal["fast", "main", "extra", "extra2", "extra3", "extra4", "external", "external2"]
"""What a RAM is to an application, on whatever chip: tightly coupled to the core; the RAM where variables usually go; the others,
in the order in which plans take them; those of other chips on the board."""

Family = Literal["arm", "riscv"]
Replacement = Literal["lru", "random"]
CODE_BUS, RAM_BUS = 1, 2


# --- cores --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Isa:
    """An instruction set as far as hand-written code depends on it. The files are those of `firmware/support/`."""

    name: str
    family: Family  # whose registers, exceptions and debug architecture it has
    start_up: str  # reset and exceptions
    session_entry: str  # in `session/`: where a session enters the device
    code_bit: int = 0  # what a pointer to code has besides its address
    aligned_only: bool = False  # a word or halfword that does not lie at a multiple of its size faults
    cycle_counter: bool = False  # Arm: the core may have DWT_CYCCNT


THUMB = Isa("thumb", "arm", "startup_thumb.c", "entry_thumb.S", code_bit=1, cycle_counter=True)
"""Armv7-M, Armv8-M with the main extension, and later ones: Thumb-2."""

ARMV6M = Isa("armv6m", "arm", "startup_armv6m.S", "entry_armv6m.S", code_bit=1, aligned_only=True)
"""Armv6-M and Armv8-M Baseline: Thumb without most of Thumb-2. Words and halfwords lie at their multiples, or the access faults."""

RISCV32 = Isa("riscv32", "riscv", "startup_riscv32.S", "entry_riscv32.S")

XPULPV2 = Isa("xpulpv2", "riscv", "startup_xpulpv2.S", "entry_riscv32.S")
"""RV32IMC and PULP's second set of extensions: loops in hardware, pointers that move on, vectors of bytes and halfwords."""


@dataclass(frozen=True)
class Style:
    """What kernels ask about a core, to begin with the schedule that suits it."""

    issue: int = 1  # instructions that may start in one cycle
    loads_overlap: bool = False  # a load costs a cycle less right behind another one
    cheap_unaligned: bool = True  # words at any address cost about as little as aligned ones
    one_code_bus: bool = False  # constants in flash and instructions compete for one bus
    cached_bytes: int | None = 192
    """Of weights in flash that are still near the core when an inner loop needs them again; None: however many."""


@dataclass(frozen=True)
class CoreTiming:
    """The core's own costs, in cycles. The pipelines' rules (chaining, pairing, forwarding) are code, in `devices/simulators`."""

    pipeline: str  # the name of its model, in `devices/simulators/pipelines.py`
    validated: bool  # against published measurements
    divide: int  # a typical SDIV or UDIV; the real one depends on its operands
    taken: int  # what a taken direct branch adds to its own issue
    indirect: int  # what a taken branch to a register adds
    load_pc: int  # what loading the program counter adds
    misaligned_target: int  # a branch to a 32-bit instruction that is not word-aligned
    unaligned_load: int  # an access that crosses a word
    multiply: int = 1  # MUL, where that depends on the chip's or the core's multiplier
    multiply_add: int = 1  # MLA, MLS
    multiply_long: int = 1  # SMULL, UMULL
    multiply_long_add: int = 1  # SMLAL, UMLAL
    mispredicted: int = 0  # dynamic branch prediction only: flags set just before the branch
    mispredicted_early: int = 0  # the same, flags set at least three cycles before
    float_add: int = 1
    float_mac: int = 3
    float_divide: int = 14
    float_root: int = 14
    double_add: int = 0  # double precision, where there is any: cycles in which no other arithmetic of that unit begins
    double_multiply: int = 0
    double_mac: int = 0
    double_divide: int = 0
    double_root: int = 0
    chains_across_memories: bool = True  # whether a load overlaps one from another memory just before it


@dataclass(frozen=True)
class FloatUnit:
    """A floating-point unit for single precision at least: how to compile for a core that has it, in place of `Core.zig` and
    `Core.gcc`."""

    zig: tuple[str, ...]
    gcc: tuple[str, ...]
    fused: bool = True  # a fused multiply-add is as fast as a product and a sum, or faster


@dataclass(frozen=True)
class Core(Noun):
    """A processor: its instruction set, how to compile for it, and what it is good at. `intrinsics` are the ones that are single
    instructions here."""

    name: str
    isa: Isa
    zig: tuple[str, ...]  # flags of the bundled compiler
    gcc: tuple[str, ...]  # program name first, then flags
    floats: FloatUnit | None = field(default=None, repr=False)  # None: floating-point arithmetic is done in software
    software_mac: int = field(default=0, repr=False)  # cycles of a product and a sum of floats in software, simulated
    doubles: FloatUnit | None = field(default=None, repr=False)  # the unit of chips whose core has double precision
    intrinsics: tuple[Intrinsic, ...] = ()
    style: Style = field(default=Style(), repr=False)
    timing: CoreTiming | None = field(default=None, repr=False)  # None: nobody has written a model of its time
    scheduling: Timing = field(default=Timing(), repr=False)
    """By what routines in assembly are put in order."""
    cycles_per_instruction: float = 1.0
    """Of the static cost of kernels, where nothing is measured: the median of the MLPerf Tiny models' steps."""
    caches: bool = False  # instruction and data caches inside the core, which the startup code switches on
    mpu: bool = False  # it has the MPU of Armv7-M
    cpuid: int | None = None  # what an Arm core's CPUID register holds
    emulator: str | None = None  # Unicorn's name of it; None: it has none, or needs none
    breakpoint_unit: int = field(default=2, repr=False)  # the version of an Arm core's FPB
    coresight_ids: bool = field(default=False, repr=False)  # its debug components identify themselves as Armv8-M's do
    cycle_csr: int | None = field(default=None, repr=False)
    """RISC-V: the first of three registers: which event is counted (bit 0: cycles), whether it is (bit 0), how many there were."""

    def has(self, intrinsic: str) -> bool:
        return any(i.name == intrinsic for i in self.intrinsics)

    @property
    def counts_cycles(self) -> bool:
        """Whether a program can read a counter of cycles."""
        return self.isa.cycle_counter or self.cycle_csr is not None

    @property
    def macs_per_cycle(self) -> int:
        """The most multiply-accumulates of integers in a cycle, by the instructions that it has."""
        return 4 if self.has(ADD_DOT.name) else 2 if self.has(SMLAD.name) else 1

    @property
    def part(self) -> int | None:
        """The part number in CPUID."""
        return None if self.cpuid is None else self.cpuid >> 4 & 0xFFF

    @property
    def timed(self) -> CoreTiming:
        """`timing` where there is one; raises `KeyError` where there is none."""
        if self.timing is None:
            raise KeyError(self.name)
        return self.timing


# --- memories -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cache:
    """A set-associative cache of `size` bytes."""

    name: str
    size: int
    ways: int
    line: int
    replacement: Replacement = "lru"


@dataclass(frozen=True)
class Path:
    """How the core reaches a memory, and how long it waits for it; by default not at all. `instructions` and `data` are the caches
    on the way, which several memories may share.

    `first` is the stall until the missing word is there; `line` the time from one line to the next when lines are read in sequence
    ahead of the core (`prefetch`); `busy` how long the way stays occupied after the missing word. Without a cache every access
    stalls for `first`. Code and data on the same `bus` (0: a path of their own) compete: a read of data takes a cycle in which no
    instructions can be fetched, which the core feels when it needs a word of instructions every cycle.
    """

    first: int = 0
    line: int = 0
    busy: int = 0
    prefetch: bool = False
    instructions: Cache | None = None
    data: Cache | None = None
    bus: int = 0


@dataclass(frozen=True)
class Memory:
    """A range of addresses. `holds` says what may live there: flash holds code (and constants), RAM data (and the
    stack). Each RAM for data has a `role`, which generated C calls it by.

    An `external` memory is another chip on the board, behind a controller that must be set up before anything is there: nothing
    runs from it, and neither the stack nor the firmware's own variables are in it. One of code is flash for tables.

    On chips where programs move data between them, memories have a `level`: 1 is the one that kernels compute in. One that is not
    `mapped` has addresses of its own, which only a DMA knows.
    """

    name: str
    start: int
    size: int
    holds: Contents
    role: Role | None = field(default=None, repr=False)
    path: Path = field(default=Path(), repr=False)
    aliases: tuple[int, ...] = ()  # other start addresses of the very same bytes
    reads_at: int | None = field(default=None, repr=False)  # the alias where data is read, if not at `start`
    fetches_at: int | None = field(
        default=None, repr=False
    )  # the alias where instructions are fetched, if not at `start`
    external: bool = field(default=False, repr=False)
    level: int = field(default=0, repr=False)
    mapped: bool = field(default=True, repr=False)

    @property
    def end(self) -> int:
        return self.start + self.size


# --- chips and boards ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setup:
    """A register that the startup code changes before anything else: it sets `value` after clearing `clear`."""

    address: int
    value: int
    clear: int
    why: str


@dataclass(frozen=True)
class Reach:
    """How a DMA reaches a memory: in bursts of beats of up to `unit` bytes. A burst takes `first` cycles to its first beat and
    `beat` for each further one. `tightly`: through the port of the tightly coupled memories, which a program must say."""

    memory: str
    unit: int
    first: int
    beat: int
    tightly: bool = False

    def cycles(self, size: int, unit: int, burst: int) -> int:
        """Of moving `size` bytes in units of `unit` bytes, up to `burst` of them in a burst."""
        beats = -(-size // min(unit, self.unit))
        bursts = -(-beats // burst)
        return bursts * self.first + (beats - bursts) * self.beat


@dataclass(frozen=True)
class Dma(Noun):
    """What moves bytes between memories while the core computes. Times are cycles of the core's clock, as everywhere.

    A transfer takes `begin` cycles from its request to its first burst; then buffers of up to `buffer` bytes are read and, when
    they are there, written, one after the other. Meanwhile each line that the core's caches fetch delays it by `line`, each access
    of the core to a tightly coupled memory that it reaches by `access` thousandths of a cycle. Channels take turns.
    """

    name: str
    interface: str  # whose registers it has: simulators and support code know them by this name
    registers: int  # the address of the first
    channels: int
    reaches: tuple[Reach, ...]
    buffer: int = field(repr=False)
    burst: int = field(repr=False)  # beats, at most
    rows: int = field(repr=False)  # that one transfer may have
    row_bytes: int = field(repr=False)  # at most
    begin: int = field(repr=False)
    line: int = field(default=0, repr=False)
    access: int = field(default=0, repr=False)
    register_read: int = field(default=0, repr=False)  # what the core waits for one of its registers
    register_write: int = field(default=0, repr=False)
    setup: tuple[Setup, ...] = field(default=(), repr=False)  # registers to change before it is used

    def reach(self, memory: str) -> Reach | None:
        """How it reaches a memory; None if it does not."""
        return next((r for r in self.reaches if r.memory == memory), None)

    def cycles(self, source: Reach, target: Reach, row: int, rows: int = 1, grain: int = 128) -> int:
        """Of a move of `rows` rows of `row` bytes at multiples of `grain`, with nobody in the way."""
        whole, rest = divmod(row, self.buffer)
        sizes = ((self.buffer, whole), (rest, 1 if rest else 0))
        return self.begin + rows * sum(
            n * self._buffer(r, size, grain) for size, n in sizes for r in (source, target) if n
        )

    def _buffer(self, reach: Reach, size: int, grain: int) -> int:
        unit = _power_of_two(size | grain, reach.unit)
        return reach.cycles(size, unit, max(_power_of_two(grain, min(unit * self.burst, self.buffer)) // unit, 1))


def _power_of_two(number: int, most: int) -> int:
    """The largest power of two that divides a number and is not above `most`, a power of two."""
    return (number | most) & -(number | most)


@dataclass(frozen=True)
class Debug:
    """How a chip answers a debugger. `dbgmcu` is the address of the DBGMCU_IDCODE register as the processor sees it; its low 12
    bits are `device`."""

    jtag_id: int
    boundary_id: int  # of the second TAP, for boundary scan; TDI enters there
    swd_id: int
    ap_id: int
    dbgmcu: int
    device: int
    revision: int
    openocd: str  # OpenOCD's own configuration of the family
    apb_dbgmcu: int | None = None  # where a second access port sees DBGMCU
    pyocd: str | None = None  # pyOCD's name of the chip, which knows how to program its flash


@dataclass(frozen=True)
class Chip(Noun):
    """A core and its memories. The first code memory is the flash with the firmware, read-only at run time; other code
    memories are RAM for code (ITCM) or, external ones, flash for tables. Data memories come fastest first; the first one holds
    stack, .data and .bss."""

    name: str
    core: Core
    memories: tuple[Memory, ...]
    setup: tuple[Setup, ...] = ()
    linker_script: str = field(default="flash.ld", repr=False)  # of `firmware/support/`: how its image lies in flash
    double_precision: bool = False  # its floating-point unit computes in double precision as well
    debug_registers: bool = (
        True  # a program sees in them whether a debugger is there to answer it; QEMU's chips have none
    )
    debug: Debug | None = field(default=None, repr=False)
    dma: tuple[Dma, ...] = field(default=(), repr=False)
    boot_bytes: int = field(default=0, repr=False)
    """What the chip's own second boot stage takes at the start of the flash; the image begins behind it."""
    cluster: Cluster | None = field(
        default=None, repr=False
    )  # cores that compute for `core`, which then is their controller
    outside: Bursts | None = field(default=None, repr=False)  # how memories that are not mapped are reached
    energies: Energies | None = field(default=None, repr=False)  # where they are published by kind of layer

    @property
    def float_unit(self) -> FloatUnit | None:
        """What its core computes floating-point numbers with."""
        return self.core.doubles if self.double_precision else self.core.floats

    @property
    def image_start(self) -> int:
        """Where an image begins: with the vectors, on an Arm core."""
        return self.flash.start + self.boot_bytes

    @property
    def flash(self) -> Memory:
        return next(m for m in self.memories if m.holds == "code")

    @property
    def flashes(self) -> tuple[Memory, ...]:
        """Where tables can be that nothing writes to: the flash first, then those outside of the chip."""
        return (self.flash, *(m for m in self.memories if m.holds == "code" and m.external and m.mapped))

    @property
    def flash_bytes(self) -> int:
        """The size of all of them."""
        return sum(m.size for m in self.memories if m in self.flashes or (m.holds == "code" and not m.mapped))

    @property
    def rams(self) -> tuple[Memory, ...]:
        return tuple(m for m in self.memories if m.holds == "data")

    @property
    def caches(self) -> tuple[Cache, ...]:
        """All that are on the way to some memory, each once."""
        found = (c for m in self.memories for c in (m.path.instructions, m.path.data) if c is not None)
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class Board(Noun):
    """What users name with one word. `picojoules_per_cycle` is measured on the real board, whole chip; None: not published."""

    name: str
    title: str
    chip: Chip
    clock_hz: int
    picojoules_per_cycle: float | None = None
    qemu: str | None = field(default=None, repr=False)  # QEMU's name of the machine
    clock: Clock | None = field(default=None, repr=False)  # from reset to `clock_hz`; None: nobody has written it down
    in_flash: Board | None = field(default=None, repr=False)  # the board as it is, of one whose firmware lies in RAM
    flasher: str | None = field(default=None, repr=False)  # the command that programs it from a `{file}`
    uart: Uart | None = field(default=None, repr=False)  # a serial port that the computer at the USB cable sees
    pin: Pin | None = field(default=None, repr=False)  # where an instrument can be connected

    def in_brief(self) -> str:
        return f"board {self.name}: {self.title}"

    @property
    def core(self) -> Core:
        return self.chip.core
