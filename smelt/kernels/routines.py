"""The functions of `smelt_kernels.h` whose hearts are in assembly, as values: their names, and what they take of the stack.

The headers beside this file say what each does. A test watches every one of them against the spans that kernels declare for it
and against `stack`.
"""

from __future__ import annotations

from typing import Literal

from smelt.loops.ir import Function

Form = Literal["grouped", "early", "paired", "plain", "plain_paired"]
"""An order of instructions: all loads before all multiplications; the same without waiting for SXTB16; loads between
multiplications, for cores that issue two instructions at a time. `plain`: a word of weights for each of two channels instead of
one for both."""

SAVED = 36  # bytes of the registers that a routine saves
PRODUCTS = (
    *(Function(f"{form}_{pixels}", SAVED + 48) for form in ("grouped", "early", "plain") for pixels in (1, 2, 3)),
    *(Function(f"{form}_3", SAVED + 48) for form in ("paired", "plain_paired")),
)
UNITS = tuple(Function(f"units_{pairs}", SAVED + 28) for pairs in (1, 2, 3))
UNITS_PAIRED = Function("units_paired", SAVED + 24)
SIFT = Function("sift", SAVED)
SIFTED = Function("sifted", SAVED + 20)
GROUPS = tuple(Function(f"groups_{form}", SAVED + 72) for form in ("grouped", "early", "paired"))
PLANES = tuple(Function(f"plane_{form}_{stride}", SAVED + 72) for form in ("grouped", "paired") for stride in (1, 2))
THIN = tuple(Function(f"thin_{form}", SAVED + 4) for form in ("grouped", "paired"))
WINOGRAD_INPUTS = Function("winograd_inputs", SAVED + 308)
WINOGRAD_WEIGHTS = Function("winograd_weights", SAVED + 4)
WINOGRAD_PRODUCTS = tuple(Function(f"winograd_{form}", SAVED + 12) for form in ("plain", "plain_paired"))
WINOGRAD_ANY_PRODUCTS = Function(
    "winograd_products", 0
)  # for numbers of words that the others do not take; no assembly
QUANTIZE = Function("quantize", SAVED, floats=True)
WINOGRAD_OUTPUTS = tuple(Function(f"winograd_{sign}", SAVED + 108) for sign in ("positive", "signed"))

ROUTINES = (
    *PRODUCTS, *UNITS, UNITS_PAIRED, SIFT, SIFTED, *GROUPS, *PLANES, *THIN, WINOGRAD_INPUTS, WINOGRAD_WEIGHTS, *WINOGRAD_PRODUCTS,
    WINOGRAD_ANY_PRODUCTS, *WINOGRAD_OUTPUTS, QUANTIZE,
)  # fmt: skip


def named(functions: tuple[Function, ...], name: str) -> Function:
    """The one of that name. Raises KeyError."""
    return {f.name: f for f in functions}[name]


def products(form: Form, pixels: int) -> Function:
    """The products of one to three pixels at a time; only three are worth an order of instructions of their own."""
    usual = form if pixels == 3 else {"paired": "early", "plain_paired": "plain"}.get(form, form)
    return named(PRODUCTS, f"{usual}_{pixels}")
