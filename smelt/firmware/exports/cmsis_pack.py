"""`cmsis-pack`: a software pack by the Open-CMSIS-Pack specification, as a folder and as the .pack."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from xml.sax.saxutils import escape, quoteattr

from smelt.firmware.exports.archives import zipped
from smelt.firmware.exports.arranged import arranged, example
from smelt.firmware.exports.layout import Format
from smelt.firmware.exports.package import Label, Package
from smelt.firmware.exports.texts import filled, url_of
from smelt.firmware.sources import lines

VENDOR = re.compile(r"[-_A-Za-z0-9]+")
CATEGORIES = {".c": "sourceC", ".S": "sourceAsm", ".h": "header"}
EXAMPLE = "examples/main.c"


def _files(package: Package) -> dict[str, str]:
    files = arranged(package)
    return {**files, EXAMPLE: example(package), _description(package): _pdsc(package, files)}


def _description(package: Package) -> str:
    """The name of the file that describes the pack."""
    return f"{package.label.publisher}.{package.name}.pdsc"


def _pdsc(package: Package, files: Mapping[str, str]) -> str:
    return filled(
        "cmsis_pack.pdsc",
        package,
        page=escape(f"{url_of(package).rstrip('/')}/"),
        files=lines(_entries(files)),
    )


def _entries(files: Mapping[str, str]) -> Iterator[str]:
    yield '        <file category="include" name="include/"/>'
    for name in sorted(files):
        if name.startswith("include/") or not name.endswith(".h"):
            category = CATEGORIES[name[name.rindex(".") :]]
            yield f'        <file category="{category}" name={quoteattr(name)}/>'


def _packed(package: Package, files: Mapping[str, str]) -> dict[str, bytes]:
    """The folder, and the archive of it."""
    folder = {name: text.encode() for name, text in files.items()}
    archive = f"{_description(package).removesuffix('.pdsc')}.{package.label.version}.pack"
    return {**folder, archive: zipped(folder)}


def _refused(name: str, label: Label) -> str:
    if VENDOR.fullmatch(label.publisher):
        return ""
    return f"the vendor of a pack is a word of letters, digits, - and _, and '{label.publisher}' is none: give another --publisher"


FORMAT = Format("cmsis-pack", "A CMSIS-Pack: .pdsc and .pack", "cmsis_pack_use.md", _files, _packed, _refused)
