"""The operators that are a function of one value: activations, and changes of type and scale."""

from __future__ import annotations

from collections.abc import Callable

from smelt.importers.tflite_reduce import demand_quantization
from smelt.importers.tflite_site import INT8_OR_REAL, REAL, SCALED, Arm, Site
from smelt.model.graph import Op, Tensor
from smelt.model.ops import Dequantize, Quantize, Unary, UnaryFunction
from smelt.model.ops_pointwise import Cast
from smelt.model.representable import fits_steps

INTEGERS = ("int8", "int16")
BYTES = ("int8", "uint8")
PLAIN = ("int8", "int16", "int32", "uint32", "bool", "uint8", "int64", "float32")


def unary(at: Site, function: UnaryFunction, alpha: float = 0.0) -> tuple[Op, ...]:
    x, y = at.x(), at.y()
    at.alike(x, y)
    at.demand_no_zero(x, y)
    at.agree(y, x.shape)
    return (Unary(y=y, x=x, function=function, alpha=alpha),)


def simple(function: UnaryFunction) -> Callable[[Site], tuple[Op, ...]]:
    """An operator without options."""
    return lambda at: unary(at, function)


def leaky_relu(at: Site) -> tuple[Op, ...]:
    return unary(at, "leaky_relu", at.real(0))


def logistic(at: Site) -> tuple[Op, ...]:
    if at.is_real:
        return unary(at, "logistic")
    demand_quantization(at, at.y(), *((2.0**-15, 0) if at.y().dtype == "int16" else (1 / 256, -128)))
    return unary(at, "logistic")


def tanh(at: Site) -> tuple[Op, ...]:
    if at.is_real:
        return unary(at, "tanh")
    demand_quantization(at, at.y(), 2.0**-15 if at.y().dtype == "int16" else 1 / 128, 0)
    return unary(at, "tanh")


def quantize(at: Site) -> tuple[Op, ...]:
    x, y = at.operand(0), at.y()
    if x.dtype == "float32":
        at.agree(y, x.shape)
        reach = at.bench.reach(x)
        far = reach is not None and not fits_steps(reach, y.q)
        at.demand(not far, f"input '{x.name}' can be too many steps of {y.q.scale:.3g} for 32-bit arithmetic")
        return (Quantize(y=y, x=x),)
    for tensor in (at.x(types=(*at.types, "float32")), y):
        if tensor.dtype == "int32":
            with_scale(at, tensor)
            at.demand(not tensor.q.zero_point, f"int32 '{tensor.name}' has a zero point other than 0")
    at.agree(y, x.shape)
    return (Unary(y=y, x=x, function="requantize"),)


def with_scale(at: Site, tensor: Tensor) -> None:
    """Refuse a tensor without one scale."""
    if tensor.quantization is None or len(tensor.quantization.scales) != 1:
        at.refuse(f"'{tensor.name}' is {tensor.dtype} without a scale; QUANTIZE needs one")


def dequantize(at: Site) -> tuple[Op, ...]:
    x, y = at.x(), at.result()
    if y.dtype != "float32":
        at.refuse(f"output '{y.name}' is {y.dtype}; float32 is supported")
    at.agree(y, x.shape)
    return (Dequantize(y=y, x=x),)


def gelu(at: Site) -> tuple[Op, ...]:
    return unary(at, "gelu_tanh" if at.flag(0) else "gelu")


def cast(at: Site) -> tuple[Op, ...]:
    x, y = at.x(raw=True), at.y(raw=True)
    at.agree(y, x.shape)
    return (Cast(y=y, x=x),)


REALS_TOO = (*INTEGERS, "float32")
OF_REALS: tuple[tuple[str, UnaryFunction], ...] = (
    ("SQRT", "sqrt"),
    ("SQUARE", "square"),
    ("SIN", "sin"),
    ("COS", "cos"),
    ("FLOOR", "floor"),
    ("CEIL", "ceil"),
    ("ROUND", "round"),
)

UNARY: tuple[Arm, ...] = (
    Arm("RELU", "", (1, 1), simple("relu"), types=REALS_TOO),
    Arm("RELU6", "", (1, 1), simple("relu6"), types=REALS_TOO),
    Arm("LEAKY_RELU", "", (1, 1), leaky_relu, 75, types=REALS_TOO),
    Arm("LOGISTIC", "", (1, 1), logistic, types=REALS_TOO),
    Arm("TANH", "", (1, 1), tanh, types=REALS_TOO),
    Arm("HARD_SWISH", "", (1, 1), simple("hard_swish"), types=INT8_OR_REAL),
    Arm("QUANTIZE", "from float32 or integers", (1, 1), quantize, types=(*SCALED, "int32")),
    Arm("DEQUANTIZE", "to float32", (1, 1), dequantize, types=SCALED, by_operand=True),
    Arm("ELU", "", (1, 1), simple("elu"), types=INT8_OR_REAL),
    Arm("ABS", "", (1, 1), simple("abs"), types=(*REALS_TOO, "int32")),
    Arm("RSQRT", "", (1, 1), simple("rsqrt"), types=REALS_TOO),
    Arm("LOGICAL_NOT", "", (1, 1), simple("not"), types=("bool",)),
    Arm("RELU_N1_TO_1", "", (1, 1), simple("relu_n1_to_1"), types=(*BYTES, "float32"), oracle="LiteRT"),
    Arm("RELU_0_TO_1", "", (1, 1), simple("relu_0_to_1"), types=(*BYTES, "float32"), oracle="LiteRT"),
    Arm("GELU", "", (1, 1), gelu, 116, types=(*BYTES, "float32"), oracle="LiteRT"),
    Arm("EXP", "", (1, 1), simple("exp"), types=INT8_OR_REAL, oracle="LiteRT"),
    Arm("LOG", "", (1, 1), simple("log"), types=REALS_TOO, oracle="LiteRT"),
    Arm("NEG", "", (1, 1), simple("neg"), types=("int32", "float32"), oracle="LiteRT"),
    Arm("SIGN", "", (1, 1), simple("sign"), types=("int32", "float32"), oracle="LiteRT"),
    *(Arm(code, "", (1, 1), simple(function), types=REAL) for code, function in OF_REALS),
    Arm("CAST", "", (1, 1), cast, 37, types=PLAIN),
)
