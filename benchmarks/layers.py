"""Where the cycles go: `python benchmarks/layers.py [--boards a,b] [--models IC,KWS]`.

Runs the MLPerf Tiny models on simulated boards and prints, for each layer, cycles, instructions and multiply-accumulates per cycle,
with the ceiling of the core beside them, so that the next weak spot is always visible.
"""

import argparse

from data import MLPERF_TINY
from rich.console import Console
from rich.table import Table
from tables import add_options

from smelt import board, compile, execute, profile, random_inputs

BOARDS = ("nucleo_l4r5zi", "disco_f746ng", "nucleo_u575zi_q")


def ceiling(core):
    """The most multiply-accumulates of int8 that a core can do in a cycle, or nothing known."""
    return 2.0 if core.has("smlad") else None


def layers(model, target):
    """A table of the layers of one model on one board."""
    compilation = compile(MLPERF_TINY[model], target)
    found = profile(compilation, execute(compilation, random_inputs(compilation.model, 1)).run)
    most = ceiling(target.core)
    total = f"{(found.cycles or 0) / 1e6:.3f} M cycles, {found.instructions / 1e6:.3f} M instructions"
    sizes = f"RAM {found.ram_bytes:,}, code {found.code_bytes:,}"
    table = Table(title=f"{model} on {target.name}: {total}, {sizes}; at most {most or '?'} MAC/cycle")
    for heading in ("layer", "by", "schedule"):
        table.add_column(heading)
    for heading in ("MAC", "instructions", "cycles", "share", "cycles/instr.", "MAC/cycle", "of ceiling"):
        table.add_column(heading, justify="right")
    for step in found.steps:
        cycles = step.cycles or 0
        rate = step.macs / cycles if cycles else 0.0
        table.add_row(
            step.name,
            step.implementation,
            step.schedule,
            f"{step.macs:,}",
            f"{step.instructions:,}",
            f"{cycles:,}",
            f"{cycles / (found.cycles or 1):.0%}",
            f"{cycles / max(step.instructions, 1):.2f}",
            f"{rate:.2f}" if step.macs else "",
            f"{rate / most:.0%}" if step.macs and most else "",
        )
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser, BOARDS, MLPERF_TINY)
    options = parser.parse_args()
    console = Console(width=180)
    for model in options.models:
        for name in options.boards:
            console.print(layers(model, board(name)))


if __name__ == "__main__":
    main()
