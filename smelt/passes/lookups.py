"""Functions of one byte become tables of their 256 results."""

from __future__ import annotations

from dataclasses import replace

from smelt.model.graph import Array, Graph, Op, Tensor
from smelt.model.ops import Lookup
from smelt.model.reference import evaluate
from smelt.model.tables import every_value
from smelt.passes.rewrite import fresh_name, readers

Tables = dict[tuple[str, bytes], Tensor]


BYTES = ("int8", "uint8")
"""Types with so few values that a table of results is worth it."""


def table_of(op: Op) -> Array:
    """The 256 results of a function of one byte, the first for the least x. Raises ModelError where `op` is not sound."""
    return _applied(op, every_value(op.inputs[0]))


def _applied(op: Op, values: Array) -> Array:
    """What `op`, a function of one value, makes of each of `values`."""
    x, *constants = op.inputs
    sample = replace(x, shape=values.shape, data=values.astype(x.element.numpy))
    made = op.substitute({x: sample, op.y: replace(op.y, shape=values.shape)})
    return evaluate(made, sample.constant, *(t.constant for t in constants))


def tables_of(graph: Graph) -> Tables:
    """The tables of lookups, by content."""
    return {_key(op.table.dtype, op.table.constant): op.table for op in graph.ops if isinstance(op, Lookup)}


def _key(dtype: str, values: Array) -> tuple[str, bytes]:
    """What makes tables equal."""
    return dtype, values.tobytes()


def unary_to_lookup(graph: Graph) -> Graph:
    """Replace `Unary` and `Dequantize` of one byte by `Lookup`; equal tables are one constant.

    Exact: the table holds what the reference computes for each value that x can have.
    """
    tables: Tables = {}

    def changed(op: Op) -> Op:
        if op.as_table and op.inputs[0].dtype in BYTES:
            return lookup_of(graph, op.inputs[0], op, table_of(op), tables)
        return op

    return replace(graph, ops=tuple(changed(op) for op in graph.ops))


def fuse_lookups(graph: Graph) -> Graph:
    """Make one `Lookup` of a `Lookup` and a function of one value that alone reads its result.

    Exact: the second function, applied to the 256 entries of the first table, gives the entries of the new one. A
    quantisation of looked-up float values becomes a table of int8 this way.
    """
    uses = readers(graph)
    tables = tables_of(graph)
    made: dict[Tensor, Op] = {}
    for op in graph.ops:
        x = op.inputs[0] if op.of_one_value else None
        before = made.get(x) if x is not None and uses[x] == 1 else None
        if isinstance(before, Lookup):
            del made[before.y]
            op = lookup_of(graph, before.x, op, _applied(op, before.table.constant), tables)
        made[op.y] = op
    return replace(graph, ops=tuple(made.values()))


def lookup_of(graph: Graph, x: Tensor, op: Op, values: Array, tables: Tables) -> Lookup:
    """The lookup of `values` that writes what `op` writes, sharing tables of equal content."""
    key = _key(op.y.dtype, values)
    if key not in tables:
        name = fresh_name(graph, f"{op.y.name}.table")
        tables[key] = Tensor(name, (256,), op.y.dtype, op.y.quantization, values.astype(op.y.dtype))
    return Lookup(x=x, table=tables[key], y=op.y, origin=op.origin)
