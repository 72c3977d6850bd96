"""ONNX files for comparisons, from float .tflite files: each quantised by smelt, and the same weights in float32."""

from pathlib import Path

import numpy as np
import onnx
from data import shared
from onnx import numpy_helper

from smelt import random_inputs
from smelt.importers import load
from smelt.quantization.quantize import quantise

SOURCES = {"kws": "kws_ref_model_float32", "ad": "ad01_fp32"}
CALIBRATED = 8
"""Random inputs from which scales follow: how fast a network is does not depend on how good they are."""


def made(folder: Path) -> list[Path]:
    """The files, written into a folder."""
    found = []
    for name, source in SOURCES.items():
        graph = load(shared(f"models/mlperf_tiny/{source}.tflite"))
        data = [np.concatenate(arrays) for arrays in zip(*random_inputs(graph, CALIBRATED), strict=True)]
        quantised = folder / f"{name}_qdq.onnx"
        quantised.write_bytes(quantise(graph, data).file)
        floats = folder / f"{name}_float.onnx"
        onnx.save(without_quantisers(onnx.load(quantised)), floats)
        found += [floats, quantised]
    return found


def without_quantisers(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network in float32: constants as they are after DequantizeLinear, a Relu where a quantiser behind a product begins
    at 0, everything else as it is."""
    graph = model.graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    same: dict[str, str] = {}
    kept = []
    products = {node.output[0] for node in graph.node if node.op_type in ("Conv", "Gemm")}
    for node in graph.node:
        x, *parameters = node.input
        if node.op_type == "DequantizeLinear" and x in constants:
            axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
            constants[node.output[0]] = reals(constants[x], *(constants[p] for p in parameters), axis=axis)
        elif node.op_type == "QuantizeLinear" and x in products and not constants[parameters[1]].any():
            kept.append(onnx.helper.make_node("Relu", [x], [f"{x}/relu"]))
            same[node.output[0]] = f"{x}/relu"
        elif node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            same[node.output[0]] = same.get(x, x)
        else:
            kept.append(node)
    for node in kept:
        node.input[:] = [same.get(name, name) for name in node.input]
    outputs = {source: name for name, source in same.items() if name in {o.name for o in graph.output}}
    for node in kept:
        node.output[:] = [outputs.get(name, name) for name in node.output]
        node.input[:] = [outputs.get(name, name) for name in node.input]
    read = {name for node in kept for name in node.input}
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend(numpy_helper.from_array(a, n) for n, a in constants.items() if n in read)
    onnx.checker.check_model(model)
    return model


def reals(stored: np.ndarray, scale: np.ndarray, zero: np.ndarray | int = 0, axis: int = 1) -> np.ndarray:
    """What DequantizeLinear makes of a constant."""
    along = [1] * stored.ndim
    if np.size(scale) > 1:
        along[axis] = -1
    scale, zero = np.reshape(scale, along), np.reshape(zero, along)
    return ((stored.astype(np.int32) - zero.astype(np.int32)) * scale).astype(np.float32).reshape(stored.shape)
