"""The model of a debug port: scan chain, debug port, access ports, debug registers; and the simulated target below it."""

import random
from dataclasses import dataclass, field

import pytest

from smelt.devices.cortex_m import (
    AIRCR,
    BFAR,
    CFSR,
    CPUID,
    DCRDR,
    DCRSR,
    DEMCR,
    DFSR,
    DHCSR,
    DWT_CTRL,
    DWT_CYCCNT,
    HFSR,
    SYSRESETREQ,
    TRCENA,
    UNLOCK,
)  # fmt: skip
from smelt.devices.debug_port.bitbang import Pins
from smelt.devices.debug_port.chips import debug_chip
from smelt.devices.debug_port.core import Core
from smelt.devices.debug_port.jtag import APACC, DPACC, NEXT, RESET, SHIFT_DR, chain
from smelt.devices.debug_port.port import DebugPort, PortFault
from smelt.devices.debug_port.target import BusError, Event
from smelt.devices.simulators.target import SimulatedTarget
from smelt.targets.boards import board

F746 = debug_chip(board("disco_f746ng"))
RAM = 0x20000000
DEBUG, HALT, STEP, KEY = 1, 2, 4, 0xA05F0000
S_HALT, S_LOCKUP, S_RESET = 1 << 17, 1 << 19, 1 << 25


@dataclass
class FakeTarget:
    """Memory at RAM and in the system control space; `events` is what each run reports."""

    board: object = field(default_factory=lambda: board("disco_f746ng"))
    events: list = field(default_factory=list)
    cycles: int = 0
    breakpoints: set = field(default_factory=set)

    def __post_init__(self):
        self.registers = dict.fromkeys([f"r{i}" for i in range(13)] + ["sp", "lr", "pc", "xpsr", "msp", "psp"], 0)
        self.memory = {RAM: bytearray(4096), 0xE000E000: bytearray(4096), 0x08000000: bytearray(64)}
        self.resets = 0

    def _find(self, address, size):
        for start, data in self.memory.items():
            if start <= address and address + size <= start + len(data):
                return data, address - start
        raise BusError(self.board, address, size, "reached")

    def read(self, address, size):
        data, at = self._find(address, size)
        return bytes(data[at : at + size])

    def write(self, address, data):
        where, at = self._find(address, len(data))
        where[at : at + len(data)] = data

    def read_register(self, name):
        return self.registers[name]

    def write_register(self, name, value):
        self.registers[name] = value

    def run(self):
        self.cycles += 100
        return self.events.pop(0) if self.events else None

    def step(self):
        self.cycles += 1
        self.registers["pc"] += 2

    def reset(self):
        self.resets += 1

    def set_breakpoints(self, addresses):
        self.breakpoints = set(addresses)


@pytest.fixture
def target():
    return FakeTarget()


@pytest.fixture
def core(target):
    return Core(target, F746)


@pytest.fixture
def port(core):
    return DebugPort(core, F746.swd_id)


# --- debug port and access port ---------------------------------------------------------------------------------------


def select(port, ap: int, register: int) -> None:
    port.write_dp(8, ap << 24 | register & 0xF0)


def test_identification_and_power(port):
    assert port.read_dp(0) == 0x5BA02477
    port.write_dp(4, 0x50000000)
    assert port.read_dp(4) == 0xF0000000
    select(port, 0, 0xFC)
    assert port.read_ap(0xC) == 0x74770001
    select(port, 0, 0xF8)
    assert port.read_ap(0x8) == 0xE00FF003
    select(port, 5, 0xFC)
    assert port.read_ap(0xC) == 0


def test_words_with_automatic_increment(port, target):
    port.write_ap(0, 0x23000012)
    port.write_ap(4, RAM + 8)
    for value in (0x11111111, 0x22222222, 0x33333333):
        port.write_ap(0xC, value)
    assert target.read(RAM + 8, 12) == b"\x11" * 4 + b"\x22" * 4 + b"\x33" * 4
    assert port.read_ap(4) == RAM + 20
    port.write_ap(4, RAM + 8)
    assert [port.read_ap(0xC) for _ in range(3)] == [0x11111111, 0x22222222, 0x33333333]
    assert port.read_dp(0xC) == 0x33333333


def test_without_increment(port):
    port.write_ap(0, 0x23000002)
    port.write_ap(4, RAM)
    port.write_ap(0xC, 1)
    port.write_ap(0xC, 2)
    assert (port.read_ap(0xC), port.read_ap(4)) == (2, RAM)


@pytest.mark.parametrize("size", [0, 1])
def test_narrow_accesses_use_byte_lanes(port, target, size):
    target.write(RAM, bytes(range(8)))
    port.write_ap(0, 0x23000010 | size)
    port.write_ap(4, RAM)
    step = 1 << size
    for at in range(0, 8, step):
        lane = 8 * (at & 3)
        value = port.read_ap(0xC) >> lane & ((1 << 8 * step) - 1)
        assert value == int.from_bytes(bytes(range(8))[at : at + step], "little")
    port.write_ap(4, RAM + 2)
    port.write_ap(0xC, 0xAABBCCDD)
    assert target.read(RAM, 4)[2 : 2 + step] == b"\xbb\xaa"[:step]


def test_banked_data_registers(port, target):
    port.write_ap(0, 0x23000002)
    port.write_ap(4, RAM + 0x24)
    select(port, 0, 0x10)
    port.write_ap(0xC, 0x12345678)
    assert target.read(RAM + 0x2C, 4) == (0x12345678).to_bytes(4, "little")
    assert port.read_ap(0xC) == 0x12345678


def test_errors_stick_until_cleared(port):
    port.write_ap(0, 0x23000002)
    port.write_ap(4, 0x70000000)
    with pytest.raises(PortFault):
        port.read_ap(0xC)
    with pytest.raises(PortFault):
        port.read_ap(0)
    assert port.read_dp(4) & 0x20
    port.write_dp(0, 4)
    assert not port.read_dp(4) & 0x20
    assert port.read_ap(4) == 0x70000000
    with pytest.raises(PortFault):
        port.write_ap(0xC, 0)
    port.write_dp(4, 0x50000020)
    assert not port.read_dp(4) & 0x20


def test_sizes_that_do_not_exist_become_words(port):
    port.write_ap(0, 0x23000015)
    assert port.read_ap(0) & 7 == 2
    port.write_ap(0, 0x23000022)
    assert port.read_ap(0) & 0x30 == 0, "packed transfers are not offered"


def test_chip_identification(port, target):
    port.write_ap(0, 0x23000002)
    for address, value in ((0xE0042000, 0x10010449), (CPUID, 0)):
        port.write_ap(4, address)
        assert port.read_ap(0xC) == value
    port.write_ap(4, 0xE0042004)
    port.write_ap(0xC, 7)
    assert port.read_ap(0xC) == 7


# --- debug registers --------------------------------------------------------------------------------------------------


def halt(core) -> None:
    core.write_word(DHCSR, KEY | DEBUG | HALT)


def go(core) -> None:
    core.write_word(DHCSR, KEY | DEBUG)


def test_halt_and_go(core):
    assert core.read_word(DHCSR) & S_HALT
    go(core)
    assert not core.read_word(DHCSR) & S_HALT
    halt(core)
    assert core.read_word(DHCSR) & S_HALT
    assert core.read_word(DFSR) == 1
    core.write_word(DFSR, 1)
    assert core.read_word(DFSR) == 0


def test_the_key_is_needed(core):
    core.write_word(DHCSR, DEBUG)
    assert core.read_word(DHCSR) & S_HALT


def test_registers_by_selector(core, target):
    halt(core)
    for selector, name in ((0, "r0"), (12, "r12"), (13, "sp"), (14, "lr"), (15, "pc"), (16, "xpsr"), (17, "msp")):
        core.write_word(DCRDR, 0x1000 + selector)
        core.write_word(DCRSR, 1 << 16 | selector)
        assert target.registers[name] == 0x1000 + selector
        core.write_word(DCRDR, 0)
        core.write_word(DCRSR, selector)
        assert core.read_word(DCRDR) == 0x1000 + selector
    core.write_word(DCRSR, 0x7F)
    assert core.read_word(DCRDR) == 0


def test_steps(core, target):
    halt(core)
    core.write_word(DHCSR, KEY | DEBUG | STEP)
    assert target.registers["pc"] == 2
    assert core.read_word(DHCSR) & S_HALT


def test_breakpoint_instructions_halt(core, target):
    target.events = [None, Event("breakpoint", RAM)]
    go(core)
    core.idle()
    assert core.running
    core.idle()
    assert core.read_word(DHCSR) & S_HALT
    assert core.read_word(DFSR) & 2


def test_faults_enter_the_handler(core, target):
    halt(core)
    core.write_word(DEMCR, 1 << 10)
    target.write(0x08000000, b"".join(v.to_bytes(4, "little") for v in (0, 1, 2, 0x08000031)))
    target.registers |= {"sp": RAM + 100, "r0": 0xAA, "lr": 0xBB, "xpsr": 0x01000000}
    target.events = [Event("fault", RAM + 2, "data access outside memory", 0x70000000)]
    go(core)
    core.idle()
    stack = target.registers["sp"]
    assert stack == RAM + 64
    words = [int.from_bytes(target.read(stack + 4 * i, 4), "little") for i in range(8)]
    assert words == [0xAA, 0, 0, 0, 0, 0xBB, RAM + 2, 0x01000000]
    assert (core.read_word(CFSR), core.read_word(BFAR), core.read_word(HFSR)) == (0x8200, 0x70000000, 1 << 30)
    assert target.registers["xpsr"] & 0x1FF == 3
    assert target.registers["pc"] == 0x08000031
    assert core.read_word(DFSR) & 8


def test_faults_without_a_stack_lock_the_processor_up(core, target):
    target.registers["sp"] = 0x70000000
    target.events = [Event("fault", RAM, "undefined instruction")]
    go(core)
    core.idle()
    assert core.read_word(DHCSR) & S_LOCKUP
    before = target.cycles
    core.idle()
    assert target.cycles == before
    halt(core)
    assert not core.read_word(DHCSR) & S_LOCKUP


def test_system_reset(core, target):
    halt(core)
    core.write_word(DEMCR, 1)
    core.write_word(AIRCR, SYSRESETREQ)
    assert target.resets == 0, "the key is missing"
    core.write_word(AIRCR, UNLOCK | SYSRESETREQ)
    assert target.resets == 1
    assert core.read_word(DHCSR) & (S_HALT | S_RESET) == S_HALT | S_RESET
    assert not core.read_word(DHCSR) & S_RESET
    core.write_word(DEMCR, 0)
    core.write_word(AIRCR, UNLOCK | SYSRESETREQ)
    assert core.running


def test_hardware_breakpoints(core, target):
    assert core.read_word(0xE0002000) >> 4 & 0xF == 8
    core.write_word(0xE0002008, RAM + 0x102 | 1)
    assert target.breakpoints == set()
    core.write_word(0xE0002000, 1)
    assert target.breakpoints == set(), "the key is missing"
    core.write_word(0xE0002000, 3)
    assert target.breakpoints == {RAM + 0x102}
    core.write_word(0xE0002008, 0)
    assert target.breakpoints == set()


def test_breakpoints_of_the_first_version():
    target = FakeTarget()
    target.board = board("nucleo_l4r5zi")
    core = Core(target, debug_chip(target.board))
    core.write_word(0xE0002000, 3)
    core.write_word(0xE0002008, 2 << 30 | 0x08000100 | 1)
    core.write_word(0xE000200C, 1 << 30 | 0x08000200 | 1)
    assert target.breakpoints == {0x08000102, 0x08000200}


def test_the_cycle_counter_is_the_targets(core, target):
    target.memory[0xE0001000] = bytearray(64)
    core.write_word(DEMCR, TRCENA)
    core.write_word(DWT_CTRL, 1)
    core.write_word(DWT_CYCCNT, 7)
    assert target.read(0xE0001000, 8) == bytes((1, 0, 0, 0, 7, 0, 0, 0))
    assert (core.read_word(DWT_CTRL), core.read_word(DWT_CYCCNT)) == (0x40000001, 7)


# --- scan chain -------------------------------------------------------------------------------------------------------


def scan(tap, value: int, bits: int, instruction: bool = False) -> int:
    """From Idle, through one of the registers, back to Idle."""
    for tms in (1, 1, 0, 0) if instruction else (1, 0, 0):
        tap.clock(tms, 0)
    found = 0
    for i in range(bits):
        found |= tap.tdo << i
        tap.clock(int(i == bits - 1), value >> i & 1)
    tap.clock(1, 0)
    tap.clock(0, 0)
    return found


@pytest.fixture
def tap(core):
    found = chain(DebugPort(core, F746.jtag_id), F746)
    for _ in range(5):
        found.clock(1, 0)
    found.clock(0, 0)
    return found


def test_five_ones_reset_from_everywhere():
    for state in range(16):
        for _ in range(5):
            state = NEXT[state][1]
        assert state == RESET


def test_identification_codes_after_reset(tap):
    assert scan(tap, 0, 64) == 0x06449041 << 32 | 0x5BA00477


def test_instruction_registers_capture_one(tap):
    assert scan(tap, 0x1FF, 9, instruction=True) == 1 << 4 | 1


def test_bypass_is_one_bit_each(tap):
    scan(tap, 0x1FF, 9, instruction=True)
    assert scan(tap, 0b1011, 6) == 0b101100


def test_access_through_the_scan_chain(tap, target):
    def access(instruction, address, value=None):
        scan(tap, 0x1F << 4 | instruction, 9, instruction=True)
        request = int(value is None) | address >> 1 & 6 | (value or 0) << 3
        scan(tap, request, 36)
        scan(tap, 0x1F << 4 | DPACC, 9, instruction=True)
        answer = scan(tap, 0b111, 36)  # reads RDBUFF
        assert answer & 7 == 2
        return answer >> 3 & 0xFFFFFFFF

    access(DPACC, 4, 0x50000000)
    assert access(DPACC, 4) == 0xF0000000
    access(APACC, 0, 0x23000012)
    access(APACC, 4, RAM)
    access(APACC, 0xC, 0xCAFEF00D)
    assert target.read(RAM, 4) == (0xCAFEF00D).to_bytes(4, "little")
    access(APACC, 4, RAM)
    assert access(APACC, 0xC) == 0xCAFEF00D


def test_whole_shifts_equal_single_bits(core):
    """What the server takes at once must give what it gives character by character."""
    random_ = random.Random(1)
    fast, slow = (Pins(chain(DebugPort(Core(FakeTarget(), F746), F746.jtag_id), F746), lambda: None) for _ in range(2))
    for _ in range(300):
        text = b""
        for _ in range(random_.randrange(40)):
            tms, tdi, read = random_.random() < 0.2, random_.randrange(2), random_.choice((b"", b"R"))
            low = tms << 1 | tdi
            text += b"%d%s%d" % (low, read, low | 4)
        cut = random_.randrange(len(text) + 1)
        whole = fast.feed(text[:cut]) + fast.feed(text[cut:])
        single = b"".join(slow.feed(text[i : i + 1]) for i in range(len(text)))
        assert whole == single
        assert fast._chain.state == slow._chain.state


def test_shift_is_a_state_with_a_loop():
    assert NEXT[SHIFT_DR][0] == SHIFT_DR


def test_reset_pin():
    resets = []
    pins = Pins(chain(DebugPort(Core(FakeTarget(), F746), 0), F746), lambda: resets.append(1))
    assert pins.feed(b"rBbsr") == b""
    assert resets == [1]
    assert not pins.ended
    pins.feed(b"Q")
    assert pins.ended


# --- simulated targets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["disco_f746ng", "nucleo_l4r5zi", "nucleo_u575zi_q"])
def test_simulated_target(name):
    target = SimulatedTarget(board(name))
    assert target.run() is None, "a new chip does nothing, and nothing wrong"
    # movs r0, #5; 1: subs r0, #1; bne 1b; nop; bkpt
    code = bytes.fromhex("0520 0138 fdd1 00bf 00be")
    target.write(RAM, code)
    target.write_register("pc", RAM)
    before = target.instructions
    event = target.run()
    assert (event.cause, event.pc) == ("breakpoint", RAM + 8)
    assert target.instructions - before == 1 + 5 * 2 + 2
    target.write_register("pc", RAM)
    assert target.step() is None
    assert (target.read_register("pc"), target.read_register("r0")) == (RAM + 2, 5)
    target.set_breakpoints([RAM + 6])
    assert target.run() == Event("breakpoint", RAM + 6)
    assert target.run() == Event("breakpoint", RAM + 6)
    target.set_breakpoints([])
    assert target.run() == Event("breakpoint", RAM + 8)
    assert target.read_register("xpsr") >> 30 & 1, "zero flag"


LOOP = bytes.fromhex("41f28830 0138 00bf fcd1 00be")  # movw r0, #5000; 1: subs r0, #1; nop; bne 1b; bkpt


@pytest.mark.parametrize("timing", [False, True])
def test_slices_do_not_change_the_counts(timing):
    counts, cycles = [], []
    for longest in (997, 1_000_000):
        target = SimulatedTarget(board("disco_f746ng"), timing)
        target.write(RAM, LOOP)
        target.write_register("pc", RAM)
        start, first = target.instructions, target.cycles
        while target._execute(longest) is None:
            pass
        counts.append(target.instructions - start)
        cycles.append(target.cycles - first)
    assert counts == [1 + 3 * 5000 + 1] * 2
    assert cycles[0] == pytest.approx(cycles[1], rel=0.01)
    assert cycles[0] == counts[0] or timing


def test_a_whole_run_has_exact_cycles():
    target = SimulatedTarget(board("disco_f746ng"))
    target.write(RAM, LOOP)
    seen = set()
    for _ in range(5):
        target.write_register("pc", RAM)
        start = target.cycles
        assert target.run_for(5).cause == "breakpoint"
        seen.add(target.cycles - start)
    assert len(seen) <= 2, "the first run warms caches and branch prediction"


def test_only_writes_over_code_forget_it():
    target = SimulatedTarget(board("disco_f746ng"))
    target.write(RAM, LOOP)
    target.write_register("pc", RAM)
    target.run_for(5)
    target.write(RAM + len(LOOP), b"data")
    target._forget_overwritten_code()
    assert not target.machine.stale
    for at in range(4, 8):
        target.write(RAM + at, LOOP[at : at + 1])
    target._forget_overwritten_code()
    assert target.machine.stale


def test_a_breakpoint_in_the_middle_of_a_slice_loop():
    target = SimulatedTarget(board("disco_f746ng"))
    target.write(RAM, b"\x00\xbf" * 64 + b"\x00\xbe")
    for at in range(0, 128, 16):
        target.set_breakpoints([RAM + at])
        target.write_register("pc", RAM)
        assert target.run() == Event("breakpoint", RAM + at)


def test_code_that_is_written_at_another_address_than_it_runs():
    target = SimulatedTarget(board("esp32c3"))
    memory = target.board.chip.rams[0]
    for value in (1, 2, 3):
        target.write(
            memory.start, (value << 20 | 0x513).to_bytes(4, "little") + bytes.fromhex("73001000")
        )  # li a0, value
        target.write_register("pc", memory.aliases[0])
        assert target.run_for(5).cause == "breakpoint"
        assert target.read_register("x10") == value
