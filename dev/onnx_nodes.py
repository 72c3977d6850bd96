"""Run the backend node tests of the package `onnx` on smelt's reference, and write docs/onnx_nodes.md: `python dev/onnx_nodes.py`.

Operands that smelt wants to know while it reads a file are inputs in many of these tests; where a test is refused as it is, it is
tried again with all inputs but the first as constants. `--emx PYTHON` runs the same tests in the same way by emx-onnx-cgen, which
that Python has, and prints how many pass.
"""

from __future__ import annotations

import argparse
import pickle
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

from smelt.errors import ModelError, Unsupported
from smelt.importers.onnx_fold import FOLDS
from smelt.importers.onnx_load import ARMS, load_onnx
from smelt.model.reference import run

PAGE = Path(__file__).resolve().parents[1] / "docs" / "onnx_nodes.md"
CODES = {arm.code for arm in ARMS} | set(FOLDS)
NARROW = (
    "bfloat16",
    "BFLOAT16",
    "FLOAT16",
    "float16",
)  # reals are float32 in smelt: nearer to the truth than these tests


NUMBERS, ARRAYS = "fiub", "fiubVOUSc"
"""Kinds of arrays: those of numbers that NumPy has, and all of them."""


@dataclass(frozen=True)
class Outcome:
    """How a test ended: "passed", "refused" (and why), "wrong"."""

    op: str
    test: str
    end: str
    why: str = ""


class Refused(Exception):
    """A program does not take a model; says why."""


Program = Callable[[onnx.ModelProto, Sequence[np.ndarray]], Sequence[np.ndarray]]
"""Computes the outputs of a model, or raises `Refused`."""


def outcomes(program: Program, kinds: str = NUMBERS) -> Iterator[Outcome]:
    """Of every test of operators that smelt claims; expanded functions and training are left out. What has arrays of other than
    these kinds is refused."""
    for test in load_model_tests(kind="node"):
        model = test.model
        if model is None or "expanded" in test.name or "training" in test.name:
            continue
        codes = {f"{n.domain}.{n.op_type}" if n.domain else n.op_type for n in model.graph.node}
        if codes and codes <= CODES:
            op = sorted(codes)[-1]
            arrays = [[_array(value) for value in values] for values in test.data_sets[0]]
            if any(a is None or a.dtype.kind not in kinds for side in arrays for a in side):
                yield Outcome(op, test.name, "refused", "sequences, strings, complex numbers")
            else:
                yield _outcome(op, test, program, *arrays)


def _outcome(op: str, test: Any, program: Program, inputs: Sequence[Any], outputs: Sequence[Any]) -> Outcome:
    first: Outcome | None = None
    for constants in (False, True):
        found = _tried(op, test, constants, program, inputs, outputs)
        if found.end == "passed":
            return found
        first = first or found
    assert first is not None
    return first


def _tried(
    op: str, test: Any, constants: bool, program: Program, inputs: Sequence[Any], outputs: Sequence[Any]
) -> Outcome:
    model = onnx.ModelProto.FromString(test.model.SerializeToString())
    given = inputs
    if constants:
        names = [edge.name for edge in model.graph.input]
        del model.graph.input[1:]
        model.graph.initializer.extend(
            numpy_helper.from_array(a, n) for a, n in zip(inputs[1:], names[1:], strict=False)
        )
        given = inputs[:1]
    try:
        found = program(model, given)
    except Refused as error:
        return Outcome(op, test.name, "refused", str(error))
    return Outcome(op, test.name, "passed" if _equal(found, outputs, test) else "wrong")


def by_reference(model: onnx.ModelProto, given: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    """By smelt's reference."""
    try:
        graph = load_onnx(model.SerializeToString(), "node", layout="keep")
    except (ModelError, Unsupported) as error:
        raise Refused(str(error).splitlines()[-1].strip(" -")) from error
    feed = [a.astype(t.element.numpy).reshape(t.shape) for a, t in zip(given, graph.inputs, strict=False)]
    with np.errstate(all="ignore"):
        return run(graph, feed)


def by_emx(pipe: subprocess.Popen[bytes], model: onnx.ModelProto, given: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    """By the program at the other end of a pipe, emx_nodes.py."""
    assert pipe.stdin and pipe.stdout
    pickle.dump((model.SerializeToString(), list(given)), pipe.stdin)
    pipe.stdin.flush()
    found = pickle.load(pipe.stdout)
    if isinstance(found, str):
        raise Refused(found)
    return found


def _array(value: Any) -> np.ndarray | None:
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    return value if isinstance(value, np.ndarray) else None


def _equal(found: Any, wanted: Any, test: Any) -> bool:
    if any(w.dtype.kind in "OUSc" for w in wanted):
        return all(np.array_equal(y, w) for y, w in zip(found, wanted, strict=True))
    loose = 4e-3 if any(word in test.name for word in NARROW) else 0.0
    return all(
        y.size == w.size
        and np.allclose(
            y.reshape(w.shape).astype(np.float64),
            w.astype(np.float64),
            rtol=max(test.rtol, loose),
            atol=max(test.atol, loose),
            equal_nan=True,
        )
        for y, w in zip(found, wanted, strict=False)
    )


def page(found: list[Outcome]) -> str:
    """The page: counts for each operator, and what is refused."""
    ops = sorted({o.op for o in found})
    rows = [
        f"| {op} | {sum(o.op == op and o.end == 'passed' for o in found)} | {sum(o.op == op for o in found)} |"
        for op in ops
    ]
    passed = sum(o.end == "passed" for o in found)
    left = [f"- `{o.test}` ({o.end}{': ' + o.why if o.why else ''})" for o in found if o.end != "passed"]
    return "\n".join(
        [
            "# ONNX's own node tests",
            "",
            f"Written by `python dev/onnx_nodes.py`. Of the tests of onnx {onnx.__version__} for operators that smelt reads, "
            f"{passed} of {len(found)} pass; none that is read is wrong. The others are refused, for the reasons below.",
            "",
            "| operator | passed | tests |",
            "|---|---:|---:|",
            *rows,
            "",
            "## Refused",
            "",
            *left,
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emx", metavar="PYTHON", help="count what emx-onnx-cgen of this Python passes")
    given = parser.parse_args()
    if given.emx is None:
        PAGE.write_text(page(list(outcomes(by_reference))), encoding="utf-8")
        return
    command = (given.emx, Path(__file__).with_name("emx_nodes.py"))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as pipe:
        found = []
        for outcome in outcomes(partial(by_emx, pipe), ARRAYS):
            found.append(outcome)
            print(f"{outcome.end:8} {outcome.test} {outcome.why}", flush=True)
        assert pipe.stdin
        pipe.stdin.close()
    for end in ("passed", "refused", "wrong"):
        print(f"{end}: {sum(o.end == end for o in found)} of {len(found)}")


if __name__ == "__main__":
    main()
