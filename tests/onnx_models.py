"""Small ONNX models for tests, and what onnxruntime makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from smelt.importers.onnx_load import edge_orders, load_onnx
from smelt.model.reference import run
from smelt.passes import prepare
from smelt.report.onnx_oracle import session_of

OPSET = 17


def node(op: str, inputs: str, outputs: str, domain: str = "", **attributes: Any) -> onnx.NodeProto:
    """A node: operands and results as words, `-` for absent ones."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(op, names, outputs.split(), domain=domain, **attributes)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, Sequence[int | str]],
    outputs: Sequence[str],
    constants: dict[str, Any] | None = None,
    opset: int = OPSET,
    types: dict[str, int] | None = None,
) -> bytes:
    """The bytes of a model; inputs and outputs are float32 where `types` say nothing else."""
    types = types or {}

    def edge(name: str, shape: Any) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, types.get(name, TensorProto.FLOAT), shape)

    stored = [
        value if isinstance(value, TensorProto) else numpy_helper.from_array(np.asarray(value), name)
        for name, value in (constants or {}).items()
    ]
    graph = helper.make_graph(
        list(nodes), "g", [edge(n, s) for n, s in inputs.items()], [edge(n, None) for n in outputs], stored
    )
    domains = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=domains, ir_version=10).SerializeToString()


def int4(name: str, values: np.ndarray) -> TensorProto:
    """A tensor of int4."""
    return helper.make_tensor(name, TensorProto.INT4, values.shape, values.reshape(-1).tolist())


def by_onnxruntime(file: bytes, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The results of onnxruntime, quantised operators fused."""
    session = session_of(file)
    return session.run(None, {e.name: a for e, a in zip(session.get_inputs(), arrays, strict=True)})


def by_smelt(file: bytes, arrays: Sequence[np.ndarray], layout: str = "channels_last") -> list[np.ndarray]:
    """The results of smelt's reference on the prepared graph, with the axes as the file has them."""
    graph = prepare(load_onnx(file, "net", layout=layout))
    orders_in, orders_out = edge_orders(file, layout)
    given = [
        np.ascontiguousarray(a.transpose(order)).astype(t.element.numpy)
        for a, order, t in zip(arrays, orders_in, graph.inputs, strict=True)
    ]
    results = run(graph, given)
    return [y.transpose([order.index(a) for a in range(y.ndim)]) for y, order in zip(results, orders_out, strict=True)]


def random_inputs(shapes: Sequence[Sequence[int]], seed: int = 0, low: float = -3, high: float = 3) -> list[np.ndarray]:
    """Inputs of float32."""
    generator = np.random.default_rng(seed)
    return [generator.uniform(low, high, shape).astype(np.float32) for shape in shapes]
