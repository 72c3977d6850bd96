/* The inner loops of convolutions: products of two channels with a row of pixels. In portable C; where they are assembly, it comes from
 * smelt/kernels/thumb/products.py, which says what they do. */
#ifndef SMELT_PRODUCTS_H
#define SMELT_PRODUCTS_H

#include "smelt_dsp.h"

/* Routines: smelt_products_1, smelt_products_2, smelt_products_3, smelt_plain_1, smelt_plain_2, smelt_plain_3. */

#if !SMELT_HAS_DSP

SMELT_INLINE void smelt_products_1(int32_t *sums, const void *w, const void *x, int32_t low, int32_t both, int32_t words, int32_t step,
        int32_t rows, int32_t pitch, int32_t pixels)
{
    for (int32_t pixel = 0; pixel < pixels; ++pixel) {
        const char *weights = (const char *)w;
        const char *from = (const char *)x + pixel * step;
        int32_t first = low, second = both;
        for (int32_t row = 0; row < rows; ++row) {
            for (int32_t i = 0; i < words; ++i) {
                const int32_t word = smelt_load_i32(weights);
                const int32_t value = smelt_load_i32(from + 4 * i);
                first = smelt_smlad(smelt_sxtb16(word), value, first);
                second = smelt_smlad(word, value, second);
                weights += 4;
            }
            from += pitch;
        }
        sums[2 * pixel] = first;
        sums[2 * pixel + 1] = second;
    }
}

SMELT_INLINE void smelt_plain_1(int32_t *sums, const void *w, const void *x, int32_t low, int32_t both, int32_t words, int32_t step,
        int32_t rows, int32_t pitch, int32_t pixels)
{
    for (int32_t pixel = 0; pixel < pixels; ++pixel) {
        const char *weights = (const char *)w;
        const char *from = (const char *)x + pixel * step;
        int32_t first = low, second = both;
        for (int32_t row = 0; row < rows; ++row) {
            for (int32_t i = 0; i < words; ++i) {
                const int32_t value = smelt_load_i32(from + 4 * i);
                first = smelt_smlad(smelt_load_i32(weights + 4), value, first);
                second = smelt_smlad(smelt_load_i32(weights), value, second);
                weights += 8;
            }
            from += pitch;
        }
        sums[2 * pixel] = first;
        sums[2 * pixel + 1] = second;
    }
}

#define smelt_products_2 smelt_products_1
#define smelt_products_3 smelt_products_1
#define smelt_plain_2 smelt_plain_1
#define smelt_plain_3 smelt_plain_1

#endif

#endif
