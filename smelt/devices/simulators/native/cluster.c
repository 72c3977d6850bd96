/* The simulated cluster as a library: cycles go by, cores take steps. What `..._get` and `..._set` reach is numbered in
   ../cluster_machine.py. */
#include "cluster_decode.h"

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

/* --- a step ----------------------------------------------------------------------------------------------------------------------- */

static uint32_t word_at(const region *r, uint32_t address)
{
    const uint32_t at = address - r->start;
    const uint32_t low = bytes_at(r->bytes + at, 2);
    return (low & 3U) == 3U && at + 4U <= r->size ? bytes_at(r->bytes + at, 4) : low;
}

static op *find_op(machine *m, uint32_t pc)
{
    for (uint32_t i = 0; i < REGIONS; i++) {
        const region *r = &m->regions[i];
        if (r->ops && holds(r, pc, 2)) {
            return &r->ops[(pc - r->start) / 2U];
        }
    }
    return NULL;
}

/* The instruction at the program counter, or NULL after a fault. */
static op *instruction(machine *m, core *c)
{
    op *o = c->pc & 1U ? NULL : find_op(m, c->pc);
    if (!o) {
        (void)fail(m, c, BAD_FETCH, c->pc, 0);
        return NULL;
    }
    if (!o->run) {
        region *r = region_of(m, c->pc, 2);
        const uint32_t word = word_at(r, c->pc);
        if (any(r, c->pc, 2, WRITTEN, 1) || !decode(o, word)) {
            (void)fail(m, c, UNDEFINED, word, 0);
            return NULL;
        }
        mark(r, c->pc, o->size, CODE);
    }
    return o;
}

/* A hardware loop goes round behind its last instruction; the inner one first. */
static void go_round(machine *m, core *c, const op *o)
{
    for (uint32_t i = 0; i < 2; i++) {
        loop *l = &c->loops[i];
        if (l->count && c->pc == l->end) {
            if (o->is_jump) {
                (void)fail(m, c, WRONG_LOOP, c->pc, 2);
            }
            if (l->count-- > 1U) {
                c->next = l->start;
                return;
            }
        }
    }
}

static void check_stack(machine *m, core *c)
{
    const uint32_t sp = c->r[2];
    if (sp < c->stack_low || sp > c->stack_high) {
        (void)fail(m, c, STACK_OVERFLOW, sp, 0);
    } else if (sp < c->deepest) {
        c->deepest = sp;
    }
}

/* Whether an address is among others, which are sorted. */
static int is_among(const uint32_t *addresses, uint32_t count, uint32_t address)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2U;
        if (addresses[middle] < address) {
            low = middle + 1U;
        } else {
            high = middle;
        }
    }
    return low < count && addresses[low] == address;
}

static void note_visit(machine *m, const core *c, uint32_t function, uint32_t is_return)
{
    if (m->visits_used < m->visits_size) {
        const visit v = {c->time, m->executed, c->count[CONTENTION], c->count[FETCH], c->number, function, is_return, 0};
        m->visits[m->visits_used++] = v;
    }
}

/* After a jump: calls of watched functions, and returns from them, through calls in the last place as well. */
static void follow_calls(machine *m, core *c)
{
    while (c->depth && c->calls[c->depth - 1U].ra == c->pc && c->calls[c->depth - 1U].sp == c->r[2]) {
        const uint32_t function = c->calls[--c->depth].function;
        note_visit(m, c, function, 1);
        if (is_among(m->paused, m->paused_count, function)) {
            (void)fail(m, c, PAUSED, function, 0);
        }
    }
    if (c->depth < CALLS && is_among(m->watched, m->watched_count, c->pc)) {
        const call begun = {c->pc, c->r[1], c->r[2]};
        c->calls[c->depth++] = begun;
        note_visit(m, c, c->pc, 0);
    }
}

/* The same where it is usually found. */
static inline const op *next_instruction(machine *m, core *c)
{
    const region *r = &m->regions[L2];
    const uint32_t at = c->pc - r->start;
    const op *o = at < r->size && !(at & 1U) ? &r->ops[at / 2U] : NULL;
    return o && o->run ? o : instruction(m, c);
}

static inline void step(machine *m, core *c)
{
    const op *o = next_instruction(m, c);
    if (!o) {
        return;
    }
    if ((c->pc + o->size - 1U) / LINE + 1U != c->line || c->pc / LINE + 1U != c->line) {
        const uint32_t wait = fetch(m, c, o->size);
        if (wait) {
            c->time = m->now + wait;
            c->count[FETCH] += wait;
            return;
        }
    }
    if (o->uses & c->loading) {
        c->loading = 0;
        c->time = m->now + 1U;
        c->count[LOAD_USE]++;
        return;
    }
    c->next = c->pc + o->size;
    const uint32_t wait = o->run(m, c, o);
    if (wait == RETRY) {
        return;
    }
    c->time = m->now + 1U + wait;
    c->loading = o->loads;
    c->written = o->writes;
    c->count[INSTRUCTIONS]++;
    c->count[COMPRESSED] += o->size == 2U;
    m->executed++;
    if (c->loops[0].count | c->loops[1].count) {
        go_round(m, c, o);
    }
    if (o->moves_stack && c->stack_high) {
        check_stack(m, c);
    }
    const uint32_t jumped = o->is_jump && c->next != c->pc + o->size;
    c->pc = c->next;
    if (jumped && m->watched_count) {
        follow_calls(m, c);
    }
}

/* --- a run ------------------------------------------------------------------------------------------------------------------------ */

static inline void turn(machine *m, core *c)
{
    if (c->time <= m->now && m->stop == RUNNING) {
        step(m, c);
    }
    if (c->time < m->soonest) {
        m->soonest = c->time;
    }
}

/* One cycle. In every other one the DMA comes before the cores. */
static inline void cycle(machine *m)
{
    const uint32_t workers = m->p[P_WORKERS];
    const uint32_t dma_first = (uint32_t)m->now & 1U;
    m->soonest = NEVER;
    if (m->outside.is_busy && m->outside.end <= m->now) {
        end_burst(m);
    } else if (m->outside.is_busy) {
        m->soonest = m->outside.end;
    }
    if (m->mover.count && dma_first) {
        dma_step(m);
    }
    for (uint32_t i = 0; i < workers; i++) {
        turn(m, &m->cores[i]);
    }
    turn(m, &m->cores[CONTROLLER]);
    if (m->mover.count && !dma_first) {
        dma_step(m);
    }
    if (m->mover.count) {
        m->soonest = m->now + 1U;
    }
}

/* Until something stops it, or `limit` instructions were executed. Returns why it stopped. */
EXPORT uint32_t smelt_cluster_run(machine *m, uint64_t limit)
{
    m->limit = limit;
    m->stop = RUNNING;
    while (m->stop == RUNNING) {
        cycle(m);
        if (m->stop != RUNNING) {
            break;
        }
        if (m->soonest == NEVER) {
            m->stop = DEADLOCK;
        } else if (m->executed >= m->limit) {
            m->stop = LIMIT;
        } else {
            m->now = m->soonest > m->now ? m->soonest : m->now + 1U;
        }
    }
    return m->stop;
}

EXPORT uint64_t smelt_cluster_bytes(void) { return sizeof(machine); }

static void set_cache(cache *k, uint32_t sets, uint32_t ways, uint32_t refill)
{
    k->sets = sets, k->ways = ways, k->refill = refill;
}

/* Reset, in memory that is all zeros or was a machine before; its memories are kept. Only the controller starts, at `entry`. */
EXPORT void smelt_cluster_reset(machine *m, const uint32_t *parameters, uint32_t entry, uint32_t hart)
{
    for (uint32_t i = 0; i < PARAMETERS; i++) {
        m->p[i] = parameters[i];
    }
    set_cache(&m->shared, m->p[P_SETS], m->p[P_WAYS], m->p[P_REFILL]);
    set_cache(&m->own, m->p[P_CONTROLLER_SETS], m->p[P_CONTROLLER_WAYS], m->p[P_CONTROLLER_REFILL]);
    for (uint32_t i = 0; i < CORES; i++) {
        core *c = &m->cores[i];
        c->number = i;
        c->hart = i == CONTROLLER ? hart : i;
        c->time = i == CONTROLLER ? 0 : NEVER;
        c->started_at = i == CONTROLLER ? 0 : NEVER;
        c->deepest = 0xFFFFFFFFU;
    }
    m->cores[CONTROLLER].pc = entry;
}

/* --- what the host sees and changes ------------------------------------------------------------------------------------------------- */

/* Of a core, besides its registers 0 to 31. */
enum { S_PC = 32, S_STACK_LOW, S_STACK_HIGH, S_DEEPEST, S_ASLEEP, S_WAITS_AT, S_STARTED, S_COUNTERS = 64 };
/* Of the machine. */
enum {
    M_NOW, M_STOP_CORE, M_STOP_PC, M_STOP_ADDRESS, M_STOP_DETAIL, M_EXIT_CODE, M_TEXT_USED, M_VISITS_USED, M_EXECUTED, M_DMA_BUSY,
    M_DMA_BYTES, M_DMA_DENIED, M_HYPER_BUSY, M_HYPER_BYTES, M_HYPER_BURSTS
};

EXPORT uint64_t smelt_cluster_core(const machine *m, uint32_t number, uint32_t what)
{
    const core *c = &m->cores[number];
    switch (what) {
    case S_PC:
        return c->pc;
    case S_DEEPEST:
        return c->deepest;
    case S_ASLEEP:
        return c->time == NEVER;
    case S_WAITS_AT:
        return c->events.waits_at;
    case S_STARTED:
        return c->started_at != NEVER;
    case S_COUNTERS + CYCLES:
        return c->started_at == NEVER ? 0 : raw_count(m, c, CYCLES);
    default:
        return what < 32U ? c->r[what] : c->count[what - S_COUNTERS];
    }
}

EXPORT void smelt_cluster_set_core(machine *m, uint32_t number, uint32_t what, uint32_t value)
{
    core *c = &m->cores[number];
    if (what < 32U) {
        c->r[what] = what ? value : 0U;
    } else if (what == S_PC) {
        c->pc = value;
        c->time = m->now;
        c->events.phase = c->loading = c->written = 0;
    } else if (what == S_STACK_LOW) {
        c->stack_low = value;
    } else if (what == S_STACK_HIGH) {
        c->stack_high = c->deepest = value;
    }
}

EXPORT uint64_t smelt_cluster_state(const machine *m, uint32_t what)
{
    const uint64_t values[] = {
        m->now, m->stop_core, m->stop_pc, m->stop_address, m->stop_detail, m->exit_code, m->text_used, m->visits_used, m->executed,
        m->mover.busy_cycles, m->mover.bytes, m->mover.denied, m->outside.busy_cycles, m->outside.bytes, m->outside.bursts,
    };
    return values[what];
}

/* Give the machine a memory: of REGIONS, then RAM and flash outside. */
EXPORT void smelt_cluster_memory(machine *m, uint32_t which, uint32_t start, uint32_t size, uint8_t *bytes, uint8_t *flags, op *ops)
{
    const region r = {start, size, bytes, flags, ops};
    *(which < REGIONS ? &m->regions[which] : which == REGIONS ? &m->ram : &m->flash) = r;
}

EXPORT uint32_t smelt_cluster_op_bytes(void) { return sizeof(op); }

/* The host has written to a memory. */
EXPORT void smelt_cluster_written(machine *m, uint32_t address, uint32_t size)
{
    region *r = region_of(m, address, size);
    if (r) {
        mark(r, address, size, WRITTEN);
        forget(r, address - r->start, size);
    }
}

/* The host has seen the visits so far. */
EXPORT void smelt_cluster_forget_visits(machine *m) { m->visits_used = 0; }

/* Where to put what the program prints, and the visits of `watched` addresses (sorted). */
EXPORT void smelt_cluster_log(machine *m, uint8_t *text, uint32_t text_size, visit *visits, uint32_t visits_size, uint32_t *watched,
                              uint32_t watched_count)
{
    m->text = text, m->text_size = text_size, m->text_used = 0;
    m->visits = visits, m->visits_size = visits_size, m->visits_used = 0;
    m->watched = watched, m->watched_count = watched_count;
}

/* Stop whenever one of these watched functions (sorted) has returned. */
EXPORT void smelt_cluster_pause(machine *m, uint32_t *paused, uint32_t count) { m->paused = paused, m->paused_count = count; }

/* The name of an instruction, or NULL where there is none with these bits. */
EXPORT const char *smelt_cluster_name(uint32_t word)
{
    const uint32_t full = (word & 3U) == 3U ? word : expanded(word & 0xFFFFU);
    const row *found = full ? find_row(full) : NULL;
    return found ? found->name : NULL;
}
