"""Processes on Linux that are like those on Windows where it matters to code in Python: names of POSIX are gone from `os` and
`signal`, modules of POSIX cannot be imported, `sys.platform` is "win32", standard output takes what code page 1252 has, and what is
read and written in the system's own encoding is an error.

What Windows lacks is read from the stubs that mypy brings (typeshed), not listed here. Modules that were imported before, those of
Python and of packages whose own code for Windows cannot run here, keep the whole of `os` and `signal`.
"""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace

ROOT = Path(__file__).resolve().parents[1]
MODULES = ("os", "signal")
KEPT = ("numpy", "click", "rich.console", "rich.progress", "rich.table", "unicorn", "unicorn.unicorn_py3", "capstone")
KEPT += (
    "subprocess",
    "tempfile",
    "shutil",
    "pathlib",
    "platform",
    "threading",
    "concurrent.futures",
    "elftools",
    "PIL.Image",
)


def stubs() -> Path:
    found = find_spec("mypy")
    assert found is not None and found.submodule_search_locations
    return Path(found.submodule_search_locations[0]) / "typeshed" / "stdlib"


def tree(module: str) -> ast.Module:
    folder = stubs()
    file = folder / f"{module}.pyi"
    return ast.parse((file if file.exists() else folder / module / "__init__.pyi").read_text("utf-8"))


def holds(test: ast.expr, platform: str) -> bool:
    """What an `if` of a stub asks; for what asks neither for a platform nor for a version: True."""
    values = {"sys": SimpleNamespace(platform=platform, version_info=sys.version_info), "TYPE_CHECKING": True}
    return bool(eval(compile(ast.Expression(test), "stub", "eval"), values))


def names(body: list[ast.stmt], platform: str) -> Iterator[str]:
    """What a stub defines for a platform."""
    for statement in body:
        if isinstance(statement, ast.If):
            yield from names(statement.body if holds(statement.test, platform) else statement.orelse, platform)
        elif isinstance(statement, ast.FunctionDef | ast.ClassDef):
            yield statement.name
        elif isinstance(statement, ast.AnnAssign | ast.Assign):
            targets = [statement.target] if isinstance(statement, ast.AnnAssign) else statement.targets
            yield from (t.id for t in targets if isinstance(t, ast.Name))
        elif isinstance(statement, ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in statement.names)


@cache
def lacking(module: str) -> frozenset[str]:
    """Names of a module that Windows has not. In `signal` many are members of an enumeration as well."""
    here, there = (set(names(tree(module).body, platform)) for platform in ("linux", "win32"))
    return frozenset(here - there)


@cache
def lacking_modules() -> frozenset[str]:
    """Modules that Windows has not: their stubs define nothing there."""
    found = (file.stem for file in stubs().glob("*.pyi") if "sys.platform" in file.read_text("utf-8"))

    def own(module: str, platform: str) -> set[str]:
        body = [s for s in tree(module).body if not isinstance(s, ast.Import | ast.ImportFrom)]
        return {name for name in names(body, platform) if not name.startswith("_")}

    return frozenset(m for m in found if not m.startswith("_") and own(m, "linux") and not own(m, "win32"))


def environment(folder: Path) -> dict[str, str]:
    """Of such processes, and of all those in Python that they start. `folder` will hold what Python runs at its start."""
    folder.mkdir()
    facts = {"modules": sorted(lacking_modules()), "names": {m: sorted(lacking(m)) for m in MODULES}}
    text = f"from tests.like_windows import pretend\npretend({json.dumps(facts)})\n"
    (folder / "sitecustomize.py").write_text(text, "utf-8")
    from smelt.firmware.folders import cache_folders

    caches = {"ZIG_GLOBAL_CACHE_DIR": str(next(cache_folders("zig")))}  # a cold one takes half a minute
    mode = {"PYTHONWARNDEFAULTENCODING": "1", "PYTHONIOENCODING": "cp1252", "LOCALAPPDATA": str(folder / "local data")}
    path = os.pathsep.join((str(folder), str(ROOT)))
    return {**os.environ, **caches, **mode, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


# --- in such a process ----------------------------------------------------------------------------------------------


def pretend(facts: dict) -> None:
    import fcntl
    import importlib
    import platform
    import signal
    import warnings

    for name in KEPT:
        importlib.import_module(name)
    platform.uname()  # it is remembered
    whole = {}
    for module in (os, signal):
        whole[module] = ModuleType(module.__name__)
        whole[module].__dict__.update(module.__dict__)
    for module in list(sys.modules.values()):
        for name, value in list(vars(module).items() if isinstance(module, ModuleType) else ()):
            if module.__name__ != __name__ and isinstance(value, ModuleType) and value in whole:
                setattr(module, name, whole[value])
    for module in (os, signal):
        for name in facts["names"][module.__name__]:
            vars(module).pop(name, None)
    for name in facts["modules"]:
        sys.modules[name] = None
    msvcrt = ModuleType("msvcrt")
    msvcrt.LK_NBLCK = fcntl.LOCK_EX | fcntl.LOCK_NB
    msvcrt.locking = lambda file, mode, size: fcntl.flock(file, mode)
    sys.modules["msvcrt"] = msvcrt
    warnings.filterwarnings("error", category=EncodingWarning, module=r"smelt\.")
    sys.platform = "win32"


def run(lines: list[list[str]], folder: Path, env: dict[str, str]) -> list[SimpleNamespace]:
    """Command lines of smelt, one after the other in one process that works in `folder`: exit codes, and what they print."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.like_windows", json.dumps(lines)],
        cwd=folder, env=env, capture_output=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return [SimpleNamespace(**answer) for answer in json.loads(done.stdout.splitlines()[-1])]


def main() -> None:
    import contextlib
    import io
    import traceback

    from smelt.cli import main as smelt

    answers = []
    for line in json.loads(sys.argv[1]):
        out, err = (io.TextIOWrapper(io.BytesIO(), "cp1252", write_through=True) for _ in range(2))
        code = 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                smelt.main(line, prog_name="smelt")
            except SystemExit as end:
                code = end.code or 0
            except BaseException:
                code = "traceback"
                traceback.print_exc()
        texts = [stream.buffer.getvalue().decode("cp1252") for stream in (out, err)]
        answers.append({"line": line, "code": code, "out": texts[0], "err": texts[1]})
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
