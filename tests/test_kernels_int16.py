"""Edges of int16 and of 64-bit elements that random values seldom meet."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from smelt import compile, random_inputs
from smelt.kernels.binary import ADD, MUL
from smelt.model.arithmetic16 import halved_multiplier, requantize48
from smelt.model.graph import Quantization, Tensor
from smelt.model.ops import Add, Mul
from smelt.model.reference import evaluate
from smelt.report.verify import verify
from smelt.targets.cores.cortex_m4 import CORTEX_M4
from tests.kernels_host import run_calls
from tests.oracle import need_oracle
from tests.tflite_writer import ModelWriter

EDGES = np.array([-32768, -32767, -16385, -1, 0, 1, 16384, 32766, 32767], np.int16)


@pytest.mark.parametrize("kind, way", [(Add, ADD), (Mul, MUL)])
@pytest.mark.parametrize("scale_y", [0.7, 0.011, 19.3])
def test_all_pairs_of_edges(kind, way, scale_y):
    """-32768 squared is the one product whose double leaves int32, 32768 steps the one sum."""
    pairs = np.array(list(product(EDGES, EDGES)), np.int16)
    x, x2 = (Tensor(n, (len(pairs),), "int16", Quantization((s,), (0,))) for n, s in (("x", 0.31), ("x2", 0.17)))
    y = Tensor("y", (len(pairs),), "int16", Quantization((scale_y,), (0,)))
    op = kind(x=x, x2=x2, y=y, clamp=(-32768, 32767))
    values = {x: pairs[:, 0].copy(), x2: pairs[:, 1].copy()}
    calls = [way.build(op, schedule) for schedule in way.schedules(op, CORTEX_M4)]
    wanted = evaluate(op, *values.values())
    for found in run_calls(calls, [values] * len(calls), sanitize=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("right", [17, 18, 30, 45])
def test_the_upper_part_of_a_product_is_enough(right):
    """SMLAWB and a shift are the oracle's one rounding, for every shift that the short form takes."""
    rng = np.random.default_rng(right)
    totals = np.concatenate(
        (rng.integers(-(2**31), 2**31, 20000), rng.integers(-300, 300, 2000), [-(2**31), 2**31 - 1])
    )
    for multiplier in (2**30, 2**31 - 1, 1395864372):
        upper = (totals * int(halved_multiplier(multiplier)) >> 16) + (1 << (right - 17))
        assert np.all(np.abs(upper) < 2**31)
        np.testing.assert_array_equal(upper >> (right - 16), requantize48(totals, multiplier, 15 - right))


@pytest.mark.parametrize("board", ["pico", "nucleo_l4r5zi", "disco_f746ng", "esp32c3"])
def test_elements_of_64_bits_lie_at_words(board, tmp_path):
    """Cores read them by words: what faults on a double word that is no multiple of eight would be found here."""
    need_oracle()
    w = ModelWriter()
    kinds = {"a": ("int32", 9), "b": ("int64", 3), "c": ("int32", 9), "d": ("int64", 3)}
    inputs = [w.tensor(name, (size,), kind) for name, (kind, size) in kinds.items()]
    low, high, both = w.tensor("low", (3,), "int64"), w.tensor("high", (3,), "int64"), w.tensor("sum", (9,), "int32")
    w.op("MINIMUM", [inputs[1], inputs[3]], [low])
    w.op("MAXIMUM", [inputs[1], inputs[3]], [high])
    w.op("ADD", [inputs[0], inputs[2]], [both])
    path = tmp_path / "wide.tflite"
    path.write_bytes(w.finish(inputs, [low, high, both]))
    compilation = compile(path, board)
    wide = [p for p in compilation.plan.placements if p.name in ("b", "d", "low", "high")]
    assert any(p.offset % 8 for p in wide), [(p.name, p.offset) for p in compilation.plan.placements]
    found = verify(compilation, random_inputs(compilation.model, 3), "tflm", path)
    assert not found.mismatches, found.verdict
