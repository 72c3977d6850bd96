"""How long a new user waits: `smelt --help`, and a compile of each model without and with firmware. Prints a table."""

import subprocess
import sys
import time

from data import MODELS
from rich.console import Console
from rich.table import Table


def seconds(*arguments):
    """Wall-clock time of a command; the best of three, so that a busy machine matters less."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "smelt", *map(str, arguments)], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return min(times)


def main():
    table = Table("command", "seconds")
    table.add_row("smelt --help", f"{seconds('--help'):.2f}")
    for path in MODELS.values():
        table.add_row(f"smelt compile {path.name}", f"{seconds('compile', path, '--board', 'disco_f746ng'):.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
