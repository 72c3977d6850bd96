"""A table of a TOML file, read strictly: every key is known, every value has its type, and every error names the key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smelt.errors import OptionError

KB = 1024
SIZE = r"([0-9]{1,9})([KM]?)"
WORD = r"[a-z][a-z0-9_]{0,39}"
LONGEST = 200  # characters of a text for people
FACTORS = {"": 1, "K": KB, "M": KB * KB}
KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "a table",
}


class BadKey(OptionError):
    """A key of a TOML file that is wrong. `key` is its full name, such as memories[2].size."""

    def __init__(self, key: str, what: str) -> None:
        self.key, self.what = key, what
        super().__init__(f"{key}: {what}")


@dataclass(frozen=True)
class Table:
    """The values of one table. `place` is where it stands, such as memories[2]; empty for the file itself."""

    values: Mapping[str, Any]
    place: str = ""

    def key(self, name: str) -> str:
        """The full name of a key."""
        return f"{self.place}.{name}" if self.place else name

    def wrong(self, name: str, what: str) -> BadKey:
        return BadKey(self.key(name), what)

    def check_keys(self, required: Sequence[str], optional: Sequence[str]) -> None:
        """Raise BadKey for one that has no meaning here, or that must be there and is not."""
        for name in self.values:
            if name not in (*required, *optional):
                near = difflib.get_close_matches(name, (*required, *optional), n=1, cutoff=0.6)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join((*required, *optional))}"
                raise self.wrong(_key(name), f"no such key: {hint}")
        for name in required:
            if name not in self.values:
                raise self.wrong(name, "is missing")

    def integer(self, name: str, least: int, most: int, default: int | None = None) -> int:
        """A whole number within limits."""
        value = self._of(name, int, default)
        if not least <= value <= most:
            raise self.wrong(name, f"{_shown(value)} is not within {least:,} to {most:,}")
        return int(value)

    def address(self, name: str) -> int:
        return self.integer(name, 0, 0xFFFFFFFF)

    def addresses(self, name: str) -> tuple[int, ...]:
        """A list of addresses, empty where it is not given."""
        found = self._of(name, list, [])
        items = {str(n): value for n, value in enumerate(found)}
        inner = Table({f"{name}[{n}]": value for n, value in items.items()}, self.place)
        return tuple(inner.address(key) for key in inner.values)

    def size(self, name: str, most: int) -> int:
        """A size in bytes, a number or a text such as "64K" or "2M" (K is 1024)."""
        value = self.values[name]
        if isinstance(value, str):
            found = re.fullmatch(SIZE, value)
            if found is None:
                raise self.wrong(name, f'{_shown(value)} is no size: write bytes, or "64K" or "2M" (K is 1024)')
            value = int(found[1]) * FACTORS[found[2]]
        return Table({name: value}, self.place).integer(name, 1, most)

    def number(self, name: str, least: float, most: float) -> float | int | None:
        """A number within limits; None where it is not given."""
        if name not in self.values:
            return None
        value = self.values[name]
        kept = value if type(value) is int else self._of(name, float)
        if not least <= kept <= most:
            raise self.wrong(name, f"{_shown(value)} is not within {least:g} to {most:g}")
        return kept

    def flag(self, name: str, default: bool = False) -> bool:
        return bool(self._of(name, bool, default))

    def word(self, name: str, default: str | None = None, pattern: str = WORD) -> str:
        """A name that may stand in C and in linker scripts."""
        value = str(self._of(name, str, default))
        if not re.fullmatch(pattern, value):
            raise self.wrong(name, f"{_shown(value)} is no name: use small letters, digits and _, the first a letter")
        return value

    def text(self, name: str) -> str:
        """A line for people, which may stand in a comment of C."""
        value = str(self._of(name, str))
        if not value.strip() or len(value) > LONGEST or not value.isprintable():
            raise self.wrong(name, f"{_shown(value)} is no line of 1 to {LONGEST} printable characters")
        if "*/" in value or "/*" in value or value.endswith("\\"):
            raise self.wrong(name, f"{_shown(value)} cannot stand in a comment of C")
        return value

    def choice(self, name: str, choices: Sequence[str], default: str | None = None) -> str:
        value = str(self._of(name, str, default))
        if value not in choices:
            near = difflib.get_close_matches(value, choices, n=1, cutoff=0.5)
            raise self.wrong(name, f"{_shown(value)} is none of {', '.join(choices)}{_meant(near)}")
        return value

    def table(self, name: str) -> Table:
        return Table(self._of(name, dict), self.key(name))

    def tables(self, name: str) -> tuple[Table, ...]:
        """An array of tables, empty where it is not given."""
        found = self._of(name, list, [])
        for number, value in enumerate(found):
            if not isinstance(value, dict):
                raise self.wrong(f"{name}[{number}]", f"{_shown(value)} is no table: write [[{name}]] before its keys")
        return tuple(Table(value, self.key(f"{name}[{number}]")) for number, value in enumerate(found))

    def _of(self, name: str, kind: type, default: Any = None) -> Any:
        if name not in self.values and default is not None:
            return default
        value = self.values[name]
        if type(value) is not kind:  # True is no number
            raise self.wrong(name, f"{_shown(value)} is not {KINDS[kind]}")
        return value


def _key(name: str) -> str:
    """A key as it may be shown: TOML allows any text in quotes."""
    return name if re.fullmatch(r"\w{1,40}", name) else _shown(name)


def _meant(near: Sequence[str]) -> str:
    return f": did you mean {near[0]}?" if near else ""


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python does not write numbers of thousands of digits
        text = "a number of too many digits"
    return text if len(text) <= 60 else f"{text[:60]}..."
