/* What the host and the device runtime of a session share. The host reads and writes this memory while the core is halted. */
#ifndef SMELT_SESSION_H
#define SMELT_SESSION_H

#include <stdint.h>

/* One call of a function: `count` words at `arguments`; the runtime fills in `result` and `cycles`. */
typedef struct {
    uint32_t function;
    uint32_t arguments;
    uint32_t count;
    uint32_t result;
    uint32_t cycles;
} smelt_task;

/* `magic` says that this memory is still ours, `counter` where the core counts its cycles (0: nowhere). */
typedef struct {
    uint32_t magic;
    uint32_t counter;
    uint32_t count;
    uint32_t done;
    smelt_task tasks[];
} smelt_queue;

/* Placed by the linker script. */
extern volatile smelt_queue smelt_session_queue;

/* Calls `function` with `count` words as its arguments; at least eight words can be read from `arguments`. */
uint32_t smelt_session_apply(uint32_t function, const uint32_t *arguments, uint32_t count);

#endif
