"""The files of `tests/data/pytorch` (README there), and how far smelt's reference is from onnxruntime on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

from smelt.importers.onnx_load import edge_orders, load_onnx
from smelt.model.reference import run
from smelt.passes import prepare
from smelt.report.onnx_oracle import session_of
from tests.paths import DATA

FOLDER = DATA / "pytorch"
FILES = {file.stem: file for file in sorted(FOLDER.glob("*.onnx"))}
ROUNDING = 2.0**-20
MADE = ("QuantizeLinear", "QLinear", "QGemm")
"""How operators are called that make integers."""
DEQUANTIZE = "DequantizeLinear"


@dataclass(frozen=True)
class Comparison:
    """How many values were compared, how many differ, and the largest difference: in steps of the output's scale, or where the last
    operator computes reals (`step` is 0) as a part of the largest output; less than `ROUNDING` of that is none."""

    values: int
    differing: int
    largest: float
    step: float

    @property
    def share(self) -> float:
        return self.differing / self.values


def inputs_of(file: bytes, count: int, seed: int = 0) -> list[np.ndarray]:
    """Inputs as the networks were calibrated with them, in the file's layout."""
    model = onnx.load_from_string(file)
    (edge,) = (edge for edge in model.graph.input if edge.name not in constants(model))
    shape = [max(1, size.dim_value) for size in edge.type.tensor_type.shape.dim]
    generator = np.random.default_rng(seed)
    return [generator.normal(0, 0.9, shape).astype(np.float32) for _ in range(count)]


def compared(file: bytes, count: int, seed: int = 0) -> Comparison:
    """smelt's reference beside onnxruntime with quantised operators fused."""
    inputs = inputs_of(file, count, seed)
    ours, theirs = (f(file, inputs)[0].astype(np.float64) for f in (by_smelt, by_onnxruntime))
    step = output_step(onnx.load_from_string(file))
    apart = np.abs(ours - theirs) / (step or np.abs(theirs).max())
    return Comparison(ours.size, int((apart > (0 if step else ROUNDING)).sum()), float(apart.max()), step)


def by_smelt(file: bytes, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """Every output for all inputs, stacked, as the file has its axes."""
    graph = prepare(load_onnx(file, "net"))
    ((order_in,), orders_out) = edge_orders(file, "channels_last")
    back = [[order.index(axis) for axis in range(len(order))] for order in orders_out]
    found = []
    for x in inputs:
        given = np.ascontiguousarray(x.transpose(order_in)).reshape(graph.inputs[0].shape)
        results = run(graph, (given,))
        found.append([y.transpose(order) for y, order in zip(results, back, strict=True)])
    return [np.stack(column) for column in zip(*found, strict=True)]


def by_onnxruntime(file: bytes, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """Every output for all inputs, stacked."""
    session = session_of(file)
    (edge,) = session.get_inputs()
    return [np.stack(column) for column in zip(*(session.run(None, {edge.name: x}) for x in inputs), strict=True)]


def output_step(model: onnx.ModelProto) -> float:
    """The scale of the last DequantizeLinear where that gives the output; 0 where reals are computed behind it."""
    made, known = makers(model), constants(model)
    node = made[model.graph.output[0].name]
    while node.op_type in ("Reshape", "Flatten", "Squeeze"):
        node = made[node.input[0]]
    if node.op_type != DEQUANTIZE:
        return 0.0
    return float(numpy_helper.to_array(known[node.input[1]]).reshape(-1)[0])


@dataclass(frozen=True)
class First:
    """The first integers that differ: what computes them, how many there are and how many differ, and by how many steps."""

    operator: str
    differing: int
    values: int
    largest: int

    def __str__(self) -> str:
        return f"{self.operator}: {self.differing:,} of {self.values:,} by {self.largest}"


def first_difference(file: bytes, count: int, seed: int = 0) -> First | None:
    """The first integers that differ, of all that are between quantisers: both programs give all of them as outputs."""
    model = onnx.load_from_string(file)
    made, known = makers(model), constants(model)
    nodes = [node for node in model.graph.node if node.op_type.startswith(MADE) and node.input[0] not in known]
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=node.output[0]) for node in nodes)
    wide = onnx.shape_inference.infer_shapes(model).SerializeToString()
    inputs = inputs_of(file, count, seed)
    for node, ours, theirs in zip(nodes, by_smelt(wide, inputs), by_onnxruntime(wide, inputs), strict=True):
        apart = np.abs(ours.astype(np.int64) - theirs)
        if apart.any():
            maker = made.get(node.input[0], node) if node.op_type == "QuantizeLinear" else node
            return First(maker.op_type, int(np.count_nonzero(apart)), apart.size, int(apart.max()))
    return None


def with_whole_biases(file: bytes) -> bytes:
    """The file with every float32 bias of a quantised operator rounded to whole steps of its sums, as smelt rounds them."""
    model = onnx.load_from_string(file)
    made, known = makers(model), constants(model)
    for node in model.graph.node:
        x, w, *rest = (*node.input, "", "")
        if node.op_type in ("Conv", "Gemm") and rest[0] in known and all(made[i].op_type == DEQUANTIZE for i in (x, w)):
            scales = [numpy_helper.to_array(known[made[i].input[1]]).reshape(-1) for i in (x, w)]
            step = scales[0] * scales[1]
            bias = numpy_helper.to_array(known[rest[0]])
            known[rest[0]].CopyFrom(numpy_helper.from_array(np.float32(np.rint(bias / step) * step), rest[0]))
    return model.SerializeToString()


def makers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """What computes a value, by its name."""
    return {name: node for node in model.graph.node for name in node.output}


def constants(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Constants by name."""
    return {c.name: c for c in model.graph.initializer}


def read(name: str) -> bytes:
    """A file by its name."""
    return FILES[name].read_bytes()
