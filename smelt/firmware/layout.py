"""Long lines of C in several: reviewers read side by side, and coding rules count characters."""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST = 120
"""Characters of a line of generated C."""

MARGIN = 4
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|/\*.*?(?:\*/|$)|.', re.DOTALL)


def wrapped(text: str, first: int = LONGEST) -> str:
    """The text with no line longer than `LONGEST`, the first one than `first`, as far as there are places to break it."""
    return "\n".join(_lines(text, first))


def _lines(text: str, first: int) -> Iterator[str]:
    inside = macro = False  # of a comment, or a macro, that goes on
    for number, line in enumerate(text.split("\n")):
        if len(line) <= (LONGEST if number else first):
            yield line
        elif inside:
            yield from _prose(line)
        else:
            yield from _code(line, LONGEST if number else first, macro)
        macro = line.endswith("\\")
        opened, closed = line.rfind("/*"), line.rfind("*/")
        inside = opened > closed if max(opened, closed) >= 0 else inside


def _prose(line: str) -> Iterator[str]:
    """A line of a comment, in several that begin as it does."""
    start = re.match(r"\s*(?:\* ?)?", line)
    margin = start[0] if start else ""
    while len(line) > LONGEST and (at := line.rfind(" ", len(margin) + 1, LONGEST + 1)) > 0:
        yield line[:at]
        line = margin + line[at + 1 :]
    yield line


def _code(line: str, limit: int, macro: bool) -> Iterator[str]:
    """A line of code, broken between arguments, operators or words of a comment; of a macro, with what continues it. `macro`: it
    goes on with one."""
    margin = " " * (len(line) - len(line.lstrip()) + MARGIN)
    macro = macro or line.lstrip().startswith("#") or line.endswith("\\")
    end = " \\" if macro else ""
    while len(line) > limit:
        at = max((n for n in _places(line) if len(margin) < n <= limit - len(end)), default=0)
        if not at:
            break
        yield line[:at].rstrip() + end
        line, limit = margin + line[at:].lstrip(), LONGEST
    yield line


def _places(line: str) -> Iterator[int]:
    """Where a line may be broken: behind a comma, before an operator, between words of a comment; not inside of strings."""
    for token in _TOKEN.finditer(line):
        text, at = token[0], token.start()
        if text.startswith("/*"):
            yield at
            yield from (at + m.end() for m in re.finditer(r"(?<!/\*) ", text[:-2]))
        elif text == "," and line[at + 1 : at + 2] == " ":
            yield at + 1
        elif text == " " and re.match(r" (?:\+|-|\*|/|%|&&|\|\||<|>|>=|<=|==|=|>>|\||&|\?|:) ", line[at:]):
            yield at + (3 if line[at + 1] == "=" else 0)
