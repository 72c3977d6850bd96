"""What lives between inferences in a .tflite file: variables behind handles, and tensors that are variable. They become states."""

from __future__ import annotations

from dataclasses import dataclass, replace

from smelt.importers.tflite_site import Arm, Site
from smelt.importers.tflite_workbench import Variable, Workbench
from smelt.model.graph import Array, Op, State, Tensor

HANDLE = ("resource",)
NO_RESULT = ("none",)
ANY = ("int8", "int16", "int32", "int64", "uint8", "uint32", "uint64", "bool", "float32")


@dataclass(frozen=True)
class Remembered:
    """The states of a graph, behind how many gates each is renewed, and what stands for variables that never change."""

    states: tuple[State, ...]
    behind: tuple[int, ...]
    constants: dict[Tensor, Tensor]


def remembered(bench: Workbench) -> Remembered:
    """What became of the variables that are read."""
    states: dict[State, int] = {}
    constants: dict[Tensor, Tensor] = {}
    for variable in (*bench.variables.values(), *bench.kept):
        read, write = variable.read, variable.current
        if read is None or (write is None and variable.initial is None):
            continue
        initial = filled(write or read) if variable.initial is None else variable.initial
        if write is None:
            constants[read] = replace(read, data=initial)
        else:
            states[State(read, write, initial)] = variable.behind
    return Remembered(tuple(states), tuple(states.values()), constants)


def filled(tensor: Tensor) -> Array:
    """What the oracle puts into a variable before it is assigned: the zero point, in every byte."""
    q = tensor.quantization
    zero = q.zero_points[0] % 256 if q is not None and q.zero_points else 0
    return tensor.element.unpack(bytes([zero]) * tensor.bytes, tensor.elements).reshape(tensor.shape)


def var_handle(at: Site) -> tuple[Op, ...]:
    options = at.operator.options
    key = ("", "") if options is None else (options.text(0), options.text(1))
    at.bench.handles[at.operator.outputs[0]] = at.bench.variables.setdefault(key, Variable(key[1] or key[0]))
    return ()


def read_variable(at: Site) -> tuple[Op, ...]:
    variable, y = _variable(at), at.y(raw=True)
    if variable.current is None and variable.read is None:
        variable.read = at.bench.named(y, variable.name)
    value = variable.current or variable.read
    assert value is not None
    _agree(at, y, value)
    at.bench.alias(y, value)
    return ()


def assign_variable(at: Site) -> tuple[Op, ...]:
    variable, value = _variable(at), at.x(1, ANY, raw=True)
    for other in (variable.read, variable.current):
        if other is not None:
            _agree(at, value, other)
    if variable.current is not None and variable.behind != len(at.bench.gates):
        at.refuse(
            "its variable is assigned in front of and behind a CIRCULAR_BUFFER that ends inferences; assign it once"
        )
    variable.current, variable.behind = value, len(at.bench.gates)
    return ()


def _agree(at: Site, tensor: Tensor, other: Tensor) -> None:
    if (tensor.shape, tensor.dtype) != (other.shape, other.dtype):
        at.broken(f"'{tensor.name}' is {tensor}, but the variable holds {other}")


def _variable(at: Site) -> Variable:
    handle = at.operator.inputs[0]
    if handle not in at.bench.handles:
        at.broken("its first operand is no handle of a variable")
    return at.bench.handles[handle]


VARIABLES: tuple[Arm, ...] = (
    Arm("VAR_HANDLE", "by container and name", (0, 0), var_handle, 111, HANDLE),
    Arm("READ_VARIABLE", "of a fixed shape", (1, 1), read_variable, types=ANY),
    Arm("ASSIGN_VARIABLE", "", (2, 2), assign_variable, types=NO_RESULT, outputs=(0, 0)),
)
