/* The event unit: events that cores wait for, barriers, a mutex, dispatched values. A core that waits sleeps until one of the events
   in its mask is there, whichever it is, as in the chip. */
#ifndef CLUSTER_EVENTS_H
#define CLUSTER_EVENTS_H

#include "cluster_memory.h"

enum { EVENT_DMA = 8, EVENT_DMA_IRQ = 9, EVENT_BARRIER = 16, EVENT_DISPATCH = 18, EVENT_OUTSIDE = 27 };

/* Registers, as a core sees its own part. */
enum {
    E_MASK = 0x00, E_MASK_AND = 0x04, E_MASK_OR = 0x08, E_IRQ_MASK = 0x0C, E_IRQ_MASK_AND = 0x10, E_IRQ_MASK_OR = 0x14, E_STATUS = 0x18,
    E_BUFFER = 0x1C, E_MASKED = 0x20, E_IRQ_MASKED = 0x24, E_CLEAR = 0x28, E_WAIT = 0x38, E_WAIT_CLEAR = 0x3C, E_DISPATCH = 0x80,
    E_TEAM = 0x84, E_MUTEX = 0xC0, E_SOFTWARE = 0x100, E_SOFTWARE_WAIT = 0x140, E_SOFTWARE_WAIT_CLEAR = 0x180, E_BARRIER = 0x200,
    E_END = 0x300,
    E_ID = 0x400 /* no register of it: where a core waits for an id of the DMA */
};
enum { B_TEAM = 0x00, B_TARGETS = 0x0C, B_ARRIVE = 0x10, B_ARRIVE_SELF = 0x14, B_WAIT = 0x18, B_WAIT_CLEAR = 0x1C };

static void wake(machine *m, core *c)
{
    if (c->events.phase == 2U && c->time == NEVER) {
        c->count[SLEEP] += m->now - c->asleep_since;
        (void)again(m, c, m->now + m->p[P_ELW_WAKE]);
    }
}

/* Wake a core that waits at a register, whatever its mask. */
static void wake_at(machine *m, core *c, uint32_t offset)
{
    if (c->events.waits_at == offset) {
        wake(m, c);
    }
}

static void raise_event(machine *m, core *c, uint32_t number)
{
    c->events.buffer |= 1U << number;
    if (c->events.buffer & (c->events.mask | c->events.irq_mask)) {
        wake(m, c);
    }
}

static void raise_for(machine *m, uint32_t set, uint32_t number)
{
    for (uint32_t i = 0; i < m->p[P_WORKERS]; i++) {
        if (set >> i & 1U) {
            raise_event(m, &m->cores[i], number);
        }
    }
}

static uint32_t everyone(const machine *m) { return ones(m->p[P_WORKERS]); }

/* Software events for the workers; no set means all of them. */
static void trigger(machine *m, uint32_t number, uint32_t set)
{
    raise_for(m, set ? set : everyone(m), number);
}

static void arrive(machine *m, barrier *b, uint32_t set)
{
    b->arrived |= set & b->team;
    if (b->team && b->arrived == b->team) {
        b->arrived = 0;
        raise_for(m, b->targets, EVENT_BARRIER);
    }
}

/* --- waiting -------------------------------------------------------------------------------------------------------------------- */

static uint32_t fall_asleep(machine *m, core *c)
{
    c->events.phase = 2;
    c->asleep_since = m->now;
    c->time = NEVER;
    return RETRY;
}

/* First the request goes to the event unit. Returns RETRY while it is on its way. */
static uint32_t request(machine *m, core *c)
{
    if (c->events.phase) {
        return 0;
    }
    c->events.phase = 1;
    return again(m, c, m->now + m->p[P_ELW_REQUEST]);
}

/* What a core gets that waited for an event of its mask. */
static uint32_t await_event(machine *m, core *c, uint32_t clears, uint32_t *value)
{
    unit *u = &c->events;
    const uint32_t there = u->buffer & u->mask;
    if (!there) {
        return fall_asleep(m, c);
    }
    *value = there;
    u->buffer &= clears ? ~there : ~0U;
    u->phase = 0;
    return 0;
}

/* Those who wait at a barrier go on together: the last one sleeps as well. */
static uint32_t wait_at_barrier(machine *m, core *c, barrier *b, uint32_t clears, uint32_t *value)
{
    if (request(m, c)) {
        return RETRY;
    }
    if (c->events.phase == 2U) {
        return await_event(m, c, clears, value);
    }
    (void)fall_asleep(m, c);
    arrive(m, b, 1U << c->number);
    if (c->events.buffer & c->events.mask) {
        wake(m, c);
    }
    return RETRY;
}

static uint32_t wait_for_software(machine *m, core *c, uint32_t number, uint32_t clears, uint32_t *value)
{
    if (request(m, c)) {
        return RETRY;
    }
    if (c->events.phase == 1U) {
        c->events.phase = 2;
        trigger(m, number, 0);
    }
    return await_event(m, c, clears, value);
}

/* A value that was dispatched to the core, or sleep until there is one. */
static uint32_t receive(machine *m, core *c, uint32_t *value)
{
    unit *u = &c->events;
    if (request(m, c)) {
        return RETRY;
    }
    if (!u->fifo_count) {
        return fall_asleep(m, c);
    }
    *value = u->fifo[u->fifo_first];
    u->fifo_first = (u->fifo_first + 1U) % 8U;
    u->fifo_count--;
    u->phase = 0;
    return 0;
}

/* Give a value to every core of the team; wait while one of them has no room. */
static uint32_t dispatch(machine *m, core *c, uint32_t value)
{
    for (uint32_t i = 0; i < m->p[P_WORKERS]; i++) {
        if (m->team >> i & 1U && m->cores[i].events.fifo_count == 8U) {
            m->executed++; /* so that waiting in vain ends */
            return again(m, c, m->now + 1U);
        }
    }
    for (uint32_t i = 0; i < m->p[P_WORKERS]; i++) {
        unit *u = &m->cores[i].events;
        if (m->team >> i & 1U) {
            u->fifo[(u->fifo_first + u->fifo_count++) % 8U] = value;
            raise_event(m, &m->cores[i], EVENT_DISPATCH);
            wake_at(m, &m->cores[i], E_DISPATCH);
        }
    }
    return 0;
}

static uint32_t lock(machine *m, core *c, uint32_t *value)
{
    if (request(m, c)) {
        return RETRY;
    }
    if (m->mutex_owner) {
        return fall_asleep(m, c);
    }
    m->mutex_owner = c->number + 1U;
    *value = 0;
    c->events.phase = 0;
    return 0;
}

static void unlock(machine *m)
{
    m->mutex_owner = 0;
    for (uint32_t i = 0; i < m->p[P_WORKERS]; i++) {
        wake_at(m, &m->cores[i], E_MUTEX); /* the first one takes it, the others sleep again */
    }
}

/* --- registers ------------------------------------------------------------------------------------------------------------------ */

static uint32_t events_read(machine *m, core *c, uint32_t offset, uint32_t *value)
{
    unit *u = &c->events;
    const uint32_t within = offset & 0x1FU, number = (offset & 0x3FU) / 4U;
    u->waits_at = offset;
    if (offset >= E_BARRIER && offset < E_END) {
        barrier *b = &m->barriers[(offset - E_BARRIER) / 32U];
        if (within == B_WAIT || within == B_WAIT_CLEAR) {
            return wait_at_barrier(m, c, b, within == B_WAIT_CLEAR, value);
        }
        *value = within == B_TEAM ? b->team : within == B_TARGETS ? b->targets : b->arrived;
        return 0;
    }
    if (offset >= E_SOFTWARE_WAIT && offset < E_BARRIER) {
        return wait_for_software(m, c, number % 8U, offset >= E_SOFTWARE_WAIT_CLEAR, value);
    }
    switch (offset) {
    case E_WAIT: case E_WAIT_CLEAR:
        return request(m, c) ? RETRY : await_event(m, c, offset == E_WAIT_CLEAR, value);
    case E_DISPATCH:
        return receive(m, c, value);
    case E_MUTEX:
        return lock(m, c, value);
    case E_MASK:
        *value = u->mask;
        return 0;
    case E_IRQ_MASK:
        *value = u->irq_mask;
        return 0;
    case E_STATUS:
        *value = 1;
        return 0;
    case E_BUFFER:
        *value = u->buffer;
        return 0;
    case E_MASKED:
        *value = u->buffer & u->mask;
        return 0;
    case E_IRQ_MASKED:
        *value = u->buffer & u->irq_mask;
        return 0;
    default:
        return fail(m, c, BAD_READ, offset, 1);
    }
}

static uint32_t events_write(machine *m, core *c, uint32_t offset, uint32_t value)
{
    unit *u = &c->events;
    if (offset >= E_BARRIER && offset < E_END) {
        barrier *b = &m->barriers[(offset - E_BARRIER) / 32U];
        const uint32_t within = offset & 0x1FU;
        if (within == B_TEAM) {
            b->team = value;
        } else if (within == B_TARGETS) {
            b->targets = value;
        } else if (within == B_ARRIVE) {
            arrive(m, b, value);
        } else if (within == B_ARRIVE_SELF) {
            arrive(m, b, 1U << c->number);
        } else {
            return fail(m, c, BAD_WRITE, offset, 1);
        }
        return 0;
    }
    if (offset >= E_SOFTWARE && offset < E_SOFTWARE + 32U) {
        trigger(m, (offset - E_SOFTWARE) / 4U, value);
        return 0;
    }
    switch (offset) {
    case E_MASK:
        u->mask = value;
        return 0;
    case E_MASK_AND:
        u->mask &= ~value;
        return 0;
    case E_MASK_OR:
        u->mask |= value;
        return 0;
    case E_IRQ_MASK:
        u->irq_mask = value;
        return 0;
    case E_IRQ_MASK_AND:
        u->irq_mask &= ~value;
        return 0;
    case E_IRQ_MASK_OR:
        u->irq_mask |= value;
        return 0;
    case E_CLEAR:
        u->buffer &= ~value;
        return 0;
    case E_DISPATCH:
        return dispatch(m, c, value);
    case E_TEAM:
        m->team = value;
        return 0;
    case E_MUTEX:
        unlock(m);
        return 0;
    default:
        return fail(m, c, BAD_WRITE, offset, 1);
    }
}

#endif
