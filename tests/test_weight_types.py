"""Weights of float32 that are stored as float16 on request: rounded once, computed with in float32, equal to the reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from smelt import compile, random_inputs
from smelt.cli import main
from smelt.errors import OptionError
from smelt.importers.tflite import load_tflite
from smelt.kernels import IMPLEMENTATIONS
from smelt.model.graph import Graph, Op
from smelt.model.ops import Dense, TransposeConv2D
from smelt.model.ops_recurrent import RealLstm
from smelt.model.reference import evaluate, results
from smelt.model.rescale import linear_rescale
from smelt.passes.weight_types import with_weight_type
from smelt.report.verify import verify
from smelt.targets.cores.cortex_m3 import CORTEX_M3
from smelt.targets.cores.cortex_m4 import CORTEX_M4
from smelt.targets.cores.cortex_m7 import CORTEX_M7
from tests.float_ops import inputs_of, linear_cases, real, recurrent_cases, sum_bounds
from tests.kernels_host import run_all, run_calls
from tests.paths import HELLO, HELLO_FLOAT
from tests.tflite_writer import ModelWriter

OTHERWISE = (TransposeConv2D, RealLstm)  # another order of sums; functions within two units


def graph_of(op: Op) -> Graph:
    return Graph("one", op.activations, op.ys, (op,))


def halved(op: Op) -> Op:
    (found,) = with_weight_type(graph_of(op), "float16").ops
    assert found.storable and all(t.dtype == "float16" for t in found.storable)
    return found


def convolution(data: np.ndarray, through: str | None = None) -> bytes:
    """A file with a convolution of these weights, stored as they are or behind a DEQUANTIZE."""
    w = ModelWriter()
    x, y = w.tensor("x", (1, 8, 8, data.shape[3]), "float32"), w.tensor("y", (1, 8, 8, len(data)), "float32")
    weights = w.tensor("weights", data.shape, "float16" if through else "float32", data=data)
    if through:
        stored, weights = weights, w.tensor("whole", data.shape, "float32")
        w.op(through, [stored], [weights])
    bias = w.tensor("bias", (len(data),), "float32", data=np.linspace(-1, 1, len(data), dtype=np.float32))
    w.op("CONV_2D", [x, weights, bias], [y], Padding=0, StrideW=1, StrideH=1)
    return w.finish([x], [y])


def test_weights_are_rounded_and_nothing_else():
    data = np.random.default_rng(0).normal(0, 1, (5, 3, 3, 2)).astype(np.float32)
    graph = load_tflite(convolution(data), "model")
    found = with_weight_type(graph, "float16")
    (op,), (before,) = found.ops, graph.ops
    assert op.weights.dtype == "float16" and np.array_equal(op.weights.constant, data.astype(np.float16))
    assert op.bias is before.bias and op.bias.dtype == "float32" and 2 * op.weights.bytes == before.weights.bytes
    assert "180 bytes instead of 360" in found.remarks[-1]
    (x,) = inputs_of(op, 0)[:1]
    rounded = replace(before, weights=replace(before.weights, data=data.astype(np.float16).astype(np.float32)))
    wanted = evaluate(rounded, x, rounded.weights.constant, rounded.bias.constant)
    assert np.array_equal(evaluate(op, x, op.weights.constant, op.bias.constant), wanted)
    assert not np.array_equal(wanted, evaluate(before, x, data, before.bias.constant))
    assert with_weight_type(graph, None) is graph


def test_weights_of_a_file_in_float16_stay_what_they_are():
    data = np.random.default_rng(0).normal(0, 1, (5, 3, 3, 2)).astype(np.float16)
    found = with_weight_type(load_tflite(convolution(data, "DEQUANTIZE"), "model"), "float16")
    (op,) = found.ops
    assert op.weights.dtype == "float16" and np.array_equal(op.weights.constant, data)
    assert "change is 0 of" in found.remarks[-1]


def test_what_float16_does_not_hold_stays_and_nothing_to_do_is_said():
    rows = [real(name, (1, 4)) for name in "xyz"]
    small, large = (real(name, (4, 4), np.full((4, 4), size, np.float32)) for name, size in (("s", 1), ("l", 65505)))
    ops = tuple(
        Dense(x=x, y=y, weights=w, bias=None, rescale=linear_rescale(x, w, y))
        for x, y, w in zip(rows, rows[1:], (small, large), strict=False)
    )
    graph = Graph("two", rows[:1], rows[2:], ops)
    found = with_weight_type(graph, "float16")
    assert [op.weights.dtype for op in found.ops] == ["float16", "float32"] and "1 with numbers" in found.remarks[-1]
    with pytest.raises(OptionError, match="beyond 65504"):
        with_weight_type(replace(graph, inputs=rows[1:2], ops=ops[1:]), "float16")
    with pytest.raises(OptionError, match="no weights of float32"):
        with_weight_type(load_tflite(HELLO.read_bytes(), "model"), "float16")


def test_every_finite_number_of_float16_is_converted_exactly():
    """One unit for each, times 1: the portable C."""
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    every = every[np.isfinite(every)]
    x, y, w = (
        real("x", (1, 1)),
        real("y", (1, len(every))),
        real("w", (len(every), 1), every.astype(np.float32)[:, None]),
    )
    op = halved(Dense(x=x, y=y, weights=w, bias=None, rescale=linear_rescale(x, w, y)))
    (way,) = (i for i in IMPLEMENTATIONS if i.takes(op, CORTEX_M3))
    call = way.build(op, next(iter(way.schedules(op, CORTEX_M3))))
    (found,) = run_calls([call], [{op.x: np.ones((1, 1), np.float32)}], sanitize=True)
    assert np.array_equal(found[0], every.astype(np.float32))


def test_every_kernel_of_weights_reads_float16():
    """By the first schedule of each kind of core: products that are rounded equal the reference bit for bit."""
    ways: dict[str, tuple] = {}
    for op in (halved(op) for op in (*linear_cases(), *recurrent_cases())):
        for core in (CORTEX_M3, CORTEX_M4, CORTEX_M7):
            (way,) = (i for i in IMPLEMENTATIONS if i.takes(op, core))
            for schedule in list(way.schedules(op, core))[:1]:
                call = way.build(op, schedule)
                ways.setdefault(call.kernel.name, (op, call, getattr(schedule, "fused", False)))
    values = [inputs_of(op, number) for number, (op, _, _) in enumerate(ways.values())]
    given = [dict(zip(op.inputs, v, strict=True)) for (op, _, _), v in zip(ways.values(), values, strict=True)]
    made = run_all([call for _, call, _ in ways.values()], given)
    for (op, call, fused), arrays, found in zip(ways.values(), values, made, strict=True):
        assert any(b.type == "uint16_t" for b in call.kernel.buffers)
        exact = not fused and not isinstance(op, OTHERWISE)
        bounds = sum_bounds(op, *(a.astype(np.float32) for a in arrays))
        for mine, wanted, bound in zip(found, results(op, *arrays), bounds, strict=True):
            assert np.all(np.abs(mine.astype(np.float64) - wanted) <= (0 if exact else bound)), (
                f"{call.kernel.name}: {op}"
            )


@pytest.mark.parametrize("name", ["nucleo_l4r5zi", "esp32c3"])
def test_firmware_equals_the_reference_and_takes_half_the_flash(name, tmp_path):
    """By the unit's own instruction, and in integers where there is no unit."""
    path = tmp_path / "model.tflite"
    path.write_bytes(convolution(np.random.default_rng(0).normal(0, 0.01, (16, 3, 3, 12)).astype(np.float32)))
    halves, whole = compile(path, name, weight_type="float16"), compile(path, name, compiler="none")
    found = verify(halves, random_inputs(halves.model, 2), "reference", path)
    assert found.mismatches == 0 and found.largest == 0
    assert whole.plan.table_bytes - halves.plan.table_bytes == 2 * 16 * 9 * 12
    with pytest.raises(OptionError, match="use --oracle reference"):
        verify(halves, random_inputs(halves.model, 1), "tflm", path)


def test_the_command_line_says_what_changed():
    board = ("--board", "nucleo_l4r5zi", "--compiler", "none")
    done = CliRunner().invoke(main, ["compile", str(HELLO_FLOAT), *board, "--weight-type", "float16"])
    assert done.exit_code == 0 and "stored as float16" in " ".join(done.output.split()), done.output
    done = CliRunner().invoke(main, ["compile", str(HELLO), *board, "--weight-type", "float16"])
    assert done.exit_code != 0 and "leave --weight-type away" in " ".join(done.output.split())
