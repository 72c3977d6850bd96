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
    if (bytes == 0U) {
        return number - 1U;
    }
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

/* What is left of a request: the next burst of it, and the registers of its direction. */
typedef struct {
    uint32_t base, near, far, left, bytes;
} way;

/* Where the next burst goes on this side, and how long it is: what the uDMA takes over when a burst starts, and may change
   afterwards. */
static void prepare_burst(way *w)
{
    w->bytes = w->left < SMELT_OUTSIDE_BURST ? w->left : SMELT_OUTSIDE_BURST;
    SMELT_REGISTER(w->base) = w->near;
    SMELT_REGISTER(w->base + 4U) = w->bytes;
}

static void start_burst(way *w)
{
    SMELT_REGISTER(HYPER + 0x20U) = w->far;
    SMELT_REGISTER(w->base + 8U) = STARTS;
    w->near += w->bytes, w->far += w->bytes, w->left -= w->bytes;
}

static void take_request(way *w, uint32_t number)
{
    volatile const outside_request *const r = &requests[number % REQUESTS];
    w->base = HYPER + (r->outwards ? 0x10U : 0x00U);
    w->near = r->near, w->far = r->far, w->left = r->bytes;
}

static void tell_served(uint32_t number)
{
    served = number;
    SMELT_REGISTER(WORKER_EVENT(SERVED)) = 1U;
}

/* Move what was asked for since request `done`, burst after burst. Between two of them little happens, since their time is lost for all
   that follow: the next one is made ready, be it of another request, and the end of a request is told, while a burst is under way.
   Returns the last request that was served. */
static uint32_t move(uint32_t done)
{
    way w;
    uint32_t number = done + 1U, is_more = 1U;
    take_request(&w, number);
    prepare_burst(&w);
    SMELT_REGISTER(OWN_EVENTS + MASK) = 1U << MOVED;
    while (is_more) {
        start_burst(&w);
        if (done + 1U != number) {
            tell_served(++done);
        }
        if (w.left == 0U) {
            is_more = asked != number;
            if (is_more) {
                take_request(&w, ++number);
            }
        }
        if (is_more) {
            prepare_burst(&w);
        }
        (void)wait_for_event(OWN_EVENTS);
    }
    SMELT_REGISTER(OWN_EVENTS + MASK) = 1U << RETURNED | 1U << ASKED;
    tell_served(number);
    return number;
}

static void serve(void)
{
    uint32_t done = served;
    while (asked != done) {
        done = move(done);
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
