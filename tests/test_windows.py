"""What can be known of Windows here: the main path in processes that lack what Windows lacks (tests/like_windows.py), and in
folders whose names have spaces and backslashes."""

import ast
import json
import re

import numpy as np

from tests import like_windows
from tests.paths import ROOT
from tests.processes import LINUX
from tests.small_models import dense_model

MODEL = "my model.tflite"
LINES = {
    "compile": f"compile|{MODEL}|-b|pico|--out|fire \\ware|--keep|kept here",
    "run": f"run|{MODEL}|-b|pico|--input|an input.npy|-o|a result.npy",
    "verify": f"verify|{MODEL}|-b|pico|-n|1",
    "profile": f"profile|{MODEL}|-b|pico|--json",
    "tune": f"tune|{MODEL}|-b|pico|--budget|3m|--log|a \\log.jsonl",
    "apply": f"compile|{MODEL}|-b|pico|--log|a \\log.jsonl|--out|again|--json",
    "export": f"export|cmake|{MODEL}|-b|pico|--out|a package",
    "report": f"report|{MODEL}|-b|pico|--html|a page.html",
    "inspect": f"inspect|{MODEL}",
    "ops": "ops",
    "boards": "boards",
    "doctor": "doctor",
    "no file": f"run|{MODEL}|-b|pico|--input|no \\such file.npy",
    "no QEMU": f"verify|{MODEL}|-b|mps2_an386|--device|qemu",
    "no OpenOCD": f"run|{MODEL}|-b|nucleo_l4r5zi|--device|openocd|--input|an input.npy",
}
ASKS = r"sys\.platform|hasattr\(|except ImportError"
REFUSED = {
    "no file": (2, "there is no file no \\such file.npy"),
    "no QEMU": (7, "qemu-system-arm is not installed"),
    "no OpenOCD": (7, "openocd is not installed"),
}


@LINUX
def test_the_main_path_works_or_says_what_is_missing(tmp_path):
    """One test, so that its processes run once however tests are divided over workers."""
    place = tmp_path / "with spaces and \\back"
    place.mkdir()
    (place / MODEL).write_bytes(dense_model((3,)))
    np.save(place / "an input.npy", np.zeros((1, 16), np.int8))
    env = like_windows.environment(tmp_path / "start of Python")
    found = like_windows.run([line.split("|") for line in LINES.values()], place, env)
    answers = dict(zip(LINES, found, strict=True))
    for name, answer in answers.items():
        code, said = REFUSED.get(name, (0, ""))
        assert answer.code == code and said in answer.err, f"{name}: {answer.err}"
    check_files(place, answers)


def check_files(place, answers):
    texts = {file.name: file.read_bytes() for file in (place / "fire \\ware").iterdir() if file.suffix in (".c", ".h")}
    assert "network_net.h" in texts and not any(b"\r" in text for text in texts.values())
    assert np.load(place / "a result.npy").shape == (1, 1, 3)
    assert json.loads(answers["profile"].out)["cycles"] > 0
    measured = (place / "a \\log.jsonl").read_bytes().splitlines()
    assert len(measured) == 4 and "4 of 4 candidates measured" in answers["tune"].out
    assert json.loads(answers["apply"].out)["measured_steps"] == 2
    assert "all 3 values of 1 input(s) equal reference" in answers["verify"].out
    assert "</html>" in (place / "a page.html").read_text("utf-8") and (place / "a package" / "CMakeLists.txt").exists()


@LINUX
def test_such_processes_lack_what_windows_lacks():
    """The names and modules that the issue of a port begins with, and none that Windows has."""
    assert {"fork", "geteuid", "getuid", "killpg", "setsid", "O_NONBLOCK"} <= like_windows.lacking("os")
    assert not {"kill", "replace", "O_APPEND", "getpid", "dup2", "fsync"} & like_windows.lacking("os")
    assert {"SIGKILL", "SIGALRM", "SIGHUP", "SIGUSR1"} <= like_windows.lacking("signal")
    assert not {"SIGINT", "SIGTERM", "signal"} & like_windows.lacking("signal")
    assert {"fcntl", "pwd", "resource", "termios", "pty"} <= like_windows.lacking_modules()
    assert not {"os", "socket", "signal", "subprocess", "msvcrt"} & like_windows.lacking_modules()


def holding(pattern):
    """Files of smelt, parsed, in which something stands."""
    texts = ((file, file.read_text("utf-8")) for file in (ROOT / "smelt").rglob("*.py"))
    return [(file.relative_to(ROOT), ast.parse(text)) for file, text in texts if re.search(pattern, text)]


def test_what_windows_lacks_is_asked_for_before_it_is_used():
    """In all of smelt: in a function that asks which system this is, or whether there is such a name or module."""
    modules = like_windows.lacking_modules()
    names = {f"{module}.{name}" for module in like_windows.MODULES for name in like_windows.lacking(module)}

    def uses(node):
        for inner in ast.walk(node):
            if isinstance(inner, ast.Import):
                yield from (alias.name for alias in inner.names if alias.name in modules)
            elif isinstance(inner, ast.ImportFrom):
                yield from [inner.module] if inner.module in modules else []
            elif isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name):
                yield from {f"{inner.value.id}.{inner.attr}"} & names

    def asks(node):
        return isinstance(node, ast.FunctionDef) and re.search(ASKS, ast.unparse(node))

    found = holding(rf"\b({'|'.join(like_windows.MODULES)})\.\w|import ({'|'.join(modules)})\b")
    assert found
    wrong = []
    for file, tree in found:
        body = tree.body
        while body:
            node = body.pop()
            if isinstance(node, ast.ClassDef):
                body += node.body
            elif used := sorted(uses(node)):
                wrong += [] if asks(node) else [f"{file}: {', '.join(used)}"]
    assert not wrong


def test_texts_say_their_encoding():
    """Where nothing is said, Windows reads and writes texts in a code page."""
    for file, tree in holding(r"\.(read|write)_text\(|subprocess\."):
        for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)):
            given = {k.arg for k in call.keywords}
            if call.func.attr in ("read_text", "write_text"):
                assert "encoding" in given or "utf-8" in ast.unparse(call), f"{file}: {ast.unparse(call)}"
            if ast.unparse(call.func) in ("subprocess.run", "subprocess.Popen"):
                assert not given & {"text", "universal_newlines"}, f"{file}: an encoding instead of text"
