"""Integer networks in ONNX files: the dialects of NEMO and QuantLab, floats that hold whole numbers (docs/integer_networks.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np

from smelt.errors import printable
from smelt.importers.onnx_arrays import TYPES
from smelt.importers.onnx_bench import Bench, Refusal
from smelt.importers.onnx_integer_made import settled
from smelt.importers.onnx_integer_ops import (
    add,
    cast,
    clip,
    div,
    extreme,
    floor,
    is_whole_view,
    mul,
    padded,
    relu,
    sub,
)
from smelt.importers.onnx_integer_sums import average_pool, conv, gemm, global_pool, matmul, reduced
from smelt.importers.onnx_integer_values import UNSIGNED, Integers, is_whole
from smelt.importers.onnx_nodes import Constant, Node, OnnxModel
from smelt.importers.onnx_site import Arm, OnnxArm, Site
from smelt.importers.onnx_views import Decoded, View
from smelt.model.graph import Array, Tensor
from smelt.model.ops_pointwise import Cast

Dialect = Literal["NEMO", "QuantLab"]

SUMS = ("Conv", "Gemm", "MatMul")
BITS = ("weight_bits", "bias_bits", "mult_bits", "add_bits", "out_bits", "in1_mul")
UNCHANGED = ("Identity", "Cast", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten")
INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64")


def dialect_of(model: OnnxModel) -> Dialect | None:
    """Which tool of integer networks wrote a file; None where none did.

    Their graphs are floats all through, weights are whole numbers of at most 8 bits, and results of sums are divided and rounded
    down: QuantLab by Div and Floor, or attributes tell the numbers of bits; NEMO by a division of integers. One of the weights that
    is no whole number does not make it another kind of file: reading it will say so.
    """
    if any("Quantize" in node.op or "QLinear" in node.op for node in model.nodes):
        return None
    made = {name: node for node in model.nodes for name in node.outputs}
    weights = [w for node in model.nodes if node.op in SUMS for w in [_constant(model, made, node, 1)] if w is not None]
    whole = sum(_is_whole_byte(w) for w in weights)
    if not whole or 2 * whole < len(weights):
        return None
    if any(name in node.attributes for node in model.nodes for name in BITS):
        return "QuantLab"
    signs = list(_signs(model, made))
    return signs[0] if signs else None


def _constant(model: OnnxModel, made: Mapping[str, Node], node: Node, place: int) -> Array | None:
    """A constant operand, seen through what does not change its numbers."""
    name = node.inputs[place] if place < len(node.inputs) else ""
    for _ in range(len(made) + 1):
        if name in model.constants:
            return model.constants[name].data
        maker = made.get(name)
        value = None if maker is None else maker.attributes.get("value")
        if maker is None or maker.op == "Constant":
            return value if isinstance(value, np.ndarray) else None
        if maker.op not in UNCHANGED or not maker.inputs:
            return None
        name = maker.inputs[0]
    return None


def _is_whole_byte(data: Array) -> bool:
    if data.dtype.kind not in "iuf" or not data.size or not np.isfinite(data).all():
        return False
    return bool(np.all(data == np.rint(data)) and data.min() >= -128 and data.max() <= 127 and data.any())


def _signs(model: OnnxModel, made: Mapping[str, Node]) -> Iterator[Dialect]:
    for node in model.nodes:
        operands = [made.get(name) for name in node.inputs]
        if node.op == "Cast" and TYPES.get(_integer(node, "to"), "") in INTEGERS:
            if operands and operands[0] is not None and operands[0].op in ("Add", "Mul", "Conv", "Div", *SUMS):
                yield "NEMO"
        if node.op == "Floor" and operands and operands[0] is not None and operands[0].op == "Div":
            yield "QuantLab"


def _integer(node: Node, name: str) -> int:
    value = node.attributes.get(name, 0)
    return value if isinstance(value, int) else 0


# Reading


OWN: dict[str, Arm] = {
    "Conv": conv,
    "Gemm": gemm,
    "MatMul": matmul,
    "Mul": mul,
    "Add": add,
    "Sub": sub,
    "Div": div,
    "Floor": floor,
    "Cast": cast,
    "Clip": clip,
    "Relu": relu,
    "Max": partial(extreme, largest=True),
    "Min": partial(extreme, largest=False),
    "AveragePool": average_pool,
    "GlobalAveragePool": global_pool,
    "ReduceMean": partial(reduced, mean=True),
    "ReduceSum": partial(reduced, mean=False),
    "Pad": padded,
}
"""Operators on whole numbers. On reals, as behind a Sigmoid at the end, all but the first three are those of other files."""

SEEN = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout")
"""What a value goes through as it is."""
MOVING = (*SEEN, "Transpose", "MaxPool", "Slice", "Split", "Gather")
"""What moves stored integers of any width."""


def integer_arms(arms: Mapping[str, OnnxArm]) -> dict[str, OnnxArm]:
    """The arms of integer networks: their own, and those of other files on integers that are made before."""
    known = {code: replace(arm, build=_after_settling(arm)) for code, arm in arms.items()}
    own = {
        code: replace(arms[code], build=_own(build, known.get(code), code))
        for code, build in OWN.items()
        if code in arms
    }
    floored = OnnxArm("Floor", "", _own(floor, known.get("Floor"), "Floor"))
    return known | own | {"Floor": floored}


def _own(build: Arm, otherwise: OnnxArm | None, code: str) -> Arm:
    def chosen(at: Site) -> None:
        whole = any(is_whole_view(at, place) for place in range(len(at.node.inputs)))
        if whole or code in SUMS or otherwise is None:
            build(at)
        else:
            otherwise.build(at)

    return chosen


def _after_settling(arm: OnnxArm) -> Arm:
    def build(at: Site) -> None:
        if at.node.op not in SEEN:
            for name in at.node.inputs:
                found = at.bench.values.get(name)
                if isinstance(found, View) and is_whole(found.source):
                    at.bench.values[name] = settled(at.bench, found)
            if at.node.op not in MOVING and not _are_alike(at):
                for name in at.node.inputs:
                    if name in at.bench.values:
                        at.bench.values[name] = _for_reals(at, at.bench.values[name])
        arm.build(at)

    return build


def _are_alike(at: Site) -> bool:
    """Whether values are joined that are all integers of one type."""
    found = [at.bench.values.get(name) for name in at.node.inputs]
    sources = [view.source for view in found if isinstance(view, View)]
    tensors = [source.tensor for source in sources if isinstance(source, Decoded) and is_whole(source)]
    kinds = {(tensor.dtype, tensor.quantization) for tensor in tensors}
    return at.node.op == "Concat" and len(tensors) == len(found) and len(kinds) == 1


def _for_reals(at: Site, value: View | Constant) -> View | Constant:
    """Integers for operators of other files: those know bytes, and reals."""
    if not isinstance(value, View) or not is_whole(value.source) or not isinstance(value.source, Decoded):
        return value
    x = value.source.tensor
    if x.dtype == "int8":
        return value

    def made() -> Tensor:
        y = at.bench.tensor(f"{x.name}.real", x.shape, "float32")
        return at.bench.add(Cast(x=x, y=y))

    return value.of(at.bench.once((id(x), "cast"), x, made), "float32")


# Edges


def with_bytes(model: OnnxModel) -> OnnxModel:
    """The model with inputs of uint8, as its writers mean them, and without reshapes to the shape that is there already: behind an
    input they would hide that it is an image."""
    inputs = tuple(replace(edge, dtype="uint8") for edge in model.inputs)
    made = {name: node for node in model.nodes for name in node.outputs}
    shapes = {edge.name: edge.shape for edge in model.inputs}
    nodes = tuple(_unless_same(model, made, shapes, node) for node in model.nodes)
    return replace(model, inputs=inputs, nodes=nodes)


def _unless_same(
    model: OnnxModel, made: Mapping[str, Node], shapes: Mapping[str, tuple[int | str, ...] | None], node: Node
) -> Node:
    """A node, or in the place of one that reshapes to the shape of its operand one that does nothing."""
    shape = _constant(model, made, node, 1) if node.op == "Reshape" and not node.attributes.get("allowzero") else None
    wanted = () if shape is None else tuple(shape.reshape(-1).tolist())
    if not wanted or (any(wanted) and wanted != shapes.get(node.inputs[0])):
        return node
    return replace(node, op="Identity", inputs=node.inputs[:1], attributes={})


def begin(bench: Bench, dialect: Dialect) -> None:
    """Let inputs be whole numbers, int8 inside."""
    bench.remark(
        f"this is an integer network ({dialect}): inputs are uint8, outputs that are whole numbers are integers"
    )
    bench.recursive = False
    for edge in bench.model.inputs:
        view = bench.values.get(edge.name)
        if isinstance(view, View) and isinstance(view.source, Tensor):
            bench.values[edge.name] = view.of(Integers(bench.labelled(view.source, UNSIGNED)), "float32")


def finish(bench: Bench) -> list[str]:
    """Let outputs that are whole numbers be integers, of the types that they are computed in; every reason why one cannot be."""
    reasons: list[str] = []
    for edge in bench.model.outputs:
        view = bench.values.get(edge.name)
        if not isinstance(view, View) or not is_whole(view.source):
            continue
        try:
            view = settled(bench, view)
        except Refusal as refusal:
            reasons.append(f"output '{printable(edge.name)}': {refusal}")
            bench.lost.add(edge.name)
            continue
        assert isinstance(view.source, Decoded)
        tensor = view.source.tensor
        bench.values[edge.name] = view.of(tensor, "uint8" if tensor.quantization == UNSIGNED else tensor.dtype)
    return reasons
