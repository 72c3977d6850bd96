/* The parts of Winograd's F(4x4, 3x3) that do not depend on the layer: conv2d_winograd4.py explains them. Functions
 * of their own, not inlined, so that all layers of a network share them.
 *
 * Tiles lie in groups of three (the last one may have fewer): [group][position][word][tile of the group].
 */
#ifndef SMELT_WINOGRAD_H
#define SMELT_WINOGRAD_H

#include "smelt_dsp.h"

/* Routines: smelt_winograd_inputs, smelt_winograd_weights. */

typedef void smelt_winograd_quad_function(int32_t *to, const int8_t *image, int32_t length, int32_t depth, int32_t step, int32_t word);

#if SMELT_HAS_DSP
/* B' of six: d0 to d5 become, in this order, f, 3 d1 less, a, e, c, g of smelt_six; `sign` is added to c and g. */
#define SMELT_INPUTS_SIX(d0, d1, d2, d3, d4, d5, sign)                                                                \
    "sub.w " #d0 ", " #d0 ", " #d2 "\n sub.w " #d4 ", " #d4 ", " #d2 "\n" sign(d4)                                    \
    "sub.w " #d5 ", " #d5 ", " #d3 "\n sub.w " #d3 ", " #d3 ", " #d1 "\n" sign(d5)                                    \
    "add.w " #d2 ", " #d2 ", " #d2 ", lsl #1\n add.w " #d1 ", " #d1 ", " #d1 ", lsl #1\n"                             \
    "sub.w " #d2 ", " #d4 ", " #d2 "\n sub.w " #d1 ", " #d3 ", " #d1 "\n"                                             \
    "add.w " #d0 ", " #d4 ", " #d0 ", lsl #2\n sub.w " #d5 ", " #d5 ", " #d3 ", lsl #2\n"
#define SMELT_INPUTS_NO_SIGN(d) ""
#define SMELT_INPUTS_SIGN(d) "add.w " #d ", " #d ", #32768\n"
/* A column of two channels to rows of six words from r0 + o on. */
#define SMELT_INPUTS_COLUMN(o, rotation)                                                                              \
    "uxtb16 lr, r8" rotation "\n uxtb16 r12, r6" rotation "\n uxtb16 r11, r7" rotation "\n"                           \
    "uxtb16 r10, r5" rotation "\n uxtb16 r3, r4" rotation "\n uxtb16 r2, r9" rotation "\n"                            \
    SMELT_INPUTS_SIX(r3, r10, r12, r11, lr, r2, SMELT_INPUTS_NO_SIGN)                                                 \
    "str.w r3, [r0, #(" #o ")]\n add.w r3, r12, r10\n str.w r2, [r0, #(" #o "+120)]\n sub.w r12, r12, r10\n"         \
    "str.w r3, [r0, #(" #o "+24)]\n add.w r3, lr, r11, lsl #1\n str.w r12, [r0, #(" #o "+48)]\n"                     \
    "sub.w lr, lr, r11, lsl #1\n str.w r3, [r0, #(" #o "+72)]\n str.w lr, [r0, #(" #o "+96)]\n"
#define SMELT_INPUTS_PUT(r) "str.w " #r ", [r1]\n add.w r1, r1, r2\n"

/* B' d B of four channels of a tile: r0 where to, r1 image, r2 bytes of its rows, r3 of its pixels; on the stack bytes
   between positions, and between words. First the columns, to 72 words on the stack, then the rows of these. */
SMELT_DEFINE_OWN_ROUTINE(smelt_winograd_quad_code, smelt_winograd_quad_function,
                     "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n sub sp, sp, #308\n"
                     "str.w r2, [sp, #288]\n str.w r3, [sp, #292]\n str.w r0, [sp, #296]\n mov r0, sp\n .p2align 2\n"
                     "1:\n"
                     "ldr.w r2, [sp, #288]\n add.w r3, r1, r2\n"
                     "ldr.w r4, [r1]\n ldr.w r5, [r1, r2]\n ldr.w r6, [r1, r2, lsl #1]\n"
                     "ldr.w r7, [r3, r2, lsl #1]\n ldr.w r8, [r1, r2, lsl #2]\n ldr.w r9, [r3, r2, lsl #2]\n"
                     "ldr.w r2, [sp, #292]\n eor.w r4, r4, #0x80808080\n eor.w r5, r5, #0x80808080\n"
                     "eor.w r6, r6, #0x80808080\n eor.w r7, r7, #0x80808080\n eor.w r8, r8, #0x80808080\n"
                     "add.w r1, r1, r2\n eor.w r9, r9, #0x80808080\n"
                     SMELT_INPUTS_COLUMN(0, "")
                     SMELT_INPUTS_COLUMN(144, ", ror #8")
                     "add.w r0, r0, #4\n add.w r2, sp, #24\n cmp r0, r2\n bne.w 1b\n"
                     "mov r0, sp\n ldr.w r1, [sp, #296]\n ldr.w r2, [sp, #344]\n add.w r3, sp, #144\n .p2align 2\n"
                     "2:\n"
                     "ldmia r0!, {r4, r5, r6, r7, r8, r9}\n" SMELT_INPUTS_SIX(r4, r5, r6, r7, r8, r9, SMELT_INPUTS_SIGN)
                     "eor.w r4, r4, #32768\n eor.w r9, r9, #32768\n" SMELT_INPUTS_PUT(r4)
                     "add.w r4, r6, r5\n sub.w r6, r6, r5\n eor.w r4, r4, #32768\n" SMELT_INPUTS_PUT(r4)
                     "add.w r4, r8, r7, lsl #1\n eor.w r6, r6, #32768\n" SMELT_INPUTS_PUT(r6)
                     "sub.w r8, r8, r7, lsl #1\n eor.w r4, r4, #32768\n" SMELT_INPUTS_PUT(r4)
                     "eor.w r8, r8, #32768\n" SMELT_INPUTS_PUT(r8) SMELT_INPUTS_PUT(r9) "cmp r0, r3\n bne.w 2b\n"
                     "ldr.w r1, [sp, #296]\n ldr.w r4, [sp, #348]\n add.w r5, sp, #288\n add.w r1, r1, r4\n"
                     "cmp r3, r5\n mov r3, r5\n bne.w 2b\n"
                     "add sp, sp, #308\n pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n")

#else

/* B' of six pairs of numbers, plus `offset`, to places `step` words apart; `flip` makes halves of pairs. */
SMELT_INLINE void smelt_six(uint32_t *to, int32_t step, uint32_t d0, uint32_t d1, uint32_t d2, uint32_t d3, uint32_t d4,
                            uint32_t d5, uint32_t sign)
{
    const uint32_t a = d4 - 4u * d2 + sign;
    const uint32_t b = d3 - 4u * d1;
    const uint32_t c = d4 - d2 + sign;
    const uint32_t e = d3 - d1;
    const uint32_t f = d0 - d2;
    to[0] = (c + 4u * f) ^ sign;
    to += step;
    to[0] = (a + b) ^ sign;
    to += step;
    to[0] = (a - b) ^ sign;
    to += step;
    to[0] = (c + 2u * e) ^ sign;
    to += step;
    to[0] = (c - 2u * e) ^ sign;
    to += step;
    to[0] = (d5 - d3 - 4u * e + sign) ^ sign;
}

/* B' d B of four channels of a tile to places `step` bytes between positions and `word` bytes between words apart. */
SMELT_SHARED void smelt_winograd_quad_of(int32_t *to, const int8_t *image, int32_t length, int32_t depth, int32_t step,
        int32_t word)
{
    uint32_t corner[72];
    uint32_t *place = corner;
    for (int32_t j = 0; j < 6; ++j) {
        uint32_t d[6];
        for (int32_t i = 0; i < 6; ++i) {
            d[i] = smelt_load_u32(image + j * depth + i * length) ^ 0x80808080u;
        }
        smelt_six(place, 6, d[0] & 0xff00ffu, d[1] & 0xff00ffu, d[2] & 0xff00ffu, d[3] & 0xff00ffu, d[4] & 0xff00ffu,
                  d[5] & 0xff00ffu, 0);
        smelt_six(place + 36, 6, (d[0] >> 8) & 0xff00ffu, (d[1] >> 8) & 0xff00ffu, (d[2] >> 8) & 0xff00ffu,
                  (d[3] >> 8) & 0xff00ffu, (d[4] >> 8) & 0xff00ffu, (d[5] >> 8) & 0xff00ffu, 0);
        ++place;
    }
    for (int32_t line = 0; line < 12; ++line) {
        uint32_t *target = (uint32_t *)to + line / 6 * (word / 4) + line % 6 * 6 * (step / 4);
        place = corner + 6 * line;
        smelt_six(target, step / 4, place[0], place[1], place[2], place[3], place[4], place[5], 0x8000u);
    }
}

SMELT_INLINE smelt_winograd_quad_function *smelt_winograd_quad_code(void)
{
    return smelt_winograd_quad_of;
}

#endif

/* B' d B of a block of `rows` x `columns` tiles; `length` bytes are a row of the image of `depth` channels. */
SMELT_SHARED void smelt_winograd_inputs(int32_t *tiles, const int8_t *image, int32_t rows, int32_t columns, int32_t
        depth,
                                        int32_t length)
{
    smelt_winograd_quad_function *const transform = smelt_winograd_quad_code();
    const int32_t words = depth / 2;
    int32_t left = rows * columns, inside = 0;
    for (int32_t row = 0; row < rows; ++row) {
        for (int32_t column = 0; column < columns; ++column) {
            const int32_t group = left < 3 ? left : 3;
            const int8_t *const from = image + row * 4 * length + column * 4 * depth;
            for (int32_t quad = 0; quad < words / 2; ++quad) {
                int32_t *const to = tiles + inside + 2 * quad * group;
                transform(to, from + 4 * quad, length, depth, 4 * group * words, 4 * group);
            }
            ++inside;
            if (inside == 3) {
                left -= 3;
                tiles += 36 * 3 * words;
                inside = 0;
            }
        }
    }
}

#if SMELT_HAS_DSP

/* G of three pairs of halves a, b, c, to places `d` bytes apart from r0 on; r1, r3 and lr are free. */
#define SMELT_WEIGHTS_ROW(a, b, c, d)                                                                                 \
    "sadd16 r1, " #a ", " #c "\n str.w " #a ", [r0]\n"                                                                \
    "sadd16 r3, r1, " #b "\n str.w " #c ", [r0, #(5*" #d ")]\n"                                                       \
    "ssub16 r1, r1, " #b "\n str.w r3, [r0, #" #d "]\n"                                                               \
    "sadd16 r3, " #c ", " #c "\n str.w r1, [r0, #(2*" #d ")]\n"                                                       \
    "sadd16 r3, r3, r3\n sadd16 lr, " #b ", " #b "\n sadd16 r3, " #a ", r3\n sadd16 r1, r3, lr\n"                     \
    "ssub16 r3, r3, lr\n str.w r1, [r0, #(3*" #d ")]\n str.w r3, [r0, #(4*" #d ")]\n"
#define SMELT_WEIGHTS_NEXT(d) "add.w r0, r0, #(6*" #d ")\n"
#define SMELT_WEIGHTS_THREE(op, a, b, c, d, e, f)                                                                     \
    #op " " #a ", " #a ", " #d "\n " #op " " #b ", " #b ", " #e "\n " #op " " #c ", " #c ", " #f "\n"
/* Three times the sum of b and c more. */
#define SMELT_WEIGHTS_FAR(a, b, c)                                                                                    \
    "sadd16 r1, " #b ", " #c "\n sadd16 r3, r1, r1\n sadd16 " #a ", " #a ", r1\n sadd16 " #a ", " #a ", r3\n"

/* G w G' for one output channel, positions being `d` bytes apart: r0 where to, r1 weights, r2 twice the quads. The
   three rows of weights of two input channels are in r4 to r6, r7 to r9, r10 to r12; the rows of G come one after
   the other: from 1 1 1 to 1 -1 1 it is twice the second row less, from there to 1 2 4 three times the second and
   third row more, to 1 -2 4 four times the second row less. A word that starts a byte later has the other two
   channels where SXTB16 looks. */
typedef void smelt_winograd_channel_function(int32_t *slice, const int32_t *weights, int32_t halves);

#define SMELT_WEIGHTS_CHANNEL(d)                                                                                      \
    SMELT_DEFINE_ROUTINE(smelt_winograd_channel_##d##_code, smelt_winograd_channel_function,                                     \
        "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n sub sp, sp, #4\n .p2align 2\n"                                 \
        "1:\n"                                                                                                        \
        "ldr.w r4, [r1]\n ldr.w r5, [r1, #4]\n ldr.w r6, [r1, #8]\n"                                                  \
        "ldr.w r7, [r1, #12]\n ldr.w r8, [r1, #16]\n ldr.w r9, [r1, #20]\n"                                           \
        "ldr.w r10, [r1, #24]\n ldr.w r11, [r1, #28]\n ldr.w r12, [r1, #32]\n"                                        \
        "tst.w r2, #1\n ite eq\n addeq r1, r1, #1\n addne r1, r1, #35\n str.w r1, [sp]\n"                             \
        "sxtb16 r4, r4\n sxtb16 r5, r5\n sxtb16 r6, r6\n"                                                             \
        "sxtb16 r7, r7\n sxtb16 r8, r8\n sxtb16 r9, r9\n"                                                             \
        "sxtb16 r10, r10\n sxtb16 r11, r11\n sxtb16 r12, r12\n" SMELT_WEIGHTS_ROW(r4, r5, r6, d)                      \
        SMELT_WEIGHTS_NEXT(d) SMELT_WEIGHTS_THREE(sadd16, r4, r5, r6, r10, r11, r12)                                  \
        SMELT_WEIGHTS_THREE(sadd16, r4, r5, r6, r7, r8, r9) SMELT_WEIGHTS_ROW(r4, r5, r6, d)                          \
        SMELT_WEIGHTS_NEXT(d) SMELT_WEIGHTS_THREE(ssub16, r4, r5, r6, r7, r8, r9)                                     \
        SMELT_WEIGHTS_THREE(ssub16, r4, r5, r6, r7, r8, r9) SMELT_WEIGHTS_ROW(r4, r5, r6, d)                          \
        SMELT_WEIGHTS_NEXT(d) SMELT_WEIGHTS_FAR(r4, r7, r10) SMELT_WEIGHTS_FAR(r5, r8, r11)                           \
        SMELT_WEIGHTS_FAR(r6, r9, r12) SMELT_WEIGHTS_ROW(r4, r5, r6, d) SMELT_WEIGHTS_NEXT(d)                         \
        SMELT_WEIGHTS_THREE(sadd16, r7, r8, r9, r7, r8, r9)                                                           \
        SMELT_WEIGHTS_THREE(sadd16, r7, r8, r9, r7, r8, r9)                                                           \
        SMELT_WEIGHTS_THREE(ssub16, r4, r5, r6, r7, r8, r9) SMELT_WEIGHTS_ROW(r4, r5, r6, d)                          \
        SMELT_WEIGHTS_NEXT(d) SMELT_WEIGHTS_ROW(r10, r11, r12, d)                                                     \
        "ldr.w r1, [sp]\n sub.w r0, r0, #(30*" #d ")\n add.w r0, r0, #8\n"                                            \
        "subs r2, r2, #1\n bne.w 1b\n add sp, sp, #4\n pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n")

SMELT_WEIGHTS_CHANNEL(64)
SMELT_WEIGHTS_CHANNEL(128)
SMELT_WEIGHTS_CHANNEL(256)
#endif

/* G of three pairs of halves, to places `step` words apart: 1 0 0, 1 1 1, 1 -1 1, 1 2 4, 1 -2 4, 0 0 1. */
SMELT_INLINE void smelt_six_weights(int32_t *to, int32_t step, int32_t a, int32_t b, int32_t c)
{
    const int32_t outer = smelt_sadd16(a, c);
    const int32_t twice = smelt_sadd16(b, b);
    const int32_t last = smelt_sadd16(c, c);
    const int32_t far = smelt_sadd16(a, smelt_sadd16(last, last));
    to[0] = a;
    to += step;
    to[0] = smelt_sadd16(outer, b);
    to += step;
    to[0] = smelt_ssub16(outer, b);
    to += step;
    to[0] = smelt_sadd16(far, twice);
    to += step;
    to[0] = smelt_ssub16(far, twice);
    to += step;
    to[0] = c;
}

/* G w G' of the `depth` weights of two output channels, to [position][word][channel]. */
SMELT_SHARED void smelt_winograd_channels(int32_t *slice, const int32_t *weights, int32_t depth)
{
    for (int32_t channel = 0; channel < 2; ++channel) {
        int32_t *to = slice + channel;
        for (int32_t quad = 0; quad < depth / 4; ++quad) {
            int32_t corner[36];
            int32_t *place = corner;
            SMELT_KEEP_LOOP
            for (int32_t j = 0; j < 3; ++j) {
                const int32_t a = weights[0], b = weights[3], c = weights[6];
                smelt_six_weights(place, 3, smelt_sxtb16(a), smelt_sxtb16(b), smelt_sxtb16(c));
                smelt_six_weights(place + 18, 3, smelt_sxtb16_ror8(a), smelt_sxtb16_ror8(b), smelt_sxtb16_ror8(c));
                ++weights;
                ++place;
            }
            weights += 6;
            place = corner;
            for (int32_t half = 0; half < 2; ++half) {
                int32_t *target = to;
                SMELT_KEEP_LOOP
                for (int32_t i = 0; i < 6; ++i) {
                    smelt_six_weights(target, depth, place[0], place[1], place[2]);
                    target += 6 * depth;
                    place += 3;
                }
                to += 2;
            }
        }
    }
}

#if SMELT_HAS_DSP
#define SMELT_WEIGHTS_BOTH(d)                                                                                         \
    smelt_winograd_channel_function *const run = smelt_winograd_channel_##d##_code();                                 \
    run(slice, weights, d / 8);                                                                                       \
    run(slice + 1, weights + 9 * (depth / 4), d / 8)
#else
#define SMELT_WEIGHTS_BOTH(d) smelt_winograd_channels(slice, weights, depth)
#endif

/* The same, in assembly for the usual depths; `depth` is a constant. A byte behind the weights may be read. */
SMELT_INLINE void smelt_winograd_weights(int32_t *slice, const int32_t *weights, int32_t depth)
{
    if (depth == 16) {
        SMELT_WEIGHTS_BOTH(64);
    } else if (depth == 32) {
        SMELT_WEIGHTS_BOTH(128);
    } else if (depth == 64) {
        SMELT_WEIGHTS_BOTH(256);
    } else {
        smelt_winograd_channels(slice, weights, depth);
    }
}

#endif
