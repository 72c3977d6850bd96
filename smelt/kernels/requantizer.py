"""How sums become outputs, as kernels see it: constants of channels in one table, and the C for one output.

`Requantizer` is TensorFlow Lite Micro's rounding, see `requantize`; the forms of `requantize_exact` have the same face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.calls import CallBuilder
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import (
    AnyBuffer,
    Buffer,
    Call,
    Const,
    Expr,
    Intrinsic,
    Table,
    Type,
    Value,
    cast,
    maximum,
    minimum,
)
from smelt.loops.routine import At
from smelt.model.ops import FULL
from smelt.model.rescale import Clamp
from smelt.targets.intrinsics import SMMLAR, SSAT8

Form = Literal["fast", "general", "once", "exact"]
Integers = NDArray[np.int64]

REQUANTIZE = Intrinsic("requantize", "int32_t", 24, 24)
SHIFT_LEFT = Intrinsic("shift_left", "int32_t", 1, 1)
INT32 = 2**31
ROUND_ONCE = range(1, 14)  # shifts
GREATEST_SHIFT = 22  # zero * 2^e stays below 2^30


class Numbers(Protocol):
    """Where the numbers of channels are: a buffer, mostly."""

    def __getitem__(self, place: Value, /) -> Expr: ...


@dataclass(frozen=True)
class Scale:
    """The constants of one channel, in variables of the kernel."""

    multiplier: Expr
    shift: Expr
    offset: Expr


@dataclass(frozen=True, eq=False)
class Requantizer:
    """How sums become outputs. `columns` is (channels, 2 or 3): bias, multiplier and, unless all channels share it,
    shift.

    In the fast form `shift` counts to the right, in the general one to the left. `wraps` says that sums may leave
    int32.
    """

    form: Form
    columns: NDArray[np.int32]
    shift: int | None
    y_zero: int
    clamp: Clamp
    wraps: bool

    @property
    def table(self) -> Table:
        """The argument for the buffer that `bind` makes."""
        return self.columns.reshape(-1)

    @property
    def sum_type(self) -> Type:
        return "uint32_t" if self.wraps else "int32_t"

    @property
    def saturates(self) -> bool:
        """Whether ``ssat8((smmlar(sum) + offset) >> shift)`` is all that there is to do."""
        hidden = self.clamp[0] >= self.y_zero or self.shift == 0
        return self.form == "fast" and hidden and self.clamp == FULL

    @property
    def shifts(self) -> tuple[int, ...]:
        """Every shift that there is."""
        return tuple(int(s) for s in np.unique(self.columns[:, 2])) if self.shift is None else (self.shift,)

    @property
    def widest_bias(self) -> int:
        return int(np.abs(self.columns[:, 0].astype(np.int64)).max())

    @property
    def widest_offset(self) -> int:
        """The greatest magnitude of what is added before the shift, in the fast form."""
        return abs(2 * self.y_zero + 1) << max(self.shifts) >> 1

    @property
    def is_shared(self) -> bool:
        """Whether all channels have one scale, and `direct_scale` has it."""
        return (
            self.form != "exact" and self.shift is not None and bool(np.all(self.columns[:, 1] == self.columns[0, 1]))
        )

    @property
    def is_direct(self) -> bool:
        """Whether a routine may make outputs that share their scale: nothing to clamp beyond int8, and a shift that rounds away
        from zero."""
        return self.form == "fast" and self.is_shared and self.clamp == FULL and self.shift != 0

    @property
    def direct_scale(self) -> tuple[Const, Const, Const]:
        """Multiplier, offset and shift for such a routine."""
        shift = self.shift or 0
        offset = ((1 << shift) >> 1) + (self.y_zero << shift) if self.form == "fast" else 0
        return Const(int(self.columns[0, 1])), Const(offset), Const(shift)

    def grown(self, bits: int) -> Requantizer | None:
        """The same for sums that a routine makes larger by so many bits; None where that is not possible."""
        return self

    @property
    def in_bits(self) -> Requantizer:
        """The same for routines that let sums grow so that shifts become what they are in the code, where it `rounds_once`."""
        return self

    @property
    def rounds_once(self) -> bool:
        """Whether one product may do both roundings, as in the routines for all layers: shifts from 1 to 13, sums below 2^22."""
        return self.saturates and all(s in ROUND_ONCE for s in self.shifts) and self.widest_bias < 2**22

    @property
    def numbers(self) -> tuple[int, int]:
        """The zero point of y, and the shift of all channels, -1 where each has its own: what routines for all layers get."""
        return self.y_zero, -1 if self.shift is None else self.shift

    def bind(self, k: CallBuilder) -> Buffer:
        return k.table("channels", self.table)

    def constants(self, table: AnyBuffer, channel: Value) -> At:
        """Where those of a channel begin."""
        return At(table, index(self, channel, 0))

    def bias(self, table: AnyBuffer, channel: Value) -> Expr:
        return cast(self.sum_type, table[index(self, channel, 0)])

    def scale(self, k: KernelBuilder, table: Numbers, channel: Value) -> Scale:
        """Load what `output` needs for a channel."""
        multiplier = k.let("multiplier", table[index(self, channel, 1)])
        if self.shift is not None:
            half = (1 << self.shift) >> 1 if self.form == "fast" else 0
            offset = half + (self.y_zero << self.shift) if self.form == "fast" else 0
            return Scale(multiplier, Const(self.shift), Const(offset))
        shift = k.let("shift", table[index(self, channel, 2)])
        if self.form == "general":
            return Scale(multiplier, shift, Const(0))
        offset_var = k.let("offset", Call(SHIFT_LEFT, (Const(2 * self.y_zero + 1), shift - 1)))
        return Scale(multiplier, shift, offset_var)

    def output(self, k: KernelBuilder, total: Expr, scale: Scale) -> Expr:
        """The int8 result for one sum."""
        total = cast("int32_t", total)
        if self.form == "general":
            return self.from_zero(Call(REQUANTIZE, (total, scale.multiplier, scale.shift)))
        x: Expr = k.let("scaled", Call(SMMLAR, (total, scale.multiplier, total)))
        if self.clamp[0] < self.y_zero and self.shift != 0:
            x = x + (x >> 31)
        return self.limited(Call(SSAT8, ((x + scale.offset) >> scale.shift,)))

    def limited(self, value: Expr) -> Expr:
        """An int8 within the clamp."""
        low, high = self.clamp
        if low > -128:
            value = maximum(value, low)
        return minimum(value, high) if high < 127 else value

    def from_zero(self, value: Expr) -> Expr:
        """Clamped before the zero point is added, so that the addition cannot overflow."""
        low, high = self.clamp[0] - self.y_zero, self.clamp[1] - self.y_zero
        return minimum(maximum(value, low), high) + self.y_zero


def index(requantizer: Requantizer, channel: Value, column: int) -> Expr:
    """Where a number of a channel is in the table."""
    return channel * Const(requantizer.columns.shape[1]) + column


def table_of(columns: Sequence[NDArray[Any]]) -> NDArray[np.int32]:
    """One row per channel; numbers beyond int32 wrap."""
    return np.stack([np.asarray(c, np.int64) for c in columns], axis=1).astype(np.int32)
