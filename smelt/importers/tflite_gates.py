"""CIRCULAR_BUFFER: it keeps the last values of its input, and lets the operators behind it run in every so manieth inference only.

In other inferences outputs stay as they were, and so does whatever is remembered behind it. A graph always runs as a whole: it
computes what it then does not take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from smelt.importers.tflite_site import Arm, Site
from smelt.importers.tflite_streams import remembered as state_of
from smelt.importers.tflite_variables import Remembered, filled
from smelt.importers.tflite_workbench import Gate, Workbench
from smelt.model.graph import Op, State, Tensor
from smelt.model.ops_pointwise import LogicalAnd, Select
from smelt.model.ops_streams import CircularBuffer, Countdown

MOST_PERIOD = 1 << 16
EVERY_TIME = (5, 13, 25)  # slots, where the file does not say: what the oracle takes for those of two models
UNCERTAIN = (2, 96)  # rows and channels of a buffer that it takes for another if it is the fifth


def circular_buffer(at: Site) -> tuple[Op, ...]:
    x, y = at.x(0), at.bench.kept_by_its_operator(at.operator.outputs[0])
    if (
        len(x.shape) != 4
        or len(y.shape) != 4
        or x.shape[1] != 1
        or (x.shape[0], *x.shape[2:]) != (y.shape[0], *y.shape[2:])
    ):
        at.broken(f"an input of shape {list(x.shape)} is no slot of {list(y.shape)}")
    at.demand(x.shape[0] == 1, f"its input has a batch of {x.shape[0]}; 1 is supported")
    at.demand(x.quantization == y.quantization, f"'{x.name}' and '{y.name}' have different scales or zero points")
    history = at.bench.named(y, f"{y.name}.before")
    at.bench.keep(history, y, y.q.zero_point)
    kept = CircularBuffer(y=y, x=x, history=history)
    period = _period(at, y)
    if period == 1:
        return (kept,)
    if len(at.bench.inside) > 1:
        at.refuse("it ends inferences from within a subgraph; those of the model itself are supported")
    left, following = state_of(at, "left", (1,), "int32", period)
    due = at.bench.named(Tensor(y.name, (), "bool"), f"{y.name}.due")
    at.bench.gates.append(Gate(at.operator.index, due))
    return kept, Countdown(y=due, left=left, next_left=following, period=period)


def _period(at: Site, y: Tensor) -> int:
    """How often the operators behind it run: once in so many inferences."""
    period = at.custom("cycles_max", 0)
    if period > MOST_PERIOD:
        at.broken(f"its option 'cycles_max' is {period}, more than {MOST_PERIOD}")
    if period > 0:
        return period
    if y.shape[1] not in EVERY_TIME and y.shape[2:] == UNCERTAIN:
        at.refuse("it has no option 'cycles_max', and TFLM guesses how often it lets others run; write the option")
    return 1 if y.shape[1] in EVERY_TIME else 2


@dataclass(frozen=True)
class Gated:
    """Ops, outputs and states of a graph."""

    ops: tuple[Op, ...]
    outputs: tuple[Tensor, ...]
    states: tuple[State, ...]


def gated(bench: Workbench, ops: Sequence[Op], outputs: Sequence[Tensor], memory: Remembered) -> Gated:
    """A graph whose outputs and states stay as they were where an inference would have ended."""
    if not bench.gates or len(outputs) != len(bench.model.outputs):
        return Gated(tuple(ops), tuple(outputs), memory.states)
    due, choices = _dues(bench)
    held = {y: due[n - 1] for y, n in zip(outputs, _gates_before(bench), strict=True) if n and not y.is_constant}
    makers = {y for op in ops for y in op.ys}
    inner = {y: bench.named(y, f"{y.name}.computed") for y in held if y in makers}
    shown = {y: y if y in inner else bench.named(y, f"{y.name}.shown") for y in held}
    states = list[State]()
    for state, behind in zip(memory.states, memory.behind, strict=True):
        state = replace(state, write=inner.get(state.write, state.write))
        if behind:
            following = bench.named(state.write, f"{state.read.name}.kept")
            choices.append(Select(y=following, condition=due[behind - 1], x=state.write, x2=state.read))
            state = replace(state, write=following)
        states.append(state)
    for y, condition in held.items():
        last = bench.named(y, f"{y.name}.last")
        choices.append(Select(y=shown[y], condition=condition, x=inner.get(y, y), x2=last))
        states.append(State(last, shown[y], filled(y)))
    changed = (op.substitute(inner) for op in ops)
    return Gated((*changed, *choices), tuple(shown.get(y, y) for y in outputs), tuple(states))


def _dues(bench: Workbench) -> tuple[list[Tensor], list[Op]]:
    """Whether an inference gets beyond each gate, which is said of those before it, too, and the ops that say so."""
    due, ops = [bench.gates[0].due], list[Op]()
    for gate in bench.gates[1:]:
        both = bench.named(gate.due, f"{gate.due.name}.reached")
        ops.append(LogicalAnd(y=both, x=due[-1], x2=gate.due))
        due.append(both)
    return due, ops


def _gates_before(bench: Workbench) -> list[int]:
    """Behind how many gates each of the model's outputs is computed."""
    writers = {index: operator.index for operator in bench.model.operators for index in operator.outputs}
    at = [writers.get(index, -1) for index in bench.model.outputs]
    return [sum(gate.operator < place for gate in bench.gates) for place in at]


GATES: tuple[Arm, ...] = (
    Arm(
        "CUSTOM CIRCULAR_BUFFER",
        "one slot in each inference; where it ends inferences, what comes behind it is computed and not taken",
        (1, 1),
        circular_buffer,
    ),
)
