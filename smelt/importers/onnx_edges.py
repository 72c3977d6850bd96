"""Inputs and outputs of a graph: their names and types are the file's, their axes lie as the network computes them, or as the file
has them."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from smelt.errors import ModelError, printable
from smelt.importers.onnx_arrays import REALS
from smelt.importers.onnx_bench import Bench, Refusal
from smelt.importers.onnx_nodes import Constant, Edge, Node, OnnxModel
from smelt.importers.onnx_views import Decoded, Order, Stored, View, natural_order, stored_as
from smelt.model.graph import Quantization, Tensor
from smelt.model.ops import Reshape, Unary

Layout = Literal["channels_last", "keep"]
TYPES = ("float32", "int8", "uint8", "int16", "int32", "int64", "bool")

BOUND = frozenset(
    (
        "Conv ConvTranspose MaxPool AveragePool GlobalAveragePool GlobalMaxPool LpPool Resize Upsample DepthToSpace SpaceToDepth "
        "BatchNormalization InstanceNormalization QLinearConv QLinearAveragePool QLinearGlobalAveragePool"
    ).split()
)
"""Operators for which the second axis is that of channels."""

THROUGH = frozenset(
    (
        "QuantizeLinear DequantizeLinear Relu Clip LeakyRelu Sigmoid Tanh HardSwish HardSigmoid Add Sub Mul Div Pad Cast Identity "
        "Concat Slice Transpose Dropout PRelu"
    ).split()
)
"""Operators that leave images what they are."""

FIXED = (
    "fix it where it is exported, or with onnxruntime: python -m onnxruntime.tools.make_dynamic_shape_fixed "
    "--input_name NAME --input_shape 1,3,32,32 model.onnx fixed.onnx"
)


def add_inputs(bench: Bench, layout: Layout) -> tuple[list[Tensor], list[str]]:
    """Make the tensors of inputs, and every reason why one cannot be made."""
    inputs: list[Tensor] = []
    reasons: list[str] = []
    for edge in bench.model.inputs:
        try:
            inputs.append(_input(bench, edge, layout))
        except Refusal as refusal:
            reasons.append(str(refusal))
            bench.lost.add(edge.name)
    return inputs, reasons


def _input(bench: Bench, edge: Edge, layout: Layout) -> Tensor:
    name = printable(edge.name)
    shape = _static(bench, edge)
    dtype = edge.dtype
    if dtype in REALS and dtype != "float32":
        bench.remark(f"input '{name}' is {dtype} in the file, and float32 in the firmware")
        dtype = "float32"
    if dtype not in TYPES:
        raise Refusal(f"input '{name}' is {dtype}")
    own = tuple(range(len(shape)))
    order = own if layout == "keep" else _wanted(bench.model, edge.name, len(shape)) or own
    stored = tuple(shape[axis] for axis in order)
    bench.orders[edge.name] = order
    if order != own:
        _explain(bench, f"input '{name}'", shape, stored)
    tensor = bench.tensor(edge.name, stored, dtype)  # type: ignore[arg-type]
    bench.values[edge.name] = stored_as(tensor, order, dtype)
    return tensor


def _explain(bench: Bench, what: str, shape: tuple[int, ...], stored: tuple[int, ...]) -> None:
    """Tell how an edge lies; not where both orders are the same bytes."""
    if [size for size in shape if size != 1] != [size for size in stored if size != 1]:
        bench.remark(
            f"{what} is {_by(stored)} (channels last) in the firmware, {_by(shape)} in the file; "
            "--layout keep leaves it as it is in the file"
        )


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _static(bench: Bench, edge: Edge) -> tuple[int, ...]:
    name = printable(edge.name)
    if edge.shape is None:
        raise Refusal(f"input '{name}' has no shape; {FIXED}")
    shape = list(edge.shape)
    if shape and (isinstance(shape[0], str) or shape[0] <= 0):
        bench.remark(f"the batch of input '{name}' is open in the file, and 1 in the firmware")
        shape[0] = 1
    sizes = tuple(size for size in shape if isinstance(size, int) and size > 0)
    if len(sizes) != len(shape):
        raise Refusal(f"input '{name}' has the dynamic shape {list(edge.shape)}; only the batch may be open; {FIXED}")
    return sizes


def _wanted(model: OnnxModel, name: str, rank: int) -> Order | None:
    """The order of axes in which the first operator that treats an input as an image wants them; None where none does."""
    if rank not in (3, 4):
        return None
    readers: dict[str, list[Node]] = {}
    for node in model.nodes:
        for operand in node.inputs[:1] if node.op not in THROUGH else node.inputs:
            readers.setdefault(operand, []).append(node)
    seen, waiting = {name}, [(name, tuple(range(rank)))]
    while waiting:
        value, axes = waiting.pop(0)
        for node in readers.get(value, []):
            if node.op in BOUND:
                last = (0, *range(2, rank), 1)
                return tuple(axes[axis] for axis in last)
            if node.op in THROUGH and node.outputs and node.outputs[0] not in seen:
                seen.add(node.outputs[0])
                waiting.append((node.outputs[0], _through(node, axes)))
    return None


def _through(node: Node, axes: Order) -> Order:
    permutation = node.attributes.get("perm")
    if node.op != "Transpose" or not isinstance(permutation, tuple) or sorted(permutation) != list(range(len(axes))):
        return axes
    return tuple(axes[int(axis)] for axis in permutation)


# Outputs


def add_outputs(bench: Bench, inputs: list[Tensor], layout: Layout) -> tuple[list[Tensor], list[str], list[str]]:
    """Make the tensors of outputs; beside them every reason why one cannot be made, and every contradiction."""
    outputs: list[Tensor] = []
    reasons: list[str] = []
    errors: list[str] = []
    for edge in bench.model.outputs:
        name = printable(edge.name)
        if edge.name in bench.lost:
            continue
        bench.here = f"output '{name}'"
        try:
            taken = {*inputs, *(bench.renewed.get(x, x) for x in inputs), *outputs}
            outputs.append(_output(bench, edge, taken, layout))
        except Refusal as refusal:
            reasons.append(f"output '{name}': {refusal}")
        except ModelError as error:
            errors.append(f"output '{name}': {error}")
    return outputs, reasons, errors


def _output(bench: Bench, edge: Edge, taken: set[Tensor], layout: Layout) -> Tensor:
    found = bench.value(edge.name)
    if isinstance(found, Constant):
        dtype = found.dtype
        if dtype not in TYPES:
            raise Refusal(f"it is a constant of {dtype}")
        bench.orders[edge.name] = tuple(range(found.data.ndim))
        return replace(bench.constant(edge.name, found.data, dtype), name=edge_name(edge))  # type: ignore[arg-type]
    own = tuple(range(len(found.shape)))
    order = natural_order(found) if layout == "channels_last" and len(own) in (3, 4) else own
    view = bench.arranged(found, order)
    bench.orders[edge.name] = order
    if order != own:
        _explain(bench, f"output '{printable(edge.name)}'", view.shape, view.stored)
    made = _as_in_file(bench, view, edge)
    tensor = bench.renewed.get(made, made)
    if tensor in taken or tensor.is_constant:
        made = tensor = bench.add(Reshape(x=tensor, y=bench.like(tensor, tensor.shape)))
    bench.renewed[made] = bench.renewed[tensor] = replace(tensor, name=edge_name(edge))
    return bench.renewed[tensor]


def edge_name(edge: Edge) -> str:
    """The name of an edge as it may be shown."""
    return printable(edge.name) or "output"


def _as_in_file(bench: Bench, view: View, edge: Edge) -> Tensor:
    """Bytes of an edge are of the file's type."""
    if isinstance(view.source, Stored | Tensor) and view.dtype == "uint8":
        inner = bench.held(view)
        if inner.dtype == "int8":
            outer = Quantization(inner.q.scales, (inner.q.zero_point + 128,))
            y = bench.tensor(f"{edge.name}.uint8", inner.shape, "uint8", outer)
            return bench.add(Unary(x=inner, y=y, function="requantize"))
    if isinstance(view.source, Decoded):
        return bench.real(view)
    return bench.held(view)
