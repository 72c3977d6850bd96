"""The C of a network by several compilers: `python -m dev.compilers [--model FILE] [--board NAME]` prints a table of them.

The library is compiled without and with the hooks, with all warnings that it promises to draw none of; where the compiler makes
programs for this machine, one of them computes random inputs, and the outputs are compared with the reference. What is not
installed is said to be so.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from smelt.compile import compile
from smelt.inputs import random_inputs
from smelt.model.reference import run

ROOT = Path(__file__).resolve().parents[1]
WARNINGS = "-std=c99 -pedantic-errors -Wall -Wextra -Wconversion -Wshadow -Wundef".split()
OPTIMIZE = ("-O0", "-O3")
FREESTANDING = f"-ffreestanding -I{ROOT}/smelt/firmware/support"
ARM = f"-mcpu=cortex-m4 -mthumb {FREESTANDING}"
ZIG = f"{sys.executable} -m ziglang cc"
HOSTED = {"gcc 11": "gcc-11", "gcc 12": "gcc-12", "clang": "clang", "zig": ZIG}
CROSS = {
    "Arm gcc": f"arm-none-eabi-gcc {ARM}",
    "clang for Cortex-M4": f"clang --target=thumbv7em-none-eabi {ARM}",
    "zig for Cortex-M4": f"{ZIG} -target thumb-freestanding-eabi -mcpu=cortex_m4 {FREESTANDING}",
    "RISC-V gcc": f"riscv64-unknown-elf-gcc -march=rv32imc -mabi=ilp32 {FREESTANDING}",
    "gcc, nothing but C99": "gcc -U__GNUC__ -Wno-system-headers",
}
HOOKS = ("-DWORDS_PROFILE", "-DWORDS_YIELD()=((void)0)")
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
    while (fread(words_get_inputs(&net).IN, 1, SIZE_IN, stdin) == SIZE_IN) {
        words_run(&net);
        (void)fwrite(words_get_outputs(&net).OUT, 1, SIZE_OUT, stdout);
    }
    return 0;
}
"""


def warnings(command, folder):
    """How many lines of complaints there are over all files, levels and hooks."""
    said = []
    for optimize in OPTIMIZE:
        for hooks in ((), HOOKS):
            for file in ("words_net.c", "words_weights.c"):
                full = [*command, *WARNINGS, optimize, *hooks, "-c", file, "-o", "x.o"]
                done = subprocess.run(full, cwd=folder, capture_output=True, text=True)
                said += [line for line in done.stderr.splitlines() if "warning:" in line or "error:" in line]
    for line in said[:3]:
        print(line, file=sys.stderr)
    return len(said)


def result(command, folder, ports, given, expected):
    """Whether programs of all levels compute what the reference does."""
    (x,), (y,) = ports
    values = {"IN": x.field, "OUT": y.field, "SIZE_IN": f"{x.tensor.bytes}u", "SIZE_OUT": f"{y.tensor.bytes}u"}
    for optimize in OPTIMIZE:
        defines = [f"-D{key}={value}" for key, value in values.items()]
        sources = ["words_net.c", "words_weights.c", "main.c"]
        subprocess.run([*command, "-std=c99", optimize, *defines, *sources, "-o", "main"], cwd=folder, check=True)
        if subprocess.run([folder / "main"], input=given, capture_output=True).stdout != expected:
            return f"differs at {optimize}"
    return "equal"


def version(command):
    done = subprocess.run(
        [*command[: 4 if command[0] == sys.executable else 1], "--version"], capture_output=True, text=True
    )
    return done.stdout.splitlines()[0] if done.stdout else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=ROOT / "tests/data/models/mlperf_tiny/kws_ref_model.tflite")
    parser.add_argument("--board", default="nucleo_l4r5zi")
    options = parser.parse_args()
    made = compile(options.model, options.board, name="words", compiler="none")
    inputs = random_inputs(made.model, 2)
    given = b"".join(arrays[0].tobytes() for arrays in inputs)
    expected = b"".join(run(made.model, arrays)[0].tobytes() for arrays in inputs)
    print("| compiler | version | warnings | results |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in made.sources.files.items():
            (folder / file).write_text(text, encoding="utf-8")
        (folder / "main.c").write_text(MAIN, encoding="utf-8")
        for title, line in {**HOSTED, **CROSS}.items():
            command = line.split()
            if shutil.which(command[0]) is None:
                print(f"| {title} | not installed | | |")
                continue
            ports = made.program.inputs, made.program.outputs
            hosted = title in HOSTED or line.startswith("gcc")
            found = result(command, folder, ports, given, expected) if hosted else "compiled only"
            print(f"| {title} | {version(command)} | {warnings(command, folder)} | {found} |", flush=True)


if __name__ == "__main__":
    main()
