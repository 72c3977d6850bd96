/* From sums to outputs as onnxruntime rounds them: see Rescale in smelt/model/rescale.py. */
#ifndef SMELT_ROUNDING_H
#define SMELT_ROUNDING_H

#include "smelt_kernels.h"

/* The nearest number of 24 significant bits, which float32 has; of two the even one. */
SMELT_SHARED int64_t smelt_to_24_bits(int64_t x)
{
    const uint64_t magnitude = x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
    uint64_t rounded;
    uint32_t bits = 0;
    while (magnitude >> bits >= UINT64_C(0x1000000)) {
        ++bits;
    }
    if (bits == 0) {
        return x;
    }
    rounded = (magnitude + (UINT64_C(1) << (bits - 1)) - 1 + ((magnitude >> bits) & 1)) >> bits << bits;
    return x < 0 ? -(int64_t)rounded : (int64_t)rounded;
}

/* total * multiplier / 2^shift, shift from 16 to 55, of a multiplier of 24 bits, each step rounded to 24 bits, then to an integer, halves to the
 * even one. Results beyond 2^16, which are right within one, are limited to 2^30. */
SMELT_SHARED int32_t smelt_ties_even(int32_t total, int32_t multiplier, int32_t shift)
{
    const int64_t half = INT64_C(1) << (shift - 1);
    const int64_t kept = total > 0x1000000 || total < -0x1000000 ? smelt_to_24_bits(total) : total;
    int64_t product = kept * multiplier;
    int64_t value = (product + half) >> shift;
    int64_t rest = (product & (2 * half - 1)) - half;
    if (rest <= half >> 7 && rest >= -(half >> 7)) { /* so near to a tie that rounding to 24 bits may matter */
        product = smelt_to_24_bits(product);
        rest = (product & (2 * half - 1)) - half;
        value = product >> shift;
        value += rest > 0 || (rest == 0 && (value & 1) != 0);
    }
    return (int32_t)smelt_max_i64(smelt_min_i64(value, 0x40000000), -0x40000000);
}

#endif
