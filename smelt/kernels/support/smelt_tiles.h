/* Winograd's F(4x4, 3x3), second part: products at all positions, and from sums to outputs. */
#ifndef SMELT_TILES_H
#define SMELT_TILES_H

#include "smelt_winograd.h"

/* Routines: smelt_winograd_products, smelt_winograd_eight, smelt_winograd_eights, smelt_winograd_positive,
   smelt_winograd_signed, smelt_winograd_once. */

/* The sums of a group of `count` tiles at all 36 positions, to [position][channel][3]. */
SMELT_SHARED void smelt_winograd_group(int32_t *sums, const int32_t *weights, const int32_t *tiles, int32_t words,
        int32_t count)
{
    for (int32_t position = 0; position < 36; ++position) {
        for (int32_t tile = 0; tile < count; ++tile) {
            int32_t first = 0, second = 0;
            for (int32_t word = 0; word < words; ++word) {
                const int32_t x = tiles[word * count + tile];
                first = smelt_smlad(weights[2 * word], x, first);
                second = smelt_smlad(weights[2 * word + 1], x, second);
            }
            sums[tile] = first;
            sums[3 + tile] = second;
        }
        sums += 6;
        weights += 2 * words;
        tiles += words * count;
    }
}

/* The same for `left` tiles, in groups of three. */
SMELT_SHARED void smelt_winograd_products(int32_t *sums, const int32_t *weights, const int32_t *tiles, int32_t words,
        int32_t left)
{
    for (; left > 0; left -= 3) {
        smelt_winograd_group(sums, weights, tiles, words, left < 3 ? left : 3);
        sums += 36 * 6;
        tiles += 36 * 3 * words;
    }
}

/* Where `words` is eight, or a multiple of eight, they come from smelt/kernels/thumb/tiles.py. */
#if !SMELT_HAS_DSP
#define smelt_winograd_eight smelt_winograd_products
#define smelt_winograd_eights smelt_winograd_products
#endif

#if !SMELT_HAS_DSP

/* What the outputs of a channel need: a multiplier, what is added before a shift to the right, and the bytes between
   columns and rows. */
typedef struct {
    int32_t multiplier, offset, shift, column, row;
} smelt_tiles_frame;

/* A' of six sums, `step` words apart. */
SMELT_INLINE void smelt_tiles_four(uint32_t *to, int32_t step, const uint32_t *m)
{
    const uint32_t p = m[1] + m[2], q = m[1] - m[2], r = m[3] + m[4], s = m[3] - m[4];
    to[0] = r - 4u * p + 6u * m[0];
    to[step] = 2u * s - 4u * q;
    to[2 * step] = 4u * r - 4u * p;
    to[3 * step] = 8u * s - 4u * q + 24u * m[5];
}

/* The outputs of one tile; with `sign` halves are rounded away from zero. */
SMELT_SHARED void smelt_tiles_outputs(int8_t *y, const int32_t *sums, const smelt_tiles_frame *frame, int32_t sign)
{
    uint32_t corner[24];
    for (int32_t j = 0; j < 6; ++j) {
        uint32_t m[6];
        for (int32_t i = 0; i < 6; ++i) {
            m[i] = (uint32_t)sums[6 * j + 36 * i];
        }
        smelt_tiles_four(corner + j, 6, m);
    }
    for (int32_t i = 0; i < 4; ++i) {
        uint32_t line[4];
        smelt_tiles_four(line, 1, corner + 6 * i);
        for (int32_t j = 0; j < 4; ++j) {
            const int32_t sum = (int32_t)(line[j] * 954437177u) >> 6;
            const int32_t x = smelt_smmlar(sum, frame->multiplier, sum);
            y[j * frame->column] = (int8_t)smelt_ssat8((x + (sign ? x >> 31 : 0) + frame->offset) >> frame->shift);
        }
        y += frame->row;
    }
}

/* The outputs of one channel of `rows` x `columns` tiles: see smelt/kernels/thumb/tile_outputs.py. */
SMELT_SHARED void smelt_winograd_outputs(int8_t *y, int32_t *sums, const int32_t *channel, int32_t rows, int32_t columns,
        int32_t length, int32_t channels, int32_t zero, int32_t shift, int32_t sign)
{
    const int32_t own = shift < 0 ? channel[2] : shift;
    const smelt_tiles_frame frame = {channel[1], smelt_shift_left(2 * zero + 1, own) >> 1, own, channels, length};
    int32_t inside = 0;
    for (int32_t row = 0; row < rows; ++row) {
        int8_t *to = y;
        for (int32_t column = 0; column < columns; ++column) {
            sums[42] = smelt_wrapping_add(sums[42], channel[0]);
            smelt_tiles_outputs(to, sums, &frame, sign);
            to += 4 * channels;
            ++sums;
            if (++inside == 3) {
                sums += 36 * 6 - 3;
                inside = 0;
            }
        }
        y += 4 * length;
    }
}

/* The same by one product: the table has bias, multiplier and offset. */
SMELT_SHARED void smelt_tiles_once(int8_t *y, const int32_t *sums, const smelt_tiles_frame *frame)
{
    uint32_t corner[24];
    for (int32_t j = 0; j < 6; ++j) {
        uint32_t m[6];
        for (int32_t i = 0; i < 6; ++i) {
            m[i] = (uint32_t)sums[6 * j + 36 * i];
        }
        smelt_tiles_four(corner + j, 6, m);
    }
    for (int32_t i = 0; i < 4; ++i) {
        uint32_t line[4];
        smelt_tiles_four(line, 1, corner + 6 * i);
        for (int32_t j = 0; j < 4; ++j) {
            const int32_t sum = (int32_t)(line[j] * 954437177u);
            y[j * frame->column] = (int8_t)smelt_ssat8(smelt_smmla(sum, frame->multiplier, frame->offset) >> frame->shift);
        }
        y += frame->row;
    }
}

SMELT_SHARED void smelt_winograd_once(int8_t *y, int32_t *sums, const int32_t *channel, int32_t rows, int32_t columns,
        int32_t length, int32_t channels, int32_t shift)
{
    const smelt_tiles_frame frame = {channel[1], channel[2], shift, channels, length};
    int32_t inside = 0;
    for (int32_t row = 0; row < rows; ++row) {
        int8_t *to = y;
        for (int32_t column = 0; column < columns; ++column) {
            sums[42] = smelt_wrapping_add(sums[42], channel[0]);
            smelt_tiles_once(to, sums, &frame);
            to += 4 * channels;
            ++sums;
            if (++inside == 3) {
                sums += 36 * 6 - 3;
                inside = 0;
            }
        }
        y += 4 * length;
    }
}

SMELT_INLINE void smelt_winograd_positive(int8_t *y, int32_t *sums, const int32_t *channel, int32_t rows,
        int32_t columns, int32_t length, int32_t channels, int32_t zero, int32_t shift)
{
    smelt_winograd_outputs(y, sums, channel, rows, columns, length, channels, zero, shift, 0);
}

SMELT_INLINE void smelt_winograd_signed(int8_t *y, int32_t *sums, const int32_t *channel, int32_t rows,
        int32_t columns, int32_t length, int32_t channels, int32_t zero, int32_t shift)
{
    smelt_winograd_outputs(y, sums, channel, rows, columns, length, channels, zero, shift, 1);
}

#endif

#endif
