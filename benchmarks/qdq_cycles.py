"""The same integers as .tflite and as QDQ ONNX, in cycles: `python benchmarks/qdq_cycles.py [--boards a,b] [--models IC,KWS]`.

Each MLPerf Tiny model is written as an .onnx file with a QuantizeLinear and a DequantizeLinear around every operator, loaded again
and compiled like the .tflite file, with int8 at its edges. Weights, biases, scales are the same; what differs is how sums are
rounded: twice, as TensorFlow Lite Micro does it, or once, ties to even, as onnxruntime does. Outputs equal the reference of each.
`outputs` is how many sums are rescaled, `share` what part of the .tflite's cycles that takes at five instructions each (the
product, the shift, the saturation, the store, and its part of loading the numbers of its channel), of which the M7 does almost two
in a cycle. "IC float" is the float network, from float32 .tflite and from float32 ONNX.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
from data import MLPERF_TINY, shared
from tables import add_options, show

from smelt import compile, execute, profile, random_inputs
from smelt.importers import load
from smelt.model.ops import Add, Linear, Mean, Pool
from smelt.model.rescale import linear_rescale
from smelt.quantization.layers import Layer
from smelt.quantization.onnx_writer import onnx_bytes
from smelt.quantization.scheme import Scheme
from smelt.report.verify import verify

BOARDS = ("nucleo_l4r5zi", "nucleo_h743zi", "disco_f746ng")
FLOAT = "IC float"
COLUMNS = ("model", "board", "for", ".tflite", "ONNX", "ratio", "outputs", "share", "flash .tflite", "flash ONNX")
EACH = {1: 5, 2: 3}
"""Cycles of an output that is rescaled, where so many instructions may be issued in a cycle."""


def as_onnx(graph):
    """The bytes of an .onnx file with the integers of a graph of int8."""
    reals = {t: replace(t, dtype="float32", quantization=None, data=None) for t in graph.tensors if not t.is_constant}
    made = [_of_reals(op, reals) for op in graph.ops]
    layers = {new: _layer(old, new) for old, new in zip(graph.ops, made, strict=True) if isinstance(old, Linear)}
    edges = ([reals[t] for t in tensors] for tensors in (graph.inputs, graph.outputs))
    inputs, outputs = map(tuple, edges)
    scales = Scheme({real: t.q for t, real in reals.items() if t.quantization is not None})
    return onnx_bytes(replace(graph, inputs=inputs, outputs=outputs, ops=tuple(made)), scales, layers, {})


def _of_reals(op, reals):
    """The op that computes the reals for which the integers of `op` stand."""
    names = {name: reals[t] for name, t in vars(op).items() if not isinstance(t, tuple) and t in reals}
    if op.limits is None:
        return replace(op, **names)
    low, high = op.limits
    least, most = op.y.element.range
    zero, scale = op.y.q.zero_point, op.y.q.scale
    clamp = (-inf if low == least else (low - zero) * scale, inf if high == most else (high - zero) * scale)
    if not isinstance(op, Linear):
        return replace(op, **names, clamp=clamp)
    return replace(op, **names, rescale=linear_rescale(names["x"], op.weights, names["y"], clamp))


def _layer(old, new):
    channels = old.y.shape[-1]
    scales = np.broadcast_to(np.array(old.weights.q.scales, np.float32), (channels,))
    bias = np.zeros(channels, np.int32) if old.bias is None else old.bias.constant
    return Layer(new, 8, old.weights.constant, scales, bias)


def rescaled(graph):
    """How many outputs of a graph are rescaled sums."""
    return sum(op.y.elements for op in graph.ops if isinstance(op, Linear | Add | Mean | Pool))


def files(model, folder):
    """The .tflite file of a model and its .onnx file."""
    if model == FLOAT:
        return shared("models/mlperf_tiny/pretrainedResnet.tflite"), shared("models/onnx/resnet8_float.onnx")
    file, graph = folder / f"{model}.onnx", load(MLPERF_TINY[model])
    file.write_bytes(as_onnx(graph))
    for old, new in zip(*map(integers, (graph, load(file))), strict=True):
        assert np.array_equal(old, new), f"other integers in {model}"
    return MLPERF_TINY[model], file


def integers(graph):
    """Weights and biases of the layers."""
    return [t.constant for op in graph.ops if isinstance(op, Linear) for t in (op.weights, op.bias)]


def measured(file, name, goal, edges):
    """The compilation of a file for a board, and the profile of its second inference, which was as the reference says."""
    compilation = compile(file, name, goal=goal, input_type=edges, output_type=edges)
    inputs = random_inputs(compilation.model, 2)
    found = verify(compilation, inputs, "reference", file)
    assert not found.mismatches, found.verdict
    return compilation, profile(compilation, execute(compilation, inputs).run)


def row(model, pair, name, goal):
    """The cells of a model on a board."""
    (before, tflite), (_, onnx) = (measured(file, name, goal, None if model == FLOAT else "int8") for file in pair)
    outputs = 0 if model == FLOAT else rescaled(before.graph)
    share = EACH[before.plan.board.core.style.issue] * outputs / tflite.cycles
    cells = (
        model, name, goal, f"{tflite.cycles:,}", f"{onnx.cycles:,}", f"{onnx.cycles / tflite.cycles - 1:+.1%}", f"{outputs:,}",
        f"{share:.1%}", *(f"{p.code_bytes + p.constant_bytes:,}" for p in (tflite, onnx)),
    )  # fmt: skip
    print(*cells, file=sys.stderr, flush=True)
    return cells


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, BOARDS, (*MLPERF_TINY, FLOAT))
    parser.add_argument("--goal", default="balanced")
    parser.add_argument("--markdown", action="store_true", help="print the table for a page")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pairs = {model: files(model, Path(folder)) for model in given.models}
        cells = [row(m, pair, name, given.goal) for m, pair in pairs.items() for name in given.boards]
    show("The same integers from .tflite and from QDQ ONNX, simulated", COLUMNS, cells, given.markdown)


if __name__ == "__main__":
    main()
