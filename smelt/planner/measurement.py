"""`Measurement`: what one kernel took on one board, where everything lay then, and who counted; and how it is written down.

A line of a log is a JSON object. Lines of earlier versions of smelt are read, too: what they do not say is empty.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, fields
from typing import Any

from smelt.nouns import Noun

DEVICE = "device "
"""How the name of a real device begins in `Origin.counter`."""

VIRTUAL = "virtual "
"""How the name of a simulated device behind a real debugger begins there."""

FLASH = "flash"
"""What `Places` call the flash of a chip, whatever the chip calls it."""

RAM = "ram"
"""What they call some RAM whose name was not noted."""

Place = tuple[bool, bool]
"""Whether tables and whether code lay in RAM."""

IN_FLASH: Place = (False, False)

IN_RAM: Place = (True, True)
"""Where tables and code lie that a session loaded through a debug link."""

MOST_CYCLES = 2**53
"""What no measurement reaches: at a gigahertz that would be a hundred days. Below it a cycle count is exact in any JSON
reader."""

LONGEST_LINE = 1 << 16
"""Bytes of a line, beyond which it is not looked at: what is written has a few thousand at most."""


@dataclass(frozen=True)
class Places(Noun):
    """The memories in which a kernel's code, tables, operands, result and scratch lay; empty where there is nothing of the
    kind, or nobody noted it."""

    code: str = FLASH
    tables: str = FLASH
    x: str = ""
    y: str = ""
    scratch: str = ""

    @property
    def kind(self) -> Place:
        """Whether tables and whether code were in RAM."""
        return self.tables != FLASH, self.code != FLASH


LOADED = Places(RAM, RAM)
"""Where a debug link put things before that was noted."""


@dataclass(frozen=True)
class Origin(Noun):
    """Who counted, and what compiled: "simulator 1a2b3c4d", with a digest of the model of time, or "device openocd"; "zig
    0.17.1". Empty where nobody noted it."""

    counter: str = ""
    compiler: str = ""

    @property
    def compiler_name(self) -> str:
        """The compiler without its version."""
        return self.compiler.partition(" ")[0]

    @property
    def is_device(self) -> bool:
        """Whether a real device counted."""
        return self.counter.startswith(DEVICE)


@dataclass(frozen=True)
class Measurement(Noun):
    """One kernel on one board: its cycles, or why there are none ("compile: ...", "fault: ...", "mismatch: ...").

    `kernel` is its name, which holds a digest of its own text; `routines` is one of what it calls (`kernels/digest.py`),
    empty where that was not noted. `op_key`, `implementation` and `schedule` are readable texts. `features` are what is known
    of it without running it, by name.
    """

    kernel: str
    op_key: str
    implementation: str
    schedule: str
    board: str
    cycles: int | None = None
    failure: str | None = None
    origin: Origin = Origin()
    places: Places = Places()
    features: tuple[tuple[str, int], ...] = ()
    routines: str = ""

    @property
    def place(self) -> Place:
        """Whether tables and whether code were in RAM."""
        return self.places.kind

    @property
    def code_in_flash(self) -> bool:
        """Whether this is a figure of firmware."""
        return self.places.code == FLASH

    @property
    def line(self) -> bytes:
        """The measurement as a line of a file."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values |= {"origin": asdict(self.origin), "places": asdict(self.places), "features": dict(self.features)}
        return json.dumps(values, separators=(",", ":")).encode() + b"\n"


# --- reading ----------------------------------------------------------------------------------------------------------


def parsed(line: bytes) -> Measurement | None:
    """A line as a measurement; None where it is none. Fields of later versions are ignored."""
    try:
        values = json.loads(line) if len(line) <= LONGEST_LINE else None
    except (ValueError, RecursionError):  # no JSON, no UTF-8, a number of thousands of digits; nested too deeply
        return None
    if not isinstance(values, dict):
        return None
    return _measurement(_of_before(values) if "toolchain" in values else values)


def _measurement(values: Mapping[str, Any]) -> Measurement | None:
    names = [values.get(name) for name in ("kernel", "op_key", "implementation", "schedule", "board")]
    cycles, failure, routines = values.get("cycles"), values.get("failure"), values.get("routines")
    origin, places = _texts(Origin, values.get("origin")), _texts(Places, values.get("places"))
    if not all(map(_is_text, (*names, routines))) or origin is None or places is None:
        return None
    if not (_is_count(cycles, 1) or (cycles is None and _is_text(failure))):
        return None
    found = values.get("features")
    items = found.items() if isinstance(found, dict) else ()
    features = tuple((name, n) for name, n in items if _is_text(name) and _is_count(n, 0))
    kernel, op_key, implementation, schedule, board = map(str, names)
    how = kernel, op_key, implementation, schedule, board
    return Measurement(*how, cycles, failure if cycles is None else None, origin, places, features, str(routines))


def _of_before(values: dict[str, Any]) -> Mapping[str, Any]:
    """A line from before origins and places were noted in full, in today's words; what it had wrong stays wrong."""
    toolchain, device = values["toolchain"], values.get("device", "")
    code, resident = values.get("code"), values.get("resident", False)
    if (
        not (_is_text(toolchain) and _is_text(device))
        or code not in (None, FLASH, RAM)
        or not isinstance(resident, bool)
    ):
        return {}
    compiler, _, headers = toolchain.partition(", ")  # "zig 0.17.1, headers 1a2b3c4d"
    places = Places(code or FLASH, RAM if resident else FLASH)
    if code is None and device.startswith((DEVICE, VIRTUAL)):  # it was not noted either that links have tables in RAM
        places = LOADED
    return {
        **values,
        "failure": values.get("error"),
        "origin": {"counter": device, "compiler": compiler},
        "places": asdict(places),
        "features": values.get("counts"),
        "routines": headers,
    }


def _texts(kind: type[Any], values: object) -> Any:
    """A dataclass of texts from an object of JSON; None where that is no such thing."""
    if not isinstance(values, dict):
        return None
    found = kind(**{f.name: values.get(f.name, f.default) for f in fields(kind)})
    return found if all(map(_is_text, astuple(found))) else None


def _is_count(value: object, least: int) -> bool:
    """Whether a figure can be one: a whole number (which `true` is not) that is not absurd."""
    return type(value) is int and least <= value < MOST_CYCLES


def _is_text(value: object) -> bool:
    """Whether this is a text that can be written again: JSON can spell halves of characters."""
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)
