/* What the kernels of smelt are written in: unaligned access, minimum and maximum, and one function per instruction.
 *
 * Each function that is named after an instruction has two bodies: the instruction, on cores that have it, and portable C
 * that gives the same bits everywhere else. Sums wrap at 32 bits, as they do in the instructions.
 */
#ifndef SMELT_KERNELS_H
#define SMELT_KERNELS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__ARM_FEATURE_DSP) && defined(__arm__)
#if __ARM_FEATURE_DSP
#define SMELT_HAS_DSP 1
#include <arm_acle.h>
#endif
#endif
#ifndef SMELT_HAS_DSP
#define SMELT_HAS_DSP 0
#endif

/* Copies of a few bytes must become single instructions even where compilers are told that there is no library. */
#if defined(__GNUC__)
#define SMELT_INLINE static inline __attribute__((always_inline, unused))
#define SMELT_COPY __builtin_memcpy
#else
#define SMELT_INLINE static inline
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

/* SMLAD: both products of halves, added to c. */
SMELT_INLINE int32_t smelt_smlad(int32_t a, int32_t b, int32_t c)
{
#if SMELT_HAS_DSP
    return __smlad(a, b, c);
#else
    const int32_t low = smelt_low_half(a) * smelt_low_half(b);
    const int32_t high = smelt_high_half(a) * smelt_high_half(b);
    return smelt_wrapping_add(smelt_wrapping_add(low, high), c);
#endif
}

/* SMLAxy: the product of one half of a (B bottom, T top) and one half of b, added to c. */
SMELT_INLINE int32_t smelt_smlabb(int32_t a, int32_t b, int32_t c)
{
#if SMELT_HAS_DSP
    return __smlabb(a, b, c);
#else
    return smelt_wrapping_add(smelt_low_half(a) * smelt_low_half(b), c);
#endif
}

SMELT_INLINE int32_t smelt_smlabt(int32_t a, int32_t b, int32_t c)
{
#if SMELT_HAS_DSP
    return __smlabt(a, b, c);
#else
    return smelt_wrapping_add(smelt_low_half(a) * smelt_high_half(b), c);
#endif
}

SMELT_INLINE int32_t smelt_smlatb(int32_t a, int32_t b, int32_t c)
{
#if SMELT_HAS_DSP
    return __smlatb(a, b, c);
#else
    return smelt_wrapping_add(smelt_high_half(a) * smelt_low_half(b), c);
#endif
}

SMELT_INLINE int32_t smelt_smlatt(int32_t a, int32_t b, int32_t c)
{
#if SMELT_HAS_DSP
    return __smlatt(a, b, c);
#else
    return smelt_wrapping_add(smelt_high_half(a) * smelt_high_half(b), c);
#endif
}

/* SXTB16: bytes 0 and 2 as halves; with ROR #8: bytes 1 and 3. */
SMELT_INLINE int32_t smelt_sxtb16(int32_t x)
{
#if SMELT_HAS_DSP
    return __sxtb16(x);
#else
    const int32_t low = (int8_t)(uint8_t)((uint32_t)x & 0xffu);
    const int32_t high = (int8_t)(uint8_t)(((uint32_t)x >> 16) & 0xffu);
    return smelt_pack_halves(low, high);
#endif
}

SMELT_INLINE int32_t smelt_sxtb16_ror8(int32_t x)
{
#if SMELT_HAS_DSP
    int32_t result;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(x));
    return result;
#else
    return smelt_sxtb16((int32_t)((uint32_t)x >> 8));
#endif
}

/* PKHBT: the bottom half of a, and above it the bottom half of b. */
SMELT_INLINE int32_t smelt_pkhbt(int32_t a, int32_t b)
{
#if SMELT_HAS_DSP
    int32_t result;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(result) : "r"(a), "r"(b));
    return result;
#else
    return smelt_pack_halves(a, b);
#endif
}

/* PKHTB: the top half of a, and above it the top half of b. */
SMELT_INLINE int32_t smelt_pkhtb(int32_t a, int32_t b)
{
#if SMELT_HAS_DSP
    int32_t result;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(result) : "r"(b), "r"(a));
    return result;
#else
    return smelt_pack_halves(smelt_high_half(a), smelt_high_half(b));
#endif
}

/* SMMLAR: c plus the upper word of the product, rounded to nearest (halves up). SMMULR is the same with c = 0. */
SMELT_INLINE int32_t smelt_smmlar(int32_t a, int32_t b, int32_t c)
{
#if SMELT_HAS_DSP
    int32_t result;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(c));
    return result;
#else
    const int64_t product = (int64_t)a * b + INT64_C(0x80000000);
    return smelt_wrapping_add((int32_t)(product >> 32), c);
#endif
}

SMELT_INLINE int32_t smelt_smmulr(int32_t a, int32_t b)
{
#if SMELT_HAS_DSP
    int32_t result;
    __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
#else
    return smelt_smmlar(a, b, 0);
#endif
}

/* SSAT #8: the nearest int8. */
SMELT_INLINE int32_t smelt_ssat8(int32_t x)
{
#if SMELT_HAS_DSP && defined(__clang__)
    return __ssat(x, 8); /* which clang merges with a shift before it */
#elif SMELT_HAS_DSP
    int32_t result;
    __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(x));
    return result;
#else
    return smelt_max_i32(smelt_min_i32(x, 127), -128);
#endif
}

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

/* Rows of products for one to three pixels, whose elements lie `step` bytes apart. Assembly where compilers may be trusted to
   find 14 registers: optimised, without a frame pointer. */
#if SMELT_HAS_DSP && defined(__GNUC__) && defined(__OPTIMIZE__)
#define SMELT_HAS_ASSEMBLY 1
#else
#define SMELT_HAS_ASSEMBLY 0
#endif

#if SMELT_HAS_ASSEMBLY

/* All loads, then all multiplications: for cores that issue one instruction at a time. */
#define SMELT_WORD_1(o)                                                                                                \
    "ldr.w %[v], [%[w], #" #o "]\n ldr.w %[a], [%[x], #" #o "]\n"                                                      \
    "sxtb16 %[u], %[v]\n smlad %[h0], %[v], %[a], %[h0]\n smlad %[l0], %[u], %[a], %[l0]\n"
#define SMELT_WORD_2(o)                                                                                                \
    "ldr.w %[v], [%[w], #" #o "]\n ldr.w %[a], [%[x], #" #o "]\n ldr.w %[b], [%[x], #(%c[s]+" #o ")]\n"                \
    "sxtb16 %[u], %[v]\n smlad %[h0], %[v], %[a], %[h0]\n smlad %[h1], %[v], %[b], %[h1]\n"                            \
    "smlad %[l0], %[u], %[a], %[l0]\n smlad %[l1], %[u], %[b], %[l1]\n"
#define SMELT_WORD_3(o)                                                                                                \
    "ldr.w %[v], [%[w], #" #o "]\n ldr.w %[a], [%[x], #" #o "]\n"                                                      \
    "ldr.w %[b], [%[x], #(%c[s]+" #o ")]\n ldr.w %[c], [%[x], #(2*%c[s]+" #o ")]\n"                                    \
    "sxtb16 %[u], %[v]\n"                                                                                              \
    "smlad %[h0], %[v], %[a], %[h0]\n smlad %[h1], %[v], %[b], %[h1]\n smlad %[h2], %[v], %[c], %[h2]\n"                \
    "smlad %[l0], %[u], %[a], %[l0]\n smlad %[l1], %[u], %[b], %[l1]\n smlad %[l2], %[u], %[c], %[l2]\n"
/* The loads for the next word between the multiplications: for cores that issue two instructions at a time. */
#define SMELT_PAIRED_WORD_3(o)                                                                                         \
    "smlad %[h0], %[v], %[a], %[h0]\n sxtb16 %[u], %[v]\n"                                                             \
    "smlad %[h1], %[v], %[b], %[h1]\n smlad %[h2], %[v], %[c], %[h2]\n ldr.w %[v], [%[w], #(" #o "+4)]\n"              \
    "smlad %[l0], %[u], %[a], %[l0]\n ldr.w %[a], [%[x], #(" #o "+4)]\n"                                               \
    "smlad %[l1], %[u], %[b], %[l1]\n ldr.w %[b], [%[x], #(%c[s]+" #o "+4)]\n"                                         \
    "smlad %[l2], %[u], %[c], %[l2]\n ldr.w %[c], [%[x], #(2*%c[s]+" #o "+4)]\n"
#define SMELT_PAIRED_START_3                                                                                           \
    "ldr.w %[v], [%[w]]\n ldr.w %[a], [%[x]]\n ldr.w %[b], [%[x], #(%c[s])]\n ldr.w %[c], [%[x], #(2*%c[s])]\n"

#define SMELT_EIGHT(M) M(0) M(4) M(8) M(12) M(16) M(20) M(24) M(28)
#define SMELT_ROUNDS(bytes, body)                                                                                      \
    ".p2align 2\n1:\n" body "add.w %[w], %[w], #" #bytes "\n add.w %[x], %[x], #" #bytes "\n"                          \
    "subs.w %[n], %[n], #1\n bne.w 1b\n"
#define SMELT_SUMS_1 [h0] "+r"(*h0), [l0] "+r"(*l0)
#define SMELT_SUMS_2 SMELT_SUMS_1, [h1] "+r"(*h1), [l1] "+r"(*l1)
#define SMELT_SUMS_3 SMELT_SUMS_2, [h2] "+r"(*h2), [l2] "+r"(*l2)
#define SMELT_PLACES [w] "+r"(w), [x] "+r"(x), [n] "+r"(n), [v] "=&r"(v), [u] "=&r"(u)
#define SMELT_RUN(code, ...) __asm__ volatile(code : __VA_ARGS__ : [s] "i"(step) : "cc", "memory")
#define SMELT_PIXELS_1 [a] "=&r"(a)
#define SMELT_PIXELS_2 [a] "=&r"(a), [b] "=&r"(b)
#define SMELT_PIXELS_3 [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c)

/* `words` and `step` are constants: always inlined. */
#define SMELT_PRODUCTS_BODY(pixels)                                                                                    \
    {                                                                                                                  \
        int32_t n = words / 8, u, v, SMELT_TEMPORARIES_##pixels;                                                          \
        if (n > 0) {                                                                                                   \
            SMELT_RUN(SMELT_ROUNDS(32, SMELT_EIGHT(SMELT_WORD_##pixels)), SMELT_SUMS_##pixels, SMELT_PLACES,           \
                      SMELT_PIXELS_##pixels);                                                                          \
        }                                                                                                              \
        SMELT_REST(SMELT_WORD_##pixels, SMELT_SUMS_##pixels, SMELT_PIXELS_##pixels)                                    \
    }
#define SMELT_REST(M, sums, ...)                                                                                       \
    if (words % 8 >= 4) {                                                                                              \
        SMELT_RUN(M(0) M(4) M(8) M(12) "add.w %[w], %[w], #16\n add.w %[x], %[x], #16\n", sums, SMELT_PLACES, __VA_ARGS__); \
    }                                                                                                                  \
    if (words % 4 >= 2) {                                                                                              \
        SMELT_RUN(M(0) M(4) "add.w %[w], %[w], #8\n add.w %[x], %[x], #8\n", sums, SMELT_PLACES, __VA_ARGS__);          \
    }                                                                                                                  \
    if (words % 2 == 1) {                                                                                              \
        SMELT_RUN(M(0), sums, SMELT_PLACES, __VA_ARGS__);                                                              \
    }
#define SMELT_TEMPORARIES_1 a
#define SMELT_TEMPORARIES_2 a, b
#define SMELT_TEMPORARIES_3 a, b, c

SMELT_INLINE void smelt_products_1(int32_t *h0, int32_t *l0, const void *w, const void *x, int32_t words, int32_t step)
SMELT_PRODUCTS_BODY(1)

SMELT_INLINE void smelt_products_2(int32_t *h0, int32_t *h1, int32_t *l0, int32_t *l1, const void *w, const void *x,
                                   int32_t words, int32_t step)
SMELT_PRODUCTS_BODY(2)

SMELT_INLINE void smelt_products_3(int32_t *h0, int32_t *h1, int32_t *h2, int32_t *l0, int32_t *l1, int32_t *l2,
                                   const void *w, const void *x, int32_t words, int32_t step)
SMELT_PRODUCTS_BODY(3)

SMELT_INLINE void smelt_paired_products_3(int32_t *h0, int32_t *h1, int32_t *h2, int32_t *l0, int32_t *l1, int32_t *l2,
                                          const void *w, const void *x, int32_t words, int32_t step)
{
    int32_t n = words / 8, u, v, a, b, c;
    if (n > 0) {
        SMELT_RUN(SMELT_PAIRED_START_3 SMELT_ROUNDS(32, SMELT_EIGHT(SMELT_PAIRED_WORD_3)), SMELT_SUMS_3, SMELT_PLACES,
                  SMELT_PIXELS_3);
    }
    SMELT_REST(SMELT_WORD_3, SMELT_SUMS_3, SMELT_PIXELS_3)
}

#else

SMELT_INLINE void smelt_products_1(int32_t *high, int32_t *low, const void *w, const void *x, int32_t words, int32_t step)
{
    (void)step;
    for (int32_t i = 0; i < words; ++i) {
        const int32_t word = smelt_load_i32((const char *)w + 4 * i);
        const int32_t value = smelt_load_i32((const char *)x + 4 * i);
        *high = smelt_smlad(word, value, *high);
        *low = smelt_smlad(smelt_sxtb16(word), value, *low);
    }
}

SMELT_INLINE void smelt_products_2(int32_t *h0, int32_t *h1, int32_t *l0, int32_t *l1, const void *w, const void *x,
                                   int32_t words, int32_t step)
{
    smelt_products_1(h0, l0, w, x, words, step);
    smelt_products_1(h1, l1, w, (const char *)x + step, words, step);
}

SMELT_INLINE void smelt_products_3(int32_t *h0, int32_t *h1, int32_t *h2, int32_t *l0, int32_t *l1, int32_t *l2,
                                   const void *w, const void *x, int32_t words, int32_t step)
{
    smelt_products_2(h0, h1, l0, l1, w, x, words, step);
    smelt_products_1(h2, l2, w, (const char *)x + 2 * step, words, step);
}

#define smelt_paired_products_3 smelt_products_3

#endif
#define smelt_paired_products_2 smelt_products_2
#define smelt_paired_products_1 smelt_products_1

#endif
