/* Dense layers in float32: sums of eight units at a time, products added without being rounded. */
#ifndef SMELT_DENSE_H
#define SMELT_DENSE_H

#include "smelt_float.h"
#include "smelt_math.h"

/* Routines: smelt_dense_eights. */

#if SMELT_HAS_FLOATS

/* s0 to s7: sums of eight units; s8: an element of x. A round loads a line of a cache, so that no miss waits for another; in two halves, so
   that the products with the first do not wait. */
typedef void smelt_dense_function(float *y, const float *x, const float *w, const float *bias, int32_t depth, int32_t blocks);

SMELT_DEFINE_ROUTINE(smelt_dense_code, smelt_dense_function,
        "push {r4-r8, lr}\n"
        "vpush {s16-s23}\n"
        "ldrd r7, r6, [sp, #56]\n"
        "mov.w r8, #0\n"
        "1:\n"
        "mov.w r4, r1\n"
        "mov.w r5, r7\n"
        "vmov s0, s1, r8, r8\n vmov s2, s3, r8, r8\n vmov s4, s5, r8, r8\n vmov s6, s7, r8, r8\n"
        ".p2align 3\n"
        "2:\n"
        "vldmia r2!, {s16-s19}\n"
        "vldr s8, [r4]\n"
        "add.w r4, r4, #4\n"
        "vldmia r2!, {s20-s23}\n"
        "vfma.f32 s0, s16, s8\n vfma.f32 s1, s17, s8\n vfma.f32 s2, s18, s8\n vfma.f32 s3, s19, s8\n"
        "subs.w r5, r5, #1\n"
        "vfma.f32 s4, s20, s8\n vfma.f32 s5, s21, s8\n vfma.f32 s6, s22, s8\n vfma.f32 s7, s23, s8\n"
        "bne.w 2b\n"
        "vldmia r3!, {s16-s23}\n"
        "vadd.f32 s0, s0, s16\n vadd.f32 s1, s1, s17\n vadd.f32 s2, s2, s18\n vadd.f32 s3, s3, s19\n"
        "vadd.f32 s4, s4, s20\n vadd.f32 s5, s5, s21\n vadd.f32 s6, s6, s22\n vadd.f32 s7, s7, s23\n"
        "vstmia r0!, {s0-s7}\n"
        "subs.w r6, r6, #1\n"
        "bne.w 1b\n"
        "vpop {s16-s23}\n"
        "pop {r4-r8, pc}\n")

#endif

/* The sums of blocks of eight units, whose weights for an element of x lie side by side, and their biases. */
SMELT_SHARED void smelt_dense_eights(float *y, const float *x, const float *w, const float *bias, int32_t depth, int32_t blocks)
{
#if SMELT_HAS_FLOATS
    smelt_dense_code()(y, x, w, bias, depth, blocks);
#else
    int32_t unit, i;
    for (unit = 0; unit < 8 * blocks; ++unit) {
        const float *const weights = w + (unit / 8 * depth * 8 + unit % 8);
        float sum = 0.0f;
        for (i = 0; i < depth; ++i) {
            sum = smelt_fma(x[i], weights[i * 8], sum);
        }
        y[unit] = sum + bias[unit];
    }
#endif
}

#endif
