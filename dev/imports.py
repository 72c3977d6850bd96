"""Which module of smelt imports which: what `tests/test_house.py` has rules for and `dev/counts.py` counts."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

Graph = Mapping[str, frozenset[str]]
"""Module -> the modules that it imports."""


def import_graph(package: Path) -> Graph:
    """The imports among the modules of a package: those within functions and those for the type checker, too."""
    files = {module_name(package, file): file for file in package.rglob("*.py")}
    trees = {name: ast.parse(file.read_text("utf-8")) for name, file in files.items()}
    return {name: frozenset(imported(tree, files.keys())) - {name} for name, tree in trees.items()}


def module_name(package: Path, file: Path) -> str:
    parts = file.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.AST, modules: frozenset[str] | set[str]) -> Iterator[str]:
    """Those of `modules` that a file imports: of `from a import b` the module a.b where it is one, else a."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            inner = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in modules else node.module for name in inner if node.module in modules)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)


def circles(graph: Graph) -> list[frozenset[str]]:
    """The sets of modules that import each other, however indirectly."""
    reached = {name: _reached(graph, name) for name in graph}
    groups = {frozenset(other for other in reached[name] if name in reached[other]) for name in graph}
    return sorted((group for group in groups if group), key=sorted)


def _reached(graph: Graph, start: str) -> set[str]:
    found, waiting = set(), [start]
    while waiting:
        for name in graph[waiting.pop()] - found:
            found.add(name)
            waiting.append(name)
    return found


def longest_chain(graph: Graph) -> tuple[str, ...]:
    """Modules of which each imports the next, as many as there are in a row; of a circle at most one."""
    inside = {name: group for group in circles(graph) for name in group}
    known: dict[str, tuple[str, ...]] = {}

    def chain(name: str) -> tuple[str, ...]:
        if name not in known:
            onwards = sorted(graph[name] - inside.get(name, frozenset()))
            known[name] = (name, *max(map(chain, onwards), key=len, default=()))
        return known[name]

    return max(map(chain, sorted(graph)), key=len)
