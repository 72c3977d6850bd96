/* Functions of single numbers that audio front ends need. */
#ifndef SMELT_SIGNAL_H
#define SMELT_SIGNAL_H

#include "smelt_kernels.h"

/* How often a positive number of 15 bits can be doubled and still is one; 0 for all others. */
SMELT_INLINE int32_t smelt_free_bits(int32_t x)
{
    int32_t bits = 0;
    if (x > 0) {
        while (x < 16384) {
            x = 2 * x;
            bits = bits + 1;
        }
    }
    return bits;
}

/* The number of the highest bit that is set; 0 where none is. */
SMELT_INLINE int32_t smelt_highest_bit(uint32_t x)
{
    int32_t bit = 0;
    int32_t step;
    for (step = 16; step > 0; step = step / 2) {
        if (x >> step != 0u) {
            x = x >> step;
            bit = bit + step;
        }
    }
    return bit;
}

/* The nearest integer to the root, at most 65535 for numbers of 32 bits, and 2^32 - 1 for all others. */
SMELT_SHARED uint32_t smelt_root(uint64_t x)
{
    uint64_t rest = x;
    uint64_t root = 0;
    uint64_t bit = (uint64_t)1 << 62;
    uint64_t most = x >> 32 == 0u ? 65535u : 4294967295u;
    while (bit > rest) {
        bit = bit >> 2;
    }
    while (bit != 0u) {
        if (rest >= root + bit) {
            rest = rest - (root + bit);
            root = (root >> 1) + bit;
        } else {
            root = root >> 1;
        }
        bit = bit >> 2;
    }
    root = rest > root ? root + 1u : root;
    return (uint32_t)(root < most ? root : most);
}

#endif
