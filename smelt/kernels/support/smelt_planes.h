/* Depthwise convolutions with kernels of 3 x 3: one channel of a plane. In portable C; where it is assembly, it comes from
 * smelt/kernels/thumb/planes.py, which says what it does. */
#ifndef SMELT_PLANES_H
#define SMELT_PLANES_H

#include "smelt_dsp.h"

/* Routines: smelt_plane_1, smelt_plane_2, smelt_plane_1_once, smelt_plane_2_once. */

#if !SMELT_HAS_DSP

#define SMELT_PLANE_PITCH 52 /* elements of a line of the plane */

SMELT_INLINE void smelt_plane_any(int32_t stride, const int8_t *w, const int16_t *x, int8_t *y, const int32_t *channel,
        int32_t down, int32_t along, int32_t lines, int32_t pitch, int32_t outputs, int32_t step, int32_t line_step,
        int32_t zero, int32_t common)
{
    const int32_t shift = common < 0 ? channel[2] : common;
    const int32_t offset = smelt_shift_left(2 * zero + 1, shift) >> 1;
    for (int32_t line = 0; line < lines; ++line) {
        for (int32_t output = 0; output < outputs; ++output) {
            const int16_t *const from = x + line * (pitch / 2) + output * stride;
            int32_t sum = channel[0];
            for (int32_t tap = 0; tap < 9; ++tap) {
                sum += w[tap / 3 * down + tap % 3 * along] * from[tap / 3 * (SMELT_PLANE_PITCH) + tap % 3];
            }
            y[line * line_step + output * step] = (int8_t)smelt_ssat8((smelt_smmlar(sum, channel[1], sum) + offset) >> shift);
        }
    }
}

SMELT_INLINE void smelt_plane_once(int32_t stride, const int8_t *w, const int16_t *x, int8_t *y, const int32_t *channel,
        int32_t down, int32_t along, int32_t lines, int32_t pitch, int32_t outputs, int32_t step, int32_t line_step,
        int32_t bits, int32_t shift)
{
    for (int32_t line = 0; line < lines; ++line) {
        for (int32_t output = 0; output < outputs; ++output) {
            const int16_t *const from = x + line * (pitch / 2) + output * stride;
            int32_t sum = channel[0];
            for (int32_t tap = 0; tap < 9; ++tap) {
                sum += w[tap / 3 * down + tap % 3 * along] * from[tap / 3 * (SMELT_PLANE_PITCH) + tap % 3];
            }
            sum = smelt_smmla(smelt_shift_left(sum, bits), channel[1], channel[2]);
            y[line * line_step + output * step] = (int8_t)smelt_ssat8(sum >> shift);
        }
    }
}

#define smelt_plane_1_once(...) smelt_plane_once(1, __VA_ARGS__)
#define smelt_plane_2_once(...) smelt_plane_once(2, __VA_ARGS__)
#define smelt_plane_1(...) smelt_plane_any(1, __VA_ARGS__)
#define smelt_plane_2(...) smelt_plane_any(2, __VA_ARGS__)

#endif

#endif
