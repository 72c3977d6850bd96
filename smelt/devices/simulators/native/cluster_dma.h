/* The cluster's DMA between L1 and memories outside, and the way to RAM and flash outside of the chip. Bytes are copied when a transfer
   ends, since nobody may touch them before; until then only time and the banks of L1 pass. */
#ifndef CLUSTER_DMA_H
#define CLUSTER_DMA_H

#include "cluster_events.h"

/* What is wrong with a transfer: details of WRONG_DMA. */
enum { DMA_EMPTY = 1, DMA_OUTSIDE, DMA_NO_ID, DMA_OVERLAPS, DMA_UNWRITTEN, DMA_LINE, DMA_BUSY, DMA_LONG, DMA_ALIGNMENT };

/* --- bytes in flight --------------------------------------------------------------------------------------------------------------- */

static region *region_of(machine *m, uint32_t address, uint32_t size)
{
    for (uint32_t i = 0; i < REGIONS; i++) {
        if (size && size <= m->regions[i].size && holds(&m->regions[i], address, size)) {
            return &m->regions[i];
        }
    }
    return NULL;
}

static void mark(region *r, uint32_t address, uint32_t size, uint32_t set)
{
    uint8_t *flags = r->flags + (address - r->start);
    for (uint32_t i = 0; i < size; i++) {
        flags[i] |= (uint8_t)set;
    }
}

static void unmark(region *r, uint32_t address, uint32_t size, uint32_t set)
{
    uint8_t *flags = r->flags + (address - r->start);
    for (uint32_t i = 0; i < size; i++) {
        flags[i] &= (uint8_t)~set;
    }
}

/* Whether any of the bytes has one of the flags, or with `all`, whether one of them lacks them. */
static uint32_t any(const region *r, uint32_t address, uint32_t size, uint32_t set, uint32_t all)
{
    const uint8_t *flags = r->flags + (address - r->start);
    uint32_t found = 0;
    for (uint32_t i = 0; i < size; i++) {
        found |= all ? (flags[i] & set) != set : (flags[i] & set) != 0;
    }
    return found;
}

static void copy_bytes(uint8_t *to, const uint8_t *from, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        to[i] = from[i];
    }
}

/* --- transfers ---------------------------------------------------------------------------------------------------------------------- */

static uint32_t lines_of(const transfer *t) { return (t->length + t->line - 1U) / t->line; }

static uint32_t line_bytes(const transfer *t, uint32_t number)
{
    const uint32_t left = t->length - number * t->line;
    return left < t->line ? left : t->line;
}

/* Both ends of a transfer are marked, or a source once more after another transfer from it has ended. */
static void mark_transfer(machine *m, const transfer *t)
{
    mark(region_of(m, t->near, t->length), t->near, t->length, t->inwards ? TARGET : SOURCE);
    for (uint32_t i = 0; i < lines_of(t); i++) {
        const uint32_t size = line_bytes(t, i), at = t->far + i * t->stride;
        mark(region_of(m, at, size), at, size, t->inwards ? SOURCE : TARGET);
    }
}

static uint32_t checked_end(machine *m, uint32_t address, uint32_t size, uint32_t is_target, uint32_t is_near)
{
    const region *r = region_of(m, address, size);
    if (!r || (r == &m->regions[L1]) != is_near) {
        return DMA_OUTSIDE;
    }
    if (!m->p[P_STRICT]) {
        return 0;
    }
    if (any(r, address, size, is_target ? SOURCE | TARGET : TARGET, 0)) {
        return DMA_OVERLAPS;
    }
    return !is_target && any(r, address, size, WRITTEN, 1) ? DMA_UNWRITTEN : 0U;
}

static uint32_t checked(machine *m, const transfer *t)
{
    if (!t->length) {
        return DMA_EMPTY;
    }
    if (!t->line) {
        return DMA_LINE;
    }
    uint32_t wrong = checked_end(m, t->near, t->length, t->inwards, 1);
    for (uint32_t i = 0; !wrong && i < lines_of(t); i++) {
        wrong = checked_end(m, t->far + i * t->stride, line_bytes(t, i), !t->inwards, 0);
    }
    return wrong;
}

static void move(machine *m, const transfer *t)
{
    region *near = &m->regions[L1];
    uint32_t at = t->near - near->start;
    unmark(near, t->near, t->length, SOURCE | TARGET);
    for (uint32_t i = 0; i < lines_of(t); i++) {
        const uint32_t size = line_bytes(t, i), address = t->far + i * t->stride;
        region *far = region_of(m, address, size);
        uint8_t *there = far->bytes + (address - far->start);
        unmark(far, address, size, SOURCE | TARGET);
        if (t->inwards) {
            copy_bytes(near->bytes + at, there, size);
            mark(near, near->start + at, size, WRITTEN);
        } else {
            copy_bytes(there, near->bytes + at, size);
            mark(far, address, size, WRITTEN);
            forget(far, address - far->start, size);
        }
        at += size;
    }
}

static void end_transfer(machine *m, dma *d)
{
    const transfer t = d->queue[d->first];
    d->first = (d->first + 1U) % TRANSFERS;
    d->count--;
    d->done = d->in_line = d->in_burst = 0;
    d->bytes += t.length;
    move(m, &t);
    for (uint32_t i = 0; i < d->count; i++) {
        mark_transfer(m, &d->queue[(d->first + i) % TRANSFERS]); /* it may have an end in common with the one before */
    }
    if (--d->outstanding[t.id] == 0) {
        if (t.event && t.broadcast) {
            raise_for(m, everyone(m), EVENT_DMA);
        } else if (t.event) {
            raise_event(m, &m->cores[t.core], EVENT_DMA);
        }
        if (t.irq) {
            raise_event(m, &m->cores[t.core], EVENT_DMA_IRQ);
        }
    }
}

/* One cycle: up to so many words of L1, each of which needs its bank; a line ends the cycle, a burst costs a pause. */
static void dma_step(machine *m)
{
    dma *d = &m->mover;
    const transfer *t = &d->queue[d->first];
    const uint64_t begins = t->pushed + m->p[P_DMA_BEGIN];
    d->busy_cycles++;
    if (m->now < d->resume || m->now < begins) {
        return;
    }
    for (uint32_t words = 0; words < m->p[P_DMA_WORDS]; words++) {
        const uint32_t at = t->near + d->done;
        const uint32_t left = line_bytes(t, d->done / t->line) - d->in_line, in_word = 4U - (at & 3U);
        const uint32_t size = left < in_word ? left : in_word;
        const uint64_t begins = turn_at_bank(m, at, m->now);
        if (begins > m->now) {
            d->denied += begins - m->now;
            d->resume = begins + 1U;
        }
        d->done += size, d->in_line += size, d->in_burst += size;
        if (d->done == t->length) {
            end_transfer(m, d);
            return;
        }
        if (d->in_line == t->line) {
            d->in_line = d->in_burst = 0;
            d->lines++;
            return;
        }
        if (d->in_burst >= m->p[P_DMA_BURST]) {
            d->in_burst -= m->p[P_DMA_BURST];
            d->pause += m->p[t->inwards ? P_DMA_GAP_IN : P_DMA_GAP_OUT];
            d->resume = begins + 1U + d->pause / 1000U;
            d->pause %= 1000U;
        }
        if (d->resume > m->now) {
            return;
        }
    }
}

/* --- registers of the DMA ------------------------------------------------------------------------------------------------------------ */

static uint32_t allocate(machine *m, core *c, uint32_t *value)
{
    dma *d = &m->mover;
    for (uint32_t id = 0; id < IDS; id++) {
        if (!(d->allocated >> id & 1U)) {
            d->allocated |= 1U << id;
            c->newest = id;
            c->command.count = 0;
            *value = id;
            return 0;
        }
    }
    d->waiting |= 1U << c->number; /* until somebody frees one */
    c->events.waits_at = E_ID;
    c->time = NEVER;
    return RETRY;
}

static void free_ids(machine *m, uint32_t set)
{
    dma *d = &m->mover;
    d->allocated &= ~set;
    for (uint32_t i = 0; d->allocated != 0xFFFFU && i < CORES; i++) {
        if (d->waiting >> i & 1U) {
            d->waiting &= ~(1U << i);
            (void)again(m, &m->cores[i], m->now + 1U);
        }
    }
}

static uint32_t push_transfer(machine *m, core *c)
{
    dma *d = &m->mover;
    const uint32_t command = c->command.words[0], two = command >> 18 & 1U, shape = c->command.words[3];
    const transfer t = {
        .length = command & 0xFFFFU, .inwards = command >> 16 & 1U, .event = command >> 19 & 1U, .irq = command >> 20 & 1U,
        .broadcast = command >> 21 & 1U, .near = c->command.words[1], .far = c->command.words[2],
        .line = two ? shape & 0x7FFFU : command & 0xFFFFU, .stride = two ? shape >> 16 & 0x7FFFU : 0U,
        .id = c->newest, .core = c->number, .pushed = m->now,
    };
    const uint32_t wrong = d->allocated >> t.id & 1U ? checked(m, &t) : DMA_NO_ID;
    c->command.count = 0;
    if (wrong) {
        return fail(m, c, WRONG_DMA, wrong == DMA_OUTSIDE || !t.inwards ? t.far : t.near, wrong);
    }
    d->queue[(d->first + d->count++) % TRANSFERS] = t;
    d->outstanding[t.id]++;
    mark_transfer(m, &t);
    return 0;
}

static uint32_t dma_read(machine *m, core *c, uint32_t offset, uint32_t *value)
{
    if (offset == 0) {
        return allocate(m, c, value);
    }
    if (offset != 4) {
        return fail(m, c, BAD_READ, offset, 2);
    }
    *value = 0;
    for (uint32_t id = 0; id < IDS; id++) {
        *value |= (m->mover.outstanding[id] != 0U) << id;
    }
    return 0;
}

static uint32_t dma_write(machine *m, core *c, uint32_t offset, uint32_t value)
{
    dma *d = &m->mover;
    if (offset == 4) {
        free_ids(m, value);
        return 0;
    }
    if (offset) {
        return fail(m, c, BAD_WRITE, offset, 2);
    }
    const uint32_t words = c->command.count && c->command.words[0] >> 18 & 1U ? 4U : 3U;
    if (c->command.count + 1U == words && d->count == TRANSFERS) {
        m->executed++;
        return again(m, c, m->now + 1U);
    }
    c->command.words[c->command.count++] = value;
    return c->command.count == words ? push_transfer(m, c) : 0U;
}

/* --- outside of the chip ---------------------------------------------------------------------------------------------------------------- */

enum { H_IN_ADDRESS = 0x00, H_IN_START = 0x08, H_OUT_ADDRESS = 0x10, H_OUT_START = 0x18, H_FAR = 0x20,
       H_END = 0x40, H_STARTS = 1 << 4 };

static region *outside_region(machine *m, uint32_t address, uint32_t size)
{
    region *r = address >= FLASH_START ? &m->flash : &m->ram;
    return size && size <= r->size && holds(r, address, size) ? r : NULL;
}

static void begin_burst(machine *m, hyper *h)
{
    const uint64_t thousandths = h->left + (uint64_t)h->size * m->p[P_HYPER_BYTE];
    const uint64_t cycles = m->p[P_HYPER_FIRST] + thousandths / 1000U;
    h->left = thousandths % 1000U;
    h->is_busy = 1;
    h->end = m->now + cycles;
    h->busy_cycles += cycles;
    h->bytes += h->size;
    h->bursts++;
}

static uint32_t start_burst(machine *m, core *c, uint32_t outwards)
{
    hyper *h = &m->outside;
    const uint32_t base = outwards ? H_OUT_ADDRESS : H_IN_ADDRESS;
    const uint32_t near = h->registers[base / 4U], size = h->registers[base / 4U + 1U], far = h->registers[H_FAR / 4U];
    region *here = region_of(m, near, size);
    const region *there = outside_region(m, far, size);
    uint32_t wrong = !size ? DMA_EMPTY : size > m->p[P_HYPER_BURST] ? DMA_LONG : h->is_busy ? DMA_BUSY : 0U;
    wrong = wrong ? wrong : !here || !there || here == &m->regions[L1] || (outwards && there == &m->flash) ? DMA_OUTSIDE : 0U;
    wrong = !wrong && ((near | size) & 3U || far & 1U) ? DMA_ALIGNMENT : wrong;
    if (!wrong && m->p[P_STRICT]) {
        wrong = any(here, near, size, outwards ? TARGET : SOURCE | TARGET, 0) ? DMA_OVERLAPS : 0U;
        wrong = wrong ? wrong : outwards && any(here, near, size, WRITTEN, 1) ? DMA_UNWRITTEN : 0U;
    }
    if (wrong) {
        return fail(m, c, WRONG_DMA, here ? far : near, wrong);
    }
    mark(here, near, size, outwards ? SOURCE : TARGET);
    h->near = near, h->far = far, h->size = size, h->outwards = outwards;
    begin_burst(m, h);
    return 0;
}

static void end_burst(machine *m)
{
    hyper *h = &m->outside;
    region *here = region_of(m, h->near, h->size), *there = outside_region(m, h->far, h->size);
    uint8_t *near = here->bytes + (h->near - here->start), *far = there->bytes + (h->far - there->start);
    copy_bytes(h->outwards ? far : near, h->outwards ? near : far, h->size);
    unmark(here, h->near, h->size, SOURCE | TARGET);
    if (!h->outwards) {
        mark(here, h->near, h->size, WRITTEN);
        forget(here, h->near - here->start, h->size);
    }
    h->is_busy = 0;
    raise_event(m, &m->cores[CONTROLLER], EVENT_OUTSIDE);
}

static uint32_t hyper_read(machine *m, uint32_t offset)
{
    const hyper *h = &m->outside;
    const uint32_t starts = offset == H_IN_START || offset == H_OUT_START, outwards = offset >= H_OUT_ADDRESS;
    if (!starts) {
        return h->registers[offset / 4U];
    }
    return h->is_busy && h->outwards == outwards ? H_STARTS : 0U;
}

static uint32_t hyper_write(machine *m, core *c, uint32_t offset, uint32_t value)
{
    m->outside.registers[offset / 4U] = value;
    if ((offset == H_IN_START || offset == H_OUT_START) && value & H_STARTS) {
        return start_burst(m, c, offset == H_OUT_START);
    }
    return 0;
}

#endif
