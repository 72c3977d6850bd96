"""Helper programs (OpenOCD, QEMU) that never outlive us, and the ports they listen on."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from smelt.devices.closing import Closing
from smelt.devices.link import LinkLost
from smelt.errors import DeviceError

GUARD = Path(__file__).parent / "guard.py"
END_SECONDS = 5.0


def find_program(name: str, install: str) -> str:
    """The full path of a program; raises `DeviceError` with how to install it."""
    path = shutil.which(name)
    if path is None:
        raise DeviceError(f"{name} is not installed: {install}")
    return path


def free_port() -> int:
    """A port of this machine that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Process(Closing):
    """A running program with a private folder, in which its output is kept. It is killed by `close`, or when we die."""

    def __init__(self, command: Sequence[str], folder: Path | None = None) -> None:
        """`folder` becomes the working folder (the private one if None). Raises `DeviceError` if the program does not start."""
        self.name = Path(command[0]).stem
        self._private = tempfile.TemporaryDirectory(prefix="smelt-", ignore_cleanup_errors=True)
        self.folder = Path(self._private.name)
        self._log = self.folder / "output.txt"
        try:
            self._guard = subprocess.Popen(
                (sys.executable, "-I", "-S", str(GUARD), str(self._log), *command),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder or self.folder,
            )  # fmt: skip
        except OSError as error:
            self._private.cleanup()
            raise DeviceError(f"{self.name} cannot be started: {error.strerror}") from error
        self.pid = self._read_pid()

    def _read_pid(self) -> int:
        assert self._guard.stdout is not None
        line = self._guard.stdout.readline()
        if not line.strip().isdigit():
            self.close()
            raise DeviceError(f"{self.name} cannot be started")
        return int(line)

    @property
    def alive(self) -> bool:
        return self._guard.poll() is None

    def output(self) -> str:
        """What the program has printed so far."""
        try:
            return self._log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def last_words(self, lines: int = 4) -> str:
        """The end of its output, for a message."""
        found = [line.strip() for line in self.output().splitlines() if line.strip()]
        return "; ".join(found[-lines:]) or "it printed nothing"

    def wait_for(self, found: Callable[[str], bool], seconds: float) -> None:
        """Wait until the output fulfils a condition; raises `LinkLost` if the program ends before, or does not get there."""
        end = time.monotonic() + seconds
        while not found(self.output()):
            if not self.alive and not found(self.output()):
                raise LinkLost(f"{self.name} ended: {self.last_words()}")
            if time.monotonic() > end:
                raise LinkLost(f"{self.name} did not get ready within {seconds:g} s: {self.last_words()}")
            time.sleep(0.01)

    def wait(self, seconds: float) -> int | None:
        """The program's exit code (above 127 if a signal ended it); None if it still runs after so many seconds."""
        try:
            return self._guard.wait(seconds) & 0xFF
        except subprocess.TimeoutExpired:
            return None

    def close(self) -> None:
        """Kill the program, wait for its end, remove its folder. May be called twice."""
        guard = self._guard
        with contextlib.suppress(OSError):
            if guard.stdin is not None:
                guard.stdin.close()
        try:
            guard.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            guard.kill()
            guard.wait()
        if guard.stdout is not None:
            guard.stdout.close()
        self._private.cleanup()


def connect(port: int, process: Process, seconds: float) -> socket.socket:
    """A connection to a program that is about to listen; raises `LinkLost` if it ends before or takes too long."""
    end = time.monotonic() + seconds
    while True:
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=seconds)
            if connection.getsockname() == connection.getpeername():
                connection.close()  # nobody listens yet, and the system has connected us to ourselves
                raise ConnectionRefusedError("not listening")
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        except OSError as error:
            if not process.alive:
                raise LinkLost(f"{process.name} ended: {process.last_words()}") from error
            if time.monotonic() > end:
                raise LinkLost(f"{process.name} does not answer: {process.last_words()}") from error
            time.sleep(0.01)
