"""Integer networks for tests, in the dialects of NEMO and QuantLab, and what they compute, in int64 by other code than smelt's.

A `Net` writes nodes and evaluates them as it goes: `value` is what the network has made so far, (batch, channels, [rows,] columns).
With `stray` it strews nodes among them that change nothing, and swaps the operands of those that do not care.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

Ints = np.ndarray


class Net:
    """A network under construction. `layers` are the golden ones so far."""

    def __init__(self, shape: tuple[int, ...], seed: int = 0, stray: bool = False, dialect: str = "NEMO") -> None:
        self.rng, self.stray, self.dialect = (
            np.random.default_rng(seed),
            random.Random(seed) if stray else None,
            dialect,
        )
        self.input = self.value = self.rng.integers(0, 256, shape).astype(np.int64)
        self.nodes: list = []
        self.constants: list = []
        self.layers: list[Ints] = []
        self.name = "x"
        self.count = 0

    # Nodes

    def add(self, op: str, *operands: str, **attributes) -> str:
        y = f"v{self.count}"
        self.count += 1
        if op in ("Add", "Mul") and not attributes and self.chance(0.5):
            operands = operands[::-1]
        self.nodes.append(helper.make_node(op, list(operands), [y], name=f"{op}_{self.count}", **attributes))
        return self.something_else(y) if self.chance(0.4) else y

    def chance(self, share: float) -> bool:
        return self.stray is not None and self.stray.random() < share

    def something_else(self, x: str) -> str:
        """A node that changes nothing."""
        y = f"v{self.count}"
        self.count += 1
        self.nodes.append(helper.make_node("Identity", [x], [y]))
        return y

    def same(self, x: str, rank: int) -> str:
        """Of floats: a Pad by nothing, a Cast to what it is, a Reshape to its shape."""
        if not self.chance(0.6):
            return x
        kind = self.stray.choice(["Pad", "Cast", "Reshape"])
        if kind == "Pad":
            return self.add("Pad", x, mode="constant", pads=[0] * 2 * rank, value=0.0)
        if kind == "Cast":
            return self.add("Cast", x, to=TensorProto.FLOAT)
        return self.add("Reshape", x, self.constant(np.array([0] * rank, np.int64)))

    def constant(self, value) -> str:
        """As an initialiser, or as a node."""
        name = f"c{self.count}"
        self.count += 1
        tensor = numpy_helper.from_array(np.asarray(value), name)
        if self.chance(0.5):
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        else:
            self.constants.append(tensor)
        return name

    def real(self, value) -> str:
        return self.constant(np.asarray(value, np.float32))

    # Layers

    def conv(
        self, channels, size, stride=1, pads=0, groups=1, dilation=1, bias=False, bits=8, shift=None, dead=0
    ) -> None:
        """`dead` is how many channels are 0 whatever comes."""
        axes = self.value.ndim - 2
        limit = 1 << (bits - 1)
        shape = (channels, self.value.shape[1] // groups, *(size,) * axes)
        weights = self.rng.integers(-limit, limit, shape)
        added = self.rng.integers(-500, 500, channels) if bias else np.zeros(channels, np.int64)
        before, after = (pads, pads) if isinstance(pads, int) else pads
        sums = convolved(self.value, weights, stride, (before, after), groups, dilation)
        sums = sums + added.reshape(-1, *(1,) * axes)
        x, kept = self.same(self.name, axes + 2), (before,) * axes + (after,) * axes
        if before and self.chance(0.5):
            around = [0, 0, *(before,) * axes, 0, 0, *(after,) * axes]
            x, kept = self.add("Pad", x, mode="constant", pads=around, value=0.0), (0,) * 2 * axes
        operands = [x, self.real(weights), *([self.real(added)] if bias else [])]
        more = {"weight_bits": bits, "bias_bits": 32} if self.dialect == "QuantLab" else {}
        y = self.add(
            "Conv", *operands, group=groups, kernel_shape=[size] * axes, strides=[stride] * axes, pads=list(kept),
            dilations=[dilation] * axes, **more,
        )  # fmt: skip
        self.requantise(y, sums, axes, shift, dead)

    def requantise(self, y: str, sums: Ints, axes: int, shift: int | None = None, dead: int = 0) -> None:
        channels = sums.shape[1]
        along = (-1, *(1,) * axes)
        kappa = self.rng.integers(900, 2048, channels) * self.rng.choice([1, 1, 1, -1], channels)
        m = int(self.rng.integers(3, 60))
        spread = int(np.abs(sums).max() + 1) * 2047 * m
        shift = max(spread.bit_length() - 8, 1) if shift is None else shift
        lamda = self.rng.integers(-(1 << 20), 1 << 20, channels)
        lamda[:dead] = -(1 << 40)
        total = m * (kappa.reshape(along) * sums + lamda.reshape(along))
        made = np.clip(total >> shift, 0, 255)
        k, lam = (self.real(a.reshape((1, *along)[-axes - 2 :])) for a in (kappa, lamda))
        if self.dialect == "QuantLab":
            k, lam = (self.real(a.reshape(along)) for a in (kappa * m, lamda * m))
            y = self.add("Add", self.add("Mul", y, k), lam)
            y = self.add("Floor", self.add("Div", y, self.real(float(1 << shift))))
            self.give(self.add("Clip", y, min=0.0, max=255.0), made)
            return
        y = self.add("Add", self.add("Mul", k, y), lam)
        divisor = (1 << shift) - (1 if self.chance(0.5) and shift > 20 else 0)
        if divisor & (divisor + 1) == 0 and divisor > 1:
            made = np.clip(total >> shift, 0, 255)
        y = self.add("Mul", self.add("Cast", y, to=TensorProto.INT64), self.constant(np.array([m], np.int64)))
        y = self.add("Div", y, self.constant(np.array([divisor], np.int64)))
        if self.chance(0.5):
            y = self.add("Cast", y, to=TensorProto.INT64)
        self.give(self.add("Clip", self.add("Cast", y, to=TensorProto.FLOAT), min=0.0, max=255.0), made)

    def max_pool(self) -> None:
        n, c, h, w = self.value.shape
        made = self.value[:, :, : h // 2 * 2, : w // 2 * 2].reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5))
        y = self.add("MaxPool", self.same(self.name, 4), kernel_shape=[2, 2], strides=[2, 2])
        self.give(y, made)

    def average_pool(self, factor: int, shift: int) -> None:
        """Of whole images: floor(sum * factor / 2^shift)."""
        h, w = self.value.shape[2:]
        made = (self.value.sum(axis=(2, 3), keepdims=True) * factor) >> shift
        y = self.add("AveragePool", self.same(self.name, 4), kernel_shape=[h, w], strides=[1, 1])
        y = self.add("Mul", self.add("Mul", y, self.real(float(h * w))), self.real(float(factor)))
        self.give(self.add("Floor", self.add("Div", y, self.real(float(1 << shift)))), made)

    def residual(self, other: tuple[str, Ints], first: int, second: int, divisor: int, m: int = 0, d: int = 0) -> None:
        """floor((first * x + second * other) / divisor), requantised by m >> d where there is an m."""
        name, value = other
        made = (first * self.value + second * value) // divisor
        a, b = (self.add("Mul", n, self.real(float(f))) for n, f in ((self.name, first), (name, second)))
        y = self.add("Floor", self.add("Div", self.add("Add", a, b), self.real(float(divisor))))
        if m:
            y = self.add("Mul", self.add("Cast", y, to=TensorProto.INT64), self.constant(np.array([m], np.int64)))
            y = self.add("Div", y, self.constant(np.array([1 << d], np.int64)))
            y = self.add("Clip", self.add("Cast", y, to=TensorProto.FLOAT), min=0.0, max=255.0)
            made = np.clip((m * made) >> d, 0, 255)
        self.give(y, made)

    def quantlab_add(self, other: tuple[str, Ints]) -> None:
        """QuantLab's one node: both operands requantised, the sum as it is."""
        names, values = [self.name, other[0]], [self.value, other[1]]
        numbers = [int(n) for n in self.rng.integers(100_000, 260_000, 2)]
        made = sum(np.clip((v * n + (1 << 18)) >> 19, 0, 255) for v, n in zip(values, numbers, strict=True))
        more = {f"in{i + 1}_{k}": v for i in (0, 1) for k, v in self._in(numbers[i]).items()}
        out = {"out_mul": 1, "out_add": 0, "out_shift": 0, "out_rq": 0, "out_n_levels": 256}
        self.give(self.add("Add", *names, **more, **out, add_bits=8), np.minimum(made, 255))

    @staticmethod
    def _in(by: int) -> dict[str, int]:
        return {"mul": by, "add": 1 << 18, "shift": 19, "rq": 1, "n_levels": 256}

    def dense(self, units: int, gemm: bool = True) -> None:
        flat = self.value.reshape(1, -1)
        weights = self.rng.integers(-64, 64, (units, flat.shape[1]))
        bias = self.rng.integers(-99, 99, units) if gemm else np.zeros(units, np.int64)
        x = self.add("Flatten", self.name, axis=1)
        if gemm:
            y = self.add("Gemm", x, self.real(weights), self.real(bias), alpha=1.0, beta=1.0, transB=1)
        else:
            y = self.add("MatMul", x, self.real(weights.T))
        self.give(y, flat @ weights.T + bias)

    def give(self, name: str, value: Ints) -> None:
        self.name, self.value = name, value
        self.layers.append(value)

    # Files

    def model(self, tail: tuple[str, ...] = (), shuffled: bool = False) -> bytes:
        """The file, with these operators behind the last layer."""
        for op in tail:
            self.name = self.add(op, self.name)
        nodes = list(self.nodes)
        if shuffled:
            random.Random(1).shuffle(nodes)
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, self.input.shape)
        y = helper.make_tensor_value_info(self.name, TensorProto.FLOAT, None)
        graph = helper.make_graph(nodes, "g", [x], [y], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=6).SerializeToString()

    def write_golden(self, folder: Path, chw: bool = False) -> None:
        """`input.txt` and a file for each layer, as DORY's tools write them."""
        for file, value in (("input", self.input), *((f"out_layer{i}", v) for i, v in enumerate(self.layers))):
            lying = value if chw or value.ndim < 3 else np.moveaxis(value, 1, -1)
            lines = [f"# {file} (shape {list(lying.shape[1:])}),", *(f"{n}.000," for n in lying.reshape(-1))]
            (folder / f"{file}.txt").write_text("\n".join(lines))


def convolved(x: Ints, weights: Ints, stride: int, pads: tuple[int, int], groups: int, dilation: int) -> Ints:
    """Sums in int64, tap by tap. `pads` are those before and behind every axis."""
    axes = x.ndim - 2
    padded = np.pad(x, [(0, 0), (0, 0), *(pads,) * axes])
    sizes = [
        (n - (k - 1) * dilation - 1) // stride + 1 for n, k in zip(padded.shape[2:], weights.shape[2:], strict=True)
    ]
    each, depth = weights.shape[0] // groups, weights.shape[1]
    y = np.zeros((x.shape[0], weights.shape[0], *sizes), np.int64)
    for tap in np.ndindex(*weights.shape[2:]):
        where = tuple(slice(t * dilation, t * dilation + n * stride, stride) for t, n in zip(tap, sizes, strict=True))
        seen = padded[(slice(None), slice(None), *where)]
        for g in range(groups):
            part = np.moveaxis(seen[:, g * depth : (g + 1) * depth], 1, -1)
            own = weights[(slice(g * each, (g + 1) * each), slice(None), *tap)]
            y[:, g * each : (g + 1) * each] += np.moveaxis(part @ own.T, -1, 1)
    return y


def residual_net(seed: int = 0, stray: bool = False, dialect: str = "NEMO") -> Net:
    """Convolutions, a pool, a residual sum without a limit, a depthwise layer, an average pool and a dense layer."""
    net = Net((1, 3, 13, 13), seed, stray, dialect)
    net.conv(8, 3, stride=2, pads=1, bias=dialect == "NEMO")
    net.max_pool()
    skip = net.name, net.value
    net.conv(8, 3, pads=1, bits=4)
    if dialect == "QuantLab":
        net.quantlab_add(skip)
    else:
        net.residual(skip, 64, 53, 64)
    net.conv(8, 3, pads=1, groups=8, bits=2)
    net.conv(12, 1)
    net.average_pool(33, 8)
    net.dense(5, gemm=dialect == "NEMO")
    return net


def sequence_net(seed: int = 0, stray: bool = False) -> Net:
    """A temporal convolution network: causal padding, dilation, sums with a requantisation, products beyond 32 bits."""
    net = Net((1, 2, 20), seed, stray)
    net.conv(6, 3, pads=(2, 0))
    skip = net.name, net.value
    net.conv(6, 3, pads=(4, 0), dilation=2)
    net.residual(skip, 53, 128, 128, m=54, d=6)
    skip = net.name, net.value
    net.conv(6, 5, pads=(8, 0), dilation=2, bias=True)
    net.residual(skip, 40, 64, 64, m=32, d=5)
    net.dense(3, gemm=False)
    return net
