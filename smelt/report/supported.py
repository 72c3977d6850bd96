"""What can be compiled, from the code itself: the operators of model files, what they become, and the ways to compute that.

`smelt ops` shows it, SUPPORTED.md is written from it (`python dev/supported.py`).
"""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from types import CodeType, FunctionType

from smelt import plugins
from smelt.errors import OptionError
from smelt.importers.onnx_fold import FOLDS
from smelt.importers.onnx_load import ARMS as ONNX_ARMS
from smelt.importers.onnx_site import OnnxArm
from smelt.importers.tflite import ARMS
from smelt.importers.tflite_constants import FUNCTIONS, OF_SHAPES, PLAIN
from smelt.importers.tflite_site import Arm
from smelt.kernels import IMPLEMENTATIONS
from smelt.kernels.implementation import Implementation, Predicate
from smelt.model.dtypes import ELEMENT_TYPES
from smelt.model.graph import Op
from smelt.report.terminal import table
from smelt.targets.boards import BOARDS, CLUSTERS
from smelt.targets.types import Core

CUSTOM = " (custom)"
HEAD = ("operator", "types", "notes", "oracle", "becomes")
REALS = ("float32", "int8")
WITHIN = "smelt.importers.tflite_"  # `tflite` itself converts whole subgraphs
WHOLE = tuple(element.name for element in ELEMENT_TYPES if not element.is_packed)
CORES: tuple[Core, ...] = tuple({board.core.name: board.core for board in (*BOARDS, *CLUSTERS)}.values())


@dataclass(frozen=True)
class Operator:
    """An operator of a model file. `types` are those of the values it computes with, `note` says what is special, `oracle` whose
    result is the right one; `ops` are the classes that it becomes."""

    format: str
    name: str
    types: tuple[str, ...]
    note: str
    oracle: str
    ops: tuple[str, ...]


@dataclass(frozen=True)
class Way:
    """One way to compute an op, best first among those of the op: the type of x that it takes ("" where `needs` say it), what it
    asks of the op, and the cores that can."""

    op: str
    name: str
    dtype: str
    needs: tuple[str, ...]
    cores: tuple[str, ...]


def operators() -> tuple[Operator, ...]:
    """Every operator that can be imported, by name: those of running values, and those that are known while a file is read."""
    running = {
        arm.code: Operator("tflite", _shown(arm.code), arm.types, arm.note, arm.oracle, _names(arm)) for arm in ARMS
    }
    of_shapes = {code: Operator("tflite", code, ("any",), "known from the shape", "TFLM", ()) for code in OF_SHAPES}
    constant = {code: Operator("tflite", code, PLAIN, "of constants only", "NumPy", ()) for code in FUNCTIONS}
    onnx = {f"onnx {arm.code}": _of_onnx(arm) for arm in ONNX_ARMS}
    every = (constant | of_shapes | running | onnx).values()
    return tuple(sorted(every, key=lambda operator: (operator.format != "tflite", operator.name)))


def _of_onnx(arm: OnnxArm) -> Operator:
    return Operator("onnx", arm.code, REALS, arm.note, arm.oracle, ())


def chosen(names: tuple[str, ...]) -> tuple[Operator, ...]:
    """Those with these names, of every format that has them; all where there are none. Raises OptionError."""
    known: dict[str, list[Operator]] = {}
    for operator in operators():
        known.setdefault(operator.name.removesuffix(CUSTOM).rpartition(".")[2].upper(), []).append(operator)
    for name in names:
        if name.upper() not in known:
            near = get_close_matches(name.upper(), known, 3)
            raise OptionError(f"smelt knows no operator {name}" + (f"; near is {' or '.join(near)}" if near else ""))
    return tuple(operator for name in names for operator in known[name.upper()]) or operators()


def ways() -> tuple[Way, ...]:
    """Every implementation, in the order in which they are tried."""
    return tuple(_way(implementation) for implementation in plugins.implementations())


def ways_of(operator: Operator) -> tuple[Way, ...]:
    """How what it becomes is computed."""
    return tuple(way for way in ways() if way.op in operator.ops)


@dataclass(frozen=True)
class Computed:
    """An operator with the ways to compute it."""

    operator: Operator
    ways: tuple[Way, ...]


@dataclass(frozen=True)
class Operators:
    """Operators of model files."""

    operators: tuple[Computed, ...]


def answer(found: tuple[Operator, ...]) -> Operators:
    """The operators, for programs."""
    return Operators(tuple(Computed(operator, ways_of(operator)) for operator in found))


def _shown(code: str) -> str:
    return f"{code.removeprefix('CUSTOM ')}{CUSTOM}" if code.startswith("CUSTOM ") else code


# What an operator becomes


def _names(arm: Arm) -> tuple[str, ...]:
    computed = {implementation.op for implementation in IMPLEMENTATIONS}
    found = {cls.__name__ for cls in _classes(arm.build, set()) if cls in computed or not cls.__subclasses__()}
    return tuple(sorted(found))


def _classes(function: object, seen: set[int]) -> set[type[Op]]:
    """The classes of ops that a function of the importers names, or any that it calls."""
    if isinstance(function, partial):
        return set[type[Op]]().union(*(_classes(part, seen) for part in (function.func, *function.args)))
    if isinstance(function, type) and issubclass(function, Op) and function is not Op:
        return {function}
    if not isinstance(function, FunctionType) or id(function) in seen or not function.__module__.startswith(WITHIN):
        return set()
    seen.add(id(function))
    names = tuple(_named(function.__code__))
    parts = [function.__globals__[name] for name in names if name in function.__globals__]
    parts += [cell.cell_contents for cell in function.__closure__ or ()]
    methods = (
        vars(part).get(name) for part in parts if isinstance(part, type) and not issubclass(part, Op) for name in names
    )
    return set[type[Op]]().union(*(_classes(part, seen) for part in (*parts, *methods)))


def _named(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _named(constant)


# What a core gets


def _way(implementation: Implementation) -> Way:
    needs = tuple(
        " ".join((accept.__doc__ or accept.__name__).split())
        for accept in implementation.accepts
        if not _of_core(accept)
    )
    cores = tuple(
        core.name for core in CORES if all(accept(None, core) for accept in implementation.accepts if _of_core(accept))
    )
    return Way(implementation.op.__name__, implementation.name, implementation.dtype or "", needs, cores)


def _of_core(accept: Predicate) -> bool:
    """Whether a predicate looks at the core only."""
    function: Callable[..., bool] = accept
    if not isinstance(function, FunctionType):
        return False
    op = function.__code__.co_varnames[0]
    return not any(
        i.argval == op for i in dis.get_instructions(function) if i.opname.startswith(("LOAD_FAST", "LOAD_DEREF"))
    )


# What people see


def show(found: tuple[Operator, ...], ways: bool) -> None:
    """A table of operators, and another one of the ways to compute them."""
    for kind in dict.fromkeys(operator.format for operator in found):
        rows = [_row(operator) for operator in found if operator.format == kind]
        table(f".{kind}" if len({o.format for o in found}) > 1 else "", HEAD, rows)
    if ways:
        several = dict.fromkeys(way for operator in found for way in ways_of(operator))
        table("", ("op", "way, best first", "x", "needs", "cores"), map(_way_row, several))


def markdown() -> str:
    """The whole of SUPPORTED.md."""
    lines = [
        "# What smelt compiles",
        "",
        "Written by `python dev/supported.py` from the code; `smelt ops` shows the same. Every operator is computed bit for bit as",
        "its oracle does: TFLM is TensorFlow Lite Micro; LiteRT (TensorFlow Lite's reference) stands in where TFLM lacks it.",
        "What follows from constants or shapes is computed while the file is read. The types called \"all\" are",
        ", ".join(WHOLE) + ".",
        "",
        "## Operators of .tflite files",
        "",
        *_table(HEAD, (_row(o) for o in operators() if o.format == "tflite")),
        "",
        "## Operators of .onnx files",
        "",
        "Between quantisers they compute in int8 (docs/onnx.md), else in float32. Operators of constants are computed while the",
        f"file is read: {', '.join(sorted(FOLDS))}.",
        "",
        *_table(("operator", "constraints"), ((o.name, o.note) for o in operators() if o.format == "onnx")),
        "",
        "## Ways to compute them",
        "",
        "The first one whose needs are met, unless a measurement says that another one is faster. Cores: "
        + ", ".join(core.name for core in CORES) + ".",
        "",
        *_table(("op", "way", "x", "needs", "cores"), map(_way_row, ways())),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _row(operator: Operator) -> tuple[str, ...]:
    return operator.name, _types(operator), operator.note, operator.oracle, ", ".join(operator.ops)


def _types(operator: Operator) -> str:
    """Its types in a table."""
    return "all" if set(WHOLE) <= set(operator.types) else ", ".join(operator.types)


def _cores(way: Way) -> str:
    """Its cores in a table."""
    return "all" if len(way.cores) == len(CORES) else ", ".join(way.cores)


def _way_row(way: Way) -> tuple[str, ...]:
    return way.op, way.name, way.dtype, "; ".join(way.needs), _cores(way)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for row in (head, ("---",) * len(head), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
