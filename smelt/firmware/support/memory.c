/* memcpy, memset and memmove for cores without a C library. Compiled with -fno-builtin, so that no loop becomes a call of itself. */
#include "string.h"

#include <stdint.h>

typedef uint32_t __attribute__((may_alias)) word_t;

static int words_fit(uintptr_t a, uintptr_t b)
{
    return ((a | b) & 3U) == 0U;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    if (words_fit((uintptr_t)t, (uintptr_t)f)) {
        for (; size >= 16U; size -= 16U, t += 16, f += 16) {
            const uint32_t a = ((const word_t *)f)[0], b = ((const word_t *)f)[1];
            const uint32_t c = ((const word_t *)f)[2], d = ((const word_t *)f)[3];
            ((word_t *)t)[0] = a;
            ((word_t *)t)[1] = b;
            ((word_t *)t)[2] = c;
            ((word_t *)t)[3] = d;
        }
        for (; size >= 4U; size -= 4U, t += 4, f += 4) {
            *(word_t *)t = *(const word_t *)f;
        }
    }
    for (; size != 0U; size--) {
        *t++ = *f++;
    }
    return to;
}

void *memset(void *to, int value, size_t size)
{
    unsigned char *t = to;
    for (; size != 0U && ((uintptr_t)t & 3U) != 0U; size--) {
        *t++ = (unsigned char)value;
    }
    const uint32_t word = (unsigned char)value * 0x01010101U;
    for (; size >= 16U; size -= 16U, t += 16) {
        ((word_t *)t)[0] = word;
        ((word_t *)t)[1] = word;
        ((word_t *)t)[2] = word;
        ((word_t *)t)[3] = word;
    }
    for (; size != 0U; size--) {
        *t++ = (unsigned char)value;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t size)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    if (t <= f || t >= f + size) {
        for (; size != 0U; size--) {
            *t++ = *f++;
        }
    } else {
        while (size != 0U) {
            size--;
            t[size] = f[size];
        }
    }
    return to;
}

#if defined(__arm__)
/* The names under which compilers for Arm call them. Word-aligned variants may share the general code. */
void __aeabi_memcpy(void *to, const void *from, size_t size);
void __aeabi_memcpy4(void *to, const void *from, size_t size) __attribute__((alias("__aeabi_memcpy")));
void __aeabi_memcpy8(void *to, const void *from, size_t size) __attribute__((alias("__aeabi_memcpy")));
void __aeabi_memmove(void *to, const void *from, size_t size);
void __aeabi_memmove4(void *to, const void *from, size_t size) __attribute__((alias("__aeabi_memmove")));
void __aeabi_memmove8(void *to, const void *from, size_t size) __attribute__((alias("__aeabi_memmove")));
void __aeabi_memset(void *to, size_t size, int value);
void __aeabi_memset4(void *to, size_t size, int value) __attribute__((alias("__aeabi_memset")));
void __aeabi_memset8(void *to, size_t size, int value) __attribute__((alias("__aeabi_memset")));
void __aeabi_memclr(void *to, size_t size);
void __aeabi_memclr4(void *to, size_t size) __attribute__((alias("__aeabi_memclr")));
void __aeabi_memclr8(void *to, size_t size) __attribute__((alias("__aeabi_memclr")));

void __aeabi_memcpy(void *to, const void *from, size_t size)
{
    (void)memcpy(to, from, size);
}

void __aeabi_memmove(void *to, const void *from, size_t size)
{
    (void)memmove(to, from, size);
}

void __aeabi_memset(void *to, size_t size, int value)
{
    (void)memset(to, value, size);
}

void __aeabi_memclr(void *to, size_t size)
{
    (void)memset(to, 0, size);
}
#endif
