/* What the kernels of smelt are written in: unaligned access, minimum and maximum, and one function per instruction.
 *
 * Each function that is named after an instruction has two bodies: portable C, here, and the instruction, in smelt_dsp.h, for cores
 * that have it. Both give the same bits. Sums wrap at 32 bits, as they do in the instructions.
 */
#ifndef SMELT_KERNELS_H
#define SMELT_KERNELS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Kernels read several elements of int8 or int16 as one word, and tables are laid out for that. */
#if defined(__ARM_BIG_ENDIAN) || defined(__ARMEB__) || defined(__BIG_ENDIAN__)
#error "smelt: kernels need a little-endian processor (no -mbig-endian)"
#elif defined(__BYTE_ORDER__) && defined(__ORDER_LITTLE_ENDIAN__)
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "smelt: kernels need a little-endian processor (no -mbig-endian)"
#endif
#endif

#ifndef SMELT_HAS_DSP
#define SMELT_HAS_DSP 0 /* smelt_dsp.h was not included, or the compiler's processor has no such instructions */
#endif

/* Copies of a few bytes must become single instructions even where compilers are told that there is no library. */
#if defined(__GNUC__)
#define SMELT_INLINE static inline __attribute__((always_inline, unused))
#define SMELT_SHARED static __attribute__((noinline, unused))
#define SMELT_COPY __builtin_memcpy
#else
#define SMELT_INLINE static inline
#define SMELT_SHARED static
#define SMELT_COPY memcpy
#endif

/* Reading and writing at any address. */

#define SMELT_DEFINE_ACCESS(suffix, type)                                                                              \
    SMELT_INLINE type smelt_load_##suffix(const void *from)                                                            \
    {                                                                                                                  \
        type value;                                                                                                    \
        SMELT_COPY(&value, from, sizeof value);                                                                          \
        return value;                                                                                                  \
    }                                                                                                                  \
    SMELT_INLINE void smelt_store_##suffix(void *to, type value)                                                       \
    {                                                                                                                  \
        SMELT_COPY(to, &value, sizeof value);                                                                            \
    }

SMELT_DEFINE_ACCESS(i8, int8_t)
SMELT_DEFINE_ACCESS(u8, uint8_t)
SMELT_DEFINE_ACCESS(i16, int16_t)
SMELT_DEFINE_ACCESS(u16, uint16_t)
SMELT_DEFINE_ACCESS(i32, int32_t)
SMELT_DEFINE_ACCESS(u32, uint32_t)
SMELT_DEFINE_ACCESS(i64, int64_t)
SMELT_DEFINE_ACCESS(f32, float)

#undef SMELT_DEFINE_ACCESS
#undef SMELT_COPY

/* Minimum and maximum. */

#define SMELT_DEFINE_ORDER(suffix, type)                                                                               \
    SMELT_INLINE type smelt_min_##suffix(type a, type b)                                                               \
    {                                                                                                                  \
        return a < b ? a : b;                                                                                          \
    }                                                                                                                  \
    SMELT_INLINE type smelt_max_##suffix(type a, type b)                                                               \
    {                                                                                                                  \
        return a > b ? a : b;                                                                                          \
    }

SMELT_DEFINE_ORDER(i32, int32_t)
SMELT_DEFINE_ORDER(u32, uint32_t)
SMELT_DEFINE_ORDER(i64, int64_t)
SMELT_DEFINE_ORDER(f32, float)

#undef SMELT_DEFINE_ORDER

/* Halves and bytes of a word, with their sign. */

SMELT_INLINE int32_t smelt_low_half(int32_t x)
{
    return (int16_t)(uint16_t)((uint32_t)x & 0xffffu);
}

SMELT_INLINE int32_t smelt_high_half(int32_t x)
{
    return (int16_t)(uint16_t)((uint32_t)x >> 16);
}

SMELT_INLINE int32_t smelt_wrapping_add(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

/* Two halves in one word. */

SMELT_INLINE int32_t smelt_pack_halves(int32_t low, int32_t high)
{
    return (int32_t)(((uint32_t)low & 0xffffu) | ((uint32_t)high << 16));
}

/* Instructions for the halves and bytes of a word, in portable C: the same bits as those in smelt_dsp.h. */
#if !SMELT_HAS_DSP

/* SMLAD: both products of halves, added to c. */
SMELT_INLINE int32_t smelt_smlad(int32_t a, int32_t b, int32_t c)
{
    const int32_t low = smelt_low_half(a) * smelt_low_half(b);
    const int32_t high = smelt_high_half(a) * smelt_high_half(b);
    return smelt_wrapping_add(smelt_wrapping_add(low, high), c);
}

/* SMLALD: both products of halves, added to a c of 64 bits. */
SMELT_INLINE int64_t smelt_smlald(int32_t a, int32_t b, int64_t c)
{
    const int32_t low = smelt_low_half(a) * smelt_low_half(b);
    const int32_t high = smelt_high_half(a) * smelt_high_half(b);
    return c + low + high;
}

/* SMLAWB: the upper 32 of the 48 bits of a product with the bottom half of b, added to c. */
SMELT_INLINE int32_t smelt_smlawb(int32_t a, int32_t b, int32_t c)
{
    return smelt_wrapping_add((int32_t)(((int64_t)a * smelt_low_half(b)) >> 16), c);
}

/* SMLAxy: the product of one half of a (B bottom, T top) and one half of b, added to c. */
SMELT_INLINE int32_t smelt_smlabb(int32_t a, int32_t b, int32_t c)
{
    return smelt_wrapping_add(smelt_low_half(a) * smelt_low_half(b), c);
}

SMELT_INLINE int32_t smelt_smlabt(int32_t a, int32_t b, int32_t c)
{
    return smelt_wrapping_add(smelt_low_half(a) * smelt_high_half(b), c);
}

SMELT_INLINE int32_t smelt_smlatb(int32_t a, int32_t b, int32_t c)
{
    return smelt_wrapping_add(smelt_high_half(a) * smelt_low_half(b), c);
}

SMELT_INLINE int32_t smelt_smlatt(int32_t a, int32_t b, int32_t c)
{
    return smelt_wrapping_add(smelt_high_half(a) * smelt_high_half(b), c);
}

/* SXTB16: bytes 0 and 2 as halves; with ROR #8: bytes 1 and 3. */
SMELT_INLINE int32_t smelt_sxtb16(int32_t x)
{
    const int32_t low = (int8_t)(uint8_t)((uint32_t)x & 0xffu);
    const int32_t high = (int8_t)(uint8_t)(((uint32_t)x >> 16) & 0xffu);
    return smelt_pack_halves(low, high);
}

SMELT_INLINE int32_t smelt_sxtb16_ror8(int32_t x)
{
    return smelt_sxtb16((int32_t)((uint32_t)x >> 8));
}

/* PKHBT: the bottom half of a, and above it the bottom half of b. */
SMELT_INLINE int32_t smelt_pkhbt(int32_t a, int32_t b)
{
    return smelt_pack_halves(a, b);
}

/* PKHTB: the top half of a, and above it the top half of b. */
SMELT_INLINE int32_t smelt_pkhtb(int32_t a, int32_t b)
{
    return smelt_pack_halves(smelt_high_half(a), smelt_high_half(b));
}

/* SMMLAR: c plus the upper word of the product, rounded to nearest (halves up). SMMULR is the same with c = 0. */
SMELT_INLINE int32_t smelt_smmlar(int32_t a, int32_t b, int32_t c)
{
    const int64_t product = (int64_t)a * b + INT64_C(0x80000000);
    return smelt_wrapping_add((int32_t)(product >> 32), c);
}

SMELT_INLINE int32_t smelt_smmulr(int32_t a, int32_t b)
{
    return smelt_smmlar(a, b, 0);
}

/* SMMLA: c plus the upper word of the product. */
SMELT_INLINE int32_t smelt_smmla(int32_t a, int32_t b, int32_t c)
{
    return smelt_wrapping_add((int32_t)(((int64_t)a * b) >> 32), c);
}

/* SSAT #8: the nearest int8. */
SMELT_INLINE int32_t smelt_ssat8(int32_t x)
{
    return smelt_max_i32(smelt_min_i32(x, 127), -128);
}

/* SADD16 and SSUB16: sums and differences of halves. */
SMELT_INLINE int32_t smelt_sadd16(int32_t a, int32_t b)
{
    return smelt_pack_halves(smelt_low_half(a) + smelt_low_half(b), smelt_high_half(a) + smelt_high_half(b));
}

SMELT_INLINE int32_t smelt_ssub16(int32_t a, int32_t b)
{
    return smelt_pack_halves(smelt_low_half(a) - smelt_low_half(b), smelt_high_half(a) - smelt_high_half(b));
}

#endif

/* The left shift that C leaves undefined for negative numbers; bits that leave at the top are lost. */
SMELT_INLINE int32_t smelt_shift_left(int32_t x, int32_t count)
{
    return (int32_t)((uint32_t)x << count);
}

/* x * multiplier / 2^31 * 2^shift, rounded after the product (halves up) and after a shift to the right (halves away from
 * zero): what TensorFlow Lite Micro computes for any x. The product saturates. */
SMELT_INLINE int32_t smelt_requantize(int32_t x, int32_t multiplier, int32_t shift)
{
    const int32_t left = shift > 0 ? shift : 0;
    const int32_t right = shift > 0 ? 0 : -shift;
    const int64_t product = (int64_t)smelt_shift_left(x, left) * multiplier;
    const int64_t high = (product + INT64_C(0x40000000)) >> 31;
    const int64_t limited = high > INT32_MAX ? INT32_MAX : high;
    const int64_t half = (INT64_C(1) << right) >> 1;
    const int64_t away = limited < 0 && right > 0 ? 1 : 0;
    return (int32_t)((limited + half - away) >> right);
}

/* Two channels in one word of weights: each half is 256 * (weight of the high channel) + (weight of the low channel). The word
   as it is gives 256 * high + low, SXTB16 of it gives low alone. */

/* What the sums of the high channel start with. */
SMELT_INLINE int32_t smelt_both_sums(int32_t high, int32_t low)
{
    return (int32_t)((uint32_t)high * 256u + (uint32_t)low);
}

/* The sum of the high channel, of at most 24 bits. */
SMELT_INLINE int32_t smelt_high_sum(int32_t both, int32_t low)
{
    return (int32_t)((uint32_t)both - (uint32_t)low) >> 8;
}

#if defined(__clang__)
#define SMELT_KEEP_LOOP _Pragma("clang loop unroll(disable)")
#else
#define SMELT_KEEP_LOOP
#endif

#endif
