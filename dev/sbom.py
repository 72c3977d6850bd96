"""The bill of materials of a wheel: `python -m dev.sbom dist/smelt-1.2.3-py3-none-any.whl [--extras all] [--out sbom.json]`.

CycloneDX 1.6 as JSON: the wheel with its digest, what it holds that is not smelt's own code (models, pictures; from the table in
`smelt/assets/README.md`), and the packages that are installed here of those it requires, directly or not, with the licences that
they state. The same wheel and packages, the same bytes: there is no date and no random number in it.

Own code, because it is short and what ships inside a wheel is known only here; that it fits the schema is tested with the schema
of OWASP's `cyclonedx-python-lib`.
"""

import argparse
import hashlib
import json
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from email.message import Message
from email.parser import BytesParser
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ASSETS = "smelt/assets/"
KINDS = {".tflite": "machine-learning-model"}  # what CycloneDX calls files; others are data
ROW = re.compile(r"^\| `([^`]+)` \| (.+) \| (.+) \|$", re.MULTILINE)
# Of those that packages state as a classifier or in words: what SPDX calls them.
SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
IDENTIFIERS = {*SPDX.values(), "0BSD", "BSD-2-Clause", "BSD-3-Clause", "GPL-2.0-only", "MIT-CMU"}
Json = dict[str, Any]


class Bill(Exception):
    """Why there is no bill: what the wheel requires is not installed, or what it holds has no licence."""


def bill(wheel: Path, extras: Sequence[str] = ("all",)) -> Json:
    """The document. Raises Bill."""
    data = wheel.read_bytes()
    with zipfile.ZipFile(wheel) as archive:
        about = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = BytesParser().parsebytes(archive.read(about))
        inside = tuple(held(archive))
    itself = package(metadata) | {"type": "application", "hashes": [sha256(data)]}
    found = closure(metadata, extras)
    body = {
        "metadata": {
            "component": itself | ({"components": list(inside)} if inside else {}),
            "tools": {"components": [{"type": "application", "name": "smelt dev.sbom"}]},
            "properties": [{"name": "smelt:extras", "value": ",".join(extras)}],
        },
        "components": [package(of) for _, (of, _) in sorted(found.items())],
        "dependencies": [
            {"ref": itself["bom-ref"], "dependsOn": references(found, direct(metadata, extras))},
            *(
                {"ref": package(of)["bom-ref"], "dependsOn": references(found, on)}
                for _, (of, on) in sorted(found.items())
            ),
        ],
    }
    name = f"{itself['purl']}#{hashlib.sha256(json.dumps(body).encode()).hexdigest()}"
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, name)}",
        "version": 1,
        **body,
    }


Closure = Mapping[str, tuple[Message, tuple[str, ...]]]
"""By name: the metadata of a package, and the names of those that it requires."""


def closure(metadata: Message, extras: Sequence[str]) -> Closure:
    """What is installed of everything that is required, however indirectly. Raises Bill."""
    found: dict[str, tuple[Message, tuple[str, ...]]] = {}
    waiting = [(r.name, tuple(r.extras)) for r in requirements(metadata, extras)]
    seen = set()
    while waiting:
        name, wanted = waiting.pop()
        if (canonicalize_name(name), wanted) in seen:
            continue
        seen.add((canonicalize_name(name), wanted))
        try:
            of: Any = distribution(name).metadata
        except PackageNotFoundError:
            raise Bill(f"{name} is required and not installed: pip install 'smelt[{','.join(extras)}]'") from None
        known = found.get(canonicalize_name(name), (of, ()))[1]
        found[canonicalize_name(name)] = (of, tuple(sorted({*known, *direct(of, wanted)})))
        waiting += [(r.name, tuple(r.extras)) for r in requirements(of, wanted)]
    return found


def direct(metadata: Message, extras: Sequence[str]) -> tuple[str, ...]:
    """The names of the packages that one requires here."""
    return tuple(sorted({canonicalize_name(r.name) for r in requirements(metadata, extras)}))


def requirements(metadata: Message, extras: Sequence[str]) -> Iterator[Requirement]:
    """Of a package with some of its extras, on this computer; extras that are made of others are followed."""
    own = canonicalize_name(metadata["Name"])
    waiting, seen = ["", *extras], set()
    while waiting:
        extra = waiting.pop()
        seen.add(extra)
        for text in metadata.get_all("Requires-Dist", []):
            one = Requirement(text)
            if one.marker is not None and not one.marker.evaluate({"extra": extra}):
                continue
            if canonicalize_name(one.name) == own:
                waiting += sorted(one.extras - seen)
            else:
                yield one


def references(found: Closure, names: Sequence[str]) -> list[str]:
    return [package(found[name][0])["bom-ref"] for name in names]


def package(metadata: Message) -> Json:
    """A Python package as a component."""
    name, version = canonicalize_name(metadata["Name"]), metadata["Version"]
    purl = f"pkg:pypi/{name}@{version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "licenses": licences(metadata),
    }


def licences(metadata: Message) -> list[Json]:
    """What a package says of its licence: an expression of SPDX, else its classifiers, else the first line of its words."""
    if expression := metadata.get("License-Expression"):
        return [{"expression": expression}]
    classifiers = [c.rpartition(" :: ")[2] for c in metadata.get_all("Classifier", []) if c.startswith("License :: ")]
    stated = [c for c in classifiers if c != "OSI Approved"] or (metadata.get("License") or "").strip().splitlines()[:1]
    return [licence(text) for text in stated or ["not stated"]]


def licence(text: str) -> Json:
    known = SPDX.get(text, text)
    return {"license": {"id" if known in IDENTIFIERS else "name": known}}


def held(wheel: zipfile.ZipFile) -> Iterator[Json]:
    """What a wheel holds that is not code. Raises Bill where the table in its folder does not say where something comes from."""
    rows = ROW.findall(wheel.read(f"{ASSETS}README.md").decode())
    for path in sorted(name for name in wheel.namelist() if name.startswith(ASSETS)):
        name = path.removeprefix(ASSETS)
        if name == "README.md":
            continue
        said = next((row[1:] for row in rows if fnmatch(name, row[0])), None)
        if said is None:
            raise Bill(f"{path}: its origin and its licence are to be said in {ASSETS}README.md")
        yield {
            "type": KINDS.get(Path(name).suffix, "data"),
            "bom-ref": path,
            "name": name,
            "description": said[0].replace("`", ""),
            "hashes": [sha256(wheel.read(path))],
            "licenses": [licence(said[1])],
        }


def sha256(data: bytes) -> Json:
    return {"alg": "SHA-256", "content": hashlib.sha256(data).hexdigest()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--extras", default="all", help="With which extras it is installed, separated by commas.")
    parser.add_argument("--out", type=Path, help="A file; else it is printed.")
    options = parser.parse_args()
    try:
        text = json.dumps(bill(options.wheel, tuple(filter(None, options.extras.split(",")))), indent=2) + "\n"
    except (Bill, OSError, zipfile.BadZipFile) as error:
        sys.exit(f"no bill of materials: {error}")
    if options.out is None:
        print(text, end="")
    else:
        options.out.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
