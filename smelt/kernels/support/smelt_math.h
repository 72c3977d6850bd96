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

/* Finite numbers of float16, from their bits: exactly. All units of Arm's microcontrollers convert them. */
#if defined(__ARM_FP) && defined(__ARM_FEATURE_FMA) && defined(__GNUC__) && !defined(__aarch64__)
#define SMELT_HALF(instruction, bits)                                                                                  \
    float x;                                                                                                           \
    __asm__(instruction ".f32.f16 %0, %1" : "=t"(x) : "t"(smelt_float_of(bits)));                                      \
    return x;
#endif

SMELT_INLINE float smelt_half(uint16_t bits)
{
#ifdef SMELT_HALF
    SMELT_HALF("vcvtb", bits)
#else
    const int32_t size = bits & 0x7FFF;
    if (size < 0x0400) {
        const float x = (float)size * 5.9604644775390625e-8f; /* steps of 2 to the power of -24 */
        return size == bits ? x : -x;
    }
    return smelt_float_of((bits ^ size) * -65536 + size * 8192 + (112 << 23));
#endif
}

/* The lower and the upper one of a pair. */
SMELT_INLINE float smelt_half_low(int32_t pair)
{
#ifdef SMELT_HALF
    SMELT_HALF("vcvtb", pair)
#else
    return smelt_half((uint16_t)pair);
#endif
}

SMELT_INLINE float smelt_half_high(int32_t pair)
{
#ifdef SMELT_HALF
    SMELT_HALF("vcvtt", pair)
#else
    return smelt_half((uint16_t)((uint32_t)pair >> 16));
#endif
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
