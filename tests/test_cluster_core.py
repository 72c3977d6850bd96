"""One core of the simulated cluster: its cycles equal those of the core's Verilog, every encoding of XpulpV2 is known, and what
instructions compute equals what is said of them."""

import math
import random

import numpy as np
import pytest

from smelt.devices.simulators.cluster_machine import BREAKPOINT, CONTROLLER, PC, ClusterMachine, instruction_names
from smelt.firmware.elf import read_elf
from tests.cluster_programs import BOARD, BUFFER, RESULTS, built, need_if, program
from tests.xpulp import encodings, rows
from tests.xpulp_model import MASK, PLAIN, bit_field, product, shifted_sum, signed, vector

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
    need_if(request.param)
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


# --- what instructions compute -------------------------------------------------------------------------------------------

CODE, RD, RS1, RS2 = 0x1C000100, 7, 5, 6
EBREAK = (0x00100073).to_bytes(4, "little")
INTERESTING = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x00FF7F80, 0x80808080, 0x7F7F7F7F)
ELSEWHERE = ("L", "LPOST", "SPOST", "LR", "LRPOST", "SR", "SRPOST", "SB2", "HL0", "HL1")  # memory, branches, loops
FIELDS = ("p.extract", "p.extractu", "p.insert", "p.bset", "p.bclr")


def expected(e: dict[str, str], word: int, a: int, b: int, d: int) -> int:
    """What the model says of one instruction."""
    name, kind = e["mnemonic"], e["format"]
    f7, field = word >> 25, word >> 20 & 31
    if name.startswith("pv."):
        return vector(name, kind, a, b, d, field << 1 | f7 & 1)
    if name in PLAIN:
        return int(PLAIN[name](a, b, d, field))
    if name in FIELDS:
        return bit_field(name[2:], a, d, field, (f7 & 31) + 1)
    if name.removesuffix("r") in FIELDS:
        return bit_field(name[2:-1], a, d, b & 31, (b >> 5 & 31) + 1)
    shift = f7 & 31 if kind in ("RRRU2", "RRRRU") else 0
    return (shifted_sum if name[2:5] in ("add", "sub") else product)(name, a, b, d, shift)


def test_instructions_on_registers_compute_what_their_names_say():
    machine, chosen = ClusterMachine(BOARD.chip, CODE), random.Random(4)
    tried = {}
    for e in (e for e in encodings() if e["format"] not in ELSEWHERE):
        for trial in range(12):
            bits = [c if c in "01" else chosen.choice("01") for c in e["pattern"]]
            word = int("".join(bits), 2) & ~(31 << 15 | 31 << 7) | RS1 << 15 | RD << 7
            if e["pattern"][7:12] == "-----" and e["format"] in ("R", "R1", "RRRR", "RRRU2", "RRRRU", "RRRR2", "I5U2"):
                word = word & ~(31 << 20) | RS2 << 20
            a, b, d = (chosen.choice(INTERESTING) if trial % 3 else chosen.getrandbits(32) for _ in range(3))
            if "clip" in e["mnemonic"]:
                b &= 0x7FFFFFFF  # an upper bound
            machine.write(CODE, word.to_bytes(4, "little") + EBREAK)
            for register, value in ((RS1, a), (RS2, b), (RD, d), (PC, CODE)):
                machine.set(CONTROLLER, register, value)
            assert machine.run(1 << 40) == BREAKPOINT, e["mnemonic"]
            found, want = machine.get(CONTROLLER, RD), expected(e, word, a, b, d) & MASK
            assert found == want, f"{e['mnemonic']} {word:#010x} of {a:#x}, {b:#x}, {d:#x}: {found:#x}, not {want:#x}"
            tried[e["mnemonic"]] = True
    assert len(tried) == 306 - sum(e["format"] in ELSEWHERE for e in encodings())


BASE = {  # funct3, funct7 of opcode 0x33
    (0, 0x00): lambda a, b: a + b,
    (0, 0x20): lambda a, b: a - b,
    (1, 0x00): lambda a, b: a << b % 32,
    (2, 0x00): lambda a, b: signed(a) < signed(b),
    (3, 0x00): lambda a, b: a < b,
    (4, 0x00): lambda a, b: a ^ b,
    (5, 0x00): lambda a, b: a >> b % 32,
    (5, 0x20): lambda a, b: signed(a) >> b % 32,
    (6, 0x00): lambda a, b: a | b,
    (7, 0x00): lambda a, b: a & b,
    (0, 0x01): lambda a, b: a * b,
    (1, 0x01): lambda a, b: signed(a) * signed(b) >> 32,
    (2, 0x01): lambda a, b: signed(a) * b >> 32,
    (3, 0x01): lambda a, b: a * b >> 32,
    (4, 0x01): lambda a, b: int(math.copysign(abs(signed(a)) // abs(signed(b)), signed(a) * signed(b))) if b else -1,
    (5, 0x01): lambda a, b: a // b if b else -1,
    (6, 0x01): lambda a, b: int(math.fmod(signed(a), signed(b))) if b else a,
    (7, 0x01): lambda a, b: a % b if b else a,
}


def test_base_instructions_compute_what_the_standard_says():
    machine = ClusterMachine(BOARD.chip, CODE)
    for (f3, f7), meaning in BASE.items():
        word = 0x33 | RD << 7 | f3 << 12 | RS1 << 15 | RS2 << 20 | f7 << 25
        machine.write(CODE, word.to_bytes(4, "little") + EBREAK)
        for a in INTERESTING:
            for b in INTERESTING:
                for register, value in ((RS1, a), (RS2, b), (PC, CODE)):
                    machine.set(CONTROLLER, register, value)
                assert machine.run(1 << 40) == BREAKPOINT
                assert machine.get(CONTROLLER, RD) == int(meaning(a, b)) & MASK, f"{f3}, {f7:#x}: {a:#x}, {b:#x}"
