/* Dense layers: products of pairs of units with one row of x. */
#ifndef SMELT_UNITS_H
#define SMELT_UNITS_H

#include "smelt_dsp.h"

/* Routines: smelt_units_1, smelt_units_2, smelt_units_3, smelt_units_paired. */

/* `blocks` blocks of one to three pairs, the number in a function's name. x is int8, four elements in a word; of weights there is for each
   pair a word for elements 0 and 2, then, for each, one for 1 and 3. `starts` has, for each pair, what the sum of the low unit begins with,
   then that of both; `sums` gets the same. */
#if SMELT_HAS_DSP

typedef void smelt_units_function(int32_t *sums, const int32_t *starts, const void *w, const void *x, int32_t words, int32_t blocks);

/* w r0, x r1, elements of x r2 lr, weights r3 r4 r5, sums of low and both r6 r7, r8 r9, r10 r11, rounds r12. On the stack: sums, starts,
   x where a whole round would begin, the blocks that are left, where the first round begins, rounds, bytes of weights that it skips; then
   registers, words, blocks. */
#define SMELT_UNITS_LOADS_1(o) "ldr.w r3, [r0, #(" #o ")]\n"
#define SMELT_UNITS_LOADS_2(o) SMELT_UNITS_LOADS_1(o) "ldr.w r4, [r0, #(" #o "+4)]\n"
#define SMELT_UNITS_LOADS_3(o) SMELT_UNITS_LOADS_2(o) "ldr.w r5, [r0, #(" #o "+8)]\n"
#define SMELT_UNITS_PRODUCTS_1(x) "smlad r7, r3, " #x ", r7\n sxtb16 r3, r3\n smlad r6, r3, " #x ", r6\n"
#define SMELT_UNITS_PRODUCTS_2(x)                                                                                     \
    "smlad r7, r3, " #x ", r7\n smlad r9, r4, " #x ", r9\n sxtb16 r3, r3\n sxtb16 r4, r4\n"                           \
    "smlad r6, r3, " #x ", r6\n smlad r8, r4, " #x ", r8\n"
#define SMELT_UNITS_PRODUCTS_3(x)                                                                                     \
    "smlad r7, r3, " #x ", r7\n smlad r9, r4, " #x ", r9\n smlad r11, r5, " #x ", r11\n"                              \
    "sxtb16 r3, r3\n sxtb16 r4, r4\n sxtb16 r5, r5\n"                                                                 \
    "smlad r6, r3, " #x ", r6\n smlad r8, r4, " #x ", r8\n smlad r10, r5, " #x ", r10\n"
#define SMELT_UNITS_WORD(n, i)                                                                                        \
    SMELT_UNITS_LOADS_##n(i*8*n) "ldr.w r2, [r1, #(4*" #i ")]\n sxtb16 lr, r2, ror #8\n sxtb16 r2, r2\n"              \
    SMELT_UNITS_PRODUCTS_##n(r2) SMELT_UNITS_LOADS_##n(i*8*n+4*n) SMELT_UNITS_PRODUCTS_##n(lr)
#define SMELT_UNITS_START(n, all)                                                                                     \
    "push {r4-r11, lr}\n sub sp, sp, #28\n ldr r4, [sp, #64]\n ldr r5, [sp, #68]\n"                                  \
    "str r0, [sp]\n str r1, [sp, #4]\n str r5, [sp, #12]\n add.w r6, r4, #3\n lsr.w r6, r6, #2\n str r6, [sp, #20]\n"  \
    "rsb.w r4, r4, #0\n and.w r4, r4, #3\n sub.w r3, r3, r4, lsl #2\n str r3, [sp, #8]\n"                            \
    "mov.w r5, #(8*" #n ")\n mul r5, r5, r4\n str r5, [sp, #24]\n mov.w r5, #(32*" #n "+12)\n mul r4, r4, r5\n"      \
    "adr.w r5, 1f\n add.w r4, r4, r5\n add.w r4, r4, #1\n str r4, [sp, #16]\n mov r0, r2\n"                         \
    ".p2align 2\n2:\n"                                                                                               \
    "ldr r5, [sp, #4]\n ldm.w r5!, {" all "}\n str r5, [sp, #4]\n ldr r1, [sp, #8]\n ldr r4, [sp, #24]\n"            \
    "ldr.w r12, [sp, #20]\n ldr.w lr, [sp, #16]\n sub.w r0, r0, r4\n bx lr\n"
#define SMELT_UNITS_END(n, all)                                                                                       \
    "add.w r0, r0, #(32*" #n ")\n add.w r1, r1, #16\n subs.w r12, r12, #1\n bne.w 1b\n"                             \
    "ldr r2, [sp]\n ldr r3, [sp, #12]\n stm.w r2!, {" all "}\n str r2, [sp]\n subs r3, r3, #1\n str r3, [sp, #12]\n"   \
    "bne.w 2b\n add sp, sp, #28\n pop {r4-r11, pc}\n"
#define SMELT_DEFINE_UNITS(n, all)                                                                                    \
    SMELT_DEFINE_ROUTINE(smelt_units_##n##_code, smelt_units_function,                                                    \
        SMELT_UNITS_START(n, all) ".p2align 2\n1:\n" SMELT_UNITS_WORD(n, 0) SMELT_UNITS_WORD(n, 1)                   \
        SMELT_UNITS_WORD(n, 2) SMELT_UNITS_WORD(n, 3) SMELT_UNITS_END(n, all))                                        \
    SMELT_INLINE void smelt_units_##n(int32_t *sums, const int32_t *starts, const void *w, const void *x, int32_t words,  \
            int32_t blocks)                                                                                           \
    {                                                                                                                 \
        smelt_units_##n##_code()(sums, starts, w, x, words, blocks);                                                  \
    }

SMELT_DEFINE_UNITS(1, "r6-r7")
SMELT_DEFINE_UNITS(2, "r6-r9")
SMELT_DEFINE_UNITS(3, "r6-r11")

/* Two outputs from the sums of the low unit and of both, to r0 + place; r1: the multiplier, r2: the offset, r3: the shift. */
#define SMELT_UNITS_SCALE(o) "ldr r0, [sp]\n ldr r1, [sp, #" #o "]\n ldr r2, [sp, #" #o "+4]\n ldr r3, [sp, #" #o "+8]\n"
#define SMELT_UNITS_OUTPUTS(low, both, place)                                                                         \
    "sub.w " #both ", " #both ", " #low "\n smmlar " #low ", " #low ", r1, " #low "\n"                                \
    "asr.w " #both ", " #both ", #8\n add.w " #low ", " #low ", " #low ", asr #31\n"                                  \
    "smmlar " #both ", " #both ", r1, " #both "\n add.w " #low ", " #low ", r2\n"                                     \
    "asr.w " #low ", " #low ", r3\n add.w " #both ", " #both ", " #both ", asr #31\n"                                 \
    "ssat " #low ", #8, " #low "\n add.w " #both ", " #both ", r2\n strb.w " #low ", [r0, #" #place "]\n"             \
    "asr.w " #both ", " #both ", r3\n ssat " #both ", #8, " #both "\n strb.w " #both ", [r0, #" #place "+1]\n"

/* Blocks of three pairs for cores that issue two instructions at a time: the loads for the next word between the multiplications. `starts`
   is as above; `words` is even; two words of weights more are read.
   r8 to lr: the sums; r1: the weights; r2: x; on the stack: y, starts, weights, x, the end of x, blocks that are left; then registers,
   words, multiplier, offset, shift, blocks. */
typedef void smelt_units_paired_function(int8_t *y, const int32_t *starts, const void *w, const int8_t *x, int32_t words,
        int32_t multiplier, int32_t offset, int32_t shift, int32_t blocks);

SMELT_DEFINE_ROUTINE(smelt_units_paired_code, smelt_units_paired_function,
        "push {r4-r11, lr}\n"
        "sub sp, sp, #24\n"
        "ldr r4, [sp, #60]\n"
        "ldr r5, [sp, #76]\n"
        "stm.w sp, {r0-r3}\n"
        "add.w r4, r3, r4, lsl #2\n"
        "str r4, [sp, #16]\n"
        "2:\n"
        "str r5, [sp, #20]\n"
        "ldr r0, [sp, #4]\n"
        "ldm.w r0!, {r8-r12, lr}\n"
        "str r0, [sp, #4]\n"
        "ldr r1, [sp, #8]\n"
        "ldr r2, [sp, #12]\n"
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
        "ldr r7, [sp, #16]\n"
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
        "str r1, [sp, #8]\n"
        SMELT_UNITS_SCALE(64)
        SMELT_UNITS_OUTPUTS(r8, r9, 0) SMELT_UNITS_OUTPUTS(r10, r11, 2) SMELT_UNITS_OUTPUTS(r12, lr, 4)
        "ldr r5, [sp, #20]\n"
        "adds r0, #6\n"
        "str r0, [sp]\n"
        "subs r5, #1\n"
        "bne.w 2b\n"
        "add sp, sp, #24\n"
        "pop {r4-r11, pc}\n")

SMELT_INLINE void smelt_units_paired(int8_t *y, const int32_t *starts, const void *w, const int8_t *x, int32_t words,
        int32_t multiplier, int32_t offset, int32_t shift, int32_t blocks)
{
    smelt_units_paired_code()(y, starts, w, x, words, multiplier, offset, shift, blocks);
}

#else

SMELT_INLINE void smelt_units_of(int32_t *low, int32_t *both, const void *w, const void *x, int32_t words, int32_t pairs)
{
    for (int32_t i = 0; i < words; ++i) {
        const int32_t value = smelt_load_i32((const char *)x + 4 * i);
        const int32_t even = smelt_load_i32((const char *)w + 8 * pairs * i);
        const int32_t odd = smelt_load_i32((const char *)w + 8 * pairs * i + 4 * pairs);
        *both = smelt_smlad(odd, smelt_sxtb16_ror8(value), smelt_smlad(even, smelt_sxtb16(value), *both));
        *low = smelt_smlad(smelt_sxtb16(odd), smelt_sxtb16_ror8(value), smelt_smlad(smelt_sxtb16(even), smelt_sxtb16(value), *low));
    }
}

SMELT_INLINE void smelt_units_any(int32_t pairs, int32_t *sums, const int32_t *starts, const void *w, const void *x, int32_t words,
        int32_t blocks)
{
    for (int32_t pair = 0; pair < pairs * blocks; ++pair) {
        const char *const from = (const char *)w + pair / pairs * (8 * pairs * words) + pair % pairs * 4;
        sums[2 * pair] = starts[2 * pair];
        sums[2 * pair + 1] = starts[2 * pair + 1];
        smelt_units_of(&sums[2 * pair], &sums[2 * pair + 1], from, x, words, pairs);
    }
}

#define smelt_units_1(...) smelt_units_any(1, __VA_ARGS__)
#define smelt_units_2(...) smelt_units_any(2, __VA_ARGS__)
#define smelt_units_3(...) smelt_units_any(3, __VA_ARGS__)

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
        int32_t multiplier, int32_t offset, int32_t shift, int32_t blocks)
{
    for (int32_t pair = 0; pair < 3 * blocks; ++pair) {
        const char *const from = (const char *)w + pair / 3 * (24 * words) + pair % 3 * 4;
        int32_t low = starts[2 * pair], both = starts[2 * pair + 1];
        smelt_units_of(&low, &both, from, x, words, 3);
        smelt_units_outputs(y + 2 * pair, low, both, multiplier, offset, shift);
    }
}

#endif

#endif
