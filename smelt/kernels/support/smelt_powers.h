/* Functions of real numbers that single precision alone would spoil, in fixed point: within one unit in the last place. */
#ifndef SMELT_POWERS_H
#define SMELT_POWERS_H

#include "smelt_math.h"

/* c[0] - c[1] u + c[2] u^2 - ... for u of 32 fraction bits. */
SMELT_INLINE uint32_t smelt_alternating(const uint32_t *c, int32_t degree, uint32_t u)
{
    uint32_t p = c[degree];
    int32_t i;
    for (i = degree - 1; i >= 0; --i) {
        p = c[i] - (uint32_t)(((uint64_t)u * p) >> 32);
    }
    return p;
}

/* 2 to the power of -f, f of 32 fraction bits, with 31. */
SMELT_SHARED uint32_t smelt_power_down(uint32_t f)
{
    static const uint32_t power[7] = {0x7ffffffdu, 0x58b90ad9u, 0x1ebfabbfu, 0x071a53adu, 0x0139e9b1u, 0x0029cc02u, 0x0003951eu};
    return smelt_alternating(power, 6, f);
}

/* The complementary error function, 1 - erf(x), in fixed point: e^(-x^2) times e^(x^2) erfc(x), which is a polynomial in every half.
 * All coefficients have 31 fraction bits. */
SMELT_SHARED float smelt_erfc(float x)
{
    static const uint32_t scaled[21][8] = {
        {0x7ffffffcu, 0x48375b02u, 0x1fffd05bu, 0x0c07b5fbu, 0x03f9dae2u, 0x01265252u, 0x00437966u, 0x0008d062u},
        {0x4ecef0f2u, 0x20cfe46eu, 0x0b7fbb97u, 0x038d1e61u, 0x00fd5870u, 0x003f5f6eu, 0x000d00a3u, 0x0001945eu},
        {0x36bb0f02u, 0x117c4e2eu, 0x04f09b34u, 0x014477edu, 0x004cc421u, 0x0010a860u, 0x00030e60u, 0x0000583cu},
        {0x2929b5ffu, 0x0a78cc3eu, 0x026fd3fbu, 0x0086dfecu, 0x001b5b01u, 0x00052d9bu, 0x0000d9cbu, 0x000016cbu},
        {0x20b0ce37u, 0x06d5c0d3u, 0x015672a4u, 0x003f52f5u, 0x000b21b9u, 0x0001da02u, 0x000045f7u, 0x000006cdu},
        {0x1afbb3f4u, 0x04c21b5fu, 0x00cc4abfu, 0x0020c60bu, 0x00050c99u, 0x0000be76u, 0x0000195eu, 0x0000024bu},
        {0x16e9827du, 0x037ad5cau, 0x00821fefu, 0x001258f4u, 0x000280f1u, 0x00005459u, 0x00000a30u, 0x000000dcu},
        {0x13e0a99au, 0x02a50ba6u, 0x00575603u, 0x000af2e5u, 0x00015617u, 0x00002887u, 0x00000476u, 0x0000005au},
        {0x118932bfu, 0x02129245u, 0x003d2826u, 0x0006e2d6u, 0x0000c221u, 0x000014dbu, 0x0000021au, 0x00000028u},
        {0x0fad9502u, 0x01aa3eb7u, 0x002c5825u, 0x0004863au, 0x000073fdu, 0x00000b61u, 0x0000010eu, 0x00000013u},
        {0x0e2b91cfu, 0x015d8435u, 0x002119f0u, 0x00031578u, 0x00004866u, 0x00000686u, 0x0000008fu, 0x00000009u},
        {0x0cec5479u, 0x01238ca7u, 0x00195253u, 0x00022b2fu, 0x00002ee9u, 0x000003e8u, 0x00000050u, 0x00000005u},
        {0x0be01a42u, 0x00f6bfb3u, 0x0013c776u, 0x00019107u, 0x00001f64u, 0x0000026du, 0x0000002eu, 0x00000003u},
        {0x0afbae21u, 0x00d37168u, 0x000fbaf8u, 0x00012878u, 0x0000159bu, 0x0000018fu, 0x0000001cu, 0x00000002u},
        {0x0a36e360u, 0x00b725a3u, 0x000cb51fu, 0x0000dfa8u, 0x00000f3du, 0x00000107u, 0x00000011u, 0x00000001u},
        {0x098ba17au, 0x00a0222bu, 0x000a683eu, 0x0000abc2u, 0x00000afcu, 0x000000b2u, 0x0000000bu, 0x00000001u},
        {0x08f54620u, 0x008d2c41u, 0x0008a084u, 0x000085ffu, 0x00000813u, 0x0000007cu, 0x00000007u, 0x00000000u},
        {0x08703c03u, 0x007d5f2bu, 0x00073a89u, 0x00006a04u, 0x00000609u, 0x00000057u, 0x00000005u, 0x00000000u},
        {0x07f9b313u, 0x0070119au, 0x00061d8eu, 0x000054f0u, 0x00000495u, 0x0000003fu, 0x00000003u, 0x00000000u},
        {0x078f6e6fu, 0x0064c423u, 0x000537f5u, 0x000044d4u, 0x00000387u, 0x0000002eu, 0x00000002u, 0x00000000u},
        {0x072fa0c8u, 0x005b1572u, 0x00047cf8u, 0x00003859u, 0x000002c0u, 0x00000022u, 0x00000002u, 0x00000000u},
    };
    const float a = smelt_max_f32(x, -x);
    uint32_t t, high, low;
    uint64_t square, exponent, product;
    int32_t whole;
    float y;
    if (!(a < 10.0600004f)) {
        return x != x ? x : (x < 0.0f ? 2.0f : 0.0f);
    }
    t = (uint32_t)(a * 134217728.0f + 0.5f); /* 27 fraction bits */
    square = (uint64_t)t * t;
    high = (uint32_t)(square >> 32);
    low = (uint32_t)square;
    /* times log2 e, whose first bits and next bits these are: 53 fraction bits */
    exponent = (uint64_t)high * 0xb8aa3b29u + (((uint64_t)low * 0xb8aa3b29u + (uint64_t)high * 0x5c17f0bcu) >> 32);
    whole = (int32_t)(exponent >> 53);
    product = (uint64_t)smelt_power_down((uint32_t)(exponent >> 21)) *
              smelt_alternating(scaled[t >> 26], 7, t << 6);
    if (product < (uint64_t)1 << 58) {
        product <<= 4;
        whole += 4;
    }
    y = (float)(uint32_t)(product >> 32) * smelt_power_of_two(-30) * smelt_power_of_two(-(whole / 2)) *
        smelt_power_of_two(whole / 2 - whole);
    return x < 0.0f ? 2.0f - y : y;
}

/* The error function: near 0 as x and a share of it, which is a polynomial of the square, elsewhere by what it leaves of 1. */
SMELT_SHARED float smelt_erf(float x)
{
    const float a = smelt_max_f32(x, -x);
    float t, y;
    if (a < 0.5f) {
        t = x * x;
        y = (t * 0.00471908257f - 0.0267577327f) * t + 0.112828314f;
        return x + x * ((y * t - 0.37612609f) * t + 0.128379166f);
    }
    y = 1.0f - smelt_erfc(a);
    return x < 0.0f ? -y : y;
}

/* The logarithm to the base 2 of a positive, finite number, with 55 fraction bits. A factor of nine bits brings the number near 1; what
 * is left, r, is exact, and log2(1 + r) = r (log2 e + r p(r)). */
SMELT_SHARED int64_t smelt_log2(float x)
{
    static const uint16_t factors[32] = {512, 489, 475, 462, 449, 437, 426, 415, 405, 395, 386, 377, 368, 360, 352, 345,
                                         338, 331, 324, 318, 312, 306, 301, 295, 290, 285, 280, 275, 271, 266, 262, 256};
    static const int64_t logarithms[32] = {
        0, 2389045933186414, 3898902990891466, 5341303694687697, 6824876121545383, 8232959520058716, 9558093243967138,
        10917895487459394, 12185728262740955, 13485260119223568, 14683282680775528, 15909570489422184, 17165489577334119,
        18307921648153186, 19476028486986722, 20520109408711437, -14443203838887518, -13355421337343369, -12244386770824463,
        -11272796486633619, -10282698612149875, -9273374339522579, -8417035913611279, -7370452232091755, -6481908086014591,
        -5577910225898084, -4657911575509476, -3721335483810378, -2959731136241115, -1991759647386328, -1204190538157317, 0};
    static const int32_t p[5] = {-1549082005, 1032721186, -774540870, 620210464, -516866134};
    int32_t bits = smelt_float_bits(x), exponent = 0, piece, r, sum, i;
    int64_t factor;
    if (bits < 0x800000) {
        bits = smelt_float_bits(x * 8388608.0f);
        exponent = -23;
    }
    piece = (bits >> 18) & 31;
    exponent += (bits >> 23) - 127 + (piece >= 16); /* from 3/4 to 3/2 */
    r = (int32_t)((int64_t)((bits & 0x7fffff) | 0x800000) * factors[piece] - ((int64_t)1 << 32));
    sum = p[4];
    for (i = 3; i >= 0; --i) {
        sum = p[i] + (int32_t)(((int64_t)sum * r) >> 32);
    }
    factor = 3326628274461080623 + (((int64_t)sum * r) >> 2);
    return (int64_t)exponent * ((int64_t)1 << 55) + logarithms[piece] +
           (((factor >> 32) * r + (((factor & 0xffffffff) * r) >> 32)) >> 6);
}

/* a to the power of b for a positive, finite a and a finite b: 2 to the power of b log2 a. */
SMELT_SHARED float smelt_positive_power(float a, float b)
{
    const int64_t logarithm = smelt_log2(a);
    const int32_t magnitude = smelt_float_bits(b) & 0x7fffffff;
    const int32_t falls = (logarithm < 0) != (smelt_float_bits(b) < 0);
    uint64_t value = (uint64_t)(logarithm < 0 ? -logarithm : logarithm);
    int64_t down;
    int32_t shift = smelt_last_bit(magnitude) + 17, whole; /* to 40 fraction bits */
    if (value == 0 || magnitude == 0) {
        return 1.0f;
    }
    while (value < (uint64_t)1 << 62) {
        value <<= 1;
        --shift;
    }
    value = (value >> 32) * smelt_digits(magnitude) + (((value & 0xffffffffu) * smelt_digits(magnitude)) >> 32);
    value = shift > 7 ? UINT64_MAX : shift >= 0 ? value << shift : shift > -64 ? value >> -shift : 0;
    if (value > (uint64_t)160 << 40) {
        return falls ? 0.0f : smelt_float_of(0x7f800000);
    }
    down = falls ? (int64_t)value : -(int64_t)value;
    whole = (int32_t)(down >> 40);
    return (float)smelt_power_down((uint32_t)(down >> 8)) * smelt_power_of_two(-31) * smelt_power_of_two(-(whole / 2)) *
           smelt_power_of_two(whole / 2 - whole);
}

/* x to the power of y, with C's answers where there is none, or more than one. */
SMELT_SHARED float smelt_pow(float x, float y)
{
    const float infinity = smelt_float_of(0x7f800000), a = smelt_max_f32(x, -x);
    const int32_t is_whole = smelt_floor(y) == y, is_odd = is_whole && smelt_floor(y * 0.5f) != y * 0.5f;
    float result;
    if (y == 0.0f || x == 1.0f) {
        return 1.0f;
    }
    if (x != x || y != y) {
        return x + y;
    }
    if (x < 0.0f && a < infinity && !is_whole) {
        return smelt_float_of(0x7fc00000);
    }
    if (a == 0.0f || a == infinity) {
        result = (a == 0.0f) == (y < 0.0f) ? infinity : 0.0f;
    } else if (y - y != 0.0f) {
        result = a == 1.0f ? 1.0f : (a > 1.0f) == (y > 0.0f) ? infinity : 0.0f;
    } else {
        result = smelt_positive_power(a, y);
    }
    return smelt_float_bits(x) < 0 && is_odd ? -result : result;
}

#endif
