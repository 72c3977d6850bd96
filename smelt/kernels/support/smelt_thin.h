/* Pointwise convolutions of images with eight channels: one channel of y, all of a stretch in one call.
 *
 * The weights stay in registers. `w` are the eight of the channel, in the order of the halves of x; pixels of x are four words, those
 * of y `step` bytes apart, their number a multiple of four; a pixel more may be read. `channel` is bias, multiplier and shift; shifts
 * are 1 to 13. */
#ifndef SMELT_THIN_H
#define SMELT_THIN_H

#include "smelt_planes.h"

/* Routines: smelt_thin_grouped, smelt_thin_paired. */

#if SMELT_HAS_DSP

typedef struct {
    uintptr_t end, y;
    int32_t step, multiplier, offset, bias, weights[4];
} smelt_thin_frame;

/* x r0, y r1, step r2, multiplier r3, offset r4, bias r5, weights r6 to r9. grouped: a pixel r10 r11 r12 lr, sum r10. paired: sums r10
   and lr in turn, so that one is finished beside the products of the other, words of x r11 r12. */
#define SMELT_THIN_START                                                                                              \
    "push {r4-r11, lr}\n mov lr, r0\n mov r0, r1\n ldmia lr, {r1-r10}\n"                                              \
    "push {r1}\n mov r1, r2\n mov r2, r3\n mov r3, r4\n mov r4, r5\n mov r5, r6\n"                                    \
    "mov r6, r7\n mov r7, r8\n mov r8, r9\n mov r9, r10\n"
#define SMELT_THIN_END                                                                                                \
    "ldr.w r10, [sp]\n cmp r0, r10\n bne.w 1b\n add sp, sp, #4\n pop {r4-r11, pc}\n"
#define SMELT_THIN_PIXEL(shift)                                                                                       \
    "ldmia.w r0!, {r10, r11, r12, lr}\n"                                                                              \
    "smlad r10, r6, r10, r5\n smlad r10, r7, r11, r10\n smlad r10, r8, r12, r10\n smlad r10, r9, lr, r10\n"           \
    "smmla r10, r10, r3, r4\n ssat r10, #8, r10, asr #" #shift "\n strb.w r10, [r1]\n add.w r1, r1, r2\n"
#define SMELT_THIN_GROUPED(shift)                                                                                     \
    ".p2align 2\n1:\n" SMELT_THIN_PIXEL(shift) SMELT_THIN_PIXEL(shift) SMELT_THIN_PIXEL(shift) SMELT_THIN_PIXEL(shift)
#define SMELT_THIN_SUM(o, sum, scale, saturate, store)                                                                \
    "smlad " #sum ", r6, r11, r5\n ldr.w r11, [r0, #(" #o "+8)]\n" scale                                              \
    "smlad " #sum ", r7, r12, " #sum "\n ldr.w r12, [r0, #(" #o "+12)]\n"                                             \
    "smlad " #sum ", r8, r11, " #sum "\n ldr.w r11, [r0, #(" #o "+16)]\n" saturate                                    \
    "smlad " #sum ", r9, r12, " #sum "\n ldr.w r12, [r0, #(" #o "+20)]\n" store
#define SMELT_THIN_NEXT(o, sum, other, shift)                                                                         \
    SMELT_THIN_SUM(o, sum, "smmla " #other ", " #other ", r3, r4\n", "ssat " #other ", #8, " #other ", asr #" #shift "\n",\
                   "strb.w " #other ", [r1]\n add.w r1, r1, r2\n")
#define SMELT_THIN_PAIRED(shift)                                                                                      \
    "ldr.w r11, [r0]\n ldr.w r12, [r0, #4]\n .p2align 2\n1:\n"                                                        \
    SMELT_THIN_SUM(0, r10, "", "", "") SMELT_THIN_NEXT(16, lr, r10, shift)                                            \
    SMELT_THIN_NEXT(32, r10, lr, shift) SMELT_THIN_NEXT(48, lr, r10, shift)                                           \
    "smmla lr, lr, r3, r4\n add.w r0, r0, #64\n ssat lr, #8, lr, asr #" #shift "\n strb.w lr, [r1]\n add.w r1, r1, r2\n"

typedef void smelt_thin_function(const smelt_thin_frame *frame, const void *x);

#define SMELT_DEFINE_THIN(name, FORM, shift)                                                                          \
    SMELT_DEFINE_ROUTINE(smelt_thin_##name##_##shift##_code, smelt_thin_function,                                             \
        SMELT_THIN_START SMELT_THIN_##FORM(shift) SMELT_THIN_END)

SMELT_DEFINE_THIN(grouped, GROUPED, 8)
SMELT_DEFINE_THIN(grouped, GROUPED, 14)
SMELT_DEFINE_THIN(paired, PAIRED, 8)
SMELT_DEFINE_THIN(paired, PAIRED, 14)

SMELT_INLINE void smelt_thin_run(smelt_thin_function *(*small)(void), smelt_thin_function *(*large)(void), const int8_t *w, const void *x, int8_t *y,
        const int32_t *channel, int32_t pixels, int32_t step, int32_t zero, int32_t common)
{
    const int32_t shift = common < 0 ? channel[2] : common;
    const int32_t factor = 1 << smelt_more_bits(shift);
    smelt_thin_frame frame = {
        (uintptr_t)x + (uintptr_t)(16 * pixels), (uintptr_t)y, step, smelt_groups_multiplier(channel[1]),
        smelt_more_offset(zero, shift), channel[0] * factor, {0},
    };
    for (int32_t i = 0; i < 4; ++i) {
        frame.weights[i] = smelt_pack_halves(w[2 * i] * factor, w[2 * i + 1] * factor);
    }
    (shift < 8 ? small() : large())(&frame, x);
}

#define SMELT_DEFINE_THINS(name)                                                                                      \
    SMELT_SHARED void smelt_thin_##name(const int8_t *w, const void *x, int8_t *y,        \
            const int32_t *channel, int32_t pixels, int32_t step, int32_t zero, int32_t common)                       \
    {                                                                                                                 \
        smelt_thin_run(smelt_thin_##name##_8_code, smelt_thin_##name##_14_code, w, x, y, channel, pixels, step, zero,     \
                       common);                                                                                       \
    }

SMELT_DEFINE_THINS(grouped)
SMELT_DEFINE_THINS(paired)

#else

static inline void smelt_thin_grouped(const int8_t *w, const void *x, int8_t *y, const int32_t *channel, int32_t pixels,
        int32_t step, int32_t zero, int32_t common)
{
    const int32_t shift = common < 0 ? channel[2] : common;
    const int32_t offset = smelt_shift_left(2 * zero + 1, shift) >> 1;
    for (int32_t pixel = 0; pixel < pixels; ++pixel) {
        int32_t sum = channel[0];
        for (int32_t i = 0; i < 8; ++i) {
            sum += w[i] * smelt_load_i16((const char *)x + 16 * pixel + 2 * i);
        }
        y[pixel * step] = (int8_t)smelt_ssat8((smelt_smmlar(sum, channel[1], sum) + offset) >> shift);
    }
}

#define smelt_thin_paired smelt_thin_grouped

#endif

#endif
