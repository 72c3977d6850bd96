"""A model as a C array (`xxd -i`, `model.h`, `model_data.cc`): the bytes of the initialiser that begins as a model does."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from smelt.errors import ModelError

MOST_TEXT = 128 << 20  # characters; about six for each byte of a model
ENDINGS = (".c", ".h", ".cc", ".hh", ".cpp", ".hpp", ".cxx", ".hxx", ".inc", ".ino")
MAGIC = b"TFL3"
HEAD = 1 << 12  # characters in which the first values are
CHUNK = 1 << 20
WIDTHS = (1, 4, 8)  # bytes of an element, in little-endian order

# Every alternative ends at the end of the text, too, so that reading takes time in proportion to it.
_NOISE = re.compile(
    rb"""//[^\n]*|/\*.*?(?:\*/|\Z)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])+'|^[ \t]*\#(?:[^\n\\]|\\.)*""",
    re.DOTALL | re.MULTILINE,
)
_BRACES = re.compile(rb"\{([^{}]*)\}")
_CAST = re.compile(rb"\([a-zA-Z_0-9 \t\n]*\)")
_NUMBER = re.compile(rb"([-+]?)(0[xX][0-9a-fA-F]+|0[bB][01]+|[0-9]+)[uUlL]*")
_NAME = re.compile(rb"([A-Za-z_][A-Za-z_0-9]*)\s*(?:\[[^\[\]]*\]|\{|=)[^\[\]{};]*\Z")


def is_text(data: bytes) -> bool:
    """Whether a file may be C: text with an initialiser in it."""
    return b"\0" not in data[:4096] and b"{" in data


def from_c(text: bytes) -> bytes | None:
    """The one model among the arrays of a C file; None where there is none.

    Types, qualifiers, attributes, macros and comments around the arrays do not matter. Raises ModelError where the file holds
    several models, or is too large.
    """
    if len(text) > MOST_TEXT:
        raise ModelError(f"the C file has {len(text):,} bytes; the most is {MOST_TEXT:,}")
    found = dict(_models(_NOISE.sub(_cleaned, text)))
    if len(set(found.values())) > 1:
        names = ", ".join(name.decode("latin-1") for name in found)
        raise ModelError(f"the C file holds {len(found)} models ({names}): give each a file of its own")
    return next(iter(found.values()), None)


def _cleaned(noise: re.Match[bytes]) -> bytes:
    """What stands for a comment, a literal, or a line of the preprocessor: the latter two are no numbers."""
    word = noise[0]
    if word[:1] == b"'":
        return _character(word)
    return b" " if word[:1] == b"/" else b"#"


def _character(literal: bytes) -> bytes:
    """A character literal as a number."""
    body = literal[1:-1]
    if re.fullmatch(rb"\\x[0-9a-fA-F]{1,2}", body):
        return b"%d" % int(body[2:], 16)
    if re.fullmatch(rb"\\[0-7]{1,3}", body):
        return b"%d" % int(body[1:], 8)
    named = {b"\\n": 10, b"\\t": 9, b"\\r": 13, b"\\a": 7, b"\\b": 8, b"\\f": 12, b"\\v": 11}
    return b"%d" % named.get(body, body[-1])


def _models(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of every array that holds a model."""
    for braces in _BRACES.finditer(text):
        beginning = braces[1] if len(braces[1]) <= HEAD else braces[1][:HEAD].rpartition(b",")[0]
        for width in WIDTHS:
            head = _values(beginning, width)
            if head is not None and head[4:8] == MAGIC:
                content = _content(braces[1], width)
                if content is not None:
                    name = _NAME.search(text, max(braces.start() - 500, 0), braces.start())
                    yield name[1] if name else b"array %d" % braces.start(), content
                    break


def _content(body: bytes, width: int) -> bytes | None:
    """All values of an initialiser, piece by piece, so that its text is never a list as a whole."""
    pieces, start = [], 0
    while start < len(body):
        end = body.find(b",", start + CHUNK)
        end = len(body) if end < 0 else end
        piece = _values(body[start:end], width)
        if piece is None:
            return None
        pieces.append(piece)
        start = end + 1
    return b"".join(pieces)


def _values(text: bytes, width: int) -> bytes | None:
    """Integers between commas, `width` bytes each; None where something else is there, or one is too large."""
    if b"(" in text:
        text = _CAST.sub(b" ", text)
    words = [word.strip() for word in text.split(b",")]
    if words and not words[-1]:
        words.pop()  # the comma at the end
    known = {word: _number(word, width) for word in set(words)}
    if not known or None in known.values():
        return None
    return np.fromiter(map(known.__getitem__, words), f"<u{width}", len(words)).tobytes()


def _number(word: bytes, width: int) -> int | None:
    """An integer literal of C, as `width` bytes hold it."""
    match = _NUMBER.fullmatch(word)
    if match is None or len(word) > 80:
        return None
    digits = match[2].lower()
    octal = digits[:1] == b"0" and digits[1:2].isdigit()
    try:
        value = int(digits, 8 if octal else 0)
    except ValueError:  # 08
        return None
    value = -value if match[1] == b"-" else value
    limit = 1 << 8 * width
    return value % limit if -limit // 2 <= value < limit else None
