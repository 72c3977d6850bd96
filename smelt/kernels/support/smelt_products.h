/* The inner loops of convolutions: rows of products of two channels with one to three pixels. */
#ifndef SMELT_PRODUCTS_H
#define SMELT_PRODUCTS_H

#include "smelt_dsp.h"

/* Routines: smelt_grouped_1, smelt_grouped_2, smelt_grouped_3, smelt_early_1, smelt_early_2, smelt_early_3, smelt_paired_1,
   smelt_paired_2, smelt_paired_3, smelt_plain_1, smelt_plain_2, smelt_plain_3, smelt_plain_paired_1, smelt_plain_paired_2,
   smelt_plain_paired_3. */

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
