"""`single-file`: everything in one header, whose code is compiled where a macro asks for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from smelt.errors import OptionError
from smelt.firmware.exports.arranged import arranged, example
from smelt.firmware.exports.layout import Format
from smelt.firmware.exports.package import Package, quoted
from smelt.firmware.exports.texts import filled
from smelt.firmware.layout import LONGEST, wrapped
from smelt.firmware.mark import MARK_LETTERS, marked
from smelt.firmware.sources import smelt_version

CHUNK = 3000  # characters of a string literal: C99 compilers must take 4095
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)"[^\n]*$', re.MULTILINE)


def _files(package: Package) -> dict[str, str]:
    name, files = package.name, arranged(package, "", "")
    test = files.pop(f"{name}_self_test.h")
    done: set[str] = set()
    public = _inlined(files, package.header, done)
    private = "\n".join(_inlined(files, file, done) for file in package.code if file.endswith(".c"))
    assembly = "\n".join(_statements(files[file]) for file in package.code if file.endswith(".S"))
    text = filled(
        "single_file.h", package, public=public, private=private, assembly=assembly, test=_body(test, package)
    )
    main = example(package, define=f"#define {name.upper()}_IMPLEMENTATION\n").replace(
        f'\n#include "{name}_self_test.h"', ""
    )
    main = main.replace(package.header, f"{name}.h")
    return {f"{name}.h": marked(wrapped(text, LONGEST - MARK_LETTERS), smelt_version()), "examples/main.c": main}


def _inlined(files: Mapping[str, str], name: str, done: set[str]) -> str:
    """A file with what it includes of `files` in the place of that, each of them once."""
    done.add(name)

    def inside(found: re.Match[str]) -> str:
        file = found[1]
        if file not in files:
            return found[0]
        return "" if file in done else _inlined(files, file, done)

    return INCLUDE.sub(inside, files[name])


def _body(test: str, package: Package) -> str:
    """The self-test without the line that includes what is above it."""
    if package.header not in quoted(test):
        raise OptionError(f"the self-test does not include {package.header}")
    return test.replace(f'#include "{package.header}"\n', "")


def _statements(assembly: str) -> str:
    """A file of assembly as statements of C, which leave the compiler's section as it was."""
    parts: list[str] = []
    pending: list[str] = []
    for line in assembly.splitlines():
        if line.startswith(("#", "/*", " *")):
            parts += _statement(pending)
            pending = []
            parts.append(line)
        elif line.strip():
            pending.append(line)
    parts += _statement(pending)
    return "\n".join(parts)


def _statement(lines: list[str]) -> Iterator[str]:
    """Lines of assembly, of which no literal is too long for C99."""
    if not lines:
        return
    size, chunk = 0, ["    .pushsection .text"]
    for line in (*lines, "    .popsection"):
        size += len(line) + 4
        if size > CHUNK:
            yield _literal(chunk)
            size, chunk = len(line), []
        chunk.append(line)
    yield _literal(chunk)


def _literal(lines: list[str]) -> str:
    quoted = "\n".join('    "{}\\n"'.format(line.replace("\\", "\\\\").replace('"', '\\"')) for line in lines)
    return f"__asm__(\n{quoted});"


FORMAT = Format("single-file", "One header, NAME.h, with everything in it", "single_file_use.md", _files)
