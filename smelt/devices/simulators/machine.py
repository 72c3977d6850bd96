"""A simulated microcontroller: Unicorn executing code in a board's memory map. The only file that knows Unicorn."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from smelt.devices.semihosting import BadPointer
from smelt.devices.simulators.counter import CodeRegion
from smelt.devices.simulators.cycle_csr import CycleCsr
from smelt.devices.simulators.doubles import Doubles
from smelt.devices.simulators.escapes import Escapes
from smelt.devices.simulators.memory_map import PAGE, Mapped, read
from smelt.errors import OptionError
from smelt.targets.types import Board, Family

RISCV_BREAKPOINT = 3
IT_STATE = 0x0600FC00  # of XPSR
EBREAK, C_EBREAK = bytes.fromhex("73001000"), bytes.fromhex("0290")


class Access(NamedTuple):
    """A memory access that the emulator refused."""

    kind: str  # "read", "write" or "fetch"
    mapped: bool  # there is memory, but not for this use
    address: int
    size: int


class Machine:
    """Registers and execution. Memory is shared with the arrays of `maps`; hooks are native functions or Python
    callables."""

    def __init__(self, board: Board, maps: tuple[Mapped, ...]) -> None:
        self._unicorn, self._constants = _import_unicorn(board.core.isa.family)
        self.is_thumb = board.core.isa.family == "arm"
        self.aligned_only = board.core.isa.aligned_only
        self._engine = self._create(board)
        self.escapes = Escapes(self._engine.emu_stop)
        self._maps = maps  # keeps the shared arrays alive
        self.access: Access | None = None
        self._stopped = False
        self._provided: tuple[tuple[int, int], ...] = ()
        self._handle: Callable[[int], None] = lambda _: None
        self._doubles = Doubles(self.get, self.set) if board.chip.double_precision else None
        self._cycle_csr: CycleCsr | None = None
        self._go_on_at: int | None = None
        for m in maps:
            rights = 1 | (2 if m.writable else 0) | (4 if m.executable else 0)
            self._engine.mem_map_ptr(m.start, len(m.data), rights, m.data.ctypes.data)
        self._engine.hook_add(self._unicorn.UC_HOOK_MEM_INVALID, self._refuse)

    def _create(self, board: Board) -> Any:
        uc, constants = self._unicorn, self._constants
        if not self.is_thumb:
            return uc.Uc(uc.UC_ARCH_RISCV, uc.UC_MODE_RISCV32)
        engine = uc.Uc(uc.UC_ARCH_ARM, uc.UC_MODE_THUMB | uc.UC_MODE_MCLASS)
        engine.ctl_set_cpu_model(getattr(constants, f"UC_CPU_ARM_{board.core.emulator}"))
        return engine

    def register(self, name: str) -> int:
        """The emulator's number of a register: "r0" to "r12", "sp", "lr", "pc", "apsr", or "x0" to "x31"."""
        family = "ARM" if self.is_thumb else "RISCV"
        return int(getattr(self._constants, f"UC_{family}_REG_{name.upper()}"))

    def get(self, name: str) -> int:
        return int(self._engine.reg_read(self.register(name))) & 0xFFFFFFFF

    def set(self, name: str, value: int) -> None:
        self._engine.reg_write(self.register(name), value)

    @property
    def pc(self) -> int:
        return self.get("pc") & ~1

    def on_interrupt(self, handle: Callable[[int], None]) -> None:
        """Call `handle(number)` for every exception of the core; it must move the program counter on, or stop."""
        self._handle = handle
        self._engine.hook_add(self._unicorn.UC_HOOK_INTR, lambda _, number, __: self._interrupted(number))

    def _interrupted(self, number: int) -> None:
        if not self._count_cycles():
            self._handle(number)

    def add_native_hook(self, address: int, user_data: int, only_at: int | None = None) -> None:
        """Call the C function at `address` at every block, or before the one instruction at `only_at`."""
        kind = self._unicorn.UC_HOOK_BLOCK if only_at is None else self._unicorn.UC_HOOK_CODE
        begin, end = (1, 0) if only_at is None else (only_at, only_at)
        self._add_hook(kind, address, user_data, begin, end)

    def _add_hook(self, kind: int, address: int, user_data: int, begin: int, end: int) -> None:
        handle = ctypes.c_size_t()
        error = self._library().uc_hook_add(
            self._engine._uch, ctypes.byref(handle), kind, ctypes.c_void_p(address), ctypes.c_void_p(user_data),
            ctypes.c_uint64(begin), ctypes.c_uint64(end),
        )  # fmt: skip
        if error:
            raise OptionError(f"this version of unicorn takes no native hooks (error {error}); install unicorn 2.1.4")

    def add_data_hook(self, address: int, user_data: int, writes: bool) -> None:
        """Call the C function at `address` at every read of data, and at every write if asked."""
        uc = self._unicorn
        self._add_hook(uc.UC_HOOK_MEM_READ | (uc.UC_HOOK_MEM_WRITE if writes else 0), address, user_data, 1, 0)

    def watch(self, first: int, last: int, read: Callable[[int], None], write: Callable[[int, int], None]) -> None:
        """Call `read(address)` and `write(address, value)` before the program accesses a range of addresses. Slows every access
        down a little; `map_registers` does not."""
        uc = self._unicorn

        def hook(_: Any, kind: int, address: int, __: int, value: int, ___: Any) -> None:
            if kind == uc.UC_MEM_WRITE:
                write(address, value & 0xFFFFFFFF)
            else:
                read(address)

        self._engine.hook_add(uc.UC_HOOK_MEM_READ | uc.UC_HOOK_MEM_WRITE, hook, begin=first, end=last)

    def allow_writes(self, start: int, size: int) -> None:
        """Let the program write where it otherwise must not."""
        uc = self._unicorn
        self._engine.mem_protect(start, size, uc.UC_PROT_ALL)

    def watch_writes(self, first: int, last: int, write: Callable[[int, int, int], None]) -> None:
        """Call `write(address, size, value)` before the program writes to a range of addresses."""

        def hook(_: Any, __: int, address: int, size: int, value: int, ___: Any) -> None:
            write(address, size, value)

        self._engine.hook_add(self._unicorn.UC_HOOK_MEM_WRITE, hook, begin=first, end=last)

    def map_registers(
        self,
        page: int,
        read: Callable[[int, int], int],
        write: Callable[[int, int, int], None],
        size: int = PAGE,
    ) -> None:
        """Let `read(address, size)` and `write(address, size, value)` answer for a range of pages instead of its memory."""
        for first, last, _ in list(self._engine.mem_regions()):
            if page <= first and last < page + size:
                self._engine.mem_unmap(first, last - first + 1)
        self._engine.mmio_map(
            page, size,
            self.escapes.answered(lambda _, offset, size, __: read(page + offset, size)), None,
            lambda _, offset, size, value, __: write(page + offset, size, value), None,
        )  # fmt: skip

    def provide(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Let addresses in these ranges, where nothing is, behave as memory: registers that the simulator does not have."""
        self._provided = tuple(ranges)

    def native_function(self, name: str) -> int:
        """The address of one of the emulator's own C functions."""
        return ctypes.cast(getattr(self._library(), name), ctypes.c_void_p).value or 0

    def _library(self) -> Any:
        from unicorn.unicorn_py3.unicorn import uclib

        return uclib

    def run(self, address: int) -> str | None:
        """Execute until something stops it. None after `stop`, or the emulator's reason; `access` tells about refused
        accesses."""
        self.access = None
        self._stopped = False
        while True:
            try:
                with self.escapes.caught():
                    self._engine.emu_start(address | int(self.is_thumb), 0xFFFFFFFF)
                if self._go_on_at is None:
                    return None
            except self._unicorn.UcError as error:
                if not self._at_ebreak() and not self._compute_double():
                    return str(error)
                if (
                    not self.is_thumb
                ):  # Unicorn takes the ebreak of RISC-V for an undefined instruction, and cannot go on from its hook
                    self._handle(RISCV_BREAKPOINT)
            if self._stopped:
                return None
            address, self._go_on_at = self.pc if self._go_on_at is None else self._go_on_at, None

    def stop(self) -> None:
        self._stopped = True
        self._engine.emu_stop()

    def _compute_double(self) -> bool:
        """Whether the undefined instruction at the program counter was one in double precision, which the chip has; it is done."""
        if self._doubles is None or self.access is not None:
            return False
        try:
            code = read(self._maps, self.pc, 4)
        except BadPointer:
            return False
        if not self._doubles.execute(code):
            return False
        status = self.get("xpsr")
        self.set("xpsr", status & ~IT_STATE | _next_in_it_block(status) if status & IT_STATE else status)
        self.set("pc", self.pc + 4 | 1)
        return True

    def count_cycles(self, first: int, now: Callable[[], int]) -> None:
        """Let the control registers of RISC-V from `first` on count cycles; `now()` gives those since reset."""
        self._cycle_csr = CycleCsr(first, now, self.get, self.set)

    def _count_cycles(self) -> bool:
        """Whether the undefined instruction, which is behind the program counter by now, was one for that counter. It is done, and
        the emulator, which cannot go on from its hook, begins anew."""
        if self._cycle_csr is None:
            return False
        try:
            code = read(self._maps, self.pc - 4, 4)
        except BadPointer:
            return False
        if not self._cycle_csr.execute(code):
            return False
        self._go_on_at = self.pc
        self._engine.emu_stop()
        return True

    def _at_ebreak(self) -> bool:
        if self.is_thumb or self.access is not None:
            return False
        try:
            code = read(self._maps, self.pc, 2)
            return code == C_EBREAK or (code == EBREAK[:2] and read(self._maps, self.pc, 4) == EBREAK)
        except BadPointer:
            return False

    def _refuse(self, _: Any, kind: int, address: int, size: int, __: int, ___: Any) -> bool:
        uc = self._unicorn
        names = {
            uc.UC_MEM_READ_UNMAPPED: ("read", False), uc.UC_MEM_WRITE_UNMAPPED: ("write", False),
            uc.UC_MEM_FETCH_UNMAPPED: ("fetch", False), uc.UC_MEM_READ_PROT: ("read", True),
            uc.UC_MEM_WRITE_PROT: ("write", True), uc.UC_MEM_FETCH_PROT: ("fetch", True),
        }  # fmt: skip
        name, mapped = names.get(kind, ("read", False))
        if not mapped and name != "fetch" and any(first <= address <= last for first, last in self._provided):
            self._engine.mem_map(address & -PAGE, PAGE)
            return True
        self.access = Access(name, mapped, address & 0xFFFFFFFF, size)
        return False


def _next_in_it_block(status: int) -> int:
    """The bits of XPSR that say how the IT block goes on after the current instruction."""
    state = status >> 8 & 0xFC | status >> 25 & 3
    state = state & 0xE0 | state << 1 & 0x1F if state & 7 else 0
    return (state & 0xFC) << 8 | (state & 3) << 25


def code_regions(maps: tuple[Mapped, ...]) -> Sequence[CodeRegion]:
    """Where instructions may be executed."""
    return [CodeRegion(m.start, m.data) for m in maps if m.executable]


def _import_unicorn(family: Family) -> tuple[Any, Any]:
    try:
        import unicorn
        from unicorn import arm_const, riscv_const
    except ImportError as error:
        raise OptionError("the simulator needs unicorn: pip install 'smelt[simulate]'") from error
    return unicorn, arm_const if family == "arm" else riscv_const
