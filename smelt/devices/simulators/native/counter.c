/* Called by the emulator at the start of every block of translated code: counts instructions, attributes them to the steps of the
   network, and stops a run-away program. A block's instructions never change, so they are counted once, at its first execution.
   The layout of the structures is repeated in ../counter.py. */
#include <stdint.h>

#include "clock.h"

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

enum { RUN_ENTRY = 1, KERNEL_ENTRY = 4, CHECKED = 8, IDLE = 16 };
enum { NOWHERE = 1 };
enum { OUTSIDE = 0, OVERHEAD = 1, FIRST_STEP = 2 };
enum { RUNNING = 0, LIMIT_REACHED = 1, MISALIGNED = 2, IDLING = 3 };

/* What is known about the block that starts at one halfword of code memory. `size` 0: nothing yet. */
typedef struct {
    uint16_t size;
    uint16_t instructions;
    uint16_t flags;
    uint16_t checks; /* how many of the counter's checks, from `first_check` on */
    uint32_t first_check;
    uint32_t reserved;
} block_t;

/* A memory that can hold code: its bytes on the host and a block_t for each halfword. */
typedef struct {
    uint64_t start, end;
    const uint8_t *bytes;
    block_t *blocks;
} region_t;

/* A sum that must be a multiple of four when the block (or instruction) at `address` starts: registers times factors, and an offset.
   A factor of 0: no register. */
typedef struct {
    uint32_t address;      /* of the block, or of the instruction for checks of single instructions */
    uint32_t at;           /* of the instruction, for the message */
    uint32_t offset;
    int32_t registers[2];  /* the emulator's numbers */
    uint32_t factors[2];
} check_t;

/* A call of a part. */
typedef struct {
    uint32_t part, return_address, stack, step;
} call_t;

/* A load in an IT block, and how often it reads. */
typedef struct {
    uint32_t address, reads;
} conditional_t;

typedef int (*read_register_t)(void *engine, int reg, void *value);
typedef int (*write_register_t)(void *engine, int reg, const void *value);
typedef int (*stop_t)(void *engine);
/* Fills in block->checks and block->first_check. */
typedef void (*analyse_t)(uint32_t address, uint32_t size, block_t *block);
/* Makes room for more steps. */
typedef void (*grow_t)(void);

typedef struct {
    uint64_t total, limit;
    uint64_t run_start;             /* address of the function that runs the network */
    uint64_t return_address;        /* where the running network returns to; NOWHERE outside */
    uint64_t run_stack;             /* the stack pointer when it began */
    uint64_t runs;                  /* completed */
    uint64_t stopped;               /* why */
    uint64_t stopped_at;            /* the address of the offending instruction, or of the last block */
    uint64_t current;               /* index into counts */
    uint64_t steps;                 /* entered in this run */
    uint64_t max_steps;             /* that there is room for */
    uint64_t *counts;               /* outside, overhead, then one per step; of the run that is under way */
    uint64_t *last;                 /* the same of the last completed run */
    uint64_t last_steps;
    const uint32_t *kernels;        /* entry addresses, ascending */
    uint64_t kernel_count;
    region_t *regions;
    uint64_t region_count;
    const check_t *checks;          /* of blocks; moved when it grows */
    const check_t *hard;            /* of single instructions, by address */
    uint64_t hard_count;
    int32_t link_register;
    int32_t is_thumb;
    read_register_t read_register;
    stop_t stop;
    analyse_t analyse;
    clock_t_ *clock;                /* none: nobody wants to know the time */
    uint64_t *ticks;                /* like counts */
    uint64_t *last_ticks;
    write_register_t write_register;
    int32_t status_register;        /* XPSR; with a clock, on Arm */
    int32_t stack_register;
    uint64_t stop_when_idle;        /* a program that jumps to itself, or waits for an interrupt, is at its end */
    const conditional_t *conditional; /* by address */
    uint64_t conditional_count;
    call_t *calls;                  /* of parts that are under way, as many as steps at most */
    uint64_t depth;
    uint64_t part_return;           /* where the innermost returns to; NOWHERE: none */
    grow_t grow;
    int32_t program_counter;
} counter_t;

static int is_kernel(const counter_t *c, uint32_t address)
{
    uint64_t low = 0, high = c->kernel_count;
    while (low < high) {
        const uint64_t middle = (low + high) / 2;
        if (c->kernels[middle] < address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < c->kernel_count && c->kernels[low] == address;
}

static uint32_t halfword(const uint8_t *at)
{
    return (uint32_t)at[0] | ((uint32_t)at[1] << 8);
}

static int is_long(const counter_t *c, uint32_t first)
{
    return c->is_thumb ? first >= 0xE800U : (first & 3U) == 3U;
}

/* Thumb instructions that fault on addresses that are not multiples of four: LDM, STM, LDRD, STRD, VLDM, VLDR and so on, unless
   their base is the stack pointer. */
static int needs_alignment(uint32_t first)
{
    const uint32_t base = first & 15U;
    if ((first & 0xF000U) == 0xC000U) {
        return 1;
    }
    return base != 13U && ((first & 0xFE00U) == 0xE800U || (first & 0xFE00U) == 0xEC00U);
}

/* `b .`, short or long, or WFI. */
static int is_idle(const counter_t *c, const uint8_t *bytes)
{
    const uint32_t first = halfword(bytes);
    return c->is_thumb && (first == 0xE7FEU || first == 0xBF30U || (first == 0xF7FFU && halfword(bytes + 2) == 0xBFFEU));
}

static void examine(const counter_t *c, const region_t *r, block_t *b, uint32_t address, uint32_t size)
{
    const uint8_t *bytes = r->bytes + (address - r->start);
    uint32_t at = 0, count = 0, aligned = 0;
    while (at + 2U <= size) {
        const uint32_t first = halfword(bytes + at);
        aligned |= (uint32_t)(c->is_thumb && needs_alignment(first));
        at += is_long(c, first) ? 4U : 2U;
        count++;
    }
    b->size = (uint16_t)size;
    b->instructions = (uint16_t)count;
    b->flags = 0;
    b->checks = 0;
    if (address == c->run_start) {
        b->flags |= RUN_ENTRY;
    }
    if (c->stop_when_idle && is_idle(c, bytes)) {
        b->flags |= IDLE;
    }
    if (is_kernel(c, address)) {
        b->flags |= KERNEL_ENTRY;
    }
    if (aligned) {
        c->analyse(address, size, b);
        b->flags |= b->checks ? CHECKED : 0;
    }
}

static uint32_t register_of(const counter_t *c, void *engine, int32_t number)
{
    uint32_t value = 0;
    c->read_register(engine, number, &value);
    return value;
}

static void begin_run(counter_t *c, void *engine)
{
    c->return_address = register_of(c, engine, c->link_register) & ~(uint64_t)1;
    c->run_stack = register_of(c, engine, c->stack_register);
    c->steps = 0;
    c->current = OVERHEAD;
    c->counts[OVERHEAD] = 0;
    c->ticks[OVERHEAD] = 0;
}

static void set_depth(counter_t *c, uint64_t depth)
{
    c->depth = depth;
    c->part_return = depth ? c->calls[depth - 1].return_address : NOWHERE;
    c->current = depth ? c->calls[depth - 1].step : OVERHEAD;
}

static void end_run(counter_t *c)
{
    for (uint64_t i = OVERHEAD; i < FIRST_STEP + c->steps; i++) {
        c->last[i] = c->counts[i];
        c->last_ticks[i] = c->ticks[i];
    }
    c->last_steps = c->steps;
    c->runs++;
    set_depth(c, 0);
    c->return_address = NOWHERE;
    c->current = OUTSIDE;
}

/* Calls above whose stack the stack pointer has risen have ended, however that happened. */
static void drop_calls(counter_t *c, uint32_t stack)
{
    uint64_t depth = c->depth;
    while (depth && c->calls[depth - 1].stack < stack) {
        depth--;
    }
    set_depth(c, depth);
}

/* A part begins: a step, within that of the part that called it. A part that jumps to its own start goes on; one that jumps to another
   part (a tail call) has ended. */
static void enter_part(counter_t *c, void *engine, uint32_t address)
{
    const uint32_t stack = register_of(c, engine, c->stack_register);
    const uint32_t link = register_of(c, engine, c->link_register) & ~1U;
    drop_calls(c, stack);
    call_t *const top = c->depth ? &c->calls[c->depth - 1] : 0;
    const int jumped = top && top->stack == stack && top->return_address == link;
    if (jumped && top->part == address) {
        return;
    }
    if (c->steps == c->max_steps) {
        c->grow();
    }
    const uint64_t depth = c->depth + !jumped;
    c->calls[depth - 1] = (call_t){address, link, stack, (uint32_t)(FIRST_STEP + c->steps)};
    c->counts[FIRST_STEP + c->steps] = 0;
    c->ticks[FIRST_STEP + c->steps] = 0;
    c->steps++;
    set_depth(c, depth);
}

static void leave_part(counter_t *c, void *engine)
{
    const uint32_t stack = register_of(c, engine, c->stack_register);
    drop_calls(c, stack);
    if (c->depth && c->calls[c->depth - 1].stack == stack) {
        set_depth(c, c->depth - 1);
    }
}

static void change_step(counter_t *c, void *engine, uint64_t address, uint32_t flags)
{
    if (address == c->return_address && register_of(c, engine, c->stack_register) >= c->run_stack) {
        end_run(c);
    }
    if (c->return_address == NOWHERE && (flags & RUN_ENTRY)) {
        begin_run(c, engine);
    }
    if (c->return_address == NOWHERE) {
        return;
    }
    if (address == c->part_return) {
        leave_part(c, engine);
    }
    if (flags & KERNEL_ENTRY) {
        enter_part(c, engine, (uint32_t)address);
    }
}

static void stop(counter_t *c, void *engine, uint64_t why, uint64_t at)
{
    if (c->stopped == RUNNING) {
        c->stopped = why;
        c->stopped_at = at;
    }
    c->stop(engine);
}

static void check(counter_t *c, void *engine, const check_t *k)
{
    uint32_t sum = k->offset;
    for (int i = 0; i < 2; i++) {
        if (k->factors[i]) {
            uint32_t value = 0;
            c->read_register(engine, k->registers[i], &value);
            sum += value * k->factors[i];
        }
    }
    if (sum & 3U) {
        stop(c, engine, MISALIGNED, k->at);
    }
}

EXPORT void smelt_block(void *engine, uint64_t address, uint32_t size, counter_t *c)
{
    for (uint64_t i = 0; i < c->region_count; i++) {
        region_t *const r = &c->regions[i];
        if (address < r->start || address >= r->end) {
            continue;
        }
        block_t *const b = &r->blocks[(address - r->start) >> 1];
        if (b->size != size) {
            examine(c, r, b, (uint32_t)address, size);
        }
        if (b->flags || address == c->return_address || address == c->part_return) {
            change_step(c, engine, address, b->flags);
            if (b->flags & IDLE) {
                stop(c, engine, IDLING, address);
            }
            for (uint32_t k = 0; k < b->checks; k++) {
                check(c, engine, &c->checks[b->first_check + k]);
            }
        }
        c->counts[c->current] += b->instructions;
        c->total += b->instructions;
        if (c->clock) {
            c->ticks[c->current] += clock_block(c->clock, address, size);
        }
        if (c->total >= c->limit) {
            stop(c, engine, LIMIT_REACHED, address);
        }
        return;
    }
}

/* Called before the few instructions whose base register is computed in their own block. */
EXPORT void smelt_instruction(void *engine, uint64_t address, uint32_t size, counter_t *c)
{
    (void)size;
    uint64_t low = 0, high = c->hard_count;
    while (low < high) {
        const uint64_t middle = (low + high) / 2;
        if (c->hard[middle].address < address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < c->hard_count && c->hard[low].address == address) {
        check(c, engine, &c->hard[low]);
    }
}

/* Called before the loads in IT blocks, if their condition holds. */
EXPORT void smelt_conditional(void *engine, uint64_t address, uint32_t size, counter_t *c)
{
    (void)engine;
    (void)size;
    uint64_t low = 0, high = c->conditional_count;
    while (low < high) {
        const uint64_t middle = (low + high) / 2;
        if (c->conditional[middle].address < address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < c->conditional_count && c->conditional[low].address == address) {
        clock_conditional(c->clock, (uint32_t)address, c->conditional[low].reads);
    }
}

/* Unicorn writes the state of an IT block back before it calls a hook of a memory access, and forgets to clear it: the next block would
   be executed conditionally. Between blocks that state is always clear. */
static void leave_it_block(const counter_t *c, void *engine)
{
    uint32_t status = 0;
    c->read_register(engine, c->status_register, &status);
    status &= ~0x0600FC00U;
    c->write_register(engine, c->status_register, &status);
}

/* Called at every access to data of a core that does all of them at multiples of their size only. */
EXPORT void smelt_aligned(void *engine, int kind, uint64_t address, int size, int64_t value, counter_t *c)
{
    (void)kind;
    (void)value;
    if (address & (uint64_t)(size - 1)) {
        stop(c, engine, MISALIGNED, register_of(c, engine, c->program_counter) & ~1U);
    }
}

/* Called at every access to data, if there is a clock. */
EXPORT void smelt_data(void *engine, int kind, uint64_t address, int size, int64_t value, counter_t *c)
{
    (void)value;
    if ((c->clock->flags & EDGE_SKIPPABLE) && c->is_thumb && c->write_register) {
        leave_it_block(c, engine);
    }
    const int write = kind == 17; /* UC_MEM_WRITE */
    c->ticks[c->current] += clock_data(c->clock, address, (uint32_t)size, write);
}
