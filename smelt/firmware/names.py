"""The names in generated C: everything a network has outside of functions starts with its name, and no two names can meet.

docs/names.md is the scheme. What keeps it free of lists of words: no name of a model or a user stands alone, so that none can be
a keyword, a macro or a header of anybody's. What keeps networks apart, `sensor` and `sensor_in` say: no ending of one name, from
one of its underscores on, is what another kind of name consists of behind the network's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from smelt.errors import OptionError

LONGEST = 40  # characters of a network's name, and of a tensor's in C: compilers must tell 63 apart, and people as well
SIGNIFICANT = 63  # characters of a name inside of a file by which C99's compilers tell it from others
VARIABLE = ("in", "out", "table")  # what stands before names of tensors and tables
OWN = "smelt"  # the first word of what smelt brings along: smelt_kernels.h, smelt_load_i32


def check_name(name: str) -> None:
    """Raise OptionError unless `name` can be the name of a network."""
    wrong = _wrong(name)
    if wrong:
        raise OptionError(f"'{name[:80]}' cannot be the name of a network: {wrong}")


def _wrong(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        return "use words of small letters and digits, the first of them a letter, with one _ between words"
    if len(name) > LONGEST:
        return f"it has {len(name)} characters, and {LONGEST} are the most"
    if name.split("_")[0] == OWN:
        return f"what starts with '{OWN}' are the names of smelt's own files and functions"
    return ""


def part(name: str, taken: Iterable[str] = ()) -> str:
    """The part of an identifier that reminds of `name`, any text: words of small letters and digits. It is not in `taken`."""
    words = re.sub(r"[^0-9a-zA-Z]+", "_", name.split(";")[0]).lower().strip("_")
    base = words[:LONGEST].strip("_") or "tensor"
    taken, candidate, count = set(taken), _joined(base), 1
    while candidate in taken:
        count += 1
        candidate = _joined(f"{base}_{count}")
    return candidate


def telling(kernel: str, shapes: str, room: int) -> str:
    """The name of a kernel, `STEM_DIGEST`, with shapes before its digest where that has no more than `room` characters."""
    found = re.fullmatch(r"(\w+?)(_[0-9a-f]{8}\w*)", kernel)
    longer = f"{found[1]}_{shapes}{found[2]}" if found and shapes else kernel
    return longer if len(longer) <= room else kernel


def _joined(words: str) -> str:
    """A word that has a meaning in the scheme makes one word with the next, so that only the scheme's own stands alone."""
    return re.sub(rf"(?<![0-9a-z])({'|'.join(VARIABLE)})_(?=[0-9a-z])", r"\1", words)
