/* The device's half of a session: runs the tasks of the queue in order, then stops at a breakpoint. */
#include "smelt_session.h"

void smelt_session_run(void);

static uint32_t now(void)
{
    const uint32_t counter = smelt_session_queue.counter;
    return counter == 0U ? 0U : *(volatile const uint32_t *)(uintptr_t)counter;
}

void smelt_session_run(void)
{
    volatile smelt_queue *const queue = &smelt_session_queue;
    while (queue->done < queue->count) {
        volatile smelt_task *const task = &queue->tasks[queue->done];
        const uint32_t *const arguments = (const uint32_t *)(uintptr_t)task->arguments;
        const uint32_t start = now();
        task->result = smelt_session_apply(task->function, arguments, task->count);
        task->cycles = now() - start;
        queue->done++;
    }
}
