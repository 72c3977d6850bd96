"""A quantised ONNX graph while it grows: its values, its blocks of nodes, and the files of all of it or of one block."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from tests.onnx_models import int4, model, node

MS = "com.microsoft"
OPSET = 21
TYPES = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8}
MOST = 6  # blocks in a row
LARGEST = 3000  # elements of what another block reads


@dataclass(frozen=True)
class Value:
    """A tensor of stored integers."""

    name: str
    shape: tuple[int, ...]
    scale: float
    zero: int
    dtype: str

    @property
    def spread(self) -> float:
        """About how far its reals are from their middle."""
        return 50 * self.scale


@dataclass
class Block:
    """Nodes from stored integers to stored integers: one operator."""

    kind: str
    xs: tuple[Value, ...]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    y: Value | None = None

    @property
    def made(self) -> Value:
        assert self.y is not None
        return self.y


class Growth:
    """A graph that grows: blocks, and the constants of all of them by name."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.rng = np.random.default_rng(dice.getrandbits(32))
        self.dtype = dice.choice(("int8", "uint8"))
        self.constants: dict[str, Any] = {}
        self.blocks: list[Block] = []
        self.count = 0

    def name(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def constant(self, stem: str, value: Any) -> str:
        name = self.name(stem)
        self.constants[name] = value
        return name

    def zero(self) -> int:
        """A zero point near the middle."""
        return self.dice.randint(-30, 30) + (128 if self.dtype == "uint8" else 0)

    def value(self, shape: Sequence[int], spread: float, scale: float = 0.0, zero: int | None = None) -> Value:
        """A new value whose reals are about so far from zero, or that has this scale."""
        scale = float(np.float32(scale or spread / 50 * self.dice.uniform(0.8, 1.6)))
        return Value(self.name("q"), tuple(shape), scale, self.zero() if zero is None else zero, self.dtype)

    # Parts of blocks

    def parameters(self, value: Value) -> str:
        """The names of the scale and the zero point of a value."""
        s = self.constant("s", np.float32(value.scale))
        return f"{s} {self.constant('z', np.array(value.zero, value.dtype))}"

    def add(self, block: Block, op: str, words: str, domain: str = "", **attributes: Any) -> str:
        y = self.name(op.lower())
        block.nodes.append(node(op, words, y, domain, **attributes))
        return y

    def real(self, block: Block, value: Value) -> str:
        """The value dequantised: by a quantiser that blocks share, or by one of its own."""
        name = f"{value.name}_r"
        if self.dice.random() < 0.5:
            name = self.name(name)
        elif f"{name}_s" not in self.constants:
            self.constants[f"{name}_s"], self.constants[f"{name}_z"] = (
                np.float32(value.scale),
                np.array(value.zero, value.dtype),
            )
        words = f"{name}_s {name}_z" if name == f"{value.name}_r" else self.parameters(value)
        block.nodes.append(node("DequantizeLinear", f"{value.name} {words}", name))
        return name

    def quantise(self, block: Block, real: str, y: Value) -> None:
        """End a block: the result is quantised, now and then twice with the same parameters."""
        if self.dice.random() < 0.15:
            words = self.parameters(y)
            q = self.add(block, "QuantizeLinear", f"{real} {words}")
            real = self.add(block, "DequantizeLinear", f"{q} {words}")
        block.nodes.append(node("QuantizeLinear", f"{real} {self.parameters(y)}", y.name))
        self.end(block, y)

    def end(self, block: Block, y: Value) -> None:
        block.y = y
        self.blocks.append(block)

    def stored_weights(self, shape: tuple[int, ...], axis: int, sort: str) -> tuple[str, str, np.ndarray]:
        """Weights: the name of the integers, the words of scale and zero point, and the scales."""
        wide = self.dice.random() < 0.6
        scales = self.rng.uniform(0.002, 0.02, shape[axis] if wide else 1).astype(np.float32)
        stored = self.rng.integers(-63, 64, shape)
        if sort == "int4":
            scales *= 16
            w, z = self.name("w"), self.name("z")
            self.constants[w] = int4(w, self.rng.integers(-8, 8, shape))
            self.constants[z] = int4(z, np.zeros(scales.shape if wide else (), np.int64))
        else:
            middle = self.dice.randint(126, 130) if sort == "uint8" else 0
            w = self.constant("w", (stored + middle).astype(sort))
            z = self.constant("z", np.full(scales.shape if wide else (), middle, sort))
        s = self.constant("s", scales if wide else scales[0])
        return w, f"{s} {z}", scales

    def weights(self, block: Block, shape: tuple[int, ...], axis: int) -> tuple[str, np.ndarray]:
        """Weights dequantised, and their scales."""
        sort = self.dice.choice(("int8", "int8", "int8", "uint8", "int4"))
        sort = "int8" if sort == "uint8" and self.dtype == "int8" else sort  # nobody writes the other
        if sort == "int4":
            block.kind += ", int4"
        w, words, scales = self.stored_weights(shape, axis, sort)
        more = {"axis": axis} if scales.size > 1 else {}
        return self.add(block, "DequantizeLinear", f"{w} {words}", **more), scales

    def bias(self, block: Block, x: Value, scales: np.ndarray, channels: int) -> str:
        """A bias of int32 that is dequantised, one of float32, or none."""
        sort, step = self.dice.choice(("int32", "int32", "float", "none")), np.float32(x.scale) * scales
        stored = self.rng.integers(-2000, 2000, channels).astype(np.int32)
        if sort == "none":
            return "-"
        if sort == "float":
            return self.constant("b", (stored * step * self.rng.uniform(0.9, 1.1, channels)).astype(np.float32))
        wide = scales.size > 1
        s = self.constant(
            "s", step if wide or self.dice.random() < 0.5 else step[0]
        )  # of shape [1], as onnxruntime has it
        z = self.constant("z", np.zeros(step.shape if wide else (), np.int32))
        words = f"{self.constant('b', stored)} {s} {z}"
        return self.add(block, "DequantizeLinear", words, **({"axis": 0} if wide else {}))


def file_of(g: Growth, spied: bool = False) -> bytes:
    """The whole graph, of reals at its edges; `spied`: every value of integers is an output."""
    nodes = {n.output[0]: n for block in g.blocks for n in block.nodes}
    last, seen = g.blocks[-1].made, [b.made for b in g.blocks] if spied else []
    if not spied:
        nodes["y"] = node("DequantizeLinear", f"{last.name} {g.parameters(last)}", "y")
    types = {v.name: TYPES[v.dtype] for v in seen}
    outputs = [v.name for v in seen] or ["y"]
    return model(list(nodes.values()), {"x": g.blocks[0].made.shape}, outputs, g.constants, OPSET, types)


def file_of_block(g: Growth, block: Block) -> bytes:
    """One block alone, of integers at its edges."""
    xs = {x.name: x for x in block.xs}
    types = {v.name: TYPES[v.dtype] for v in (*xs.values(), block.made)}
    nodes = {n.output[0]: n for n in block.nodes}
    read = {name for n in nodes.values() for name in n.input}
    constants = {name: value for name, value in g.constants.items() if name in read}
    return model(list(nodes.values()), {n: x.shape for n, x in xs.items()}, [block.made.name], constants, OPSET, types)
