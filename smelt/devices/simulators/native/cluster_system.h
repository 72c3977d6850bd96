/* Control and status registers, performance counters, and the map of peripherals. */
#ifndef CLUSTER_SYSTEM_H
#define CLUSTER_SYSTEM_H

#include "cluster_dma.h"

/* --- performance counters ----------------------------------------------------------------------------------------------------------- */

enum { CSR_FIRST_COUNTER = 0x780, CSR_ALL_COUNTERS = 0x79F, CSR_PCER = 0x7A0, CSR_PCMR = 0x7A1, CSR_HARTID = 0xF14, CSR_LOOPS = 0x7B0 };
enum { CSR_MSTATUS = 0x300, CSR_MTVEC = 0x305, CSR_MEPC = 0x341, CSR_MCAUSE = 0x342 };

/* Cycles do not count while the core sleeps, since its clock is off then. */
static uint64_t raw_count(const machine *m, const core *c, uint32_t number)
{
    return number == CYCLES ? m->now - c->started_at - c->count[SLEEP] : c->count[number];
}

static uint32_t counter_value(const machine *m, const core *c, uint32_t number)
{
    const uint32_t runs = c->mode & 1U && c->events_enabled >> number & 1U;
    return (uint32_t)(c->frozen[number] + (runs ? raw_count(m, c, number) - c->begun[number] : 0U));
}

static void set_counter(const machine *m, core *c, uint32_t number, uint32_t value)
{
    c->frozen[number] = value;
    c->begun[number] = raw_count(m, c, number);
}

static void enable_counters(const machine *m, core *c, uint32_t set, uint32_t mode)
{
    for (uint32_t i = 0; i < PERFORMANCE; i++) {
        set_counter(m, c, i, counter_value(m, c, i));
    }
    c->events_enabled = set;
    c->mode = mode;
}

/* --- CSRs ------------------------------------------------------------------------------------------------------------------------------ */

static uint32_t *kept(core *c, uint32_t number)
{
    switch (number) {
    case CSR_MSTATUS:
        return &c->csr[0];
    case CSR_MTVEC:
        return &c->csr[1];
    case CSR_MEPC:
        return &c->csr[2];
    case CSR_MCAUSE:
        return &c->csr[3];
    case CSR_LOOPS: case CSR_LOOPS + 4:
        return &c->loops[(number - CSR_LOOPS) / 4U].start;
    case CSR_LOOPS + 1: case CSR_LOOPS + 5:
        return &c->loops[(number - CSR_LOOPS) / 4U].end;
    case CSR_LOOPS + 2: case CSR_LOOPS + 6:
        return &c->loops[(number - CSR_LOOPS) / 4U].count;
    default:
        return NULL;
    }
}

static int csr_read(const machine *m, core *c, uint32_t number, uint32_t *value)
{
    const uint32_t counter = number - CSR_FIRST_COUNTER;
    if (counter < PERFORMANCE) {
        *value = counter_value(m, c, counter);
    } else if (number == CSR_HARTID) {
        *value = c->hart;
    } else if (number == CSR_PCER || number == CSR_PCMR) {
        *value = number == CSR_PCER ? c->events_enabled : c->mode;
    } else if (kept(c, number)) {
        *value = *kept(c, number);
    } else {
        return 0;
    }
    return 1;
}

static int csr_write(const machine *m, core *c, uint32_t number, uint32_t value)
{
    const uint32_t counter = number - CSR_FIRST_COUNTER;
    if (counter < PERFORMANCE) {
        set_counter(m, c, counter, value);
    } else if (number == CSR_ALL_COUNTERS) {
        for (uint32_t i = 0; i < PERFORMANCE; i++) {
            set_counter(m, c, i, value);
        }
    } else if (number == CSR_PCER || number == CSR_PCMR) {
        enable_counters(m, c, number == CSR_PCER ? value : c->events_enabled, number == CSR_PCMR ? value : c->mode);
    } else if (kept(c, number)) {
        *kept(c, number) = value;
    } else {
        return 0;
    }
    return 1;
}

/* `reads`: what was there is wanted; `writes`: something is changed; `value`: from what was there (`old`) and the operand (`a`). */
#define CSR(name, operand, reads, writes, value)                                                                       \
    HANDLER(name)                                                                                                      \
    {                                                                                                                  \
        const uint32_t a = (operand), number = (uint32_t)o->imm;                                                       \
        uint32_t old = 0;                                                                                              \
        if ((reads) && !csr_read(m, c, number, &old)) {                                                                \
            return fail(m, c, UNDEFINED, number, 2);                                                                   \
        }                                                                                                              \
        if ((writes) && !csr_write(m, c, number, (value))) {                                                           \
            return fail(m, c, UNDEFINED, number, 2);                                                                   \
        }                                                                                                              \
        c->r[o->rd] = old;                                                                                             \
        return 0;                                                                                                      \
    }

CSR(do_csrrw, c->r[o->rs1], o->rd != NO_REGISTER, 1, a)
CSR(do_csrrs, c->r[o->rs1], 1, o->rs1, old | a)
CSR(do_csrrc, c->r[o->rs1], 1, o->rs1, old & ~a)
CSR(do_csrrwi, o->aux, o->rd != NO_REGISTER, 1, a)
CSR(do_csrrsi, o->aux, 1, a, old | a)
CSR(do_csrrci, o->aux, 1, a, old & ~a)

HANDLER(do_fence)
{
    (void)c, (void)o;
    UNUSED_MACHINE;
    return 0;
}

HANDLER(do_ecall)
{
    (void)o;
    return fail(m, c, UNDEFINED, 0, 1);
}

HANDLER(do_ebreak)
{
    (void)o;
    return fail(m, c, BREAKPOINT, 0, 0);
}

HANDLER(do_mret)
{
    (void)o;
    c->next = c->csr[2];
    return m->p[P_JUMP_REGISTER] - 1U;
}

HANDLER(do_wfi)
{
    unit *u = &c->events;
    (void)o;
    u->waits_at = E_WAIT;
    if (!(u->buffer & (u->mask | u->irq_mask))) {
        return fall_asleep(m, c);
    }
    u->phase = 0;
    return 0;
}

HANDLER(do_elw)
{
    uint32_t value = 0;
    const uint32_t wait = load(m, c, c->r[o->rs1] + (uint32_t)o->imm, 4, &value);
    if (wait != RETRY) {
        c->r[o->rd] = value;
    }
    return wait;
}

/* --- peripherals -------------------------------------------------------------------------------------------------------------------------- */

enum {
    A_CONTROL = 0x10200000, C_FETCH = 0x08, C_BOOT = 0x40, A_TIMER = 0x10200400, T_COUNT = 0x08, A_TRIGGER = 0x10200E00,
    A_ICACHE = 0x10201400, A_DMA_OUTSIDE = 0x10201800, A_EVENTS = 0x10204000, A_DMA = 0x10204400, A_OWN_TRIGGER = 0x1B200E00,
    A_OWN_EVENTS = 0x1B204000, A_UDMA = 0x1A102000, A_HYPER = 0x1A102180, A_SOC = 0x1A104000, A_EXIT = 0x1A1040A0, A_TEXT = 0x1A110000,
    BOOT_OFFSET = 0x80
};

static int within(uint32_t address, uint32_t start, uint32_t size) { return address - start < size; }

static void start_cores(machine *m, uint32_t set)
{
    for (uint32_t i = 0; i < m->p[P_WORKERS]; i++) {
        core *c = &m->cores[i];
        if (set >> i & 1U && c->started_at == NEVER) {
            c->pc = m->boot[i] + BOOT_OFFSET;
            c->started_at = m->now;
            (void)again(m, c, m->now + 1U);
        }
    }
}

static uint32_t timer_value(const machine *m)
{
    return (uint32_t)(m->timer_count + (m->timer_on ? m->now - m->timer_start : 0U));
}

static void set_timer(machine *m, uint32_t value)
{
    m->timer_count = value & 2U ? 0U : timer_value(m);
    m->timer_start = m->now;
    m->timer_on = value & 1U;
}

static void print_byte(machine *m, uint32_t value)
{
    if (m->text_used < m->text_size) {
        m->text[m->text_used++] = (uint8_t)value;
    }
}

/* How long it takes a core to reach a peripheral; what each core has a view of its own of is near. */
static uint32_t reach(const machine *m, const core *c, uint32_t address)
{
    if (c->number == CONTROLLER) {
        return within(address, A_CONTROL, 0x100000) ? m->p[P_CONTROLLER_FAR] - 1U
                                                    : address >= A_OWN_TRIGGER ? m->p[P_DEMUX] - 1U : m->p[P_PERIPHERAL] - 1U;
    }
    return within(address, A_EVENTS, 0x800) ? m->p[P_DEMUX] - 1U
                                            : within(address, A_CONTROL, 0x4000) ? m->p[P_PERIPHERAL] - 1U : m->p[P_FAR] - 1U;
}

static uint32_t peripheral_read(machine *m, core *c, uint32_t address, uint32_t *value)
{
    const uint32_t wait = reach(m, c, address), is_worker = c->number != CONTROLLER;
    uint32_t retry = 0;
    *value = 0;
    if (is_worker && within(address, A_EVENTS, E_END)) {
        retry = events_read(m, c, address - A_EVENTS, value);
    } else if (is_worker && within(address, A_DMA, 8)) {
        retry = dma_read(m, c, address - A_DMA, value);
    } else if (!is_worker && within(address, A_OWN_EVENTS, E_DISPATCH)) {
        retry = events_read(m, c, address - A_OWN_EVENTS, value);
    } else if (!is_worker && within(address, A_DMA_OUTSIDE, 8)) {
        retry = dma_read(m, c, address - A_DMA_OUTSIDE, value);
    } else if (address == A_TIMER + T_COUNT) {
        *value = timer_value(m);
    } else if (!is_worker && within(address, A_HYPER, H_END)) {
        *value = hyper_read(m, address - A_HYPER);
    } else if (!within(address, A_CONTROL, 0x100) && !within(address, A_UDMA, 0x1000) && !within(address, A_SOC, 0x1000)) {
        return fail(m, c, BAD_READ, address, 0);
    }
    return retry ? RETRY : wait;
}

static uint32_t control_write(machine *m, uint32_t offset, uint32_t value)
{
    if (offset == C_FETCH) {
        start_cores(m, value);
    } else if (within(offset, C_BOOT, 4U * WORKERS)) {
        m->boot[(offset - C_BOOT) / 4U] = value;
    }
    return 0; /* the clock and the end of computation say nothing here */
}

static uint32_t end_program(machine *m, core *c, uint32_t value)
{
    m->exit_code = value & 0x7FFFFFFFU;
    return fail(m, c, EXITED, 0, 0);
}

static uint32_t peripheral_write(machine *m, core *c, uint32_t address, uint32_t value)
{
    const uint32_t wait = reach(m, c, address), is_worker = c->number != CONTROLLER;
    uint32_t retry = 0;
    if (is_worker && within(address, A_EVENTS, E_END)) {
        retry = events_write(m, c, address - A_EVENTS, value);
    } else if (is_worker && within(address, A_DMA, 8)) {
        retry = dma_write(m, c, address - A_DMA, value);
    } else if (!is_worker && within(address, A_OWN_EVENTS, E_DISPATCH)) {
        retry = events_write(m, c, address - A_OWN_EVENTS, value);
    } else if (!is_worker && within(address, A_DMA_OUTSIDE, 8)) {
        retry = dma_write(m, c, address - A_DMA_OUTSIDE, value);
    } else if (within(address, A_TRIGGER, 32)) {
        trigger(m, (address - A_TRIGGER) / 4U, value);
    } else if (within(address, A_OWN_TRIGGER, 32)) {
        raise_event(m, &m->cores[CONTROLLER], (address - A_OWN_TRIGGER) / 4U);
    } else if (!is_worker && within(address, A_HYPER, H_END)) {
        retry = hyper_write(m, c, address - A_HYPER, value);
    } else if (within(address, A_CONTROL, 0x100)) {
        retry = control_write(m, address - A_CONTROL, value);
    } else if (address == A_TIMER) {
        set_timer(m, value);
    } else if (within(address, A_TEXT, 0x2000)) {
        print_byte(m, value);
    } else if (address == A_EXIT && value >> 31) {
        retry = end_program(m, c, value);
    } else if (!within(address, A_ICACHE, 0x20) && !within(address, A_UDMA, 0x1000) && !within(address, A_SOC, 0x1000)) {
        return fail(m, c, BAD_WRITE, address, 0);
    }
    return retry ? RETRY : wait;
}

#endif
