"""Show that a change of smelt changes nothing it makes: `python dev/replay.py before.jsonl`, change smelt, and once more with
`after.jsonl --against before.jsonl`.

For every model in tests/data (and the demo's), on every board, for "balanced" and for "speed": a line with digests of the generated
sources and of the firmware, and with the cycles of a run on the simulator; with `--text` of the sources only, which is faster.
What a file holds already is not made again. The shipped measurements are used whatever model of time and compiler they are
labelled with: a replay asks what follows from them.
"""

import argparse
import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # this checkout, whatever is installed

from smelt import board, compile, execute, random_inputs  # noqa: E402
from smelt.devices.simulators.version import model_of_time  # noqa: E402
from smelt.errors import ModelError, SmeltError  # noqa: E402
from smelt.firmware.toolchain import toolchain  # noqa: E402
from smelt.planner.log import TuningLog  # noqa: E402
from smelt.planner.measurement import Origin  # noqa: E402
from smelt.targets.boards import BOARDS  # noqa: E402
from smelt.tuning.shipped import shipped_log  # noqa: E402

FOLDERS = (ROOT / "smelt" / "assets", ROOT / "tests" / "data" / "models", ROOT / "tests" / "data" / "cases")
GOALS = ("balanced", "speed")


def known(target):
    """What is shipped about a board, relabelled; None where nothing is."""
    origin = Origin(model_of_time(target), toolchain(target))
    own = shipped_log().about(target.name).measurements
    return TuningLog(tuple(replace(m, origin=origin) for m in own)) if own else None


def digest(files):
    text = "\0".join(f"{name}\0{content}" for name, content in sorted(files.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def replay(model, target, goal, log, text):
    """What a model becomes on a board."""
    try:
        made = compile(model, target, goal=goal, log=log, compiler="none" if text else "zig")
    except SmeltError as error:
        return {"refused": type(error).__name__}
    found = {"sources": digest(made.sources.files)}
    if made.image:
        found["firmware"] = hashlib.sha256(made.image.elf).hexdigest()[:16]
    if made.image and model_of_time(target):
        run = execute(made, [random_inputs(made.model, 1)[0]]).run
        found |= {"cycles": run.cycles, "instructions": run.instructions}
    return found


def models(only):
    found = [p for folder in FOLDERS for p in sorted(folder.rglob("*.tflite"))]
    by_name = {p.stem: p for p in found}
    return [by_name[name] for name in only] if only else found


def read(path):
    return dict(json.loads(line) for line in path.read_text("utf-8").splitlines()) if path.exists() else {}


def compare(before, after):
    """The number of differences, each of them printed."""
    shared = before.keys() & after.keys()
    different = sorted(key for key in shared if before[key] != after[key])
    for key in different:
        print(f"{key}: {before[key]} -> {after[key]}")
    made = sum("firmware" in before[key] for key in shared)
    refused = sum("refused" in before[key] for key in shared)
    print(
        f"{len(shared)} cases ({made} with firmware, {refused} refused): {len(shared) - len(different)} identical,"
        f" {len(different)} different; {len(before.keys() - after.keys())} not replayed,"
        f" {len(after.keys() - before.keys())} new"
    )
    return len(different)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--against", type=Path, help="An earlier file to compare with.")
    parser.add_argument("--models", help="Just these, such as kws_ref_model,ad01_int8.")
    parser.add_argument("--boards", help="Just these.")
    parser.add_argument("--text", action="store_true", help="Only the sources.")
    options = parser.parse_args()
    names = options.boards.split(",") if options.boards else [b.name for b in BOARDS]
    logs = {name: known(board(name)) for name in names}
    done = read(options.out)
    for model in models(options.models.split(",") if options.models else ()):
        for name in names:
            for goal in GOALS:
                key = f"{model.stem} {name} {goal}"
                if key not in done:
                    done[key] = replay(model, board(name), goal, logs[name], options.text)
                    with options.out.open("a", encoding="utf-8") as file:
                        file.write(json.dumps([key, done[key]]) + "\n")
                if "refused" in done[key] and done[key]["refused"] == ModelError.__name__:
                    break
    return compare(read(options.against), done) if options.against else 0


if __name__ == "__main__":
    raise SystemExit(int(main() > 0))
