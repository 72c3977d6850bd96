"""`inspect` and `compile` give one answer: exit codes, reasons that people can read, warnings of sums that may wrap."""

import json
import tracemalloc

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.graphs import grow
from fuzz.host import big_board
from smelt.cli import main
from smelt.compile import compile, inspect
from smelt.errors import SmeltError, Unsupported, brief
from smelt.importers.tflite import load_tflite
from smelt.model.graph import Graph, Quantization, Tensor
from smelt.model.ops import Conv2D, Dense, DepthwiseConv2D, Lookup
from smelt.model.rescale import linear_rescale
from smelt.passes import prepare
from smelt.passes.sums import wrapping_sums
from tests.importer_cases import one_op
from tests.paths import DATA
from tests.tflite_writer import ModelWriter

SMALL = sorted(p for p in DATA.rglob("*.tflite") if p.stat().st_size < 100_000)


def answers(path):
    """The exit codes of inspect and compile, on a board on which everything fits."""
    try:
        refusal = inspect(path).refusal
    except SmeltError as error:
        refusal = error
    try:
        compile(path, big_board(), compiler="none")
    except SmeltError as error:
        return refusal.exit_code if refusal else 0, error.exit_code
    return refusal.exit_code if refusal else 0, 0


@pytest.mark.parametrize("path", SMALL, ids=lambda p: p.stem)
def test_inspect_and_compile_agree_about_files(path):
    promised, kept = answers(path)
    assert promised == kept


@pytest.mark.parametrize("number", range(40))
def test_inspect_and_compile_agree_about_graphs(number, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(grow(77, number)[0])
    promised, kept = answers(path)
    assert promised == kept


@pytest.mark.parametrize("classes", [4095, 4096, 5000])
def test_what_kernels_cannot_compute_is_no_promise(classes, tmp_path):
    case = one_op("SOFTMAX", (1, classes), (1, classes), y_q=(1 / 256, -128), Beta=1.0)
    path = tmp_path / "model.tflite"
    path.write_bytes(case[0].finish(case[1], case[2]))
    inspection = inspect(path)
    assert answers(path) == ((0, 0) if classes == 4095 else (4, 4))
    assert bool(inspection.summary.problems) == (classes > 4095)


@pytest.mark.parametrize(("name", "code"), [("sm5000", 4), ("mini_pack", 3), ("conv_zero_scale", 0), ("fc_wrap", 0)])
def test_the_command_line_says_the_same(name, code):
    path = str(DATA / "cases" / f"{name}.tflite")
    shown = CliRunner().invoke(main, ["inspect", path, "--json"])
    assert shown.exit_code == code
    compiled = CliRunner().invoke(main, ["compile", path, "--board", "nucleo_h743zi", "--compiler", "none", "--json"])
    assert compiled.exit_code == code
    warned = name == "fc_wrap"
    assert len(json.loads(shown.stdout)["warnings"]) == warned
    if code == 0:
        assert len(json.loads(compiled.stdout)["warnings"]) == warned
        assert compiled.stderr.count("warning: ") == shown.stderr.count("warning: ") == warned


# Reasons


def test_reasons_of_one_cause_are_one():
    lines = [f"operator {n} CONV_2D 'layer{n}': input 'x{n}' has the scale 1e-{n + 40}" for n in range(2000)]
    (line,) = brief(lines)
    assert line.startswith("2000 operators (0 CONV_2D, 1 CONV_2D") and "input 'x0'" in line


def test_reasons_are_few_and_short():
    lines = [f"operator {n} ADD 'y': {'much ' * 20} of kind {chr(65 + n % 26)}{chr(65 + n // 26)}" for n in range(400)]
    found = brief(lines)
    assert len(found) <= 21 and sum(map(len, found)) < 4200
    assert found[-1] == f"... and {400 - len(found) + 1} more"
    assert brief(found) == found  # once is enough


def test_names_are_shortened():
    (line,) = brief([f"operator 3 ADD '{'a' * 5000}': no"])
    assert len(line) < 100 and "aaa..." in line


def test_a_model_with_very_many_refused_operators_is_refused_briefly():
    w = ModelWriter()
    x = first = w.tensor("x", (1, 4), "int8", 0.5, 0)
    for n in range(1500):
        y = w.tensor(f"{'long_name_' * 20}{n}", (1, 4), "int8", 0.5, n % 100)
        code = ("TANH", "LOGISTIC", "SOFTMAX")[n % 3]
        w.op(code, [x], [y], **({"Beta": 1.0} if code == "SOFTMAX" else {}))
        x = y
    with pytest.raises(Unsupported) as refused:
        load_tflite(w.finish([first], [x]), "many")
    assert len(refused.value.reasons) == 3
    assert len(str(refused.value)) < 1500


# Sums


def tensor(name, shape, data=None, dtype="int8", scale=0.05, zero=0):
    return Tensor(name, shape, dtype, Quantization((scale,), (zero,)), data)


def dense(depth, weight=127, bias=0, x=None, zero=0, y_scale=1e6):
    x = x or tensor("x", (1, depth), zero=zero)
    weights = tensor("w", (1, depth), np.full((1, depth), weight, np.int8))
    b = Tensor("b", (1,), "int32", None, np.array([bias], np.int32))
    y = tensor("y", (1, 1), scale=y_scale)
    rescale = linear_rescale(x, weights, y)
    return Dense(x=x, weights=weights, bias=b, y=y, rescale=rescale, origin="operator 7 FULLY_CONNECTED")


def warned(*ops):
    graph = Graph("g", (ops[0].x,), (ops[-1].y,), ops).check()
    found = wrapping_sums(graph)
    assert len(found) <= 1
    return bool(found)


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (dense(1000), False),
        (dense(132_104), False),  # times 127 times 128 just fits
        (dense(132_105), True),
        (dense(70_000, zero=127), True),
        (dense(70_000, zero=0), False),
        (dense(10, bias=2**31 - 1), True),
        (dense(10, bias=2**31 - 1 - 127 * 127 * 10), False),
        (dense(10, weight=0, bias=-(2**31)), False),
        (dense(100_000, y_scale=0.05 * 0.05 / 128), True),  # what the left shift of the multiplier pushes out
    ],
)
def test_sums_of_dense_layers(op, expected):
    assert warned(op) == expected


def test_the_range_of_what_is_read_counts():
    """A table that gives -10 to 10 makes a sum safe that int8 at large would not be."""
    x, small = tensor("x", (100, 2000)), tensor("small", (100, 2000))
    narrow = tensor("table", (256,), np.clip(np.arange(-128, 128), -10, 10).astype(np.int8))
    assert not warned(Lookup(x=x, table=narrow, y=small), dense(200_000, x=small))
    assert warned(dense(200_000))


def test_declared_sizes_cost_no_memory():
    """A tensor of 2^26 channels is no reason to hold bounds of each."""
    x, y = tensor("huge", (1, 1 << 26)), tensor("also", (1, 1 << 26))
    table = tensor("table", (256,), np.zeros(256, np.int8))
    other, safe = dense(200_000), dense(20, x=tensor("z", (1, 20)))
    tracemalloc.start()
    ops = (Lookup(x=x, table=table, y=y), other, safe)
    (warning,) = wrapping_sums(Graph("g", (x, other.x, safe.x), (y, other.y, safe.y), ops))
    assert warning.count("operator 7") == 1
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()


def test_warnings_name_operators_and_channels():
    (warning,) = wrapping_sums(Graph("g", ((op := dense(200_000)).x,), (op.y,), (op,)))
    assert "operator 7 FULLY_CONNECTED (1 of 1 channels)" in warning


@given(st.integers(0, 2**32 - 1))
@settings(derandomize=True, max_examples=60, deadline=None, database=None)
def test_no_warning_is_a_proof(seed):
    """Convolutions of every kind with biases near the ends of int32: no sum of any input leaves it without a warning."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(["conv", "grouped", "depthwise"])
    depth = 4
    shape = {"conv": (2, 2, 2, 4), "grouped": (2, 2, 2, 2), "depthwise": (1, 2, 2, 4)}[kind]
    channels = shape[-1] if kind == "depthwise" else shape[0]
    data = rng.integers(-128, 128, shape).astype(np.int8)
    bias = (rng.choice([-1, 1], channels) * (2**31 - rng.integers(1, 600_000, channels))).astype(np.int32)
    x, y = tensor("x", (1, 2, 2, depth), zero=int(rng.integers(-128, 128))), tensor("y", (1, 1, 1, channels), scale=9.0)
    common = dict(x=x, weights=tensor("w", shape, data), bias=Tensor("b", (channels,), "int32", None, bias), y=y)
    common["rescale"] = linear_rescale(x, common["weights"], y)
    op = DepthwiseConv2D(**common) if kind == "depthwise" else Conv2D(**common)
    values = np.array([-128, 127]) - x.q.zero_point
    if kind == "depthwise":
        taps = data.reshape(-1, channels).T
    else:
        taps = data.reshape(channels, -1)
    ends = np.sort(taps.astype(np.int64)[:, :, None] * values, axis=2).sum(axis=1)
    least, most = bias + ends[:, 0], bias + ends[:, 1]
    wraps = bool(np.any(least < -(2**31)) or np.any(most >= 2**31))
    assert warned(op) == wraps


def test_preparing_keeps_the_names_of_operators():
    """Warnings are about the prepared graph, and name operators of the file."""
    graph = prepare(load_tflite((DATA / "cases" / "fc_wrap.tflite").read_bytes(), "fc_wrap"))
    assert "operator 0 FULLY_CONNECTED" in wrapping_sums(graph)[0]
