/* The inner loops of dense layers: rows of products of pairs of units with one row of x. */
#ifndef SMELT_UNITS_H
#define SMELT_UNITS_H

#include "smelt_products.h"

/* Routines: smelt_units_1, smelt_units_2, smelt_units_3, smelt_units_paired. */

#if SMELT_HAS_DSP && defined(__GNUC__) && defined(__OPTIMIZE__)

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

/* Two outputs from the sums of the low unit and of both, to r0 + place; r1: the multiplier, r2: the offset, r3: the shift. */
#define SMELT_UNITS_SCALE "ldr r0, [sp]\n ldr r1, [sp, #48]\n ldr r2, [sp, #52]\n ldr r3, [sp, #56]\n"
#define SMELT_UNITS_OUTPUTS(low, both, place)                                                                         \
    "sub.w " #both ", " #both ", " #low "\n smmlar " #low ", " #low ", r1, " #low "\n"                                \
    "asr.w " #both ", " #both ", #8\n add.w " #low ", " #low ", " #low ", asr #31\n"                                  \
    "smmlar " #both ", " #both ", r1, " #both "\n add.w " #low ", " #low ", r2\n"                                     \
    "asr.w " #low ", " #low ", r3\n add.w " #both ", " #both ", " #both ", asr #31\n"                                 \
    "ssat " #low ", #8, " #low "\n add.w " #both ", " #both ", r2\n strb.w " #low ", [r0, #" #place "]\n"             \
    "asr.w " #both ", " #both ", r3\n ssat " #both ", #8, " #both "\n strb.w " #both ", [r0, #" #place "+1]\n"
#define SMELT_IN_REGISTER(parameter) parameter __attribute__((unused)) /* which only assembly reads */

/* Three pairs of units for cores that issue two instructions at a time: the loads for the next word between the multiplications. `starts`
   has, for each pair, what the sum of the low unit begins with, then that of both; `words` is even; two words of weights more are read.
   r8 to lr: the sums; r1: the weights; r2: x; on the stack: y, the end of x. */
__attribute__((naked, noinline, unused)) static void smelt_units_paired(
    SMELT_IN_REGISTER(int8_t *y), SMELT_IN_REGISTER(const int32_t *starts), SMELT_IN_REGISTER(const void *w),
    SMELT_IN_REGISTER(const int8_t *x), SMELT_IN_REGISTER(int32_t words),
    SMELT_IN_REGISTER(int32_t multiplier), SMELT_IN_REGISTER(int32_t offset), SMELT_IN_REGISTER(int32_t shift))
{
    __asm__ volatile(
        "push {r4-r11, lr}\n"
        "ldr r4, [sp, #36]\n"
        "ldm.w r1, {r8-r12, lr}\n"
        "add.w r4, r3, r4, lsl #2\n"
        "push {r0, r4}\n"
        "mov r1, r2\n"
        "mov r2, r3\n"
        "ldr.w r0, [r2], #4\n"
        "ldr r5, [r1]\n"
        "ldr r6, [r1, #4]\n"
        "sxtb16 r3, r0\n"
        ".p2align 3\n"
        "1:\n"
        "sxtb16 r0, r0, ror #8\n"
        "ldr.w r4, [r2], #4\n"
        "smlad r11, r6, r3, r11\n"
        "ldr r7, [r1, #8]\n"
        "sxtb16 r6, r6\n"
        "smlad r9, r5, r3, r9\n"
        "sxtb16 r5, r5\n"
        "smlad lr, r7, r3, lr\n"
        "sxtb16 r7, r7\n"
        "smlad r8, r5, r3, r8\n"
        "ldr r5, [r1, #12]\n"
        "smlad r10, r6, r3, r10\n"
        "smlad r12, r7, r3, r12\n"
        "ldr r7, [sp, #4]\n"
        "smlad r9, r5, r0, r9\n"
        "ldr r6, [r1, #16]\n"
        "cmp r2, r7\n"
        "ldr r7, [r1, #20]\n"
        "sxtb16 r5, r5\n"
        "smlad r11, r6, r0, r11\n"
        "sxtb16 r6, r6\n"
        "smlad r8, r5, r0, r8\n"
        "sxtb16 r3, r4\n"
        "smlad r10, r6, r0, r10\n"
        "smlad lr, r7, r0, lr\n"
        "ldr r6, [r1, #28]\n"
        "sxtb16 r4, r4, ror #8\n"
        "ldr r5, [r1, #24]\n"
        "sxtb16 r7, r7\n"
        "smlad r11, r6, r3, r11\n"
        "smlad r12, r7, r0, r12\n"
        "it eq\n subeq r2, #4\n"
        "ldr r7, [r1, #32]\n"
        "sxtb16 r6, r6\n"
        "smlad r9, r5, r3, r9\n"
        "smlad r10, r6, r3, r10\n"
        "ldr r6, [r1, #40]\n"
        "sxtb16 r5, r5\n"
        "smlad lr, r7, r3, lr\n"
        "smlad r8, r5, r3, r8\n"
        "ldr r5, [r1, #36]\n"
        "sxtb16 r7, r7\n"
        "smlad r11, r6, r4, r11\n"
        "smlad r12, r7, r3, r12\n"
        "ldr r7, [r1, #44]\n"
        "smlad r9, r5, r4, r9\n"
        "ldr.w r0, [r2], #4\n"
        "sxtb16 r5, r5\n"
        "smlad lr, r7, r4, lr\n"
        "sxtb16 r6, r6\n"
        "smlad r8, r5, r4, r8\n"
        "sxtb16 r7, r7\n"
        "smlad r10, r6, r4, r10\n"
        "ldr r5, [r1, #48]\n"
        "smlad r12, r7, r4, r12\n"
        "sxtb16 r3, r0\n"
        "ldr r6, [r1, #52]\n"
        "add.w r1, r1, #48\n"
        "bne.n 1b\n"
        SMELT_UNITS_SCALE
        SMELT_UNITS_OUTPUTS(r8, r9, 0) SMELT_UNITS_OUTPUTS(r10, r11, 2) SMELT_UNITS_OUTPUTS(r12, lr, 4)
        "add sp, #8\n"
        "pop {r4-r11, pc}\n");
}

#else

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


SMELT_INLINE void smelt_units_outputs(
    int8_t *y, int32_t low, int32_t both, int32_t multiplier, int32_t offset, int32_t shift)
{
    const int32_t high = smelt_high_sum(both, low);
    const int32_t first = smelt_smmlar(low, multiplier, low);
    const int32_t second = smelt_smmlar(high, multiplier, high);
    y[0] = (int8_t)smelt_ssat8((first + (first >> 31) + offset) >> shift);
    y[1] = (int8_t)smelt_ssat8((second + (second >> 31) + offset) >> shift);
}

SMELT_INLINE void smelt_units_paired(int8_t *y, const int32_t *starts, const void *w, const int8_t *x, int32_t words,
        int32_t multiplier, int32_t offset, int32_t shift)
{
    for (int32_t pair = 0; pair < 3; ++pair) {
        int32_t low = starts[2 * pair], both = starts[2 * pair + 1];
        smelt_units_of(&both, &low, (const char *)w + 4 * pair, x, words, 3);
        smelt_units_outputs(y + 2 * pair, low, both, multiplier, offset, shift);
    }
}

#endif

#endif
