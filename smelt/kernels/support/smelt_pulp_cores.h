/* The cores of a cluster, which share a memory, and the DMA that moves bytes into that memory and out of it.
 *
 * On a cluster of PULP (its event unit and MCHAN), whose runtime has smelt_fork. Compiled with SMELT_PMSIS defined, all of it is
 * the runtime's, which NAME_pmsis.c has by calls of an SDK. Elsewhere, or compiled with SMELT_ONE_CORE defined, the shares of all
 * cores are computed one after the other, and what is moved is copied at once.
 */
#ifndef SMELT_PULP_CORES_H
#define SMELT_PULP_CORES_H

#include "smelt_kernels.h"

/* Lines of `line` bytes, `pitch` bytes apart, become `value`. */
SMELT_SHARED void smelt_fill_lines(void *near, uint32_t value, uint32_t line, uint32_t count, uint32_t pitch)
{
    for (uint32_t i = 0U; i < count; i++) {
        memset((uint8_t *)near + i * pitch, (int)value, line);
    }
}

#if defined(SMELT_PMSIS)

void smelt_fork(void (*task)(void *argument), void *argument);
uint32_t smelt_worker_number(void);
uint32_t smelt_haul_in(void *near, const void *far, uint32_t bytes, uint32_t line, uint32_t pitch);
uint32_t smelt_haul_out(const void *near, void *far, uint32_t bytes, uint32_t line, uint32_t pitch);
uint32_t smelt_haul_rows(void *near, const void *far, uint32_t bytes, uint32_t line, uint32_t pitch);
void smelt_haul_more_in(void *near, const void *far, uint32_t bytes, uint32_t line, uint32_t pitch);
void smelt_haul_more_out(const void *near, void *far, uint32_t bytes, uint32_t line, uint32_t pitch);
void smelt_hauled(uint32_t number);

#define SMELT_TASK(share, net)                                                                                         \
    static void share##_task(void *argument)                                                                          \
    {                                                                                                                  \
        share((const net *)argument, smelt_worker_number());                                                          \
    }
#define SMELT_FORK(share, net, cores) smelt_fork(share##_task, (void *)(uintptr_t)(net))

#elif !defined(__riscv) || defined(SMELT_ONE_CORE)

#define SMELT_TASK(share, net)
#define SMELT_FORK(share, net, cores)                                                                                  \
    do {                                                                                                               \
        for (uint32_t core = 0U; core < (cores); core++) {                                                             \
            share(net, core);                                                                                          \
        }                                                                                                              \
    } while (0)

/* Move lines of `line` bytes: `near` they follow one another, `far` they are `pitch` bytes apart. */
SMELT_SHARED uint32_t smelt_haul_in(void *near, const void *far, uint32_t bytes, uint32_t line, uint32_t pitch)
{
    for (uint32_t at = 0U, from = 0U; at < bytes; at += line, from += pitch) {
        memcpy((uint8_t *)near + at, (const uint8_t *)far + from, line);
    }
    return 0U;
}

SMELT_SHARED uint32_t smelt_haul_out(const void *near, void *far, uint32_t bytes, uint32_t line, uint32_t pitch)
{
    for (uint32_t at = 0U, to = 0U; at < bytes; at += line, to += pitch) {
        memcpy((uint8_t *)far + to, (const uint8_t *)near + at, line);
    }
    return 0U;
}

/* Lines that follow one another `far` come to places `pitch` bytes apart. */
SMELT_SHARED uint32_t smelt_haul_rows(void *near, const void *far, uint32_t bytes, uint32_t line, uint32_t pitch)
{
    for (uint32_t from = 0U, to = 0U; from < bytes; from += line, to += pitch) {
        memcpy((uint8_t *)near + to, (const uint8_t *)far + from, line);
    }
    return 0U;
}

SMELT_INLINE void smelt_haul_more_in(void *near, const void *far, uint32_t bytes, uint32_t line, uint32_t pitch)
{
    (void)smelt_haul_in(near, far, bytes, line, pitch);
}

SMELT_INLINE void smelt_haul_more_out(const void *near, void *far, uint32_t bytes, uint32_t line, uint32_t pitch)
{
    (void)smelt_haul_out(near, far, bytes, line, pitch);
}

SMELT_INLINE void smelt_hauled(uint32_t number)
{
    (void)number;
}

/* Bytes from a memory outside of the chip. */
SMELT_INLINE uint32_t smelt_bring(void *to, const void *from, uint32_t bytes)
{
    memcpy(to, from, bytes);
    return 0U;
}

SMELT_INLINE void smelt_brought(uint32_t number)
{
    (void)number;
}

#else

/* Of the runtime: a task on all cores, until the last has ended; requests of bytes from outside, which come in order. */
void smelt_fork(void (*task)(void *argument), void *argument);
uint32_t smelt_outside_read(void *to, uint32_t from, uint32_t bytes);
void smelt_outside_wait(uint32_t number);

SMELT_INLINE uint32_t smelt_bring(void *to, const void *from, uint32_t bytes)
{
    return smelt_outside_read(to, (uint32_t)(uintptr_t)from, bytes);
}

SMELT_INLINE void smelt_brought(uint32_t number)
{
    smelt_outside_wait(number);
}

#define SMELT_TASK(share, net)                                                                                         \
    static void share##_task(void *argument)                                                                          \
    {                                                                                                                  \
        uint32_t hart;                                                                                                 \
        __asm__("csrr %0, 0xF14" : "=r"(hart));                                                                        \
        share((const net *)argument, hart & 31U);                                                                      \
    }
#define SMELT_FORK(share, net, cores) smelt_fork(share##_task, (void *)(uintptr_t)(net))

#define SMELT_MCHAN (*(volatile uint32_t *)0x10204400U)
#define SMELT_MCHAN_BUSY (*(volatile uint32_t *)0x10204404U)

/* Write a transfer down: of bytes that lie in lines outside of the cluster's memory, or in one piece. */
SMELT_INLINE void smelt_haul_command(uint32_t command, uint32_t near, uint32_t far, uint32_t bytes, uint32_t line,
                                     uint32_t pitch)
{
    SMELT_MCHAN = command | bytes | (line != bytes ? 1U << 18 : 0U);
    SMELT_MCHAN = near;
    SMELT_MCHAN = far;
    if (line != bytes) {
        SMELT_MCHAN = line | pitch << 16;
    }
}

SMELT_SHARED void smelt_haul_more_in(void *near, const void *far, uint32_t bytes, uint32_t line, uint32_t pitch)
{
    smelt_haul_command(3U << 16, (uint32_t)(uintptr_t)near, (uint32_t)(uintptr_t)far, bytes, line, pitch);
}

SMELT_SHARED void smelt_haul_more_out(const void *near, void *far, uint32_t bytes, uint32_t line, uint32_t pitch)
{
    smelt_haul_command(1U << 17, (uint32_t)(uintptr_t)near, (uint32_t)(uintptr_t)far, bytes, line, pitch);
}

/* The same with a number of its own, which those that follow share, to be waited for. */
SMELT_SHARED uint32_t smelt_haul_in(void *near, const void *far, uint32_t bytes, uint32_t line, uint32_t pitch)
{
    const uint32_t number = SMELT_MCHAN;
    smelt_haul_command(3U << 16, (uint32_t)(uintptr_t)near, (uint32_t)(uintptr_t)far, bytes, line, pitch);
    return number;
}

/* Lines that follow one another `far` come to places `pitch` bytes apart, each by a transfer of its own. */
SMELT_SHARED uint32_t smelt_haul_rows(void *near, const void *far, uint32_t bytes, uint32_t line, uint32_t pitch)
{
    const uint32_t number = SMELT_MCHAN, end = (uint32_t)(uintptr_t)far + bytes;
    for (uint32_t from = (uint32_t)(uintptr_t)far, to = (uint32_t)(uintptr_t)near; from < end; from += line, to += pitch) {
        SMELT_MCHAN = 3U << 16 | line;
        SMELT_MCHAN = to;
        SMELT_MCHAN = from;
    }
    return number;
}

SMELT_SHARED uint32_t smelt_haul_out(const void *near, void *far, uint32_t bytes, uint32_t line, uint32_t pitch)
{
    const uint32_t number = SMELT_MCHAN;
    smelt_haul_command(1U << 17, (uint32_t)(uintptr_t)near, (uint32_t)(uintptr_t)far, bytes, line, pitch);
    return number;
}

SMELT_INLINE void smelt_hauled(uint32_t number)
{
    while ((SMELT_MCHAN_BUSY >> number & 1U) != 0U) {
    }
    SMELT_MCHAN_BUSY = 1U << number;
    __asm__ volatile("" ::: "memory");
}

#endif

/* The same `times` times, each time so many bytes further on: beside the move before them, or with a number of their own. */
SMELT_SHARED void smelt_haul_rest_in(void *near, const void *far, uint32_t bytes, uint32_t line, uint32_t pitch, uint32_t times,
                                     uint32_t near_step, uint32_t far_step)
{
    for (uint32_t k = 0U; k < times; k++) {
        smelt_haul_more_in((uint8_t *)near + k * near_step, (const uint8_t *)far + k * far_step, bytes, line, pitch);
    }
}

SMELT_SHARED void smelt_haul_rest_out(const void *near, void *far, uint32_t bytes, uint32_t line, uint32_t pitch, uint32_t times,
                                      uint32_t near_step, uint32_t far_step)
{
    for (uint32_t k = 0U; k < times; k++) {
        smelt_haul_more_out((const uint8_t *)near + k * near_step, (uint8_t *)far + k * far_step, bytes, line, pitch);
    }
}

SMELT_SHARED uint32_t smelt_haul_each_in(void *near, const void *far, uint32_t bytes, uint32_t line, uint32_t pitch, uint32_t times,
                                         uint32_t near_step, uint32_t far_step)
{
    const uint32_t number = smelt_haul_in(near, far, bytes, line, pitch);
    smelt_haul_rest_in((uint8_t *)near + near_step, (const uint8_t *)far + far_step, bytes, line, pitch, times - 1U, near_step,
                       far_step);
    return number;
}

SMELT_SHARED uint32_t smelt_haul_each_out(const void *near, void *far, uint32_t bytes, uint32_t line, uint32_t pitch, uint32_t times,
                                          uint32_t near_step, uint32_t far_step)
{
    const uint32_t number = smelt_haul_out(near, far, bytes, line, pitch);
    smelt_haul_rest_out((const uint8_t *)near + near_step, (uint8_t *)far + far_step, bytes, line, pitch, times - 1U, near_step,
                        far_step);
    return number;
}

#if !defined(SMELT_PMSIS)

/* Tables from outside: requests that come to a region, ranges of those that are made at a time, and portions of the region, each there
   when the request of that number has been served. */
typedef struct {
    const void *from;
    uint32_t to, bytes;
} smelt_request;

typedef struct {
    uint16_t first, end;
} smelt_range;

typedef struct {
    uint32_t at, bytes, request;
} smelt_portion;

/* Make the requests of a range; the number of the first. */
SMELT_SHARED uint32_t smelt_ask(uint8_t *region, const smelt_request *requests, const smelt_range *range)
{
    uint32_t number = 0U;
    for (uint32_t k = range->first; k < range->end; k++) {
        const uint32_t new = smelt_bring(region + requests[k].to, requests[k].from, requests[k].bytes);
        number = k == range->first ? new : number;
    }
    return number;
}

/* Move a portion to the cluster's memory, when it is there; `brought` is the number of the first request of all. */
SMELT_SHARED uint32_t smelt_take(void *near, const uint8_t *region, const smelt_portion *portion, uint32_t brought)
{
    smelt_brought(brought + portion->request);
    return smelt_haul_in(near, region + portion->at, portion->bytes, portion->bytes, portion->bytes);
}

#endif

#endif
