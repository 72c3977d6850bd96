"""The boards, by the one word that users type."""

from __future__ import annotations

import difflib

from smelt.errors import OptionError
from smelt.targets.chips.esp32 import ESP32C3
from smelt.targets.chips.external import STM32F746_SDRAM, STM32H735, STM32H750
from smelt.targets.chips.gap8 import GAP8
from smelt.targets.chips.mps import AN386, AN500, AN505, AN547
from smelt.targets.chips.rp2040 import RP2040
from smelt.targets.chips.stm32f7 import STM32F746
from smelt.targets.chips.stm32g0 import STM32G0B1
from smelt.targets.chips.stm32h7 import STM32H743
from smelt.targets.chips.stm32l1 import STM32L152RE
from smelt.targets.chips.stm32l4 import STM32L4R5
from smelt.targets.chips.stm32u5 import STM32U575
from smelt.targets.clocks import (
    C3_160_MHZ,
    C3_UART0,
    F7_216_MHZ,
    F7_D7,
    F7_USART1,
    G0_64_MHZ,
    G0_USART2,
    H7_480_MHZ,
    H7_D7,
    H7_USART3,
    H750_480_MHZ,
    H750_USART3,
    L1_32_MHZ,
    L1_USART2,
    L4_120_MHZ,
    L4_D7,
    L4_LPUART1,
    RP2040_125_MHZ,
    RP2040_UART0,
    U5_160_MHZ,
    U5_D7,
    U5_USART1,
)
from smelt.targets.types import Board, Core

MHZ = 1_000_000

# Picojoules per cycle: energies over times of the MLPerf Tiny results v0.5 to v1.3, measured by their energy runner; nearly
# constant over the four models. L4R5ZI at 1.8 V from the LDO, U575ZI at 1.8 V from its SMPS. Nothing is published for the
# other boards.
NUCLEO_L4R5ZI = Board(
    "nucleo_l4r5zi",
    "ST NUCLEO-L4R5ZI (STM32L4R5, Cortex-M4)",
    STM32L4R5,
    120 * MHZ,
    347,
    clock=L4_120_MHZ,
    uart=L4_LPUART1,
    pin=L4_D7,
)
DISCO_F746NG = Board(
    "disco_f746ng",
    "ST 32F746GDISCOVERY (STM32F746, Cortex-M7)",
    STM32F746,
    216 * MHZ,
    clock=F7_216_MHZ,
    uart=F7_USART1,
    pin=F7_D7,
)
NUCLEO_H743ZI = Board(
    "nucleo_h743zi",
    "ST NUCLEO-H743ZI (STM32H743, Cortex-M7)",
    STM32H743,
    480 * MHZ,
    clock=H7_480_MHZ,
    uart=H7_USART3,
    pin=H7_D7,
)
NUCLEO_U575ZI_Q = Board(
    "nucleo_u575zi_q",
    "ST NUCLEO-U575ZI-Q (STM32U575, Cortex-M33)",
    STM32U575,
    160 * MHZ,
    145,
    clock=U5_160_MHZ,
    uart=U5_USART1,
    pin=U5_D7,
)
ESP32_C3 = Board(
    "esp32c3",
    "Espressif ESP32-C3 (RISC-V RV32IMC), direct boot",
    ESP32C3,
    160 * MHZ,
    flasher="esptool --chip esp32c3 write_flash 0 {file}",
    clock=C3_160_MHZ,
    uart=C3_UART0,
)

PICO = Board(
    "pico",
    "Raspberry Pi Pico (RP2040, Cortex-M0+)",
    RP2040,
    125 * MHZ,
    clock=RP2040_125_MHZ,
    uart=RP2040_UART0,
)
NUCLEO_G0B1RE = Board(
    "nucleo_g0b1re",
    "ST NUCLEO-G0B1RE (STM32G0B1, Cortex-M0+)",
    STM32G0B1,
    64 * MHZ,
    clock=G0_64_MHZ,
    uart=G0_USART2,
)
NUCLEO_L152RE = Board(
    "nucleo_l152re",
    "ST NUCLEO-L152RE (STM32L152RE, Cortex-M3)",
    STM32L152RE,
    32 * MHZ,
    clock=L1_32_MHZ,
    uart=L1_USART2,
)
MPS2_AN386 = Board("mps2_an386", "Arm MPS2 with AN386 (Cortex-M4), QEMU", AN386, 25 * MHZ, qemu="mps2-an386")
MPS2_AN500 = Board("mps2_an500", "Arm MPS2 with AN500 (Cortex-M7), QEMU", AN500, 25 * MHZ, qemu="mps2-an500")
MPS2_AN505 = Board("mps2_an505", "Arm MPS2 with AN505 (Cortex-M33), QEMU", AN505, 20 * MHZ, qemu="mps2-an505")
MPS3_AN547 = Board("mps3_an547", "Arm MPS3 with AN547 (Cortex-M55), QEMU", AN547, 32 * MHZ, qemu="mps3-an547")

GAPUINO = Board("gapuino", "GreenWaves GAPuino (GAP8, cluster of 8 RI5CY), HyperRAM and HyperFlash", GAP8, 100 * MHZ)

# Boards with memories outside of the chip, which somebody else must set up: docs/boards.md.
DISCO_F746NG_SDRAM = Board(
    "disco_f746ng_sdram",
    "ST 32F746GDISCOVERY with its SDRAM and QSPI flash (STM32F746, Cortex-M7)",
    STM32F746_SDRAM,
    216 * MHZ,
    clock=F7_216_MHZ,
    uart=F7_USART1,
    pin=F7_D7,
)
STM32H750B_DK = Board(
    "stm32h750b_dk",
    "ST STM32H750B-DK, SDRAM and QSPI flash (Cortex-M7)",
    STM32H750,
    480 * MHZ,
    clock=H750_480_MHZ,
    uart=H750_USART3,
)
# Its 550 MHz need an option byte (CPUFREQ_BOOST) besides: whoever programs that sets the clock, too.
STM32H735G_DK = Board("stm32h735g_dk", "ST STM32H735G-DK, HyperRAM and OctoSPI flash (Cortex-M7)", STM32H735, 550 * MHZ)

# Chips that end up in products; the others are FPGAs, which exist here to be emulated.
PRODUCTS = (NUCLEO_L4R5ZI, DISCO_F746NG, NUCLEO_H743ZI, NUCLEO_U575ZI_Q, ESP32_C3, PICO, NUCLEO_G0B1RE, NUCLEO_L152RE)
MPS_BOARDS = (MPS2_AN386, MPS2_AN500, MPS2_AN505, MPS3_AN547)
WITH_EXTERNAL = (DISCO_F746NG_SDRAM, STM32H750B_DK, STM32H735G_DK)
BOARDS = (*PRODUCTS, *WITH_EXTERNAL, *MPS_BOARDS)

CLUSTERS = (GAPUINO,)
"""Boards of chips with a cluster. They start, run and are simulated otherwise; `BOARDS` are those of which one core is all."""

DEMO = DISCO_F746NG
"""Where the demo runs if it is not told: the one with a display, which a picture suits."""


def plainest() -> Core:
    """A core of the fewest special instructions: what it computes, every core does."""
    return min((b.core for b in BOARDS), key=lambda core: len(core.intrinsics))


def board(name: str) -> Board:
    """The board called `name`; raises `OptionError` with the nearest names."""
    for candidate in (*BOARDS, *CLUSTERS):
        if candidate.name == name:
            return candidate
    if name.endswith(".toml"):
        raise OptionError(f"unknown board {name!r}: a file is read with smelt.read_board")
    raise OptionError(f"unknown board {name!r}: {_suggestion(name)}")


def named(board_or_name: Board | str) -> Board:
    """The board itself, or the one of that name; raises `OptionError` as `board` does."""
    return board(board_or_name) if isinstance(board_or_name, str) else board_or_name


def _suggestion(name: str) -> str:
    names = [b.name for b in (*BOARDS, *CLUSTERS)]
    near = difflib.get_close_matches(name.lower().replace("-", "_"), names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"the boards are {', '.join(names)}"
