"""What goes wrong on a simulated cluster is found, by a program made for it, and told with core, function and address."""

from functools import cache

import pytest

from smelt.devices.faults import Fault
from smelt.devices.simulators.cluster_simulator import ClusterSimulator
from smelt.firmware.linker import WORKER_STACK_BYTES
from tests.cluster_c import image, run
from tests.cluster_programs import BOARD, built, machine_after, ran

ON_CORE_3 = "li t0, 3\nbne s0, t0, over\n{0}\nover: p.elw t0, 0x21C(s1)"
DMA = "li t0, 0x10204400\nlw t1, 0(t0)\nli t1, {command}\nsw t1, 0(t0)\nli t1, {near}\nsw t1, 0(t0)\nli t1, {far}\nsw t1, 0(t0)"
IN, OUT, L1, L2 = 0x30000, 0x20000, 0x10002000, 0x1C008000


def dma(command: int, near: int = L1, far: int = 0x1C000000) -> str:
    return DMA.format(command=command, near=near, far=far)


def outside(near: int = L2, size: int = 64, far: int = 0x40, outwards: bool = False) -> str:
    """A request of bytes of the memories outside of the chip, or of bytes that go there."""
    at = 0x10 * outwards
    sets = ((at, near), (at + 4, size), (0x20, far), (at + 8, 0x10))
    return "li t0, 0x1A102180\n" + "\n".join(f"li t1, {value}\nsw t1, {offset}(t0)" for offset, value in sets)


WITHOUT_ID = "\n".join(line for line in dma(IN | 64).splitlines() if line != "lw t1, 0(t0)")
SLOW = dma(IN | 1 << 18 | 256) + "\nli t1, 0x10001\nsw t1, 0(t0)"  # line by line of a byte

PROGRAMS = {
    "read outside memory": ("li t0, 0x20000000\nlw t1, 0(t0)", 0x20000000, ""),
    "write outside memory": ("li t0, 0x10010000\nsw t1, 0(t0)", 0x10010000, ""),
    "fetch outside memory": ("li t0, 0x10000000\njalr ra, 0(t0)", 0x10000000, ""),
    "misaligned": ("li t0, 0x1020040A\nlw t1, 0(t0)", 0x1020040A, "read outside memory"),
    "null pointer": ("lw t1, 8(x0)", 8, "read outside memory"),
    "undefined instruction": (".word 0x0000007F", None, "0x0000007f"),
    "no such register": ("csrr t0, 0xB00", None, "no such register: 0x00000b00"),
    "environment call": ("ecall", None, "environment call"),
    "breakpoint": ("ebreak", None, "unexpected breakpoint"),
    "never written": ("li t0, 0x10002000\nlbu t1, 5(t0)", 0x10002005, "read of memory never written"),
    "loop too short": ("li t0, 4\n.insn i 0x7b,4,x0,t0,2\nnop", None, "fewer than two instructions"),
    "loop ends in a jump": ("li t0, 4\nlp.setup x0, t0, 8f\nnop\n8: j 9f\n9: nop", None, "a jump or a branch"),
    "touched before it came": (dma(IN | 256) + f"\nli t0, {L1}\nlw t1, 4(t0)", L1 + 4, "access in flight"),
    "overwritten before it came": (dma(IN | 256) + f"\nli t0, {L1}\nsw t1, 8(t0)", L1 + 8, "a DMA writes it"),
    "overwritten before it went": (dma(IN | 256) + "\nli t0, 0x1C000010\nsw t1, 0(t0)", 0x1C000010, "a DMA reads it"),
    "transfer of nothing": (dma(IN), L1, "no bytes"),
    "transfer from nowhere": (dma(IN | 256, far=0x20000000), 0x20000000, "not in the memory where it must be"),
    "transfer within L1": (dma(IN | 256, far=L1 + 0x1000), L1 + 0x1000, "not in the memory where it must be"),
    "transfers that overlap": (f"{SLOW}\n{dma(IN | 64, near=L1 + 64)}", L1 + 64, "another transfer"),
    "transfer of what is not there": (dma(OUT | 64, far=L2), L2, "never written"),
    "transfer without a number": (WITHOUT_ID, L1, "no id"),
    "lines without length": (dma(IN | 1 << 18 | 256) + "\nsw x0, 0(t0)", L1, "lines have no length"),
    "no such event register": ("sw t1, 0x60(s1)", 0x60, "the event unit has no such register"),
}


CHOICE = 0x1C060000  # where the number of the program lies that core 3 is to run


OF_THE_CONTROLLER = {
    "request of nothing": (outside(size=0), L2, "no bytes"),
    "request too long": (outside(size=(1 << 20) + 4), L2, "longer than the driver's bursts"),
    "request for L1": (outside(near=L1), 0x40, "not in the memory where it must be"),
    "request to flash": (outside(0x1C000000, far=0x01000040, outwards=True), 0x01000040, "not in the memory where"),
    "two requests": (f"{outside()}\n{outside(near=L2 + 64)}", 0x40, "a request is under way"),
    "request of what is not there": (outside(outwards=True), 0x40, "never written"),
    "read before a request ended": (f"{outside()}\nli t0, {L2}\nlw t1, 4(t0)", L2 + 4, "access in flight"),
    "changed before it went outside": (
        f"{outside(0x1C000000, outwards=True)}\nli t0, 0x1C000010\nsw t1, 0(t0)",
        0x1C000010,
        "a DMA reads it",
    ),
}


def one_of(programs: dict[str, tuple[str, int | None, str]]) -> str:
    """One program with all of them, since every compilation takes its time."""
    parts = [
        f"li t1, {i}\nbne t0, t1, {i}1f\n{body}\n{i}1: lw t0, 0(s2)" for i, (body, _, _) in enumerate(programs.values())
    ]
    return f"li s2, {CHOICE}\nlw t0, 0(s2)\n" + "\n".join(parts)


@cache
def on_core_3() -> str:
    return ON_CORE_3.format(one_of(PROGRAMS))


def choice(name: str, programs: dict[str, tuple[str, int | None, str]]) -> dict[int, bytes]:
    return {CHOICE: list(programs).index(name).to_bytes(4, "little")}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_mistake_is_found_where_it_happens(name):
    _, address, text = PROGRAMS[name]
    with pytest.raises(Fault) as error:
        machine_after(on_core_3(), choice(name, PROGRAMS))
    told = str(error.value)
    assert "on core 3" in told and error.value.function == "worker" and error.value.address == address
    assert text in told if text else error.value.kind == name


@pytest.mark.parametrize("name", OF_THE_CONTROLLER)
def test_a_mistake_of_the_controller_is_found(name):
    """No worker is started: without a mistake, nobody would be awake."""
    _, address, text = OF_THE_CONTROLLER[name]
    with pytest.raises(Fault) as error:
        machine_after("", choice(name, OF_THE_CONTROLLER), cores=0, controller=one_of(OF_THE_CONTROLLER))
    told = str(error.value)
    assert "on the controller" in told and error.value.function == "_start" and error.value.address == address
    assert text in told


def test_a_barrier_that_one_core_misses_is_told_with_all_who_wait():
    with pytest.raises(Fault, match="all cores wait") as error:
        ran("li t0, 5\nbeq s0, t0, over\np.elw t0, 0x21C(s1)\nover: nop")
    told = str(error.value)
    assert (
        error.value.kind == "deadlock" and told.count("at barrier 0") == 7 and "core 5 in worker for an event" in told
    )


@pytest.mark.parametrize(
    ("body", "what"),
    [("p.elw t0, 0x80(s1)", "that nobody dispatches"), ("p.elw t0, 0xC0(s1)\np.elw t0, 0xC0(s1)", "a mutex")],
)
def test_waiting_for_nobody_is_a_deadlock(body, what):
    with pytest.raises(Fault, match=what):
        ran(body)


def test_a_program_that_never_ends_is_stopped():
    with pytest.raises(Fault, match=r"run-away.*more than 10000 instructions"):
        ran(ON_CORE_3.format("round: j round"), limit=10_000)


def test_without_strictness_foreign_programs_may_read_anything():
    ran(ON_CORE_3.format(PROGRAMS["never written"][0]), strict=False)
    ran(ON_CORE_3.format(PROGRAMS["touched before it came"][0]), strict=False)


DEEP = """
KERNEL uint32_t deep(uint32_t n)
{
    volatile uint32_t room[16];
    room[n & 15U] = n;
    return n == 0U ? 0U : deep(n - 1U) + room[n & 15U];
}
KERNEL void on_worker(void *argument) { if (smelt_worker_number() == 6U) (void)deep(*(uint32_t *)argument); }
static void master(void *argument)
{
    static SMELT_L1 uint32_t depth;
    (void)argument;
    depth = %d;
    %s
}
"""
UNANSWERED = """
static SMELT_L2 uint8_t there[64];
static void master(void *argument)
{
    (void)argument;
    (void)smelt_outside_read(there, 0U, sizeof there);
    for (volatile uint32_t i = 0U; i < 60U; i++) {
    }
    output[0] = there[5];
    smelt_outside_wait(1U);
}
"""


def test_a_stack_that_is_too_small_is_told_before_it_destroys_anything():
    result = run(image(DEEP % (2, "smelt_fork(on_worker, &depth);")))
    assert 200 < result.worker_stacks[6] <= WORKER_STACK_BYTES and result.worker_stacks[5] < 100
    with pytest.raises(Fault, match=r"stack overflow.* in deep .*on core 6") as error:
        run(image(DEEP % (9, "smelt_fork(on_worker, &depth);")))
    end = 0x10010000 - WORKER_STACK_BYTES
    assert end - 2 * WORKER_STACK_BYTES < error.value.address < end - WORKER_STACK_BYTES


def test_the_controllers_stack_has_a_limit_as_well():
    """It recurses instead of starting the cluster."""
    recursion = DEEP.partition("KERNEL void on_worker")[0]
    code = (
        recursion
        + "static void master(void *argument) { (void)argument; }\n#define smelt_cluster_start() (void)deep(400U)"
    )
    with pytest.raises(Fault, match=r"stack overflow.* in deep .*on the controller"):
        run(image(code))


AS_CODE = """
static SMELT_L2 uint32_t data[4];
KERNEL void call(void *argument) { ((void (*)(void))argument)(), output[0] = 1U; }
static void master(void *argument)
{
    static SMELT_L1 uint8_t tile[80];
    (void)argument;
    memset(data, 0xFF, sizeof data);
    if (input[1] != 0U) {
        smelt_outside_wait(smelt_outside_read((uint8_t *)data + (input[1] & 2U), input[1] & 1U, input[1] & 4U));
    }
    for (uint32_t i = 0U; input[0] != 0U; i++) {
        (void)smelt_dma_in(tile + 4U * i, input, 4U);
    }
    call(data);
}
"""


def test_data_that_are_run_are_told_with_who_called_them():
    with pytest.raises(Fault, match=r"0xffffffff, which is in no function.*; the last call was in call"):
        run(image(AS_CODE))


@pytest.mark.parametrize("odd", [b"\0\5", b"\0\6", b"\0\1"], ids=["address outside", "address in L2", "no bytes"])
def test_requests_from_outside_are_aligned(odd):
    """Sizes and addresses in L2 to words, addresses outside to halves of them: a request of no bytes is none."""
    what = "no function" if odd == b"\0\1" else r"wrong use of a DMA.*on the controller: a request's address in L2"
    with pytest.raises(Fault, match=what):
        run(image(AS_CODE), odd)


def test_waiting_for_an_id_that_nobody_frees_is_a_deadlock():
    """All 16 are in use, and nobody has waited for their transfers."""
    with pytest.raises(Fault, match=r"deadlock.*core 0 in master for an id of the DMA, all of which are in use"):
        run(image(AS_CODE), b"\1")


def test_bytes_that_come_from_outside_must_not_be_touched_before():
    with pytest.raises(Fault, match=r"access in flight.*on core 0: a DMA writes it"):
        run(image(UNANSWERED))


def test_a_breakpoint_at_the_edge_of_memory_is_no_request():
    elf = built(".globl _start\n.option norvc\n_start: ebreak\n")
    with pytest.raises(Fault, match=r"unexpected breakpoint.*on the controller"):
        ClusterSimulator(BOARD).run_elf(elf)
