"""Functions of one value. Of dequantised bytes they are tables of reals that a quantiser behind them makes one step of; of reals
they are steps in float32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import erf, inf, isnan, sqrt
from typing import Any

import numpy as np

from smelt.importers.onnx_bench import Bench
from smelt.importers.onnx_nodes import Constant
from smelt.importers.onnx_site import OnnxArm, Site
from smelt.importers.onnx_views import Decoded, Floats, Stored, View
from smelt.model.graph import Array, Tensor
from smelt.model.ops import Add, Clamp, Maximum, Minimum, Mul, Unary, UnaryFunction
from smelt.model.ops_pointwise import Div
from smelt.model.tables import every_value

Function = Callable[[Floats], Array]
Steps = Callable[["Reals", Tensor], Tensor]


@dataclass(frozen=True)
class Reals:
    """Steps on tensors of float32, for one operator."""

    bench: Bench
    origin: str
    wish: str

    def unary(self, function: UnaryFunction, x: Tensor, alpha: float = 0.0) -> Tensor:
        """A function of each element."""
        y = self.bench.tensor(self.wish, x.shape, "float32")
        return self.bench.add(Unary(x=x, y=y, function=function, alpha=alpha), self.origin)

    def number(self, value: float, rank: int) -> Tensor:
        """A constant that broadcasts."""
        return self.bench.constant(f"{self.wish}.number", np.full((1,) * rank, value, np.float32))

    def times(self, x: Tensor, by: Tensor | float, clamp: Clamp = (-inf, inf)) -> Tensor:
        """A product."""
        x2 = by if isinstance(by, Tensor) else self.number(by, len(x.shape))
        y = self.bench.tensor(self.wish, np.broadcast_shapes(x.shape, x2.shape), "float32")
        return self.bench.add(Mul(x=x, x2=x2, y=y, clamp=clamp), self.origin)

    def plus(self, x: Tensor, other: Tensor | float, clamp: Clamp = (-inf, inf), subtract: bool = False) -> Tensor:
        """A sum or difference."""
        x2 = other if isinstance(other, Tensor) else self.number(other, len(x.shape))
        y = self.bench.tensor(self.wish, np.broadcast_shapes(x.shape, x2.shape), "float32")
        return self.bench.add(Add(x=x, x2=x2, y=y, clamp=clamp, subtract=subtract), self.origin)

    def over(self, x: Tensor | float, by: Tensor, clamp: Clamp = (-inf, inf)) -> Tensor:
        """A quotient."""
        x1 = x if isinstance(x, Tensor) else self.number(x, len(by.shape))
        y = self.bench.tensor(self.wish, np.broadcast_shapes(x1.shape, by.shape), "float32")
        return self.bench.add(Div(x=x1, x2=by, y=y, clamp=clamp), self.origin)

    def between(self, x: Tensor, low: float, high: float) -> Tensor:
        """Limited."""
        known: dict[tuple[float, float], UnaryFunction] = {(0, inf): "relu", (0, 6): "relu6", (-1, 1): "relu_n1_to_1"}
        if (low, high) in known:
            return self.unary(known[low, high], x)
        for kind, limit in ((Maximum, low), (Minimum, high)):
            if abs(limit) != inf:
                y = self.bench.tensor(self.wish, x.shape, "float32")
                x = self.bench.add(kind(x=x, x2=self.number(limit, len(x.shape)), y=y), self.origin)
        return x


def reals_of(at: Site) -> Reals:
    """Steps for the operator at hand."""
    return Reals(at.bench, at.node.where, at.wish)


def of_one(at: Site, view: View, function: Function, steps: Steps) -> View:
    """A function of each element: a table where it is one of a dequantised byte, else steps in float32."""
    source = view.source
    if isinstance(source, Decoded) and source.tensor.dtype == "int8":
        with np.errstate(all="ignore"):
            return view.of(replace(source, table=np.asarray(function(table_of(source)), np.float32)))
    return view.of(steps(reals_of(at), at.bench.real(view)))


def table_of(source: Decoded) -> Floats:
    """What every stored byte stands for, in order."""
    if source.table is not None:
        return source.table
    q = source.tensor.q
    return np.asarray((every_value(source.tensor) - q.zero_point).astype(np.float32) * np.float32(q.scale), np.float32)


def limited(at: Site, low: float, high: float) -> None:
    """An activation that only limits: part of what made its operand where nothing else reads that."""
    promise = at.limited(0, low, high)
    view = at.view(0)
    if promise is not None:
        at.give(view.of(promise))
    else:
        at.give(of_one(at, view, lambda x: np.clip(x, low, high), lambda r, x: r.between(x, low, high)))


def relu(at: Site) -> None:
    limited(at, 0.0, inf)


def clip(at: Site) -> None:
    low, high = _bounds(at)
    found = at.running(0)
    at.demand(not (isnan(low) or isnan(high)), "a limit is no number")
    low = min(low, high)
    if isinstance(found.source, Stored):
        at.give(_of_integers(found, found.source, low, high))
    else:
        at.demand(found.dtype == "float32", f"it clips {found.dtype}")
        limited(at, low, high)


def _bounds(at: Site) -> tuple[float, float]:
    if at.version < 11:
        return at.real("min", -inf), at.real("max", inf)
    return (at.number(1) if at.has(1) else -inf), (at.number(2) if at.has(2) else inf)


def _of_integers(view: View, source: Stored, low: float, high: float) -> View:
    """Integers between a quantiser and what reads them: how types of fewer bits are written where ONNX had none."""
    offset = -128 if view.dtype.startswith("u") else 0
    target = source.target
    ends = np.clip((low + offset, high + offset), target.low, target.high).astype(np.int64).tolist()
    return view.of(replace(source, target=replace(target, low=ends[0], high=ends[1])))


# Functions: in NumPy for tables, as steps for reals


def _exact(function: Callable[[Any], Any]) -> Function:
    return lambda x: np.asarray(function(x.astype(np.float64)), np.float32)


ERF = _exact(np.vectorize(erf, otypes=[np.float64]))
SIGMOID = _exact(lambda x: 1 / (1 + np.exp(-x)))
SOFTPLUS = _exact(lambda x: np.logaddexp(x, 0))


def _plain(function: Function, name: UnaryFunction) -> Callable[[Site], None]:
    return lambda at: at.give(of_one(at, at.running(0), function, lambda r, x: r.unary(name, x)))


def _leaky_relu(at: Site) -> None:
    at.give(leaky(at, at.running(0)))


def leaky(at: Site, x: View) -> View:
    """x, times a slope where it is negative."""
    alpha = at.real("alpha", 0.01)
    slope = np.float32(alpha)
    function: Function = lambda r: np.where(r >= 0, r, r * slope)  # noqa: E731
    return of_one(at, x, function, lambda r, tensor: r.unary("leaky_relu", tensor, alpha))


def sigmoid(at: Site, x: View) -> View:
    """The logistic function."""
    return of_one(at, x, SIGMOID, lambda r, tensor: r.unary("logistic", tensor))


def _hard_sigmoid(at: Site) -> None:
    alpha, beta = np.float32(at.real("alpha", 0.2)), np.float32(at.real("beta", 0.5))
    at.give(
        of_one(
            at,
            at.running(0),
            lambda x: np.clip(x * alpha + beta, 0, 1),
            lambda r, x: r.plus(r.times(x, float(alpha)), float(beta), (0.0, 1.0)),
        )
    )


def _gelu(at: Site) -> None:
    if at.text("approximate", "none") == "tanh":
        at.give(of_one(at, at.running(0), GELU_TANH, lambda r, x: r.unary("gelu_tanh", x)))
    else:
        at.give(of_one(at, at.running(0), GELU, lambda r, x: r.unary("gelu", x)))


GELU = _exact(lambda x: x * (1 + np.vectorize(erf, otypes=[np.float64])(x / sqrt(2))) / 2)
GELU_TANH = _exact(lambda x: x * (1 + np.tanh(0.7978845608028654 * (x + 0.044715 * x**3))) / 2)
HARD_SWISH = _exact(lambda x: x * np.clip(x + 3, 0, 6) / 6)


def _elu(at: Site) -> None:
    alpha = at.real("alpha", 1.0)

    def steps(r: Reals, x: Tensor) -> Tensor:
        if alpha == 1:
            return r.unary("elu", x)
        return r.plus(r.between(x, 0, inf), r.times(r.unary("elu", r.between(x, -inf, 0)), alpha))

    at.give(of_one(at, at.running(0), _exact(lambda x: np.where(x < 0, alpha * np.expm1(x), x)), steps))


def _selu(at: Site) -> None:
    alpha, gamma = at.real("alpha", 1.67326319217681884765625), at.real("gamma", 1.05070102214813232421875)

    def steps(r: Reals, x: Tensor) -> Tensor:
        below = r.times(r.unary("elu", r.between(x, -inf, 0)), alpha * gamma)
        return r.plus(r.times(r.between(x, 0, inf), gamma), below)

    at.give(of_one(at, at.running(0), _exact(lambda x: gamma * np.where(x > 0, x, alpha * np.expm1(x))), steps))


def _celu(at: Site) -> None:
    alpha = at.real("alpha", 1.0)

    def steps(r: Reals, x: Tensor) -> Tensor:
        below = r.times(r.unary("elu", r.times(r.between(x, -inf, 0), 1 / alpha)), alpha)
        return r.plus(r.between(x, 0, inf), below)

    at.give(
        of_one(
            at, at.running(0), _exact(lambda x: np.maximum(x, 0) + np.minimum(0, alpha * np.expm1(x / alpha))), steps
        )
    )


def softplus(r: Reals, x: Tensor) -> Tensor:
    """log(1 + exp(x)) as max(x, 0) + log(1 + exp(-|x|)), which does not overflow."""
    small = r.unary("log", r.plus(r.unary("exp", r.unary("neg", r.unary("abs", x))), 1.0))
    return r.plus(r.between(x, 0, inf), small)


def _softplus(at: Site) -> None:
    at.give(of_one(at, at.running(0), SOFTPLUS, softplus))


def _mish(at: Site) -> None:
    function = _exact(lambda x: x * np.tanh(np.logaddexp(x, 0)))
    at.give(of_one(at, at.running(0), function, lambda r, x: r.times(x, r.unary("tanh", softplus(r, x)))))


def _swish(unsaid: float) -> Callable[[Site], None]:
    """x * sigmoid(alpha * x), with the alpha that the operator has where it says none."""

    def read(at: Site) -> None:
        alpha = at.real("alpha", unsaid)

        def steps(r: Reals, x: Tensor) -> Tensor:
            return r.times(x, r.unary("logistic", x if alpha == 1 else r.times(x, alpha)))

        at.give(of_one(at, at.running(0), _exact(lambda x: x / (1 + np.exp(-alpha * x))), steps))

    return read


def _softsign(at: Site) -> None:
    steps: Steps = lambda r, x: r.over(x, r.plus(r.unary("abs", x), 1.0))  # noqa: E731
    at.give(of_one(at, at.running(0), lambda x: x / (np.float32(1) + np.abs(x)), steps))


def _thresholded(at: Site) -> None:
    alpha = at.real("alpha", 1.0)

    def steps(r: Reals, x: Tensor) -> Tensor:
        """x where it is above alpha: x times the sign of what it is above, limited to 0 and 1."""
        above = r.between(r.unary("sign", r.plus(x, -alpha)), 0, inf)
        return r.times(x, above)

    at.give(of_one(at, at.running(0), lambda x: np.where(x > np.float32(alpha), x, np.float32(0)), steps))


def _shrink(at: Site) -> None:
    bias, lambd = at.real("bias", 0.0), at.real("lambd", 0.5)

    def steps(r: Reals, x: Tensor) -> Tensor:
        above = r.between(r.unary("sign", r.plus(x, -lambd)), 0, inf)
        below = r.between(r.unary("sign", r.plus(r.unary("neg", x), -lambd)), 0, inf)
        return r.plus(r.times(r.plus(x, -bias), above), r.times(r.plus(x, bias), below))

    function = _exact(lambda x: np.where(x < -lambd, x + bias, np.where(x > lambd, x - bias, 0)))
    at.give(of_one(at, at.running(0), function, steps))


def _reciprocal(at: Site) -> None:
    at.give(of_one(at, at.running(0), lambda x: np.float32(1) / x, lambda r, x: r.over(1.0, x)))


def _tan(at: Site) -> None:
    at.give(of_one(at, at.running(0), _exact(np.tan), lambda r, x: r.over(r.unary("sin", x), r.unary("cos", x))))


def _hyperbolic(function: Callable[[Any], Any], negative: bool) -> Callable[[Site], None]:
    """(exp(x) - exp(-x)) / 2, or the sum of both."""

    def steps(r: Reals, x: Tensor) -> Tensor:
        behind = r.unary("exp", r.unary("neg", x))
        return r.times(r.plus(r.unary("exp", x), behind, subtract=negative), 0.5)

    return lambda at: at.give(of_one(at, at.running(0), _exact(function), steps))


def identity(at: Site) -> None:
    """Operators that change nothing where a network is only run."""
    at.give(at.any(0))


def cast(at: Site) -> None:
    """Between reals nothing happens; other casts are steps."""
    from smelt.importers.onnx_arrays import REALS, TYPES

    view, to = at.running(0), TYPES.get(at.integer("to", 1), "unknown")
    if view.dtype == "float32" and to in REALS:
        at.give(view)
        return
    at.demand(to in ("float32", "int32", "int8", "bool", "uint8", "int16", "int64", *REALS), f"it casts to {to}")
    at.give(casted(at, view, "float32" if to in REALS else to))


def casted(at: Site, view: View, to: str) -> View:
    """Plain numbers in another type."""
    from smelt.model.ops_pointwise import Cast

    x = at.bench.held(view)
    at.demand(x.quantization is None, "it casts integers that are quantised; put a DequantizeLinear there")
    if x.dtype == to:
        return view.of(x, to)
    y = at.fresh(x.shape, to)
    return view.of(at.bench.add(Cast(x=x, y=y)), to)


def dropout(at: Site) -> None:
    at.give(at.any(0))
    if len(at.node.outputs) > 1 and at.node.outputs[1]:
        at.give(Constant(np.ones(at.any(0).shape, np.bool_)), 1)


FUNCTIONS: tuple[OnnxArm, ...] = (
    OnnxArm("Relu", "", relu),
    OnnxArm("Clip", "constant limits", clip),
    OnnxArm("LeakyRelu", "", _leaky_relu),
    OnnxArm("Sigmoid", "", _plain(SIGMOID, "logistic")),
    OnnxArm("Tanh", "", _plain(_exact(np.tanh), "tanh")),
    OnnxArm("HardSwish", "", _plain(HARD_SWISH, "hard_swish")),
    OnnxArm("HardSigmoid", "", _hard_sigmoid),
    OnnxArm("Gelu", "", _gelu),
    OnnxArm("com.microsoft.Gelu", "", _gelu),
    OnnxArm("Erf", "", _plain(ERF, "erf")),
    OnnxArm("Elu", "", _elu),
    OnnxArm("Selu", "", _selu),
    OnnxArm("Celu", "", _celu),
    OnnxArm("Softplus", "", _softplus),
    OnnxArm("Softsign", "", _softsign),
    OnnxArm("Mish", "", _mish),
    OnnxArm("Swish", "", _swish(1.0)),
    OnnxArm("com.microsoft.QuickGelu", "", _swish(1.702)),
    OnnxArm("ThresholdedRelu", "", _thresholded),
    OnnxArm("Shrink", "", _shrink),
    OnnxArm("Abs", "", _plain(np.abs, "abs")),
    OnnxArm("Neg", "", _plain(np.negative, "neg")),
    OnnxArm("Sign", "", _plain(np.sign, "sign")),
    OnnxArm("Sqrt", "", _plain(np.sqrt, "sqrt")),
    OnnxArm("Exp", "", _plain(_exact(np.exp), "exp")),
    OnnxArm("Log", "", _plain(_exact(np.log), "log")),
    OnnxArm("Sin", "", _plain(_exact(np.sin), "sin")),
    OnnxArm("Cos", "", _plain(_exact(np.cos), "cos")),
    OnnxArm("Tan", "", _tan),
    OnnxArm("Sinh", "", _hyperbolic(np.sinh, True)),
    OnnxArm("Cosh", "", _hyperbolic(np.cosh, False)),
    OnnxArm("Floor", "", _plain(np.floor, "floor")),
    OnnxArm("Ceil", "", _plain(np.ceil, "ceil")),
    OnnxArm("Round", "halves to even", _plain(np.rint, "round")),
    OnnxArm("Reciprocal", "", _reciprocal),
    OnnxArm("Identity", "", identity),
    OnnxArm("Dropout", "does nothing", dropout),
    OnnxArm("Cast", "", cast),
)
