"""What can go wrong in a session, each under its own name."""

from __future__ import annotations

from smelt.errors import DeviceError


class SessionError(DeviceError):
    """A function that was called in a session did not come back; `function` is the one that ran, where it is known."""

    def __init__(self, board: str, function: str, reason: str) -> None:
        self.board, self.function = board, function
        super().__init__(f"{board}: {function}: {reason}")


class FunctionTimeout(SessionError):
    """A function did not return in time."""


class FunctionFault(SessionError):
    """A function did something that the device does not allow."""


class DeviceReset(SessionError):
    """The device was reset, or something else wrote over the session's memory."""


class SessionEnded(DeviceError):
    """Something that belongs to a session was used after its end, or after it was freed."""


class ContentLost(DeviceError):
    """A tensor lost its content when the device was reset; writing to it makes it usable again."""


class WrongBoard(DeviceError):
    """A module was made for another board than the one it is loaded into."""


class DeviceHeapFull(DeviceError):
    """The device's heap has no free block of that size."""

    def __init__(self, board: str, needed: int, free: int, largest: int) -> None:
        self.needed, self.free, self.largest = needed, free, largest
        super().__init__(
            f"{board}: no memory left on the device heap: {needed:,} bytes needed,"
            f" {free:,} free, the largest free block has {largest:,}"
        )
