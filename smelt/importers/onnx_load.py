"""An .onnx file -> `Graph`, or every reason why not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from smelt.errors import ModelError, Unsupported, brief, printable
from smelt.importers.onnx_bench import Bench, Echo, Refusal, lost_outputs
from smelt.importers.onnx_binary import POINTWISE
from smelt.importers.onnx_conv import CONVOLUTIONS
from smelt.importers.onnx_dense import PRODUCTS
from smelt.importers.onnx_edges import Layout, add_inputs, add_outputs, edge_name
from smelt.importers.onnx_file import read_onnx
from smelt.importers.onnx_fold import FOLDS, folded, given_shape
from smelt.importers.onnx_integer import begin, dialect_of, finish, integer_arms, with_bytes
from smelt.importers.onnx_joins import JOINS
from smelt.importers.onnx_moves import MOVES
from smelt.importers.onnx_nodes import Constant, Node, OnnxModel
from smelt.importers.onnx_qlinear import QLINEAR
from smelt.importers.onnx_quant import QUANTISERS
from smelt.importers.onnx_reduce import REDUCTIONS
from smelt.importers.onnx_site import OnnxArm, Site
from smelt.importers.onnx_unary import FUNCTIONS
from smelt.importers.onnx_views import Order
from smelt.importers.summary import ModelSummary, OperatorSummary, TensorSummary
from smelt.model.graph import Graph, Tensor

OLDEST = 7
ARMS: tuple[OnnxArm, ...] = (
    *CONVOLUTIONS,
    *PRODUCTS,
    *POINTWISE,
    *FUNCTIONS,
    *REDUCTIONS,
    *MOVES,
    *JOINS,
    *QUANTISERS,
    *QLINEAR,
)

NEAREST = {
    "ConvInteger": "quantise statically (quantize_static), not dynamically",
    "MatMulInteger": "quantise statically (quantize_static), not dynamically",
    "DynamicQuantizeLinear": "quantise statically (quantize_static), not dynamically",
    "LSTM": "unroll it, or convert the model to .tflite",
    "GRU": "unroll it, or convert the model to .tflite",
    "RNN": "unroll it, or convert the model to .tflite",
    "If": "export without control flow",
    "Loop": "export without control flow",
    "Scan": "export without control flow",
    "NonMaxSuppression": "export the network without its last stage, and suppress boxes on the host",
}


@dataclass(frozen=True, eq=False)
class Conversion:
    """What became of a file: contradictions (`errors`), what is not supported (`reasons`), and the bench with what was made."""

    bench: Bench
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    errors: tuple[str, ...]
    reasons: tuple[str, ...]

    def graph(self, name: str) -> Graph:
        """What was converted, as a graph."""
        remarks = (*self.bench.remarks, *_moved(self.bench))
        graph = Graph(name, self.inputs, self.outputs, tuple(self.bench.ops), remarks=remarks)
        return graph.substitute(self.bench.renewed)


def load_onnx(file: bytes, name: str, folder: Path | None = None, layout: Layout = "channels_last") -> Graph:
    """The graph in the bytes of an .onnx file, called `name`. External data is read from `folder`. Edges that are images have
    their channels last, or, where the layout is "keep", lie as the file says.

    Raises ModelError or Unsupported with all reasons.
    """
    conversion = convert(read_onnx(file, folder), layout)
    if conversion.errors:
        raise ModelError("the file is damaged or inconsistent:\n" + "\n".join(f"  - {e}" for e in conversion.errors))
    if conversion.reasons:
        raise Unsupported(name, conversion.reasons)
    try:
        return conversion.graph(name).check()
    except ModelError as error:
        raise ModelError("\n".join(brief(str(error).splitlines()))) from None


def edge_orders(file: bytes, layout: Layout = "channels_last") -> tuple[tuple[Order, ...], tuple[Order, ...]]:
    """For every input and every output of the file, which of its axes is which in the firmware: axis i of a stored edge is axis
    `order[i]` of the file's."""
    model = read_onnx(file)
    bench = convert(model, layout).bench
    return tuple(bench.orders[e.name] for e in model.inputs), tuple(bench.orders[e.name] for e in model.outputs)


def convert(model: OnnxModel, layout: Layout = "channels_last") -> Conversion:
    """Convert every operator that can be, and collect every complaint about the others."""
    dialect = dialect_of(model)
    bench = Bench(model if dialect is None else with_bytes(model))
    for edge in model.outputs:
        bench.names.unique(edge_name(edge))
    errors: list[str] = []
    reasons = list(_of_the_file(model))
    inputs, found = add_inputs(bench, layout)
    reasons += found
    arms = {arm.code: arm for arm in ARMS}
    if dialect is not None:
        begin(bench, dialect)
        arms = integer_arms(arms)
    unknown: dict[str, list[Node]] = {}
    for node in model.nodes:
        _convert(bench, node, arms, errors, reasons, unknown)
    if dialect is not None:
        reasons += finish(bench)
    outputs, found, wrong = add_outputs(bench, inputs, layout)
    reasons += found
    errors += wrong
    reasons = [*_of_unknown(unknown), *reasons]
    if not model.outputs or not model.inputs:
        errors.append("the graph has no inputs" if not model.inputs else "the graph has no outputs")
    return Conversion(bench, tuple(inputs), tuple(outputs), brief(errors), brief(reasons))


def _convert(
    bench: Bench,
    node: Node,
    arms: dict[str, OnnxArm],
    errors: list[str],
    reasons: list[str],
    unknown: dict[str, list[Node]],
) -> None:
    at = Site(bench, node)
    bench.here = node.where
    made = len(bench.ops)
    try:
        if folded(at) or given_shape(at, node):
            return
        arm = arms.get(node.code)
        if arm is not None:
            arm.build(at)
            bench.shallow(node)
            return
        if not any(name in bench.lost for name in node.inputs) or node.op not in FOLDS:
            unknown.setdefault(node.code, []).append(node)
    except Echo:
        pass
    except Refusal as refusal:
        reasons.append(f"{node.where}: {refusal}")
    except ModelError as error:
        errors.append(f"{node.where}: {error}")
    del bench.ops[made:]
    bench.lost |= lost_outputs(node)


def _of_the_file(model: OnnxModel) -> Iterator[str]:
    version = model.opsets.get("", OLDEST)
    if version < OLDEST:
        yield f"the file has operator set {version}; {OLDEST} is the oldest that is supported: onnx.version_converter raises it"


def _of_unknown(unknown: dict[str, list[Node]]) -> Iterator[str]:
    for code, nodes in unknown.items():
        places = ", ".join(str(node.index) for node in nodes[:5]) + (", ..." if len(nodes) > 5 else "")
        several = f"operator {places}" if len(nodes) == 1 else f"{len(nodes)} operators ({places})"
        near = NEAREST.get(nodes[0].op, "rewrite it with supported operators (smelt ops lists them)")
        yield f"{code} is not supported ({several}); {near}"


def _moved(bench: Bench) -> Iterator[str]:
    """What is said of transpositions that stayed."""
    places = list(dict.fromkeys(moved.where for moved in bench.moved))
    if places:
        shown = ", ".join(places[:3]) + (", ..." if len(places) > 3 else "")
        yield f"{len(bench.moved)} transposition(s) had to stay, because of {shown}"


# What `smelt inspect` shows


def describe_onnx(file: bytes, name: str, folder: Path | None = None) -> ModelSummary:
    """What the file contains, compilable or not. Raises ModelError only where it cannot even be read."""
    try:
        model = read_onnx(file, folder)
    except Unsupported as refusal:
        return ModelSummary(name, "onnx", "", (), (), (), 0, refusal.reasons)
    conversion = convert(model)
    bench = conversion.bench
    macs: dict[str, int] = {}
    for op in bench.ops:
        macs[op.origin] = macs.get(op.origin, 0) + op.macs
    return ModelSummary(
        name=name,
        format="onnx",
        description=", ".join((model.producer, *(f"{d or 'ai.onnx'} {v}" for d, v in model.opsets.items()))),
        inputs=tuple(_summary(bench, edge.name) for edge in model.inputs),
        outputs=tuple(_summary(bench, edge.name) for edge in model.outputs),
        operators=tuple(_operator(bench, node, macs) for node in model.nodes),
        constant_bytes=sum(c.data.nbytes for c in model.constants.values()),
        problems=_problems(conversion, name),
    )


def _operator(bench: Bench, node: Node, macs: dict[str, int]) -> OperatorSummary:
    return OperatorSummary(
        index=node.index,
        name=node.code,
        version=node.version,
        inputs=tuple(_summary(bench, name) for name in node.inputs if name),
        outputs=tuple(_summary(bench, name) for name in node.outputs if name),
        macs=macs.get(node.where, 0),
    )


def _summary(bench: Bench, name: str) -> TensorSummary:
    value = bench.values.get(name)
    if value is None:
        return TensorSummary(printable(name), (), "unknown", None, False)
    return TensorSummary(printable(name), value.shape, value.dtype, None, isinstance(value, Constant))


def _problems(conversion: Conversion, name: str) -> tuple[str, ...]:
    if conversion.errors or conversion.reasons:
        return (*conversion.errors, *conversion.reasons)
    try:
        conversion.graph(name).check()
    except ModelError as error:
        return (str(error),)
    return ()
