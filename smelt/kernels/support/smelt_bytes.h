/* Four bytes of a word at once: what kernels that go element by element use. In portable C; what is assembly comes from
 * smelt/kernels/thumb/words.py, which says what it does. */
#ifndef SMELT_BYTES_H
#define SMELT_BYTES_H

#include "smelt_dsp.h"

#ifndef SMELT_HAS_XPULP
#define SMELT_HAS_XPULP 0 /* smelt_xpulp.h was not included, or the compiler's processor has no such instructions */
#endif

/* Routines: smelt_sum_words, smelt_product_words, smelt_lookup_words, smelt_softmax_total, smelt_softmax_results. */

/* Bytes of two words of halves, each of which is 0 to 255: those of `odd` above those of `even`, all with their upper bit turned. */
SMELT_INLINE int32_t smelt_signed_bytes(int32_t even, int32_t odd)
{
    return (int32_t)(((uint32_t)even | (uint32_t)odd << 8) ^ 0x80808080u);
}

#if SMELT_HAS_DSP

/* SMLAWT: c plus the product of a and the top half of b, without its lowest 16 bits. */
SMELT_INLINE int32_t smelt_smlawt(int32_t a, int32_t b, int32_t c)
{
    int32_t result;
    __asm__("smlawt %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(c));
    return result;
}

/* SXTAB16: bytes 0 and 2 of b, with their sign, added to the halves of a; with ROR #8: bytes 1 and 3. */
SMELT_INLINE int32_t smelt_sxtab16(int32_t a, int32_t b)
{
    int32_t result;
    __asm__("sxtab16 %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
}

SMELT_INLINE int32_t smelt_sxtab16_ror8(int32_t a, int32_t b)
{
    int32_t result;
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(result) : "r"(a), "r"(b));
    return result;
}

/* USAT16 #8: for each half the nearest uint8. */
SMELT_INLINE int32_t smelt_usat16(int32_t x)
{
    int32_t result;
    __asm__("usat16 %0, #8, %1" : "=r"(result) : "r"(x));
    return result;
}

/* SSUB8 and SEL: the greater, or the smaller, one of each pair of bytes. */
SMELT_INLINE int32_t smelt_max_bytes(int32_t a, int32_t b)
{
    int32_t result;
    __asm__("ssub8 %0, %1, %2\n sel %0, %1, %2" : "=&r"(result) : "r"(a), "r"(b) : "cc");
    return result;
}

SMELT_INLINE int32_t smelt_min_bytes(int32_t a, int32_t b)
{
    int32_t result;
    __asm__("ssub8 %0, %1, %2\n sel %0, %2, %1" : "=&r"(result) : "r"(a), "r"(b) : "cc");
    return result;
}

#else

SMELT_INLINE int32_t smelt_smlawt(int32_t a, int32_t b, int32_t c)
{
    return smelt_wrapping_add((int32_t)(((int64_t)a * smelt_high_half(b)) >> 16), c);
}

SMELT_INLINE int32_t smelt_sxtab16(int32_t a, int32_t b)
{
    return smelt_sadd16(a, smelt_sxtb16(b));
}

SMELT_INLINE int32_t smelt_sxtab16_ror8(int32_t a, int32_t b)
{
    return smelt_sadd16(a, smelt_sxtb16_ror8(b));
}

SMELT_INLINE int32_t smelt_usat16(int32_t x)
{
    return smelt_pack_halves(smelt_max_i32(smelt_min_i32(smelt_low_half(x), 255), 0),
            smelt_max_i32(smelt_min_i32(smelt_high_half(x), 255), 0));
}

SMELT_INLINE int32_t smelt_byte(int32_t x, int32_t i)
{
    return (int8_t)(uint8_t)((uint32_t)x >> (8 * i) & 0xffu);
}

#if !SMELT_HAS_XPULP

SMELT_INLINE int32_t smelt_max_bytes(int32_t a, int32_t b)
{
    uint32_t result = 0;
    for (int32_t i = 0; i < 4; ++i) {
        result |= ((uint32_t)smelt_max_i32(smelt_byte(a, i), smelt_byte(b, i)) & 0xffu) << (8 * i);
    }
    return (int32_t)result;
}

SMELT_INLINE int32_t smelt_min_bytes(int32_t a, int32_t b)
{
    uint32_t result = 0;
    for (int32_t i = 0; i < 4; ++i) {
        result |= ((uint32_t)smelt_min_i32(smelt_byte(a, i), smelt_byte(b, i)) & 0xffu) << (8 * i);
    }
    return (int32_t)result;
}

#endif

/* factor * x / 256, rounded down. */
SMELT_INLINE int32_t smelt_weighted(int32_t factor, int32_t x)
{
    return (int32_t)(((int64_t)factor * x) >> 8);
}

/* The upper half of a sum, 128 above the int8 that it is limited to. */
SMELT_INLINE int8_t smelt_upper_half(int32_t sum)
{
    return (int8_t)(smelt_max_i32(smelt_min_i32(smelt_high_half(sum), 255), 0) - 128);
}

#if SMELT_HAS_XPULP

/* factor * x / 256, rounded down, of a byte: by a product of 32 bits where that holds it, or by one of the factor's upper part, which
   is exact, and one of its lowest byte. */
SMELT_INLINE int32_t smelt_weighted_byte(int32_t factor, int32_t x)
{
    const int32_t is_narrow = factor > -(1 << 24) && factor < 1 << 24;
    return is_narrow ? (factor * x) >> 8 : (factor >> 8) * x + (((factor & 255) * x) >> 8);
}

SMELT_INLINE int8_t smelt_sum_byte(int32_t x, int32_t x2, int32_t factor, int32_t factor2, int32_t offset)
{
    const int32_t sum = smelt_wrapping_add(offset, smelt_weighted_byte(factor, x));
    return (int8_t)smelt_clip_byte((smelt_wrapping_add(sum, smelt_weighted_byte(factor2, x2)) >> 16) - 128);
}

/* Four elements at a time, which are read before one is written. */
SMELT_INLINE void smelt_sum_words(int8_t *y, const int8_t *x, const int8_t *x2, int32_t rounds, int32_t factor,
        int32_t factor2, int32_t offset)
{
    for (int32_t i = 0; i < 4 * rounds; ++i, y += 4, x += 4, x2 += 4) {
        const int8_t y0 = smelt_sum_byte(x[0], x2[0], factor, factor2, offset);
        const int8_t y1 = smelt_sum_byte(x[1], x2[1], factor, factor2, offset);
        const int8_t y2 = smelt_sum_byte(x[2], x2[2], factor, factor2, offset);
        const int8_t y3 = smelt_sum_byte(x[3], x2[3], factor, factor2, offset);
        y[0] = y0, y[1] = y1, y[2] = y2, y[3] = y3;
    }
}

#else

SMELT_INLINE void smelt_sum_words(int8_t *y, const int8_t *x, const int8_t *x2, int32_t rounds, int32_t factor,
        int32_t factor2, int32_t offset)
{
    for (int32_t i = 0; i < 16 * rounds; ++i) {
        const int32_t sum = smelt_wrapping_add(offset, smelt_weighted(factor, x[i]));
        y[i] = smelt_upper_half(smelt_wrapping_add(sum, smelt_weighted(factor2, x2[i])));
    }
}

#endif

SMELT_INLINE void smelt_product_words(int8_t *y, const int8_t *x, const int8_t *x2, int32_t rounds, int32_t multiplier,
        int32_t scale, int32_t offset, int32_t zeros, int32_t zeros2)
{
    for (int32_t i = 0; i < 16 * rounds; ++i) {
        const int32_t product = (x[i] + smelt_low_half(zeros)) * (x2[i] + smelt_low_half(zeros2));
        const int32_t scaled = smelt_smmlar(product, multiplier, product);
        y[i] = smelt_upper_half((scaled + (scaled >> 31)) * scale + offset);
    }
}

SMELT_INLINE void smelt_lookup_words(void *y, const void *x, const void *table, int32_t rounds, int32_t signs)
{
    for (int32_t i = 0; i < 16 * rounds; ++i) {
        ((uint8_t *)y)[i] = ((const uint8_t *)table)[((const uint8_t *)x)[i] ^ ((uint32_t)signs & 0xffu)];
    }
}

/* An entry of a table without the last ones of 256, whose place the last one takes. */
SMELT_INLINE int32_t smelt_exponential(const int32_t *table, int32_t x, int32_t largest, int32_t left_out)
{
    return table[smelt_min_i32((largest - x) & 255, 255 - (left_out & 255))];
}

SMELT_INLINE void smelt_softmax_total(int32_t *total, const int8_t *x, const int32_t *table, int32_t rounds, int32_t largest,
        int32_t left_out)
{
    *total = 0;
    for (int32_t i = 0; i < 4 * rounds; ++i) {
        *total = smelt_smmlar(smelt_exponential(table, x[i], smelt_byte(largest, 0), left_out), 1 << 20, *total);
    }
}

SMELT_INLINE void smelt_softmax_results(int8_t *y, const int8_t *x, const int32_t *table, int32_t rounds, int32_t largest,
        int32_t left_out, int32_t multiplier, int32_t factor)
{
    for (int32_t i = 0; i < 4 * rounds; ++i) {
        const int32_t e = smelt_exponential(table, x[i], smelt_byte(largest, 0), left_out);
        y[i] = (int8_t)(smelt_min_i32(smelt_smmulr(smelt_smmlar(e, multiplier, e), factor), 255) - 128);
    }
}

#endif

#endif
