/* Dense layers that leave out what is zero: a list of the elements of x that count, and their products with eight units. */
#ifndef SMELT_SIFTED_H
#define SMELT_SIFTED_H

#include "smelt_units.h"

/* Routines: smelt_sift, smelt_sifted. */

#if defined(__GNUC__)
#define SMELT_ROUTINE static __attribute__((noinline, unused))
#else
#define SMELT_ROUTINE static
#endif

/* One element of four in a word. */
#define SMELT_SIFT(bit)                                                                                               \
    "ubfx %[value], %[word], #" #bit ", #8\n sub.w %[distance], %[offset], %[from]\n"                                 \
    "cmp.w %[value], #0\n strh.w %[value], [%[place]]\n add.w %[offset], %[offset], %[step]\n"                       \
    "strh.w %[distance], [%[place], #4]\n"                                                                           \
    "itttt ne\n addne.w %[place], %[place], %[stride]\n rsbne %[stride], %[stride], #8\n"                            \
    "andne.w %[from], %[distance], %[mask]\n mvnne.w %[mask], %[mask]\n"

/* Lists the elements of x above -128, two to an entry of two words: their values plus 128 as halves; then, as halves too, how many bytes
   behind the first element's weights those of the former are (`step` for each element), and those of the latter behind these.
   A negative second word ends the list. */
SMELT_INLINE void smelt_sift_end(char *place, int32_t odd)
{
    if (odd) {
        smelt_store_u16(place, 0);
        smelt_store_u16(place + 4, 0);
        place += 6;
    }
    smelt_store_i32(place + 4, -1);
}

SMELT_ROUTINE void smelt_sift(int32_t *list, const int8_t *x, int32_t count, int32_t step)
{
    char *place = (char *)list;
    int32_t i = 0;
    uint32_t offset = 0, from = 0;
    int32_t stride = 2; /* to the next half: 2 where an entry begins, then 6 */
#if SMELT_HAS_DSP && defined(__GNUC__) && defined(__OPTIMIZE__)
    int32_t mask = -1; /* where an entry begins; then 0 */
    for (; i + 4 <= count; i += 4) {
        const uint32_t word = smelt_load_u32(x + i) ^ 0x80808080u;
        uint32_t value;
        int32_t distance;
        __asm__ volatile(
            SMELT_SIFT(0) SMELT_SIFT(8) SMELT_SIFT(16) SMELT_SIFT(24)
            : [place] "+r"(place), [offset] "+r"(offset), [from] "+r"(from), [stride] "+r"(stride), [mask] "+r"(mask),
              [value] "=&r"(value), [distance] "=&r"(distance)
            : [word] "r"(word), [step] "r"(step) : "cc", "memory");
    }
#endif
    for (; i < count; ++i) {
        const int32_t value = x[i] + 128;
        smelt_store_u16(place, (uint16_t)value);
        smelt_store_u16(place + 4, (uint16_t)(offset - from));
        if (value != 0) {
            from = stride == 2 ? offset : 0;
            place += stride;
            stride = 8 - stride;
        }
        offset += (uint32_t)step;
    }
    smelt_sift_end(place, stride == 6);
}

/* Eight outputs: `starts`, which has for each pair what the sum of the low unit begins with, then that of both (see smelt_both_sums), and
   the products of all entries. An element's weights are two words of two pairs each; `w` is the first element's. */
#if SMELT_HAS_DSP && defined(__GNUC__) && defined(__OPTIMIZE__)

/* r6 to lr: the sums; r2: the list; r0, r1: two elements' weights, from address to words; on the stack: y, the weights.
   Low registers for what is loaded: short instructions leave the bus of the Cortex-M33 free for reads of flash. */
__attribute__((naked, noinline, unused)) static void smelt_sifted(
    SMELT_IN_REGISTER(int8_t *y), SMELT_IN_REGISTER(const int32_t *starts), SMELT_IN_REGISTER(const void *w),
    SMELT_IN_REGISTER(const int32_t *list), SMELT_IN_REGISTER(int32_t multiplier), SMELT_IN_REGISTER(int32_t offset),
    SMELT_IN_REGISTER(int32_t shift))
{
    __asm__ volatile(
        "push {r4-r11, lr}\n"
        "ldm.w r1, {r6-r12, lr}\n"
        "push {r0, r2, r3}\n"
        "ldr r1, [r3, #4]\n"
        "mov r0, r2\n"
        "mov r2, r3\n"
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
        "ldr r0, [sp, #4]\n"
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
        SMELT_UNITS_SCALE
        SMELT_UNITS_OUTPUTS(r6, r7, 0) SMELT_UNITS_OUTPUTS(r8, r9, 2)
        SMELT_UNITS_OUTPUTS(r10, r11, 4) SMELT_UNITS_OUTPUTS(r12, lr, 6)
        "add sp, #12\n"
        "pop {r4-r11, pc}\n");
}

#else

SMELT_ROUTINE void smelt_sifted(int8_t *y, const int32_t *starts, const void *w, const int32_t *list,
        int32_t multiplier, int32_t offset, int32_t shift)
{
    for (int32_t pair = 0; pair < 4; ++pair) {
        int32_t low = starts[2 * pair], both = starts[2 * pair + 1];
        for (const int32_t *entry = list; entry[1] >= 0; entry += 2) {
            const char *const former = (const char *)w + (entry[1] & 0xffff) + 2 * pair;
            const int32_t word = smelt_pack_halves(smelt_load_i16(former), smelt_load_i16(former + (entry[1] >> 16)));
            low = smelt_smlad(smelt_sxtb16(word), entry[0], low);
            both = smelt_smlad(word, entry[0], both);
        }
        smelt_units_outputs(y + 2 * pair, low, both, multiplier, offset, shift);
    }
}

#endif

#endif
