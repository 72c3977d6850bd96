"""What is known while a file is read: shapes and what is computed from them, operators on constants; and causes without echoes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from smelt.importers.tflite import convert
from smelt.importers.tflite_constants import FUNCTIONS
from smelt.importers.tflite_file import read_model
from smelt.model.ops import Add, Dense, Reshape
from tests.importer_cases import Q, contradiction, graph_of, refusal
from tests.tflite_writer import ModelWriter

Case = tuple[str, tuple[np.ndarray, ...], np.ndarray]


def i32(*values) -> np.ndarray:
    return np.array(values, np.int32)


def f32(*values) -> np.ndarray:
    return np.array(values, np.float32)


def constant_of(code: str, operands, wanted: np.ndarray, **options) -> np.ndarray:
    """What one operator on constants becomes, beside another one."""
    w = ModelWriter()
    inputs = [w.constant(f"c{n}", value, value.dtype.name) for n, value in enumerate(operands)]
    y = w.tensor("y", wanted.shape, wanted.dtype.name)
    w.op(code, inputs, [y], **options)
    x = w.tensor("x", (4,), "int8", *Q)
    last = w.tensor("last", (4,), "int8", *Q)
    w.op("RELU", [x], [last])
    conversion = convert(read_model(w.finish([x], [last, y])))
    assert len(conversion.ops) == 1 and not conversion.errors
    return conversion.outputs[1].constant


CASES: list[Case] = [
    ("FILL", (i32(2, 2), np.float32(0.5)), np.full((2, 2), np.float32(0.5))),
    ("FILL", (i32(3), np.int32(-7)), i32(-7, -7, -7)),
    ("RANGE", (np.int32(1), np.int32(8), np.int32(3)), i32(1, 4, 7)),
    ("RANGE", (np.int32(5), np.int32(0), np.int32(-2)), i32(5, 3, 1)),
    ("BROADCAST_ARGS", (i32(3, 1), i32(2, 1, 4)), i32(2, 3, 4)),
    ("CAST", (f32(1.9, -1.9, 0.0),), i32(1, -1, 0)),
    ("CAST", (i32(0, 5),), np.array([False, True])),
    ("ADD", (i32(2**31 - 1, 1), i32(1, 1)), i32(-(2**31), 2)),
    ("SUB", (i32(1), i32(3)), i32(-2)),
    ("MUL", (np.array([3], np.int64), np.array([2**33], np.int64)), np.array([3 * 2**33], np.int64)),
    ("DIV", (i32(-7, 7, -6), i32(2, -2, 3)), i32(-3, -3, -2)),
    ("DIV", (f32(1.0), f32(3.0)), f32(1.0) / f32(3.0)),
    ("FLOOR_DIV", (i32(-7, 7), i32(2, -2)), i32(-4, -4)),
    ("FLOOR_MOD", (i32(-7, 7), i32(3, -3)), i32(2, -2)),
    ("MAXIMUM", (i32(1, 5), i32(3)), i32(3, 5)),
    ("GREATER", (i32(1, 5), i32(3)), np.array([False, True])),
    ("LOGICAL_NOT", (np.array([True, False]),), np.array([False, True])),
    ("WHERE", (np.array([[True, False], [False, True]]),), np.array([[0, 0], [1, 1]], np.int64)),
    ("POW", (i32(3, -2), i32(2, 3)), i32(9, -8)),
    ("NEG", (i32(4),), i32(-4)),
    ("ROUND", (f32(0.5, 1.5, -2.5),), f32(0.0, 2.0, -2.0)),
    ("REDUCE_PROD", (i32(2, 3, 4), i32(0)), np.array(24, np.int32)),
    ("SUM", (np.array([[1, 2], [3, 4]], np.int32), i32(-1)), i32(3, 7)),
    ("TRANSPOSE", (np.arange(6, dtype=np.float32).reshape(2, 3), i32(1, 0)), np.arange(6, dtype=np.float32).reshape(2, 3).T),
    ("SLICE", (i32(1, 2, 3), i32(1), i32(2)), i32(2, 3)),
    ("PAD", (np.array([5, 6], np.int16), np.array([[1, 2]], np.int32)), np.array([0, 5, 6, 0, 0], np.int16)),
    ("CONCATENATION", (i32(), i32(1, 2)), i32(1, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("code", "operands", "wanted"), CASES, ids=[f"{c[0]}-{n}" for n, c in enumerate(CASES)])
def test_operators_on_constants(code, operands, wanted):
    value = constant_of(code, operands, wanted)
    assert value.dtype == wanted.dtype and np.array_equal(value, wanted)


def test_ranges_of_floats_add_up_their_errors():
    """TensorFlow Lite adds delta again and again."""
    operands = f32(0.0), f32(1.0), f32(0.1)
    wanted, value = np.zeros(10, np.float32), np.float32(0)
    for n in range(10):
        wanted[n] = value
        value += np.float32(0.1)
    assert np.array_equal(constant_of("RANGE", [o[0] for o in operands], wanted), wanted)
    assert not np.array_equal(wanted, np.float32(0.1) * np.arange(10, dtype=np.float32))


@pytest.mark.parametrize(
    ("code", "operands", "words"),
    [
        ("DIV", (i32(1), i32(0)), "divides by zero"),
        ("RANGE", (np.int32(0), np.int32(5), np.int32(0)), "delta"),
        ("ADD", (i32(1, 2), i32(1, 2, 3)), "do not go together"),
        ("FILL", (i32(-1), np.int32(0)), "computes [-1]"),
    ],
)
def test_contradictions_of_constants(code, operands, words):
    w = ModelWriter()
    inputs = [w.constant(f"c{n}", value, value.dtype.name) for n, value in enumerate(operands)]
    y, x = w.tensor("y", (2,), "int32"), w.tensor("x", (2,), "int8", *Q)
    w.op(code, inputs, [y])
    assert words in contradiction(w, [x], [x])


def test_huge_constants_are_refused_before_they_are_made():
    """However many there are: 40 times 2^25 elements, or one of 2^60."""
    w = ModelWriter()
    x = w.tensor("x", (2,), "int8", *Q)
    for n in range(40):
        y = w.tensor(f"y{n}", (1 << 13, 1 << 12), "int32")
        w.op("FILL", [w.constant(f"s{n}", [1 << 13, 1 << 12]), w.constant(f"v{n}", 1)], [y])
    (reason,) = refusal(w, [x], [x])
    assert "steps to compute" in reason
    w = ModelWriter()
    x, y = w.tensor("x", (2,), "int8", *Q), w.tensor("y", (4,), "int64", signature=(-1,))
    w.op("RANGE", [w.constant(name, value, "int64") for name, value in (("a", 0), ("b", 1 << 60), ("c", 1))], [y])
    assert "steps to compute" in "\n".join(refusal(w, [x], [x]))


def flatten(declared=(1, 6), signature=None, middle="MUL") -> tuple[ModelWriter, int, int]:
    """x (1, 2, 3) through a RESHAPE to the shape [x.shape[0], x.shape[1] `middle` x.shape[2]] and FULLY_CONNECTED."""
    w = ModelWriter()
    x = w.tensor("x", (1, 2, 3), "int8", *Q, signature=(-1, 2, 3))
    shape, wanted = w.tensor("shape", (3,), "int32"), w.tensor("wanted", (2,), "int32")
    sizes = [w.tensor(f"n{n}", (), "int32") for n in range(3)]
    flat, product = w.tensor("flat", declared, "int8", *Q, signature=signature), w.tensor("product", (), "int32")
    w.op("SHAPE", [x], [shape])
    for n, size in enumerate(sizes):
        w.op(
            "STRIDED_SLICE",
            [shape, *(w.constant(f"b{n}{i}", [v]) for i, v in enumerate((n, n + 1, 1)))],
            [size],
            ShrinkAxisMask=1,
        )
    w.op(middle, sizes[1:], [product])
    w.op("PACK", [sizes[0], product], [wanted], Axis=0, ValuesCount=2)
    w.op("RESHAPE", [x, wanted], [flat])
    weights = w.tensor("w", (4, 6), "int8", 0.1, data=np.ones((4, 6)))
    y = w.tensor("y", (1, 4), "int8", 0.5, 0)
    w.op("FULLY_CONNECTED", [flat, weights, -1], [y])
    return w, x, y


def test_a_flatten_computed_by_arithmetic():
    w, x, y = flatten()
    reshape, dense = graph_of(w, [x], [y]).ops
    assert isinstance(reshape, Reshape) and reshape.y.shape == (1, 6) and isinstance(dense, Dense)


def test_shapes_that_the_file_leaves_open_are_the_computed_ones():
    """Converters declare 1 where they do not know a size, and -1 beside it; "weights do not fit" was the answer once."""
    w, x, y = flatten(declared=(1, 1), signature=(-1, -1))
    graph = graph_of(w, [x], [y])
    assert graph.check().ops[0].y.shape == (1, 6) and graph.ops[1].x is graph.ops[0].y


def test_shapes_that_the_file_declares_must_be_right():
    w, x, y = flatten(declared=(1, 5))
    assert "cannot become" in contradiction(w, [x], [y]) or "[1, 5]" in contradiction(w, [x], [y])


def test_the_cause_is_named_not_its_echoes():
    """An unknown operator among the arithmetic on shapes: neither what it feeds nor the shapes that follow complain."""
    w, x, y = flatten(declared=(1, 1), signature=(-1, -1), middle="BITWISE_XOR")
    (reason,) = refusal(w, [x], [y])
    assert "BITWISE_XOR is not supported (operator 4)" in reason


def test_a_constant_computed_in_front_of_an_operator():
    """FILL makes the state with which an unrolled network begins."""
    w = ModelWriter()
    x, state = w.tensor("x", (1, 4), "int8", *Q), w.tensor("state", (1, 4), "int8", *Q)
    y = w.tensor("y", (1, 4), "int8", *Q)
    value = w.tensor("value", (), "int8", *Q, data=3)
    w.op("FILL", [w.constant("sizes", [1, 4]), value], [state])
    w.op("ADD", [x, state], [y])
    (op,) = graph_of(w, [x], [y]).ops
    assert isinstance(op, Add) and op.x2.q == op.x.q and np.array_equal(op.x2.constant, np.full((1, 4), 3, np.int8))


def test_weights_of_float16_are_float32():
    """What converters write for supported_types = [tf.float16]: a DEQUANTIZE behind every constant."""
    w, data = ModelWriter(), np.array([[0.1, -2.5, 65504.0, 1e-7]], np.float16)
    half = w.tensor("half", (1, 4), "float16", data=data)
    whole, x, y = (w.tensor(name, (n, 4), "float32") for name, n in (("whole", 1), ("x", 1), ("y", 2)))
    w.op("DEQUANTIZE", [half], [whole])
    w.op("CONCATENATION", [x, whole], [y], Axis=0)
    (op,) = graph_of(w, [x], [y]).ops
    assert np.array_equal(op.xs[1].constant, data.astype(np.float32))
    w = ModelWriter()
    x, y = w.tensor("x", (4,), "float16"), w.tensor("y", (4,), "float32")
    w.op("DEQUANTIZE", [x], [y])
    assert "supported_types" in "\n".join(refusal(w, [x], [y]))


def test_many_operators_of_one_cause_are_one_line():
    w = ModelWriter()
    tensors = [w.tensor(f"t{n}", (1, 4), "int16", 0.5, 0) for n in range(25)]
    for a, b in pairwise(tensors):
        w.op("HARD_SWISH", [a], [b])
    (reason,) = refusal(w, [tensors[0]], [tensors[-1]])
    assert "24 operators (0, 1, 2, 3, 4, ...) compute in int16" in reason and "TFLITE_BUILTINS_INT8" in reason


def test_a_model_of_reals_is_refused_for_the_operator_that_has_none():
    w = ModelWriter()
    x, y, z = (w.tensor(name, (4,), "float32") for name in "xyz")
    w.op("RELU", [x], [y])
    w.op("LOGICAL_AND", [y, y], [z])
    (reason,) = refusal(w, [x], [z])
    assert reason.startswith("operator 1 computes in float32; LOGICAL_AND in bool") and "TFLITE_BUILTINS_INT8" in reason


def test_operators_of_tensorflow_itself():
    assert "WHERE" in FUNCTIONS
    w = ModelWriter()
    x, y = w.tensor("x", (4,), "bool"), w.tensor("y", (4, 1), "int64")
    w.op("WHERE", [x], [y])
    assert "on constants only" in "\n".join(refusal(w, [x], [y]))
