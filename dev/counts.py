"""Figures of a checkout of smelt, as a table: `python dev/counts.py [CHECKOUT]` (this one, if none is named).

How large and how entangled the code is, and what planning and compiling the MLPerf Tiny models takes: kernels built, printed and
proved, and seconds of the processor. `--quick` leaves the models out.
"""

import argparse
import ast
import cProfile
import json
import pstats
import re
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from dev.imports import circles, import_graph, longest_chain  # noqa: E402

LANGUAGES = {".py": "Python", ".c": "C", ".h": "C", ".S": "assembly"}
SHORTEST = 6  # lines of a stretch that counts as repeated
MODELS = {
    "IC": "smelt/assets/resnet8.tflite",
    "VWW": "tests/data/models/mlperf_tiny/vww_96_int8.tflite",
    "KWS": "tests/data/models/mlperf_tiny/kws_ref_model.tflite",
    "AD": "tests/data/models/mlperf_tiny/ad01_int8.tflite",
}
BOARD, GOALS = "nucleo_l4r5zi", ("balanced", "speed")
COUNTED = {"built": ("finish",), "proved": ("check_bounds",), "printed": ("print_kernel", "print_definition")}
"""What is counted, and the functions whose calls it are, in whatever checkout."""


def lines_of(folder: Path) -> dict[str, int]:
    """Lines by language; those of C that are one string each are assembly."""
    found = dict.fromkeys(LANGUAGES.values(), 0)
    for file in code_files(folder):
        for line in file.read_text("utf-8").splitlines():
            in_string = LANGUAGES[file.suffix] == "C" and re.match(r'\s*"', line)
            found["assembly" if in_string else LANGUAGES[file.suffix]] += 1
    return found


def code_files(folder: Path) -> list[Path]:
    return sorted(f for f in folder.rglob("*") if f.suffix in LANGUAGES)


def repeated_stretches(folder: Path) -> Iterator[str]:
    """Where at least `SHORTEST` lines stand that stood before, in this or another file, each stretch once. Empty lines, comments,
    imports and lines without a word do not count."""
    seen: dict[tuple[str, ...], str] = {}
    for file in code_files(folder):
        lines = list(meaningful(file))
        again = False
        for n in range(len(lines) - SHORTEST + 1):
            window = tuple(text for _, text in lines[n : n + SHORTEST])
            place = f"{file.relative_to(folder)}:{lines[n][0]}"
            if window in seen and not again:
                yield f"{place} as {seen[window]}"
            again = window in seen
            seen.setdefault(window, place)


def meaningful(file: Path) -> Iterator[tuple[int, str]]:
    lines = file.read_text("utf-8").splitlines()
    imports = set(import_lines(file)) if file.suffix == ".py" else set()
    for number, line in enumerate(lines, 1):
        text = " ".join(line.split())
        is_comment = text.startswith("#") if file.suffix == ".py" else text.startswith(("//", "/*", "*", "#include"))
        if number not in imports and not is_comment and re.search(r"\w", text):
            yield number, text


def import_lines(file: Path) -> Iterator[int]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from range(node.lineno, (node.end_lineno or node.lineno) + 1)


def names_outside_targets(package: Path, names: Collection[str]) -> list[str]:
    """Where code outside of targets/ knows one of the names, whatever stands between their words."""
    told = telling(names)
    return [
        f"{file.relative_to(package.parent)}:{line}: {text.strip()}"
        for file in (f for f in package.rglob("*") if f.suffix in (*LANGUAGES, ".ld"))
        if package / "targets" not in file.parents
        for line, text in identifiers_and_strings(file)
        if told.search(text)
    ]


def telling(names: Collection[str]) -> re.Pattern[str]:
    patterns = ("[-_ ]?".join(map(re.escape, re.split("[-_ ]", name))) for name in sorted(names))
    return re.compile(rf"(?<![a-z0-9])(?:{'|'.join(patterns)})(?![a-z0-9])", re.IGNORECASE)


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


# --- what runs in the checkout itself -----------------------------------------------------------------------------------


def core_names() -> list[str]:
    from smelt.targets.boards import BOARDS

    return sorted({board.core.name for board in BOARDS})


def efforts() -> Iterator[dict[str, object]]:
    """What each model takes: calls and seconds of the processor, without the start of Python."""
    for name, file in MODELS.items():
        for goal in GOALS:
            seconds = {what: _seconds(work) for what, work in _works(file, goal).items()}
            profile = cProfile.Profile()
            profile.runcall(_works(file, goal)["compile"])
            calls = pstats.Stats(profile).stats.items()  # type: ignore[attr-defined]
            counts = {what: sum(v[1] for k, v in calls if k[2] in names) for what, names in COUNTED.items()}
            yield {"model": name, "goal": goal, **counts, **seconds}


def _works(file: str, goal: str):
    import smelt
    from smelt import compile as compiling
    from smelt.importers import load
    from smelt.kernels import IMPLEMENTATIONS
    from smelt.passes import prepare
    from smelt.planner import STACK_RESERVE, make_plan

    board = smelt.board(BOARD)

    def plan():
        module = sys.modules[compiling.__module__]
        known = module.measured(None, board, "none")  # by place: earlier checkouts have another name for it
        some = (
            module.offered(goal) if hasattr(module, "offered") else IMPLEMENTATIONS
        )  # earlier ones choose by the goal
        return make_plan(prepare(load(file)), board, some, STACK_RESERVE, known, goal)

    return {"plan": plan, "compile": lambda: smelt.compile(file, board, goal=goal, compiler="none")}


def _seconds(work) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


# --- the table ----------------------------------------------------------------------------------------------------------


def asked(checkout: Path, what: str):
    """The answer of a function of this file, run with the smelt of a checkout."""
    code = (
        "import json, sys; sys.path.insert(0, '.'); import smelt; sys.path.insert(0, sys.argv[1]);"
        f" from dev import counts; print(json.dumps(list(counts.{what}())))"
    )
    command = [sys.executable, "-c", code, str(ROOT)]
    return json.loads(subprocess.run(command, cwd=checkout, check=True, capture_output=True, text=True).stdout)


def table(checkout: Path, quick: bool) -> Iterator[str]:
    package = checkout / "smelt"
    graph = import_graph(package)
    for language, count in lines_of(package / "kernels").items():
        yield f"lines of kernels/, {language} | {count:,}"
    yield f"modules | {len(graph)}"
    yield f"longest import chain, modules | {len(longest_chain(graph))}"
    yield f"import circles | {len(circles(graph))}"
    yield f"repeated stretches of {SHORTEST} lines or more | {sum(1 for _ in repeated_stretches(package))}"
    yield f"names of cores outside targets/ | {len(names_outside_targets(package, asked(checkout, 'core_names')))}"
    for e in () if quick else asked(checkout, "efforts"):
        kernels = ", ".join(f"{what} {e[what]}" for what in COUNTED)
        yield f"{e['model']} {e['goal']} on {BOARD} | kernels {kernels}; planning {e['plan']:.2f} s, all {e['compile']:.2f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", nargs="?", type=Path, default=ROOT)
    parser.add_argument("--quick", action="store_true", help="Without the models.")
    parser.add_argument("--stretches", action="store_true", help="Only where stretches are repeated, one by one.")
    options = parser.parse_args()
    checkout = options.checkout.resolve()
    lines = repeated_stretches(checkout / "smelt") if options.stretches else table(checkout, options.quick)
    for line in lines:
        print(line)


if __name__ == "__main__":
    main()
