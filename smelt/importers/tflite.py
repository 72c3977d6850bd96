"""A .tflite file -> `Graph`, or every reason why not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from math import prod

from smelt.errors import ModelError, Unsupported, brief
from smelt.importers.summary import ModelSummary, OperatorSummary, QuantizationSummary, TensorSummary
from smelt.importers.tflite_advice import FIXED_SHAPE
from smelt.importers.tflite_binary import BINARY
from smelt.importers.tflite_choices import CHOOSING
from smelt.importers.tflite_constants import FUNCTIONS, PLAIN, folded, known
from smelt.importers.tflite_control import Converted, control_arms
from smelt.importers.tflite_decode import DECODING
from smelt.importers.tflite_detection import DETECTING
from smelt.importers.tflite_file import RawModel, RawOperator, RawQuantization, RawTensor, read_model
from smelt.importers.tflite_gates import GATES, gated
from smelt.importers.tflite_gathers import GATHERING
from smelt.importers.tflite_legacy import as_int8, is_legacy, with_bytes
from smelt.importers.tflite_matmul import MATMUL
from smelt.importers.tflite_moves import MOVING
from smelt.importers.tflite_ops import COMPUTING
from smelt.importers.tflite_reasons import Findings, hybrid_remarks
from smelt.importers.tflite_recurrent import RECURRENT
from smelt.importers.tflite_reduce import REDUCING
from smelt.importers.tflite_running import RUNNING
from smelt.importers.tflite_signal import SIGNAL
from smelt.importers.tflite_site import Arm, Site, quantization_complaint
from smelt.importers.tflite_streams import STREAMS
from smelt.importers.tflite_unary import UNARY
from smelt.importers.tflite_variables import VARIABLES, remembered
from smelt.importers.tflite_weights import without_zero_points
from smelt.importers.tflite_workbench import Echo, Refusal, Workbench
from smelt.model.graph import Graph, Op, State, Tensor
from smelt.model.representable import excesses


def load_tflite(file: bytes, name: str) -> Graph:
    """The graph in the bytes of a .tflite file, called `name`. Raises ModelError or Unsupported with all reasons."""
    conversion = convert(read_model(file))
    if conversion.errors:
        raise ModelError("the file is damaged or inconsistent:\n" + "\n".join(f"  - {e}" for e in conversion.errors))
    if conversion.reasons:
        raise Unsupported(name, conversion.reasons)
    return _checked(conversion.graph(name))


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
    states: tuple[State, ...]
    macs: dict[int, int]
    errors: tuple[str, ...]
    reasons: tuple[str, ...]
    remarks: tuple[str, ...]

    def graph(self, name: str) -> Graph:
        """What was converted, as a graph."""
        return Graph(name, self.inputs, self.outputs, self.ops, self.states, self.remarks)


def convert(model: RawModel) -> Conversion:
    """Convert every operator that can be, and collect every complaint about the others."""
    arms = {arm.code: arm for arm in ARMS}
    file, legacy = model, is_legacy(model, arms)
    model = as_int8(file) if legacy else file
    bench, findings = Workbench(model, legacy), Findings(model, arms)
    macs, ops = _all(bench, findings)
    inputs, outputs = _edges(bench, model, findings)
    memory = remembered(bench)
    ops = [op.substitute(memory.constants) for op in ops]
    outputs = tuple(memory.constants.get(t, t) for t in outputs)
    whole = gated(bench, ops, outputs, memory)
    ops, outputs, states = list(whole.ops), whole.outputs, whole.states
    reasons = findings.all_reasons() or _foreign_types(inputs, outputs)
    if legacy and len(inputs) == len(model.inputs) and len(outputs) == len(model.outputs):
        inputs, outputs, before, behind = with_bytes(file, inputs, outputs)
        ops = [*before, *ops, *behind]
    return Conversion(
        inputs, outputs, tuple(ops), states, macs, brief(findings.errors), brief(reasons), hybrid_remarks(bench)
    )


def _all(bench: Workbench, findings: Findings) -> tuple[dict[int, int], list[Op]]:
    """What every operator of a subgraph becomes, with the MACs of each by its index."""
    ops: list[Op] = []
    macs: dict[int, int] = {}
    for operator in bench.model.operators:
        arm = findings.arms.get(operator.code)
        site = Site(bench, operator, arm.types, arm.by_operand) if arm else Site(bench, operator, ())
        made = _attempt(site, arm, findings)
        if made is None or site.reads_lost():
            bench.lost.update(operator.outputs)
        if made is not None:
            macs[operator.index] = sum(op.macs for op in made)
            ops += made
    return macs, [op.substitute(bench.renewed) for op in ops]


def _of_subgraph(bench: Workbench) -> Converted:
    findings = Findings(bench.model, {arm.code: arm for arm in ARMS})
    _, ops = _all(bench, findings)
    return Converted(tuple(ops), tuple(findings.errors), findings.all_reasons())


ARMS: tuple[Arm, ...] = (
    *COMPUTING,
    *BINARY,
    *UNARY,
    *REDUCING,
    *MOVING,
    *GATHERING,
    *RUNNING,
    *CHOOSING,
    *SIGNAL,
    *STREAMS,
    *DECODING,
    *GATES,
    *DETECTING,
    *RECURRENT,
    *MATMUL,
    *VARIABLES,
    *control_arms(_of_subgraph),
)


def _attempt(site: Site, arm: Arm | None, findings: Findings) -> tuple[Op, ...] | None:
    """The ops of one operator (none where its results are known by now); None, and findings, where it fails."""
    try:
        if known(site):
            return _complained(site, (), findings)
        if arm is None or site.dtype not in arm.types:
            _note_lacking(site, arm, findings)
            return None
        _check_form(site, arm)
        made = tuple(replace(op, origin=site.origin) for op in without_zero_points(site, arm.build(site)))
        for op in made:
            site.bench.note(op)
            site.complaints.extend(excesses(op))
        if not site.complaints and folded(site, made):
            made = ()
    except ModelError as error:
        if not site.reads_lost():  # else the shapes and values of what was lost are to blame
            findings.errors.append(_located(site, str(error)))
        return None
    except Echo:
        return None
    except Refusal as refusal:
        site.complaints.append(str(refusal))
        made = ()
    return _complained(site, made, findings)


def _complained(site: Site, made: tuple[Op, ...], findings: Findings) -> tuple[Op, ...] | None:
    """`made`; None, and reasons, where there are complaints about the operator."""
    findings.reasons += [_located(site, complaint) for complaint in site.complaints]
    return None if site.complaints else made


def _note_lacking(site: Site, arm: Arm | None, findings: Findings) -> None:
    """Note an operator that is not supported in its type; not if it would be known, were its operands not lost."""
    if site.operator.code in FUNCTIONS and site.dtype in PLAIN and site.reads_lost():
        return
    if arm is None:
        findings.unknown.append(site.operator)
    else:
        findings.mistyped.append((site.operator, site.dtype))


def _located(site: Site, message: str) -> str:
    return message if message.startswith(site.where) else f"{site.where}: {message}"


def _check_form(site: Site, arm: Arm) -> None:
    least, most = arm.inputs
    found = len(site.operator.inputs)
    if not least <= found <= most:
        site.broken(f"it has {found} inputs, not {least if least == most else f'{least} to {most}'}")
    least, most = arm.outputs
    found = len(site.operator.outputs)
    if not least <= found <= most:
        site.broken(f"it has {found} outputs, not {least if least == most else f'{least} to {most}'}")
    if arm.options and site.operator.options is not None and site.operator.options_type != arm.options:
        site.broken(f"its options are of kind {site.operator.options_type}, not {arm.options}")


def _edges(bench: Workbench, model: RawModel, findings: Findings) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The model's inputs and outputs; none where they are unusable."""
    for role, indices in (("input", model.inputs), ("output", model.outputs)):
        if not indices:
            findings.errors.append(f"the model has no {role}s")
        if len(set(indices)) != len(indices):
            findings.reasons.append(f"the model lists an {role} twice; list every tensor once")
    inputs = tuple(t for i in model.inputs if (t := _edge(bench, i, "input", findings)) is not None)
    outputs = tuple(t for i in model.outputs if (t := _edge(bench, i, "output", findings)) is not None)
    return inputs, outputs


def _foreign_types(inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> tuple[str, ...]:
    """Edges of types that no operator complains of, as none reads or writes them."""
    edges = (("input", t) for t in inputs), (("output", t) for t in outputs)
    return tuple(
        f"{role} '{tensor.name}' is {tensor.dtype}; types of whole bytes are supported"
        for role, tensor in chain(*edges)
        if tensor.element.is_packed
    )


def _edge(bench: Workbench, index: int, role: str, findings: Findings) -> Tensor | None:
    raw = bench.model.tensors[index]
    try:
        tensor = bench.tensor(index)
    except ModelError as error:
        findings.errors.append(str(error))
        return None
    except Refusal as refusal:
        findings.reasons.append(str(refusal))
        return None
    if role == "input" and raw.data is not None:
        findings.errors.append(f"{role} '{raw.name}' has constant data")
    if role == "input" and any(size == -1 for size in raw.signature[1:]):
        findings.reasons.append(
            f"{role} '{raw.name}' has the dynamic shape {list(raw.signature)}; only the batch may be dynamic; {FIXED_SHAPE}"
        )
    if tensor.elements == 0 and index not in bench.lost:
        findings.reasons.append(f"{role} '{raw.name}' of shape {list(raw.shape)} is empty")
    if tensor.quantization is not None and tensor.dtype == "int8" and (complaint := quantization_complaint(tensor)):
        findings.reasons.append(f"{role} '{raw.name}' {complaint}")
    return tensor


def _problems(conversion: Conversion, name: str) -> tuple[str, ...]:
    if conversion.errors or conversion.reasons:
        return (*conversion.errors, *conversion.reasons)
    try:
        _checked(conversion.graph(name))
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


def _quantization(stored: RawQuantization | None) -> QuantizationSummary | None:
    if stored is None:
        return None
    axis = stored.axis if len(stored.scales) > 1 else None
    return QuantizationSummary(stored.scales, stored.zero_points, axis, stored.custom)
