/* Rows of bytes moved by the core, from a memory to another. */
#ifndef SMELT_COPIES_H
#define SMELT_COPIES_H

#include "smelt_kernels.h"

/* Move `rows` rows of `row` bytes, which begin `to_pitch` and `from_pitch` bytes after each other. */
SMELT_SHARED void smelt_copy_rows(void *to, const void *from, uint32_t row, uint32_t rows, uint32_t to_pitch,
                                  uint32_t from_pitch)
{
    for (uint32_t i = 0U; i < rows; i++) {
        memcpy((uint8_t *)to + i * to_pitch, (const uint8_t *)from + i * from_pitch, row);
    }
}

#endif
