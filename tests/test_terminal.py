"""What reaches the terminal: no control characters, no broken words, no traceback, whatever it can encode and how narrow it is."""

import json
import os
import subprocess
import sys

import pytest

from smelt.report.text import cells, fitted, table
from tests.importer_cases import relu_chain
from tests.paths import ROOT

HOSTILE = "[red] \x1b[31mä\u202e\u4e2d\udc80\nb"
posix = pytest.mark.skipif(
    os.name == "nt", reason="platform: names, descriptors and terminals as POSIX systems have them"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder that holds a model under a hostile name."""
    folder = tmp_path_factory.mktemp("terminal")
    w, inputs, outputs = relu_chain("ab")
    data = w.finish(inputs, outputs)
    (folder / "model.tflite").write_bytes(data)
    if os.name != "nt":
        (folder / f"{HOSTILE}.tflite").write_bytes(data)
    return folder


def smelt(folder, *arguments, environment=None, program=("-m", "smelt"), **options):
    settings = {"PYTHONPATH": str(ROOT), **(environment or {})}
    command = [sys.executable, *program, *arguments]
    return subprocess.run(command, cwd=folder, env={**os.environ, **settings}, **options)


ENVIRONMENTS = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
    {"PYTHONIOENCODING": "cp1252"},
    {"LC_ALL": "C"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "40"},
]
BOARD = ("--board", "disco_f746ng")
COMMANDS = [
    (("inspect", f"{HOSTILE}.tflite"), 0),
    (
        ("compile", f"{HOSTILE}.tflite", *BOARD, "--compiler", "none", "--out", f"o{HOSTILE}", "--keep", f"k{HOSTILE}"),
        0,
    ),
    (("inspect", f"{HOSTILE}.missing"), 3),
    (("compile", f"{HOSTILE}.tflite", *BOARD, "--labels", f"{HOSTILE}.txt"), 2),
    (("compile", f"{HOSTILE}.tflite", *BOARD, "--name", HOSTILE), 2),
    (("compile", f"{HOSTILE}.tflite", *BOARD, "--log", f"{HOSTILE}.jsonl"), 2),
    (("compile", "model.tflite", "--board", HOSTILE), 2),
    (("demo", "--picture", HOSTILE), 2),
    (("plan", f"{HOSTILE}.tflite", *BOARD, "--html", f"p{HOSTILE}.html"), 0),
    (("boards",), 0),
    (("ops",), 0),
]
# Several commands in one process: what arrives as bytes on a command line is decoded as Python does it there.
DRIVER = """
import json, os, sys
from smelt.cli import main

def code(arguments):
    try:
        main([os.fsdecode(a.encode("utf-8", "surrogateescape")) for a in arguments], prog_name="smelt")
    except SystemExit as end:
        return end.code

print(json.dumps([code(arguments) for arguments in json.loads(sys.argv[1])]))
"""


@posix
@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=str)
def test_every_encoding_is_served(folder, environment):
    commands = json.dumps([arguments for arguments, _ in COMMANDS])
    done = smelt(folder, commands, environment=environment, program=("-c", DRIVER), capture_output=True)
    encoding = environment.get("PYTHONIOENCODING") or ("ascii" if "PYTHONUTF8" in environment else "utf-8")
    out, err = done.stdout.decode(encoding), done.stderr.decode(encoding)
    assert "Traceback" not in err and done.returncode == 0, err
    assert json.loads(out.splitlines()[-1]) == [code for _, code in COMMANDS], err
    assert (out + err).replace("\n", "").isprintable()
    assert out.count("\\x1b[31m") >= 2 and err.count("\\x1b[31m") >= 5


@posix
@pytest.mark.parametrize("environment", [{}, {"PYTHONIOENCODING": "ascii"}], ids=str)
def test_a_wrong_command_line_is_quoted_without_control_characters(folder, environment):
    for arguments in ((f"--{HOSTILE}",), ("compile", f"--{HOSTILE}"), ("verify", "x", "--seed", HOSTILE), (HOSTILE,)):
        done = smelt(folder, *arguments, environment=environment, capture_output=True)
        text = done.stderr.decode("utf-8", "replace")
        assert done.returncode == 2 and "Traceback" not in text and text.replace("\n", "").isprintable()


@posix
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="platform: no device that is always full")
@pytest.mark.parametrize("arguments", [("boards",), ("boards", "--json"), ("--help",)])
def test_a_full_output_is_an_error(folder, arguments):
    with open("/dev/full", "w") as full:
        done = smelt(folder, *arguments, stdout=full, stderr=subprocess.PIPE, text=True)
        assert (
            done.returncode == 6 and done.stderr.startswith("error: standard output") and "Traceback" not in done.stderr
        )
        assert smelt(folder, "inspect", "missing", stdout=full, stderr=full).returncode == 3


@posix
def test_closed_streams_change_no_exit_code(folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for closing, code in ((">&-", 0), ("2>&-", 0), (">&- 2>&- <&-", 0)):
        command = f"'{sys.executable}' -m smelt inspect model.tflite {closing}"
        assert subprocess.run(["sh", "-c", command], cwd=folder, env=environment).returncode == code
    library = f"'{sys.executable}' -m smelt compile model.tflite -b disco_f746ng --out closed >&- 2>&- <&-"
    subprocess.run(["sh", "-c", library], cwd=folder, env=environment, check=True)
    assert (folder / "closed" / "firmware.elf").stat().st_size


@posix
def test_signs_of_life_take_names_as_they_are(folder):
    """On a terminal: names are no markup for the library that draws there."""
    import pty

    leader, follower = pty.openpty()
    arguments = ("compile", f"{HOSTILE}.tflite", "--board", "disco_f746ng", "--compiler", "none")
    with subprocess.Popen(
        [sys.executable, "-m", "smelt", *arguments],
        cwd=folder,
        stdout=follower,
        stderr=follower,
        env={**os.environ, "TERM": "xterm", "PYTHONPATH": str(ROOT)},
    ) as process:
        os.close(follower)
        text = b""
        while True:
            try:
                piece = os.read(leader, 4096)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            text += piece
    os.close(leader)
    assert process.returncode == 0 and b"Traceback" not in text and b"\x1b[31m\xc3" not in text, text


WORDS = "what people read of a row", "nucleo_l4r5zi", "gathered(tile=4, columns=16)", "1,234,567", ""


@pytest.mark.parametrize("most", [200, 80, 60, 40, 20, 5, None])
def test_tables_break_no_words(most):
    rows = [[WORDS[(i + j) % 5] for j in range(5)] for i in range(5)]
    lines = table(("name", "what it is", "how", "bytes", ""), rows, right=(3,), most=most)
    words = {word for row in rows for cell in row for word in cell.split()}
    assert words <= set(" ".join(lines).split())
    longest = max(map(len, words))
    assert most is None or all(len(line) <= max(most, longest + 20) for line in lines)
    if most == 200 or most is None:
        assert len(lines) == 6 and len({len(line[: line.rfind("  ")]) for line in lines}) > 0
    if most is not None and most >= 80:
        assert all(cells(line) <= most for line in lines)


@pytest.mark.parametrize("columns", [80, 40, 10])
def test_lines_break_between_words(columns):
    text = (
        "flash          1,234   bytes: code 1,000 in flash, constants 234 in flash\n  indented " + "x" * 50 + " end\n\n"
    )
    broken = fitted(text, columns)
    assert broken.split() == text.split() and broken.endswith("\n\n")
    assert all(len(line) <= columns or len(line.split()) == 1 for line in broken.split("\n"))
