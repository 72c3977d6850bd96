"""Linker scripts, from a board: the `support/*.ld` that suits the chip, with the board's memories filled in.

The stack lies at the start of the first data memory and grows down, out of the memory: an overflow faults instead of
changing data. After it come .data, arenas of that memory and .bss. Buffers that must live in a certain RAM go into the
section `.smelt.ram.<memory>` (or `.bss.smelt.ram.<memory>`), which is neither loaded nor cleared. Tables that are read from RAM
are in `.data.smelt_tables.<memory>`: they get a section of their own in that RAM, which the start-up code fills. Those that lie
in a flash outside of the chip are in `.rodata.smelt_tables.<memory>`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from string import Template

from smelt.planner.placement import STACK_RESERVE, WORKER_STACK_BYTES
from smelt.targets.registers import Pin, RegisterStep, Uart, grouped
from smelt.targets.start_up import changes
from smelt.targets.types import Board, Chip, Core, Memory

STACK_BYTES = STACK_RESERVE - 64  # of what plans leave alone; the rest is for .data, .bss and aligning them


def linker_script(
    board: Board, stack_bytes: int = STACK_BYTES, tables: tuple[str, ...] = (), copied_from: str | None = None
) -> str:
    """The script for one board, in the common syntax of GNU ld and LLD. `tables` names the RAMs that get tables, `copied_from` the
    flash that has their first values, if it is not the chip's own."""
    chip = board.chip
    home = next((m for m in chip.flashes if m.name == copied_from), chip.flash)
    filled = {m.name: _tables(m, home) for m in chip.rams if m.name in tables}
    template = files("smelt.firmware") / "support" / chip.linker_script
    view = chip.flash.start if chip.flash.reads_at is None else chip.flash.reads_at
    stacks = _worker_stacks(chip)
    regions = [
        _region(m, chip.boot_bytes if m is chip.flash else 0, len(stacks) if stacks and m.end == stacks.stop else 0)
        for m in chip.memories
    ]
    if chip.flash.reads_at is not None:
        regions.append(_region(Memory("drom", view, chip.flash.size, "code")))
    return Template(template.read_text(encoding="utf-8")).substitute(
        regions="\n".join(regions),
        flash=chip.flash.name,
        flash_start=f"{chip.flash.start:#x}",
        drom_start=f"{view:#x}",
        tables="\n".join(_flash_tables(m) for m in chip.memories if m.external and m.holds == "code"),
        ram="\n".join([*_other_rams(board, filled), *_main_ram(board, stack_bytes, filled)]),  # .bss takes what is left
        loads="\n".join(_load(name, home.reads_at is not None, home.start, view) for name in tables),
        worker_stacks=f"{stacks.start:#x}",
        worker_stack_bytes=WORKER_STACK_BYTES,
    )


def _worker_stacks(chip: Chip) -> range:
    """The addresses of the stacks of a cluster's cores; none where there is no cluster."""
    if chip.cluster is None:
        return range(0)
    end = next(m.end for m in chip.memories if m.name == chip.cluster.memory)
    return range(end - chip.cluster.count * WORKER_STACK_BYTES, end)


def _other_rams(board: Board, filled: Mapping[str, str]) -> list[str]:
    """Tables come before anything that asks for all of `.data.*`."""
    others = board.chip.rams[1:]
    return [*(filled[m.name] for m in others if m.name in filled), *map(_arena, others)]


def _tables(memory: Memory, flash: Memory) -> str:
    name = memory.name
    return (
        f"    .smelt.tables.{name} : ALIGN(16) {{ __smelt_tables_{name}_start = .; *(.data.smelt_tables.{name})"
        f" . = ALIGN(4); __smelt_tables_{name}_end = .; }} > {name} AT> {flash.name}"
    )


def _flash_tables(memory: Memory) -> str:
    name = memory.name
    return f"    .smelt.flash.{name} : ALIGN(32) {{ *(.rodata.smelt_tables.{name}) }} > {name}"


def _load(name: str, seen_twice: bool, flash_start: int, view: int) -> str:
    """Where the start-up code finds the first values of the tables of a RAM."""
    moved = f"{view:#x} - {flash_start:#x} + " if seen_twice else ""
    return f"    __smelt_tables_{name}_load = {moved}LOADADDR(.smelt.tables.{name});"


def _region(memory: Memory, taken: int = 0, last: int = 0) -> str:
    """A memory whose first `taken` and `last` bytes are somebody else's."""
    access, size = "rx" if memory.holds == "code" else "rw", memory.size - taken - last
    return f"    {memory.name} ({access}) : ORIGIN = {memory.start + taken:#x}, LENGTH = {size:#x}"


def _main_ram(board: Board, stack_bytes: int, filled: Mapping[str, str]) -> list[str]:
    ram, flash = board.chip.rams[0].name, board.chip.flash.name
    return [
        f"    .stack (NOLOAD) : {{ __smelt_stack_limit = .; . = . + {stack_bytes}; __smelt_stack_top = .; }} > {ram}",
        *([filled[ram]] if ram in filled else []),
        "    .data : ALIGN(16) { __smelt_data_start = .; *(.data .data.* .sdata .sdata.*) . = ALIGN(16);"
        f" __smelt_data_end = .; }} > {ram} AT> {flash}",
        _arena(board.chip.rams[0]),
        "    .bss (NOLOAD) : ALIGN(4) { __smelt_bss_start = .; *(.bss .bss.* .sbss .sbss.* COMMON) . = ALIGN(4);"
        f" __smelt_bss_end = .; }} > {ram}",
    ]


def _arena(memory: Memory) -> str:
    inputs = f"*(.smelt.ram.{memory.name} .bss.smelt.ram.{memory.name})"
    return f"    .smelt.ram.{memory.name} (NOLOAD) : ALIGN(16) {{ {inputs} }} > {memory.name}"


def board_header(board: Board, tables: tuple[str, ...] = ()) -> str:
    """`smelt_board.h`: what the startup code must do on this board before main. `tables` names the RAMs that get tables."""
    registers = [
        f"    X({s.address:#010x}U, {s.clear:#010x}U, {s.value:#010x}U) /* {s.why} */ \\\n" for s in changes(board.chip)
    ]
    return (
        f"/* {board.title} */\n"
        f"#define SMELT_CORE_CACHES {int(board.core.caches)}\n"
        f"#define SMELT_DATA_CACHE {int(any(m.path.data for m in board.chip.memories))}\n"
        f"#define SMELT_DEBUG_REGISTERS {int(board.chip.debug_registers)}\n"
        f"#define SMELT_BOARD_EXTERNAL {int(any(m.external for m in board.chip.memories))}\n"
        f"#define SMELT_BOARD_SETUP(X) \\\n{''.join(registers)}\n"
        f"#define SMELT_BOARD_TABLES(X){''.join(f' X({name})' for name in tables)}\n"
        f"#define SMELT_CYCLE_COUNTER {int(board.core.isa.cycle_counter)}\n"
        f"{_cycle_csr(board.core)}"
        f"#define SMELT_CLOCK_HZ {_clock_hz(board)}\n"
        f"{_steps('SMELT_BOARD_CLOCK', board.clock.steps if board.clock else ())}"
        f"{_uart(board.uart) if board.uart else ''}"
        f"{_pin(board.pin) if board.pin else ''}"
        f"{_outside(board.chip)}"
    )


def _steps(name: str, steps: Sequence[RegisterStep]) -> str:
    """The steps as a macro of two arguments: what takes one, and what passes over as many as only some chips need."""
    lines: list[str] = []
    for only, group in grouped(steps):
        if only is not None:
            test = f"{only.address:#010x}U, {only.mask:#010x}U, {only.value:#010x}U, {len(group)}U"
            lines.append(f"    SKIP({test}) \\\n")
        lines += (
            f"    STEP({s.deed.upper()}, {s.address:#010x}U, {s.mask:#010x}U, {s.value:#010x}U) /* {s.why} */ \\\n"
            for s in group
        )
    return f"#define {name}(STEP, SKIP) \\\n{''.join(lines)}\n" if lines else ""


def _uart(uart: Uart) -> str:
    ready = uart.ready
    return (
        f"/* {uart.name} */\n"
        f"#define SMELT_UART_DATA {uart.data:#010x}U\n"
        f"#define SMELT_UART_STATUS {ready.address:#010x}U\n"
        f"#define SMELT_UART_MASK {ready.mask:#010x}U\n"
        f"#define SMELT_UART_READY {ready.value:#010x}U\n"
        f"{_receiver(uart)}"
        f"{_steps('SMELT_BOARD_UART', uart.steps)}"
    )


def _receiver(uart: Uart) -> str:
    if uart.received is None or uart.empty is None:
        return ""
    return (
        f"#define SMELT_UART_RECEIVED {uart.received:#010x}U\n"
        f"#define SMELT_UART_EMPTY_STATUS {uart.empty.address:#010x}U\n"
        f"#define SMELT_UART_EMPTY_MASK {uart.empty.mask:#010x}U\n"
        f"#define SMELT_UART_EMPTY {uart.empty.value:#010x}U\n"
    )


def _pin(pin: Pin) -> str:
    return (
        f"/* {pin.name} */\n"
        f"#define SMELT_PIN_DATA {pin.data:#010x}U\n"
        f"#define SMELT_PIN_HIGH {pin.high:#010x}U\n"
        f"#define SMELT_PIN_LOW {pin.low:#010x}U\n"
        f"{_steps('SMELT_BOARD_PIN', pin.steps)}"
    )


def _clock_hz(board: Board) -> str:
    """An expression: chips of one board may have two."""
    usual, clock = f"{board.clock_hz}U", board.clock
    if clock is None or clock.slower is None:
        return usual
    word = f"*(volatile const uint32_t *){clock.slower.address:#010x}U"
    test = f"({word} & {clock.slower.mask:#010x}U) == {clock.slower.value:#010x}U"
    return f"({test} ? {clock.slower_hz}U : {usual})"


def _cycle_csr(core: Core) -> str:
    return "" if core.cycle_csr is None else f"#define SMELT_CYCLE_CSR {core.cycle_csr:#x}\n"


def _outside(chip: Chip) -> str:
    """The longest request that may be made of memories that are not mapped."""
    return f"#define SMELT_OUTSIDE_BURST {chip.outside.burst}U\n" if chip.outside else ""
