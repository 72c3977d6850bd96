/* Floating point: what instructions of the units of Arm's cores do better than C says it. */
#ifndef SMELT_FLOAT_H
#define SMELT_FLOAT_H

#include "smelt_dsp.h"

/* Routines: smelt_quantize. */

/* A unit for single precision that knows VFMA, beside the DSP extension. */
#if SMELT_HAS_DSP && defined(__ARM_FP) && defined(__ARM_FEATURE_FMA)
#if __ARM_FP & 4
#define SMELT_HAS_FLOATS 1
#endif
#endif
#ifndef SMELT_HAS_FLOATS
#define SMELT_HAS_FLOATS 0
#endif

/* The nearest step of x / scale, halves away from zero, above `zero`; the nearest int8 where that is none, -128 for what is no number. */
SMELT_INLINE int8_t smelt_quantized(float x, float scale, int32_t zero)
{
    const float steps = x / scale;
    const float limited = smelt_min_f32(smelt_max_f32(steps, (float)(-128 - zero)), (float)(127 - zero));
    const int32_t whole = (int32_t)limited; /* not of a product with 2: LLVM converts those wrongly for Helium */
    const float rest = limited - (float)whole;
    return (int8_t)(whole + (rest >= 0.5f) - (rest <= -0.5f) + zero);
}

#if SMELT_HAS_FLOATS

/* Eight values a round. x / scale is x * low, and x * high added in one go, which gives the same steps (kernels are proved to, for each
   step). VCVT leaves halves of steps, cut off, and 16 bits of them; x whose steps those do not hold, and what is no number, show in
   FPSCR's IOC: the result, which is 0 where it was set. s8, s9: factors; r4: what to add to halves of negative numbers, r5: of others; r6: 0.
   SEL takes r5 where a half is not negative. */
typedef int32_t smelt_quantize_function(int8_t *y, const float *x, int32_t eights, const float *factors, int32_t negative);

#define SMELT_QUANTIZE_FOUR(a, b, c, d)                                                                               \
    "vmul.f32 s10, " a ", s9\n vmul.f32 s11, " b ", s9\n vmul.f32 s12, " c ", s9\n vmul.f32 s13, " d ", s9\n"          \
    "vfma.f32 s10, " a ", s8\n vfma.f32 s11, " b ", s8\n vfma.f32 s12, " c ", s8\n vfma.f32 s13, " d ", s8\n"          \
    "vcvt.s16.f32 s10, s10, #1\n vcvt.s16.f32 s11, s11, #1\n vcvt.s16.f32 s12, s12, #1\n vcvt.s16.f32 s13, s13, #1\n"  \
    "vmov r8, r9, s10, s11\n vmov r10, r11, s12, s13\n"                                                                \
    "pkhbt r8, r8, r10, lsl #16\n pkhbt r9, r9, r11, lsl #16\n"                                                        \
    "ssub16 r10, r8, r6\n sel r10, r5, r4\n ssub16 r11, r9, r6\n sel r11, r5, r4\n"                                    \
    "shadd16 r8, r8, r10\n shadd16 r9, r9, r11\n usat16 r8, #8, r8\n usat16 r9, #8, r9\n"                              \
    "orr r8, r8, r9, lsl #8\n eor r8, r8, #0x80808080\n str r8, [r0], #4\n"

SMELT_DEFINE_ROUTINE(smelt_quantize_code, smelt_quantize_function,
        "push {r4-r11, lr}\n"
        "vmrs r12, fpscr\n"
        "bic r4, r12, #1\n"
        "vmsr fpscr, r4\n"
        "vldr s8, [r3]\n"
        "vldr s9, [r3, #4]\n"
        "ldr r4, [sp, #36]\n"
        "pkhbt r4, r4, r4, lsl #16\n"
        "add r5, r4, #0x10001\n"
        "mov r6, #0\n"
        ".p2align 3\n"
        "1:\n"
        "vldmia r1!, {s0-s7}\n"
        SMELT_QUANTIZE_FOUR("s0", "s1", "s2", "s3")
        SMELT_QUANTIZE_FOUR("s4", "s5", "s6", "s7")
        "subs r2, r2, #1\n"
        "bne.w 1b\n"
        "vmrs r0, fpscr\n"
        "orr r1, r0, r12\n"
        "vmsr fpscr, r1\n"
        "and r0, r0, #1\n"
        "eor r0, r0, #1\n"
        "pop {r4-r11, pc}\n")

#endif

/* float32 to int8: `factors` are the high and the low part of 1 / scale, and the scale. */
SMELT_SHARED void smelt_quantize(int8_t *y, const float *x, const float *factors, int32_t count, int32_t zero)
{
    int32_t i = 0;
#if SMELT_HAS_FLOATS
    if (count >= 8 && smelt_quantize_code()(y, x, count / 8, factors, 2 * zero + 256)) {
        i = count / 8 * 8;
    }
#endif
    for (; i < count; ++i) {
        y[i] = smelt_quantized(x[i], factors[2], zero);
    }
}

#endif
