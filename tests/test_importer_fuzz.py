"""Damaged .tflite files: whatever is in them, only a SmeltError may come out, and soon.

The same mutations in every run: bits, bytes and words exchanged, pieces copied, cut off, or all random. Most aim at the
tables of a file, not at its weights, where any byte is as good as another.
"""

from __future__ import annotations

import random
import time
import tracemalloc
from collections import Counter
from contextlib import suppress

import pytest

from fuzz.mutations import Target
from smelt.errors import ModelError, SmeltError, Unsupported
from smelt.importers.tflite import describe_tflite, load_tflite
from tests.every_operator import Q, computing, gathering, moving, remembering
from tests.paths import MODELS
from tests.tflite_writer import ModelWriter, _Serializer

MUTATIONS = 700  # of each file
SECONDS = 5.0  # of this process's own time, the most that one file may take
REAL = ("tflm/hello_world_int8", "tflm/micro_speech_quantized", "mlperf_tiny/kws_ref_model", "tflm/hello_world_float")


def outcome(file: bytes) -> str:
    """How reading ends; anything but a SmeltError passes through and fails the test."""
    try:
        load_tflite(file, "mutant")
        return "loads"
    except SmeltError as error:
        assert isinstance(error, ModelError | Unsupported) and str(error)
        return type(error).__name__


def sources() -> dict[str, bytes]:
    """The files to be damaged: written ones and real ones."""
    real = {name: (MODELS / f"{name}.tflite").read_bytes() for name in REAL}
    written = {"computing": computing(), "moving": moving(), "gathering": gathering(), "remembering": remembering()}
    return written | real


def test_the_written_files_are_sound():
    for file in (computing(), moving(), gathering(), remembering()):
        assert load_tflite(file, "zoo").ops


@pytest.mark.parametrize("name", ["computing", "moving", "gathering", "remembering", *REAL])
def test_mutations(name):
    target, chance, seen = Target.of(sources()[name]), random.Random(name), Counter()
    for number in range(MUTATIONS):
        mutant = target.mutant(chance)
        started = time.process_time()
        seen[outcome(mutant)] += 1
        if number % 10 == 0:
            described(mutant)
        assert time.process_time() - started < SECONDS, f"mutation {number} of {name} takes too long"
    assert seen["ModelError"] > MUTATIONS // 10 and seen["Unsupported"], seen


def described(file: bytes) -> None:
    with suppress(ModelError):
        assert describe_tflite(file, "mutant").format == "tflite"


@pytest.mark.parametrize("make", [computing, moving])
def test_every_truncation(make):
    file = make()
    for size in range(0, len(file) - 1, 7):
        assert outcome(file[:size]) in ("ModelError", "Unsupported", "loads")


def test_every_word_set_to_the_extremes():
    """One after the other, in turn to the largest and to -1: no word of a file makes anything but a message."""
    file = moving()
    for at in range(0, len(file) - 4, 4):
        word = (0x7FFFFFFF, 0xFFFFFFFF)[at // 4 % 2]
        outcome(file[:at] + word.to_bytes(4, "little") + file[at + 4 :])


@pytest.mark.parametrize("count", [15_000, 200_000])
def test_a_small_file_cannot_pretend_to_be_enormous(count):
    """Very many operators, all at the same place, cost neither time nor memory nor a screenful of text."""
    bomb = many_operators(count)
    assert len(bomb) < 5 * count
    tracemalloc.start()
    started = time.process_time()
    with pytest.raises(ModelError) as refused:
        load_tflite(bomb, "bomb")
    assert time.process_time() - started < 3 * SECONDS
    assert tracemalloc.get_traced_memory()[1] < 400 << 20
    assert len(str(refused.value)) < 50_000
    tracemalloc.stop()


class _Shared(_Serializer):
    """Writes one operator table for all operators."""

    made: int | None = None

    def operator(self, op, codes) -> int:
        self.made = self.made or super().operator(op, codes)
        return self.made


def many_operators(count: int) -> bytes:
    """A file whose vector of operators has `count` entries that all point at one operator with many inputs."""
    w = ModelWriter()
    x, y = w.tensor("x", (4,), "int8", *Q), w.tensor("y", (200,), "int8", *Q)
    w.op("CONCATENATION", [x] * 50, [y])
    return _Shared().model([(w._tensors, w._operators * count, [x], [y])], w._buffers)
