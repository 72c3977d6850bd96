"""The legacy quantisation: uint8 throughout (TensorFlow 1, TOCO). It means the int8 model whose zero points are 128 less.

TensorFlow Lite Micro no longer has kernels for it; the arithmetic is that of its int8 kernels. docs/uint8.md compares it with
TensorFlow Lite's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from smelt.importers.names import Names
from smelt.importers.tflite_file import RawModel, RawTensor
from smelt.importers.tflite_site import Arm
from smelt.model.graph import Op, Quantization, Tensor
from smelt.model.ops import Unary

CONVERTING = ("QUANTIZE", "DEQUANTIZE")


def is_legacy(model: RawModel, arms: Mapping[str, Arm]) -> bool:
    """Whether an operator computes in uint8 that is known in other types only."""
    return any(
        operator.code in arms
        and operator.code not in CONVERTING
        and "uint8" not in arms[operator.code].types
        and operator.outputs
        and model.tensors[operator.outputs[0]].dtype == "uint8"
        for operator in model.operators
    )


def as_int8(model: RawModel) -> RawModel:
    """The model with every quantised tensor of uint8 in int8. What is at its edges gets a name of its own."""
    names = Names()
    for raw in model.tensors:
        names.unique(raw.name)
    edges = {*model.inputs, *model.outputs}
    tensors = tuple(_as_int8(raw, names if raw.index in edges else None) for raw in model.tensors)
    return replace(model, tensors=tensors)


def _as_int8(raw: RawTensor, names: Names | None) -> RawTensor:
    stored = raw.quantization
    if raw.dtype != "uint8" or stored is None:
        return raw
    zeros = tuple(zero - 128 for zero in stored.zero_points or (0,))
    name = raw.name if names is None else names.unique(f"{raw.name}_int8")
    return replace(
        raw, name=name, dtype="int8", quantization=replace(stored, zero_points=zeros), flipped=raw.data is not None
    )


def with_bytes(
    model: RawModel, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Op, ...], tuple[Op, ...]]:
    """Inputs and outputs of uint8 again, as in the file `model`: those, the ops in front, and the ops behind."""
    names = {raw.index: raw for raw in model.tensors}
    given = tuple(_in_bytes(names[i], t) for i, t in zip(model.inputs, inputs, strict=True))
    made = tuple(_in_bytes(names[i], t) for i, t in zip(model.outputs, outputs, strict=True))
    before = tuple(_flip(x, y) for x, y in zip(given, inputs, strict=True) if x is not y)
    behind = tuple(_flip(x, y) for x, y in zip(outputs, made, strict=True) if x is not y)
    return given, made, before, behind


def _in_bytes(raw: RawTensor, tensor: Tensor) -> Tensor:
    if raw.dtype == tensor.dtype:
        return tensor
    quantization = Quantization(tensor.q.scales, tuple(zero + 128 for zero in tensor.q.zero_points))
    return Tensor(raw.name, tensor.shape, "uint8", quantization)


def _flip(x: Tensor, y: Tensor) -> Op:
    return Unary(x=x, y=y, function="requantize", origin="uint8 at the edge")
