"""What can go wrong, sorted by who must act. Each class has its exit code."""

import re
from collections.abc import Iterable

MOST_LINES = 20
MOST_CHARACTERS = 4000  # of all lines together
LONGEST_LINE = 500
LONGEST_NAME = 60  # converters join the names of everything they fuse
_OF_OPERATOR = re.compile(r"(operator \d+ [^\s:']+)(?: '[^']*')?: (.*)", re.DOTALL)
_NAME = re.compile(r"'([^'\n]*)'")  # names are quoted in pairs: what is between two of them is none
_MORE = re.compile(r"\.\.\. and (\d+) more")
_PARTICULAR = re.compile(r"'[^']*'|[-+]?\d[\d.,e+-]*|\[[^\]]*\]")  # names, numbers, shapes


def printable(text: object) -> str:
    """A name from outside (of a file, a tensor) as it may be shown: what is not printable, new lines included, as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def brief(reasons: Iterable[str]) -> tuple[str, ...]:
    """Reasons as people can read them: each cause once, with the operators that it concerns; some twenty lines at most.

    "operator N CODE 'name': why" are grouped where `why` differs in names and numbers only. Brief reasons stay as they are.
    """
    groups: dict[str, list[str]] = {}
    reasons = list(reasons)
    before = _MORE.fullmatch(reasons[-1]) if reasons else None  # they are brief already
    for reason in dict.fromkeys(map(_shortened, reasons[:-1] if before else reasons)):
        of_operator = _OF_OPERATOR.fullmatch(reason)
        groups.setdefault(_PARTICULAR.sub("_", of_operator[2]) if of_operator else reason, []).append(reason)
    lines = [_merged(members) for members in groups.values()]
    shown: list[str] = []
    for line in lines[:MOST_LINES]:
        if sum(map(len, shown)) + len(line) > MOST_CHARACTERS:
            break
        shown.append(line)
    more = len(lines) - len(shown) + (int(before[1]) if before else 0)
    return (*shown, f"... and {more} more") if more else tuple(shown)


def _merged(members: list[str]) -> str:
    """One line for reasons that differ in names and numbers only."""
    found = [match for member in members if (match := _OF_OPERATOR.fullmatch(member))]
    if len(members) == 1 or len(found) < len(members):
        return members[0]
    places = ", ".join(match[1].removeprefix("operator ") for match in found[:5]) + (", ..." if len(found) > 5 else "")
    alike = "" if len({match[2] for match in found}) == 1 else " (the first of them)"
    return f"{len(found)} operators ({places}): {found[0][2]}{alike}"


def _shortened(reason: str) -> str:
    """Without the ends of long names, and of long reasons."""
    reason = _NAME.sub(
        lambda name: name[0] if len(name[1]) <= LONGEST_NAME else f"'{name[1][:LONGEST_NAME]}...'", reason
    )
    return reason if len(reason) <= LONGEST_LINE else f"{reason[:LONGEST_LINE]}..."


def shown(text: object) -> str:
    """A text of several lines, each of them printable."""
    return "\n".join(map(printable, str(text).split("\n")))


class SmeltError(Exception):
    """Base of everything smelt reports to its user: one message, no traceback.

    Whatever the message quotes, it holds no control characters but new lines.
    """

    exit_code = 1

    def __init__(self, message: object = "") -> None:
        super().__init__(shown(message))


class OptionError(SmeltError):
    """The command line or an API argument: unknown board, wrong input shape, unwritable folder."""

    exit_code = 2


def check_word(word: object, what: str, choices: Iterable[str]) -> None:
    """Raise OptionError for a word of an API that is none of its choices."""
    if word not in (known := tuple(choices)):
        raise OptionError(f"'{word}' is no {what}: choose {', '.join(known)}")


class ModelError(SmeltError):
    """The model file: unreadable, truncated, inconsistent."""

    exit_code = 3


class Unsupported(SmeltError):
    """The model is sound, but smelt cannot compile it. Carries *every* reason, not the first, those of one cause as one."""

    exit_code = 4

    def __init__(self, subject: str, reasons: tuple[str, ...]) -> None:
        self.subject, self.reasons = subject, brief(reasons)
        super().__init__("\n".join([f"{subject} is not supported:", *(f"  - {r}" for r in self.reasons)]))


class DoesNotFit(SmeltError):
    """The model needs more memory than the board has."""

    exit_code = 5


class BuildError(SmeltError):
    """The compiler is missing or failed, or its result could not be written."""

    exit_code = 6


class DeviceError(SmeltError):
    """The device, real or simulated: lost, timed out, faulted, or computed something else."""

    exit_code = 7


class Mismatch(DeviceError):
    """The device ran, but its numbers differ from the oracle's."""

    exit_code = 8
