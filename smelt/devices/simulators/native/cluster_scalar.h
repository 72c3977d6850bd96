/* Instructions on whole registers: RV32IM, and what XpulpV2 adds to them. Handlers return what they take besides one cycle. */
#ifndef CLUSTER_SCALAR_H
#define CLUSTER_SCALAR_H

#include "cluster_memory.h"

#define HANDLER(name) static uint32_t name(machine *m, core *c, const op *o)
#define UNUSED_MACHINE (void)m

static inline int32_t as_signed(uint32_t value) { return (int32_t)value; }
static inline uint32_t sign_8(uint32_t value) { return (uint32_t)(int32_t)(int8_t)value; }
static inline uint32_t sign_16(uint32_t value) { return (uint32_t)(int32_t)(int16_t)value; }
static inline uint32_t zero_8(uint32_t value) { return value & 0xFFU; }
static inline uint32_t zero_16(uint32_t value) { return value & 0xFFFFU; }
static inline uint32_t same(uint32_t value) { return value; }
static inline uint32_t shift_signed(uint32_t value, uint32_t by) { return (uint32_t)(as_signed(value) >> by); }
static inline uint32_t leading_zeros(uint32_t value) { return value ? (uint32_t)__builtin_clz(value) : 32U; }

/* `a`, `b`: the sources; `d`: what the destination held; `i`: the immediate. */
#define ARITHMETIC(name, expression)                                                                                   \
    HANDLER(name)                                                                                                      \
    {                                                                                                                  \
        const uint32_t a = c->r[o->rs1], b = c->r[o->rs2], d = c->r[o->rd], i = (uint32_t)o->imm;                      \
        UNUSED_MACHINE, (void)a, (void)b, (void)d, (void)i;                                                            \
        c->r[o->rd] = (expression);                                                                                    \
        return 0;                                                                                                      \
    }

ARITHMETIC(do_add, a + b)
ARITHMETIC(do_sub, a - b)
ARITHMETIC(do_sll, a << (b & 31U))
ARITHMETIC(do_slt, as_signed(a) < as_signed(b))
ARITHMETIC(do_sltu, a < b)
ARITHMETIC(do_xor, a ^ b)
ARITHMETIC(do_srl, a >> (b & 31U))
ARITHMETIC(do_sra, shift_signed(a, b & 31U))
ARITHMETIC(do_or, a | b)
ARITHMETIC(do_and, a & b)
ARITHMETIC(do_addi, a + i)
ARITHMETIC(do_slti, as_signed(a) < as_signed(i))
ARITHMETIC(do_sltiu, a < i)
ARITHMETIC(do_xori, a ^ i)
ARITHMETIC(do_ori, a | i)
ARITHMETIC(do_andi, a & i)
ARITHMETIC(do_slli, a << (i & 31U))
ARITHMETIC(do_srli, a >> (i & 31U))
ARITHMETIC(do_srai, shift_signed(a, i & 31U))
ARITHMETIC(do_lui, i)
ARITHMETIC(do_auipc, c->pc + i)

HANDLER(do_mul)
{
    c->r[o->rd] = c->r[o->rs1] * c->r[o->rs2];
    return m->p[P_MULTIPLY] - 1U;
}

#define HIGH_PRODUCT(name, product)                                                                                    \
    HANDLER(name)                                                                                                      \
    {                                                                                                                  \
        const uint32_t a = c->r[o->rs1], b = c->r[o->rs2];                                                             \
        c->r[o->rd] = (uint32_t)((uint64_t)(product) >> 32);                                                           \
        return m->p[P_MULTIPLY_HIGH] - 1U;                                                                             \
    }

HIGH_PRODUCT(do_mulh, (int64_t)as_signed(a) * as_signed(b))
HIGH_PRODUCT(do_mulhsu, (int64_t)as_signed(a) * (int64_t)(uint64_t)b)
HIGH_PRODUCT(do_mulhu, (uint64_t)a * b)

/* The divider works through the bits that the divisor leaves to the quotient. */
static inline uint32_t divide_wait(const machine *m, uint32_t divisor)
{
    return m->p[P_DIVIDE] - 1U + leading_zeros(divisor);
}

static inline uint32_t magnitude(uint32_t value) { return as_signed(value) < 0 ? ~value : value; }

#define DIVISION(name, by_zero, least_by_minus_one, expression, divisor)                                                \
    HANDLER(name)                                                                                                      \
    {                                                                                                                  \
        const uint32_t a = c->r[o->rs1], b = c->r[o->rs2];                                                             \
        const int overflows = a == 0x80000000U && b == 0xFFFFFFFFU;                                                    \
        c->r[o->rd] = b == 0 ? (by_zero) : overflows ? (least_by_minus_one) : (uint32_t)(expression);                  \
        return divide_wait(m, divisor);                                                                                \
    }

DIVISION(do_div, 0xFFFFFFFFU, a, as_signed(a) / as_signed(b), magnitude(b))
DIVISION(do_divu, 0xFFFFFFFFU, 0U, a / b, b)
DIVISION(do_rem, a, 0U, as_signed(a) % as_signed(b), magnitude(b))
DIVISION(do_remu, a, a, a % b, b)

/* --- jumps and branches --------------------------------------------------------------------------------------------------------- */

/* What a jump to this address takes besides its own time: a 32-bit instruction there that crosses a word comes a cycle later. */
static inline uint32_t landing(const machine *m, uint32_t target)
{
    if (!(target & 2U) || !m->p[P_MISALIGNED_TARGET]) {
        return 0;
    }
    for (uint32_t i = L2; i < REGIONS; i++) {
        if (holds(&m->regions[i], target, 2)) {
            return (m->regions[i].bytes[target - m->regions[i].start] & 3U) == 3U ? m->p[P_MISALIGNED_TARGET] : 0U;
        }
    }
    return 0;
}

HANDLER(do_jal)
{
    const uint32_t target = c->pc + (uint32_t)o->imm;
    c->r[o->rd] = c->pc + o->size;
    c->next = target;
    c->count[JUMPS]++;
    return m->p[P_JUMP] - 1U + landing(m, target);
}

HANDLER(do_jalr)
{
    const uint32_t target = (c->r[o->rs1] + (uint32_t)o->imm) & ~1U;
    const uint32_t wait = c->written & o->uses ? 1U : 0U;
    c->r[o->rd] = c->pc + o->size;
    c->next = target;
    c->count[JUMPS]++;
    c->count[JUMP_REGISTER] += wait;
    return m->p[P_JUMP_REGISTER] - 1U + wait + landing(m, target);
}

#define BRANCH(name, condition)                                                                                        \
    HANDLER(name)                                                                                                      \
    {                                                                                                                  \
        const uint32_t a = c->r[o->rs1], b = c->r[o->rs2], i = (uint32_t)(int32_t)(int8_t)o->aux;                      \
        (void)b, (void)i;                                                                                              \
        c->count[BRANCHES]++;                                                                                          \
        if (!(condition)) {                                                                                            \
            return 0;                                                                                                  \
        }                                                                                                              \
        c->next = c->pc + (uint32_t)o->imm;                                                                            \
        c->count[TAKEN]++;                                                                                             \
        return m->p[P_TAKEN] - 1U + landing(m, c->next);                                                               \
    }

BRANCH(do_beq, a == b)
BRANCH(do_bne, a != b)
BRANCH(do_blt, as_signed(a) < as_signed(b))
BRANCH(do_bge, as_signed(a) >= as_signed(b))
BRANCH(do_bltu, a < b)
BRANCH(do_bgeu, a >= b)
BRANCH(do_beqimm, a == i)
BRANCH(do_bneimm, a != i)

/* --- loads and stores ------------------------------------------------------------------------------------------------------------- */

#define LOAD(name, bytes, convert, address, after)                                                                     \
    HANDLER(name)                                                                                                      \
    {                                                                                                                  \
        const uint32_t a = c->r[o->rs1], b = c->r[o->rs2], i = (uint32_t)o->imm;                                       \
        uint32_t value = 0;                                                                                            \
        const uint32_t wait = load(m, c, (address), (bytes), &value);                                                  \
        (void)a, (void)b, (void)i;                                                                                     \
        if (wait == RETRY) {                                                                                           \
            return RETRY;                                                                                              \
        }                                                                                                              \
        c->r[o->rd] = convert(value);                                                                                  \
        after;                                                                                                         \
        return wait;                                                                                                   \
    }

#define LOADS_OF(name, bytes, convert)                                                                                 \
    LOAD(do_##name, bytes, convert, a + i, (void)0)                                                                    \
    LOAD(do_##name##_by, bytes, convert, a + b, (void)0)                                                               \
    LOAD(do_##name##_post, bytes, convert, a, c->r[o->rs1] = a + i)                                                    \
    LOAD(do_##name##_post_by, bytes, convert, a, c->r[o->rs1] = a + b)

LOADS_OF(lb, 1, sign_8)
LOADS_OF(lh, 2, sign_16)
LOADS_OF(lw, 4, same)
LOADS_OF(lbu, 1, zero_8)
LOADS_OF(lhu, 2, zero_16)

/* `d`: the register that the destination's field names. */
#define STORE(name, bytes, address, after)                                                                             \
    HANDLER(name)                                                                                                      \
    {                                                                                                                  \
        const uint32_t a = c->r[o->rs1], b = c->r[o->rs2], d = c->r[o->aux], i = (uint32_t)o->imm;                     \
        const uint32_t wait = store(m, c, (address), (bytes), b);                                                      \
        (void)d, (void)i;                                                                                              \
        if (wait == RETRY) {                                                                                           \
            return RETRY;                                                                                              \
        }                                                                                                              \
        after;                                                                                                         \
        return wait;                                                                                                   \
    }

#define STORES_OF(name, bytes)                                                                                         \
    STORE(do_##name, bytes, a + i, (void)0)                                                                            \
    STORE(do_##name##_by, bytes, a + d, (void)0)                                                                       \
    STORE(do_##name##_post, bytes, a, c->r[o->rs1] = a + i)                                                            \
    STORE(do_##name##_post_by, bytes, a, c->r[o->rs1] = a + d)

STORES_OF(sb, 1)
STORES_OF(sh, 2)
STORES_OF(sw, 4)

/* --- XpulpV2 on whole registers ---------------------------------------------------------------------------------------------------- */

static inline uint32_t ones(uint32_t width) { return 0xFFFFFFFFU >> (32U - width); } /* 1 to 32 of them */

static inline uint32_t last_one(uint32_t value) { return value ? 31U - leading_zeros(value) : 32U; }
static inline uint32_t first_one(uint32_t value) { return value ? (uint32_t)__builtin_ctz(value) : 32U; }

static inline uint32_t clamp(uint32_t value, int32_t low, int32_t high)
{
    const int32_t v = as_signed(value);
    return (uint32_t)(v <= low ? low : v >= high ? high : v);
}

static inline uint32_t field(uint32_t value, uint32_t low, uint32_t width)
{
    return (value >> low) & ones(width);
}

static inline uint32_t signed_field(uint32_t value, uint32_t low, uint32_t width)
{
    return shift_signed(field(value, low, width) << (32U - width), 32U - width);
}

static inline uint32_t inserted(uint32_t into, uint32_t value, uint32_t low, uint32_t width)
{
    const uint32_t mask = ones(width) << low;
    return (into & ~mask) | ((value << low) & mask);
}

/* Half of 2^n, what is added to round; shifts by no bit round nothing. */
static inline uint32_t half(uint32_t n) { return n ? 1U << (n - 1U) : 0U; }

#define WIDTH (o->aux + 1U)
#define LOW i
#define WIDTH_R ((b >> 5 & 31U) + 1U)
#define LOW_R (b & 31U)

ARITHMETIC(do_avgu, (a + b) >> 1)
ARITHMETIC(do_slet, as_signed(a) <= as_signed(b))
ARITHMETIC(do_sletu, a <= b)
ARITHMETIC(do_min, as_signed(a) < as_signed(b) ? a : b)
ARITHMETIC(do_minu, a < b ? a : b)
ARITHMETIC(do_max, as_signed(a) > as_signed(b) ? a : b)
ARITHMETIC(do_maxu, a > b ? a : b)
ARITHMETIC(do_ror, a >> (b & 31U) | a << (-b & 31U))
ARITHMETIC(do_ff1, first_one(a))
ARITHMETIC(do_fl1, last_one(a))
ARITHMETIC(do_clb, a ? leading_zeros(magnitude(a)) - 1U : 0U)
ARITHMETIC(do_cnt, (uint32_t)__builtin_popcount(a))
ARITHMETIC(do_exths, sign_16(a))
ARITHMETIC(do_exthz, zero_16(a))
ARITHMETIC(do_extbs, sign_8(a))
ARITHMETIC(do_extbz, zero_8(a))
ARITHMETIC(do_abs, as_signed(a) < 0 ? 0U - a : a)
ARITHMETIC(do_mac, d + a * b)
ARITHMETIC(do_msu, d - a * b)
ARITHMETIC(do_clip, clamp(a, -as_signed(half(i)) - (i == 0), as_signed(half(i)) - (i != 0)))
ARITHMETIC(do_clipu, clamp(a, 0, as_signed(half(i)) - (i != 0)))
ARITHMETIC(do_clipr, clamp(a, -as_signed(b) - 1, as_signed(b)))
ARITHMETIC(do_clipur, clamp(a, 0, as_signed(b)))
ARITHMETIC(do_extract, signed_field(a, LOW, WIDTH))
ARITHMETIC(do_extractu, field(a, LOW, WIDTH))
ARITHMETIC(do_extractr, signed_field(a, LOW_R, WIDTH_R))
ARITHMETIC(do_extractur, field(a, LOW_R, WIDTH_R))
ARITHMETIC(do_insert, inserted(d, a, LOW, WIDTH))
ARITHMETIC(do_insertr, inserted(d, a, LOW_R, WIDTH_R))
ARITHMETIC(do_bclr, a & ~(ones(WIDTH) << LOW))
ARITHMETIC(do_bset, a | ones(WIDTH) << LOW)
ARITHMETIC(do_bclrr, a & ~(ones(WIDTH_R) << LOW_R))
ARITHMETIC(do_bsetr, a | ones(WIDTH_R) << LOW_R)

/* 16 x 16 bits: signed or unsigned, low or high halves; with the destination added, a half for rounding, shifted by `aux`. */
#define PRODUCTS(name, shift, product)                                                                                 \
    ARITHMETIC(do_mul##name, shift((product), o->aux))                                                                 \
    ARITHMETIC(do_mul##name##_round, shift((product) + half(o->aux), o->aux))                                          \
    ARITHMETIC(do_mac##name, shift(d + (product), o->aux))                                                             \
    ARITHMETIC(do_mac##name##_round, shift(d + (product) + half(o->aux), o->aux))

static inline uint32_t shift_unsigned(uint32_t value, uint32_t by) { return value >> by; }

PRODUCTS(s, shift_signed, sign_16(a) * sign_16(b))
PRODUCTS(hhs, shift_signed, sign_16(a >> 16) * sign_16(b >> 16))
PRODUCTS(u, shift_unsigned, zero_16(a) * zero_16(b))
PRODUCTS(hhu, shift_unsigned, (a >> 16) * (b >> 16))

/* Sums and differences that are shifted: by `aux`, or by a register, and then the destination is a summand. */
#define SHIFTED(name, sign)                                                                                            \
    ARITHMETIC(do_##name##N, shift_signed(a sign b, o->aux))                                                           \
    ARITHMETIC(do_##name##uN, (a sign b) >> o->aux)                                                                    \
    ARITHMETIC(do_##name##RN, shift_signed((a sign b) + half(o->aux), o->aux))                                         \
    ARITHMETIC(do_##name##uRN, ((a sign b) + half(o->aux)) >> o->aux)                                                  \
    ARITHMETIC(do_##name##Nr, shift_signed(d sign a, b & 31U))                                                         \
    ARITHMETIC(do_##name##uNr, (d sign a) >> (b & 31U))                                                                \
    ARITHMETIC(do_##name##RNr, shift_signed((d sign a) + half(b & 31U), b & 31U))                                      \
    ARITHMETIC(do_##name##uRNr, ((d sign a) + half(b & 31U)) >> (b & 31U))

SHIFTED(add, +)
SHIFTED(sub, -)

/* --- hardware loops: `aux` is the loop ------------------------------------------------------------------------------------------------ */

static inline uint32_t begin_loop(machine *m, core *c, loop *l, uint32_t end, uint32_t count)
{
    if (end <= c->pc + 4U) { /* fewer than two instructions */
        return fail(m, c, WRONG_LOOP, end, 1);
    }
    l->start = c->pc + 4U;
    l->end = end;
    l->count = count;
    return 0;
}

HANDLER(do_lp_starti)
{
    UNUSED_MACHINE;
    c->loops[o->aux].start = c->pc + 2U * (uint32_t)o->imm;
    return 0;
}

HANDLER(do_lp_endi)
{
    UNUSED_MACHINE;
    c->loops[o->aux].end = c->pc + 2U * (uint32_t)o->imm;
    return 0;
}

HANDLER(do_lp_count)
{
    UNUSED_MACHINE;
    c->loops[o->aux].count = c->r[o->rs1];
    return 0;
}

HANDLER(do_lp_counti)
{
    UNUSED_MACHINE;
    c->loops[o->aux].count = (uint32_t)o->imm;
    return 0;
}

HANDLER(do_lp_setup)
{
    return begin_loop(m, c, &c->loops[o->aux], c->pc + 2U * (uint32_t)o->imm, c->r[o->rs1]);
}

/* Its end is in the field of rs1. */
HANDLER(do_lp_setupi)
{
    return begin_loop(m, c, &c->loops[o->aux & 1U], c->pc + 2U * (uint32_t)(o->aux >> 1), (uint32_t)o->imm);
}

#endif
