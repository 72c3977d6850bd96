"""Products of matrices that are both computed: reference against TensorFlow Lite Micro, kernels against the reference."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.importers import load
from smelt.kernels.matmul import MATMUL
from smelt.model.graph import Quantization, Tensor
from smelt.model.ops_matmul import BatchMatMul
from smelt.model.reference import evaluate, run
from smelt.model.rescale import matmul_rescale
from smelt.targets.cores.cortex_m4 import CORTEX_M4
from tests.kernels_host import run_calls
from tests.oracle import Oracle
from tests.reference_check import cases, powers, seeds, values
from tests.tflite_writer import ModelWriter

BATCHES = [((), ()), ((2,), (2,)), ((3, 1), (1, 2)), ((2, 3), (3,)), ((1,), (4,))]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("matmul") / "model.tflite"


def model(dtype: str, seed: int, sizes: tuple[int, int, int], batches: int, adjoint: tuple[bool, bool], gain: float):
    rng, w = np.random.default_rng(seed), ModelWriter()
    rows, depth, columns = sizes
    left, right = BATCHES[batches]
    shape = (*left, depth, rows) if adjoint[0] else (*left, rows, depth)
    shape2 = (*right, columns, depth) if adjoint[1] else (*right, depth, columns)
    shape_y = (*np.broadcast_shapes(left, right), rows, columns)
    scale, scale2 = (float(np.float32(s)) for s in rng.uniform(0.001, 0.03, 2))
    most = {"int8": 70, "int16": 18000, "float32": 1}[dtype]
    scale_y = float(np.float32(scale * scale2 * most * sqrt(depth) * gain))
    zeros = rng.integers(-128, 128, 3) if dtype == "int8" else (0, 0, 0)
    scales = ((), (), ()) if dtype == "float32" else (scale, scale2, scale_y)
    x, x2, y = (
        w.tensor(name, s, dtype, q, int(z))
        for name, s, q, z in zip(("x", "x2", "y"), (shape, shape2, shape_y), scales, zeros, strict=True)
    )
    w.op("BATCH_MATMUL", [x, x2], [y], AdjX=adjoint[0], AdjY=adjoint[1])
    return w.finish([x, x2], [y]), [values(rng, shape, dtype), values(rng, shape2, dtype)]


MODELS = st.tuples(
    seeds, st.tuples(st.integers(1, 5), st.integers(1, 70), st.integers(1, 6)), st.integers(0, len(BATCHES) - 1),
    st.tuples(st.booleans(), st.booleans()), powers(-2, 4),
)  # fmt: skip


@pytest.mark.parametrize("dtype", ["int8", "int16", "float32"])
@cases(20)
@given(numbers=MODELS)
def test_the_reference_is_the_oracle(file, dtype, numbers):
    data, arrays = model(dtype, *numbers)
    file.write_bytes(data)
    (found,), (expected,) = run(load(file), arrays), Oracle(data).run(arrays)
    np.testing.assert_array_equal(found, expected)


def test_products_of_onnx_are_the_reference():
    """Every sum that there can be, halves of steps among them: with one product and a shift, or as it is defined."""
    made = []
    for number, (scale, dtype) in enumerate(
        [(0.5, "int8"), (0.0371, "int8"), (0.25, "int16"), (3e-5, "int8"), (0.7, "int8")]
    ):
        x, x2 = (
            Tensor(name, shape, "int8", Quantization((scale,), (zero,)))
            for name, shape, scale, zero in (("x", (64, 2), 1.0, -128), ("x2", (2, 64), scale, number * 50 - 100))
        )
        y = Tensor("y", (64, 64), dtype, Quantization((1.0 if number < 4 else 160.0,), (0 if dtype == "int16" else 7,)))
        op = BatchMatMul(x=x, x2=x2, y=y, rescale=matmul_rescale(x, x2, y), x2_zero=x2.q.zero_point)
        (way,) = MATMUL
        made += [(op, way.build(op, schedule)) for schedule in way.schedules(op, CORTEX_M4)]
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-128, 128, shape).astype(np.int8) for shape in ((64, 2), (2, 64))]
    inputs = [{op.x: arrays[0], op.x2: arrays[1]} for op, _ in made]
    for (op, call), found in zip(made, run_calls([call for _, call in made], inputs, sanitize=True), strict=True):
        np.testing.assert_array_equal(found, evaluate(op, *arrays), err_msg=f"{call.kernel.name} {op}")


def test_every_schedule_is_the_reference(file):
    (way,), made = MATMUL, []
    for number in range(18):
        dtype, adjoint = ("int8", "int16", "float32")[number % 3], (number % 2 == 0, number % 4 < 2)
        data, arrays = model(dtype, number, (1 + number % 3, 3 + number, 1 + number % 7), number % 5, adjoint, 1.0)
        file.write_bytes(data)
        graph = load(file)
        op = graph.ops[0]
        made += [(op, way.build(op, schedule), arrays) for schedule in way.schedules(op, CORTEX_M4)]
    inputs = [dict(zip(op.inputs, arrays, strict=True)) for op, _, arrays in made]
    for (op, _, arrays), found in zip(
        made, run_calls([call for _, call, _ in made], inputs, sanitize=True), strict=True
    ):
        np.testing.assert_array_equal(found, evaluate(op, *arrays), err_msg=str(op))
