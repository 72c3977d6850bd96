"""The debug link to QEMU's emulation of Arm's MPS boards, through its GDB stub."""

from __future__ import annotations

from pathlib import Path

from smelt.devices.closing import Closing
from smelt.devices.cortex_m import NOWHERE, THUMB_STATE, conclude
from smelt.devices.gdb import GdbClient
from smelt.devices.link import Stop, TimedOut, UnexpectedReset, reset_where_wrong
from smelt.devices.process import Process, connect, find_program, free_port
from smelt.errors import DeviceError
from smelt.targets.boards import BOARDS
from smelt.targets.types import Board

INSTALL = "install it with your package manager (Debian, Ubuntu: qemu-system-arm; Homebrew: qemu)"
START_SECONDS, START_ATTEMPTS = 15.0, 3
SP, LR, PC, XPSR = 13, 14, 15, 25  # the stub's numbers

# QEMU does not stop at the BKPT of a program. So every exception leads to a trap, where the stub has a breakpoint; from
# there an exception return leads to a second one. They lie at the start of the code memory, where the processor finds its
# vectors after reset.
VECTORS = 256
HANDLER_TRAP, RETURN, THREAD_TRAP, RESET_TRAP = 4 * VECTORS, 4 * VECTORS + 4, 4 * VECTORS + 8, 4 * VECTORS + 12
RESERVED = 4 * VECTORS + 16  # bytes at the start of the code memory that belong to the link
TRAPS = bytes.fromhex("fee7 00bf 7047 00bf fee7 00bf fee7 00bf")  # b . ; nop ; bx lr ; nop ; b . ; nop ; b . ; nop
SAVED_PC, SAVED_XPSR, FRAME = 24, 28, 32  # in the frame of an exception


class QemuLink(Closing):
    """A `DebugLink` to a QEMU process, which ends with the link. There are no cycles: QEMU has no notion of them."""

    def __init__(self, board: Board, folder: Path | None = None, program: str = "qemu-system-arm") -> None:
        """`folder` is where semihosting finds and leaves files (a private one if None).

        Raises `DeviceError` if QEMU is missing or has no such machine, `LinkLost` if it does not start.
        """
        self.board = board
        self._base = board.chip.flash.start
        self.process, self._gdb = _start(board, program, folder)
        try:
            self._set_traps()
            self.reset()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End QEMU. May be called twice."""
        self._gdb.close()
        self.process.close()

    @property
    def console(self) -> str:
        """What the program has printed by semihosting, among QEMU's own messages."""
        return self.process.output()

    def _set_traps(self) -> None:
        vectors = (
            self.board.chip.rams[0].end,
            self._base + RESET_TRAP | 1,
            *[self._base + HANDLER_TRAP | 1] * (VECTORS - 2),
        )
        self._gdb.write(self._base, b"".join(v.to_bytes(4, "little") for v in vectors) + TRAPS)
        for trap in (HANDLER_TRAP, THREAD_TRAP, RESET_TRAP):
            self._gdb.break_at(self._base + trap)

    def read(self, address: int, size: int) -> bytes:
        return self._gdb.read(address, size)

    def write(self, address: int, data: bytes) -> None:
        if data:  # QEMU takes bytes for addresses without memory, and forgets them
            self._gdb.read(address, 1)
            self._gdb.read(address + len(data) - 1, 1)
        self._gdb.write(address, data)

    def _word(self, address: int) -> int:
        return int.from_bytes(self._gdb.read(address, 4), "little")

    def call(self, entry: int, stack: int, timeout: float) -> Stop:
        gdb, entry = self._gdb, entry & ~1
        for register, value in ((SP, stack), (LR, NOWHERE), (XPSR, THUMB_STATE), (PC, entry)):
            gdb.write_register(register, value)
        stopped = gdb.run(timeout)
        pc, sp, xpsr = (gdb.read_register(number) for number in (PC, SP, XPSR))
        if not stopped:
            self.reset()  # it may be in a handler, or asleep, from which a new program counter does not wake it
            raise TimedOut(self.board, entry, timeout, pc & ~1)
        with reset_where_wrong(self):
            if pc & ~1 == self._base + RESET_TRAP:
                raise UnexpectedReset(self.board, entry)
            stop = conclude(self.board, entry, self._word, pc & ~1, sp, xpsr, None)
        self._leave_handler(sp)
        return stop

    def _leave_handler(self, frame: int) -> None:
        """Let the processor return from the exception that a BKPT has become, into the trap for ordinary code."""
        gdb = self._gdb
        gdb.write(frame + SAVED_PC, (self._base + THREAD_TRAP).to_bytes(4, "little"))
        gdb.write_register(PC, self._base + RETURN)
        if not gdb.run(START_SECONDS):
            self.reset()

    def reset(self) -> None:
        self._gdb.monitor("system_reset")
        self._gdb.run(START_SECONDS)  # to the trap: the reset itself happens as soon as time goes on


def _start(board: Board, program: str, folder: Path | None) -> tuple[Process, GdbClient]:
    """QEMU takes only numbers of ports: somebody else may be quicker to use one that was free a moment ago."""
    for attempt in range(START_ATTEMPTS):
        port = free_port()
        process = Process(_command(board, program, port), folder)
        try:
            return process, GdbClient(connect(port, process, START_SECONDS), process)
        except BaseException:
            taken = "in use" in process.output()
            process.close()
            if not taken or attempt == START_ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def machine_of(board: Board) -> str:
    """QEMU's name of a board; raises `DeviceError` where it has none."""
    if board.qemu is None:
        raise DeviceError(f"{board.name}: QEMU has no such board; it has {', '.join(b.name for b in BOARDS if b.qemu)}")
    return board.qemu


def _command(board: Board, program: str, port: int) -> tuple[str, ...]:
    return (
        find_program(program, INSTALL), "-machine", machine_of(board), "-S", "-gdb", f"tcp:127.0.0.1:{port}", "-icount", "shift=0",
        "-display", "none", "-monitor", "none", "-serial", "none", "-semihosting-config", "enable=on,target=native",
    )  # fmt: skip
