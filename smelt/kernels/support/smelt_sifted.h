/* Dense layers that leave out what is zero: a list of the elements of x that count, and their products with eight units. */
#ifndef SMELT_SIFTED_H
#define SMELT_SIFTED_H

#include "smelt_units.h"

/* Routines: smelt_sift, smelt_sifted. */

/* The end of a list; `odd`: of its last entry only one half is there. */
SMELT_INLINE void smelt_sift_end(char *place, int32_t odd)
{
    if (odd) {
        smelt_store_u16(place, 0);
        smelt_store_u16(place + 4, 0);
        place += 6;
    }
    smelt_store_i32(place + 4, -1);
}

/* Where a list is written on: how many bytes behind the first element's weights those of the next element and of the entry before are; the
   bytes to the next half, 2 where an entry begins, then 6; -1 where one begins, then 0. */
typedef struct {
    char *place;
    uint32_t offset, from;
    int32_t stride, mask;
} smelt_sift_state;

#if SMELT_HAS_DSP

typedef void smelt_sift_function(smelt_sift_state *state, const void *x, int32_t fours, int32_t step);

/* One element of four in r11. x r1, fours r2, step r3, the state r4 to r8. */
#define SMELT_SIFT(bit)                                                                                               \
    "ubfx r9, r11, #" #bit ", #8\n sub.w r10, r5, r6\n cmp.w r9, #0\n strh.w r9, [r4]\n add.w r5, r5, r3\n"           \
    "strh.w r10, [r4, #4]\n itttt ne\n addne.w r4, r4, r7\n rsbne r7, r7, #8\n"                                     \
    "andne.w r6, r10, r8\n mvnne.w r8, r8\n"

SMELT_DEFINE_ROUTINE(smelt_sift_code, smelt_sift_function,
        "push {r4-r11, lr}\n mov r12, r0\n ldm.w r0, {r4-r8}\n .p2align 2\n"
        "1:\n ldr.w r11, [r1], #4\n eor.w r11, r11, #0x80808080\n"
        SMELT_SIFT(0) SMELT_SIFT(8) SMELT_SIFT(16) SMELT_SIFT(24)
        "subs.w r2, r2, #1\n bne.w 1b\n stm.w r12, {r4-r8}\n pop {r4-r11, pc}\n")

#endif

/* Lists the elements of x above -128, two to an entry of two words: their values plus 128 as halves; then, as halves too, how many bytes
   behind the first element's weights those of the former are (`step` for each element), and those of the latter behind these.
   A negative second word ends the list. */
SMELT_SHARED void smelt_sift(int32_t *list, const int8_t *x, int32_t count, int32_t step)
{
    smelt_sift_state s = {(char *)list, 0, 0, 2, -1};
    int32_t i = 0;
#if SMELT_HAS_DSP
    if (count >= 4) {
        i = count / 4 * 4;
        smelt_sift_code()(&s, x, count / 4, step);
    }
#endif
    for (; i < count; ++i) {
        const int32_t value = x[i] + 128;
        smelt_store_u16(s.place, (uint16_t)value);
        smelt_store_u16(s.place + 4, (uint16_t)(s.offset - s.from));
        if (value != 0) {
            s.from = s.stride == 2 ? s.offset : 0;
            s.place += s.stride;
            s.stride = 8 - s.stride;
        }
        s.offset += (uint32_t)step;
    }
    smelt_sift_end(s.place, s.stride == 6);
}

/* Eight outputs for each of `blocks` blocks: `starts`, which has for each pair what the sum of the low unit begins with, then that of both
   (see smelt_both_sums), and the products of all entries. An element's weights are two words of two pairs for each block; `w` is the first
   element's. */
#if SMELT_HAS_DSP

/* Two outputs from the sums of the low unit and of both, to r0 + place; r1: the multiplier, r2: the offset, r3: the shift. */
#define SMELT_UNITS_SCALE(o) "ldr r0, [sp]\n ldr r1, [sp, #" #o "]\n ldr r2, [sp, #" #o "+4]\n ldr r3, [sp, #" #o "+8]\n"
#define SMELT_UNITS_OUTPUTS(low, both, place)                                                                         \
    "sub.w " #both ", " #both ", " #low "\n smmlar " #low ", " #low ", r1, " #low "\n"                                \
    "asr.w " #both ", " #both ", #8\n add.w " #low ", " #low ", " #low ", asr #31\n"                                  \
    "smmlar " #both ", " #both ", r1, " #both "\n add.w " #low ", " #low ", r2\n"                                     \
    "asr.w " #low ", " #low ", r3\n add.w " #both ", " #both ", " #both ", asr #31\n"                                 \
    "ssat " #low ", #8, " #low "\n add.w " #both ", " #both ", r2\n strb.w " #low ", [r0, #" #place "]\n"             \
    "asr.w " #both ", " #both ", r3\n ssat " #both ", #8, " #both "\n strb.w " #both ", [r0, #" #place "+1]\n"


/* r6 to lr: the sums; r2: the list; r0, r1: two elements' weights, from address to words; on the stack: y, starts, the weights, list, blocks
   that are left; then registers, multiplier, offset, shift, blocks.
   Low registers for what is loaded: short instructions leave the bus of the Cortex-M33 free for reads of flash. */
typedef void smelt_sifted_function(int8_t *y, const int32_t *starts, const void *w, const int32_t *list, int32_t multiplier, int32_t offset,
        int32_t shift, int32_t blocks);

SMELT_DEFINE_ROUTINE(smelt_sifted_code, smelt_sifted_function,
        "push {r4-r11, lr}\n"
        "sub sp, sp, #20\n"
        "ldr r4, [sp, #68]\n"
        "stm.w sp, {r0-r3}\n"
        "3:\n"
        "str r4, [sp, #16]\n"
        "ldr r0, [sp, #4]\n"
        "ldm.w r0!, {r6-r12, lr}\n"
        "str r0, [sp, #4]\n"
        "ldr r2, [sp, #12]\n"
        "ldr r0, [sp, #8]\n"
        "ldr r1, [r2, #4]\n"
        "cmp r1, #0\n"
        "bmi 2f\n"
        "uxtah r0, r0, r1\n"
        "add.w r1, r0, r1, lsr #16\n"
        ".p2align 3\n"
        "1:\n"
        "ldr r4, [r1]\n"
        "ldr r1, [r1, #4]\n"
        "ldr r3, [r0]\n"
        "ldr r0, [r0, #4]\n"
        "pkhbt r5, r3, r4, lsl #16\n"
        "pkhtb r4, r4, r3, asr #16\n"
        "ldr.w r3, [r2], #8\n"
        "smlad r7, r5, r3, r7\n"
        "sxtb16 r5, r5\n"
        "smlad r9, r4, r3, r9\n"
        "sxtb16 r4, r4\n"
        "smlad r6, r5, r3, r6\n"
        "pkhbt r5, r0, r1, lsl #16\n"
        "smlad r8, r4, r3, r8\n"
        "pkhtb r4, r1, r0, asr #16\n"
        "ldr r0, [sp, #8]\n"
        "ldr r1, [r2, #4]\n"
        "smlad lr, r4, r3, lr\n"
        "sxtb16 r4, r4\n"
        "smlad r11, r5, r3, r11\n"
        "sxtb16 r5, r5\n"
        "uxtah r0, r0, r1\n"
        "smlad r10, r5, r3, r10\n"
        "cmp r1, #0\n"
        "add.w r1, r0, r1, lsr #16\n"
        "smlad r12, r4, r3, r12\n"
        "bpl.n 1b\n"
        "2:\n"
        SMELT_UNITS_SCALE(56)
        SMELT_UNITS_OUTPUTS(r6, r7, 0) SMELT_UNITS_OUTPUTS(r8, r9, 2)
        SMELT_UNITS_OUTPUTS(r10, r11, 4) SMELT_UNITS_OUTPUTS(r12, lr, 6)
        "ldr r1, [sp, #8]\n"
        "ldr r4, [sp, #16]\n"
        "adds r0, #8\n"
        "adds r1, #8\n"
        "str r0, [sp]\n"
        "str r1, [sp, #8]\n"
        "subs r4, #1\n"
        "bne.w 3b\n"
        "add sp, sp, #20\n"
        "pop {r4-r11, pc}\n")

SMELT_INLINE void smelt_sifted(int8_t *y, const int32_t *starts, const void *w, const int32_t *list, int32_t multiplier, int32_t offset,
        int32_t shift, int32_t blocks)
{
    smelt_sifted_code()(y, starts, w, list, multiplier, offset, shift, blocks);
}

#else

SMELT_SHARED void smelt_sifted(int8_t *y, const int32_t *starts, const void *w, const int32_t *list, int32_t multiplier, int32_t offset,
        int32_t shift, int32_t blocks)
{
    for (int32_t pair = 0; pair < 4 * blocks; ++pair) {
        int32_t low = starts[2 * pair], both = starts[2 * pair + 1];
        for (const int32_t *entry = list; entry[1] >= 0; entry += 2) {
            const char *const former = (const char *)w + (entry[1] & 0xffff) + 2 * pair;
            const int32_t word = smelt_pack_halves(smelt_load_i16(former), smelt_load_i16(former + (entry[1] >> 16)));
            low = smelt_smlad(smelt_sxtb16(word), entry[0], low);
            both = smelt_smlad(word, entry[0], both);
        }
        smelt_pair_outputs(y + 2 * pair, low, both, multiplier, offset, shift);
    }
}

#endif

#endif
