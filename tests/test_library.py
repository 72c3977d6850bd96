"""The C library as its users meet it: warnings, two instances, two networks, somebody else's CMake project."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from smelt.compile import compile
from smelt.firmware.elf import read_elf
from smelt.importers import load
from smelt.inputs import random_inputs
from smelt.model.reference import run
from smelt.targets.boards import board
from tests.paths import HELLO, IC, KWS, PERSON, ROOT
from tests.tiny_firmware import need

WARNINGS = "-std=c99 -pedantic -Wall -Wextra -Wconversion -Wundef -Werror".split()
BOARD = "disco_f746ng"


def library(path, folder, name, board_name=BOARD):
    """The library of a model in `folder`; returns the compilation."""
    compilation = compile(path, board(board_name), name=name, compiler="none")
    for file, text in compilation.sources.files.items():
        (folder / file).write_text(text, encoding="utf-8")
    return compilation


@pytest.mark.parametrize("path", [IC, KWS, HELLO, PERSON], ids=lambda p: p.stem)
@pytest.mark.parametrize(
    "compiler",
    [
        ("gcc",),
        ("arm-none-eabi-gcc", "-mcpu=cortex-m7", "-mthumb"),
        (sys.executable, "-m", "ziglang", "cc"),
    ],
    ids=["gcc", "arm-gcc", "clang"],
)
def test_compiles_without_a_warning(path, compiler, tmp_path):
    need(compiler[0])
    library(path, tmp_path, "network")
    for source in sorted(tmp_path.glob("*.c")):
        done = subprocess.run(
            [*compiler, *WARNINGS, "-O2", "-c", source.name, "-o", f"{source.stem}.o"],
            cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0 and not done.stderr, done.stderr


TWO = """
#include "first_net.h"
#include "second_net.h"
#include <stdio.h>
#include <string.h>

FIRST_MEMORY(a_memory);
FIRST_MEMORY(b_memory);
SECOND_MEMORY(c_memory);

int main(void)
{
    first_net a, b;
    second_net c;
    if (first_init(&a, &a_memory) != 0 || first_init(&b, &b_memory) != 0 || second_init(&c, &c_memory) != 0) {
        return 1;
    }
    const first_memory none = {NULL, NULL}, odd = {(char *)a_memory.fast + 1, (char *)a_memory.main + 1};
    if (first_init(NULL, &a_memory) == 0 || first_init(&a, NULL) == 0 || first_init(&a, &none) == 0
        || first_init(&a, &odd) == 0 || first_init(&a, &a_memory) != 0) {
        return 2;
    }
    size_t bytes = fread(first_get_inputs(&a).FIRST_IN, 1, FIRST_BYTES, stdin);
    bytes += fread(first_get_inputs(&b).FIRST_IN, 1, FIRST_BYTES, stdin);
    bytes += fread(second_get_inputs(&c).SECOND_IN, 1, SECOND_BYTES, stdin);
    if (bytes != 2 * FIRST_BYTES + SECOND_BYTES) {
        return 3;
    }
    first_run(&a);
    second_run(&c);
    first_run(&b);
    fwrite(first_get_outputs(&a).FIRST_OUT, 1, FIRST_SIZE, stdout);
    fwrite(first_get_outputs(&b).FIRST_OUT, 1, FIRST_SIZE, stdout);
    fwrite(second_get_outputs(&c).SECOND_OUT, 1, SECOND_SIZE, stdout);
    return 0;
}
"""


def test_two_instances_and_two_networks_in_one_program(tmp_path):
    need("gcc")
    networks = {"first": library(KWS, tmp_path, "first"), "second": library(IC, tmp_path, "second")}
    defines = []
    for name, compilation in networks.items():
        (x,), (y,) = compilation.program.inputs, compilation.program.outputs
        values = {"IN": x.field, "OUT": y.field, "BYTES": x.tensor.bytes, "SIZE": y.tensor.bytes}
        defines += [f"-D{name.upper()}_{key}={value}" for key, value in values.items()]
    (tmp_path / "main.c").write_text(TWO)
    sources = sorted(p.name for p in tmp_path.glob("*.c"))
    command = [
        "gcc",
        *WARNINGS,
        *defines,
        "-O1",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover",
        *sources,
        "-o",
        "two",
    ]
    subprocess.run(command, cwd=tmp_path, check=True)
    first, second = load(KWS), load(IC)
    inputs = [*random_inputs(first, 2, seed=1), *random_inputs(second, 1, seed=2)]
    stream = b"".join(arrays[0].tobytes() for arrays in inputs)
    done = subprocess.run([tmp_path / "two"], input=stream, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    graphs = (first, first, second)
    expected = b"".join(run(g, arrays)[0].tobytes() for g, arrays in zip(graphs, inputs, strict=True))
    assert done.stdout == expected


def test_two_networks_share_the_routines_that_are_equal(tmp_path):
    """Linked as an application would; what is left out is another library's."""
    compiler, *flags = board("nucleo_l4r5zi").core.gcc
    need(compiler)
    for name in ("first", "second"):
        library(IC, tmp_path, name, "nucleo_l4r5zi")
    (tmp_path / "main.c").write_text(
        "#include <first_net.h>\n#include <second_net.h>\nint main(void) { first_run(0); second_run(0); return 0; }\n"
    )
    sources = sorted(p.name for p in tmp_path.iterdir() if p.suffix in (".c", ".S"))
    assert {"first_routines.S", "second_routines.S"} <= set(sources)
    link = ["-nostdlib", "-Wl,--gc-sections", "-Wl,--entry=main", "-Wl,--no-warn-rwx-segments", "-lgcc"]
    support = ["-ffreestanding", "-I", ".", "-I", str(ROOT / "smelt" / "firmware" / "support")]
    memory = str(ROOT / "smelt" / "firmware" / "support" / "memory.c")
    command = [compiler, *flags, *support, "-O1", *sources, memory, *link, "-o", "two.elf"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = [f.name for f in read_elf((tmp_path / "two.elf").read_bytes()).functions]
    routines = [n for n in names if re.fullmatch(r"smelt_\w+_[0-9a-f]{8}", n)]
    assert routines and len(routines) == len(set(routines))


def test_cmake_example(tmp_path):
    need("cmake")
    generated, project, build = (tmp_path / n for n in ("generated", "project", "build"))
    generated.mkdir()
    shutil.copytree(ROOT / "examples" / "cmake_project", project)
    library(HELLO, generated, "sine")
    configure = ["cmake", "-S", str(project), "-B", str(build), f"-DNETWORK_DIR={generated}"]
    subprocess.run(configure, check=True, capture_output=True)
    subprocess.run(["cmake", "--build", str(build)], check=True, capture_output=True)
    lines = subprocess.run([build / "sine_table"], check=True, capture_output=True, text=True).stdout.split()
    table = np.array(lines, int).reshape(-1, 2)
    graph = load(HELLO)
    expected = [run(graph, (np.full((1, 1), x, np.int8),))[0].item() for x in range(-128, 128)]
    assert table[:, 0].tolist() == list(range(-128, 128))
    assert table[:, 1].tolist() == expected


def test_same_input_same_bytes():
    first, second = (compile(KWS, board(BOARD)) for _ in range(2))
    assert first.sources.digest == second.sources.digest
    assert first.image.elf == second.image.elf
