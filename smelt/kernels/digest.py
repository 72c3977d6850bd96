"""What a kernel is made of besides its own content: the definitions, of the C that kernels are written in, that it reaches by
name.

A measurement holds for the text of a kernel, which its name says, and for these. Where a header has a definition, and what
else is there, is nobody's concern: what a kernel does not reach may change without it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from smelt.kernels.assembly import called, routine_text
from smelt.kernels.headers import needed, with_included
from smelt.loops.c import PREFIX
from smelt.loops.kernel import Kernel
from smelt.targets.types import Core

_NAME = re.compile(r"\b(?:smelt|SMELT)_\w+")
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_DEFINE = re.compile(r"#\s*define\s+(\w+)(?:\(([^)]*)\))?(.*)", re.DOTALL)
_INVOCATION = re.compile(r"(SMELT_\w+)\((.*)\)", re.DOTALL)
_FUNCTION = re.compile(r"(\w+)\s*\(")


@dataclass(frozen=True)
class Definition:
    """A piece of C: a macro, a function, a type. `names` are what it defines."""

    names: frozenset[str]
    text: str


def routines_digest(kernel: Kernel, core: Core) -> str:
    """Eight digits for everything that `kernel` calls, directly or not, on `core`."""
    return digest_of(texts_reached(kernel, core))


def texts_reached(kernel: Kernel, core: Core) -> Collection[str]:
    """The texts of everything that `kernel` calls, directly or not, on `core`: in assembly, else in C."""
    code = kernel.c()
    assembly = {f"{PREFIX}{routine.name}": routine_text(routine, core) for routine in called(code, core)}
    headers = tuple(with_included(needed(code, core)).values())
    return {*(d.text for d in definitions_reached(code, headers, assembly)), *assembly.values()}


def digest_of(texts: Iterable[str]) -> str:
    """Eight digits for texts, in whatever order and however they are laid out."""
    everything = "\n".join(sorted({" ".join(text.split()) for text in texts}))
    return hashlib.sha256(everything.encode()).hexdigest()[:8]


def definitions_reached(code: str, texts: tuple[str, ...], known: Collection[str] = ()) -> Iterator[Definition]:
    """Definitions in `texts`, sources of C, of names in `code`, and of those in their own texts, and so on; each once, and
    none of the names that are `known`."""
    by_name = _by_name(texts)
    seen = set(known)
    waiting = _NAME.findall(code)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for definition in by_name.get(name, ()):
            yield definition
            waiting += _NAME.findall(definition.text)


@cache
def _by_name(texts: tuple[str, ...]) -> Mapping[str, tuple[Definition, ...]]:
    macros = {m.names: m for text in texts for m in _definitions(text, {}) if m.text.startswith("#")}
    known = {name: m.text for m in macros.values() for name in m.names}
    found: dict[str, tuple[Definition, ...]] = {}
    for text in texts:
        for definition in _definitions(text, known):
            for name in definition.names:
                found[name] = (*found.get(name, ()), definition)
    return found


def _definitions(text: str, macros: Mapping[str, str]) -> Iterator[Definition]:
    """What a source defines; what an invocation of one of `macros` stands for is defined as well."""
    for piece in _pieces(_COMMENT.sub("", text).splitlines()):
        if macro := _DEFINE.match(piece):
            yield Definition(frozenset({macro[1]}), piece)
        elif (call := _INVOCATION.fullmatch(piece.rstrip(";"))) and call[1] in macros:
            yield from _definitions(_expanded(macros[call[1]], call[2]), macros)
        elif not piece.startswith("#"):
            yield Definition(_declared(piece), piece)


def _pieces(lines: Iterable[str]) -> Iterator[str]:
    """The directives and the outermost declarations of C, each whole."""
    held: list[str] = []
    for line in lines:
        if not line.strip() and not held:
            continue
        starts_body = line.lstrip().startswith("{")
        if held and not starts_body and _is_whole("\n".join(held)):
            yield "\n".join(held).strip()
            held = []
        if line.strip() or held:
            held.append(line)
    if held:
        yield "\n".join(held).strip()


def _is_whole(piece: str) -> bool:
    piece = piece.strip()
    if piece.startswith("#"):
        return not piece.endswith("\\")
    closed = piece.count("{") == piece.count("}") and piece.count("(") == piece.count(")")
    return closed and piece.endswith((";", "}", ")"))


def _declared(piece: str) -> frozenset[str]:
    """The name that a declaration outside functions declares."""
    head = piece.partition("{")[0]
    if function := _FUNCTION.search(_ATTRIBUTE.sub("", head)):
        return frozenset({function[1]})
    return frozenset(_NAME.findall(piece)[-1:])


_ATTRIBUTE = re.compile(r"__attribute__\s*\(\(.*?\)\)")


def _expanded(macro: str, arguments: str) -> str:
    """A macro's text with arguments for its parameters."""
    parts = _DEFINE.match(macro)
    assert parts is not None, "only macros are expanded"
    names = [name.strip() for name in (parts[2] or "").split(",")]
    values = dict(zip(names, _split(arguments, len(names)), strict=False))
    body = parts[3].replace("\\\n", "\n")
    body = re.sub(r"\b\w+\b", lambda m: values.get(m[0], m[0]), body)
    return re.sub(r"\s*##\s*", "", body)


def _split(arguments: str, most: int) -> list[str]:
    """At most `most` arguments: commas inside of parentheses and strings do not part them."""
    found, depth, quoted = [""], 0, False
    for letter in arguments:
        quoted ^= letter == '"'
        depth += 0 if quoted else (letter == "(") - (letter == ")")
        if letter == "," and not depth and not quoted and len(found) < most:
            found.append("")
        else:
            found[-1] += letter
    return [value.strip() for value in found]
