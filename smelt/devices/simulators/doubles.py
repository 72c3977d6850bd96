"""The double-precision arithmetic of FPv5, which Unicorn does not know: an undefined instruction to it, which is then done here.

Values are 64-bit patterns, results those of the Arm architecture with rounding to nearest: NaNs keep their payload (a signalling
operand first, then the first quiet one), invalid operations give the default NaN. The cumulative exception flags are not kept.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from fractions import Fraction

import numpy as np

SIGN, QUIET, DEFAULT_NAN, INFINITY = 1 << 63, 1 << 51, 0x7FF8 << 48, 0x7FF0 << 48
MASK32, MASK64 = (1 << 32) - 1, (1 << 64) - 1
LESS, EQUAL, GREATER, UNORDERED = 8, 6, 2, 3  # N, Z, C, V
OTHER_MODES = (
    0x1F << 22
)  # of the FPSCR: half precision without infinities, default NaNs, flushing to zero, rounding not to nearest

Registers = Callable[[str], int]


class Doubles:
    """Executes instructions on the registers that `get(name)` and `set(name, value)` reach: "s0" to "s31", "fpscr", "apsr"."""

    def __init__(self, get: Registers, set: Callable[[str, int], None]) -> None:
        self._get, self._set = get, set

    def execute(self, code: bytes) -> bool:
        """Do the instruction of four bytes of Thumb code; False if it is no arithmetic in double precision, or the program has
        chosen other modes than those of a reset."""
        if not is_double(code):
            return False
        word = _word(code)
        if self._get("fpscr") & OTHER_MODES:
            return False
        return self._always(word) if word >> 28 == 0xF else self._arithmetic(word)

    def _double(self, number: int) -> int:
        return self._get(f"s{2 * number}") | self._get(f"s{2 * number + 1}") << 32

    def _put(self, number: int, value: int) -> bool:
        self._set(f"s{2 * number}", value & MASK32)
        self._set(f"s{2 * number + 1}", value >> 32 & MASK32)
        return True

    def _put_single(self, number: int, value: int) -> bool:
        self._set(f"s{number}", value & MASK32)
        return True

    def _arithmetic(self, w: int) -> bool:
        kind, odd = (w >> 21 & 4) | (w >> 20 & 3), w >> 6 & 1
        d, n, m = w >> 12 & 15, w >> 16 & 15, w & 15
        if kind == 7:
            return self._other(w, d, m)
        if (kind, odd) == (4, 1) or w & (1 << 22 | 1 << 7 | 1 << 5):
            return False  # D16 to D31 do not exist
        x, y, acc = self._double(n), self._double(m), self._double(d)
        if kind in (0, 1):
            product = multiply(x, y)
            return self._put(d, add(acc if kind == 0 else negate(acc), negate(product) if odd else product))
        if kind in (5, 6):
            return self._put(d, fused(acc if kind == 6 else negate(acc), negate(x) if odd else x, y))
        if kind == 2:
            return self._put(d, negate(multiply(x, y)) if odd else multiply(x, y))
        if kind == 3:
            return self._put(d, subtract(x, y) if odd else add(x, y))
        return self._put(d, divide(x, y))

    def _other(self, w: int, d: int, m: int) -> bool:
        """Instructions with one operand, told apart by two more fields."""
        what, high = w >> 16 & 15, w >> 7 & 1
        if not w >> 6 & 1:
            return not w & (1 << 22 | 0xA0) and self._put(d, immediate(what << 4 | m))
        if what in (2, 3, 8, 12, 13) or (what, high) == (7, 1):
            return self._convert(w, what, high)
        if w & (1 << 22) or (what not in (5, 10, 11, 14, 15) and w & (1 << 5)):
            return False
        if what in (10, 11, 14, 15):
            return self._fixed(w, d, what, high)
        x = self._double(m)
        if what in (4, 5):
            return self._compare(self._double(d), x if what == 4 else 0)
        one: dict[tuple[int, int], Callable[[int], int]] = {
            (0, 0): lambda v: v, (0, 1): lambda v: v & ~SIGN, (1, 0): negate, (1, 1): root,
            (6, 0): nearest, (6, 1): truncated, (7, 0): nearest,
        }  # fmt: skip
        return (what, high) in one and self._put(d, one[what, high](x))

    def _compare(self, x: int, y: int) -> bool:
        self._set("fpscr", self._get("fpscr") & ~(15 << 28) | compare(x, y) << 28)
        return True

    def _convert(self, w: int, what: int, high: int) -> bool:
        """Between double, single, half and 32-bit integers, whose registers are named by other bits."""
        double_to, double_from = w >> 12 & 15, w & 15
        single_to, single_from = double_to << 1 | w >> 22 & 1, double_from << 1 | w >> 5 & 1
        if what == 7 and not w >> 8 & 1:
            return not w & (1 << 22) and self._put(double_to, widened(self._get(f"s{single_from}")))
        if what == 8:
            value = self._get(f"s{single_from}")
            signed = value - (1 << 32) if high and value >> 31 else value
            return not w & (1 << 22) and self._put(double_to, bits(float(signed)))
        if what == 2:
            half = self._get(f"s{single_from}") >> 16 * high & 0xFFFF
            return not w & (1 << 22) and self._put(double_to, widened_half(half))
        if w & (1 << 5):
            return False
        x = self._double(double_from)
        if what == 3:
            kept = self._get(f"s{single_to}") & (0xFFFF if high else 0xFFFF0000)
            return self._put_single(single_to, kept | narrowed_half(x) << 16 * high)
        if what == 7:
            return self._put_single(single_to, narrowed(x))
        return self._put_single(single_to, integer(x, what == 13, math.trunc if high else round))

    def _fixed(self, w: int, d: int, what: int, wide: int) -> bool:
        size, signed = 32 if wide else 16, not what & 1
        fraction = size - ((w & 15) << 1 | w >> 5 & 1)
        if fraction < 0:
            return False
        value = self._double(d)
        if what >= 14:
            scaled = bits(number(value) * 2.0**fraction) if is_finite(value) else value
            result = integer(scaled, signed, math.trunc, size)
            return self._put(d, (result - (1 << size) if signed and result >> (size - 1) else result) & MASK64)
        raw = value & ((1 << size) - 1)
        raw -= 1 << size if signed and raw >> (size - 1) else 0
        return self._put(d, bits(raw / 2.0**fraction))

    def _always(self, w: int) -> bool:
        """Instructions that have no condition."""
        d, n, m, kind = w >> 12 & 15, w >> 16 & 15, w & 15, w >> 20 & 3
        if w & (1 << 5):
            return False
        if not w >> 23 & 1:
            holds = self._selects(kind)
            return not w & (1 << 22 | 0xC0) and self._put(d, self._double(n if holds else m))
        if kind == 0:
            return not w & (1 << 22 | 1 << 7) and self._put(
                d, extreme(self._double(n), self._double(m), bool(w & 0x40))
            )
        rounding = (away, round, math.ceil, math.floor)[n & 3]
        if kind != 3 or not w & 0x40 or n < 8:
            return False
        if n < 12:
            return not w & (1 << 22 | 0x80) and self._put(d, rounded(self._double(m), rounding))
        return self._put_single(d << 1 | w >> 22 & 1, integer(self._double(m), bool(w & 0x80), rounding))

    def _selects(self, condition: int) -> bool:
        """EQ, VS, GE or GT."""
        n, z, _, v = (self._get("apsr") >> bit & 1 for bit in (31, 30, 29, 28))
        return bool((z, v, n == v, not z and n == v)[condition])


def is_double(code: bytes) -> bool:
    """Whether four bytes of Thumb code are arithmetic in double precision, or a conversion from or to it."""
    if len(code) < 4:
        return False
    w = _word(code)
    if w >> 24 not in (0xEE, 0xFE) or w & 0x10 or w >> 9 & 7 != 5:
        return False
    widens = w >> 24 == 0xEE and w & 0x00BF0FD0 == 0x00B70AC0
    return bool(w >> 8 & 1) or widens


def _word(code: bytes) -> int:
    return int.from_bytes(code[:2], "little") << 16 | int.from_bytes(code[2:4], "little")


# --- arithmetic on patterns ---------------------------------------------------------------------------------------------


def number(pattern: int) -> float:
    return float(np.uint64(pattern).view(np.float64))


def bits(value: float) -> int:
    return int(np.float64(value).view(np.uint64))


def is_nan(pattern: int) -> bool:
    return pattern & ~SIGN > INFINITY


def is_finite(pattern: int) -> bool:
    return pattern & INFINITY != INFINITY


def negate(pattern: int) -> int:
    return pattern ^ SIGN


def _nan(*operands: int) -> int | None:
    """What an operation with NaNs gives; None without any."""
    nans = [x for x in operands if is_nan(x)]
    signalling = [x for x in nans if not x & QUIET]
    return (signalling or nans)[0] | QUIET if nans else None


def _operation(do: Callable[[np.float64, np.float64], np.float64], x: int, y: int) -> int:
    found = _nan(x, y)
    if found is not None:
        return found
    with np.errstate(all="ignore"):
        result = bits(float(do(np.float64(number(x)), np.float64(number(y)))))
    return DEFAULT_NAN if is_nan(result) else result


def add(x: int, y: int) -> int:
    return _operation(operator.add, x, y)


def subtract(x: int, y: int) -> int:
    return _operation(operator.sub, x, y)


def multiply(x: int, y: int) -> int:
    return _operation(operator.mul, x, y)


def divide(x: int, y: int) -> int:
    return _operation(operator.truediv, x, y)


def fused(acc: int, x: int, y: int) -> int:
    """``acc + x * y``, rounded once."""
    finite = all(is_finite(v) for v in (acc, x, y))
    if not finite:
        invalid = DEFAULT_NAN if is_nan(multiply(x, y)) and not (is_nan(x) or is_nan(y)) else None
        quiet = is_nan(acc) and acc & QUIET
        if invalid is not None and (quiet or not is_nan(acc)):
            return invalid
        found = _nan(acc, x, y)
        # a finite product may be too large for a double, but not for the sum
        product = multiply(x, y) if not (is_finite(x) and is_finite(y)) else (x ^ y) & SIGN
        return found if found is not None else add(acc, product)
    exact = Fraction(number(acc)) + Fraction(number(x)) * Fraction(number(y))
    if exact == 0:
        return add(acc, (x ^ y) & SIGN) if not number(acc) else 0
    try:
        return bits(exact.numerator / exact.denominator)
    except OverflowError:
        return bits(math.inf if exact > 0 else -math.inf)


def root(x: int) -> int:
    found = _nan(x)
    if found is not None:
        return found
    return DEFAULT_NAN if x & SIGN and x != SIGN else bits(math.sqrt(number(x)))


def compare(x: int, y: int) -> int:
    """The four flags."""
    a, b = number(x), number(y)
    return UNORDERED if is_nan(x) or is_nan(y) else LESS if a < b else EQUAL if a == b else GREATER


def extreme(x: int, y: int, least: bool) -> int:
    """The greater number, or the lesser; a number before a quiet NaN, and +0 is greater than -0."""
    for a, b in ((x, y), (y, x)):
        if is_nan(a) and a & QUIET and not is_nan(b):
            return b
    found = _nan(x, y)
    if found is not None:
        return found
    key = (number(x), not x & SIGN), (number(y), not y & SIGN)
    return x if (key[0] <= key[1]) == least else y


def away(value: float) -> int:
    """To the nearest integer, halves away from zero."""
    whole = math.floor(abs(value))
    return int(math.copysign(1, value)) * (whole + (abs(value) - whole >= 0.5))


def rounded(x: int, rounding: Callable[[float], int]) -> int:
    """To an integer that stays a double."""
    found = _nan(x)
    if found is not None:
        return found
    return bits(float(abs(rounding(number(x))))) | x & SIGN if is_finite(x) else x


def nearest(x: int) -> int:
    return rounded(x, round)


def truncated(x: int) -> int:
    return rounded(x, math.trunc)


def integer(x: int, signed: bool, rounding: Callable[[float], int], size: int = 32) -> int:
    """The pattern of a saturated integer; 0 for what is no number."""
    if is_nan(x):
        return 0
    low, high = (-1 << (size - 1), (1 << (size - 1)) - 1) if signed else (0, (1 << size) - 1)
    value = rounding(number(x)) if is_finite(x) else low if x & SIGN else high
    return min(max(value, low), high) & ((1 << size) - 1)


def narrowed(x: int) -> int:
    """Double to single."""
    if is_nan(x):
        return x >> 32 & 1 << 31 | 0x7FC00000 | x >> 29 & 0x3FFFFF
    with np.errstate(all="ignore"):
        return int(np.float32(number(x)).view(np.uint32))


def widened(x: int) -> int:
    """Single to double."""
    if x & 0x7FFFFFFF > 0x7F800000:
        return (x & 1 << 31) << 32 | DEFAULT_NAN | (x & 0x3FFFFF) << 29
    return bits(float(np.uint32(x).view(np.float32)))


def narrowed_half(x: int) -> int:
    """Double to half."""
    if is_nan(x):
        return x >> 48 & 1 << 15 | 0x7E00 | x >> 42 & 0x1FF
    with np.errstate(all="ignore"):
        return int(np.float64(number(x)).astype(np.float16).view(np.uint16))


def widened_half(x: int) -> int:
    """Half to double."""
    if x & 0x7FFF > 0x7C00:
        return (x & 1 << 15) << 48 | DEFAULT_NAN | (x & 0x1FF) << 42
    return bits(float(np.uint16(x).view(np.float16)))


def immediate(imm: int) -> int:
    """The constant that eight bits of an instruction stand for."""
    b = imm >> 6 & 1
    exponent = (1 - b) << 10 | (0xFF if b else 0) << 2 | imm >> 4 & 3
    return (imm & 0x80) << 56 | exponent << 52 | (imm & 15) << 48
