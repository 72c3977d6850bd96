"""Subgraphs that operators call: CALL_ONCE, IF and WHILE.

None of them is left in a graph: which branch is taken and how often a loop runs must follow from constants, and the ops become ops
of the calling graph, once for every round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from smelt.errors import ModelError
from smelt.importers.tflite_file import RawModel, read_model
from smelt.importers.tflite_site import Arm, Site
from smelt.importers.tflite_variables import ANY, NO_RESULT
from smelt.importers.tflite_workbench import Variable, Workbench
from smelt.model.graph import Op, Tensor

MOST_CALLED = 64  # subgraphs, far more than real files have: each is read as a file of its own
MOST_ROUNDS = 1024
MOST_READ = 1 << 16  # operators and tensors of subgraphs, each as often as it is called: loops within loops
DEEPEST = 16  # subgraphs that call one another; real files have two or three
MOST_OPS = 8192  # of all rounds of a loop; planning takes longer than reading
INSIDE = "in its subgraph: "
MANY = 4096  # operands


@dataclass(frozen=True)
class Converted:
    """What became of a subgraph: ops, contradictions, unsupported wishes."""

    ops: tuple[Op, ...]
    errors: tuple[str, ...]
    reasons: tuple[str, ...]


Converter = Callable[[Workbench], Converted]


def control_arms(convert: Converter) -> tuple[Arm, ...]:
    """The arms of operators that call subgraphs, which `convert` converts."""

    def call_once(at: Site) -> tuple[Op, ...]:
        return _call_once(at, convert)

    def if_(at: Site) -> tuple[Op, ...]:
        return _if(at, convert)

    def while_(at: Site) -> tuple[Op, ...]:
        return _while(at, convert)

    return (
        Arm("CALL_ONCE", "a subgraph that assigns constants", (0, 0), call_once, 103, NO_RESULT, (0, 0)),
        Arm("IF", "the condition follows from constants", (1, MANY), if_, 92, ANY, (1, MANY)),
        Arm(
            "WHILE", f"at most {MOST_ROUNDS} rounds, which follow from constants", (1, MANY), while_, 93, ANY, (1, MANY)
        ),
    )


def _call_once(at: Site, convert: Converter) -> tuple[Op, ...]:
    """The first values of variables: those that a subgraph of nothing but constants assigns."""
    bench, number = at.bench, _number(at, 0)
    if any(v.read is not None or v.current is not None for v in bench.variables.values()):
        at.refuse("variables are used before it gives them their first values; put it in front")
    if number in bench.called:
        return ()
    if len(bench.called) == MOST_CALLED:
        at.refuse(f"more than {MOST_CALLED} subgraphs give variables their first values; use one")
    bench.called.add(number)
    inner = Workbench(_read(at, number))
    if any(operator.code == "CALL_ONCE" for operator in inner.model.operators):
        at.refuse("its subgraph calls another one; subgraphs of constants are supported")
    inner.inside, inner.effort = bench.inside | {number}, bench.effort
    at.demand(not _checked(at, convert(inner)), "its subgraph computes more than constants")
    for key, variable in inner.variables.items():
        if variable.current is not None and variable.current.data is not None:
            bench.variables.setdefault(key, Variable(variable.name)).initial = variable.current.data
        elif variable.current is not None:
            at.complaints.append(f"its subgraph assigns '{variable.current.name}', which is no constant")
    return ()


def _if(at: Site, convert: Converter) -> tuple[Op, ...]:
    condition, *given = (at.operand(i) for i in range(len(at.operator.inputs)))
    taken = _truth(at, condition, "its condition")
    ops, results = _inlined(at, _number(at, 0 if taken else 1), given, convert)
    _return(at, results)
    return ops


def _while(at: Site, convert: Converter) -> tuple[Op, ...]:
    condition, body = _number(at, 0), _number(at, 1)
    values = [at.operand(i) for i in range(len(at.operator.inputs))]
    ops: list[Op] = []
    for _ in range(MOST_ROUNDS + 1):
        _, results = _inlined(at, condition, values, convert)
        if len(results) != 1:
            at.broken(f"the subgraph of its condition has {len(results)} outputs, not 1")
        if not _truth(at, results[0], "how often it runs"):
            _return(at, values)
            return tuple(ops)
        made, values = _inlined(at, body, values, convert)
        ops += made
        if len(ops) > MOST_OPS:
            at.refuse(f"its rounds together are more than {MOST_OPS} operators; shorten the loop")
    at.refuse(f"it runs more than {MOST_ROUNDS} rounds; shorten the loop")


def _number(at: Site, option: int) -> int:
    """A subgraph that an option names, other than those that are being read."""
    number = at.integer(option)
    if not 0 < number < at.bench.model.subgraphs:
        at.broken(f"its subgraph is {number}, but the file has {at.bench.model.subgraphs}")
    if number in at.bench.inside:
        at.broken(f"subgraph {number} calls itself")
    return number


def _truth(at: Site, tensor: Tensor, what: str) -> bool:
    if tensor.data is None:
        at.refuse(f"{what} is computed while the model runs; it must follow from constants")
    if tensor.elements != 1 or tensor.dtype != "bool":
        at.broken(f"{what} is {tensor}, not one truth value")
    return bool(tensor.data.reshape(()))


def _inlined(at: Site, number: int, given: list[Tensor], convert: Converter) -> tuple[tuple[Op, ...], list[Tensor]]:
    """The ops of a subgraph that is given tensors of the calling one, and its outputs."""
    bench = at.bench
    inner = bench.calling(_renamed(_read(at, number), bench), number)
    if len(inner.model.inputs) != len(given):
        at.broken(f"subgraph {number} has {len(inner.model.inputs)} inputs, not {len(given)}")
    for index, value in zip(inner.model.inputs, given, strict=True):
        inner.bind(index, value)
    ops = _checked(at, convert(inner))
    return ops, [inner.tensor(index) for index in inner.model.outputs]


def _read(at: Site, number: int) -> RawModel:
    """A subgraph that the operator calls. Raises Refusal where calls are too deep in one another, or too many."""
    bench = at.bench
    if len(bench.inside) > DEEPEST:
        at.refuse(f"more than {DEEPEST} subgraphs call one another; write them into one")
    if bench.effort.called > MOST_READ:
        at.refuse(f"subgraphs are called with more than {MOST_READ:,} operators and tensors altogether; shorten loops")
    model = read_model(bench.model.file, number)
    bench.effort.called += 1 + len(model.operators) + len(model.tensors)
    return model


def _renamed(model: RawModel, bench: Workbench) -> RawModel:
    """Its tensors under names that are free in the calling graph."""
    return replace(model, tensors=tuple(replace(t, name=bench.names.unique(t.name)) for t in model.tensors))


def _checked(at: Site, converted: Converted) -> tuple[Op, ...]:
    """The ops, with what stands against the subgraph said of its caller: of the outermost one, where calls lie in one another."""
    if converted.errors:
        raise ModelError(f"{at.where}: {_inside(converted.errors[0])}")
    if converted.reasons:
        first, *others = dict.fromkeys(map(_inside, converted.reasons))
        at.complaints.extend(others)
        at.refuse(first)
    return converted.ops


def _inside(message: str) -> str:
    return INSIDE + message.rpartition(INSIDE)[2]


def _return(at: Site, values: Iterable[Tensor]) -> None:
    """Let the results of the operator be these tensors."""
    found = tuple(values)
    if len(found) != len(at.operator.outputs):
        at.broken(f"its subgraph has {len(found)} outputs, the operator {len(at.operator.outputs)}")
    for index, value in zip(at.operator.outputs, found, strict=True):
        at.bench.bind(index, value)
