"""From exact fractions to ops: one op that rounds down makes what is `Pending`, in the smallest type that holds it."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from smelt.errors import ModelError
from smelt.importers.onnx_bench import Bench, Refusal
from smelt.importers.onnx_integer_values import (
    PLAIN,
    UNSIGNED,
    Integers,
    Numbers,
    Pending,
    Range,
    Sums,
    missing,
    stored_range,
)
from smelt.importers.onnx_views import Decoded, View
from smelt.model.dtypes import DType, element_type
from smelt.model.graph import Quantization, Tensor
from smelt.model.ops import Add, DepthwiseConv2D, Lookup
from smelt.model.rescale import Rescale, floor_rescale
from smelt.model.tables import every_value
from smelt.model.terms import floor_terms

INT32 = 2**31
MOST_SHIFT = 62


def settled(bench: Bench, view: View) -> View:
    """A value as integers that are stored: made by an op, unless it is there already. Raises Refusal."""
    source = view.source
    if not isinstance(source, Pending):
        return view
    return view.of(_integers(bench, source), "float32")


def _integers(bench: Bench, p: Pending) -> Integers:
    before, bench.here = bench.here, p.where
    try:
        form = form_of(p.reduced())
        tensor = bench.once((id(p), "settled"), p, lambda: _made(bench, p.reduced(), form))
    except (Refusal, ModelError) as error:
        raise Refusal(str(error) if before == p.where else f"it reads what {p.where} begins: {error}") from None
    finally:
        bench.here = before
    return Integers(tensor, None, form.low, form.high)


@dataclass(frozen=True, eq=False)
class Form:
    """y = (base * factors + addends) >> shift, between `low` and `high`, as `dtype` with zero point."""

    factors: tuple[Numbers, ...]
    addends: Numbers
    shift: int
    low: int
    high: int
    dtype: DType
    quantization: Quantization
    clamp: Range


def form_of(p: Pending) -> Form:
    """How a fraction in lowest terms is computed. Raises Refusal where integers cannot."""
    if p.rounding == "none" and p.divisor > 1:
        raise missing(p.pattern, f"a Floor, or a Cast to integers, behind the division by {p.divisor}")
    least, most = numerators(p)
    if p.rounding == "to_zero" and least < 0 and p.limits[0] < 0 and p.divisor > 1:
        what = "a Clip with a minimum of 0 or more, since a division of negative integers rounds towards zero"
        raise missing(p.pattern, what)
    low, high = (int(np.clip(n // p.divisor, *p.limits)) for n in (least, most))
    is_raw = isinstance(p.base, Sums) and p.divisor == 1 and p.is_linear
    dtype, q = _type_of(p, low, high, is_raw)
    shift = p.divisor.bit_length() - 1
    factors, addends = p.factors, p.addends
    if p.divisor != 1 << shift:
        factors, addends, shift = _by_product(p, least, most, low, high)
    clamp = tuple(int(np.clip(limit, *_values(dtype, q))) + q.zero_point for limit in p.limits)
    return Form(factors, addends, shift, low, high, dtype, q, (clamp[0], clamp[1]))


def numerators(p: Pending) -> Range:
    """The least and the greatest that base * factors + addends can be."""
    if isinstance(p.base, Sums):
        ends = [(p.base.low, p.base.high)]
    else:
        ends = [(np.array([low]), np.array([high])) for low, high in map(_range, p.base)]
    low, high = p.addends, p.addends
    if max(int(np.abs(f).max()) for f in p.factors) >= INT32:
        raise Refusal("its sums are multiplied by numbers beyond 32 bits")
    for factors, (least, most) in zip(p.factors, ends, strict=True):
        both = factors * least, factors * most
        low, high = low + np.minimum(*both), high + np.maximum(*both)
    return int(low.min()), int(high.max())


def _range(view: View) -> Range:
    """Between which numbers a value lies."""
    if isinstance(view.source, Pending):
        form = form_of(view.source.reduced())
        return form.low, form.high
    assert isinstance(view.source, Decoded)
    return stored_range(view.source)


def _values(dtype: DType, q: Quantization) -> Range:
    low, high = element_type(dtype).range
    return low - q.zero_point, high - q.zero_point


def _type_of(p: Pending, low: int, high: int, is_raw: bool) -> tuple[DType, Quantization]:
    """The smallest type for numbers in that range; sums as they are have 32 bits."""
    types: tuple[tuple[DType, Quantization], ...] = (
        ("int8", UNSIGNED),
        ("int8", PLAIN),
        ("int16", PLAIN),
        ("int32", PLAIN),
    )
    for dtype, q in types[3:] if is_raw else types:
        least, most = _values(dtype, q)
        if least <= low and high <= most:
            return dtype, q
    raise missing(p.pattern, f"a Clip: its values reach from {low} to {high}, beyond 32 bits")


def _by_product(p: Pending, least: int, most: int, low: int, high: int) -> tuple[tuple[Numbers, ...], Numbers, int]:
    """Division by a number that is no power of two as a product and a shift, for every numerator whose result is not limited.

    With m = ceil(2^s / d), (n * m) >> s is n // d for 0 <= n while n * (m * d - 2^s) < 2^s. Negative numerators are moved up.
    """
    d = p.divisor
    up = 0 if low >= 0 else -(least // d)
    window = min(most, high * d + d - 1) + up * d
    for shift in range(d.bit_length(), MOST_SHIFT):
        m = -(-(1 << shift) // d)
        if window * (m * d - (1 << shift)) < 1 << shift:
            factors = tuple(f * m for f in p.factors)
            if max(int(np.abs(f).max()) for f in factors) < INT32:
                return factors, (p.addends + up * d) * m - (up << shift), shift
            break
    raise Refusal(f"its values are divided by {d}, no power of two, and no product and shift gives the same")


# Ops


def _made(bench: Bench, p: Pending, form: Form) -> Tensor:
    if isinstance(p.base, Sums):
        y = bench.tensor(p.wish, p.shape, form.dtype, form.quantization)
        return bench.add(p.base.make(y, _rescale(form, p.base.channels, p.base.x_zero)), p.where)
    if len(p.base) == 2:
        return _sum_of(bench, p, form, _tensor(bench, p.base[0]), _tensor(bench, p.base[1]))
    (view,), (factors,) = p.base, p.factors
    if factors.size == 1 and p.addends.size == 1 and factors[0] == p.divisor and p.addends[0] == 0:
        return _limited(bench, p, view, form)
    return _of_one(bench, p, form, _tensor(bench, view))


def _tensor(bench: Bench, view: View) -> Tensor:
    source = settled(bench, view).source
    assert isinstance(source, Decoded)
    return source.tensor


def _rescale(form: Form, channels: int, x_zero: int) -> Rescale:
    factors, addends = (np.broadcast_to(n, channels) for n in (form.factors[0], form.addends))
    return floor_rescale(factors, addends, form.shift, form.clamp, x_zero, form.quantization.zero_point)


def _limited(bench: Bench, p: Pending, view: View, form: Form) -> Tensor:
    """A value as it is, or within other limits: of what makes it, where that is not done yet."""
    if isinstance(view.source, Pending):
        inner = view.source.between(*p.limits).named(p.wish)
        return _integers(bench, inner).tensor
    x = _tensor(bench, view)
    assert isinstance(view.source, Decoded)
    low, high = stored_range(view.source)
    return x if p.limits[0] <= low and high <= p.limits[1] else _of_one(bench, p, form, x)


def _of_one(bench: Bench, p: Pending, form: Form, x: Tensor) -> Tensor:
    """A function of one value: of a byte a table."""
    if p.factors[0].size > 1 or p.addends.size > 1:
        return _by_channel(bench, p, form, x)
    if x.dtype != "int8" or form.dtype != "int8":
        return _sum_of(bench, p, form, x, x)
    numerator = (every_value(x) - x.q.zero_point) * int(p.factors[0][0]) + int(p.addends[0])
    results = np.clip(numerator // p.divisor, *p.limits) + form.quantization.zero_point
    y = bench.tensor(p.wish, x.shape, form.dtype, form.quantization)
    table = bench.constant(
        f"{y.name}.table", np.clip(results, *y.element.range).astype(np.int8), "int8", form.quantization
    )
    return bench.add(Lookup(x=x, y=y, table=table), p.where)


def _sum_of(bench: Bench, p: Pending, form: Form, x: Tensor, x2: Tensor) -> Tensor:
    """Two values, or one and nothing of the same."""
    if any(f.size > 1 for f in (*form.factors, form.addends)):
        raise Refusal("values that are added are multiplied by one number for each channel; one for all is supported")
    y = bench.tensor(p.wish, x.shape, form.dtype, form.quantization)
    factors = [int(f[0]) for f in form.factors] + [0]
    terms = floor_terms(x, x2, y, factors[0], factors[1], int(form.addends[0]), form.shift)
    return bench.add(Add(x=x, x2=x2, y=y, clamp=form.clamp, terms=terms), p.where)


def _by_channel(bench: Bench, p: Pending, form: Form, x: Tensor) -> Tensor:
    """One value times numbers of each channel: a convolution that looks at single elements."""
    if x.dtype not in ("int8", "int16"):
        raise missing(p.pattern, f"a Clip before it: {x.dtype} values are multiplied by numbers of each channel")
    channels = x.shape[-1]
    image = x.shape if len(x.shape) == 4 else (1, 1, prod(x.shape[:-1]), channels)
    ones = bench.constant(f"{p.wish}.weights", np.ones((1, 1, 1, channels), np.int8), "int8", PLAIN)
    y = bench.tensor(p.wish, image, form.dtype, form.quantization)
    seen = bench.reshaped(x, image)
    rescale = _rescale(form, channels, x.q.zero_point)
    made = bench.add(DepthwiseConv2D(x=seen, weights=ones, bias=None, y=y, rescale=rescale), p.where)
    return bench.reshaped(made, x.shape)
