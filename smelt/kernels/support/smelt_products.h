/* The inner loops of convolutions: products of two channels with a row of pixels.
 *
 * `pixels` neighbours, whose elements lie `step` (above 0) bytes apart, are made a block of one to three at a time, the number in a function's
 * name; there are at least as many, and the last block overlaps the one before where they are no multiple. Of x a pixel sees `rows` rows
 * of `words` words, which lie `pitch` bytes apart; those of `w` follow each other, a word for both channels (see smelt_both_sums), in the
 * `plain` forms a word for each. `sums` gets for each pixel that of the low channel, which begins with `low`, and that of both, which
 * begins with `both`; in the `plain` forms the second and the first channel.
 *
 * grouped: all loads, then all multiplications. early: the same with a register more, so that nobody waits for SXTB16.
 * paired: the loads for the next word between the multiplications, for cores that issue two instructions at a time; a word of w and of
 * each row of a pixel more is read. */
#ifndef SMELT_PRODUCTS_H
#define SMELT_PRODUCTS_H

#include "smelt_dsp.h"

/* Routines: smelt_grouped_1, smelt_grouped_2, smelt_grouped_3, smelt_early_1, smelt_early_2, smelt_early_3, smelt_paired_3,
   smelt_plain_1, smelt_plain_2, smelt_plain_3, smelt_plain_paired_3. */

#if SMELT_HAS_DSP

typedef void smelt_products_function(int32_t *sums, const void *w, const void *x, int32_t low, int32_t both, int32_t words, int32_t step,
        int32_t rows, int32_t pitch, int32_t pixels);

/* w r0, x r1, step r2, words of weights r3 lr, of pixels r4 r5 r6, sums of low and both r7 r8, r9 r10, r11 r12. On the stack: sums, w, x of
   the block, low, where the first round begins, the ends of a row's and of all weights, x of the last block, the end of the first row's
   weights, from the end of a row of x to the next, sums of the last block, bytes of a row's weights; then registers, both, words, step,
   rows, pitch, pixels. */
#define SMELT_PRODUCTS_BLOCK(pixels, shift, ahead, first)                                                             \
    "push {r4-r11, lr}\n sub sp, sp, #48\n stm.w sp, {r0-r3}\n"                                                       \
    "ldr r4, [sp, #88]\n ldr.w r12, [sp, #92]\n ldr r5, [sp, #96]\n ldr r6, [sp, #100]\n ldr r7, [sp, #104]\n"        \
    "sub.w r6, r6, r4, lsl #2\n sub.w r6, r6, #" #ahead "\n lsl.w r8, r4, #" #shift "\n mla r9, r8, r5, r1\n"          \
    "add.w r9, r9, #" #ahead "\n sub.w r7, r7, #" #pixels "\n mla r10, r7, r12, r2\n add.w r11, r0, r7, lsl #3\n"      \
    "str.w r9, [sp, #24]\n str.w r10, [sp, #28]\n add.w r9, r1, r8\n add.w r9, r9, #" #ahead "\n str.w r9, [sp, #32]\n" \
    "str r6, [sp, #36]\n str.w r11, [sp, #40]\n str.w r8, [sp, #44]\n"                                               \
    "rsb.w r4, r4, #0\n and.w r4, r4, #7\n mov.w r5, #(12*" #pixels "+8)\n mul r4, r4, r5\n"                          \
    "adr.w r5, 1f\n add.w r4, r4, r5\n add.w r4, r4, #1\n str r4, [sp, #16]\n mov r1, r2\n mov r2, r12\n"           \
    ".p2align 2\n2:\n"                                                                                                \
    "ldr r0, [sp, #4]\n ldr r7, [sp, #12]\n ldr.w r8, [sp, #84]\n ldr.w lr, [sp, #32]\n"                             \
    "mov r9, r7\n mov r11, r7\n mov r10, r8\n mov r12, r8\n" first                                                  \
    "3:\n str.w lr, [sp, #20]\n"
#define SMELT_PRODUCTS_ENTER "ldr.w lr, [sp, #16]\n bx lr\n"
#define SMELT_PRODUCTS_ROUND(WORD) ".p2align 2\n1:\n" WORD WORD WORD WORD WORD WORD WORD WORD
#define SMELT_PRODUCTS_END(past, back, all)                                                                           \
    "ldr.w lr, [sp, #20]\n cmp.w r0, lr\n bne.w 1b\n"                                                                 \
    "ldr r4, [sp, #24]\n cmp r0, r4\n bne.w 6f\n"                                                                    \
    "ldr r3, [sp]\n ldr r1, [sp, #8]\n ldr r0, [sp, #28]\n stm.w r3!, {" all "}\n" past                              \
    "str r3, [sp]\n cmp r1, r0\n str r1, [sp, #8]\n bls.w 2b\n"                                                      \
    back "cmp r1, r0\n beq.n 5f\n mov r1, r0\n ldr r3, [sp, #40]\n str r3, [sp]\n str r1, [sp, #8]\n b.w 2b\n"       \
    "5:\n add sp, sp, #48\n pop {r4-r11, pc}\n"                                                                      \
    "6:\n ldr r4, [sp, #36]\n ldr r5, [sp, #44]\n add r1, r4\n add lr, r5\n b.w 3b\n"
#define SMELT_PRODUCTS_END_1 SMELT_PRODUCTS_END("add.w r1, r1, r2\n", "sub.w r1, r1, r2\n", "r7-r8")
#define SMELT_PRODUCTS_END_2 SMELT_PRODUCTS_END("add.w r1, r1, r2, lsl #1\n", "sub.w r1, r1, r2, lsl #1\n", "r7-r10")
#define SMELT_PRODUCTS_END_3                                                                                          \
    SMELT_PRODUCTS_END("add.w r1, r1, r2\n add.w r1, r1, r2, lsl #1\n",                                               \
                       "sub.w r1, r1, r2\n sub.w r1, r1, r2, lsl #1\n", "r7-r12")

#define SMELT_PIXELS_1 "ldr.w r4, [r1], #4\n"
#define SMELT_PIXELS_2 "ldr.w r5, [r1, r2]\n" SMELT_PIXELS_1
#define SMELT_PIXELS_3 "ldr.w r6, [r1, r2, lsl #1]\n" SMELT_PIXELS_2
#define SMELT_LOW_1(v) "smlad r7, " v ", r4, r7\n"
#define SMELT_LOW_2(v) "smlad r9, " v ", r5, r9\n" SMELT_LOW_1(v)
#define SMELT_LOW_3(v) "smlad r11, " v ", r6, r11\n" SMELT_LOW_2(v)
#define SMELT_BOTH_1(v) "smlad r8, " v ", r4, r8\n"
#define SMELT_BOTH_2(v) "smlad r10, " v ", r5, r10\n" SMELT_BOTH_1(v)
#define SMELT_BOTH_3(v) "smlad r12, " v ", r6, r12\n" SMELT_BOTH_2(v)
#define SMELT_WORD(r) "ldr.w " r ", [r0], #4\n"
#define SMELT_GROUPED(n) SMELT_WORD("r3") SMELT_PIXELS_##n SMELT_BOTH_##n("r3") "sxtb16 r3, r3\n" SMELT_LOW_##n("r3")
#define SMELT_EARLY(n) SMELT_WORD("r3") SMELT_PIXELS_##n "sxtb16 lr, r3\n" SMELT_BOTH_##n("r3") SMELT_LOW_##n("lr")
#define SMELT_PLAIN(n) SMELT_WORD("r3") SMELT_WORD("lr") SMELT_PIXELS_##n SMELT_BOTH_##n("r3") SMELT_LOW_##n("lr")
#define SMELT_PAIRED_LOW                                                                                              \
    "smlad r11, lr, r6, r11\n ldr.w r6, [r1, r2, lsl #1]\n smlad r9, lr, r5, r9\n ldr.w r5, [r1, r2]\n"               \
    "smlad r7, lr, r4, r7\n ldr.w r4, [r1], #4\n"
#define SMELT_PAIRED                                                                                                  \
    "smlad r12, r3, r6, r12\n sxtb16 lr, r3\n smlad r10, r3, r5, r10\n smlad r8, r3, r4, r8\n" SMELT_WORD("r3")       \
    SMELT_PAIRED_LOW
#define SMELT_PLAIN_PAIRED                                                                                            \
    "smlad r12, r3, r6, r12\n" SMELT_WORD("lr") "smlad r10, r3, r5, r10\n smlad r8, r3, r4, r8\n" SMELT_WORD("r3")    \
    SMELT_PAIRED_LOW

#define SMELT_DEFINE_PRODUCTS(form, n, code)                                                                          \
    SMELT_DEFINE_ROUTINE(smelt_##form##_##n##_code, smelt_products_function, code)                                        \
    SMELT_INLINE void smelt_##form##_##n(int32_t *sums, const void *w, const void *x, int32_t low, int32_t both,      \
            int32_t words, int32_t step, int32_t rows, int32_t pitch, int32_t pixels)                                 \
    {                                                                                                                 \
        smelt_##form##_##n##_code()(sums, w, x, low, both, words, step, rows, pitch, pixels);                         \
    }
#define SMELT_PRODUCTS_OF(n, shift, WORD)                                                                             \
    SMELT_PRODUCTS_BLOCK(n, shift, 0, "") SMELT_PRODUCTS_ENTER SMELT_PRODUCTS_ROUND(WORD(n)) SMELT_PRODUCTS_END_##n
#define SMELT_PRODUCTS_PAIRED(shift, WORD)                                                                            \
    SMELT_PRODUCTS_BLOCK(3, shift, 4, SMELT_WORD("r3")) SMELT_PIXELS_3 SMELT_PRODUCTS_ENTER                           \
    SMELT_PRODUCTS_ROUND(WORD) SMELT_PRODUCTS_END_3

SMELT_DEFINE_PRODUCTS(grouped, 1, SMELT_PRODUCTS_OF(1, 2, SMELT_GROUPED))
SMELT_DEFINE_PRODUCTS(grouped, 2, SMELT_PRODUCTS_OF(2, 2, SMELT_GROUPED))
SMELT_DEFINE_PRODUCTS(grouped, 3, SMELT_PRODUCTS_OF(3, 2, SMELT_GROUPED))
SMELT_DEFINE_PRODUCTS(early, 1, SMELT_PRODUCTS_OF(1, 2, SMELT_EARLY))
SMELT_DEFINE_PRODUCTS(early, 2, SMELT_PRODUCTS_OF(2, 2, SMELT_EARLY))
SMELT_DEFINE_PRODUCTS(early, 3, SMELT_PRODUCTS_OF(3, 2, SMELT_EARLY))
SMELT_DEFINE_PRODUCTS(plain, 1, SMELT_PRODUCTS_OF(1, 3, SMELT_PLAIN))
SMELT_DEFINE_PRODUCTS(plain, 2, SMELT_PRODUCTS_OF(2, 3, SMELT_PLAIN))
SMELT_DEFINE_PRODUCTS(plain, 3, SMELT_PRODUCTS_OF(3, 3, SMELT_PLAIN))
SMELT_DEFINE_PRODUCTS(paired, 3, SMELT_PRODUCTS_PAIRED(2, SMELT_PAIRED))
SMELT_DEFINE_PRODUCTS(plain_paired, 3, SMELT_PRODUCTS_PAIRED(3, SMELT_PLAIN_PAIRED))

#else

SMELT_INLINE void smelt_grouped_1(int32_t *sums, const void *w, const void *x, int32_t low, int32_t both, int32_t words, int32_t step,
        int32_t rows, int32_t pitch, int32_t pixels)
{
    for (int32_t pixel = 0; pixel < pixels; ++pixel) {
        const char *weights = (const char *)w;
        const char *from = (const char *)x + pixel * step;
        int32_t first = low, second = both;
        for (int32_t row = 0; row < rows; ++row) {
            for (int32_t i = 0; i < words; ++i) {
                const int32_t word = smelt_load_i32(weights);
                const int32_t value = smelt_load_i32(from + 4 * i);
                first = smelt_smlad(smelt_sxtb16(word), value, first);
                second = smelt_smlad(word, value, second);
                weights += 4;
            }
            from += pitch;
        }
        sums[2 * pixel] = first;
        sums[2 * pixel + 1] = second;
    }
}

SMELT_INLINE void smelt_plain_1(int32_t *sums, const void *w, const void *x, int32_t low, int32_t both, int32_t words, int32_t step,
        int32_t rows, int32_t pitch, int32_t pixels)
{
    for (int32_t pixel = 0; pixel < pixels; ++pixel) {
        const char *weights = (const char *)w;
        const char *from = (const char *)x + pixel * step;
        int32_t first = low, second = both;
        for (int32_t row = 0; row < rows; ++row) {
            for (int32_t i = 0; i < words; ++i) {
                const int32_t value = smelt_load_i32(from + 4 * i);
                first = smelt_smlad(smelt_load_i32(weights + 4), value, first);
                second = smelt_smlad(smelt_load_i32(weights), value, second);
                weights += 8;
            }
            from += pitch;
        }
        sums[2 * pixel] = first;
        sums[2 * pixel + 1] = second;
    }
}

#define smelt_grouped_2 smelt_grouped_1
#define smelt_grouped_3 smelt_grouped_1
#define smelt_early_1 smelt_grouped_1
#define smelt_early_2 smelt_grouped_1
#define smelt_early_3 smelt_grouped_1
#define smelt_paired_3 smelt_grouped_1
#define smelt_plain_2 smelt_plain_1
#define smelt_plain_3 smelt_plain_1
#define smelt_plain_paired_3 smelt_plain_1

#endif

#endif
