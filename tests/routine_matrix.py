"""The matrix of builds that users make: compilers x floating-point conventions x optimisation x flags, all routines in each.

`python -m tests.routine_matrix` builds and runs every cell and prints the table (ten minutes); the tests do a part of it.
"""

from __future__ import annotations

import itertools
import random
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.kernels_host import ZIG
from tests.routine_calls import calls, text_of, wrong_calls
from tests.routine_cases import CORES as EVERY_CORE
from tests.routine_watch import all_assembly
from tests.thumb_programs import Refused, build

CORES = ("cortex-m4", "cortex-m7", "cortex-m33")
FPU = {"cortex-m4": "fpv4-sp-d16", "cortex-m7": "fpv5-d16", "cortex-m33": "fpv5-sp-d16"}
CONVENTIONS = ("soft", "softfp", "hard")
LEVELS = ("-O0", "-Og", "-O1", "-O2", "-O3", "-Os", "-Oz")
EXTRAS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "protector": ("-fstack-protector-all",),
    "instrument": ("-finstrument-functions",),
    "lto": ("-flto",),
    "frame": ("-fno-omit-frame-pointer",),
    "pic": ("-fPIC",),
    "r9": ("-ffixed-r9",),
    "trapv": ("-ftrapv",),
    "coverage": ("--coverage",),
    "profile": ("-pg",),
    "patchable": ("-fpatchable-function-entry=4",),
    "all": ("-fstack-protector-all", "-finstrument-functions", "-fno-omit-frame-pointer", "-ffixed-r9", "-ftrapv"),
    "big": ("-mbig-endian",),
}
OF_GCC = ("patchable",)  # flags that clang does not have for these processors
COMPILERS = ("gcc", "clang")


@dataclass(frozen=True)
class Cell:
    """One way to build."""

    compiler: str
    convention: str
    level: str
    extra: str

    @property
    def core(self) -> str:
        """The cores take turns: they share their instructions."""
        return CORES[
            (CONVENTIONS.index(self.convention) + LEVELS.index(self.level) + list(EXTRAS).index(self.extra)) % 3
        ]

    def __str__(self) -> str:
        return f"{self.compiler} {self.core} {self.convention} {self.level} {self.extra}"


def target(cell: Cell) -> list[str]:
    """The compiler's command for the core and its convention."""
    command = ["arm-none-eabi-gcc"] if cell.compiler == "gcc" else ["clang", "--target=arm-none-eabi"]
    fpu = [] if cell.convention == "soft" else [f"-mfpu={FPU[cell.core]}"]
    return [*command, "-mthumb", f"-mcpu={cell.core}", f"-mfloat-abi={cell.convention}", *fpu]


def flags(cell: Cell) -> list[str]:
    return ["-std=gnu11", "-ffreestanding", cell.level, *EXTRAS[cell.extra]]


def link(cell: Cell) -> list[str]:
    """GNU's linker, and for what clang left to the linker LLVM's, which zig has."""
    if is_bitcode(cell):
        suffix, soft = "hf" if cell.convention == "hard" else "", "+soft_float" if cell.convention == "soft" else ""
        machine = ["-target", f"thumb-freestanding-eabi{suffix}", f"-mcpu={cell.core.replace('-', '_')}{soft}"]
        return [*ZIG, *machine, "-g", "-flto", "-nostdlib", "-static", "-Wl,--no-gc-sections"]
    lto = (*EXTRAS["lto"], cell.level) if cell.extra == "lto" else ()
    return [*target(replace(cell, compiler="gcc")), *lto, "-nostdlib", "-static", "-Wl,--no-warn-rwx-segments"]


def is_bitcode(cell: Cell) -> bool:
    return cell.compiler == "clang" and cell.extra == "lto"


def check(cell: Cell) -> str:
    """ "right", or the #error that the headers give, or what is wrong."""
    core = next(c for c in EVERY_CORE if c.name == cell.core.replace("-", "_"))
    text = text_of(tuple(c.recorded for c in calls()), core)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        libraries = [] if is_bitcode(cell) else ["-lgcc"]
        try:
            compile = [*target(cell), *flags(cell)]
            made = build(Path(folder), text, compile, target(cell), link(cell), libraries, all_assembly(core))
        except Refused as refusal:
            named = [line.split("#error")[-1].strip(' "') for line in str(refusal).splitlines() if "#error" in line]
            return f"#error {named[0]}" if named else f"does not build: {refusal}"[:600]
        wrong = wrong_calls(made, cell.core.upper().replace("-", "_"))
    return f"wrong: {', '.join(wrong)}" if wrong else "right"


def every_cell() -> list[Cell]:
    cells = [Cell(*values) for values in itertools.product(COMPILERS, CONVENTIONS, LEVELS, EXTRAS)]
    return [c for c in cells if c.compiler == "gcc" or c.extra not in OF_GCC]


def covering(cells: Sequence[Cell]) -> list[Cell]:
    """Few cells that have every compiler and every convention with every value of the other axes."""

    def pairs(cell: Cell) -> set[tuple[str, str]]:
        others = cell.convention, cell.level, cell.extra
        return {*((cell.compiler, o) for o in others), *((cell.convention, o) for o in others[1:])}

    left: set[tuple[str, str]] = set().union(*(pairs(c) for c in cells))
    chosen: list[Cell] = []
    mixed = random.Random(4).sample(cells, len(cells))
    while left:
        best = max(mixed, key=lambda c: len(pairs(c) & left))
        chosen.append(best)
        left -= pairs(best)
    return chosen


def table(results: dict[Cell, str]) -> str:
    """Rows: compilers and flags; columns: conventions and levels. ok, a named #error, or BAD; a dot was not tried."""
    columns = [(c, o) for c in CONVENTIONS for o in LEVELS]
    short = {"right": "ok"}
    lines = [
        " " * 18 + "".join(f"{c:<{5 * len(LEVELS)}}" for c in CONVENTIONS),
        " " * 18 + "".join(f"{o:<5}" for _, o in columns),
    ]
    for compiler, extra in itertools.product(COMPILERS, EXTRAS):
        found = [results.get(Cell(compiler, c, o, extra)) for c, o in columns]
        texts = ["." if f is None else short.get(f, "#err" if f.startswith("#error") else "BAD") for f in found]
        if any(found):
            lines.append(f"{compiler:<6}{extra:<12}" + "".join(f"{t:<5}" for t in texts))
    return "\n".join(lines)


def compilers() -> set[str]:
    """Those that are installed."""
    return {n for n, c in (("gcc", "arm-none-eabi-gcc"), ("clang", "clang")) if shutil.which(c)}


def main(arguments: Iterable[str]) -> int:
    wanted = set(arguments)
    cells = [c for c in every_cell() if c.compiler in compilers() and (not wanted or c.compiler in wanted)]
    results: dict[Cell, str] = {}
    for cell in cells:
        results[cell] = check(cell)
        if results[cell] != "right" and not results[cell].startswith("#error"):
            print(f"{cell}: {results[cell]}", flush=True)
    print(table(results))
    good = sum(r == "right" or r.startswith("#error") for r in results.values())
    print(f"{len(results)} builds, {good} as they should be, {len(calls())} calls of routines in each")
    return int(good != len(results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
