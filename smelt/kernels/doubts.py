"""Outputs of routines that must be looked at again, because near-ties are too many for one product (see `once`).

After a routine has made outputs, those of a doubtful channel that have a doubtful value are computed anew, from what the routine
read. They are few: about one value of 256, in one channel of twenty.
"""

from __future__ import annotations

from collections.abc import Callable

from smelt.kernels.calls import CallBuilder
from smelt.kernels.requantize import Epilogue
from smelt.kernels.requantize_exact import TIES_EVEN, OnceRequantizer
from smelt.kernels.requantizer import Requantizer
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import AnyBuffer, Buffer, Call, Expr, binary, cast, maximum, minimum
from smelt.targets.intrinsics import SSAT8

NUMBERS = 6  # of a doubt: channel, least output, how many, bias, multiplier, shift

SumOf = Callable[[Expr, Expr, Expr], Expr]
"""The sum of a channel at a place, from its bias on: (channel, bias, place)."""


def bind_doubts(k: CallBuilder, r: Epilogue) -> Buffer | None:
    """The table of what is doubtful; None where nothing is."""
    if not isinstance(r, OnceRequantizer) or not r.proved.doubtful:
        return None
    return k.table("doubts", r.doubts.reshape(-1))


def look_again(
    k: KernelBuilder, r: Requantizer, doubts: Buffer | None, y: AnyBuffer, places: int, place_of: Callable[[Expr, Expr], Expr],
    sum_of: SumOf, only: Expr | None = None,
) -> None:  # fmt: skip
    """Compute doubtful outputs anew: `places` of each channel, which `place_of` channel and number finds in y; or of `only` one."""
    if doubts is None:
        return
    with k.loop("doubt", 0, doubts.size // NUMBERS) as doubt:
        channel, *numbers = (doubts[doubt * NUMBERS + n] for n in range(NUMBERS))
        if only is None:
            inside = k.let("doubtful", minimum(maximum(channel, 0), len(r.columns) - 1))
            _channel(k, r, numbers, y, (inside, places), place_of, sum_of)
            return
        with k.when(binary("==", channel, only), rarely=True):
            _channel(k, r, numbers, y, (only, places), place_of, sum_of)


def _channel(
    k: KernelBuilder, r: Requantizer, numbers: list[Expr], y: AnyBuffer, where: tuple[Expr, int],
    place_of: Callable[[Expr, Expr], Expr], sum_of: SumOf,
) -> None:  # fmt: skip
    (least, count, bias, multiplier, shift), (channel, places) = numbers, where
    least, count = k.let("least", least), k.let("count", cast("uint32_t", count))
    with k.loop("again", 0, places) as number:
        place = k.let("at", place_of(channel, number))
        with k.when(cast("uint32_t", y[place] - least) < count, rarely=True):
            total = sum_of(channel, bias, number)
            exact = Call(TIES_EVEN, (total, multiplier, shift)) + r.y_zero
            k.store(y, place, Call(SSAT8, (exact,)))
