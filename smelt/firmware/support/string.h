/* The two functions that smelt's C takes from the standard library. */
#ifndef SMELT_STRING_H
#define SMELT_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memset(void *to, int value, size_t size);
void *memmove(void *to, const void *from, size_t size);

#endif
