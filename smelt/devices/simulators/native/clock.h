/* The clock of a simulated board: cycles of the blocks that are executed, of the branches between them, and of the memories behind.
   What a block costs after another one is worked out once, in Python; caches, prefetching and branch prediction live here.
   Time is in ticks, TICKS to the cycle. The layout of the structures is repeated in ../clock.py. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

enum { TICKS = 8 };
enum { EDGE_CONDITIONAL = 1, EDGE_TAKEN = 2, EDGE_INDIRECT = 4, EDGE_BACKWARD = 8, EDGE_SKIPPABLE = 16 };
enum { EDGES = 1 << 15, PREDICTIONS = 1 << 12 };

/* One block after another: what the second costs, together with the branch that leads to it. */
typedef struct {
    uint32_t from, to, size, known;
    uint32_t cost;        /* ticks, with memory answering at once */
    uint32_t penalty;     /* ticks that a wrong prediction adds */
    uint32_t flags;
    uint32_t spare;       /* cycles of the block in which no instructions have to be fetched */
    uint64_t generation;  /* of the instruction cache when all of the block was found in it; 0: never */
    uint32_t reads;       /* of data that always happen, for which `chained` has a bit each */
    uint32_t halfwords;   /* for which it has a bit each after them, from a new byte on: for loads that may be skipped */
    const uint8_t *chained; /* the bits of the second block: reads whose cost supposes that they overlap the one before; 0: none */
} edge_t;

typedef struct {
    uint32_t sets, ways, shift;   /* sets: a power of two; shift: log2 of the line */
    uint32_t random;              /* replacement: 0 least recently used, 1 pseudo-random */
    uint64_t generation;          /* changes whenever a line is replaced */
    uint32_t *lines;              /* sets x ways: address >> shift, plus 1; 0 is empty */
    uint64_t *used;               /* when, for the least recently used */
    uint8_t *dirty;
} cache_t;

typedef struct {
    uint64_t start, end;
    int32_t code, data;           /* indices of caches, -1: none */
    uint32_t first, line, busy;   /* ticks */
    uint32_t prefetch, bus;       /* bus: code and data on the same one compete; 0: they cannot */
    uint32_t block;               /* number of the memory, the same for its aliases; what is no memory is block 0 */
} area_t;

struct clock;
typedef void (*price_t)(uint32_t from, uint32_t from_size, uint32_t to, uint32_t size, edge_t *edge);

typedef struct clock {
    uint64_t now;                 /* ticks since reset */
    uint64_t uses;                /* orders the uses of cache lines */
    uint32_t from, from_size;     /* the last block */
    uint32_t flags;               /* of the current block's edge */
    uint32_t block_cost;          /* ticks of the current block, without what memory adds */
    uint32_t dynamic;             /* branches are predicted by their past */
    uint32_t unaligned;           /* ticks of a load that crosses a word */
    uint32_t noise;               /* state of the pseudo-random generator */
    uint32_t bus;                 /* that the current block comes from */
    uint32_t spare;               /* what is left of its edge's */
    uint32_t by_block;            /* loads overlap within one memory only */
    uint32_t load_block;          /* of the last load */
    uint32_t read;                /* the number of the next one in the block that always happens */
    uint32_t reads, halfwords;    /* of the current block's edge, with `chained` */
    uint32_t aside, aside_at;     /* how many reads of a load that might have been skipped are to come, and its address until the first */
    const uint8_t *chained;
    uint64_t ahead_at;            /* the line that is being prefetched, as address >> shift, plus 1 */
    uint64_t ahead_ready;         /* when it will be there */
    uint64_t way_free;            /* when the way to memory is free again */
    uint64_t code_stall, data_stall, branch_stall; /* totals */
    uint64_t code_misses, data_misses, mispredicted;
    edge_t *edges;
    uint8_t *counters;            /* two-bit, by branch; 0: never seen */
    uint32_t *targets;            /* of the last indirect branch */
    cache_t *caches;
    area_t *areas;
    uint64_t area_count;
    price_t price;
} clock_t_;

static area_t *clock_area(clock_t_ *k, uint64_t address)
{
    for (uint64_t i = 0; i < k->area_count; i++) {
        if (address >= k->areas[i].start && address < k->areas[i].end) {
            return &k->areas[i];
        }
    }
    return 0;
}

static uint32_t victim(clock_t_ *k, const cache_t *c, uint32_t base)
{
    uint32_t worst = base;
    for (uint32_t way = 0; way < c->ways; way++) {
        if (c->lines[base + way] == 0) {
            return base + way;
        }
        if (c->used[base + way] < c->used[worst]) {
            worst = base + way;
        }
    }
    if (c->random) {
        k->noise = k->noise * 1664525U + 1013904223U;
        return base + (k->noise >> 16) % c->ways;
    }
    return worst;
}

/* Whether a line is in a cache. If not, it comes in; `slot` is where it is, `evicted` whether something written had to leave. */
static int cached(clock_t_ *k, cache_t *c, uint64_t line, uint32_t *slot, int *evicted)
{
    const uint32_t base = ((uint32_t)line & (c->sets - 1U)) * c->ways;
    k->uses++;
    for (uint32_t way = 0; way < c->ways; way++) {
        if (c->lines[base + way] == line + 1U) {
            c->used[base + way] = k->uses;
            *slot = base + way;
            return 1;
        }
    }
    *slot = victim(k, c, base);
    *evicted = c->dirty[*slot];
    c->lines[*slot] = (uint32_t)(line + 1U);
    c->used[*slot] = k->uses;
    c->dirty[*slot] = 0;
    c->generation++;
    return 0;
}

/* The stall until a missing line of code is there, when the core asks for it at time `t`. */
static uint64_t code_miss(clock_t_ *k, const area_t *a, uint64_t line, uint64_t t)
{
    uint64_t stall;
    if (a->prefetch && k->ahead_at == line + 1U) {
        stall = k->ahead_ready > t ? k->ahead_ready - t : 0;
    } else {
        stall = a->first + (k->way_free > t ? k->way_free - t : 0);
    }
    k->ahead_at = line + 2U;
    k->ahead_ready = t + stall + a->line;
    k->way_free = t + stall + a->busy;
    k->code_misses++;
    return stall;
}

/* Lines of code that the block needs and that are not in the cache. */
static uint64_t fetch_block(clock_t_ *k, edge_t *e, uint64_t address, uint32_t size)
{
    const area_t *const a = clock_area(k, address);
    k->bus = a ? a->bus : 0;
    k->spare = e->spare;
    if (a == 0 || a->code < 0) {
        return 0;
    }
    cache_t *const c = &k->caches[a->code];
    if (e->generation == c->generation) {
        return 0;
    }
    uint64_t stall = 0;
    const uint64_t first = address >> c->shift, last = (address + size - 1U) >> c->shift;
    const uint64_t generation = c->generation;
    for (uint64_t line = first; line <= last; line++) {
        uint32_t slot;
        int evicted = 0;
        if (!cached(k, c, line, &slot, &evicted)) {
            const uint64_t offset = line == first ? 0 : (line << c->shift) - address;
            stall += code_miss(k, a, line, k->now + stall + e->cost * offset / size);
        }
    }
    if (generation == c->generation) {
        e->generation = generation;
    }
    return stall;
}

static uint32_t mix(uint32_t from, uint32_t to)
{
    uint32_t h = (from >> 1) * 0x9E3779B1U ^ (to >> 1) * 0x85EBCA77U;
    return (h ^ (h >> 15)) & (EDGES - 1U);
}

/* Two-bit counters, 1 to 4 (0: not seen yet, backward branches are taken), and the last targets of indirect branches. */
static uint64_t predict(clock_t_ *k, const edge_t *e)
{
    const uint32_t at = ((e->from + k->from_size) >> 1) & (PREDICTIONS - 1U);
    int wrong;
    if (e->flags & EDGE_INDIRECT) {
        wrong = k->targets[at] != e->to;
        k->targets[at] = e->to;
    } else {
        const int taken = (e->flags & EDGE_TAKEN) != 0;
        if (k->counters[at] == 0) {
            k->counters[at] = (e->flags & EDGE_BACKWARD) ? 3 : 2;
        }
        wrong = (k->counters[at] >= 3) != taken;
        if (taken && k->counters[at] < 4) {
            k->counters[at]++;
        } else if (!taken && k->counters[at] > 1) {
            k->counters[at]--;
        }
    }
    k->mispredicted += (uint64_t)wrong;
    k->branch_stall += wrong ? e->penalty : 0;
    return wrong ? e->penalty : 0;
}

/* A block is about to be executed; the ticks that it takes, but for data that is not in the cache. */
static uint64_t clock_block(clock_t_ *k, uint64_t address, uint32_t size)
{
    edge_t *const e = &k->edges[mix(k->from, (uint32_t)address)];
    if (e->to != (uint32_t)address || e->from != k->from || e->size != size || !e->known) {
        e->from = k->from;
        e->to = (uint32_t)address;
        e->size = size;
        e->generation = 0;
        e->known = 1;
        k->price(k->from, k->from_size, (uint32_t)address, size, e);
    }
    uint64_t ticks = e->cost;
    if (k->dynamic && (e->flags & (EDGE_CONDITIONAL | EDGE_INDIRECT))) {
        ticks += predict(k, e);
    }
    const uint64_t stall = fetch_block(k, e, address, size);
    k->code_stall += stall;
    ticks += stall;
    k->block_cost = e->cost;
    k->flags = e->flags;
    k->chained = e->chained;
    k->reads = e->reads;
    k->halfwords = e->halfwords;
    k->read = 0;
    k->aside = 0;
    k->now += ticks;
    k->from = (uint32_t)address;
    k->from_size = size;
    return ticks;
}

static uint64_t data_line(clock_t_ *k, const area_t *a, uint64_t address, int write)
{
    cache_t *const c = &k->caches[a->data];
    uint32_t slot;
    int evicted = 0;
    if (cached(k, c, address >> c->shift, &slot, &evicted)) {
        c->dirty[slot] |= (uint8_t)write;
        return 0;
    }
    k->data_misses++;
    c->dirty[slot] = (uint8_t)write;
    const uint64_t wait = k->way_free > k->now ? k->way_free - k->now : 0;
    const uint64_t back = evicted ? a->line - a->first + TICKS : 0;
    if (write) { /* the store buffer hides it, unless the way is still busy with earlier ones */
        k->way_free = k->now + wait + a->first + a->busy + back;
        return wait > a->first ? wait - a->first : 0;
    }
    k->way_free = k->now + wait + a->first + a->busy + back;
    return wait + a->first;
}

/* A load that might have been skipped is about to be executed. */
static void clock_conditional(clock_t_ *k, uint32_t address, uint32_t reads)
{
    k->aside = reads;
    k->aside_at = address;
}

static int bit(const uint8_t *bits, uint32_t index)
{
    return bits[index >> 3] >> (index & 7U) & 1;
}

/* Whether the cost of the read that happens now supposes that it overlaps the one before. */
static int is_chained(clock_t_ *k)
{
    if (k->aside == 0) {
        const uint32_t read = k->read++;
        return read < k->reads && bit(k->chained, read);
    }
    const uint32_t index = (k->aside_at - k->from) >> 1;
    const int first = k->aside_at != 0;
    k->aside--;
    k->aside_at = 0;
    return first ? index < k->halfwords && bit(k->chained + (k->reads + 7U) / 8U, index) : 1;
}

/* What a read takes longer because the one before it, which it would overlap, came from another memory. */
static uint64_t unchained(clock_t_ *k, uint32_t block)
{
    const int other = block != k->load_block;
    k->load_block = block;
    return is_chained(k) && other ? TICKS : 0;
}

/* Data is read or written; the ticks that this adds. */
static uint64_t clock_data(clock_t_ *k, uint64_t address, uint32_t size, int write)
{
    uint64_t stall = 0;
    if (!write && ((address & 3U) + size > 4U) && size <= 4U) {
        stall += k->unaligned;
    }
    const area_t *const a = clock_area(k, address);
    if (k->by_block && !write) {
        stall += unchained(k, a ? a->block : 0);
    }
    if (a != 0 && a->bus && a->bus == k->bus) {
        if (k->spare) {
            k->spare--;
        } else {
            stall += TICKS;
        }
    }
    if (a != 0 && (a->data >= 0 || a->first)) {
        if (a->data < 0) {
            stall += write ? 0 : a->first;
        } else {
            const uint32_t shift = k->caches[a->data].shift;
            stall += data_line(k, a, address, write);
            if ((address >> shift) != ((address + size - 1U) >> shift)) {
                stall += data_line(k, a, address + size - 1U, write);
            }
        }
    }
    k->now += stall;
    k->data_stall += stall;
    return stall;
}

#endif
