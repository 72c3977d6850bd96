"""`arduino`: a library by the Arduino library specification, as a folder and as the .zip that the IDE takes."""

from __future__ import annotations

from collections.abc import Mapping

from smelt.firmware.exports.archives import zipped
from smelt.firmware.exports.arranged import arranged, sketch
from smelt.firmware.exports.layout import Format
from smelt.firmware.exports.package import Label, Package
from smelt.firmware.exports.texts import filled

RESERVED = "arduino"  # what names of libraries of others may not begin with
LONGEST = 63


def _files(package: Package) -> dict[str, str]:
    return {
        **arranged(package, "src/", "src/"),
        "library.properties": filled("arduino.properties", package),
        "examples/basic/basic.ino": sketch(package),
    }


def _packed(package: Package, files: Mapping[str, str]) -> dict[str, bytes]:
    """The folder, and the archive of it."""
    folder = {f"{package.name}/{name}": text.encode() for name, text in files.items()}
    return {**folder, f"{package.name}-{package.label.version}.zip": zipped(folder)}


def _refused(name: str, label: Label) -> str:
    if name.startswith(RESERVED):
        return "names of Arduino libraries that begin with 'arduino' are those of Arduino itself: give another --name"
    return f"a library's name has at most {LONGEST} characters" if len(name) > LONGEST else ""


FORMAT = Format("arduino", "An Arduino library, with its .zip", "arduino_use.md", _files, _packed, _refused)
