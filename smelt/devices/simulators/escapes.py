"""What Python functions raise that C calls: ctypes would print it and go on as if nothing had been."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Escapes:
    """Keeps what a called function raised, Ctrl-C and TERM included, until the emulator has stopped."""

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
            except BaseException as raised:  # whatever it is, it is raised again by `caught`
                self._raised = raised
                self._stop()

        return call

    def answered(self, function: Callable[..., int]) -> Callable[..., int]:
        """The same for a function whose answer C waits for: 0 in place of what was raised."""

        def call(*arguments: Any) -> int:
            answers: list[int] = []
            self.carried(lambda: answers.append(function(*arguments)))()
            return answers[0] if answers else 0

        return call

    @contextmanager
    def caught(self) -> Iterator[None]:
        """While the emulator runs: an exit raised by a signal before a called function's first line is kept as well; at the end
        what was kept is raised."""
        before = sys.unraisablehook

        def keep(lost: sys.UnraisableHookArgs) -> None:
            if isinstance(lost.exc_value, KeyboardInterrupt | SystemExit):
                self._raised = lost.exc_value
                self._stop()
            else:
                before(lost)

        sys.unraisablehook = keep
        try:
            yield
        finally:
            sys.unraisablehook = before
        self._check()

    def _check(self) -> None:
        raised, self._raised = self._raised, None
        if raised is not None:
            raise raised
