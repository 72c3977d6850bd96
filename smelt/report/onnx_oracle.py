"""onnxruntime as an oracle: quantised operators fused, int8 included, on one thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from smelt.errors import OptionError, printable
from smelt.importers.onnx_file import is_onnx, read_onnx
from smelt.importers.onnx_integer import dialect_of
from smelt.importers.onnx_load import edge_orders
from smelt.model.graph import Array

if TYPE_CHECKING:
    from smelt.compile import Compilation

NO_ORACLE = (
    "this is an integer network, whose products leave what float32 holds exactly: onnxruntime is no oracle of it; compare with "
    "--golden FOLDER, or --oracle reference"
)
MISSING = "onnxruntime is not installed: pip install 'smelt[onnx]'"


def computed(file: bytes, compilation: Compilation, inputs: Sequence[tuple[Array, ...]]) -> list[tuple[Array, ...]]:
    """What onnxruntime makes of inputs that lie as the firmware has them; results lie so, too. Raises OptionError."""
    if not is_onnx(file):
        raise OptionError("the oracle onnxruntime computes .onnx files: use --oracle reference or --oracle tflm")
    if dialect_of(read_onnx(file)) is not None:
        raise OptionError(NO_ORACLE)
    session = session_of(file)
    orders_in, orders_out = edge_orders(file, compilation.layout)
    names = [edge.name for edge in session.get_inputs()]
    found = []
    for arrays in inputs:
        feed = {n: _as_in_file(a, order) for n, a, order in zip(names, arrays, orders_in, strict=True)}
        results = session.run(None, feed)
        found.append(
            tuple(
                np.ascontiguousarray(np.asarray(y).transpose(order)).reshape(t.shape).astype(t.element.numpy)
                for y, order, t in zip(results, orders_out, compilation.model.outputs, strict=True)
            )
        )
    return found


def _as_in_file(x: Array, order: tuple[int, ...]) -> Array:
    return np.ascontiguousarray(x.transpose([order.index(axis) for axis in range(len(order))]))


def session_of(file: bytes) -> Any:
    """A session that fuses quantised operators, as docs/onnx.md describes. Raises OptionError.

    On x86 without VNNI, products of uint8 by int8 are added in pairs that saturate, unless all weights become uint8; of that form
    onnxruntime has no operators where there are activations of int8, whose products it adds exactly.
    """
    try:
        import onnxruntime as ort
        from onnxruntime.capi import onnxruntime_pybind11_state as native
    except ImportError:
        raise OptionError(MISSING) from None
    kinds = vars(native).values()
    refusals: tuple[type[Exception], ...]
    refusals = (*(k for k in kinds if isinstance(k, type) and issubclass(k, Exception)), RuntimeError, ValueError)

    def session(exact: str) -> Any:
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.add_session_config_entry("session.qdqisint8allowed", "1")
        options.add_session_config_entry("session.x64quantprecision", exact)
        options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")  # else activations become int8
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        return ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    try:
        return session("1")
    except refusals:
        pass
    try:
        return session("0")
    except refusals as error:
        raise OptionError(f"the oracle onnxruntime refuses the file: {printable(error)}") from None
