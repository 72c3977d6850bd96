"""Which integers stand for which value of a network: scales from histograms, shared where an op only moves values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from smelt.errors import OptionError, Unsupported, brief
from smelt.model.graph import Graph, Op, Quantization, Tensor
from smelt.model.ops import (
    Add,
    AveragePool2D,
    Concat,
    Linear,
    MaxPool2D,
    Mean,
    Mul,
    Pad,
    Reshape,
    ResizeNearest,
    Slice,
    Softmax,
    Transpose,
    Unary,
)
from smelt.quantization.products import is_product
from smelt.quantization.ranges import Method, Ranges, int8_of, int16_of

MOVES = (MaxPool2D, Reshape, Slice, Transpose, ResizeNearest)
"""Ops whose results have the scale of what they move."""

KNOWN = (Add, Mul, Concat, Pad, AveragePool2D, Mean, Softmax, *MOVES)
FIXED = {
    "softmax": Quantization((1 / 256,), (-128,)),
    "logistic": Quantization((1 / 256,), (-128,)),
    "tanh": Quantization((1 / 128,), (0,)),
}
"""Of functions whose ends are known beforehand."""

FUNCTIONS = {
    "relu": "Relu", "relu6": "Clip", "leaky_relu": "LeakyRelu", "logistic": "Sigmoid", "tanh": "Tanh", "hard_swish": "HardSwish",
    "elu": "Elu", "gelu": "Gelu", "exp": "Exp", "sqrt": "Sqrt", "abs": "Abs", "neg": "Neg",
}  # fmt: skip
"""Of one value, with the operators of ONNX that compute them."""


@dataclass(frozen=True)
class Scheme:
    """How values of a network are stored: int8 but for `wide` ones, which are int16."""

    quantizations: Mapping[Tensor, Quantization]
    wide: frozenset[Tensor] = frozenset()

    def __getitem__(self, tensor: Tensor) -> Quantization:
        return self.quantizations[tensor]


def check_quantizable(graph: Graph) -> None:
    """Raise Unsupported, with every reason, unless all of a graph of reals can become integers."""
    if any(t.quantization is not None and not t.element.is_float for t in graph.tensors if not t.is_constant):
        raise Unsupported(graph.name, ("it is quantised already: give the float model that it was made of",))
    reasons = [f"{type(op).__name__} '{op.y.name}' is not quantised by smelt" for op in graph.ops if not _is_known(op)]
    edges = (*graph.inputs, *graph.outputs)
    if any(not t.element.is_float for t in edges):
        reasons.append("its inputs or outputs are integers")
    if graph.states:
        reasons.append("it remembers values from run to run")
    if any(t.shape[:1] != (1,) for t in graph.tensors if not t.is_constant):
        reasons.append("its first axis is not a batch of one")
    if reasons:
        raise Unsupported(graph.name, brief(reasons))


def _is_known(op: Op) -> bool:
    if isinstance(op, Linear):
        return is_product(op)
    if isinstance(op, Unary):
        return op.function in FUNCTIONS
    return isinstance(op, KNOWN) and not (isinstance(op, Softmax) and op.beta != 1)


def scheme(graph: Graph, seen: Ranges, method: Method, percentile: float, wide_layers: Sequence[str] = ()) -> Scheme:
    """Scales for every value of a graph. What is read or made by `wide_layers` is int16. Raises OptionError for unknown names."""
    wide = _wide(graph, wide_layers)
    found: dict[Tensor, Quantization] = {}
    for tensor in graph.inputs:
        found[tensor] = _of_range(seen, tensor, method, percentile, tensor in wide)
    for op in graph.ops:
        fixed = None if op.y in wide else FIXED.get(_function(op))
        if fixed is not None:
            found[op.y] = fixed
        elif shares_scale(op) and (op.activations[0] in wide) == (op.y in wide):
            found[op.y] = found[op.activations[0]]
        else:
            found[op.y] = _of_range(seen, op.y, method, percentile, op.y in wide)
    for op in graph.ops:
        for tensor in op.inputs:
            if tensor.is_constant and not isinstance(op, Linear):
                data = tensor.constant
                found[tensor] = int8_of((float(data.min(initial=0)), float(data.max(initial=0))))
    return Scheme(found, wide)


def shares_scale(op: Op) -> bool:
    """Whether the result of an op has the scale of its operand."""
    return isinstance(op, MOVES) or (isinstance(op, Pad) and op.value == 0)


def _function(op: Op) -> str:
    return "softmax" if isinstance(op, Softmax) else op.function if isinstance(op, Unary) else ""


def _of_range(seen: Ranges, tensor: Tensor, method: Method, percentile: float, wide: bool) -> Quantization:
    ends = seen[tensor].range("minmax" if wide else method, percentile)
    return int16_of(ends) if wide else int8_of(ends)


def _wide(graph: Graph, names: Sequence[str]) -> frozenset[Tensor]:
    wide: set[Tensor] = set()
    for name in names:
        op = next((op for op in graph.ops if op.y.name == name), None)
        if op is None:
            known = ", ".join(f"'{op.y.name}'" for op in graph.ops[:5])
            raise OptionError(f"no layer is called '{name}'; layers are {known}... (smelt quantize lists them)")
        wide |= {op.y, *op.activations}
    return frozenset(wide)
