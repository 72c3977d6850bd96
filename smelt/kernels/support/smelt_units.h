/* Dense layers: products of pairs of units with one row of x. In portable C; where it is assembly, it comes from
 * smelt/kernels/thumb/units.py, which says what it does. */
#ifndef SMELT_UNITS_H
#define SMELT_UNITS_H

#include "smelt_dsp.h"

/* Routines: smelt_units_1, smelt_units_2, smelt_units_3, smelt_unit_outputs_1, smelt_unit_outputs_2, smelt_unit_outputs_3,
   smelt_unit_outputs_1_once, smelt_unit_outputs_2_once, smelt_unit_outputs_3_once. */

#if !SMELT_HAS_DSP

SMELT_INLINE void smelt_units_of(int32_t *low, int32_t *both, const void *w, const void *x, int32_t words, int32_t pairs)
{
    for (int32_t i = 0; i < words; ++i) {
        const int32_t value = smelt_load_i32((const char *)x + 4 * i);
        const int32_t even = smelt_load_i32((const char *)w + 8 * pairs * i);
        const int32_t odd = smelt_load_i32((const char *)w + 8 * pairs * i + 4 * pairs);
        *both = smelt_smlad(odd, smelt_sxtb16_ror8(value), smelt_smlad(even, smelt_sxtb16(value), *both));
        *low = smelt_smlad(smelt_sxtb16(odd), smelt_sxtb16_ror8(value), smelt_smlad(smelt_sxtb16(even), smelt_sxtb16(value), *low));
    }
}

SMELT_INLINE void smelt_units_any(int32_t pairs, int32_t *sums, const int32_t *starts, const void *w, const void *x, int32_t words,
        int32_t blocks)
{
    for (int32_t pair = 0; pair < pairs * blocks; ++pair) {
        const char *const from = (const char *)w + pair / pairs * (8 * pairs * words) + pair % pairs * 4;
        sums[2 * pair] = starts[2 * pair];
        sums[2 * pair + 1] = starts[2 * pair + 1];
        smelt_units_of(&sums[2 * pair], &sums[2 * pair + 1], from, x, words, pairs);
    }
}

#define smelt_units_1(...) smelt_units_any(1, __VA_ARGS__)
#define smelt_units_2(...) smelt_units_any(2, __VA_ARGS__)
#define smelt_units_3(...) smelt_units_any(3, __VA_ARGS__)

SMELT_INLINE void smelt_pair_outputs(
    int8_t *y, int32_t low, int32_t both, int32_t multiplier, int32_t offset, int32_t shift)
{
    const int32_t high = smelt_high_sum(both, low);
    const int32_t first = smelt_smmlar(low, multiplier, low);
    const int32_t second = smelt_smmlar(high, multiplier, high);
    y[0] = (int8_t)smelt_ssat8((first + (first >> 31) + offset) >> shift);
    y[1] = (int8_t)smelt_ssat8((second + (second >> 31) + offset) >> shift);
}

SMELT_INLINE void smelt_unit_outputs_any(int32_t pairs, int8_t *y, const int32_t *starts, const void *w, const void *x, int32_t words,
        int32_t multiplier, int32_t offset, int32_t shift, int32_t blocks)
{
    for (int32_t pair = 0; pair < pairs * blocks; ++pair) {
        const char *const from = (const char *)w + pair / pairs * (8 * pairs * words) + pair % pairs * 4;
        int32_t low = starts[2 * pair], both = starts[2 * pair + 1];
        smelt_units_of(&low, &both, from, x, words, pairs);
        smelt_pair_outputs(y + 2 * pair, low, both, multiplier, offset, shift);
    }
}

SMELT_INLINE void smelt_pair_outputs_once(
    int8_t *y, int32_t low, int32_t both, int32_t multiplier, int32_t offset, int32_t shift)
{
    y[0] = (int8_t)smelt_ssat8(smelt_smmla(low, multiplier, offset) >> shift);
    y[1] = (int8_t)smelt_ssat8(smelt_smmla(smelt_high_sum(both, low), multiplier, offset) >> shift);
}

SMELT_INLINE void smelt_unit_outputs_once(int32_t pairs, int8_t *y, const int32_t *starts, const void *w, const void *x, int32_t words,
        int32_t multiplier, int32_t offset, int32_t shift, int32_t blocks)
{
    for (int32_t pair = 0; pair < pairs * blocks; ++pair) {
        const char *const from = (const char *)w + pair / pairs * (8 * pairs * words) + pair % pairs * 4;
        int32_t low = starts[2 * pair], both = starts[2 * pair + 1];
        smelt_units_of(&low, &both, from, x, words, pairs);
        smelt_pair_outputs_once(y + 2 * pair, low, both, multiplier, offset, shift);
    }
}

#define smelt_unit_outputs_1_once(...) smelt_unit_outputs_once(1, __VA_ARGS__)
#define smelt_unit_outputs_2_once(...) smelt_unit_outputs_once(2, __VA_ARGS__)
#define smelt_unit_outputs_3_once(...) smelt_unit_outputs_once(3, __VA_ARGS__)
#define smelt_unit_outputs_1(...) smelt_unit_outputs_any(1, __VA_ARGS__)
#define smelt_unit_outputs_2(...) smelt_unit_outputs_any(2, __VA_ARGS__)
#define smelt_unit_outputs_3(...) smelt_unit_outputs_any(3, __VA_ARGS__)

#endif

#endif
