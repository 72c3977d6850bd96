"""A watch over routines: what a kernel's call of one declares, against what its instructions do in the emulator.

Every call of a routine in a kernel's C is put between two calls of the watch's own, the first with the addresses of its spans. In
between every load must lie in a span that may be read, every store in one that may be written, or on the stack; inside the assembly
the stack may go as deep as the routine declares, and at its end all registers that belong to the caller are as before.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from smelt.kernels.assembly import assembly_file, declarations
from smelt.kernels.headers import all_headers
from smelt.kernels.routines import BUILT, ROUTINES
from smelt.loops.ir import SIZES
from smelt.loops.kernel import Kernel
from smelt.loops.routine import CallRoutine, Span
from smelt.targets.cores.cortex_m4 import CORTEX_M4
from smelt.targets.types import Core
from tests.kernels_host import SUPPORT, ZIG
from tests.routine_cases import every_case, few_cases
from tests.thumb_programs import DATA, LIBRARY, STACK_BYTES, STACK_TOP, Machine, Program, build

FLAGS = ("-std=gnu11", "-O2", "-g", "-ffreestanding", "-fno-sanitize=all", "-ffunction-sections")
WATCH = """
__attribute__((noinline)) void watch_begin(uint32_t number, const uintptr_t *arguments) { __asm__ volatile("" :: "r"(number), "r"(arguments) : "memory"); }
__attribute__((noinline)) void watch_end(void) { __asm__ volatile("" ::: "memory"); }
"""  # noqa: E501
ADR, ADR_MASK = 0xF20F0000, 0xFBFF8000  # adr.w rd, forward
BRANCH, BRANCH_MASK = 0xF0009000, 0xF800D000  # b.w
ASSEMBLED = tuple(r for r in ROUTINES if r.name in BUILT)
SYMBOL = re.compile(r"smelt_\w+_[0-9a-f]{8}")
OWNED = (*(f"r{n}" for n in range(4, 12)), *(f"s{n}" for n in range(16, 32)))  # a caller's registers


def watched_text(kernels: Iterable[Kernel]) -> tuple[str, tuple[CallRoutine, ...]]:
    """C of the kernels with the watch's calls, and the routines by number."""
    routines: list[CallRoutine] = []
    texts = [WATCH]
    for kernel in kernels:
        text, done = kernel.c(), 0
        for called in kernel.calls:
            call = _call(kernel, called)
            at = text.index(call, done)
            wrapped = _wrapped(call, called, len(routines))
            text = text[:at] + wrapped + text[at + len(call) :]
            done = at + len(wrapped)
            routines.append(called)
        texts.append(text)
    return "\n".join(texts), tuple(routines)


def _call(kernel: Kernel, called: CallRoutine) -> str:
    """A routine's call as C."""
    (line,) = re.findall(r"smelt_\w+\(.*\);", replace(kernel, body=(called,)).c())
    return str(line)


def _wrapped(call: str, called: CallRoutine, number: int) -> str:
    arguments = call[call.index("(") + 1 : -2].split(", ")
    assert len(arguments) == len(called.arguments)
    values = ", ".join(f"(uintptr_t)({a})" for a in arguments)
    return f"watch_begin({number}, (const uintptr_t[]){{{values}}}); {call} watch_end();"


@dataclass(frozen=True)
class Body:
    """Where the instructions of a routine in assembly lie."""

    start: int
    end: int


def bodies(program: Program) -> tuple[Body, ...]:
    """Those in files of assembly by name; others by what stands in front of them: the address of what follows, and a branch behind
    it."""
    found = [
        Body(program.functions[n], program.functions[n] + s) for n, s in program.sizes.items() if SYMBOL.fullmatch(n)
    ]
    for address, content in program.segments:
        if address >= DATA:
            continue
        halves = np.frombuffer(content[: len(content) & ~1], "<u2").astype(np.uint32)
        words = halves[:-1] << 16 | halves[1:]
        pairs = (words[:-2] & ADR_MASK == ADR & ADR_MASK) & (words[2:] & BRANCH_MASK == BRANCH & BRANCH_MASK)
        for half in np.flatnonzero(pairs):
            at, first, second = address + 2 * int(half), int(words[half]), int(words[half + 2])
            start, end = ((at + 4) & ~3) + _adr_offset(first), at + 8 + _branch_offset(second)
            if at + 8 <= start <= at + 10 and end > start:
                found.append(Body(start, end))
    return tuple(found)


def content(program: Program, body: Body) -> bytes:
    (found,) = (c[body.start - a : body.end - a] for a, c in program.segments if a <= body.start < a + len(c))
    return found


def _adr_offset(word: int) -> int:
    return (word >> 26 & 1) << 11 | (word >> 12 & 7) << 8 | word & 0xFF


def _branch_offset(word: int) -> int:
    sign, i1, i2 = word >> 26 & 1, word >> 13 & 1, word >> 11 & 1
    high = sign << 24 | (1 - (i1 ^ sign)) << 23 | (1 - (i2 ^ sign)) << 22
    return (high | (word >> 16 & 0x3FF) << 12 | (word & 0x7FF) << 1) - (sign << 25)


@dataclass(frozen=True)
class Recorded:
    """A call of a routine as it was: its numbers, what its spans held, and the assembly that it ran last, if any."""

    call: CallRoutine
    numbers: tuple[int, ...]
    memory: tuple[bytes, ...]
    body: Body | None


@dataclass
class _Entry:
    """The state of registers where a body was entered."""

    sp: int
    lr: int
    own: dict[str, int]
    first: int  # what r0 points to
    lowest: int


class Watch:
    """Hooks in a machine. `complaints` are what was not as declared; `calls` and `depth` are by the routines' names, `entered`
    is the assembly that ran."""

    def __init__(self, machine: Machine, routines: Sequence[CallRoutine]) -> None:
        self.machine, self.routines = machine, routines
        self.complaints: list[str] = []
        self.depth: dict[str, int] = {}
        self.calls: dict[str, int] = {}
        self.entered: set[Body] = set()
        self.recorded: list[Recorded] = []
        self._memory: tuple[bytes, ...] = ()
        self._numbers: tuple[int, ...] = ()
        self._ran: Body | None = None
        self._called: CallRoutine | None = None
        self._spans: list[tuple[int, int, Span]] = []
        self._written: set[int] = set()  # places behind what is written
        self._entry: _Entry | None = None
        self._returns: set[int] = set()
        self._bodies = bodies(machine.program)
        self._code = [(a, a + len(c)) for a, c in machine.program.segments if a < DATA]
        uc = machine.unicorn
        self._at(machine.program.functions["watch_begin"], self._begin)
        self._at(machine.program.functions["watch_end"], self._finish)
        for body in self._bodies:
            self._at(body.start, partial(self._enter, body))
        machine.engine.hook_add(uc.UC_HOOK_MEM_READ, lambda _, __, at, size, ___, ____: self._access(at, size, "read"))
        machine.engine.hook_add(
            uc.UC_HOOK_MEM_WRITE, lambda _, __, at, size, ___, ____: self._access(at, size, "write")
        )

    def _at(self, address: int, what: object) -> None:
        self.machine.engine.hook_add(self.machine.unicorn.UC_HOOK_CODE, lambda *_: what(), begin=address, end=address)  # type: ignore[operator]

    def _begin(self) -> None:
        self._called = self.routines[self.machine.register("r0")]
        words = bytes(self.machine.engine.mem_read(self.machine.register("r1"), 4 * len(self._called.arguments)))
        values = [int.from_bytes(words[i : i + 4], "little", signed=True) for i in range(0, len(words), 4)]
        self._spans, self._written = [], set()
        for value, span in zip(values, self._called.arguments, strict=True):
            if isinstance(span, Span):
                start = value & 0xFFFFFFFF
                self._spans.append((start, start + span.count * SIZES[span.buffer.type], span))
        self._memory = tuple(bytes(self.machine.engine.mem_read(low, high - low)) for low, high, _ in self._spans)
        self._numbers = tuple(v for v, a in zip(values, self._called.arguments, strict=True) if not isinstance(a, Span))
        self._ran = None
        self.calls[self._called.routine.name] = self.calls.get(self._called.routine.name, 0) + 1

    def _finish(self) -> None:
        if self._entry is not None:
            self._complain("left its assembly by another way")
        if self._called is not None:
            self.recorded.append(Recorded(self._called, self._numbers, self._memory, self._ran))
        self._called = self._entry = None

    def _enter(self, body: Body) -> None:
        m = self.machine
        self.entered.add(body)
        self._ran = body
        if self._called is None:
            self.complaints.append("assembly outside of a routine that is declared")
            return
        sp = m.register("sp")
        self._entry = _Entry(sp, m.register("lr") & ~1, {r: m.register(r) for r in OWNED}, m.register("r0"), sp)
        if self._entry.lr not in self._returns:
            self._returns.add(self._entry.lr)
            self._at(self._entry.lr, self._leave)
            m.engine.ctl_remove_cache(self._entry.lr, self._entry.lr + 2)

    def _leave(self) -> None:
        entry, m = self._entry, self.machine
        if entry is None or self._called is None:
            return
        self._entry = None
        if m.register("sp") != entry.sp or any(m.register(r) != v for r, v in entry.own.items()):
            self._complain("changes a register of its caller")
        routine, deep = self._called.routine, entry.sp - entry.lowest
        self.depth[routine.name] = max(self.depth.get(routine.name, 0), deep)
        if deep > routine.stack:
            self._complain(f"uses {deep} bytes of stack, not {routine.stack}")

    def _access(self, at: int, size: int, how: str) -> None:
        if self._called is None:
            return
        if STACK_TOP - STACK_BYTES <= at < STACK_TOP:
            self._on_stack(at, size, how)
            return
        if self._entry is None and how == "read" and any(low <= at < high for low, high in self._code):
            return
        if not any(
            low <= at and at + size <= high and span.access in (how, "update") for low, high, span in self._spans
        ):
            self._complain(f"{how}s {size} bytes at {self._place(at)}")
        if self._called.routine.turn:
            self._in_turn(at, size, how, self._called.routine.turn)
        if self._entry is not None:
            self._entry.lowest = min(self._entry.lowest, self.machine.register("sp"))

    def _in_turn(self, at: int, size: int, how: str, turn: int) -> None:
        """What is read is none of the places that were written, and of no turn before one of which something was written."""
        length = max(high - low for low, high, span in self._spans if span.access == "write")
        for low, high, span in self._spans:
            places = {at - low + i for i in range(size)}
            if low <= at < high and span.access == how == "write":
                self._written |= places
            if low <= at < high and span.access == how == "read" and high - low == length:
                last = (at - low) // (turn * SIZES[span.buffer.type]) + 1
                if places & self._written or max(self._written, default=-1) >= last * turn * SIZES[span.buffer.type]:
                    self._complain(f"reads '{span.buffer.root.name}' when it has written beyond that")

    def _on_stack(self, at: int, size: int, how: str) -> None:
        entry = self._entry
        if entry is None:
            return
        entry.lowest = min(entry.lowest, at, self.machine.register("sp"))
        is_state = entry.first <= at < entry.first + 20  # a struct of its caller
        if how == "write" and at + size > entry.sp and not is_state:
            self._complain("writes to its caller's stack")

    def _place(self, at: int) -> str:
        near = [
            f"{span.buffer.root.name}[{(at - low) / SIZES[span.buffer.type]:g}] of {span.count} ({span.access})"
            for low, _, span in self._spans
        ]
        return f"{at:#x}: " + ", ".join(near)

    def _complain(self, what: str) -> None:
        assert self._called is not None
        if len(self.complaints) < 20:
            self.complaints.append(f"{self._called.routine.name} {what}")


def known_to_c(core: Core | None) -> str:
    """C with all headers, and with the names of all routines in assembly for a core."""
    includes = "".join(f'#include "{name}"\n' for name in all_headers())
    return includes if core is None else f"{includes}{declarations(ASSEMBLED, core, 'routines.S')}\n"


def all_assembly(core: Core) -> str:
    """The text of all routines for a core."""
    return assembly_file(ASSEMBLED, core, "routines.S", "of the tests")


def program(folder: Path, kernels: Sequence[Kernel], core: Core = CORTEX_M4) -> tuple[Program, tuple[CallRoutine, ...]]:
    """A program with the kernels, and with all assembly that there is for a core."""
    text, routines = watched_text(kernels)
    includes = known_to_c(core)
    command = [*ZIG, *CORTEX_M4.floats.zig, *FLAGS]
    (folder / "headers.c").write_text(includes)
    support = ["-I", str(SUPPORT), "-I", str(LIBRARY)]
    expanded = subprocess.run(
        [*command, *support, "-E", "headers.c"], cwd=folder, capture_output=True, text=True, check=True
    )
    names = sorted(set(re.findall(r"\b(smelt_\w+_code)\(void\)", expanded.stdout)))
    everything = f"void *const everything[] = {{{', '.join(f'(void *){n}' for n in names)}}};\n"
    link = [*command, "-nostdlib", "-static", "-Wl,--no-gc-sections"]
    return build(folder, includes + everything + text, command, command, link, assembly=all_assembly(core)), routines


@cache
def watch_all(core: Core = CORTEX_M4) -> Watch:
    """A watch that saw every case there is; with the routines for other cores than the Cortex-M4 few that call them all. Raises
    AssertionError for a wrong result."""
    cases = every_case() if core == CORTEX_M4 else few_cases()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        made, routines = program(Path(folder), [c.call.kernel for c in cases], core)
    watch = Watch(machine := Machine(made), routines)
    for case in cases:
        assert np.array_equal(machine.run(case), case.expected), f"{case} is wrong"
    return watch
