/* Real numbers without a C library and without floating-point arithmetic, whose routines cores without a unit do not have. */
#ifndef SMELT_MLPERF_NUMBERS_H
#define SMELT_MLPERF_NUMBERS_H

#include <stdint.h>

#define SMELT_TEXT 24 /* characters that a number takes at most, with the zero behind it */

/* mantissa * 2^exponent, exactly. */
typedef struct {
    int64_t mantissa;
    int32_t exponent;
} smelt_real;

/* Divides `number` by 1 to 2^32 - 1; returns the remainder. */
uint32_t smelt_divide(uint64_t *number, uint32_t by);

/* Whether the bits of a float are those of no number. */
int smelt_is_nan(uint32_t bits);

/* What the bits of a float mean; infinity is its largest power of two. */
smelt_real smelt_of_float(uint32_t bits);

/* The nearest multiple of 2^-places, in such units: ties to even ones, at most 2^62 either way. */
int64_t smelt_fixed(smelt_real value, int32_t places);

/* The nearest integer to the float that real / scale is, ties away from zero, at most 2^24 either way. Bits of floats; the scale is
   positive and no subnormal number. */
int32_t smelt_quotient(uint32_t real, uint32_t scale);

/* Decimal digits at the end of a text of SMELT_TEXT characters; returns where they begin. */
char *smelt_decimal(uint64_t number, char *text);
char *smelt_thousandths(int64_t number, char *text);

#endif
