/* The benchmark's protocol, and what it must be told of the network: smelt_mlperf_model.h, which is generated. */
#ifndef SMELT_MLPERF_H
#define SMELT_MLPERF_H

#include <stdint.h>

/* What the elements of an output are, and by how much a step of theirs is: the bits of a float. */
enum { SMELT_INT8, SMELT_UINT8, SMELT_INT16, SMELT_INT32, SMELT_FLOAT32 };

typedef struct {
    uint32_t type, elements, scale;
    int32_t zero_point;
} smelt_mlperf_values;

/* Answers the runner at the other end of the serial port, and never returns. */
void smelt_mlperf(void) __attribute__((noreturn));

#endif
