"""The debug link through pyOCD: to a real board with any probe that it knows (CMSIS-DAP, ST-LINK, J-Link), or a simulated one."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from smelt.devices.closing import Closing
from smelt.devices.cortex_m import (
    CATCH_ALL,
    CFSR,
    CPUID,
    CYCCNTENA,
    DEMCR,
    DFSR,
    DFSR_ALL,
    DWT_CTRL,
    DWT_CYCCNT,
    HFSR,
    NOWHERE,
    THUMB_STATE,
    TRCENA,
    conclude,
)  # fmt: skip
from smelt.devices.debug_port.chips import debug_chip
from smelt.devices.link import LinkLost, Stop, TimedOut, reset_where_wrong
from smelt.devices.openocd import check_chip
from smelt.errors import DeviceError
from smelt.firmware.elf import Segment, read_elf
from smelt.targets.types import Board

ANY = "cortex_m"
OPTIONS = {
    "target_override": ANY,
    "connect_mode": "halt",
    "resume_on_disconnect": False,
    "reset_type": "sysresetreq",
    "rtos.enable": False,
    "vector_catch": "",
}


class PyOcdLink(Closing):
    """A `DebugLink` through pyOCD, in this process."""

    def __init__(self, board: Board, uid: str | None = None, probe: Any = None) -> None:
        """`uid` is the probe's serial number, or a part of it; None takes the only probe. `probe` is a pyOCD probe object instead.

        Raises `DeviceError` if pyOCD is missing, `LinkLost` if there is no such probe or no chip, `WrongChip` if it is another one.
        """
        self.board, chip = board, debug_chip(board)
        self._delays = probe is None  # simulated chips need no time after a reset
        self._session = _session(board, uid, probe)
        try:
            with self._errors():
                self._session.open()
                self._core = self._session.target.selected_core
            if self._core is None:
                raise LinkLost(f"{board.name}: pyOCD finds no processor")
            self.reset()
            check_chip(board, chip, self._word(CPUID), self._word(chip.dbgmcu))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let the probe go. May be called twice."""
        with _quiet():
            self._session.close()

    # --- memory -----------------------------------------------------------------------------------------------------

    def read(self, address: int, size: int) -> bytes:
        with self._errors():
            return bytes(self._core.read_memory_block8(address, size))

    def write(self, address: int, data: bytes) -> None:
        with self._errors():
            self._core.write_memory_block8(address, data)
            self._core.flush()

    def _word(self, address: int) -> int:
        with self._errors():
            return int(self._core.read32(address))

    def _set_words(self, *words: tuple[int, int]) -> None:
        with self._errors():
            for address, value in words:
                self._core.write32(address, value)
            self._core.flush()

    # --- run control ------------------------------------------------------------------------------------------------

    def call(self, entry: int, stack: int, timeout: float) -> Stop:
        self._prepare(entry & ~1, stack)
        end = time.monotonic() + timeout
        with self._errors():
            self._core.resume()
            while not self._core.is_halted():
                if time.monotonic() > end:
                    self._core.halt()
                    raise TimedOut(self.board, entry & ~1, timeout, self._core.read_core_register("pc"))
            pc, sp, xpsr = (int(v) for v in self._core.read_core_registers_raw(["pc", "sp", "xpsr"]))
        cycles = self._word(DWT_CYCCNT)
        with reset_where_wrong(self):
            return conclude(self.board, entry & ~1, self._word, pc, sp, xpsr, cycles)

    def _prepare(self, entry: int, stack: int) -> None:
        with self._errors():
            if not self._core.is_halted():
                self._core.halt()
            names = ("sp", "lr", "xpsr", "pc")
            self._core.write_core_registers_raw(names, (stack, NOWHERE, THUMB_STATE, entry))
        self._set_words(
            (DEMCR, CATCH_ALL | TRCENA), (DFSR, DFSR_ALL), (CFSR, 0xFFFFFFFF), (HFSR, 0xFFFFFFFF),
            (DWT_CTRL, self._word(DWT_CTRL) | CYCCNTENA), (DWT_CYCCNT, 0),
        )  # fmt: skip

    def reset(self) -> None:
        with self._errors():
            self._core.reset_and_halt()

    # --- programs in flash ------------------------------------------------------------------------------------------

    def program(self, elf: bytes) -> str:
        """Write a program into the flash, or into RAM if that is where it belongs, and compare. Raises DeviceError where pyOCD
        cannot program this chip's flash, with what it lacks."""
        segments = [s for s in read_elf(elf).segments if s.data]
        flash = self.board.chip.flash
        in_flash = any(flash.start <= s.load < flash.end for s in segments)
        self.reset()
        if not in_flash:
            for segment in segments:
                self.write(segment.load, segment.data)
        elif not all(self.read(s.load, len(s.data)) == s.data for s in segments):
            self._write_flash(segments)
            self.reset()
        for segment in segments:
            if self.read(segment.load, len(segment.data)) != segment.data:
                raise DeviceError(f"{self.board.name}: what is at {segment.load:#010x} is not what was written there")
        return "in flash" if in_flash else "in RAM"

    def _write_flash(self, segments: Sequence[Segment]) -> None:
        """By a session with pyOCD's own description of the chip, in place of this one, which knows any Cortex-M."""
        from pyocd.core.memory_map import MemoryType
        from pyocd.flash.loader import FlashLoader

        name = debug_chip(self.board).pyocd
        if name is None or not can_program(self.board):
            raise DeviceError(missing_pack(self.board))
        probe = self._session.probe
        with self._errors():
            self._session.close()
            with _new_session(probe, name, self._delays) as session:
                assert list(session.target.memory_map.iter_matching_regions(type=MemoryType.FLASH))
                loader = FlashLoader(session, progress=lambda _: None)
                for segment in segments:
                    loader.add_data(segment.load, segment.data)
                loader.commit()
            self._session = _new_session(probe, ANY, self._delays)
            self._session.open()
            self._core = self._session.target.selected_core

    def registers(self, *names: str) -> dict[str, int]:
        with self._errors():
            return dict(zip(names, map(int, self._core.read_core_registers_raw(list(names))), strict=True))

    def set_registers(self, **values: int) -> None:
        with self._errors():
            self._core.write_core_registers_raw(list(values), list(values.values()))

    def resume(self) -> None:
        with self._errors():
            self._core.resume()

    def stopped(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        with self._errors():
            while not self._core.is_halted():
                if time.monotonic() > end:
                    return False
        return True

    def halt(self) -> None:
        with self._errors():
            self._core.halt()

    def break_at(self, address: int) -> None:
        with self._errors():
            self._core.set_breakpoint(address & ~1)
            self._core.bp_manager.flush()

    def do_not_break_at(self, address: int) -> None:
        with self._errors():
            self._core.remove_breakpoint(address & ~1)
            self._core.bp_manager.flush()

    def release(self) -> None:
        with self._errors():
            self._core.reset()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """pyOCD's errors as ours. A refused access is the caller's; anything else means that the way to the chip is gone."""
        from pyocd.core import exceptions

        try:
            with _quiet():
                yield
        except exceptions.TransferFaultError as error:
            raise DeviceError(f"{self.board.name}: {error}") from error
        except (exceptions.Error, OSError) as error:
            raise LinkLost(f"{self.board.name}: pyOCD lost the device: {error}") from error


def can_program(board: Board) -> bool:
    """Whether pyOCD knows how to program the flash of a board: of its own, or by an installed pack. Raises DeviceError without
    pyOCD."""
    try:
        from pyocd.target import TARGET
    except ImportError as error:
        raise DeviceError("pyOCD is not installed: pip install 'smelt[pyocd]'") from error
    from pyocd.target.pack.pack_target import ManagedPacks

    name = board.chip.debug.pyocd if board.chip.debug else None
    if name is None or name in TARGET:
        return name is not None
    ManagedPacks.populate_target(name)
    return name in TARGET


def missing_pack(board: Board) -> str:
    """What pyOCD needs to program the flash of a board, in words."""
    name = board.chip.debug.pyocd if board.chip.debug else None
    if name is None:
        return f"{board.name}: smelt does not know pyOCD's name of the {board.chip.name}; --device openocd may program its flash"
    return (
        f"{board.name}: pyOCD needs a pack to program the flash of the {board.chip.name}: run `pyocd pack install {name}` (it is "
        "downloaded), or use --device openocd"
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """pyOCD logs every error before it raises it; the errors are reported by us."""
    logger = logging.getLogger("pyocd")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def _new_session(probe: Any, target: str, delays: bool) -> Any:
    from pyocd.core.session import Session

    options = {**OPTIONS, "no_config": True, "target_override": target}
    return Session(probe, auto_open=True, options=options if delays else {**options, "reset.post_delay": 0.0})


def _session(board: Board, uid: str | None, probe: Any) -> Any:
    try:
        from pyocd.core.helpers import ConnectHelper
        from pyocd.core.session import Session
    except ImportError as error:
        raise DeviceError("pyOCD is not installed: pip install 'smelt[pyocd]'") from error
    options = {**OPTIONS, "no_config": True}
    with _quiet():
        if probe is not None:
            return Session(probe, auto_open=False, options={**options, "reset.post_delay": 0.0})
        found = [p for p in ConnectHelper.get_all_connected_probes(blocking=False) if uid is None or uid in p.unique_id]
        if len(found) == 1:
            return Session(found[0], auto_open=False, options=options)
    which = ", ".join(p.unique_id for p in found) or "none"
    wanted = "" if uid is None else f" with {uid!r} in its serial number"
    raise LinkLost(f"{board.name}: one probe{wanted} must be connected; found: {which}")
