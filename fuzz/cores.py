"""Networks that are divided over the cores of a cluster in rounds: `python -m fuzz.cores --cases 200 --seed 1`.

Every case is a layer or a network of some, with tensors of up to 64 KB, as a .tflite file or as an integer network (NEMO's ONNX).
It gets 8 to 60 KB of the memory that a cluster's cores share, is compiled, with all proofs of its plan, and simulated: what
every step writes equals the reference, the reference of an integer network equals what it was built with, no byte is touched
that is moved, and none read that was never written. Or it is refused because it does not fit.
"""

from __future__ import annotations

import random
import shutil
import sys
from math import prod, sqrt

import numpy as np

from fuzz.boards import cluster_at_random
from fuzz.growth import Growth, Value
from fuzz.harness import Case, Finding, Fuzzer, main
from fuzz.linear import filters, window
from smelt.compile import Compilation, compile
from smelt.errors import DoesNotFit
from smelt.firmware.build import Compiler
from smelt.inputs import random_inputs
from smelt.model.reference import run
from smelt.planner.on_cores import OnCores
from smelt.report.layers import verify_layers
from tests.integer_models import Net

MOST_BYTES = 64 << 10  # of a tensor, and of the weights of a layer
MOST_MACS = 3_000_000  # of a layer
MOST_LAYERS = 5
CHANNELS = (1, 3, 4, 8, 12, 16, 24, 31, 32, 48, 64, 96)
UNITS = (1, 2, 5, 10, 12, 32, 64, 100)


def attempt(case: Case) -> str:
    """One network."""
    net = integers(case.dice, case.number) if case.number % 2 else None
    path = case.write(tflite(case.dice, case.rng), ".tflite") if net is None else case.write(net.model(), ".onnx")
    board, regions = cluster_at_random(case.dice)
    compiler: Compiler = "gcc" if shutil.which(board.core.gcc[0]) is not None else "zig"
    try:
        compilation = compile(path, board, compiler=compiler, regions=regions)
    except DoesNotFit:
        return "does not fit"
    if net is not None:
        _judge(net, compilation)
    inputs = random_inputs(compilation.model, 2, case.number)
    found = verify_layers(compilation, inputs)
    if found.first is not None:
        raise Finding(f"{regions}: {found.verdict}")
    ways = [way for way in compilation.plan.ways if isinstance(way, OnCores)]
    rounds = any(len(way.rounds) > 1 for way in ways)
    return "equal, in rounds" if rounds else "equal, at once" if ways else "equal, on one core"


def _judge(net: Net, compilation: Compilation) -> None:
    """Raises Finding where the reference is not what the network was built with."""
    x = np.moveaxis(net.input, 1, -1).reshape(compilation.model.inputs[0].shape).astype(np.uint8)
    y, made = run(compilation.model, (x,))[0], net.layers[-1]
    if not np.array_equal(y.reshape(-1), (np.moveaxis(made, 1, -1) if made.ndim > 2 else made).reshape(-1)):
        raise Finding("the reference is not what the network was built with")


def _window(dice: random.Random, shape: tuple[int, int, int], depthwise: bool) -> tuple[int, int, int]:
    """Channels, size and stride of a layer for an image of rows, columns and channels, as large as may be."""
    rows, columns, depth = shape
    while True:
        channels = depth if depthwise else dice.choice(CHANNELS)
        size, stride = dice.choice((1, 3, 3, 5)), dice.choice((1, 1, 2))
        weights = channels * size * size * (1 if depthwise else depth)
        pixels = -(-rows // stride) * -(-columns // stride)
        if weights <= MOST_BYTES and pixels * channels <= MOST_BYTES and weights * pixels <= MOST_MACS:
            return channels, size, stride


def _image(dice: random.Random) -> tuple[int, int, int]:
    """Rows, columns and channels of an input."""
    while True:
        shape = (dice.randint(1, 48), dice.randint(1, 48), dice.choice(CHANNELS))
        if prod(shape) <= MOST_BYTES:
            return shape


# Integer networks


def integers(dice: random.Random, number: int) -> Net:
    """A network in NEMO's dialect."""
    rows, columns, depth = _image(dice)
    net = Net((1, depth, rows, columns), number)
    for _ in range(dice.randint(1, MOST_LAYERS)):
        if net.value.shape[2:] == (1, 1):
            break
        dice.choice((_conv, _conv, _conv, _depthwise, _pool, _residual))(dice, net)
    if all(node.op_type != "Conv" for node in net.nodes) or dice.random() < 0.3:  # without one nothing says what it is
        _conv(dice, net)
    if dice.random() < 0.4:
        net.dense(dice.choice([n for n in UNITS if n * net.value.size <= MOST_BYTES] or [1]))
    return net


def _conv(dice: random.Random, net: Net) -> None:
    _, depth, rows, columns = net.value.shape
    channels, size, stride = _window(dice, (rows, columns, depth), False)
    net.conv(channels, size, stride, size // 2, bias=dice.random() < 0.5, bits=dice.choice((8, 8, 4, 2)))


def _depthwise(dice: random.Random, net: Net) -> None:
    _, depth, rows, columns = net.value.shape
    _, size, stride = _window(dice, (rows, columns, depth), True)
    net.conv(depth, size, stride, size // 2, groups=depth)


def _pool(dice: random.Random, net: Net) -> None:
    if min(net.value.shape[2:]) > 1:
        net.max_pool()


def _residual(dice: random.Random, net: Net) -> None:
    """A layer of as many channels, and the sum of what comes out and what went in."""
    skip = net.name, net.value
    _, depth, rows, columns = net.value.shape
    if net.layers and depth * depth * 9 * rows * columns <= MOST_MACS:
        net.conv(depth, 3, pads=1)
        net.residual(skip, 64, 53, 64)


# .tflite


def tflite(dice: random.Random, rng: np.random.Generator) -> bytes:
    """A network of int8."""
    g = Growth(rng, wild=0.0)
    x = g.input((1, *_image(dice)), "int8")
    for _ in range(dice.randint(1, MOST_LAYERS)):
        x = dice.choice((_conv_2d, _conv_2d, _conv_2d, _depthwise_2d, _max_pool_2d, _average_pool_2d, _add))(dice, g, x)
    if not g.made or dice.random() < 0.3:
        x = _conv_2d(dice, g, x)
    if dice.random() < 0.4:
        x = _dense(dice, g, x)
    return g.finish([x])


def _windowed(dice: random.Random, g: Growth, x: Value, depthwise: bool) -> Value:
    _, rows, columns, depth = x.shape
    channels, size, stride = _window(dice, (rows, columns, depth), depthwise)
    same = size > min(rows, columns) or dice.random() < 0.7
    shape = (1, size, size, channels) if depthwise else (channels, size, size, depth)
    tensors, near = filters(g, shape, 3 if depthwise else 0, x, prod(shape) // channels)
    extents = (window(n, size, stride, 1, same) for n in (rows, columns))
    y = g.new((1, *extents, channels), "int8", near)
    options = dict(
        Padding=0 if same else 1, StrideH=stride, StrideW=stride, FusedActivationFunction=dice.choice((0, 1))
    )
    options |= {"DilationHFactor": 1, "DilationWFactor": 1} | ({"DepthMultiplier": 1} if depthwise else {})
    g.op("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [x, *tensors], [y], **options)
    return y


def _conv_2d(dice: random.Random, g: Growth, x: Value) -> Value:
    return _windowed(dice, g, x, False)


def _depthwise_2d(dice: random.Random, g: Growth, x: Value) -> Value:
    return _windowed(dice, g, x, True)


def _pool_2d(code: str, dice: random.Random, g: Growth, x: Value) -> Value:
    _, rows, columns, depth = x.shape
    size = min(dice.choice((2, 3)), rows, columns)
    y = g.same(x, (1, *(window(n, size, size, 1, False) for n in (rows, columns)), depth))
    options = dict(StrideH=size, StrideW=size, FilterHeight=size, FilterWidth=size)
    g.op(code, [x], [y], Padding=1, FusedActivationFunction=0, **options)
    return y


def _max_pool_2d(dice: random.Random, g: Growth, x: Value) -> Value:
    return _pool_2d("MAX_POOL_2D", dice, g, x)


def _average_pool_2d(dice: random.Random, g: Growth, x: Value) -> Value:
    return _pool_2d("AVERAGE_POOL_2D", dice, g, x)


def _add(dice: random.Random, g: Growth, x: Value) -> Value:
    """The sum of two values of a shape, which may be the same."""
    other = dice.choice([v for v in g.values if v.shape == x.shape])
    y = g.new(x.shape, "int8", x.scale + other.scale)
    g.op("ADD", [x, other], [y], FusedActivationFunction=0)
    return y


def _dense(dice: random.Random, g: Growth, x: Value) -> Value:
    size = prod(x.shape)
    units = dice.choice([n for n in UNITS if n * size <= MOST_BYTES] or [1])
    flat = g.same(x, (1, size))
    g.op("RESHAPE", [x, g.integers(flat.shape)], [flat], NewShape=flat.shape)
    tensors, near = filters(g, (units, size), 0, flat, round(sqrt(size)) ** 2)
    y = g.new((1, units), "int8", near)
    g.op("FULLY_CONNECTED", [flat, *tensors], [y], FusedActivationFunction=0, KeepNumDims=False)
    return y


if __name__ == "__main__":
    sys.exit(main(Fuzzer("cores", __doc__ or "", attempt, cases=200, seconds=120.0)))
