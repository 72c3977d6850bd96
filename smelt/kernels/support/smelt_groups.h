/* Pointwise convolutions: two channels of groups of three pixels, all of a stretch in one call.
 *
 * One function serves the layers of a network, whatever their sizes, so that it stays in small instruction caches. Words of x of the
 * three pixels of a group lie side by side; `channel` is the table of the two channels: bias, multiplier and, where `shift` is
 * negative, shift. Outputs saturate at the ends of int8. */
#ifndef SMELT_GROUPS_H
#define SMELT_GROUPS_H

#include "smelt_dsp.h"

/* Routines: smelt_groups_grouped, smelt_groups_early, smelt_groups_paired. */

#if SMELT_HAS_DSP

/* Where the assembly finds what it needs, on its stack. */
typedef struct {
    uintptr_t x, w;
    int32_t bias, both;
    uint32_t entry;
    int32_t rounds, skipped, first;
    uintptr_t end, y;
    int32_t step;
    int32_t constants[7];
} smelt_groups_frame;

/* With 256 times a sum, (sum + its product with the multiplier, rounded, + offset) >> shift is
   (upper word of 256 * sum * whole multiplier, + 128 * offset + 64) >> (shift + 7): one SMMLA and one shift. */
SMELT_INLINE int32_t smelt_groups_offset(int32_t zero, int32_t shift)
{
    return (smelt_shift_left(2 * zero + 1, shift) >> 1) * 128 + 64;
}

SMELT_INLINE int32_t smelt_groups_multiplier(int32_t multiplier)
{
    return (int32_t)((uint32_t)multiplier >> 1);
}

/* Sums of the low channel are `scale` times what they stand for; the loop does `round` words at a time. */
typedef void smelt_groups_function(const smelt_groups_frame *frame);

SMELT_INLINE void smelt_groups_run(smelt_groups_function *run, int32_t scale, int32_t round,
        const void *w, const void *x, int8_t *y, const int32_t *channel, int32_t words, int32_t groups, int32_t step, int32_t zero, int32_t shift)
{
    const int32_t *const other = channel + (shift < 0 ? 3 : 2);
    const int32_t rounds = (words + round - 1) / round;
    const int32_t skipped = round * rounds - words;
    const int32_t low = shift < 0 ? channel[2] : shift;
    const int32_t high = shift < 0 ? other[2] : shift;
    const smelt_groups_frame frame = {
        (uintptr_t)x, (uintptr_t)w - (uintptr_t)(4 * skipped), channel[0] * scale, smelt_both_sums(other[0], channel[0]),
        (uint32_t)(44 * skipped), rounds, 12 * skipped, smelt_load_i32(w),
        (uintptr_t)x + (uintptr_t)(12 * words * groups), (uintptr_t)y, step,
        {smelt_groups_multiplier(channel[1]), smelt_groups_offset(zero, low), low + 7,
         smelt_groups_multiplier(other[1]), smelt_groups_offset(zero, high), high + 7, 0},
    };
    run(&frame);
}

/* x r0, w r1, sums of the low channel r9 r10 r2, of both r11 r12 r3, a word of weights r4, of x r6 r7 r8, rounds r5. */
#define SMELT_GROUPS_START                                                                                            \
    "push {r4-r11, lr}\n sub sp, sp, #72\n mov lr, sp\n"                                                              \
    "ldmia r0!, {r1-r9}\n stmia lr!, {r1-r9}\n ldmia r0, {r1-r9}\n stmia lr, {r1-r9}\n"                               \
    "adr.w r0, 1f\n ldr r1, [sp, #16]\n add.w r0, r0, r1\n orr r0, r0, #1\n str r0, [sp, #16]\n"                      \
    ".p2align 2\n"                                                                                                    \
    "2:\n"
#define SMELT_GROUPS_SUMS "mov r9, r2\n mov r10, r2\n mov r11, r3\n mov r12, r3\n"
#define SMELT_GROUPS_HEAD(entry)                                                                                      \
    "ldr r0, [sp]\n ldr r6, [sp, #24]\n ldr r2, [sp, #8]\n ldr r3, [sp, #12]\n ldr.w " #entry ", [sp, #16]\n"         \
    "ldr r5, [sp, #20]\n ldr r1, [sp, #4]\n sub.w r0, r0, r6\n" SMELT_GROUPS_SUMS
#define SMELT_GROUPS_HEAD_GROUPED SMELT_GROUPS_HEAD(r4) "mov.w lr, #0xff00ff00\n bx r4\n"
#define SMELT_GROUPS_HEAD_EARLY SMELT_GROUPS_HEAD(lr) "bx lr\n"
#define SMELT_GROUPS_HEAD_PAIRED                                                                                      \
    "ldr r0, [sp]\n ldr r5, [sp, #24]\n ldr r2, [sp, #8]\n ldr r3, [sp, #12]\n ldr r4, [sp, #28]\n"                   \
    "ldr.w lr, [sp, #16]\n ldr r1, [sp, #4]\n ldr r6, [r0]\n ldr r7, [r0, #4]\n ldr.w r8, [r0, #8]\n"                 \
    "sub.w r0, r0, r5\n ldr r5, [sp, #20]\n" SMELT_GROUPS_SUMS "bx lr\n"
#define SMELT_GROUPS_LOADS(o)                                                                                         \
    "ldr.w r4, [r1, #4*" #o "]\n ldr.w r6, [r0, #12*" #o "]\n"                                                        \
    "ldr.w r7, [r0, #12*" #o "+4]\n ldr.w r8, [r0, #12*" #o "+8]\n"
#define SMELT_GROUPS_BOTH "smlad r11, r4, r6, r11\n smlad r12, r4, r7, r12\n smlad r3, r4, r8, r3\n"
#define SMELT_GROUPS_LOW(v) "smlad r9, " #v ", r6, r9\n smlad r10, " #v ", r7, r10\n smlad r2, " #v ", r8, r2\n"
#define SMELT_GROUPS_GROUPED(o)                                                                                       \
    SMELT_GROUPS_LOADS(o) SMELT_GROUPS_BOTH "and.w r4, lr, r4, lsl #8\n" SMELT_GROUPS_LOW(r4)
#define SMELT_GROUPS_EARLY(o)                                                                                         \
    SMELT_GROUPS_LOADS(o) "sxtb16 lr, r4\n" SMELT_GROUPS_BOTH SMELT_GROUPS_LOW(lr)
#define SMELT_GROUPS_PAIRED(o)                                                                                        \
    "smlad r11, r4, r6, r11\n sxtb16 lr, r4\n smlad r12, r4, r7, r12\n"                                               \
    "smlad r3, r4, r8, r3\n ldr.w r4, [r1, #4*" #o "+4]\n"                                                            \
    "smlad r9, lr, r6, r9\n ldr.w r6, [r0, #12*" #o "+12]\n"                                                          \
    "smlad r10, lr, r7, r10\n ldr.w r7, [r0, #12*" #o "+16]\n"                                                        \
    "smlad r2, lr, r8, r2\n ldr.w r8, [r0, #12*" #o "+20]\n"
#define SMELT_GROUPS_LABEL ".p2align 2\n 1:\n"
#define SMELT_GROUPS_NEXT(round) "add.w r1, r1, #(4*" #round ")\n add.w r0, r0, #(12*" #round ")\n bne.w 1b\n"
/* The flags of the comparison live to the end. */
#define SMELT_GROUPS_CONSTANTS                                                                                        \
    "ldr r4, [sp, #32]\n str r0, [sp]\n cmp.w r0, r4\n"                                                                 \
    "ldr r0, [sp, #44]\n ldr r1, [sp, #48]\n ldr r4, [sp, #52]\n ldr r5, [sp, #56]\n ldr r6, [sp, #60]\n"             \
    "ldr r7, [sp, #64]\n ldr.w r8, [sp, #36]\n ldr.w lr, [sp, #40]\n"
#define SMELT_GROUPS_SPLIT_GROUPED                                                                                    \
    "sub.w r11, r11, r9, asr #8\n sub.w r12, r12, r10, asr #8\n sub.w r3, r3, r2, asr #8\n"
#define SMELT_GROUPS_SPLIT                                                                                            \
    "sub.w r11, r11, r9\n lsl.w r9, r9, #8\n sub.w r12, r12, r10\n lsl.w r10, r10, #8\n"                              \
    "sub.w r3, r3, r2\n lsl.w r2, r2, #8\n"
#define SMELT_GROUPS_OUTPUTS                                                                                          \
    "smmla r9, r9, r0, r1\n smmla r11, r11, r5, r6\n smmla r10, r10, r0, r1\n"                                        \
    "asr.w r9, r9, r4\n smmla r12, r12, r5, r6\n asr.w r11, r11, r7\n smmla r2, r2, r0, r1\n"                         \
    "asr.w r10, r10, r4\n smmla r3, r3, r5, r6\n ssat r9, #8, r9\n asr.w r12, r12, r7\n ssat r11, #8, r11\n"          \
    "asr.w r2, r2, r4\n strb.w r9, [r8]\n ssat r10, #8, r10\n asr.w r3, r3, r7\n strb.w r11, [r8, #1]\n"              \
    "add.w r8, r8, lr\n ssat r12, #8, r12\n strb.w r10, [r8]\n ssat r2, #8, r2\n strb.w r12, [r8, #1]\n"              \
    "add.w r8, r8, lr\n ssat r3, #8, r3\n strb.w r2, [r8]\n strb.w r3, [r8, #1]\n add.w r8, r8, lr\n"                 \
    "str.w r8, [sp, #36]\n bne.w 2b\n"                                                                                \
    "add sp, sp, #72\n pop {r4-r11, pc}\n"

/* Rounds of eight words for small caches of instructions, of sixteen for others. */
#define SMELT_GROUPS_ROUND_8(WORD)                                                                                    \
    SMELT_GROUPS_LABEL WORD(0) WORD(1) WORD(2) WORD(3)                                                                \
    WORD(4) WORD(5) WORD(6) "subs.w r5, r5, #1\n" WORD(7) SMELT_GROUPS_NEXT(8)
#define SMELT_GROUPS_ROUND_16(WORD)                                                                                   \
    SMELT_GROUPS_LABEL WORD(0) WORD(1) WORD(2) WORD(3) WORD(4) WORD(5) WORD(6) WORD(7) WORD(8) WORD(9) WORD(10)       \
    WORD(11) WORD(12) WORD(13) WORD(14) "subs.w r5, r5, #1\n" WORD(15) SMELT_GROUPS_NEXT(16)
#define SMELT_DEFINE_GROUPS(form, scale, round, head, WORD, split)                                                    \
    SMELT_DEFINE_ROUTINE(smelt_groups_##form##_code, smelt_groups_function,                                                   \
        SMELT_GROUPS_START head SMELT_GROUPS_ROUND_##round(WORD) SMELT_GROUPS_CONSTANTS split SMELT_GROUPS_OUTPUTS)   \
    SMELT_INLINE void smelt_groups_##form(const void *w, const void *x, int8_t *y,                                    \
            const int32_t *channel, int32_t words, int32_t groups, int32_t step, int32_t zero, int32_t shift)         \
    {                                                                                                                 \
        smelt_groups_run(smelt_groups_##form##_code(), scale, round, w, x, y, channel, words, groups, step, zero, shift); \
    }

SMELT_DEFINE_GROUPS(grouped, 256, 8, SMELT_GROUPS_HEAD_GROUPED, SMELT_GROUPS_GROUPED, SMELT_GROUPS_SPLIT_GROUPED)
SMELT_DEFINE_GROUPS(early, 1, 16, SMELT_GROUPS_HEAD_EARLY, SMELT_GROUPS_EARLY, SMELT_GROUPS_SPLIT)
SMELT_DEFINE_GROUPS(paired, 1, 16, SMELT_GROUPS_HEAD_PAIRED, SMELT_GROUPS_PAIRED, SMELT_GROUPS_SPLIT)

#else

SMELT_INLINE int8_t smelt_groups_output(int32_t sum, const int32_t *channel, int32_t zero, int32_t shift)
{
    const int32_t own = shift < 0 ? channel[2] : shift;
    const int32_t offset = smelt_shift_left(2 * zero + 1, own) >> 1;
    return (int8_t)smelt_ssat8((smelt_smmlar(sum, channel[1], sum) + offset) >> own);
}

static inline void smelt_groups_grouped(const void *w, const void *x, int8_t *y,
        const int32_t *channel, int32_t words, int32_t groups, int32_t step, int32_t zero, int32_t shift)
{
    const int32_t *const other = channel + (shift < 0 ? 3 : 2);
    for (int32_t pixel = 0; pixel < 3 * groups; ++pixel) {
        const char *const from = (const char *)x + pixel / 3 * (12 * words) + pixel % 3 * 4;
        int32_t low = channel[0];
        int32_t both = smelt_both_sums(other[0], channel[0]);
        for (int32_t i = 0; i < words; ++i) {
            const int32_t word = smelt_load_i32((const char *)w + 4 * i);
            const int32_t value = smelt_load_i32(from + 12 * i);
            both = smelt_smlad(word, value, both);
            low = smelt_smlad(smelt_sxtb16(word), value, low);
        }
        y[pixel * step] = smelt_groups_output(low, channel, zero, shift);
        y[pixel * step + 1] = smelt_groups_output(smelt_high_sum(both, low), other, zero, shift);
    }
}

#define smelt_groups_early smelt_groups_grouped
#define smelt_groups_paired smelt_groups_grouped

#endif

#endif
