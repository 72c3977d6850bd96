"""Which instructions are checked for alignment when their block starts, and which one by one."""

import pytest

from smelt.devices.simulators.alignment import Alignment

# Each case: assembly, its machine code, what is checked at the start, what at the instruction:
# (the instruction that needs it, constant modulo 4, {register: factor}).
CASES = [
    ("mov r4, r0; add r4, #2; ldrd r2, r3, [r4, #8]", "044604f10204d4e90223", [(6, 2, {0: 1})], []),
    ("add r4, r1, r2, lsl #2; ldrd r2, r3, [r4]", "01eb8204d4e90023", [(4, 0, {1: 1})], []),
    ("add r4, r1, r2, lsl #1; ldrd r2, r3, [r4]", "01eb4204d4e90023", [(4, 0, {1: 1, 2: 2})], []),
    ("sub r4, r1, r2; strd r2, r3, [r4, #4]!", "a1eb0204e4e90123", [(4, 0, {1: 1, 2: 3})], []),
    ("pop {r4}; ldrd r2, r3, [r4]", "10bcd4e90023", [], [(2, 0, {4: 1})]),
    ("pop {r4, pc}; ldrd r2, r3, [r4]", "10bdd4e90023", [(2, 0, {4: 1})], []),
    ("ldr r4, [sp]; ldrd r2, r3, [r4], #36; ldrd r2, r3, [r4]", "009cf4e80923d4e90023", [], [(2, 0, {4: 1})]),
    (
        "ldr r4, [sp]; ldrd r2, r3, [r4]; add r4, #1; ldm r4, {r2, r3}",
        "009cd4e9002304f1010494e80c00",
        [],
        [(2, 0, {4: 1}), (10, 0, {4: 1})],
    ),
    (
        "ite eq; ldrdeq r2, r3, [r4]; movne r5, #1; ldrd r2, r3, [r5]",
        "0cbfd4e900230125d5e90023",
        [],
        [(8, 0, {5: 1})],
    ),
    ("ldm r1!, {r2, r3}; ldm r1, {r2, r3}", "0cc991e80c00", [(0, 0, {1: 1})], []),
    ("ldr r6, [r1], #-3; ldm r1, {r2, r3}", "51f8036991e80c00", [(4, 1, {1: 1})], []),
    ("ldrsb r6, [r1, #2]!; stm r1, {r2, r3}", "11f9026f81e80c00", [(4, 2, {1: 1})], []),
    ("movw r1, #0x102; movt r1, #0x2000; ldm r1, {r2, r3}", "40f20211c2f2000191e80c00", [(8, 2, {})], []),
    ("mvn r1, #2; add r1, r2; ldm r1, {r2, r3}", "6ff00201114491e80c00", [(6, 1, {2: 1})], []),
    ("subs r1, #3; bne .; strd r2, r3, [r1]", "0339fed1c1e90023", [(4, 0, {1: 1})], []),
    ("ldrd r2, r3, [sp, #8]; push {r4, r5}; stm sp, {r4, r5}", "dde9022330b48de83000", [], []),
    ("ldr r2, [r1, #1]; strh r2, [r1, #1]", "d1f80120a1f80120", [], []),
    ("mul r1, r2, r3; strd r2, r3, [r1]", "02fb03f1c1e90023", [], [(4, 0, {1: 1})]),
]


def number(register: str) -> int:
    return int(register.removeprefix("r"))


@pytest.mark.parametrize(("assembly", "code", "at_start", "at_instruction"), CASES, ids=[c[0] for c in CASES])
def test_checks(assembly, code, at_start, at_instruction):
    alignment = Alignment(number)
    found = [
        [(c.at - 0x100, c.offset, dict(c.registers)) for c in checks]
        for checks in (alignment.of_block(bytes.fromhex(code), 0x100), alignment.one_by_one(bytes.fromhex(code), 0x100))
    ]
    assert found == [at_start, at_instruction]
    assert all(c.address == 0x100 for c in alignment.of_block(bytes.fromhex(code), 0x100))


def test_data_between_code_is_stepped_over():
    pool = bytes.fromhex("ffffffff")
    assert Alignment(number).one_by_one(pool + bytes.fromhex("d4e90023"), 0)[0].at == 4
