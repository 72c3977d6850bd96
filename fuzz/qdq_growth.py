"""Random quantised ONNX graphs: blocks of one operator each between quantised values, in QDQ and QOperator form, as the tools write
them: weights of int8, uint8 and int4, per channel and per tensor; biases of int32, float32 and none; quantisers that are shared,
and in a row.

A graph is grown from `random.Random` alone, so that a fuzzer's dice and Hypothesis both can grow it. Weights have seven bits:
without VNNI, onnxruntime adds pairs of products in 16 bits, which saturate else.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np

from fuzz.qdq_graph import LARGEST, MOST, MS, Block, Growth, Value
from tests.onnx_models import node


def sums_spread(x: Value, scales: np.ndarray, depth: int) -> float:
    return float(x.spread * 36 * scales.mean() * depth**0.5)


# Blocks

Make = Callable[[Growth, Value], None]


def conv(g: Growth, x: Value) -> None:
    """A convolution, with groups or strides or neither, and perhaps an activation behind it."""
    _, depth, rows, columns = x.shape
    group = g.dice.choice([n for n in (1, 1, 2, depth) if depth % n == 0])
    out = group * g.dice.randint(1, 3)
    size = (min(g.dice.randint(1, 3), rows), min(g.dice.randint(1, 3), columns))
    pads = [g.dice.randint(0, n - 1) for n in size + size]
    strides = [g.dice.randint(1, 2) for _ in size]
    block = Block("Conv" if group == 1 else "Conv, groups", (x,))
    real = g.real(block, x)
    w, scales = g.weights(block, (out, depth // group, *size), 0)
    words = f"{real} {w} {g.bias(block, x, scales, out)}"
    y = g.add(block, "Conv", words, group=group, pads=pads, strides=strides)
    extent = [(n + pads[i] + pads[i + 2] - size[i]) // strides[i] + 1 for i, n in enumerate((rows, columns))]
    made = g.value((1, out, *extent), sums_spread(x, scales, depth // group * size[0] * size[1]))
    g.quantise(block, _activated(g, block, y, made), made)


def _activated(g: Growth, block: Block, y: str, made: Value) -> str:
    """With an activation before the quantiser, or none."""
    sort = g.dice.choice(("", "", "", "Relu", "Clip"))
    if sort == "Relu":
        y = g.add(block, "Relu", y)
    elif sort == "Clip":
        low, high = (g.constant("k", np.float32(v)) for v in (0, 0.8 * made.spread))
        y = g.add(block, "Clip", f"{y} {low} {high}")
    block.kind += f", {sort}" if sort else ""
    return y


def conv_transpose(g: Growth, x: Value) -> None:
    depth, out = x.shape[1], g.dice.randint(1, 3)
    block = Block("ConvTranspose", (x,))
    real = g.real(block, x)
    w, scales = g.weights(block, (depth, out, 2, 2), 1)
    y = g.add(block, "ConvTranspose", f"{real} {w}", strides=[2, 2])
    g.quantise(block, y, g.value((1, out, 2 * x.shape[2], 2 * x.shape[3]), sums_spread(x, scales, depth)))


def dense(g: Growth, x: Value) -> None:
    """Flatten and Gemm, or a MatMul, with a bias or without."""
    count, out = int(np.prod(x.shape)), g.dice.randint(2, 6)
    sort = g.dice.choice(("Gemm", "MatMul", "MatMul + Add"))
    block = Block(sort, (x,))
    flat = g.add(block, "Flatten", g.real(block, x))
    flat = g.add(
        block, "DequantizeLinear", f"{g.add(block, 'QuantizeLinear', f'{flat} {g.parameters(x)}')} {g.parameters(x)}"
    )
    turned = sort == "Gemm" and g.dice.random() < 0.5
    w, scales = g.weights(block, (out, count) if turned else (count, out), 0 if turned else 1)
    if sort == "Gemm":
        y = g.add(block, "Gemm", f"{flat} {w} {g.bias(block, x, scales, out)}", transB=int(turned))
    else:
        y = g.add(block, "MatMul", f"{flat} {w}")
    if sort == "MatMul + Add":
        y = g.add(block, "Add", f"{y} {g.constant('b', g.rng.normal(0, 1, out).astype(np.float32))}")
    g.quantise(block, y, g.value((1, out), sums_spread(x, scales, count)))


def pair(g: Growth, x: Value) -> None:
    """A sum, a difference or a product with another value of the same shape."""
    others = [b.made for b in g.blocks if b.made.shape == x.shape] or [x]
    x2, op = g.dice.choice(others), g.dice.choice(("Add", "Add", "Sub", "Mul"))
    block = Block(op, (x, x2))
    spread = x.spread * x2.spread / 2 if op == "Mul" else max(x.spread, x2.spread) * 1.2
    y = g.add(block, op, f"{g.real(block, x)} {g.real(block, x2)}")
    g.quantise(block, y, g.value(x.shape, spread))


FUNCTIONS: dict[str, tuple[float, int | None]] = {
    "Relu": (0, None), "LeakyRelu": (0, None), "Sigmoid": (1 / 256, -128), "Tanh": (1 / 128, 0), "HardSwish": (0, None),
    "HardSigmoid": (1 / 256, -128), "Elu": (0, None), "Abs": (0, None), "Erf": (1 / 128, 0), "Neg": (0, None),
}  # fmt: skip
"""With the scale and the zero point (of int8) of what they give, where it is always the same."""


def function(g: Growth, x: Value) -> None:
    op = g.dice.choice(list(FUNCTIONS))
    block, (scale, zero) = Block(op, (x,)), FUNCTIONS[op]
    y = g.add(block, op, g.real(block, x))
    g.quantise(block, y, fixed(g, x.shape, scale, zero) if scale else g.value(x.shape, x.spread))


def fixed(g: Growth, shape: Sequence[int], scale: float, zero: int | None) -> Value:
    return g.value(shape, 0, scale, (zero or 0) + (128 if g.dtype == "uint8" else 0))


def chain(g: Growth, x: Value) -> None:
    """SiLU and Gelu of several nodes."""
    block = Block(g.dice.choice(("x Sigmoid(x)", "Gelu of five nodes")), (x,))
    real = g.real(block, x)
    if block.kind.startswith("x"):
        y = g.add(block, "Mul", f"{real} {g.add(block, 'Sigmoid', real)}")
    else:
        root, one, half = (g.constant("k", np.float32(v)) for v in (2**0.5, 1, 0.5))
        erf = g.add(block, "Erf", g.add(block, "Div", f"{real} {root}"))
        y = g.add(block, "Mul", f"{real} {g.add(block, 'Add', f'{erf} {one}')}")
        y = g.add(block, "Mul", f"{y} {half}")
    g.quantise(block, y, g.value(x.shape, x.spread))


def pool(g: Growth, x: Value) -> None:
    _, depth, rows, columns = x.shape
    op = g.dice.choice(("MaxPool", "AveragePool", "GlobalAveragePool", "ReduceMean"))
    block = Block(op, (x,))
    real = g.real(block, x)
    if op == "ReduceMean":
        y = g.add(block, op, f"{real} {g.constant('a', np.array([2, 3], np.int64))}", keepdims=1)
    elif op == "GlobalAveragePool":
        y = g.add(block, op, real)
    else:
        size, more = [min(2, rows), min(3, columns)], {}
        edge = g.dice.randint(0, 1) if min(size) > 1 else 0
        if op == "AveragePool" and edge:
            more = {"count_include_pad": g.dice.randint(0, 1)}
            block.kind += f", padding {'counts' if more['count_include_pad'] else 'does not count'}"
        y = g.add(block, op, real, kernel_shape=size, strides=[1, 1], pads=[edge] * 4, **more)
        shape = (1, depth, rows - size[0] + 1 + 2 * edge, columns - size[1] + 1 + 2 * edge)
    if op in ("ReduceMean", "GlobalAveragePool"):
        shape = (1, depth, 1, 1)
    same = op == "MaxPool"
    g.quantise(block, y, g.value(shape, x.spread / 2, x.scale if same else 0, x.zero if same else None))


def softmax(g: Growth, x: Value) -> None:
    block = Block("Softmax", (x,))
    y = g.add(block, "Softmax", g.real(block, x), axis=g.dice.choice((1, -1)))
    g.quantise(block, y, fixed(g, x.shape, 1 / 256, -128))


def move(g: Growth, x: Value) -> None:
    """What only moves values: the result has the operand's parameters."""
    _, depth, rows, columns = x.shape
    op = g.dice.choice(("Pad", "Slice", "Resize", "Transpose", "Concat"))
    block = Block(op, (x,))
    real, shape, scale, zero = g.real(block, x), list(x.shape), x.scale, x.zero
    match op:
        case "Pad":
            pads = [0, 0, 1, 2, 0, 0, 2, 1]
            y, shape = g.add(block, op, f"{real} {numbers(g, pads)}"), [1, depth, rows + 3, columns + 3]
        case "Slice":
            y, shape = (
                g.add(block, op, " ".join([real, *(numbers(g, [n]) for n in (0, max(rows - 1, 1), 2))])),
                [1, depth, max(rows - 1, 1), columns],
            )
        case "Resize":
            k = g.constant("k", np.array([1, 1, 2, 2], np.float32))
            how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
            y, shape = g.add(block, op, f"{real} - {k}", **how), [1, depth, 2 * rows, 2 * columns]
        case "Transpose":
            y, shape = g.add(block, op, real, perm=[0, 1, 3, 2]), [1, depth, columns, rows]
        case _:
            others = [b.made for b in g.blocks if b.made.shape[2:] == x.shape[2:]] or [x]
            x2 = g.dice.choice(others)
            block.xs = (x, x2)
            y = g.add(block, op, f"{real} {g.real(block, x2)}", axis=1)
            shape[1] += x2.shape[1]
            scale, zero = 0.0, None
    g.quantise(block, y, g.value(shape, x.spread, scale, zero))


def numbers(g: Growth, some: list[int]) -> str:
    return g.constant("i", np.array(some, np.int64))


def narrow(g: Growth, x: Value) -> None:
    """Fewer bits, as Brevitas writes them: the stored integers are clipped."""
    block, y = Block("Clip of integers", (x,)), g.value(x.shape, x.spread)
    q = g.add(block, "QuantizeLinear", f"{g.real(block, x)} {g.parameters(y)}")
    low, high = (g.constant("k", np.array(y.zero + v, g.dtype)) for v in (-8, 7))
    block.nodes.append(node("Clip", f"{q} {low} {high}", y.name))
    g.end(block, y)


def requantise(g: Growth, x: Value) -> None:
    block = Block("QuantizeLinear", (x,))
    g.quantise(block, g.real(block, x), g.value(x.shape, x.spread))


# The same as operators of integers


def whole(g: Growth, x: Value) -> None:
    """An operator in QOperator form."""
    kinds = [
        "QLinearAdd",
        "QLinearMul",
        "QLinearLeakyRelu",
        "QLinearSigmoid",
        "QLinearConcat",
        "QGemm",
        "QLinearMatMul",
    ]
    images = ["QLinearConv", "QLinearConv", "QLinearGlobalAveragePool"]
    op = g.dice.choice(kinds + images)
    block, words = Block(op, (x,)), f"{x.name} {g.parameters(x)}"
    if op in ("QLinearAdd", "QLinearMul"):
        y = g.value(x.shape, x.spread**2 / 2 if op == "QLinearMul" else 1.5 * x.spread)
        block.nodes.append(node(op, f"{words} {words} {g.parameters(y)}", y.name, MS))
    elif op == "QLinearLeakyRelu":
        y = g.value(x.shape, x.spread)
        block.nodes.append(node(op, f"{words} {g.parameters(y)}", y.name, MS, alpha=0.1))
    elif op == "QLinearSigmoid":
        y = fixed(g, x.shape, 1 / 256, -128)
        block.nodes.append(node(op, f"{words} {g.parameters(y)}", y.name, MS))
    elif op == "QLinearConcat":
        y = g.value((1, 2 * x.shape[1], *x.shape[2:]), x.spread)
        block.nodes.append(node(op, f"{g.parameters(y)} {words} {words}", y.name, MS, axis=1))
    elif op == "QLinearGlobalAveragePool":
        y = g.value((*x.shape[:2], 1, 1), x.spread / 2)
        block.nodes.append(node(op, f"{words} {g.parameters(y)}", y.name, MS, channels_last=0))
    elif op == "QLinearConv":
        y = _whole_conv(g, block, x, words)
    else:
        y = _whole_dense(g, block, x)
    g.end(block, y)


def _whole_conv(g: Growth, block: Block, x: Value, words: str) -> Value:
    _, depth, rows, columns = x.shape
    out, size = g.dice.randint(1, 4), (min(3, rows), min(3, columns))
    w, parameters, scales = g.stored_weights((out, depth, *size), 0, "int8")
    y = g.value((1, out, rows - size[0] + 3, columns - size[1] + 3), sums_spread(x, scales, depth * size[0] * size[1]))
    bias = g.constant("b", g.rng.integers(-2000, 2000, out).astype(np.int32)) if g.dice.random() < 0.7 else "-"
    block.nodes.append(
        node("QLinearConv", f"{words} {w} {parameters} {g.parameters(y)} {bias}", y.name, pads=[1, 1, 1, 1])
    )
    return y


def _whole_dense(g: Growth, block: Block, x: Value) -> Value:
    count, out = int(np.prod(x.shape)), g.dice.randint(2, 6)
    flat = g.add(block, "Flatten", x.name)
    w, parameters, scales = g.stored_weights((count, out), 1, "int8")
    y = g.value((1, out), sums_spread(x, scales, count))
    if block.kind == "QGemm":
        bias = g.constant("b", g.rng.integers(-2000, 2000, out).astype(np.int32)) if g.dice.random() < 0.7 else "-"
        words = f"{flat} {g.parameters(x)} {w} {parameters} {bias} {g.parameters(y)}"
        block.nodes.append(node("QGemm", words, y.name, MS))
    else:
        block.nodes.append(
            node("QLinearMatMul", f"{flat} {g.parameters(x)} {w} {parameters} {g.parameters(y)}", y.name)
        )
    return y


IMAGES: tuple[Make, ...] = (
    conv, conv, conv, conv_transpose, pair, pair, function, function, chain, pool, pool, softmax, move, move, requantise, narrow,
    whole, whole, whole,
)  # fmt: skip
VECTORS: tuple[Make, ...] = (dense, pair, function, chain, softmax, requantise)


def grown(dice: random.Random) -> Growth:
    """A graph: blocks in a row, some of which read what lies further back, and perhaps dense layers at the end."""
    g = Growth(dice)
    x = g.value((1, dice.randint(1, 5), dice.randint(3, 8), dice.randint(3, 8)), 1.0)
    start = Block("input", (), [node("QuantizeLinear", f"x {g.parameters(x)}", x.name)])
    g.end(start, x)
    for _ in range(dice.randint(1, MOST)):
        last = g.blocks[-1].made
        if np.prod(last.shape) > LARGEST:
            break
        dice.choice(IMAGES if len(last.shape) == 4 else VECTORS)(g, last)
    if dice.random() < 0.5:
        dense(g, g.blocks[-1].made)
    return g


# As files
