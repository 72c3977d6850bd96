/* Winograd's F(4x4, 3x3), second part: products at all positions, and from sums to outputs. */
#ifndef SMELT_TILES_H
#define SMELT_TILES_H

#include "smelt_winograd.h"

/* Routines: smelt_winograd_products, smelt_winograd_eight, smelt_winograd_eights, smelt_winograd_positive,
   smelt_winograd_signed. */

/* The sums of a group of `count` tiles at all 36 positions, to [position][channel][3]. */
SMELT_SHARED void smelt_winograd_group(int32_t *sums, const int32_t *weights, const int32_t *tiles, int32_t words,
        int32_t count)
{
    for (int32_t position = 0; position < 36; ++position) {
        for (int32_t tile = 0; tile < count; ++tile) {
            int32_t first = 0, second = 0;
            for (int32_t word = 0; word < words; ++word) {
                const int32_t x = tiles[word * count + tile];
                first = smelt_smlad(weights[2 * word], x, first);
                second = smelt_smlad(weights[2 * word + 1], x, second);
            }
            sums[tile] = first;
            sums[3 + tile] = second;
        }
        sums += 6;
        weights += 2 * words;
        tiles += words * count;
    }
}

#define SMELT_WINOGRAD_GROUPS(group)                                                                                   \
    for (; left >= 3; left -= 3) {                                                                                    \
        group(sums, weights, tiles, words, 3);                                                                        \
        sums += 36 * 6;                                                                                               \
        tiles += 36 * 3 * words;                                                                                      \
    }                                                                                                                 \
    if (left > 0) {                                                                                                   \
        group(sums, weights, tiles, words, left);                                                                     \
    }

/* The same for `left` tiles, in groups of three. */
SMELT_SHARED void smelt_winograd_products(int32_t *sums, const int32_t *weights, const int32_t *tiles, int32_t words,
        int32_t left)
{
    SMELT_WINOGRAD_GROUPS(smelt_winograd_group)
}

/* Where `words` is eight, or a multiple of eight, they come from smelt/kernels/thumb/tiles.py. */
#if !SMELT_HAS_DSP
#define smelt_winograd_eight smelt_winograd_products
#define smelt_winograd_eights smelt_winograd_products
#endif

/* What the outputs of a channel need: a multiplier, what is added before a shift to the right, and the bytes between
   columns and rows. */
typedef struct {
    int32_t multiplier, offset, shift, column, row;
} smelt_tiles_frame;

typedef void smelt_tiles_function(int8_t *y, const int32_t *sums, const smelt_tiles_frame *frame);

#if SMELT_HAS_DSP

/* A' of six sums r4 to r9 (the last three times), but for factors 1, 2, 4, 4: to r4, r6, r8, r9. */
#define SMELT_TILES_FOUR                                                                                              \
    "add.w r10, r5, r6\n sub.w r5, r5, r6\n add.w r11, r7, r8\n sub.w r7, r7, r8\n"                                   \
    "add.w r4, r4, r4, lsl #1\n add.w r9, r9, r7\n sub.w r4, r4, r10, lsl #1\n sub.w r8, r11, r10\n"                 \
    "sub.w r6, r7, r5, lsl #1\n"
#define SMELT_TILES_SIGN(x) "add.w " #x ", " #x ", " #x ", asr #31\n"
#define SMELT_TILES_NO_SIGN(x) ""
#define SMELT_TILES_OUTPUTS(name, SIGN)                                                                               \
    SMELT_DEFINE_OWN_ROUTINE(smelt_tiles_##name##_code, smelt_tiles_function,                                                        \
        "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n sub sp, sp, #108\n"                                            \
        "str.w r0, [sp, #96]\n mov r0, sp\n add.w r3, sp, #24\n .p2align 2\n"                                         \
        "1:\n"                                                                                                        \
        "ldr.w r4, [r1]\n ldr.w r5, [r1, #144]\n ldr.w r6, [r1, #288]\n"                                              \
        "ldr.w r7, [r1, #432]\n ldr.w r8, [r1, #576]\n ldr.w r9, [r1, #720]\n"                                        \
        "add.w r1, r1, #24\n add.w r9, r9, r9, lsl #1\n" SMELT_TILES_FOUR                                             \
        "lsl.w r8, r8, #2\n lsl.w r6, r6, #1\n str.w r8, [r0, #48]\n rsb.w r9, r5, r9, lsl #1\n"                      \
        "str.w r6, [r0, #24]\n add.w r4, r11, r4, lsl #1\n lsl.w r9, r9, #2\n str.w r4, [r0]\n"                       \
        "str.w r9, [r0, #72]\n add.w r0, r0, #4\n"                                                                    \
        "cmp r0, r3\n bne.w 1b\n"                                                                                     \
        "ldr.w r3, [r2]\n ldr.w r12, [r2, #4]\n ldr.w lr, [r2, #8]\n ldr.w r4, [r2, #12]\n"                           \
        "ldr.w r5, [r2, #16]\n ldr.w r1, [sp, #96]\n strd r4, r5, [sp, #96]\n mov r0, sp\n"                           \
        "movw r2, #0x8e39\n movt r2, #0x38e3\n .p2align 2\n"                                                          \
        "2:\n"                                                                                                        \
        "ldmia r0!, {r4, r5, r6, r7, r8, r9}\n add.w r9, r9, r9, lsl #1\n" SMELT_TILES_FOUR                           \
        "mul r8, r8, r2\n rsb.w r9, r5, r9, lsl #1\n mul r6, r6, r2\n add.w r4, r11, r4, lsl #1\n"                    \
        "mul r9, r9, r2\n asr.w r8, r8, #4\n mul r4, r4, r2\n asr.w r6, r6, #5\n"                                     \
        "smmlar r8, r8, r3, r8\n asr.w r9, r9, #4\n smmlar r6, r6, r3, r6\n asr.w r4, r4, #6\n"                       \
        "smmlar r9, r9, r3, r9\n ldr.w r5, [sp, #96]\n smmlar r4, r4, r3, r4\n"                                       \
        SIGN(r8) SIGN(r6) SIGN(r9) SIGN(r4)                                                                           \
        "add.w r8, r8, r12\n add.w r6, r6, r12\n asr.w r8, r8, lr\n add.w r9, r9, r12\n"                              \
        "asr.w r6, r6, lr\n add.w r4, r4, r12\n"                                                                      \
        "ssat r8, #8, r8\n add.w r10, r5, r5, lsl #1\n ssat r6, #8, r6\n asr.w r9, r9, lr\n"                          \
        "strb.w r8, [r1, r5, lsl #1]\n asr.w r4, r4, lr\n ssat r9, #8, r9\n strb.w r6, [r1, r5]\n"                    \
        "ssat r4, #8, r4\n strb.w r9, [r1, r10]\n strb.w r4, [r1]\n ldr.w r4, [sp, #100]\n"                           \
        "add.w r5, sp, #96\n add.w r1, r1, r4\n cmp r0, r5\n bne.w 2b\n"                                              \
        "add sp, sp, #108\n pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n")

SMELT_TILES_OUTPUTS(positive, SMELT_TILES_NO_SIGN)
SMELT_TILES_OUTPUTS(signed, SMELT_TILES_SIGN)

#else

SMELT_INLINE void smelt_tiles_four(uint32_t *to, int32_t step, const uint32_t *m)
{
    const uint32_t p = m[1] + m[2], q = m[1] - m[2], r = m[3] + m[4], s = m[3] - m[4];
    to[0] = r - 4u * p + 6u * m[0];
    to[step] = 2u * s - 4u * q;
    to[2 * step] = 4u * r - 4u * p;
    to[3 * step] = 8u * s - 4u * q + 24u * m[5];
}

SMELT_INLINE void smelt_tiles_outputs_of(int8_t *y, const int32_t *sums, const smelt_tiles_frame *frame, int32_t sign)
{
    uint32_t corner[24];
    for (int32_t j = 0; j < 6; ++j) {
        uint32_t m[6];
        for (int32_t i = 0; i < 6; ++i) {
            m[i] = (uint32_t)sums[6 * j + 36 * i];
        }
        smelt_tiles_four(corner + j, 6, m);
    }
    for (int32_t i = 0; i < 4; ++i) {
        uint32_t line[4];
        smelt_tiles_four(line, 1, corner + 6 * i);
        for (int32_t j = 0; j < 4; ++j) {
            const int32_t sum = (int32_t)(line[j] * 954437177u) >> 6;
            const int32_t x = smelt_smmlar(sum, frame->multiplier, sum);
            y[j * frame->column] = (int8_t)smelt_ssat8((x + (sign ? x >> 31 : 0) + frame->offset) >> frame->shift);
        }
        y += frame->row;
    }
}

#define SMELT_TILES_OUTPUTS(name, sign)                                                                               \
    SMELT_SHARED void smelt_tiles_of_##name(int8_t *y, const int32_t *sums, const smelt_tiles_frame *frame)           \
    {                                                                                                                 \
        smelt_tiles_outputs_of(y, sums, frame, sign);                                                                 \
    }                                                                                                                 \
    SMELT_INLINE smelt_tiles_function *smelt_tiles_##name##_code(void)                                                           \
    {                                                                                                                 \
        return smelt_tiles_of_##name;                                                                                 \
    }

SMELT_TILES_OUTPUTS(positive, 0)
SMELT_TILES_OUTPUTS(signed, 1)

#endif

/* The outputs of one channel of `rows` x `columns` tiles. `channel`: bias, multiplier and, where `shift` is negative,
   shift. Rows of y have `length` bytes, pixels `channels`. */
#define SMELT_WINOGRAD_OUTPUTS(name)                                                                                  \
    SMELT_SHARED void smelt_winograd_##name(int8_t *y, int32_t *sums, const int32_t *channel, int32_t rows,           \
            int32_t columns, int32_t length, int32_t channels, int32_t zero, int32_t shift)                           \
    {                                                                                                                 \
        const int32_t own = shift < 0 ? channel[2] : shift;                                                           \
        const smelt_tiles_frame frame = {channel[1], smelt_shift_left(2 * zero + 1, own) >> 1, own, channels,         \
                                         length};                                                      \
        smelt_tiles_function *const outputs = smelt_tiles_##name##_code();                                                       \
        int32_t inside = 0;                                                                                           \
        for (int32_t row = 0; row < rows; ++row) {                                                                    \
            int8_t *to = y;                                                                                           \
            for (int32_t column = 0; column < columns; ++column) {                                                    \
                sums[42] = smelt_wrapping_add(sums[42], channel[0]);                                                  \
                outputs(to, sums, &frame);                                                                            \
                to += 4 * channels;                                                                                   \
                ++sums;                                                                                               \
                if (++inside == 3) {                                                                                  \
                    sums += 36 * 6 - 3;                                                                               \
                    inside = 0;                                                                                       \
                }                                                                                                     \
            }                                                                                                         \
            y += 4 * length;                                                                                          \
        }                                                                                                             \
    }

SMELT_WINOGRAD_OUTPUTS(positive)
SMELT_WINOGRAD_OUTPUTS(signed)

#endif
