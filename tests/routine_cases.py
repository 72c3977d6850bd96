"""Small layers whose kernels call every routine there is, on the smallest and on odd sizes."""

from __future__ import annotations

from functools import cache, partial
from itertools import islice
from typing import Any, Literal
from zlib import crc32

import numpy as np

from smelt.kernels import IMPLEMENTATIONS
from smelt.kernels.routines import ROUTINES
from smelt.loops.kernel import Kernel
from smelt.loops.routine import Routine
from smelt.model.graph import Op, Quantization, Tensor
from smelt.model.ops import Add, Binary, Dense, Lookup, Mul, Quantize, Softmax
from smelt.model.reference import evaluate
from smelt.model.rescale import linear_rescale
from smelt.planner.ways import op_key
from smelt.targets.cores.cortex_m4 import CORTEX_M4
from smelt.targets.cores.cortex_m7 import CORTEX_M7
from smelt.targets.cores.cortex_m33 import CORTEX_M33
from smelt.targets.cores.ri5cy import RI5CY
from tests.mac_cases import RELU, Maker, fine_numbers, large_numbers, of_bits, of_sums, rounded, small_numbers
from tests.test_kernels_mac import inputs_of
from tests.thumb_programs import Case

SCHEDULES = 3  # of a way to compute a layer on a core
CORES = (CORTEX_M4, CORTEX_M7, CORTEX_M33)


def layers() -> list[Op]:
    m, around, narrow = Maker(70), (1, 1, 1, 1), "tensor narrow"
    return [
        m.conv((1, 3, 3, 3), 2, (3, 3), pad=around, style="narrow"),
        m.conv((1, 5, 2, 3), 3, (3, 3), pad=around, style="narrow"),
        m.conv((1, 4, 4, 12), 2, (3, 3), pad=around, style="narrow"),
        m.conv((1, 4, 1, 12), 2, (3, 1), pad=(1, 1, 0, 0), style="narrow"),
        m.conv((1, 4, 7, 20), 2, (1, 1), stride=(2, 2), style="narrow"),
        m.conv((1, 1, 52, 8), 3, (1, 1), stride=(1, 2), style=narrow),
        m.conv((1, 2, 2, 4), 2, (3, 3), pad=around, style="narrow"),
        m.conv((1, 2, 4, 4), 2, (3, 3), pad=around, style="narrow"),
        m.conv((1, 6, 4, 16), 2, (3, 3), pad=around, style="narrow"),
        m.conv((1, 4, 8, 16), 2, (3, 3), pad=around, clamp=RELU, style="narrow"),
        m.conv((1, 4, 12, 16), 2, (3, 3), pad=around, style="narrow"),
        m.conv((1, 4, 8, 32), 2, (3, 3), pad=around, style="narrow"),
        m.conv((1, 4, 12, 32), 2, (3, 3), pad=around, style="narrow"),
        m.conv((1, 4, 4, 64), 2, (3, 3), pad=around, clamp=RELU, style="narrow"),
        m.conv((1, 1, 3, 9), 2, (1, 1), clamp=RELU, style="narrow"),
        m.conv((1, 3, 5, 34), 5, (1, 1), clamp=RELU, style=narrow),
        m.conv((1, 5, 7, 3), 3, (3, 3), pad=around, clamp=RELU, style="narrow"),
        m.conv((1, 2, 2, 8), 9, (1, 1), clamp=RELU),
        m.conv((1, 3, 7, 8), 3, (1, 1), clamp=RELU, style="tensor"),
        m.depthwise((1, 1, 4, 7), 1, (3, 3), pad=around, clamp=RELU),
        m.depthwise((1, 5, 7, 2), 1, (3, 3), pad=around, clamp=RELU),
        m.depthwise((1, 4, 8, 2), 1, (3, 3), pad=around),
        m.depthwise((1, 7, 9, 1), 1, (3, 3), pad=around, clamp=RELU, bias="none"),
        m.depthwise((1, 3, 9, 1), 1, (3, 3), pad=around, stride=(2, 2), clamp=RELU),
        m.depthwise((1, 8, 12, 7), 1, (3, 3), pad=(0, 1, 0, 1), stride=(2, 2), clamp=RELU),
        m.dense(1, 4, 2, style="narrow"),
        m.dense(2, 20, 10, style="narrow"),
        m.dense(1, 8, 6, style=narrow),
        m.dense(1, 24, 44, style=narrow),
        m.dense(2, 8, 8, style=narrow, rectified=True),
        m.dense(1, 31, 32, style=narrow, rectified=True),
        *(
            rounded(op, how)
            for how in ("even", "floor")
            for op in (
                m.conv((1, 4, 8, 16), 2, (3, 3), pad=around, style="narrow"),
                m.conv((1, 3, 5, 34), 5, (1, 1), style=narrow),
                m.conv((1, 3, 7, 8), 3, (1, 1), style="tensor"),
                m.depthwise((1, 4, 8, 2), 1, (3, 3), pad=around),
                m.depthwise((1, 8, 12, 7), 1, (3, 3), pad=(0, 1, 0, 1), stride=(2, 2)),
            )
        ),
        rounded(m.conv((1, 1, 5, 8), 5, (1, 1)), "pow2"),
        rounded(m.dense(1, 6, 4), "pow2"),
        m.conv((1, 1, 4, 5), 4, (1, 1)),
        m.depthwise((1, 4, 8, 2), 1, (3, 3), pad=around),
        m.depthwise((1, 5, 8, 1), 1, (3, 3), stride=(2, 2), pad=(0, 0, 0, 1)),
        small_numbers(m.conv((1, 3, 4, 3), 5, (2, 1), style=narrow)),
        small_numbers(m.dense(1, 9, 4, style=narrow)),
        large_numbers(m.conv((1, 3, 4, 3), 5, (2, 1), style=narrow)),
        large_numbers(m.dense(1, 9, 4, style=narrow)),
        small_numbers(m.depthwise((1, 4, 8, 2), 1, (3, 3), pad=around, style=narrow)),
        small_numbers(m.depthwise((1, 5, 8, 1), 1, (3, 3), stride=(2, 2), pad=(0, 0, 0, 1), style=narrow)),
        rounded(m.depthwise((1, 5, 8, 1), 1, (3, 3), stride=(2, 2), pad=(0, 0, 0, 1), style=narrow), "even"),
        large_numbers(m.depthwise((1, 4, 8, 3), 1, (3, 3), pad=around, style=narrow)),
        large_numbers(m.depthwise((1, 5, 8, 3), 1, (3, 3), stride=(2, 2), pad=(0, 0, 0, 1), style=narrow)),
        rounded(m.conv((1, 1, 4, 5), 4, (1, 1), style=narrow), "even"),
        *(
            of_bits(how(op), bits)
            for bits in (4, 2)
            for op in (
                m.conv((1, 1, 4, 119), 25, (1, 1), style=narrow, bias="none"),
                m.dense(1, 119, 25, style=narrow, bias="none"),
            )
            for how in (small_numbers, fine_numbers, partial(rounded, how="pow2"))
        ),
        *(of_sums(m.conv((1, 3, 5, 3), 5, (2, 2)), how) for how in ("narrow", "split", "wide")),
        *(of_sums(m.dense(1, 9, 4), how) for how in ("narrow", "split", "wide")),
        rounded(m.dense(2, 20, 10, style=narrow, bias="none"), "even"),
        rounded(m.dense(1, 8, 6, style=narrow, bias="none"), "even"),
        rounded(m.dense(1, 4, 2, style=narrow, bias="none"), "even"),
        rounded(m.dense(2, 8, 8, style=narrow, rectified=True, bias="none"), "even"),
        quantize(29, 0.37, -7),
        quantize(16, 1e-9, 0),
        quantize(29, 2.0, 12, "ties_even"),
        quantize(16, 1e-9, 0, "ties_even"),
        dense_of_reals(2, 7, 19),
        dense_of_reals(1, 1, 8),
        binary(Add, (16,), 0.031),
        binary(Add, (3, 19), 0.007, subtract=True),
        binary(Mul, (2, 3, 16), 0.002),
        binary(Mul, (29,), 0.02),
        lookup(16),
        lookup(27, "uint8"),
        softmax(1, 40, 0.02),
        softmax(3, 13, 0.6),
    ]


def quantize(count: int, scale: float, zero: int, rounding: Literal["tflm", "ties_even"] = "tflm") -> Op:
    y = Tensor("y", (count,), "int8", Quantization((float(np.float32(scale)),), (zero,)))
    return Quantize(x=Tensor("x", (count,), "float32"), y=y, rounding=rounding)


def dense_of_reals(rows: int, depth: int, units: int) -> Op:
    """Weights that are powers of two: products are exact, so that it does not matter whether they are rounded."""
    exponents = np.random.default_rng(depth).integers(-3, 4, (units, depth))
    weights = Tensor("weights", (units, depth), "float32", data=np.ldexp(np.float32(1), exponents).astype(np.float32))
    bias = Tensor("bias", (units,), "float32", data=np.arange(units, dtype=np.float32) - 5)
    x, y = Tensor("x", (rows, depth), "float32"), Tensor("y", (rows, units), "float32")
    rescale = linear_rescale(weights, weights, y, (0.0, np.inf))
    return Dense(x=x, weights=weights, bias=bias, y=y, rescale=rescale)


def binary(kind: type[Binary], shape: tuple[int, ...], scale: float, **more: Any) -> Op:
    def tensor(name: str, scale: float, zero: int) -> Tensor:
        return Tensor(name, shape, "int8", Quantization((float(np.float32(scale)),), (zero,)))

    return kind(x=tensor("x", 0.0213, -128), x2=tensor("x2", scale, 127), y=tensor("y", 0.0301, -5), **more)


def lookup(count: int, dtype: str = "int8") -> Op:
    data = np.random.default_rng(count).integers(0, 256, 256).astype(np.uint8).view(dtype)
    table = Tensor("table", (256,), dtype, None, data)
    return Lookup(x=Tensor("x", (count,), dtype), table=table, y=Tensor("y", (count,), dtype))


def softmax(rows: int, classes: int, scale: float) -> Op:
    x = Tensor("x", (rows, classes), "int8", Quantization((float(np.float32(scale)),), (3,)))
    return Softmax(x=x, y=Tensor("y", x.shape, "int8", Quantization((1 / 256,), (-128,))))


def routines_of(kernel: Kernel) -> set[Routine]:
    return {c.routine for c in kernel.calls}


@cache
def every_case() -> tuple[Case, ...]:
    """For each layer kernels that call every routine that there is for it, whatever core they are for."""
    found: dict[str, Case] = {}
    for op in layers():
        values = tuple(inputs_of(op, crc32(op_key(op).encode())))  # its own: other layers change nothing for it
        expected = evaluate(op, *values)
        used: set[Routine] = set()
        tried = set[tuple[str, object]]()  # cores share most of them
        for core in (*CORES, RI5CY):
            for implementation in IMPLEMENTATIONS:
                if not implementation.takes(op, core):
                    continue
                for schedule in islice(implementation.schedules(op, core), SCHEDULES):
                    if (implementation.name, schedule) in tried:
                        continue
                    tried.add((implementation.name, schedule))
                    call = implementation.build(op, schedule)
                    if routines_of(call.kernel) - used:  # another schedule with the same routines shows nothing new
                        used |= routines_of(call.kernel)
                        found.setdefault(call.kernel.name, Case(op, call, values, expected))
    return tuple(found.values())


@cache
def few_cases() -> tuple[Case, ...]:
    """As few of them as call every routine: the one with the most that are new, one after the other."""
    left, chosen, cases = set(ROUTINES), [], list(every_case())
    while left:
        best = max(cases, key=lambda c: len(routines_of(c.call.kernel) & left))
        assert routines_of(best.call.kernel) & left, f"no case calls {sorted(f.name for f in left)}"
        chosen.append(best)
        left -= routines_of(best.call.kernel)
    return tuple(chosen)
