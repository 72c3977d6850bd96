"""Simulated boards: results, counts, and every way in which a firmware can go wrong."""

import dataclasses
import subprocess
import sys

import pytest

from smelt.devices.faults import Fault
from smelt.devices.run import Run
from smelt.devices.simulators import memory_map, simulator
from smelt.devices.simulators.simulator import Simulator
from smelt.errors import DeviceError, OptionError
from smelt.targets.boards import PRODUCTS, board
from tests.paths import ROOT
from tests.tiny_firmware import TRIPLE, need, tiny_image

NAMES = [b.name for b in PRODUCTS]
INPUT = bytes(range(250, 256)) + bytes(range(10))
FAULTY_BOARDS = ("disco_f746ng", "nucleo_u575zi_q", "esp32c3")


def expected(data: bytes) -> bytes:
    return bytes((x + 7) * 9 & 255 for x in data)


def run(name: str, inputs: bytes = INPUT, **options) -> Run:
    return Simulator(board(name)).run(tiny_image(name, **options), inputs)


@pytest.mark.parametrize("name", NAMES)
def test_runs_from_reset_to_exit(name):
    result = run(name, INPUT * 3)
    assert result.outputs == expected(INPUT) * 3
    assert result.text == "done\n" * 3
    assert result.runs == 3
    assert 16 <= result.stack_bytes < 500


@pytest.mark.parametrize("name", ["disco_f746ng", "esp32c3"])
def test_images_of_gcc_run_too(name):
    need(board(name).core.gcc[0])
    assert run(name, compiler="gcc").outputs == expected(INPUT)


@pytest.mark.parametrize("name", NAMES)
def test_without_input_nothing_is_computed(name):
    assert run(name, b"").outputs == b""


def test_incomplete_input_is_reported():
    with pytest.raises(Fault, match=r"exit code.*incomplete"):
        run("disco_f746ng", INPUT + b"x")


COUNTED = {
    "disco_f746ng": "movs r0, #5\n 1: subs r0, #1\n bne 1b\n add.w r0, r0, #0\n nop\n bx lr",
    "esp32c3": "li a0, 5\n 1: addi a0, a0, -1\n bnez a0, 1b\n lui a0, 0x12345\n nop\n ret",
}


@pytest.mark.parametrize("name", COUNTED)
def test_instruction_counts_are_exact(name):
    body = COUNTED[name].replace("\n", "\\n")
    definitions = f'__attribute__((naked)) void kernel(void) {{ __asm__ volatile("{body}"); }}'
    result = run(name, definitions=definitions, calls="(void)o; (void)i; kernel(); kernel();")
    assert result.step_instructions == (1 + 5 * 2 + 3,) * 2
    assert result.instructions == sum(result.step_instructions) + result.overhead_instructions
    assert result.total_instructions > result.startup_instructions > result.overhead_instructions


@pytest.mark.parametrize("name", ["disco_f746ng", "esp32c3"])
def test_steps_are_told_apart(name):
    result = run(name)
    add, first, second = result.step_instructions
    assert first == second
    assert add > 16
    assert 0 < result.overhead_instructions < 30


@pytest.mark.parametrize("name", ["disco_f746ng", "esp32c3"])
def test_helpers_count_to_the_step_that_calls_them(name):
    copies = "KERNEL void kernel(uint8_t *o, const uint8_t *i, unsigned n) { memset(o, 1, n); memcpy(o, i, n); }"
    little, much = (
        run(name, definitions=copies, calls=f"volatile unsigned n = {n}; kernel(o, i, n);") for n in (0, 16)
    )
    assert much.step_instructions[0] > little.step_instructions[0] + 8
    assert abs(much.overhead_instructions - little.overhead_instructions) <= 2  # the constant itself


def test_the_stack_is_measured():
    deep = (
        "KERNEL void kernel(uint8_t *o, const uint8_t *i) { volatile uint8_t x[1000]; x[i[9]] = i[0]; o[0] = x[i[9]]; }"
    )
    assert 1000 < run("disco_f746ng", definitions=deep, calls="kernel(o, i);").stack_bytes < 1200


def test_ram_is_not_zero_after_power_on():
    reads = """static volatile uint8_t arena[16] __attribute__((section(".bss.smelt.ram.sram1")));
    KERNEL void kernel(uint8_t *o) { for (int k = 0; k < 16; k++) o[k] = arena[k]; }"""
    assert run("disco_f746ng", definitions=reads, calls="(void)i; kernel(o);").outputs == b"\xa5" * 16


def test_variables_are_initialised():
    texts = """static volatile uint32_t table[4] = {1, 2, 3, 4}, zero[4];
    KERNEL void kernel(uint8_t *o) { for (int k = 0; k < 16; k++) o[k] = (uint8_t)(table[k & 3] + zero[k & 3]); }"""
    for name in NAMES:
        assert run(name, definitions=texts, calls="(void)i; kernel(o);").outputs == bytes([1, 2, 3, 4] * 4)


UNMAPPED = "(volatile uint32_t *)0x70000000"
FAULTS = {
    "read outside memory": f"o[0] = (uint8_t)*{UNMAPPED};",
    "write outside memory": f"*{UNMAPPED} = i[0];",
    "fetch outside memory": "((void (*)(void))0x70000001)(); o[0] = i[0];",
    "write to flash": "*(volatile uint32_t *)((uintptr_t)&smelt_report & ~3u) = i[0];",
    "undefined instruction": "UNDEFINED; o[0] = i[0];",
    "unexpected breakpoint": "BREAK; o[0] = i[0];",
    "unexpected exception": "SUPERVISOR; o[0] = i[0];",
    "run-away": "for (;;) { *(volatile uint8_t *)o = i[0]; }",
    "exit code": "smelt_exit(3); o[0] = i[0];",
}
ASSEMBLY = """
#if defined(__arm__)
#define UNDEFINED __asm__ volatile("udf 5")
#define BREAK __asm__ volatile("bkpt 1")
#define SUPERVISOR __asm__ volatile("svc 1")
#else
#define UNDEFINED __asm__ volatile(".word 0xffffffff")
#define BREAK __asm__ volatile("ebreak")
#define SUPERVISOR __asm__ volatile("ecall")
#endif
"""


def fault(name: str, body: str, definitions: str = "", timeout: int = 100_000, **options) -> Fault:
    kernel = f"{ASSEMBLY}{definitions} KERNEL void kernel(uint8_t *o, const uint8_t *i) {{ {body} }}"
    image = tiny_image(name, kernel, "kernel(o, i); o[1] = 1;", **options)
    with pytest.raises(Fault) as caught:
        Simulator(board(name)).run(image, INPUT, timeout_instructions=timeout)
    return caught.value


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("name", FAULTY_BOARDS)
def test_faults_name_their_function(name, kind):
    found = fault(name, FAULTS[kind])
    assert found.kind == kind
    assert found.function == ("smelt_exit" if kind == "exit code" else "kernel")
    assert name in str(found)
    assert found.function in str(found)


@pytest.mark.parametrize("name", FAULTY_BOARDS)
def test_stack_overflow(name):
    deep = (
        "KERNEL uint32_t deep(uint32_t n) { volatile uint8_t x[200]; x[n & 7] = 1; return n ? deep(n - 1) + x[3] : 0; }"
    )
    found = fault(name, "o[0] = (uint8_t)deep(i[0]);", deep)
    assert (found.kind, found.function) == ("stack overflow", "deep")


def test_a_push_from_the_very_end_of_the_stack_is_an_overflow():
    """The stack pointer is still inside when the access faults."""
    deep = (
        "extern uint8_t __smelt_stack_limit[];"
        'KERNEL void deep(void) { __asm volatile("mov sp, %0\\n push {r4, lr}" :: "r"(__smelt_stack_limit)); }'
    )
    found = fault("disco_f746ng", "deep(); (void)o; (void)i;", deep)
    assert (found.kind, found.function) == ("stack overflow", "deep")


@pytest.mark.parametrize("name", FAULTY_BOARDS)
def test_null_pointers_are_found(name):
    found = fault(name, "uint32_t *volatile p = 0; *p = i[0]; o[0] = 1;")
    assert (found.kind, found.function, found.address) == ("write outside memory", "kernel", 0)


MISALIGNED = {
    "doubleword": '__asm__ volatile("ldrd r2, r3, [%0]" :: "r"(i + 1) : "r2", "r3"); o[0] = i[0];',
    "literal": '__asm__ volatile("ldr r1, =0x20000002\\n ldrd r2, r3, [r1]" ::: "r1", "r2", "r3"); o[0] = i[0];',
    "constant": '__asm__ volatile("movw r1, #2\\n movt r1, #0x2000\\n ldm r1, {r2}" ::: "r1", "r2"); o[0] = i[0];',
    "store": '__asm__ volatile("strd %0, %0, [%1, #4]" :: "r"(0), "r"(o + 2) : "memory"); o[0] = i[0];',
    "multiple": '__asm__ volatile("ldm %0, {r2, r3}" :: "r"(i + 1) : "r2", "r3"); o[0] = i[0];',
    "wide multiple": '__asm__ volatile("ldm.w %0, {r2, r8}" :: "r"(i + 1) : "r2", "r8"); o[0] = i[0];',
    "loaded": 'uint8_t *volatile p = o + 3; __asm__ volatile("ldrd r2, r3, [%0]" :: "r"(p) : "r2", "r3"); o[0] = 1;',
    "summed": '__asm__ volatile("add r1, %0, %1\\n ldm r1, {r2}" :: "r"(i), "r"(2) : "r1", "r2"); o[0] = 1;',
    "advanced": '__asm__ volatile("add %0, #2\\n ldrd r2, r3, [%0], #8" : "+r"(i) :: "r2", "r3"); o[0] = i[0];',
}  # fmt: skip


@pytest.mark.parametrize("how", MISALIGNED)
@pytest.mark.parametrize("name", ["disco_f746ng", "nucleo_u575zi_q"])
def test_misaligned_multiple_words(name, how):
    found = fault(name, MISALIGNED[how])
    assert (found.kind, found.function) == ("misaligned access", "kernel")


UNALIGNED = {
    "word": "o[0] = (uint8_t)*(volatile uint32_t *)((uintptr_t)i | 2);",
    "halfword": "o[0] = (uint8_t)*(volatile uint16_t *)((uintptr_t)i | 1);",
    "stored word": "*(volatile uint32_t *)((uintptr_t)o | 1) = 5;",
}


@pytest.mark.parametrize("how", UNALIGNED)
@pytest.mark.parametrize("name", [b.name for b in PRODUCTS if b.core.isa.aligned_only])
def test_unaligned_words_fault_where_the_instruction_set_has_none(name, how):
    found = fault(name, UNALIGNED[how])
    assert (found.kind, found.function) == ("misaligned access", "kernel")
    assert "multiple of the size" in str(found)


ALIGNED = """
    const uint32_t *p = (const uint32_t *)i; uint32_t a, b;
    __asm__ volatile("ldrd %0, %1, [%2]" : "=r"(a), "=r"(b) : "r"(p)); o[0] = (uint8_t)(a + b);
    __asm__ volatile("add %0, #1\\n add %0, #7\\n ldrd r2, r3, [%0]" : "+r"(p) :: "r2", "r3");
    o[1] = (uint8_t)*(const uint32_t *)(i + 1);
"""


def test_aligned_words_and_misaligned_single_words_are_fine():
    kernel = f"KERNEL void kernel(uint8_t *o, const uint8_t *i) {{ {ALIGNED} }}"
    aligned = kernel.replace("KERNEL", "static uint8_t in4[16] __attribute__((aligned(4))); KERNEL", 1)
    run("disco_f746ng", definitions=aligned, calls="memcpy(in4, i, 16); kernel(o, in4);")


def test_jumps_to_what_is_not_thumb_code():
    found = fault("disco_f746ng", "((void (*)(void))0x08000100)(); o[0] = i[0];")
    assert (found.kind, found.function) == ("unexpected exception", "kernel")
    assert "not Thumb code" in str(found)


def test_bad_pointers_in_requests():
    for name in FAULTY_BOARDS:
        found = fault(name, "smelt_print((const char *)0x70000000); o[0] = i[0];")
        assert found.function in ("smelt_print", "smelt_semihost", "kernel")


def test_images_belong_to_their_board():
    with pytest.raises(DeviceError, match=r"built for nucleo_l4r5zi"):
        Simulator(board("disco_f746ng")).run(tiny_image("nucleo_l4r5zi", TRIPLE))


def test_two_simulators_do_not_share_anything():
    image = tiny_image("disco_f746ng")
    assert Simulator(board("disco_f746ng")).run(image, INPUT) == Simulator(board("disco_f746ng")).run(image, INPUT)


def test_images_of_others_are_refused():
    image = tiny_image("disco_f746ng")
    parsed = dataclasses.replace(image.parsed, symbols={})
    with pytest.raises(DeviceError, match=r"no firmware of smelt.*smelt_reset"):
        Simulator(board("disco_f746ng")).run(dataclasses.replace(image, parsed=parsed), INPUT)


def test_a_board_without_a_debugger_computes_once_and_stays(monkeypatch):
    monkeypatch.setattr(memory_map, "C_DEBUGEN", 0)
    image = tiny_image("disco_f746ng")
    session = simulator._Session(board("disco_f746ng"), image, INPUT, 100_000)
    with pytest.raises(Fault) as caught:
        session.run()
    assert (caught.value.kind, caught.value.function) == ("run-away", "smelt_start")
    assert int(session.counter.raw.runs) == 1
    assert not session.host.text
    assert memory_map.read(session.maps, image.symbols["out"].address, 16) == expected(bytes(16))


def test_a_risc_v_without_a_debugger_gets_an_answer_from_its_trap_handler():
    """What Unicorn cannot show, since it does not deliver the trap: the handler's address is where mtvec will look."""
    symbols = tiny_image("esp32c3").symbols
    assert symbols["smelt_traps"].address % 256 == 0


@pytest.mark.parametrize("module", ["unicorn", "capstone"])
def test_a_missing_emulator_says_what_to_install(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(OptionError, match=r"pip install 'smelt\[simulate\]'"):
        run("disco_f746ng")


def test_the_emulator_is_loaded_only_when_it_runs():
    program = (
        "import sys, smelt.devices.simulators.simulator; print('unicorn' in sys.modules, 'capstone' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_the_native_part_needs_no_home(tmp_path):
    program = (
        "from smelt.devices.simulators.simulator import Simulator\n"
        "from smelt.targets.boards import board\n"
        "from tests.tiny_firmware import tiny_image\n"
        "print(Simulator(board('esp32c3')).run(tiny_image('esp32c3'), bytes(16)).runs)\n"
    )
    environment = {"HOME": "/proc/nowhere", "PATH": "", "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "1", done.stderr
