"""TFLM_DECODE: constants that are stored compressed, against TensorFlow Lite Micro."""

from __future__ import annotations

import heapq
from itertools import count

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.compile import compile
from smelt.errors import ModelError, Unsupported
from smelt.importers.tflite import convert, load_tflite
from smelt.importers.tflite_file import read_model
from smelt.model.dtypes import element_type
from smelt.report.verify import verify
from smelt.targets.boards import board
from tests.oracle import Oracle
from tests.reference_check import cases, seeds, values
from tests.tflite_writer import ModelWriter

HEADER = {"kind": 0, "version": 1, "own": 1, "parameter": 0, "stride": 0}


def header(**fields: int) -> bytes:
    f = HEADER | fields
    return bytes([f["kind"], f["version"], 0, 0, f["own"], f["parameter"], f["stride"], *bytes(9)])


def packed(numbers: np.ndarray, bits: int) -> bytes:
    """Numbers of `bits` bits, the most significant bit first."""
    return np.packbits((numbers.reshape(-1, 1) >> np.arange(bits)[::-1]) & 1).tobytes()


class Decoding:
    """A model that decodes one tensor beside an operator on its input."""

    def __init__(self, shape, dtype, scales=(), zeros=0, axis=None) -> None:
        self.w = ModelWriter()
        self.x, self.y = (self.w.tensor(name, (1, 4), "int8", 0.5, 3) for name in ("x", "y"))
        self.w.op("RELU", [self.x], [self.y])
        self.z = self.w.tensor("z", shape, dtype, scales, zeros, axis=axis)

    def model(self, code: bytes, how: bytes) -> bytes:
        given = [self.w.constant(n, np.frombuffer(d, np.uint8), "uint8") for n, d in (("code", code), ("how", how))]
        self.w.op("CUSTOM TFLM_DECODE", given, [self.z])
        return self.w.finish([self.x], [self.y, self.z])


def check(model: bytes, expected: np.ndarray) -> None:
    """What is decoded is that of the oracle (as an output, which no network may have quantised per channel)."""
    found = convert(read_model(model)).outputs[1].constant
    np.testing.assert_array_equal(found, expected)
    theirs = Oracle(model).run([np.zeros((1, 4), np.int8)])[1]
    np.testing.assert_array_equal(found, np.asarray(theirs).reshape(found.shape))


shapes = st.lists(st.integers(1, 7), min_size=1, max_size=3).map(tuple)
types = st.sampled_from(["int8", "int16", "int32", "int64", "bool", "float32"])


@cases(40)
@given(seed=seeds, shape=shapes, dtype=types, bits=st.integers(1, 7), axis=st.sampled_from([None, 0, -1]))
def test_tables(seed, shape, dtype, bits, axis):
    rng, axis = np.random.default_rng(seed), None if axis is None else axis % len(shape)
    channels = 1 if axis is None or dtype != "int8" else shape[axis]
    scales = tuple(rng.uniform(0.1, 1, channels).astype(np.float32)) if dtype == "int8" else ()
    size = min(2**bits, int(rng.integers(1, 2**bits + 1)))
    tables = values(rng, (channels, size), dtype)
    numbers = rng.integers(0, size, shape)
    at = np.zeros(shape, int)
    if channels > 1:
        at = np.arange(channels).reshape([-1 if a == axis else 1 for a in range(len(shape))]) + at
    how = header(parameter=bits, stride=size) + element_type(dtype).pack(tables)
    model = Decoding(shape, dtype, scales, axis=axis if channels > 1 else None).model(packed(numbers, bits), how)
    check(model, tables[at, numbers])


@cases(30)
@given(seed=seeds, shape=shapes, dtype=types, share=st.floats(0, 1), axis=st.sampled_from([None, 0, -1]))
def test_pruned(seed, shape, dtype, share, axis):
    rng, axis = np.random.default_rng(seed), None if axis is None else axis % len(shape)
    channels = 1 if axis is None or dtype != "int8" else shape[axis]
    scales = tuple(rng.uniform(0.1, 1, channels).astype(np.float32)) if dtype == "int8" else ()
    zeros = rng.integers(-128, 128, channels)
    at = np.zeros(shape, int)
    if channels > 1:
        at = np.arange(channels).reshape([-1 if a == axis else 1 for a in range(len(shape))]) + at
    stored, kept = values(rng, shape, dtype), rng.random(shape) < share
    how = header(kind=2) + element_type(dtype).pack(stored[kept])
    decoding = Decoding(shape, dtype, scales, tuple(zeros) if scales else 0, axis if channels > 1 else None)
    zero = zeros[at] if scales else np.zeros(shape, int)
    check(decoding.model(packed(kept.astype(int), 1), how), np.where(kept, stored, zero.astype(stored.dtype)))


def codes_of(symbols: np.ndarray) -> dict[int, str]:
    """A Huffman code of the symbols that there are."""
    found, number = np.unique(symbols, return_counts=True)
    order = count()
    heap = [(int(n), next(order), {int(s): ""}) for s, n in zip(found, number, strict=True)]
    heapq.heapify(heap)
    while len(heap) > 1:
        (a, _, low), (b, _, high) = heapq.heappop(heap), heapq.heappop(heap)
        both = {s: "0" + c for s, c in low.items()} | {s: "1" + c for s, c in high.items()}
        heapq.heappush(heap, (a + b, next(order), both))
    (_, _, codes) = heap[0]
    return codes if len(codes) > 1 else {s: "0" for s in codes}


def tables_of(codes: dict[int, str], first: int, bits: int) -> list[int]:
    """Entries of `bits` bits: a table of the first bits of codes, and one behind it for each beginning that has longer codes."""
    top = bits - 5
    table = [0] * 2**first
    for start in range(2**first):
        prefix = format(start, f"0{first}b")
        longer = {s: c[first:] for s, c in codes.items() if len(c) > first and c.startswith(prefix)}
        if longer:
            more = max(map(len, longer.values()))
            table[start] = ((more - 1) << top) | (len(table) - start)
            table += entries(longer, more, bits)
        else:
            (table[start],) = entries({s: c for s, c in codes.items() if prefix.startswith(c)}, first, bits, [prefix])
    return table


def entries(codes: dict[int, str], size: int, bits: int, places: list[str] | None = None) -> list[int]:
    top, mask, found = bits - 5, (1 << (bits - 5)) - 1, []
    for place in places or [format(i, f"0{size}b") for i in range(2**size)]:
        symbol, code = next(((s, c) for s, c in codes.items() if place.startswith(c)), (0, "0" * min(size, 15)))
        found.append((1 << (bits - 1)) | (len(code) << top) | (symbol & mask))
    return found


@cases(30)
@given(
    seed=seeds, size=st.integers(1, 120), first=st.integers(1, 6), wide=st.sampled_from(["int8", "int8 of 32", "int16"])
)
def test_huffman(seed, size, first, wide):
    rng, dtype = np.random.default_rng(seed), wide[:5].strip()
    spread = 3 if wide == "int8" else float(rng.choice([1, 12]))
    symbols = np.clip(rng.normal(0, spread, size), -128, 127).astype(dtype) * (100 if dtype == "int16" else 1)
    codes, bits = codes_of(symbols), 16 if wide == "int8" else 32
    table = tables_of(codes, first, bits)
    stream = "".join(codes[int(s)] for s in symbols)
    code = np.packbits([int(b) for b in stream] + [0] * (-len(stream) % 32)).tobytes()
    how = header(kind=1, parameter=((first - 1) << 4) | (bits == 32)) + np.array(table, f"<u{bits // 8}").tobytes()
    check(Decoding((size,), dtype, 0.5 if dtype == "int8" else ()).model(code, how), symbols)


def test_weights_that_are_decoded_are_weights(tmp_path):
    rng, w, path = np.random.default_rng(5), ModelWriter(), tmp_path / "model.tflite"
    x, y = w.tensor("x", (1, 16), "int8", 0.5, 3), w.tensor("y", (1, 4), "int8", 4.0, 0)
    weights = w.tensor("weights", (4, 16), "int8", (0.1, 0.2, 0.3, 0.4), 0, axis=0)
    how = header(parameter=4, stride=16) + values(rng, (4, 16), "int8").tobytes()
    code = w.constant("code", rng.integers(0, 256, 32), "uint8")
    w.op("CUSTOM TFLM_DECODE", [code, w.constant("how", np.frombuffer(how, np.uint8), "uint8")], [weights])
    w.op("FULLY_CONNECTED", [x, weights], [y])
    path.write_bytes(w.finish([x], [y]))
    compilation = compile(path, board("nucleo_l4r5zi"))
    assert len(compilation.plan.steps) == 1
    xs = [(values(rng, (1, 16), "int8"),) for _ in range(5)]
    assert verify(compilation, xs, "tflm", path).mismatches == 0


FOUND = np.array([0x8800] * 2, "<u2").tobytes()  # a table of one bit: 0 and 1 are the symbol 0


@pytest.mark.parametrize(
    ("code", "how", "words"),
    [
        (bytes(4), header()[:9], "9 bytes"),
        (bytes(4), header(kind=127), "way 127"),
        (bytes(4), header(version=2, parameter=1), "versions 2 and 1"),
        (bytes(4), header(own=3, parameter=1), "versions 1 and 3"),
        (bytes(4), header(), "0 bits"),
        (bytes(3), header(parameter=4) + bytes(16), "3 bytes, not 4"),
        (b"\1\2\3\4", header(parameter=4) + bytes(4), "behind its table of 4"),
        (b"\xff", header(kind=2) + bytes(7), "8 values"),
        (b"\xff", header(kind=2), "8 values"),
        (bytes(4), header(kind=1), "behind its tables of 0"),
        (b"", header(kind=1) + FOUND, "ends"),
        (b"\0", header(kind=1, parameter=0x10) + np.full(4, 0x9000, "<u2").tobytes(), "ends after 5 of 8"),
        (bytes(4), header(kind=1) + bytes(4), "ends after 0 of 8"),
        (b"\xff" * 4, header(kind=1) + np.array([0x07FF] * 2, "<u2").tobytes(), "behind its tables of 2"),
    ],
)
def test_codes_that_make_no_sense(code, how, words):
    with pytest.raises((ModelError, Unsupported), match=words):
        load_tflite(Decoding((8,), "int8", 0.5).model(code, how), "m")
