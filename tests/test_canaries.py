"""A network whose tensors exceed every single memory of its chip, but not their sum: exact, nothing around buffers touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from smelt.compile import Compilation, compile
from smelt.devices.run import stack_of
from smelt.devices.simulators.memory_map import read, write
from smelt.devices.simulators.simulator import _Session
from smelt.firmware import build, emit, render, render_harness
from smelt.firmware.image import Image
from smelt.inputs import random_inputs
from smelt.model.reference import run
from smelt.planner import Placement, Plan, TuningLog
from smelt.planner.check import check
from smelt.targets.boards import board
from tests.tflite_writer import ModelWriter

H743 = board("nucleo_h743zi")
CANARY, GUARD = 0xC7, 64
SIDE, DEPTH = 80, 18
"""Of every result: 115,200 bytes, so that DTCM, SRAM1 and SRAM2 hold one each, and AXI SRAM four."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Compilation:
    """Convolutions, a depthwise one and a sum, which are all outputs: none can die before the end."""
    random, writer = np.random.default_rng(3), ModelWriter()

    def tensor(name: str, shape: tuple[int, ...], scale: float, data: bool = False) -> int:
        values = random.integers(-127, 128, shape, np.int8) if data else None
        return writer.tensor(name, shape, "int8", scale, 0 if data else -3, data=values)

    x = tensor("x", (1, SIDE, SIDE, 8), 0.05)
    ys = []
    for n in range(4):
        w, y = tensor(f"w{n}", (DEPTH, 1, 1, 8), 0.01, True), tensor(f"y{n}", (1, SIDE, SIDE, DEPTH), 0.1)
        writer.op("CONV_2D", [x, w, -1], [y], StrideH=1, StrideW=1, Padding=0)
        ys.append(y)
    w, y = tensor("w", (1, 3, 3, DEPTH), 0.01, True), tensor("depthwise", (1, SIDE, SIDE, DEPTH), 0.1)
    writer.op("DEPTHWISE_CONV_2D", [ys[0], w, -1], [y], StrideH=1, StrideW=1, Padding=0, DepthMultiplier=1)
    total = tensor("sum", (1, SIDE, SIDE, DEPTH), 0.2)
    writer.op("ADD", [ys[1], y], [total])
    path = tmp_path_factory.mktemp("canaries") / "wide.tflite"
    path.write_bytes(writer.finish([x], [*ys, y, total]))
    return compile(path, H743, log=TuningLog.empty, compiler="none", effort="quick")


def guarded(plan: Plan) -> tuple[Plan, list[tuple[str, int]]]:
    """The plan with `GUARD` bytes in front of and behind all that shares bytes, and where these are: memories and offsets."""
    placements, guards = list[Placement](), list[tuple[str, int]]()
    for memory in plan.memories:
        shift = end = 0
        for place in sorted((p for p in plan.placements if p.memory == memory.name), key=lambda p: p.offset):
            if place.offset >= end:
                guards.append((memory.name, place.offset + shift))
                shift += GUARD
            end = max(end, place.end)
            placements.append(replace(place, offset=place.offset + shift))
    return check(replace(plan, placements=tuple(placements))), guards


def free(image: Image) -> Iterator[tuple[int, int]]:
    """Addresses and sizes of all bytes of RAM in which nothing of a firmware lies."""
    sections = [(s.address, s.address + s.size) for s in image.parsed.sections if s.allocated and s.size]
    stack = stack_of(image)
    for memory in H743.chip.rams:
        at = memory.start
        for first, end in sorted([*sections, (stack.start, stack.stop), (memory.end, memory.end)]):
            if memory.start <= first <= memory.end:
                if at < first:
                    yield at, first - at
                at = max(at, end)


def touched(image: Image, inputs: bytes, canaries: Sequence[tuple[int, int]]) -> tuple[bytes, list[tuple[int, int]]]:
    """Outputs of a run, and those of the canaries (addresses and sizes) that are not whole after it."""
    session = _Session(H743, image, inputs, 1 << 32, timing=False)
    for address, size in canaries:
        write(session.maps, address, bytes([CANARY]) * size)
    outputs = session.run().outputs
    return outputs, [(a, n) for a, n in canaries if read(session.maps, a, n) != bytes([CANARY]) * n]


def test_its_tensors_exceed_every_memory_but_not_their_sum(made: Compilation) -> None:
    plan, rams = made.plan, {m.name: m.size for m in H743.chip.rams}
    assert max(rams.values()) < plan.live_tensor_bytes == 6 * SIDE * SIDE * DEPTH < sum(rams.values())
    assert {m.name for m in plan.memories} == {"dtcm", "axi", "sram1"}


def test_it_is_exact_and_canaries_around_every_buffer_are_whole(made: Compilation) -> None:
    plan, guards = guarded(made.plan)
    program = emit(plan)
    image = build(render_harness(program, render(program)), H743)
    starts = {s.name: s.address for s in image.parsed.sections}
    inner = [(starts[f".smelt.ram.{memory}"] + offset, GUARD) for memory, offset in guards]
    outer = [*free(image)]
    assert len(guards) > len(plan.memories) > 2 and sum(size for _, size in outer) > 100_000
    (inputs,) = random_inputs(made.model, 1)
    expected = b"".join(y.tobytes() for y in run(made.model, inputs))
    assert touched(image, inputs[0].tobytes(), [*inner, *outer]) == (expected, [])
    within = [(address + GUARD, GUARD) for address, _ in inner]  # the first bytes of all buffers
    assert touched(image, inputs[0].tobytes(), within)[1] == within, "they would have been seen"
