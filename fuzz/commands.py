"""Random command lines through smelt's own parser: `python -m fuzz.commands --cases 2000 --seed 1`.

What may be written is read from the commands themselves. Every case ends with a documented exit code and printable text.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import click
import numpy as np
from click.testing import CliRunner

from fuzz.harness import Case, Finding, Fuzzer, main
from smelt.cli import main as program
from tests.importer_cases import relu_chain

BOARDS = ("disco_f746ng", "esp32c3", "mps2_an386", "nucleo_l4r5zi")
WORDS = (
    "", "-", "--", "0", "-1", "1", "10", "1e9", "9" * 30, "nan", "none", "a b", "ä\u4e2d", "\x1b[31m", "a\nb", "\udc80", "%s[red]",
    "x" * 5000, "57K", "1M", "0.5s", "0", "network", "class", "../x", ".",
)  # fmt: skip
READ = (
    "model.tflite", "model.tflite", "model.tflite", "model.h", "cut.tflite", "flipped.tflite", "empty", "pointer.tflite", "x.npy",
    "x.bin", "bad.npy", "x.png", "labels.txt", "log.jsonl", "folder", "pipe", "dangling", "missing", "/dev/null", "/dev/zero",
    "secret", "\x1b[31m\n\udc80.tflite", "", "y" * 300,
)  # fmt: skip
WRITTEN = (
    "out", "out", "new/deep/out", "/dev/null", "/dev/full", "/dev/full/x", "folder", "dangling", "empty", "secret/x", "", "y" * 300,
    "\x1b[31m\udc80", "loop", "loop/x",
)  # fmt: skip
SOUND = {"model": ("model.tflite", "model.h", "\x1b[31m\n\udc80.tflite"), "files": ("x.npy", "x.bin")}
OUTPUTS = ("--out", "--keep", "--output")
SLOW = ("demo", "export", "flash", "report", "tune", "worker")  # commands that build firmware in any case, or serve
EXIT_CODES = (0, 1, 2, 3, 4, 5, 6, 7, 8)
LONGEST = 50_000


def prepare(folder: Path) -> None:
    """Files of every kind, by the names in READ and WRITTEN."""
    w, inputs, outputs = relu_chain("ab")
    model = w.finish(inputs, outputs)
    flipped = bytearray(model)
    flipped[len(flipped) // 2] ^= 0xFF
    contents = {
        "model.tflite": model,
        "model.h": f"const unsigned char m[] = {{{', '.join(map(str, model))}}};".encode(),
        "cut.tflite": model[:-100],
        "flipped.tflite": bytes(flipped),
        "empty": b"",
        "pointer.tflite": b"version https://git-lfs.github.com/spec/v1\n",
        "bad.npy": b"\x93NUMPY\x01\x00\xff\xff{'descr'",
        "x.bin": bytes(range(8)),
        "x.png": b"\x89PNG\r\n\x1a\n",
        "labels.txt": "a\n\x1b[31m\nä\n".encode(),
        "log.jsonl": b'{"kernel": 1}\n[[[[\n',
        "\x1b[31m\n\udc80.tflite": model,
        "secret": b"",
    }
    for name, data in contents.items():
        folder.joinpath(name).write_bytes(data)
    np.save(folder / "x.npy", np.zeros((1, 8), np.int8))
    folder.joinpath("secret").chmod(0)
    folder.joinpath("folder").mkdir()
    folder.joinpath("dangling").symlink_to("nowhere")
    folder.joinpath("loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")


def attempt(case: Case) -> str:
    """One command line, in a new folder and an output of some encoding."""
    arguments = command_line(case.rng)
    line = " ".join(map(ascii, arguments))
    case.write(line.encode(), ".txt")
    with tempfile.TemporaryDirectory(dir=case.folder) as place:
        prepare(Path(place))
        os.chdir(place)
        try:
            return run(arguments, str(case.rng.choice(["utf-8", "ascii", "latin-1"])), line[:1000])
        finally:
            os.chdir(case.folder)


def run(arguments: list[str], charset: str, line: str) -> str:
    """How a command ended. Raises Finding."""
    result = CliRunner(charset=charset).invoke(program, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise Finding(line) from result.exception
    if result.exit_code not in EXIT_CODES or (result.exit_code == 1 and arguments[:1] != ["doctor"]):
        raise Finding(f"exit code {result.exit_code}: {line}: {result.output[-500:]}")
    shown = result.output_bytes.decode("utf-8", "replace")
    if not shown.replace("\n", "").isprintable() and charset != "latin-1":
        raise Finding(f"not printable: {line}: {shown[:500]!a}")
    if result.exit_code and len(shown) > LONGEST:
        raise Finding(f"{len(shown):,} characters: {line}")
    return f"code {result.exit_code}"


def command_line(random: np.random.Generator) -> list[str]:
    name = str(random.choice(sorted(program.commands)))
    if name in SLOW and random.random() < 0.9:
        name = "compile"
    if random.random() < 0.02:
        name = word(random)
    command = program.commands.get(name)
    words = [name]
    for parameter in command.params if command is not None else ():
        wanted = parameter.required or random.random() < 0.25
        if wanted and random.random() < 0.98:
            words += written(parameter, random)
    if (
        "--compiler" in {option for p in (command.params if command else ()) for option in p.opts}
        and random.random() < 0.97
    ):
        words += ["--compiler", "none"]
    if random.random() < 0.03:
        words.insert(random.integers(1, len(words) + 1), word(random))
    return words


def written(parameter: click.Parameter, random: np.random.Generator) -> list[str]:
    """A parameter as somebody may write it."""
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return [parameter.opts[0]]
    value = word(random) if random.random() < 0.1 else fitting(parameter, random)
    return [value] if isinstance(parameter, click.Argument) else [parameter.opts[0], value]


def fitting(parameter: click.Parameter, random: np.random.Generator) -> str:
    """A value of the kind that a parameter has."""
    kind = parameter.type
    if isinstance(kind, click.Choice):
        there = [choice for choice in kind.choices if choice not in ("openocd", "pyocd")]  # there is no board here
        return str((there or ["none"])[random.integers(max(len(there), 1))])
    if isinstance(kind, click.Path):
        if parameter.name in SOUND and random.random() < 0.6:
            return str(random.choice(SOUND[parameter.name]))
        names = WRITTEN if set(parameter.opts) & set(OUTPUTS) else READ
        return names[random.integers(len(names))]
    if parameter.name == "board_name":
        return str(random.choice(BOARDS))
    if parameter.name == "budget":
        return str(
            random.choice(["0", "1s", "-1", "1.5.2", "1000000000000000000000h"]) if random.random() < 0.2 else "0s"
        )
    if isinstance(kind, click.types.IntParamType):
        return str(
            random.choice([0, 1, 2, -1, 2**31, 2**63, 2**70]) if parameter.name == "seed" else random.choice([0, 1, -1])
        )
    return word(random)


def word(random: np.random.Generator) -> str:
    return WORDS[random.integers(len(WORDS))]


if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())  # for child processes find smelt by it
    sys.exit(main(Fuzzer("commands", __doc__ or "", attempt, cases=2000, seconds=60.0)))
