/* Dense layers that leave out what is zero: a list of the elements of x that count, and their products with eight units. In portable C;
 * where they are assembly, it comes from smelt/kernels/thumb/sifted.py, which says what they do. */
#ifndef SMELT_SIFTED_H
#define SMELT_SIFTED_H

#include "smelt_units.h"

/* Routines: smelt_sift, smelt_sifted, smelt_sifted_once. */

#if !SMELT_HAS_DSP

SMELT_SHARED void smelt_sift(int32_t *list, const int8_t *x, int32_t depth, int32_t step)
{
    char *place = (char *)list;
    int32_t stride = 2;
    for (int32_t i = 0; i < depth; ++i) {
        const int32_t value = x[i] + 128;
        smelt_store_u16(place, (uint16_t)value);
        smelt_store_u16(place + 4, (uint16_t)(i * step));
        if (value != 0) {
            place += stride;
            stride = 8 - stride;
        }
    }
    if (stride == 6) {
        smelt_store_u16(place, 0);
        smelt_store_u16(place + 4, 0);
        place += 6;
    }
    smelt_store_i32(place + 4, -1);
}

SMELT_SHARED void smelt_sifted(int8_t *y, const int32_t *starts, const void *w, const int32_t *list, int32_t multiplier, int32_t offset,
        int32_t shift, int32_t blocks)
{
    for (int32_t pair = 0; pair < 4 * blocks; ++pair) {
        const char *const weights = (const char *)w + 2 * pair;
        int32_t low = starts[2 * pair], both = starts[2 * pair + 1];
        for (const int32_t *entry = list; entry[1] >= 0; entry += 2) {
            const int16_t former = smelt_load_i16(weights + (entry[1] & 0xffff)), latter = smelt_load_i16(weights + (entry[1] >> 16));
            const int32_t word = smelt_pack_halves(former, latter);
            low = smelt_smlad(smelt_sxtb16(word), entry[0], low);
            both = smelt_smlad(word, entry[0], both);
        }
        smelt_pair_outputs(y + 2 * pair, low, both, multiplier, offset, shift);
    }
}

SMELT_SHARED void smelt_sifted_once(int8_t *y, const int32_t *starts, const void *w, const int32_t *list, int32_t multiplier,
        int32_t offset, int32_t shift, int32_t blocks)
{
    for (int32_t pair = 0; pair < 4 * blocks; ++pair) {
        const char *const weights = (const char *)w + 2 * pair;
        int32_t low = starts[2 * pair], both = starts[2 * pair + 1];
        for (const int32_t *entry = list; entry[1] >= 0; entry += 2) {
            const int16_t former = smelt_load_i16(weights + (entry[1] & 0xffff)), latter = smelt_load_i16(weights + (entry[1] >> 16));
            const int32_t word = smelt_pack_halves(former, latter);
            low = smelt_smlad(smelt_sxtb16(word), entry[0], low);
            both = smelt_smlad(word, entry[0], both);
        }
        smelt_pair_outputs_once(y + 2 * pair, low, both, multiplier, offset, shift);
    }
}

#endif

#endif
