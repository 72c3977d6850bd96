/* Pointwise convolutions of images with eight channels: one channel of y. In portable C; where it is assembly, it comes from
 * smelt/kernels/thumb/thin.py, which says what it does. */
#ifndef SMELT_THIN_H
#define SMELT_THIN_H

#include "smelt_dsp.h"

/* Routines: smelt_thin, smelt_thin_once. */

#if !SMELT_HAS_DSP

SMELT_INLINE void smelt_thin(const int8_t *w, const void *x, int8_t *y, const int32_t *channel, int32_t pixels,
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

SMELT_INLINE void smelt_thin_once(const int8_t *w, const void *x, int8_t *y, const int32_t *channel, int32_t pixels,
        int32_t step, int32_t bits, int32_t shift)
{
    for (int32_t pixel = 0; pixel < pixels; ++pixel) {
        int32_t sum = channel[0];
        for (int32_t i = 0; i < 8; ++i) {
            sum += w[i] * smelt_load_i16((const char *)x + 16 * pixel + 2 * i);
        }
        y[pixel * step] = (int8_t)smelt_ssat8(smelt_smmla(smelt_shift_left(sum, bits), channel[1], channel[2]) >> shift);
    }
}

#endif

#endif
