/* The inner loops of dense layers: rows of products of pairs of units with one row of x. Included by smelt_kernels.h. */
#ifndef SMELT_UNITS_H
#define SMELT_UNITS_H

#if SMELT_HAS_DSP && defined(__GNUC__) && defined(__OPTIMIZE__)

/* Three pairs of channels and one pixel, whose x is int8: four elements in a word of x, for each pair a word of weights for
   elements 0 and 2, then one for 1 and 3. */
#define SMELT_UNITS_1(o)                                                                                              \
    "ldr.w %[v], [%[w], #(2*" #o "+0)]\n"                                                                             \
    "ldr.w %[a], [%[x], #" #o "]\n sxtb16 %[a], %[a]\n"                                   \
    "smlad %[h0], %[v], %[a], %[h0]\n"                                                                                \
    "sxtb16 %[v], %[v]\n"                                                                                             \
    "smlad %[l0], %[v], %[a], %[l0]\n"                                                                                \
    "ldr.w %[v], [%[w], #(2*" #o "+4)]\n"                                                                             \
    "ldr.w %[a], [%[x], #" #o "]\n sxtb16 %[a], %[a], ror #8\n"                                                       \
    "smlad %[h0], %[v], %[a], %[h0]\n"                                                                                \
    "sxtb16 %[v], %[v]\n"                                                                                             \
    "smlad %[l0], %[v], %[a], %[l0]\n"
#define SMELT_UNITS_2(o)                                                                                              \
    "ldr.w %[v], [%[w], #(4*" #o "+0)]\n ldr.w %[u], [%[w], #(4*" #o "+4)]\n"                                         \
    "ldr.w %[a], [%[x], #" #o "]\n sxtb16 %[a], %[a]\n"                                   \
    "smlad %[h0], %[v], %[a], %[h0]\n smlad %[h1], %[u], %[a], %[h1]\n"                                               \
    "sxtb16 %[v], %[v]\n sxtb16 %[u], %[u]\n"                                                                         \
    "smlad %[l0], %[v], %[a], %[l0]\n smlad %[l1], %[u], %[a], %[l1]\n"                                               \
    "ldr.w %[v], [%[w], #(4*" #o "+8)]\n ldr.w %[u], [%[w], #(4*" #o "+12)]\n"                                        \
    "ldr.w %[a], [%[x], #" #o "]\n sxtb16 %[a], %[a], ror #8\n"                                                       \
    "smlad %[h0], %[v], %[a], %[h0]\n smlad %[h1], %[u], %[a], %[h1]\n"                                               \
    "sxtb16 %[v], %[v]\n sxtb16 %[u], %[u]\n"                                                                         \
    "smlad %[l0], %[v], %[a], %[l0]\n smlad %[l1], %[u], %[a], %[l1]\n"
#define SMELT_UNITS_3(o)                                                                                              \
    "ldr.w %[v], [%[w], #(6*" #o "+0)]\n ldr.w %[u], [%[w], #(6*" #o "+4)]\n ldr.w %[t], [%[w], #(6*" #o "+8)]\n"     \
    "ldr.w %[a], [%[x], #" #o "]\n sxtb16 %[a], %[a]\n"                                   \
    "smlad %[h0], %[v], %[a], %[h0]\n smlad %[h1], %[u], %[a], %[h1]\n smlad %[h2], %[t], %[a], %[h2]\n"              \
    "sxtb16 %[v], %[v]\n sxtb16 %[u], %[u]\n sxtb16 %[t], %[t]\n"                                                     \
    "smlad %[l0], %[v], %[a], %[l0]\n smlad %[l1], %[u], %[a], %[l1]\n smlad %[l2], %[t], %[a], %[l2]\n"              \
    "ldr.w %[v], [%[w], #(6*" #o "+12)]\n ldr.w %[u], [%[w], #(6*" #o "+16)]\n ldr.w %[t], [%[w], #(6*" #o "+20)]\n"  \
    "ldr.w %[a], [%[x], #" #o "]\n sxtb16 %[a], %[a], ror #8\n"                                                       \
    "smlad %[h0], %[v], %[a], %[h0]\n smlad %[h1], %[u], %[a], %[h1]\n smlad %[h2], %[t], %[a], %[h2]\n"              \
    "sxtb16 %[v], %[v]\n sxtb16 %[u], %[u]\n sxtb16 %[t], %[t]\n"                                                     \
    "smlad %[l0], %[v], %[a], %[l0]\n smlad %[l1], %[u], %[a], %[l1]\n smlad %[l2], %[t], %[a], %[l2]\n"
#define SMELT_LOAD(r, base, o) "ldr.w %[" #r "], [%[" #base "], #(" #o ")]\n"
#define SMELT_UNITS_TEMPORARIES_1
#define SMELT_UNITS_TEMPORARIES_2 , [u] "=&r"(u)
#define SMELT_UNITS_TEMPORARIES_3 , [u] "=&r"(u), [t] "=&r"(t)
#define SMELT_UNITS_RUN(pixels, code)                                                                                 \
    __asm__ volatile(code : SMELT_SUMS_##pixels, [a] "+r"(a), SMELT_PLACES SMELT_UNITS_TEMPORARIES_##pixels\
                     : : "cc", "memory")
#define SMELT_UNITS(pixels, round, bytes, two_bytes)                                                                  \
    {                                                                                                                 \
        const char *a = (const char *)w + words / 4 * (2 * two_bytes);                                                \
        int32_t b, u, v, t;                                                                                           \
        (void)step, (void)b, (void)u, (void)t;                                                                                 \
        if (words / 4 > 0) {                                                                                          \
            SMELT_UNITS_RUN(pixels, round);                                                                           \
        }                                                                                                             \
        if (words % 4 >= 2) {                                                                                         \
            SMELT_UNITS_RUN(pixels, SMELT_UNITS_##pixels(0) SMELT_UNITS_##pixels(4) SMELT_ADVANCE(two_bytes, 8));     \
        }                                                                                                             \
        if (words % 2 == 1) {                                                                                         \
            SMELT_UNITS_RUN(pixels, SMELT_UNITS_##pixels(0) SMELT_ADVANCE(bytes, 4));                                 \
        }                                                                                                             \
    }
#define SMELT_UNITS_ROUND(pixels, bytes)                                                                              \
    SMELT_ROUNDS_TO(a, SMELT_UNITS_##pixels(0) SMELT_UNITS_##pixels(4) SMELT_UNITS_##pixels(8) SMELT_UNITS_##pixels(12) SMELT_ADVANCE(bytes, 16))

SMELT_INLINE void smelt_units_1(int32_t *h0, int32_t *l0,
        const void *w, const void *x, int32_t words, int32_t step)
SMELT_UNITS(1, SMELT_UNITS_ROUND(1, 32), 8, 16)

SMELT_INLINE void smelt_units_2(int32_t *h0, int32_t *h1, int32_t *l0, int32_t *l1,
        const void *w, const void *x, int32_t words, int32_t step)
SMELT_UNITS(2, SMELT_UNITS_ROUND(2, 64), 16, 32)

SMELT_INLINE void smelt_units_3(int32_t *h0, int32_t *h1, int32_t *h2, int32_t *l0, int32_t *l1, int32_t *l2,
        const void *w, const void *x, int32_t words, int32_t step)
SMELT_UNITS(3, SMELT_UNITS_ROUND(3, 96), 24, 48)

#else

SMELT_INLINE void smelt_units_of(int32_t *h, int32_t *l, const void *w, const void *x, int32_t words, int32_t pairs)
{
    for (int32_t i = 0; i < words; ++i) {
        const int32_t value = smelt_load_i32((const char *)x + 4 * i);
        const int32_t even = smelt_load_i32((const char *)w + 8 * pairs * i);
        const int32_t odd = smelt_load_i32((const char *)w + 8 * pairs * i + 4 * pairs);
        *h = smelt_smlad(odd, smelt_sxtb16_ror8(value), smelt_smlad(even, smelt_sxtb16(value), *h));
        *l = smelt_smlad(smelt_sxtb16(odd), smelt_sxtb16_ror8(value), smelt_smlad(smelt_sxtb16(even), smelt_sxtb16(value), *l));
    }
}

SMELT_INLINE void smelt_units_1(int32_t *h0, int32_t *l0,
        const void *w, const void *x, int32_t words, int32_t step)
{
    (void)step;
    smelt_units_of(h0, l0, (const char *)w + 0, x, words, 1);
}

SMELT_INLINE void smelt_units_2(int32_t *h0, int32_t *h1, int32_t *l0, int32_t *l1,
        const void *w, const void *x, int32_t words, int32_t step)
{
    (void)step;
    smelt_units_of(h0, l0, (const char *)w + 0, x, words, 2);
    smelt_units_of(h1, l1, (const char *)w + 4, x, words, 2);
}

SMELT_INLINE void smelt_units_3(int32_t *h0, int32_t *h1, int32_t *h2, int32_t *l0, int32_t *l1, int32_t *l2,
        const void *w, const void *x, int32_t words, int32_t step)
{
    (void)step;
    smelt_units_of(h0, l0, (const char *)w + 0, x, words, 3);
    smelt_units_of(h1, l1, (const char *)w + 4, x, words, 3);
    smelt_units_of(h2, l2, (const char *)w + 8, x, words, 3);
}

#endif

#endif
