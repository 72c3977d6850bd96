"""TensorFlow Lite Micro in a process of its own, which absurd models may abort without ending the fuzzer."""

from __future__ import annotations

import pickle
import select
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 60.0
Arrays = list[np.ndarray]


class OracleRefuses(Exception):
    """TFLM rejects the model, aborts, or does not come to an end."""


class RemoteOracle:
    """Answers one model after the other; a new process follows on one that died."""

    def __init__(self) -> None:
        self._worker: subprocess.Popen[bytes] | None = None

    def run(self, model: bytes, inputs: Sequence[Arrays]) -> list[Arrays]:
        """The outputs for each of several inputs. Raises OracleRefuses."""
        worker = self._worker or self._start()
        assert worker.stdin is not None and worker.stdout is not None
        try:
            send(worker.stdin, (model, list(inputs)))
            ready, _, _ = select.select([worker.stdout], [], [], SECONDS)
            if not ready:
                raise EOFError("the oracle takes too long")
            answer = receive(worker.stdout)
        except (EOFError, BrokenPipeError) as error:
            self.close()
            raise OracleRefuses(str(error) or "the oracle aborted") from None
        if isinstance(answer, str):
            raise OracleRefuses(answer)
        return answer

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "fuzz.oracle"]
        self._worker = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        return self._worker

    def close(self) -> None:
        """End the process, if there is one."""
        if self._worker is not None:
            self._worker.kill()
            self._worker.communicate()
            self._worker = None


def send(stream: IO[bytes], value: object) -> None:
    """Write one message: its length and its pickle."""
    data = pickle.dumps(value)
    stream.write(struct.pack("<Q", len(data)) + data)
    stream.flush()


def receive(stream: IO[bytes]):
    """Read what `send` wrote. Raises EOFError where the other side is gone."""
    header = stream.read(8)
    if len(header) < 8:
        raise EOFError("the oracle aborted")
    return pickle.loads(stream.read(struct.unpack("<Q", header)[0]))


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer requests until there are no more."""
    from tests.oracle import Oracle

    while True:
        try:
            model, inputs = receive(requests)
        except EOFError:
            return
        try:
            oracle = Oracle(model)
            answer: object = [oracle.run(arrays) for arrays in inputs]
        except (RuntimeError, ValueError) as error:
            answer = f"{type(error).__name__}: {error}"
        send(answers, answer)


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
