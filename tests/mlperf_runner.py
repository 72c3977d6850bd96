"""What the runner of MLPerf Tiny does with a board: commands in its order, data in its portions, and what it reads of answers.

Scripts are generators: they yield a command and are sent the lines of its answer. A `Played` line plays one without a port, `over`
one through a port that is open.
"""

import os
import re

import numpy as np

PORTION = 31
"""Bytes of an input in a command, without a power monitor between."""


def who():
    """Asks a board for its name, its profile and its model, and returns these."""
    found = {}
    for command in ("name", "profile"):
        for line in (yield command):
            if match := re.fullmatch(r"m-(name-dut|profile|model)-\[([^]]+)\]", line):
                found[match[1]] = match[2]
    return found


def loaded(data, portion=PORTION):
    """Loads an input; the last answer."""
    lines = yield f"db load {len(data)}"
    for at in range(0, len(data), portion):
        lines = yield f"db {data[at : at + portion].hex()}"
    return lines


def inferred(times, warm_ups):
    """The results, and the microseconds between the timestamps, None where there are none."""
    lines = yield f"infer {times} {warm_ups}"
    (results,) = (m[1] for line in lines if (m := re.fullmatch(r"m-results-\[([^]]+)\]", line)))
    laps = [int(m[1]) for line in lines if (m := re.fullmatch(r"m-lap-us-(\d+)", line))]
    return [float(text) for text in results.split(",")], laps[1] - laps[0] if laps else None


def accuracy(inputs):
    """The results of each input, once: accuracy mode."""
    results = []
    for data in inputs:
        yield from loaded(data)
        found, _ = yield from inferred(1, 0)
        results.append(found)
    return results


def performance(data, times, warm_ups=10, windows=5):
    """The inferences in a second, of the median of windows: performance mode."""
    rates = []
    for _ in range(windows):
        yield from loaded(data)
        _, elapsed = yield from inferred(times, warm_ups)
        rates.append(times / elapsed * 1e6)
    return float(np.median(rates))


class Played:
    """The other end of a serial port, where a script is played: what came of it is `result`, what was said `transcript`."""

    def __init__(self, script):
        self._script, self._text, self.transcript, self.result = script, "", [], None
        self._greeted = False

    def give(self, data):
        self._text += data.decode("ascii")

    def take(self):
        lines, self._text = answer(self._text), ""
        self.transcript += lines
        try:
            command = self._script.send(lines if self._greeted else None)
        except StopIteration as end:
            self.result = end.value
            return b""
        self._greeted = True
        self.transcript.append(f"{command}%")
        return f"{command}%".encode()


def over(script, port):
    """What comes of a script that is played through an open port."""
    lines = None
    while True:
        try:
            command = script.send(lines)
        except StopIteration as end:
            return end.value
        os.write(port, f"{command}%".encode())
        lines = answer(until_ready(port))


def until_ready(port):
    text = ""
    while not text.endswith("m-ready\r\n"):
        text += os.read(port, 4096).decode("ascii")
    return text


def answer(text):
    """The lines of an answer, which ends as all do."""
    lines = text.replace("\r", "").split("\n")
    assert lines[-2:] == ["m-ready", ""], lines
    return [line for line in lines[:-2] if line]
