/* Convolutions of one pixel or three, from x as it is. In portable C; where it is assembly, it comes from
 * smelt/kernels/thumb/pixels.py, which says what it does. */
#ifndef SMELT_PIXELS_H
#define SMELT_PIXELS_H

#include "smelt_dsp.h"

/* Routines: smelt_pixels_1, smelt_pixels_3. */

#if !SMELT_HAS_DSP

/* `scale` is a multiplier without its upper bit, what is added before a shift, and the shift, which is 7 too large. */
SMELT_INLINE int8_t smelt_pixels_output(int32_t sum, const int32_t *scale)
{
    const int32_t scaled = smelt_smmlar(sum, (int32_t)(2u * (uint32_t)scale[0]), sum);
    return (int8_t)smelt_ssat8((scaled + (scaled >> 31) + scale[1]) >> (scale[2] - 7));
}

SMELT_INLINE void smelt_pixels_1(int8_t *y, const void *w, const void *x, const int32_t *scales, int32_t words, int32_t rows,
        int32_t pitch, int32_t skip, int32_t pairs, int32_t more, int32_t step, int32_t channels, int32_t zeros)
{
    const char *weights = (const char *)w;
    (void)step;
    (void)channels;
    for (int32_t pair = 0; pair < pairs; ++pair) {
        int32_t low = scales[0], both = scales[1];
        for (int32_t row = 0; row < rows; ++row) {
            for (int32_t i = 0; i < words; ++i) {
                const int32_t value = smelt_load_i32((const char *)x + row * pitch + 4 * i);
                for (int32_t half = 0; half < 2; ++half) {
                    const int32_t elements = smelt_sadd16(half == 0 ? smelt_sxtb16(value) : smelt_sxtb16_ror8(value), zeros);
                    const int32_t word = smelt_load_i32(weights);
                    low = smelt_smlad(smelt_sxtb16(word), elements, low);
                    both = smelt_smlad(word, elements, both);
                    weights += 4;
                }
            }
            weights += skip;
        }
        y[0] = smelt_pixels_output(low, scales + 2);
        y[1] = smelt_pixels_output(smelt_high_sum(both, low), scales + 5);
        weights += more;
        scales += 8;
        y += 2;
    }
}

SMELT_INLINE void smelt_pixels_3(int8_t *y, const void *w, const void *x, const int32_t *scales, int32_t words, int32_t rows,
        int32_t pitch, int32_t skip, int32_t pairs, int32_t more, int32_t step, int32_t channels, int32_t zeros)
{
    for (int32_t i = 0; i < 3; ++i) {
        smelt_pixels_1(y + i * channels, w, (const char *)x + i * step, scales, words, rows, pitch, skip, pairs, more, step,
                channels, zeros);
    }
}

#endif

#endif
