/* Boxes of detectors, in double precision where what a network says becomes a place. */
#ifndef SMELT_DETECTION_H
#define SMELT_DETECTION_H

#include "smelt_math.h"

/* To the nearest, infinities included, which C leaves open. */
SMELT_INLINE float smelt_narrowed(double x)
{
    if (x >= 3.4028235677973366e38 || x <= -3.4028235677973366e38) {
        return smelt_float_of(x > 0.0 ? 0x7f800000 : -0x800000);
    }
    return (float)x;
}

/* e^x, but 0 below -200 and 1e87 above 200: times half of any float32, float32 has no number for either. */
SMELT_SHARED double smelt_exp_of_double(double x)
{
    double y = 1.0, rest;
    int32_t whole, i;
    uint64_t bits;
    if (!(x > -200.0 && x < 200.0)) {
        return x <= -200.0 ? 0.0 : (x >= 200.0 ? 1e87 : x);
    }
    whole = (int32_t)(x * 1.4426950408889634 + (x < 0.0 ? -0.5 : 0.5));
    rest = (x - (double)whole * 6.93147180369123816490e-01) - (double)whole * 1.90821492927058770002e-10;
    for (i = 13; i > 0; --i) {
        y = 1.0 + y * rest / (double)i;
    }
    bits = (uint64_t)(uint32_t)(whole + 1023) << 52;
    memcpy(&rest, &bits, sizeof rest);
    return y * rest;
}

SMELT_SHARED float smelt_box_centre(float x, float scale, float size, float centre)
{
    return smelt_narrowed((double)x / (double)scale * (double)size + (double)centre);
}

SMELT_SHARED float smelt_box_half(float x, float scale, float size)
{
    return smelt_narrowed(0.5 * smelt_exp_of_double((double)x / (double)scale) * (double)size);
}

#endif
