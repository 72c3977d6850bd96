"""Steps in tiles: slabs that are moved to a fast memory, computed there, moved back. Chosen, proved, programmed, simulated."""

from dataclasses import replace

import numpy as np
import pytest

from smelt.devices.faults import Fault
from smelt.devices.graph_runner import GraphRunner
from smelt.devices.session import Session
from smelt.devices.simulators.link import SimulatorLink
from smelt.devices.simulators.simulator import Simulator
from smelt.errors import SmeltError
from smelt.firmware import build, emit, render
from smelt.firmware.harness import render_harness
from smelt.inputs import random_inputs
from smelt.kernels import FRUGAL
from smelt.loops.ir import Scratch
from smelt.model.graph import Graph, Quantization, Tensor
from smelt.model.ops import Conv2D, DepthwiseConv2D, Padding
from smelt.model.reference import run
from smelt.model.rescale import linear_rescale
from smelt.planner import check, make_plan
from smelt.planner.in_tiles import InTiles, Start, Transfer, Wait
from smelt.planner.known import Known
from smelt.planner.limits import Limits
from smelt.planner.placement import Placement
from smelt.planner.predict import Predictor
from smelt.planner.tile_search import TileSearch
from smelt.planner.ways import Piece, Ways
from smelt.targets.boards import board

BOARDS = {
    "nucleo_h743zi": Limits(),
    "stm32h750b_dk": Limits(regions=(("axi", 0), ("sram1", 0), ("sram2", 0), ("sram3", 0), ("sram4", 0))),
    "disco_f746ng_sdram": Limits(regions=(("sram1", 0), ("sram2", 0))),
}
"""With activations in AXI SRAM, and in SDRAM."""


def layer(kind, size, depth, channels, kernel=3, stride=1, seed=0):
    """A graph of one convolution, the operand of which is used again, so that the result cannot lie over it."""
    random = np.random.default_rng(seed)
    depthwise = kind is DepthwiseConv2D
    shape = (1, kernel, kernel, depth) if depthwise else (channels, kernel, kernel, depth)
    x = Tensor("x", (1, size, size, depth), "int8", Quantization((0.05,), (-3,)))
    weights = Tensor("w", shape, "int8", Quantization((0.02,), (0,)), random.integers(-127, 128, shape, dtype=np.int8))
    bias = Tensor(
        "b",
        (shape[3 if depthwise else 0],),
        "int32",
        None,
        random.integers(-900, 900, shape[3 if depthwise else 0]).astype(np.int32),
    )
    rows = -(-size // stride)
    y = Tensor("y", (1, rows, rows, len(bias.data)), "int8", Quantization((0.3,), (4,)))
    before = max((rows - 1) * stride + kernel - size, 0)
    pad = Padding(before // 2, before - before // 2, before // 2, before - before // 2)
    op = kind(
        x=x, weights=weights, bias=bias, y=y, rescale=linear_rescale(x, weights, y), stride=(stride,) * 2, pad=pad
    )
    return Graph("layer", (x,), (x, y), (op,))


CASES = {
    "depthwise": layer(DepthwiseConv2D, 64, 32, 32),
    "one side": layer(DepthwiseConv2D, 50, 32, 32),
    "strided": layer(DepthwiseConv2D, 61, 40, 40, stride=2),
}


def planned(graph, name, limits=None):
    return make_plan(graph, board(name), limits=limits or BOARDS[name])


@pytest.fixture(scope="module")
def plan():
    """Tiles that the MDMA moves."""
    return planned(CASES["depthwise"], "nucleo_h743zi")


def tiled(plan) -> InTiles:
    (way,) = plan.ways
    assert isinstance(way, InTiles)
    return way


def firmware(plan, change=lambda text: text):
    program = emit(plan)
    sources = render_harness(program, render(program))
    files = {name: change(text) if name == "network_net.c" else text for name, text in sources.files.items()}
    return build(replace(sources, files=files), plan.board)


def simulated(plan, change=lambda text: text):
    """The cycles of a run, which must give what the reference gives."""
    (inputs,) = random_inputs(plan.graph, 1)
    done = Simulator(plan.board).run(firmware(plan, change), b"".join(x.tobytes() for x in inputs))
    assert done.outputs == b"".join(y.tobytes() for y in run(plan.graph, inputs))
    return done.cycles


@pytest.mark.parametrize(
    "name, case",
    [*((name, "depthwise") for name in BOARDS), ("nucleo_h743zi", "one side"), ("disco_f746ng_sdram", "strided")],
)
def test_tiles_are_bit_exact_and_pay(name, case):
    """By the MDMA, and by copies of the core where none reaches the memory. Without them the same plan takes longer."""
    plan = planned(CASES[case], name)
    way = tiled(plan)
    plain = replace(plan, steps=(replace(plan.steps[0], way=way.whole),), placements=_plain(plan, way))
    assert (way.dma is None) == (name != "nucleo_h743zi") and len(way.tiles) > 1
    assert simulated(plan) < 0.9 * simulated(check(plain))


def _plain(plan, way):
    """The placements of the step as it would be without tiles."""
    kept = tuple(p for p in plan.placements if p.scratch is None)
    first, found = plan.board.chip.rams[0].name, []
    offset = max((p.end for p in kept if p.memory == first), default=0)
    for n, scratch in enumerate(way.whole.scratch):
        found.append(Placement(f"s{n}", first, offset, -(-scratch.bytes // 4) * 4, 0, 0, scratch=scratch))
        offset += found[-1].size
    return (*kept, *found)


def over(plan, distance):
    """The plan where nobody needs the operand any more and the result begins so far before it, and the same in tiles."""
    graph = replace(plan.graph, outputs=plan.graph.outputs[1:])
    places = [
        replace(p, offset=distance * (p.name == "x")) if p.memory == "axi" else p for p in _plain(plan, tiled(plan))
    ]
    plain = replace(
        plan,
        graph=graph,
        steps=(replace(plan.steps[0], way=tiled(plan).whole),),
        placements=tuple(replace(p, last=0) if p.name == "x" else p for p in places),
    )
    return plain, TileSearch(Predictor(Known(plan.board)), Ways(plan.board.core, FRUGAL), 3.0).tiled(plain, True)[0]


def test_results_may_follow_the_operand_out_of_its_bytes(plan):
    """Rows of the result go over rows that have been moved; tiles of which that is not true are not taken."""
    _, found = over(plan, 18_432)
    assert tiled(found).size.split(" x ")[1:] == ["64", "32"]
    simulated(check(found))
    plain, same = over(plan, 1024)
    assert same is plain


def test_plans_are_the_same_every_time(plan):
    assert plan.in_full() == planned(CASES["depthwise"], "nucleo_h743zi").in_full()


def test_tiles_need_a_memory_that_is_faster():
    """Of a board where all RAM is alike there are none, nor of a layer that fits the fast one."""
    small = layer(DepthwiseConv2D, 12, 32, 32)
    assert not isinstance(planned(small, "nucleo_h743zi").ways[0], InTiles)
    assert not isinstance(make_plan(CASES["depthwise"], board("nucleo_l4r5zi")).ways[0], InTiles)


def test_a_budget_that_only_holds_the_tensors_is_kept(plan):
    without = plan.ram_bytes - plan.used("dtcm")
    limits = Limits(ram=without + 6000)
    assert planned(CASES["depthwise"], "nucleo_h743zi", limits).ram_bytes <= limits.ram


# --- the proof --------------------------------------------------------------------------------------------------------


def problem(plan, **changes):
    """What `check` says of the plan with another way in tiles."""
    step = replace(plan.steps[0], way=replace(tiled(plan), **changes))
    with pytest.raises(SmeltError) as caught:
        check(replace(plan, steps=(step,)))
    return str(caught.value)


def test_the_proof_finds_waits_that_are_left_out(plan):
    """Each of them: of slabs before they are read, of results before their buffer is used again, of all at the end."""
    events = tiled(plan).events
    for n, (_, event) in enumerate(events):
        if isinstance(event, Wait):
            found = problem(plan, events=(*events[:n], *events[n + 1 :]))
            assert "while it is being moved" in found or "does not wait until" in found


def test_the_proof_finds_moves_that_are_missing_or_late(plan):
    """A tile that is computed before its slab is there; a slab that comes while the buffer is still read."""
    events = tiled(plan).events
    starts = [n for n, (_, e) in enumerate(events) if isinstance(e, Start) and e.transfer.inward]
    first, third = starts[0], starts[2]
    late = (*events[:first], *events[first + 1 :], (1, events[first][1]))
    assert "is not at" in problem(plan, events=late)
    number, start = events[third]
    early = sorted([*events[:third], *events[third + 1 :], (number - 1, start)], key=lambda e: e[0])
    assert "while it is being moved" in problem(plan, events=tuple(early))
    out = next(n for n, (_, e) in enumerate(events) if isinstance(e, Start) and not e.transfer.inward)
    kept = tuple(e for n, e in enumerate(events) if n != out and e[1] != Wait(events[out][1].transfer))
    assert "does not compute all of its result" in problem(plan, events=kept)


def test_the_proof_finds_tiles_that_are_something_else(plan):
    """The rows of another tile, other weights, buffers that are too small, channels that are taken, a DMA that is not there."""
    way = tiled(plan)
    a, b, *others = way.pieces
    elsewhere = Piece(a.way, {**a.parts, a.way.op.y: b.part(b.way.op.y)})
    assert "from what it should not" in problem(plan, pieces=(elsewhere, b, *others))
    shifted = replace(a.part(a.way.op.y), pitch=1)
    assert "no tile of its op" in problem(plan, pieces=(Piece(a.way, {**a.parts, a.way.op.y: shifted}), b, *others))
    assert "moves what is not its own" in problem(plan, events=replaced(way, tensor=way.op.y))
    swapped = (Piece(a.way, {**a.parts, a.way.op.x: b.part(b.way.op.x)}), b, *others)
    assert "from what it should not" in problem(plan, pieces=swapped)
    wrong = replace(a.way.op, weights=replace(a.way.op.weights, data=a.way.op.weights.data + 1))
    assert "from what it should not" in problem(plan, pieces=(Piece(replace(a.way, op=wrong), a.parts), b, *others))
    assert "which is not there" in problem(plan, dma="bdma")
    assert "on a channel that still moves" in problem(plan, events=replaced(way, channel=6))
    assert "no room" in problem(plan, events=replaced(way, buffer=Scratch(8)))


def replaced(way, **changes):
    """The events with all transfers changed."""
    new: dict[Transfer, Transfer] = {t: replace(t, **changes) for t in way.transfers}
    return tuple((n, type(e)(new[e.transfer])) for n, e in way.events)


def test_buffers_in_flight_may_lie_nowhere_else(plan):
    """Scratch of a kernel over a slab that comes; tiles in a memory behind a cache, which the DMA does not see."""
    way = tiled(plan)
    slab, pool = plan.placement(way.scratch[1]), plan.placement(way.scratch[-1])
    over = tuple(replace(p, offset=slab.offset) if p is pool else p for p in plan.placements)
    with pytest.raises(SmeltError, match=r"while it is being moved|in the same bytes"):
        check(replace(plan, placements=over))
    room = plan.used("axi")
    away = tuple(replace(p, memory="axi", offset=p.offset + room) if p.scratch else p for p in plan.placements)
    with pytest.raises(SmeltError, match="of which a cache may have older bytes"):
        check(replace(plan, placements=away))


# --- what becomes of it -----------------------------------------------------------------------------------------------


def test_the_simulator_finds_a_wait_that_is_left_out(plan):
    def without(text):
        lines = text.splitlines()
        waits = [n for n, line in enumerate(lines) if "smelt_mdma_wait(" in line]
        return "\n".join(line for n, line in enumerate(lines) if n != waits[1])

    with pytest.raises(Fault) as caught:
        simulated(plan, without)
    assert caught.value.kind in ("access in flight", "wrong use of a DMA")


def test_the_c_starts_and_waits_and_keeps_the_cache_true(plan):
    """What the core wrote is written back before the MDMA moves it, what the cache has of the result is forgotten after."""
    text, way = render(emit(plan)).files["network_net.c"], tiled(plan)
    assert text.count("smelt_mdma_carry(") == text.count("smelt_mdma_wait(") == len(way.transfers)
    assert text.count("smelt_clean(") == 2 and text.count("smelt_discard(") == 1
    assert text.rindex("smelt_clean(") < text.index("smelt_mdma_carry(")
    assert text.rindex("smelt_mdma_wait(") < text.index("smelt_discard(")
    copies = render(emit(planned(CASES["depthwise"], "disco_f746ng_sdram"))).files
    assert "smelt_copies.h" in copies and "smelt_clean(" not in copies["network_net.c"]


def test_sessions_move_tiles_as_firmware_does(plan):
    (inputs,) = random_inputs(plan.graph, 1)
    with Session(SimulatorLink(plan.board)) as session, GraphRunner(session, emit(plan)) as runner:
        found = runner.run(inputs)
    assert all(np.array_equal(a, b) for a, b in zip(found, run(plan.graph, inputs), strict=True))


def test_plans_and_programs_say_what_they_do(plan):
    way = tiled(plan)
    assert f"{len(way.tiles)} tiles of {way.size} by mdma" in plan.in_full()
    assert "Transport(" in emit(plan).in_full() and "comes" in way.transfers[0].in_full()


def test_what_is_found_once_is_known(plan):
    """Two plans of one graph ask the solver once."""
    kind = CASES["depthwise"].ops[0]
    assert isinstance(kind, DepthwiseConv2D) and not isinstance(kind, Conv2D)
    way = tiled(plan)
    plain = replace(plan, steps=(replace(plan.steps[0], way=way.whole),), placements=_plain(plan, way))
    search = TileSearch(Predictor(Known(plan.board)), Ways(plan.board.core, FRUGAL), 3.0)
    first, second = (search.tiled(plain, True) for _ in range(2))
    assert first[1] == second[1] > 0 and first[0].ways[0].pieces == second[0].ways[0].pieces
    assert search.tiled(plain, False) == (plain, 0)  # there is no room without more RAM
