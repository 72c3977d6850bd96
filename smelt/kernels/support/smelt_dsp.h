/* The DSP extension of Arm's cores: the functions of smelt_kernels.h that are named after an instruction, as that instruction. */
#ifndef SMELT_DSP_H
#define SMELT_DSP_H

/* Thumb-2 and the assembler language of GNU: all else takes the portable bodies. */
#if !defined(SMELT_HAS_DSP) && defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__GNUC__)
#if __ARM_FEATURE_DSP
#define SMELT_HAS_DSP 1
#include <arm_acle.h>
#endif
#endif

#include "smelt_kernels.h"

#if SMELT_HAS_DSP

/* SMLAD: both products of halves, added to c. */
SMELT_INLINE int32_t smelt_smlad(int32_t a, int32_t b, int32_t c)
{
    return __smlad(a, b, c);
}

/* SMLAxy: the product of one half of a (B bottom, T top) and one half of b, added to c. */
SMELT_INLINE int32_t smelt_smlabb(int32_t a, int32_t b, int32_t c)
{
    return __smlabb(a, b, c);
}

SMELT_INLINE int32_t smelt_smlabt(int32_t a, int32_t b, int32_t c)
{
    return __smlabt(a, b, c);
}

SMELT_INLINE int32_t smelt_smlatb(int32_t a, int32_t b, int32_t c)
{
    return __smlatb(a, b, c);
}

SMELT_INLINE int32_t smelt_smlatt(int32_t a, int32_t b, int32_t c)
{
    return __smlatt(a, b, c);
}

/* SMLALD: both products of halves, added to a c of 64 bits. */
SMELT_INLINE int64_t smelt_smlald(int32_t a, int32_t b, int64_t c)
{
    return __smlald(a, b, c);
}

/* SMLAWB: the upper 32 of the 48 bits of a product with the bottom half of b, added to c. */
SMELT_INLINE int32_t smelt_smlawb(int32_t a, int32_t b, int32_t c)
{
    return __smlawb(a, b, c);
}

/* SXTB16: bytes 0 and 2 as halves; with ROR #8: bytes 1 and 3. */
SMELT_INLINE int32_t smelt_sxtb16(int32_t x)
{
    return __sxtb16(x);
}

SMELT_INLINE int32_t smelt_sxtb16_ror8(int32_t x)
{
    int32_t result;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(x));
    return result;
}

/* PKHBT: the bottom half of a, and above it the bottom half of b. */
SMELT_INLINE int32_t smelt_pkhbt(int32_t a, int32_t b)
{
    int32_t result;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(result) : "r"(a), "r"(b));
    return result;
}

/* PKHTB: the top half of a, and above it the top half of b. */
SMELT_INLINE int32_t smelt_pkhtb(int32_t a, int32_t b)
{
    int32_t result;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(result) : "r"(b), "r"(a));
    return result;
}

/* SMMLAR: c plus the upper word of the product, rounded to nearest (halves up). SMMULR is the same with c = 0. */
SMELT_INLINE int32_t smelt_smmlar(int32_t a, int32_t b, int32_t c)
{
    int32_t result;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(c));
    return result;
}

SMELT_INLINE int32_t smelt_smmulr(int32_t a, int32_t b)
{
    int32_t result;
    __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
}

/* SMMLA: c plus the upper word of the product. */
SMELT_INLINE int32_t smelt_smmla(int32_t a, int32_t b, int32_t c)
{
    int32_t result;
    __asm__("smmla %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(c));
    return result;
}

/* SSAT #8: the nearest int8. */
SMELT_INLINE int32_t smelt_ssat8(int32_t x)
{
#if defined(__clang__)
    return __ssat(x, 8); /* which clang merges with a shift before it */
#else
    int32_t result;
    __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(x));
    return result;
#endif
}

/* SADD16 and SSUB16: sums and differences of halves. */
SMELT_INLINE int32_t smelt_sadd16(int32_t a, int32_t b)
{
    int32_t result;
    __asm__("sadd16 %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
}

SMELT_INLINE int32_t smelt_ssub16(int32_t a, int32_t b)
{
    int32_t result;
    __asm__("ssub16 %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
}

#endif

#endif
