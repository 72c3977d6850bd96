"""How long things take: tables of the cores and of the memories behind them. Data only; every number names its source.

All figures are cycles of the core's clock with the chip at the full clock of its board. Sources, by the letter used below:

- [M4] Arm, Cortex-M4 Technical Reference Manual (DDI 0439), "Processor instructions" and "Load/store timings".
- [J] github.com/jnk0le/random, "pipeline cycle test": measurements on STM32F407 (M4), STM32H743 (M7), RP2350 (M33).
- [Q] quinapalus.com, Cortex-M7 cycle counts: measurements on STM32H730.
- [C] compendium.i-0.nl, instruction alignment: measurements of a Cortex-M4 that executes from flash.
- [ST] the reference manuals: RM0432 (L4+), RM0385 (F74x), RM0433 (H743), RM0456 (U5): wait states, caches, widths.
- [E] an engineering estimate, because nobody publishes the figure; the docs list them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Pipeline = Literal["m4", "m7", "m33", "riscv"]
Replacement = Literal["lru", "random"]
CODE_BUS, RAM_BUS = 1, 2


@dataclass(frozen=True)
class CoreTiming:
    """The core's own costs, in cycles. The pipelines' rules (chaining, pairing, forwarding) are code, in `devices/simulators`."""

    pipeline: Pipeline
    validated: bool  # against published measurements
    divide: int  # a typical SDIV or UDIV; the real one depends on its operands
    taken: int  # what a taken direct branch adds to its own issue
    indirect: int  # what a taken branch to a register adds
    load_pc: int  # what loading the program counter adds
    misaligned_target: int  # a branch to a 32-bit instruction that is not word-aligned
    unaligned_load: int  # an access that crosses a word
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


CORTEX_M4_TIMING = CoreTiming(
    pipeline="m4",
    validated=True,
    divide=6,  # [M4] 2..12, early termination
    taken=1,  # [M4] P = 1..3; a direct target is known early
    indirect=2,  # [M4] P: the target comes from a register
    load_pc=3,  # [M4] P: the target comes from memory
    misaligned_target=1,  # [M4] P depends on alignment and width of the target; [C]
    unaligned_load=1,  # [M4] two bus accesses
    float_add=1, float_mac=3, float_divide=14, float_root=14,  # [M4] floating-point table
    chains_across_memories=False,  # [J] "only when targeting the same memory block"
)  # fmt: skip

CORTEX_M7_TIMING = CoreTiming(
    pipeline="m7",
    validated=True,
    divide=7,  # [E] within the M4's 2..12
    taken=0,  # [J] a predicted taken branch costs its issue slot
    indirect=0,  # predicted by the branch target cache when it goes where it went last
    load_pc=0,
    misaligned_target=0,
    unaligned_load=3,  # [J] +3 as the older, +4 as the younger instruction
    mispredicted=8, mispredicted_early=6,  # [J]
    float_add=3, float_mac=5, float_divide=16, float_root=14,  # [J] result latencies
    double_add=2, double_multiply=5, double_mac=8, double_divide=30,  # [J] for operands of different exponents
    double_root=30,  # [E] as the division
)  # fmt: skip

CORTEX_M33_TIMING = CoreTiming(
    pipeline="m33",
    validated=True,
    divide=6,  # [E] Arm gives 2..11
    taken=1,  # [J] 2 in all
    indirect=2,  # [E]
    load_pc=2,  # [E]
    misaligned_target=1,  # [E] the instruction takes two fetches, of 32 bits each
    unaligned_load=1,  # [E] two bus accesses
    float_add=1, float_mac=3, float_divide=14, float_root=14,  # [J] MAC; [M4] the others
)  # fmt: skip

# A four-stage in-order pipeline as Espressif describes it, without published measurements per instruction.
RISCV32_TIMING = CoreTiming(
    pipeline="riscv",
    validated=False,
    divide=18,  # [E]
    taken=2,  # [E]
    indirect=2,  # [E]
    load_pc=2,
    misaligned_target=0,
    unaligned_load=1,  # [E]
)


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
    """How the core reaches one memory. `instructions` and `data` name caches ("" for none).

    `first` is the stall until the missing word is there; `line` the time from one line to the next when lines are read in sequence
    ahead of the core (`prefetch`); `busy` how long the way stays occupied after the missing word. Without a cache every access
    stalls for `first`. Code and data on the same `bus` (0: a path of their own) compete: a read of data takes a cycle in which no
    instructions can be fetched, which the core feels when it needs a word of instructions every cycle.
    """

    memory: str
    first: int = 0
    line: int = 0
    busy: int = 0
    prefetch: bool = False
    instructions: str = ""
    data: str = ""
    bus: int = 0


@dataclass(frozen=True)
class ChipTiming:
    """The caches of a chip and the paths to its memories. A memory that is not named answers at once."""

    caches: tuple[Cache, ...]
    paths: tuple[Path, ...]

    def cache(self, name: str) -> int:
        """The index of a cache, -1 for none."""
        return next((i for i, c in enumerate(self.caches) if c.name == name), -1)


# [ST] RM0432: 64-bit lines in dual-bank mode (as delivered); 32 x 4 lines for instructions, 8 x 4 for data, LRU; 5 wait states.
# An access that misses takes 1 + 5 cycles. The M4 fetches instructions and constants from flash over buses of their own; RAM is on
# the system bus for both.
STM32L4R5_TIMING = ChipTiming(
    caches=(Cache("flash-i", 1024, 4, 8), Cache("flash-d", 256, 4, 8)),
    paths=(
        Path("flash", first=5, line=6, busy=0, prefetch=True, instructions="flash-i", data="flash-d"),
        Path("sram1", bus=RAM_BUS),
        Path("sram2", bus=RAM_BUS),
        Path("sram3", bus=RAM_BUS),
    ),
)

_M7_SMALL = (Cache("icache", 4096, 2, 32, "random"), Cache("dcache", 4096, 4, 32, "random"))
_M7_LARGE = (Cache("icache", 16384, 2, 32, "random"), Cache("dcache", 16384, 4, 32, "random"))

# [ST] RM0385: flash of 256-bit rows with 7 wait states behind a 64-bit AXI; 8 cycles for the row, [E] 6 for cache and bus, then
# three more beats. SRAM1/2 sit on a 32-bit AHB: [E] 8 cycles to the first word, eight beats a line.
STM32F746_TIMING = ChipTiming(
    caches=_M7_SMALL,
    paths=(
        Path("flash", first=14, line=14, busy=3, prefetch=True, instructions="icache", data="dcache"),
        Path("sram1", first=8, line=10, busy=7, instructions="icache", data="dcache"),
        Path("sram2", first=8, line=10, busy=7, instructions="icache", data="dcache"),
    ),
)

# [ST] RM0433: AXI and flash at half the core's clock, 4 wait states there: 2 x (5 + [E] 4) cycles plus [E] 4 in the core.
STM32H743_TIMING = ChipTiming(
    caches=_M7_LARGE,
    paths=(
        Path("flash", first=22, line=24, busy=6, prefetch=True, instructions="icache", data="dcache"),
        Path("axi", first=12, line=14, busy=6, instructions="icache", data="dcache"),
        *(Path(name, first=20, line=28, busy=14, instructions="icache", data="dcache")
          for name in ("sram1", "sram2", "sram3", "sram4")),
    ),
)  # fmt: skip

# [ST] RM0456: 128-bit flash lines, 4 wait states; the 8 KB cache on the code bus holds instructions and constants alike. nRF5340's
# cache of the same shape takes about 7 cycles a miss; here 4 wait states + 2 in the cache. The M33 has one bus for code, where it
# reads constants, too, and one for RAM.
STM32U575_TIMING = ChipTiming(
    caches=(Cache("icache", 8192, 2, 16),),
    paths=(
        Path("flash", first=6, line=6, busy=1, prefetch=True, instructions="icache", data="icache", bus=CODE_BUS),
        *(Path(name, bus=RAM_BUS) for name in ("sram1", "sram2", "sram3", "sram4")),
    ),
)  # fmt: skip

# [E] 16 KB, 8 ways, 32-byte lines (Espressif's manual); quad SPI at 80 MHz moves a line in about 80 cycles of the core.
ESP32C3_TIMING = ChipTiming(
    caches=(Cache("cache", 16384, 8, 32),),
    paths=(Path("flash", first=60, line=80, busy=20, prefetch=False, instructions="cache", data="cache"),),
)

_CORES = (
    ("cortex_m4", CORTEX_M4_TIMING), ("cortex_m7", CORTEX_M7_TIMING), ("cortex_m33", CORTEX_M33_TIMING),
    ("riscv32imc", RISCV32_TIMING),
)  # fmt: skip
_CHIPS = (
    ("STM32L4R5", STM32L4R5_TIMING), ("STM32F746", STM32F746_TIMING), ("STM32H743", STM32H743_TIMING),
    ("STM32U575", STM32U575_TIMING), ("ESP32-C3", ESP32C3_TIMING),
)  # fmt: skip


def core_timing(core: str) -> CoreTiming:
    """The table of a core, by its name; raises `KeyError` where there is none: see `is_timed`."""
    return dict(_CORES)[core]


def is_timed(core: str) -> bool:
    """Whether there is a model of the core of this name."""
    return core in dict(_CORES)


def chip_timing(chip: str) -> ChipTiming:
    """The table of a chip, by its name; one without a table has memories that answer at once."""
    return dict(_CHIPS).get(chip, ChipTiming((), ()))
