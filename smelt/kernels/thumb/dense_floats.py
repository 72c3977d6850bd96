"""Dense layers in float32: the sums of eight units at a time, products added without being rounded.

The weights of eight units for an element of x lie side by side: a round loads a line of a cache, so that no miss waits for
another, and in two halves, so that the products with the first do not wait.
"""

from __future__ import annotations

from smelt.loops.assembly.builder import Assembler
from smelt.loops.assembly.compile import LOOP_ALIGN
from smelt.loops.assembly.ir import STACK, Code, Place, Register
from smelt.loops.assembly.timing import Timing

PARAMETERS = ("y", "x", "w", "bias", "depth", "blocks")
UNITS = 8
HALF = UNITS // 2
BYTES = 4 * UNITS


def dense_floats(timing: Timing) -> Code:
    a = Assembler("dense_eights", PARAMETERS)
    kept = a.room("kept", UNITS)
    left_at = a.slot("left")
    y, x, w, bias = (a.argument(name) for name in PARAMETERS[:4])
    sums = [a.float(f"s{n}", f"s{n}") for n in range(UNITS)]
    weights = [a.float(f"s{n}", f"s{n}") for n in range(16, 16 + UNITS)]  # which belong to the caller
    a.do("vstmia", Place(a.address(kept), step=BYTES, region=STACK), *weights)
    a.put(left_at, a.get(a.passed("blocks")))
    a.label("block")
    zero = a.new("mov", 0, into="zero")
    for first in range(0, UNITS, 2):
        a.do("vmov", *sums[first : first + 2], zero, zero)
    at = a.new("mov", x, into="at")
    left = a.get(a.passed("depth"))
    a.label("element", LOOP_ALIGN)
    _element(a, at, w, sums, weights)
    a.do("subs", left, left, 1)
    a.branch("ne", "element")
    a.do("vldmia", Place(bias, step=BYTES, region="bias"), *weights)
    for sum, weight in zip(sums, weights, strict=True):
        a.do("vadd.f32", sum, sum, weight)
    a.do("vstmia", Place(y, step=BYTES, region="y"), *sums)
    blocks = a.get(left_at)
    a.do("subs", blocks, blocks, 1)
    a.put(left_at, blocks)
    a.branch("ne", "block")
    a.do("vldmia", Place(a.address(kept), step=BYTES, region=STACK), *weights)
    return a.finish()


def _element(a: Assembler, at: Register, w: Register, sums: list[Register], weights: list[Register]) -> None:
    """The products of an element of x."""
    value = a.float("x")
    halves = weights[:HALF], weights[HALF:]
    a.do("vldmia", Place(w, step=4 * HALF, region="w"), *halves[0])
    a.do("vldr", value, Place(at, region="x"))
    a.do("add", at, at, 4)
    a.do("vldmia", Place(w, step=4 * HALF, region="w"), *halves[1])
    a.label("products")  # all loads come before them: a miss is waited for once
    for sum, weight in zip(sums, weights, strict=True):
        a.do("vfma.f32", sum, weight, value)
