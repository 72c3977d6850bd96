#include "smelt_cluster.h"

#include "smelt_board.h"

/* Registers that only the controller uses, or that lead from one side to the other. */
#define CONTROL 0x10200000U
#define INSTRUCTION_CACHE 0x10201400U
#define WORKER_EVENT(n) (0x10200E00U + 4U * (n)) /* software events: of the workers in the set that is written, */
#define OWN_EVENT(n) (0x1B200E00U + 4U * (n))    /* and of the controller */
#define OWN_EVENTS 0x1B204000U
#define UDMA_CLOCKS 0x1A102780U
#define HYPER 0x1A102180U

enum { MASK = 0x00, WAIT_CLEAR = 0x3C, TEAM = 0x200, TARGETS = 0x20C };
enum { CALLED, SERVED }; /* events of worker 0 */
enum { RETURNED, ASKED, MOVED = 27 }; /* events of the controller */
enum { STARTS = 1 << 4, REQUESTS = 16 };

extern uint8_t __smelt_image_start[];
void smelt_worker(uint32_t number) __attribute__((noreturn));

typedef struct {
    smelt_task run;
    void *argument;
} job;

typedef struct {
    uint32_t near, far, bytes, outwards;
} outside_request;

/* Both sides see L1; it is near for those who compute. */
static volatile SMELT_L1 job call, forked;
static volatile SMELT_L1 uint32_t returned, asked, served;
static volatile SMELT_L1 outside_request requests[REQUESTS];

static uint32_t wait_for_event(uint32_t base)
{
    return smelt_sleep_at(base, WAIT_CLEAR);
}

/* --- workers ------------------------------------------------------------------------------------------------------------------------- */

static void run_forked(void)
{
    forked.run(forked.argument);
    smelt_barrier();
}

void smelt_fork(smelt_task task, void *argument)
{
    forked.run = task;
    forked.argument = argument;
    smelt_barrier();
    run_forked();
}

/* Worker 0 sets up the barrier, starts the others, and takes calls; the others take what it forks. */
void smelt_worker(uint32_t number)
{
    SMELT_REGISTER(SMELT_EVENTS + MASK) = number ? SMELT_BARRIER_EVENT : 1U << CALLED;
    while (number != 0U) {
        smelt_barrier();
        run_forked();
    }
    SMELT_REGISTER(SMELT_EVENTS + TEAM) = 0xFFU;
    SMELT_REGISTER(SMELT_EVENTS + TARGETS) = 0xFFU;
    SMELT_REGISTER(CONTROL + 0x08U) = 0xFFU;
    for (;;) {
        (void)wait_for_event(SMELT_EVENTS);
        SMELT_REGISTER(SMELT_EVENTS + MASK) = SMELT_BARRIER_EVENT;
        call.run(call.argument);
        SMELT_REGISTER(SMELT_EVENTS + MASK) = 1U << CALLED;
        returned = 1U;
        SMELT_REGISTER(OWN_EVENT(RETURNED)) = 1U;
    }
}

static uint32_t ask(uint32_t near, uint32_t far, uint32_t bytes, uint32_t outwards)
{
    const uint32_t number = asked + 1U;
    if (number > REQUESTS) {
        smelt_outside_wait(number - REQUESTS);
    }
    volatile outside_request *const r = &requests[number % REQUESTS];
    r->near = near, r->far = far, r->bytes = bytes, r->outwards = outwards;
    asked = number;
    SMELT_REGISTER(OWN_EVENT(ASKED)) = 1U;
    return number;
}

uint32_t smelt_outside_read(void *to, uint32_t from, uint32_t bytes)
{
    return ask((uint32_t)(uintptr_t)to, from, bytes, 0U);
}

uint32_t smelt_outside_write(uint32_t to, const void *from, uint32_t bytes)
{
    return ask((uint32_t)(uintptr_t)from, to, bytes, 1U);
}

void smelt_outside_wait(uint32_t number)
{
    SMELT_REGISTER(SMELT_EVENTS + MASK) = 1U << SERVED;
    while ((int32_t)(served - number) < 0) {
        (void)wait_for_event(SMELT_EVENTS);
    }
    SMELT_REGISTER(SMELT_EVENTS + MASK) = SMELT_BARRIER_EVENT;
}

/* --- the controller -------------------------------------------------------------------------------------------------------------------- */

void smelt_cluster_start(void)
{
    asked = served = returned = 0U;
    SMELT_REGISTER(OWN_EVENTS + MASK) = 1U << RETURNED | 1U << ASKED;
    SMELT_REGISTER(UDMA_CLOCKS) |= 1U << 3;
    SMELT_REGISTER(CONTROL + 0x20U) = 1U;
    SMELT_REGISTER(INSTRUCTION_CACHE) = 0xFFFFFFFFU;
    SMELT_REGISTER(SMELT_TIMER) = 3U;
    for (uint32_t i = 0U; i < SMELT_WORKERS; i++) {
        SMELT_REGISTER(CONTROL + 0x40U + 4U * i) = (uint32_t)(uintptr_t)__smelt_image_start;
    }
    SMELT_REGISTER(CONTROL + 0x08U) = 1U;
}

/* Where a burst goes on this side, and how long it is: what the uDMA takes over when a burst starts, and may change afterwards. */
static uint32_t prepare_burst(uint32_t base, uint32_t near, uint32_t left)
{
    const uint32_t bytes = left < SMELT_OUTSIDE_BURST ? left : SMELT_OUTSIDE_BURST;
    SMELT_REGISTER(base) = near;
    SMELT_REGISTER(base + 4U) = bytes;
    return bytes;
}

/* Move what was asked for, burst after burst. Between two of them little happens: their time is lost for all that follow. */
static void move(volatile const outside_request *r)
{
    const uint32_t base = HYPER + (r->outwards ? 0x10U : 0x00U);
    uint32_t near = r->near, far = r->far, left = r->bytes;
    uint32_t bytes = prepare_burst(base, near, left);
    SMELT_REGISTER(OWN_EVENTS + MASK) = 1U << MOVED;
    while (left != 0U) {
        SMELT_REGISTER(HYPER + 0x20U) = far;
        SMELT_REGISTER(base + 8U) = STARTS;
        near += bytes, far += bytes, left -= bytes;
        bytes = prepare_burst(base, near, left);
        (void)wait_for_event(OWN_EVENTS);
    }
    SMELT_REGISTER(OWN_EVENTS + MASK) = 1U << RETURNED | 1U << ASKED;
}

static void serve(void)
{
    while (asked != served) {
        const uint32_t number = served + 1U;
        move(&requests[number % REQUESTS]);
        served = number;
        SMELT_REGISTER(WORKER_EVENT(SERVED)) = 1U;
    }
}

void smelt_cluster_call(smelt_task task, void *argument)
{
    call.run = task;
    call.argument = argument;
    returned = 0U;
    SMELT_REGISTER(WORKER_EVENT(CALLED)) = 1U;
    while (returned == 0U) {
        (void)wait_for_event(OWN_EVENTS);
        serve();
    }
}
