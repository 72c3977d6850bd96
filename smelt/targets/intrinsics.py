"""The instructions that kernels name, per family of cores; `kernels/support/smelt_kernels.h` has their C.

`cycles` counts the instruction itself; `portable` estimates the RISC-V instructions of the C body that stands in for
it.
"""

from smelt.loops.ir import Intrinsic

SMLAD = Intrinsic("smlad", "int32_t", 1, 8)
SMLALD = Intrinsic("smlald", "int64_t", 1, 9)
SMLAWB = Intrinsic("smlawb", "int32_t", 1, 7)
SMLABB = Intrinsic("smlabb", "int32_t", 1, 6)
SMLABT = Intrinsic("smlabt", "int32_t", 1, 5)
SMLATB = Intrinsic("smlatb", "int32_t", 1, 5)
SMLATT = Intrinsic("smlatt", "int32_t", 1, 4)
SXTB16 = Intrinsic("sxtb16", "int32_t", 1, 7)
SXTB16_ROR8 = Intrinsic("sxtb16_ror8", "int32_t", 1, 8)
PKHBT = Intrinsic("pkhbt", "int32_t", 1, 4)
PKHTB = Intrinsic("pkhtb", "int32_t", 1, 4)
SMMLAR = Intrinsic("smmlar", "int32_t", 1, 7)
SMMLA = Intrinsic("smmla", "int32_t", 1, 5)
SMMULR = Intrinsic("smmulr", "int32_t", 1, 6)
SSAT8 = Intrinsic("ssat8", "int32_t", 1, 6)
SADD16 = Intrinsic("sadd16", "int32_t", 1, 7)
SSUB16 = Intrinsic("ssub16", "int32_t", 1, 7)
MAX_BYTES = Intrinsic("max_bytes", "int32_t", 2, 30)
MIN_BYTES = Intrinsic("min_bytes", "int32_t", 2, 30)
SMLAWT = Intrinsic("smlawt", "int32_t", 1, 6)
SXTAB16 = Intrinsic("sxtab16", "int32_t", 1, 12)
SXTAB16_ROR8 = Intrinsic("sxtab16_ror8", "int32_t", 1, 13)
USAT16 = Intrinsic("usat16", "int32_t", 1, 12)
SIGNED_BYTES = Intrinsic("signed_bytes", "int32_t", 2, 3)
BOTH_SUMS = Intrinsic("both_sums", "int32_t", 1, 2)
HIGH_SUM = Intrinsic("high_sum", "int32_t", 2, 2)

ADD_DOT = Intrinsic("add_dot", "int32_t", 1, 16)

FMA = Intrinsic("fma", "float", 1, 2)
LOADED = Intrinsic("loaded", "float", 0, 0)
HALF = Intrinsic("half", "float", 2, 8)
HALF_LOW = Intrinsic("half_low", "float", 2, 9)
HALF_HIGH = Intrinsic("half_high", "float", 1, 9)
SQRT = Intrinsic("sqrt", "float", 14, 150)
EXP = Intrinsic("exp", "float", 40, 40)
LOG = Intrinsic("log", "float", 50, 50)
TANH = Intrinsic("tanh", "float", 70, 70)
LOGISTIC = Intrinsic("logistic", "float", 70, 70)
ELU = Intrinsic("elu", "float", 40, 40)
ERFC = Intrinsic("erfc", "float", 80, 140)
ERF = Intrinsic("erf", "float", 80, 140)
SIN = Intrinsic("sin", "float", 40, 40)
COS = Intrinsic("cos", "float", 40, 40)
FLOOR = Intrinsic("floor", "float", 10, 10)
CEIL = Intrinsic("ceil", "float", 12, 12)
FLOOR_MOD = Intrinsic("floor_mod", "float", 60, 120)
POW = Intrinsic("pow", "float", 130, 260)
ROUND = Intrinsic("round", "float", 18, 18)

DSP: tuple[Intrinsic, ...] = (
    SMLAD, SMLALD, SMLAWB, SMLABB, SMLABT, SMLATB, SMLATT, SXTB16, SXTB16_ROR8, PKHBT, PKHTB, SMMLA, SMMLAR, SMMULR, SSAT8,
    SADD16, SSUB16, BOTH_SUMS, HIGH_SUM, MAX_BYTES, MIN_BYTES, SMLAWT, SXTAB16, SXTAB16_ROR8, USAT16, SIGNED_BYTES,
)  # fmt: skip
"""What the DSP extension of Armv7E-M and Armv8-M adds (Cortex-M4, M7, M33)."""

XPULP: tuple[Intrinsic, ...] = (ADD_DOT, SSAT8, MAX_BYTES, MIN_BYTES)
"""What XpulpV2 adds to RISC-V (RI5CY), as far as kernels name it."""
