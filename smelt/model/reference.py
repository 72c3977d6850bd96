"""What every operator means, bit for bit as TensorFlow Lite Micro computes it, and graphs of them.

`evaluate` runs one op, `run` a graph, `trace` a graph keeping every tensor, `run_sequence` one on
inputs that follow one another. What each op computes is said by the tables of `reference_*.py`, one entry per class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from smelt.errors import OptionError, Unsupported
from smelt.model.graph import Array, Graph, Op, Tensor
from smelt.model.ops_pointwise import ByteSteps, ChannelFunction
from smelt.model.reference_binary import BINARY
from smelt.model.reference_detection import DETECTION
from smelt.model.reference_features import FEATURES
from smelt.model.reference_fft import FFT
from smelt.model.reference_float import REAL_LINEAR
from smelt.model.reference_float_pointwise import REAL_POINTWISE
from smelt.model.reference_float_recurrent import REAL_RECURRENT
from smelt.model.reference_float_spatial import REAL_SPATIAL
from smelt.model.reference_gathers import GATHERS
from smelt.model.reference_linear import LINEAR
from smelt.model.reference_matmul import MATMUL
from smelt.model.reference_moves import MOVES
from smelt.model.reference_pointwise import POINTWISE
from smelt.model.reference_recurrent import RECURRENT
from smelt.model.reference_reduce import REDUCING
from smelt.model.reference_signal import SIGNAL
from smelt.model.reference_spatial import SPATIAL
from smelt.model.reference_streams import REAL_STREAMS, STREAMS
from smelt.model.tables import every_value

MEANINGS: dict[type[Op], Callable[..., Any]] = {
    **LINEAR, **BINARY, **POINTWISE, **REDUCING, **SPATIAL, **MOVES, **GATHERS, **RECURRENT, **SIGNAL, **MATMUL,
    **FFT, **FEATURES, **STREAMS, **DETECTION, ChannelFunction: lambda op, x: function_of_channels(op, x),
}  # fmt: skip
"""What each class of op computes: a function of the op and the values of its inputs that gives an array, or, where the op has
several results, one for each of them."""

REALS: dict[type[Op], Callable[..., Any]] = {
    **REAL_LINEAR, **REAL_POINTWISE, **REAL_SPATIAL, **REAL_RECURRENT, **FFT, **REAL_STREAMS, **DETECTION,
}  # fmt: skip
"""The same of ops that compute in float32."""

States = Mapping[Tensor, Array]
"""What the states of a graph hold: an array for the tensor `read` of each."""

Inputs = Mapping[str, Array] | Sequence[Array]


def run(graph: Graph, inputs: Inputs) -> tuple[Array, ...]:
    """The outputs of `graph` for one input: arrays by name or in the graph's order, of the graph's shapes and types.

    States begin as they do after a reset. Raises OptionError where the inputs do not fit the graph.
    """
    return step(graph, inputs, initial_states(graph))[0]


def run_sequence(graph: Graph, inputs: Iterable[Inputs]) -> list[tuple[Array, ...]]:
    """The outputs for inputs that follow one another: states are carried from each to the next."""
    states, found = initial_states(graph), []
    for one in inputs:
        outputs, states = step(graph, one, states)
        found.append(outputs)
    return found


def step(graph: Graph, inputs: Inputs, states: States) -> tuple[tuple[Array, ...], dict[Tensor, Array]]:
    """The outputs for one input and what states hold, and what they hold afterwards."""
    values = _evaluate_all(graph, inputs, states)
    outputs = tuple(_value(values, tensor) for tensor in graph.outputs)
    return outputs, {state.read: _value(values, state.write) for state in graph.states}


def initial_states(graph: Graph) -> dict[Tensor, Array]:
    """What states hold before the first run, and after a reset."""
    return {state.read: state.initial for state in graph.states}


def trace(graph: Graph, inputs: Inputs, states: States | None = None) -> dict[str, Array]:
    """Every tensor that is not a constant, by name, for one input; states begin as after a reset unless given."""
    known = initial_states(graph) if states is None else states
    return {tensor.name: value for tensor, value in _evaluate_all(graph, inputs, known).items()}


def evaluate(op: Op, *arrays: Array) -> Array:
    """The result `y` of one op. `arrays` are the values of `op.inputs`, constants included, in that order."""
    return results(op, *arrays)[0]


def results(op: Op, *arrays: Array) -> tuple[Array, ...]:
    """All results of one op, in the order of `op.ys`; weights of float16 are computed with as float32.

    Raises Unsupported where nothing says what it computes."""
    meaning = REALS.get(type(op)) if is_real(op) else None
    meaning = meaning or MEANINGS.get(type(op))
    if meaning is None:
        raise Unsupported(str(op), (f"there is no reference for {type(op).__name__}",))
    found = meaning(op, *(a.astype(np.float32) if a.dtype == np.float16 else a for a in arrays))
    values = found if isinstance(found, tuple) else (found,)
    return tuple(np.ascontiguousarray(v).reshape(y.shape) for v, y in zip(values, op.ys, strict=True))


def tables_by_channel(steps: ByteSteps) -> Array:
    """What steps make of every byte, in order, in each channel: (256, channels)."""
    every = every_value(steps.argument).astype(steps.argument.element.numpy)
    values = {steps.argument: np.repeat(every[:, None], steps.argument.shape[-1], axis=1)}
    for op in steps.ops:
        values[op.y] = evaluate(op, *(_value(values, t) for t in op.inputs))
    return values[steps.ops[-1].y]


def function_of_channels(op: ChannelFunction, x: Array) -> Array:
    """Each element as the steps of its channel have it."""
    places = x.astype(np.int64) - op.x.element.low
    return tables_by_channel(op.steps)[places, np.arange(x.shape[-1])]


def is_real(op: Op) -> bool:
    """Whether `op` makes reals of reals; those that only move them do, too."""
    return op.y.element.is_float and any(t.element.is_float for t in op.inputs)


def computes_reals(graph: Graph) -> bool:
    """Whether anything in `graph` is computed in floating point, so that results are right within the rounding of sums only."""
    return any(is_real(op) and type(op) in REALS for op in graph.ops)


def _evaluate_all(graph: Graph, inputs: Inputs, states: States) -> dict[Tensor, Array]:
    values = {**dict(zip(graph.inputs, _ordered(graph, inputs), strict=True)), **states}
    for op in graph.ops:
        values.update(zip(op.ys, results(op, *(_value(values, tensor) for tensor in op.inputs)), strict=True))
    return values


def _value(values: Mapping[Tensor, Array], tensor: Tensor) -> Array:
    return values[tensor] if tensor.data is None else tensor.data


def _ordered(graph: Graph, inputs: Inputs) -> list[Array]:
    """The inputs in the graph's order, checked."""
    names = [tensor.name for tensor in graph.inputs]
    if isinstance(inputs, Mapping):
        if set(inputs) != set(names):
            raise OptionError(f"the graph's inputs are {_quoted(names)}, not {_quoted(inputs)}")
        inputs = [inputs[name] for name in names]
    if len(inputs) != len(names):
        raise OptionError(f"the graph has {len(names)} inputs ({_quoted(names)}), {len(inputs)} were given")
    for tensor, array in zip(graph.inputs, inputs, strict=True):
        _check_input(tensor, array)
    return list(inputs)


def _check_input(tensor: Tensor, array: Array) -> None:
    if array.shape != tensor.shape or array.dtype != tensor.element.numpy:
        wanted, given = f"{tensor.dtype} {tensor.shape}", f"{array.dtype} {array.shape}"
        raise OptionError(f"input '{tensor.name}' is {wanted}, but {given} was given")


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
