"""One core of the simulated cluster: its cycles equal those of the core's Verilog, every encoding of XpulpV2 is known, and what
instructions compute equals what is said of them."""

import random

import numpy as np
import pytest

from smelt.devices.simulators.cluster_machine import ClusterMachine, instruction_names
from smelt.firmware.elf import read_elf
from tests.cluster_programs import BOARD, BUFFER, RESULTS, built, program
from tests.xpulp import encodings, rows

TIMES = 2  # the second time instructions are in the cache
CLEARED = "\n".join(
    ["li t0, {buffer}", "li t1, 64", "clear: sw x0, 0(t0)", "addi t0, t0, 4", "addi t1, t1, -1", "bnez t1, clear"]
)


def measured(row: dict[str, str]) -> list[str]:
    """A body between two looks at the cycle counter, as it ran between two stores there; the look itself takes a cycle."""
    body = [line.strip() for line in row["body"].split(";") if line.strip()]
    body = [line.replace("buf", hex(BUFFER)).replace("la s4", "li s4") for line in body]
    before = ["li t0, 3", f"li s2, {BUFFER}", f"li s3, {BUFFER}", "li t1, 0", "nop", "nop"]
    after = ["sub tp, tp, gp", "addi tp, tp, -1", "sw tp, 0(ra)", "addi ra, ra, 4"]
    return [*before, "csrr gp, 0x780", *body, "csrr tp, 0x780", *after]


@pytest.fixture(scope="module", params=["zig", "gcc"])
def cycles(request):
    lines = [line for row in rows() for line in measured(row)]
    body = [
        CLEARED.format(buffer=BUFFER),
        f"li sp, {TIMES}",
        "again:",
        *lines,
        "addi sp, sp, -1",
        "beqz sp, done",
        "j again",
        "done:",
    ]
    elf = built(program("\n".join(body), cores=1), request.param)
    parsed = read_elf(elf)
    machine = ClusterMachine(BOARD.chip, parsed.entry)
    for segment in parsed.segments:
        machine.write(segment.load, segment.data)
    machine.run(1_000_000)
    assert machine.state("exit_code") == 0
    count = len(rows())
    found = np.frombuffer(machine.read(RESULTS, 4 * count * TIMES), "<u4").reshape(TIMES, count)
    return dict(zip((row["name"] for row in rows()), found[1].tolist(), strict=True))


def test_all_sequences_take_the_cycles_of_the_verilog(cycles):
    expected = {row["name"]: int(row["cycles"]) for row in rows()}
    assert len(expected) == 43 and cycles == expected


def test_every_encoding_is_known():
    """With whatever operands. Some forms are others with a zero in a field, and go by that name then."""
    chosen = random.Random(8)
    expected = [e["mnemonic"].lower() for e in encodings() for _ in range(20)]
    patterns = [e["pattern"] for e in encodings() for _ in range(20)]
    words = [int("".join(c if c in "01" else chosen.choice("01") for c in p), 2) for p in patterns]
    names = [(name or "none").lower() for name in instruction_names(words)]
    wrong = [(n, e) for n, e in zip(names, expected, strict=True) if e not in (n, n + "n")]
    assert len({*expected}) == len(encodings()) == 306 and not wrong


def test_other_bits_are_no_instruction():
    words = [0, 0xFFFFFFFF, 0x5B | 7 << 12 | 0x7F << 25, 0x5B | 7 << 12 | 0x60 << 25, 0x0B]
    assert instruction_names(words) == [None, None, None, "p.subuRNr", "p.lb rd,imm(rs1!)"]
