"""From reset to full clock, board by board, the serial port behind each board's USB cable, and a pin for instruments.

Addresses, fields and constants of the STM32L4, F7, H7 and U5 were checked against ST's CMSIS headers, the sequences against ST's
manuals, named at each, and drivers that run on these boards (mbed-os, Zephyr, the stm32 HALs of Rust); those of the STM32G0, the
L1, the RP2040 and the ESP32-C3 stand as their manuals have them. No board was touched for this.

Each sequence begins by leaving the PLL, should somebody have left the chip on it (OpenOCD's `reset init` does).
"""

from __future__ import annotations

from smelt.targets.registers import ALL, Clock, Condition, Divider, Pin, RegisterStep, Uart, change, pause, wait

RXNE, TXE = 1 << 5, 1 << 7
OVRDIS = 1 << 12  # a byte that nobody took is overwritten, and stops nothing


def _pin(name: str, port: int, number: int, enable: int, bit: int, register: str) -> Pin:
    """A pin of an STM32 whose port begins at that address, and is switched on by a bit of `enable`."""
    letter = name[name.index("P", 3) + 1]
    return Pin(
        name,
        port + 0x18,
        1 << number,
        1 << number + 16,
        (
            change(enable, 1 << bit, f"{register}: GPIO{letter} on"),
            change(port + 0x18, 1 << number, f"GPIO{letter}_BSRR: {name} high"),
            change(port, 1 << 2 * number, f"GPIO{letter}_MODER: {name} is an output", mask=3 << 2 * number),
        ),
    )


# --- NUCLEO-L4R5ZI, 120 MHz from the HSI16: RM0432 5 (PWR), 6 (RCC) --------------------------------------------------------
# The ST-LINK's 8 MHz are not wired to the HSE as delivered.

L4_120_MHZ = Clock(
    "stm32_l4",
    (
        change(0x40021000, 1 << 8, "RCC_CR: HSI16 on"),
        wait(0x40021000, 1 << 10, 1 << 10, "RCC_CR: HSIRDY"),
        change(0x40021008, 1, "RCC_CFGR: SYSCLK from the HSI16", mask=3),
        wait(0x40021008, 3 << 2, 1 << 2, "RCC_CFGR: SWS, the HSI16"),
        change(0x40021000, 0, "RCC_CR: PLL off", mask=1 << 24),
        wait(0x40021000, 1 << 25, 0, "RCC_CR: PLLRDY gone"),
        change(0x40021058, 1 << 28, "RCC_APB1ENR1: PWR on"),
        wait(0x40021058, 1 << 28, 1 << 28, "RCC_APB1ENR1: PWREN"),
        change(0x40007000, 1 << 9, "PWR_CR1: voltage range 1", mask=3 << 9),
        wait(0x40007014, 1 << 10, 0, "PWR_SR2: VOSF gone"),
        change(0x40007080, 0, "PWR_CR5: range 1 boost, for more than 80 MHz", mask=1 << 8),
        change(0x40022000, 5 | 7 << 8, "FLASH_ACR: 5 wait states, prefetch, caches", mask=0xF | 7 << 8),
        wait(0x40022000, 0xF, 5, "FLASH_ACR: LATENCY"),
        change(0x4002100C, 0x01001E12, "RCC_PLLCFGR: 16 MHz / 2 x 30 / 2", mask=ALL),
        change(0x40021000, 1 << 24, "RCC_CR: PLL on"),
        wait(0x40021000, 1 << 25, 1 << 25, "RCC_CR: PLLRDY"),
        change(0x40021008, 8 << 4, "RCC_CFGR: AHB at half of SYSCLK, a stop on the way", mask=0xF << 4),
        change(0x40021008, 3, "RCC_CFGR: SYSCLK from the PLL"),
        wait(0x40021008, 3 << 2, 3 << 2, "RCC_CFGR: SWS, the PLL"),
        pause(0x40021008, 32, "a microsecond at 60 MHz"),
        change(0x40021008, 0, "RCC_CFGR: AHB at SYSCLK", mask=0xF << 4),
    ),
)

L4_LPUART1 = Uart(
    "LPUART1, TX is PG7",
    0x40008028,
    Condition(0x4000801C, TXE, TXE),
    (
        change(0x40007004, 1 << 9, "PWR_CR2: IOSV, PG2 to PG15 have a supply of their own"),
        change(0x4002104C, 1 << 6, "RCC_AHB2ENR: GPIOG on"),
        change(0x4002105C, 1, "RCC_APB1ENR2: LPUART1 on"),
        wait(0x4002105C, 1, 1, "RCC_APB1ENR2: LPUART1EN"),
        change(0x48001820, 8 << 28, "GPIOG_AFRL: PG7 is LPUART1_TX", mask=15 << 28),
        change(0x48001824, 8, "GPIOG_AFRH: PG8 is LPUART1_RX", mask=15),
        change(0x48001800, 0xA << 14, "GPIOG_MODER: alternate functions", mask=0xF << 14),
        change(0x40021088, 2 << 10, "RCC_CCIPR: LPUART1 from the HSI16, slow enough for 9600 baud", mask=3 << 10),
        change(0x4000800C, 35556, "LPUART1_BRR: 256 x 16 MHz / 115200", mask=ALL),
        change(0x40008008, OVRDIS, "LPUART1_CR3: OVRDIS"),
        change(0x40008000, 0xD, "LPUART1_CR1: on, both ways"),
    ),
    0x40008024,
    Condition(0x4000801C, RXNE, 0),
    Divider(0x4000800C, (1 << 20) - 1),
)

L4_D7 = _pin("D7, PF13", 0x48001400, 13, 0x4002104C, 5, "RCC_AHB2ENR")

# --- 32F746GDISCOVERY, 216 MHz from the 25 MHz crystal: RM0385 4.1.4 (PWR), 5 (RCC) ----------------------------------------

F7_216_MHZ = Clock(
    "stm32_f7",
    (
        change(0x40023800, 1, "RCC_CR: HSI on"),
        wait(0x40023800, 1 << 1, 1 << 1, "RCC_CR: HSIRDY"),
        change(0x40023808, 0, "RCC_CFGR: SYSCLK from the HSI", mask=3),
        wait(0x40023808, 3 << 2, 0, "RCC_CFGR: SWS, the HSI"),
        change(0x40023800, 0, "RCC_CR: PLL off", mask=1 << 24),
        wait(0x40023800, 1 << 25, 0, "RCC_CR: PLLRDY gone"),
        change(0x40023840, 1 << 28, "RCC_APB1ENR: PWR on"),
        wait(0x40023840, 1 << 28, 1 << 28, "RCC_APB1ENR: PWREN"),
        change(0x40007000, 0, "PWR_CR1: overdrive off, as after a reset", mask=3 << 16),
        wait(0x40007004, 3 << 16, 0, "PWR_CSR1: ODRDY, ODSWRDY gone"),
        change(0x40023800, 1 << 16, "RCC_CR: HSE on, a crystal"),
        wait(0x40023800, 1 << 17, 1 << 17, "RCC_CR: HSERDY"),
        change(0x40007000, 3 << 14, "PWR_CR1: scale 1, while the PLL is off", mask=3 << 14),
        change(0x40023804, 0x09406C19, "RCC_PLLCFGR: 25 MHz / 25 x 432 / 2", mask=ALL),
        change(0x40023800, 1 << 24, "RCC_CR: PLL on"),
        change(0x40007000, 1 << 16, "PWR_CR1: overdrive on, for more than 180 MHz"),
        wait(0x40007004, 1 << 16, 1 << 16, "PWR_CSR1: ODRDY"),
        change(0x40007000, 1 << 17, "PWR_CR1: switch to it"),
        wait(0x40007004, 1 << 17, 1 << 17, "PWR_CSR1: ODSWRDY"),
        wait(0x40023800, 1 << 25, 1 << 25, "RCC_CR: PLLRDY"),
        change(0x40023C00, 7 | 3 << 8, "FLASH_ACR: 7 wait states, prefetch, accelerator", mask=0xF | 3 << 8),
        wait(0x40023C00, 0xF, 7, "FLASH_ACR: LATENCY"),
        change(0x40023808, 0x9400, "RCC_CFGR: APB1 at a quarter, APB2 at half", mask=0xFCF0),
        change(0x40023808, 2, "RCC_CFGR: SYSCLK from the PLL", mask=3),
        wait(0x40023808, 3 << 2, 2 << 2, "RCC_CFGR: SWS, the PLL"),
    ),
    crystal_hz=25_000_000,
)

F7_USART1 = Uart(
    "USART1, TX is PA9",
    0x40011028,
    Condition(0x4001101C, TXE, TXE),
    (
        change(0x40023830, 3, "RCC_AHB1ENR: GPIOA and GPIOB on"),
        change(0x40023844, 1 << 4, "RCC_APB2ENR: USART1 on"),
        wait(0x40023844, 1 << 4, 1 << 4, "RCC_APB2ENR: USART1EN"),
        change(0x40020024, 7 << 4, "GPIOA_AFRH: PA9 is USART1_TX", mask=15 << 4),
        change(0x40020420, 7 << 28, "GPIOB_AFRL: PB7 is USART1_RX", mask=15 << 28),
        change(0x40020000, 2 << 18, "GPIOA_MODER: alternate function", mask=3 << 18),
        change(0x40020400, 2 << 14, "GPIOB_MODER: alternate function", mask=3 << 14),
        change(0x4001100C, 938, "USART1_BRR: 108 MHz / 115200", mask=ALL),
        change(0x40011008, OVRDIS, "USART1_CR3: OVRDIS"),
        change(0x40011000, 0xD, "USART1_CR1: on, both ways"),
    ),
    0x40011024,
    Condition(0x4001101C, RXNE, 0),
    Divider(0x4001100C, (1 << 16) - 1),
)

F7_D7 = _pin("D7, PI3", 0x40022000, 3, 0x40023830, 8, "RCC_AHB1ENR")

# --- NUCLEO-H743ZI, 480 MHz (revisions X and V) or 400 MHz (Z and Y), from the ST-LINK's 8 MHz: RM0433 6 (PWR), 8 (RCC) --------

_LATER = Condition(0x5C001000, 1 << 29, 1 << 29)  # DBGMCU_IDC: 0x2001 is X, 0x2003 V
_EARLIER = Condition(0x5C001000, 1 << 29, 0)  # 0x1001 is Z, 0x1003 Y


def _h7_steps(divider: int, later: int, earlier: int, bypass: bool) -> tuple[RegisterStep, ...]:
    """PLL1 gets the HSE / `divider`, 4 to 8 MHz, and multiplies it by `later` or, on earlier revisions, by `earlier`."""
    return (
        change(0x58024400, 1, "RCC_CR: HSI on"),
        wait(0x58024400, 1 << 2, 1 << 2, "RCC_CR: HSIRDY"),
        change(0x58024410, 0, "RCC_CFGR: SYSCLK from the HSI", mask=7),
        wait(0x58024410, 7 << 3, 0, "RCC_CFGR: SWS, the HSI"),
        change(0x58024400, 0, "RCC_CR: PLL1 off", mask=1 << 24),
        wait(0x58024400, 1 << 25, 0, "RCC_CR: PLL1RDY gone"),
        change(0x5802480C, 6, "PWR_CR3: supplied by the LDO", mask=7),
        wait(0x58024804, 1 << 13, 1 << 13, "PWR_CSR1: ACTVOSRDY"),
        change(0x58024818, 3 << 14, "PWR_D3CR: VOS1", mask=3 << 14),
        wait(0x58024818, 1 << 13, 1 << 13, "PWR_D3CR: VOSRDY"),
        change(0x580244F4, 1 << 1, "RCC_APB4ENR: SYSCFG on", only=_LATER),
        wait(0x580244F4, 1 << 1, 1 << 1, "RCC_APB4ENR: SYSCFGEN", only=_LATER),
        change(0x5800042C, 1, "SYSCFG_PWRCR: overdrive, VOS0", only=_LATER),
        wait(0x58024818, 1 << 13, 1 << 13, "PWR_D3CR: VOSRDY", only=_LATER),
        change(0x51008108, 1, "AXI_TARG7_FN_MOD: one read at a time (erratum)", mask=ALL, only=_EARLIER),
        *((change(0x58024400, 1 << 18, "RCC_CR: the HSE is a clock, no crystal"),) if bypass else ()),
        change(0x58024400, 1 << 16, "RCC_CR: HSE on"),
        wait(0x58024400, 1 << 17, 1 << 17, "RCC_CR: HSERDY"),
        change(0x58024428, 2 | divider << 4, f"RCC_PLLCKSELR: HSE / {divider}", mask=3 | 0x3F << 4),
        change(0x5802442C, 2 << 2 | 1 << 16, "RCC_PLLCFGR: 4 to 8 MHz, wide VCO, output P", mask=0xF | 1 << 16),
        change(0x58024430, 0x01010200 | later - 1, f"RCC_PLL1DIVR: x {later} / 2", mask=ALL, only=_LATER),
        change(0x58024430, 0x01010200 | earlier - 1, f"RCC_PLL1DIVR: x {earlier} / 2", mask=ALL, only=_EARLIER),
        change(0x58024400, 1 << 24, "RCC_CR: PLL1 on"),
        wait(0x58024400, 1 << 25, 1 << 25, "RCC_CR: PLL1RDY"),
        change(0x52002000, 0x24, "FLASH_ACR: 4 wait states, 240 MHz", mask=0x3F, only=_LATER),
        wait(0x52002000, 0xF, 4, "FLASH_ACR: LATENCY", only=_LATER),
        change(0x52002000, 0x22, "FLASH_ACR: 2 wait states, 200 MHz", mask=0x3F, only=_EARLIER),
        wait(0x52002000, 0xF, 2, "FLASH_ACR: LATENCY", only=_EARLIER),
        change(0x58024418, 0x48, "RCC_D1CFGR: AXI at half, APB3 at half of it", mask=0xF7F),
        change(0x5802441C, 0x440, "RCC_D2CFGR: APB1 and APB2 at half of AXI", mask=0x770),
        change(0x58024420, 0x40, "RCC_D3CFGR: APB4 at half of AXI", mask=0x70),
        change(0x58024410, 3, "RCC_CFGR: SYSCLK from PLL1", mask=7),
        wait(0x58024410, 7 << 3, 3 << 3, "RCC_CFGR: SWS, PLL1"),
    )


H7_480_MHZ = Clock("stm32_h7", _h7_steps(2, 240, 200, True), 8_000_000, True, _EARLIER, 400_000_000)

_H7_USART3_STEPS = (
    change(0x580244E8, 1 << 18, "RCC_APB1LENR: USART3 on"),
    wait(0x580244E8, 1 << 18, 1 << 18, "RCC_APB1LENR: USART3EN"),
    change(0x4000480C, 1042, "USART3_BRR: 120 MHz / 115200", mask=ALL, only=_LATER),
    change(0x4000480C, 868, "USART3_BRR: 100 MHz / 115200", mask=ALL, only=_EARLIER),
    change(0x40004808, OVRDIS, "USART3_CR3: OVRDIS"),
    change(0x40004800, 0xD, "USART3_CR1: on, both ways"),
)
_H7_USART3_RECEIVES = (0x40004824, Condition(0x4000481C, RXNE, 0), Divider(0x4000480C, (1 << 16) - 1))

H7_USART3 = Uart(
    "USART3, TX is PD8",
    0x40004828,
    Condition(0x4000481C, TXE, TXE),
    (
        change(0x580244E0, 1 << 3, "RCC_AHB4ENR: GPIOD on"),
        change(0x58020C24, 0x77, "GPIOD_AFRH: PD8 is USART3_TX, PD9 USART3_RX", mask=0xFF),
        change(0x58020C00, 0xA << 16, "GPIOD_MODER: alternate functions", mask=0xF << 16),
        *_H7_USART3_STEPS,
    ),
    *_H7_USART3_RECEIVES,
)

H7_D7 = _pin("D7, PG12", 0x58021800, 12, 0x580244E0, 6, "RCC_AHB4ENR")
"""Of board MB1364; the older MB1137 has PF13 there."""

# --- STM32H750B-DK: the same chip but for its flash, from a crystal of 25 MHz [the board's driver in Zephyr] --------------------

H750_480_MHZ = Clock("stm32_h7", _h7_steps(5, 192, 160, False), 25_000_000, False, _EARLIER, 400_000_000)

H750_USART3 = Uart(
    "USART3, TX is PB10",
    0x40004828,
    Condition(0x4000481C, TXE, TXE),
    (
        change(0x580244E0, 1 << 1, "RCC_AHB4ENR: GPIOB on"),
        change(0x58020424, 0x77 << 8, "GPIOB_AFRH: PB10 is USART3_TX, PB11 USART3_RX", mask=0xFF << 8),
        change(0x58020400, 0xA << 20, "GPIOB_MODER: alternate functions", mask=0xF << 20),
        *_H7_USART3_STEPS,
    ),
    *_H7_USART3_RECEIVES,
)

# --- NUCLEO-U575ZI-Q, 160 MHz from the MSIS, TrustZone off: RM0456 10 (PWR), 11 (RCC) -----------------------------------------

U5_160_MHZ = Clock(
    "stm32_u5",
    (
        change(0x46020C1C, 0, "RCC_CFGR1: SYSCLK from the MSIS", mask=3),
        wait(0x46020C1C, 3 << 2, 0, "RCC_CFGR1: SWS, the MSIS"),
        change(0x46020C00, 0, "RCC_CR: PLL1 off", mask=1 << 24),
        wait(0x46020C00, 1 << 25, 0, "RCC_CR: PLL1RDY gone"),
        change(0x46020C94, 1 << 2, "RCC_AHB3ENR: PWR on"),
        wait(0x46020C94, 1 << 2, 1 << 2, "RCC_AHB3ENR: PWREN"),
        change(0x4602080C, 0, "PWR_VOSR: booster off, as after a reset", mask=1 << 18),
        wait(0x4602080C, 1 << 14, 0, "PWR_VOSR: BOOSTRDY gone"),
        change(0x46020C28, 0x00040001, "RCC_PLL1CFGR: the MSIS, which feeds the booster, too", mask=ALL),
        change(0x4602080C, 3 << 16, "PWR_VOSR: voltage range 1", mask=3 << 16),
        wait(0x4602080C, 1 << 15, 1 << 15, "PWR_VOSR: VOSRDY"),
        change(0x4602080C, 1 << 18, "PWR_VOSR: booster on, for more than 55 MHz"),
        wait(0x4602080C, 1 << 14, 1 << 14, "PWR_VOSR: BOOSTRDY"),
        change(0x40022000, 4 | 1 << 8, "FLASH_ACR: 4 wait states, prefetch", mask=0xF | 1 << 8),
        wait(0x40022000, 0xF, 4, "FLASH_ACR: LATENCY"),
        change(0x46020C34, 0x0101024F, "RCC_PLL1DIVR: 4 MHz x 80 / 2", mask=ALL),
        change(0x46020C00, 1 << 24, "RCC_CR: PLL1 on"),
        wait(0x46020C00, 1 << 25, 1 << 25, "RCC_CR: PLL1RDY"),
        change(0x46020C1C, 3, "RCC_CFGR1: SYSCLK from PLL1"),
        wait(0x46020C1C, 3 << 2, 3 << 2, "RCC_CFGR1: SWS, PLL1"),
        wait(0x40030404, 1, 0, "ICACHE_SR: BUSYF gone, the cache is invalidated"),
    ),
)

U5_USART1 = Uart(
    "USART1, TX is PA9",
    0x40013828,
    Condition(0x4001381C, TXE, TXE),
    (
        change(0x46020C8C, 1, "RCC_AHB2ENR1: GPIOA on"),
        change(0x46020CA4, 1 << 14, "RCC_APB2ENR: USART1 on"),
        wait(0x46020CA4, 1 << 14, 1 << 14, "RCC_APB2ENR: USART1EN"),
        change(0x42020024, 0x77 << 4, "GPIOA_AFRH: PA9 is USART1_TX, PA10 USART1_RX", mask=0xFF << 4),
        change(0x42020000, 0xA << 18, "GPIOA_MODER: alternate functions", mask=0xF << 18),
        change(0x4001380C, 1389, "USART1_BRR: 160 MHz / 115200", mask=ALL),
        change(0x40013808, OVRDIS, "USART1_CR3: OVRDIS"),
        change(0x40013800, 0xD, "USART1_CR1: on, both ways"),
    ),
    0x40013824,
    Condition(0x4001381C, RXNE, 0),
    Divider(0x4001380C, (1 << 16) - 1),
)

U5_D7 = _pin("D7, PF13", 0x42021400, 13, 0x46020C8C, 5, "RCC_AHB2ENR1")

# --- NUCLEO-G0B1RE, 64 MHz from the HSI16: RM0444 4 (PWR), 5 (RCC); voltage range 1 after a reset ------------------------------

G0_64_MHZ = Clock(
    "stm32_g0",
    (
        change(0x40021008, 0, "RCC_CFGR: SYSCLK from the HSI16", mask=7),
        wait(0x40021008, 7 << 3, 0, "RCC_CFGR: SWS, the HSI16"),
        change(0x40021000, 0, "RCC_CR: PLL off", mask=1 << 24),
        wait(0x40021000, 1 << 25, 0, "RCC_CR: PLLRDY gone"),
        change(0x40022000, 2 | 3 << 8, "FLASH_ACR: 2 wait states, prefetch, cache", mask=7 | 3 << 8),
        wait(0x40022000, 7, 2, "FLASH_ACR: LATENCY"),
        change(0x4002100C, 0x30000802, "RCC_PLLCFGR: 16 MHz x 8 / 2", mask=ALL),
        change(0x40021000, 1 << 24, "RCC_CR: PLL on"),
        wait(0x40021000, 1 << 25, 1 << 25, "RCC_CR: PLLRDY"),
        change(0x40021008, 2, "RCC_CFGR: SYSCLK from the PLL", mask=7),
        wait(0x40021008, 7 << 3, 2 << 3, "RCC_CFGR: SWS, the PLL"),
    ),
)

G0_USART2 = Uart(
    "USART2, TX is PA2",
    0x40004428,
    Condition(0x4000441C, TXE, TXE),
    (
        change(0x40021034, 1, "RCC_IOPENR: GPIOA on"),
        change(0x4002103C, 1 << 17, "RCC_APBENR1: USART2 on"),
        wait(0x4002103C, 1 << 17, 1 << 17, "RCC_APBENR1: USART2EN"),
        change(0x50000020, 0x11 << 8, "GPIOA_AFRL: PA2 is USART2_TX, PA3 USART2_RX", mask=0xFF << 8),
        change(0x50000000, 0xA << 4, "GPIOA_MODER: alternate functions", mask=0xF << 4),
        change(0x4000440C, 556, "USART2_BRR: 64 MHz / 115200", mask=ALL),
        change(0x40004400, 0xD, "USART2_CR1: on, both ways"),
    ),
)

# --- NUCLEO-L152RE, 32 MHz from the HSI: RM0038 5 (PWR), 6 (RCC) --------------------------------------------------------------

L1_32_MHZ = Clock(
    "stm32_l1",
    (
        change(0x40023800, 1, "RCC_CR: HSI on"),
        wait(0x40023800, 1 << 1, 1 << 1, "RCC_CR: HSIRDY"),
        change(0x40023C00, 1 << 2, "FLASH_ACR: 64-bit reads, before there are wait states"),
        wait(0x40023C00, 1 << 2, 1 << 2, "FLASH_ACR: ACC64"),
        change(0x40023C00, 3, "FLASH_ACR: a wait state, prefetch"),
        wait(0x40023C00, 1, 1, "FLASH_ACR: LATENCY"),
        change(0x40023824, 1 << 28, "RCC_APB1ENR: PWR on"),
        wait(0x40023824, 1 << 28, 1 << 28, "RCC_APB1ENR: PWREN"),
        change(0x40007000, 1 << 11, "PWR_CR: voltage range 1", mask=3 << 11),
        wait(0x40007004, 1 << 4, 0, "PWR_CSR: VOSF gone"),
        change(0x40023808, 1, "RCC_CFGR: SYSCLK from the HSI", mask=3),
        wait(0x40023808, 3 << 2, 1 << 2, "RCC_CFGR: SWS, the HSI"),
        change(0x40023800, 0, "RCC_CR: PLL off", mask=1 << 24),
        wait(0x40023800, 1 << 25, 0, "RCC_CR: PLLRDY gone"),
        change(0x40023808, 1 << 18 | 1 << 22, "RCC_CFGR: the PLL has 16 MHz x 4 / 2", mask=1 << 16 | 0x3F << 18),
        change(0x40023800, 1 << 24, "RCC_CR: PLL on"),
        wait(0x40023800, 1 << 25, 1 << 25, "RCC_CR: PLLRDY"),
        change(0x40023808, 3, "RCC_CFGR: SYSCLK from the PLL"),
        wait(0x40023808, 3 << 2, 3 << 2, "RCC_CFGR: SWS, the PLL"),
    ),
)

L1_USART2 = Uart(
    "USART2, TX is PA2",
    0x40004404,
    Condition(0x40004400, TXE, TXE),
    (
        change(0x4002381C, 1, "RCC_AHBENR: GPIOA on"),
        change(0x40023824, 1 << 17, "RCC_APB1ENR: USART2 on"),
        wait(0x40023824, 1 << 17, 1 << 17, "RCC_APB1ENR: USART2EN"),
        change(0x40020020, 0x77 << 8, "GPIOA_AFRL: PA2 is USART2_TX, PA3 USART2_RX", mask=0xFF << 8),
        change(0x40020000, 0xA << 4, "GPIOA_MODER: alternate functions", mask=0xF << 4),
        change(0x40004408, 278, "USART2_BRR: 32 MHz / 115200", mask=ALL),
        change(0x4000440C, 1 << 13 | 3 << 2, "USART2_CR1: on, both ways"),
    ),
    0x40004404,
    Condition(0x40004400, RXNE, 0),
    Divider(0x40004408, (1 << 16) - 1),
)

# --- Raspberry Pi Pico, 125 MHz from a crystal of 12 MHz: RP2040 datasheet 2.14 (resets), 2.15 to 2.18 (clocks), 4.2 (UART) ----

_RESETS = 0x4000C000

RP2040_125_MHZ = Clock(
    "rp2",
    (
        change(0x4000803C, 0, "CLK_SYS_CTRL: from clk_ref, as after a reset", mask=1),
        wait(0x40008044, 3, 1, "CLK_SYS_SELECTED: clk_ref"),
        change(0x40024000, 0xFABAA0, "XOSC_CTRL: on, 1 to 15 MHz", mask=ALL),
        wait(0x40024004, 1 << 31, 1 << 31, "XOSC_STATUS: STABLE"),
        change(0x40008030, 2, "CLK_REF_CTRL: from the crystal", mask=3),
        wait(0x40008038, 0xF, 1 << 2, "CLK_REF_SELECTED: the crystal"),
        change(_RESETS, 0, "RESETS: PLL_SYS out of its reset", mask=1 << 12),
        wait(_RESETS + 8, 1 << 12, 1 << 12, "RESET_DONE: PLL_SYS"),
        change(0x40028004, 0x2D, "PLL_SYS_PWR: off, as after a reset"),
        change(0x40028000, 1, "PLL_SYS_CS: 12 MHz undivided, as after a reset", mask=0x3F),
        change(0x40028008, 125, "PLL_SYS_FBDIV_INT: x 125", mask=0xFFF),
        change(0x40028004, 0, "PLL_SYS_PWR: PLL on", mask=1 | 1 << 5),
        wait(0x40028000, 1 << 31, 1 << 31, "PLL_SYS_CS: LOCK"),
        change(0x4002800C, 6 << 16 | 2 << 12, "PLL_SYS_PRIM: / 6 / 2", mask=7 << 16 | 7 << 12),
        change(0x40028004, 0, "PLL_SYS_PWR: dividers on", mask=1 << 3),
        change(0x4000803C, 0, "CLK_SYS_CTRL: PLL_SYS chosen, as after a reset", mask=7 << 5),
        change(0x4000803C, 1, "CLK_SYS_CTRL: SYSCLK from the PLL"),
        wait(0x40008044, 3, 2, "CLK_SYS_SELECTED: PLL_SYS"),
    ),
    crystal_hz=12_000_000,
)

RP2040_UART0 = Uart(
    "UART0, TX is GPIO0",
    0x40034000,
    Condition(0x40034018, 1 << 5, 0),  # UARTFR: its FIFO has room
    (
        change(_RESETS, 0, "RESETS: IO_BANK0, PADS_BANK0, UART0 out of their resets", mask=1 << 5 | 1 << 8 | 1 << 22),
        wait(
            _RESETS + 8, 1 << 5 | 1 << 8 | 1 << 22, 1 << 5 | 1 << 8 | 1 << 22, "RESET_DONE: IO_BANK0, PADS_BANK0, UART0"
        ),
        change(0x40008048, 1 << 11, "CLK_PERI_CTRL: on, from clk_sys", mask=1 << 11 | 7 << 5),
        change(0x40034024, 67, "UARTIBRD: 125 MHz / 16 / 115200", mask=ALL),
        change(0x40034028, 52, "UARTFBRD: and 52 / 64", mask=ALL),
        change(0x4003402C, 3 << 5 | 1 << 4, "UARTLCR_H: 8 bits, with FIFOs", mask=ALL),
        change(0x40034030, 1 | 3 << 8, "UARTCR: on, both ways", mask=ALL),
        change(0x40014004, 2, "GPIO0_CTRL: UART0 TX", mask=0x1F),
        change(0x4001400C, 2, "GPIO1_CTRL: UART0 RX", mask=0x1F),
    ),
)

# --- ESP32-C3, 160 MHz: Technical Reference Manual, "Reset and Clock"; the ROM has the PLL running, for USB [believed] -----------

C3_160_MHZ = Clock(
    "esp32_c3",
    (
        change(0x600C0008, 1 | 1 << 2, "SYSTEM_CPU_PER_CONF: 160 MHz of a PLL of 480 MHz", mask=7),
        change(0x600C0058, 1 << 10, "SYSTEM_SYSCLK_CONF: the PLL", mask=0xFFF),
    ),
)

C3_UART0 = Uart(
    "UART0, TX is GPIO21",
    0x60000000,
    Condition(0x6000001C, 3 << 22, 0),  # fewer than 64 bytes wait
    (
        change(0x60000078, 1 << 22 | 1 << 20, "UART_CLK_CONF: from the APB, undivided", mask=1 << 22 | 0xFFFF << 6),
        change(0x60000014, 694 | 7 << 20, "UART_CLKDIV: 80 MHz / 115200", mask=0xF << 20 | 0xFFF),
    ),
    0x60000000,
    Condition(0x6000001C, 0x3FF, 0),  # of the bytes that wait
    Divider(0x60000014, (1 << 12) - 1, sixteenths=True),
)
