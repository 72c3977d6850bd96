"""Numbers at the edges of what the oracle computes: exact there, or refused with a reason."""

import numpy as np
import pytest

from fuzz.host import run_on_host
from fuzz.judge import as_kernels, as_the_oracle, first_difference
from fuzz.oracle import RemoteOracle
from smelt.errors import ModelError, SmeltError, Unsupported
from smelt.importers import load
from smelt.importers.tflite import load_tflite
from smelt.model.reference import run
from tests.importer_cases import contradiction, refusal, strided
from tests.oracle import need_oracle
from tests.paths import DATA
from tests.tflite_writer import ModelWriter
from tests.tiny_firmware import need

CASES = DATA / "cases"
EXACT = ("lr_neg", "conv_zero_scale", "fc_zero_scale", "fc_wrap", "mini_u8")
REFUSED = {
    "ss_shrink_beginmask": (Unsupported, "shrunk"),
    "ss_shrink_negstride": (Unsupported, "shrunk"),
    "mini_relu6": (Unsupported, "no normal positive float32"),
    "mini_relu6b": (Unsupported, "limit 6"),
    "mini_deq": (Unsupported, "leave float32"),
    "mini_logistic": (Unsupported, "out of range"),
    "mini_avgr6": (Unsupported, "no normal positive float32"),
    "mini_pack": (ModelError, "values_count is 7"),
}
EVERY_INT8 = np.arange(-128, 128).astype(np.int8)


@pytest.fixture(scope="module")
def oracle():
    need_oracle()
    found = RemoteOracle()
    yield found
    found.close()


def inputs_of(graph):
    rng = np.random.default_rng(0)
    every = [np.resize(EVERY_INT8, t.shape) for t in graph.inputs]
    ends = [np.where(rng.random(t.shape) < 0.9, -128, 127).astype(np.int8) for t in graph.inputs]
    some = [rng.integers(-128, 128, t.shape, np.int8) for t in graph.inputs]
    return [[a.view(t.dtype) for a, t in zip(arrays, graph.inputs, strict=True)] for arrays in (every, ends, some)]


def verdict(model, oracle, xs):
    """ "refused", or that the reference gives what the oracle gives."""
    try:
        graph = load_tflite(model, "model")
    except SmeltError as error:
        assert isinstance(error, ModelError | Unsupported)
        return "refused"
    assert not first_difference(graph, [xs], oracle.run(model, [xs]), as_the_oracle)
    return "exact"


@pytest.mark.parametrize("name", EXACT)
def test_cases_that_are_exact(name, oracle):
    """The reference and the generated C give what the oracle gives."""
    need("gcc")
    path = CASES / f"{name}.tflite"
    graph = load(path)
    inputs = inputs_of(graph)
    assert not first_difference(graph, inputs, oracle.run(path.read_bytes(), inputs), as_the_oracle)
    assert not first_difference(graph, inputs, run_on_host(path, inputs), as_kernels)


@pytest.mark.parametrize("name", REFUSED)
def test_cases_that_are_refused(name):
    kind, words = REFUSED[name]
    with pytest.raises(kind, match=words):
        load(CASES / f"{name}.tflite")


def unary(code, x_q, y_q, **options):
    w = ModelWriter()
    x, y = w.tensor("x", (1, 256), "int8", *x_q), w.tensor("y", (1, 256), "int8", *y_q)
    w.op(code, [x], [y], version=2, **options)
    return w.finish([x], [y])


@pytest.mark.parametrize("alpha", [-0.25, -0.5, -0.375, -0.75, -1.0, -2.0, -0.0, -1.625, -3e-5, -250.0])
@pytest.mark.parametrize("zero", [-128, 3, 127])
def test_negative_slopes(alpha, zero, oracle):
    for y_scale in (1.0, 0.5, 4.0, 0.3):
        model = unary("LEAKY_RELU", (1.0, zero), (y_scale, -zero - 1), Alpha=alpha)
        assert verdict(model, oracle, [EVERY_INT8.reshape(1, 256)]) == "exact"


FIXED = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0), "SOFTMAX": (1 / 256, -128)}
CODES = ("RELU", "RELU6", "LEAKY_RELU", "HARD_SWISH", "QUANTIZE", *FIXED)


@pytest.mark.parametrize("code", CODES)
def test_every_magnitude_of_a_scale(code, oracle):
    """From the smallest to the largest float32, for x, for y and for both: exact or refused, and sane ones are exact."""
    options = {"LEAKY_RELU": {"Alpha": -0.375}, "SOFTMAX": {"Beta": 1.0}}.get(code, {})
    sane = 0
    for exponent in [*range(-149, 128, 9), *range(-40, 41, 3)]:
        scale = float(np.float32(1.7 * 2.0 ** min(exponent, 126)))
        pairs = [(scale, scale)] if code == "RELU6" else [(scale, 1.0), (1.0, scale), (scale, scale)]
        for x_scale, y_scale in [(scale, None)] if code in FIXED else pairs:
            y_q = FIXED.get(code) or (y_scale, 5)
            found = verdict(unary(code, (x_scale, 5), y_q, **options), oracle, [EVERY_INT8.reshape(1, 256)])
            sane += found == "exact" and 2**-8 < scale < 2**8
    assert sane >= 5


@pytest.mark.parametrize("code", ["CONV_2D", "FULLY_CONNECTED"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("scales", [(0.0, 0.01), (0.0, 0.0), (0.0,)])
def test_dead_channels_give_the_zero_point(code, bias, scales, oracle):
    """Whatever their weights and bias are."""
    w, shape = ModelWriter(), (2, 1, 1, 6) if code == "CONV_2D" else (2, 6)
    x = w.tensor("x", (1, 2, 2, 6), "int8", 0.05, 3)
    weights = w.tensor("w", shape, "int8", scales, 0, np.arange(12).reshape(shape), axis=0)
    more = [w.tensor("b", (2,), "int32", [s * 0.05 for s in scales], 0, [1000, -7], axis=0)] if bias else []
    y = w.tensor("y", (1, 2, 2, 2), "int8", 0.1, -9)
    w.op(code, [x, weights, *more], [y], version=4, **({"StrideW": 1, "StrideH": 1} if code == "CONV_2D" else {}))
    model = w.finish([x], [y])
    graph = load_tflite(model, "model")
    xs = inputs_of(graph)[2]
    (result,) = run(graph, xs)
    assert np.all(result.reshape(-1, 2)[:, 0] == -9)
    assert verdict(model, oracle, xs) == "exact"


@pytest.mark.parametrize("role", ["x", "y"])
@pytest.mark.parametrize("scale", [0.0, 1e-45, 1e-39])
def test_activations_need_a_normal_scale(role, scale):
    w = ModelWriter()
    x = w.tensor("x", (1, 4), "int8", scale if role == "x" else 0.5, 0)
    y = w.tensor("y", (1, 4), "int8", scale if role == "y" else 0.5, 0)
    w.op("RELU", [x], [y])
    assert any("no normal positive float32" in reason for reason in refusal(w, [x], [y]))


@pytest.mark.parametrize("role", ["x", "y"])
def test_scales_without_zero_points(role):
    """TFLM does not read such scales at all."""
    w = ModelWriter()
    x, y = (w.tensor(name, (1, 4), "int8", 0.5, () if name == role else 0) for name in "xy")
    w.op("RELU", [x], [y])
    assert any("no zero point" in reason for reason in refusal(w, [x], [y]))


@pytest.mark.parametrize("masks", [{"BeginMask": 1}, {"EndMask": 1}, {"BeginMask": 1, "EndMask": 1}])
def test_masks_on_a_shrunk_axis(masks):
    assert "shrunk" in "\n".join(refusal(*strided((4, 5), (5,), [1], [2], [1], ShrinkAxisMask=1, **masks)))


@pytest.mark.parametrize("stride", [-1, 2, -3])
def test_strides_on_a_shrunk_axis(stride):
    assert "shrunk" in "\n".join(refusal(*strided((4, 5), (5,), [1], [2], [stride], ShrinkAxisMask=1)))


def test_shrunk_axes_of_shapes():
    """The integers that smelt computes while it reads a file follow the same rules."""
    w = ModelWriter()
    x, shape, one = w.tensor("x", (2, 3), "int8", 0.5, 0), w.tensor("shape", (2,), "int32"), w.tensor("n", (), "int32")
    wanted, y = w.tensor("wanted", (2,), "int32"), w.tensor("y", (2, 3), "int8", 0.5, 0)
    w.op("SHAPE", [x], [shape])
    bounds = [w.constant(name, [value]) for name, value in (("begin", 0), ("end", 1), ("stride", 1))]
    w.op("STRIDED_SLICE", [shape, *bounds], [one], ShrinkAxisMask=1, BeginMask=1)
    w.op("PACK", [one, w.constant("three", 3)], [wanted], Axis=0, ValuesCount=2)
    w.op("RESHAPE", [x, wanted], [y])
    assert "shrunk" in "\n".join(refusal(w, [x], [y]))


@pytest.mark.parametrize("count", [0, 1, 3, 7, -1])
def test_counts_of_pack_and_unpack(count):
    w = ModelWriter()
    a, b = (w.tensor(name, (3,), "int8", 0.5, 0) for name in "ab")
    y = w.tensor("y", (2, 3), "int8", 0.5, 0)
    w.op("PACK", [a, b], [y], Axis=0, ValuesCount=count)
    assert "values_count" in contradiction(w, [a, b], [y])
    w = ModelWriter()
    x = w.tensor("x", (2, 3), "int8", 0.5, 0)
    ys = [w.tensor(name, (3,), "int8", 0.5, 0) for name in "ab"]
    w.op("UNPACK", [x], ys, Axis=0, Num=count)
    assert "option num" in contradiction(w, [x], ys)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "int64", "bool"])
@pytest.mark.parametrize("shape_only", [False, True])
def test_inputs_that_no_operator_reads(dtype, shape_only):
    """Or only for their shape: they stay inputs, of their type."""
    w = ModelWriter()
    extra, x = w.tensor("extra", (2, 2), dtype, 0.5, 0), w.tensor("x", (4,), "int8", 0.5, 0)
    y = w.tensor("y", (2, 2), "int8", 0.5, 0)
    if shape_only:
        shape = w.tensor("shape", (2,), "int32")
        w.op("SHAPE", [extra], [shape])
    else:
        shape = w.constant("shape", [2, 2])
    w.op("RESHAPE", [x, shape], [y])
    graph = load_tflite(w.finish([extra, x], [y]), "model")
    assert [t.dtype for t in graph.inputs] == [dtype, "int8"] and len(graph.ops) == 1


@pytest.mark.parametrize("code", ["ADD", "SUB", "MUL"])
def test_operands_without_effect(code, tmp_path):
    """Scales so different that a factor is zero: the C is exact, and compilers do not warn of what it does not use."""
    need("gcc")
    w = ModelWriter()
    x, x2 = w.tensor("x", (1, 9), "int8", 0.5, 3), w.tensor("x2", (1, 9), "int8", 0.5 * 2.0**-40, -3)
    y = w.tensor("y", (1, 9), "int8", 0.5, 0)
    w.op(code, [x, x2], [y], version=2)
    path = tmp_path / "model.tflite"
    path.write_bytes(w.finish([x, x2], [y]))
    graph = load(path)
    inputs = inputs_of(graph)
    assert not first_difference(graph, inputs, run_on_host(path, inputs), as_kernels)


def test_dequantised_values_that_are_moved_are_still_known():
    """Too many steps of the next scale: what C makes of such floats is undefined, whatever moves them in between."""
    w = ModelWriter()
    x, real, y = (
        w.tensor("x", (2, 3), "int8", 1e9, 0),
        w.tensor("r", (2, 3), "float32"),
        w.tensor("y", (3, 2), "int8", 0.1, 0),
    )
    turned = w.tensor("t", (3, 2), "float32")
    w.op("DEQUANTIZE", [x], [real])
    w.op("TRANSPOSE", [real, w.constant("order", [1, 0])], [turned])
    w.op("QUANTIZE", [turned], [y])
    assert "too many steps" in "\n".join(refusal(w, [x], [y]))


def test_shifts_of_more_than_a_word():
    w = ModelWriter()
    x, middle, y = (
        w.tensor("x", (4,), "int8", 0.5, 0),
        w.tensor("m", (4,), "int32", 0.5, 0),
        w.tensor("y", (4,), "int8", 1e-12, 0),
    )
    w.op("QUANTIZE", [x], [middle])
    w.op("QUANTIZE", [middle], [y])
    assert "must be below 2^30" in "\n".join(refusal(w, [x], [y]))


FAR, NEAR = (1e9, 0.1), (1e-6, 1e-12)  # scales; what rounds makes 1 of reals that are near 0
ROUNDING = ("FLOOR", "CEIL", "ROUND")


@pytest.mark.parametrize(
    "code, scales", [*((code, FAR) for code in (*ROUNDING, "ABS", "NEG", "RELU")), *((code, NEAR) for code in ROUNDING)]
)
def test_dequantised_values_that_a_function_changes_are_still_known(code, scales):
    w = ModelWriter()
    x, y = (w.tensor(name, (4,), "int8", scale, 0) for name, scale in zip("xy", scales, strict=True))
    real, changed = w.tensor("r", (4,), "float32"), w.tensor("c", (4,), "float32")
    w.op("DEQUANTIZE", [x], [real])
    w.op(code, [real], [changed])
    w.op("QUANTIZE", [changed], [y])
    assert "too many steps" in "\n".join(refusal(w, [x], [y]))


@pytest.mark.parametrize(("code", "option"), [("LEAKY_RELU", "Alpha"), ("SOFTMAX", "Beta")])
@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_reals_by_numbers_that_C_cannot_write_are_refused(code, option, value):
    w = ModelWriter()
    x, y = w.tensor("x", (2, 3), "float32"), w.tensor("y", (2, 3), "float32")
    w.op(code, [x], [y], **{option: value})
    with pytest.raises(Unsupported, match=f"{option.lower()} is {value}"):
        load_tflite(w.finish([x], [y]), "model")
