"""Rooms and the modules beside them import only what DESIGN section 2 allows, and files keep a readable size."""

import ast
import re
import tomllib

import pytest

from dev.counts import names_outside_targets, telling
from dev.imports import circles, import_graph
from smelt.kernels import LINEAR
from smelt.targets.boards import BOARDS, CLUSTERS
from tests.paths import ROOT

PACKAGE = ROOT / "smelt"
EVERYWHERE = {"errors", "nouns"}
BELOW_FIRMWARE = {"model", "importers", "passes", "loops", "targets", "kernels", "planner"}
ROOMS = {
    "model": set(),
    "importers": {"model", "files"},
    "passes": {"model"},
    "inputs": {"model", "importers", "passes", "files"},
    "quantization": {"model", "importers", "passes"},
    "loops": set(),
    "targets": {"loops"},
    "kernels": {"model", "loops", "targets"},
    "planner": {"model", "loops", "targets", "kernels", "files"},
    "firmware": BELOW_FIRMWARE,
    "devices": {"targets", "firmware"},
    "tuning": BELOW_FIRMWARE | {"firmware", "devices", "inputs", "files", "plugins"},
    "report": BELOW_FIRMWARE
    | {
        "quantization",
        "firmware",
        "devices",
        "tuning",
        "compile",
        "several",
        "network",
        "inputs",
        "files",
        "folder",
        "answers",
        "plugins",
    },
    "commands": BELOW_FIRMWARE
    | {
        "quantization",
        "firmware",
        "devices",
        "tuning",
        "report",
        "compile",
        "several",
        "network",
        "inputs",
        "files",
        "answers",
        "plugins",
        "board_files",
    },
}
BESIDE = {
    "errors": set(),
    "nouns": set(),
    "files": set(),
    "answers": set(),
    "folder": {"files", "firmware", "kernels"},
    "saving": {"firmware", "folder"},
    "plugins": {"kernels", "targets"},
    "board_files": {"files", "plugins", "targets"},
    "network": {"model", "importers", "passes", "targets", "inputs"},
    "compile": BELOW_FIRMWARE | {"saving", "network", "inputs", "firmware", "devices", "plugins", "tuning"},
    "several": BELOW_FIRMWARE | {"saving", "network", "firmware", "compile", "plugins"},
    "cli": set(ROOMS) | {"board_files", "compile", "files", "network", "plugins"},
    "__init__": {"compile"},
    "__main__": {"cli"},
}
"""The modules beside the rooms: what lies below all of them, and what people call."""


def unit(module: str) -> str:
    """The room of a module, or the module's own name where it is beside the rooms."""
    return (*module.split("."), "__init__")[1]


@pytest.fixture(scope="module")
def graph():
    return import_graph(PACKAGE)


@pytest.mark.parametrize("name", [*ROOMS, *BESIDE])
def test_imports_go_in_one_direction(graph, name):
    allowed = {*(ROOMS | BESIDE)[name], *EVERYWHERE, name}
    modules = [module for module in graph if unit(module) == name]
    extra = [f"{module} imports {other}" for module in modules for other in graph[module] if unit(other) not in allowed]
    assert modules and not extra, "\n".join(extra)


def test_everything_has_a_rule(graph):
    assert {unit(module) for module in graph} == {*ROOMS, *BESIDE}
    assert {p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists()} == set(ROOMS)


def test_imports_are_absolute():
    """The graph of imports knows no others."""
    trees = {file: ast.parse(file.read_text("utf-8")) for file in PACKAGE.rglob("*.py")}
    assert not [
        f"{f}: {n.lineno}" for f, t in trees.items() for n in ast.walk(t) if isinstance(n, ast.ImportFrom) and n.level
    ]


def test_the_type_checker_covers_the_whole_package():
    """Strictly, and without exceptions but for libraries that have no types."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["mypy"]
    exceptions = [module for override in settings["overrides"] for module in override["module"]]
    assert (
        settings["strict"]
        and settings["packages"] == ["smelt"]
        and settings.keys() <= {"strict", "packages", "overrides"}
    )
    assert exceptions and not [module for module in exceptions if module.split(".")[0] == "smelt"]


def test_no_modules_import_each_other(graph):
    """Not within functions and not for the type checker either: what needs each other is one thing, or three."""
    first, second = "smelt.loops.ir", "smelt.loops.c"
    assert first in graph[second]
    assert not circles(graph), "\n".join(", ".join(sorted(group)) for group in circles(graph))
    (found,) = circles({**graph, first: graph[first] | {second}})
    assert {first, second} <= found


def test_only_targets_know_names_of_cores_chips_and_boards():
    """Other rooms ask the values. The names are those of the values themselves."""
    values = [thing for b in (*BOARDS, *CLUSTERS) for thing in (b, b.chip, b.core)]
    names = {v.name for v in values} | {b.qemu for b in BOARDS if b.qemu}
    told = telling(names)
    assert (
        told.search('if core.name == "cortex_m7"') and told.search("CORTEX_M7_TIMING") and not told.search("picojoules")
    )
    found = names_outside_targets(PACKAGE, names)
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


def test_kernels_are_feeds_and_inner_products(graph):
    """Feeds know no inner products, neither knows an operator, and no way to compute one is built on another's file."""
    ways = {implementation.build.__module__ for implementation in LINEAR}
    rooms = {m: m.split(".")[2] for m in graph if m.startswith(("smelt.kernels.feeds.", "smelt.kernels.inner."))}
    assert len(ways) >= 16 and {*rooms.values()} == {"feeds", "inner"}
    wrong = [f"{m} imports {o}" for m in (*ways, *rooms) for o in graph[m] & ways]
    wrong += [f"{m} imports {o}" for m in rooms for o in graph[m] if (rooms[m], rooms.get(o)) == ("feeds", "inner")]
    assert not wrong, "\n".join(wrong)
