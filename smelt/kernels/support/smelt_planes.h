/* Depthwise convolutions with kernels of 3 x 3: one channel, all of a plane in one call.
 *
 * One function serves the layers of a network, whatever their sizes. A plane holds int16 in lines of 52; `weights` are the nine of the
 * channel, `down` and `along` elements apart. Outputs lie `step` bytes apart along a line, `line_step` from line to line; a line has at
 * least four, and the last four of a line overlap those before where they are no multiple of four. `channel` is bias, multiplier and
 * shift; shifts are 1 to 13. */
#ifndef SMELT_PLANES_H
#define SMELT_PLANES_H

#include "smelt_groups.h"

/* Routines: smelt_plane_grouped_1, smelt_plane_grouped_2, smelt_plane_paired_1, smelt_plane_paired_2. */

#define SMELT_PLANE_PITCH 104 /* bytes */

#if SMELT_HAS_DSP

/* Where the assembly finds what it needs, on its stack. */
typedef struct {
    int32_t bias, multiplier, offset;
    uintptr_t y;
    int32_t step;
    uintptr_t last, line_x, line_y;
    int32_t line_step, pitch;
    uintptr_t end;
    int32_t unused, taps[6];
} smelt_plane_frame;

/* x r0, words of it r1 r2 r3, taps r4 to r9, sums r10 r11 r12 lr. */
#define SMELT_PLANE_START                                                                                             \
    "push {r4-r11, lr}\n sub sp, sp, #72\n mov lr, sp\n"                                                              \
    "ldmia r0!, {r1-r9}\n stmia lr!, {r1-r9}\n ldmia r0, {r1-r9}\n stmia lr, {r1-r9}\n ldr r0, [sp, #24]\n"           \
    ".p2align 2\n1:\n ldr.w lr, [sp]\n"
/* grouped: all loads, then all multiplications. paired: the loads for the next line between the multiplications, for cores that issue two
   instructions at a time. */
#define SMELT_PLANE_LOAD(r, row, word) "ldr.w " #r ", [r0, #(104*" #row "+4*" #word ")]\n"
#define SMELT_PLANE_LOADS(row) SMELT_PLANE_LOAD(r1, row, 0) SMELT_PLANE_LOAD(r2, row, 1) SMELT_PLANE_LOAD(r3, row, 2)
/* Two taps and one, for four neighbouring outputs; `d` are what the sums were before. */
#define SMELT_PLANE_GROUPED_1(row, p, q, d0, d1, d2)                                                                          \
    SMELT_PLANE_LOADS(row)                                                                                            \
    "smlad r10, " #p ", r1, " #d0 "\n smlabt r11, " #p ", r1, " #d1 "\n smlad r12, " #p ", r2, " #d2 "\n"             \
    "smlabt lr, " #p ", r2, lr\n smlatb r10, " #q ", r2, r10\n smlad r11, " #q ", r2, r11\n"                          \
    "smlatb r12, " #q ", r3, r12\n smlad lr, " #q ", r3, lr\n"
#define SMELT_PLANE_GROUPED_2(row, p, q, d0, d1, d2)                                                                          \
    SMELT_PLANE_LOADS(row)                                                                                            \
    "smlad r10, " #p ", r1, " #d0 "\n smlad r11, " #p ", r2, " #d1 "\n smlad r12, " #p ", r3, " #d2 "\n"              \
    "smlatb r10, " #q ", r2, r10\n smlatb r11, " #q ", r3, r11\n"                                                     \
    SMELT_PLANE_LOAD(r1, row, 3) SMELT_PLANE_LOAD(r2, row, 4)                                                         \
    "smlad lr, " #p ", r1, lr\n smlatb r12, " #q ", r1, r12\n smlatb lr, " #q ", r2, lr\n"
#define SMELT_PLANE_ROWS_GROUPED(stride)                                                                              \
    SMELT_PLANE_GROUPED_##stride(0, r4, r5, lr, lr, lr)                                                               \
    SMELT_PLANE_GROUPED_##stride(1, r6, r7, r10, r11, r12) SMELT_PLANE_GROUPED_##stride(2, r8, r9, r10, r11, r12)     \
    "ldr.w r1, [sp, #4]\n ldr.w r2, [sp, #8]\n ldr.w r3, [sp, #12]\n"
#define SMELT_PLANE_PAIRED_1(row, p, q, d0, d1, d2, next1, next2, next3)                                              \
    "smlad r10, " #p ", r1, " #d0 "\n smlabt r11, " #p ", r1, " #d1 "\n" next1                                        \
    "smlad r12, " #p ", r2, " #d2 "\n smlabt lr, " #p ", r2, lr\n"                                                    \
    "smlatb r10, " #q ", r2, r10\n smlad r11, " #q ", r2, r11\n" next2                                                \
    "smlatb r12, " #q ", r3, r12\n smlad lr, " #q ", r3, lr\n" next3
#define SMELT_PLANE_PAIRED_2(row, p, q, d0, d1, d2, next1, next2, next3)                                              \
    "smlad r10, " #p ", r1, " #d0 "\n" SMELT_PLANE_LOAD(r1, row, 3)                                                   \
    "smlad r11, " #p ", r2, " #d1 "\n smlad r12, " #p ", r3, " #d2 "\n"                                               \
    "smlatb r10, " #q ", r2, r10\n" SMELT_PLANE_LOAD(r2, row, 4)                                                      \
    "smlad lr, " #p ", r1, lr\n smlatb r11, " #q ", r3, r11\n" next3                                                  \
    "smlatb r12, " #q ", r1, r12\n" next1 "smlatb lr, " #q ", r2, lr\n" next2
#define SMELT_PLANE_ROWS_PAIRED(stride)                                                                               \
    SMELT_PLANE_LOADS(0)                                                                                              \
    SMELT_PLANE_PAIRED_##stride(0, r4, r5, lr, lr, lr, SMELT_PLANE_LOAD(r1, 1, 0), SMELT_PLANE_LOAD(r2, 1, 1),        \
                                SMELT_PLANE_LOAD(r3, 1, 2))                                                           \
    SMELT_PLANE_PAIRED_##stride(1, r6, r7, r10, r11, r12, SMELT_PLANE_LOAD(r1, 2, 0), SMELT_PLANE_LOAD(r2, 2, 1),     \
                                SMELT_PLANE_LOAD(r3, 2, 2))                                                           \
    SMELT_PLANE_PAIRED_##stride(2, r8, r9, r10, r11, r12, "ldr.w r1, [sp, #4]\n", "ldr.w r2, [sp, #8]\n",                 \
                                "ldr.w r3, [sp, #12]\n")
#define SMELT_PLANE_OUTPUTS(stride, shift)                                                                            \
    "smmla r10, r10, r1, r2\n smmla r11, r11, r1, r2\n smmla r12, r12, r1, r2\n"                                      \
    "ssat r10, #8, r10, asr #" #shift "\n smmla lr, lr, r1, r2\n ldr r1, [sp, #16]\n ldr r2, [sp, #20]\n"             \
    "add.w r0, r0, #(8*" #stride ")\n strb.w r10, [r3]\n add.w r3, r3, r1\n cmp.w r0, r2\n"                           \
    "ssat r11, #8, r11, asr #" #shift "\n strb.w r11, [r3]\n add.w r3, r3, r1\n"                                      \
    "ssat r12, #8, r12, asr #" #shift "\n strb.w r12, [r3]\n add.w r3, r3, r1\n"                                      \
    "ssat lr, #8, lr, asr #" #shift "\n strb.w lr, [r3]\n add.w r3, r3, r1\n str.w r3, [sp, #12]\n bls.w 1b\n"
/* Back to the last four outputs of the line, or on to the next line. */
#define SMELT_PLANE_LINES(stride)                                                                                     \
    "subs r2, r0, r2\n cmp r2, #(8*" #stride ")\n beq 3f\n"                                                           \
    "sub.w r0, r0, r2\n lsr.w r2, r2, #" #stride "\n mls r3, r2, r1, r3\n str r3, [sp, #12]\n b.w 1b\n"               \
    "3:\n ldr r0, [sp, #24]\n ldr r1, [sp, #36]\n ldr r2, [sp, #20]\n ldr r3, [sp, #28]\n"                            \
    "ldr.w r10, [sp, #32]\n ldr.w r11, [sp, #40]\n"                                                                   \
    "add.w r0, r0, r1\n add.w r2, r2, r1\n add.w r3, r3, r10\n"                                                       \
    "str r0, [sp, #24]\n str r2, [sp, #20]\n str r3, [sp, #28]\n str r3, [sp, #12]\n"                                 \
    "cmp r0, r11\n bne.w 1b\n add sp, sp, #72\n pop {r4-r11, pc}\n"

typedef void smelt_plane_function(const smelt_plane_frame *frame);

#define SMELT_DEFINE_PLANE(form, FORM, stride, shift)                                                                 \
    SMELT_DEFINE_ROUTINE(smelt_plane_##form##_##stride##_##shift##_code, smelt_plane_function,                                \
        SMELT_PLANE_START SMELT_PLANE_ROWS_##FORM(stride) SMELT_PLANE_OUTPUTS(stride, shift) SMELT_PLANE_LINES(stride))

SMELT_DEFINE_PLANE(grouped, GROUPED, 1, 8)
SMELT_DEFINE_PLANE(grouped, GROUPED, 1, 14)
SMELT_DEFINE_PLANE(grouped, GROUPED, 2, 8)
SMELT_DEFINE_PLANE(grouped, GROUPED, 2, 14)
SMELT_DEFINE_PLANE(paired, PAIRED, 1, 8)
SMELT_DEFINE_PLANE(paired, PAIRED, 1, 14)
SMELT_DEFINE_PLANE(paired, PAIRED, 2, 8)
SMELT_DEFINE_PLANE(paired, PAIRED, 2, 14)

/* Weights grow by as many bits, at least 2, as make every shift 8 or 14, so that one SMMLA does both roundings: see smelt_groups.h. */
SMELT_INLINE int32_t smelt_more_bits(int32_t shift)
{
    return (shift < 8 ? 9 : 15) - shift;
}

SMELT_INLINE int32_t smelt_more_offset(int32_t zero, int32_t shift)
{
    const int32_t bits = smelt_more_bits(shift);
    return (smelt_shift_left(2 * zero + 1, shift) >> 1) * (1 << (bits - 1)) + (1 << (bits - 2));
}

SMELT_INLINE void smelt_plane_run(smelt_plane_function *(*small)(void), smelt_plane_function *(*large)(void),
        int32_t stride, const int8_t *w, const int16_t *x, int8_t *y, const int32_t *channel, int32_t down, int32_t along,
        int32_t lines, int32_t pitch, int32_t outputs, int32_t step, int32_t line_step, int32_t zero, int32_t common)
{
    const int32_t shift = common < 0 ? channel[2] : common;
    const int32_t bits = smelt_more_bits(shift);
    const uintptr_t from = (uintptr_t)x;
    smelt_plane_frame frame = {
        channel[0] * (1 << bits), smelt_groups_multiplier(channel[1]), smelt_more_offset(zero, shift),
        (uintptr_t)y, step, from + (uintptr_t)(2 * stride * (outputs - 4)), from, (uintptr_t)y,
        line_step, pitch, from + (uintptr_t)(lines * pitch), 0, {0},
    };
    for (int32_t row = 0; row < 3; ++row) {
        const int32_t a = w[row * down] * (1 << bits);
        const int32_t b = w[row * down + along] * (1 << bits);
        const int32_t c = w[row * down + 2 * along] * (1 << bits);
        frame.taps[2 * row] = smelt_pack_halves(a, b);
        frame.taps[2 * row + 1] = smelt_pack_halves(b, c);
    }
    (shift < 8 ? small() : large())(&frame);
}

#define SMELT_DEFINE_PLANES(form, stride)                                                                             \
    SMELT_SHARED void smelt_plane_##form##_##stride(const int8_t *w, const int16_t *x,    \
            int8_t *y, const int32_t *channel, int32_t down, int32_t along, int32_t lines, int32_t pitch,             \
            int32_t outputs, int32_t step, int32_t line_step, int32_t zero, int32_t common)                           \
    {                                                                                                                 \
        smelt_plane_run(smelt_plane_##form##_##stride##_8_code, smelt_plane_##form##_##stride##_14_code, stride, w, x, y, \
                        channel, down, along, lines, pitch, outputs, step, line_step, zero, common);                  \
    }

SMELT_DEFINE_PLANES(grouped, 1)
SMELT_DEFINE_PLANES(grouped, 2)
SMELT_DEFINE_PLANES(paired, 1)
SMELT_DEFINE_PLANES(paired, 2)

#else

SMELT_INLINE void smelt_plane_any(int32_t stride, const int8_t *w, const int16_t *x, int8_t *y, const int32_t *channel,
        int32_t down, int32_t along, int32_t lines, int32_t pitch, int32_t outputs, int32_t step, int32_t line_step,
        int32_t zero, int32_t common)
{
    const int32_t shift = common < 0 ? channel[2] : common;
    const int32_t offset = smelt_shift_left(2 * zero + 1, shift) >> 1;
    for (int32_t line = 0; line < lines; ++line) {
        for (int32_t output = 0; output < outputs; ++output) {
            const int16_t *const from = x + line * (pitch / 2) + output * stride;
            int32_t sum = channel[0];
            for (int32_t tap = 0; tap < 9; ++tap) {
                sum += w[tap / 3 * down + tap % 3 * along] * from[tap / 3 * (SMELT_PLANE_PITCH / 2) + tap % 3];
            }
            y[line * line_step + output * step] = (int8_t)smelt_ssat8((smelt_smmlar(sum, channel[1], sum) + offset) >> shift);
        }
    }
}

#define smelt_plane_grouped_1(...) smelt_plane_any(1, __VA_ARGS__)
#define smelt_plane_grouped_2(...) smelt_plane_any(2, __VA_ARGS__)
#define smelt_plane_paired_1(...) smelt_plane_any(1, __VA_ARGS__)
#define smelt_plane_paired_2(...) smelt_plane_any(2, __VA_ARGS__)

#endif

#endif
