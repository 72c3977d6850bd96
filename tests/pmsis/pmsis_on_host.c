/* PMSIS on the computer that runs the tests: the workers of a fork run one after the other, the last one first, and bytes are moved
 * as late as can be, when somebody waits for them. Wrong use ends the program with a code of its own. Addresses must have 32 bits:
 * link with -no-pie. */
#include "pmsis.h"

#include "bsp/ram.h"
#include "bsp/ram/hyperram.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IDS = 16, MOVES = 4096, CLUSTER = 1, RAM = 2, L1_BYTES = L1_SIZE, L2_BYTES = 1 << 19, RAM_BYTES = 1 << 16 };

typedef struct {
    uint8_t *to;
    const uint8_t *from;
    uint32_t size, line, to_pitch, from_pitch;
    int id;
} planned;

static _Alignas(8) uint8_t l1[L1_BYTES + 8], l2[L2_BYTES], outside[RAM_BYTES];
static uint32_t near_taken, far_taken, worker, forked;
static int open_devices, newest = -1, is_used[IDS], is_on_cluster;
static planned moves[MOVES];
static uint32_t moves_count, counted;

static void demand(int condition, const char *what)
{
    if (!condition) {
        printf("misuse: %s\n", what);
        exit(99);
    }
}

static int is_in(const uint8_t *memory, uint32_t bytes, uint32_t address, uint32_t size)
{
    const uint32_t start = (uint32_t)(uintptr_t)memory;
    return address >= start && address - start + size <= bytes;
}

int pmsis_kickoff(void *entry)
{
    ((void (*)(void))(uintptr_t)entry)();
    return 0;
}

void pmsis_exit(int code)
{
    exit(code & 0xFF);
}

void pi_open_from_conf(struct pi_device *device, void *conf)
{
    device->config = conf;
}

int pi_freq_set(pi_freq_domain_e domain, uint32_t hertz)
{
    demand(domain == PI_FREQ_DOMAIN_FC || (open_devices & CLUSTER) != 0, "the clock of a cluster that is off");
    return hertz == 100000000U ? 0 : -1;
}

void pi_cluster_conf_init(struct pi_cluster_conf *conf)
{
    conf->id = -1;
}

int pi_cluster_open(struct pi_device *device)
{
    demand(((struct pi_cluster_conf *)device->config)->id == 0, "a cluster that is not there");
    open_devices |= CLUSTER;
    return 0;
}

int pi_cluster_close(struct pi_device *device)
{
    (void)device;
    open_devices &= ~CLUSTER;
    return 0;
}

struct pi_cluster_task *pi_cluster_task(struct pi_cluster_task *task, void (*entry)(void *), void *arg)
{
    memset(task, 0, sizeof *task);
    task->entry = entry;
    task->arg = arg;
    return task;
}

int pi_cluster_send_task_to_cl(struct pi_device *device, struct pi_cluster_task *task)
{
    (void)device;
    demand((open_devices & CLUSTER) != 0 && task->stack_size >= task->slave_stack_size, "a call of a cluster that is off");
    is_on_cluster = 1;
    task->entry(task->arg);
    is_on_cluster = 0;
    for (uint32_t i = 0U; i < IDS; i++) {
        demand(is_used[i] == 0, "a transfer that nobody waits for");
    }
    return 0;
}

void *pi_cl_l1_malloc(struct pi_device *device, uint32_t size)
{
    (void)device;
    demand((open_devices & CLUSTER) != 0, "memory of a cluster that is off");
    const uint32_t start = near_taken;
    near_taken += (size + 3U) / 4U * 4U;
    return near_taken <= L1_BYTES ? &l1[start] : NULL;
}

void *pi_l2_malloc(int size)
{
    const uint32_t start = far_taken;
    far_taken += ((uint32_t)size + 3U) / 4U * 4U;
    return far_taken <= L2_BYTES ? &l2[start] : NULL;
}

uint32_t pi_core_id(void)
{
    return worker;
}

void pi_cl_team_fork(int cores, void (*entry)(void *), void *arg)
{
    demand(is_on_cluster && worker == 0U && cores == 8, "a fork");
    forked++;
    for (int i = cores - 1; i >= 0; i--) {
        worker = (uint32_t)i;
        entry(arg);
    }
}

void pi_cl_team_barrier(void)
{
    demand(is_on_cluster, "a barrier");
}

static void plan_move(pi_cl_dma_copy_t *copy, uint32_t line, uint32_t stride)
{
    demand(is_on_cluster && worker == 0U, "a transfer that worker 0 does not ask for");
    demand(copy->size != 0U && copy->size <= 0xFFFFU && moves_count < MOVES, "a transfer");
    demand(is_in(l1, L1_BYTES, copy->loc, copy->size), "a transfer that does not begin or end in L1");
    if (copy->merge == 0U) {
        newest = 0;
        while (newest < IDS && is_used[newest] != 0) {
            newest++;
        }
        demand(newest < IDS, "more transfers than there are numbers");
        is_used[newest] = 1;
        copy->id = newest;
    }
    demand(newest >= 0 && is_used[newest] != 0, "a transfer that joins none");
    uint8_t *const near = (uint8_t *)(uintptr_t)copy->loc, *const far = (uint8_t *)(uintptr_t)copy->ext;
    const int comes = copy->dir == PI_CL_DMA_DIR_EXT2LOC;
    moves[moves_count++] = (planned){comes ? near : far, comes ? far : near, copy->size, line, comes ? line : stride,
                                     comes ? stride : line, newest};
}

void pi_cl_dma_memcpy(pi_cl_dma_copy_t *copy)
{
    demand(copy->size < 0x8000U, "a long transfer, which would not share its number");
    plan_move(copy, copy->size, copy->size);
}

void pi_cl_dma_memcpy_2d(pi_cl_dma_copy_2d_t *copy)
{
    demand(copy->length < 0x8000U && copy->stride < 0x8000U, "a stride");
    plan_move(copy, copy->length, copy->stride);
}

void pi_cl_dma_wait(void *copy)
{
    const int id = ((pi_cl_dma_copy_t *)copy)->id;
    demand(is_on_cluster && worker == 0U && id >= 0 && id < IDS && is_used[id] != 0, "waiting for no transfer");
    uint32_t kept = 0U;
    for (uint32_t i = 0U; i < moves_count; i++) {
        const planned m = moves[i];
        if (m.id != id) {
            moves[kept++] = m;
            continue;
        }
        for (uint32_t done = 0U, n = 0U; done < m.size; done += m.line, n++) {
            const uint32_t bytes = m.size - done < m.line ? m.size - done : m.line;
            memcpy(m.to + n * m.to_pitch, m.from + n * m.from_pitch, bytes);
        }
    }
    moves_count = kept;
    is_used[id] = 0;
}

int32_t pi_ram_open(struct pi_device *device)
{
    (void)device;
    open_devices |= RAM;
    return 0;
}

void pi_hyperram_conf_init(struct pi_hyperram_conf *conf)
{
    conf->hyper_itf = 0;
}

static void ask(pi_cl_ram_req_t *request, uint8_t *to, const uint8_t *from, uint32_t size)
{
    demand(is_on_cluster && (open_devices & RAM) != 0 && request->is_under_way == 0, "a request of the RAM outside");
    *request = (pi_cl_ram_req_t){1, to, from, size};
}

void pi_cl_ram_read(struct pi_device *device, uint32_t address, void *data, uint32_t size, pi_cl_ram_req_t *request)
{
    (void)device;
    demand(address + size <= RAM_BYTES, "an address outside");
    ask(request, data, &outside[address], size);
}

void pi_cl_ram_write(struct pi_device *device, uint32_t address, void *data, uint32_t size, pi_cl_ram_req_t *request)
{
    (void)device;
    demand(address + size <= RAM_BYTES, "an address outside");
    ask(request, &outside[address], data, size);
}

static void finish(pi_cl_ram_req_t *request)
{
    demand(request->is_under_way == 1, "waiting for no request");
    memcpy(request->to, request->from, request->size);
    request->is_under_way = 0;
}

void pi_cl_ram_read_wait(pi_cl_ram_req_t *request)
{
    finish(request);
}

void pi_cl_ram_write_wait(pi_cl_ram_req_t *request)
{
    finish(request);
}

void pi_perf_conf(unsigned events)
{
    demand(events == 1U << PI_PERF_CYCLES, "events");
}

void pi_perf_reset(void)
{
    counted = forked;
}

void pi_perf_start(void)
{
}

void pi_perf_stop(void)
{
    counted = forked - counted;
}

unsigned pi_perf_read(int event)
{
    demand(event == PI_PERF_CYCLES, "an event");
    return counted;
}
