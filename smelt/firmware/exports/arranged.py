"""The C of a package in the folders of a format, each file with its licence."""

from __future__ import annotations

from collections.abc import Iterator

from smelt.firmware.exports.package import Package
from smelt.firmware.exports.self_test import self_test
from smelt.firmware.exports.texts import filled, licensed, plain
from smelt.firmware.harness import c_string, chosen_of
from smelt.firmware.layout import wrapped
from smelt.firmware.program import Port
from smelt.firmware.sources import lines
from smelt.kernels.c_types import C_TYPES

MAIN = "int main(void)\n{\n    return run_example();\n}\n"


def arranged(package: Package, public: str = "include/", private: str = "src/") -> dict[str, str]:
    """The C by path: what users include, the self-test among it, and what only the package itself does."""
    license = package.label.license
    files = {f"{public}{name}": licensed(text, license) for name, text in package.public.items()}
    files |= {f"{public}{name}": text for name, text in self_test(package).items()}
    return files | {f"{private}{name}": licensed(text, license) for name, text in package.private.items()}


def example(
    package: Package, printing: str = "printf", header: str = "<stdio.h>", entry: str = MAIN, define: str = ""
) -> str:
    """A program in C that is C++ as well: the self-test, then an input of one's own. `printing` is what prints, of `header`."""
    text = filled(
        "example.c",
        package,
        **spoken(package),
        printing=printing,
        print_header=header,
        entry=entry.rstrip("\n"),
        include=f'{define}#include "{package.header}"' if define else f'#include "{package.header}"',
    )
    return wrapped(text)


def sketch(package: Package) -> str:
    """The same as an Arduino sketch."""
    return wrapped(filled("sketch.ino", package, **spoken(package)))


def spoken(package: Package) -> dict[str, str]:
    """What examples say of inputs, the first output and its labels."""
    port = package.program.outputs[0]
    classes, counted = chosen_of(package.program), package.program.feed is None and package.program.inputs
    quoted = ", ".join(c_string(label) for label in package.labels)
    return {
        "inputs": lines(_inputs(package)),
        "counter": "i, " if counted or not classes else "",
        "find": lines(_find(package, port, classes)),
        "what": f"best of {classes} classes" if classes else f"largest of {port.tensor.elements} outputs",
        "found": "best class" if classes else "largest output",
        "labels": f"static const char *const labels[] = {{{quoted}}};\n\n" if quoted else "",
        "label": "labels[largest]" if quoted else '""',
        "first": plain(port.tensor.name),
    }


def _find(package: Package, port: Port, classes: int) -> Iterator[str]:
    """The statements that tell the largest output, unless the network itself has chosen one of some classes."""
    if classes:
        yield f"    largest = (int)out.{port.field}[0];"
        return
    yield f"    for (i = 1; i < {_macro(package, port, 'ELEMENTS')}; ++i) {{"
    yield f"        if (out.{port.field}[i] > out.{port.field}[largest]) {{"
    yield "            largest = i;"
    yield "        }"
    yield "    }"


def _inputs(package: Package) -> Iterator[str]:
    """The statements that write an input, which is all zeros."""
    name, feed = package.name, package.program.feed
    if feed is not None:
        row = f"static const {C_TYPES[feed.port.tensor.dtype]} row[{_macro(package, feed.port, 'ROW_ELEMENTS')}]"
        yield f"    {row} = {{0}};"
        yield f"    while ({name}_feed(&net, row, 1u) != 0u) {{"
        yield "    }"
    elif package.program.inputs:
        yield f"    const {name}_in in = {name}_get_inputs(&net);"
        for port in package.program.inputs:
            yield f"    for (i = 0; i < {_macro(package, port, 'ELEMENTS')}; ++i) {{"
            yield f"        in.{port.field}[i] = 0;"
            yield "    }"


def _macro(package: Package, port: Port, what: str) -> str:
    return f"{package.name}_{port.field}_{what}".upper()
