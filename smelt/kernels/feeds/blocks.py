"""Work in blocks: the full ones in a loop, what is left behind it; or a last one that starts earlier."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Const, Expr, minimum


def in_blocks(k: KernelBuilder, name: str, count: int, size: int) -> Iterator[tuple[Expr, int]]:
    """`count` things in blocks: (first index, how many), once inside a loop over full blocks and once for what is
    left."""
    full = count // size
    if full:
        with k.loop(name, 0, full) as block:
            yield block * size, size
    if count % size:
        yield Const(full * size), count % size


@contextmanager
def in_stretches(k: KernelBuilder, pixels: int, size: int) -> Iterator[Expr]:
    """A loop over `pixels` pixels in stretches of `size` (at most `pixels`): the first of each. The last one starts earlier where a
    rest would remain, and makes a few outputs twice."""
    with k.loop("stretch", 0, -(-pixels // size)) as stretch:
        yield k.let("first", minimum(stretch * size, pixels - size))
