"""What all commands have in common: how errors are told, and what it means that the answer cannot be written."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import Any

import click

from smelt.answers import AS_JSON, JSON, Failure
from smelt.commands.compiling import emit_json
from smelt.errors import BuildError, OptionError, SmeltError, shown
from smelt.report.text import complain, fitted

TERMINATED = 143
EMPTY = "smelt.empty"  # the words before empty ones, which would be read as the present folder, or as no option

EXIT_CODES = """\b
Exit codes:
  0  done
  1  a defect of smelt
  2  the command line or an input file; tune: too little time to measure anything
  3  the model file is damaged or no model
  4  the model needs something that smelt does not support
  5  the model does not fit the board
  6  the compiler is missing or failed, or a file could not be written
  7  the device failed: fault, time-out, lost
  8  the device's numbers differ from the oracle's
  130, 143  interrupted (Ctrl-C), ended by TERM; what was measured so far is kept. While a plan is made, the first Ctrl-C
            takes the best plan so far, if there is one, and a note says so; the second one ends
"""


class Commands(click.Group):
    """Prints smelt's own errors as one message, never as a traceback."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        as_json = JSON in args  # whatever else is wrong with them
        empty = [before for before, word in pairwise((info_name or "smelt", *args)) if not word]
        try:
            with printable_usage(), whole_output():
                context = super().make_context(info_name, args, parent, **extra)
                context.meta[AS_JSON] = as_json
                context.meta[EMPTY] = empty
                return context
        except SmeltError as error:  # of --help and --version
            complain(f"error: {error}")
            sys.exit(error.exit_code)

    def invoke(self, context: click.Context) -> Any:
        try:
            with printable_usage(), whole_output(), ended_cleanly():
                if context.meta[EMPTY]:
                    raise OptionError(
                        f"an empty word stands after '{context.meta[EMPTY][0]}': is a variable of the shell not set?"
                    )
                return super().invoke(context)
        except SmeltError as error:
            complain(f"error: {error}")
            answer(context, Failure(type(error).__name__, str(error), error.exit_code))
            context.exit(error.exit_code)
        except click.ClickException as error:
            answer(context, Failure(OptionError.__name__, error.format_message(), error.exit_code))
            raise
        except KeyboardInterrupt:
            complain("interrupted")
            context.exit(130)


def answer(context: click.Context, failure: Failure) -> None:
    """For programs that wait for an answer, what people read on standard error; nothing where standard output is what failed."""
    if context.meta.get(AS_JSON):
        with suppress(OSError, ValueError):
            emit_json("error", failure)


@contextmanager
def ended_cleanly() -> Iterator[None]:
    """TERM ends a command as an error does: temporary folders and worker processes go with it. Exit code 143, as shells say it.
    Only a main thread may ask for signals; where there is no TERM (Windows ends processes without one), nothing comes of it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # what is cleaned up now is not interrupted again
    sys.exit(TERMINATED)


# How writing to a file fails that was opened long ago: these errors have no file's name.
OUTPUT_FAILURES = (errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EDQUOT, errno.EBADF)


@contextmanager
def printable_usage() -> Iterator[None]:
    """What click says of a wrong command line quotes it: control characters as escapes, lines broken between words."""
    try:
        yield
    except click.ClickException as error:
        # click declares it final; its own classes compose what they print from it
        error.message = fitted(shown(error.message))  # type: ignore[misc]
        raise


@contextmanager
def whole_output() -> Iterator[None]:
    """What it means that standard output cannot be written."""
    try:
        yield
    except BrokenPipeError:  # the reader, `head` for example, has seen enough
        abandon_output()
        sys.exit(0)
    except OSError as error:
        if error.filename is not None or error.errno not in OUTPUT_FAILURES:
            raise
        abandon_output()
        raise BuildError(f"standard output cannot be written: {error.strerror}") from None


def abandon_output() -> None:
    """Give the interpreter somewhere to flush to at its end."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
