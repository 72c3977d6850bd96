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

/* SADD16 and SSUB16: sums and differences of halves. */
SMELT_INLINE int32_t smelt_sadd16(int32_t a, int32_t b)
{
#if SMELT_HAS_DSP
    int32_t result;
    __asm__("sadd16 %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
#else
    return smelt_pack_halves(smelt_low_half(a) + smelt_low_half(b), smelt_high_half(a) + smelt_high_half(b));
#endif
}

SMELT_INLINE int32_t smelt_ssub16(int32_t a, int32_t b)
{
#if SMELT_HAS_DSP
    int32_t result;
    __asm__("ssub16 %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
#else
    return smelt_pack_halves(smelt_low_half(a) - smelt_low_half(b), smelt_high_half(a) - smelt_high_half(b));
#endif
}

/* Rows of products of two channels with one to three pixels, whose elements lie `step` bytes apart; `words` and `step` are
   constants. `w` has a word for both channels (see above), in the `plain` forms a word for each. Assembly
   wherever an optimising compiler has 13 registers to give; the end of the weights waits on the stack where all are taken.

   grouped: all loads, then all multiplications. early: the same with a register more, so that nobody waits for SXTB16.
   paired: the loads for the next word between the multiplications, for cores that issue two instructions at a time. */
#if SMELT_HAS_DSP && defined(__GNUC__) && defined(__OPTIMIZE__)

#define SMELT_GROUPED_1(o)                                                                                            \
    "ldr.w %[v], [%[w], #" #o "]\n"                                                                                   \
    "ldr.w %[a], [%[x], #(" #o ")]\n"                                                                         \
    "smlad %[h0], %[v], %[a], %[h0]\n"                                                                                \
    "sxtb16 %[v], %[v]\n"                                                                                             \
    "smlad %[l0], %[v], %[a], %[l0]\n"
#define SMELT_GROUPED_2(o)                                                                                            \
    "ldr.w %[v], [%[w], #" #o "]\n"                                                                                   \
    "ldr.w %[a], [%[x], #(" #o ")]\n ldr.w %[b], [%[x], #(%c[s]+" #o ")]\n"                                 \
    "smlad %[h0], %[v], %[a], %[h0]\n smlad %[h1], %[v], %[b], %[h1]\n"                                               \
    "sxtb16 %[v], %[v]\n"                                                                                             \
    "smlad %[l0], %[v], %[a], %[l0]\n smlad %[l1], %[v], %[b], %[l1]\n"
#define SMELT_GROUPED_3(o)                                                                                            \
    "ldr.w %[v], [%[w], #" #o "]\n"                                                                                   \
    "ldr.w %[a], [%[x], #(" #o ")]\n ldr.w %[b], [%[x], #(%c[s]+" #o ")]\n ldr.w %[c], [%[x], #(2*%c[s]+" #o ")]\n"\
    "smlad %[h0], %[v], %[a], %[h0]\n smlad %[h1], %[v], %[b], %[h1]\n smlad %[h2], %[v], %[c], %[h2]\n"              \
    "sxtb16 %[v], %[v]\n"                                                                                             \
    "smlad %[l0], %[v], %[a], %[l0]\n smlad %[l1], %[v], %[b], %[l1]\n smlad %[l2], %[v], %[c], %[l2]\n"
#define SMELT_EARLY_1(o)                                                                                              \
    "ldr.w %[v], [%[w], #" #o "]\n"                                                                                   \
    "ldr.w %[a], [%[x], #(" #o ")]\n"                                                                         \
    "sxtb16 %[u], %[v]\n"                                                                                             \
    "smlad %[h0], %[v], %[a], %[h0]\n"                                                                                \
    "smlad %[l0], %[u], %[a], %[l0]\n"
#define SMELT_EARLY_2(o)                                                                                              \
    "ldr.w %[v], [%[w], #" #o "]\n"                                                                                   \
    "ldr.w %[a], [%[x], #(" #o ")]\n ldr.w %[b], [%[x], #(%c[s]+" #o ")]\n"                                 \
    "sxtb16 %[u], %[v]\n"                                                                                             \
    "smlad %[h0], %[v], %[a], %[h0]\n smlad %[h1], %[v], %[b], %[h1]\n"                                               \
    "smlad %[l0], %[u], %[a], %[l0]\n smlad %[l1], %[u], %[b], %[l1]\n"
#define SMELT_EARLY_3(o)                                                                                              \
    "ldr.w %[v], [%[w], #" #o "]\n"                                                                                   \
    "ldr.w %[a], [%[x], #(" #o ")]\n ldr.w %[b], [%[x], #(%c[s]+" #o ")]\n ldr.w %[c], [%[x], #(2*%c[s]+" #o ")]\n"\
    "sxtb16 %[u], %[v]\n"                                                                                             \
    "smlad %[h0], %[v], %[a], %[h0]\n smlad %[h1], %[v], %[b], %[h1]\n smlad %[h2], %[v], %[c], %[h2]\n"              \
    "smlad %[l0], %[u], %[a], %[l0]\n smlad %[l1], %[u], %[b], %[l1]\n smlad %[l2], %[u], %[c], %[l2]\n"
#define SMELT_PLAIN_1(o)                                                                                              \
    "ldr.w %[v], [%[w], #(2*" #o ")]\n ldr.w %[u], [%[w], #(2*" #o "+4)]\n"                                           \
    "ldr.w %[a], [%[x], #(" #o ")]\n"                                                                         \
    "smlad %[h0], %[v], %[a], %[h0]\n"                                                                                \
    "smlad %[l0], %[u], %[a], %[l0]\n"
#define SMELT_PLAIN_2(o)                                                                                              \
    "ldr.w %[v], [%[w], #(2*" #o ")]\n ldr.w %[u], [%[w], #(2*" #o "+4)]\n"                                           \
    "ldr.w %[a], [%[x], #(" #o ")]\n ldr.w %[b], [%[x], #(%c[s]+" #o ")]\n"                                 \
    "smlad %[h0], %[v], %[a], %[h0]\n smlad %[h1], %[v], %[b], %[h1]\n"                                               \
    "smlad %[l0], %[u], %[a], %[l0]\n smlad %[l1], %[u], %[b], %[l1]\n"
#define SMELT_PLAIN_3(o)                                                                                              \
    "ldr.w %[v], [%[w], #(2*" #o ")]\n ldr.w %[u], [%[w], #(2*" #o "+4)]\n"                                           \
    "ldr.w %[a], [%[x], #(" #o ")]\n ldr.w %[b], [%[x], #(%c[s]+" #o ")]\n ldr.w %[c], [%[x], #(2*%c[s]+" #o ")]\n"\
    "smlad %[h0], %[v], %[a], %[h0]\n smlad %[h1], %[v], %[b], %[h1]\n smlad %[h2], %[v], %[c], %[h2]\n"              \
    "smlad %[l0], %[u], %[a], %[l0]\n smlad %[l1], %[u], %[b], %[l1]\n smlad %[l2], %[u], %[c], %[l2]\n"
#define SMELT_PAIRED_3(o)                                                                                             \
    "smlad %[h0], %[v], %[a], %[h0]\n sxtb16 %[u], %[v]\n"                                                            \
    "smlad %[h1], %[v], %[b], %[h1]\n smlad %[h2], %[v], %[c], %[h2]\n ldr.w %[v], [%[w], #(" #o "+4)]\n"             \
    SMELT_PAIRED_LOW_3(o)
#define SMELT_PLAIN_PAIRED_3(o)                                                                                       \
    "smlad %[h0], %[v], %[a], %[h0]\n ldr.w %[u], [%[w], #(2*" #o "+4)]\n"                                            \
    "smlad %[h1], %[v], %[b], %[h1]\n smlad %[h2], %[v], %[c], %[h2]\n ldr.w %[v], [%[w], #(2*" #o "+8)]\n"           \
    SMELT_PAIRED_LOW_3(o)
#define SMELT_PAIRED_LOW_3(o)                                                                                         \
    "smlad %[l0], %[u], %[a], %[l0]\n ldr.w %[a], [%[x], #(" #o "+4)]\n"                                              \
    "smlad %[l1], %[u], %[b], %[l1]\n ldr.w %[b], [%[x], #(%c[s]+" #o "+4)]\n"                                        \
    "smlad %[l2], %[u], %[c], %[l2]\n ldr.w %[c], [%[x], #(2*%c[s]+" #o "+4)]\n"
#define SMELT_START_NONE ""
#define SMELT_START_PAIRED                                                                                            \
    "ldr.w %[v], [%[w]]\n ldr.w %[a], [%[x]]\n ldr.w %[b], [%[x], #(%c[s])]\n ldr.w %[c], [%[x], #(2*%c[s])]\n"

#define SMELT_EIGHT(M) M(0) M(4) M(8) M(12) M(16) M(20) M(24) M(28)
#define SMELT_ADVANCE(w, x) "add.w %[w], %[w], #" #w "\n add.w %[x], %[x], #" #x "\n"
#define SMELT_ROUNDS_ONE(body) ".p2align 2\n1:\n" body "subs.w %[n], %[n], #1\n bne.w 1b\n"
#define SMELT_ROUNDS_TWO(body) SMELT_ROUNDS_TO(u, body)
#define SMELT_ROUNDS_TO(end, body)                                                                                    \
    "str %[" #end "], [sp, #-4]!\n .p2align 2\n1:\n" body                                                             \
    "ldr.w %[" #end "], [sp]\n cmp %[w], %[" #end "]\n bne.w 1b\n add.w sp, sp, #4\n"
#define SMELT_SUMS_1 [h0] "+r"(*h0), [l0] "+r"(*l0)
#define SMELT_SUMS_2 SMELT_SUMS_1, [h1] "+r"(*h1), [l1] "+r"(*l1)
#define SMELT_SUMS_3 SMELT_SUMS_2, [h2] "+r"(*h2), [l2] "+r"(*l2)
#define SMELT_PIXELS_1 [a] "=&r"(a)
#define SMELT_PIXELS_2 SMELT_PIXELS_1, [b] "=&r"(b)
#define SMELT_PIXELS_3 SMELT_PIXELS_2, [c] "=&r"(c)
#define SMELT_TEMPORARIES_1 a
#define SMELT_TEMPORARIES_2 a, b
#define SMELT_TEMPORARIES_3 a, b, c
#define SMELT_PLACES [w] "+r"(w), [x] "+r"(x), [v] "=&r"(v)
#define SMELT_REGISTERS_ONE [n] "+r"(n)
#define SMELT_REGISTERS_TWO [u] "+r"(u)
#define SMELT_OPERANDS(pixels, registers)                                                                             \
    SMELT_SUMS_##pixels, SMELT_PIXELS_##pixels, SMELT_PLACES, SMELT_REGISTERS_##registers
#define SMELT_RUN(code, ...) __asm__ volatile(code : __VA_ARGS__ : [s] "i"(step) : "cc", "memory")

#define SMELT_PRODUCTS(pixels, start, LOOP, WORD, registers, w4, w8, w16, w32)                                        \
    {                                                                                                                 \
        const char *u = (const char *)w + words / 8 * w32;                                                            \
        int32_t n = words / 8, v, SMELT_TEMPORARIES_##pixels;                                                         \
        (void)u, (void)n;                                                                                             \
        if (words / 8 > 1) {                                                                                          \
            SMELT_RUN(SMELT_START_##start SMELT_ROUNDS_##registers(SMELT_EIGHT(LOOP) SMELT_ADVANCE(w32, 32)),         \
                      SMELT_OPERANDS(pixels, registers));                                                             \
        } else if (words / 8 == 1) {                                                                                  \
            SMELT_RUN(SMELT_START_##start SMELT_EIGHT(LOOP) SMELT_ADVANCE(w32, 32), SMELT_OPERANDS(pixels, registers));\
        }                                                                                                             \
        if (words % 8 >= 4) {                                                                                         \
            SMELT_RUN(WORD(0) WORD(4) WORD(8) WORD(12) SMELT_ADVANCE(w16, 16), SMELT_OPERANDS(pixels, registers));    \
        }                                                                                                             \
        if (words % 4 >= 2) {                                                                                         \
            SMELT_RUN(WORD(0) WORD(4) SMELT_ADVANCE(w8, 8), SMELT_OPERANDS(pixels, registers));                       \
        }                                                                                                             \
        if (words % 2 == 1) {                                                                                         \
            SMELT_RUN(WORD(0) SMELT_ADVANCE(w4, 4), SMELT_OPERANDS(pixels, registers));                               \
        }                                                                                                             \
    }

#define SMELT_HALF 4, 8, 16, 32
#define SMELT_FULL 8, 16, 32, 64
#define SMELT_PRODUCTS_OF(...) SMELT_PRODUCTS(__VA_ARGS__)

SMELT_INLINE void smelt_grouped_1(int32_t *h0, int32_t *l0,
        const void *w, const void *x, int32_t words, int32_t step)
SMELT_PRODUCTS_OF(1, NONE, SMELT_GROUPED_1, SMELT_GROUPED_1, ONE, SMELT_HALF)

SMELT_INLINE void smelt_grouped_2(int32_t *h0, int32_t *h1, int32_t *l0, int32_t *l1,
        const void *w, const void *x, int32_t words, int32_t step)
SMELT_PRODUCTS_OF(2, NONE, SMELT_GROUPED_2, SMELT_GROUPED_2, ONE, SMELT_HALF)

SMELT_INLINE void smelt_grouped_3(int32_t *h0, int32_t *h1, int32_t *h2, int32_t *l0, int32_t *l1, int32_t *l2,
        const void *w, const void *x, int32_t words, int32_t step)
SMELT_PRODUCTS_OF(3, NONE, SMELT_GROUPED_3, SMELT_GROUPED_3, ONE, SMELT_HALF)

SMELT_INLINE void smelt_early_1(int32_t *h0, int32_t *l0,
        const void *w, const void *x, int32_t words, int32_t step)
SMELT_PRODUCTS_OF(1, NONE, SMELT_EARLY_1, SMELT_EARLY_1, TWO, SMELT_HALF)

SMELT_INLINE void smelt_early_2(int32_t *h0, int32_t *h1, int32_t *l0, int32_t *l1,
        const void *w, const void *x, int32_t words, int32_t step)
SMELT_PRODUCTS_OF(2, NONE, SMELT_EARLY_2, SMELT_EARLY_2, TWO, SMELT_HALF)

SMELT_INLINE void smelt_early_3(int32_t *h0, int32_t *h1, int32_t *h2, int32_t *l0, int32_t *l1, int32_t *l2,
        const void *w, const void *x, int32_t words, int32_t step)
SMELT_PRODUCTS_OF(3, NONE, SMELT_EARLY_3, SMELT_EARLY_3, TWO, SMELT_HALF)

SMELT_INLINE void smelt_plain_1(int32_t *h0, int32_t *l0,
        const void *w, const void *x, int32_t words, int32_t step)
SMELT_PRODUCTS_OF(1, NONE, SMELT_PLAIN_1, SMELT_PLAIN_1, TWO, SMELT_FULL)

SMELT_INLINE void smelt_plain_2(int32_t *h0, int32_t *h1, int32_t *l0, int32_t *l1,
        const void *w, const void *x, int32_t words, int32_t step)
SMELT_PRODUCTS_OF(2, NONE, SMELT_PLAIN_2, SMELT_PLAIN_2, TWO, SMELT_FULL)

SMELT_INLINE void smelt_plain_3(int32_t *h0, int32_t *h1, int32_t *h2, int32_t *l0, int32_t *l1, int32_t *l2,
        const void *w, const void *x, int32_t words, int32_t step)
SMELT_PRODUCTS_OF(3, NONE, SMELT_PLAIN_3, SMELT_PLAIN_3, TWO, SMELT_FULL)

SMELT_INLINE void smelt_paired_3(int32_t *h0, int32_t *h1, int32_t *h2, int32_t *l0, int32_t *l1, int32_t *l2,
        const void *w, const void *x, int32_t words, int32_t step)
SMELT_PRODUCTS_OF(3, PAIRED, SMELT_PAIRED_3, SMELT_EARLY_3, TWO, SMELT_HALF)

SMELT_INLINE void smelt_plain_paired_3(int32_t *h0, int32_t *h1, int32_t *h2, int32_t *l0, int32_t *l1, int32_t *l2,
        const void *w, const void *x, int32_t words, int32_t step)
SMELT_PRODUCTS_OF(3, PAIRED, SMELT_PLAIN_PAIRED_3, SMELT_PLAIN_3, TWO, SMELT_FULL)

/* Three pairs of channels and one pixel, whose x is int8: four elements in a word of x, for each pair a word of weights for
   elements 0 and 2, then one for 1 and 3. */
#define SMELT_UNITS_1(o)                                                                                              \
    "ldr.w %[v], [%[w], #(2*" #o "+0)]\n"                                                                             \
    "ldr.w %[a], [%[x], #" #o "]\n sxtb16 %[a], %[a]\n"                                   \
    "smlad %[h0], %[v], %[a], %[h0]\n"                                                                                \
    "sxtb16 %[v], %[v]\n"                                                                                             \
    "smlad %[l0], %[v], %[a], %[l0]\n"                                                                                \
    "ldr.w %[v], [%[w], #(2*" #o "+4)]\n"                                                                             \
    "ldr.w %[a], [%[x], #" #o "]\n sxtb16 %[a], %[a], ror #8\n"                                                       \
    "smlad %[h0], %[v], %[a], %[h0]\n"                                                                                \
    "sxtb16 %[v], %[v]\n"                                                                                             \
    "smlad %[l0], %[v], %[a], %[l0]\n"
#define SMELT_UNITS_2(o)                                                                                              \
    "ldr.w %[v], [%[w], #(4*" #o "+0)]\n ldr.w %[u], [%[w], #(4*" #o "+4)]\n"                                         \
    "ldr.w %[a], [%[x], #" #o "]\n sxtb16 %[a], %[a]\n"                                   \
    "smlad %[h0], %[v], %[a], %[h0]\n smlad %[h1], %[u], %[a], %[h1]\n"                                               \
    "sxtb16 %[v], %[v]\n sxtb16 %[u], %[u]\n"                                                                         \
    "smlad %[l0], %[v], %[a], %[l0]\n smlad %[l1], %[u], %[a], %[l1]\n"                                               \
    "ldr.w %[v], [%[w], #(4*" #o "+8)]\n ldr.w %[u], [%[w], #(4*" #o "+12)]\n"                                        \
    "ldr.w %[a], [%[x], #" #o "]\n sxtb16 %[a], %[a], ror #8\n"                                                       \
    "smlad %[h0], %[v], %[a], %[h0]\n smlad %[h1], %[u], %[a], %[h1]\n"                                               \
    "sxtb16 %[v], %[v]\n sxtb16 %[u], %[u]\n"                                                                         \
    "smlad %[l0], %[v], %[a], %[l0]\n smlad %[l1], %[u], %[a], %[l1]\n"
#define SMELT_UNITS_3(o)                                                                                              \
    "ldr.w %[v], [%[w], #(6*" #o "+0)]\n ldr.w %[u], [%[w], #(6*" #o "+4)]\n ldr.w %[t], [%[w], #(6*" #o "+8)]\n"     \
    "ldr.w %[a], [%[x], #" #o "]\n sxtb16 %[a], %[a]\n"                                   \
    "smlad %[h0], %[v], %[a], %[h0]\n smlad %[h1], %[u], %[a], %[h1]\n smlad %[h2], %[t], %[a], %[h2]\n"              \
    "sxtb16 %[v], %[v]\n sxtb16 %[u], %[u]\n sxtb16 %[t], %[t]\n"                                                     \
    "smlad %[l0], %[v], %[a], %[l0]\n smlad %[l1], %[u], %[a], %[l1]\n smlad %[l2], %[t], %[a], %[l2]\n"              \
    "ldr.w %[v], [%[w], #(6*" #o "+12)]\n ldr.w %[u], [%[w], #(6*" #o "+16)]\n ldr.w %[t], [%[w], #(6*" #o "+20)]\n"  \
    "ldr.w %[a], [%[x], #" #o "]\n sxtb16 %[a], %[a], ror #8\n"                                                       \
    "smlad %[h0], %[v], %[a], %[h0]\n smlad %[h1], %[u], %[a], %[h1]\n smlad %[h2], %[t], %[a], %[h2]\n"              \
    "sxtb16 %[v], %[v]\n sxtb16 %[u], %[u]\n sxtb16 %[t], %[t]\n"                                                     \
    "smlad %[l0], %[v], %[a], %[l0]\n smlad %[l1], %[u], %[a], %[l1]\n smlad %[l2], %[t], %[a], %[l2]\n"
#define SMELT_LOAD(r, base, o) "ldr.w %[" #r "], [%[" #base "], #(" #o ")]\n"
#define SMELT_UNITS_TEMPORARIES_1
#define SMELT_UNITS_TEMPORARIES_2 , [u] "=&r"(u)
#define SMELT_UNITS_TEMPORARIES_3 , [u] "=&r"(u), [t] "=&r"(t)
#define SMELT_UNITS_RUN(pixels, code)                                                                                 \
    __asm__ volatile(code : SMELT_SUMS_##pixels, [a] "+r"(a), SMELT_PLACES SMELT_UNITS_TEMPORARIES_##pixels\
                     : : "cc", "memory")
#define SMELT_UNITS(pixels, round, bytes, two_bytes)                                                                  \
    {                                                                                                                 \
        const char *a = (const char *)w + words / 4 * (2 * two_bytes);                                                \
        int32_t b, u, v, t;                                                                                           \
        (void)step, (void)b, (void)u, (void)t;                                                                                 \
        if (words / 4 > 0) {                                                                                          \
            SMELT_UNITS_RUN(pixels, round);                                                                           \
        }                                                                                                             \
        if (words % 4 >= 2) {                                                                                         \
            SMELT_UNITS_RUN(pixels, SMELT_UNITS_##pixels(0) SMELT_UNITS_##pixels(4) SMELT_ADVANCE(two_bytes, 8));     \
        }                                                                                                             \
        if (words % 2 == 1) {                                                                                         \
            SMELT_UNITS_RUN(pixels, SMELT_UNITS_##pixels(0) SMELT_ADVANCE(bytes, 4));                                 \
        }                                                                                                             \
    }
#define SMELT_UNITS_ROUND(pixels, bytes)                                                                              \
    SMELT_ROUNDS_TO(a, SMELT_UNITS_##pixels(0) SMELT_UNITS_##pixels(4) SMELT_UNITS_##pixels(8) SMELT_UNITS_##pixels(12) SMELT_ADVANCE(bytes, 16))

SMELT_INLINE void smelt_units_1(int32_t *h0, int32_t *l0,
        const void *w, const void *x, int32_t words, int32_t step)
SMELT_UNITS(1, SMELT_UNITS_ROUND(1, 32), 8, 16)

SMELT_INLINE void smelt_units_2(int32_t *h0, int32_t *h1, int32_t *l0, int32_t *l1,
        const void *w, const void *x, int32_t words, int32_t step)
SMELT_UNITS(2, SMELT_UNITS_ROUND(2, 64), 16, 32)

SMELT_INLINE void smelt_units_3(int32_t *h0, int32_t *h1, int32_t *h2, int32_t *l0, int32_t *l1, int32_t *l2,
        const void *w, const void *x, int32_t words, int32_t step)
SMELT_UNITS(3, SMELT_UNITS_ROUND(3, 96), 24, 48)

#else

SMELT_INLINE void smelt_grouped_1(int32_t *h0, int32_t *l0,
        const void *w, const void *x, int32_t words, int32_t step)
{
    (void)step;
    for (int32_t i = 0; i < words; ++i) {
        const int32_t value = smelt_load_i32((const char *)x + 4 * i);
        const int32_t word = smelt_load_i32((const char *)w + 4 * i);
        const int32_t other = smelt_sxtb16(word);
        *h0 = smelt_smlad(word, value, *h0);
        *l0 = smelt_smlad(other, value, *l0);
    }
}

SMELT_INLINE void smelt_grouped_2(int32_t *h0, int32_t *h1, int32_t *l0, int32_t *l1,
        const void *w, const void *x, int32_t words, int32_t step)
{
    smelt_grouped_1(h0, l0, w, x, words, step);
    smelt_grouped_1(h1, l1, w, (const char *)x + step, words, step);
}

SMELT_INLINE void smelt_grouped_3(int32_t *h0, int32_t *h1, int32_t *h2, int32_t *l0, int32_t *l1, int32_t *l2,
        const void *w, const void *x, int32_t words, int32_t step)
{
    smelt_grouped_2(h0, h1, l0, l1, w, x, words, step);
    smelt_grouped_1(h2, l2, w, (const char *)x + 2 * step, words, step);
}

SMELT_INLINE void smelt_plain_1(int32_t *h0, int32_t *l0,
        const void *w, const void *x, int32_t words, int32_t step)
{
    (void)step;
    for (int32_t i = 0; i < words; ++i) {
        const int32_t value = smelt_load_i32((const char *)x + 4 * i);
        const int32_t word = smelt_load_i32((const char *)w + 8 * i);
        const int32_t other = smelt_load_i32((const char *)w + 8 * i + 4);
        *h0 = smelt_smlad(word, value, *h0);
        *l0 = smelt_smlad(other, value, *l0);
    }
}

SMELT_INLINE void smelt_plain_2(int32_t *h0, int32_t *h1, int32_t *l0, int32_t *l1,
        const void *w, const void *x, int32_t words, int32_t step)
{
    smelt_plain_1(h0, l0, w, x, words, step);
    smelt_plain_1(h1, l1, w, (const char *)x + step, words, step);
}

SMELT_INLINE void smelt_plain_3(int32_t *h0, int32_t *h1, int32_t *h2, int32_t *l0, int32_t *l1, int32_t *l2,
        const void *w, const void *x, int32_t words, int32_t step)
{
    smelt_plain_2(h0, h1, l0, l1, w, x, words, step);
    smelt_plain_1(h2, l2, w, (const char *)x + 2 * step, words, step);
}

SMELT_INLINE void smelt_units_of(int32_t *h, int32_t *l, const void *w, const void *x, int32_t words, int32_t pairs)
{
    for (int32_t i = 0; i < words; ++i) {
        const int32_t value = smelt_load_i32((const char *)x + 4 * i);
        const int32_t even = smelt_load_i32((const char *)w + 8 * pairs * i);
        const int32_t odd = smelt_load_i32((const char *)w + 8 * pairs * i + 4 * pairs);
        *h = smelt_smlad(odd, smelt_sxtb16_ror8(value), smelt_smlad(even, smelt_sxtb16(value), *h));
        *l = smelt_smlad(smelt_sxtb16(odd), smelt_sxtb16_ror8(value), smelt_smlad(smelt_sxtb16(even), smelt_sxtb16(value), *l));
    }
}

SMELT_INLINE void smelt_units_1(int32_t *h0, int32_t *l0,
        const void *w, const void *x, int32_t words, int32_t step)
{
    (void)step;
    smelt_units_of(h0, l0, (const char *)w + 0, x, words, 1);
}

SMELT_INLINE void smelt_units_2(int32_t *h0, int32_t *h1, int32_t *l0, int32_t *l1,
        const void *w, const void *x, int32_t words, int32_t step)
{
    (void)step;
    smelt_units_of(h0, l0, (const char *)w + 0, x, words, 2);
    smelt_units_of(h1, l1, (const char *)w + 4, x, words, 2);
}

SMELT_INLINE void smelt_units_3(int32_t *h0, int32_t *h1, int32_t *h2, int32_t *l0, int32_t *l1, int32_t *l2,
        const void *w, const void *x, int32_t words, int32_t step)
{
    (void)step;
    smelt_units_of(h0, l0, (const char *)w + 0, x, words, 3);
    smelt_units_of(h1, l1, (const char *)w + 4, x, words, 3);
    smelt_units_of(h2, l2, (const char *)w + 8, x, words, 3);
}

#define smelt_early_1 smelt_grouped_1
#define smelt_early_2 smelt_grouped_2
#define smelt_early_3 smelt_grouped_3
#define smelt_paired_3 smelt_grouped_3
#define smelt_plain_paired_3 smelt_plain_3

#endif
#define smelt_paired_1 smelt_early_1
#define smelt_paired_2 smelt_early_2
#define smelt_plain_paired_1 smelt_plain_1
#define smelt_plain_paired_2 smelt_plain_2

#endif
