"""The board's serial port: what a firmware prints through it, and what it says where nobody asks it anything."""

import subprocess
from dataclasses import replace

import numpy as np
import pytest

from smelt.compile import compile
from smelt.devices.faults import Fault
from smelt.devices.simulators.attach_clock import BoardRegisters
from smelt.devices.simulators.simulator import Simulator
from smelt.errors import OptionError
from smelt.firmware.build import build
from smelt.firmware.hello import speaking, with_hello
from smelt.report.execute import execute, left_alone
from smelt.targets.boards import BOARDS, board
from smelt.targets.registers import carry_out
from tests.paths import HELLO as MODEL
from tests.paths import ROOT
from tests.tiny_firmware import need, tiny

UARTS = [b for b in BOARDS if b.uart and not any(m.external for m in b.chip.memories)]
HELLO = np.arange(16, dtype=np.uint8)


class Chip:
    """The registers of a board, some of which are mere memory."""

    def __init__(self, b):
        self.memory, self.said = {}, []
        self.registers = BoardRegisters(
            b, lambda sentence, _: self.said.append(sentence), lambda at: self.memory.get(at, 0)
        )

    def word(self, at):
        answering = self.registers.at(at)
        return answering.read(at, 4) if answering else self.memory.get(at, 0)

    def set_word(self, at, value):
        if answering := self.registers.at(at):
            answering.write(at, 4, value)
        else:
            self.memory[at] = value


@pytest.mark.parametrize("b", UARTS, ids=lambda b: b.name)
def test_ports_take_what_is_sent_once_their_steps_are_done(b):
    """The clock first, then the port, as start-up code does it; no step can be left out, and no look at the status."""
    for left_out in (None, *(s for s in b.uart.steps if s.deed == "change" and s.only is None)):
        chip = Chip(b)
        steps = [s for s in (*b.clock.steps, *b.uart.steps) if s is not left_out]
        stuck = carry_out(steps, chip.word, chip.set_word)
        assert b.uart.ready.holds(chip.word(b.uart.ready.address))
        chip.set_word(b.uart.data, ord("x"))
        assert bool(stuck or chip.said) == (left_out is not None), left_out
        assert chip.registers.serial.text == ("" if chip.said else "x")
        if left_out is None:
            chip.set_word(b.uart.data, ord("y"))
            assert "has no room for it" in chip.said[0]


@pytest.mark.parametrize("b", [board("nucleo_h743zi"), board("esp32c3"), board("pico")], ids=lambda b: b.name)
def test_hello(b):
    """One image: left alone it computes what it brought along, for ever; where a debugger is, what that gives it."""
    image = build(with_hello(speaking(tiny(), b), [HELLO]), b)
    first, *said = Simulator(b).run(image, lines=5).text.splitlines()
    counted = [line.partition(", cycles ") for line in said if line != "done"]
    expected = " ".join(f"{(i + 7) * 9 % 256:02x}" for i in range(8))
    assert first == "hello from smelt" and said[::2] == ["done", "done"]
    assert [text for text, *_ in counted] == [f"inference {n}, output {expected}" for n in (1, 2)]
    assert all(20 < int(cycles or 30) < 2000 for *_, cycles in counted)
    assert all(bool(cycles) == b.core.counts_cycles for *_, cycles in counted)
    answered = Simulator(b).run(image, bytes(16) + bytes(HELLO))
    assert answered.outputs[16:24].hex(" ") == expected and answered.text == "done\ndone\n"


def test_firmware_that_sends_too_early_is_stopped():
    b = board("nucleo_l4r5zi")
    unset = replace(b, uart=replace(b.uart, steps=b.uart.steps[1:]))
    with pytest.raises(Fault, match="before the serial port is set up; PWR_CR2: IOSV"):
        Simulator(b).run(build(speaking(tiny(), unset), unset), bytes(16))


def test_boards_without_a_port_and_fed_networks_are_told():
    with pytest.raises(OptionError, match="no serial port of stm32h735g_dk; it knows those of nucleo_l4r5zi"):
        speaking(tiny(), board("stm32h735g_dk"))
    with pytest.raises(OptionError, match="--feed"):
        with_hello(replace(tiny(), entry="smelt_infer"), [HELLO])


def test_a_model_says_what_it_sees():
    """As the README has it: a picture, its class, and the cycles of the simulator's own count."""

    def picture(graph):
        return tuple(np.full(t.shape, 3, t.element.numpy) for t in graph.inputs)

    b = board("nucleo_l4r5zi")
    made = compile(MODEL, b, hello=picture)
    hello, line = left_alone(made, 1).splitlines()
    expected = execute(made, [picture(made.graph)])
    assert hello == "hello from smelt" and f"output {expected.outputs[0][0].tobytes().hex(' ')}, cycles" in line
    assert 0 <= int(line.rpartition(" ")[2]) - expected.run.cycles < 400


MICROBIT = """
#include <stdint.h>
#define UART(at) (*(volatile uint32_t *)(0x40002000U + at))
int32_t smelt_breakpoint(uint32_t operation, const void *argument);
void smelt_start(void);
void smelt_fault(uint32_t number, uint32_t address);
static void put(char c) { UART(0x51C) = (uint32_t)c; while (UART(0x11C) == 0U) {} UART(0x11C) = 0U; }
void smelt_start(void) {
    UART(0x500) = 4U;
    UART(0x008) = 1U;
    for (int i = 0; i < 3; i++) put(smelt_breakpoint(4U, "nobody") == -1 ? 'y' : 'n');
    __asm__ volatile("udf #1");
}
void smelt_fault(uint32_t number, uint32_t address) { (void)address; put((char)('0' + number)); put('\\n'); for (;;) {} }
"""
MICROBIT_MEMORY = """
MEMORY { FLASH (rx) : ORIGIN = 0, LENGTH = 256K
         RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 16K }
SECTIONS { .flash : { *(.vectors) *(.text*) *(.rodata*) } > FLASH }
__smelt_stack_limit = 0x20001000;
__smelt_stack_top = 0x20002000;
"""


def test_armv6m_answers_for_a_debugger_that_is_not_there(tmp_path):
    """On QEMU's own core: a breakpoint is a fault there, whose handler goes on behind it; other faults are reported."""
    need("arm-none-eabi-gcc")
    need("qemu-system-arm")
    startup = (ROOT / "smelt" / "firmware" / "support" / "startup_armv6m.S").read_text("utf-8")
    (tmp_path / "startup.S").write_text(
        startup.replace("0xE000ED08", "0x20003000"), "utf-8"
    )  # the Cortex-M0 has no VTOR
    (tmp_path / "main.c").write_text(MICROBIT, "utf-8")
    (tmp_path / "memory.ld").write_text(MICROBIT_MEMORY, "utf-8")
    command = "arm-none-eabi-gcc -mcpu=cortex-m0 -mthumb -Os -nostdlib -T memory.ld startup.S main.c -o firmware.elf"
    subprocess.run(command.split(), check=True, cwd=tmp_path)
    command = "qemu-system-arm -M microbit -kernel firmware.elf -display none -serial stdio -monitor none"
    with subprocess.Popen(command.split(), cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as emulator:
        assert emulator.stdout is not None
        said = emulator.stdout.readline()
        emulator.kill()
    assert said == b"yyy3\n"
