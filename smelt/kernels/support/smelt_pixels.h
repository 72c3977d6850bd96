/* Convolutions of one pixel or three, from x as it is. In portable C; where it is assembly, it comes from
 * smelt/kernels/thumb/pixels.py, which says what it does. */
#ifndef SMELT_PIXELS_H
#define SMELT_PIXELS_H

#include "smelt_dsp.h"

/* Routines: smelt_pixels_1, smelt_pixels_3, smelt_pixels_1_once, smelt_pixels_3_once. */

#if !SMELT_HAS_DSP

/* `scale` is a multiplier without its upper bit, what is added before a shift, and the shift, which is 7 too large. */
SMELT_INLINE int8_t smelt_pixels_output(int32_t sum, const int32_t *scale)
{
    const int32_t scaled = smelt_smmlar(sum, (int32_t)(2u * (uint32_t)scale[0]), sum);
    return (int8_t)smelt_ssat8((scaled + (scaled >> 31) + scale[1]) >> (scale[2] - 7));
}

/* `scale` is multiplier, offset and shift for 256 times the sum. */
SMELT_INLINE int8_t smelt_pixels_output_once(int32_t sum, const int32_t *scale)
{
    return (int8_t)smelt_ssat8(smelt_smmla(sum * 256, scale[0], scale[1]) >> scale[2]);
}

/* The sums of the low channel and of both, from what `sums` are at first; and on to the weights of the next pair. */
SMELT_INLINE const char *smelt_pixels_pair(int32_t *sums, const char *weights, const void *x, int32_t words, int32_t rows,
        int32_t pitch, int32_t skip, int32_t more, int32_t zeros)
{
    for (int32_t row = 0; row < rows; ++row) {
        for (int32_t i = 0; i < words; ++i) {
            const int32_t value = smelt_load_i32((const char *)x + row * pitch + 4 * i);
            for (int32_t half = 0; half < 2; ++half) {
                const int32_t elements = smelt_sadd16(half == 0 ? smelt_sxtb16(value) : smelt_sxtb16_ror8(value), zeros);
                const int32_t word = smelt_load_i32(weights);
                sums[0] = smelt_smlad(smelt_sxtb16(word), elements, sums[0]);
                sums[1] = smelt_smlad(word, elements, sums[1]);
                weights += 4;
            }
        }
        weights += skip;
    }
    return weights + more;
}

#define SMELT_PIXELS(ONE, THREE, OUTPUT) \
    SMELT_INLINE void ONE(int8_t *y, const void *w, const void *x, const int32_t *scales, int32_t words, int32_t rows, \
            int32_t pitch, int32_t skip, int32_t pairs, int32_t more, int32_t step, int32_t channels, int32_t zeros) \
    { \
        const char *weights = (const char *)w; \
        (void)step; \
        (void)channels; \
        for (int32_t pair = 0; pair < pairs; ++pair, scales += 8, y += 2) { \
            int32_t sums[2] = {scales[0], scales[1]}; \
            weights = smelt_pixels_pair(sums, weights, x, words, rows, pitch, skip, more, zeros); \
            y[0] = OUTPUT(sums[0], scales + 2); \
            y[1] = OUTPUT(smelt_high_sum(sums[1], sums[0]), scales + 5); \
        } \
    } \
    SMELT_INLINE void THREE(int8_t *y, const void *w, const void *x, const int32_t *scales, int32_t words, int32_t rows, \
            int32_t pitch, int32_t skip, int32_t pairs, int32_t more, int32_t step, int32_t channels, int32_t zeros) \
    { \
        for (int32_t i = 0; i < 3; ++i) { \
            ONE(y + i * channels, w, (const char *)x + i * step, scales, words, rows, pitch, skip, pairs, more, step, channels, \
                    zeros); \
        } \
    }

SMELT_PIXELS(smelt_pixels_1, smelt_pixels_3, smelt_pixels_output)
SMELT_PIXELS(smelt_pixels_1_once, smelt_pixels_3_once, smelt_pixels_output_once)

#endif

#endif
