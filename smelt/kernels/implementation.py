"""How an operator becomes loops: `Implementation`, and the `KernelCall` that one of its schedules builds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

from smelt.kernels.c_types import C_TYPES, c_elements
from smelt.loops.in_place import Overlap, overlap
from smelt.loops.ir import SIZES, Buffer, Role, Scratch, Table
from smelt.loops.kernel import Kernel
from smelt.loops.routine import WrongCall
from smelt.model.graph import Op, Tensor
from smelt.model.ops import Linear
from smelt.nouns import Noun
from smelt.targets.types import Core

Schedule = Any
"""A frozen dataclass of small choices; printed as `name(field=value, ...)`. `Plain()` where there is nothing to choose."""

Argument = Tensor | Table | Scratch


@dataclass(frozen=True)
class Plain:
    """The schedule of an implementation that has no choices."""

    def __str__(self) -> str:
        return "-"


@dataclass(frozen=True, eq=False)
class KernelCall(Noun):
    """A kernel and what is passed to it, one argument for each of `kernel.buffers`.

    A Tensor argument is an activation (its place comes from the plan), a Table is constant data in flash, a Scratch is
    memory for the time of the call.
    """

    kernel: Kernel
    arguments: tuple[Argument, ...]

    def __post_init__(self) -> None:
        """Raises WrongCall where number, kind, type or size of the arguments are not those of the buffers."""
        buffers = self.kernel.buffers
        if len(self.arguments) != len(buffers):
            raise WrongCall(f"{self.kernel.name}: {len(self.arguments)} arguments for {len(buffers)} buffers")
        for buffer, argument in zip(buffers, self.arguments, strict=True):
            if problem := mismatch(buffer, argument):
                raise WrongCall(f"{self.kernel.name}: '{buffer.name}' {problem}")

    @property
    def scratch_bytes(self) -> int:
        return sum(a.bytes for a in self.arguments if isinstance(a, Scratch))

    def overlap(self, x: Tensor, y: Tensor) -> Overlap:
        """How y, which it writes, may lie over x, as its loops read it."""
        if (x, y) not in self._overlaps:
            pairs = [(a, b) for a in self._bound(x, "input") for b in self._bound(y, "output")]
            found = [overlap(self.kernel, a, b) for a, b in pairs]
            self._overlaps[x, y] = Overlap(max((o.by for o in found), default=0), all(o.in_place for o in found))
        return self._overlaps[x, y]

    def _bound(self, tensor: Tensor, role: Role) -> list[Buffer]:
        pairs = zip(self.kernel.buffers, self.arguments, strict=True)
        return [buffer for buffer, argument in pairs if argument is tensor and buffer.role == role]

    @cached_property
    def _overlaps(self) -> dict[tuple[Tensor, Tensor], Overlap]:
        return {}


def mismatch(buffer: Buffer, argument: Argument) -> str:
    """Why `argument` cannot be passed for `buffer`; nothing where it can."""
    if isinstance(argument, Scratch):
        needed = bytes_of(buffer)
        if buffer.role != "scratch":
            return f"is {buffer.role}, not scratch"
        return "" if argument.bytes >= needed else f"needs {needed} bytes of scratch, not {argument.bytes}"
    if isinstance(argument, Tensor):
        return _difference(buffer, "an activation", ("input", "output"), argument.dtype, c_elements(argument))
    return _difference(buffer, "a table", ("constant",), argument.dtype.name, argument.size)


def _difference(buffer: Buffer, kind: str, roles: tuple[str, ...], dtype: str, size: int) -> str:
    if buffer.role not in roles:
        return f"is {buffer.role}, its argument {kind}"
    if C_TYPES.get(dtype) != buffer.type:
        return f"is of {buffer.type}, its argument of {dtype}"
    return "" if size == buffer.size else f"has {buffer.size} elements, its argument {size}"


def bytes_of(buffer: Buffer) -> int:
    """What a buffer takes up."""
    return buffer.size * SIZES[buffer.type]


Predicate = Callable[[Any, Core], bool]
"""(op, core) -> can this be built? Its docstring says what is required, and is what users read when it is not met."""


class Numbers(Protocol):
    """What tables of channels are made of."""

    def of(self, channels: range) -> Any:
        """The same for some of the channels."""


@dataclass(frozen=True)
class Blocks:
    """Calls for blocks of the channels of an op that differ in nothing but their tables: blocks of a size have one kernel.

    `numbers` are those of the whole op, None where there is no such way for it; `build` makes the call for a block with its share
    of them, and `tables` nothing but the tables of that call, in order.
    """

    numbers: Callable[[Any], Numbers | None]
    build: Callable[[Any, Schedule, Any], KernelCall]
    tables: Callable[[Any, Schedule, Any], tuple[Table, ...]]


@dataclass(frozen=True)
class Implementation(Noun):
    """One way to compute one operator.

    `schedules` yields candidates for an op and a core, best guess first; `build` makes the call for one of them.
    `spends_flash` is for speed bought with tables that are much larger than the weights: only chosen when asked for. `dtype` is the
    one type of x that it takes, before anything else is asked; None where `accepts` says it. `computed` is for weights or a bias
    that are no constants, which other ways do not take. `blocks` are there where blocks of channels have one kernel.
    """

    name: str
    op: type[Op]
    schedules: Callable[[Any, Core], Iterable[Schedule]]
    build: Callable[[Any, Schedule], KernelCall]
    accepts: tuple[Predicate, ...] = ()
    spends_flash: bool = False
    dtype: str | None = None
    computed: bool = False
    blocks: Blocks | None = None

    def takes(self, op: Op, core: Core) -> bool:
        """Whether it can compute `op` on `core`."""
        fitting = isinstance(op, self.op) and self.takes_type(op) and self._takes_operands(op)
        return fitting and all(accept(op, core) for accept in self.accepts)

    def _takes_operands(self, op: Op) -> bool:
        """Whether its weights are constant or computed as they should be."""
        return not isinstance(op, Linear) or op.has_constants != self.computed

    def takes_type(self, op: Any) -> bool:
        """Whether x is of its type."""
        return self.dtype is None or bool(op.x.dtype == self.dtype)


def plain(op: Op, core: Core) -> Iterable[Schedule]:
    """`schedules` for implementations without choices."""
    return (Plain(),)


def asking(way: Implementation, *predicates: Predicate) -> Implementation:
    """`way`, which asks for more."""
    return replace(way, accepts=(*way.accepts, *predicates))


def of_type(way: Implementation, dtype: str, name: str | None = None) -> Implementation:
    """`way`, which does not look, for an x of one type only."""
    return replace(way, name=name or way.name, dtype=dtype)
