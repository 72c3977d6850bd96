"""`lay_out`: a package as the files of a format, with what every format has: a README, the licence, and a list of the files."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from smelt.firmware.exports.package import UNSTATED, Figure, Label, Package
from smelt.firmware.exports.texts import filled, plain
from smelt.firmware.weights_image import WeightsImage, weights_file

MANIFEST = "smelt_package.json"
SHOWN = re.compile(r"(?i)\b(example|sample)s?/")
DEVIATIONS = "MISRA.md"
SCHEMA = "smelt/package/1"  # of the manifest


def as_bytes(package: Package, files: Mapping[str, str]) -> dict[str, bytes]:
    """The files as they are."""
    return {name: text.encode() for name, text in files.items()}


def nothing_refused(name: str, label: Label) -> str:
    return ""


def nothing_told(package: Package) -> dict[str, str]:
    return {}


@dataclass(frozen=True)
class Format:
    """A way to lay a package out.

    `files` gives the files, by path in the package; `packed` makes of them, README and licence what is written, archives for
    example. `refused` says why a name or label cannot be of this format, or nothing. `use` is the template that tells users what to
    do with the package, for its README, and `told` what it says beside what all templates do. With `firmware` the package has
    that as well, `Package.modes`.
    """

    name: str
    summary: str
    use: str
    files: Callable[[Package], dict[str, str]]
    packed: Callable[[Package, Mapping[str, str]], dict[str, bytes]] = as_bytes
    refused: Callable[[str, Label], str] = nothing_refused
    told: Callable[[Package], dict[str, str]] = nothing_told
    firmware: bool = False


def lay_out(format: Format, package: Package) -> dict[str, bytes]:
    """What is written: path in the folder -> content. The same package, the same bytes."""
    files = format.files(package)
    texts = {**files, "README.md": readme(format, package, files), "LICENSE": license_text(package)}
    texts[DEVIATIONS] = filled("misra.md", package)
    written = format.packed(package, texts)
    if package.program.exchanged:
        written |= {weights_file(package.name): WeightsImage(package.program).data}
    return {**written, MANIFEST: manifest(format, package, written)}


def manifest(format: Format, package: Package, files: Mapping[str, bytes]) -> bytes:
    """The list of the files, by which smelt knows its own, and all that is known of the package."""
    table = facts(format, package) | {
        "files": {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}
    }
    return f"{json.dumps(table, indent=2)}\n".encode()


def facts(format: Format, package: Package) -> dict[str, Any]:
    """What is known of a package, as JSON has it."""
    label, origin = package.label, package.origin
    return {
        "schema": SCHEMA,
        "generator": f"smelt {package.smelt}",
        "format": format.name,
        "name": package.name,
        "version": label.version,
        "license": label.license,
        "board": package.program.plan.board.name,
        "model": {"file": origin.model, "sha256": origin.digest},
        "options": dict(origin.options),
        "figures": [{"what": f.what, "value": f.value, "unit": f.unit, "how": f.how} for f in package.figures],
    }


def readme(format: Format, package: Package, files: Iterable[str]) -> str:
    """What a person reads first, beside files with these paths."""
    test = f"{package.name}_self_test.h"
    given = package.origin.options.items()
    options = " ".join(name if value == "True" else f"{name}={plain(value)}" for name, value in given)
    return filled(
        "readme.md",
        package,
        use=filled(format.use, package, **format.told(package)).rstrip("\n"),
        test_header=test if any(PurePosixPath(file).name == test for file in files) else f"{package.name}.h",
        example=" The example does so." if any(SHOWN.search(file) for file in files) else "",
        figures="\n".join(map(_row, package.figures)),
        options=options or "none",
        format=format.name,
    )


def _row(figure: Figure) -> str:
    value = f"{figure.value:,.2f}" if isinstance(figure.value, float) else f"{figure.value:,}"
    return f"| {figure.what} | {value} {figure.unit} | {figure.how} |"


def license_text(package: Package) -> str:
    """Whose the package is."""
    stated = "license_unstated.txt" if package.label.license == UNSTATED else "license_stated.txt"
    return filled("license.txt", package, stated=filled(stated, package).rstrip("\n"))
