"""The simulated MDMA of the STM32H743, programmed by hand through its registers."""

import struct
from random import Random

import pytest

from smelt.devices.faults import Fault
from smelt.devices.simulators.flights import Span
from smelt.devices.simulators.simulator import Simulator
from smelt.firmware import build
from smelt.firmware.image import Sources
from smelt.kernels.headers import with_included
from smelt.targets.boards import board
from tests.tiny_firmware import BODY, tiny_image

H743 = board("nucleo_h743zi")
DEFINITIONS = """
#define R(offset) (*(volatile uint32_t *)(0x52000000u + 0x40u + (offset)))
enum { CISR = 0, CIFCR = 4, CESR = 8, CCR = 12, CTCR = 16, CBNDTR = 20, CSAR = 24, CDAR = 28, CBRUR = 32, CLAR = 36, CTBR = 40 };
/* 8-byte units and 16 beats from AXI, 4-byte units and 16 beats to the TCM; packed, all blocks by one request of the software */
#define COPY 0xF3FE4BBAu
#define BYTES 0xF3FC000Au /* bytes to bytes, single beats */
static __attribute__((section(".smelt.ram.axi"), aligned(128))) uint8_t far[4096];
static __attribute__((aligned(128))) uint8_t near[4096];

static void clock_on(void) { *(volatile uint32_t *)0x580244D4u |= 1u; }

static void set(uint32_t control, const void *from, void *to, uint32_t bytes, uint32_t rows, uint32_t update, uint32_t buses)
{
    R(CTCR) = control; R(CTBR) = buses; R(CSAR) = (uint32_t)from; R(CDAR) = (uint32_t)to;
    R(CBNDTR) = bytes | (rows - 1u) << 20; R(CBRUR) = update;
}
static void start(void) { __asm__ volatile("dsb" ::: "memory"); R(CCR) = 1u; R(CCR) |= 1u << 16; }
static uint32_t wait(void) { while (!(R(CISR) & 3u)) { } uint32_t s = R(CISR); R(CIFCR) = 0x1Fu; return s; }
static void fill(uint8_t *to) { for (uint32_t k = 0; k < 4096u; k++) to[k] = (uint8_t)(k * 7u + (k >> 8)); }
static void number(uint8_t *to, uint32_t value) { for (int k = 0; k < 4; k++) to[k] = (uint8_t)(value >> 8 * k); }
static uint32_t now(void) { return *(volatile uint32_t *)0xE0001004u; }
static void count(void) { *(volatile uint32_t *)0xE000EDFCu |= 1u << 24; *(volatile uint32_t *)0xE0001000u |= 1u; }
"""
PATTERN = [(k * 7 + (k >> 8)) & 255 for k in range(4096)]


def run(calls, clocked=True, timing=True):
    """What a program wrote to its 16 bytes of output, and the run."""
    body = ("clock_on(); " if clocked else "") + calls
    return Simulator(H743, timing=timing).run(tiny_image(H743.name, DEFINITIONS, body), bytes(16), 3_000_000)


def refused(calls, **options):
    with pytest.raises(Fault) as caught:
        run(calls, **options)
    return caught.value


def words(data):
    return [int.from_bytes(data[i : i + 4], "little") for i in range(0, 16, 4)]


COPY_256 = "fill(far); set(COPY, far, near, 256, 1, 0, 1u << 17); start(); "


@pytest.mark.parametrize("timing", [True, False])
def test_a_block_arrives(timing):
    found = run(COPY_256 + "number(o, wait()); memcpy(o + 4, near + 244, 12);", timing=timing)
    assert words(found.outputs)[0] == 0b11110  # all flags but that of an error
    assert list(found.outputs[4:]) == PATTERN[244:256]


def test_rows_of_a_tile_arrive_packed():
    """Eight rows of 24 bytes, 40 apart: the update counts from where a row ends."""
    calls = (
        "fill(far); set(0xF3FC0AAAu, far + 8, near, 24, 8, 16, 1u << 17); start(); wait(); memcpy(o, near + 20, 16);"
    )
    rows = [PATTERN[8 + 40 * r + k] for r in range(8) for k in range(24)]
    assert list(run(calls).outputs) == rows[20:36]


def test_blocks_of_one_element_transpose():
    calls = "fill(near); set(BYTES, near, far, 1, 64, 15u << 16, 1u << 16); start(); wait(); o[0] = far[16]; o[1] = far[32];"
    assert list(run(calls).outputs[:2]) == PATTERN[1:3]


def test_a_request_moves_a_buffer_where_the_trigger_says_so():
    """Four requests of 64 bytes each for a block of 256."""
    control = "0xC2FE3BBAu"
    calls = f"fill(far); set({control}, far, near, 256, 1, 0, 1u << 17); R(CCR) = 1u;"
    once = "o[k] = (uint8_t)R(CCR); R(CCR) |= 1u << 16; while (!(R(CISR) & 16u)) { } R(CIFCR) = 16u;"
    calls += f"for (int k = 0; k < 4; k++) {{ {once} }}"
    calls += "o[4] = (uint8_t)R(CCR); o[5] = (uint8_t)R(CISR); o[6] = near[255];"
    assert list(run(calls).outputs[:7]) == [1, 1, 1, 1, 0, 0b01110, PATTERN[255]]


@pytest.mark.parametrize(
    "change, cesr",
    [
        ("R(CTBR) = 0;", 0),  # the target is a TCM, which only its port reaches
        ("R(CTBR) = 3u << 16;", 1 << 7),  # the source is none
        ("R(CSAR) += 4;", 1 << 10 | 1 << 7 | 4),  # double words off their multiples
        ("R(CBNDTR) = 252;", 1 << 11 | 1 << 7),
        ("R(CDAR) = 0x10000000u;", 0),  # nothing is there
        ("R(CDAR) = 0x08000000u; R(CTBR) = 0;", 0),
        ("R(CTCR) |= 3u << 6 | 3u << 10;", 0),  # double words at the port of the TCMs
    ],
)
def test_transfer_errors_are_reported_in_the_registers(change, cesr):
    calls = (
        "set(COPY, far, near, 256, 1, 0, 1u << 17);"
        + change
        + "start(); number(o, wait()); number(o + 4, R(CESR)); o[8] = R(CCR);"
    )
    flags, error, control = words(run(calls).outputs)[:3]
    assert (flags & 3, error & ~0x60, control & 1) == (1, cesr, 0)


@pytest.mark.parametrize(
    "touch, what",
    [
        ("o[0] = near[255];", "read while the mdma moves 256 bytes to"),
        ("near[0] = 1;", "write while"),
        ("far[100] = 1;", "write of what it reads while the mdma moves 256 bytes from"),
        ("*(volatile uint32_t *)(near + 252) = 1;", "write while"),
        ("set(COPY, near, far + 1024, 64, 1, 0, 1u << 16);", "cannot be written"),
    ],
)
@pytest.mark.parametrize("timing", [True, False])
def test_bytes_in_flight_must_be_left_alone(touch, what, timing):
    """Until the program knows: that the time is over is not enough."""
    late = "for (volatile int k = 0; k < 2000; k++) { } "
    fault = refused(COPY_256 + late + '__asm__ volatile("" ::: "memory"); ' + touch, timing=timing)
    assert what in str(fault) and fault.function in ("network_run", "set")


def test_their_neighbours_and_reads_of_the_source_are_free():
    calls = COPY_256 + "near[256] = far[3]; far[256] = far[255]; wait(); o[0] = near[256];"
    assert run(calls).outputs[0] == PATTERN[3]


def test_what_lies_between_rows_is_free():
    rows = "fill(far); set(0xF3FC0AAAu, far, near, 24, 8, 16u << 16, 1u << 17); start(); "
    assert run(rows + "near[24] = 5; near[39] = 6; wait(); o[0] = near[24];").outputs[0] == 5
    assert "8 rows of 24 bytes" in str(refused(rows + "*(volatile uint32_t *)(near + 36) = 0; near[40] = 5;"))
    assert refused(rows + "*(volatile uint32_t *)(near + 37) = 0;").kind == "access in flight"


def test_another_channel_must_leave_them_alone_as_well():
    other = "for (uint32_t r = CTCR; r <= CTBR; r += 4) R(64 + r) = R(r); R(64 + CSAR) = (uint32_t)far + 512; R(64 + CCR) = 1u; "
    assert "while another channel moves" in str(refused(COPY_256 + other + "R(64 + CCR) |= 1u << 16;"))


def test_spans_meet_where_they_have_a_byte_in_common():
    """Tiles of channels lie between each other without touching."""
    random = Random(11)
    for _ in range(400):
        spans = []
        for _ in range(2):
            row = random.randrange(1, 20)
            pitch, rows = row + random.randrange(30), random.randrange(1, 8)
            spans.append(Span(100 + random.randrange(150), row, pitch if rows > 1 else row, rows, False))
        a, b = ({s.first + s.pitch * r + k for r in range(s.rows) for k in range(s.row)} for s in spans)
        assert spans[0].meets(spans[1]) == spans[1].meets(spans[0]) == bool(a & b)
    between = (Span(1000, 16, 64, 64, False), Span(1016, 16, 64, 64, False))
    assert not between[0].meets(between[1])


@pytest.mark.parametrize(
    "calls, why",
    [
        ("R(CTCR) = 1;", "no clock; RCC_AHB3ENR"),
        ("clock_on(); *(volatile uint8_t *)(0x52000050u) = 1;", "as words"),
        ("clock_on(); set(COPY, far, near, 256, 1, 0, 1u << 17); R(CCR) = 1u | 1u << 16;", "not on yet"),
        ("clock_on(); set(COPY & ~(1u << 30), far, near, 256, 1, 0, 1u << 17); start();", "SWRM"),
        ("clock_on(); set(COPY, far, near, 256, 1, 0, 1u << 17); R(CLAR) = (uint32_t)far; start();", "linked lists"),
        ("clock_on(); set(0xF23E4BBAu, far, near, 256, 1, 0, 1u << 17); start();", "at least a burst"),
        ("clock_on(); set(COPY, far, near + 4, 2048, 1, 0, 1u << 17); start();", "1 KB"),
        ("clock_on(); set(COPY, far, near, 256, 1, 0, 1u << 17); start(); R(CCR) = 0;", "middle of a transfer"),
        ("clock_on(); set(COPY, far, near, 256, 1, 0, 1u << 17); start(); R(CCR) |= 1u << 16;", "requested before"),
    ],
)
def test_what_the_manual_promises_nothing_for_is_a_fault(calls, why):
    fault = refused(calls, clocked=False)
    assert fault.kind == "wrong use of a DMA" and why in str(fault)


def cycles(size, control="COPY", buses="1u << 17", before="", during=""):
    """Of a transfer of `size` bytes from its request to the program's knowing it."""
    calls = f"count(); {before} set({control}, far, near, {size}, 1, 0, {buses}); R(CCR) = 1u; uint32_t t = now();"
    return words(run(calls + f"R(CCR) |= 1u << 16; {during} wait(); number(o, now() - t);").outputs)[0]


def test_time_is_set_up_and_bandwidth():
    """Polling sees the end up to a poll late, about 30 cycles."""
    short, long = cycles(128), cycles(4096)
    assert abs(long - short - 31 * 122) < 40
    assert 162 < short < 162 + 120
    assert abs(cycles(1024, "BYTES") - cycles(512, "BYTES") - 512 * 22) < 40  # single bytes: 12 and 10 cycles each


def test_the_core_delays_a_transfer_and_channels_take_turns():
    busy = "for (uint32_t k = 0; k < 4096u; k += 4) { (void)*(volatile uint32_t *)(0x20010000u + k); }"
    quiet = 'for (uint32_t k = 0; k < 4096u; k += 4) { __asm__ volatile(""); }'
    assert cycles(4096, during=busy) > cycles(4096, during=quiet) + 64
    other = "for (uint32_t r = CTCR; r <= CTBR; r += 4) R(64 + r) = R(r); "
    other += "R(64 + CSAR) += 2048; R(64 + CDAR) += 2048; R(64 + CCR) = 1u; "
    both = cycles(2048, during=other + "R(64 + CCR) |= 1u << 16; while (!(R(64 + CISR) & 2u)) { }")
    assert abs(both - cycles(4096)) < 300


def test_a_program_of_others_finds_it_as_well():
    elf = tiny_image(H743.name, DEFINITIONS, "clock_on(); " + COPY_256 + "wait(); memcpy(o, near, 16);").elf
    assert list(Simulator(H743).run_elf(elf, bytes(16), function="network_run").outputs) == PATTERN[:16]


def test_chips_without_one_have_none():
    image = tiny_image("disco_f746ng", "", "o[0] = (uint8_t)*(volatile uint32_t *)0x52000040u;")
    with pytest.raises(Fault, match="read outside memory"):
        Simulator(board("disco_f746ng")).run(image, bytes(16))


MOVES = """
#include "smelt_stm32_mdma.h"
static __attribute__((section(".smelt.ram.axi"), aligned(128))) uint8_t axi[8192];
static __attribute__((section(".smelt.ram.sram1"), aligned(128))) uint8_t sram[8192];
static __attribute__((aligned(128))) uint8_t tcm[8192];
static uint8_t *memory(uint32_t n) { return n == 0 ? axi : n == 1 ? sram : tcm; }
static void fill(uint8_t *to, uint32_t factor) { for (uint32_t k = 0; k < 8192u; k++) to[k] = (uint8_t)(k * factor + (k >> 8)); }
static int differs(const uint8_t *a, const uint8_t *b)
{
    for (uint32_t k = 0; k < 8192u; k++) {
        if (a[k] != b[k]) {
            return 1;
        }
    }
    return 0;
}
static uint8_t expected[8192];
"""
ONE_MOVE = """
    uint16_t p[8]; memcpy(p, i, 16);
    uint8_t *to = memory(p[0] & 3u), *from = memory(p[0] >> 2);
    smelt_mdma_on(0x580244D4u, 1u);
    fill(expected, 5u); fill(to, 5u); fill(from, 7u);
    for (uint32_t r = 0; r < p[4]; r++) memcpy(expected + p[1] + r * p[5], from + p[2] + r * p[6], p[3]);
    smelt_mdma_move(0x52000100u, to + p[1], from + p[2], p[3], p[4], p[5], p[6]);
    smelt_mdma_wait(0x52000100u);
    o[0] = (uint8_t)differs(to, expected);
"""


@pytest.mark.parametrize("timing", [True, False])
def test_moves_of_the_support_code_arrive_wherever_they_begin(timing):
    """Random rows and pitches between every two memories: none is refused, and not a byte beside them changes."""
    firmware = build(
        Sources({"smelt_firmware.c": BODY % (MOVES, ONE_MOVE), **with_included(["smelt_stm32_mdma.h"])}), H743
    )
    random, count = Random(3), 8 if timing else 48
    cases = []
    for _ in range(count):
        pair = random.choice([(a, b) for a in range(3) for b in range(3) if a != b])
        row, rows = random.choice([(64, 5), (300, 9), (1 + random.randrange(700), 1 + random.randrange(9)), (4096, 1)])
        grain = random.choice([1, 2, 4, 8, 128])
        pitches = [row + grain * random.randrange(1 + 200 // grain) for _ in range(2)]
        starts = [grain * random.randrange(1 + 1000 // grain) for _ in range(2)]
        cases.append(struct.pack("<8H", pair[0] | pair[1] << 2, *starts, row, rows, *pitches, 0))
    found = Simulator(H743, timing=timing).run(firmware, b"".join(cases)).outputs
    assert [n for n in range(count) if found[16 * n]] == []
