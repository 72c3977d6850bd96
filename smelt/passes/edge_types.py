"""Other types at the edges of a graph than its file has: what users of the C want to give and to get."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

from smelt.errors import OptionError, check_word
from smelt.model.graph import Graph, Op, Quantization, Tensor
from smelt.model.ops import Dequantize, Quantize, Reshape, Unary
from smelt.model.ops_pointwise import ArgMax
from smelt.passes.rewrite import fresh_name

EdgeType = Literal["int8", "uint8", "float32"]
OutputType = EdgeType | Literal["class"]
BYTES = ("int8", "uint8")
SCORES = (*BYTES, "int16", "float32")


def with_edge_types(graph: Graph, inputs: EdgeType | None, outputs: OutputType | None) -> Graph:
    """The graph with inputs and outputs of these types; None leaves them as they are, and so do tensors without a scale.

    Edges keep their names. Bytes become the other bytes of the same meaning; an input that was float32 is what the graph quantised
    it to, an output what the graph dequantised; a float32 edge is quantised or dequantised as TensorFlow Lite Micro does. An
    output "class" is the number of the greatest score, int32. Raises OptionError where a float32 edge is no quantised number
    beneath, int16 should be a byte, there are no scores, or for other types.
    """
    check_word(inputs or "int8", "type of an input", get_args(EdgeType))
    check_word(outputs or "int8", "type of an output", (*get_args(EdgeType), "class"))
    for edge in graph.inputs if inputs is not None else ():
        graph = _with_input(graph, edge, inputs or "int8")
    if outputs == "class":
        return _with_class(graph).check()
    for edge in graph.outputs if outputs is not None else ():
        graph = _with_output(graph, edge, outputs or "int8")
    return graph.check()


def _with_class(graph: Graph) -> Graph:
    """The graph that gives the number of the class with the best score, the first of several. Raises OptionError where its output
    is no list of scores."""
    if len(graph.outputs) != 1:
        raise OptionError(
            f"--output-type class is for one list of scores, and '{graph.name}' has {len(graph.outputs)} outputs"
        )
    (edge,) = graph.outputs
    if edge.is_constant or not edge.shape or edge.shape[-1] < 2 or edge.dtype not in SCORES:
        raise OptionError(f"--output-type class is for one list of scores, and the model's output is {edge}")
    scores = edge
    if edge not in graph.inputs:
        scores = replace(edge, name=fresh_name(graph, f"{edge.name}.scores"))
        graph = graph.substitute({edge: scores})
    name = edge.name if scores is not edge else fresh_name(graph, f"{edge.name}.class")
    y = Tensor(name, edge.shape[:-1], "int32")
    op = ArgMax(x=scores, y=y, axis=len(edge.shape) - 1, origin="type of an edge")
    return replace(graph, outputs=(y,), ops=(*graph.ops, op))


def _with_input(graph: Graph, edge: Tensor, dtype: EdgeType) -> Graph:
    if edge.dtype == dtype or not _is_number(edge):
        return graph
    if edge.dtype == "float32":
        graph, edge = _before_quantize(graph, edge)
    if edge.dtype == dtype:
        return graph
    _demand_byte(edge, "input", dtype)
    inner, new = replace(edge, name=fresh_name(graph, f"{edge.name}.{edge.dtype}")), _retyped(edge, dtype)
    graph = graph.substitute({edge: inner})
    inputs = tuple(new if t is inner else t for t in graph.inputs)
    return replace(graph, inputs=inputs, ops=(_between(new, inner), *graph.ops))


def _before_quantize(graph: Graph, edge: Tensor) -> tuple[Graph, Tensor]:
    """The graph that is given what its float32 input is quantised to, and that input."""
    readers = [op for op in graph.ops if edge in op.inputs]
    quantizes = [op for op in readers if isinstance(op, Quantize)]
    alike = {(op.y.dtype, op.y.quantization) for op in quantizes}
    if len(quantizes) != len(readers) or len(alike) != 1 or edge in graph.outputs:
        raise OptionError(f"input '{edge.name}' stays float32: the model does not quantise it, but computes with it")
    new = replace(quantizes[0].y, name=edge.name)
    graph = replace(graph, ops=tuple(op for op in graph.ops if op not in quantizes))
    inputs = tuple(new if t is edge else t for t in graph.inputs)
    return replace(graph, inputs=inputs).substitute({op.y: new for op in quantizes}), new


def _with_output(graph: Graph, edge: Tensor, dtype: EdgeType) -> Graph:
    if edge.dtype == dtype or not _is_number(edge):
        return graph
    inner, source = edge, edge
    if edge not in graph.inputs:
        inner = source = replace(edge, name=fresh_name(graph, f"{edge.name}.{edge.dtype}"))
        graph = graph.substitute({edge: inner})
    if edge.dtype == "float32":
        producer = graph.producer(inner)
        if not isinstance(producer, Dequantize):
            raise OptionError(f"output '{edge.name}' stays float32: it is computed in it, not dequantised")
        source = producer.x
    if source.dtype != dtype:
        _demand_byte(source, "output", dtype)
    new = replace(
        _retyped(source, dtype), name=edge.name if inner is not edge else fresh_name(graph, f"{edge.name}.{dtype}")
    )
    outputs = tuple(new if t is inner else t for t in graph.outputs)
    return replace(graph, outputs=outputs, ops=(*graph.ops, _between(source, new)))


def _is_number(tensor: Tensor) -> bool:
    """Whether a tensor is of reals, or stands for some."""
    return tensor.dtype == "float32" or (tensor.quantization is not None and tensor.dtype in (*BYTES, "int16"))


def _demand_byte(tensor: Tensor, role: str, dtype: EdgeType) -> None:
    if dtype in BYTES and tensor.dtype not in BYTES:
        raise OptionError(f"{role} '{tensor.name}' is {tensor.dtype}: {dtype} would lose its low bits")


def _retyped(tensor: Tensor, dtype: EdgeType) -> Tensor:
    """A tensor of the same name and meaning in another type."""
    if dtype == tensor.dtype:
        return replace(tensor, data=None)
    if dtype == "float32":
        return Tensor(tensor.name, tensor.shape, dtype)
    zero = tensor.q.zero_point + (128 if dtype == "uint8" else -128)
    return replace(tensor, dtype=dtype, quantization=Quantization(tensor.q.scales, (zero,)), data=None)


def _between(x: Tensor, y: Tensor) -> Op:
    """The op that makes y, of another type, of x."""
    origin = "type of an edge"
    if x.dtype == y.dtype:
        return Reshape(x=x, y=y, origin=origin)
    if x.dtype == "float32":
        return Quantize(x=x, y=y, origin=origin)
    return (
        Dequantize(x=x, y=y, origin=origin)
        if y.dtype == "float32"
        else Unary(x=x, y=y, function="requantize", origin=origin)
    )
