"""ONE_HOT, TOPK_V2, and the moves that TensorFlow Lite Micro lacks: what LiteRT's reference kernels give, and the C."""

from __future__ import annotations

import numpy as np
import pytest

from fuzz.host import run_on_host
from smelt.importers.tflite import load_tflite
from smelt.model.reference import run
from tests.importer_cases import contradiction, refusal
from tests.reference_check import values
from tests.tflite_writer import ModelWriter

TYPES = ("int8", "int16", "int32", "int64", "uint8", "float32")


def both(model: bytes, inputs, folder) -> list[np.ndarray]:
    """What the reference gives; the C gives the same."""
    path = folder / "model.tflite"
    path.write_bytes(model)
    found = list(run(load_tflite(model, "model"), inputs))
    for mine, theirs in zip(run_on_host(path, [inputs])[0], found, strict=True):
        assert np.array_equal(mine, theirs)
    return found


@pytest.mark.parametrize("dtype", TYPES)
def test_top_k(dtype, tmp_path):
    """Equal values by the lower index first; the C takes the same."""
    w, rng = ModelWriter(), np.random.default_rng(1)
    quantized = (0.5, 0) if dtype in ("int8", "uint8", "int16") else ()
    x, y = w.tensor("x", (3, 9), dtype, *quantized), w.tensor("y", (3, 4), dtype, *quantized)
    places = w.tensor("places", (3, 4), "int32")
    w.op("TOPK_V2", [x, w.constant("k", 4)], [y, places])
    given = values(rng, (3, 9), dtype)
    given[1] = given[1][0]  # all alike
    given[2, 3] = given[2, 5]
    greatest, where = both(w.finish([x], [y, places]), [given], tmp_path)
    for row in range(3):
        wanted = sorted(range(9), key=lambda i: (-given[row, i].astype(object), i))[:4]
        assert where[row].tolist() == wanted and np.array_equal(greatest[row], given[row, wanted])


@pytest.mark.parametrize("axis", [-1, 0, 1])
@pytest.mark.parametrize("dtype", ["int8", "int32", "float32", "bool"])
def test_one_hot(dtype, axis, tmp_path):
    w = ModelWriter()
    indices = w.tensor("indices", (2, 3), "int32")
    shape = [2, 3]
    shape.insert(axis % 3, 4)
    quantized = (0.5, 0) if dtype == "int8" else ()
    on, off = (w.tensor(name, (), dtype, *quantized, data=value) for name, value in (("on", 1), ("off", 0)))
    y = w.tensor("y", shape, dtype, *quantized)
    w.op("ONE_HOT", [indices, w.constant("depth", 4), on, off], [y], Axis=axis)
    given = np.array([[0, 3, 1], [4, -1, 2]], np.int32)
    (found,) = both(w.finish([indices], [y]), [given], tmp_path)
    assert np.array_equal(found, np.moveaxis(given[..., np.newaxis] == np.arange(4), -1, axis).astype(dtype))


def test_tile(tmp_path):
    w, x = ModelWriter(), np.arange(12, dtype=np.int16).reshape(2, 1, 6)
    a, y = w.tensor("x", x.shape, "int16", 0.5, 0), w.tensor("y", (4, 3, 6), "int16", 0.5, 0)
    w.op("TILE", [a, w.constant("times", [2, 3, 1])], [y])
    assert np.array_equal(both(w.finish([a], [y]), [x], tmp_path)[0], np.tile(x, (2, 3, 1)))


@pytest.mark.parametrize(("time", "batch"), [(1, 0), (0, 1), (2, 1)])
def test_reverse_sequence(time, batch, tmp_path):
    w, x = ModelWriter(), np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    lengths = np.arange(1, x.shape[batch] + 1) % (x.shape[time] + 1)
    a, y = w.tensor("x", x.shape, "float32"), w.tensor("y", x.shape, "float32")
    w.op("REVERSE_SEQUENCE", [a, w.constant("lengths", lengths)], [y], SeqDim=time, BatchDim=batch)
    wanted = x.copy()
    view = np.moveaxis(wanted, (batch, time), (0, 1))
    for row, n in enumerate(lengths):
        view[row, :n] = view[row, :n][::-1].copy()
    assert np.array_equal(both(w.finish([a], [y]), [x], tmp_path)[0], wanted)


def test_scatter_nd(tmp_path):
    w, x = ModelWriter(), np.arange(1, 13, dtype=np.int32).reshape(2, 2, 3)
    a, y = w.tensor("x", x.shape, "int32"), w.tensor("y", (4, 2, 3), "int32")
    places = np.array([[[3, 1], [0, 0]], [[2, 1], [1, 0]]])
    w.op("SCATTER_ND", [w.constant("places", places), a, w.constant("shape", [4, 2, 3])], [y])
    wanted = np.zeros((4, 2, 3), np.int32)
    wanted[tuple(np.moveaxis(places, -1, 0))] = x
    assert np.array_equal(both(w.finish([a], [y]), [x], tmp_path)[0], wanted)


def test_paddings_of_space_to_batch_have_the_zero_point(tmp_path):
    """The oracle leaves whatever was in memory."""
    w, x = ModelWriter(), np.arange(3, dtype=np.int8).reshape(1, 3, 1)
    a, y = w.tensor("x", x.shape, "int8", 0.5, 7), w.tensor("y", (2, 2, 1), "int8", 0.5, 7)
    w.op("SPACE_TO_BATCH_ND", [a, w.constant("block", [2]), w.constant("paddings", [[0, 1]])], [y])
    assert both(w.finish([a], [y]), [x], tmp_path)[0].reshape(-1).tolist() == [0, 2, 1, 7]


def test_indices_that_are_computed_are_kept_inside(tmp_path):
    w, x = ModelWriter(), np.arange(12, dtype=np.int8).reshape(4, 3)
    a, places = w.tensor("x", x.shape, "int8", 0.5, 0), w.tensor("places", (5,), "int32")
    y = w.tensor("y", (5, 3), "int8", 0.5, 0)
    w.op("GATHER", [a, places], [y])
    given = np.array([3, -1, 9, 2**31 - 1, -(2**31)], np.int32)
    assert np.array_equal(both(w.finish([a, places], [y]), [x, given], tmp_path)[0], x[[3, 0, 3, 3, 0]])


def one(code, shapes, *constants, **options):
    w = ModelWriter()
    x, y = (w.tensor(name, shape, "int8", 0.5, 0) for name, shape in zip("xy", shapes, strict=True))
    w.op(code, [x, *(w.constant(f"c{n}", value) for n, value in enumerate(constants))], [y], **options)
    return w, [x], [y]


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (one("GATHER", ((4,), (1,)), [4]), "outside"),
        (one("GATHER", ((4,), (1,)), [-1]), "outside"),
        (one("GATHER_ND", ((4,), (1,)), [[0, 0]]), "do not address"),
        (one("TILE", ((4,), (8,)), [2, 1]), "multiples"),
        (one("BROADCAST_TO", ((4,), (8,)), [8]), "cannot be repeated"),
        (one("MIRROR_PAD", ((4,), (8,)), [[4, 0]]), "mirrored"),
        (one("REVERSE_V2", ((4,), (4,)), [1]), "axis 1"),
        (one("DEPTH_TO_SPACE", ((1, 2, 2, 3), (1, 4, 4, 1)), BlockSize=2), "no blocks"),
        (one("SPACE_TO_DEPTH", ((1, 3, 2, 1), (1, 1, 1, 4)), BlockSize=2), "whole blocks"),
        (one("SPACE_TO_DEPTH", ((1, 3, 2, 1), (1, 1, 1, 4)), BlockSize=0), "block is 0"),
        (one("SPACE_TO_BATCH_ND", ((1, 3, 1), (2, 1, 1)), [2], [[0, 0]]), "multiple"),
        (one("BATCH_TO_SPACE_ND", ((3, 1, 1), (1, 2, 1)), [2], [[0, 0]]), "do not fit"),
        (one("TILE", ((4,), (9,)), [2]), "[9]"),
    ],
)  # fmt: skip
def test_contradictions(case, words):
    assert words in contradiction(*case)


def test_shapes_that_run_are_refused():
    w = ModelWriter()
    x, times = w.tensor("x", (4,), "int8", 0.5, 0), w.tensor("times", (1,), "int32")
    y = w.tensor("y", (8,), "int8", 0.5, 0)
    w.op("TILE", [x, times], [y])
    assert "computed while the model runs" in "\n".join(refusal(w, [x, times], [y]))
