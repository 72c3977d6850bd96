/* XpulpV2's instructions on vectors: four lanes of eight bits or two of sixteen. The second operand is a vector, its lowest lane in
   every lane, or an immediate in every lane (`aux`: VECTOR, SCALAR, IMMEDIATE, where the immediate is replicated when it is decoded). */
#ifndef CLUSTER_SIMD_H
#define CLUSTER_SIMD_H

#include "cluster_scalar.h"

enum { VECTOR, SCALAR, IMMEDIATE };

static inline uint32_t second(const core *c, const op *o, uint32_t bits)
{
    if (o->aux == VECTOR) {
        return c->r[o->rs2];
    }
    if (o->aux == IMMEDIATE) {
        return (uint32_t)o->imm;
    }
    return bits == 8 ? zero_8(c->r[o->rs2]) * 0x01010101U : zero_16(c->r[o->rs2]) * 0x00010001U;
}

/* `a`, `b`: a lane of each operand as a signed number, `ua`, `ub` as an unsigned one; `k`: its number. */
#define LANES_OF(name, bits, signed_type, expression)                                                                  \
    HANDLER(name)                                                                                                      \
    {                                                                                                                  \
        const uint32_t x = c->r[o->rs1], y = second(c, o, bits);                                                       \
        uint32_t result = 0;                                                                                           \
        UNUSED_MACHINE;                                                                                                \
        for (uint32_t k = 0; k < 32U / bits; k++) {                                                                    \
            const uint32_t ua = (x >> bits * k) & ones(bits), ub = (y >> bits * k) & ones(bits);                       \
            const int32_t a = (signed_type)ua, b = (signed_type)ub;                                                    \
            (void)a, (void)b;                                                                                          \
            result |= ((uint32_t)(expression) & ones(bits)) << bits * k;                                               \
        }                                                                                                              \
        c->r[o->rd] = result;                                                                                          \
        return 0;                                                                                                      \
    }

#define LANES(name, expression)                                                                                        \
    LANES_OF(do_pv_##name##_b, 8, int8_t, expression)                                                                  \
    LANES_OF(do_pv_##name##_h, 16, int16_t, expression)

LANES(add, a + b)
LANES(sub, a - b)
LANES_OF(do_pv_avg_b, 8, int8_t, (int8_t)(a + b) >> 1)
LANES_OF(do_pv_avg_h, 16, int16_t, (int16_t)(a + b) >> 1)
LANES_OF(do_pv_avgu_b, 8, int8_t, (uint8_t)(ua + ub) >> 1) /* the carry is lost, as it is in the core */
LANES_OF(do_pv_avgu_h, 16, int16_t, (uint16_t)(ua + ub) >> 1)
LANES(min, a < b ? a : b)
LANES(minu, ua < ub ? ua : ub)
LANES(max, a > b ? a : b)
LANES(maxu, ua > ub ? ua : ub)
LANES_OF(do_pv_srl_b, 8, int8_t, ua >> (ub & 7U))
LANES_OF(do_pv_srl_h, 16, int16_t, ua >> (ub & 15U))
LANES_OF(do_pv_sra_b, 8, int8_t, a >> (ub & 7U))
LANES_OF(do_pv_sra_h, 16, int16_t, a >> (ub & 15U))
LANES_OF(do_pv_sll_b, 8, int8_t, ua << (ub & 7U))
LANES_OF(do_pv_sll_h, 16, int16_t, ua << (ub & 15U))
LANES(or, ua | ub)
LANES(xor, ua ^ ub)
LANES(and, ua & ub)
LANES(abs, a < 0 ? -a : a)
LANES(cmpeq, -(int32_t)(ua == ub))
LANES(cmpne, -(int32_t)(ua != ub))
LANES(cmpgt, -(int32_t)(a > b))
LANES(cmpge, -(int32_t)(a >= b))
LANES(cmplt, -(int32_t)(a < b))
LANES(cmple, -(int32_t)(a <= b))
LANES(cmpgtu, -(int32_t)(ua > ub))
LANES(cmpgeu, -(int32_t)(ua >= ub))
LANES(cmpltu, -(int32_t)(ua < ub))
LANES(cmpleu, -(int32_t)(ua <= ub))

/* --- inner products --------------------------------------------------------------------------------------------------------------- */

#define DOT_OF(name, bits, a_type, b_type, start)                                                                      \
    HANDLER(name)                                                                                                      \
    {                                                                                                                  \
        const uint32_t x = c->r[o->rs1], y = second(c, o, bits);                                                       \
        uint32_t sum = (start);                                                                                        \
        UNUSED_MACHINE;                                                                                                \
        for (uint32_t k = 0; k < 32U / bits; k++) {                                                                    \
            const uint32_t a = (uint32_t)(int32_t)(a_type)(x >> bits * k);                                             \
            sum += a * (uint32_t)(int32_t)(b_type)(y >> bits * k);                                                     \
        }                                                                                                              \
        c->r[o->rd] = sum;                                                                                             \
        return 0;                                                                                                      \
    }

#define DOTS(name, a_sign, b_sign)                                                                                     \
    DOT_OF(do_pv_dot##name##_b, 8, a_sign##int8_t, b_sign##int8_t, 0)                                                  \
    DOT_OF(do_pv_dot##name##_h, 16, a_sign##int16_t, b_sign##int16_t, 0)                                               \
    DOT_OF(do_pv_sdot##name##_b, 8, a_sign##int8_t, b_sign##int8_t, c->r[o->rd])                                       \
    DOT_OF(do_pv_sdot##name##_h, 16, a_sign##int16_t, b_sign##int16_t, c->r[o->rd])

DOTS(sp, , )
DOTS(up, u, u)
DOTS(usp, u, )

/* --- lanes that move: `n` is the immediate ------------------------------------------------------------------------------------------ */

static inline uint32_t byte_of(uint32_t value, uint32_t k) { return (value >> 8 * (k & 3U)) & 0xFFU; }
static inline uint32_t half_of(uint32_t value, uint32_t k) { return (value >> 16 * (k & 1U)) & 0xFFFFU; }

static inline uint32_t four(uint32_t b3, uint32_t b2, uint32_t b1, uint32_t b0) { return b3 << 24 | b2 << 16 | b1 << 8 | b0; }

static inline uint32_t shuffled_bytes(uint32_t value, uint32_t by)
{
    return four(byte_of(value, by >> 24), byte_of(value, by >> 16), byte_of(value, by >> 8), byte_of(value, by));
}

/* A byte of the one or the other value. */
static inline uint32_t chosen_byte(uint32_t first, uint32_t other, uint32_t by) { return byte_of(by & 4U ? first : other, by); }
static inline uint32_t chosen_half(uint32_t first, uint32_t other, uint32_t by) { return half_of(by & 2U ? first : other, by); }

static inline uint32_t shuffled_by(uint32_t value, uint32_t highest, uint32_t by)
{
    return four(byte_of(value, highest), byte_of(value, by >> 4), byte_of(value, by >> 2), byte_of(value, by));
}

ARITHMETIC(do_pv_extract_b, sign_8(byte_of(a, i)))
ARITHMETIC(do_pv_extract_h, sign_16(half_of(a, i)))
ARITHMETIC(do_pv_extractu_b, byte_of(a, i))
ARITHMETIC(do_pv_extractu_h, half_of(a, i))
ARITHMETIC(do_pv_insert_b, inserted(d, a, 8U * (i & 3U), 8))
ARITHMETIC(do_pv_insert_h, inserted(d, a, 16U * (i & 1U), 16))
ARITHMETIC(do_pv_shuffle_b, shuffled_bytes(a, b))
ARITHMETIC(do_pv_shuffle_h, half_of(a, b >> 16) << 16 | half_of(a, b))
ARITHMETIC(do_pv_shuffle_sci_h, half_of(a, i >> 1) << 16 | half_of(a, i))
ARITHMETIC(do_pv_shuffle_i0, shuffled_by(a, 0, i))
ARITHMETIC(do_pv_shuffle_i1, shuffled_by(a, 1, i))
ARITHMETIC(do_pv_shuffle_i2, shuffled_by(a, 2, i))
ARITHMETIC(do_pv_shuffle_i3, shuffled_by(a, 3, i))
ARITHMETIC(do_pv_shuffle2_b,
           four(chosen_byte(a, d, b >> 24), chosen_byte(a, d, b >> 16), chosen_byte(a, d, b >> 8), chosen_byte(a, d, b)))
ARITHMETIC(do_pv_shuffle2_h, chosen_half(a, d, b >> 16) << 16 | chosen_half(a, d, b))
ARITHMETIC(do_pv_pack_h, a << 16 | zero_16(b))
ARITHMETIC(do_pv_packhi_b, zero_8(a) << 24 | zero_8(b) << 16 | zero_16(d))
ARITHMETIC(do_pv_packlo_b, (d & 0xFFFF0000U) | zero_8(a) << 8 | zero_8(b))

#endif
