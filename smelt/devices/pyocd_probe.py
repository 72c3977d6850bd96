"""A pyOCD debug probe whose wires end in the debug port of a simulated chip. Imported only where pyOCD is installed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from pyocd.core import exceptions
from pyocd.probe.debug_probe import DebugProbe

from smelt.devices.debug_port.port import DebugPort, PortFault


class SimulatedProbe(DebugProbe):  # type: ignore[misc]  # a library without types
    """Speaks with the debug port register by register, as over SWD. The processor runs while it is looked at."""

    def __init__(self, port: DebugPort, name: str) -> None:
        super().__init__()
        self._port, self._name = port, name
        self._open = self._held = False
        self._protocol: DebugProbe.Protocol | None = None
        self.unplugged = False  # like a pulled cable: from then on, everything fails

    @property
    def vendor_name(self) -> str:
        return "smelt"

    @property
    def product_name(self) -> str:
        return f"simulated {self._name}"

    @property
    def supported_wire_protocols(self) -> Collection[DebugProbe.Protocol]:
        return [DebugProbe.Protocol.DEFAULT, DebugProbe.Protocol.SWD]

    @property
    def unique_id(self) -> str:
        return f"smelt-{self._name}"

    @property
    def wire_protocol(self) -> DebugProbe.Protocol | None:
        return self._protocol

    @property
    def is_open(self) -> bool:
        return self._open

    @property
    def capabilities(self) -> set[DebugProbe.Capability]:
        return {DebugProbe.Capability.BANKED_DP_REGISTERS}

    def open(self) -> None:
        self._open = True

    def close(self) -> None:
        self._open = False

    def connect(self, protocol: DebugProbe.Protocol | None = None) -> None:
        self._check()
        self._protocol = DebugProbe.Protocol.SWD

    def disconnect(self) -> None:
        self._protocol = None

    def set_clock(self, frequency: float) -> None:
        """There is no clock."""

    def reset(self) -> None:
        self._check()
        self._port.core.reset()

    def assert_reset(self, asserted: bool) -> None:
        """The chip is reset when the pin is let go; until then it is as it was."""
        if self._held and not asserted:
            self.reset()
        self._held = asserted

    def is_reset_asserted(self) -> bool:
        return self._held

    def read_dp(self, addr: int, now: bool = True) -> Any:
        return _result(self._access(lambda: self._port.read_dp(addr)), now)

    def write_dp(self, addr: int, data: int) -> None:
        self._access(lambda: self._port.write_dp(addr, data))

    def read_ap(self, addr: int, now: bool = True) -> Any:
        self._port.idle()
        return _result(self._access(lambda: self._port.read_ap(addr)), now)

    def write_ap(self, addr: int, data: int) -> None:
        self._access(lambda: self._port.write_ap(addr, data))

    def read_ap_multiple(self, addr: int, count: int = 1, now: bool = True) -> Any:
        read = self._port.read_ap
        return _result(self._access(lambda: [read(addr) for _ in range(count)]), now)

    def write_ap_multiple(self, addr: int, values: Sequence[int]) -> None:
        def write() -> None:
            for value in values:
                self._port.write_ap(addr, value)

        self._access(write)

    def _check(self) -> None:
        if self.unplugged:
            raise exceptions.ProbeDisconnected("the probe was unplugged")

    def _access(self, act: Callable[[], Any]) -> Any:
        self._check()
        try:
            return act()
        except PortFault as error:
            raise exceptions.TransferFaultError() from error


def _result(value: Any, now: bool) -> Any:
    return value if now else lambda: value
