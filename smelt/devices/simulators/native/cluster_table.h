/* Every instruction: its bits, its name, its handler and how its operands are encoded. The first row that fits is the instruction. */
#ifndef CLUSTER_TABLE_H
#define CLUSTER_TABLE_H

#include "cluster_simd.h"
#include "cluster_system.h"

/* Operands. What is in brackets lies in fields that are usually something else's. */
typedef enum {
    F_NONE,
    F_R,          /* rd, rs1, rs2 */
    F_R1,         /* rd, rs1 */
    F_ACC,        /* rd, rs1, rs2; rd is read as well */
    F_I,          /* rd, rs1, signed immediate */
    F_SHIFT,      /* rd, rs1, number [rs2] */
    F_S,          /* rs1, rs2, signed immediate */
    F_S3,         /* rs1, rs2, a third source [rd] */
    F_B,          /* rs1, rs2, distance */
    F_BI,         /* rs1, small signed number [rs2], distance */
    F_U,          /* rd, upper immediate */
    F_J,          /* rd, distance */
    F_BITS,       /* rd, rs1, lowest bit [rs2], width - 1 [funct7] */
    F_BITS_ACC,   /* the same, rd is read as well */
    F_N,          /* rd, rs1, rs2, shift [funct7] */
    F_N_ACC,      /* the same, rd is read as well */
    F_IMM6,       /* rd, rs1, six bits without a sign [rs2, funct7] */
    F_IMM6_ACC,   /* the same, rd is read as well */
    F_SC_B, F_SC_H, F_SC_B_ACC, F_SC_H_ACC,             /* a scalar as the second vector */
    F_SCI_B, F_SCI_H, F_SCI_B_ACC, F_SCI_H_ACC,         /* six signed bits as the second vector */
    F_SCIU_B, F_SCIU_H, F_SCIU_B_ACC, F_SCIU_H_ACC,     /* without a sign */
    F_LOOP,       /* loop [rd], rs1, immediate without a sign */
    F_LOOP_SHORT, /* loop [rd], end [rs1], count */
    F_CSR,        /* rd, rs1, register [immediate] */
    F_CSR_IMM     /* rd, number [rs1], register [immediate] */
} format;

typedef struct {
    uint32_t mask, match;
    const char *name;
    handler run;
    format form;
} row;

#define OPCODE 0x0000007FU
#define FUNCT3 0x00007000U
#define RS2 0x01F00000U
#define FUNCT7 0xFE000000U
#define FUNCT6 0xFC000000U
#define TOP2 0xC0000000U
#define LOOP_FIELD 0x00000F00U
#define BITS(opcode, f3, f7) ((uint32_t)(opcode) | (uint32_t)(f3) << 12 | (uint32_t)(f7) << 25)

#define I_ROW(name, opcode, f3, run, form) {OPCODE | FUNCT3, BITS(opcode, f3, 0), name, run, form},
#define R_ROW(name, opcode, f3, f7, run, form) {OPCODE | FUNCT3 | FUNCT7, BITS(opcode, f3, f7), name, run, form},
#define R1_ROW(name, opcode, f3, f7, run) {OPCODE | FUNCT3 | FUNCT7 | RS2, BITS(opcode, f3, f7), name, run, F_R1},
#define TOP_ROW(name, opcode, f3, f7, run, form) {OPCODE | FUNCT3 | TOP2, BITS(opcode, f3, f7), name, run, form},
#define LOOP_ROW(name, f3, run, form) {OPCODE | FUNCT3 | LOOP_FIELD, BITS(0x7B, f3, 0), name, run, form},
#define EXACT(name, word, run) {0xFFFFFFFFU, word, name, run, F_NONE},
#define PV_ROW(name, f3, f7, run, form) {OPCODE | FUNCT3 | FUNCT6, BITS(0x57, f3, f7), name, run, form},

/* The six forms of an instruction on vectors; `sci`: how its immediates are meant. */
#define PV(name, f7, run, sci)                                                                                         \
    PV_ROW("pv." name ".h", 0, f7, run##_h, F_R)                                                                       \
    PV_ROW("pv." name ".sc.h", 4, f7, run##_h, F_SC_H)                                                                 \
    PV_ROW("pv." name ".sci.h", 6, f7, run##_h, sci##_H)                                                               \
    PV_ROW("pv." name ".b", 1, f7, run##_b, F_R)                                                                       \
    PV_ROW("pv." name ".sc.b", 5, f7, run##_b, F_SC_B)                                                                 \
    PV_ROW("pv." name ".sci.b", 7, f7, run##_b, sci##_B)

#define PV_SUM(name, f7, run, sci)                                                                                     \
    PV_ROW("pv." name ".h", 0, f7, run##_h, F_ACC)                                                                     \
    PV_ROW("pv." name ".sc.h", 4, f7, run##_h, F_SC_H_ACC)                                                             \
    PV_ROW("pv." name ".sci.h", 6, f7, run##_h, sci##_H_ACC)                                                           \
    PV_ROW("pv." name ".b", 1, f7, run##_b, F_ACC)                                                                     \
    PV_ROW("pv." name ".sc.b", 5, f7, run##_b, F_SC_B_ACC)                                                             \
    PV_ROW("pv." name ".sci.b", 7, f7, run##_b, sci##_B_ACC)

#define LOADS_ROWS(letters, f3, f7, run)                                                                               \
    R_ROW("p." letters " rd,rs2(rs1)", 0x03, 7, f7, run##_by, F_R)                                                     \
    I_ROW("p." letters " rd,imm(rs1!)", 0x0B, f3, run##_post, F_I)                                                     \
    R_ROW("p." letters " rd,rs2(rs1!)", 0x0B, 7, f7, run##_post_by, F_R)

#define STORES_ROWS(letters, f3, run)                                                                                  \
    I_ROW("p." letters " rd,imm(rs1!)", 0x2B, f3, run##_post, F_S)                                                     \
    R_ROW("p." letters " rd,rs2(rs1!)", 0x2B, (f3) + 4, 0, run##_post_by, F_S3)                                        \
    R_ROW("p." letters " rd,rs2(rs1)", 0x23, (f3) + 4, 0, run##_by, F_S3)

#define PRODUCT_ROWS(letters, f7, f7_shifted, run)                                                                     \
    R_ROW("p.mul" letters, 0x5B, 0, f7, do_mul##run, F_N)                                                              \
    TOP_ROW("p.mul" f7_shifted, 0x5B, 0, f7, do_mul##run, F_N)                                                         \
    TOP_ROW("p.mul" letters "NR", 0x5B, 4, f7, do_mul##run##_round, F_N)                                               \
    R_ROW("p.mac" letters, 0x5B, 1, f7, do_mac##run, F_N_ACC)                                                          \
    TOP_ROW("p.mac" letters "N", 0x5B, 1, f7, do_mac##run, F_N_ACC)                                                    \
    TOP_ROW("p.mac" letters "NR", 0x5B, 5, f7, do_mac##run##_round, F_N_ACC)

#define SHIFTED_ROWS(letters, f3, run)                                                                                 \
    TOP_ROW("p." letters "N", 0x5B, f3, 0x00, run##N, F_N)                                                             \
    TOP_ROW("p." letters "uN", 0x5B, f3, 0x40, run##uN, F_N)                                                           \
    TOP_ROW("p." letters "RN", 0x5B, (f3) + 4, 0x00, run##RN, F_N)                                                     \
    TOP_ROW("p." letters "uRN", 0x5B, (f3) + 4, 0x40, run##uRN, F_N)                                                   \
    R_ROW("p." letters "Nr", 0x5B, f3, 0x20, run##Nr, F_ACC)                                                           \
    R_ROW("p." letters "uNr", 0x5B, f3, 0x60, run##uNr, F_ACC)                                                         \
    R_ROW("p." letters "RNr", 0x5B, (f3) + 4, 0x20, run##RNr, F_ACC)                                                   \
    R_ROW("p." letters "uRNr", 0x5B, (f3) + 4, 0x60, run##uRNr, F_ACC)

static const row ROWS[] = {
    /* RV32I */
    I_ROW("lb", 0x03, 0, do_lb, F_I)
    I_ROW("lh", 0x03, 1, do_lh, F_I)
    I_ROW("lw", 0x03, 2, do_lw, F_I)
    I_ROW("lbu", 0x03, 4, do_lbu, F_I)
    I_ROW("lhu", 0x03, 5, do_lhu, F_I)
    I_ROW("sb", 0x23, 0, do_sb, F_S)
    I_ROW("sh", 0x23, 1, do_sh, F_S)
    I_ROW("sw", 0x23, 2, do_sw, F_S)
    I_ROW("addi", 0x13, 0, do_addi, F_I)
    R_ROW("slli", 0x13, 1, 0x00, do_slli, F_SHIFT)
    I_ROW("slti", 0x13, 2, do_slti, F_I)
    I_ROW("sltiu", 0x13, 3, do_sltiu, F_I)
    I_ROW("xori", 0x13, 4, do_xori, F_I)
    R_ROW("srli", 0x13, 5, 0x00, do_srli, F_SHIFT)
    R_ROW("srai", 0x13, 5, 0x20, do_srai, F_SHIFT)
    I_ROW("ori", 0x13, 6, do_ori, F_I)
    I_ROW("andi", 0x13, 7, do_andi, F_I)
    R_ROW("add", 0x33, 0, 0x00, do_add, F_R)
    R_ROW("sub", 0x33, 0, 0x20, do_sub, F_R)
    R_ROW("sll", 0x33, 1, 0x00, do_sll, F_R)
    R_ROW("slt", 0x33, 2, 0x00, do_slt, F_R)
    R_ROW("sltu", 0x33, 3, 0x00, do_sltu, F_R)
    R_ROW("xor", 0x33, 4, 0x00, do_xor, F_R)
    R_ROW("srl", 0x33, 5, 0x00, do_srl, F_R)
    R_ROW("sra", 0x33, 5, 0x20, do_sra, F_R)
    R_ROW("or", 0x33, 6, 0x00, do_or, F_R)
    R_ROW("and", 0x33, 7, 0x00, do_and, F_R)
    I_ROW("beq", 0x63, 0, do_beq, F_B)
    I_ROW("bne", 0x63, 1, do_bne, F_B)
    I_ROW("p.beqimm", 0x63, 2, do_beqimm, F_BI)
    I_ROW("p.bneimm", 0x63, 3, do_bneimm, F_BI)
    I_ROW("blt", 0x63, 4, do_blt, F_B)
    I_ROW("bge", 0x63, 5, do_bge, F_B)
    I_ROW("bltu", 0x63, 6, do_bltu, F_B)
    I_ROW("bgeu", 0x63, 7, do_bgeu, F_B)
    {OPCODE, 0x37, "lui", do_lui, F_U},
    {OPCODE, 0x17, "auipc", do_auipc, F_U},
    {OPCODE, 0x6F, "jal", do_jal, F_J},
    I_ROW("jalr", 0x67, 0, do_jalr, F_I)
    I_ROW("fence", 0x0F, 0, do_fence, F_NONE)
    I_ROW("fence.i", 0x0F, 1, do_fence, F_NONE)
    EXACT("ecall", 0x00000073U, do_ecall)
    EXACT("ebreak", 0x00100073U, do_ebreak)
    EXACT("mret", 0x30200073U, do_mret)
    EXACT("wfi", 0x10500073U, do_wfi)
    I_ROW("csrrw", 0x73, 1, do_csrrw, F_CSR)
    I_ROW("csrrs", 0x73, 2, do_csrrs, F_CSR)
    I_ROW("csrrc", 0x73, 3, do_csrrc, F_CSR)
    I_ROW("csrrwi", 0x73, 5, do_csrrwi, F_CSR_IMM)
    I_ROW("csrrsi", 0x73, 6, do_csrrsi, F_CSR_IMM)
    I_ROW("csrrci", 0x73, 7, do_csrrci, F_CSR_IMM)
    /* M */
    R_ROW("mul", 0x33, 0, 0x01, do_mul, F_R)
    R_ROW("mulh", 0x33, 1, 0x01, do_mulh, F_R)
    R_ROW("mulhsu", 0x33, 2, 0x01, do_mulhsu, F_R)
    R_ROW("mulhu", 0x33, 3, 0x01, do_mulhu, F_R)
    R_ROW("div", 0x33, 4, 0x01, do_div, F_R)
    R_ROW("divu", 0x33, 5, 0x01, do_divu, F_R)
    R_ROW("rem", 0x33, 6, 0x01, do_rem, F_R)
    R_ROW("remu", 0x33, 7, 0x01, do_remu, F_R)
    /* XpulpV2: loads, stores and loops */
    LOADS_ROWS("lb", 0, 0x00, do_lb)
    LOADS_ROWS("lh", 1, 0x08, do_lh)
    LOADS_ROWS("lw", 2, 0x10, do_lw)
    LOADS_ROWS("lbu", 4, 0x20, do_lbu)
    LOADS_ROWS("lhu", 5, 0x28, do_lhu)
    I_ROW("p.elw", 0x03, 6, do_elw, F_I)
    STORES_ROWS("sb", 0, do_sb)
    STORES_ROWS("sh", 1, do_sh)
    STORES_ROWS("sw", 2, do_sw)
    LOOP_ROW("lp.starti", 0, do_lp_starti, F_LOOP)
    LOOP_ROW("lp.endi", 1, do_lp_endi, F_LOOP)
    LOOP_ROW("lp.count", 2, do_lp_count, F_LOOP)
    LOOP_ROW("lp.counti", 3, do_lp_counti, F_LOOP)
    LOOP_ROW("lp.setup", 4, do_lp_setup, F_LOOP)
    LOOP_ROW("lp.setupi", 5, do_lp_setupi, F_LOOP_SHORT)
    /* XpulpV2: whole registers */
    R1_ROW("p.abs", 0x33, 0, 0x02, do_abs)
    R_ROW("p.avgu", 0x33, 1, 0x02, do_avgu, F_R)
    R_ROW("p.slet", 0x33, 2, 0x02, do_slet, F_R)
    R_ROW("p.sletu", 0x33, 3, 0x02, do_sletu, F_R)
    R_ROW("p.min", 0x33, 4, 0x02, do_min, F_R)
    R_ROW("p.minu", 0x33, 5, 0x02, do_minu, F_R)
    R_ROW("p.max", 0x33, 6, 0x02, do_max, F_R)
    R_ROW("p.maxu", 0x33, 7, 0x02, do_maxu, F_R)
    R_ROW("p.ror", 0x33, 5, 0x04, do_ror, F_R)
    R1_ROW("p.ff1", 0x33, 0, 0x08, do_ff1)
    R1_ROW("p.fl1", 0x33, 1, 0x08, do_fl1)
    R1_ROW("p.clb", 0x33, 2, 0x08, do_clb)
    R1_ROW("p.cnt", 0x33, 3, 0x08, do_cnt)
    R1_ROW("p.exths", 0x33, 4, 0x08, do_exths)
    R1_ROW("p.exthz", 0x33, 5, 0x08, do_exthz)
    R1_ROW("p.extbs", 0x33, 6, 0x08, do_extbs)
    R1_ROW("p.extbz", 0x33, 7, 0x08, do_extbz)
    R_ROW("p.mac", 0x33, 0, 0x21, do_mac, F_ACC)
    R_ROW("p.msu", 0x33, 1, 0x21, do_msu, F_ACC)
    R_ROW("p.clip", 0x33, 1, 0x0A, do_clip, F_SHIFT)
    R_ROW("p.clipu", 0x33, 2, 0x0A, do_clipu, F_SHIFT)
    R_ROW("p.clipr", 0x33, 5, 0x0A, do_clipr, F_R)
    R_ROW("p.clipur", 0x33, 6, 0x0A, do_clipur, F_R)
    TOP_ROW("p.extract", 0x33, 0, 0x60, do_extract, F_BITS)
    TOP_ROW("p.extractu", 0x33, 1, 0x60, do_extractu, F_BITS)
    TOP_ROW("p.insert", 0x33, 2, 0x60, do_insert, F_BITS_ACC)
    TOP_ROW("p.bclr", 0x33, 3, 0x60, do_bclr, F_BITS)
    TOP_ROW("p.bset", 0x33, 4, 0x60, do_bset, F_BITS)
    R_ROW("p.extractr", 0x33, 0, 0x40, do_extractr, F_R)
    R_ROW("p.extractur", 0x33, 1, 0x40, do_extractur, F_R)
    R_ROW("p.insertr", 0x33, 2, 0x40, do_insertr, F_ACC)
    R_ROW("p.bclrr", 0x33, 3, 0x40, do_bclrr, F_R)
    R_ROW("p.bsetr", 0x33, 4, 0x40, do_bsetr, F_R)
    PRODUCT_ROWS("s", 0x40, "sn", s)
    PRODUCT_ROWS("hhs", 0x60, "hhsN", hhs)
    PRODUCT_ROWS("u", 0x00, "uN", u)
    PRODUCT_ROWS("hhu", 0x20, "hhuN", hhu)
    SHIFTED_ROWS("add", 2, do_add)
    SHIFTED_ROWS("sub", 3, do_sub)
    /* XpulpV2: vectors */
    PV("add", 0x00, do_pv_add, F_SCI)
    PV("sub", 0x04, do_pv_sub, F_SCI)
    PV("avg", 0x08, do_pv_avg, F_SCI)
    PV("avgu", 0x0C, do_pv_avgu, F_SCIU)
    PV("min", 0x10, do_pv_min, F_SCI)
    PV("minu", 0x14, do_pv_minu, F_SCIU)
    PV("max", 0x18, do_pv_max, F_SCI)
    PV("maxu", 0x1C, do_pv_maxu, F_SCIU)
    PV("srl", 0x20, do_pv_srl, F_SCIU)
    PV("sra", 0x24, do_pv_sra, F_SCI)
    PV("sll", 0x28, do_pv_sll, F_SCIU)
    PV("or", 0x2C, do_pv_or, F_SCI)
    PV("xor", 0x30, do_pv_xor, F_SCI)
    PV("and", 0x34, do_pv_and, F_SCI)
    R_ROW("pv.abs.h", 0x57, 0, 0x38, do_pv_abs_h, F_R1)
    R_ROW("pv.abs.b", 0x57, 1, 0x38, do_pv_abs_b, F_R1)
    PV_ROW("pv.extract.h", 6, 0x3C, do_pv_extract_h, F_IMM6)
    PV_ROW("pv.extract.b", 7, 0x3C, do_pv_extract_b, F_IMM6)
    PV_ROW("pv.extractu.h", 6, 0x48, do_pv_extractu_h, F_IMM6)
    PV_ROW("pv.extractu.b", 7, 0x48, do_pv_extractu_b, F_IMM6)
    PV_ROW("pv.insert.h", 6, 0x58, do_pv_insert_h, F_IMM6_ACC)
    PV_ROW("pv.insert.b", 7, 0x58, do_pv_insert_b, F_IMM6_ACC)
    PV("dotsp", 0x4C, do_pv_dotsp, F_SCI)
    PV("dotup", 0x40, do_pv_dotup, F_SCIU)
    PV("dotusp", 0x44, do_pv_dotusp, F_SCI)
    PV_SUM("sdotsp", 0x5C, do_pv_sdotsp, F_SCI)
    PV_SUM("sdotup", 0x50, do_pv_sdotup, F_SCIU)
    PV_SUM("sdotusp", 0x54, do_pv_sdotusp, F_SCI)
    PV_ROW("pv.shuffle.h", 0, 0x60, do_pv_shuffle_h, F_R)
    PV_ROW("pv.shuffle.sci.h", 6, 0x60, do_pv_shuffle_sci_h, F_IMM6)
    PV_ROW("pv.shuffle.b", 1, 0x60, do_pv_shuffle_b, F_R)
    PV_ROW("pv.shuffleI0.b", 7, 0x60, do_pv_shuffle_i0, F_IMM6)
    PV_ROW("pv.shuffleI1.b", 7, 0x74, do_pv_shuffle_i1, F_IMM6)
    PV_ROW("pv.shuffleI2.b", 7, 0x78, do_pv_shuffle_i2, F_IMM6)
    PV_ROW("pv.shuffleI3.b", 7, 0x7C, do_pv_shuffle_i3, F_IMM6)
    PV_ROW("pv.shuffle2.h", 0, 0x64, do_pv_shuffle2_h, F_ACC)
    PV_ROW("pv.shuffle2.b", 1, 0x64, do_pv_shuffle2_b, F_ACC)
    R_ROW("pv.pack.h", 0x57, 0, 0x68, do_pv_pack_h, F_R)
    PV_ROW("pv.packhi.b", 1, 0x6C, do_pv_packhi_b, F_ACC)
    PV_ROW("pv.packlo.b", 1, 0x70, do_pv_packlo_b, F_ACC)
    PV("cmpeq", 0x02, do_pv_cmpeq, F_SCI)
    PV("cmpne", 0x06, do_pv_cmpne, F_SCI)
    PV("cmpgt", 0x0A, do_pv_cmpgt, F_SCI)
    PV("cmpge", 0x0E, do_pv_cmpge, F_SCI)
    PV("cmplt", 0x12, do_pv_cmplt, F_SCI)
    PV("cmple", 0x16, do_pv_cmple, F_SCI)
    PV("cmpgtu", 0x1A, do_pv_cmpgtu, F_SCIU)
    PV("cmpgeu", 0x1E, do_pv_cmpgeu, F_SCIU)
    PV("cmpltu", 0x22, do_pv_cmpltu, F_SCIU)
    PV("cmpleu", 0x26, do_pv_cmpleu, F_SCIU)
};

#endif
