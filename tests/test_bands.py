"""Slabs of ops, and runs of layers that are computed in bands of rows: every row as the whole op computes it, every byte proved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from smelt.devices.simulators.simulator import Simulator
from smelt.errors import SmeltError
from smelt.firmware import build, emit, render, render_harness
from smelt.importers import load
from smelt.kernels import IMPLEMENTATIONS
from smelt.loops.ir import Scratch
from smelt.model import reference
from smelt.model.graph import Array, Graph, Op
from smelt.model.reference import evaluate, trace
from smelt.model.slabs import Rows, band_axis, needed, slab
from smelt.passes import prepare
from smelt.planner import Plan, _planned
from smelt.planner.bands import Bands, in_bands
from smelt.planner.check import check
from smelt.planner.decide import Menu
from smelt.planner.effort import USUAL
from smelt.planner.known import Known
from smelt.planner.limits import UNLIMITED
from smelt.planner.line_buffers import Layout, can_run
from smelt.planner.placement import STACK_RESERVE
from smelt.planner.predict import Predictor
from smelt.planner.rowwise import Rowwise
from smelt.planner.step import AnyWay
from smelt.planner.ways import Part, Piece, Ways
from smelt.targets.boards import board
from tests.paths import IC, KWS, VWW
from tests.test_planner import computes_the_same

MODELS = {"IC": IC, "KWS": KWS}
BOARD = board("nucleo_l4r5zi")


@pytest.fixture(scope="module", params=MODELS)
def graph(request: pytest.FixtureRequest) -> Graph:
    return prepare(load(MODELS[request.param]))


def random_inputs(graph: Graph) -> list[Array]:
    noise = np.random.default_rng(2)
    return [noise.integers(-128, 128, t.shape, np.int8) for t in graph.inputs]


def test_slabs_compute_rows_as_the_whole_op_does(graph: Graph) -> None:
    inputs = random_inputs(graph)
    values = {t.name: v for t, v in zip(graph.inputs, inputs, strict=True)} | trace(graph, inputs)
    cut = 0
    for op in graph.ops:
        if (axis := band_axis(op)) is None:
            continue
        length = op.y.shape[axis]
        for count in (1, 3, 4):
            for first in range(0, length, count):
                rows = Rows(first, min(first + count, length))
                there = needed(op, rows, axis)
                pieces = [
                    x.constant if x.is_constant else values[x.name].take(range(there[x].first, there[x].stop), axis)
                    for x in op.inputs
                ]
                expected = values[op.y.name].take(range(rows.first, rows.stop), axis)
                np.testing.assert_array_equal(evaluate(slab(op, rows, axis), *pieces), expected)
                cut += 1
    assert cut > 100


def planned(
    graph: Graph, runs: Sequence[tuple[int, int, int]], layout: Callable[[tuple[Op, ...], int], Layout] = Layout
) -> Plan:
    """A plan with the ops from one position up to another in bands of so many rows."""
    ways, taken, at = Ways(BOARD.core, IMPLEMENTATIONS), list[AnyWay](), 0
    for first, stop, rows in (*runs, (len(graph.ops), len(graph.ops), 0)):
        taken += [ways.first(op) for op in graph.ops[at:first] if op.alias_of is None]
        some = graph.ops[first:stop]
        taken += [in_bands(layout(some, rows), [[ways.first(op)] for op in some], ways)] if rows else []
        at = stop
    default = tuple(ways.first(op) for op in graph.ops if op.alias_of is None)
    menu = Menu(graph, BOARD, default, Predictor(Known(BOARD)), ways, STACK_RESERVE, UNLIMITED, USUAL)
    return _planned(menu, tuple(taken), UNLIMITED, False)


def runs_of(ops: Sequence[Op], most: int) -> list[tuple[int, int]]:
    """Stretches of at most `most` ops that can be computed in bands, one after the other."""
    found, first = list[tuple[int, int]](), 0
    for n in range(len(ops) + 1):
        if n == len(ops) or n - first == most or not can_run(ops[first : n + 1]):
            if n > first and only_the_last_is_needed(ops, first, n):
                found.append((first, n))
            first = n if n < len(ops) and can_run(ops[n : n + 1]) else n + 1
    return found


def only_the_last_is_needed(ops: Sequence[Op], first: int, stop: int) -> bool:
    inside = {op.y for op in ops[first : stop - 1]}
    return not any(x in inside for op in (*ops[:first], *ops[stop:]) for x in op.activations)


@pytest.mark.parametrize(("most", "rows"), [(1, 4), (3, 1), (9, 5)])
def test_runs_in_bands_compute_the_same_in_less_room(graph: Graph, most: int, rows: int) -> None:
    runs = [(*run, rows) for run in runs_of(graph.ops, most)]
    assert runs
    plan = planned(graph, runs)
    assert sum(isinstance(step.way, Bands) for step in plan.steps) == len(runs)
    computes_the_same(plan, graph)


@pytest.mark.parametrize(("most", "rows"), [(3, 2), (9, 4)])
def test_rows_one_by_one_compute_the_same_in_the_least_lines(graph: Graph, most: int, rows: int) -> None:
    """Residual blocks, strides and padding included; a line buffer has no more rows than with bands, mostly fewer."""
    runs = [(*run, rows) for run in runs_of(graph.ops, most)]

    def one_by_one(ops: tuple[Op, ...], rows: int) -> Layout:
        return Rowwise(ops, rows, None, 1)

    plan = planned(graph, runs, one_by_one)
    layouts = [step.way.layout for step in plan.steps if isinstance(step.way, Bands)]
    assert len(layouts) == len(runs) and all(isinstance(layout, Rowwise) for layout in layouts)
    computes_the_same(plan, graph)
    mine, theirs = (
        [sum(line.bytes for line in some.lines.values()) for some in both]
        for both in (layouts, [Layout(layout.ops, rows) for layout in layouts])
    )
    assert all(a <= b for a, b in zip(mine, theirs, strict=True))


def test_lines_of_rows_one_by_one_are_a_fraction_of_those_of_bands() -> None:
    """Eight layers with three strides: a band of one row needs many of the first layers'."""
    ops = tuple(op for op in prepare(load(VWW)).ops if op.alias_of is None)[:8]
    mine, theirs = (sum(line.bytes for line in some.lines.values()) for some in (Rowwise(ops, 1), Layout(ops, 1)))
    assert mine < theirs / 2


def test_a_residual_block_needs_little_more_than_its_input() -> None:
    graph = prepare(load(IC))
    plan = planned(graph, [(1, 4, 2)])
    (block,) = (step.way for step in plan.steps if isinstance(step.way, Bands))
    (x,), (y,) = block.reads, block.ys
    assert block.slide(x) == 2 * y.bytes // 32, "two rows, of 32"
    assert plan.placement(x).offset - plan.placement(y).offset == block.slide(x)


def test_what_is_wrong_in_a_run_is_found() -> None:
    """Calls left out, exchanged or moved: the check finds it, or the plan computes the same all the same."""
    plan = planned(prepare(load(IC)), [(1, 4, 8)])
    n, step = next((n, s) for n, s in enumerate(plan.steps) if isinstance(s.way, Bands))
    assert isinstance(step.way, Bands)
    pieces, found, harmless = step.way.pieces, 0, 0
    mutants = [[*pieces[:k], *pieces[k + 1 :]] for k in range(len(pieces))]
    mutants += [[*pieces[: k - 1], pieces[k], pieces[k - 1], *pieces[k + 1 :]] for k in range(1, len(pieces))]
    for k, piece in enumerate(pieces):
        for argument, part in piece.parts.items():
            moved = Part(part.owner, part.offset + 4, part.tensor, part.first)
            mutants.append([*pieces[:k], Piece(piece.way, {**piece.parts, argument: moved}), *pieces[k + 1 :]])
    for mutant in mutants:
        other = replace(step, way=replace(step.way, pieces=tuple(mutant)))
        changed = replace(plan, steps=(*plan.steps[:n], other, *plan.steps[n + 1 :]))
        try:
            check(changed)
        except SmeltError as error:
            assert "defect of smelt" in str(error)
            found += 1
        else:
            computes_the_same(changed, plan.graph)
            harmless += 1
    assert found > 10 * harmless


def test_an_argument_that_reaches_out_of_its_buffer_is_found() -> None:
    """Even where nobody needs the bytes behind: a line buffer that is said to be smaller than what lies in it."""
    plan = planned(prepare(load(IC)), [(1, 4, 8)])
    bands = next(step.way for step in plan.steps if isinstance(step.way, Bands))
    old = bands.scratch[0]
    new = Scratch(old.bytes - 4)

    def parts(piece: Piece) -> Piece:
        return Piece(piece.way, {a: replace(p, owner=new) if p.owner is old else p for a, p in piece.parts.items()})

    way = replace(bands, pieces=tuple(map(parts, bands.pieces)), scratch=(new, *bands.scratch[1:]))
    steps = tuple(replace(step, way=way) if step.way is bands else step for step in plan.steps)
    places = tuple(replace(p, scratch=new, size=p.size - 4) if p.scratch is old else p for p in plan.placements)
    with pytest.raises(SmeltError, match="reaches out of"):
        check(replace(plan, steps=steps, placements=places))


def test_firmware_of_a_run_is_exact_and_its_tables_have_names_of_their_own() -> None:
    """Two layers of the same shapes, whose tables differ."""
    plan = planned(prepare(load(IC)), [(1, 4, 4)])
    program = emit(plan)
    inputs = random_inputs(plan.graph)
    image = build(render_harness(program, render(program)), BOARD, "zig")
    run = Simulator(BOARD).run(image, b"".join(x.tobytes() for x in inputs), 10**9)
    assert run.outputs == b"".join(y.tobytes() for y in reference.run(plan.graph, inputs))
    assert render(program).files["network_net.c"].count("for (uint32_t band") == 1
    assert len(run.step_cycles) == sum(len(step.pieces) for step in plan.steps)
