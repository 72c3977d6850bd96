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
    left, margin = "", ""  # words of a comment that had no room in their line, and how its lines begin
    for number, written in enumerate(text.split("\n")):
        line, limit = written, LONGEST if number else first
        begins = line.lstrip().startswith("/*") and "*/" not in line.rstrip()[:-2]  # nothing but a comment
        if inside or begins:
            if left and _goes_on(line, margin):
                line, left = f"{margin}{left} {line[len(margin) :]}", ""
            elif left:
                yield margin + left
                left = ""
            *whole, line = _prose(line, limit)
            yield from whole
            if whole and "*/" not in line:
                margin = _margin(line)
                left = line[len(margin) :]
            else:
                yield line
        elif len(line) <= limit:
            yield line
        else:
            yield from _code(line, limit, macro)
        macro = written.endswith("\\")
        opened, closed = written.rfind("/*"), written.rfind("*/")
        inside = opened > closed if max(opened, closed) >= 0 else inside
    if left:
        yield margin + left


def _margin(line: str) -> str:
    """How a line of a comment begins."""
    found = re.match(r"\s*(?:/?\* ?)?", line)
    return found[0] if found else ""


def _goes_on(line: str, margin: str) -> bool:
    """Whether a line of a comment is prose, as the one before it: not blank, not indented deeper."""
    return line.startswith(margin) and line[len(margin) : len(margin) + 1] not in ("", " ", "*", "/")


def _prose(line: str, limit: int) -> list[str]:
    """A line of a comment, in several that begin as its lines do."""
    margin, found = _margin(line), list[str]()
    while len(line) > limit and (at := line.rfind(" ", len(margin) + 1, limit + 1)) > 0:
        found.append(line[:at])
        margin, limit = margin.replace("/*", " *"), LONGEST
        line = margin + line[at + 1 :]
    return [*found, line]


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
