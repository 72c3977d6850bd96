"""`c`: the folder of C files, for any build."""

from __future__ import annotations

from smelt.firmware.exports.arranged import arranged, example
from smelt.firmware.exports.layout import Format
from smelt.firmware.exports.package import Package


def _files(package: Package) -> dict[str, str]:
    return {**arranged(package, "", ""), "examples/main.c": example(package)}


FORMAT = Format("c", "The C files in one folder, for any build", "c_use.md", _files)
