/* Dense layers in float32: sums of eight units at a time, products added without being rounded. In portable C; where it is assembly, it
 * comes from smelt/kernels/thumb/dense_floats.py, which says what it does. */
#ifndef SMELT_DENSE_H
#define SMELT_DENSE_H

#include "smelt_float.h"
#include "smelt_math.h"

/* Routines: smelt_dense_eights. */

#if !SMELT_HAS_FLOATS

SMELT_SHARED void smelt_dense_eights(float *y, const float *x, const float *w, const float *bias, int32_t depth, int32_t blocks)
{
    int32_t unit, i;
    for (unit = 0; unit < 8 * blocks; ++unit) {
        const float *const weights = w + (unit / 8 * depth * 8 + unit % 8);
        float sum = 0.0f;
        for (i = 0; i < depth; ++i) {
            sum = smelt_fma(x[i], weights[i * 8], sum);
        }
        y[unit] = sum + bias[unit];
    }
}

#endif

#endif
