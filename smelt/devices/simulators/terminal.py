"""A simulated board's serial port as a pseudo-terminal of this computer, for programs that ask boards: on POSIX systems."""

from __future__ import annotations

import os
import select
from types import TracebackType

from smelt.errors import OptionError

MOST = 4096  # bytes at once


class Terminal:
    """A `Line` whose other end is the device `path`, which programs open as they open a serial port.

    Raises OptionError where the system has no pseudo-terminals.
    """

    def __init__(self) -> None:
        try:
            import tty
        except ImportError:
            raise OptionError("this system has no pseudo-terminals") from None
        self._own, self._others = os.openpty()
        os.set_blocking(self._own, False)  # of more than has room, what has
        tty.setraw(self._others)
        self.path = os.ttyname(self._others)
        self._ended, self._end = os.pipe()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in (self._own, self._others, self._ended, self._end):
            os.close(handle)

    def hang_up(self) -> None:
        """Let the board find nobody at the other end any more. From any thread."""
        os.write(self._end, b"\0")

    def give(self, data: bytes) -> None:
        """What nobody reads is lost once the line is hung up."""
        while data:
            _, room, _ = select.select([self._ended], [self._own], [])
            if not room:
                return
            data = data[os.write(self._own, data) :]

    def take(self) -> bytes:
        ready, _, _ = select.select([self._own, self._ended], [], [])
        return os.read(self._own, MOST) if self._own in ready else b""
