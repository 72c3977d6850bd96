/* Functions of real numbers in single precision, within two units in the last place of the correctly rounded value (most within one),
 * without a library. */
#ifndef SMELT_MATH_H
#define SMELT_MATH_H

#include "smelt_kernels.h"

/* a * b + c, rounded once where that is one instruction. (clang would call a library for its own function of that name.) */
SMELT_INLINE float smelt_fma(float a, float b, float c)
{
#if defined(__clang__)
#pragma STDC FP_CONTRACT ON
    return a * b + c;
#elif defined(__ARM_FEATURE_FMA) && defined(__GNUC__)
    return __builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

/* a, once all four are in registers: what is loaded side by side does not wait for each load where it is used. */
SMELT_INLINE float smelt_loaded(float a, float b, float c, float d)
{
#if defined(__ARM_FP) && defined(__GNUC__)
    __asm__ volatile("" : "+t"(a) : "t"(b), "t"(c), "t"(d));
#else
    (void)b;
    (void)c;
    (void)d;
#endif
    return a;
}

/* The bits of a number, and the number of bits. */
SMELT_INLINE int32_t smelt_float_bits(float x)
{
    return smelt_load_i32(&x);
}

SMELT_INLINE float smelt_float_of(int32_t bits)
{
    return smelt_load_f32(&bits);
}

/* 2 to the power of n, -126 to 127. */
SMELT_INLINE float smelt_power_of_two(int32_t n)
{
    return smelt_float_of((n + 127) * (1 << 23));
}

/* The whole number that is not greater, not less, nearest (halves to even); what has no fraction stays as it is. */
SMELT_INLINE float smelt_floor(float x)
{
    float whole;
    if (!(smelt_max_f32(x, -x) < 8388608.0f)) {
        return x;
    }
    whole = (float)(int32_t)x;
    return whole > x ? whole - 1.0f : whole;
}

SMELT_INLINE float smelt_ceil(float x)
{
    return -smelt_floor(-x);
}

SMELT_INLINE float smelt_round(float x)
{
    float whole, rest;
    if (!(smelt_max_f32(x, -x) < 8388608.0f)) {
        return x;
    }
    whole = smelt_floor(x);
    rest = x - whole;
    if (rest > 0.5f || (rest == 0.5f && ((int32_t)whole & 1) != 0)) {
        whole = whole + 1.0f;
    }
    return whole;
}

/* Of the bits of a number without its sign: the power of two of its last bit, and what is multiplied by that. */
SMELT_INLINE int32_t smelt_last_bit(int32_t magnitude)
{
    return magnitude >= 0x800000 ? (magnitude >> 23) - 150 : -149;
}

SMELT_INLINE uint32_t smelt_digits(int32_t magnitude)
{
    return (uint32_t)(magnitude >= 0x800000 ? (magnitude & 0x7fffff) | 0x800000 : magnitude);
}

/* The rest of a / b, exact, of the sign of b: eight bits of the quotient at a time. */
SMELT_SHARED float smelt_floor_mod(float a, float b)
{
    const int32_t whole_a = smelt_float_bits(a) & 0x7fffffff, whole_b = smelt_float_bits(b) & 0x7fffffff;
    float result = a;
    if (whole_a >= 0x7f800000 || whole_b > 0x7f800000 || whole_b == 0) {
        return smelt_float_of(0x7fc00000);
    }
    if (whole_a >= whole_b) {
        const int32_t place = smelt_last_bit(whole_b);
        const uint32_t divisor = smelt_digits(whole_b);
        uint32_t rest = smelt_digits(whole_a) % divisor;
        int32_t left;
        for (left = smelt_last_bit(whole_a) - place; left > 8; left -= 8) {
            rest = (rest << 8) % divisor;
        }
        rest = (rest << left) % divisor;
        result = (float)(int32_t)rest * smelt_power_of_two(place / 2) * smelt_power_of_two(place - place / 2);
        result = a < 0.0f ? -result : result;
    }
    return result != 0.0f && (result < 0.0f) != (b < 0.0f) ? result + b : result;
}

/* Square root, correctly rounded. */
SMELT_SHARED float smelt_sqrt(float x)
{
#if defined(__ARM_FP) && defined(__GNUC__)
    float root;
    __asm__("vsqrt.f32 %0, %1" : "=t"(root) : "t"(x));
    return root;
#else
    int32_t bits = smelt_float_bits(x), exponent, place;
    uint32_t rest, root = 0, value;
    if (!(x > 0.0f) || bits >= 0x7f800000) {
        return x < 0.0f ? smelt_float_of(0x7fc00000) : x;
    }
    exponent = (bits >> 23) - 127;
    value = (uint32_t)bits & 0x7fffffu;
    if (exponent == -127) {
        for (exponent = -126; value < 0x800000u; --exponent) {
            value *= 2u;
        }
    }
    value |= 0x800000u;
    value *= 2u;
    if ((exponent & 1) != 0) {
        value *= 2u;
        exponent -= 1;
    }
    /* value has 25 or 26 bits: the root of value * 2^24, 25 bits, bit by bit. */
    rest = 0;
    for (place = 24; place >= -24; place -= 2) {
        const uint32_t two = place >= 0 ? (value >> place) & 3u : 0u;
        rest = rest * 4u + two;
        root *= 2u;
        if (rest > root * 2u) {
            rest -= root * 2u + 1u;
            root += 1u;
        }
    }
    /* the last bit rounds: no root lies in the middle of two numbers */
    root = (root >> 1) + (root & 1u);
    return smelt_float_of((int32_t)root + ((exponent / 2 + 126) << 23));
#endif
}

/* x = whole * ln 2 + rest for x of at most 104, and e to the power of the rest, less 1. */
SMELT_INLINE float smelt_exp_of_rest(float x, int32_t *whole)
{
    float n, r, p;
    *whole = (int32_t)(x * 1.44269502f + (x < 0.0f ? -0.5f : 0.5f));
    n = (float)*whole;
    r = x - n * 0.693359375f; /* most of ln 2, in few bits, for an exact product */
    r = r + n * 0.000212194442f;
    p = 0.000198911803f;
    p = p * r + 0.00139338209f;
    p = p * r + 0.00833331048f;
    p = p * r + 0.041666463f;
    p = p * r + 0.166666672f;
    p = p * r + 0.5f;
    return (p * r) * r + r;
}

/* e to the power of x. */
SMELT_SHARED float smelt_exp(float x)
{
    float p;
    int32_t whole;
    if (!(x < 88.7228394f)) {
        return x > 0.0f ? smelt_float_of(0x7f800000) : x;
    }
    if (x < -103.972084f) {
        return 0.0f;
    }
    p = smelt_exp_of_rest(x, &whole) + 1.0f;
    return p * smelt_power_of_two(whole >> 1) * smelt_power_of_two(whole - (whole >> 1));
}

/* e to the power of x, less 1, for x below 0; other x as they are (ELU). */
SMELT_SHARED float smelt_elu(float x)
{
    float p, scale;
    int32_t whole;
    if (!(x < 0.0f)) {
        return x;
    }
    if (x < -18.0f) {
        return -1.0f;
    }
    p = smelt_exp_of_rest(x, &whole);
    scale = smelt_power_of_two(whole);
    return scale * p + (scale - 1.0f);
}

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

/* The natural logarithm. */
SMELT_SHARED float smelt_log(float x)
{
    int32_t bits = smelt_float_bits(x), exponent = 0, place;
    float f, q, n;
    if (!(x > 0.0f) || bits >= 0x7f800000) {
        if (x == 0.0f) {
            return -smelt_float_of(0x7f800000);
        }
        return x < 0.0f ? smelt_float_of(0x7fc00000) : x;
    }
    if (bits < 0x800000) {
        bits = smelt_float_bits(x * 8388608.0f);
        exponent = -23;
    }
    place = (bits - 0x3f3504f3) >> 23; /* so that the fraction is from sqrt(1/2) to sqrt(2) */
    f = smelt_float_of(bits - place * (1 << 23)) - 1.0f;
    n = (float)(exponent + place);
    q = 0.0697161183f;
    q = q * f - 0.114797339f;
    q = q * f + 0.116854198f;
    q = q * f - 0.124256872f;
    q = q * f + 0.142490581f;
    q = q * f - 0.166678026f;
    q = q * f + 0.200007156f;
    q = q * f - 0.24999997f;
    q = q * f + 0.333333313f;
    q = q * f * (f * f);
    q = q - n * 0.000212194442f;
    q = q - 0.5f * (f * f);
    return f + q + n * 0.693359375f;
}

/* The hyperbolic tangent. */
SMELT_SHARED float smelt_tanh(float x)
{
    const float a = smelt_max_f32(x, -x);
    float z, p;
    if (!(a < 9.01091385f)) {
        return x != x ? x : (x < 0.0f ? -1.0f : 1.0f);
    }
    if (a < 0.625f) {
        z = x * x;
        p = 0.00229274202f;
        p = p * z - 0.00834394246f;
        p = p * z + 0.0217689183f;
        p = p * z - 0.0539592579f;
        p = p * z + 0.133333042f;
        p = p * z - 0.333333343f;
        return (p * z) * x + x;
    }
    p = 1.0f - 2.0f / (smelt_exp(a + a) + 1.0f);
    return x < 0.0f ? -p : p;
}

/* 1 / (1 + e to the power of -x), with the limits of TensorFlow Lite Micro. */
SMELT_SHARED float smelt_logistic(float x)
{
    if (x > 16.619047164916992188f) {
        return 1.0f;
    }
    if (x < -9.0f) {
        return smelt_exp(x);
    }
    return 1.0f / (1.0f + smelt_exp(-x));
}

/* x less the nearest multiple of pi / 2, in two parts, and the number of that multiple (its last bits): Payne and Hanek's way, which keeps as
 * many bits of 2 / pi as x, however large, needs. */
typedef struct {
    float high, low;
    int32_t quarter;
} smelt_angle;

SMELT_SHARED smelt_angle smelt_reduced(float x)
{
    /* 2 / pi, from its first bit on */
    static const uint32_t digits[] = {0x00000000u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u,
                                      0xfe5163abu};
    const int32_t bits = smelt_float_bits(x) & 0x7fffffff;
    const int32_t exponent = (bits >> 23) - 127;
    const uint32_t value = ((uint32_t)bits & 0x7fffffu) | 0x800000u;
    const int32_t shift = exponent - 23 + 32;      /* of value; bits of 2 / pi before it are multiples of four */
    const int32_t first = (shift - 2) / 32;        /* words that cannot matter */
    const int32_t offset = (shift - 2) - first * 32;
    uint64_t window[3], product, fraction;
    int32_t i, quarter, negative, zeros = 0;
    smelt_angle angle;
    for (i = 0; i < 3; ++i) {
        const uint64_t pair = ((uint64_t)digits[first + i] << 32) | digits[first + i + 1];
        window[i] = (uint32_t)(pair >> (32 - offset));
    }
    /* the lower 64 bits of value * (96 bits of 2 / pi) / 2^32; two bits before the point */
    product = (window[0] * value << 32) + window[1] * value + ((window[2] * value) >> 32);
    quarter = (int32_t)(product >> 62);
    fraction = product << 2;
    negative = (int32_t)(fraction >> 63);
    if (negative) {
        fraction = ~fraction + 1u;
        quarter += 1;
    }
    if (smelt_float_bits(x) < 0) {
        quarter = -quarter;
        negative = !negative;
    }
    angle.quarter = quarter & 3;
    while (zeros < 63 && (fraction >> 63) == 0) {
        fraction <<= 1;
        ++zeros;
    }
    {
        /* 24 bits and the next 24, times pi / 2 in two parts */
        const float scale = smelt_power_of_two(-zeros - 24);
        const float top = (float)(int32_t)(fraction >> 40) * scale;
        const float rest = (float)(int32_t)((fraction >> 16) & 0xffffffu) * scale * 5.9604644775390625e-08f;
        /* pi / 2 = 1.5703125 + 0.000483751297 + 7.54978942e-08; the first has few bits */
        const int32_t head_bits = smelt_float_bits(top) & ~0xfff;
        const float head = smelt_float_of(head_bits);
        const float tail = (top - head) + rest;
        const float main = head * 1.5703125f;
        const float more = head * 0.000483826792f + (tail * 1.57079637f);
        angle.high = main + more;
        angle.low = (main - angle.high) + more;
    }
    if (negative) {
        angle.high = -angle.high;
        angle.low = -angle.low;
    }
    return angle;
}

/* Sine (`ahead` 0) and cosine (1) of an angle. */
SMELT_SHARED float smelt_wave(float x, int32_t ahead)
{
    smelt_angle a = {0.0f, 0.0f, 0};
    float z, p;
    if (!(smelt_max_f32(x, -x) <= 3.40282347e+38f)) {
        return x - x;
    }
    if (smelt_max_f32(x, -x) < 0.785398126f) {
        a.high = x;
    } else {
        a = smelt_reduced(x);
    }
    z = a.high * a.high;
    if (((a.quarter + ahead) & 1) != 0) {
        p = -2.72999387e-07f;
        p = p * z + 2.48005927e-05f;
        p = p * z - 0.00138888881f;
        p = p * z + 0.0416666679f;
        p = p * (z * z);
        p = p - a.high * a.low;
        p = (p - 0.5f * z) + 1.0f;
    } else {
        p = 2.72487023e-06f;
        p = p * z - 0.000198400769f;
        p = p * z + 0.00833333191f;
        p = p * z - 0.166666672f;
        p = (p * z) * a.high + a.low;
        p = p + a.high;
    }
    return ((a.quarter + ahead) & 2) != 0 ? -p : p;
}

SMELT_INLINE float smelt_sin(float x)
{
    return smelt_wave(x, 0);
}

SMELT_INLINE float smelt_cos(float x)
{
    return smelt_wave(x, 1);
}

#endif
