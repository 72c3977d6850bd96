"""The C of a network by several compilers: `python -m dev.compilers` prints a table of them, `--page` writes docs/compilers.md.

The library is compiled without and with the hooks, at several levels, with all warnings that it promises to draw none of. What it
computes is compared with the reference: as a program of this machine, or as firmware on a simulated board, in which the compiler
made the library and GCC all else. What is not installed is said to be so. `--more TITLE=COMMAND` adds an Arm GCC that lies
elsewhere.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from smelt.compile import Compilation, compile
from smelt.firmware.build import COMPILE, LINK, compiler_command, support_files, write_texts
from smelt.firmware.harness import render_harness
from smelt.firmware.image import Image, make_image
from smelt.firmware.linker import STACK_BYTES, linker_script
from smelt.inputs import random_inputs
from smelt.model.reference import run
from smelt.report.execute import execute

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "tests/data/models/mlperf_tiny/kws_ref_model.tflite"
PAGE = ROOT / "docs/compilers.md"
BEGIN, END = "<!-- by python -m dev.compilers --page -->", "<!-- end -->"
WARNINGS = "-std=c99 -pedantic-errors -Wall -Wextra -Wconversion -Wshadow -Wundef".split()
LEVELS = ("-O0", "-O2", "-O3")
HOOKS = ("-DWORDS_PROFILE", "-DWORDS_YIELD()=((void)0)")
FREESTANDING = f"-ffreestanding -I{ROOT}/smelt/firmware/support"
ZIG = f"{sys.executable} -m ziglang cc"
ARM, RISCV = "nucleo_l4r5zi", "esp32c3"
M4 = "-mcpu=cortex-m4 -mthumb"
CLANG_M4 = f"clang --target=thumbv7em-none-eabi {M4}"
NOT_GNU = "-U__GNUC__ -Wno-system-headers"


@dataclass(frozen=True)
class Row:
    """A compiler by its command. `board` is where its programs run, None for this machine; `note` what is told of it."""

    title: str
    command: str
    board: str | None = None
    note: str = ""

    @property
    def words(self) -> list[str]:
        return self.command.split()

    @property
    def is_there(self) -> bool:
        return shutil.which(self.words[0]) is not None

    @property
    def version(self) -> str:
        """The first line that it says of itself."""
        command = self.words[: 4 if self.words[0] == sys.executable else 1]
        done = subprocess.run([*command, "--version"], capture_output=True, text=True)
        return done.stdout.splitlines()[0] if done.stdout else ""


ROWS = (
    Row("gcc 11", "gcc-11"),
    Row("gcc 12", "gcc-12"),
    Row("clang", "clang"),
    Row("zig", ZIG),
    Row("nothing but C99", f"gcc {NOT_GNU}", note="GCC without its own macro"),
    Row("Arm gcc", f"arm-none-eabi-gcc {M4}", ARM),
    Row("clang for Cortex-M4", CLANG_M4, ARM),
    Row("zig for Cortex-M4", f"{ZIG} -target thumb-freestanding-eabi -mcpu=cortex_m4 -fno-sanitize=undefined", ARM),
    Row("as IAR presents itself", f"arm-none-eabi-gcc {M4} {NOT_GNU} -D__ICCARM__=1", ARM, "GCC with IAR's macro"),
    Row("as armclang presents itself", f"{CLANG_M4} -D__ARMCC_VERSION=6220000", ARM, "clang with Arm's macro"),
    Row("RISC-V gcc", "riscv64-unknown-elf-gcc -march=rv32imc -mabi=ilp32", RISCV),
    Row(
        "zig for RISC-V",
        f"{ZIG} -target riscv32-freestanding-none -mcpu=generic_rv32+m+c -fno-sanitize=undefined",
        RISCV,
    ),
)


@cache
def network(model: Path, board: str) -> Compilation:
    """The C of a model for a board."""
    return compile(model, board, name="words", compiler="none")


def complaints(row: Row, texts: Mapping[str, str]) -> list[str]:
    """What a compiler says of the library, over all levels and hooks."""
    said = []
    freestanding = FREESTANDING.split() if row.board else []
    with tempfile.TemporaryDirectory() as name:
        write_texts(Path(name), texts)
        for level in LEVELS:
            for hooks in ((), HOOKS):
                for file in (f for f in texts if f.endswith(".c")):
                    full = [*row.words, *freestanding, *WARNINGS, level, *hooks, "-c", file, "-o", "x.o"]
                    done = subprocess.run(full, cwd=name, capture_output=True, text=True)
                    said += [line for line in done.stderr.splitlines() if "warning:" in line or "error:" in line]
    return said


def on_this_machine(row: Row, made: Compilation) -> str:
    """Whether programs of all levels compute what the reference does."""
    (x,), (y,) = made.program.inputs, made.program.outputs
    inputs = random_inputs(made.model, 2)
    given = b"".join(arrays[0].tobytes() for arrays in inputs)
    expected = b"".join(run(made.model, arrays)[0].tobytes() for arrays in inputs)
    text = MAIN.replace("IN", x.field).replace("OUT", y.field)
    text = text.replace("READ", f"{x.tensor.bytes}u").replace("WRITE", f"{y.tensor.bytes}u")
    with tempfile.TemporaryDirectory() as name:
        write_texts(Path(name), {**made.sources.files, "main.c": text})
        own = [f for f in made.sources.files if f.endswith(".c")]
        for level in LEVELS:
            objects = [_object(row.words, ["-std=c99", level], file, name) for file in own]
            linker = [word for word in row.words if word != "-U__GNUC__"]  # the C library's headers need it
            link = [*linker, "main.c", *objects, "-o", "main"]
            subprocess.run(link, cwd=name, check=True)
            if subprocess.run([f"{name}/main"], input=given, capture_output=True).stdout != expected:
                return f"differ at {level}"
    return "equal"


MAIN = """
#include "words_net.h"
#include <stdio.h>
WORDS_MEMORY(memory);
int main(void)
{
    words_net net;
    if (words_init(&net, &memory) != WORDS_STATUS_OK) {
        return 1;
    }
    while (fread(words_get_inputs(&net).IN, 1, READ, stdin) == READ) {
        words_run(&net);
        (void)fwrite(words_get_outputs(&net).OUT, 1, WRITE, stdout);
    }
    return 0;
}
"""


def on_a_board(row: Row, made: Compilation) -> tuple[str, dict[str, int]]:
    """The same on the simulated board, and the bytes of stack that an inference takes, by level."""
    inputs, stacks = random_inputs(made.model, 1), dict[str, int]()
    expected = run(made.model, inputs[0])[0].tobytes()
    for level in LEVELS:
        done = execute(replace(made, image=_firmware(row, made, level)), inputs)
        if np.ascontiguousarray(done.outputs[0][0]).tobytes() != expected:
            return f"differ at {level}", stacks
        stacks[level] = done.run.stack_bytes
    return "equal", stacks


def _firmware(row: Row, made: Compilation, level: str) -> Image:
    """The firmware of a network whose library a compiler made, and GCC all else."""
    board, sources = made.plan.board, render_harness(made.program, made.sources)
    gcc, harness = compiler_command(board, "gcc"), support_files(board, sources.tables)
    own = [f for f in made.sources.files if f.endswith((".c", ".S"))]
    rest = [f for f in (*harness, *(sources.files.keys() - made.sources.files.keys())) if f.endswith((".c", ".S"))]
    with tempfile.TemporaryDirectory() as name:
        script = linker_script(board, STACK_BYTES, sources.tables, sources.copied_from)
        write_texts(Path(name), {**sources.files, **harness, "firmware.ld": script})
        flags = [*FREESTANDING.split(), *(f for f in COMPILE if not f.startswith("-std")), "-std=c99", level]
        objects = [_object(row.words, flags, file, name) for file in own]
        objects += [_object(gcc, [*COMPILE, "-O2"], file, name) for file in sorted(rest)]
        link = [*gcc, *LINK, "-T", "firmware.ld", *objects, "-Wl,--no-warn-rwx-segments", "-lgcc", "-o", "firmware.elf"]
        subprocess.run(link, cwd=name, check=True, capture_output=True)
        return make_image((Path(name) / "firmware.elf").read_bytes(), board, "gcc", sources.entry, sources.kernels)


def _object(command: Sequence[str], flags: Sequence[str], file: str, folder: str) -> str:
    subprocess.run([*command, *flags, "-c", file, "-o", f"{file}.o"], cwd=folder, check=True, capture_output=True)
    return f"{file}.o"


def lines(rows: Iterable[Row], model: Path) -> Iterator[str]:
    """The table, a line for each compiler as soon as it was tried."""
    yield f"| compiler | version | library for | warnings | results | stack in bytes, {', '.join(LEVELS)} |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        title = f"{row.title} ({row.note})" if row.note else row.title
        if not row.is_there:
            yield f"| {title} | not installed | | | | |"
            continue
        made = network(model, row.board or ARM)
        said = complaints(row, made.sources.files)
        for line in said[:3]:
            print(line, file=sys.stderr)
        results, stacks = on_a_board(row, made) if row.board else (on_this_machine(row, made), dict[str, int]())
        stack = ", ".join(str(stacks[level]) for level in LEVELS if level in stacks)
        yield f"| {title} | {row.version} | {row.board or 'this machine'} | {len(said)} | {results} | {stack} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--more", action="append", default=[], metavar="TITLE=COMMAND", help="an Arm GCC more")
    parser.add_argument("--only", help="the compilers with this in their title")
    parser.add_argument("--page", action="store_true", help="write docs/compilers.md")
    options = parser.parse_args(arguments)
    more = (text.partition("=") for text in options.more)
    rows = (*ROWS, *(Row(title, f"{command} {M4}", ARM) for title, _, command in more))
    made = []
    for line in lines((r for r in rows if not options.only or options.only in r.title), options.model):
        print(line, flush=True)
        made.append(line)
    if options.page:
        before, _, after = PAGE.read_text("utf-8").partition(BEGIN)
        table = "\n".join(made)
        PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
