/* Floating point: what instructions of the units of Arm's cores do better than C says it. In portable C; where it is assembly, it comes
 * from smelt/kernels/thumb/quantize.py, which says what it does. */
#ifndef SMELT_FLOAT_H
#define SMELT_FLOAT_H

#include "smelt_dsp.h"

/* Routines: smelt_quantize, smelt_quantize_even. */

/* A unit for single precision that knows VFMA, beside the DSP extension. */
#if SMELT_HAS_DSP && defined(__ARM_FP) && defined(__ARM_FEATURE_FMA)
#if __ARM_FP & 4
#define SMELT_HAS_FLOATS 1
#endif
#endif
#ifndef SMELT_HAS_FLOATS
#define SMELT_HAS_FLOATS 0
#endif

#if !SMELT_HAS_FLOATS

/* The nearest step of x / scale, halves away from zero, above `zero`; the nearest int8 where that is none, -128 for what is no number. */
SMELT_INLINE int8_t smelt_quantized(float x, float scale, int32_t zero)
{
    const float steps = x / scale;
    const float limited = smelt_min_f32(smelt_max_f32(steps, (float)(-128 - zero)), (float)(127 - zero));
    const int32_t whole = (int32_t)limited; /* not of a product with 2: LLVM converts those wrongly for Helium */
    const float rest = limited - (float)whole;
    return (int8_t)(whole + (rest >= 0.5f) - (rest <= -0.5f) + zero);
}

SMELT_SHARED void smelt_quantize(int8_t *y, const float *x, const float *factors, int32_t count, int32_t zero)
{
    for (int32_t i = 0; i < count; ++i) {
        y[i] = smelt_quantized(x[i], factors[2], zero);
    }
}

/* The same, halves to the even step. */
SMELT_INLINE int8_t smelt_quantized_even(float x, float scale, int32_t zero)
{
    const float steps = x / scale;
    const float limited = smelt_min_f32(smelt_max_f32(steps, (float)(-128 - zero)), (float)(127 - zero));
    const int32_t whole = (int32_t)limited;
    const float rest = limited - (float)whole;
    const float most = (whole & 1) != 0 ? 0.49999994f : 0.5f; /* an odd step gives halves away; its rest has 23 bits at most */
    return (int8_t)(whole + (rest > most) - (rest < -most) + zero);
}

SMELT_SHARED void smelt_quantize_even(int8_t *y, const float *x, const float *factors, int32_t count, int32_t zero)
{
    for (int32_t i = 0; i < count; ++i) {
        y[i] = smelt_quantized_even(x[i], factors[2], zero);
    }
}

#endif

#endif
