"""The bytes of an .onnx file -> `OnnxModel`. Read by hand, as .tflite files are: nothing need be installed, no field is trusted.

The numbers of fields are those of onnx.proto. Metadata, documentation strings and stored shapes of values between nodes are left
out: shapes follow from the operators.
"""

from __future__ import annotations

import struct
from pathlib import Path

from smelt.errors import ModelError, Unsupported, printable
from smelt.importers.onnx_arrays import RawTensor, array_of, packed_type, read_tensor, type_name
from smelt.importers.onnx_nodes import AI_ONNX, Attribute, Constant, Edge, Node, OnnxModel
from smelt.importers.onnx_wire import Value, Wire, integers, message, number, text

IR_VERSION, GRAPH = 1, 7
KNOWN_FIELDS = frozenset((1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26))


def is_onnx(file: bytes) -> bool:
    """Whether a file begins as an ONNX model does, and has a graph: the format has no mark of its own."""
    found: set[int] = set()
    try:
        for key, value in Wire(1000).fields(memoryview(file), "the file"):
            if key not in KNOWN_FIELDS or (key == IR_VERSION and not (isinstance(value, int) and 0 < value < 1000)):
                return False
            found.add(key)
    except ModelError:
        return GRAPH in found and IR_VERSION in found
    return GRAPH in found


def read_onnx(file: bytes, folder: Path | None = None) -> OnnxModel:
    """What the file holds. External data is read from `folder`, and from nowhere else.

    Raises ModelError where it is damaged, Unsupported where it has what smelt does not read.
    """
    wire, opsets, producer, functions = Wire(), {}, "", 0
    graph: memoryview | None = None
    for key, value in wire.fields(memoryview(file), "the file"):
        match key:
            case 2:
                producer = printable(text(value, "the producer's name"))
            case 7:
                graph = message(value, "the file")
            case 8:
                pair = dict(wire.fields(message(value, "the file"), "an operator set"))
                domain = text(pair.get(1, memoryview(b"")), "an operator set")
                opsets["" if domain == "ai.onnx" else domain] = number(pair.get(2, 1), "an operator set")
            case 25:
                functions += 1
    if graph is None:
        raise ModelError("the file holds no graph")
    if functions:
        reason = "it has functions of its own; inline them: onnx.inliner.inline_local_functions(model)"
        raise Unsupported("the file", (reason,))
    return _graph(graph, wire, opsets, producer, folder)


def _graph(data: memoryview, wire: Wire, opsets: dict[str, int], producer: str, folder: Path | None) -> OnnxModel:
    nodes: list[Node] = []
    constants: dict[str, Constant] = {}
    inputs: list[Edge] = []
    outputs: list[Edge] = []
    for key, value in wire.fields(data, "the graph"):
        match key:
            case 1:
                nodes.append(_node(message(value, "a node"), wire, len(nodes), opsets, folder))
            case 5:
                raw = read_tensor(message(value, "a tensor"), wire, "a tensor")
                if not raw.name or raw.name in constants:
                    raise ModelError(f"two initialisers are called '{printable(raw.name)}'")
                constants[raw.name] = Constant(array_of(raw, folder), packed=packed_type(raw))
            case 11:
                inputs.append(_edge(message(value, "an input"), wire, "an input"))
            case 12:
                outputs.append(_edge(message(value, "an output"), wire, "an output"))
            case 15:
                raise Unsupported("the file", ("it has sparse initialisers; store them dense",))
    inputs = [edge for edge in inputs if edge.name not in constants]  # IR versions below 4 list initialisers too
    _check_names(nodes, constants, inputs)
    return OnnxModel(producer, opsets, _in_order(nodes, constants, inputs), constants, tuple(inputs), tuple(outputs))


def _node(data: memoryview, wire: Wire, index: int, opsets: dict[str, int], folder: Path | None) -> Node:
    what = f"operator {index}"
    inputs: list[str] = []
    outputs: list[str] = []
    names = {3: "", 4: "", 7: ""}
    attributes: dict[str, Attribute] = {}
    for key, value in wire.fields(data, what):
        match key:
            case 1:
                inputs.append(text(value, what))
            case 2:
                outputs.append(text(value, what))
            case 3 | 4 | 7:
                names[key] = text(value, what)
            case 5:
                name, found = _attribute(message(value, what), wire, what, folder)
                attributes[name] = found
    domain = AI_ONNX if names[7] == "ai.onnx" else names[7]
    version = opsets.get(domain, 1)
    name, op = printable(names[3]), printable(names[4])
    return Node(index, op, printable(domain), name, tuple(inputs), tuple(outputs), attributes, version)


def _attribute(data: memoryview, wire: Wire, what: str, folder: Path | None) -> tuple[str, Attribute]:
    name, kind = "", 0
    found: dict[int, list[Value]] = {}
    for key, value in wire.fields(data, what):
        if key == 1:
            name = text(value, what)
        elif key == 20:
            kind = number(value, what)
        else:
            found.setdefault(key, []).append(value)
    return name, _value(kind, found, wire, f"{what}, attribute '{printable(name)}'", folder)


def _value(kind: int, found: dict[int, list[Value]], wire: Wire, what: str, folder: Path | None) -> Attribute:
    """What an attribute of that kind holds; subgraphs stand as the text "graph", which no operator takes."""
    one = next(({1: 2, 2: 3, 3: 4, 4: 5}[kind] for _ in (0,) if kind in (1, 2, 3, 4)), 0)
    last = found.get(one, [0 if kind == 2 else memoryview(bytes(4 if kind == 1 else 0))])[-1]
    match kind:
        case 1:
            return _floats(last, what)[0]
        case 2:
            return number(last, what)
        case 3:
            return text(last, what)
        case 4:
            raw = read_tensor(message(last, what), wire, what)
            return array_of(RawTensor(**{**vars(raw), "name": raw.name or what}), folder)
        case 6:
            return tuple(f for value in found.get(7, []) for f in _floats(value, what))
        case 7:
            return tuple(i for value in found.get(8, []) for i in integers(value, what))
        case 8:
            return tuple(text(value, what) for value in found.get(9, []))
    return "graph"


def _floats(value: Value, what: str) -> tuple[float, ...]:
    data = message(value, what)
    if len(data) % 4 or not len(data):
        raise ModelError(f"{what} has {len(data)} bytes of float32")
    return struct.unpack(f"<{len(data) // 4}f", data)


def _edge(data: memoryview, wire: Wire, what: str) -> Edge:
    name, dtype, shape = "", "unknown", None
    for key, value in wire.fields(data, what):
        if key == 1:
            name = text(value, what)
        elif key == 2:
            for sort, inner in wire.fields(message(value, what), what):
                if sort == 1:
                    dtype, shape = _tensor_type(message(inner, what), wire, what)
    return Edge(name, dtype, shape)


def _tensor_type(data: memoryview, wire: Wire, what: str) -> tuple[str, tuple[int | str, ...] | None]:
    dtype, shape = "unknown", None
    for key, value in wire.fields(data, what):
        if key == 1:
            dtype = type_name(number(value, what))
        elif key == 2:
            dims = [m for k, m in wire.fields(message(value, what), what) if k == 1]
            shape = tuple(_dimension(message(dim, what), wire, what) for dim in dims)
    return dtype, shape


def _dimension(data: memoryview, wire: Wire, what: str) -> int | str:
    found: int | str = ""
    for key, value in wire.fields(data, what):
        found = number(value, what) if key == 1 else printable(text(value, what)) if key == 2 else found
    return found


def _check_names(nodes: list[Node], constants: dict[str, Constant], inputs: list[Edge]) -> None:
    """Raise ModelError where two values have one name."""
    known = {*constants, ""}
    for names, where in (*(((e.name,), "an input") for e in inputs), *((n.outputs, n.where) for n in nodes)):
        for name in names:
            if name in known and name:
                raise ModelError(f"{where} gives '{printable(name)}', which is there already")
            known.add(name)


def _in_order(nodes: list[Node], constants: dict[str, Constant], inputs: list[Edge]) -> tuple[Node, ...]:
    """The nodes so that everything is computed before it is read, in the file's order where that is so already.

    Raises ModelError where values are read that nothing computes, or that depend on themselves.
    """
    known = {"", *constants, *(edge.name for edge in inputs)}
    made = {name for node in nodes for name in node.outputs}
    for node in nodes:
        missing = next((name for name in node.inputs if name not in known and name not in made), None)
        if missing is not None:
            raise ModelError(f"{node.where} reads '{printable(missing)}', which is nowhere computed or stored")
    waiting = {node.index: sum(name not in known for name in set(node.inputs)) for node in nodes}
    readers: dict[str, list[Node]] = {}
    for node in nodes:
        for name in set(node.inputs) - known:
            readers.setdefault(name, []).append(node)
    ready = [node for node in reversed(nodes) if not waiting[node.index]]
    ordered: list[Node] = []
    while ready:
        node = ready.pop()
        ordered.append(node)
        for name in node.outputs:
            for reader in reversed(readers.get(name, [])):
                waiting[reader.index] -= 1
                if not waiting[reader.index]:
                    ready.append(reader)
    if len(ordered) < len(nodes):
        stuck = next(node for node in nodes if waiting[node.index])
        raise ModelError(f"{stuck.where} depends on its own result, or on something that does")
    return tuple(nodes) if _is_ordered(nodes, known) else tuple(ordered)


def _is_ordered(nodes: list[Node], known: set[str]) -> bool:
    seen = set(known)
    for node in nodes:
        if not seen.issuperset(node.inputs):
            return False
        seen.update(node.outputs)
    return True
