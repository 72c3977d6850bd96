"""A .tflite file -> `Graph`, or every reason why not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

from smelt.errors import ModelError, Unsupported, brief
from smelt.importers.summary import ModelSummary, OperatorSummary, TensorSummary
from smelt.importers.tflite_file import RawModel, RawOperator, RawQuantization, RawTensor, read_model
from smelt.importers.tflite_integers import FUNCTIONS, INTEGERS, MOST_VALUES, evaluate
from smelt.importers.tflite_moves import MOVING
from smelt.importers.tflite_ops import COMPUTING
from smelt.importers.tflite_site import Arm, Refusal, Site, Workbench, quantization_complaint
from smelt.model.graph import Graph, Op, Tensor
from smelt.model.reference import evaluate as compute
from smelt.model.representable import excesses

ARMS: tuple[Arm, ...] = (*COMPUTING, *MOVING)
SCHEMA_VERSION = 3


def load_tflite(file: bytes, name: str) -> Graph:
    """The graph in the bytes of a .tflite file, called `name`. Raises ModelError or Unsupported with all reasons."""
    conversion = convert(read_model(file))
    if conversion.errors:
        raise ModelError("the file is damaged or inconsistent:\n" + "\n".join(f"  - {e}" for e in conversion.errors))
    if conversion.reasons:
        raise Unsupported(name, conversion.reasons)
    return _checked(Graph(name, conversion.inputs, conversion.outputs, conversion.ops))


def _checked(graph: Graph) -> Graph:
    """The graph if it is consistent; else a ModelError that is not endless."""
    try:
        return graph.check()
    except ModelError as error:
        raise ModelError("\n".join(brief(str(error).splitlines()))) from None


def describe_tflite(file: bytes, name: str) -> ModelSummary:
    """What the file contains, compilable or not. Raises ModelError only where it cannot even be read."""
    model = read_model(file)
    conversion = convert(model)
    return ModelSummary(
        name=name,
        format="tflite",
        description=model.description,
        inputs=tuple(_summary(model.tensors[index]) for index in model.inputs),
        outputs=tuple(_summary(model.tensors[index]) for index in model.outputs),
        operators=tuple(_operator_summary(model, operator, conversion.macs) for operator in model.operators),
        constant_bytes=sum(size for _, size in {tensor.data for tensor in model.tensors if tensor.data}),
        problems=_problems(conversion, name),
    )


@dataclass(frozen=True)
class Conversion:
    """What became of a file: ops, MACs by operator index, contradictions (`errors`), unsupported wishes (`reasons`)."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    macs: dict[int, int]
    errors: tuple[str, ...]
    reasons: tuple[str, ...]


def convert(model: RawModel) -> Conversion:
    """Convert every operator that can be, and collect every complaint about the others."""
    bench = Workbench(model)
    errors: list[str] = []
    reasons = list(_general_reasons(model))
    ops: list[Op] = []
    macs: dict[int, int] = {}
    for operator in model.operators:
        arm = _arm(operator.code)
        site = Site(bench, operator, arm.types if arm else ())
        made = _attempt(site, arm, errors, reasons)
        macs |= {operator.index: sum(op.macs for op in made)} if made else {}
        ops += made
    inputs, outputs = _edges(bench, model, errors, reasons)
    return Conversion(inputs, outputs, tuple(ops), macs, brief(errors), brief(reasons))


def _attempt(site: Site, arm: Arm | None, errors: list[str], reasons: list[str]) -> tuple[Op, ...]:
    """The ops of one operator; none, and complaints in the lists, where it fails."""
    dtype = _dtype(site.bench.model, site.operator)
    shapes = dtype in INTEGERS and site.operator.code in FUNCTIONS and dtype not in site.types
    if not shapes and (arm is None or (dtype in GENERAL and dtype not in arm.types)):
        return ()  # a general reason covers it
    try:
        made: tuple[Op, ...] = ()
        if shapes:
            evaluate(site)
        else:
            assert arm is not None
            _check_form(site, arm)
            made = _computed(site, tuple(replace(op, origin=site.origin) for op in arm.build(site)))
        for op in made:
            site.bench.note(op)
            site.complaints.extend(excesses(op))
    except ModelError as error:
        errors.append(_located(site, str(error)))
        return ()
    except Refusal as refusal:
        site.complaints.append(str(refusal))
        made = ()
    reasons += [_located(site, complaint) for complaint in site.complaints]
    return () if site.complaints else made


def _computed(site: Site, ops: tuple[Op, ...]) -> tuple[Op, ...]:
    """`ops`, or nothing where they are integers that follow from a few constants: shapes and axes, which later operators ask
    for while they are converted."""
    (index, *others) = site.operator.outputs
    few = sum(tensor.elements for op in ops for tensor in op.inputs) <= MOST_VALUES
    if others or len(ops) != 1 or ops[0].y.dtype not in INTEGERS or ops[0].activations or not few:
        return ops
    site.bench.define(index, compute(ops[0], *(tensor.constant for tensor in ops[0].inputs)))
    return ()


def _located(site: Site, message: str) -> str:
    return message if message.startswith(site.where) else f"{site.where}: {message}"


def _arm(code: str) -> Arm | None:
    return next((arm for arm in ARMS if arm.code == code), None)


def _check_form(site: Site, arm: Arm) -> None:
    least, most = arm.inputs
    found = len(site.operator.inputs)
    if not least <= found <= most:
        site.broken(f"it has {found} inputs, not {least if least == most else f'{least} to {most}'}")
    if arm.code not in ("SPLIT", "SPLIT_V", "UNPACK") and len(site.operator.outputs) != 1:
        site.broken(f"it has {len(site.operator.outputs)} outputs, not 1")
    if arm.options and site.operator.options is not None and site.operator.options_type != arm.options:
        site.broken(f"its options are of kind {site.operator.options_type}, not {arm.options}")


def _edges(
    bench: Workbench, model: RawModel, errors: list[str], reasons: list[str]
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The model's inputs and outputs; none where they are unusable."""
    for role, indices in (("input", model.inputs), ("output", model.outputs)):
        if not indices:
            errors.append(f"the model has no {role}s")
        if len(set(indices)) != len(indices):
            reasons.append(f"the model lists an {role} twice; list every tensor once")
    inputs = tuple(t for i in model.inputs if (t := _edge(bench, i, "input", errors, reasons)) is not None)
    outputs = tuple(t for i in model.outputs if (t := _edge(bench, i, "output", errors, reasons)) is not None)
    if not reasons:  # else those say it, but for tensors that no operator reads or writes
        reasons += [*_foreign_types("input", inputs), *_foreign_types("output", outputs)]
    return inputs, outputs


def _foreign_types(role: str, tensors: tuple[Tensor, ...]) -> Iterator[str]:
    for tensor in tensors:
        if tensor.dtype not in ("int8", "float32"):
            yield f"{role} '{tensor.name}' is {tensor.dtype}; int8 (or float32 through QUANTIZE) is supported"


def _edge(bench: Workbench, index: int, role: str, errors: list[str], reasons: list[str]) -> Tensor | None:
    raw = bench.model.tensors[index]
    try:
        tensor = bench.tensor(index)
    except ModelError as error:
        errors.append(str(error))
        return None
    except Refusal as refusal:
        reasons.append(str(refusal))
        return None
    if role == "input" and raw.data is not None:
        errors.append(f"{role} '{raw.name}' has constant data")
    if role == "input" and any(size == -1 for size in raw.signature[1:]):
        reasons.append(
            f"{role} '{raw.name}' has the dynamic shape {list(raw.signature)}; only the batch may be dynamic"
        )
    if tensor.elements == 0:
        reasons.append(f"{role} '{raw.name}' of shape {list(raw.shape)} is empty")
    if tensor.dtype == "int8" and (complaint := quantization_complaint(tensor)):
        reasons.append(f"{role} '{raw.name}' {complaint}")
    return tensor


GENERAL: dict[str, str] = {
    "float32": "float32",
    "float16": "float16",
    "uint8": "uint8 (the legacy quantisation)",
    "int16": "int16",
    "int4": "int4",
}


def _general_reasons(model: RawModel) -> Iterator[str]:
    """Reasons that concern the whole file: one each, not one for every operator."""
    if model.version != SCHEMA_VERSION:
        yield f"the file has schema version {model.version}; version {SCHEMA_VERSION} is supported"
    if model.subgraphs > 1:
        yield f"the file has {model.subgraphs} subgraphs (control flow or several signatures); one is supported"
    yield from _type_reasons(model)
    yield from _unknown_reasons(model)


def _type_reasons(model: RawModel) -> Iterator[str]:
    working = [o for o in model.operators if _arm(o.code) is not None and o.code not in ("QUANTIZE", "DEQUANTIZE")]
    for dtype, text in GENERAL.items():
        found = [o for o in model.operators if _dtype(model, o) == dtype and _lacks(o, dtype)]
        if dtype == "float32" and found and len(found) == len(working):
            yield _float_reason(model, found)
        elif found:
            verb = "computes" if len(found) == 1 else "compute"
            yield f"{_several(found)} {verb} in {text}; int8 is supported: quantise the whole model to int8"


def _lacks(operator: RawOperator, dtype: str) -> bool:
    """Whether an operator is known, but not in this type."""
    arm = _arm(operator.code)
    return arm is not None and dtype not in arm.types


def _float_reason(model: RawModel, found: list[RawOperator]) -> str:
    inputs = (model.tensors[index] for operator in found for index in operator.inputs if index >= 0)
    if any(tensor.dtype == "int8" and tensor.data for tensor in inputs):
        return (
            "this is a hybrid model: int8 weights, float32 activations (dynamic range quantisation); "
            "quantise it to int8 fully, with a representative data set"
        )
    return (
        "this is a float32 model; quantise it to int8 (full integer quantisation with a representative data set, "
        "operators TFLITE_BUILTINS_INT8)"
    )


def _unknown_reasons(model: RawModel) -> Iterator[str]:
    unknown: dict[str, list[RawOperator]] = {}
    for operator in model.operators:
        covered = operator.code in FUNCTIONS and _dtype(model, operator) in INTEGERS
        if _arm(operator.code) is None and not covered:
            unknown.setdefault(operator.code, []).append(operator)
    for code, found in unknown.items():
        near = NEAREST.get(code, "rewrite it with supported operators (smelt ops lists them)")
        what = f"the custom operator '{code[7:]}'" if code.startswith("CUSTOM ") else code
        yield f"{what} is not supported ({_several(found)}); {near}"


def _several(found: list[RawOperator]) -> str:
    shown = ", ".join(str(operator.index) for operator in found[:5])
    more = ", ..." if len(found) > 5 else ""
    return f"operator {shown}" if len(found) == 1 else f"{len(found)} operators ({shown}{more})"


def _dtype(model: RawModel, operator: RawOperator) -> str:
    """The type an operator works in: that of its first result; for DEQUANTIZE of its operand."""
    indices = operator.inputs if operator.code == "DEQUANTIZE" else operator.outputs
    return model.tensors[indices[0]].dtype if indices and indices[0] >= 0 else "none"


NEAREST: dict[str, str] = {
    "PRELU": "LEAKY_RELU (one slope for all channels) is",
    "ELU": "RELU, LEAKY_RELU and HARD_SWISH are",
    "GELU": "RELU, LEAKY_RELU and HARD_SWISH are",
    "RELU_N1_TO_1": "RELU and RELU6 are, and it is when fused into a convolution",
    "RELU_0_TO_1": "RELU and RELU6 are",
    "DIV": "MUL by a constant is",
    "SUM": "MEAN is",
    "LOG_SOFTMAX": "SOFTMAX is",
    "MIRROR_PAD": "PAD is",
    "L2_POOL_2D": "AVERAGE_POOL_2D is",
    "BATCH_MATMUL": "FULLY_CONNECTED with constant weights is",
    "CONV_3D": "CONV_2D is",
    "SVDF": "CONV_2D and FULLY_CONNECTED are",
}


def _problems(conversion: Conversion, name: str) -> tuple[str, ...]:
    if conversion.errors or conversion.reasons:
        return (*conversion.errors, *conversion.reasons)
    try:
        _checked(Graph(name, conversion.inputs, conversion.outputs, conversion.ops))
    except ModelError as error:
        return (str(error),)
    return ()


def _operator_summary(model: RawModel, operator: RawOperator, macs: dict[int, int]) -> OperatorSummary:
    return OperatorSummary(
        index=operator.index,
        name=operator.code,
        version=operator.version,
        inputs=tuple(_summary(model.tensors[index]) for index in operator.inputs if index >= 0),
        outputs=tuple(_summary(model.tensors[index]) for index in operator.outputs),
        macs=macs.get(operator.index, _declared_macs(model, operator)),
    )


def _declared_macs(model: RawModel, operator: RawOperator) -> int | None:
    """Multiply-accumulates by the declared shapes, for operators that were not converted (float ones, say)."""
    shapes = [model.tensors[index].shape if index >= 0 else () for index in (*operator.inputs[:3], *operator.outputs)]
    if len(operator.inputs) < 2 or len(operator.outputs) != 1:
        return None
    weights = shapes[1]
    match operator.code, len(weights):
        case ("CONV_2D", 4):
            return prod(shapes[-1]) * prod(weights[1:])
        case ("DEPTHWISE_CONV_2D", 4):
            return prod(shapes[-1]) * prod(weights[1:3])
        case ("FULLY_CONNECTED", 2):
            return prod(shapes[-1]) * weights[1]
        case ("TRANSPOSE_CONV", 4):
            return prod(shapes[2]) * prod(weights[:3])
    return None


def _summary(raw: RawTensor) -> TensorSummary:
    return TensorSummary(raw.name, raw.shape, raw.dtype, _quantization(raw.quantization), raw.data is not None)


def _quantization(stored: RawQuantization | None) -> str:
    if stored is None:
        return ""
    if stored.custom:
        return "custom"
    if len(stored.scales) > 1:
        return f"per channel ({len(stored.scales)}, axis {stored.axis})"
    return f"{stored.scales[0]:.6g} * (q - {stored.zero_points[0] if stored.zero_points else 0})"
