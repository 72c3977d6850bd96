"""Steps on the cores of a cluster: divided, proved, programmed, run on the host and on the simulated cluster."""

import subprocess
from dataclasses import replace

import numpy as np
import pytest

from smelt.compile import MORE, least_of_builds
from smelt.compile import compile as compile_model
from smelt.devices.choose import run_image
from smelt.devices.graph_runner import GraphRunner
from smelt.devices.session import Session
from smelt.devices.session_errors import DeviceHeapFull
from smelt.errors import DoesNotFit, OptionError, SmeltError
from smelt.firmware import build, emit, render
from smelt.firmware.build import TooMuchCode
from smelt.firmware.harness import render_harness
from smelt.firmware.hot_code import HotCode, cache_bytes, targets_in
from smelt.inputs import random_inputs
from smelt.model.graph import Graph, Quantization, Tensor
from smelt.model.ops import AveragePool2D, Conv2D, Dense, DepthwiseConv2D, Lookup, MaxPool2D, Padding
from smelt.model.reference import run
from smelt.model.rescale import floor_rescale, linear_rescale
from smelt.planner import check, make_plan, part_sums
from smelt.planner.borders import Fill
from smelt.planner.in_tiles import Start, Wait
from smelt.planner.limits import Limits
from smelt.planner.on_cores import OnCores
from smelt.planner.placement import WORKER_STACK_BYTES, WORKER_VARIABLES
from smelt.planner.ways import Bring, Part
from smelt.report.curve import trade_off
from smelt.report.execute import by_step
from smelt.report.layers import verify_layers
from smelt.report.profile import profile
from smelt.several import compile_suite
from smelt.targets.boards import board
from smelt.targets.border import bordered as with_border
from smelt.tuning.farm_worker import offered
from tests.paths import HELLO, KWS

BOARD = board("gapuino")
MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include "network_net.h"
NETWORK_MEMORY(memory);
int main(void)
{
    static network_net net;
    network_init(&net, &memory);
    fread(network_get_inputs(&net).in_x, 1, IN, stdin);
    network_run(&net);
    fwrite(network_get_outputs(&net).out_y, 1, OUT, stdout);
    return 0;
}
"""


def tensor(name, shape, zero=0, data=None, dtype="int8"):
    return Tensor(name, shape, dtype, Quantization((0.05,), (zero,)) if dtype == "int8" else None, data)


def linear(kind, x, channels, kernel=1, stride=1, same=True, seed=0):
    """A layer with random weights; its result is called y."""
    random = np.random.default_rng(seed)
    depth = x.shape[-1]
    if kind is Dense:
        shape, ys = (channels, x.elements), (1, channels)
    else:
        rows, columns = (-(-n // stride) if same else (n - kernel) // stride + 1 for n in x.shape[1:3])
        shape, ys = (channels, kernel, kernel, depth), (1, rows, columns, channels)
        if kind is DepthwiseConv2D:
            shape = (1, kernel, kernel, channels)
    weights = tensor("w", shape, 0, random.integers(-127, 128, shape, dtype=np.int8))
    bias = tensor("b", (channels,), 0, random.integers(-900, 900, channels).astype(np.int32), "int32")
    y = Tensor("y", ys, "int8", Quantization((0.9,), (4,)))
    numbers = dict(x=x, weights=weights, bias=bias, y=y, rescale=linear_rescale(x, weights, y))
    if kind is Dense:
        return Graph("layer", (x,), (y,), (Dense(**numbers),))
    gaps = [max((o - 1) * stride + kernel - n, 0) if same else 0 for n, o in zip(x.shape[1:3], ys[1:3], strict=True)]
    pad = Padding(gaps[0] // 2, gaps[0] - gaps[0] // 2, gaps[1] // 2, gaps[1] - gaps[1] // 2)
    return Graph("layer", (x,), (y,), (kind(**numbers, stride=(stride, stride), pad=pad),))


def pool(kind, x, size, **more):
    y = tensor("y", (1, x.shape[1] // size[0], x.shape[2] // size[1], x.shape[3]), 3)
    return Graph("layer", (x,), (y,), (kind(x=x, y=y, size=size, stride=size, **more),))


def image(*shape):
    return tensor("x", (1, *shape), 3)


LAYERS = {
    "rows": linear(Conv2D, image(21, 10, 5), 9, kernel=3),
    "strided": linear(Conv2D, image(19, 17, 4), 12, kernel=5, stride=2),
    "channels": linear(Conv2D, image(3, 5, 64), 96, kernel=3),
    "pixels": linear(Conv2D, image(9, 7, 24), 20),
    "not padded": linear(Conv2D, image(12, 12, 8), 16, kernel=3, same=False),
    "depthwise": linear(DepthwiseConv2D, image(14, 9, 24), 24, kernel=3, stride=2),
    "dense": linear(Dense, tensor("x", (1, 300), 3), 37),
    "few outputs": linear(Dense, tensor("x", (1, 1203), 3), 3),
    "one pixel": pool(AveragePool2D, image(6, 5, 20), (6, 5)),
    "integer network": pool(
        AveragePool2D, image(4, 4, 72), (4, 4), rescale=floor_rescale([5], [77], 6, (-128, 127), 3, -3)
    ),
    "maximum": pool(MaxPool2D, image(24, 16, 12), (2, 2)),
}


TAKEN = 8 * WORKER_STACK_BYTES + WORKER_VARIABLES
LITTLE = {"channels": 20480, "dense": 12288, "maximum": 4096, "not padded": 4096}
"""Bytes of the cluster's memory in which there are rounds, where that is not 8 KB."""


def planned(graph, room=65536):
    return make_plan(graph, BOARD, limits=Limits(regions=(("l1", room),)))


def on_host(plan, data, folder):
    """What the C of a plan computes, compiled for this machine: the shares of all cores, one after the other."""
    for name, text in {**render(emit(plan)).files, "main.c": MAIN}.items():
        (folder / name).write_text(text)
    (x,), (y,) = plan.graph.inputs, plan.graph.outputs
    sizes = [f"-DIN={x.bytes}", f"-DOUT={y.bytes}"]
    command = ["gcc", "-O1", "-w", *sizes, *(p.name for p in folder.glob("*.c")), "-o", "firmware"]
    subprocess.run(command, cwd=folder, check=True)
    return subprocess.run([folder / "firmware"], input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_bit_exact_in_any_room(name, tmp_path):
    """On the host, in all of the cluster's memory and in little of it."""
    graph = LAYERS[name]
    (inputs,) = random_inputs(graph, 1)
    for room in (65536, TAKEN + LITTLE.get(name, 8192)):
        plan = planned(graph, room)
        (way,) = plan.ways
        folder = tmp_path / str(room)
        folder.mkdir()
        assert on_host(plan, inputs[0].tobytes(), folder) == run(graph, inputs)[0].tobytes()
        assert isinstance(way, OnCores) and way.cores > 1 and plan.used("l1") <= room - TAKEN


def looked_up(x):
    """Each value replaced by the one at its place in a table."""
    table = Tensor("t", (256,), "uint8", None, np.arange(256, dtype=np.uint8)[::-1].copy())
    y = Tensor("y", x.shape, "uint8", Quantization((0.05,), (0,)))
    return Graph("layer", (x,), (y,), (Lookup(x=x, table=table, y=y),))


@pytest.mark.parametrize(
    "graph",
    [pool(MaxPool2D, image(5, 5, 31), (2, 2)), looked_up(image(1, 4, 31))],
    ids=["rows that no window reads", "an image of one row"],
)
def test_odd_images_are_divided(graph):
    """With the proof of their plans; fuzz.cores found them."""
    plan = planned(graph)
    assert isinstance(plan.ways[0], OnCores) and plan.ways[0].cores > 4


@pytest.fixture(scope="module")
def plan():
    """Of three rounds at least, which take turns with two buffers each."""
    found = planned(LAYERS["not padded"], TAKEN + 4096)
    assert len(found.ways[0].rounds) > 2
    return found


def refused(plan, change):
    """Why a plan with another way is refused."""
    (step,) = plan.steps
    wrong = replace(plan, steps=(replace(step, way=change(step.way)),))
    with pytest.raises(SmeltError) as caught:
        check(wrong)
    return str(caught.value)


def with_round(way, number, **changes):
    return replace(way, rounds=tuple(replace(r, **changes) if n == number else r for n, r in enumerate(way.rounds)))


def test_two_cores_that_write_the_same_bytes_are_found(plan):
    def meeting(way):
        first, second, *others = way.rounds[1].pieces
        y, mine = second.way.op.y, first.part(first.way.op.y)
        part = second.part(y)
        wrong = replace(second, parts={**second.parts, y: replace(part, owner=mine.owner, offset=mine.offset)})
        return with_round(way, 1, pieces=(first, wrong, *others))

    assert "on one core while another uses" in refused(plan, meeting)


def test_shares_need_cores_of_their_own(plan):
    def on_one(way):
        return with_round(way, 1, cores=(0,) * len(way.rounds[1].cores))

    assert "no core of its own" in refused(plan, on_one)
    assert "no core of its own" in refused(plan, lambda way: with_round(way, 0, cores=(*way.rounds[0].cores[:-1], 8)))


def test_a_round_that_does_not_wait_is_found(plan):
    def hasty(way):
        return with_round(way, 1, events=tuple(e for e in way.rounds[1].events if not isinstance(e, Wait)))

    assert "while it is being moved" in refused(plan, hasty)


def test_what_does_not_come_and_what_does_not_go_is_found(plan):
    def without(way):
        return with_round(way, 2, events=tuple(e for e in way.rounds[2].events if not isinstance(e, Start)))

    assert "is not at" in refused(plan, without) or "has not begun" in refused(plan, without)
    assert "does not compute all" in refused(plan, lambda way: replace(way, after=()))


def test_a_share_of_other_rows_is_found(plan):
    def shifted(way):
        first, *others = way.rounds[1].pieces
        (x,) = first.way.op.activations
        there = first.part(x)
        wrong = Part(there.owner, there.offset, there.tensor, there.first + there.row, there.row, there.pitch)
        return with_round(way, 1, pieces=(replace(first, parts={**first.parts, x: wrong}), *others))

    assert "from what it should not" in refused(plan, shifted)


@pytest.fixture(scope="module")
def bordered():
    """Of rows that lie with their border in the cluster's memory, in several rounds."""
    found = planned(LAYERS["rows"], TAKEN + 4096)
    assert found.ways[0].view.border is not None and len(found.ways[0].rounds) > 2
    return found


def with_events(way, change):
    """With what becomes of each event; nothing where that is None."""
    changed = (tuple(e for e in map(change, r.events) if e is not None) for r in way.rounds)
    return replace(way, rounds=tuple(replace(r, events=events) for r, events in zip(way.rounds, changed, strict=True)))


def whole_buffer(fill, first=0):
    return replace(fill, rectangle=replace(fill.rectangle, first=first, size=fill.buffer.bytes, count=1))


def test_a_border_that_is_not_as_it_should_be_is_found(bordered):
    """Nothing filled, or with something else, or where rows come to; an image that lies elsewhere in it; rows that lie apart
    by other than their length."""

    def unfilled(event):
        return None if isinstance(event, Fill) else event

    def otherwise(event):
        return replace(event, value=event.value ^ 1) if isinstance(event, Fill) else event

    def everywhere(event):
        return whole_buffer(event) if isinstance(event, Fill) else event

    def apart(way):
        moved = {e.transfer: e.transfer for e in way.events}
        moved |= {m: replace(m, pitch=m.pitch - 1) for m in moved if getattr(m, "pitch", 0)}
        return with_events(way, lambda e: e if isinstance(e, Fill) else type(e)(moved[e.transfer]))

    for change, reason in (
        (unfilled, "is not at"), (otherwise, "is not at"), (everywhere, "while it is being moved"),
    ):  # fmt: skip
        assert reason in refused(bordered, lambda way, change=change: with_events(way, change)), change
    assert "is not at" in refused(bordered, apart)
    border = bordered.ways[0].view.border
    for wrong in (replace(border, top=0), replace(border, left=0), replace(border, value=border.value ^ 1)):
        changed = replace(bordered.ways[0].view, border=wrong)
        assert "which cannot be" in refused(bordered, lambda way, view=changed: replace(way, view=view))


def test_what_is_filled_has_room(bordered):
    def further(event):
        return whole_buffer(event, 1) if isinstance(event, Fill) else event

    assert "no room for what it fills" in refused(bordered, lambda way: with_events(way, further))


@pytest.fixture(scope="module")
def summed():
    """A layer whose inputs are divided, in two rounds at least."""
    found = planned(LAYERS["few outputs"], TAKEN + 8192)
    assert found.ways[0].view.name == "inputs" and len(found.ways[0].rounds) > 2
    return found


def test_sums_that_are_not_all_or_not_of_the_layer_are_found(summed):
    def without(way):
        return with_round(way, 1, pieces=way.rounds[1].pieces[:-1], cores=way.rounds[1].cores[:-1])

    def elsewhere(way):
        first, second, *others = way.rounds[0].pieces
        y, mine = second.way.op.y, first.part(first.way.op.y)
        wrong = replace(second, parts={**second.parts, y: replace(second.part(y), first=mine.first)})
        return with_round(way, 0, pieces=(first, wrong, *others))

    def of_others(way):
        first, second, *others = way.rounds[0].pieces
        wrong = replace(first, parts={**first.parts, first.way.op.x: second.part(second.way.op.x)})
        return with_round(way, 0, pieces=(wrong, second, *others))

    def of_another(way):
        (last,) = way.rounds[-1].pieces
        op = replace(last.way.op, of=LAYERS["dense"].ops[0])
        return with_round(way, -1 % len(way.rounds), pieces=(replace(last, way=replace(last.way, op=op)),))

    assert "each input once" in refused(summed, without)
    assert "a row for each" in refused(summed, elsewhere)
    assert "no sum of its inputs" in refused(summed, of_others)
    assert "of other sums" in refused(summed, of_another)


def test_inputs_are_divided_once_for_each_number_of_outputs(monkeypatch):
    """In little memory nearly no number of rounds has room: kernels of all their parts are not built to find that out."""
    made, build = [], part_sums._made
    monkeypatch.setattr(part_sums, "_made", lambda *asked: made.append(asked) or build(*asked))
    found = planned(linear(Dense, tensor("x", (1, 3001), 3), 3), TAKEN + 4264)
    assert found.ways[0].view.name == "inputs" and len(made) <= 2 * len(found.ways[0].ways)


@pytest.fixture(scope="module")
def kept():
    """Two layers, between which the tensor stays in the cluster's memory."""
    first, second = LAYERS["pixels"].ops[0], linear(Dense, LAYERS["pixels"].outputs[0], 3).ops[0]
    between = replace(first.y, name="between")
    ops = first.substitute({first.y: between}), second.substitute({second.x: between})
    return planned(Graph("two", (first.x,), (second.y,), ops))


def test_a_tensor_stays_in_the_memory_that_cores_share(kept, tmp_path):
    between = kept.steps[0].way.op.y
    assert kept.places[between].memory == "l1" and kept.steps[1].way.view.name == "inputs"
    moved = [e.transfer.tensor for way in kept.ways for e in way.events if hasattr(e.transfer, "tensor")]
    assert moved and between not in moved
    (inputs,) = random_inputs(kept.graph, 1)
    assert on_host(kept, inputs[0].tobytes(), tmp_path) == run(kept.graph, inputs)[0].tobytes()


def test_a_tensor_that_stays_where_others_write_is_found(kept):
    """Over buffers of a step, or not until it is read."""
    there = kept.places[kept.steps[0].way.op.y]
    for wrong, reason in (
        (replace(there, offset=0), "on one core while another"),
        (replace(there, last=0), "has its place from"),
    ):
        placements = tuple(wrong if p is there else p for p in kept.placements)
        with pytest.raises(SmeltError, match=reason):
            check(replace(kept, placements=placements))


@pytest.fixture(scope="module")
def made():
    """KWS as firmware."""
    return compile_model(KWS, BOARD)


def test_a_network_on_eight_cores(made):
    """KWS from its reset vector to its exit: bit-exact, each step a function, busy cores, in a fraction of the time of one core."""
    (inputs,) = random_inputs(made.model, 1)
    done = run_image(BOARD, made.image, inputs[0].tobytes())
    assert done.outputs == run(made.model, inputs)[0].tobytes()
    steps = [sum(cycles) for cycles in by_step(made.plan, done.step_cycles)]
    assert len(steps) == len(made.plan.steps) and all(steps)
    assert done.cycles < 2_000_000 and 0.6 < made.plan.cycles / done.cycles < 1.5
    assert all(way.cores == 8 for way in made.plan.ways if way.op.macs > 10_000)
    told = profile(made, done)
    for step in told.steps:
        assert step.waits.cycles == pytest.approx(step.cycles) and min(vars(step.waits).values()) >= 0
    first = told.steps[0].waits
    assert first.compute > 0.6 * first.cycles and min(first.banks, first.fetches, first.imbalance, first.dma) > 0
    assert first.barriers >= 40 and first.outside == 0
    assert 100 < max(told.worker_stacks) <= WORKER_STACK_BYTES and len(told.worker_stacks) == 8
    assert told.derived and told.microjoules == pytest.approx(sum(s.microjoules for s in told.steps), rel=0.01)
    assert told.steps[0].microjoules == pytest.approx(told.steps[0].cycles * 460e-6)  # a convolution
    assert told.steps[1].microjoules == pytest.approx(told.steps[1].cycles * 364e-6)  # depthwise


def test_what_cores_run_at_the_same_time_fits_their_instruction_cache(made):
    """Kernels of a round with the routines that they call, in bytes of lines. Of the other networks docs/gap8.md has it."""
    hot, symbols = HotCode(made.image.parsed), made.image.symbols
    counted = {step.name: hot.of(step.way, made.functions) for step in made.plan.steps}
    assert max(counted.values()) < cache_bytes(BOARD.chip.cluster) == 4096
    kernel = symbols[made.functions[made.plan.steps[0].pieces[0].way.kernel]]
    (routine,) = hot.called(kernel)
    assert routine.name.startswith("smelt_quads") and not hot.called(routine)
    assert counted["conv2d_0"] >= kernel.size + routine.size and counted["conv2d_0"] % 16 == 0
    assert hot.lines_of([kernel.name, routine.name]) == hot.lines_of([kernel.name])


def test_jumps_are_read_from_instructions():
    """c.jal +32, jal -8, auipc and jalr to a distance, c.j -2, and what only looks like one."""
    code = bytes.fromhex("0520 6ff09fff 97120000 e7808200 fdbf 1305f06f")
    assert list(targets_in(code, 0x1000)) == [0x1020, 0x1002 - 8, 0x2006 + 8, 0x100E - 2]


def test_what_every_step_of_the_firmware_writes_is_seen(made):
    """The firmware stands still behind each step: all cores, moves and tables from where they come have done their part."""
    inputs = random_inputs(made.model, 2)
    told = verify_layers(made, inputs)
    assert told.first is None and told.steps == 2 * len(made.plan.steps) == 2 * len(made.program.acts)
    assert told.values == 2 * sum(y.elements for step in made.plan.steps for y in step.ys)
    bias = made.graph.ops[3].bias
    wrong = made.graph.substitute({bias: replace(bias, data=bias.constant + (np.arange(bias.elements) == 5) * 9000)})
    first = verify_layers(replace(made, graph=wrong), inputs).first
    assert (first.input, first.number, first.tensor, first.element[-1]) == (0, 3, made.graph.ops[3].y.name, 5)


def test_a_session_computes_it_kernel_by_kernel(made):
    """On the controller; tables and tiles are moved by the host, and code lies where instructions can be fetched."""
    (inputs,) = random_inputs(made.model, 1)
    with Session(BOARD) as session, GraphRunner(session, made) as runner:
        assert runner.run(inputs)[0].tobytes() == run(made.model, inputs)[0].tobytes()
        while session.heap.largest.size >= 1 << 16:  # nothing but what the cores share has room any more
            session.empty(1 << 16)
        with pytest.raises(DeviceHeapFull):
            session.load("int large[14000] = {1}; int f(void) { return large[3]; }")


@pytest.mark.parametrize(
    "what",
    [
        lambda: compile_model(KWS, BOARD, feed=True),
        lambda: compile_suite((KWS, HELLO), BOARD),
        lambda: trade_off(KWS, BOARD),
        lambda: offered(BOARD, "simulator", (), 1),
    ],
    ids=["feed", "suite", "curve", "worker"],
)
def test_what_is_for_one_core_is_refused(what):
    with pytest.raises(OptionError, match=r"gapuino divides steps over the cores of a cluster, and .*: "):
        what()


def test_code_and_data_share_a_memory():
    """The border between them is where the plan has it; a network that needs more than both together is refused."""
    made = planned(LAYERS["rows"])
    code, data = (next(m for m in made.board.chip.memories if m.name == name) for name in ("code", "l2"))
    whole = [next(m for m in BOARD.chip.memories if m.name == name) for name in ("code", "l2")]
    assert code.end == data.start and data.end == whole[1].end and data.size < whole[1].size
    assert made.used("l2") <= data.size
    with pytest.raises(DoesNotFit, match="share"):
        planned(linear(Conv2D, image(60, 60, 64), 64, kernel=5))


def test_code_that_was_left_too_little_gets_more(made):
    asked = []

    def made_within(limits):
        asked.append(limits.code)
        if len(asked) == 1:
            raise TooMuchCode("code is too small", 700)
        return made

    assert least_of_builds(made_within, Limits(), "balanced") is made and asked == [0, 700 + MORE]
    small = with_border(BOARD, BOARD.chip.memories[0].size + BOARD.chip.memories[3].size - 8192)
    with pytest.raises(TooMuchCode):
        build(render_harness(made.program, made.sources), small)


def small_board(code, data):
    """The board with little of the memory that code and data share."""
    memories = tuple(
        replace(m, size=code)
        if m.name == "code"
        else replace(m, start=0x1C000000 + code, size=data)
        if m.name == "l2"
        else m
        for m in BOARD.chip.memories
    )
    return replace(BOARD, chip=replace(BOARD.chip, memories=memories))


@pytest.fixture(scope="module")
def outside():
    """A layer with more weights than the memory that code and data share: they come in parts, which take turns."""
    return make_plan(linear(Dense, tensor("x", (1, 256), 3), 320), small_board(28 * 1024, 40 * 1024))


def test_tables_come_from_outside(outside):
    (inputs,) = random_inputs(outside.graph, 1)
    program = emit(outside)
    image = build(render_harness(program, render(program)), outside.board)
    done = run_image(outside.board, image, inputs[0].tobytes())
    assert done.outputs == run(outside.graph, inputs)[0].tobytes()
    parts = outside.all_brings
    assert len(outside.brings) < len(parts) and outside.used("l2") < sum(b.data.nbytes for b in parts)
    assert sum(b.data.nbytes for b in parts) > 256 * 320 and all(c.flash == "hyperflash" for c in program.constants)


def test_tables_that_are_not_waited_for_are_found(outside):
    def hasty(way):
        kept = (e for e in way.rounds[0].events if not (isinstance(e, Wait) and isinstance(e.transfer, Bring)))
        return with_round(way, 0, events=tuple(kept))

    assert "while it is being moved" in refused(outside, hasty)


def test_a_part_that_comes_too_early_is_found(outside):
    """Over one of which the rest has not been fetched."""

    def early(way):
        n, late = next(
            (n, event)
            for n, r in enumerate(way.rounds)
            for event in r.events
            if isinstance(event, Start) and isinstance(event.transfer, Bring)
        )
        found = with_round(way, n, events=tuple(e for e in way.rounds[n].events if e is not late))
        return with_round(found, 0, events=(*found.rounds[0].events, late))

    assert "while it is being moved" in refused(outside, early)


def test_tables_without_room_are_refused():
    with pytest.raises(DoesNotFit):
        make_plan(linear(Conv2D, image(40, 40, 16), 64, kernel=3), small_board(8 * 1024, 120 * 1024))
