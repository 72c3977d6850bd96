"""Damaged ONNX files: bytes are changed, and messages are: names, shapes, types, attributes, links between nodes; a third of the
damage is aimed (`onnx_aimed`). What comes of it is a graph, which the reference can compute, or a ModelError or an Unsupported of
bounded size, in bounded time and memory; nothing outside of the model's folder is read.

`python -m fuzz.onnx_files --cases 20000 --seed 1`; exit code 1 if there are findings.
"""

from __future__ import annotations

import random
import sys
from functools import cache

import numpy as np
import onnx

from fuzz.harness import Case, Finding, Fuzzer, main
from fuzz.mutations import spoilt
from fuzz.onnx_aimed import AIMS, reads_elsewhere
from smelt.errors import ModelError, Unsupported
from smelt.importers import describe, load
from smelt.model.graph import Graph
from smelt.model.reference import run
from tests.onnx_cases import CASES, built

LONGEST = 8000  # characters of a message
MOST_ELEMENTS = 200_000  # of a graph that the reference is asked to compute
MOST_MACS = 2_000_000
WORDS = (b"\x80" * 12, b"\xff" * 9 + b"\x01", b"\x08\x00", b"\x0a\x00", b"\x12\xff\xff\xff\xff\x07", b"\0" * 16)
INTEGERS = (0, 1, -1, 2, 3, 7, 255, 65536, 2**31 - 1, 2**31, -(2**31), 2**40, 2**63 - 1, -(2**63))
OPERATORS = (
    "Conv",
    "Gemm",
    "MatMul",
    "Reshape",
    "Add",
    "Loop",
    "If",
    "Constant",
    "QuantizeLinear",
    "Nothing",
    "Split",
    "Pad",
)


@cache
def sources() -> tuple[bytes, ...]:
    """The files to be damaged."""
    return tuple(built(name)[0] for name in CASES)


def mutant(dice: random.Random) -> bytes:
    """A damaged file."""
    file, sort = dice.choice(sources()), dice.random()
    if sort < 0.3:
        return dice.choice(AIMS)(onnx.ModelProto.FromString(file), dice)
    if sort < 0.55:
        return spoilt(file, dice, WORDS, dice.randint(1, 6))
    model = onnx.ModelProto.FromString(file)
    for _ in range(dice.randint(1, 4)):
        _change(model, dice)
    return model.SerializeToString()


def _change(model: onnx.ModelProto, dice: random.Random) -> None:
    graph = model.graph
    node = dice.choice(graph.node) if graph.node else onnx.NodeProto()
    names = [n for some in graph.node for n in (*some.input, *some.output)] + [""]
    match dice.randrange(10):
        case 0 if node.input:
            node.input[dice.randrange(len(node.input))] = dice.choice(names)
        case 1 if node.output:
            node.output[dice.randrange(len(node.output))] = dice.choice(names)
        case 2 if graph.initializer:
            del graph.initializer[dice.randrange(len(graph.initializer))]
        case 3 if graph.initializer:
            tensor = dice.choice(graph.initializer)
            tensor.dims.append(dice.choice(INTEGERS)) if dice.random() < 0.5 else tensor.dims.__setitem__(
                slice(None), [dice.choice(INTEGERS) for _ in tensor.dims]
            )
        case 4 if graph.initializer:
            dice.choice(graph.initializer).data_type = dice.randrange(30)
        case 5:
            node.op_type = dice.choice(OPERATORS)
        case 6 if node.attribute:
            attribute = dice.choice(node.attribute)
            attribute.i = dice.choice(INTEGERS)
            attribute.ints[:] = [dice.choice(INTEGERS) for _ in attribute.ints]
            attribute.f = dice.choice((0.0, float("nan"), float("inf"), -1.0, 1e30))
        case 7 if graph.input:
            shape = dice.choice(graph.input).type.tensor_type.shape
            if shape.dim:
                dice.choice(shape.dim).dim_value = dice.choice(INTEGERS)
        case 8 if model.opset_import:
            dice.choice(model.opset_import).version = dice.choice((0, 1, 6, 7, 9, 10, 11, 12, 13, 18, 21, 99))
        case _ if graph.initializer:
            tensor = dice.choice(graph.initializer)
            words = np.frombuffer(tensor.raw_data, np.uint8).copy()
            if words.size:
                words[dice.randrange(words.size)] = dice.randrange(256)
                tensor.raw_data = words.tobytes()


def attempt(case: Case) -> str:
    """Read one file, and compute it where it can be read."""
    file = case.write(mutant(case.dice), ".onnx")
    try:
        graph = load(file)
    except (ModelError, Unsupported) as error:
        _look(file, refused=True)
        if len(str(error)) > LONGEST:
            raise Finding(f"a message of {len(str(error))} characters") from error
        return type(error).__name__
    _look(file, refused=False)
    if reads_elsewhere(file.read_bytes()):
        raise Finding("data outside of the model's folder is read")
    return _computed(graph)


def _look(file: object, refused: bool) -> None:
    """What `inspect` shows agrees with what `load` does."""
    try:
        summary = describe(file)  # type: ignore[arg-type]
    except ModelError:
        problems = True
    else:
        problems = bool(summary.problems)
    if problems != refused:
        raise Finding(
            f"load {'refuses' if refused else 'reads'} it, describe {'has' if problems else 'has no'} problems"
        )


def _computed(graph: Graph) -> str:
    if graph.macs > MOST_MACS or sum(t.elements for t in graph.tensors) > MOST_ELEMENTS:
        return "read"
    with np.errstate(all="ignore"):
        run(graph, [np.ones(t.shape, t.element.numpy) for t in graph.inputs])
    return "read and computed"


if __name__ == "__main__":
    sys.exit(main(Fuzzer("onnx_files", __doc__ or "", attempt, cases=20_000, seconds=5.0)))
