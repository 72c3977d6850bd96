/* Bytes moved beside the core by the MDMA of an STM32H7: a move is started, then waited for. Between the two, nobody may write
 * what is read, and nobody touch what is written.
 *
 * `channel` is the address of the channel's first register (CISR). The MDMA must have its clock. Compiled with SMELT_WITHOUT_DMA
 * defined, the core copies when a move is started, for other chips and for the host.
 *
 * The MDMA does not see the data cache. Where the core has written what is moved, smelt_clean it first; where it will read what
 * was moved, smelt_clean the target before the move and smelt_discard it after, and let it begin and end at a multiple of 32 bytes, or
 * the core write nothing there in between. None of this for the tightly coupled memories, which are not cached, and for flash, which
 * nobody writes.
 */
#ifndef SMELT_STM32_MDMA_H
#define SMELT_STM32_MDMA_H

#include "smelt_kernels.h"

#ifndef SMELT_MOVE_FAILED /* the MDMA has reported an error: an address that it cannot reach */
#if defined(__GNUC__)
#define SMELT_MOVE_FAILED() __builtin_trap()
#else
#define SMELT_MOVE_FAILED() for (;;) continue
#endif
#endif

#if defined(SMELT_WITHOUT_DMA)

SMELT_INLINE void smelt_mdma_on(uint32_t address, uint32_t bits)
{
    (void)address;
    (void)bits;
}

SMELT_INLINE void smelt_mdma_move(uint32_t channel, void *to, const void *from, uint32_t row, uint32_t rows,
                                  uint32_t to_pitch, uint32_t from_pitch)
{
    (void)channel;
    for (uint32_t i = 0U; i < rows; i++) {
        memcpy((uint8_t *)to + i * to_pitch, (const uint8_t *)from + i * from_pitch, row);
    }
}

SMELT_SHARED void smelt_mdma_carry(uint32_t channel, void *to, const void *from, uint32_t row, uint32_t rows,
                                   uint32_t to_pitch, uint32_t from_pitch)
{
    smelt_mdma_move(channel, to, from, row, rows, to_pitch, from_pitch);
}

SMELT_INLINE void smelt_mdma_wait(uint32_t channel)
{
    (void)channel;
}

SMELT_INLINE void smelt_clean(const void *from, uint32_t bytes)
{
    (void)from;
    (void)bytes;
}

SMELT_INLINE void smelt_discard(const void *from, uint32_t bytes)
{
    (void)from;
    (void)bytes;
}

#else

#define SMELT_REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* Its clock, say: bits of a register of the chip that must be set. */
SMELT_INLINE void smelt_mdma_on(uint32_t address, uint32_t bits)
{
    SMELT_REGISTER(address) |= bits;
    (void)SMELT_REGISTER(address); /* and be there before the next access */
}

/* Whether an address is reached through the port of the tightly coupled memories. */
SMELT_INLINE uint32_t smelt_is_tightly_coupled(uint32_t address)
{
    return (address & 0xDF000000U) == 0U;
}

/* The exponent of the largest power of two that divides `bits`, and is not above `most`, a power of two. */
SMELT_INLINE uint32_t smelt_exponent(uint32_t bits, uint32_t most)
{
    uint32_t exponent = 0U;
    for (bits |= most; (bits & 1U) == 0U; bits >>= 1) {
        exponent++;
    }
    return exponent;
}

/* CTCR's exponents for one side: bits 0 to 1 those of the unit, from bit 8 on those of the beats of a burst. Bursts are aligned
   to their size, so that none crosses a boundary. */
SMELT_INLINE uint32_t smelt_mdma_side(uint32_t start, uint32_t row, uint32_t pitch)
{
    const uint32_t narrow = smelt_is_tightly_coupled(start) || start >> 28 == 3U; /* TCM, SRAM1 to SRAM4: 32 bits */
    const uint32_t unit = smelt_exponent(start | row | pitch, narrow ? 4U : 8U);
    const uint32_t burst = smelt_exponent(start | pitch, 16U << unit > 128U ? 128U : 16U << unit) - unit;
    return unit | burst << 8;
}

/* Start to move `rows` rows of `row` bytes, up to 65,536, which begin `to_pitch` and `from_pitch` bytes after each other. Each
   pitch differs from `row` by less than 65,536. */
SMELT_INLINE void smelt_mdma_move(uint32_t channel, void *to, const void *from, uint32_t row, uint32_t rows,
                                  uint32_t to_pitch, uint32_t from_pitch)
{
    const uint32_t target = (uint32_t)(uintptr_t)to, source = (uint32_t)(uintptr_t)from;
    const uint32_t of_target = smelt_mdma_side(target, row, rows > 1U ? to_pitch : row);
    const uint32_t of_source = smelt_mdma_side(source, row, rows > 1U ? from_pitch : row);
    const uint32_t write = of_target & 3U, read = of_source & 3U;
    const uint32_t back = (to_pitch < row ? 1U << 19 : 0U) | (from_pitch < row ? 1U << 18 : 0U);
    const uint32_t after = to_pitch < row ? row - to_pitch : to_pitch - row;
    const uint32_t behind = from_pitch < row ? row - from_pitch : from_pitch - row;
    SMELT_REGISTER(channel + 0x10U) = /* CTCR: both sides rise; buffers of 128 bytes, packed; all by one request, the program's */
        2U | 2U << 2 | read << 4 | write << 6 | read << 8 | write << 10 | of_source >> 8 << 12 | of_target >> 8 << 15 |
        127U << 18 | 1U << 25 | 3U << 28 | 1U << 30 | 1U << 31;
    SMELT_REGISTER(channel + 0x14U) = row | back | (rows - 1U) << 20;                 /* CBNDTR */
    SMELT_REGISTER(channel + 0x18U) = source;                                         /* CSAR */
    SMELT_REGISTER(channel + 0x1CU) = target;                                         /* CDAR */
    SMELT_REGISTER(channel + 0x20U) = rows > 1U ? behind | after << 16 : 0U;          /* CBRUR */
    SMELT_REGISTER(channel + 0x28U) =                                                 /* CTBR */
        smelt_is_tightly_coupled(source) << 16 | smelt_is_tightly_coupled(target) << 17;
#ifdef __arm__
    __asm__ volatile("dsb" ::: "memory"); /* what the core has written is there */
#endif
    SMELT_REGISTER(channel + 0x0CU) = 1U; /* CCR: on; then the request */
    SMELT_REGISTER(channel + 0x0CU) = 1U | 1U << 16;
}

/* The same as a function, for programs with many moves. */
SMELT_SHARED void smelt_mdma_carry(uint32_t channel, void *to, const void *from, uint32_t row, uint32_t rows,
                                   uint32_t to_pitch, uint32_t from_pitch)
{
    smelt_mdma_move(channel, to, from, row, rows, to_pitch, from_pitch);
}

/* Wait until the move of a channel is over. */
SMELT_INLINE void smelt_mdma_wait(uint32_t channel)
{
    uint32_t flags;
    do {
        flags = SMELT_REGISTER(channel);
    } while ((flags & 3U) == 0U);
    if (flags & 1U) {
        SMELT_MOVE_FAILED();
    }
    SMELT_REGISTER(channel + 4U) = 0x1FU;
    __asm__ volatile("dmb" ::: "memory");
}

/* Write back to memory what the data cache has of these bytes. */
SMELT_INLINE void smelt_clean(const void *from, uint32_t bytes)
{
    const uint32_t first = (uint32_t)(uintptr_t)from & ~31U, end = (uint32_t)(uintptr_t)from + bytes;
    __asm__ volatile("dsb" ::: "memory");
    for (uint32_t line = first; line < end; line += 32U) {
        SMELT_REGISTER(0xE000EF68U) = line; /* DCCMVAC */
    }
    __asm__ volatile("dsb" ::: "memory");
}

/* Let the data cache forget the lines of these bytes. What else is in the first and the last line must have been written back. */
SMELT_INLINE void smelt_discard(const void *from, uint32_t bytes)
{
    const uint32_t first = (uint32_t)(uintptr_t)from & ~31U, end = (uint32_t)(uintptr_t)from + bytes;
    __asm__ volatile("dsb" ::: "memory");
    for (uint32_t line = first; line < end; line += 32U) {
        SMELT_REGISTER(0xE000EF5CU) = line; /* DCIMVAC */
    }
    __asm__ volatile("dsb" ::: "memory");
}

#endif

#endif
