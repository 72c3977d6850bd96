#include "smelt_mlperf_numbers.h"

#define FRACTION 23 /* bits of a float's */
#define LARGEST ((int64_t)1 << 62)

uint32_t smelt_divide(uint64_t *number, uint32_t by)
{
    uint64_t quotient = 0U, rest = 0U;
    for (uint32_t bit = 64U; bit-- > 0U;) {
        rest = rest << 1 | (*number >> bit & 1U);
        quotient <<= 1;
        if (rest >= by) {
            rest -= by;
            quotient |= 1U;
        }
    }
    *number = quotient;
    return (uint32_t)rest;
}

int smelt_is_nan(uint32_t bits)
{
    return (bits & 0x7FFFFFFFU) > 0x7F800000U;
}

smelt_real smelt_of_float(uint32_t bits)
{
    const uint32_t exponent = bits >> FRACTION & 0xFFU, fraction = bits & 0x7FFFFFU;
    const int64_t mantissa = exponent != 0U ? (int64_t)(fraction | 1U << FRACTION) : (int64_t)fraction;
    smelt_real real = {mantissa, (int32_t)(exponent != 0U ? exponent : 1U) - 127 - FRACTION};
    if (bits >> 31 != 0U) {
        real.mantissa = -real.mantissa;
    }
    return real;
}

int64_t smelt_fixed(smelt_real value, int32_t places)
{
    const int negative = value.mantissa < 0;
    const int32_t shift = value.exponent + places;
    uint64_t size = negative ? (uint64_t)-value.mantissa : (uint64_t)value.mantissa;
    if (shift < -63) {
        size = 0U;
    } else if (shift < 0) {
        const uint64_t rest = size & (((uint64_t)1 << -shift) - 1U), half = (uint64_t)1 << (-shift - 1);
        size >>= -shift;
        size += rest > half || (rest == half && (size & 1U) != 0U) ? 1U : 0U;
    } else if (shift > 62 || size > (uint64_t)LARGEST >> shift) {
        size = size != 0U ? (uint64_t)LARGEST : 0U;
    } else {
        size <<= shift;
    }
    return negative ? -(int64_t)size : (int64_t)size;
}

/* The quotient of two mantissas, both with their leading bit set, as a float's: 24 bits, the nearest one, ties to even ones. */
static uint32_t quotient_of(uint32_t mantissa, uint32_t by, int32_t *exponent)
{
    uint64_t quotient = (uint64_t)mantissa << 26; /* 26 or 27 bits then */
    const uint32_t rest = smelt_divide(&quotient, by);
    const uint32_t drop = quotient >> 26 != 0U ? 3U : 2U;
    const uint32_t dropped = (uint32_t)quotient & ((1U << drop) - 1U), half = 1U << (drop - 1U);
    uint32_t found = (uint32_t)(quotient >> drop);
    if (dropped > half || (dropped == half && (rest != 0U || (found & 1U) != 0U))) {
        found++;
    }
    *exponent += (int32_t)drop - 26;
    return found;
}

int32_t smelt_quotient(uint32_t real, uint32_t scale)
{
    smelt_real x = smelt_of_float(real & 0x7FFFFFFFU);
    const smelt_real s = smelt_of_float(scale);
    if (x.mantissa == 0 || smelt_is_nan(real)) {
        return 0;
    }
    while (x.mantissa >> FRACTION == 0) {
        x.mantissa <<= 1;
        x.exponent--;
    }
    int32_t exponent = x.exponent - s.exponent;
    const uint32_t quotient = quotient_of((uint32_t)x.mantissa, (uint32_t)s.mantissa, &exponent);
    int32_t whole = 1 << 24;
    if (exponent < -31) {
        whole = 0;
    } else if (exponent < 0) {
        whole = (int32_t)((quotient + (1U << (-exponent - 1))) >> -exponent);
    } else {
        /* beyond all that is asked for */
    }
    return real >> 31 != 0U ? -whole : whole;
}

char *smelt_decimal(uint64_t number, char *text)
{
    char *at = text + SMELT_TEXT - 1;
    *at = '\0';
    do {
        *--at = (char)('0' + smelt_divide(&number, 10U));
    } while (number != 0U);
    return at;
}

char *smelt_thousandths(int64_t number, char *text)
{
    uint64_t whole = number < 0 ? (uint64_t)-number : (uint64_t)number;
    uint32_t rest = smelt_divide(&whole, 1000U);
    char *at = smelt_decimal(whole, text) - 4;
    for (char *to = at; to[4] != '\0'; to++) {
        *to = to[4];
    }
    char *end = text + SMELT_TEXT - 1;
    for (uint32_t digits = 0U; digits < 3U; digits++) {
        *--end = (char)('0' + rest % 10U);
        rest /= 10U;
    }
    *--end = '.';
    if (number < 0) {
        *--at = '-';
    }
    return at;
}
