"""A finished kernel: parameters and statements, with its C."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from smelt.loops.c import PREFIX, print_definition
from smelt.loops.ir import Buffer, If, Loop, Stmt
from smelt.loops.routine import CallRoutine
from smelt.nouns import Noun

SLIDING = "_s"
"""The end of the names of kernels whose output may overlap an input, where there is another one that promises more."""


@dataclass(frozen=True)
class Kernel(Noun):
    """A function: its parameters in order, its statements. Equal kernels have equal names, derived from their content.

    `in_place` kernels may be called with an output that lies over an input, as far as `overlap.slide` says: their C makes no
    `restrict` promise for either. Of others `sliding` makes such ones.
    """

    name: str
    buffers: tuple[Buffer, ...]
    body: tuple[Stmt, ...]
    in_place: bool = False

    @cached_property
    def definition(self) -> str:
        """Its C from the parameters on, which does not depend on its name."""
        return print_definition(self.buffers, self.body, self.in_place)

    def c(self, name: str = "") -> str:
        """The C function, with a trailing newline, under another name if one is given."""
        return f"void {name or self.name}{self.definition}"

    def named(self, name: str) -> Kernel:
        """The same under another name; what was printed already is not printed again."""
        kernel = Kernel(name, self.buffers, self.body, self.in_place)
        kernel.__dict__["definition"] = self.definition
        return kernel

    def sliding(self) -> Kernel:
        """The same for an output that overlaps an input; itself where it is so already."""
        return self if self.in_place else Kernel(f"{self.name}{SLIDING}", self.buffers, self.body, True)

    @cached_property
    def letters(self) -> int:
        """The characters of its C but for spaces: what there is to estimate the size of its machine code by."""
        return sum(map(len, self.c().split()))

    @cached_property
    def callees(self) -> frozenset[str]:
        """The functions of smelt's headers that its C calls by name, routines among them."""
        return frozenset(re.findall(rf"\b{PREFIX}\w+(?=\()", self.c()))

    @property
    def calls(self) -> tuple[CallRoutine, ...]:
        """The calls of routines in it, in the order in which they are printed."""
        return tuple(_calls(self.body))

    @property
    def assembly_stack(self) -> int:
        """Bytes of stack that assembly in it uses at most, of which compilers do not know."""
        return max((c.routine.stack for c in self.calls), default=0)

    def in_full(self) -> str:
        return self.c()

    def in_brief(self) -> str:
        return f"kernel {self.name}"


def _calls(body: tuple[Stmt, ...]) -> Iterator[CallRoutine]:
    for statement in body:
        match statement:
            case CallRoutine():
                yield statement
            case Loop():
                yield from _calls(statement.body)
            case If(_, then, otherwise):
                yield from _calls((*then, *otherwise))
