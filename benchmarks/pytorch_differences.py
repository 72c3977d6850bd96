"""How far smelt is from onnxruntime on the files of PyTorch networks: python benchmarks/pytorch_differences.py [NAME ...]

Each file of `tests/data/pytorch` is computed by smelt's reference and by onnxruntime with quantised operators fused (docs/onnx.md),
for the same random inputs. Differences are steps of the output's scale, or parts of the largest output where the last operator
computes reals. The reason is the operator before the first integers that differ. With `--board`, every file is firmware, too, and
compared with the reference.
"""

import argparse
import sys

from data import ROOT
from pytorch_exports import NAMES
from tables import show

from smelt import compile, random_inputs
from smelt.report.verify import verify

sys.path.insert(0, str(ROOT))
from tests.pytorch_files import FILES, compared, first_difference, read

COLUMNS = ("network", "written by", "values", "differing", "largest", "first integers that differ", "firmware")


def row(name: str, inputs: int, board: str | None) -> tuple[str, ...]:
    """The cells of a file."""
    network = next(each for each in NAMES if name.startswith(each))
    found = compared(read(name), inputs)
    unit = "step(s)" if found.step else "of the largest"
    reason = str(first_difference(read(name), inputs) or "none: reals") if found.differing else "-"
    firmware = "-"
    if board:
        compilation = compile(FILES[name], board)
        seen = verify(compilation, random_inputs(compilation.model, 2), "reference", FILES[name])
        firmware = f"{seen.mismatches} of {seen.values} on {board}"
    return (
        network,
        name.removeprefix(f"{network}_"),
        str(found.values),
        f"{found.share:.3%}",
        f"{found.largest:.2g} {unit}",
        reason,
        firmware,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a file, or how it begins")
    parser.add_argument("--inputs", type=int, default=100)
    parser.add_argument("--board")
    parser.add_argument("--markdown", action="store_true")
    chosen = parser.parse_args()
    names = [name for name in FILES if not chosen.names or name.startswith(tuple(chosen.names))]
    rows = []
    for name in names:
        rows.append(row(name, chosen.inputs, chosen.board))
        print(*rows[-1], sep=" | ", file=sys.stderr, flush=True)
    show("smelt's reference beside onnxruntime", COLUMNS, rows, chosen.markdown)


if __name__ == "__main__":
    main()
