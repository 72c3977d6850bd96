"""Post-training quantisation: what calibration, rounding and correction bring, and files that mean the same to onnxruntime."""

from dataclasses import replace
from math import inf

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from smelt.errors import OptionError, Unsupported
from smelt.importers import load
from smelt.importers.onnx_load import load_onnx
from smelt.importers.onnx_metadata import metadata
from smelt.model.graph import Quantization
from smelt.model.ops import (
    Add,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Linear,
    Mean,
    Reshape,
    ResizeNearest,
    Slice,
    Softmax,
    Transpose,
    Unary,
)
from smelt.model.ops_pointwise import Div
from smelt.model.reference import computes_reals, results, run
from smelt.passes import prepare
from smelt.quantization.batches import can_batch, forward, outputs_of
from smelt.quantization.equalization import equalised
from smelt.quantization.layers import Choice, quantised_layers, simulated
from smelt.quantization.products import filters_of, is_product, sums_of, weights_of
from smelt.quantization.quantize import Settings, calibrated, quantise
from smelt.quantization.ranges import Histogram, faked, int8_of, sqnr
from smelt.quantization.rounding import adaptive, moments, nearest, scales_of
from smelt.quantization.scheme import FUNCTIONS, scheme
from smelt.quantization.sensitivity import layers_for_fewer_bits
from tests.float_networks import Network, residual, varied
from tests.paths import SHARED


def by_onnxruntime(file, x):
    """Fused, and exact where the processor has no instruction for sums of bytes."""
    options = ort.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    (edge,) = session.get_inputs()
    turned = x.transpose(0, 3, 1, 2) if x.ndim == 4 else x
    return np.concatenate([session.run(None, {edge.name: turned[i : i + 1]})[0] for i in range(len(x))])


def quality(graph, found, x):
    """Signal to noise of the integer graph, in dB."""
    return sqnr(forward(prepare(graph), [x])[0], outputs_of(prepare(found.graph), [x])[0])


# The network of integers


def test_the_file_means_the_same_to_onnxruntime_and_back():
    graph, x = residual()
    found = quantise(graph, [x[:64]])
    onnx.checker.check_model(onnx.load_from_string(found.file), full_check=True)
    assert not computes_reals(found.graph)
    mine = outputs_of(found.graph, [x])[0]
    assert np.array_equal(mine, by_onnxruntime(found.file, x))
    again = load_onnx(found.file, "again")
    assert np.array_equal(mine, outputs_of(again, [x])[0])


def test_the_loaded_graph_has_the_integers_that_were_chosen():
    graph, x = residual()
    found = quantise(graph, [x])
    loaded = [op for op in found.graph.ops if isinstance(op, Linear)]
    assert len(loaded) == len(found.layers) == 5
    for op, layer in zip(loaded, found.layers, strict=True):
        assert type(op) is type(layer.op) and op.rescale.rounding == "ties_even"
        assert np.array_equal(op.bias.data, layer.bias)
        if not isinstance(op, Dense):  # whose columns may lie in another order
            assert np.array_equal(op.weights.data, layer.stored)
        assert np.array_equal(np.float32(op.weights.q.scales), layer.scales)


def test_varied_operators_are_integers_and_near_onnxruntime():
    graph, x = varied()
    found = quantise(graph, [x])
    onnx.checker.check_model(onnx.load_from_string(found.file), full_check=True)
    assert not computes_reals(found.graph)
    assert quality(graph, found, x) > 25
    step = found.graph.ops[-1].x.q.scale
    difference = np.abs(outputs_of(found.graph, [x])[0] - by_onnxruntime(found.file, x))
    assert difference.max() <= 2.01 * step and (difference > 0).mean() < 0.1


def test_the_simulation_is_what_the_integers_compute():
    """But for what lies within the rounding of float sums."""
    graph, x = residual()
    ready = prepare(graph)
    given = scheme(ready, calibrated(ready, [x], lambda *_: None), "minmax", 99.99)
    layers = quantised_layers(ready, [x], given, {op: Choice() for op in ready.ops if isinstance(op, Linear)})
    found = outputs_of(quantise(graph, [x]).graph, [x])[0]
    same = simulated(ready, [x], given, layers)[0] == found
    assert same.mean() > 0.98


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_become_tables(function):
    """Of bytes, with the formula of onnxruntime."""
    n = Network((1, 12))
    clamp = (0.0, inf) if function == "sqrt" else (-inf, inf)
    x = n.linear(Dense, n.x, (9, 12), (1, 9), clamp)
    graph, data = n.graph(n.add(Unary, (1, 9), x=x, function=function, alpha=0.1)), n.data(60)
    found = quantise(graph, [data])
    assert not computes_reals(prepare(found.graph)) and quality(graph, found, data) > 20
    assert np.array_equal(outputs_of(found.graph, [data])[0], by_onnxruntime(found.file, data))


def test_movements_keep_their_scale_and_order():
    """Between images and rows in both directions, along every axis."""
    n = Network((1, 6, 6, 4))
    first = n.linear(Conv2D, n.x, (8, 3, 3, 4), (1, 4, 4, 8))
    part = n.add(Slice, (1, 2, 4, 4), x=first, begin=(0, 3, 0, 2), stride=(1, -2, 1, 1))
    turned = n.add(Transpose, (1, 4, 2, 4), x=part, permutation=(0, 3, 1, 2))
    larger = n.add(ResizeNearest, (1, 8, 4, 4), x=turned)
    rows = n.add(Reshape, (1, 8, 16), x=larger)
    image = n.add(Reshape, (1, 4, 8, 4), x=rows)
    second = n.linear(Conv2D, image, (6, 1, 1, 4), (1, 4, 8, 6))
    means = n.add(Mean, (1, 1, 1, 6), x=second, axes=(1, 2))
    column = n.add(Mean, (1, 8, 6), x=second, axes=(1,))
    both = n.add(Add, (1, 8, 6), x=column, x2=n.add(Reshape, (1, 1, 6), x=means), clamp=(-inf, inf))
    graph, x = n.graph(n.linear(Dense, both, (3, 48), (1, 3), (-inf, inf))), n.data(64)
    found = quantise(graph, [x])
    onnx.checker.check_model(onnx.load_from_string(found.file), full_check=True)
    assert quality(graph, found, x) > 25
    step = found.graph.ops[-1].x.q.scale
    difference = np.abs(outputs_of(found.graph, [x])[0] - by_onnxruntime(found.file, x))
    assert difference.max() <= 2.01 * step and (difference > 0).mean() < 0.1


def test_softmax_ends_at_a_256th():
    graph, x = residual(softmax=True)
    found = quantise(graph, [x])
    assert [op.y.q for op in found.graph.ops if isinstance(op, Softmax)] == [Quantization((1 / 256,), (-128,))]
    assert found.sqnr > 25


# What each part brings


def test_correction_takes_the_mean_error_away():
    graph, x = residual()
    wanted = forward(prepare(graph), [x])[0]

    def bias_of(correct):
        found = quantise(graph, [x], Settings(weight_bits="4", rounding="nearest", correct=correct))
        return np.abs((outputs_of(found.graph, [x])[0] - wanted).mean(0)).max(), quality(graph, found, x)

    (before, noisy), (after, better) = bias_of(False), bias_of(True)
    assert after < before / 3 and better > noisy + 1


def test_adaptive_rounding_beats_the_nearest_on_other_inputs():
    graph, x = residual()
    both = (Settings(weight_bits="4", rounding=how, kept_wide=0) for how in ("nearest", "adaptive"))
    four = [quantise(graph, [x[:64]], settings) for settings in both]
    plain, adapted = (quality(graph, found, x[64:]) for found in four)
    assert adapted > plain + 2
    assert all(op.weights.dtype == "int4" for op in four[1].graph.ops if isinstance(op, Linear))
    assert four[1].weight_bytes <= sum(layer.stored.size for layer in four[1].layers) // 2 + 5


def test_four_bits_are_given_to_layers_that_can_do_with_them():
    graph, x = residual()
    found = [quantise(graph, [x], Settings(weight_bits="auto", least_sqnr=least)) for least in (60.0, 22.0, 0.0)]
    bits = [[layer.bits for layer in one.layers] for one in found]
    assert set(bits[0]) == {8} and set(bits[1]) == {4, 8} and set(bits[2]) == {4}
    assert found[1].sqnr > 20


def test_of_four_bits_the_most_sensitive_layers_keep_eight():
    """Those that lose most for each weight, within the share of weights that may; the outputs are nearer to float by it."""
    graph, x = residual()
    none, some = (quantise(graph, [x], Settings(weight_bits="4", kept_wide=share)) for share in (0.0, 0.2))
    assert {layer.bits for layer in none.layers} == {4}
    kept = [layer.stored.size for layer in some.layers if layer.bits == 8]
    assert 0 < sum(kept) <= 0.2 * sum(layer.stored.size for layer in some.layers)
    assert quality(graph, some, x) > quality(graph, none, x) + 0.5
    rows = [(10 ** (-row.alone / 10) / row.weights, row.name) for row in none.table if row.alone is not None]
    wide = {layer.op.y.name for layer in some.layers if layer.bits == 8}
    assert max(rows)[1] in wide and min(rows)[1] not in wide


def test_fewer_bits_go_where_they_save_most_per_noise():
    n = Network((1, 4, 4, 4))
    small = n.linear(Conv2D, n.x, (4, 1, 1, 4), (1, 4, 4, 4))
    n.linear(Conv2D, small, (64, 1, 1, 4), (1, 4, 4, 64))
    first, second = n.ops
    assert layers_for_fewer_bits({first: 1e-3, second: 1e-3}, 0.0, 29.0) == {second}
    assert layers_for_fewer_bits({first: 1e-3, second: 1e-3}, 1.0, 29.0) == frozenset()


def test_equalisation_changes_no_real_and_balances_channels():
    n = Network((1, 6, 6, 3), 5)
    a = n.linear(Conv2D, n.x, (8, 3, 3, 3), (1, 4, 4, 8))
    b = n.linear(DepthwiseConv2D, a, (1, 3, 3, 8), (1, 2, 2, 8))
    n.linear(Dense, b, (5, 32), (1, 5), (-inf, inf))
    x = n.data(20)
    graph = n.graph(n.ops[-1].y)
    w = graph.ops[0].weights
    uneven = w.data * np.geomspace(0.05, 20, 8, dtype=np.float32).reshape(-1, 1, 1, 1)
    graph = graph.substitute({w: replace(w, data=uneven)})
    even = equalised(graph)
    assert np.allclose(forward(graph, [x])[0], forward(even, [x])[0], rtol=1e-4, atol=1e-4)

    def spread(g):
        most = np.abs(g.ops[0].weights.data).max((1, 2, 3))
        return most.max() / most.min()

    assert spread(even) < spread(graph) / 4
    assert quality(graph, quantise(graph, [x], Settings(equalise=True)), x) > 25


@pytest.mark.parametrize("method", ["percentile", "mse", "entropy"])
def test_methods_ignore_outliers(method):
    """One value far out widens min-max, and not the others; none leaves out more than the last of 1000 values."""
    random, seen = np.random.default_rng(0), Histogram()
    for _ in range(20):
        seen.add(random.normal(0, 1, 20_000), "x")
    seen.add(np.array([40.0]), "x")
    low, high = seen.range(method)
    assert seen.range("minmax")[1] == 40 and -5 < low < -2.9 and high < 30


def test_histograms_stay_as_large_as_they_are():
    seen = Histogram()
    for scale in (1e-3, 1.0, 1e3):
        seen.add(np.linspace(-scale, scale, 1000), "x")
    assert seen.counts.size == 4096 and seen.counts.sum() == 3000 and (seen.low, seen.high) == (-1e3, 1e3)
    for wrong in (np.nan, np.inf):
        with pytest.raises(OptionError, match="'x' is not finite"):
            seen.add(np.array([0.0, wrong]), "x")


def test_scales_keep_zero_exact():
    for ends in ((-1.0, 2.0), (0.0, 5.0), (0.5, 3.0), (-3.0, -1.0), (0.0, 0.0)):
        q = int8_of(ends)
        assert faked(np.zeros(1, np.float32), q)[0] == 0 and -128 <= q.zero_point <= 127
        x = np.linspace(min(ends[0], 0), max(ends[1], 0), 50, dtype=np.float32)
        assert np.abs(faked(x, q) - x).max() <= q.scale * 0.51


def test_adaptive_rounding_lowers_the_error_of_sums():
    random = np.random.default_rng(3)
    mix = random.normal(0, 1, (24, 24))
    x = (random.normal(0, 1, (1, 500, 24)) @ mix).astype(np.float32)
    w = random.normal(0, 1, (1, 6, 24)).astype(np.float32)
    scales, seen = scales_of(w, 4, True), moments(x, x)

    def error(q):
        return np.square(x @ (q * scales[..., np.newaxis] - w).transpose(0, 2, 1)).mean()

    adapted = adaptive(w, scales, 4, seen)
    assert error(adapted) < error(nearest(w, scales, 4)) / 2
    assert adapted.min() >= -8 and adapted.max() <= 7 and np.array_equal(adapted, np.rint(adapted))


def test_named_layers_are_int16():
    graph, x = residual()
    name = prepare(graph).ops[-1].y.name
    found = quantise(graph, [x], Settings(int16=(name,)))
    assert [row.activation for row in found.table][-1] == "int16"
    onnx.checker.check_model(onnx.load_from_string(found.file), full_check=True)
    assert quality(graph, found, x) > 25
    with pytest.raises(OptionError, match="no layer is called 'nothing'"):
        quantise(graph, [x], Settings(int16=("nothing",)))


# Parts


@pytest.mark.parametrize("make", [residual, varied])
def test_products_equal_the_reference(make):
    graph, x = make()
    values = dict(zip(graph.inputs, [x[:1]], strict=True))
    for op in graph.ops:
        arrays = [t.data if t.is_constant else values[t] for t in op.inputs]
        (values[op.y],) = results(op, *arrays)
        if isinstance(op, Linear):
            assert is_product(op)
            assert np.array_equal(weights_of(op, filters_of(op, arrays[1])), arrays[1])
            total = np.clip(sums_of(op, arrays[0], arrays[1]) + arrays[2], *op.clamp)
            assert np.allclose(total, values[op.y], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("make", [residual, varied])
def test_batches_equal_single_runs(make):
    graph, x = make()
    found = quantise(graph, [x]).graph
    assert can_batch(found) and can_batch(graph)
    each = np.concatenate([run(found, [x[i : i + 1]])[0] for i in range(6)])
    assert np.array_equal(outputs_of(found, [x[:6]])[0], each)
    real = np.concatenate([run(graph, [x[i : i + 1]])[0] for i in range(6)])
    assert np.allclose(outputs_of(graph, [x[:6]])[0], real, rtol=1e-3, atol=1e-4)


def test_metadata_come_back():
    graph, x = residual()
    assert metadata(quantise(graph, [x], Settings(metadata={"smelt.mean": "1,2", "a": "é"})).file) == {
        "smelt.mean": "1,2",
        "a": "é",
    }


def test_what_cannot_be_quantised_is_told():
    graph, x = residual()
    with pytest.raises(OptionError, match="no data"):
        quantise(graph, [x[:0]])
    with pytest.raises(OptionError, match=r"data of shape \(96, 4, 8, 3\)"):
        quantise(graph, [x[:, :4]])
    with pytest.raises(OptionError, match="'x' is not finite"):
        quantise(graph, [np.full_like(x, np.nan)])
    with pytest.raises(Unsupported, match="it is quantised already"):
        quantise(load("smelt/assets/resnet8.tflite"), [x])
    own = load_onnx(quantise(graph, [x]).file, "own")  # whose edges are reals
    with pytest.raises(Unsupported, match="it is quantised already: give the float model"):
        quantise(own, [x])
    n = Network((1, 4))
    n.add(Div, (1, 4), x=n.x, x2=n.x, clamp=(-inf, inf))
    with pytest.raises(Unsupported, match="Div 'div0' is not quantised"):
        quantise(n.graph(n.ops[-1].y), [n.data(4)])


# Real models


@pytest.mark.extra
@pytest.mark.parametrize(
    ("settings", "agreement", "noise", "accuracy"),
    [
        (Settings(), 0.97, 30.0, 0.74),
        (Settings(weight_bits="4"), 0.94, 25.0, 0.72),
    ],
    ids=["8 bits", "4 bits"],
)
def test_resnet8(settings, agreement, noise, accuracy):
    """Calibrated on every fifth of 500 pictures, judged on the others."""
    with np.load(SHARED / "inputs" / "cifar10_test_500.npz") as cifar:
        x, labels = cifar["images"].astype(np.float32), cifar["labels"]
    graph = prepare(load(SHARED / "models" / "mlperf_tiny" / "pretrainedResnet.tflite"))
    graph = replace(graph, ops=graph.ops[:-1], outputs=(graph.ops[-1].x,))  # without the softmax
    others, right = np.delete(x, np.s_[::5], 0), np.delete(labels, np.s_[::5])
    found = prepare(quantise(graph, [x[::5]], settings).graph)
    parts = [others[i : i + 50] for i in range(0, 400, 50)]
    wanted, got = (np.concatenate([outputs_of(g, [part])[0] for part in parts]) for g in (graph, found))
    assert (wanted.argmax(1) == got.argmax(1)).mean() >= agreement
    assert sqnr(wanted, got) >= noise
    assert (got.argmax(1) == right).mean() >= accuracy
