/* A cluster of eight workers beside the core that runs main, the fabric controller: calls and forks, barriers, the DMA between L1 and
   L2, the memories outside of the chip, and the time. All of it is bare registers of PULP's event unit, MCHAN and uDMA.

   The controller calls smelt_cluster_start once, then smelt_cluster_call: a function runs on worker 0, and may fork to all of them. */
#ifndef SMELT_CLUSTER_H
#define SMELT_CLUSTER_H

#include <stddef.h>
#include <stdint.h>

#define SMELT_WORKERS 8U

/* Where variables of L1 are declared; nobody clears them. */
#define SMELT_L1 __attribute__((section(".bss.smelt.ram.l1")))
/* The same for L2 behind the code. */
#define SMELT_L2 __attribute__((section(".bss.smelt.ram.l2")))

#define SMELT_REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define SMELT_EVENTS 0x10204000U /* a worker's own view of the event unit, */
#define SMELT_DMA 0x10204400U    /* and of the DMA */
#define SMELT_TIMER 0x10200400U
#define SMELT_BARRIER_EVENT (1U << 16)
#define SMELT_DMA_EVENT (1U << 8)

typedef void (*smelt_task)(void *argument);

/* --- on the controller -------------------------------------------------------------------------------------------------------- */

/* Start the workers; they sleep until they are called. */
void smelt_cluster_start(void);

/* Run a function on worker 0 until it returns. Meanwhile the controller serves requests of memories outside. */
void smelt_cluster_call(smelt_task task, void *argument);

/* --- on worker 0 ----------------------------------------------------------------------------------------------------------------- */

/* Run a function on all workers, this one included, and go on when the last one has returned. */
void smelt_fork(smelt_task task, void *argument);

/* Ask for bytes from the RAM (from 0) or the flash (from 0x01000000) outside into L2, or for bytes of L2 to go to RAM. What is asked for
   comes in order, while the workers compute. The number is for smelt_outside_wait; nobody may touch the bytes before. Addresses of L2 and
   sizes must be multiples of four, addresses outside even, as the bus wants them. */
uint32_t smelt_outside_read(void *to, uint32_t from, uint32_t bytes);
uint32_t smelt_outside_write(uint32_t to, const void *from, uint32_t bytes);
void smelt_outside_wait(uint32_t number);

/* --- on every worker ------------------------------------------------------------------------------------------------------------- */

/* Which worker this is, from 0. */
static inline uint32_t smelt_worker_number(void)
{
    uint32_t hart;
    __asm__("csrr %0, 0xF14" : "=r"(hart));
    return hart & 31U;
}

/* A load that puts the core to sleep until the event unit answers: p.elw. */
static inline uint32_t smelt_sleep_at(uint32_t base, const uint32_t offset)
{
    uint32_t value;
    __asm__ volatile(".insn i 0x03, 6, %0, %1, %2" : "=r"(value) : "r"(base), "i"(offset) : "memory");
    return value;
}

/* Wait until all workers are here. */
static inline void smelt_barrier(void)
{
    (void)smelt_sleep_at(SMELT_EVENTS, 0x21C);
}

/* Cycles of the cluster's timer, which wraps. */
static inline uint32_t smelt_cycles(void)
{
    return SMELT_REGISTER(SMELT_TIMER + 8U);
}

/* --- the DMA -------------------------------------------------------------------------------------------------------------------------- */

/* `in` is into L1. Lines are on the side of L2 only: of `line` bytes, whose starts are `stride` apart (both below 32768). At most 65535
   bytes. Returns what smelt_dma_wait wants; at most 16 transfers may be waited for at a time. */
enum { SMELT_DMA_OUT = 1 << 17, SMELT_DMA_IN = 1 << 16 | 1 << 17, SMELT_DMA_LINES = 1 << 18 };

static inline uint32_t smelt_dma_begin(uint32_t command, uintptr_t near, uintptr_t far)
{
    const uint32_t number = SMELT_REGISTER(SMELT_DMA);
    SMELT_REGISTER(SMELT_DMA) = command;
    SMELT_REGISTER(SMELT_DMA) = (uint32_t)near;
    SMELT_REGISTER(SMELT_DMA) = (uint32_t)far;
    return number;
}

static inline uint32_t smelt_dma_in(void *l1, const void *l2, uint32_t bytes)
{
    return smelt_dma_begin(SMELT_DMA_IN | bytes, (uintptr_t)l1, (uintptr_t)l2);
}

static inline uint32_t smelt_dma_out(void *l2, const void *l1, uint32_t bytes)
{
    return smelt_dma_begin(SMELT_DMA_OUT | bytes, (uintptr_t)l1, (uintptr_t)l2);
}

static inline uint32_t smelt_dma_in_lines(void *l1, const void *l2, uint32_t bytes, uint32_t line, uint32_t stride)
{
    const uint32_t number = smelt_dma_begin(SMELT_DMA_IN | SMELT_DMA_LINES | bytes, (uintptr_t)l1, (uintptr_t)l2);
    SMELT_REGISTER(SMELT_DMA) = line | stride << 16;
    return number;
}

static inline uint32_t smelt_dma_out_lines(void *l2, const void *l1, uint32_t bytes, uint32_t line, uint32_t stride)
{
    const uint32_t number = smelt_dma_begin(SMELT_DMA_OUT | SMELT_DMA_LINES | bytes, (uintptr_t)l1, (uintptr_t)l2);
    SMELT_REGISTER(SMELT_DMA) = line | stride << 16;
    return number;
}

static inline void smelt_dma_wait(uint32_t number)
{
    while (SMELT_REGISTER(SMELT_DMA + 4U) >> number & 1U) {
    }
    SMELT_REGISTER(SMELT_DMA + 4U) = 1U << number;
}

#endif
