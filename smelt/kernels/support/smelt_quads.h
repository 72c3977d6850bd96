/* Convolutions and dense layers in quads: four channels, whose weights lie word by word side by side, of four pixels or of one.
 * Portable C, and assembly for XpulpV2.
 *
 * A word of x is four elements under the kernel, or two of int16 (`_16`), and so is a word of weights; in a word of weights of four or
 * two bits (`_w4`, `_w2`) are those of two channels, or of all four, byte by byte, the first in the lowest bits. Words of one pixel are `along` bytes apart, those of
 * neighbouring pixels `step`, rows of the kernel `pitch`. For each quad `scales` has what its four sums begin with, and what makes
 * them outputs, number by number.
 */
#ifndef SMELT_QUADS_H
#define SMELT_QUADS_H

#include "smelt_kernels.h"

#ifndef SMELT_HAS_XPULP
#define SMELT_HAS_XPULP 0 /* smelt_xpulp.h was not included, or the compiler's processor has no such instructions */
#endif

/* Routines: smelt_quads_sums, smelt_quads_narrow, smelt_quads_split, smelt_quads_twice, smelt_quad_sums, smelt_quad_narrow,
   smelt_quad_split, smelt_quad_twice, smelt_quads_sums_16, smelt_quads_narrow_16, smelt_quads_split_16, smelt_quad_sums_16,
   smelt_quad_narrow_16, smelt_quad_split_16, smelt_quads_sums_w4, smelt_quads_narrow_w4, smelt_quads_split_w4, smelt_quad_sums_w4,
   smelt_quad_narrow_w4, smelt_quad_split_w4, smelt_quads_sums_w2, smelt_quads_narrow_w2, smelt_quads_split_w2, smelt_quad_sums_w2,
   smelt_quad_narrow_w2, smelt_quad_split_w2, smelt_interleave. */

/* What a routine is passed for four pixels, and for one. `bits` are those that `split` shifts its first product by. */
#define SMELT_QUADS_PARAMETERS(result)                                                                                 \
    result *y, const int32_t *w, const void *x, const int32_t *scales, int32_t words, int32_t rows, int32_t pitch,     \
            int32_t step, int32_t along, int32_t blocks, int32_t channels, int32_t bits
#define SMELT_QUAD_PARAMETERS(result)                                                                                  \
    result *y, const int32_t *w, const void *x, const int32_t *scales, int32_t words, int32_t rows, int32_t pitch,     \
            int32_t blocks, int32_t bits

#if SMELT_HAS_XPULP

/* The numbers of a call, where the assembly finds them: by their place, times four. */
enum {
    SMELT_QUAD_Y, SMELT_QUAD_SCALES, SMELT_QUAD_X, SMELT_QUAD_W, SMELT_QUAD_WORDS, SMELT_QUAD_ROWS, SMELT_QUAD_SKIP, SMELT_QUAD_STEP,
    SMELT_QUAD_BACK, SMELT_QUAD_END, SMELT_QUAD_CHANNELS, SMELT_QUAD_Y_BACK, SMELT_QUAD_BITS, SMELT_QUAD_KEPT, SMELT_QUAD_NUMBERS
};

/* Everything but s0, which may be the frame's pointer: routines that use it put it back. */
#define SMELT_QUAD_CLOBBERS                                                                                            \
    "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "s1", "s2", "s3", "s4", "s5", "s6", \
            "s7", "s8", "s9", "s10", "s11", "memory"

/* A word of weights of each channel to t0 to t3: `count` instructions. */
#define SMELT_WEIGHTS SMELT_LOAD(t0, a1, 4) SMELT_LOAD(t1, a1, 4) SMELT_LOAD(t2, a1, 4) SMELT_LOAD(t3, a1, 4)
#define SMELT_WEIGHTS_W4                                                                                               \
    SMELT_LOAD(t1, a1, 4) SMELT_LOAD(t3, a1, 4) SMELT_BYTES_LEFT(t0, t1, 4) SMELT_BYTES_LEFT(t2, t3, 4)                \
    SMELT_BYTES_RIGHT(t0, t0, 4) SMELT_BYTES_RIGHT(t1, t1, 4) SMELT_BYTES_RIGHT(t2, t2, 4) SMELT_BYTES_RIGHT(t3, t3, 4)
#define SMELT_WEIGHTS_W2                                                                                               \
    SMELT_LOAD(t3, a1, 4) SMELT_BYTES_LEFT(t0, t3, 6) SMELT_BYTES_LEFT(t1, t3, 4) SMELT_BYTES_LEFT(t2, t3, 2) \
    SMELT_BYTES_RIGHT(t0, t0, 6) SMELT_BYTES_RIGHT(t1, t1, 6) SMELT_BYTES_RIGHT(t2, t2, 6) SMELT_BYTES_RIGHT(t3, t3, 6)

/* Four channels by four pixels. a0: the numbers, a1: weights, s0: scales, a2 and ra: from pixel to pixel and to the next word, t6: x, t0 to t3: a
   word of each channel, t4 and t5: of a pixel. s1 to s11 and a3 to a7: sums, channel by channel. */
#define SMELT_FOUR_PIXELS(weights, count, dot)                                                                                      \
    "lw t6,8(a0)\n lw t1,20(a0)\n"                                                                                     \
    "lw s1,0(s0)\n lw s5,4(s0)\n lw s9,8(s0)\n lw a4,12(s0)\n"                                                         \
    "mv s2,s1\n mv s3,s1\n mv s4,s1\n mv s6,s5\n mv s7,s5\n mv s8,s5\n"                                                \
    "mv s10,s9\n mv s11,s9\n mv a3,s9\n mv a5,a4\n mv a6,a4\n mv a7,a4\n"                                              \
    SMELT_REPEAT(x1, t1, (count + 24))                                                                                           \
    "lw t1,24(a0)\n lw t0,16(a0)\n add t6,t6,t1\n"                                                                     \
    SMELT_REPEAT(x0, t0, (count + 20))                                                                                           \
    SMELT_LOAD_BY(t4, t6, a2) weights SMELT_LOAD_BY(t5, t6, a2)                                                        \
    dot(s1, t4, t0) dot(s5, t4, t1) dot(s9, t4, t2) dot(a4, t4, t3)                                                    \
    SMELT_LOAD_BY(t4, t6, a2)                                                                                          \
    dot(s2, t5, t0) dot(s6, t5, t1) dot(s10, t5, t2) dot(a5, t5, t3)                                                   \
    SMELT_LOAD_BY(t5, t6, ra)                                                                                          \
    dot(s3, t4, t0) dot(s7, t4, t1) dot(s11, t4, t2) dot(a6, t4, t3)                                                   \
    dot(s4, t5, t0) dot(s8, t5, t1) dot(a3, t5, t2) dot(a7, t5, t3)

/* Four channels of one pixel: s1 to s4 are the sums. */
#define SMELT_ONE_PIXEL(weights, count, dot)                                                                                        \
    "lw t6,8(a0)\n lw t1,20(a0)\n"                                                                                     \
    "lw s1,0(s0)\n lw s2,4(s0)\n lw s3,8(s0)\n lw s4,12(s0)\n"                                                         \
    SMELT_REPEAT(x1, t1, (count + 9))                                                                                           \
    "lw t1,24(a0)\n lw t0,16(a0)\n add t6,t6,t1\n"                                                                     \
    SMELT_REPEAT(x0, t0, (count + 5))                                                                                            \
    SMELT_LOAD(t4, t6, 4) weights                                                                                      \
    dot(s1, t4, t0) dot(s2, t4, t1) dot(s3, t4, t2) dot(s4, t4, t3)

/* How outputs of channel `n` are made. Narrow: the sum, from 0 to t0 after that, times t1. Split: the same with a multiplier in
   two parts, t1 and t3, whose products are added to t2 and t6; t4 are the bits of the lower one. Twice: see below. */
#define SMELT_FOR_NARROW(n) "lw t0,16+4*" #n "(s0)\n lw t1,32+4*" #n "(s0)\n lw t2,48+4*" #n "(s0)\n"
#define SMELT_FOR_SPLIT(n) SMELT_FOR_NARROW(n) "lw t3,64+4*" #n "(s0)\n lw t6,80+4*" #n "(s0)\n"
#define SMELT_FOR_TWICE(n) "lw t1,16+4*" #n "(s0)\n lw t2,32+4*" #n "(s0)\n lw t4,48+4*" #n "(s0)\n"
#define SMELT_TO_NARROW(x) SMELT_LIMIT(x, t0) "mul " #x "," #x ",t1\n" SMELT_ADD_SHIFT_24(x, x, t2)
#define SMELT_TO_SPLIT(x)                                                                                              \
    SMELT_LIMIT(x, t0) "mul t5," #x ",t1\n" SMELT_ADD_SHIFT(t5, t2, t4) SMELT_MAC(t5, x, t3) SMELT_ADD_SHIFT_24(x, t5, t6)

/* x plus the rounded upper word of its product, one less where that is negative. */
#define SMELT_TO_TWICE(x)                                                                                              \
    "mul t5," #x ",t1\n mulh t6," #x ",t1\n srli t5,t5,31\n add " #x "," #x ",t6\n add " #x "," #x ",t5\n"             \
    "srai t5," #x ",31\n add " #x "," #x ",t5\n" SMELT_ADD_SHIFT(x, t2, t4) SMELT_CLIP(x)

/* Outputs of four channels of a pixel to t6, which moves `by`. */
#define SMELT_QUAD_STORED(c0, c1, c2, c3, by)                                                                          \
    SMELT_LOW_BYTES(t1, c0, c1) SMELT_HIGH_BYTES(t1, c2, c3) SMELT_STORE_BY(t1, t6, by)

#define SMELT_FOUR_OUTPUTS(load, output, size)                                                                         \
    "lw t4,48(a0)\n"                                                                                                   \
    load(0) output(s1) output(s2) output(s3) output(s4) load(1) output(s5) output(s6) output(s7) output(s8)            \
    load(2) output(s9) output(s10) output(s11) output(a3) load(3) output(a4) output(a5) output(a6) output(a7)          \
    "lw t6,0(a0)\n lw t5,40(a0)\n lw t3,44(a0)\n"                                                                      \
    SMELT_QUAD_STORED(s1, s5, s9, a4, t5) SMELT_QUAD_STORED(s2, s6, s10, a5, t5)                                       \
    SMELT_QUAD_STORED(s3, s7, s11, a6, t5) SMELT_QUAD_STORED(s4, s8, a3, a7, t3)                                       \
    "lw t1,36(a0)\n addi s0,s0," #size "\n sw t6,0(a0)\n bne s0,t1,1b\n"

#define SMELT_ONE_OUTPUTS(load, output, size)                                                                          \
    "lw t4,48(a0)\n"                                                                                                   \
    load(0) output(s1) load(1) output(s2) load(2) output(s3) load(3) output(s4)                                        \
    "lw t6,0(a0)\n lw t5,36(a0)\n li t3,4\n addi s0,s0," #size "\n"                                                    \
    SMELT_QUAD_STORED(s1, s2, s3, s4, t3)                                                                              \
    "sw t6,0(a0)\n bne s0,t5,1b\n"

#define SMELT_FOUR_SUMS                                                                                                \
    "lw t6,0(a0)\n lw t5,40(a0)\n lw t3,44(a0)\n"                                                                      \
    "sw s1,0(t6)\n sw s5,4(t6)\n sw s9,8(t6)\n sw a4,12(t6)\n add t6,t6,t5\n"                                          \
    "sw s2,0(t6)\n sw s6,4(t6)\n sw s10,8(t6)\n sw a5,12(t6)\n add t6,t6,t5\n"                                         \
    "sw s3,0(t6)\n sw s7,4(t6)\n sw s11,8(t6)\n sw a6,12(t6)\n add t6,t6,t5\n"                                         \
    "sw s4,0(t6)\n sw s8,4(t6)\n sw a3,8(t6)\n sw a7,12(t6)\n add t6,t6,t3\n"                                          \
    "lw t1,36(a0)\n addi s0,s0,16\n sw t6,0(a0)\n bne s0,t1,1b\n"

#define SMELT_ONE_SUMS                                                                                                 \
    "lw t6,0(a0)\n lw t5,36(a0)\n addi s0,s0,16\n"                                                                     \
    "sw s1,0(t6)\n sw s2,4(t6)\n sw s3,8(t6)\n sw s4,12(t6)\n addi t6,t6,16\n"                                         \
    "sw t6,0(a0)\n bne s0,t5,1b\n"

/* The numbers of a call; `size` is what a quad has in `scales`, `unit` what a channel has in y. */
#define SMELT_QUAD_CALL(size, unit)                                                                                    \
    uint32_t numbers[SMELT_QUAD_NUMBERS];                                                                              \
    register uint32_t *const at __asm__("a0") = numbers;                                                               \
    const uint32_t skip = (uint32_t)pitch - (uint32_t)(along * words);                                                 \
    numbers[SMELT_QUAD_Y] = (uint32_t)(uintptr_t)y;                                                                    \
    numbers[SMELT_QUAD_SCALES] = (uint32_t)(uintptr_t)scales;                                                          \
    numbers[SMELT_QUAD_X] = (uint32_t)(uintptr_t)x - skip;                                                             \
    numbers[SMELT_QUAD_W] = (uint32_t)(uintptr_t)w;                                                                    \
    numbers[SMELT_QUAD_WORDS] = (uint32_t)words;                                                                       \
    numbers[SMELT_QUAD_ROWS] = (uint32_t)rows;                                                                         \
    numbers[SMELT_QUAD_SKIP] = skip;                                                                                   \
    numbers[SMELT_QUAD_STEP] = (uint32_t)step;                                                                         \
    numbers[SMELT_QUAD_BACK] = (uint32_t)along - 3U * (uint32_t)step;                                                  \
    numbers[SMELT_QUAD_END] = (uint32_t)(uintptr_t)scales + (uint32_t)(blocks * (size));                               \
    numbers[SMELT_QUAD_CHANNELS] = (uint32_t)(channels * (unit));                                                      \
    numbers[SMELT_QUAD_Y_BACK] = (uint32_t)((4 - 3 * channels) * (unit));                                              \
    numbers[SMELT_QUAD_BITS] = (uint32_t)bits

#define SMELT_QUAD_RUN(rows_of, outputs)                                                                               \
    __asm__ volatile(SMELT_BEGIN "sw s0,52(a0)\n lw s0,4(a0)\n lw a1,12(a0)\n lw a2,28(a0)\n lw ra,32(a0)\n 1:\n"      \
                     rows_of outputs "lw s0,52(a0)\n" SMELT_END                                                        \
                     :                                                                                                 \
                     : "r"(at)                                                                                         \
                     : SMELT_QUAD_CLOBBERS)

/* The two routines with an end: `size` are the bytes that a quad has in `scales`. */
#define SMELT_QUAD_ROUTINES(name, result, unit, size, weights, count, dot, four, one)                                  \
    SMELT_SHARED void smelt_quads_##name(SMELT_QUADS_PARAMETERS(result))                                               \
    {                                                                                                                  \
        SMELT_QUAD_CALL(size, unit);                                                                                   \
        SMELT_QUAD_RUN(SMELT_FOUR_PIXELS(weights, count, dot), four);                                                  \
    }                                                                                                                  \
    SMELT_SHARED void smelt_quad_##name(SMELT_QUAD_PARAMETERS(result))                                                 \
    {                                                                                                                  \
        const int32_t step = 0, along = 4, channels = 4;                                                               \
        SMELT_QUAD_CALL(size, unit);                                                                                   \
        SMELT_QUAD_RUN(SMELT_ONE_PIXEL(weights, count, dot), one);                                                     \
    }
#define SMELT_QUAD_OUTPUTS(name, size, weights, count, dot, load, output)                                              \
    SMELT_QUAD_ROUTINES(name, int8_t, 1, size, weights, count, dot, SMELT_FOUR_OUTPUTS(load, output, size),            \
            SMELT_ONE_OUTPUTS(load, output, size))

/* All routines whose words are multiplied by `dot`. */
#define SMELT_QUAD_FAMILY(suffix, weights, count, dot)                                                                 \
    SMELT_QUAD_ROUTINES(sums##suffix, int32_t, 4, 16, weights, count, dot, SMELT_FOUR_SUMS, SMELT_ONE_SUMS)            \
    SMELT_QUAD_OUTPUTS(narrow##suffix, 64, weights, count, dot, SMELT_FOR_NARROW, SMELT_TO_NARROW)                     \
    SMELT_QUAD_OUTPUTS(split##suffix, 96, weights, count, dot, SMELT_FOR_SPLIT, SMELT_TO_SPLIT)

SMELT_QUAD_FAMILY(, SMELT_WEIGHTS, 4, SMELT_ADD_DOT)
SMELT_QUAD_FAMILY(_16, SMELT_WEIGHTS, 4, SMELT_ADD_HALVES)
SMELT_QUAD_FAMILY(_w4, SMELT_WEIGHTS_W4, 8, SMELT_ADD_DOT)
SMELT_QUAD_FAMILY(_w2, SMELT_WEIGHTS_W2, 8, SMELT_ADD_DOT)
SMELT_QUAD_OUTPUTS(twice, 64, SMELT_WEIGHTS, 4, SMELT_ADD_DOT, SMELT_FOR_TWICE, SMELT_TO_TWICE)

/* Words of four pixels, `step` bytes apart, side by side; rows of `words` words, `pitch` bytes apart in x. */
SMELT_SHARED void smelt_interleave(int8_t *y, const void *x, int32_t words, int32_t rows, int32_t pitch, int32_t step)
{
    const int32_t back = 4 - 3 * step, skip = pitch - 4 * words;
    __asm__ volatile(SMELT_BEGIN
                     ".insn i 0x7b,4,x1,%[rows],2*10\n"
                     ".insn i 0x7b,4,x0,%[words],2*8\n"
                     ".insn r 0x0b,7,0x10,t0,%[x],%[step]\n"
                     ".insn r 0x0b,7,0x10,t1,%[x],%[step]\n"
                     ".insn r 0x0b,7,0x10,t2,%[x],%[step]\n"
                     ".insn r 0x0b,7,0x10,t3,%[x],%[back]\n"
                     ".insn s 0x2b,2,t0,4(%[y])\n"
                     ".insn s 0x2b,2,t1,4(%[y])\n"
                     ".insn s 0x2b,2,t2,4(%[y])\n"
                     ".insn s 0x2b,2,t3,4(%[y])\n"
                     "add %[x],%[x],%[skip]\n" SMELT_END
                     : [x] "+r"(x), [y] "+r"(y)
                     : [words] "r"(words), [rows] "r"(rows), [step] "r"(step), [back] "r"(back), [skip] "r"(skip)
                     : "t0", "t1", "t2", "t3", "memory");
}

#else

/* Four products of bytes, added to a sum that wraps. */
SMELT_INLINE int32_t smelt_add_dot(int32_t a, int32_t b, int32_t sum)
{
    for (int32_t i = 0; i < 4; ++i) {
        const int32_t product = (int8_t)(uint8_t)((uint32_t)a >> (8 * i) & 0xffu) * (int8_t)(uint8_t)((uint32_t)b >> (8 * i) & 0xffu);
        sum = smelt_wrapping_add(sum, product);
    }
    return sum;
}

/* Two products of halves. */
SMELT_INLINE int32_t smelt_add_halves(int32_t a, int32_t b, int32_t sum)
{
    sum = smelt_wrapping_add(sum, smelt_low_half(a) * smelt_low_half(b));
    return smelt_wrapping_add(sum, smelt_high_half(a) * smelt_high_half(b));
}

/* Bits `from` on of each byte of a word, with sign, `size` of them, as a word of bytes. */
SMELT_INLINE int32_t smelt_byte_fields(int32_t word, int32_t from, int32_t size)
{
    uint32_t result = 0;
    for (int32_t i = 0; i < 4; ++i) {
        const uint32_t field = (uint32_t)word >> (8 * i + from) & ((1u << size) - 1u), sign = 1u << (size - 1);
        result |= (((field ^ sign) - sign) & 0xffu) << (8 * i);
    }
    return (int32_t)result;
}

/* Word `i` of the weights of a channel of a quad. */
#define SMELT_WEIGHTS_OF(w, i, channel) (w)[4 * (i) + (channel)]
#define SMELT_WEIGHTS_OF_W4(w, i, channel) smelt_byte_fields((w)[2 * (i) + (channel) / 2], (channel) % 2 * 4, 4)
#define SMELT_WEIGHTS_OF_W2(w, i, channel) smelt_byte_fields((w)[i], (channel) * 2, 2)

/* The sum of a channel of a quad. */
#define SMELT_QUAD_SUM(name, dot, weights)                                                                             \
    SMELT_INLINE int32_t name(int32_t start, const int32_t *w, int32_t channel, const void *x, int32_t offset, int32_t words, \
            int32_t rows, int32_t pitch, int32_t along)                                                                \
    {                                                                                                                  \
        for (int32_t i = 0; i < rows * words; ++i) {                                                                   \
            const int8_t *const at = (const int8_t *)x + offset + i / words * pitch + i % words * along;               \
            start = dot(smelt_load_i32(at), weights(w, i, channel), start);                                            \
        }                                                                                                              \
        return start;                                                                                                  \
    }

SMELT_QUAD_SUM(smelt_quad_sum, smelt_add_dot, SMELT_WEIGHTS_OF)
SMELT_QUAD_SUM(smelt_quad_sum_16, smelt_add_halves, SMELT_WEIGHTS_OF)
SMELT_QUAD_SUM(smelt_quad_sum_w4, smelt_add_dot, SMELT_WEIGHTS_OF_W4)
SMELT_QUAD_SUM(smelt_quad_sum_w2, smelt_add_dot, SMELT_WEIGHTS_OF_W2)

/* (x * (high * 2^bits + low) + added) >> bits, of which only 32 bits are wanted; the lower product does not leave 32 bits. */
SMELT_INLINE int32_t smelt_split_product(int32_t x, int32_t low, int32_t low_added, int32_t high, int32_t high_added, int32_t bits)
{
    const int32_t lower = (x * low + low_added) >> bits;
    return smelt_wrapping_add(smelt_wrapping_add((int32_t)((uint32_t)x * (uint32_t)high), lower), high_added);
}

/* x plus the rounded upper word of its product, halves away from zero, and so on: what TensorFlow Lite Micro rounds twice. */
SMELT_INLINE int8_t smelt_twice_output(int32_t x, int32_t multiplier, int32_t offset, int32_t shift)
{
    const int32_t scaled = smelt_smmlar(x, multiplier, x);
    return (int8_t)smelt_ssat8((scaled + (scaled >> 31) + offset) >> shift);
}

/* From 0 to `width`. */
SMELT_INLINE int32_t smelt_limited(int32_t x, int32_t width)
{
    return x < 0 ? 0 : x > width ? width : x;
}

/* How sums x end; the numbers of a channel are four words apart. */
#define SMELT_END_SUMS(x, scale, bits) (x)
#define SMELT_END_NARROW(x, scale, bits)                                                                               \
    (int8_t)(smelt_wrapping_add((int32_t)((uint32_t)smelt_limited(x, (scale)[4]) * (uint32_t)(scale)[8]), (scale)[12]) >> 24)
#define SMELT_END_SPLIT(x, scale, bits)                                                                                \
    (int8_t)(smelt_split_product(smelt_limited(x, (scale)[4]), (scale)[8], (scale)[12], (scale)[16], (scale)[20], bits) >> 24)
#define SMELT_END_TWICE(x, scale, bits) smelt_twice_output(x, (scale)[4], (scale)[8], (scale)[12])

/* The two routines with an end; `numbers` are those of a channel, `each` the words of weights that a word of x meets. */
#define SMELT_QUAD_ROUTINES(name, result, numbers, each, sum, end)                                                     \
    SMELT_SHARED void smelt_quads_##name(SMELT_QUADS_PARAMETERS(result))                                               \
    {                                                                                                                  \
        (void)bits;                                                                                                    \
        for (int32_t i = 0; i < 16 * blocks; ++i) {                                                                    \
            const int32_t block = i / 16, pixel = i / 4 % 4, channel = i % 4;                                          \
            const int32_t *const scale = scales + 4 * (numbers) * block + channel;                                     \
            const int32_t *const weights = w + (each) * words * rows * block;                                          \
            const int32_t x_sum = sum(scale[0], weights, channel, x, pixel * step, words, rows, pitch, along);         \
            y[pixel * channels + 4 * block + channel] = end(x_sum, scale, bits);                                       \
        }                                                                                                              \
    }                                                                                                                  \
    SMELT_SHARED void smelt_quad_##name(SMELT_QUAD_PARAMETERS(result))                                                 \
    {                                                                                                                  \
        (void)bits;                                                                                                    \
        for (int32_t i = 0; i < 4 * blocks; ++i) {                                                                     \
            const int32_t *const scale = scales + i / 4 * (4 * (numbers)) + i % 4;                                     \
            const int32_t *const weights = w + (each) * words * rows * (i / 4);                                        \
            const int32_t x_sum = sum(scale[0], weights, i % 4, x, 0, words, rows, pitch, 4);                          \
            y[i] = end(x_sum, scale, bits);                                                                            \
        }                                                                                                              \
    }
#define SMELT_QUAD_FAMILY(suffix, each, sum)                                                                           \
    SMELT_QUAD_ROUTINES(sums##suffix, int32_t, 1, each, sum, SMELT_END_SUMS)                                           \
    SMELT_QUAD_ROUTINES(narrow##suffix, int8_t, 4, each, sum, SMELT_END_NARROW)                                        \
    SMELT_QUAD_ROUTINES(split##suffix, int8_t, 6, each, sum, SMELT_END_SPLIT)

SMELT_QUAD_FAMILY(, 4, smelt_quad_sum)
SMELT_QUAD_FAMILY(_16, 4, smelt_quad_sum_16)
SMELT_QUAD_FAMILY(_w4, 2, smelt_quad_sum_w4)
SMELT_QUAD_FAMILY(_w2, 1, smelt_quad_sum_w2)
SMELT_QUAD_ROUTINES(twice, int8_t, 4, 4, smelt_quad_sum, SMELT_END_TWICE)

SMELT_SHARED void smelt_interleave(int8_t *y, const void *x, int32_t words, int32_t rows, int32_t pitch, int32_t step)
{
    for (int32_t i = 0; i < 4 * words * rows; ++i) {
        smelt_store_i32(y + 4 * i, smelt_load_i32((const int8_t *)x + i / (4 * words) * pitch + i / 4 % words * 4 + i % 4 * step));
    }
}

#endif

#endif
