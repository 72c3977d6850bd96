/* Memories: the banks of L1 with one access each in a cycle, what is known of each byte, and the ways to memories further off. */
#ifndef CLUSTER_MEMORY_H
#define CLUSTER_MEMORY_H

#include "cluster.h"

static uint32_t peripheral_read(machine *m, core *c, uint32_t address, uint32_t *value);
static uint32_t peripheral_write(machine *m, core *c, uint32_t address, uint32_t value);

static inline uint32_t bytes_at(const uint8_t *at, uint32_t size)
{
    uint32_t value = 0;
    if (size == 4) {
        __builtin_memcpy(&value, at, 4);
    } else if (size == 2) {
        value = (uint32_t)at[0] | (uint32_t)at[1] << 8;
    } else {
        value = at[0];
    }
    return value;
}

static inline void put_bytes(uint8_t *at, uint32_t size, uint32_t value)
{
    if (size == 4) {
        __builtin_memcpy(at, &value, 4);
        return;
    }
    at[0] = (uint8_t)value;
    if (size == 2) {
        at[1] = (uint8_t)(value >> 8);
    }
}

/* A flag in each of the lowest `size` bytes. */
static inline uint32_t each(uint32_t flag, uint32_t size)
{
    return (flag * 0x01010101U) & (0xFFFFFFFFU >> (32 - 8 * size));
}

static inline int holds(const region *r, uint32_t address, uint32_t size)
{
    return address - r->start <= r->size - size;
}

/* An access to a bank: when it has its turn. Those who ask wait in the order in which they ask. */
static inline uint64_t turn_at_bank(machine *m, uint32_t address, uint64_t asked)
{
    uint64_t *const next = &m->bank[(address >> 2) & (m->p[P_BANKS] - 1U)];
    const uint64_t begins = *next > asked ? *next : asked;
    *next = begins + 1U;
    return begins;
}

/* What a worker waits for the access of L1 that it begins now: one bank in a cycle, the one after it as well if it crosses a word. */
static inline uint32_t use_banks(machine *m, core *c, uint32_t address, uint32_t size)
{
    uint64_t begins = turn_at_bank(m, address, m->now);
    c->count[CONTENTION] += begins - m->now;
    if ((address & 3U) + size > 4U) {
        const uint64_t second = turn_at_bank(m, address + 4U, begins + 1U);
        c->count[CONTENTION] += second - begins - 1U;
        begins = second;
    }
    return (uint32_t)(begins - m->now);
}

static inline uint32_t take(machine *m, core *c, const region *r, uint32_t address, uint32_t size, uint32_t *value)
{
    const uint32_t at = address - r->start;
    const uint32_t known = bytes_at(r->flags + at, size) & each(WRITTEN | TARGET, size);
    *value = bytes_at(r->bytes + at, size);
    if (known != each(WRITTEN, size) && m->p[P_STRICT]) {
        return fail(m, c, known & each(TARGET, size) ? IN_FLIGHT : READ_UNWRITTEN, address, 0);
    }
    return 0;
}

/* Forget what was decoded from bytes that change. */
static void forget(region *r, uint32_t at, uint32_t size)
{
    if (!r->ops) {
        return;
    }
    const uint32_t first = at < 2 ? 0 : (at - 2) / 2;
    for (uint32_t i = first; i <= (at + size - 1) / 2; i++) {
        r->ops[i].run = NULL;
    }
}

static inline uint32_t put(machine *m, core *c, region *r, uint32_t address, uint32_t size, uint32_t value)
{
    const uint32_t at = address - r->start;
    const uint32_t known = bytes_at(r->flags + at, size);
    if (known & each(SOURCE | TARGET | CODE, size)) {
        if (known & each(SOURCE | TARGET, size) && m->p[P_STRICT]) {
            return fail(m, c, IN_FLIGHT, address, known & each(TARGET, size) ? 2U : 1U);
        }
        forget(r, at, size);
    }
    put_bytes(r->bytes + at, size, value);
    put_bytes(r->flags + at, size, known | each(WRITTEN, size));
    return 0;
}

/* What a core waits for a memory that is not its L1. */
static uint32_t distance(const machine *m, const core *c, uint32_t which)
{
    if (c->number != CONTROLLER) {
        return m->p[P_FAR] - 1U;
    }
    return which == TIGHT ? 0U : which == L2 ? m->p[P_CONTROLLER_L2] - 1U : m->p[P_CONTROLLER_FAR] - 1U;
}

static void count_far(core *c, uint32_t is_store, uint32_t wait)
{
    c->count[is_store ? FAR_STORES : FAR_LOADS]++;
    c->count[is_store ? FAR_STORE_CYCLES : FAR_LOAD_CYCLES] += wait;
}

static uint32_t far_read(machine *m, core *c, uint32_t address, uint32_t size, uint32_t *value)
{
    for (uint32_t i = 0; i < REGIONS; i++) {
        if (holds(&m->regions[i], address, size)) {
            const uint32_t wait = distance(m, c, i);
            count_far(c, 0, wait);
            return take(m, c, &m->regions[i], address, size, value) ? RETRY : wait;
        }
    }
    if (address % size) {
        return fail(m, c, BAD_READ, address, 0);
    }
    const uint32_t wait = peripheral_read(m, c, address & ~3U, value);
    *value >>= 8 * (address & 3U);
    return wait;
}

static uint32_t far_write(machine *m, core *c, uint32_t address, uint32_t size, uint32_t value)
{
    for (uint32_t i = 0; i < REGIONS; i++) {
        if (holds(&m->regions[i], address, size)) {
            const uint32_t wait = distance(m, c, i);
            count_far(c, 1, wait);
            return put(m, c, &m->regions[i], address, size, value) ? RETRY : wait;
        }
    }
    return address % size ? fail(m, c, BAD_WRITE, address, 0) : peripheral_write(m, c, address, value);
}

static inline uint32_t load(machine *m, core *c, uint32_t address, uint32_t size, uint32_t *value)
{
    const region *l1 = &m->regions[L1];
    uint32_t wait;
    if (holds(l1, address, size) && c->number != CONTROLLER) {
        wait = take(m, c, l1, address, size, value) ? RETRY : use_banks(m, c, address, size);
    } else {
        wait = far_read(m, c, address, size, value);
    }
    c->count[LOADS] += wait != RETRY;
    return wait;
}

static inline uint32_t store(machine *m, core *c, uint32_t address, uint32_t size, uint32_t value)
{
    region *l1 = &m->regions[L1];
    uint32_t wait;
    if (holds(l1, address, size) && c->number != CONTROLLER) {
        wait = put(m, c, l1, address, size, value) ? RETRY : use_banks(m, c, address, size);
    } else {
        wait = far_write(m, c, address, size, value);
    }
    c->count[STORES] += wait != RETRY;
    return wait;
}

/* --- instructions ------------------------------------------------------------------------------------------------------------- */

/* Cycles until a line of instructions is there; 0 if it is. */
static uint32_t fetch_line(machine *m, core *c, uint32_t line)
{
    cache *k = c->number == CONTROLLER ? &m->own : &m->shared;
    const uint32_t set = (line & (k->sets - 1U)) * k->ways;
    uint32_t oldest = set;
    for (uint32_t i = set; i < set + k->ways; i++) {
        if (k->lines[i] == line + 1U) {
            k->used[i] = m->now;
            return k->ready[i] > m->now ? (uint32_t)(k->ready[i] - m->now) : 0U;
        }
        oldest = k->used[i] < k->used[oldest] ? i : oldest;
    }
    k->lines[oldest] = line + 1U;
    k->used[oldest] = m->now;
    k->ready[oldest] = m->now + k->refill;
    c->count[MISSES]++;
    return k->refill;
}

/* Cycles until an instruction at the core's program counter is there. The core holds one line, through which it goes. */
static uint32_t fetch(machine *m, core *c, uint32_t size)
{
    const uint32_t first = c->pc / LINE, last = (c->pc + size - 1U) / LINE;
    uint32_t wait = 0;
    if (first + 1U != c->line) {
        wait = fetch_line(m, c, first);
    }
    if (!wait && last != first) {
        wait = fetch_line(m, c, last);
    }
    if (!wait) {
        c->line = last + 1U;
    }
    return wait;
}

#endif
