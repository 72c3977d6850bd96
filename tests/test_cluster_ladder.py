"""The simulated cluster climbs the ladder of docs/gap8.md: banks, barriers, the DMA, kernels, against what others measured."""

from dataclasses import replace

import numpy as np
import pytest

from smelt.targets.boards import GAPUINO
from tests.cluster_kernels import (
    MATMUL_4X2,
    MATMUL_4X4,
    OUTPUTS,
    SUMS,
    TIMES,
    depthwise_data,
    depthwise_program,
    matmul_data,
    matmul_program,
)
from tests.cluster_programs import BOARD, RESULTS, machine_after

WITHIN = 0.05
TWICE = """
    j measure
    .balign 4
{part}
    ret
measure:
    mv s3, ra
    li s5, 2
again:
    p.elw t0, 0x21C(s1)
    li s4, 0x10200408
    lw gp, 0(s4)
    jal ra, part
    lw tp, 0(s4)
    addi s5, s5, -1
    bnez s5, again
    sub tp, tp, gp
    sw tp, 0(s3)
"""
"""Measures `part` by the cluster's timer; the second time it is in the instruction cache."""

LOADS = "part:\n li t0, 16\n1: " + "lw t1, 0(t6)\n" * 8 + "addi t0, t0, -1\nbnez t0, 1b"
PLACE = "li t6, {step}\nmul t6, t6, s0\nli t5, 0x10002000\nadd t6, t6, t5\nsw x0, 0(t6)\n"
TIMED = 11  # cycles that looking at the timer twice, the call and the return take
SHARED, NEAR, INTO_L1, OUT_OF_L1, LINES = 0x1C008000, 0x10003000, 0x30000, 0x20000, 1 << 18


def measured(part: str, before: str = "") -> list[int]:
    """Cycles of each worker."""
    machine = machine_after(before + TWICE.format(part=part))
    return [int.from_bytes(machine.read(RESULTS + 4096 * core, 4), "little") for core in range(8)]


def near(found: float, expected: float, within: float = WITHIN) -> bool:
    return abs(found - expected) <= within * expected


def test_what_looking_takes():
    assert measured("part:") == [TIMED] * 8


def test_a_bank_serves_one_access_a_cycle():
    """128 loads: alone, or each core in a bank of its own, 195 cycles; all of one word 1005 to 1022."""
    apart, together = (measured(LOADS, PLACE.format(step=step)) for step in (4, 0))
    assert all(near(c - TIMED + 5, 195) for c in apart)
    assert all(0.95 * 1005 <= c - TIMED + 5 <= 1.05 * 1022 for c in together)


def test_four_barriers_take_what_the_chips_model_says():
    """44 to 83 cycles; the chip's own model says 83."""
    assert all(near(c - TIMED, 83) for c in measured("part:\n" + "p.elw t0, 0x21C(s1)\n" * 4))


def test_a_load_from_l2_takes_fifteen_cycles():
    (alone, *_) = measured("part:\n" + "lw t1, 0(t6)\n" * 4, "li t6, 0x1C000000\n")
    assert near(alone - TIMED, 4 * 15, 0.02)


TRANSFER = """
part:
    lw t0, 0(s6)
    sw s7, 0(s6)
    sw s8, 0(s6)
    sw s9, 0(s6)
    {lines}
1:  lw t1, 4(s6)
    srl t1, t1, t0
    andi t1, t1, 1
    bnez t1, 1b
    li t2, 1
    sll t2, t2, t0
    sw t2, 4(s6)
"""


def transferred(command: int, shape: int = 0) -> int:
    """Cycles of a blocking transfer by worker 0 alone, programming and polling counted."""
    before = f"bnez s0, skip\nli s6, 0x10204400\nli s7, {command}\nli s8, {NEAR}\nli s9, {SHARED}\nli s10, {shape}\n"
    alone = TWICE.replace("p.elw t0, 0x21C(s1)", "nop").format(
        part=TRANSFER.format(lines="sw s10, 0(s6)" if command & LINES else "")
    )
    machine = machine_after(f"{before}{alone}\nskip: nop", {SHARED: bytes(16384), NEAR: bytes(16384)})
    return int.from_bytes(machine.read(RESULTS, 4), "little") - TIMED


@pytest.mark.parametrize(
    ("command", "expected"),
    [(INTO_L1 | 1024, 170), (INTO_L1 | 4096, 594), (INTO_L1 | 16384, 2305), (OUT_OF_L1 | 16384, 3151)],
)
def test_transfers_take_what_the_chips_model_says(command, expected):
    assert near(transferred(command), expected)


@pytest.mark.parametrize(("line", "expected"), [(1, 4169), (2, 2070), (4, 1044), (8, 534)])
def test_lines_take_a_cycle_at_least(line, expected):
    assert near(transferred(INTO_L1 | LINES | 4096, line | line << 16), expected)


# --- kernels: bit-exact, then their speed --------------------------------------------------------------------------------

STAGGER = (
    "csrr t1, 0xF14\nli t0, {0}\nmul t1, t1, t0\nandi t1, t1, 63\naddi t1, t1, 2\nlp.setup x0, t1, 5f\nnop\n5: nop\n"
)
BEGINNINGS = ((0, 0), (0, 24), (3, 4), (5, 20), (11, 36), (17, 60))
"""(cycles by which each worker begins later than the one before, at most 64; bytes by which pixels lie off)."""


def matmul(kernel: str, pixels: int, words: int, pitch: int, beginnings=BEGINNINGS) -> float:
    """MAC per cycle of all workers, their mean, over several ways to begin."""
    cycles = []
    for stagger, offset in beginnings:
        rows, sums = matmul_data(pitch, words, pixels, offset)
        text = matmul_program(kernel, pitch, words, pixels, offset)
        if stagger:
            text = text.replace("csrr s0, 0x780", STAGGER.format(stagger) + "csrr s0, 0x780")
        machine = machine_after(text, rows)
        found = np.frombuffer(machine.read(SUMS, 512), "<i4").reshape(8, 16)[:, : 4 * pixels]
        assert np.array_equal(found.reshape(8, pixels, 4), sums)
        cycles.append(np.frombuffer(machine.read(TIMES, 32), "<u4").mean())
    return float(sums.size * 4 * words / np.mean(cycles))


@pytest.mark.parametrize(
    ("kernel", "pixels", "words", "expected", "within"),
    [
        (MATMUL_4X2, 2, 64, 17.1, WITHIN),
        (MATMUL_4X2, 2, 256, 17.4, WITHIN),
        (MATMUL_4X4, 4, 64, 19.9, WITHIN),
        (
            MATMUL_4X4,
            4,
            256,
            20.0,
            0.053,
        ),  # here workers come to meet in no bank any more, there one access in eight does
    ],
    ids=["4x2", "4x2 long", "4x4", "4x4 long"],
)
def test_products_of_matrices_are_as_fast_as_measured(kernel, pixels, words, expected, within):
    """In rows whose pitch is a word more than their length."""
    assert near(matmul(kernel, pixels, words, 4 * words + 4), expected, within)


def test_rows_of_one_length_in_lock_step_meet_in_the_banks():
    """15.5 MAC a cycle with a pitch of 256 bytes, 17.0 with 260."""
    unpadded = matmul(MATMUL_4X2, 2, 64, 256, BEGINNINGS[:1])
    assert near(unpadded, 15.5) and unpadded < 0.95 * matmul(MATMUL_4X2, 2, 64, 260, BEGINNINGS[:1])


SLOW_MULTIPLY = replace(BOARD.core, timing=replace(BOARD.core.timed, multiply=2))
"""What GVSOC's model charges for `mul`, and the core's Verilog does not: the figures to compare with have it."""


@pytest.mark.parametrize(("size", "expected", "real"), [(32, 6.1, 6.77), (16, 5.8, 6.52), (8, 5.2, 5.87)])
def test_depthwise_planes_are_as_fast_as_measured(size, expected, real):
    rows, outputs = depthwise_data(size)
    found = []
    for core in (SLOW_MULTIPLY, BOARD.core):
        machine = machine_after(depthwise_program(size), rows, replace(GAPUINO, chip=replace(GAPUINO.chip, core=core)))
        given = np.frombuffer(machine.read(OUTPUTS, size * size * 8), np.uint8)
        assert np.array_equal(given.reshape(size, size, 8), outputs)
        found.append(outputs.size * 9 / np.frombuffer(machine.read(TIMES, 32), "<u4").max())
    assert near(found[0], expected) and near(found[1], real, 0.002)
