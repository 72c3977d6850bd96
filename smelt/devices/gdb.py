"""A client of the GDB remote protocol: memory, registers, run control. For any stub; tried with QEMU's."""

from __future__ import annotations

import socket
import time

from smelt.devices.link import LinkLost
from smelt.devices.process import Process
from smelt.errors import DeviceError

CHUNK = 1900  # bytes of memory in a packet; QEMU takes packets of 4096 characters
ANSWER_SECONDS = 20.0
INTERRUPT = b"\x03"


class GdbClient:
    """Speaks with one stub. Every method raises `LinkLost` when the stub is gone, `DeviceError` when it refuses."""

    def __init__(self, connection: socket.socket, process: Process) -> None:
        self._connection, self._process = connection, process
        self._buffer = bytearray()
        self._acknowledge = True
        self._acknowledge = self.command("QStartNoAckMode") != "OK"
        self.command(
            "qXfer:features:read:target.xml:0,ffb"
        )  # QEMU gives single registers only to those who have asked for their list

    def close(self) -> None:
        self._connection.close()

    # --- packets ----------------------------------------------------------------------------------------------------

    def command(self, text: str) -> str:
        """The answer to a packet."""
        self._send(text)
        while (answer := self._receive(ANSWER_SECONDS)) is not None:
            if answer[:1] not in ("S", "T"):  # to stop for a new connection, unasked for, is no answer
                return answer
        return self._lost("it does not answer")

    def _done(self, text: str) -> None:
        answer = self.command(text)
        if answer != "OK":
            raise DeviceError(f"{self._process.name} refuses {text.split(':')[0]} ({answer})")

    def _send(self, text: str) -> None:
        data = text.encode("ascii")
        self._send_bytes(b"$%s#%02x" % (data, sum(data) & 0xFF))

    def _send_bytes(self, data: bytes) -> None:
        try:
            self._connection.settimeout(ANSWER_SECONDS)
            self._connection.sendall(data)
        except OSError as error:
            self._lost(str(error))

    def _receive(self, seconds: float) -> str | None:
        """The next packet; None if there is none in time. Text that the program prints comes in packets, too, and is dropped."""
        end = time.monotonic() + seconds
        while True:
            packet = self._packet()
            if packet is None:
                if not self._fill(end - time.monotonic()):
                    return None
            elif not (packet.startswith("O") and packet != "OK"):
                return packet

    def _packet(self) -> str | None:
        start = self._buffer.find(b"$")
        end = self._buffer.find(b"#", start)
        if start < 0 or end < 0 or len(self._buffer) < end + 3:
            return None
        body = bytes(self._buffer[start + 1 : end])
        del self._buffer[: end + 3]
        if self._acknowledge:
            self._send_bytes(b"+")
        return body.decode("latin-1") if b"*" not in body else _expand(body)

    def _fill(self, seconds: float) -> bool:
        if seconds <= 0:
            return False
        try:
            self._connection.settimeout(seconds)
            data = self._connection.recv(1 << 16)
        except TimeoutError:
            return False
        except OSError as error:
            self._lost(str(error))
        if not data:
            self._lost("it closed the connection")
        self._buffer += data
        return True

    def _lost(self, why: str) -> str:
        raise LinkLost(f"{self._process.name} is gone ({why}): {self._process.last_words()}")

    # --- memory and registers ---------------------------------------------------------------------------------------

    def read(self, address: int, size: int) -> bytes:
        parts = (self._read(address + at, min(CHUNK, size - at)) for at in range(0, size, CHUNK))
        return b"".join(parts)

    def _read(self, address: int, size: int) -> bytes:
        answer = self.command(f"m{address:x},{size:x}")
        if len(answer) != 2 * size:
            raise DeviceError(f"{self._process.name}: {size} bytes at {address:#010x} cannot be read ({answer})")
        return bytes.fromhex(answer)

    def write(self, address: int, data: bytes) -> None:
        for at in range(0, len(data), CHUNK):
            part = data[at : at + CHUNK]
            answer = self.command(f"M{address + at:x},{len(part):x}:{part.hex()}")
            if answer != "OK":
                raise DeviceError(
                    f"{self._process.name}: {len(part)} bytes at {address + at:#010x} cannot be written ({answer})"
                )

    def read_register(self, number: int) -> int:
        answer = self.command(f"p{number:x}")
        if len(answer) != 8:
            raise DeviceError(f"{self._process.name}: register {number} cannot be read ({answer})")
        return int.from_bytes(bytes.fromhex(answer), "little")

    def write_register(self, number: int, value: int) -> None:
        self._done(f"P{number:x}={value.to_bytes(4, 'little').hex()}")

    # --- run control ------------------------------------------------------------------------------------------------

    def break_at(self, address: int) -> None:
        """Stop before this instruction, from now on."""
        self._done(f"Z1,{address:x},2")

    def run(self, seconds: float) -> bool:
        """Continue; whether the processor has stopped by itself within that time. It is stopped afterwards in any case."""
        self._send("c")
        answer = self._receive(seconds)
        if answer is None:
            self._send_bytes(INTERRUPT)
            answer = self._receive(ANSWER_SECONDS)
            self._check_stop(answer)
            return False
        self._check_stop(answer)
        return True

    def _check_stop(self, answer: str | None) -> None:
        if answer is None or answer[:1] not in ("S", "T"):
            self._lost("it does not stop" if answer is None else "the program has ended")

    def monitor(self, text: str) -> None:
        """A command of the stub's own; what it prints is dropped."""
        self._done(f"qRcmd,{text.encode().hex()}")


def _expand(body: bytes) -> str:
    """Undo the run-length encoding: a star, and 29 more than the number of further repetitions."""
    found = bytearray()
    at = 0
    while at < len(body):
        if body[at] == 0x2A and found and at + 1 < len(body):
            found += found[-1:] * (body[at + 1] - 29)
            at += 2
        else:
            found.append(body[at])
            at += 1
    return found.decode("latin-1")
