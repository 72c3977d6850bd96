"""What formats write texts with: templates, SPDX lines, words that no file format trips over."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.resources import files
from string import Template

from smelt.firmware.exports.package import Package
from smelt.firmware.mark import MARK, marked
from smelt.firmware.sources import smelt_version

_DIGEST = re.compile(r" \[[0-9a-f]{12}\]")


class ExportTemplate(Template):
    """Names are written @{name}: in what build systems read, a dollar sign is theirs."""

    delimiter = "@"
    idpattern = "(?!)"  # none without braces
    braceidpattern = r"[A-Za-z_]+"


def filled(name: str, package: Package, **more: str) -> str:
    """The template of that name with what is known of a package."""
    text = files("smelt.firmware.exports").joinpath("templates", name).read_text("utf-8")
    return ExportTemplate(text).substitute(values(package) | more)


def values(package: Package) -> dict[str, str]:
    """What templates may say of a package."""
    label = package.label
    return {
        "name": package.name,
        "NAME": package.name.upper(),
        "version": label.version,
        "numbers": label.version.partition("-")[0],
        "license": label.license,
        "publisher": plain(label.publisher),
        "url": url_of(package),
        "day": label.day.isoformat(),
        "summary": plain(package.summary),
        "model": plain(package.origin.model),
        "digest": package.origin.digest,
        "smelt": package.smelt,
        "board": package.program.plan.board.name,
        "header": package.header,
    }


def url_of(package: Package) -> str:
    """The page of a package: formats ask for one even where there is none."""
    return package.label.url or f"https://example.com/{package.name}/"


def plain(text: str) -> str:
    """A line of ASCII that ends no comment and opens no tag."""
    kept = "".join(c if " " <= c <= "~" else "?" for c in text)
    return re.sub(r"[<>&]", "_", kept).replace("*/", "* /").replace("/*", "/ *").replace("--", "- -")


def listed(names: Iterable[str], before: str = "", between: str = " ") -> str:
    """Names in a row, each with something in front of it."""
    return between.join(f"{before}{name}" for name in names)


def licensed(text: str, license: str) -> str:
    """A generated file of C or assembly with the line that says its licence below the first one, whose digest knows it."""
    first, rest = text.split("\n", 1)
    line = f"SPDX-License-Identifier: {license}"
    inside = "/*" in first and "*/" not in first  # the comment goes on
    changed = f"{_DIGEST.sub('', first, count=1)}\n{f' * {line}' if inside else f'/* {line} */'}\n{rest}"
    return marked(changed, smelt_version()) if MARK.search(first.encode()) else changed
