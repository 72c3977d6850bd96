/* The parts of Winograd's F(4x4, 3x3) that do not depend on the layer: conv2d_winograd4.py explains them. Functions
 * of their own, not inlined, so that all layers of a network share them.
 *
 * Tiles lie in groups of three (the last one may have fewer): [group][position][word][tile of the group].
 */
#ifndef SMELT_WINOGRAD_H
#define SMELT_WINOGRAD_H

#include "smelt_dsp.h"

/* Routines: smelt_winograd_inputs, smelt_winograd_weights, smelt_winograd_weights_16, smelt_winograd_weights_32,
   smelt_winograd_weights_64. */

#if !SMELT_HAS_DSP

/* B' of six pairs of numbers, plus `offset`, to places `step` words apart; `flip` makes halves of pairs. */
SMELT_INLINE void smelt_six(uint32_t *to, int32_t step, uint32_t d0, uint32_t d1, uint32_t d2, uint32_t d3, uint32_t d4,
                            uint32_t d5, uint32_t sign)
{
    const uint32_t a = d4 - 4u * d2 + sign;
    const uint32_t b = d3 - 4u * d1;
    const uint32_t c = d4 - d2 + sign;
    const uint32_t e = d3 - d1;
    const uint32_t f = d0 - d2;
    to[0] = (c + 4u * f) ^ sign;
    to += step;
    to[0] = (a + b) ^ sign;
    to += step;
    to[0] = (a - b) ^ sign;
    to += step;
    to[0] = (c + 2u * e) ^ sign;
    to += step;
    to[0] = (c - 2u * e) ^ sign;
    to += step;
    to[0] = (d5 - d3 - 4u * e + sign) ^ sign;
}

/* B' d B of four channels of a tile to places `step` bytes between positions and `word` bytes between words apart. */
SMELT_SHARED void smelt_winograd_quad(int32_t *to, const int8_t *image, int32_t length, int32_t depth, int32_t step,
        int32_t word)
{
    uint32_t corner[72];
    uint32_t *place = corner;
    for (int32_t j = 0; j < 6; ++j) {
        uint32_t d[6];
        for (int32_t i = 0; i < 6; ++i) {
            d[i] = smelt_load_u32(image + j * depth + i * length) ^ 0x80808080u;
        }
        smelt_six(place, 6, d[0] & 0xff00ffu, d[1] & 0xff00ffu, d[2] & 0xff00ffu, d[3] & 0xff00ffu, d[4] & 0xff00ffu,
                  d[5] & 0xff00ffu, 0);
        smelt_six(place + 36, 6, (d[0] >> 8) & 0xff00ffu, (d[1] >> 8) & 0xff00ffu, (d[2] >> 8) & 0xff00ffu,
                  (d[3] >> 8) & 0xff00ffu, (d[4] >> 8) & 0xff00ffu, (d[5] >> 8) & 0xff00ffu, 0);
        ++place;
    }
    for (int32_t line = 0; line < 12; ++line) {
        uint32_t *target = (uint32_t *)to + line / 6 * (word / 4) + line % 6 * 6 * (step / 4);
        place = corner + 6 * line;
        smelt_six(target, step / 4, place[0], place[1], place[2], place[3], place[4], place[5], 0x8000u);
    }
}

/* B' d B of a block of `rows` x `columns` tiles; `length` bytes are a row of the image of `depth` channels. */
SMELT_SHARED void smelt_winograd_inputs(int32_t *tiles, const int8_t *image, int32_t rows, int32_t columns, int32_t
        depth,
                                        int32_t length)
{
    const int32_t words = depth / 2;
    int32_t left = rows * columns, inside = 0;
    for (int32_t row = 0; row < rows; ++row) {
        for (int32_t column = 0; column < columns; ++column) {
            const int32_t group = left < 3 ? left : 3;
            const int8_t *const from = image + row * 4 * length + column * 4 * depth;
            for (int32_t quad = 0; quad < words / 2; ++quad) {
                int32_t *const to = tiles + inside + 2 * quad * group;
                smelt_winograd_quad(to, from + 4 * quad, length, depth, 4 * group * words, 4 * group);
            }
            ++inside;
            if (inside == 3) {
                left -= 3;
                tiles += 36 * 3 * words;
                inside = 0;
            }
        }
    }
}

/* G of three pairs of halves, to places `step` words apart: 1 0 0, 1 1 1, 1 -1 1, 1 2 4, 1 -2 4, 0 0 1. */
SMELT_INLINE void smelt_six_weights(int32_t *to, int32_t step, int32_t a, int32_t b, int32_t c)
{
    const int32_t outer = smelt_sadd16(a, c);
    const int32_t twice = smelt_sadd16(b, b);
    const int32_t last = smelt_sadd16(c, c);
    const int32_t far = smelt_sadd16(a, smelt_sadd16(last, last));
    to[0] = a;
    to += step;
    to[0] = smelt_sadd16(outer, b);
    to += step;
    to[0] = smelt_ssub16(outer, b);
    to += step;
    to[0] = smelt_sadd16(far, twice);
    to += step;
    to[0] = smelt_ssub16(far, twice);
    to += step;
    to[0] = c;
}

/* G w G' of the `depth` weights of two output channels, to [position][word][channel]. */
SMELT_SHARED void smelt_winograd_weights(int32_t *slice, const int32_t *weights, int32_t depth)
{
    for (int32_t channel = 0; channel < 2; ++channel) {
        int32_t *to = slice + channel;
        for (int32_t quad = 0; quad < depth / 4; ++quad) {
            int32_t corner[36];
            int32_t *place = corner;
            SMELT_KEEP_LOOP
            for (int32_t j = 0; j < 3; ++j) {
                const int32_t a = weights[0], b = weights[3], c = weights[6];
                smelt_six_weights(place, 3, smelt_sxtb16(a), smelt_sxtb16(b), smelt_sxtb16(c));
                smelt_six_weights(place + 18, 3, smelt_sxtb16_ror8(a), smelt_sxtb16_ror8(b), smelt_sxtb16_ror8(c));
                ++weights;
                ++place;
            }
            weights += 6;
            place = corner;
            for (int32_t half = 0; half < 2; ++half) {
                int32_t *target = to;
                SMELT_KEEP_LOOP
                for (int32_t i = 0; i < 6; ++i) {
                    smelt_six_weights(target, depth, place[0], place[1], place[2]);
                    target += 6 * depth;
                    place += 3;
                }
                to += 2;
            }
        }
    }
}

#define smelt_winograd_weights_16 smelt_winograd_weights
#define smelt_winograd_weights_32 smelt_winograd_weights
#define smelt_winograd_weights_64 smelt_winograd_weights

#endif

#endif
