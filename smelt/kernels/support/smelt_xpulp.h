/* XpulpV2, the extension of RISC-V that RI5CY has: the functions that are named after an instruction, as that instruction, and the
 * instructions as text for routines. Compilers do not know them; all assemblers take `.insn`.
 *
 * It is included before all others, and only in what is made for a core that has these instructions: no compiler tells.
 */
#ifndef SMELT_XPULP_H
#define SMELT_XPULP_H

#if !defined(SMELT_HAS_XPULP) && defined(__riscv) && defined(__GNUC__)
#if __riscv_xlen == 32
#define SMELT_HAS_XPULP 1
#endif
#endif

#ifndef SMELT_HAS_XPULP
#define SMELT_HAS_XPULP 0
#endif

#include "smelt_kernels.h"

#if SMELT_HAS_XPULP

/* Loads and stores that move their pointer: by a number, or by a register. */
#define SMELT_LOAD(to, pointer, by) ".insn i 0x0b,2," #to "," #pointer "," #by "\n"
#define SMELT_LOAD_BY(to, pointer, by) ".insn r 0x0b,7,0x10," #to "," #pointer "," #by "\n"
#define SMELT_LOAD_BYTE_BY(to, pointer, by) ".insn r 0x0b,7,0x20," #to "," #pointer "," #by "\n"
#define SMELT_STORE(value, pointer, by) ".insn s 0x2b,2," #value "," #by "(" #pointer ")\n"
#define SMELT_STORE_BY(value, pointer, by) ".insn r 0x2b,6,0," #by "," #pointer "," #value "\n"
#define SMELT_STORE_BYTE(value, pointer, by) ".insn s 0x2b,0," #value "," #by "(" #pointer ")\n"
#define SMELT_STORE_BYTE_BY(value, pointer, by) ".insn r 0x2b,4,0," #by "," #pointer "," #value "\n"

/* pv.sdotsp.b and pv.dotsp.b: the products of four bytes with sign, added to a sum or alone. */
#define SMELT_ADD_DOT(sum, a, b) ".insn r 0x57,1,0x5c," #sum "," #a "," #b "\n"
#define SMELT_DOT(sum, a, b) ".insn r 0x57,1,0x4c," #sum "," #a "," #b "\n"

/* pv.sdotsp.h: the same of two halves. */
#define SMELT_ADD_HALVES(sum, a, b) ".insn r 0x57,0,0x5c," #sum "," #a "," #b "\n"

/* p.mac: sum += a * b. p.clipur: x, at least 0 and at most `most`. */
#define SMELT_MAC(sum, a, b) ".insn r 0x33,0,0x21," #sum "," #a "," #b "\n"
#define SMELT_LIMIT(x, most) ".insn r 0x33,6,0x0a," #x "," #x "," #most "\n"

/* p.addNr, p.addN: (x + a) >> shift. p.clip 8: the nearest int8. pv.packlo.b, pv.packhi.b: two bytes into the lower or the upper half. */
#define SMELT_ADD_SHIFT(x, a, shift) ".insn r 0x5b,2,0x20," #x "," #a "," #shift "\n"
#define SMELT_ADD_SHIFT_24(to, x, a) ".insn r 0x5b,2,24," #to "," #x "," #a "\n"
#define SMELT_CLIP_TO(to, x) ".insn r 0x33,1,0x0a," #to "," #x ",x8\n"
#define SMELT_CLIP(x) SMELT_CLIP_TO(x, x)
#define SMELT_LOW_BYTES(to, b0, b1) ".insn r 0x57,1,0x70," #to "," #b1 "," #b0 "\n"
#define SMELT_HIGH_BYTES(to, b2, b3) ".insn r 0x57,1,0x6c," #to "," #b3 "," #b2 "\n"

/* pv.sll.sci.b, pv.sra.sci.b: each byte shifted by an even number of bits, to the left or with its sign to the right. */
#define SMELT_BYTES_LEFT(to, x, by) ".insn r 0x57,7,0x28," #to "," #x ",x" SMELT_HALF_OF_##by "\n"
#define SMELT_BYTES_RIGHT(to, x, by) ".insn r 0x57,7,0x24," #to "," #x ",x" SMELT_HALF_OF_##by "\n"
#define SMELT_HALF_OF_2 "1"
#define SMELT_HALF_OF_4 "2"
#define SMELT_HALF_OF_6 "3"

/* lp.setup: a loop of `length` instructions behind the one that sets it up; `level` is x0, or x1 for the outer one of two. */
#define SMELT_REPEAT(level, count, length) ".insn i 0x7b,4," #level "," #count ",2*" #length "\n"

#define SMELT_BEGIN ".balign 4\n.option push\n.option norvc\n"
#define SMELT_END ".option pop\n"

/* p.clip: the nearest int8. */
SMELT_INLINE int32_t smelt_clip_byte(int32_t x)
{
    int32_t result;
    __asm__(".insn r 0x33, 1, 0x0a, %0, %1, x8" : "=r"(result) : "r"(x));
    return result;
}

#define smelt_ssat8(x) smelt_clip_byte(x)

/* pv.max.b, pv.min.b: the greater, or the smaller, one of each pair of bytes. */
SMELT_INLINE int32_t smelt_max_bytes(int32_t a, int32_t b)
{
    int32_t result;
    __asm__(".insn r 0x57, 1, 0x18, %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
}

SMELT_INLINE int32_t smelt_min_bytes(int32_t a, int32_t b)
{
    int32_t result;
    __asm__(".insn r 0x57, 1, 0x10, %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
}

#endif

#endif
