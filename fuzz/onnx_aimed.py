"""Damage to ONNX files that is aimed: at recursion, at links that run in circles or nowhere, at data in other files, at claims of
gigabytes, in the file and in what is computed from its constants."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

DEEP = (3, 40, 300, 3000)
LONG = (2, 20, 200, 1500)
HUGE = (1 << 16, 1 << 20, 1 << 31, 1 << 40, (1 << 63) - 1, -1)
ELSEWHERE = (
    "/etc/hostname", "../../../../../../etc/hostname", "a/../../x", "..", "/", "/dev/zero", "/dev/stdin", "/proc/self/mem",
    "\0", "x\0y", "~/x", "C:\\x", "file:///etc/hostname", "a" * 5000, "../" * 3000,
)  # fmt: skip
"""Places that are not in the model's folder, or are no places."""
NOWHERE = ("", ".", "nothing.bin", "case.onnx/x", "case.onnx")

MESSAGES = {"attribute": 5, "graph": 6, "node": 1, "type": 2, "tensor": 5, "sequence": 4, "graphs": 11}
"""Fields of messages within messages."""


def nested(model: onnx.ModelProto, dice: random.Random) -> bytes:
    """Messages in messages: subgraphs in subgraphs, types in types, or any."""
    some = list(MESSAGES.values())
    turns = dice.choice(([1, 5, 6], [4, 1], [1, 5, 11], [dice.choice(some) for _ in range(5)]))
    inner = model.graph.SerializeToString() if dice.random() < 0.5 else b"\x0a\x01y"
    for depth in range(dice.choice(DEEP)):
        inner = _field(turns[depth % len(turns)], inner)
    return model.SerializeToString() + _field(7, inner) if dice.random() < 0.5 else b"\x08\x08" + _field(7, inner)


def claimed(model: onnx.ModelProto, dice: random.Random) -> bytes:
    """A field somewhere says that it takes gigabytes, and does not."""
    data = model.SerializeToString()
    at = dice.randrange(len(data))
    return data[:at] + _varint(dice.choice(list(MESSAGES.values())) << 3 | 2) + _varint(dice.choice(HUGE)) + data[at:]


def circular(model: onnx.ModelProto, dice: random.Random) -> bytes:
    """A node reads what it, or one behind it, computes."""
    nodes = model.graph.node
    at = dice.randrange(len(nodes))
    later = dice.choice(nodes[at:])
    if nodes[at].input and later.output:
        nodes[at].input[dice.randrange(len(nodes[at].input))] = dice.choice(later.output)
    return model.SerializeToString()


def missing(model: onnx.ModelProto, dice: random.Random) -> bytes:
    """Constants, inputs or nodes are gone."""
    for some in (model.graph.initializer, model.graph.input, model.graph.node):
        if some and dice.random() < 0.5:
            del some[dice.randrange(len(some)) :][: dice.randint(1, 3)]
            some.pop(dice.randrange(len(some))) if some else None
    return model.SerializeToString()


def elsewhere(model: onnx.ModelProto, dice: random.Random) -> bytes:
    """A tensor's data lies in another file: outside of the folder, or nowhere, or in this very file."""
    tensors = model.graph.initializer
    if tensors:
        tensor = dice.choice(tensors)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entries = {"location": dice.choice((*ELSEWHERE, *NOWHERE))}
        for key in ("offset", "length"):
            if dice.random() < 0.5:
                entries[key] = dice.choice(("0", "-1", "4", str(1 << 31), str(1 << 63), "x", "9" * 5000, "1e9"))
        for key, value in entries.items():
            tensor.external_data.add(key=key, value=value)
    return model.SerializeToString()


def huge(model: onnx.ModelProto, dice: random.Random) -> bytes:
    """What constants make of constants would take gigabytes."""
    size = dice.choice(HUGE)
    numbers = {
        "k_shape": np.array([size] * dice.randint(1, 3), np.int64), "k_zero": np.int64(0), "k_one": np.int64(1),
        "k_size": np.int64(size), "k_pair": np.ones((2, 2), np.float32), "k_two": np.array([size, size], np.int64),
        "k_pads": np.array([size, 0, 0, size], np.int64), "k_scales": np.array([size, 2], np.float32),
    }  # fmt: skip
    op, inputs = dice.choice((
        ("ConstantOfShape", ["k_shape"]), ("Range", ["k_zero", "k_size", "k_one"]), ("Tile", ["k_pair", "k_two"]),
        ("Expand", ["k_pair", "k_two"]), ("Pad", ["k_pair", "k_pads"]), ("Resize", ["k_pair", "", "k_scales"]),
        ("Reshape", ["k_pair", "k_two"]), ("Gather", ["k_pair", "k_two"]), ("OneHot", ["k_two", "k_size", "k_pair"]),
    ))  # fmt: skip
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in numbers.items())
    model.graph.node.append(helper.make_node(op, inputs, ["k_made"]))
    output = dice.choice(model.graph.output).name
    model.graph.node.append(helper.make_node("Add", [output, "k_made"], ["k_sum"]))
    model.graph.output.append(helper.make_tensor_value_info("k_sum", TensorProto.FLOAT, None))
    return model.SerializeToString()


def long(model: onnx.ModelProto, dice: random.Random) -> bytes:
    """Thousands of nodes in a row behind the output, or on a constant."""
    start = dice.choice([*model.graph.output, *model.graph.initializer]).name
    kinds = dice.choice(
        (["Identity"], ["Relu"], ["Neg"], ["Sigmoid", "Neg"], ["Flatten"], ["Add"], ["Identity", "Abs"])
    )
    for number in range(dice.choice(LONG)):
        op, y = kinds[number % len(kinds)], f"long{number}"
        model.graph.node.append(helper.make_node(op, [start] * (2 if op == "Add" else 1), [y]))
        start = y
    model.graph.output.append(helper.make_tensor_value_info(start, TensorProto.FLOAT, None))
    return model.SerializeToString()


AIMS: tuple[Callable[[onnx.ModelProto, random.Random], bytes], ...] = (
    nested, claimed, circular, missing, elsewhere, huge, long,
)  # fmt: skip


def reads_elsewhere(file: bytes) -> bool:
    """Whether a tensor that some node reads has its data outside of the folder of the file."""
    try:
        graph = onnx.ModelProto.FromString(file).graph
    except DecodeError:
        return False
    read = {name for node in graph.node for name in node.input}
    places = {e.value for t in graph.initializer if t.name in read for e in t.external_data if e.key == "location"}
    return bool(places & set(ELSEWHERE))


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
