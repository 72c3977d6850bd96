/* Depthwise convolutions with kernels of 3 x 3: one channel after the other of a plane of bytes, four outputs at a time: two by
 * two with stride 1, else neighbours in a line.
 * Portable C, and assembly for XpulpV2.
 *
 * A channel of x is gathered to byte `to` of the plane first: lines of `words` words, whose bytes are `x_step` apart in x, `x_lines` of
 * them, `x_down` apart; none where `words` is 0. `w` has a word for each row of the kernel, whose highest byte is 0. Rows of the plane
 * are `pitch` bytes apart, those under `lines` (pairs of lines with stride 1) `down`; outputs are `step` bytes apart in y, their lines `y_down`.
 * `scales` has what makes outputs of the sum of a channel. Neighbouring channels are neighbours in x and y.
 */
#ifndef SMELT_NINE_H
#define SMELT_NINE_H

#include "smelt_quads.h"

/* Routines: smelt_nine_1_narrow, smelt_nine_1_split, smelt_nine_1_twice, smelt_nine_2_narrow, smelt_nine_2_split, smelt_nine_2_twice,
   smelt_lines. */

/* What a routine is passed: `bits` are those that `split` shifts its first product by. */
#define SMELT_NINE_PARAMETERS                                                                                          \
    int8_t *y, const int32_t *w, int8_t *plane, const int8_t *x, const int32_t *scales, int32_t channels, int32_t lines,\
            int32_t groups, int32_t pitch, int32_t down, int32_t step, int32_t y_down, int32_t words, int32_t x_lines, \
            int32_t x_step, int32_t x_down, int32_t to, int32_t bits

#if SMELT_HAS_XPULP

/* The numbers of a call, by their place, times four. */
enum {
    SMELT_NINE_Y, SMELT_NINE_W, SMELT_NINE_PLANE, SMELT_NINE_SCALES, SMELT_NINE_LINES, SMELT_NINE_GROUPS, SMELT_NINE_SKIP,
    SMELT_NINE_Y_SKIP, SMELT_NINE_PITCH, SMELT_NINE_BACK, SMELT_NINE_STEP, SMELT_NINE_BITS, SMELT_NINE_KEPT, SMELT_NINE_CHANNELS,
    SMELT_NINE_X, SMELT_NINE_TO, SMELT_NINE_WORDS, SMELT_NINE_X_LINES, SMELT_NINE_X_STEP, SMELT_NINE_X_SKIP, SMELT_NINE_TO_SKIP,
    SMELT_NINE_BELOW, SMELT_NINE_NUMBERS
};

/* A channel to the plane: t6 and s11 are where bytes come from and where words go. */
#define SMELT_NINE_GATHERED                                                                                            \
    "1: lw a4,64(a0)\n lw t6,56(a0)\n lw s11,60(a0)\n beqz a4,2f\n"                                                    \
    "lw a3,68(a0)\n lw a2,72(a0)\n lw a5,76(a0)\n lw a6,80(a0)\n"                                                      \
    SMELT_REPEAT(x1, a3, 10) SMELT_REPEAT(x0, a4, 7)                                                                   \
    SMELT_LOAD_BYTE_BY(t0, t6, a2) SMELT_LOAD_BYTE_BY(t1, t6, a2) SMELT_LOAD_BYTE_BY(t2, t6, a2)                       \
    SMELT_LOAD_BYTE_BY(t3, t6, a2) SMELT_LOW_BYTES(t4, t0, t1) SMELT_HIGH_BYTES(t4, t2, t3) SMELT_STORE(t4, s11, 4)    \
    "add t6,t6,a5\n add s11,s11,a6\n 2:\n"

/* To the next channel; `size` is what one has in `scales`. */
#define SMELT_NINE_NEXT(size)                                                                                          \
    "lw t0,0(a0)\n lw t1,4(a0)\n lw t2,12(a0)\n lw t3,52(a0)\n lw t4,56(a0)\n"                                         \
    "addi t0,t0,1\n addi t1,t1,12\n addi t2,t2," #size "\n addi t3,t3,-1\n addi t4,t4,1\n"                            \
    "sw t0,0(a0)\n sw t1,4(a0)\n sw t2,12(a0)\n sw t3,52(a0)\n sw t4,56(a0)\n bnez t3,1b\n"

/* s1 to s3: weights, s4 to s6: the same one byte later; s7 to s10: sums; s11: x, a2 and a3: from row to row and back; a4 to a7: words of x;
   a1 and ra: y and its step; `scale`, from t1 on, is what outputs are made of. */
#define SMELT_NINE_LOADED(scale)                                                                                       \
    "lw t0,4(a0)\n lw t1,12(a0)\n lw a1,0(a0)\n lw s11,8(a0)\n"                                                        \
    "lw s1,0(t0)\n lw s2,4(t0)\n lw s3,8(t0)\n lw a2,32(a0)\n lw a3,36(a0)\n lw ra,40(a0)\n"                           \
    "lw s0,84(a0)\n lw t3,44(a0)\n add s0,s0,a1\n slli s4,s1,8\n slli s5,s2,8\n slli s6,s3,8\n" scale

/* How outputs are made: the sum times t1; t4 is the shift. Split: in two parts, t0 and t1, whose products are added to t6 and t2; t3 are the bits of
   the lower one. Twice: sums begin with t0. */
#define SMELT_NINE_NARROW "lw t2,4(t1)\n lw t4,8(t1)\n lw t1,0(t1)\n"
#define SMELT_NINE_SPLIT "lw t0,0(t1)\n lw t6,4(t1)\n lw t2,12(t1)\n lw t4,16(t1)\n lw t1,8(t1)\n"
#define SMELT_NINE_TWICE "lw t0,0(t1)\n lw t2,8(t1)\n lw t4,12(t1)\n lw t1,4(t1)\n"
#define SMELT_NINE_TO_NARROW(x) "mul " #x "," #x ",t1\n" SMELT_ADD_SHIFT(x, t2, t4) SMELT_CLIP(x)
#define SMELT_NINE_TO_SPLIT(x)                                                                                         \
    "mul t5," #x ",t0\n" SMELT_ADD_SHIFT(t5, t6, t3) SMELT_MAC(t5, x, t1) SMELT_ADD_SHIFT(t5, t2, t4) SMELT_CLIP_TO(x, t5)

/* `groups` of so many instructions, line by line; `more` is one more instruction at the end of a line. */
#define SMELT_NINE_LOOP(instructions, more, groups)                                                                    \
    "lw t5,16(a0)\n" SMELT_REPEAT(x1, t5, (instructions + 7)) "lw t5,20(a0)\n" SMELT_REPEAT(x0, t5, instructions)      \
    groups "lw t5,24(a0)\n lw a4,28(a0)\n add s11,s11,t5\n add a1,a1,a4\n" more "\n"

#define SMELT_NINE_OUTPUTS(output, below)                                                                              \
    output(s7) SMELT_STORE_BYTE_BY(s7, a1, ra) output(s8) SMELT_STORE_BYTE_BY(s8, a1, ra)                              \
    output(s9) SMELT_STORE_BYTE_BY(s9, below, ra) output(s10) SMELT_STORE_BYTE_BY(s10, below, ra)
#define SMELT_NINE_STARTS "mv s7,t0\n mv s8,t0\n mv s9,t0\n mv s10,t0\n"

/* Words of four rows: two outputs of a line, and two below, which s0 points to. `first` are the products that sums begin with. */
#define SMELT_NINE_1(first)                                                                                            \
    SMELT_LOAD_BY(a4, s11, a2) SMELT_LOAD_BY(a5, s11, a2) SMELT_LOAD_BY(a6, s11, a2) SMELT_LOAD_BY(a7, s11, a3)        \
    first(s7, a4, s1) first(s8, a4, s4) first(s9, a5, s1) first(s10, a5, s4)                                           \
    SMELT_ADD_DOT(s7, a5, s2) SMELT_ADD_DOT(s8, a5, s5) SMELT_ADD_DOT(s9, a6, s2) SMELT_ADD_DOT(s10, a6, s5)           \
    SMELT_ADD_DOT(s7, a6, s3) SMELT_ADD_DOT(s8, a6, s6) SMELT_ADD_DOT(s9, a7, s3) SMELT_ADD_DOT(s10, a7, s6)

/* Four words of each row, two bytes apart; a2 leads to the next row, a3 back. */
#define SMELT_NINE_ROW(dot, weights, last)                                                                             \
    SMELT_LOAD(a4, s11, 2) SMELT_LOAD(a5, s11, 2) SMELT_LOAD(a6, s11, 2) SMELT_LOAD_BY(a7, s11, last)                  \
    dot(s7, a4, weights) dot(s8, a5, weights) dot(s9, a6, weights) dot(s10, a7, weights)
#define SMELT_NINE_2(first)                                                                                            \
    SMELT_NINE_ROW(first, s1, a2) SMELT_NINE_ROW(SMELT_ADD_DOT, s2, a2) SMELT_NINE_ROW(SMELT_ADD_DOT, s3, a3)

#define SMELT_NINE_CALL(stride)                                                                                        \
    uint32_t numbers[SMELT_NINE_NUMBERS];                                                                              \
    register uint32_t *const at __asm__("a0") = numbers;                                                               \
    numbers[SMELT_NINE_Y] = (uint32_t)(uintptr_t)y;                                                                    \
    numbers[SMELT_NINE_W] = (uint32_t)(uintptr_t)w;                                                                    \
    numbers[SMELT_NINE_PLANE] = (uint32_t)(uintptr_t)plane;                                                            \
    numbers[SMELT_NINE_SCALES] = (uint32_t)(uintptr_t)scales;                                                          \
    numbers[SMELT_NINE_LINES] = (uint32_t)lines;                                                                       \
    numbers[SMELT_NINE_GROUPS] = (uint32_t)groups;                                                                     \
    numbers[SMELT_NINE_SKIP] = (uint32_t)(down - ((stride) == 1 ? 2 : 8) * groups);                                    \
    numbers[SMELT_NINE_Y_SKIP] = (uint32_t)((stride) == 1 ? 2 * y_down - 2 * groups * step : y_down - 4 * groups * step);\
    numbers[SMELT_NINE_PITCH] = (uint32_t)((stride) == 1 ? pitch : pitch - 6);                                         \
    numbers[SMELT_NINE_BACK] = (uint32_t)(2 - ((stride) == 1 ? 3 : 2) * pitch);                                        \
    numbers[SMELT_NINE_STEP] = (uint32_t)step;                                                                         \
    numbers[SMELT_NINE_BITS] = (uint32_t)bits;                                                                         \
    numbers[SMELT_NINE_CHANNELS] = (uint32_t)channels;                                                                 \
    numbers[SMELT_NINE_X] = (uint32_t)(uintptr_t)x;                                                                    \
    numbers[SMELT_NINE_TO] = (uint32_t)(uintptr_t)plane + (uint32_t)to;                                                \
    numbers[SMELT_NINE_WORDS] = (uint32_t)words;                                                                       \
    numbers[SMELT_NINE_X_LINES] = (uint32_t)x_lines;                                                                   \
    numbers[SMELT_NINE_X_STEP] = (uint32_t)x_step;                                                                     \
    numbers[SMELT_NINE_X_SKIP] = (uint32_t)(x_down - 4 * words * x_step);                                              \
    numbers[SMELT_NINE_BELOW] = (uint32_t)y_down;                                                                      \
    numbers[SMELT_NINE_TO_SKIP] = (uint32_t)(pitch - 4 * words)

#define SMELT_NINE_RUN(scale, size, instructions, more, groups)                                                        \
    __asm__ volatile(SMELT_BEGIN "sw s0,48(a0)\n" SMELT_NINE_GATHERED SMELT_NINE_LOADED(scale)                         \
                     SMELT_NINE_LOOP(instructions, more, groups) SMELT_NINE_NEXT(size) "lw s0,48(a0)\n" SMELT_END      \
                     :                                                                                                 \
                     : "r"(at)                                                                                         \
                     : SMELT_QUAD_CLOBBERS)
#define SMELT_NINE_RUN_1(scale, size, instructions, groups, output)                                                    \
    SMELT_NINE_RUN(scale, size, instructions, "add s0,s0,a4", groups SMELT_NINE_OUTPUTS(output, s0))
#define SMELT_NINE_RUN_2(scale, size, instructions, groups, output)                                                    \
    SMELT_NINE_RUN(scale, size, instructions, "nop", groups SMELT_NINE_OUTPUTS(output, a1))

/* The routine of a stride with an end: `size` are the bytes of a channel in `scales`, `instructions` those of a group. */
#define SMELT_NINE_ROUTINE(stride, end, scale, size, instructions, groups, output)                                     \
    SMELT_SHARED void smelt_nine_##stride##_##end(SMELT_NINE_PARAMETERS)                                               \
    {                                                                                                                  \
        SMELT_NINE_CALL(stride);                                                                                       \
        SMELT_NINE_RUN_##stride(scale, size, instructions, groups, output);                                            \
    }

SMELT_NINE_ROUTINE(1, narrow, SMELT_NINE_NARROW, 12, 32, SMELT_NINE_1(SMELT_DOT), SMELT_NINE_TO_NARROW)
SMELT_NINE_ROUTINE(1, split, SMELT_NINE_SPLIT, 20, 40, SMELT_NINE_1(SMELT_DOT), SMELT_NINE_TO_SPLIT)
SMELT_NINE_ROUTINE(1, twice, SMELT_NINE_TWICE, 16, 60, SMELT_NINE_STARTS SMELT_NINE_1(SMELT_ADD_DOT), SMELT_TO_TWICE)
SMELT_NINE_ROUTINE(2, narrow, SMELT_NINE_NARROW, 12, 40, SMELT_NINE_2(SMELT_DOT), SMELT_NINE_TO_NARROW)
SMELT_NINE_ROUTINE(2, split, SMELT_NINE_SPLIT, 20, 48, SMELT_NINE_2(SMELT_DOT), SMELT_NINE_TO_SPLIT)
SMELT_NINE_ROUTINE(2, twice, SMELT_NINE_TWICE, 16, 68, SMELT_NINE_STARTS SMELT_NINE_2(SMELT_ADD_DOT), SMELT_TO_TWICE)

/* Bytes of x, `step` apart, side by side: lines of `words` words, `x_line` bytes apart in x, `pitch` in y. */
SMELT_SHARED void smelt_lines(int8_t *y, const int8_t *x, int32_t words, int32_t lines, int32_t step, int32_t x_down, int32_t pitch)
{
    const int32_t skip = x_down - 4 * words * step, y_skip = pitch - 4 * words;
    __asm__ volatile(SMELT_BEGIN
                     ".insn i 0x7b,4,x1,%[lines],2*10\n"
                     ".insn i 0x7b,4,x0,%[words],2*7\n"
                     ".insn r 0x0b,7,0x20,t0,%[x],%[step]\n"
                     ".insn r 0x0b,7,0x20,t1,%[x],%[step]\n"
                     ".insn r 0x0b,7,0x20,t2,%[x],%[step]\n"
                     ".insn r 0x0b,7,0x20,t3,%[x],%[step]\n"
                     SMELT_LOW_BYTES(t4, t0, t1) SMELT_HIGH_BYTES(t4, t2, t3)
                     ".insn s 0x2b,2,t4,4(%[y])\n"
                     "add %[x],%[x],%[skip]\n"
                     "add %[y],%[y],%[y_skip]\n" SMELT_END
                     : [x] "+r"(x), [y] "+r"(y)
                     : [words] "r"(words), [lines] "r"(lines), [step] "r"(step), [skip] "r"(skip), [y_skip] "r"(y_skip)
                     : "t0", "t1", "t2", "t3", "t4", "memory");
}

#else

/* The sum of an output whose kernel begins at x. */
SMELT_INLINE int32_t smelt_nine_sum(const int32_t *w, const int8_t *x, int32_t pitch)
{
    int32_t start = 0;
    for (int32_t tap = 0; tap < 9; ++tap) {
        start += (int8_t)(uint8_t)((uint32_t)w[tap / 3] >> (8 * (tap % 3)) & 0xffu) * x[tap / 3 * pitch + tap % 3];
    }
    return start;
}

SMELT_SHARED void smelt_lines(int8_t *y, const int8_t *x, int32_t words, int32_t lines, int32_t step, int32_t x_down, int32_t pitch)
{
    for (int32_t i = 0; i < 4 * words * lines; ++i) {
        const int32_t line = i / (4 * words), at = i % (4 * words);
        y[line * pitch + at] = x[line * x_down + at * step];
    }
}

/* How sums x end. */
#define SMELT_NINE_END_NARROW(x, scale)                                                                                \
    (int8_t)smelt_ssat8(smelt_wrapping_add((int32_t)((uint32_t)(x) * (uint32_t)(scale)[0]), (scale)[1]) >> (scale)[2])
#define SMELT_NINE_END_SPLIT(x, scale)                                                                                 \
    (int8_t)smelt_ssat8(smelt_split_product(x, (scale)[0], (scale)[1], (scale)[2], (scale)[3], bits) >> (scale)[4])
#define SMELT_NINE_END_TWICE(x, scale) smelt_twice_output(smelt_wrapping_add(x, (scale)[0]), (scale)[1], (scale)[2], (scale)[3])

/* The routine of a stride with an end; `numbers` are those of a channel. */
#define SMELT_NINE_ROUTINE(stride, name, numbers, end)                                                                 \
    SMELT_SHARED void smelt_nine_##stride##_##name(SMELT_NINE_PARAMETERS)                                              \
    {                                                                                                                  \
        (void)bits;                                                                                                    \
        for (int32_t channel = 0; channel < channels; ++channel) {                                                     \
            smelt_lines(plane + to, x + channel, words, x_lines, x_step, x_down, pitch);                               \
            for (int32_t i = 0; i < 4 * lines * groups; ++i) {                                                         \
                const int32_t block = (stride) == 1 ? 2 : 4, length = block * groups, line = i / length, at = i % length;\
                const int8_t *const from = plane + line * down / (4 / block) + at * (stride);                          \
                y[channel + line * y_down + at * step] = end(smelt_nine_sum(w + 3 * channel, from, pitch), scales + (numbers) * channel);\
            }                                                                                                          \
        }                                                                                                              \
    }
#define SMELT_NINE_STRIDE(stride)                                                                                      \
    SMELT_NINE_ROUTINE(stride, narrow, 3, SMELT_NINE_END_NARROW)                                                       \
    SMELT_NINE_ROUTINE(stride, split, 5, SMELT_NINE_END_SPLIT)                                                         \
    SMELT_NINE_ROUTINE(stride, twice, 4, SMELT_NINE_END_TWICE)

SMELT_NINE_STRIDE(1)
SMELT_NINE_STRIDE(2)

#endif

#endif
