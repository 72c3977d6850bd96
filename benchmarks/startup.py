"""How long a new user waits: `smelt --help`, and a compile of each model without and with firmware. Prints a table."""

import argparse
import subprocess
import sys
import time

from data import MODELS
from tables import add_options, show


def seconds(times, *arguments):
    """Wall-clock time of a command; the best of several, so that a busy machine matters less."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "smelt", *map(str, arguments)], check=True, capture_output=True)
        found.append(time.perf_counter() - start)
    return min(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=3, help="How often; the least counts.")
    add_options(parser, ["disco_f746ng"], MODELS)
    options = parser.parse_args()
    commands = [("--help",), *(("compile", MODELS[m], "--board", b) for m in options.models for b in options.boards)]
    rows = [(" ".join(map(str, ("smelt", *c))), f"{seconds(options.times, *c):.2f}") for c in commands]
    show("how long a new user waits", ("command", "seconds"), rows)


if __name__ == "__main__":
    main()
