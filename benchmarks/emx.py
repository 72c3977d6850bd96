"""ONNX files compiled by smelt and by emx-onnx-cgen, side by side on simulated boards: `python benchmarks/emx.py [MODEL.onnx ...]`.

emx-onnx-cgen is a program of its own environment (`--emx`, by default that on the path). Its C is built by the same gcc with
-O2, with the flags of the board's core and floating-point unit and newlib's libraries, around smelt's start-up code and main.
Cycles are those of the last inference; RAM is what is static, the largest heap and the deepest stack; flash is everything in
it. The heap consists of all RAMs of the board, nearest first; where they are not enough, the last one is simulated larger than
it is, and the table says so.
"""

import argparse
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path

import numpy as np
from data import ROOT, shared
from emx_models import made
from tables import show

from smelt import compile, execute, profile, random_inputs
from smelt.devices.simulators.simulator import Simulator
from smelt.errors import SmeltError
from smelt.firmware.build import COMPILE, LINK, compiler_environment, run_compiler, support_files
from smelt.firmware.image import make_image
from smelt.firmware.linker import linker_script
from smelt.importers import load
from smelt.targets.boards import board as named

BOARDS = ("nucleo_l4r5zi", "nucleo_h743zi")
COLUMNS = ("model", "board", "smelt: Mcycles", "RAM", "flash", "emx: Mcycles", "RAM", "flash", "times", "remark")
FILES = ("resnet8_float", "resnet8_qdq_u8s8", "float_torch_dynamo", "qdq_ort_s8s8_perchannel", "qdq_torchao_pt2e_xnnpack",
         "qdq_executorch_cortex_m", "qdq_nncf_mixed", "qcdq_brevitas_w4")  # fmt: skip
STACK, SLACK = 16 << 10, 4 << 10
LARGER = 2 << 20
"""What is added to the last RAM where the heap does not fit."""

FREESTANDING = {"-ffreestanding", "-std=gnu11", "-I."}


@dataclass(frozen=True)
class Row:
    """What one program makes of a model on a board."""

    cycles: int
    ram: int
    flash: int
    remark: str
    outputs: np.ndarray


def by_smelt(file, name, given):
    """smelt's firmware; inputs are turned where it wants images with their channels last."""
    compilation = compile(file, name, compiler="gcc")
    shape = compilation.graph.inputs[0].shape
    turned = [x.transpose(0, 2, 3, 1) if x.shape != shape and x.ndim == 4 else x.reshape(shape) for x in given]
    execution = execute(compilation, [(x,) for x in turned])
    p = profile(compilation, execution.run)
    outputs = np.stack([y[0].ravel() for y in execution.outputs])
    return Row(p.cycles, p.ram_bytes, p.flash_bytes, "", outputs)


def by_emx(file, board, given, emx, outputs):
    """The C of emx-onnx-cgen as firmware, on a board with more RAM than there is if need be."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "model.c"
        command = (emx, "compile", file, written, "--model-name", "model", "--large-weight-threshold", "0")
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise ValueError((done.stderr or done.stdout).strip().splitlines()[-1][:100])
        sizes = given[0].nbytes, prod(outputs.shape) * 4
        for larger in (0, LARGER):
            target = with_more(board, larger)
            image = firmware(Path(folder), target, *sizes)
            run = Simulator(target).run(image, b"".join(x.tobytes() for x in given))
            if "exhausted" not in run.text:
                break
    heap = int(run.text.split()[-1])
    static = sum(u.size for u in image.uses if u.content == "data")
    flash = sum(u.size for u in image.uses if u.memory in {m.name for m in board.chip.flashes})
    remark = f"does not fit {sum(m.size for m in board.chip.rams):,} bytes of RAM" if larger else ""
    found = np.frombuffer(run.outputs, np.float32).reshape(len(given), -1)
    return Row(run.cycles, static + heap + run.stack_bytes, flash, remark, found)


def with_more(board, bytes):
    """The board with a larger last RAM."""
    last = board.chip.rams[-1]
    memories = tuple(replace(m, size=m.size + bytes) if m is last else m for m in board.chip.memories)
    return replace(board, chip=replace(board.chip, memories=memories))


def firmware(folder, board, input_bytes, output_bytes):
    """The image of `model.c` in a folder, with a heap of all that is left of the RAMs."""
    taken = STACK + input_bytes + output_bytes + SLACK
    rams = [(m.name, m.size - (taken if m is board.chip.rams[0] else 0)) for m in board.chip.rams]
    heaps = " ".join(f"X({name}, {bytes}U)" for name, bytes in rams)
    texts = {n: t for n, t in support_files(board).items() if n not in ("memory.c", "string.h")}  # newlib has both
    texts["emx_firmware.c"] = (ROOT / "benchmarks" / "emx_firmware.c").read_text()
    texts["firmware.ld"] = linker_script(board, STACK)
    texts["emx_sizes.h"] = (
        f"#define EMX_INPUT_BYTES {input_bytes}U\n#define EMX_OUTPUT_BYTES {output_bytes}U\n#define EMX_HEAPS(X) {heaps}\n"
    )
    for name, text in texts.items():
        (folder / name).write_text(text)
    command = (board.chip.float_unit or board.core).gcc
    flags = (*(f for f in COMPILE if f not in FREESTANDING), "-O2")
    run = partial(run_compiler, folder, environment=compiler_environment(folder), what="emx-onnx-cgen's C")
    objects = [f"{n}.o" for n in ("model.c", *texts) if n.removesuffix(".o").endswith((".c", ".S"))]
    for name in objects:
        run((*command, *flags, "-c", name.removesuffix(".o"), "-o", name))
    libraries = ("-lm", "-lc", "-lgcc", "-Wl,--no-warn-rwx-segments")
    run((*command, *LINK, "-T", "firmware.ld", *objects, "-o", "firmware.elf", *libraries))
    return make_image((folder / "firmware.elf").read_bytes(), board, "gcc", "model")


def line(file, name, given, emx):
    """The cells of a model on a board."""
    board = named(name)
    inputs = inputs_of(file, given)
    try:
        mine = by_smelt(file, name, inputs)
    except SmeltError as error:
        return (file.stem, name, f"{type(error).__name__}: {error}".splitlines()[0][:90], *("",) * 7)
    try:
        theirs = by_emx(file, board, inputs, emx, mine.outputs[0])
    except ValueError as error:
        return (file.stem, name, *cells(mine), "-", "-", "-", "-", f"refused: {error}")
    largest = np.abs(theirs.outputs - mine.outputs).max() / np.abs(mine.outputs).max()
    same = (theirs.outputs.argmax(1) == mine.outputs.argmax(1)).mean()
    remarks = (f"differs by {largest:.1g} of the largest output", "" if same == 1 else "ANOTHER ARGMAX", theirs.remark)
    return (
        file.stem,
        name,
        *cells(mine),
        *cells(theirs),
        f"{theirs.cycles / mine.cycles:.1f}",
        "; ".join(filter(None, remarks)),
    )


def inputs_of(file, count):
    """Inputs as the file has them: random ones."""
    graph = load(file, "keep")
    return [x[0] for x in random_inputs(graph, count)]


def cells(row):
    """Cycles, RAM, flash."""
    return f"{row.cycles / 1e6:.3f}", f"{row.ram:,}", f"{row.flash:,}"


def version_of(emx):
    """The package's version, from the Python beside the program."""
    python = Path(emx).parent / "python"
    program = "from importlib.metadata import version; print(version('emx-onnx-cgen'))"
    done = subprocess.run((python, "-c", program), capture_output=True, text=True)
    return done.stdout.strip() or "of unknown version"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "models", nargs="*", type=Path, help="by default those of shared/models, and what emx_models makes"
    )
    parser.add_argument("--emx", default=shutil.which("emx-onnx-cgen"), help="the program emx-onnx-cgen")
    parser.add_argument("--runs", type=int, default=2, help="inputs, of which the last is counted")
    parser.add_argument("--boards", default=",".join(BOARDS))
    parser.add_argument("--markdown", action="store_true", help="print the table for a page")
    given = parser.parse_args()
    if given.emx is None:
        parser.error(
            "emx-onnx-cgen is not on the path: pip install emx-onnx-cgen, in an environment of its own, and --emx"
        )
    with tempfile.TemporaryDirectory() as folder:
        models = given.models or [shared(f"models/onnx/{m}.onnx") for m in FILES] + made(Path(folder))
        lines = [line(m, b, given.runs, given.emx) for m in models for b in given.boards.split(",")]
    show(f"smelt and emx-onnx-cgen {version_of(given.emx)}, simulated", COLUMNS, lines, given.markdown)


if __name__ == "__main__":
    main()
