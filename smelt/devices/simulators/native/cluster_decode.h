/* From bits to an `op`: compressed instructions become the ones they stand for, operands are taken apart once per address. */
#ifndef CLUSTER_DECODE_H
#define CLUSTER_DECODE_H

#include "cluster_table.h"

static inline uint32_t bits(uint32_t word, uint32_t low, uint32_t width) { return (word >> low) & ones(width); }
static inline uint32_t widened(uint32_t value, uint32_t width) { return signed_field(value, 0, width); }

/* Where bits of a scattered immediate come from and go to. */
static inline uint32_t moved(uint32_t word, uint32_t from, uint32_t width, uint32_t to) { return bits(word, from, width) << to; }

static uint32_t i_word(uint32_t opcode, uint32_t f3, uint32_t rd, uint32_t rs1, uint32_t imm)
{
    return opcode | rd << 7 | f3 << 12 | rs1 << 15 | imm << 20;
}

static uint32_t r_word(uint32_t f3, uint32_t f7, uint32_t rd, uint32_t rs1, uint32_t rs2)
{
    return i_word(0x33, f3, rd, rs1, rs2 | f7 << 5);
}

static uint32_t s_word(uint32_t f3, uint32_t rs1, uint32_t rs2, uint32_t imm)
{
    return i_word(0x23, f3, imm & 31U, rs1, rs2 | (imm >> 5) << 5);
}

static uint32_t b_word(uint32_t f3, uint32_t rs1, uint32_t imm)
{
    return i_word(0x63, f3, moved(imm, 11, 1, 0) | moved(imm, 1, 4, 1), rs1, moved(imm, 5, 6, 5) | moved(imm, 12, 1, 11));
}

static uint32_t j_word(uint32_t rd, uint32_t imm)
{
    return 0x6FU | rd << 7 | moved(imm, 12, 8, 12) | moved(imm, 11, 1, 20) | moved(imm, 1, 10, 21) | moved(imm, 20, 1, 31);
}

static uint32_t jump_distance(uint32_t h)
{
    const uint32_t imm = moved(h, 3, 3, 1) | moved(h, 11, 1, 4) | moved(h, 2, 1, 5) | moved(h, 7, 1, 6) | moved(h, 6, 1, 7) |
                         moved(h, 9, 2, 8) | moved(h, 8, 1, 10) | moved(h, 12, 1, 11);
    return widened(imm, 12);
}

static uint32_t branch_distance(uint32_t h)
{
    const uint32_t imm =
        moved(h, 3, 2, 1) | moved(h, 10, 2, 3) | moved(h, 2, 1, 5) | moved(h, 5, 2, 6) | moved(h, 12, 1, 8);
    return widened(imm, 9);
}

/* Quadrant 0: loads and stores of the eight usual registers. 0 is no instruction, here and below. */
static uint32_t expanded_0(uint32_t h)
{
    const uint32_t rd = 8U + bits(h, 2, 3), rs1 = 8U + bits(h, 7, 3);
    const uint32_t word = moved(h, 6, 1, 2) | moved(h, 10, 3, 3) | moved(h, 5, 1, 6);
    const uint32_t up = moved(h, 6, 1, 2) | moved(h, 5, 1, 3) | moved(h, 11, 2, 4) | moved(h, 7, 4, 6);
    switch (bits(h, 13, 3)) {
    case 0:
        return up ? i_word(0x13, 0, rd, 2, up) : 0;
    case 2:
        return i_word(0x03, 2, rd, rs1, word);
    case 6:
        return s_word(2, rs1, rd, word);
    default:
        return 0;
    }
}

static uint32_t expanded_arithmetic(uint32_t h, uint32_t imm)
{
    static const uint8_t functions[4] = {0, 4, 6, 7};
    const uint32_t rd = 8U + bits(h, 7, 3), rs2 = 8U + bits(h, 2, 3), kind = bits(h, 5, 2);
    switch (bits(h, 10, 2)) {
    case 0:
        return bits(h, 12, 1) ? 0 : i_word(0x13, 5, rd, rd, imm & 31U);
    case 1:
        return bits(h, 12, 1) ? 0 : i_word(0x13, 5, rd, rd, (imm & 31U) | 0x400U);
    case 2:
        return i_word(0x13, 7, rd, rd, imm);
    default:
        return bits(h, 12, 1) ? 0 : r_word(functions[kind], kind ? 0U : 0x20U, rd, rd, rs2);
    }
}

static uint32_t expanded_1(uint32_t h)
{
    const uint32_t rd = bits(h, 7, 5), imm = widened(bits(h, 2, 5) | moved(h, 12, 1, 5), 6);
    const uint32_t stack =
        moved(h, 6, 1, 4) | moved(h, 2, 1, 5) | moved(h, 5, 1, 6) | moved(h, 3, 2, 7) | moved(h, 12, 1, 9);
    switch (bits(h, 13, 3)) {
    case 0:
        return i_word(0x13, 0, rd, rd, imm);
    case 1:
        return j_word(1, jump_distance(h));
    case 2:
        return i_word(0x13, 0, rd, 0, imm);
    case 3:
        return !imm ? 0 : rd == 2 ? i_word(0x13, 0, 2, 2, widened(stack, 10)) : (imm << 12 | rd << 7 | 0x37U);
    case 4:
        return expanded_arithmetic(h, imm);
    case 5:
        return j_word(0, jump_distance(h));
    default:
        return b_word(bits(h, 13, 1), 8U + bits(h, 7, 3), branch_distance(h));
    }
}

static uint32_t expanded_2(uint32_t h)
{
    const uint32_t rd = bits(h, 7, 5), rs2 = bits(h, 2, 5), high = bits(h, 12, 1);
    switch (bits(h, 13, 3)) {
    case 0:
        return high ? 0 : i_word(0x13, 1, rd, rd, rs2);
    case 2:
        return rd ? i_word(0x03, 2, rd, 2, moved(h, 4, 3, 2) | moved(h, 12, 1, 5) | moved(h, 2, 2, 6)) : 0;
    case 4:
        if (rs2) {
            return r_word(0, 0, rd, high ? rd : 0U, rs2);
        }
        return rd ? i_word(0x67, 0, high, rd, 0) : high ? 0x00100073U : 0;
    case 6:
        return s_word(2, 2, rs2, moved(h, 9, 4, 2) | moved(h, 7, 2, 6));
    default:
        return 0;
    }
}

static uint32_t expanded(uint32_t h)
{
    return (h & 3U) == 0 ? expanded_0(h) : (h & 3U) == 1 ? expanded_1(h) : expanded_2(h);
}

static const row *find_row(uint32_t word)
{
    for (uint32_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        if ((word & ROWS[i].mask) == ROWS[i].match) {
            return &ROWS[i];
        }
    }
    return NULL;
}

/* --- operands ------------------------------------------------------------------------------------------------------------------- */

enum { READS_1 = 1, READS_2 = 2, READS_D = 4, WRITES_D = 8 };

static uint32_t roles(format f)
{
    switch (f) {
    case F_R: case F_SC_B: case F_SC_H: case F_N:
        return READS_1 | READS_2 | WRITES_D;
    case F_ACC: case F_SC_B_ACC: case F_SC_H_ACC: case F_N_ACC:
        return READS_1 | READS_2 | READS_D | WRITES_D;
    case F_BITS_ACC: case F_IMM6_ACC: case F_SCI_B_ACC: case F_SCI_H_ACC: case F_SCIU_B_ACC: case F_SCIU_H_ACC:
        return READS_1 | READS_D | WRITES_D;
    case F_S: case F_B:
        return READS_1 | READS_2;
    case F_S3:
        return READS_1 | READS_2 | READS_D;
    case F_BI: case F_LOOP:
        return READS_1;
    case F_U: case F_J: case F_CSR_IMM:
        return WRITES_D;
    case F_NONE: case F_LOOP_SHORT:
        return 0;
    default:
        return READS_1 | WRITES_D;
    }
}

static uint32_t six(uint32_t word) { return bits(word, 20, 5) << 1 | bits(word, 25, 1); }

static void set_immediate(op *o, uint32_t word, format f)
{
    uint32_t imm = widened(word >> 20, 12), aux = 0;
    switch (f) {
    case F_SHIFT:
        imm = bits(word, 20, 5);
        break;
    case F_S:
        imm = widened(bits(word, 7, 5) | moved(word, 25, 7, 5), 12);
        break;
    case F_S3:
        aux = bits(word, 7, 5);
        break;
    case F_BI: case F_B:
        imm = widened(moved(word, 8, 4, 1) | moved(word, 25, 6, 5) | moved(word, 7, 1, 11) | moved(word, 31, 1, 12), 13);
        aux = widened(bits(word, 20, 5), 5);
        break;
    case F_U:
        imm = word & 0xFFFFF000U;
        break;
    case F_J:
        imm = widened(moved(word, 21, 10, 1) | moved(word, 20, 1, 11) | moved(word, 12, 8, 12) | moved(word, 31, 1, 20), 21);
        break;
    case F_BITS: case F_BITS_ACC:
        imm = bits(word, 20, 5);
        aux = bits(word, 25, 5);
        break;
    case F_N: case F_N_ACC:
        aux = bits(word, 25, 5);
        break;
    case F_IMM6: case F_IMM6_ACC:
        imm = six(word);
        break;
    case F_SC_B: case F_SC_H: case F_SC_B_ACC: case F_SC_H_ACC:
        aux = SCALAR;
        break;
    case F_SCI_B: case F_SCI_B_ACC:
        imm = zero_8(widened(six(word), 6)) * 0x01010101U, aux = IMMEDIATE;
        break;
    case F_SCI_H: case F_SCI_H_ACC:
        imm = zero_16(widened(six(word), 6)) * 0x00010001U, aux = IMMEDIATE;
        break;
    case F_SCIU_B: case F_SCIU_B_ACC:
        imm = six(word) * 0x01010101U, aux = IMMEDIATE;
        break;
    case F_SCIU_H: case F_SCIU_H_ACC:
        imm = six(word) * 0x00010001U, aux = IMMEDIATE;
        break;
    case F_LOOP:
        imm = word >> 20, aux = bits(word, 7, 1);
        break;
    case F_LOOP_SHORT:
        imm = word >> 20, aux = bits(word, 7, 1) | bits(word, 15, 5) << 1;
        break;
    case F_CSR: case F_CSR_IMM:
        imm = word >> 20, aux = bits(word, 15, 5);
        break;
    default:
        break;
    }
    o->imm = (int32_t)imm;
    o->aux = (uint8_t)aux;
}

static uint32_t one_bit(uint32_t number) { return number ? 1U << number : 0U; } /* of a register; nobody waits for x0 */

/* Decode the instruction at `at`, whose 32 bits `word` are; returns whether there is one. */
static int decode(op *o, uint32_t word)
{
    const uint32_t is_short = (word & 3U) != 3U;
    const uint32_t full = is_short ? expanded(word & 0xFFFFU) : word;
    const row *found = full ? find_row(full) : NULL;
    if (!found) {
        return 0;
    }
    const uint32_t role = roles(found->form), rd = bits(full, 7, 5), rs1 = bits(full, 15, 5), rs2 = bits(full, 20, 5);
    const uint32_t opcode = full & OPCODE;
    const int posts = opcode == 0x0BU || opcode == 0x2BU; /* the pointer is written as well */
    o->rd = (uint8_t)(role & WRITES_D && rd ? rd : NO_REGISTER);
    o->rs1 = (uint8_t)rs1;
    o->rs2 = (uint8_t)rs2;
    o->size = is_short ? 2 : 4;
    o->uses = (role & READS_1 ? one_bit(rs1) : 0U) | (role & READS_2 ? one_bit(rs2) : 0U) | (role & READS_D ? one_bit(rd) : 0U);
    o->loads = opcode == 0x03U || opcode == 0x0BU ? one_bit(rd) : 0U;
    o->writes = (role & WRITES_D ? one_bit(rd) : 0U) | (posts ? one_bit(rs1) : 0U);
    o->moves_stack = rd == 2 && o->rd == 2 && opcode != 0x37U && opcode != 0x17U; /* not the first half of an address */
    o->is_jump = opcode == 0x63U || opcode == 0x6FU || opcode == 0x67U;
    set_immediate(o, full, found->form);
    o->run = found->run;
    return 1;
}

#endif
