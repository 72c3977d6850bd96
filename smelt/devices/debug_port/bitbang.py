"""Serves a scan chain to OpenOCD's `remote_bitbang` adapter: one character per change of the pins, over TCP."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import threading
import time
from collections.abc import Callable

from smelt.devices.closing import Closing
from smelt.devices.debug_port.jtag import Chain
from smelt.devices.debug_port.port import DebugPort

# "0" to "7" set TCK, TMS and TDI (4, 2, 1). Whole shifts, with TMS low and perhaps TDO read each time, are taken at once.
TOKENS = re.compile(rb"(?:[01]R[45])+|(?:[01][45])+|.", re.DOTALL)
TO_DIGITS = bytes.maketrans(b"45", b"01")
POLL = 0.05  # seconds between looks at the end of the server
PROCESSOR_SHARE = 2  # while it runs, the processor gets this many times the time that its debugger gets


class Pins:
    """The wires between a bit-banging adapter and a scan chain. Text goes in, what was read from TDO comes out."""

    def __init__(self, chain: Chain, reset: Callable[[], None]) -> None:
        """`reset` is called when the chip's reset pin is released."""
        self._chain, self._reset = chain, reset
        self._clock_high = self._reset_low = False
        self._replies = bytearray()
        self.ended = False

    def feed(self, text: bytes) -> bytes:
        """Do what the characters say; the answers to their requests."""
        self._replies.clear()
        for token in TOKENS.findall(text):
            if len(token) > 1:
                self._shift(token)
            else:
                for character in token:
                    self._one(character)
        return bytes(self._replies)

    def _shift(self, token: bytes) -> None:
        digits = token.translate(TO_DIGITS, b"01R")
        count = len(digits)
        # the last character is the highest bit, so the text is reversed
        out = self._chain.clocks(count, int(digits[::-1], 2))
        if token[1] == 0x52:
            self._replies += f"{out:0{count}b}"[::-1].encode()
        self._clock_high = True

    def _one(self, character: int) -> None:
        if 0x30 <= character <= 0x37:
            if character & 4 and not self._clock_high:
                self._chain.clock(character >> 1 & 1, character & 1)
            self._clock_high = bool(character & 4)
        elif character == 0x52:  # R
            self._replies.append(0x30 + self._chain.tdo)
        elif character in b"rstu":
            low = character in b"su"
            if self._reset_low and not low:
                self._reset()
            self._reset_low = low
        elif character == 0x51:  # Q
            self.ended = True


class BitbangServer(Closing):
    """A TCP port on this machine for one adapter at a time. The processor runs while the adapter is silent."""

    def __init__(self, chain: Chain, port: DebugPort) -> None:
        self._port = port
        self._chain = chain
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._closing, self._lock = threading.Event(), threading.Lock()
        self._connection: socket.socket | None = None
        self._next_slice = 0.0
        self._thread = threading.Thread(target=self._serve, name="smelt-bitbang", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the service and free its port."""
        self._closing.set()
        with self._lock, contextlib.suppress(OSError):
            if self._connection is not None:
                self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._closing.is_set():
            if select.select([self._listener], [], [], POLL)[0]:
                self._accept()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._connection = connection
            with contextlib.suppress(OSError):
                self._attend(connection)
            with self._lock:
                self._connection = None

    def _attend(self, connection: socket.socket) -> None:
        pins = Pins(self._chain, self._port.core.reset)
        while not self._closing.is_set() and not pins.ended:
            # OpenOCD waits for the answer to every single scan: as little as possible may stand between them
            if not self._port.core.running or select.select([connection], [], [], self._pause())[0]:
                text = connection.recv(1 << 16)
                if not text:
                    return
                if replies := pins.feed(text):
                    connection.sendall(replies)
            if self._port.core.running and not self._pause():
                start = time.monotonic()
                self._port.idle()
                end = time.monotonic()
                self._next_slice = end + (end - start) / PROCESSOR_SHARE

    def _pause(self) -> float:
        """Seconds until the processor's next turn."""
        return max(self._next_slice - time.monotonic(), 0.0)
