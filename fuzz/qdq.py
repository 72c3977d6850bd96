"""Random quantised ONNX graphs, in QDQ and QOperator form: the firmware on a simulated board computes what the reference does, to
the bit, and the reference what onnxruntime does with quantised operators fused.

`python -m fuzz.qdq --cases 500 --seed 1`; exit code 1 if there are findings. Every operator is put to both on the same integers,
those that onnxruntime has in front of it: convolutions, dense layers, operators of integers, and what only moves values must be
equal; others may differ by one step (near-ties, which onnxruntime rounds as reals), in less than 1 % of the values of all cases. A
graph all of whose operators were equal must be equal as a whole, but for two quantisers in a row, of which onnxruntime drops one.
The boards take turns: one of each core.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from fuzz.boards import cluster_at_random
from fuzz.harness import Case, Finding, Fuzzer, main
from fuzz.qdq_graph import Block, Growth, Value, file_of, file_of_block
from fuzz.qdq_growth import grown
from smelt.compile import compile
from smelt.importers.onnx_load import load_onnx
from smelt.inputs import random_inputs
from smelt.model.graph import Array
from smelt.model.reference import computes_reals
from smelt.passes import prepare
from smelt.report.verify import verify
from smelt.targets.boards import board as board_named
from tests.onnx_models import by_onnxruntime, by_smelt

BOARDS = ("nucleo_l4r5zi", "nucleo_h743zi", "nucleo_u575zi_q", "nucleo_g0b1re", "esp32c3")
EXACT = (
    "Conv", "Conv, groups", "Gemm", "MatMul", "MaxPool", "Pad", "Slice", "Resize", "Transpose", "QLinearConv", "QGemm",
    "QLinearMatMul", "QLinearAdd", "QLinearMul", "QLinearConcat", "QLinearGlobalAveragePool", "QLinearLeakyRelu",
    "QLinearSigmoid",
)  # fmt: skip
TWICE = ("QuantizeLinear", "Clip of integers")
MOST_SHARE = 0.01
MORE = 5
"""Other integers that an operator is put to."""

LEAST_VALUES = 100
"""Of an operator, for its share to mean something."""


@dataclass
class Row:
    """What was compared of one operator."""

    blocks: int = 0
    values: int = 0
    differing: int = 0
    largest: int = 0

    @property
    def share(self) -> float:
        return self.differing / max(self.values, 1)


@dataclass
class Table:
    """Rows by operator."""

    rows: dict[str, Row] = field(default_factory=dict)

    def add(self, kind: str, steps: Array) -> None:
        row = self.rows.setdefault(kind, Row())
        row.blocks += 1
        row.values += steps.size
        row.differing += int(np.count_nonzero(steps))
        row.largest = max(row.largest, int(steps.max(initial=0)))

    def show(self) -> int:
        """Print all rows; 1 where a share is too large."""
        print(f"\n{'operator':<26}{'graphs':>8}{'values':>10}{'differing':>11}{'share':>10}{'largest step':>14}")
        for kind, row in sorted(self.rows.items()):
            print(f"{kind:<26}{row.blocks:>8}{row.values:>10,}{row.differing:>11,}{row.share:>10.3%}{row.largest:>14}")
        large = [kind for kind, row in self.rows.items() if row.values >= LEAST_VALUES and row.share >= MOST_SHARE]
        if large:
            print(f"more than {MOST_SHARE:.0%} of the values differ: {', '.join(large)}")
        return int(bool(large))


def attempt(table: Table, boards: tuple[str, ...], case: Case) -> str:
    """One graph."""
    g = grown(case.dice)
    path = case.write(file_of(g), ".onnx")
    kinds = ", ".join(block.kind for block in g.blocks[1:])
    try:
        reals = compared(g, table)
        if boards:
            on_board(path, boards[case.number % len(boards)], case)
    except Finding as finding:
        raise Finding(f"{kinds}: {finding}") from None
    return ("equal on the board, " if boards else "") + ("with some reals inside" if reals else "integers only")


def compared(g: Growth, table: Table) -> bool:
    """Put every block, and the whole, to smelt's reference and to onnxruntime; whether the whole computes with reals inside."""
    start = g.blocks[0].made
    x = g.rng.normal(0, start.spread, start.shape).astype(np.float32)
    seen = dict(zip((b.made.name for b in g.blocks), by_onnxruntime(file_of(g, spied=True), [x]), strict=True))
    alike = all([_block(g, block, seen, table) for block in g.blocks[1:]])
    file, last = file_of(g), g.blocks[-1].made
    (wanted,), (found,) = by_onnxruntime(file, [x]), by_smelt(file, [x])
    twice = any(block.kind in TWICE for block in g.blocks)
    if alike and not twice and not np.array_equal(wanted, found):
        steps = np.abs(wanted - found).max() / last.scale
        raise Finding(f"every operator is equal, but not the whole: {steps:.1f} steps")
    return computes_reals(prepare(load_onnx(file, "net")))


def _block(g: Growth, block: Block, seen: dict[str, Array], table: Table) -> bool:
    """Whether a block is equal on what onnxruntime has in front of it. It is put to both on other integers, too."""
    xs: dict[str, Value] = {x.name: x for x in block.xs}
    file, rng = file_of_block(g, block), np.random.default_rng(len(g.constants))
    given = [[seen[name] for name in xs], *([_integers(rng, x) for x in xs.values()] for _ in range(MORE))]
    pairs = [(by_onnxruntime(file, arrays)[0], by_smelt(file, arrays)[0]) for arrays in given]
    if any(wanted.shape != found.shape for wanted, found in pairs):
        raise Finding(f"{block.kind} has the shape {pairs[0][1].shape} where onnxruntime has {pairs[0][0].shape}")
    steps = np.stack([np.abs(wanted.astype(np.int64) - found.astype(np.int64)) for wanted, found in pairs])
    table.add(block.kind, steps)
    if steps.max(initial=0) > (0 if block.kind in EXACT else 1):
        raise Finding(f"{block.kind} differs by {steps.max()} in {np.count_nonzero(steps)} of {steps.size} values")
    return not steps[0].any()


def _integers(rng: np.random.Generator, x: Value) -> Array:
    """Integers about the zero point, most of them not at an end of their type."""
    limits = np.iinfo(x.dtype)
    return np.clip(np.rint(rng.normal(x.zero, 45, x.shape)), limits.min, limits.max).astype(x.dtype)


def on_board(path: Path, name: str, case: Case) -> None:
    """Compare the firmware on a simulated board with the reference; on a cluster in as much of its memory as chance has it."""
    board, regions = cluster_at_random(case.dice) if name == "cluster" else (board_named(name), {})
    quick = shutil.which(board.core.gcc[0]) is not None
    compilation = compile(path, board, compiler="gcc" if quick else "zig", regions=regions)
    found = verify(compilation, random_inputs(compilation.model, 2), "reference", path)
    if found.mismatches:
        raise Finding(f"on {board.name}{regions or ''}: {found.verdict}")


def options() -> argparse.ArgumentParser:
    """What this fuzzer is told beside what all are."""
    found = argparse.ArgumentParser(add_help=False)
    found.add_argument(
        "--boards",
        type=lambda names: tuple(name for name in names.split(",") if name),
        default=BOARDS,
        help="names, with commas between, which take turns; cluster: GAP8 with 8 to 60 KB of L1; nothing: no firmware",
    )
    return found


if __name__ == "__main__":
    own, tried = options(), Table()
    asked = own.parse_known_args()[0].boards
    code = main(Fuzzer("qdq", __doc__ or "", partial(attempt, tried, asked), cases=500, seconds=60.0), own)
    sys.exit(max(code, tried.show()))
