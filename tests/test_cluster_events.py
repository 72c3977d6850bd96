"""What the simulated cluster's event unit, DMA, caches and counters do, besides what the runtime uses of them."""

from tests.cluster_c import image, run, words
from tests.cluster_programs import RESULTS, machine_after


def results(machine, core: int, count: int = 1) -> list[int]:
    """Words that a worker has left."""
    data = machine.read(RESULTS + 4096 * core, 4 * count)
    return [int.from_bytes(data[4 * i : 4 * i + 4], "little") for i in range(count)]


COUNTED = """
static SMELT_L1 volatile uint32_t counter;
KERNEL void count_up(void *argument)
{
    (void)argument;
    for (uint32_t i = 0U; i < 25U; i++) {
        (void)smelt_sleep_at(SMELT_EVENTS, 0xC0); /* lock */
        counter = counter + 1U;
        SMELT_REGISTER(SMELT_EVENTS + 0xC0U) = 0U;
    }
}
static void master(void *argument)
{
    counter = 0U;
    smelt_fork(count_up, argument);
    const uint32_t found = counter;
    memcpy(output, &found, sizeof found);
}
"""


def test_a_mutex_lets_one_core_in_at_a_time():
    assert words(run(image(COUNTED))).tolist() == [200]
    assert words(run(image(COUNTED.replace("(void)smelt_sleep_at", "if (0) (void)smelt_sleep_at"))))[0] < 200


def test_values_are_dispatched_to_a_team_in_order():
    """Worker 0 sends two values to workers 1 to 3; the others never wait for any."""
    machine = machine_after(
        """
        bnez s0, others
        li t0, 0x0E
        sw t0, 0x84(s1)
        li t0, 1234
        sw t0, 0x80(s1)
        li t0, 5678
        sw t0, 0x80(s1)
        j over
        others: li t0, 4
        bge s0, t0, over
        p.elw t0, 0x80(s1)
        p.elw t1, 0x80(s1)
        sw t0, 0(ra)
        sw t1, 4(ra)
        over: p.elw t0, 0x21C(s1)
        """
    )
    assert [results(machine, core, 2) for core in (1, 2, 3)] == [[1234, 5678]] * 3


def test_a_core_sleeps_until_any_event_of_its_mask():
    """Core 5 waits for events 2 and 3; core 1 triggers 1, which is not in its mask, then 3."""
    machine = machine_after(
        """
        li t0, 5
        bne s0, t0, not_five
        li t1, 0x0C
        sw t1, 0(s1)
        p.elw t2, 0x3C(s1)
        lw t3, 0x1C(s1)
        sw t2, 0(ra)
        sw t3, 4(ra)
        li t1, 0x10000
        sw t1, 0(s1)
        not_five: li t0, 1
        bne s0, t0, over
        li t0, 0x20
        sw t0, 0x104(s1)
        sw t0, 0x10C(s1)
        over: p.elw t0, 0x21C(s1)
        """
    )
    woken, buffer = results(machine, 5, 2)
    assert woken == 1 << 3 and buffer == 1 << 1  # what it waited for is cleared, the other event is still there


def test_transfers_of_one_id_end_together_with_an_event():
    """Two transfers pushed after one allocation: the event comes when both have ended, the core sleeps meanwhile."""
    first, second = bytes(range(200)) * 10, bytes(range(55, 255)) * 10
    push = "li t1, {0}\nsw t1, 0(s4)\nli t1, {1}\nsw t1, 0(s4)\nli t1, {2}\nsw t1, 0(s4)\n"
    command = 2000 | 1 << 16 | 1 << 17 | 1 << 19
    transfers = push.format(command, 0x10002000, 0x1C008000) + push.format(command, 0x100027D0, 0x1C009000)
    machine = machine_after(
        f"""
        bnez s0, over
        li s4, 0x10204400
        li t0, 0x100
        sw t0, 0(s1)
        lw s5, 0(s4)
        {transfers}
        lw t0, 4(s4)
        sw t0, 0(ra)
        p.elw t0, 0x3C(s1)
        lw t1, 4(s4)
        sw t0, 4(ra)
        sw t1, 8(ra)
        li t0, 0x10000
        sw t0, 0(s1)
        over: p.elw t0, 0x21C(s1)
        """,
        {0x1C008000: first, 0x1C009000: second},
    )
    assert results(machine, 0, 3) == [1, 1 << 8, 0] and machine.read(0x10002000, 4000) == first + second
    assert machine.counters(0)["sleep"] > 30


def test_counters_count_what_they_are_told_and_not_sleep():
    """Worker 7 counts cycles, instructions and load-use stalls, then sleeps while the others are busy."""
    machine = machine_after(
        """
        li t0, 7
        beq s0, t0, seven
        li t0, 200
        lp.setup x0, t0, 8f
        nop
        8: nop
        j over
        seven: csrw 0x79F, x0
        csrw 0x7A0, t0
        li t5, 0x10000100
        sw x0, 0(t5)
        lw t1, 0(t5)
        add t1, t1, t1
        csrr t2, 0x782
        csrr t3, 0x785
        sw t2, 0(ra)
        sw t3, 4(ra)
        csrr t2, 0x780
        li t4, 0x10200408
        lw t5, 0(t4)
        over: p.elw t0, 0x21C(s1)
        li t0, 7
        bne s0, t0, others
        lw t6, 0(t4)
        csrr t3, 0x780
        sub t3, t3, t2
        sub t6, t6, t5
        sw t3, 8(ra)
        sw t6, 12(ra)
        others: p.elw t0, 0x21C(s1)
        """
    )
    stalls, loads, active, passed = results(machine, 7, 4)
    assert stalls == 1 and loads == 0  # loads are not among what is counted
    assert active < 100 < 300 < passed < active + machine.counters(7)["sleep"] + 20


STRAIGHT = "li s5, {times}\nj start\n.balign 16\nstart:\n{code}\naddi s5, s5, -1\nbeqz s5, done\nj start\ndone: nop"


def test_code_that_fits_the_shared_cache_misses_once():
    def misses(lines: int, times: int) -> int:
        code = "\n".join(["addi t0, t0, 1"] * 4 * lines)
        body = (
            f"beqz s0, first\nj over\nfirst: nop\n{STRAIGHT.format(times=times, code=code)}\nover: p.elw t0, 0x21C(s1)"
        )
        return machine_after(body).counters(0)["misses"]

    assert misses(200, 5) - misses(200, 1) == 0  # 3,200 bytes of 4,096
    assert misses(300, 5) - misses(300, 1) > 4 * 44  # 4,800 bytes: what is least recently used is wanted next
