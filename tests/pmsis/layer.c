/* What NAME_pmsis.c has beside what networks of the tests use: transfers that are cut, many requests of the RAM outside. */
#include "words_pmsis.h"

#include "pmsis.h"

#include "smelt_pulp_cores.h"

#include <string.h>

enum { LONG = 50001, LINE = 16667, MORE = 40000, REQUESTS = 40, BYTES = 100 };

static uint8_t far[LONG + MORE], back[LONG + MORE], *near;
static int shares[8];

static uint8_t value(uint32_t i)
{
    return (uint8_t)(i * 31U ^ i >> 7);
}

static void share(void *argument)
{
    shares[smelt_worker_number()] += *(const int *)argument;
    smelt_barrier();
}

static void run(void *argument)
{
    uint32_t numbers[REQUESTS];
    const uint32_t in = smelt_haul_rows(near, far, LONG, LINE, LINE);
    smelt_haul_more_in(near + LONG, far + LONG, MORE, MORE, MORE);
    smelt_hauled(in);
    const uint32_t out = smelt_haul_out(near, back, LONG, LONG, LONG);
    smelt_haul_more_out(near + LONG, back + LONG, MORE, 1000U, 1000U);
    smelt_hauled(out);
    for (uint32_t i = 0U; i < REQUESTS; i++) {
        numbers[i] = smelt_outside_write(i * BYTES, far + i * BYTES, BYTES);
    }
    smelt_outside_wait(numbers[REQUESTS - 1]);
    memset(far, 0, REQUESTS * BYTES);
    for (uint32_t i = 0U; i < REQUESTS; i++) {
        numbers[i] = smelt_outside_read(far + i * BYTES, i * BYTES, BYTES);
    }
    smelt_outside_wait(numbers[REQUESTS - 2]);
    smelt_outside_wait(numbers[REQUESTS - 1]);
    smelt_fork(share, argument);
}

static void main_task(void)
{
    int two = 2;
    for (uint32_t i = 0U; i < LONG + MORE; i++) {
        far[i] = value(i);
    }
    int code = smelt_cluster_open(100000000U) != 0 || smelt_outside_open() != 0;
    near = smelt_near_memory(LONG + MORE);
    code |= near == NULL || smelt_cluster_call(run, &two) != 0;
    for (uint32_t i = 0U; i < LONG + MORE; i++) {
        code |= back[i] != value(i) || far[i] != value(i);
    }
    for (int i = 0; i < 8; i++) {
        code |= shares[i] != 2;
    }
    smelt_cluster_close();
    pmsis_exit(code);
}

int main(void)
{
    return pmsis_kickoff((void *)main_task);
}
