"""The cycle models against what is published, rule by rule; and the clock as the firmware sees it."""

from dataclasses import replace
from itertools import pairwise

import pytest

from smelt.devices.simulators.clock import BlockCosts
from smelt.devices.simulators.pipeline import TICKS
from smelt.devices.simulators.pipelines import MODELS, model_of
from smelt.devices.simulators.simulator import Simulator
from smelt.devices.simulators.version import SHARED, cycle_model, told
from smelt.errors import OptionError
from smelt.targets.boards import PRODUCTS, board
from smelt.targets.types import THUMB
from tests.foreign import build
from tests.timing_rules import M4_PAIRS, RULES, assemble, measure
from tests.tiny_firmware import need, tiny_image

TOLERANCE = 0.15  # cycles per copy; loops begin and end somewhere


@pytest.mark.parametrize(("name", "rules"), RULES, ids=[name for name, _ in RULES])
def test_rules(name, rules, tmp_path):
    found = measure(name, rules, tmp_path)
    wrong = [
        f"{r.name}: {n:.2f}, not {r.cycles}" for r, n in zip(rules, found, strict=True) if abs(n - r.cycles) > TOLERANCE
    ]
    assert not wrong


def test_loads_of_the_m4_chain_within_one_memory(tmp_path):
    """Every pair of memories in both orders, aliases, literals, multiple and conditional loads."""
    found = measure("nucleo_l4r5zi", M4_PAIRS, tmp_path)
    wrong = [
        f"{r.name}: {n:.2f}, not {r.cycles}"
        for r, n in zip(M4_PAIRS, found, strict=True)
        if abs(n - r.cycles) > TOLERANCE
    ]
    assert not wrong


ACROSS_A_PAGE = """
    .syntax unified
    .thumb
    .section .isr_vector, "a"
    .word 0x20004000, reset
    .text
    .macro work name, place
    .balign 4096
    .global \\name
    .thumb_func
    .type \\name, %function
\\name:
    mov.w r4, #100
    movw r2, #0x4000
    movt r2, #0x2000
    movw r6, #:lower16:\\place
    movt r6, #:upper16:\\place
    b.w 1f
    .space 4096 - 24 - 2
1:  ldr r0, [r2]
    ldr r1, [r6]
    subs r4, #1
    bne.w 1b
    bx lr
    .size \\name, . - \\name
    .endm
    .thumb_func
reset:
    bl all
    movs r0, #0x18
    ldr r1, =0x20026
    bkpt 0xab
    .ltorg
    .global all
    .thumb_func
    .type all, %function
all:
    push {r4-r6, lr}
    bl same
    bl other
    pop {r4-r6, pc}
    .size all, . - all
    work same, 0x20004100
    work other, 0x20031000
"""


def test_loads_chain_across_the_edges_of_blocks(tmp_path):
    """The emulator ends a block where a page ends, here between two loads; their chain goes on."""
    target = board("nucleo_l4r5zi")
    run = Simulator(target).run_elf(assemble(target, ACROSS_A_PAGE, tmp_path), function="all", parts=("same", "other"))
    same, other = run.step_cycles
    assert other - same == 100


@pytest.mark.parametrize("name", [b.name for b in PRODUCTS])
def test_every_board_has_a_table(name):
    target = board(name)
    assert model_of(target.core.timed)
    assert target.chip.flash.path.first, "flash is slower than any of these cores"


CODE = {
    "ldr r0, [r1]": "0868", "str r0, [r1]": "0860", "adds r0, r0, r1": "4018", "muls r0, r1": "4843", "push {r4, lr}": "10b5",
    "dsb": "bff34f8f", "mul r0, r1, r2": "01fb02f0", "mla r0, r1, r2, r3": "01fb0230", "smull r0, r3, r1, r2": "81fb0203",
    "smlal r0, r3, r1, r2": "c1fb0203", "add r0, r1, #1": "01f10100",
}  # fmt: skip
ARM_TABLES = (  # Arm's TRMs: DDI 0484 (M0+), DDI 0337 (M3; the upper end of 3..5 and 4..7), DDI 0439 (M4)
    ("nucleo_g0b1re", "ldr r0, [r1]", 2), ("nucleo_g0b1re", "str r0, [r1]", 2), ("nucleo_g0b1re", "adds r0, r0, r1", 1),
    ("nucleo_g0b1re", "muls r0, r1", 1), ("nucleo_g0b1re", "push {r4, lr}", 3), ("nucleo_g0b1re", "dsb", 3),
    ("nucleo_l152re", "mul r0, r1, r2", 1), ("nucleo_l152re", "mla r0, r1, r2, r3", 2), ("nucleo_l152re", "ldr r0, [r1]", 2),
    ("nucleo_l152re", "smull r0, r3, r1, r2", 5), ("nucleo_l152re", "smlal r0, r3, r1, r2", 7),
    ("nucleo_l152re", "add r0, r1, #1", 1), ("nucleo_l4r5zi", "smull r0, r3, r1, r2", 1),
)  # fmt: skip


@pytest.mark.parametrize(("name", "instruction", "cycles"), ARM_TABLES)
def test_instructions_without_measurements(name, instruction, cycles):
    code = bytes.fromhex(CODE[instruction])
    assert BlockCosts(board(name), lambda *_: code).alone(0, len(code)).cost == TICKS * cycles


def test_a_block_that_was_cut_off_costs_the_same():
    """Three instructions of 32 bits, none of which is at a word: the third one waits for its fetch, wherever the block is cut."""
    code = bytes.fromhex("4018" + 3 * CODE["mul r0, r1, r2"] + "4018")
    whole = BlockCosts(board("nucleo_l4r5zi"), lambda *_: code).alone(0, len(code)).cost
    assert whole == TICKS * 6
    for cuts in ((2, 6), (2, 6, 10), (6, 10), (10,)):
        ends = (0, *cuts, len(code))
        blocks = [(start, end - start) for start, end in pairwise(ends)]
        costs = BlockCosts(board("nucleo_l4r5zi"), lambda at, size: code[at : at + size])
        edges = [costs.edge(*before, *after).cost for before, after in pairwise(((0, 0), *blocks))]
        assert sum(edges) == whole, cuts


@pytest.mark.parametrize("multiply", [1, 32])
def test_the_multiplier_is_the_chips_choice(multiply):
    target = board("pico")
    core = replace(target.core, timing=replace(target.core.timed, multiply=multiply))
    slow = replace(target, chip=replace(target.chip, core=core))
    assert BlockCosts(slow, lambda *_: bytes.fromhex(CODE["muls r0, r1"])).alone(0, 2).cost == TICKS * multiply


def test_what_one_board_does_not_use_is_not_in_its_model():
    """Another core's pipeline, and fields that it leaves at their defaults."""
    for target in PRODUCTS:
        others = {s for m in MODELS for s in m.sources} - set(model_of(target.core.timed).sources)
        assert others and not others & {*SHARED, *model_of(target.core.timed).sources}
    target = board("nucleo_l4r5zi")
    assert "multiply" not in told(target.core.timed) and "multiply_long=5" in told(board("nucleo_l152re").core.timed)
    assert "role" not in told(replace(target.chip.flash, role=None))
    faster = replace(target.core, timing=replace(target.core.timed, multiply=3))
    assert cycle_model(replace(target, chip=replace(target.chip, core=faster))) != cycle_model(target)


def test_cycles_belong_to_steps_and_do_not_depend_on_timing():
    image = tiny_image("disco_f746ng")
    timed, untimed = (Simulator(board("disco_f746ng"), timing=t).run(image, bytes(16)) for t in (True, False))
    assert timed.outputs == untimed.outputs
    assert timed.step_instructions == untimed.step_instructions
    assert len(timed.step_cycles) == len(timed.step_instructions)
    assert timed.cycles == sum(timed.step_cycles) + timed.overhead_cycles > 0
    assert untimed.total_cycles == 0
    assert timed.total_cycles > timed.cycles


LOOP_OF_WIDE = """
__attribute__((noinline)) void work(void)
{
    __asm__ volatile("movs r0, #200; .balign 8; nop; nop; nop; 1: .rept 4; add.w r1, r3, #1; add.w r2, r3, #1; .endr;"
                     "subs r0, #1; bne 1b" ::: "r0", "r1", "r2", "cc");
}
int main(void) { work(); return 0; }
"""


def test_fetching_bounds_the_loops_of_the_m7(tmp_path):
    """Everything pairs, which makes five cycles; but 36 bytes that touch six aligned doublewords take six."""
    run = Simulator(board("disco_f746ng")).run_elf(build("disco_f746ng", LOOP_OF_WIDE, tmp_path), function="work")
    assert 6 * 200 <= run.cycles < 6 * 200 + 60


THUMB2_BOARDS = [b.name for b in PRODUCTS if b.core.isa == THUMB]  # with CYCCNT, division, IT blocks
FLOAT_BOARDS = [
    b.name for b in PRODUCTS if b.core.isa == THUMB and b.core.intrinsics
]  # no FPU without the DSP instructions
MEASURES_ITSELF = """
__attribute__((noinline)) static void work(void)
{
    __asm__ volatile("movs r0, #200\\n .balign 4\\n 1: subs r0, #1\\n bne 1b" ::: "r0", "cc");
}
int main(void)
{
    DEMCR |= 1 << 24;
    CYCCNT = 0;
    CTRL |= 1;
    SYST_RVR = 0xFFFFFF;
    SYST_CVR = 0;
    SYST_CSR = 5;
    work();
    for (int i = 0; i < 2; i++) {
        const uint32_t ticks = SYST_CVR, cycles = CYCCNT;
        work();
        const uint32_t later = CYCCNT;
        print_number(later - cycles);
        print_number((ticks - SYST_CVR) & 0xFFFFFF);
    }
    return 0;
}
"""
LOOP = {
    "cortex_m3": 3,
    "cortex_m4": 3,
    "cortex_m7": 1,
    "cortex_m33": 3,
}  # subs, bne: the M33 pairs no branch with what sets its flags


@pytest.mark.parametrize("name", THUMB2_BOARDS)
def test_the_firmware_reads_the_simulated_time(name, tmp_path):
    run = Simulator(board(name)).run_elf(build(name, MEASURES_ITSELF, tmp_path), function="work")
    cycles, ticks = [int(n) for n in run.text.split()][2:]
    assert (run.end, run.exit_code, run.runs) == ("exit", 0, 3)
    assert abs(run.cycles - 200 * LOOP[board(name).core.name]) < 20
    assert 0 <= cycles - run.cycles < 60
    assert 0 <= ticks - cycles < 400  # it prints in between
    assert run.cycles > 200


def test_idle_loops_end_a_program(tmp_path):
    run = Simulator(board("nucleo_l4r5zi")).run_elf(
        build("nucleo_l4r5zi", 'int main(void) { print("hi"); return -1; }', tmp_path)
    )
    assert (run.end, run.text, run.runs) == ("idle", "hi", 0)
    assert run.total_cycles > 0


def test_exit_codes_of_foreign_programs_are_no_faults(tmp_path):
    run = Simulator(board("nucleo_l4r5zi")).run_elf(build("nucleo_l4r5zi", "int main(void) { return 3; }", tmp_path))
    assert (run.end, run.exit_code) == ("exit", 1)


FLOATS = """
static float a[64], b[64];
__attribute__((noinline)) float dot(const float *x, const float *y, int n)
{
    float sum = 0;
    for (int i = 0; i < n; i++) sum += x[i] * y[i];
    return sum / (float)n;
}
__attribute__((noinline, section(".ramcode"))) int divide(int x, int y) { return x / y; }
int (*volatile pointer)(int, int) = divide;
int main(void)
{
    for (int i = 0; i < 64; i++) { a[i] = (float)i; b[i] = 2.0f; }
    print_number((uint32_t)dot(a, b, 64));
    print_number((uint32_t)pointer(1000, 7));
    return 0;
}
"""


@pytest.mark.parametrize("name", FLOAT_BOARDS)
def test_floats_division_and_code_in_ram_of_gcc(name, tmp_path):
    need("arm-none-eabi-gcc")
    run = Simulator(board(name)).run_elf(build(name, FLOATS, tmp_path, "gcc"), function="dot")
    assert run.text == "63\n142\n"
    assert run.cycles > 64 * 3


SKIPPED = """
volatile uint32_t out[2];
__attribute__((naked, noinline)) void work(uint32_t x, const uint32_t *from, volatile uint32_t *to)
{
    __asm__ volatile("cmp r0, #0\\n ittt eq\\n ldreq r3, [r1]\\n streq r3, [r2]\\n moveq r0, #5\\n cmp r0, #1\\n b 1f\\n"
                     "1: adds r0, #1\\n str r0, [r2, #4]\\n bx lr");
}
int main(void)
{
    static const uint32_t seven = 7;
    work(0, &seven, out);
    return out[0] == 7 && out[1] == 6 ? 0 : 1;
}
"""


@pytest.mark.parametrize("name", THUMB2_BOARDS)
def test_conditional_loads_and_stores_do_not_disturb_what_follows(name, tmp_path):
    """Unicorn's hooks of memory accesses leave the state of an IT block behind; the simulator clears it."""
    assert Simulator(board(name)).run_elf(build(name, SKIPPED, tmp_path)).exit_code == 0


POLLS = """
#define CFGR (*(volatile uint32_t *)0x40021008)
#define CR (*(volatile uint32_t *)0x40021000)
int main(void)
{
    CR |= 1 << 24;
    while (!(CR & 1 << 25)) {}
    CFGR = 2;
    while ((CFGR & 12) != 8) {}
    while (CR & 1 << 17) {}
    return 0;
}
"""


def test_programs_that_wait_for_hardware_go_on(tmp_path):
    run = Simulator(board("disco_f746ng")).run_elf(build("disco_f746ng", POLLS, tmp_path), timeout_instructions=100_000)
    assert (run.end, run.exit_code) == ("exit", 0)


def test_unknown_functions_are_named(tmp_path):
    with pytest.raises(OptionError, match="nothing"):
        Simulator(board("nucleo_l4r5zi")).run_elf(
            build("nucleo_l4r5zi", "int main(void) { return 0; }", tmp_path), function="nothing"
        )
