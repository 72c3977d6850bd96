"""Sums that become outputs as onnxruntime rounds them, and as integer networks do: the proof of the one product, and every
implementation against the reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smelt.errors import ModelError
from smelt.kernels import INT8 as LINEAR
from smelt.kernels import OTHERS, requantize_exact
from smelt.kernels.implementation import Implementation
from smelt.kernels.once import Once, find_once
from smelt.kernels.requantize import constant_bias, for_routines, ranges, requantizer
from smelt.model.arithmetic import Integers, quantize_multipliers
from smelt.model.graph import Op, Quantization, Tensor
from smelt.model.ops import Add, AveragePool2D, Linear, Mean, Mul, Padding, Softmax
from smelt.model.parameters import softmax_steps
from smelt.model.rescale import Rescale, floor_rescale, linear_rescale, mean_rescale, product_rescale, raw_sums
from smelt.model.terms import floor_terms, fused_terms
from tests.mac_cases import Maker, cases, rounded
from tests.schedules import built
from tests.test_kernels_mac import check

HOWS = ("even", "pow2", "floor")


def every_rounding() -> list[Op]:
    return [rounded(op, HOWS[number % 3], number) for number, op in enumerate(cases())]


def sums_of(op: Linear) -> tuple[Integers, Integers]:
    flat = np.moveaxis(op.weights.constant, op.channel_axis, 0).reshape(op.y.shape[-1], -1).astype(np.int64)
    return ranges(flat, constant_bias(op), op.rescale.x_zero, op.x.element.range)[:2]


@pytest.mark.parametrize("implementation", LINEAR, ids=lambda i: i.name)
def test_every_implementation_equals_the_reference(implementation: Implementation) -> None:
    check(built(implementation, every_rounding(), most=1))


def test_nothing_is_undefined() -> None:
    made = [m for implementation in LINEAR for m in built(implementation, every_rounding()[::4], most=1)]
    check(made, sanitize=True)


def around_steps(p: Rescale, low: Integers, high: Integers) -> Integers:
    """All sums near the steps of an increasing rescaling, the ends, and many others."""
    random = np.random.default_rng(len(low))
    scale = np.abs(np.ldexp(p.multipliers.astype(float), p.shifts - 31))
    guesses = [(k + 0.5 - p.y_zero) / np.maximum(scale, 1e-9) for k in range(-129, 129)]
    near = [np.clip(np.rint(g) + d, low, high) for g in guesses for d in range(-2, 3)]
    return np.stack([low, high, *near, *random.integers(low, high + 1, (500, len(low)))]).astype(np.int64)


def right(form: Once, p: Rescale, sums: Integers) -> tuple[int, int]:
    """How many outputs are wrong without being doubtful, and how many are wrong at all."""
    made, wanted = np.clip(form.of(sums), p.low, p.high), p.apply(sums)
    doubtful = np.zeros(made.shape, bool)
    for channel, output in form.doubtful:
        doubtful[:, channel] |= made[:, channel] == output
    wrong = made != wanted
    return int(np.count_nonzero(wrong & ~doubtful)), int(np.count_nonzero(wrong))


@pytest.mark.parametrize("seed", range(4))
def test_a_form_is_right_wherever_it_has_no_doubts(seed: int) -> None:
    """Of scales as networks have them: near-ties are frequent where steps are many sums apart."""
    random = np.random.default_rng(seed)
    reals = np.exp2(random.uniform(-12, -3, 40)).astype(np.float32).tolist()
    zero = int(random.integers(-128, 128))
    p = Rescale(*quantize_multipliers(reals), "ties_even", 0, zero, -128, 127)
    low, high = np.full(40, -(2**20)), np.full(40, 2**20 - 1)
    form = find_once(p, low, high)
    assert form is not None and right(form, p, around_steps(p, low, high))[0] == 0
    assert len({c for c, _ in form.doubtful}) < 20
    grown = form.grown(8)
    sums = around_steps(p, low, high)
    assert np.array_equal(grown.of(sums), form.of(sums))


def test_ties_are_doubtful() -> None:
    """Where scales are powers of two, every other step lies just at a tie that goes down."""
    p = Rescale(*quantize_multipliers([2.0**-6, 2.0**-4]), "ties_even", 0, 3, -128, 127)
    low, high = np.full(2, -(2**15)), np.full(2, 2**15)
    form = find_once(p, low, high)
    assert form is not None
    unproved, wrong = right(form, p, around_steps(p, low, high))
    assert unproved == 0 and wrong > 0 and len(form.doubtful) > 200


def test_near_ties_matter() -> None:
    """The product in float32 lies at a tie which the exact one misses: what float32 makes of it is right."""
    scale, seen = np.float32(0.0031), 0
    p = Rescale(*quantize_multipliers([float(scale)]), "ties_even", 0, 0, -(2**15), 2**15 - 1)
    sums = np.arange(-(2**20), 2**20, dtype=np.int64)
    exact = np.rint(sums * float(scale)).astype(np.int64)
    seen = np.count_nonzero(exact != p.apply(sums[:, np.newaxis])[:, 0])
    assert 0 < seen < 200


@pytest.mark.parametrize("seed", range(4))
def test_integer_networks_have_no_doubts(seed: int) -> None:
    random = np.random.default_rng(seed)
    factors, shift = random.integers(-9000, 9000, 30), int(random.integers(16, 24))
    p = floor_rescale(factors, random.integers(-(2**30), 2**30, 30), shift, (-128, 127), 0, -128)
    low, high = -random.integers(1, 2**20, 30), random.integers(1, 2**20, 30)
    form = find_once(p, low, high)
    assert form is not None and not form.doubtful and right(form, p, around_steps(p, low, high)) == (0, 0)


def test_the_cases_take_every_form() -> None:
    forms = set()
    for op in every_rounding():
        flat = np.moveaxis(op.weights.constant, op.channel_axis, 0).reshape(op.y.shape[-1], -1)
        forms.add(type(requantizer(op, flat, folded=True)).__name__)
    assert forms == {"OnceRequantizer", "NearRequantizer", "TiesEvenRequantizer", "FloorRequantizer"}


def wholly_doubtful(p: Rescale, low: Integers, high: Integers) -> Once | None:
    """Of the first channel nothing is right, and everything is doubtful."""
    form = find_once(p, low, high)
    assert form is not None
    offsets = form.offsets.copy()
    offsets[0] += 5 << form.shift
    every = tuple((0, output) for output in range(-128, 128))
    return replace(form, offsets=offsets, doubtful=(*every, *(d for d in form.doubtful if d[0])))


def test_doubtful_outputs_are_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    m, around = Maker(11), (1, 1, 1, 1)
    ops = [
        m.conv((1, 8, 8, 16), 4, (3, 3), pad=around, style="narrow"),
        m.conv((1, 5, 7, 9), 3, (3, 3), stride=(2, 2), pad=around, style="narrow"),
        m.conv((1, 5, 7, 20), 5, (1, 1), style="narrow"),
        m.conv((1, 4, 6, 8), 3, (1, 1)),
        m.depthwise((1, 5, 8, 3), 1, (3, 3), pad=around),
        m.depthwise((1, 9, 8, 3), 1, (3, 3), pad=around, stride=(2, 2)),
        m.depthwise((2, 58, 58, 2), 2, (3, 5), pad=around),
    ]
    ops = [rounded(op, "even") for op in ops]
    monkeypatch.setattr(requantize_exact, "find_once", wholly_doubtful)
    monkeypatch.setattr(requantize_exact, "MOST_AGAIN", 1)
    monkeypatch.setattr(requantize_exact, "MOST_DOUBTS", 1000)
    made = [m for implementation in LINEAR for m in built(implementation, ops, most=2)]
    again = {
        call.kernel.name.rsplit("_", 1)[0]
        for _, _, call in made
        if any(b.name == "doubts" for b in call.kernel.buffers)
    }
    convolutions = {"conv2d_direct", "conv2d_winograd4", "conv2d_gathered", "conv2d_pointwise", "conv2d_eight"}
    assert convolutions | {"depthwise_lines", "depthwise_dsp", "depthwise_planes"} <= again
    check(made)


def test_many_doubts_are_no_form_for_routines() -> None:
    op = rounded(Maker(2).conv((1, 5, 7, 20), 5, (1, 1), style="narrow"), "pow2")
    r = for_routines(op, op.weights.constant.reshape(5, -1))
    assert type(r).__name__ == "NearRequantizer" and not r.saturates


def wider(op: Linear, dtype: str) -> Linear:
    """With outputs that are the sums, or that have 16 bits."""
    y = replace(op.y, dtype=dtype, quantization=Quantization((op.y.q.scale / 50,), (0,)))
    rescale = raw_sums(op.x, y) if dtype == "int32" else linear_rescale(op.x, op.weights, y, rounding="ties_even")
    return replace(op, y=y, rescale=rescale)


def test_outputs_of_more_bits() -> None:
    m = Maker(21)
    ops: list[Linear] = [m.dense(2, 20, 6), m.conv((1, 5, 5, 8), 4, (3, 3)), m.depthwise((1, 6, 6, 4), 1, (3, 3))]
    wide = [wider(op, dtype) for op in ops for dtype in ("int16", "int32")]
    made = [m for implementation in LINEAR for m in built(implementation, wide, most=1)]
    assert {op.y.dtype for op, _, _ in made} == {"int16", "int32"} and len({type(op) for op, _, _ in made}) == 3
    check(made)


def test_numbers_that_64_bits_do_not_hold_are_refused() -> None:
    for factors, addends, shift in (([2**31], [0], 3), ([1], [2**61], 3), ([1], [0], 63)):
        with pytest.raises(ModelError, match="64 bits"):
            floor_rescale(factors, addends, shift, (-128, 127))


def tensor(name: str, shape: tuple[int, ...], scale: float, zero: int, dtype: str = "int8") -> Tensor:
    return Tensor(name, shape, dtype, Quantization((float(np.float32(scale)),), (zero,)))


def element_wise() -> list[Op]:
    """Scales without ties, with a tie for every other sum, and with some."""
    found: list[Op] = []
    shape = (1, 3, 5, 16)
    for number, scales in enumerate([(0.0131, 0.0377, 0.0421), (0.25, 0.25, 0.5), (0.125, 0.25, 0.25)]):
        zeros = np.random.default_rng(number).integers(-128, 128, 3).tolist()
        x, x2, y = (tensor(n, shape, s, z) for n, s, z in zip(("x", "x2", "y"), scales, zeros, strict=True))
        small, one = tensor("z", (1, 16), scales[0] * 0.7, -100), tensor("z", (1, 2, 3, 16), scales[0], 5)
        for unsigned in (False, True):
            found.append(Add(y=y, x=x, x2=x2, terms=fused_terms(x, x2, y, unsigned)))
            found.append(Mul(y=y, x=x, x2=x2, rescale=product_rescale(x, x2, y, unsigned=unsigned)))
        found.append(Add(y=y, x=x, x2=x2, terms=fused_terms(x, x2, y, subtract=True)))
        found.append(Mean(y=small, x=x, axes=(1, 2), rescale=mean_rescale(x, 15, small)))
        pool = AveragePool2D(
            y=one, x=x, size=(2, 2), stride=(2, 2), pad=Padding(0, 1, 0, 1), rescale=mean_rescale(x, 4, one)
        )
        found.append(pool)
        whole = tensor("z", (1, 1, 2, 16), scales[0], 5)
        found.append(AveragePool2D(y=whole, x=x, size=(2, 2), stride=(2, 2), rescale=mean_rescale(x, 4, whole)))
        p = tensor("p", shape, (1 / 256, 1 / 255, 0.0031)[number], (-128, -128, 3)[number])
        found.append(Softmax(y=p, x=x, steps=softmax_steps(p)))
    return found


def of_integer_networks() -> list[Op]:
    found: list[Op] = []
    shape = (1, 3, 5, 16)
    for number, dtype in enumerate(("int8", "int16", "int32")):
        x, x2 = tensor("x", shape, 1, -128), tensor("x2", shape, 1, 0, ("int8", "int16", "int8")[number])
        y, m = tensor("y", shape, 1, -128 if dtype == "int8" else 0, dtype), tensor("m", (1, 16), 1, 0, dtype)
        for numbers in ((37, -12, 5000, 6), (2**30, 2**29 + 5, 5000, 31), (1, 1, 0, 0)):
            found.append(Add(y=y, x=x, x2=x2, clamp=y.element.range, terms=floor_terms(x, x2, y, *numbers)))
        for factor, added, shift in ((300, 0, 12), (2**30 + 1, 12345, 33)):
            rescale = floor_rescale([factor], [added], shift, m.element.range, -128, 0)
            found.append(Mean(y=m, x=x, axes=(1, 2), rescale=rescale))
    return found


def test_element_wise_and_reducing_operators() -> None:
    ops = [*element_wise(), *of_integer_networks()]
    made = [m for implementation in OTHERS for m in built(implementation, ops, most=2)]
    assert {id(op) for op, _, _ in made} == {id(op) for op in ops}
    check(made)
    check(made[::5], sanitize=True)
