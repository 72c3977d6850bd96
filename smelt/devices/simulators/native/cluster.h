/* A simulated cluster of RISC-V cores with one more core, the fabric controller, beside it: what all files of it share.

   Time is in cycles of one clock. Each core has the cycle at which it issues next; in every cycle those whose time has come take a step,
   in the order of their numbers. A step either executes an instruction or finds out that it must wait, and tries again later. Nothing of the
   C library is used; all memory belongs to the caller (../cluster_machine.py). */
#ifndef CLUSTER_H
#define CLUSTER_H

#include <stddef.h>
#include <stdint.h>

#define NEVER UINT64_MAX
#define RETRY 0x80000000U /* of a handler: the instruction did not happen, and the core's time says when to try again */

enum { WORKERS = 8, CONTROLLER = 8, CORES = 9, MOST_BANKS = 32, LINE = 16, NO_REGISTER = 32 };
enum { L1, L2, TIGHT, REGIONS }; /* of the cluster, of both, of the controller */
enum { FLASH_START = 0x01000000 }; /* of the flash in the addresses of the bus that RAM and flash outside share */

/* What is known of a byte. */
enum { WRITTEN = 1, SOURCE = 2, TARGET = 4, CODE = 8 };

/* Why a run ended. */
enum {
    RUNNING, EXITED, BREAKPOINT, LIMIT, DEADLOCK, UNDEFINED, BAD_READ, BAD_WRITE, BAD_FETCH, READ_UNWRITTEN, IN_FLIGHT, WRONG_DMA,
    STACK_OVERFLOW, WRONG_LOOP, PAUSED
};

/* What a core counts: first as its performance counters are numbered, then what they do not have. */
enum {
    CYCLES, INSTRUCTIONS, LOAD_USE, JUMP_REGISTER, FETCH, LOADS, STORES, JUMPS, BRANCHES, TAKEN, COMPRESSED, FAR_LOADS, FAR_STORES,
    FAR_LOAD_CYCLES, FAR_STORE_CYCLES, CONTENTION, PERFORMANCE,
    SLEEP = PERFORMANCE, MISSES, COUNTERS
};

/* The figures of a chip, in the order of `parameters` in ../cluster_machine.py. */
enum {
    P_WORKERS, P_BANKS, P_TAKEN, P_JUMP, P_JUMP_REGISTER, P_MULTIPLY, P_MULTIPLY_HIGH, P_DIVIDE, P_MISALIGNED_TARGET, P_FAR, P_DEMUX, P_PERIPHERAL,
    P_CONTROLLER_L2, P_CONTROLLER_FAR, P_ELW_REQUEST, P_ELW_WAKE, P_REFILL, P_CONTROLLER_REFILL, P_SETS, P_WAYS, P_CONTROLLER_SETS,
    P_CONTROLLER_WAYS, P_DMA_BEGIN, P_DMA_BURST, P_DMA_GAP_IN, P_DMA_GAP_OUT, P_DMA_WORDS, P_HYPER_FIRST, P_HYPER_BYTE, P_HYPER_BURST,
    P_STRICT, PARAMETERS
};

struct machine;
struct core;
struct op;
typedef uint32_t (*handler)(struct machine *, struct core *, const struct op *); /* -> cycles besides the first one, or RETRY */

/* An instruction as it is executed. `uses`, `loads`, `writes` are sets of registers, a bit each. */
typedef struct op {
    handler run; /* NULL: not decoded yet */
    uint32_t uses, loads, writes;
    int32_t imm;
    uint8_t rd, rs1, rs2, size, aux, is_jump, moves_stack;
} op;

typedef struct {
    uint32_t start, size;
    uint8_t *bytes, *flags;
    op *ops; /* one for each halfword; NULL: nothing is executed there */
} region;

typedef struct {
    uint32_t start, end, count;
} loop;

/* The event unit's part for one core, and what waits there. */
typedef struct {
    uint32_t mask, irq_mask, buffer;
    uint32_t phase;    /* of a p.elw: 0 none, 1 requested, 2 asleep or waking */
    uint32_t waits_at; /* the register that it reads */
    uint32_t fifo[8], fifo_first, fifo_count; /* dispatched values */
} unit;

typedef struct {
    uint32_t team, targets, arrived;
} barrier;

/* A call of a watched function, or its return, and what the core has waited for banks and for instructions until then. */
typedef struct {
    uint64_t time, executed, banks, fetches;
    uint32_t core, function, is_return, padding;
} visit;

enum { CALLS = 32 };
typedef struct {
    uint32_t function, ra, sp;
} call;

typedef struct core {
    uint32_t r[33]; /* the last one takes what is written to x0 */
    uint32_t pc, next;
    uint64_t time, asleep_since, started_at;
    uint32_t loading, written; /* registers of the instruction before this one */
    uint32_t line;             /* of instructions, which it holds, plus 1; 0: none */
    uint32_t number, hart;
    loop loops[2];
    unit events;
    uint32_t stack_low, stack_high, deepest;
    uint32_t events_enabled, mode; /* PCER, PCMR */
    uint64_t count[COUNTERS], begun[PERFORMANCE], frozen[PERFORMANCE];
    uint32_t csr[4];
    struct {
        uint32_t words[4], count;
    } command; /* of the DMA, as far as it was pushed */
    uint32_t newest; /* id that it allocated last */
    call calls[CALLS]; /* of watched functions, that have not returned */
    uint32_t depth;
} core;

typedef struct {
    uint32_t sets, ways, refill;
    uint32_t lines[64 * 4]; /* address / LINE plus 1 */
    uint64_t ready[64 * 4], used[64 * 4];
} cache;

typedef struct {
    uint32_t length, inwards, event, irq, broadcast, near, far, line, stride; /* 1D: one line */
    uint32_t id, core;
    uint64_t pushed;
} transfer;

enum { TRANSFERS = 128, IDS = 16 };
typedef struct {
    transfer queue[TRANSFERS];
    uint32_t first, count;
    uint32_t allocated, outstanding[IDS], waiting; /* cores that want an id when there is none */
    uint32_t done, in_line, in_burst, pause; /* bytes of the current transfer, of its line, of the burst; thousandths of a cycle */
    uint64_t resume, busy_cycles, denied, bytes, lines;
} dma;

typedef struct {
    uint32_t near, far, size, outwards, is_busy;
    uint32_t registers[16];
    uint64_t end, busy_cycles, bytes, bursts, left; /* left: thousandths of a cycle */
} hyper;


typedef struct machine {
    uint64_t now, soonest, limit, executed; /* soonest: of all cores' times, while a cycle is looked at */
    uint32_t stop, stop_core, stop_pc, stop_address, stop_detail, exit_code;
    uint32_t p[PARAMETERS];
    region regions[REGIONS];
    region ram, flash; /* outside of the chip */
    core cores[CORES];
    uint64_t bank[MOST_BANKS]; /* the first cycle in which it is free */
    cache shared, own;
    dma mover;
    hyper outside;
    barrier barriers[8];
    uint32_t mutex_owner, team, boot[WORKERS], timer_on;
    uint64_t timer_start, timer_count;
    uint8_t *text;
    uint32_t text_size, text_used;
    visit *visits;
    uint32_t visits_size, visits_used;
    uint32_t *watched; /* addresses of functions, sorted */
    uint32_t watched_count;
    uint32_t *paused; /* those of them behind whose calls a run stops, sorted */
    uint32_t paused_count;
} machine;

/* Stop because of what a core does at its program counter. */
static uint32_t fail(machine *m, core *c, uint32_t reason, uint32_t address, uint32_t detail)
{
    if (m->stop == RUNNING) {
        m->stop = reason;
        m->stop_core = c->number;
        m->stop_pc = c->pc;
        m->stop_address = address;
        m->stop_detail = detail;
    }
    return RETRY;
}

static uint32_t again(machine *m, core *c, uint64_t time)
{
    c->time = time;
    if (time < m->soonest) {
        m->soonest = time;
    }
    return RETRY;
}

#endif
