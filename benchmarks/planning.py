"""How long planning takes: `python benchmarks/planning.py [--models KWS,IC,my.tflite] [--boards ...] [--goals ...] [--max-ram N]`.

Seconds of CPU from the file to the generated sources, nothing compiled, for each model, board and goal; every plan is made twice,
each time by a process of its own. Where the two are not equal to the letter the program says so and ends with 1.
"""

import argparse
import hashlib
import subprocess
import sys
import time
from pathlib import Path

from data import MLPERF_TINY, MODELS
from tables import show

import smelt
from smelt.errors import SmeltError

BOARDS = ("nucleo_l4r5zi", "disco_f746ng")
GOALS = ("balanced", "ram", "speed")
COLUMNS = ("model", "board", "goal", "RAM", "cycles", "seconds", "again", "equal")


def planned(file: Path, board: str, goal: str, most: int | None) -> str:
    """RAM, predicted cycles, seconds and a digest of the sources, in one line; why there is no plan."""
    start = time.process_time()
    try:
        made = smelt.compile(file, board, goal=goal, max_ram=most, compiler="none")
    except SmeltError as error:
        return f"{type(error).__name__} - {time.process_time() - start:.1f} {digest(str(error))}"
    text = digest("\0".join(f"{name}\0{content}" for name, content in sorted(made.sources.files.items())))
    return f"{made.plan.ram_bytes:,} {made.plan.cycles:,} {time.process_time() - start:.1f} {text}"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def in_a_process(*arguments: object) -> list[str]:
    command = [sys.executable, __file__, "--one", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default=",".join(MLPERF_TINY), help="Names of benchmarks, or files.")
    parser.add_argument("--boards", default=",".join(BOARDS))
    parser.add_argument("--goals", default=",".join(GOALS))
    parser.add_argument("--max-ram", type=int, default=0, help="Bytes; none: the board's.")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        file, board, goal, most = options.one
        print(planned(Path(file), board, goal, int(most) or None))
        return 0
    rows = []
    for model in options.models.split(","):
        file = MODELS.get(model, Path(model))
        for board in options.boards.split(","):
            for goal in options.goals.split(","):
                first, second = (in_a_process(file, board, goal, options.max_ram) for _ in range(2))
                equal = "yes" if (first[:2], first[3]) == (second[:2], second[3]) else "NO"
                rows.append((file.stem if model not in MODELS else model, board, goal, *first[:3], second[2], equal))
    show("Planning, seconds of CPU", COLUMNS, rows)
    return int(any(row[-1] == "NO" for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
