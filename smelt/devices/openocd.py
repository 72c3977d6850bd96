"""The debug link through a real OpenOCD: to a real board with any adapter that OpenOCD knows, or to a simulated scan chain."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from smelt.devices.closing import Closing
from smelt.devices.cortex_m import (
    CPUID,
    CYCCNTENA,
    DEMCR,
    DWT_CTRL,
    DWT_CYCCNT,
    NOWHERE,
    THUMB_STATE,
    TRCENA,
    conclude,
)  # fmt: skip
from smelt.devices.debug_port.chips import debug_chip
from smelt.devices.link import LinkLost, Stop, TimedOut, WrongChip, reset_where_wrong
from smelt.devices.process import Process, connect, find_program
from smelt.errors import DeviceError
from smelt.targets.types import Board, Debug

END = b"\x1a"
START_SECONDS, ANSWER_SECONDS = 15.0, 20.0
PROGRAM_SECONDS = 120.0  # erasing a large sector takes seconds
BY_FILE = 256  # bytes from which a file is quicker than a list of numbers
INSTALL = "install it with your package manager (Debian, Ubuntu, Homebrew: openocd)"
PORTS = "gdb_port disabled; telnet_port disabled; tcl_port 0"
LISTENING = re.compile(r"Listening on port (\d+) for tcl")


class TclPort:
    """OpenOCD's Tcl port: commands and answers end in 0x1a."""

    def __init__(self, connection: socket.socket, process: Process) -> None:
        self._connection, self._process = connection, process

    def run(self, command: str, seconds: float = ANSWER_SECONDS) -> str:
        """The result of a command. Raises `DeviceError` if OpenOCD refuses it, `LinkLost` if it does not answer."""
        answer = self._exchange(
            f"set smelt_failed [catch {{{command}}} smelt_result]; set smelt_answer $smelt_failed$smelt_result", seconds
        )
        if answer[:1] != "0":
            raise DeviceError(f"OpenOCD: {answer[1:].strip() or self._process.last_words(2)}")
        return answer[1:]

    def _exchange(self, text: str, seconds: float) -> str:
        found = bytearray()
        try:
            self._connection.settimeout(seconds)
            self._connection.sendall(text.encode() + END)
            while not found.endswith(END):
                part = self._connection.recv(1 << 16)
                if not part:
                    raise LinkLost(f"OpenOCD has ended: {self._process.last_words()}")
                found += part
        except OSError as error:
            raise LinkLost(f"OpenOCD does not answer ({error}): {self._process.last_words()}") from error
        return found[:-1].decode("utf-8", "replace")


class OpenOcdLink(Closing):
    """A `DebugLink` through an OpenOCD process, which ends with the link."""

    def __init__(self, board: Board, adapter: Sequence[str], program: str = "openocd") -> None:
        """`adapter` are OpenOCD commands that choose the adapter, such as ("source [find interface/stlink.cfg]",).

        Raises `DeviceError` if OpenOCD is missing, `LinkLost` if it finds no adapter or no chip, `WrongChip` if it is another.
        """
        self.board, self.chip = board, debug_chip(board)
        commands = (*adapter, PORTS, f"source [find target/{self.chip.openocd}.cfg]")
        options = [part for c in commands for part in ("-c", c)]
        self.process = Process((find_program(program, INSTALL), *options))
        try:
            self.process.wait_for(lambda text: LISTENING.search(text) is not None, START_SECONDS)
            port = LISTENING.search(self.process.output())
            assert port is not None
            self._socket = connect(int(port[1]), self.process, START_SECONDS)
            self._tcl = TclPort(self._socket, self.process)
            self._start()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End OpenOCD. May be called twice."""
        if hasattr(self, "_socket"):
            self._socket.close()
        self.process.close()

    def tcl(self, command: str) -> str:
        """The result of a command of OpenOCD's; raises `DeviceError` if it fails."""
        return self._tcl.run(command)

    def _start(self) -> None:
        self._tcl.run("target names")  # answered once OpenOCD has looked at the scan chain
        self._check_tap()
        self.reset()
        self._check_chip()
        self._tcl.run("cortex_m vector_catch all")

    def _check_tap(self) -> None:
        """OpenOCD goes on with any chip. Adapters without JTAG do not know the code."""
        found = re.search(r"(?:found|UNEXPECTED): (0x[0-9a-f]+)", self.process.output())
        if found and int(found[1], 16) != self.chip.jtag_id:
            raise WrongChip(self.board, "JTAG identification", self.chip.jtag_id, int(found[1], 16))

    def _check_chip(self) -> None:
        check_chip(self.board, self.chip, self._word(CPUID), self._word(self.chip.dbgmcu))

    # --- memory -----------------------------------------------------------------------------------------------------

    def read(self, address: int, size: int) -> bytes:
        if size >= BY_FILE:
            path = self._file()
            self._tcl.run(f"dump_image {{{path.as_posix()}}} {address:#x} {size}", _seconds(size))
            return path.read_bytes()
        return b"".join(self._read(at, width, count) for at, width, count in pieces(address, size))

    def _read(self, address: int, width: int, count: int) -> bytes:
        answer = self._tcl.run(f"read_memory {address:#x} {8 * width} {count}")
        return b"".join(int(word, 0).to_bytes(width, "little") for word in answer.split())

    def write(self, address: int, data: bytes) -> None:
        if len(data) >= BY_FILE:
            path = self._file()
            path.write_bytes(data)
            self._tcl.run(f"load_image {{{path.as_posix()}}} {address:#x} bin", _seconds(len(data)))
            return
        for at, width, count in pieces(address, len(data)):
            part = data[at - address : at - address + width * count]
            words = [int.from_bytes(part[i : i + width], "little") for i in range(0, len(part), width)]
            self._tcl.run(f"write_memory {at:#x} {8 * width} {{{' '.join(map(hex, words))}}}")

    def _file(self) -> Path:
        return self.process.folder / "memory.bin"

    def _word(self, address: int) -> int:
        return int.from_bytes(self._read(address & ~3, 4, 1), "little")

    # --- run control ------------------------------------------------------------------------------------------------

    def call(self, entry: int, stack: int, timeout: float) -> Stop:
        self._halt()
        values = f"sp {stack:#x} lr {NOWHERE:#x} xPSR {THUMB_STATE:#x} pc {entry & ~1:#x}"
        self._tcl.run(
            f"set_reg {{{values}}}; mww {DEMCR:#x} [expr {{[mrw {DEMCR:#x}] | {TRCENA:#x}}}];"
            f" mww {DWT_CTRL:#x} [expr {{[mrw {DWT_CTRL:#x}] | {CYCCNTENA}}}]; mww {DWT_CYCCNT:#x} 0; resume"
        )
        if not self._stopped_within(timeout):
            self._halt()
            raise TimedOut(self.board, entry & ~1, timeout, self._registers("pc")["pc"])
        found = self._registers("pc sp xPSR")
        cycles = self._word(DWT_CYCCNT)
        with reset_where_wrong(self):
            return conclude(self.board, entry & ~1, self._word, found["pc"], found["sp"], found["xPSR"], cycles)

    def _stopped_within(self, timeout: float) -> bool:
        """OpenOCD waits; it says so with an error when the time is over."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            moment = max(min(left, 1.0), 0.001)
            try:
                self._tcl.run(f"wait_halt {round(1000 * moment) + 1}", moment + ANSWER_SECONDS)
                return True
            except LinkLost:
                raise
            except DeviceError:
                continue
        return False

    def _halt(self) -> None:
        if self._tcl.run("[target current] curstate").strip() != "halted":
            self._tcl.run("halt")

    def _registers(self, names: str, called: Sequence[str] = ()) -> dict[str, int]:
        words = self._tcl.run(f"get_reg {{{names}}}").split()
        values = dict(zip(words[::2], (int(value, 0) for value in words[1::2]), strict=True))
        return values if not called else {name: values[_openocd_name(name)] for name in called}

    def reset(self) -> None:
        self._tcl.run("reset halt")

    # --- programs in flash ------------------------------------------------------------------------------------------

    def program(self, elf: bytes) -> str:
        """Write a program into the flash, where it is not there already, and compare. Raises DeviceError where that fails."""
        path = self.process.folder / "firmware.elf"
        path.write_bytes(elf)
        image = f"{{{path.as_posix()}}} 0 elf"
        self.reset()
        if not self._is_there(image, len(elf)):
            self._tcl.run(f"flash write_image erase {image}", PROGRAM_SECONDS + _seconds(len(elf)))
            self._tcl.run(f"verify_image {image}", PROGRAM_SECONDS + _seconds(len(elf)))
        self.reset()
        return "in flash"

    def _is_there(self, image: str, size: int) -> bool:
        try:
            self._tcl.run(f"verify_image {image}", PROGRAM_SECONDS + _seconds(size))
        except LinkLost:
            raise
        except DeviceError:
            return False
        return True

    def registers(self, *names: str) -> dict[str, int]:
        return self._registers(" ".join(_openocd_name(n) for n in names), names)

    def set_registers(self, **values: int) -> None:
        pairs = " ".join(f"{_openocd_name(name)} {value:#x}" for name, value in values.items())
        self._tcl.run(f"set_reg {{{pairs}}}")

    def resume(self) -> None:
        self._tcl.run("resume")

    def stopped(self, seconds: float) -> bool:
        return self._stopped_within(seconds)

    def halt(self) -> None:
        self._halt()

    def break_at(self, address: int) -> None:
        self._tcl.run(f"bp {address & ~1:#x} 2 hw")

    def do_not_break_at(self, address: int) -> None:
        self._tcl.run(f"rbp {address & ~1:#x}")

    def release(self) -> None:
        self._tcl.run("cortex_m vector_catch none; reset run")


def _openocd_name(register: str) -> str:
    return "xPSR" if register == "xpsr" else register


def check_chip(board: Board, chip: Debug, cpuid: int, identity: int) -> None:
    """Raises `WrongChip` unless the processor and the chip are the board's; both are registers of that name."""
    part = board.core.part
    if part is not None and cpuid >> 4 & 0xFFF != part:
        raise WrongChip(board, "processor's part number", part, cpuid >> 4 & 0xFFF)
    if identity & 0xFFF != chip.device:
        raise WrongChip(board, "device identification", chip.device, identity & 0xFFF)


def pieces(address: int, size: int) -> list[tuple[int, int, int]]:
    """A range as (address, width, count): bytes up to a word's boundary, words, bytes."""
    first = min(-address % 4, size)
    words = (size - first) // 4
    last = size - first - 4 * words
    found = ((address, 1, first), (address + first, 4, words), (address + size - last, 1, last))
    return [piece for piece in found if piece[2]]


def _seconds(size: int) -> float:
    """How long a transfer may take: a slow adapter moves some 10 KB a second."""
    return ANSWER_SECONDS + size / 5000
