"""What Python functions raise that C calls: ctypes would print it and go on as if nothing had been."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Escapes:
    """Keeps what a called function raised, Ctrl-C and TERM included, until whoever started the emulator asks for it."""

    def __init__(self, stop: Callable[[], Any]) -> None:
        """`stop` ends what runs."""
        self._stop = stop
        self._raised: BaseException | None = None

    def carried(self, function: Callable[..., None]) -> Callable[..., None]:
        """`function` for C to call: what it raises stops the emulator, and is kept."""

        def call(*arguments: Any) -> None:
            if self._raised is not None:
                return  # the emulator is about to stop
            try:
                function(*arguments)
            except BaseException as raised:  # whatever it is, it is raised again by `check`
                self._raised = raised
                self._stop()

        return call

    def check(self) -> None:
        """Raise what was kept."""
        raised, self._raised = self._raised, None
        if raised is not None:
            raise raised
