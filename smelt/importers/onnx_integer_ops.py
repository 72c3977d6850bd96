"""Operators of integer networks on whole numbers: what multiplies and accumulates begins a fraction, arithmetic with constants goes
into it, divisions and casts say how it is rounded, clips limit it (`onnx_integer_values`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf

import numpy as np

from smelt.importers.onnx_arrays import REALS, TYPES
from smelt.importers.onnx_integer_made import settled
from smelt.importers.onnx_integer_values import (
    REQUANTISED,
    SUMMED,
    Integers,
    Numbers,
    Pending,
    Rounding,
    is_whole,
    missing,
    of_values,
    stored_range,
)
from smelt.importers.onnx_joins import pad
from smelt.importers.onnx_joins import padded as around
from smelt.importers.onnx_nodes import Constant, Node
from smelt.importers.onnx_site import Site
from smelt.importers.onnx_views import Decoded, View, natural_order, places, same_place
from smelt.importers.onnx_windows import as_it_was, image

Change = Callable[[Pending], Pending]
LEAST_MASK = 31  # 2^5 - 1: smaller divisors one below a power of two are meant as they are


# Operands


def is_whole_view(at: Site, place: int) -> bool:
    """Whether an operand is a value of whole numbers."""
    found = at.bench.value(at.node.inputs[place]) if at.has(place) else None
    return isinstance(found, View) and is_whole(found.source)


def whole(at: Site, place: int, pattern: str = REQUANTISED) -> View:
    """An operand of whole numbers, stored or pending. Raises Refusal where it is one of reals."""
    view = at.running(place)
    if not is_whole(view.source):
        raise missing(pattern, f"whole numbers as its operand {place}; {maker(at, place)} gives reals")
    return view


def stored(at: Site, place: int, pattern: str = REQUANTISED) -> tuple[View, Decoded]:
    """An operand of whole numbers that an op of at most 16 bits made. Raises Refusal."""
    view = settled(at.bench, whole(at, place, pattern))
    assert isinstance(view.source, Decoded)
    narrow(at, view.source, place, pattern)
    return view, view.source


def narrow(at: Site, source: Decoded, place: int, pattern: str) -> None:
    """Refuse values of more than 16 bits."""
    if source.tensor.dtype not in ("int8", "int16"):
        low, high = stored_range(source)
        raise missing(pattern, f"a Clip behind {maker(at, place)}, whose values reach from {low} to {high}")


def maker(at: Site, place: int) -> str:
    """Who gives an operand, for messages."""
    name = at.node.inputs[place]
    found = next((node for node in at.bench.model.nodes if name in node.outputs), None)
    return found.where if isinstance(found, Node) else f"input '{name}'"


def integers_of(at: Site, place: int) -> Numbers:
    """A constant operand of whole numbers. Raises Refusal where one is none."""
    return whole_numbers(at.constant(place), f"its constant '{at.node.inputs[place]}'")


def whole_numbers(constant: Constant, what: str) -> Numbers:
    """The numbers of a constant."""
    data = np.asarray(constant.data)
    if data.dtype.kind not in "iuf":
        raise missing(REQUANTISED, f"numbers in {what}, which is of {constant.dtype}")
    rounded = np.rint(data.astype(np.float64))
    wrong = np.argwhere(rounded != data)
    if len(wrong):
        place = tuple(int(i) for i in wrong[0])
        at = f" at {list(place)}" if place else ""
        raise missing(REQUANTISED, f"whole numbers in {what}, which has {float(data[place]):g}{at}")
    if np.abs(rounded).max(initial=0) >= 2.0**53:
        raise missing(REQUANTISED, f"numbers below 2^53 in {what}")
    return rounded.astype(np.int64)


def by_channel(numbers: Numbers, view: View) -> Numbers:
    """Numbers that broadcast to a view, as one for each index of the stored last axis, or one for all. Raises Refusal."""
    if numbers.size == 1:
        return numbers.reshape(1)
    shape = numbers.shape[max(0, numbers.ndim - len(view.shape)) :]
    fits = all(size in (1, own) for size, own in zip(reversed(shape), reversed(view.shape), strict=False))
    if int(np.prod(shape)) != numbers.size or not fits:
        raise missing(
            REQUANTISED,
            f"one number for each channel, or one for all, of a value of {list(view.shape)} in a constant of {list(numbers.shape)}",
        )
    scattered = np.empty(view.elements, np.int64)
    scattered[places(view).reshape(-1)] = np.broadcast_to(numbers.reshape(shape), view.shape).reshape(-1)
    rows = scattered.reshape(-1, view.stored[-1])
    if not (rows == rows[0]).all():
        raise missing(REQUANTISED, f"one number for each channel in a constant of {list(numbers.shape)}")
    return np.asarray(rows[0])


# Arithmetic with constants


def changed(at: Site, view: View, change: Change, linear: bool = False) -> View:
    """A value with something more to be done to it: as part of the op that makes it, where that can take it in (always, unless it
    must be `linear`), else of one that reads it."""
    p = view.source
    if not isinstance(p, Pending) or (linear and not p.is_linear):
        p = of_values((view,), at.node.where, at.wish, SUMMED)
    return view.of(change(p).named(at.wish))


def mul(at: Site) -> None:
    x, numbers = _with_constant(at, "products of two values are none of its operators")
    n = by_channel(numbers, x)
    at.give(changed(at, x, lambda p: p.times(n), linear=True))


def _with_constant(at: Site, otherwise: str) -> tuple[View, Numbers]:
    """A value and a constant, in any order."""
    for place in (0, 1):
        if isinstance(at.any(1 - place), Constant):
            return whole(at, place), integers_of(at, 1 - place)
    raise missing(REQUANTISED, f"a constant as its second operand: {otherwise}")


def add(at: Site) -> None:
    if "in1_mul" in at.node.attributes or "out_mul" in at.node.attributes:
        quantlab_add(at)
    elif isinstance(at.any(0), Constant) or isinstance(at.any(1), Constant):
        x, numbers = _with_constant(at, "")
        n = by_channel(numbers, x)
        at.give(changed(at, x, lambda p: p.plus(n), linear=True))
    else:
        at.give(total(at, whole(at, 0, SUMMED), whole(at, 1, SUMMED)))


def sub(at: Site) -> None:
    first, second = at.any(0), at.any(1)
    if isinstance(second, Constant):
        x, n = whole(at, 0), -integers_of(at, 1)
        at.give(changed(at, x, lambda p: p.plus(by_channel(n, x)), linear=True))
        return
    x2 = changed(at, whole(at, 1, SUMMED), lambda p: p.times(np.array([-1])), linear=True)
    if isinstance(first, Constant):
        n = by_channel(integers_of(at, 0), x2)
        at.give(changed(at, x2, lambda p: p.plus(n), linear=True))
    else:
        at.give(total(at, whole(at, 0, SUMMED), x2))


def div(at: Site) -> None:
    """Of integers, which rounds towards zero, or of floats, which does not round."""
    x, numbers = whole(at, 0), integers_of(at, 1)
    if numbers.size != 1 or numbers.reshape(-1)[0] <= 0:
        raise missing(REQUANTISED, "one number above 0 that all is divided by")
    is_real, divisor = x.dtype == "float32", int(numbers.reshape(-1)[0])
    by = divisor if is_real else _rounded_up(at, divisor)
    rounding: Rounding = "none" if is_real else "to_zero"
    at.give(x if by == 1 else changed(at, x, lambda p: p.over(by, rounding), linear=True))


def _rounded_up(at: Site, divisor: int) -> int:
    """NEMO writes 2^d as 2^d - 1 now and then; DORY takes the logarithm, rounded, and so are its networks meant."""
    if divisor < LEAST_MASK or divisor & (divisor + 1):
        return divisor
    at.bench.remark("divisors of 2^d - 1 are taken as 2^d, as DORY does")
    return divisor + 1


def floor(at: Site) -> None:
    _give_whole(at, whole(at, 0), "down")


def _give_whole(at: Site, x: View, rounding: Rounding) -> None:
    at.give(changed(at, x, lambda p: p.whole(rounding)) if isinstance(x.source, Pending) else x)


def cast(at: Site) -> None:
    to = TYPES.get(at.integer("to", 1), "unknown")
    x = whole(at, 0)
    if to in REALS:
        at.give(replace(x, dtype="float32"))
        return
    if to not in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64"):
        raise missing(REQUANTISED, f"a cast to an integer or a real type; this one is to {to}")
    _give_whole(at, x, "to_zero")
    result = at.bench.value(at.node.outputs[0])
    assert isinstance(result, View)
    at.give(replace(result if to in ("int32", "int64") else _within(at, result, to), dtype=to))


def _within(at: Site, x: View, to: str) -> View:
    """A value that a narrow type holds. Raises Refusal where it would wrap."""
    x = settled(at.bench, x)
    assert isinstance(x.source, Decoded)
    (low, high), limits = stored_range(x.source), np.iinfo(to)
    if low < limits.min or high > limits.max:
        raise missing(REQUANTISED, f"a Clip before the cast to {to}: values reach from {low} to {high}")
    return x


def clip(at: Site) -> None:
    if at.version < 11:
        low, high = at.real("min", -inf), at.real("max", inf)
    else:
        low, high = (at.number(1) if at.has(1) else -inf), (at.number(2) if at.has(2) else inf)
    limit(at, whole(at, 0), low, max(low, high) if high < low else high)


def relu(at: Site) -> None:
    limit(at, whole(at, 0), 0.0, inf)


def limit(at: Site, x: View, low: float, high: float) -> None:
    """Give a value within limits."""
    for end in (low, high):
        if abs(end) != inf and end != np.rint(end):
            raise missing(REQUANTISED, f"whole limits; one of these is {end:g}")
    at.give(changed(at, x, lambda p: p.between(low, high)))


def extreme(at: Site, largest: bool) -> None:
    """Max and Min with one constant limit."""
    x, numbers = _with_constant(at, "extremes of two values are none of its operators")
    if len(at.node.inputs) != 2 or numbers.size != 1:
        raise missing(REQUANTISED, "one number as the limit")
    end = float(numbers.reshape(-1)[0])
    limit(at, x, *((end, inf) if largest else (-inf, end)))


# Sums of two values


def total(at: Site, x: View, x2: View) -> View:
    """x + x2, each times its factors, over their common divisor."""
    if x.shape != x2.shape:
        raise missing(SUMMED, f"operands of one shape; these are {list(x.shape)} and {list(x2.shape)}")
    if not same_place(x, x2):
        order = natural_order(x)
        x, x2 = (at.bench.arranged(settled(at.bench, view), order) for view in (x, x2))
    parts = [_part(at, view) for view in (x, x2)]
    if sum(len(_views(p)) for p in parts) > 2:
        parts = [of_values((settled(at.bench, view),), at.node.where, at.wish, SUMMED) for view in (x, x2)]
    divisor = int(np.lcm(parts[0].divisor, parts[1].divisor))
    scaled = [p.times(np.array([divisor // p.divisor])) for p in parts]
    joined = of_values((*_views(scaled[0]), *_views(scaled[1])), at.node.where, at.wish, SUMMED)
    factors = (*scaled[0].factors, *scaled[1].factors)
    return x.of(replace(joined, factors=factors, addends=scaled[0].addends + scaled[1].addends, divisor=divisor))


def _views(p: Pending) -> tuple[View, ...]:
    assert isinstance(p.base, tuple)
    return p.base


def _part(at: Site, view: View) -> Pending:
    """A value as a term: taken apart where it is one already, and times one number."""
    p = view.source
    if isinstance(p, Pending) and isinstance(p.base, tuple) and p.is_linear:
        if all(n.size == 1 for n in (*p.factors, p.addends)):
            return p
    return of_values((view,), at.node.where, at.wish, SUMMED)


def quantlab_add(at: Site) -> None:
    """QuantLab's addition: each operand times, plus, shifted and limited, then the sum, where the attributes say so."""
    x, x2 = (_requantised(at, whole(at, place, SUMMED), f"in{place + 1}") for place in (0, 1))
    sums = total(at, x, x2)
    if at.integer("out_rq", 0):
        at.give(_requantised(at, sums, "out"))
        return
    levels = at.integer("out_n_levels", 256)
    at.bench.remark(f"sums of QuantLab's Add are limited to 0..{levels - 1}, as its attribute out_n_levels has it")
    at.give(changed(at, sums, lambda p: p.between(0, levels - 1)))


def _requantised(at: Site, x: View, which: str) -> View:
    if not at.integer(f"{which}_rq", 0):
        return x
    by, plus = at.integer(f"{which}_mul", 1), at.integer(f"{which}_add", 0)
    shift, levels = at.integer(f"{which}_shift", 0), at.integer(f"{which}_n_levels", 256)
    if not 0 <= shift < 63 or levels < 1:
        at.broken(f"{which}_shift is {shift}, {which}_n_levels {levels}")

    def change(p: Pending) -> Pending:
        scaled = p.times(np.array([by])).plus(np.array([plus])).over(1 << shift, "down")
        return scaled.between(0, levels - 1)

    return changed(at, x, change, linear=True)


# Padding


def padded(at: Site) -> None:
    """What is around an image is one of its values; a sequence is padded as the image that it is to convolutions."""
    view = settled(at.bench, whole(at, 0))
    at.bench.values[at.node.inputs[0]] = view
    if at.text("mode", "constant") != "constant":
        pad(at)
        return
    value = (at.number(2) if at.has(2) else 0.0) if at.version >= 11 else at.real("value", 0.0)
    pads = at.integers(1) if at.version >= 11 else at.many("pads", ())
    if len(view.shape) == 3 and len(pads) == 6 and not at.has(3) and min(pads) >= 0:
        before, after = (*pads[:2], 0, pads[2]), (*pads[3:5], 0, pads[5])
        at.give(as_it_was(around(at, image(at, view), before, after, value), 3))
    else:
        pad(at)
    found = at.bench.value(at.node.outputs[0])
    if isinstance(found, View) and isinstance(found.source, Integers):
        source = found.source
        wider = replace(source, low=min(source.low, int(value)), high=max(source.high, int(value)))
        at.give(found.of(wider))
