"""Types of elements: what they are, moves of every one of them, and bytes without a sign at the edges of a model."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.importers import load
from smelt.inputs import from_array, from_bytes, random_inputs
from smelt.kernels.movement import CONCAT, PAD, SLICE, TRANSPOSE
from smelt.model import ops
from smelt.model.dtypes import ELEMENT_TYPES, bits_of, element_type
from smelt.model.graph import Graph, Quantization, Tensor
from smelt.model.reference import evaluate
from smelt.model.reference import run as reference
from smelt.passes import prepare
from smelt.targets.cores.cortex_m4 import CORTEX_M4
from tests.kernels_host import run_calls
from tests.reference_check import Bench, agree, cases, seeds, values

WHOLE = [e.name for e in ELEMENT_TYPES if not e.is_packed]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("types")


@pytest.mark.parametrize("element", ELEMENT_TYPES, ids=lambda e: e.name)
def test_a_type_knows_its_range_and_its_bytes(element):
    if element.is_integer and not element.is_packed:
        info = np.iinfo(element.name)
        assert element.range == (info.min, info.max) and element.bits == info.bits
    assert Tensor("x", (3, 3), element.name).bytes == -(-9 * element.bits // 8)


def test_four_bits_lie_low_nibble_first():
    assert element_type("int4").pack(np.array([1, -2, 7])) == bytes([0xE1, 0x07])
    assert element_type("int4").range == (-8, 7)


@pytest.mark.parametrize("element", ELEMENT_TYPES, ids=lambda e: e.name)
@given(st.data())
@cases(20)
def test_unpack_is_the_inverse_of_pack(element, data):
    count = data.draw(st.integers(0, 9))
    stored = values(np.random.default_rng(data.draw(seeds)), (count,), element.name)
    packed = element.pack(stored)
    assert len(packed) == element.bytes_of(count)
    again = element.unpack(b"??" + packed, count, 2)
    assert again.dtype == element.numpy and np.array_equal(again, stored)


def test_floats_are_compared_bit_for_bit():
    zeros = np.array([0.0, np.nan], np.float32)
    assert np.array_equal(bits_of(zeros), bits_of(zeros.copy())) and bits_of(zeros)[0] != bits_of(-zeros)[0]


# Moves


def moves(dtype, q=None):
    """Every op that only moves, of odd shapes."""
    x, x2 = Tensor("x", (2, 3, 5), dtype, q), Tensor("x2", (2, 1, 5), dtype, q)

    def y(*shape):
        return Tensor("y", shape, dtype, q)

    value = 1 if dtype in ("bool", "float32") else element_type(dtype).high
    return (
        (PAD, ops.Pad(x=x, y=y(3, 3, 9), before=(1, 0, 0), after=(0, 0, 4), value=value)),
        (PAD, ops.Pad(x=x, y=y(2, 5, 5), before=(0, 1, 0), after=(0, 1, 0), value=0)),
        (SLICE, ops.Slice(x=x, y=y(2, 2, 3), begin=(1, 2, 0), stride=(-1, -2, 2))),
        (SLICE, ops.Slice(x=x, y=y(1, 2, 5), begin=(1, 1, 0), stride=(1, 1, 1))),
        (TRANSPOSE, ops.Transpose(x=x, y=y(5, 2, 3), permutation=(2, 0, 1))),
        (CONCAT, ops.Concat(xs=(x, x2, x), y=y(2, 7, 5), axis=1)),
    )


def test_kernels_move_elements_of_every_size():
    calls, inputs, expected = [], [], []
    rng = np.random.default_rng(5)
    for dtype in WHOLE:
        for implementation, op in moves(dtype):
            given_ = {t: values(rng, t.shape, dtype) for t in op.inputs}
            for schedule in implementation.schedules(op, CORTEX_M4):
                calls.append(implementation.build(op, schedule))
                inputs.append(given_)
                expected.append(evaluate(op, *(given_[t] for t in op.inputs)))
    for call, got, want in zip(calls, run_calls(calls, inputs), expected, strict=True):
        assert np.array_equal(bits_of(got), bits_of(want)), call.kernel.name


COUNTED = ("int16", "int32", "float32")
TAKEN = {  # by TFLM, beside int8
    "PAD": COUNTED,
    "PADV2": COUNTED,
    "RESHAPE": (*COUNTED, "int64", "uint8", "bool"),
    "SQUEEZE": (*COUNTED, "int64", "uint8", "bool"),
    "EXPAND_DIMS": ("int16", "float32"),
    "CONCATENATION": (*COUNTED, "int64", "bool"),
    "SPLIT": COUNTED,
    "SPLIT_V": COUNTED,
    "SLICE": (*COUNTED, "bool"),
    "STRIDED_SLICE": (*COUNTED, "bool"),
    "PACK": (*COUNTED, "int64"),
    "UNPACK": COUNTED,
    "TRANSPOSE": ("int16", "float32"),
}
MOVED = [(code, dtype) for code, types in TAKEN.items() for dtype in types]


def one_move(bench, code, dtype):
    """A model of one operator that moves, of `dtype`."""
    w, q = bench.w, () if dtype in ("bool", "float32") else 0.5
    x = bench.x((2, 3, 4), q, 0, dtype)

    def y(*shape):
        return bench.y(shape, q, 0, dtype)

    def numbers(*some):
        return w.constant(f"n{len(w._tensors)}", some)

    match code:
        case "PAD":
            w.op(code, [x, w.constant("margins", [[1, 0], [0, 2], [0, 0]])], [y(3, 5, 4)], version=2)
        case "PADV2":
            value = w.tensor("value", (1,), dtype, q, 0, data=[7])
            w.op(code, [x, w.constant("margins", [[1, 0], [0, 2], [0, 0]]), value], [y(3, 5, 4)], version=2)
        case "RESHAPE":
            w.op(code, [x, numbers(6, 4)], [y(6, 4)], NewShape=(6, 4))
        case "SQUEEZE":
            flat = w.tensor("flat", (2, 1, 3, 4), dtype, q, 0)
            w.op("RESHAPE", [x, numbers(2, 1, 3, 4)], [flat], NewShape=(2, 1, 3, 4))
            w.op(code, [flat], [y(2, 3, 4)], SqueezeDims=(1,))
        case "EXPAND_DIMS":
            w.op(code, [x, numbers(1)], [y(2, 1, 3, 4)])
        case "CONCATENATION":
            w.op(code, [x, x], [y(2, 6, 4)], Axis=1)
        case "SPLIT":
            w.op(code, [numbers(2), x], [y(2, 3, 2), y(2, 3, 2)], NumSplits=2)
        case "SPLIT_V":
            w.op(code, [x, numbers(1, 2), numbers(1)], [y(2, 1, 4), y(2, 2, 4)], NumSplits=2)
        case "SLICE":
            w.op(code, [x, numbers(0, 1, 2), numbers(2, 2, 1)], [y(2, 2, 1)])
        case "STRIDED_SLICE":
            w.op(code, [x, numbers(0, 2, 0), numbers(2, -4, 4), numbers(1, -2, 3)], [y(2, 2, 2)])
        case "PACK":
            w.op(code, [x, x], [y(2, 2, 3, 4)], Axis=1, ValuesCount=2)
        case "UNPACK":
            w.op(code, [x], [y(2, 4), y(2, 4), y(2, 4)], Axis=1, Num=3)
        case "TRANSPOSE":
            w.op(code, [x, numbers(2, 0, 1)], [y(4, 2, 3)])
    return bench


@pytest.mark.parametrize(("code", "dtype"), MOVED)
def test_moves_agree_with_the_oracle(folder, code, dtype):
    agree(one_move(Bench(7), code, dtype), folder, 2)


# Bytes without a sign


@given(st.data())
@cases(20)
def test_uint8_at_the_edges(folder, data):
    scale, zero = data.draw(st.sampled_from([0.5, 0.0037, 1.25])), data.draw(st.integers(-128, 127))
    other, far = data.draw(st.sampled_from([(scale, zero), (0.75, 3)])), data.draw(st.integers(0, 255))
    bench = Bench(data.draw(seeds))
    first, last = bench.x((3, 70), scale, far, "uint8"), bench.y((3, 70), scale, far, "uint8")
    x, y = bench.w.tensor("x", (3, 70), "int8", scale, zero), bench.w.tensor("y", (3, 70), "int8", *other)
    bench.w.op("QUANTIZE", [first], [x])
    bench.w.op("LEAKY_RELU", [x], [y], Alpha=0.3)
    bench.w.op("QUANTIZE", [y], [last])
    agree(bench, folder, 2)
    graph = load(folder / "model.tflite")
    prepared = prepare(graph)
    assert [type(op) for op in prepared.ops] == [ops.Lookup], "three functions of one byte are one table"
    (inputs,) = random_inputs(graph, 1)
    assert np.array_equal(reference(prepared, inputs), reference(graph, inputs))


@pytest.mark.parametrize("dtype", WHOLE)
def test_inputs_of_every_type(dtype):
    x = Tensor("x", (2, 3), dtype, Quantization((0.5,), (3,)) if dtype in ("int16", "uint8") else None)
    graph = Graph("g", (x,), (x,), ())
    (made,) = random_inputs(graph, 1, 3)[0]
    assert made.dtype == x.element.numpy and made.shape == (2, 3)
    (again,) = from_bytes(x.element.pack(made), x, "the bytes")
    assert np.array_equal(bits_of(again), bits_of(made))
    if x.quantization:
        (stored,) = from_array(np.full((2, 3), 2.0), x, "the array")
        assert stored.dtype == made.dtype and (stored == 7).all()
