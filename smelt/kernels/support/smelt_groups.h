/* Pointwise convolutions: two channels of groups of three pixels. In portable C; where it is assembly, it comes from
 * smelt/kernels/thumb/groups.py, which says what it does. */
#ifndef SMELT_GROUPS_H
#define SMELT_GROUPS_H

#include "smelt_dsp.h"

/* Routines: smelt_groups, smelt_groups_once. */

#if !SMELT_HAS_DSP

SMELT_INLINE int8_t smelt_groups_output(int32_t sum, const int32_t *channel, int32_t zero, int32_t shift)
{
    const int32_t own = shift < 0 ? channel[2] : shift;
    const int32_t offset = smelt_shift_left(2 * zero + 1, own) >> 1;
    return (int8_t)smelt_ssat8((smelt_smmlar(sum, channel[1], sum) + offset) >> own);
}

SMELT_INLINE void smelt_groups(const void *w, const void *x, int8_t *y,
        const int32_t *channel, int32_t words, int32_t groups, int32_t step, int32_t zero, int32_t shift)
{
    const int32_t *const other = channel + (shift < 0 ? 3 : 2);
    for (int32_t pixel = 0; pixel < 3 * groups; ++pixel) {
        const char *const from = (const char *)x + pixel / 3 * (12 * words) + pixel % 3 * 4;
        int32_t low = channel[0];
        int32_t both = smelt_both_sums(other[0], channel[0]);
        for (int32_t i = 0; i < words; ++i) {
            const int32_t word = smelt_load_i32((const char *)w + 4 * i);
            const int32_t value = smelt_load_i32(from + 12 * i);
            both = smelt_smlad(word, value, both);
            low = smelt_smlad(smelt_sxtb16(word), value, low);
        }
        y[pixel * step] = smelt_groups_output(low, channel, zero, shift);
        y[pixel * step + 1] = smelt_groups_output(smelt_high_sum(both, low), other, zero, shift);
    }
}

SMELT_INLINE void smelt_groups_once(const void *w, const void *x, int8_t *y,
        const int32_t *channel, int32_t words, int32_t groups, int32_t step, int32_t shift)
{
    for (int32_t pixel = 0; pixel < 3 * groups; ++pixel) {
        const char *const from = (const char *)x + pixel / 3 * (12 * words) + pixel % 3 * 4;
        int32_t low = channel[0], high;
        int32_t both = smelt_both_sums(channel[3], channel[0]);
        for (int32_t i = 0; i < words; ++i) {
            const int32_t word = smelt_load_i32((const char *)w + 4 * i);
            const int32_t value = smelt_load_i32(from + 12 * i);
            both = smelt_smlad(word, value, both);
            low = smelt_smlad(smelt_sxtb16(word), value, low);
        }
        high = smelt_high_sum(both, low);
        y[pixel * step] = (int8_t)smelt_ssat8(smelt_smmla(smelt_shift_left(low, 8), channel[1], channel[2]) >> shift);
        y[pixel * step + 1] = (int8_t)smelt_ssat8(smelt_smmla(smelt_shift_left(high, 8), channel[4], channel[5]) >> shift);
    }
}

#endif

#endif
