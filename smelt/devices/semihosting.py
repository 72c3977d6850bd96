"""The host's side of semihosting: the requests that smelt's firmware makes, on files that exist only in memory."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field

OPEN, CLOSE, WRITEC, WRITE0, WRITE, READ = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
ISTTY, SEEK, FLEN, ERRNO, EXIT, EXIT_EXTENDED = 0x09, 0x0A, 0x0C, 0x13, 0x18, 0x20
APPLICATION_EXIT = 0x20026
MAX_TEXT = 65536
FAILED = 0xFFFFFFFF


class BadPointer(Exception):
    """The firmware passed an address where there is no memory."""


@dataclass
class Host:
    """Answers requests. `read(address, size)` and `write(address, data)` reach the device's memory and raise
    `BadPointer`."""

    read: Callable[[int, int], bytes]
    write: Callable[[int, bytes], None]
    files: dict[str, io.BytesIO] = field(default_factory=dict)
    text: list[str] = field(default_factory=list)
    exit_code: int | None = None
    on_input: Callable[[], None] = lambda: None  # called whenever the firmware asks for more input
    handles: dict[int, io.BytesIO] = field(default_factory=dict)

    def request(self, operation: int, argument: int) -> int:
        """Do what the firmware asks; the result for its first register."""
        if operation in (EXIT, EXIT_EXTENDED):
            return self._exit(operation, argument)
        if operation == WRITE0:
            self.text.append(self._string(argument))
            return 0
        if operation == WRITEC:
            self.text.append(self.read(argument, 1).decode("latin-1"))
            return 0
        handlers = {
            OPEN: self._open,
            CLOSE: self._close,
            READ: self._read,
            WRITE: self._write,
            SEEK: self._seek,
            FLEN: self._length,
        }
        if operation in handlers:
            return handlers[operation](argument)
        return 0 if operation in (ISTTY, ERRNO) else FAILED

    def _words(self, address: int, count: int) -> list[int]:
        data = self.read(address, 4 * count)
        return [int.from_bytes(data[4 * i : 4 * i + 4], "little") for i in range(count)]

    def _string(self, address: int) -> str:
        data = bytearray()
        while len(data) < MAX_TEXT and (byte := self.read(address + len(data), 1)) != b"\0":
            data += byte
        return data.decode("utf-8", "replace")

    def _exit(self, operation: int, argument: int) -> int:
        reason, code = self._words(argument, 2) if operation == EXIT_EXTENDED else (argument, 0)
        self.exit_code = code if reason == APPLICATION_EXIT else code or 1
        return 0

    def _open(self, argument: int) -> int:
        name, mode, length = self._words(argument, 3)
        path = self.read(name, min(length, MAX_TEXT)).decode("utf-8", "replace")
        if mode >= 4:  # w, w+, a, a+ and their binary forms
            stream = self.files.setdefault(path, io.BytesIO())
            if mode < 8:
                stream.seek(0)
                stream.truncate()
        elif path not in self.files:
            return FAILED
        handle = len(self.handles) + 1
        self.handles[handle] = self.files[path]
        return handle

    def _close(self, argument: int) -> int:
        handle = self._words(argument, 1)[0]
        return 0 if handle in self.handles else FAILED

    def _read(self, argument: int) -> int:
        handle, address, size = self._words(argument, 3)
        self.on_input()
        stream = self.handles.get(handle)
        data = stream.read(min(size, 1 << 28)) if stream else b""
        self.write(address, data)
        return size - len(data)

    def _write(self, argument: int) -> int:
        handle, address, size = self._words(argument, 3)
        stream = self.handles.get(handle)
        if stream is None:
            return size
        stream.write(self.read(address, size))
        return 0

    def _seek(self, argument: int) -> int:
        handle, position = self._words(argument, 2)
        if handle not in self.handles:
            return FAILED
        self.handles[handle].seek(position)
        return 0

    def _length(self, argument: int) -> int:
        stream = self.handles.get(self._words(argument, 1)[0])
        return len(stream.getbuffer()) if stream else FAILED
