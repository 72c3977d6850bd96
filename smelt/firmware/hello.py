"""Firmware that speaks through the board's serial port, and has something to say where nobody asks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from smelt.errors import OptionError
from smelt.firmware.image import Sources
from smelt.firmware.sources import lines, smelt_version
from smelt.firmware.template import template
from smelt.targets.boards import BOARDS
from smelt.targets.types import Board

FILE = "smelt_hello.c"
SPEAKERS = ("smelt_registers.c", "smelt_semihosting.c", "startup.c")
BYTES_PER_LINE = 24


def speaking(firmware: Sources, board: Board) -> Sources:
    """`firmware` that prints through the serial port, not through a debugger. Raises OptionError for boards whose port smelt does
    not know."""
    if board.uart is None:
        able = ", ".join(b.name for b in BOARDS if b.uart)
        raise OptionError(f"smelt knows no serial port of {board.name}; it knows those of {able}")
    return with_flags(firmware, SPEAKERS, "-DSMELT_UART")


def with_hello(firmware: Sources, inputs: Sequence[np.ndarray[Any, Any]]) -> Sources:
    """`firmware` that computes for ever, where no debugger gives it inputs, with these: an array for each input of the network.
    Raises OptionError where the network is fed in rows."""
    if firmware.entry == "smelt_infer":
        raise OptionError("a hello brings its input along, and with --feed the input never is whole in memory")
    arrays = [_array(number, array) for number, array in enumerate(inputs)]
    names = ", ".join(f"input{number}" for number in range(len(inputs)))
    text = template("hello.c").substitute(file=FILE, version=smelt_version(), arrays=lines(arrays), names=names)
    return with_flags(replace(firmware, files={**firmware.files, FILE: text}), ("main.c",), "-DSMELT_HELLO")


def with_flags(firmware: Sources, files: Sequence[str], flag: str) -> Sources:
    """`firmware` whose `files` are compiled with one more flag."""
    more = {name: (*firmware.flags.get(name, ()), flag) for name in files}
    return replace(firmware, flags={**firmware.flags, **more})


def _array(number: int, array: np.ndarray[Any, Any]) -> str:
    data = np.ascontiguousarray(array).tobytes()
    rows = (data[at : at + BYTES_PER_LINE] for at in range(0, len(data), BYTES_PER_LINE))
    body = "\n".join(f"    {', '.join(map(str, row))}," for row in rows)
    return f"static const uint8_t input{number}[] = {{\n{body}\n}};"
