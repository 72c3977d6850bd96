"""Whether somebody else's results are the reference's: operator by operator, each on what the other one had in front of it.

Integers must be equal. So must be reals that the oracle adds and multiplies one by one, as the reference does; where C's library
has a function, and where a kernel may add in another order, they must be within what rounding explains (`tests/float_ops.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from smelt.model.graph import Array, Graph, Op, Tensor
from smelt.model.ops import Softmax, Unary
from smelt.model.ops_pointwise import Div, LogSoftmax
from smelt.model.ops_recurrent import RealLstm
from smelt.model.ops_streams import Framer, Stacker
from smelt.model.reference import REALS, initial_states, is_real, results
from tests.float_ops import tolerances

Arrays = Sequence[Array]
Allowed = Sequence["Array | float"]
Rule = Callable[[Op, Arrays], Allowed]
"""By how much the elements of each result of an op may differ, given the values of its inputs."""

EXACT = (0.0,) * 8  # results, of which no op has more
FOLDED = 1e-6
FARTHEST = float(np.finfo(np.float32).max)  # which stands for infinity behind the oracle's activations
LIBRARY = ("logistic", "tanh", "elu", "exp", "log", "sin", "cos")


def as_the_oracle(op: Op, values: Arrays) -> Allowed:
    """Functions of C's library are not the same on all computers; the rest is, where it means something."""
    match op:
        case Div() if op.x.dtype == "int8":
            return (np.where(_defined(op, *values), 0.0, np.inf),)
        case Framer() | Stacker():  # what is not valid is not written
            valid = results(op, *values)[op.results.index("valid")].all()
            return (0.0 if valid else np.inf, *EXACT)
        case RealLstm() | Softmax() | LogSoftmax() if is_real(op):
            return _rounded(op, values)
        case Unary() if is_real(op) and op.function in LIBRARY:
            return _rounded(op, values)
    return EXACT


def as_kernels(op: Op, values: Arrays) -> Allowed:
    """Generated code may add in another order, and round products and sums once."""
    return _rounded(op, values) if is_real(op) and type(op) in REALS else EXACT


def _rounded(op: Op, values: Arrays) -> Allowed:
    """What roundings explain; more of them where states that nobody saw have drifted apart before."""
    drifted = 10 if isinstance(op, RealLstm) else 1
    with np.errstate(all="ignore"):
        return tuple(drifted * allowed for allowed in tolerances(op, *values))


def _defined(op: Div, x: Array, x2: Array) -> Array:
    """Where the oracle does not shift by more than 31 bits, which C leaves undefined, and does not divide by zero."""
    a, b = x.astype(np.int64) - op.x.q.zero_point, x2.astype(np.int64) - op.x2.q.zero_point
    a = np.where(b < 0, -a, a)
    bits = [np.frexp(np.where(v < 0, -1 - v, v).astype(float))[1] for v in (a, np.abs(b))]
    shift = np.frexp(op.x.q.scale / (op.x2.q.scale * op.y.q.scale))[1]
    return np.asarray(((bits[1] - 1) + (31 - bits[0]) - shift <= 31) & (b != 0))


def first_difference(graph: Graph, inputs: Sequence[Arrays], found: Sequence[Arrays], rule: Rule) -> str:
    """Where `found`, the outputs for inputs that follow one another, are wrong first; empty where they are not."""
    states = initial_states(graph)
    for number, (arrays, outputs) in enumerate(zip(inputs, found, strict=True)):
        theirs = {t: np.asarray(a).reshape(t.shape) for t, a in zip(graph.outputs, outputs, strict=True)}
        step = Step(rule, theirs, {**dict(zip(graph.inputs, arrays, strict=True)), **states})
        wrong = [_wrong(t, step.values[t], theirs[t], 0.0) for t in theirs if t in step.values]
        wrong += [_wrong(t, t.data, theirs[t], _folded(t.data)) for t in theirs if t.data is not None]
        step.values |= theirs
        for op in graph.ops:
            wrong += step.follow(op)
        if any(wrong):
            return f"input {number}: {next(filter(None, wrong))}"
        states = {s.read: step.value(s.write) for s in graph.states}
    return ""


@dataclass
class Step:
    """One input on its way: what the other one has where that is known, and what the reference makes of it where it is not, with
    how far that may be from what he has."""

    rule: Rule
    theirs: dict[Tensor, Array]
    values: dict[Tensor, Array]
    hidden: dict[Tensor, float] = field(default_factory=dict)

    def follow(self, op: Op) -> list[str]:
        """What is wrong with his results of one op."""
        given = [self.value(t) for t in op.inputs]
        before = max((self.hidden.get(t, 0.0) for t in op.inputs), default=0.0)
        with np.errstate(all="ignore"):
            made = dict(zip(op.ys, results(op, *given), strict=True))
        allowed = {y: a + before for y, a in zip(op.ys, self.rule(op, given), strict=False)}
        known = [t for t in made if t in self.theirs]
        wrong = [_wrong(t, made[t], self.theirs[t], allowed[t]) for t in known]
        self.values.update(made | {t: self.theirs[t] for t in known})
        self.hidden |= {t: float(np.max(allowed[t])) for t in made if t not in self.theirs and np.any(allowed[t])}
        return [f"{op}: {w}" for w in wrong if w]

    def value(self, tensor: Tensor) -> Array:
        """His, even of a constant, where he was asked."""
        return self.values[tensor] if tensor.data is None or tensor in self.values else tensor.data


def _folded(data: Array) -> Array | float:
    """What is known while a file is read, and was computed by nobody knows how many functions of C's library."""
    return FOLDED * np.abs(data) if data.dtype.kind == "f" else 0.0


def _wrong(tensor: Tensor, mine: Array, theirs: Array, allowed: Array | float) -> str:
    if theirs.dtype != mine.dtype:
        return f"'{tensor.name}' is {theirs.dtype} instead of {mine.dtype}"
    equal = (mine == theirs) | (np.isnan(mine) & np.isnan(theirs)) | ~np.isfinite(allowed)
    if mine.dtype.kind == "f":
        with np.errstate(all="ignore"):
            equal |= np.abs(mine.astype(np.float64) - theirs) <= allowed
            equal |= np.isinf(mine) & (theirs == np.sign(mine) * FARTHEST)
    if equal.all():
        return ""
    at = tuple(int(n) for n in np.argwhere(~equal)[0])
    share = f"{np.count_nonzero(~equal)} of {mine.size} differ"
    return f"{share} in '{tensor.name}', {theirs[at]} instead of {mine[at]} at {list(at)}"
