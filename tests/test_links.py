"""What every debug link must do, on each of them."""

import random
import time

import pytest

from smelt.devices.link import Stop, TargetFault, TimedOut, UnexpectedReset
from smelt.errors import DeviceError
from tests.links import CODE, DATA, code, load, simulator

HOLE = 0x70000000  # no memory on any of these boards
FOREVER = 'for (;;) __asm__ volatile("nop");'
DOUBLES = "volatile uint32_t *p = (volatile uint32_t *)0x%x; for (int i = 0; i < 8; i++) p[i] *= 2;"


def bytes_of(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def calls_work(link, ram) -> None:
    entry, stack = load(link, ram, DOUBLES % (ram + DATA))
    link.write(ram + DATA, bytes(range(32)))
    assert link.call(entry, stack, 5).reason == "breakpoint"
    assert link.read(ram + DATA, 4) == (0x03020100 * 2).to_bytes(4, "little")


@pytest.mark.parametrize("offset", [0, 1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 13, 64, 255, 257, 1003])
def test_bytes_anywhere(link, ram, offset, size):
    place, data = ram + DATA + offset, bytes_of(size)
    link.write(ram + DATA, b"\xee" * (size + 8))
    link.write(place, data)
    assert link.read(ram + DATA, size + 8) == b"\xee" * offset + data + b"\xee" * (8 - offset)
    assert link.read(place, size) == data


def test_nothing_can_be_written_and_read(link, ram):
    link.write(ram, b"")
    assert link.read(ram, 0) == b""


def test_much_within_seconds(link):
    place, data = link.board.chip.rams[1 % len(link.board.chip.rams)].start, bytes_of(100_000)
    start = time.monotonic()
    link.write(place, data)
    assert link.read(place, len(data)) == data
    assert time.monotonic() - start < 40


def test_calls(link, ram):
    calls_work(link, ram)


def test_stops_at_the_breakpoint(link, ram):
    entry, stack = load(link, ram, "")
    stop = link.call(entry, stack, 5)
    assert isinstance(stop, Stop)
    assert stop.pc == ram + CODE + 4
    assert link.call(entry | 1, stack, 5).pc == stop.pc


def test_many_calls(link, ram):
    entry, stack = load(link, ram, f"++*(volatile uint32_t *){ram + DATA};")
    link.write(ram + DATA, bytes(4))
    for _ in range(20):
        link.call(entry, stack, 5)
    assert link.read(ram + DATA, 4) == (20).to_bytes(4, "little")


def test_cycles(link, ram):
    counts = []
    for loops in (10, 1010):
        entry, stack = load(
            link, ram, f'__asm__ volatile("movw r0, #{loops}\\n 1: subs r0, #1\\n bne 1b" ::: "r0", "cc");'
        )
        counts.append(link.call(entry, stack, 5).cycles)
    if counts == [None, None]:
        assert link.board.name.startswith("mps")
    else:
        assert 900 <= counts[1] - counts[0] <= 8000
        assert link.call(entry, stack, 5).cycles == pytest.approx(counts[1], abs=20)


def test_code_can_be_replaced(link, ram):
    for value in (1, 2, 3):
        entry, stack = load(link, ram, f"*(volatile uint32_t *){ram + DATA} = {value};")
        link.call(entry, stack, 5)
        assert link.read(ram + DATA, 1)[0] == value


def test_a_call_that_never_returns(link, ram):
    entry, stack = load(link, ram, FOREVER)
    start = time.monotonic()
    with pytest.raises(TimedOut, match=r"did not end within 0\.3 s") as caught:
        link.call(entry, stack, 0.3)
    assert time.monotonic() - start < 10
    assert ram <= caught.value.pc < ram + 64
    calls_work(link, ram)


FAULTS = {
    "data access outside memory": (f"(void)*(volatile uint32_t *){HOLE};", HOLE),
    "data access outside memory ": (f"*(volatile uint8_t *){HOLE + 5} = 1;", HOLE + 5),
    "instruction fetch outside memory": (f"((void (*)(void)){HOLE + 1})();", HOLE),
    "undefined instruction": ('__asm__ volatile("udf 3");', None),
    "misaligned access": (
        '__asm__ volatile("movs r0, #0\\n movt r0, #0x2000\\n adds r0, #2\\n ldrd r2, r3, [r0]" ::: "r0", "r2", "r3");',
        None,
    ),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_faults_have_a_name_and_an_address(link, ram, kind):
    body, address = FAULTS[kind]
    entry, stack = load(link, ram, body)
    with pytest.raises(TargetFault, match=kind.strip()) as caught:
        link.call(entry, stack, 5)
    found = caught.value
    assert found.address == address
    assert link.board.name in str(found)
    if address != HOLE or "fetch" not in kind:
        assert ram + CODE <= found.pc < ram + CODE + 64
    calls_work(link, ram)


def test_a_device_that_resets_itself(link, ram):
    entry, stack = load(link, ram, "*(volatile uint32_t *)0xE000ED0C = 0x05FA0004; for (;;) {}")
    with pytest.raises(UnexpectedReset):
        link.call(entry, stack, 5)
    calls_work(link, ram)


def test_addresses_without_memory(link, ram):
    with pytest.raises(DeviceError):
        link.read(HOLE, 4)
    with pytest.raises(DeviceError):
        link.write(HOLE + 1, b"abc")
    with pytest.raises(DeviceError):
        link.read(HOLE - 2, 1000)
    calls_work(link, ram)


def test_reset(link, ram):
    link.reset()
    calls_work(link, ram)
    link.reset()
    link.reset()
    assert link.read(ram + CODE, 4) == code(link.board, DOUBLES % (ram + DATA))[:4]


def test_a_call_that_sleeps_for_ever(link, ram):
    entry, stack = load(link, ram, 'for (;;) __asm__ volatile("wfi");')
    start = time.monotonic()
    with pytest.raises(TimedOut):
        link.call(entry, stack, 0.3)
    assert 0.25 < time.monotonic() - start < 10
    calls_work(link, ram)


RISCV_FAULTS = {
    "data access outside memory": "*(volatile uint32_t *)0x70000000 = 1;",
    "undefined instruction": "__builtin_trap();",
    "instruction fetch outside memory": "((void (*)(void))0x70000000)();",
}


def test_other_architectures():
    with simulator("esp32c3") as link:
        ram = link.board.chip.rams[0].start
        calls_work(link, ram)
        for kind, body in RISCV_FAULTS.items():
            with pytest.raises(TargetFault, match=kind):
                link.call(*load(link, ram, body), 5)
        with pytest.raises(TimedOut):
            link.call(*load(link, ram, FOREVER), 0.3)
        calls_work(link, ram)
