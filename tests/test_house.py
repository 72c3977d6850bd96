"""The rooms import only what DESIGN section 2 allows, and the files keep a readable size."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.imports import circles, import_graph
from smelt.targets.boards import BOARDS
from tests.paths import ROOT

PACKAGE = ROOT / "smelt"
BELOW_FIRMWARE = {"model", "importers", "passes", "loops", "targets", "kernels", "planner"}
ALLOWED = {
    "model": set(),
    "importers": {"model"},
    "passes": {"model"},
    "loops": set(),
    "targets": {"loops"},
    "kernels": {"model", "loops", "targets"},
    "planner": {"model", "loops", "targets", "kernels"},
    "firmware": BELOW_FIRMWARE,
    "devices": {"targets", "firmware"},
    "tuning": BELOW_FIRMWARE | {"firmware", "devices", "inputs"},
    "report": BELOW_FIRMWARE | {"firmware", "devices", "tuning", "compile", "inputs"},
}
EVERYWHERE = {"errors", "files", "nouns"}


def imported_rooms(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            names = [node.module or ""]
            if node.module == "smelt":
                names = [f"smelt.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("smelt.")}
    return found


@pytest.mark.parametrize("room", ALLOWED)
def test_rooms_import_in_one_direction(room):
    for file in (PACKAGE / room).rglob("*.py"):
        extra = imported_rooms(file) - ALLOWED[room] - EVERYWHERE - {room}
        assert not extra, f"{file.relative_to(ROOT)} imports {sorted(extra)}"


def test_every_room_has_a_rule():
    assert {p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists()} == set(ALLOWED)


def test_no_modules_import_each_other():
    """Not within functions and not for the type checker either: what needs each other is one thing, or three."""
    graph = import_graph(PACKAGE)
    first, second = "smelt.loops.ir", "smelt.loops.c"
    assert first in graph[second]
    assert not circles(graph), "\n".join(", ".join(sorted(group)) for group in circles(graph))
    (found,) = circles({**graph, first: graph[first] | {second}})
    assert {first, second} <= found


def identifiers_and_strings(file: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of a file's code without comments and docstrings."""
    text = file.read_text("utf-8")
    if file.suffix == ".py":
        tree = ast.parse(text)
        docs = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
                yield node.lineno, node.value
            names = (getattr(node, field, None) for field in ("id", "attr", "name", "module", "arg"))
            yield from ((getattr(node, "lineno", 0), name) for name in names if isinstance(name, str))
    else:
        code = re.sub(r"/\*.*?\*/|//[^\n]*", lambda m: re.sub(r"[^\n]", "", m[0]), text, flags=re.DOTALL)
        yield from enumerate(code.splitlines(), 1)


def test_only_targets_know_names_of_cores_chips_and_boards():
    """Other rooms ask the values. The names are those of the values themselves."""
    values = [thing for b in BOARDS for thing in (b, b.chip, b.core)]
    names = {v.name for v in values} | {b.qemu for b in BOARDS if b.qemu}
    patterns = ("[-_ ]?".join(map(re.escape, re.split("[-_ ]", name))) for name in names)
    told = re.compile(rf"(?<![a-z0-9])(?:{'|'.join(patterns)})(?![a-z0-9])", re.IGNORECASE)
    assert (
        told.search('if core.name == "cortex_m7"') and told.search("CORTEX_M7_TIMING") and not told.search("picojoules")
    )
    code = (f for f in PACKAGE.rglob("*") if f.suffix in (".py", ".c", ".h", ".S", ".ld"))
    found = [
        f"{file.relative_to(ROOT)}:{line}: {text.strip()}"
        for file in code
        if PACKAGE / "targets" not in file.parents
        for line, text in identifiers_and_strings(file)
        if told.search(text)
    ]
    assert not found, "\n".join(found)


def test_files_stay_readable():
    long = {
        str(f.relative_to(ROOT)): n
        for f in PACKAGE.rglob("*.py")
        if (n := len(f.read_text("utf-8").splitlines())) > 450
    }
    assert not long


def test_ci_runs_the_commands_of_the_readme():
    section = (ROOT / "README.md").read_text("utf-8").split("\n## Try it\n")[1].split("\n## ")[0]
    commands = re.findall(r"^```sh\n(.*?)\n```$", section, re.MULTILINE | re.DOTALL)
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert len(commands) == 2 and all(f'"{command}"' in script for command in commands)


def test_conditions_for_skipping_are_platforms():
    """A missing program is no condition: it is asked for by `need`, which fails in CI."""
    for file in (ROOT / "tests").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "skipif":
                (reason,) = (k.value.value for k in node.keywords if k.arg == "reason")
                assert reason.startswith("platform: "), f"{file.name}, line {node.lineno}: {reason}"
