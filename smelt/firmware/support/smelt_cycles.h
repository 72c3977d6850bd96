/* The core's own counter of cycles, 32 bits of it; 0 for ever on cores that have none. */
#ifndef SMELT_CYCLES_H
#define SMELT_CYCLES_H

#include "smelt_board.h"

#include <stdint.h>

#if SMELT_CYCLE_COUNTER

#define SMELT_WORD(address) (*(volatile uint32_t *)(address))
#define SMELT_DEMCR SMELT_WORD(0xE000EDFCU)
#define SMELT_DWT_CTRL SMELT_WORD(0xE0001000U)
#define SMELT_DWT_CYCCNT SMELT_WORD(0xE0001004U)
#define SMELT_DWT_LAR SMELT_WORD(0xE0001FB0U)

static inline uint32_t smelt_cycles(void)
{
    __asm__ volatile("dsb\n isb" ::: "memory");
    return SMELT_DWT_CYCCNT;
}

static inline void smelt_start_counter(void)
{
    SMELT_DEMCR |= 1U << 24;
    SMELT_DWT_LAR = 0xC5ACCE55U; /* where the counter has a lock, and no debugger has opened it */
    SMELT_DWT_CYCCNT = 0U;
    SMELT_DWT_CTRL |= 1U;
}

#elif defined(SMELT_CYCLE_CSR)

/* Three registers: which event, whether it is counted, how often it was. */
#define SMELT_CSR(what) ".option push\n .option arch, +zicsr\n " what "\n .option pop"

static inline uint32_t smelt_cycles(void)
{
    uint32_t count;
    __asm__ volatile(SMELT_CSR("csrr %0, %1") : "=r"(count) : "i"(SMELT_CYCLE_CSR + 2) : "memory");
    return count;
}

static inline void smelt_start_counter(void)
{
    __asm__ volatile(SMELT_CSR("csrw %0, %1") ::"i"(SMELT_CYCLE_CSR), "r"(1));
    __asm__ volatile(SMELT_CSR("csrw %0, %1") ::"i"(SMELT_CYCLE_CSR + 1), "r"(1));
}

#else

static inline uint32_t smelt_cycles(void)
{
    return 0U;
}

static inline void smelt_start_counter(void)
{
}

#endif

#endif
