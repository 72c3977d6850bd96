"""The clock, the serial port and the pin of a board in its TOML file: `[clock]`, `[uart]`, `[pin]`, and their `[[steps]]`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from smelt.targets.registers import ALL, DEEDS, Clock, Condition, Divider, Pin, RegisterStep, Uart
from smelt.targets.toml_table import Table

CONDITION = ("address", "mask", "value")
STEP = (("deed", "address", "value", "why"), ("mask", "only"))
MOST_PAUSED = 1 << 20


def parse_clock(table: Table, interfaces: Sequence[str]) -> Clock:
    """The clock of a table; raises BadKey. Its registers are of one of the `interfaces` that there are."""
    table.check_keys(("interface", "steps"), ("crystal_hz", "bypass", "slower", "slower_hz"))
    if ("slower" in table.values) != ("slower_hz" in table.values):
        raise table.wrong("slower", "it goes with `slower_hz`, the clock of such chips")
    return Clock(
        table.choice("interface", tuple(interfaces)),
        tuple(map(_step, table.tables("steps"))),
        table.integer("crystal_hz", 0, 10**9, 0),
        table.flag("bypass"),
        _condition(table, "slower") if "slower" in table.values else None,
        table.integer("slower_hz", 1000, 10**10) if "slower_hz" in table.values else 0,
    )


def parse_uart(table: Table) -> Uart:
    """The serial port of a table; raises BadKey."""
    table.check_keys(("name", "data", "ready", "steps"), ("received", "empty", "divider"))
    if ("received" in table.values) != ("empty" in table.values):
        raise table.wrong("received", "it goes with `empty`, which says whether a byte is there")
    steps = tuple(map(_step, table.tables("steps")))
    divider = _divider(table.table("divider")) if "divider" in table.values else None
    if divider and divider.address not in {s.address for s in steps}:
        raise table.wrong(
            "divider.address", f"no step writes to {divider.address:#010x}: another rate would change nothing"
        )
    return Uart(
        table.text("name"),
        _register(table, "data"),
        _condition(table, "ready"),
        steps,
        _register(table, "received") if "received" in table.values else None,
        _condition(table, "empty") if "empty" in table.values else None,
        divider,
    )


def _divider(table: Table) -> Divider:
    table.check_keys(("address", "most"), ("sixteenths",))
    return Divider(_register(table, "address"), table.integer("most", 1, (1 << 20) - 1), table.flag("sixteenths"))


def parse_pin(table: Table) -> Pin:
    """The pin of a table; raises BadKey."""
    table.check_keys(("name", "data", "high", "low", "steps"), ())
    return Pin(
        table.text("name"),
        _register(table, "data"),
        table.address("high"),
        table.address("low"),
        tuple(map(_step, table.tables("steps"))),
    )


def _step(table: Table) -> RegisterStep:
    table.check_keys(*STEP)
    deed = next(d for d in DEEDS if d == table.choice("deed", DEEDS))
    mask = table.address("mask") if "mask" in table.values else 0
    value = table.integer("value", 1, MOST_PAUSED) if deed == "pause" else table.address("value")
    if deed != "pause" and (not mask or value & ~mask & ALL):
        raise table.wrong("mask", f"{mask:#010x} does not hold all bits of the value {value:#010x}")
    only = _condition(table, "only") if "only" in table.values else None
    return RegisterStep(deed, _register(table, "address"), mask, value, table.text("why"), only)


def _register(table: Table, name: str) -> int:
    address = table.address(name)
    if address % 4:
        raise table.wrong(name, f"{address:#010x} is no multiple of 4")
    return address


def _condition(table: Table, name: str) -> Condition:
    inner = table.table(name)
    inner.check_keys(CONDITION, ())
    return Condition(_register(inner, "address"), inner.address("mask"), inner.address("value"))


def clock_table(clock: Clock) -> dict[str, Any]:
    values: dict[str, Any] = {"interface": clock.interface}
    values |= {"crystal_hz": clock.crystal_hz} if clock.crystal_hz else {}
    values |= {"bypass": True} if clock.bypass else {}
    values |= {"slower": asdict(clock.slower), "slower_hz": clock.slower_hz} if clock.slower else {}
    return values | {"steps": list(map(_step_table, clock.steps))}


def uart_table(uart: Uart) -> dict[str, Any]:
    values: dict[str, Any] = {"name": uart.name, "data": uart.data, "ready": asdict(uart.ready)}
    values |= {"received": uart.received} if uart.received is not None else {}
    values |= {"empty": asdict(uart.empty)} if uart.empty else {}
    values |= {"divider": _divider_table(uart.divider)} if uart.divider else {}
    return values | {"steps": list(map(_step_table, uart.steps))}


def _divider_table(divider: Divider) -> dict[str, Any]:
    return {"address": divider.address, "most": divider.most} | ({"sixteenths": True} if divider.sixteenths else {})


def pin_table(pin: Pin) -> dict[str, Any]:
    values = {"name": pin.name, "data": pin.data, "high": pin.high, "low": pin.low}
    return values | {"steps": list(map(_step_table, pin.steps))}


def _step_table(step: RegisterStep) -> dict[str, Any]:
    values: dict[str, Any] = {"deed": step.deed, "address": step.address}
    values |= {"mask": step.mask} if step.mask else {}
    values |= {"value": step.value, "why": step.why}
    return values | ({"only": asdict(step.only)} if step.only else {})
