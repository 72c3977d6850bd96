"""`Package`: the one value that every format lays out. A format makes files of it and no C of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from smelt.errors import OptionError
from smelt.firmware.image import Sources
from smelt.firmware.mlperf import Mode
from smelt.firmware.program import Port, Program
from smelt.firmware.sources import smelt_version
from smelt.model.graph import Array
from smelt.nouns import Noun

UNSTATED = "LicenseRef-Model"
"""The licence of a package whose user stated none: the weights are the model's, and smelt claims nothing."""

VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z]+(\.[0-9A-Za-z]+)*)?")
LICENSE = re.compile(r"\(*[A-Za-z0-9][A-Za-z0-9.+-]*\)*( (AND|OR|WITH) \(*[A-Za-z0-9][A-Za-z0-9.+-]*\)*)*")
URL = re.compile(r"https?://[!-~]+")
MOST = 100  # characters of what a user says of a package


@dataclass(frozen=True)
class Label:
    """What a user says of a package beside the network: semantic version, SPDX licence, who publishes it and where, and the day."""

    version: str = "1.0.0"
    license: str = UNSTATED
    publisher: str = "user"
    url: str = ""
    day: date = date(1980, 1, 1)

    def check(self) -> None:
        """Raise OptionError for what no package manager takes."""
        if not VERSION.fullmatch(self.version):
            raise OptionError(
                f"'{self.version[:MOST]}' cannot be the version of a package: use three numbers, such as 1.0.0"
            )
        if not LICENSE.fullmatch(self.license) or self.license.count("(") != self.license.count(")"):
            raise OptionError(
                f"'{self.license[:MOST]}' is no SPDX licence expression: use an identifier such as MIT, or LicenseRef-YourName"
            )
        if self.url and (not URL.fullmatch(self.url) or len(self.url) > MOST):
            raise OptionError(f"'{self.url[:MOST]}' is no address of a page: it begins with https://")
        if not self.publisher.strip() or len(self.publisher) > MOST or not self.publisher.isprintable():
            raise OptionError(f"who publishes a package is said in a line of 1 to {MOST} characters")


@dataclass(frozen=True)
class Origin:
    """What a package was made of, and how: the model file and its SHA-256, and the options that were given."""

    model: str
    digest: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """Something that was measured or estimated: "RAM", 48364, "bytes", "simulated"."""

    what: str
    value: float
    unit: str
    how: str


@dataclass(frozen=True, eq=False)
class Golden:
    """One inference: an array for each input, and what the reference computes of them, in the graph's order."""

    inputs: Sequence[Array]
    outputs: Sequence[Array]


@dataclass(frozen=True, eq=False)
class Package(Noun):
    """A network as something to give away. `public` are the headers that its users include, `private` all other files of the C."""

    program: Program
    public: Mapping[str, str]
    private: Mapping[str, str]
    golden: Golden
    label: Label
    origin: Origin
    figures: tuple[Figure, ...] = ()
    labels: tuple[str, ...] = ()
    smelt: str = field(default_factory=smelt_version)
    modes: tuple[Mode, ...] = ()
    """The firmware, of formats that have it."""

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def header(self) -> str:
        """The one header that users include."""
        return f"{self.name}_net.h"

    @property
    def code(self) -> tuple[str, ...]:
        """The files that a compiler is given, C first."""
        return tuple(sorted((n for n in self.private if n.endswith((".c", ".S"))), key=lambda n: (n.endswith(".S"), n)))

    @property
    def summary(self) -> str:
        """A sentence without a full stop."""
        return f"The neural network '{self.program.plan.graph.name}' as C99 for {self.program.plan.board.title}"

    @property
    def fed(self) -> Port | None:
        """The input that comes in rows, where there is one."""
        return self.program.feed.port if self.program.feed else None


def package(
    program: Program,
    sources: Sources,
    golden: Golden,
    label: Label,
    origin: Origin,
    figures: tuple[Figure, ...] = (),
    labels: tuple[str, ...] = (),
    modes: tuple[Mode, ...] = (),
) -> Package:
    """The package of `program`, whose C is `sources`. Raises OptionError for a label that no package can have, and for what cannot
    be one: networks of a suite, and those that need the SDK of a cluster."""
    label.check()
    check_alone(program)
    public = _included(sources.files, f"{program.name}_net.h")
    private = {name: text for name, text in sources.files.items() if name not in public}
    headers = {n: sources.files[n] for n in public}
    return Package(program, headers, private, golden, label, origin, figures, labels, modes=modes)


def check_alone(program: Program) -> None:
    """Raise OptionError for programs that are not for any project to link."""
    if program.suite is not None:
        raise OptionError(
            "networks that share memory are no packages of their own: `smelt compile MODEL... --out FOLDER`"
        )
    if program.plan.board.chip.cluster is not None:
        raise OptionError(cluster_advice(program.plan.board.name))


def cluster_advice(board: str) -> str:
    return (
        f"{board}: a network that runs on a cluster is started by the vendor's SDK, and none of these formats knows it: "
        "`smelt compile --out FOLDER` writes an application for that SDK"
    )


def _included(files: Mapping[str, str], first: str) -> tuple[str, ...]:
    """`first` and those of `files` that it includes, and these."""
    found, waiting = [], [first]
    while waiting:
        name = waiting.pop()
        if name in files and name not in found:
            found.append(name)
            waiting += quoted(files[name])
    return tuple(sorted(found))


def quoted(code: str) -> list[str]:
    """The files that a piece of C includes by quoted names."""
    return re.findall(r'^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)"', code, re.MULTILINE)
